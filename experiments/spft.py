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
from launch import GOES_ON, InputError, launch

# isort: split
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


def main() -> None:
  # Here and not above: the processes that synthesize import this file, and start sooner without
  # JAX.
  from spftsql_jax.pipeline.config import RunConfig, from_dict
  from spftsql_jax.pipeline.run import run

  if _CONFIG.value is None:
    raise InputError(
      "no config; give one with --config=FILE.py, for example experiments/configs/spider_small.py"
    )
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


if __name__ == "__main__":
  launch(main, config_file.check, GOES_ON)
