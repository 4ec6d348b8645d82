"""The parent's end of a worker process: starts it, gives it jobs, takes its answers, ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Hashable
from typing import cast

import spftsql_jax
from spftsql_jax.databases.execution import protocol
from spftsql_jax.databases.execution.results import Result, Status

# The worker's own alarm comes first; this is for a worker that cannot run it (stopped, or stuck in
# the kernel).
_KILL_AFTER_S = 2 * protocol.GRACE_S
_START_LIMIT_S = 30.0


# What a job is known by in the pool, and the job.
Waiting = tuple[Hashable, protocol.Job]


class WorkerProcess:
  """One worker process.

  Args:
    memory_bytes: memory a statement may take there.
    environment: of the process.

  Attributes:
    reader: the pipe that its answers come from, for waiting.
    pending: the jobs that it has not answered, the one it is at first.
    started: it has said that it is ready.
    dead: its end of the pipe is closed.
    retired: it ended by itself, and not because of the job that is first in `pending`.
    deadline: when it is to be killed, by `time.monotonic`.
  """

  def __init__(self, memory_bytes: int, environment: dict[str, str]):
    root = os.path.dirname(os.path.dirname(os.path.abspath(spftsql_jax.__file__)))
    code = (
      f"import sys; sys.path.insert(0, {root!r}); from spftsql_jax.databases.execution import "
      f"worker; worker.main({memory_bytes})"
    )
    # A session of its own: Ctrl-C in the terminal reaches the parent alone.
    self._process = subprocess.Popen(
      [sys.executable, "-I", "-c", code],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
      cwd="/",
      env=environment,
    )
    assert self._process.stdin is not None and self._process.stdout is not None
    self._writer = self._process.stdin
    self.reader = self._process.stdout
    os.set_blocking(self.reader.fileno(), False)
    self._buffer = bytearray()
    self.pending: deque[Waiting] = deque()
    self.started = False
    self.dead = False
    self.retired = False
    self._killed = False
    self._since = 0.0
    self.deadline = time.monotonic() + _START_LIMIT_S

  @property
  def pid(self) -> int:
    """The process id."""
    return self._process.pid

  @property
  def exit_status(self) -> int | None:
    """The process's exit status, None while it runs."""
    return self._process.returncode

  def send(self, batch: list[Waiting]) -> bool:
    """Gives it a batch of jobs. False where it is dead; `pending` then holds the batch."""
    self.pending = deque(batch)
    data = protocol.frame([job for _, job in batch])
    try:
      # A worker reads a whole batch before it answers, so this cannot block for long.
      view = memoryview(data)
      descriptor = self._writer.fileno()
      while view:
        view = view[os.write(descriptor, view) :]
    except OSError:
      return False
    self._start_clock()
    return True

  def _start_clock(self) -> None:
    self._since = time.monotonic()
    self.deadline = self._since + self._timeout_s + _KILL_AFTER_S
    if not self.started:
      self.deadline += _START_LIMIT_S

  @property
  def _timeout_s(self) -> float:
    """The time limit of the job that it is at."""
    return self.pending[0][1][1] if self.pending else 0.0

  def receive(self) -> list[tuple[Hashable, object, int]]:
    """The (key, answer, size in bytes) triples that have come in; sets `dead` at the end of the
    stream.

    The answer to a statement is a `Result`. That to a function is what it returned, of a size that
    nobody keeps.
    """
    self._read()
    done: list[tuple[Hashable, object, int]] = []
    for value in protocol.unframe(self._buffer):
      if value == protocol.READY:
        self.started = True
      elif value == protocol.RETIRED:
        self.retired = True
      elif value == protocol.WORKING:
        self._start_clock()
      elif value == protocol.OPENING:
        self.deadline = time.monotonic() + protocol.OPEN_LIMIT_S + _KILL_AFTER_S
      elif value[0] == protocol.CALLED:
        key, _ = self.pending.popleft()
        done.append((key, value[1], sys.maxsize))
      else:
        key, (_, _, arguments) = self.pending.popleft()
        done.append((key, *_result(value, sql=arguments[2])))
    if done or not self._since:
      self._start_clock()
    return done

  def _read(self) -> None:
    """Takes what there is in the pipe."""
    while True:
      try:
        data = os.read(self.reader.fileno(), 1 << 18)
      except BlockingIOError:
        return
      if not data:
        self.dead = True
        return
      self._buffer += data
      if len(data) < 1 << 16:
        return

  def obituary(self) -> Result:
    """The result of the job that was running when the worker ended."""
    seconds = time.monotonic() - self._since
    timeout_s = self._timeout_s
    status = self.exit_status
    if self._killed or status == -14 or seconds > timeout_s > 0:
      return Result(
        "timeout",
        seconds=seconds,
        message=f"killed: it ran longer than {timeout_s:g} s and did not stop when told to",
      )
    reason = f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"
    # It may have been killed for another's sake.
    return Result(
      "resource",
      seconds=seconds,
      message=f"the worker process died of it ({reason})",
      transient=True,
    )

  def kill(self) -> None:
    """Kills the process, if it is there; `stop` waits for its end."""
    if self._process.poll() is None:
      self._killed = self._killed or not self.dead
      self._process.kill()

  def stop(self) -> None:
    """Ends the process, which holds nothing that is worth saving, and closes the pipes."""
    if self._process.poll() is None:
      self._process.kill()
    for pipe in (self._writer, self.reader):
      try:
        pipe.close()
      except OSError:
        pass
    self._process.wait()


def _result(outcome: protocol.Outcome, sql: str) -> tuple[Result, int]:
  """The result of a statement, and about how many bytes it takes."""
  status, columns, pieces, seconds, message, transient = outcome
  size = 300 + len(sql) + len(message) + 4 * sum(map(len, pieces))
  rows = protocol.unpack_rows(pieces)
  return Result(cast(Status, status), tuple(columns), rows, seconds, message, transient), size
