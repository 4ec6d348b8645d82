"""Runs SPFT-SQL from a config: SFT, VBI-FT, self-play, the baselines, evaluation and report.

    python experiments/spft.py --config=experiments/configs/spider_small.py --config.data_dir=DIR \
      --workdir=runs/spider_small

Any field of the config can be set with --config.x.y=value. A run that was cut off goes on with the
same command; a workdir that holds a run of another config is refused.

On several hosts (a TPU pod, a GPU cluster) the same command with --distributed runs on each of
them; --workdir is a folder that all of them see. A run may be gone on with on another number of
hosts or devices.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import GOES_ON, InputError, check_output, launch

# isort: split
from pathlib import Path

import config_file
import database_access
import processes
from absl import flags
from ml_collections import config_flags

flags.adopt_module_key_flags(database_access)
_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file, one of experiments/configs/."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run; made if missing.", required=True
)
_STOP_AFTER = flags.DEFINE_string(
  "stop_after", None, "Stage behind which to stop: prepare, sft, vbi_ft, self_play or baselines."
)

_START_FROM = flags.DEFINE_string(
  "start_from",
  None,
  "Stage to do again, with all behind it; what it left in the work folder is forgotten.",
)
_MESH = flags.DEFINE_string(
  "mesh",
  None,
  (
    'How the devices of all hosts share the work, such as "data:2,fsdp:4,tensor:1"; all on data by '
    "default."
  ),
)

_DATASET = flags.DEFINE_string(
  "dataset",
  None,
  "Folder to write the synthesized examples to at the end, for datasets.load_from_disk.",
)


def main() -> None:
  # Here and not above: the processes that synthesize import this file, and start sooner without
  # JAX.
  from spftsql_jax.pipeline.config import RunConfig, from_dict
  from spftsql_jax.pipeline.run import run

  if _CONFIG.value is None:
    raise InputError(
      "no config; give one with --config=FILE.py, for example experiments/configs/spider_small.py"
    )
  if _DATASET.value is not None:
    check_output(_DATASET.value, folder=True)
    there = Path(_DATASET.value)
    written_here = (there / "dataset_dict.json").is_file()
    if there.is_dir() and not written_here and any(there.iterdir()):
      raise InputError(f"{there}: a folder with other files, which would be replaced")
  values = _CONFIG.value.to_dict()
  processes.join()
  processes.end_together()
  run(
    from_dict(RunConfig, values),
    _WORKDIR.value,
    _STOP_AFTER.value,
    start_from=_START_FROM.value,
    mesh=_MESH.value,
    given=config_flags.get_override_values(flags.FLAGS["config"]),
  )
  if (folder := _DATASET.value) is not None:
    from spftsql_jax import hosts
    from spftsql_jax.pipeline.run_dataset import write_run_dataset

    written = hosts.from_first(lambda: write_run_dataset(_WORKDIR.value, str(folder)))
    print(f"{folder}: {', '.join(f'{n:,} {split}' for split, n in written.items())}")


if __name__ == "__main__":
  launch(main, config_file.check, GOES_ON, trains=True)
