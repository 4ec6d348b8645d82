"""What the launcher for TPUs does, as data: steps of gcloud commands, and when each is done.

Nothing here runs anything. `launch.py` makes the plan from its flags and prints it or has
`runner.py` carry it out.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import signal
from collections.abc import Callable, Sequence

import stopping

HERE, ALL_WORKERS = "this machine", "all workers"

# Exit codes behind which the same command goes on: the state is kept; ended by SIGTERM.
GOES_ON = (stopping.KEPT, 128 + signal.SIGTERM)
# As gcloud ends where ssh could not connect, or lost the connection.
NO_CONNECTION = 255
# The state of a machine that is not there.
ABSENT = "ABSENT"

# Chips that a host has at most; of the older kinds a type counts cores, two a chip.
_CHIPS_A_HOST = {"v5litepod": 4, "v6e": 4}
# Of these up to 8 chips are one host.
_CHIPS_OF_ONE_HOST = 8
_CORES_A_HOST = 8
_RUNTIMES = {
  "v5litepod": "v2-alpha-tpuv5-lite",
  "v5p": "v2-alpha-tpuv5",
  "v6e": "v2-alpha-tpuv6e",
}
_OLDER_RUNTIME = "tpu-ubuntu2204-base"
# What people call a type, and what gcloud does.
_OTHER_NAMES = {"v5e": "v5litepod", "v5lite": "v5litepod"}
_TYPE = re.compile(r"(v\d+[a-z]*)-(\d+)")


@dataclasses.dataclass(frozen=True)
class Step:
  """One command.

  Attributes:
    name: what it is for.
    command: its words; it runs on the machine of the launcher.
    where: whose work it is: `HERE`, or `ALL_WORKERS` through ssh.
    tries: how often it is tried before the launcher gives up.
    done_at: words of which the command prints one when what is waited for is there.
    failed_at: words at which it will not be.
  """

  name: str
  command: tuple[str, ...]
  where: str = HERE
  tries: int = 1
  done_at: tuple[str, ...] = ()
  failed_at: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
  """All steps, in the order in which they come first.

  Attributes:
    busy: succeeds where the run is at work on every worker.
    create: asks for the machine.
    wait: prints the machine's state.
    prepare: brings the code, what it needs, and the work folder.
    start: starts the command on every worker, which goes on without a connection.
    follow: waits for it; ends with its exit code.
    logs: prints the end of every worker's log.
    stop: tells the command to end (SIGTERM).
    delete: gives the machine back.
  """

  busy: Step
  create: Step
  wait: Step
  prepare: tuple[Step, ...]
  start: Step
  follow: Step
  logs: Step
  stop: Step
  delete: Step

  @property
  def steps(self) -> tuple[Step, ...]:
    """Those of a run that nothing happens to."""
    return (
      self.create,
      self.wait,
      *self.prepare,
      self.start,
      self.follow,
      self.logs,
      self.delete,
    )


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked for.

  Attributes:
    name: of the machine, of its queued resource, and of the run's folder on the workers.
    accelerator_type: as gcloud has it, see `accelerator`.
    queued: by a queued resource, which waits until there are chips.
    create_flags: more flags of the gcloud command that creates.
    archive: of the code on this machine, or "" where it is cloned.
    git: (URL, revision) to clone, or None.
    bucket, shared_dir: one of them has the work folder: the name of a bucket; HOST:/EXPORT of a
      shared disk, or a folder that the workers see already.
    mount: where the workers see it.
    setup: command line that installs, in the folder of the code.
    command: what every worker starts, in the folder of the code.
  """

  name: str
  zone: str
  project: str
  accelerator_type: str
  runtime_version: str
  queued: bool
  spot: bool
  create_flags: tuple[str, ...]
  archive: str
  git: tuple[str, str] | None
  bucket: str
  shared_dir: str
  mount: str
  setup: str
  command: tuple[str, ...]


