"""Runs a launch script on the nodes of a Slurm cluster: one process a node, started again behind
the time limit and behind a preemption.

    python experiments/slurm/launch.py --name=run1 --nodes=4 --gpus_per_node=8 --time=12:00:00 \
      -- experiments/spft.py --config=experiments/configs/spider_small.py --distributed \
      --config.data_dir=/shared/spider --workdir=/shared/run1

Writes a batch script and submits it; --dry_run prints it. What stands behind the two hyphens is
started on every node, in the folder of the code, which all nodes see.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch  # First: from here on a signal ends the script with one line.

# isort: split
import re
import shutil
import subprocess

from absl import flags
from slurm.script import Job, batch_script
from started_command import check_script, works_together

from spftsql_jax.files import write_text

_NAME = flags.DEFINE_string("name", "spft", "Of the job, its batch script and its log.")
_NODES = flags.DEFINE_integer("nodes", 1, "Nodes, each with one process.", lower_bound=1)
_GPUS = flags.DEFINE_integer(
  "gpus_per_node", 1, "GPUs of each node; 0 for a run on CPUs.", lower_bound=0
)
_CPUS = flags.DEFINE_integer(
  "cpus_per_task", 0, "CPU cores of each node; 0 for what Slurm gives.", lower_bound=0
)
_PARTITION = flags.DEFINE_string("partition", "", "Partition; Slurm's own by default.")
_ACCOUNT = flags.DEFINE_string("account", "", "Account; Slurm's own by default.")
_TIME = flags.DEFINE_string(
  "time", None, "Time limit of one start, such as 12:00:00 or 1-00:00:00.", required=True
)
_SIGNAL_S = flags.DEFINE_integer(
  "signal_s",
  180,
  "Seconds before the limit at which training is told to write a checkpoint and to end.",
  lower_bound=30,
  upper_bound=65535,
)
_MAX_RESTARTS = flags.DEFINE_integer(
  "max_restarts", 100, "How often the job is started again.", lower_bound=0
)
_SBATCH_FLAGS = flags.DEFINE_multi_string(
  "sbatch_flag", [], "One more option of sbatch, such as --qos=long."
)
_SOURCE = flags.DEFINE_string(
  "source", str(Path(__file__).resolve().parents[2]), "Folder of the code; all nodes see it."
)
_VENV = flags.DEFINE_string("venv", ".venv", "Environment to run in, in the folder of the code.")
_LOGS = flags.DEFINE_string(
  "logs", "runs/slurm", "Folder for batch script and logs, in the folder of the code."
)
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the batch script.")

# Slurm's own: minutes, minutes:seconds, hours:minutes:seconds, days-hours and so on.
_TIMES = re.compile(r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}")
# In a line of the header Slurm reads quotes and comments its own way.
_PLAIN = re.compile(r"[\w.,:/=+@%*\[\]-]*")


def main() -> None:
  command = flags.FLAGS(sys.argv)[1:]
  source = Path(_SOURCE.value).resolve()
  job = _job(command, source)
  text = batch_script(job)
  if _DRY_RUN.value:
    print(text, end="")
    return
  if shutil.which("sbatch") is None:
    raise InputError("sbatch is not installed, or not on the PATH; --dry_run does without")
  # Before the job: Slurm ends one without a word whose log it cannot write.
  Path(job.logs).mkdir(parents=True, exist_ok=True)
  path = Path(job.logs) / f"{job.name}.sbatch"
  write_text(path, text)
  done = subprocess.run(["sbatch", str(path)], capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(f"sbatch: {done.stderr.strip() or f'exit code {done.returncode}'}")
  print(f"{path}: {done.stdout.strip()}")


def _job(command: list[str], source: Path) -> Job:
  if not _TIMES.fullmatch(_TIME.value):
    raise InputError(f"--time={_TIME.value}: not a time of Slurm's, such as 12:00:00 or 1-00:00:00")
  for flag in (_NAME, _PARTITION, _ACCOUNT, _LOGS):
    _check_plain(f"--{flag.name}={flag.value}", str(flag.value))
  if not _NAME.value or "/" in _NAME.value:
    raise InputError(f"--name={_NAME.value}: not the name of a file")
  for option in _SBATCH_FLAGS.value:
    _check_plain(f"--sbatch_flag={option}", option)
    if not option.startswith("-"):
      raise InputError(f"--sbatch_flag={option}: not an option, such as --qos=long")
  _check_plain(f"--source={source}", str(source))
  check_script(command, source)
  if _NODES.value > 1 and not works_together(command):
    raise InputError(
      f"--nodes={_NODES.value}: they work together with --distributed behind the script"
    )
  python = source / _VENV.value / "bin/python"
  if not _DRY_RUN.value and not python.is_file():
    raise InputError(f"--venv={_VENV.value}: no {python}; make it, for example with make")
  return Job(
    name=_NAME.value,
    nodes=_NODES.value,
    time=_TIME.value,
    gpus_per_node=_GPUS.value,
    cpus_per_task=_CPUS.value,
    partition=_PARTITION.value,
    account=_ACCOUNT.value,
    signal_s=_SIGNAL_S.value,
    max_restarts=_MAX_RESTARTS.value,
    directives=tuple(_SBATCH_FLAGS.value),
    folder=str(source),
    logs=str(source / _LOGS.value),
    command=(str(python), *command),
  )


def _check_plain(given: str, value: str) -> None:
  if not _PLAIN.fullmatch(value):
    raise InputError(f"{given}: no blanks, quotes and the like in the header of a batch script")


if __name__ == "__main__":
  launch(main)
