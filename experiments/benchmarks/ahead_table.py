r"""The table of the paper's six models on TPU slices: do their programs fit, what do they cost.

    python experiments/benchmarks/ahead_table.py --folder=ahead --hours=8
    python experiments/benchmarks/ahead_table.py --folder=ahead --hours=0

A cell is a model, a program and a slice; each is compiled by `compile_ahead.py` in a process of its
own, the most telling first, and its report is kept in FOLDER as MODEL-SLICE-STEP.json, the program
under FOLDER/programs: a report that is deleted is made of it again. Started again it goes on with
the cells that are missing; --hours=0 compiles none. What has not been compiled has the bounds that
are known without, and is marked "at least". The table is printed as Markdown, and below it what is
cheapest for each program and what `--check` of `compile_ahead.py` finds wrong with models of 7
billion parameters and more, which ends the script with exit code 1.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import check_output, launch

from absl import flags  # isort: skip

from spftsql_jax.ahead.faults import faults
from spftsql_jax.files import write_json

HERE = Path(__file__).resolve().parent
MODELS = tomllib.loads((HERE / "paper_models.toml").read_text(encoding="utf-8"))
STEPS = ("sft", "self_play", "prefill", "decode")
# Models by when their cells are made: those that the issue of memory is first met with.
ORDER = ("qwen2_5_coder_1_5b", "qwen2_5_coder_7b", *MODELS)
# From here on no stack of layers may be gathered whole, nor the vocabulary cost much.
_CHECKED_PARAMS = 6.5e9
# A cell's memory, time and cost: what a bound is from below has this before it.
_AT_LEAST = "≥ "

_FOLDER = flags.DEFINE_string("folder", None, "Folder of the cells.", required=True)
_SLICES = flags.DEFINE_list("slices", ["v5e:4x4", "v5p:2x2x2", "v6e:4x4"], "TPU slices.")
_MODELS = flags.DEFINE_list("models", [], f"Of {', '.join(MODELS)}; by default all.")
_PROGRAMS = flags.DEFINE_list("programs", list(STEPS), "Of which programs.")
_HOURS = flags.DEFINE_float("hours", 1.0, "No cell is begun after so long.", lower_bound=0.0)


def main() -> None:
  check_output(_FOLDER.value, folder=True)
  folder = Path(_FOLDER.value)
  folder.mkdir(parents=True, exist_ok=True)
  models = _MODELS.value or list(dict.fromkeys(ORDER))
  for flag, given, known in (("models", models, MODELS), ("programs", _PROGRAMS.value, STEPS)):
    if unknown := sorted({*given} - {*known}):
      raise ValueError(f"--{flag}={unknown[0]}: known are {', '.join(known)}")
  steps = [step for step in STEPS if step in _PROGRAMS.value]
  cells = list(itertools.product(models, _SLICES.value, steps))
  until = time.monotonic() + 3600 * _HOURS.value
  for cell in cells:
    if not path_of(folder, *cell).is_file() and time.monotonic() < until:
      make(folder, *cell)
  known = {model: bounds(folder, model, _SLICES.value) for model in models}
  found = {
    cell: json.loads(path_of(folder, *cell).read_text())
    if path_of(folder, *cell).is_file()
    else known[cell[0]][cell[1:]]
    for cell in cells
  }
  print("\n".join(table(found)))
  wrong = [
    f"{cell[0]}: {fault}"
    for cell, report in found.items()
    for fault in faults(report, report["frozen_params"] > _CHECKED_PARAMS)
    if report["compiled"] and report["fits"]
  ]
  if wrong:
    raise RuntimeError("; ".join(wrong))


def path_of(folder: Path, model: str, topology: str, step: str) -> Path:
  return folder / f"{model}-{topology.replace(':', '_')}-{step}.json"


def mesh_of(model: str, step: str) -> str:
  """Training cuts weights over most chips, and heads in two. To write a token all weights are read,
  so answers wait for none to be sent: heads are cut as far as they go, and each part of the chips
  that holds the whole model has schemas of its own.
  """
  heads = MODELS[model]["num_key_value_heads"]
  if step in ("sft", "self_play"):
    return "data:1,fsdp:-1,tensor:2"
  return f"data:-1,fsdp:1,tensor:{min(8, heads & -heads)}"


def make(folder: Path, model: str, topology: str, step: str) -> None:
  """Compiles a cell. One that fails is told, and is tried again by the next call."""
  path = path_of(folder, model, topology, step)
  flags_ = [f"--topology={topology}", f"--step={step}", f"--mesh={mesh_of(model, step)}"]
  done = _compile_ahead(folder, model, *flags_, f"--output={path}")
  # A program that does not fit ends with 1, and has its report.
  if not path.is_file():
    told = done.stderr.strip().splitlines() or ["killed"]
    print(f"{model} {topology} {step}: {told[-1]}", file=sys.stderr, flush=True)


def bounds(folder: Path, model: str, topologies: list[str]) -> dict[tuple[str, str], Any]:
  """What is known of a model's cells without compiling them, by slice and step."""
  path = folder / f"{model}.bounds.json"
  path.unlink(missing_ok=True)
  meshes = dict.fromkeys(mesh_of(model, step) for step in STEPS)
  flags_ = [f"--mesh={mesh}" for mesh in meshes]
  flags_ += [f"--topology={','.join(topologies)}", "--step=all", "--nocompile"]
  done = _compile_ahead(folder, model, *flags_, f"--output={path}")
  if not path.is_file():
    raise RuntimeError(f"{model}: {done.stderr.strip()[-500:]}")
  reports = json.loads(path.read_text())["programs"]
  # In the order of the call: slices, then meshes, then steps.
  cells = itertools.product(topologies, meshes, STEPS)
  return {
    (topology, step): report
    for (topology, mesh, step), report in zip(cells, reports, strict=True)
    if mesh == mesh_of(model, step)
  }


