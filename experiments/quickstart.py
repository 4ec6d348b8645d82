"""The whole method on the demo databases, on a CPU in minutes.

    python experiments/quickstart.py --workdir=runs/quickstart

Makes the demo databases, fine-tunes the small base that comes along by SFT, VBI-FT and self-play
beside the baselines, evaluates on held-out questions written by hand, and writes results.json,
report.html, TensorBoard logs and a Hugging Face export of the best model. The same command goes on
where it was cut off.
"""

from __future__ import annotations

from launch import GOES_ON, launch  # First: from here on a signal ends the script with one line.

# isort: split
import dataclasses
from pathlib import Path

from absl import flags

_WORKDIR = flags.DEFINE_string("workdir", "runs/quickstart", "Folder of the run.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_STOP_AFTER = flags.DEFINE_string(
  "stop_after", None, "Stage behind which to stop: prepare, sft, vbi_ft, self_play or baselines."
)

_FROM_SCRATCH = flags.DEFINE_boolean(
  "from_scratch", False, "Start from random weights and a tokenizer of its own, not from the base."
)
_START_FROM = flags.DEFINE_string(
  "start_from",
  None,
  "Stage to do again, with all behind it; what it left in the work folder is forgotten.",
)


def main() -> None:
  # Here and not above: the processes that synthesize import this file, and start sooner without
  # JAX.
  from configs.quickstart import from_scratch, quickstart
  from demo.make_databases import make_demo

  from spftsql_jax.pipeline.run import run

  workdir = Path(_WORKDIR.value)
  demo = workdir / "demo"
  make_demo(demo)
  config = from_scratch() if _FROM_SCRATCH.value else quickstart()
  run(
    dataclasses.replace(config, data_dir=str(demo), seed=_SEED.value),
    workdir,
    _STOP_AFTER.value,
    start_from=_START_FROM.value,
  )


if __name__ == "__main__":
  launch(main, when_interrupted=GOES_ON, trains=True)
