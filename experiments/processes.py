"""Flags of the launch scripts that run on several hosts: one process on each, joined by
`jax.distributed`.
"""

from __future__ import annotations

from launch import InputError  # First: from here on a signal ends the script with one line.

# isort: split
import atexit
import contextlib
import os
import secrets
import socket
import sys
import threading
import time

from absl import flags

_DISTRIBUTED = flags.DEFINE_boolean(
  "distributed",
  False,
  "One of several processes, one a host, which find each other (TPU pods, Slurm, GKE, Open MPI).",
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "Elsewhere: HOST:PORT of the first process, with --num_processes and --process_id.",
)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "With --coordinator: number of processes.", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  "process_id", None, "With --coordinator: number of this process, from 0.", lower_bound=0
)

# A host without power says nothing: after so many seconds of silence, and so many unanswered probes
# a second apart, it is lost.
_SILENCE, _PROBES = 10, 10
# The main thread may come upon the loss by itself, in an operation of all processes, and then ends
# with a message of its own.
_HEAD_START = 2  # Seconds.


def join(always: bool = False) -> None:
  """Joins the other processes where the flags, or `always`, say that there are some; called before
  anything uses a device.
  """
  given = [flag.value is not None for flag in (_COORDINATOR, _NUM_PROCESSES, _PROCESS_ID)]
  if any(given) and not all(given):
    raise InputError("--coordinator, --num_processes and --process_id belong together")
  if not (any(given) or always or _DISTRIBUTED.value):
    return
  import jax

  try:
    jax.distributed.initialize(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  except (ValueError, RuntimeError) as error:
    raise InputError(f"the processes cannot be joined: {str(error).splitlines()[0]}") from error


def end_together() -> None:
  """From here on this process ends, with one clear line, as soon as another one of the run does
  other than orderly.

  Left to itself, JAX may wait in an operation of all processes until a heartbeat has been missing
  for 100 seconds, and then aborts. Here each process holds a connection to the first one, which
  breaks at once when a process dies. Where none can be made between hosts, JAX's way is what
  remains.
  """
  from spftsql_jax import hosts

  if hosts.count() == 1:
    return
  server = socket.create_server(("", 0)) if hosts.is_first() else None
  port = server and server.getsockname()[1]
  # those of the first
  host, port, token = hosts.gather((socket.gethostname(), port, secrets.token_bytes(16)))[0]
  lines: dict[int, socket.socket] = {}
  try:
    if server is None:
      lines[0] = socket.create_connection((host, port), timeout=30)
      lines[0].sendall(token + hosts.index().to_bytes(4, "big"))
    else:
      server.settimeout(30)
      while len(lines) < hosts.count() - 1:
        line, _ = server.accept()
        line.settimeout(30)
        greeting = line.recv(20, socket.MSG_WAITALL)
        if greeting[:-4] == token:
          lines[int.from_bytes(greeting[-4:], "big")] = line
  except OSError:
    lines.clear()
  if not all(hosts.gather(bool(lines))):
    return
  for other, line in lines.items():
    line.settimeout(None)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
      ("TCP_KEEPIDLE", _SILENCE),
      ("TCP_KEEPINTVL", 1),
      ("TCP_KEEPCNT", _PROBES),
    ):
      if hasattr(socket, option):
        line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    threading.Thread(target=_watch, args=(line, other), daemon=True).start()
  atexit.register(_part, list(lines.values()))


def _watch(line: socket.socket, other: int) -> None:
  """Ends this process when the other one ends without the byte of `_part`."""
  with contextlib.suppress(OSError):
    if line.recv(1):
      return
  # Without the first process JAX aborts within half a second, so there this one has to be sooner.
  if other:
    time.sleep(_HEAD_START)
  print(
    f"{os.path.basename(sys.argv[0])}: process {other} of this run has ended, so this one ends "
    "too; start the same command on every host again: the run goes on from its journal",
    file=sys.stderr,
    flush=True,
  )
  os._exit(1)


def _part(lines: list[socket.socket]) -> None:
  """Tells the others that this process ends as it should."""
  for line in lines:
    with contextlib.suppress(OSError):
      line.sendall(b".")
