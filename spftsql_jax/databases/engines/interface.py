"""What every engine gives, as types. Read by people and the type checker alone: no worker process
imports this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

# Turns a list of rows to bytes (`execution.protocol.pack_rows`).
Pack = Callable[[list[tuple]], bytes]
# (status as in `Result`, column names, packed pieces of the rows, seconds, message)
Ran = tuple[str, tuple[str, ...], list[bytes], float, str]


class Connection(Protocol):
  """One database, opened for running a model's statements under limits. Lives in a worker process.

  Attributes:
    resting_bytes: what it may hold of the worker's memory between statements.
  """

  @property
  def resting_bytes(self) -> int: ...

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    """Runs one statement.

    Raises TransientError for what is no property of the statement, and DatabaseError where the
    database cannot be opened any more.
    """
    ...

  def hold(self) -> None:
    """Keeps the read lock between statements, where there is one, until `release`."""
    ...

  def release(self) -> None:
    """Gives the read lock back."""
    ...

  def rest(self) -> None:
    """To be called when no statement is at hand."""
    ...

  def close(self) -> None:
    """Lets go of the database."""
    ...


class Engine(Protocol):
  """The module of an engine.

  Attributes:
    DIALECT: sqlglot's name of its SQL.
    ERRORS: what its driver raises.
    TYPES_ARE_KEPT: whether a column holds values of its declared type only.
    MEMORY_SLACK: bytes that a worker may take beyond the engine's own limit.
    SURVIVES_LIMITS: whether a connection is as good as new after it ran into a limit.
  """

  DIALECT: str
  ERRORS: tuple[type[Exception], ...]
  TYPES_ARE_KEPT: bool
  MEMORY_SLACK: int
  SURVIVES_LIMITS: bool

  def Connection(self, location: str, memory_bytes: int, /) -> Connection:
    """Opens a database in a worker. Raises DatabaseError and `ERRORS`."""
    ...

  # Below, `connection` is the driver's own, of which each engine has another type.

  def connect(self, location: str, /) -> Any:
    """A read-only connection for code of ours (introspection). Raises DatabaseError."""
    ...

  def fetch_rows(self, cursor: Any, sql: str, limit: int, /) -> list[tuple]:
    """Up to `limit` rows of a query of ours, with cells that can be compared and counted."""
    ...

  def mark_undecodable(self, connection: Any, /) -> None:
    """Lets text that cannot be read come with U+FFFD, so that it can be told from other text."""
    ...

  def refusal_of(self, connection: Any, /) -> Callable[[str], str]:
    """What tells why a statement is not to be run on a connection of ours, "" where it may."""
    ...