def accelerator(name: str) -> tuple[str, int]:
  """(type as gcloud has it, number of hosts) of a type such as v5e-16. Raises ValueError."""
  match = _TYPE.fullmatch(name)
  if match is None or not int(match[2]):
    raise ValueError(f"{name}: not a type of TPU; known are types such as v5e-16, v5p-8 or v4-32")
  kind, size = _OTHER_NAMES.get(match[1], match[1]), int(match[2])
  if kind not in _CHIPS_A_HOST:
    return f"{kind}-{size}", -(-size // _CORES_A_HOST)
  hosts = 1 if size <= _CHIPS_OF_ONE_HOST else -(-size // _CHIPS_A_HOST[kind])
  return f"{kind}-{size}", hosts


def default_runtime(accelerator_type: str) -> str:
  """The software of the machine's image for a type, as gcloud has it."""
  return _RUNTIMES.get(accelerator_type.partition("-")[0], _OLDER_RUNTIME)


def make_plan(request: Request) -> Plan:
  """The steps for a request."""
  place = (f"--zone={request.zone}", *([f"--project={request.project}"] if request.project else ()))
  tpus = ("gcloud", "compute", "tpus")
  kind = "queued-resources" if request.queued else "tpu-vm"
  spot = ("--spot",) if request.spot else ()
  image = "--runtime-version" if request.queued else "--version"
  node = (f"--node-id={request.name}",) if request.queued else ()
  state = "value(state.state)" if request.queued else "value(state)"
  ready, broken = (
    ("ACTIVE", ("FAILED", "SUSPENDING", "SUSPENDED", "DELETING"))
    if request.queued
    else ("READY", ("PREEMPTED", "TERMINATED", "STOPPING", "STOPPED", "DELETING"))
  )

  def on_workers(name: str, line: str, tries: int = 1) -> Step:
    # Quiet: asked for no password of a key that it makes.
    ssh = (*tpus, "tpu-vm", "ssh", request.name, *place, "--worker=all", "--quiet")
    # A connection that says nothing for hours is cut off by routers on the way.
    alive = "--ssh-flag=-oServerAliveInterval=30"
    return Step(name, (*ssh, alive, f"--command={line}"), ALL_WORKERS, tries)

  code = f"spftsql/{request.name}/code"
  in_code = f"cd {shlex.quote(code)} && "
  worker = ("bash", "experiments/tpu/worker.sh")
  act = lambda *words: in_code + shlex.join((*worker, *words))  # noqa: E731
  lock = shlex.quote(f"spftsql/{request.name}/lock")
  return Plan(
    busy=on_workers("busy", f"test -e {lock} && ! flock --nonblock {lock} true"),
    create=Step(
      "create",
      (
        *(*tpus, kind, "create", request.name, *node, *place),
        f"--accelerator-type={request.accelerator_type}",
        f"{image}={request.runtime_version}",
        *spot,
        *request.create_flags,
      ),
    ),
    wait=Step(
      "wait",
      (*tpus, kind, "describe", request.name, *place, f"--format={state}"),
      done_at=(ready,),
      failed_at=broken,
    ),
    prepare=(
      *_bring_code(request, tpus, place, code, on_workers),
      on_workers("install", in_code + request.setup, tries=3),
      on_workers("mount", act("mount", *_mounted(request)), tries=3),
    ),
    start=on_workers("start", act("start", *request.command), tries=3),
    follow=on_workers("follow", act("follow")),
    logs=on_workers("logs", act("logs")),
    stop=on_workers("stop", act("stop")),
    delete=Step(
      "delete",
      (
        *(*tpus, kind, "delete", request.name, *place, "--quiet"),
        # Of a queued resource the machine goes with it.
        *(("--force",) if request.queued else ()),
      ),
      tries=3,
    ),
  )


def _bring_code(
  request: Request,
  tpus: tuple[str, ...],
  place: tuple[str, ...],
  code: str,
  on_workers: Callable[..., Step],
) -> tuple[Step, ...]:
  """Steps after which every worker has the same code."""
  quoted = shlex.quote(code)
  if request.git is not None:
    url, revision = request.git
    lines = (
      f"mkdir -p {quoted}",
      f"cd {quoted}",
      "git init --quiet",
      shlex.join(("git", "fetch", "--quiet", "--depth=1", url, revision)),
      "git checkout --quiet --force FETCH_HEAD",
    )
    return (on_workers("clone", " && ".join(lines), tries=3),)
  packed = f"spftsql-{request.name}.tar.gz"
  copy = (*tpus, "tpu-vm", "scp", request.archive, f"{request.name}:{packed}", *place)
  unpack = f"mkdir -p {quoted} && tar -xzf {shlex.quote(packed)} -C {quoted}"
  return (
    Step("upload", (*copy, "--worker=all", "--quiet"), ALL_WORKERS, tries=3),
    on_workers("unpack", unpack),
  )


def _mounted(request: Request) -> Sequence[str]:
  """What of which kind is mounted where."""
  if request.bucket:
    return "bucket", request.bucket, request.mount
  if ":" in request.shared_dir:
    return "nfs", request.shared_dir, request.mount
  return "folder", request.mount


def dry_run(plan: Plan, archive_command: Sequence[str] = ()) -> str:
  """The plan as lines of a shell, with what is said of each step."""
  lines = []
  if archive_command:
    lines += ["# pack (this machine)", shlex.join(archive_command)]
  for step in plan.steps:
    rules = [f"{step.tries} tries"] if step.tries > 1 else []
    rules += [f"until {' or '.join(step.done_at)}"] if step.done_at else []
    rules += [f"created anew at {', '.join(step.failed_at)}"] if step.failed_at else []
    if step is plan.follow:
      rules += [f"started again behind exit code {' or '.join(map(str, GOES_ON))}"]
    lines += [f"# {'; '.join([f'{step.name} ({step.where})', *rules])}", shlex.join(step.command)]
  return "\n".join(lines)
