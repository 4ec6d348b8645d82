"""Running queries of our own making in this process, read-only, limited in time and rows.

What a model writes goes to the killable workers of `databases.Executor`. The queries here come from
templates of ours, by the thousand; sending each to another process would cost more than running it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Sequence

from spftsql_jax.databases import engines
from spftsql_jax.databases.cells import canonical_rows
from spftsql_jax.databases.locations import engine_of, is_unchanged_copy, may_fail_by_data

# Of SQLite's virtual machine: about a second's work on a slow core. A limit on steps, unlike one on
# time, stops the same query on every machine and under any load, so that the same seed gives the
# same examples.
_STEPS_PER_SECOND = 30_000_000
_STEPS_AT_ONCE = 10_000
# A query of SQLite's may take this many times its seconds before it is stopped all the same.
_SLOWEST = 20


class QueryFailed(Exception):
  """A query did not run to its end; the message says why, `status` as in `databases.Result`."""

  def __init__(self, status: str, message: str):
    super().__init__(message)
    self.status = status


class Runner:
  """Runs single SELECTs on one database, over one read-only connection.

  Raises DatabaseError where it cannot be opened.

  `timeout_s` is the time on an idle machine; for SQLite it is counted in steps, elsewhere by the
  clock.
  """

  def __init__(self, location: str | os.PathLike, timeout_s: float = 1.0, max_rows: int = 5_000):
    self.location = os.fspath(location)
    self._timeout_s = timeout_s
    self._max_rows = max_rows
    self._deadline = 0.0
    self._calls_left = 0
    self._engine = engine_of(self.location)
    self._module = engines.engine_module(self._engine)
    # RuntimeError: how DuckDB says that it was interrupted.
    self._errors: tuple[type[Exception], ...] = (RuntimeError, *self._module.ERRORS)
    self._open()

  def _open(self) -> None:
    self._connection = self._module.connect(self.location)
    if self._engine == "sqlite":
      self._connection.set_progress_handler(self._must_stop, _STEPS_AT_ONCE)
      return
    self._module.mark_undecodable(self._connection)
    # Templates come from people's logs too, and what the database itself is made of (macros,
    # functions, views) may be luck or worse, which no text shows.
    self._refusal = self._module.refusal_of(self._connection)

  def _must_stop(self) -> bool:
    self._calls_left -= 1
    return self._calls_left < 0 or (
      self._calls_left % 64 == 0 and time.perf_counter() > self._deadline
    )

  @property
  def is_unchanged_copy(self) -> bool:
    """Whether the database has the original's rows in another engine."""
    return is_unchanged_copy(self.location)

  @property
  def may_fail_by_data(self) -> bool:
    """Whether rows can make a query fail that runs on others."""
    return may_fail_by_data(self.location)

  def close(self) -> None:
    self._connection.close()

  def rows(self, sql: str, timeout_s: float | None = None) -> Sequence[tuple]:
    """The rows of a query, at most `max_rows` of them, with cells that can be compared and counted.
    Raises QueryFailed.
    """
    timeout_s = timeout_s or self._timeout_s
    if self._engine != "sqlite":
      return self._rows_elsewhere(sql, timeout_s)
    self._calls_left = int(timeout_s * _STEPS_PER_SECOND) // _STEPS_AT_ONCE
    self._deadline = time.perf_counter() + _SLOWEST * timeout_s
    try:
      return self._connection.execute(sql).fetchmany(self._max_rows)
    except sqlite3.OperationalError as error:
      if "decode to UTF-8" in str(error):
        # Text that is not UTF-8 is rare, and reading all text leniently is slow: only once it has
        # been met.
        self._module.mark_undecodable(self._connection)
        return self.rows(sql, timeout_s)
      raise QueryFailed(
        "timeout" if "interrupted" in str(error) else "error", str(error)
      ) from error
    except sqlite3.Error as error:
      raise QueryFailed("error", str(error)) from error

  def _rows_elsewhere(self, sql: str, timeout_s: float, again: bool = False) -> Sequence[tuple]:
    """Runs a query of DuckDB or PostgreSQL; another thread stops it when its time is over.

    `again` where a connection was lost over it.
    """
    if self._is_lost():
      # A server that was started anew; one that is away raises DatabaseError.
      self._open()
    cursor = self._connection.cursor()
    # A cursor is a connection of its own in DuckDB, and interrupted as one.
    stop = self._connection.cancel if self._engine == "postgresql" else cursor.interrupt
    late = threading.Event()

    def stop_late() -> None:
      late.set()
      stop()

    timer = threading.Timer(timeout_s, stop_late)
    timer.start()
    try:
      if reason := self._refusal(sql):
        raise QueryFailed("refused", reason)
      return canonical_rows(self._module.fetch_rows(cursor, sql, self._max_rows))
    except self._errors as error:
      if self._is_lost() and not again:
        return self._rows_elsewhere(sql, timeout_s, again=True)
      raise QueryFailed("timeout" if late.is_set() else "error", str(error)) from error
    finally:
      timer.cancel()
      if self._engine == "postgresql" and not self._is_lost():
        self._connection.rollback()

  def _is_lost(self) -> bool:
    return self._engine == "postgresql" and self._connection.closed
