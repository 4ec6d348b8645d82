"""Pretrains the small base on made-up databases, from random weights.

    python experiments/pretrain_small.py --workdir=runs/base

Makes databases of many domains, synthesizes questions and SQL on them, trains a tokenizer and the
model, and writes DIR/base, a Hugging Face folder that `--config.model.hf_model` takes. The same
command goes on where it was cut off. No benchmark and no demo database is in it.
"""

from __future__ import annotations

from launch import GOES_ON, InputError, launch  # First: a signal ends the script with one line.

# isort: split
import json
import sys
from pathlib import Path

import config_file
from absl import flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  str(Path(__file__).parent / "configs/pretraining/base_small.py"),
  "Config file of the base.",
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that make the corpus.", lower_bound=1)


def main() -> None:
  from spftsql_jax.pipeline.codec import record_to_json
  from spftsql_jax.pipeline.config import from_dict
  from spftsql_jax.pipeline.pretraining.config import PretrainingConfig
  from spftsql_jax.pipeline.pretraining.run import pretrain

  workdir = Path(_WORKDIR.value)
  if workdir.exists() and not workdir.is_dir():
    raise InputError(f"--workdir={workdir}: there is a file of this name")
  config = from_dict(PretrainingConfig, _CONFIG.value.to_dict())
  say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
  print(json.dumps(record_to_json(pretrain(config, workdir, say, _WORKERS.value))))


if __name__ == "__main__":
  launch(main, config_file.check, GOES_ON, trains=True)
