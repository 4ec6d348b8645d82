"""The whole method on the demo databases, on a CPU in minutes.

    python experiments/quickstart.py --workdir=runs/quickstart

Makes the demo databases, fine-tunes a small model from scratch by SFT, VBI-FT and self-play beside the baselines, evaluates on
held-out questions written by hand, and writes results.json, report.html, TensorBoard logs and a Hugging Face export of the
best model. The same command goes on where it was cut off.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from launch import launch

from absl import flags  # isort: skip
from configs.quickstart import quickstart
from demo.make_databases import make_demo

from spftsql_jax.pipeline.run import STAGES, run

_WORKDIR = flags.DEFINE_string("workdir", "runs/quickstart", "Folder of the run.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_STOP_AFTER = flags.DEFINE_enum("stop_after", None, STAGES, "Stage behind which to stop.")


def main() -> None:
  workdir = Path(_WORKDIR.value)
  demo = workdir / "demo"
  make_demo(demo)
  run(dataclasses.replace(quickstart(), data_dir=str(demo), seed=_SEED.value), workdir, _STOP_AFTER.value)


if __name__ == "__main__":
  launch(main)
