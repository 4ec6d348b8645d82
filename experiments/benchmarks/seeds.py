"""Sums up finished runs of one config with several seeds: EX of each model, mean and 95 % interval,
and gains over SFT.

    python experiments/benchmarks/seeds.py --runs=runs/seed0,runs/seed1,runs/seed2 \
      --output=seeds.json

Gains are paired by seed. Intervals are Student's over the seeds.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip

from spftsql_jax.files import write_json

_RUNS = flags.DEFINE_list("runs", None, "Work folders of finished runs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

# Student's t at 97.5 % by degrees of freedom.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def main() -> None:
  tables = []
  for run in _RUNS.value:
    path = Path(run) / "results.json"
    if not path.is_file():
      raise InputError(f"{path}: no such file; is the run finished?")
    results = json.loads(path.read_text())
    rows = {row["model"]: row["ex"] for row in results["table"]}
    rows["final model"] = next(
      row["ex"] for row in results["table"] if row["version"] == results["best"]
    )
    tables.append(rows)
  if not 2 <= len(tables) <= 10:
    raise InputError("give two to ten runs")
  models = [m for m in tables[0] if all(m in t for t in tables)]
  accuracy = {m: interval([t[m] for t in tables]) for m in models}
  summary = {
    "runs": _RUNS.value,
    "ex": accuracy,
    "gain_over_sft": {
      m: interval([t[m] - t["SFT on seeds"] for t in tables]) for m in models if m != "SFT on seeds"
    },
  }
  write_json(_OUTPUT.value, summary, end="\n")
  for m in models:
    low, high = accuracy[m]["ci95"]
    values = ", ".join(f"{100 * v:.1f}" for v in accuracy[m]["values"])
    print(
      f"{m:40} {100 * accuracy[m]['mean']:5.1f} %  ({100 * low:.1f} to {100 * high:.1f}; {values})"
    )


def interval(values: list[float]) -> dict:
  """Mean of values over seeds with its 95 % interval."""
  mean = statistics.fmean(values)
  half = _T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
  return {"mean": mean, "ci95": [mean - half, mean + half], "values": values}


if __name__ == "__main__":
  launch(main)
