"""Step time against the length of a row, what it holds, and model size, beside the operation count.

    python experiments/benchmarks/training_scaling.py --output=scaling.json

A packed row of the base holds one schema of 256 tokens with 16 branches of 64 tokens (half of them
SQL). One size at a time is changed: how many schemas with their branches a row holds (its length T
grows with them), branches (K), tokens of a schema (P) and of a branch (L), and the model's width;
each shape is an SFT step over one row, full and in float32. Median of --runs steps after one that
compiles; wall clock and CPU seconds. Beside OUTPUT an SVG of the same name is written: for each
size the measured time and the count of operations, both relative to the base, so that where the
lines part the step does not do what its arithmetic asks for. --series names what is changed, and
--budget_s ends the measurements in time: what is left out is said.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip
import numpy as np

_RUNS = flags.DEFINE_integer("runs", 5, "Steps timed at each shape.", lower_bound=1)
_SERIES_ASKED = flags.DEFINE_list("series", ["T", "K", "P", "L", "hidden"], "What is changed.")
_BUDGET = flags.DEFINE_float("budget_s", 0, "No shape begins behind so many seconds; 0: no limit.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_BASE = {"T": 1, "K": 16, "P": 256, "L": 64, "hidden": 256}
_SERIES = {
  "T": (1, 2, 4, 8),  # schemas
  "K": (4, 8, 16, 32, 64),
  "P": (64, 128, 256, 512, 1024),
  "L": (16, 32, 64, 128),
  "hidden": (128, 256, 384, 512),
}


def main() -> None:
  if unknown := sorted(set(_SERIES_ASKED.value) - set(_SERIES)):
    raise InputError(f"--series: no size {', '.join(unknown)}; there are {', '.join(_SERIES)}")
  began = time.perf_counter()
  report: dict[str, Any] = {"machine": {"cores": os.cpu_count()}, "base": _BASE, "series": {}}
  measured: dict[str, dict[str, float]] = {json.dumps(_BASE): measure(**_BASE)}
  left_out: list[str] = []
  for name in _SERIES_ASKED.value:
    report["series"][name] = []
    for value in _SERIES[name]:
      sizes = _BASE | {name: value}
      key = json.dumps(sizes)
      if key not in measured and 0 < _BUDGET.value <= time.perf_counter() - began:
        left_out.append(f"{name} {value}")
        continue
      if key not in measured:
        measured[key] = measure(**sizes)
      told = int(measured[key]["row_tokens"]) if name == "T" else value
      report["series"][name].append({name: told, **measured[key]})
      print(name, told, measured[key], flush=True)
  report["left_out"] = left_out
  if left_out:
    print(f"left out behind {_BUDGET.value:g} s: {', '.join(left_out)}", flush=True)
  path = Path(_OUTPUT.value)
  path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
  path.with_suffix(".svg").write_text(
    plot(
      {n: rows for n, rows in report["series"].items() if len(rows) > 1},
      measured[json.dumps(_BASE)],
    ),
    encoding="utf-8",
  )


def measure(T: int, K: int, P: int, L: int, hidden: int) -> dict[str, float]:
  """Seconds of a step over a row of T schemas of P tokens, with K branches of L each, and its
  operations.
  """
  import jax

  from spftsql_jax.examples.batches import Branch, Unit
  from spftsql_jax.examples.packing import choose_row_shape, pack, plan_rows
  from spftsql_jax.models import Decoder, ModelConfig, init_params
  from spftsql_jax.models.flops import step_flops
  from spftsql_jax.training.optimizer import OptimizerConfig
  from spftsql_jax.training.step import (
    Objective,
    init_state,
    make_train_step,
    numbers_of,
    program_of,
  )

  values = json.loads((Path(__file__).parent / "training_peers" / "model.json").read_text())
  values |= {"hidden_size": hidden, "intermediate_size": 4 * hidden}
  config = ModelConfig.from_hf(values)
  rng, answer = np.random.default_rng(0), L // 2

  def draw(size: int) -> tuple[int, ...]:
    return tuple(rng.integers(2, config.vocab_size, size).tolist())

  units: list[Unit] = []
  for _ in range(T):
    prefix = draw(P)
    units += [Unit((Branch(prefix, draw(L - answer), draw(answer)),)) for _ in range(K)]
  shape = choose_row_shape(units, tokens=T * (P + K * L))
  row = [piece for row in plan_rows(units, shape, rng) for piece in row]
  batch = jax.tree.map(lambda x: x[None], pack(units, [tuple(row)], shape, 0))
  objective, optimizer = Objective("sft"), OptimizerConfig()
  state = init_state(optimizer, init_params(config, jax.random.key(0)))
  step = make_train_step(Decoder(config), optimizer, program_of(objective))
  wall, cpu = [], []
  for _ in range(_RUNS.value + 1):
    began, cpu_began = time.perf_counter(), time.process_time()
    state, _ = step(state, None, batch, 1e-5, numbers_of(objective))
    jax.block_until_ready(state)
    wall.append(time.perf_counter() - began)
    cpu.append(time.process_time() - cpu_began)
  flops = step_flops(config, batch)
  seconds = statistics.median(wall[1:])
  return {
    "row_tokens": shape.tokens,
    "seconds": round(seconds, 4),
    "cpu_seconds": round(statistics.median(cpu[1:]), 4),
    "gflop": round(flops / 1e9, 2),
    "gflop_a_second": round(flops / 1e9 / seconds, 1),
    "compile_seconds": round(wall[0], 1),
  }


def plot(series: dict[str, list[dict[str, float]]], base: dict[str, float]) -> str:
  """An SVG with a panel for each series: CPU seconds and operations, relative to the base, both
  axes logarithmic.
  """
  width, height, margin = 280, 240, 44
  panels = []
  for index, (name, rows) in enumerate(series.items()):
    xs = [math.log2(row[name]) for row in rows]
    lines = {
      "CPU seconds": (
        "#1f77b4",
        [math.log2(row["cpu_seconds"] / base["cpu_seconds"]) for row in rows],
      ),
      "operations": ("#d62728", [math.log2(row["gflop"] / base["gflop"]) for row in rows]),
    }
    every = [y for _, ys in lines.values() for y in ys]
    low, high = math.floor(min(every)), math.ceil(max(every))

    def across(x: float, xs: list[float] = xs) -> float:
      return margin + (x - xs[0]) / (xs[-1] - xs[0]) * (width - margin - 14)

    def up(y: float, low: int = low, high: int = high) -> float:
      return height - margin - (y - low) / (high - low) * (height - margin - 34)

    parts = [f'<text x="{width / 2}" y="16" text-anchor="middle" font-weight="bold">{name}</text>']
    for y in range(low, high + 1):
      parts.append(
        f'<line x1="{margin}" x2="{width - 14}" y1="{up(y):.1f}" y2="{up(y):.1f}" stroke="#ddd"/>'
      )
      parts.append(
        f'<text x="{margin - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{2.0**y:g}x</text>'
      )
    for row, x in zip(rows, xs, strict=True):
      parts.append(
        f'<text x="{across(x):.1f}" y="{height - margin + 16}" '
        f'text-anchor="middle">{row[name]:g}</text>'
      )
    for i, (label, (colour, ys)) in enumerate(lines.items()):
      points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(xs, ys, strict=True))
      parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
      parts.append(f'<text x="{margin + 6}" y="{34 + 13 * i}" fill="{colour}">{label}</text>')
    panels.append(f'<g transform="translate({index * width},0)">{"".join(parts)}</g>')
  size = f'width="{width * len(series)}" height="{height}"'
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" '
    f'font-size="11">{"".join(panels)}</svg>\n'
  )


if __name__ == "__main__":
  launch(main)
