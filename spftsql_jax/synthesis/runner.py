"""Running queries of our own making where they are checked: in this process, read-only, with a limit on time and rows.

What a model writes goes to the killable workers of `databases.Executor`. The queries here come from templates of ours, by
the thousand; sending each to another process would cost more than running it. SQLite is read directly, other engines through
`open_database`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence

from spftsql_jax.databases import engines, open_database


class QueryFailed(Exception):
  """A query did not run to its end; the message says why, `status` as in `databases.Result`."""

  def __init__(self, status: str, message: str):
    super().__init__(message)
    self.status = status


class Runner:
  """Runs single SELECTs on one database."""

  def __init__(self, location: str | os.PathLike, timeout_s: float = 1.0, max_rows: int = 5_000):
    self.location = os.fspath(location)
    self._timeout_s = timeout_s
    self._max_rows = max_rows
    self._deadline = 0.0
    self._connection: sqlite3.Connection | None = None
    self._database = None
    if engines.engine_of(self.location) == "sqlite":
      self._connection = engines.engine_module("sqlite").connect(self.location)
      self._connection.set_progress_handler(lambda: time.perf_counter() > self._deadline, 10_000)
    else:
      self._database = open_database(self.location)

  def close(self) -> None:
    for held in (self._connection, self._database):
      if held is not None:
        held.close()

  def rows(self, sql: str) -> Sequence[tuple]:
    """The rows of a query, at most `max_rows` of them. Raises QueryFailed."""
    if self._connection is None:
      result = self._database.execute(sql, timeout_s=self._timeout_s, max_rows=self._max_rows)
      if result.status != "ok":
        raise QueryFailed(result.status, result.message)
      return result.rows
    self._deadline = time.perf_counter() + self._timeout_s
    try:
      return self._connection.execute(sql).fetchmany(self._max_rows)
    except sqlite3.OperationalError as error:
      if "decode to UTF-8" in str(error):
        # Text that is not UTF-8 is rare, and reading all text leniently is slow: only once it has been met.
        self._connection.text_factory = lambda text: text.decode(errors="ignore")
        return self.rows(sql)
      raise QueryFailed("timeout" if "interrupted" in str(error) else "error", str(error)) from error
    except sqlite3.Error as error:
      raise QueryFailed("error", str(error)) from error
