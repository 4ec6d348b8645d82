"""The process that runs statements: reads jobs from standard input, writes one result each to
standard output.

It is a plain subprocess (never a fork: the parent may have JAX and its threads loaded), imports as
little as it can, and starts in some 50 ms. Before each job it sets an alarm whose default action
ends the process, so a statement that ignores its time limit ends with the worker even if the parent
is gone. The protocol is a 4-byte little-endian length and a `marshal` value, on both sides of one
machine and one Python version.
"""

from __future__ import annotations

import marshal
import os
import resource
import signal
import struct
import sys
import time
from collections import OrderedDict

from spftsql_jax.databases.engines import (
  RESTING_BYTES,
  DatabaseError,
  TransientError,
  engine_module,
  engine_of,
)

TYPE_CHECKING = False  # As in typing, which takes as long to import as half of the rest.
if TYPE_CHECKING:
  from typing import Any

# Beyond the time limit of a statement, for an engine that is slow to stop.
GRACE_S = 0.5
# For opening a database: loading the engine's library, or reaching its server.
OPEN_LIMIT_S = 20.0
# So long a server that has just dropped a connection is given to come back.
_REOPEN_WITHIN_S = 5.0
_OPEN_CONNECTIONS = 32
# What a worker says first, where it ends by itself, before it opens a database, now and then during
# a long job, and before the verdicts on pairs.
READY, RETIRED, OPENING, WORKING, JUDGED = "ready", "retired", "opening", "working", "judged"
_WORKING_EVERY_S = 0.2
# A worker that judges keeps a database locked for reading at most so long between two statements.
_HOLD_S = 0.05
_HEADER = struct.Struct("<I")
# How the rows of a result are packed; the first byte of each piece.
_MARSHAL, _PICKLE = b"m", b"p"


def pack_rows(rows: list[tuple]) -> bytes:
  """Rows as bytes: marshal where it can (several times faster), pickle for dates and decimals."""
  try:
    return _MARSHAL + marshal.dumps(rows)
  except ValueError:
    import pickle  # rarely needed, and a worker should start at once

    return _PICKLE + pickle.dumps(rows, protocol=5)


def unpack_rows(pieces: list[bytes]) -> tuple[tuple, ...]:
  """The rows packed by `pack_rows`, of all pieces."""
  rows: list[tuple] = []
  for piece in pieces:
    if piece[:1] == _MARSHAL:
      rows += marshal.loads(memoryview(piece)[1:])
    else:
      import pickle

      rows += pickle.loads(piece[1:])
  return tuple(rows)


def frame(value: tuple | list | str) -> bytes:
  """`value` with its length in front."""
  payload = marshal.dumps(value)
  return _HEADER.pack(len(payload)) + payload


def unframe(buffer: bytearray) -> list:
  """Takes all complete values off the front of `buffer`."""
  values = []
  start = 0
  while len(buffer) - start >= _HEADER.size:
    (length,) = _HEADER.unpack_from(buffer, start)
    end = start + _HEADER.size + length
    if len(buffer) < end:
      break
    values.append(marshal.loads(memoryview(buffer)[start + _HEADER.size : end]))
    start = end
  del buffer[:start]
  return values


