"""The batch script of a job: what is asked for, as Slurm reads it, and `job.sh` behind it."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

_BODY = Path(__file__).with_name("job.sh")


@dataclasses.dataclass(frozen=True)
class Job:
  """What is asked for.

  Attributes:
    name: of the job and of its log.
    time: limit of one start, as Slurm writes times.
    gpus_per_node, cpus_per_task, partition, account: 0 or "" for Slurm's own.
    signal_s: seconds before the limit at which training is told to keep its state.
    max_restarts: how often the job is started again.
    directives: more options of sbatch.
    folder: where the job runs.
    logs: folder of the logs.
    command: what every node starts.
  """

  name: str
  nodes: int
  time: str
  gpus_per_node: int
  cpus_per_task: int
  partition: str
  account: str
  signal_s: int
  max_restarts: int
  directives: tuple[str, ...]
  folder: str
  logs: str
  command: tuple[str, ...]


def options(job: Job) -> list[str]:
  """The options of sbatch for a job."""
  asked = {
    "job-name": job.name,
    "nodes": job.nodes,
    "ntasks-per-node": 1,
    "gpus-per-node": job.gpus_per_node,
    "cpus-per-task": job.cpus_per_task,
    "partition": job.partition,
    "account": job.account,
    "time": job.time,
    # To the script, which tells the processes.
    "signal": f"B:USR1@{job.signal_s}",
    "chdir": job.folder,
    "output": f"{job.logs}/%x-%j.log",
    # A job that is started again goes on in its log.
    "open-mode": "append",
  }
  given = [f"--{name}={value}" for name, value in asked.items() if value]
  return [*given, "--requeue", *job.directives]


def batch_script(job: Job) -> str:
  """The text to give to sbatch."""
  devices = ",".join(map(str, range(job.gpus_per_node)))
  lines = [
    "#!/usr/bin/env bash",
    *(f"#SBATCH {option}" for option in options(job)),
    f"command=({shlex.join(job.command)})",
    f"devices={shlex.quote(devices)}",
    f"signal_s={job.signal_s}",
    f"max_restarts={job.max_restarts}",
  ]
  return "\n".join(lines) + "\n" + _BODY.read_text(encoding="utf-8")