def _compile_ahead(folder: Path, model: str, *flags_: str) -> subprocess.CompletedProcess[str]:
  config = folder / f"{model}.config.json"
  write_json(config, MODELS[model])
  command = [sys.executable, str(HERE.parent / "compile_ahead.py"), f"--model_config={config}"]
  command += ["--decoded_rows=0", f"--kept={folder / 'programs'}"]
  return subprocess.run([*command, *flags_], capture_output=True, text=True)


def table(found: dict[tuple[str, str, str], dict[str, Any]]) -> list[str]:
  """Markdown: a line a cell, then the cheapest slice for each model's programs."""
  lines = [
    "| model | slice | program | GiB a chip | fits | s a run | MFU | USD for 1,000 | compiled |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ]
  for (model, topology, step), report in found.items():
    memory, least = report["gib_a_chip"], "" if report["compiled"] else _AT_LEAST
    usd = report["usd_for_1000_examples_at_least"]
    values = [
      model,
      topology,
      step,
      f"{least}{memory.get('all', memory['arguments'])} of {memory['there']}",
      {True: "yes", False: "no", None: "?"}[report["fits"]],
      f"{_AT_LEAST}{report['seconds_at_least']['all']:.3g}",
      f"≤ {report['mfu_at_most']:.0%}",
      f"{_AT_LEAST}{usd:.3g}" if usd else "?",
      f"{report['compile_cpu_seconds']} CPU s" if report["compiled"] else "no",
    ]
    lines.append(f"| {' | '.join(values)} |")
  lines += ["", "Cheapest of those that fit, of what was compiled:", ""]
  for model, step in dict.fromkeys((model, step) for model, _, step in found):
    fitting = {
      topology: report["usd_for_1000_examples_at_least"]
      for (m, topology, s), report in found.items()
      if (m, s) == (model, step) and report["fits"] and report["usd_for_1000_examples_at_least"]
    }
    if fitting:
      best = min(fitting, key=lambda topology: fitting[topology])
      lines.append(f"- {model}, {step}: {best}")
  return lines


if __name__ == "__main__":
  launch(main)
