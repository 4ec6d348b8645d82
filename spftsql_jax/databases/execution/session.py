"""What a job may do inside a worker process: run statements there, each under its own limits.

Whatever takes time runs under an alarm whose default action ends the process, so that work which
ignores its limit ends with the worker even if the parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from spftsql_jax.databases.errors import DatabaseError, TransientError
from spftsql_jax.databases.execution.connections import Connections
from spftsql_jax.databases.execution.protocol import (
  GRACE_S,
  OPEN_LIMIT_S,
  OPENING,
  WORKING,
  frame,
  pack_rows,
)

TYPE_CHECKING = False  # As in typing, which takes as long to import as half of the rest.
if TYPE_CHECKING:
  from collections.abc import Iterator

  from spftsql_jax.databases.engines.interface import Connection
  from spftsql_jax.databases.execution.protocol import Outcome

# So long a server that has just dropped a connection is given to come back.
_REOPEN_WITHIN_S = 5.0
# A worker in a long job says so as often.
_WORKING_EVERY_S = 0.2
# One that runs many statements keeps a database locked for reading at most so long between two.
_HOLD_S = 0.05


class Session:
  """The inside of one worker process.

  Args:
    memory_bytes: memory that a statement may take.
    sink: descriptor of the pipe to the parent.
  """

  def __init__(self, memory_bytes: int, sink: int):
    self._connections = Connections(memory_bytes)
    self._sink = sink
    self._spoken = 0.0
    self._held: Connection | None = None
    self._held_since = 0.0

  def tell(self, value: tuple | str) -> None:
    """Sends the parent a message. Raises BrokenPipeError where it is gone."""
    self.send(frame(value))

  def send(self, data: bytes) -> None:
    """Sends the parent a message that is framed already; raises as `tell`."""
    view = memoryview(data)
    while view:
      view = view[os.write(self._sink, view) :]

  @contextlib.contextmanager
  def alarm(self, timeout_s: float) -> Iterator[None]:
    """Ends the process where the block takes longer than `timeout_s` and a grace."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
    try:
      yield
    finally:
      signal.setitimer(signal.ITIMER_REAL, 0)

  def connection(self, location: str, identity: tuple) -> Connection:
    """The connection to a database. Opening one is announced to the parent and has a time limit of
    its own. Raises DatabaseError.
    """
    connection = self._connections.find(location, identity)
    if connection is None:
      signal.setitimer(signal.ITIMER_REAL, OPEN_LIMIT_S)
      self.tell(OPENING)
      connection = self._connections.open(location, identity)
      self.tell(WORKING)
    return connection

  def run(
    self,
    location: str,
    identity: tuple,
    sql: str,
    timeout_s: float,
    max_rows: int,
    max_bytes: int,
  ) -> Outcome:
    """Runs one statement; returns what a job of a statement is answered by (`protocol`).

    Opening a database is no part of a statement's time. Where a connection is lost another is
    opened, once, and the statement runs again.
    """
    start = time.perf_counter()
    reopen_until = None
    outcome: Outcome
    while True:
      try:
        connection = self.connection(location, identity)
        signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
        outcome = *connection.run(sql, timeout_s, max_rows, max_bytes, pack_rows), False
      except TransientError as error:
        outcome = error.status, (), [], error.seconds, str(error), True
        if error.lost:
          self._connections.drop(location)
          if reopen_until is None:
            reopen_until = time.monotonic() + _REOPEN_WITHIN_S
            continue
          message = f"the connection was lost twice: {error}"
          outcome = "resource", (), [], error.seconds, message, True
      except DatabaseError as error:
        # It cannot be opened, whatever the statement.
        outcome = "error", (), [], time.perf_counter() - start, str(error), True
        if reopen_until is not None and time.monotonic() < reopen_until:
          time.sleep(0.1)
          continue
      except MemoryError:
        outcome = "resource", (), [], time.perf_counter() - start, "out of memory", False
      break
    signal.setitimer(signal.ITIMER_REAL, 0)
    if outcome[0] in ("resource", "timeout"):
      # Gives the memory back.
      self._connections.drop(location)
    return outcome

  def run_next(
    self,
    location: str,
    identity: tuple,
    sql: str,
    timeout_s: float,
    max_rows: int,
    max_bytes: int,
  ) -> Outcome:
    """`run`, for one of many statements of a job; `finish` ends them.

    Says now and then that the worker is not stuck, and keeps the database's read lock from one
    statement to the next, which takes a third of the time of a small one.
    """
    now = time.monotonic()
    if now > self._spoken + _WORKING_EVERY_S:
      self.tell(WORKING)
      self._spoken = now
    connection = self._connections.find(location, identity)
    if connection is not self._held or now > self._held_since + _HOLD_S:
      self.finish()
      self._held, self._held_since = connection, now
    if self._held is not None:
      self._held.hold()
    return self.run(location, identity, sql, timeout_s, max_rows, max_bytes)

  def start(self) -> None:
    """To be called before a job: the parent has just been heard from."""
    self._spoken = time.monotonic()

  def finish(self) -> None:
    """Gives back the read lock that `run_next` has kept."""
    if self._held is not None:
      self._held.release()
      self._held = None

  def rest(self) -> None:
    """To be called when there is no job for the moment."""
    self._connections.rest()
