"""A DuckDB file that stands in for a PostgreSQL database where no server can be started: it answers
PostgreSQL's SQL, translated by sqlglot, or says that it cannot.

That both engines mean the same by a query is not known beforehand: who asks compares the results on
a copy that has the original's rows first (`judging.judge`, `synthesis.filters`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import duckdb
import sqlglot

from spftsql_jax.databases.engines import duckdb as engine
from spftsql_jax.databases.locations import path_of

if TYPE_CHECKING:
  from spftsql_jax.databases.engines.interface import Pack, Ran


class UntranslatedError(ValueError):
  """A statement that is not translated; the message says why."""


DIALECT = "postgres"
ERRORS = (duckdb.Error, UntranslatedError)
TYPES_ARE_KEPT = True
MEMORY_SLACK = engine.MEMORY_SLACK
SURVIVES_LIMITS = engine.SURVIVES_LIMITS
mark_undecodable = engine.mark_undecodable


class Connection(engine.Connection):
  """See `engines.duckdb.connection.Connection`; runs what `translated` makes of a statement."""

  def __init__(self, location: str, memory_bytes: int):
    super().__init__(path_of(location), memory_bytes)

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    try:
      text = translated(sql)
    except UntranslatedError as error:
      return "error", (), [], 0.0, str(error)
    return super().run(text, timeout_s, max_rows, max_bytes, pack)


def connect(location: str) -> duckdb.DuckDBPyConnection:
  """A read-only connection to the file. Raises DatabaseError."""
  return engine.connect(path_of(location))


def fetch_rows(cursor: duckdb.DuckDBPyConnection, sql: str, limit: int) -> list[tuple]:
  """Up to `limit` rows of a query. Raises UntranslatedError."""
  return engine.fetch_rows(cursor, translated(sql), limit)


def refusal_of(connection: duckdb.DuckDBPyConnection) -> Callable[[str], str]:
  """As DuckDB's, of what a statement is translated to. What is returned raises
  UntranslatedError.
  """
  refusal = engine.refusal_of(connection)
  return lambda sql: refusal(translated(sql))


@functools.lru_cache(maxsize=10_000)
def translated(sql: str) -> str:
  """One statement of PostgreSQL's in DuckDB's SQL.

  Raises UntranslatedError where DuckDB has no such thing, as far as sqlglot knows.
  """
  try:
    texts = sqlglot.transpile(
      sql, read="postgres", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
    )
  except (sqlglot.errors.SqlglotError, RecursionError) as error:
    raise UntranslatedError(f"not translated for DuckDB: {' '.join(str(error).split())}") from error
  if len(texts) != 1:
    raise UntranslatedError(f"not translated for DuckDB: {len(texts)} statements")
  return texts[0]
