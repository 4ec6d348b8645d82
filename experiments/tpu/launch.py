"""Runs a launch script on a TPU: makes the machine, starts the same command on all its workers,
starts it again behind a preemption, and gives the machine back.

    python experiments/tpu/launch.py --name=run1 --zone=us-west4-a --accelerator_type=v5e-16 \
      --queued --spot --shared_dir=10.0.0.2:/share -- experiments/spft.py --distributed \
      --config=experiments/configs/spider_small.py --config.data_dir=/mnt/spftsql/spider \
      --workdir=/mnt/spftsql/run1

What stands behind the two hyphens is started on every worker, in the folder of the code. --dry_run
prints every step. Needs gcloud, logged in. Where this script is cut off the run goes on: the same
command finds it and follows it again.
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
import tempfile

from absl import flags
from started_command import check_script, works_together
from tpu.plan import Plan, Request, accelerator, default_runtime, dry_run, make_plan
from tpu.runner import Runner

_NAME = flags.DEFINE_string(
  "name", None, "Of the machine, and of the run's folder on its workers.", required=True
)
_ZONE = flags.DEFINE_string("zone", None, "Zone of the cloud, such as us-west4-a.", required=True)
_PROJECT = flags.DEFINE_string("project", "", "Project of the cloud; gcloud's own by default.")
_TYPE = flags.DEFINE_string(
  "accelerator_type", None, "Kind and size of the TPU, such as v5e-16 or v5p-8.", required=True
)
_RUNTIME = flags.DEFINE_string(
  "runtime_version", "", "Software of the machine's image; by default the one for its kind."
)
_QUEUED = flags.DEFINE_boolean(
  "queued", False, "Ask by a queued resource, which waits until there are chips."
)
_SPOT = flags.DEFINE_boolean(
  "spot", False, "Cheaper, and may be taken away at any time; the run then goes on on another one."
)
_CREATE_FLAGS = flags.DEFINE_multi_string(
  "create_flag", [], "One more flag of the gcloud command that creates, such as --network=lab."
)
_BUCKET = flags.DEFINE_string(
  "bucket", "", "Bucket that every worker mounts with gcsfuse, such as gs://name."
)
_SHARED_DIR = flags.DEFINE_string(
  "shared_dir",
  "",
  (
    "Instead: HOST:/EXPORT of a shared disk (Filestore, NFS) that every worker mounts, or a folder "
    "that the workers see already."
  ),
)
_MOUNT = flags.DEFINE_string(
  "mount", "/mnt/spftsql", "Folder where the workers have the bucket or the shared disk."
)
_SOURCE = flags.DEFINE_string(
  "source",
  str(Path(__file__).resolve().parents[2]),
  "Code to run: a folder, which is uploaded, or URL#REVISION of a git repository.",
)
_SETUP = flags.DEFINE_string(
  "setup",
  "bash experiments/tpu/setup.sh",
  "Command line that installs what the code needs, in its folder, on every worker.",
)
_PYTHON = flags.DEFINE_string(
  "python", ".venv/bin/python", "Python that runs the script, as --setup leaves it."
)
_MAX_RESTARTS = flags.DEFINE_integer(
  "max_restarts", 100, "How often the run is started again.", lower_bound=0
)
_POLL_S = flags.DEFINE_float(
  "poll_s", 30.0, "Seconds between two looks at a machine.", lower_bound=0.0
)
_SETTLE_S = flags.DEFINE_float(
  "settle_s",
  180.0,
  "Seconds to watch a machine behind a failure: that it was taken away is told late.",
  lower_bound=0.0,
)
_KEEP = flags.DEFINE_boolean("keep", False, "Leave the machine there in the end; it costs on.")
_ACTION = flags.DEFINE_enum(
  "action",
  "run",
  ["run", "logs", "stop", "delete"],
  "What to do; stop ends the run with SIGTERM, so that it can be gone on with.",
)
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print what would be done.")

_NAMES = re.compile(r"[a-z]([a-z0-9-]{0,60}[a-z0-9])?")
_ZONES = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")
_SHARES = re.compile(r"[\w.-]+:/\S*|/\S*")
# Neither code nor what it needs; runs may be large.
_NOT_PACKED = (".git", ".venv*", "runs", "__pycache__", ".*_cache")


def main() -> None:
  command = flags.FLAGS(sys.argv)[1:]
  with tempfile.TemporaryDirectory() as folder:
    request, pack = _request(command, "" if _DRY_RUN.value else folder)
    plan = make_plan(request)
    if _DRY_RUN.value:
      print(dry_run(plan, pack))
      return
    if shutil.which("gcloud") is None:
      raise InputError("gcloud is not installed, or not on the PATH; --dry_run does without")
    _act(plan, pack)


def _act(plan: Plan, pack: list[str]) -> None:
  runner = Runner(plan, _POLL_S.value, _SETTLE_S.value, _MAX_RESTARTS.value)
  if _ACTION.value != "run":
    runner.act({"logs": plan.logs, "stop": plan.stop, "delete": plan.delete}[_ACTION.value])
    return
  if pack:
    subprocess.run(pack, check=True)
  runner.run(_KEEP.value)


def _request(command: list[str], folder: str) -> tuple[Request, list[str]]:
  """What the flags ask for, and the command that packs the code, if it is packed.

  Args:
    folder: for the packed code.
  """
  for flag, pattern, like in (
    (_NAME, _NAMES, "small letters, digits and hyphens"),
    (_ZONE, _ZONES, "a zone, such as us-west4-a"),
  ):
    if not pattern.fullmatch(flag.value):
      raise InputError(f"--{flag.name}={flag.value}: not {like}")
  try:
    kind, hosts = accelerator(_TYPE.value)
  except ValueError as error:
    raise InputError(f"--accelerator_type={error}") from error
  git, archive, pack = _source(_SOURCE.value, folder)
  bucket = _work_folder()
  if _ACTION.value == "run":
    _check_command(command, hosts, git is None)
  request = Request(
    name=_NAME.value,
    zone=_ZONE.value,
    project=_PROJECT.value,
    accelerator_type=kind,
    runtime_version=_RUNTIME.value or default_runtime(kind),
    queued=_QUEUED.value,
    spot=_SPOT.value,
    create_flags=tuple(_CREATE_FLAGS.value),
    archive=archive,
    git=git,
    bucket=bucket,
    shared_dir=_SHARED_DIR.value,
    mount=_shared_folder(),
    setup=_SETUP.value,
    command=(_PYTHON.value, *command),
  )
  return request, pack


def _source(source: str, folder: str) -> tuple[tuple[str, str] | None, str, list[str]]:
  """((URL, revision), archive, command that packs it) of --source. Raises InputError."""
  if "://" in source or source.startswith("git@"):
    url, _, revision = source.partition("#")
    if not revision:
      raise InputError(
        f"--source={source}: a git repository needs its revision, as URL#REVISION; otherwise "
        "workers that are made later run other code"
      )
    return (url, revision), "", []
  if not (Path(source) / "experiments/tpu/worker.sh").is_file():
    raise InputError(f"--source={source}: no clone of this project (experiments/tpu is missing)")
  archive = str(Path(folder) / "code.tar.gz")
  left_out = [f"--exclude={name}" for name in _NOT_PACKED]
  return None, archive, ["tar", "-czf", archive, *left_out, "-C", source, "."]


def _work_folder() -> str:
  """The name of the bucket, "" where there is none. Raises InputError."""
  if _ACTION.value == "run" and bool(_BUCKET.value) == bool(_SHARED_DIR.value):
    raise InputError(
      "give one of --bucket and --shared_dir: the work folder has to outlive the machine, and all "
      "workers have to see it"
    )
  if _SHARED_DIR.value and not _SHARES.fullmatch(_SHARED_DIR.value):
    raise InputError(f"--shared_dir={_SHARED_DIR.value}: neither HOST:/EXPORT nor a whole path")
  if not _MOUNT.value.startswith("/"):
    raise InputError(f"--mount={_MOUNT.value}: give the whole path")
  bucket = _BUCKET.value.removeprefix("gs://").rstrip("/")
  if "/" in bucket:
    raise InputError(f"--bucket={_BUCKET.value}: a bucket, not a folder in it")
  return bucket


def _shared_folder() -> str:
  """Where the workers see what they share."""
  return _SHARED_DIR.value if _SHARED_DIR.value.startswith("/") else _MOUNT.value


def _check_command(command: list[str], hosts: int, is_local: bool) -> None:
  """Refuses a command of which it is known before a machine is made that it cannot go well."""
  check_script(command, Path(_SOURCE.value) if is_local else None)
  if hosts > 1 and not works_together(command):
    raise InputError(
      f"{_TYPE.value} is {hosts} hosts, which work together with --distributed behind the script"
    )
  for word in command:
    flag, _, value = word.partition("=")
    if flag == "--workdir" and not Path(value).is_relative_to(_shared_folder()):
      raise InputError(
        f"{word}: outside {_shared_folder()}, which is what the workers share and what is kept"
      )


if __name__ == "__main__":
  launch(
    main,
    when_interrupted=(
      "; what runs on the machine goes on, and the machine costs on: the same command follows it "
      "again, --action=stop and --action=delete end them"
    ),
  )