class _Connections:
  """Open databases, the least recently used closed first; reopened when the file behind one has
  changed.

  All together those that no statement runs on hold at most `RESTING_BYTES`, so that no statement
  pays for another database.
  """

  def __init__(self, memory_bytes: int):
    self._memory_bytes = memory_bytes
    self._engines: set[str] = set()
    self._open: OrderedDict[str, tuple[tuple, Any]] = OrderedDict()

  def find(self, location: str, identity: tuple):
    """The open connection to what is at `location` now, or None."""
    entry = self._open.get(location)
    if entry is None or entry[0] != identity:
      return None
    if next(reversed(self._open)) != location:
      self._open.move_to_end(location)
      self._make_room()
    return entry[1]

  def open(self, location: str, identity: tuple):
    """A new connection. Raises DatabaseError."""
    self.drop(location)
    self._make_room()
    engine = engine_of(location)
    if engine in self._engines:
      connection = self._connect(engine, location)
    else:
      # What the engine's library takes when loaded is no part of the limit.
      _limit_memory(None)
      try:
        connection = self._connect(engine, location)
      finally:
        # Of the engines loaded before, too, where this database cannot be opened.
        _limit_memory(self._memory_bytes + RESTING_BYTES + engine_module(engine).MEMORY_SLACK)
      self._engines.add(engine)
    self._open[location] = (identity, connection)
    self._make_room()
    return connection

  def _connect(self, engine: str, location: str):
    module = engine_module(engine)
    try:
      return module.Connection(location, self._memory_bytes)
    except module.ERRORS as error:
      raise DatabaseError(f"{location}: cannot be used: {error}") from None

  def _make_room(self) -> None:
    """Closes what was used longest ago, but never the last."""
    while len(self._open) > 1 and (
      len(self._open) > _OPEN_CONNECTIONS
      or sum(
        getattr(connection, "resting_bytes", 0) for _, connection in [*self._open.values()][:-1]
      )
      > RESTING_BYTES
    ):
      self.drop(next(iter(self._open)))

  def rest(self) -> None:
    """To be called when there is nothing to do for the moment."""
    for _, connection in self._open.values():
      if hasattr(connection, "rest"):
        connection.rest()

  def drop(self, location: str) -> None:
    entry = self._open.pop(location, None)
    if entry is not None:
      entry[1].close()


def run_job(connections: _Connections, job: tuple, sink: int) -> tuple:
  """One job (location, identity, sql, timeout_s, max_rows, max_bytes) -> (status, columns, pieces,
  seconds, message, transient); the last as in `Result`.

  Runs under the alarm that ends the process. Opening a database is no part of a statement's time
  and has a limit of its own, of which the parent is told. Where a connection is lost another is
  opened, once, and the statement runs again.
  """
  location, identity, sql, timeout_s, max_rows, max_bytes = job
  start = time.perf_counter()
  reopen_until = None
  while True:
    try:
      connection = _connection(connections, location, identity, sink)
      signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
      outcome = *connection.run(sql, timeout_s, max_rows, max_bytes, pack_rows), False
    except TransientError as error:
      outcome = error.status, (), [], error.seconds, str(error), True
      if error.lost:
        connections.drop(location)
        if reopen_until is None:
          reopen_until = time.monotonic() + _REOPEN_WITHIN_S
          continue
        outcome = "resource", *outcome[1:4], f"the connection was lost twice: {error}", True
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
    connections.drop(location)
  return outcome


def _connection(connections: _Connections, location: str, identity: tuple, sink: int):
  """The connection to a database; opening one is announced to the parent and has a time limit of
  its own.
  """
  connection = connections.find(location, identity)
  if connection is None:
    signal.setitimer(signal.ITIMER_REAL, OPEN_LIMIT_S)
    _write_all(sink, frame(OPENING))
    connection = connections.open(location, identity)
    _write_all(sink, frame(WORKING))
  return connection


