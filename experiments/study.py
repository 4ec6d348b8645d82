"""Runs a config with several seeds and tells what its pre-registered contrasts show.

    python experiments/study.py --config=experiments/configs/study/demo.py \
      --config.data_dir=DIR --workdir=runs/study

First it measures the machine and prints what the study will take (--plan ends there). Each seed is
a run of its own in WORKDIR/seed_N; the same command goes on where it was cut off. Behind each run
it prints the contrasts of the runs so far and writes study.json. It ends before the last seed only
by the rule of the pre-registration.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import GOES_ON, InputError, launch

# isort: split
import dataclasses
from pathlib import Path
from typing import Any

import config_file
from absl import flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file, one of experiments/configs/study/."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the study.", required=True)
_REGISTERED = flags.DEFINE_string(
  "preregistration",
  None,
  (
    "What is compared, with which seeds, and when the study ends; by default "
    "experiments/configs/study/preregistration.toml."
  ),
)
_PLAN = flags.DEFINE_bool("plan", False, "Print what the study will take, and end.")


def main() -> None:
  # Here and not above: the processes that synthesize import this file, and start sooner without
  # JAX.
  from spftsql_jax.files import write_json
  from spftsql_jax.pipeline.config import RunConfig, from_dict
  from spftsql_jax.pipeline.run import run
  from spftsql_jax.pipeline.study import read_preregistration, summarize

  if _CONFIG.value is None:
    raise InputError(
      "no config; give one with --config=FILE.py, for example experiments/configs/study/demo.py"
    )
  given = config_flags.get_override_values(flags.FLAGS["config"])
  config = from_dict(RunConfig, _CONFIG.value.to_dict())
  here = Path(__file__).parent / "configs" / "study" / "preregistration.toml"
  registered = read_preregistration(Path(_REGISTERED.value or here))
  workdir = Path(_WORKDIR.value)
  _print_plan(config, given, registered, workdir)
  if _PLAN.value:
    return
  runs: dict[int, Path] = {}
  for seed in registered.seeds:
    folder = workdir / f"seed_{seed}"
    if not (folder / "results.json").is_file():
      print(f"\nSeed {seed}", flush=True)
      run(dataclasses.replace(config, seed=seed), folder, given=given)
    runs[seed] = folder
    summary = summarize(config, runs, registered)
    write_json(workdir / "study.json", summary.to_json(), end="\n")
    _print_summary(summary)
    primary = summary.primary("test") or summary.primary("selection")
    if len(runs) >= registered.least_seeds and primary is not None and primary.equivalent:
      print(f"The primary contrast is shown to be equal with {len(runs)} seeds: the study ends.")
      break


def _print_plan(config: Any, given: Any, registered: Any, workdir: Path) -> None:
  """What the study computes, and how long that takes here by what was measured."""
  from spftsql_jax.amounts import duration
  from spftsql_jax.pipeline.data import located, read_test
  from spftsql_jax.pipeline.recipes import resolve
  from spftsql_jax.pipeline.specialize.budget import speed_of
  from spftsql_jax.pipeline.study import work_of

  # As the runs will have it: with the recipe of its model, but for what was set by flag.
  config = dataclasses.replace(resolve(located(config), given).config, recipe="own")
  work = work_of(config, len(read_test(config)))
  speed = speed_of(config, workdir)
  seconds = work.seconds(speed)
  print(" ".join(registered.question.split()))
  print(f"Primary contrast: {' against '.join(registered.primary)}. Plan for each seed:")
  for name, value in dataclasses.asdict(work).items():
    print(f"  {name.replace('_', ' '):12} {value:10,}")
  seeds = len(registered.seeds)
  print(
    f"About {duration(seconds)} a seed on this machine, {duration(seeds * seconds)} for {seeds} "
    f"(a step {speed.step:.2f} s, an answer {speed.answer:.3f} s, as measured; kept in {workdir})",
    flush=True,
  )


def _print_summary(summary: Any) -> None:
  for split, stages in summary.ex.items():
    print(f"\nEX % on {split}, by seed")
    for stage, values in stages.items():
      shown = "  ".join(f"{100 * value:5.1f}" for value in values)
      print(f"  {stage:24} {shown}   mean {100 * sum(values) / len(values):5.1f}")
    for row in summary.contrasts.get(split, ()):
      print(f"  {'primary' if row.primary else '':8}{row.said}")


if __name__ == "__main__":
  launch(main, config_file.check, GOES_ON, trains=True)
