"""The databases that a worker process has open, and the memory that it may take."""

from __future__ import annotations

import resource
import sys
from collections import OrderedDict

from spftsql_jax.databases.engines import RESTING_BYTES, engine_module
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.locations import engine_of

TYPE_CHECKING = False  # As in typing, which takes as long to import as half of the rest.
if TYPE_CHECKING:
  from spftsql_jax.databases.engines.interface import Connection

_OPEN_CONNECTIONS = 32


class Connections:
  """Open databases, the least recently used closed first; reopened when the file behind one has
  changed.

  All together those that no statement runs on hold at most `RESTING_BYTES`, so that no statement
  pays for another database.
  """

  def __init__(self, memory_bytes: int):
    self._memory_bytes = memory_bytes
    self._engines: set[str] = set()
    self._open: OrderedDict[str, tuple[tuple, Connection]] = OrderedDict()

  def find(self, location: str, identity: tuple) -> Connection | None:
    """The open connection to what is at `location` now, or None."""
    entry = self._open.get(location)
    if entry is None or entry[0] != identity:
      return None
    if next(reversed(self._open)) != location:
      self._open.move_to_end(location)
      self._make_room()
    return entry[1]

  def open(self, location: str, identity: tuple) -> Connection:
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

  def _connect(self, engine: str, location: str) -> Connection:
    module = engine_module(engine)
    try:
      return module.Connection(location, self._memory_bytes)
    except module.ERRORS as error:
      raise DatabaseError(f"{location}: cannot be used: {error}") from None

  def _make_room(self) -> None:
    """Closes what was used longest ago, but never the last."""
    while len(self._open) > 1 and (
      len(self._open) > _OPEN_CONNECTIONS
      or sum(connection.resting_bytes for _, connection in [*self._open.values()][:-1])
      > RESTING_BYTES
    ):
      self.drop(next(iter(self._open)))

  def rest(self) -> None:
    """To be called when there is nothing to do for the moment."""
    for _, connection in self._open.values():
      connection.rest()

  def drop(self, location: str) -> None:
    """Closes the connection to what is at `location`, if there is one."""
    entry = self._open.pop(location, None)
    if entry is not None:
      entry[1].close()


def _limit_memory(more_bytes: int | None) -> None:
  """Bounds the memory of the process to what it has now and `more_bytes`; None lifts the bound.

  The engine has its own, lower limit, which does not see every allocation. Counted is what is
  private and writable, touched or not; address space that is only reserved, and code, are not.
  """
  if not sys.platform.startswith("linux"):
    return
  unlimited = resource.getrlimit(resource.RLIMIT_DATA)[1]
  bound = unlimited
  if more_bytes is not None:
    with open("/proc/self/statm") as file:
      bound = int(file.read().split()[5]) * resource.getpagesize() + more_bytes
  resource.setrlimit(resource.RLIMIT_DATA, (bound, unlimited))