def run_judge_job(connections: _Connections, job: tuple, sink: int) -> tuple[str, list]:
  """A job of pairs (locations, identities, pairs, timeout_s, max_rows, max_bytes, comparison) ->
  (JUDGED, verdicts).

  The verdicts are those of `judge.judge_pairs`. While it works it says so, so that the parent does
  not take it for stuck.
  """
  # Imported by those workers that judge.
  from spftsql_jax.judging import judge
  from spftsql_jax.judging.programs import Programs

  locations, identities, pairs, timeout_s, max_rows, max_bytes, comparison = job
  spoken = time.monotonic()
  held, held_since = None, 0.0

  def execute(instance: int, sql: str) -> tuple:
    nonlocal spoken, held, held_since
    now = time.monotonic()
    if now > spoken + _WORKING_EVERY_S:
      _write_all(sink, frame(WORKING))
      spoken = now
    connection = connections.find(locations[instance], identities[instance])
    if connection is not held or now > held_since + _HOLD_S:
      if held is not None:
        held.release()
      held, held_since = connection, now
    if held is not None:
      held.hold()
    return run_job(
      connections,
      (locations[instance], identities[instance], sql, timeout_s, max_rows, max_bytes),
      sink,
    )

  def match(gold: tuple, predicted: tuple, ordered: bool) -> bool:
    signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
    same = judge.outcomes_match(unpack_rows, comparison, gold, predicted, ordered)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return same

  programs = Programs(
    len(locations),
    lambda instance: _connection(connections, locations[instance], identities[instance], sink),
  )

  def programs_agree(gold_sql: str, predicted_sql: str, ordered: bool) -> bool:
    signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
    try:
      agree = programs.agree(
        gold_sql, predicted_sql, timeout_s, any_order=comparison == "spider" and not ordered
      )
    except (DatabaseError, MemoryError):
      agree = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    return agree

  verdicts = judge.judge_pairs(execute, match, programs_agree, len(locations), pairs)
  if held is not None:
    held.release()
  return JUDGED, verdicts


def _limit_files() -> None:
  """No core files, and no file written: a write fails, it does not kill."""
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  # The hard limit stays: a database with a journal to be rolled back is copied before its
  # statements run.
  resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _limit_memory(more_bytes: int | None) -> None:
  """Bounds the memory of the process to what it has now and `more_bytes`; None lifts the bound. The
  engine has its own, lower limit, which does not see every allocation.

  Counted is what is private and writable, touched or not; address space that is only reserved, and
  code, are not.
  """
  if not sys.platform.startswith("linux"):
    return
  unlimited = resource.getrlimit(resource.RLIMIT_DATA)[1]
  bound = unlimited
  if more_bytes is not None:
    with open("/proc/self/statm") as file:
      bound = int(file.read().split()[5]) * resource.getpagesize() + more_bytes
  resource.setrlimit(resource.RLIMIT_DATA, (bound, unlimited))


def _read_exactly(descriptor: int, size: int) -> bytes:
  pieces = []
  while size:
    piece = os.read(descriptor, min(size, 1 << 20))
    if not piece:
      raise EOFError
    pieces.append(piece)
    size -= len(piece)
  return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
  view = memoryview(data)
  while view:
    view = view[os.write(descriptor, view) :]


def main(memory_bytes: int) -> None:
  """Serves jobs until standard input ends."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGALRM, signal.SIG_DFL)
  source, sink = 0, os.dup(1)
  # Whatever prints goes to stderr, never into the protocol.
  os.dup2(2, 1)
  _limit_files()
  connections = _Connections(memory_bytes)
  _write_all(sink, frame(READY))
  while True:
    try:
      (length,) = _HEADER.unpack(_read_exactly(source, _HEADER.size))
      jobs = marshal.loads(_read_exactly(source, length))
    except EOFError:
      return
    for number, job in enumerate(jobs, start=1):
      try:
        outcome = (
          run_judge_job(connections, job, sink)
          if len(job) == 7
          else run_job(connections, job, sink)
        )
      except BrokenPipeError:
        return
      try:
        answer = frame(outcome)
      except MemoryError:
        answer = frame(("resource", (), [], outcome[3], "out of memory", False))
      if number == len(jobs):
        connections.rest()
      try:
        _write_all(sink, answer)
        if (
          outcome[0] in ("resource", "timeout")
          and not engine_module(engine_of(job[0])).SURVIVES_LIMITS
        ):
          # The engine is not to be trusted after that: a fresh process takes the rest.
          _write_all(sink, frame(RETIRED))
          return
      except BrokenPipeError:
        return
