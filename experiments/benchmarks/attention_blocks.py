"""The loop of packed attention by the size of its blocks, on a CPU.

    python experiments/benchmarks/attention_blocks.py --output=FILE.json

Heads and gradients of one layer over a row of branches of 45 tokens behind a prefix of --prefix:
medians of milliseconds, by the wall clock and of the process's CPU, the sizes in turns.
--heads are key-value heads, query heads of each, and head size; SmolLM2-135M has 3,3,64. With
JAX_NUM_CPU_DEVICES=2 two rows are computed at once, a device each, and the figures are of a row.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import check_output, launch

from absl import flags  # isort: skip
import measuring
import numpy as np

_HEADS = flags.DEFINE_list("heads", ["3", "3", "64"], "Key-value heads, groups and head size.")
_BLOCKS = flags.DEFINE_list(
  "blocks", ["64x64", "32x64", "128x64", "64x128", "128x128"], "Sizes, QUERIESxKEYS."
)
_TOKENS = flags.DEFINE_integer("tokens", 2048, "Tokens of a row.", lower_bound=64)
_PREFIX = flags.DEFINE_integer("prefix", 400, "Tokens of its prefix.", lower_bound=1)
_TURNS = flags.DEFINE_integer("turns", 5, "Turns of each size.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_BRANCH = 45


def main() -> None:
  import jax

  check_output(_OUTPUT.value)
  programs = {size: compiled(*map(int, size.split("x"))) for size in _BLOCKS.value}
  times: dict[str, list[tuple[float, float]]] = {size: [] for size in programs}
  for _ in range(_TURNS.value):
    for size, program in programs.items():
      times[size].append(measuring.clock(program))
  report: dict[str, Any] = {"heads": _HEADS.value, "tokens": _TOKENS.value, "milliseconds": {}}
  for size, each in times.items():
    wall, cpu = (
      round(statistics.median(x) * 1e3 / jax.device_count(), 1) for x in zip(*each, strict=True)
    )
    report["milliseconds"][size] = {"wall": wall, "cpu": cpu}
  Path(_OUTPUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
  print(json.dumps(report))


def compiled(queries: int, keys: int) -> Any:
  """Heads and gradients of a row for each device, as a function of nothing."""
  import jax
  import jax.numpy as jnp

  from spftsql_jax.models import packed_attention as attention
  from spftsql_jax.models.sharding import make_mesh, use_mesh

  heads, groups, size = map(int, _HEADS.value)
  rows, tokens = jax.device_count(), _TOKENS.value
  seeds = jax.random.split(jax.random.key(0), 4)
  wide, narrow = (rows, tokens, heads, groups, size), (rows, tokens, heads, size)
  arrays = [
    jax.random.normal(seed, shape)
    for seed, shape in zip(seeds, (wide, narrow, narrow, wide), strict=True)
  ]
  places = np.arange(tokens)
  ends = places + _BRANCH - (places - _PREFIX.value) % _BRANCH
  ends = np.where(places < _PREFIX.value, tokens, np.minimum(ends, tokens)).astype(np.int32)

  def heads_and_gradients(query: Any, key: Any, value: Any, to_out: Any) -> Any:
    def heads_of(query: Any, key: Any, value: Any) -> Any:
      return attention.packed_attention(query, key, value, jnp.tile(ends, (rows, 1)))

    out, back = jax.vjp(heads_of, query, key, value)
    return out, back(to_out)

  usual = attention._ON_CPU
  attention._ON_CPU = attention._Tile(queries, keys)
  try:
    mesh = make_mesh()
    placed = jax.device_put(arrays, jax.NamedSharding(mesh, jax.P("data")))
    with use_mesh(mesh):
      program = jax.jit(heads_and_gradients).lower(*placed).compile()
  finally:
    attention._ON_CPU = usual
  return lambda: jax.block_until_ready(program(*placed))


if __name__ == "__main__":
  launch(main)
