"""Reading the rows of a table: a sample of them, and how many distinct values each column has."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from spftsql_jax.databases.cells import canonical_cell
from spftsql_jax.databases.engines.interface import Engine
from spftsql_jax.sql.identifiers import quote

# Of larger tables a sample of this many rows is read.
SAMPLE_ROWS = 5_000
# Up to this many rows distinct values are counted, beyond it they are estimated from the sample.
EXACT_COUNT_ROWS = 100_000
# A view may hide any amount of work, and the rows of a foreign table come from another server:
# where they take longer the table is listed without row count and samples.
VIEW_SECONDS = 5.0


def fetch(connection: Any, sql: str) -> list[tuple]:
  """All rows of a query."""
  with contextlib.closing(connection.cursor()) as cursor:
    return cursor.execute(sql).fetchall()


def sample_rows(
  connection: Any, cursor: Any, module: Engine, path: str, columns: Sequence[str]
) -> tuple[int, list[tuple]]:
  """The number of rows, and the first of them."""
  del connection
  row_count = cursor.execute(f"SELECT COUNT(*) FROM {path}").fetchall()[0][0]
  names = ", ".join(map(quote, columns))
  sql = f"SELECT {names} FROM {path} LIMIT {SAMPLE_ROWS}"
  return row_count, module.fetch_rows(cursor, sql, SAMPLE_ROWS) if row_count and names else []


def sample_in_time(
  connection: Any, cursor: Any, module: Engine, path: str, columns: Sequence[str]
) -> tuple[int, list[tuple]]:
  """As `sample_rows`, but (0, []) where it takes longer than VIEW_SECONDS."""
  late = threading.Event()
  # RuntimeError: how DuckDB says that it was interrupted.
  errors: tuple[type[Exception], ...] = (RuntimeError, *module.ERRORS)

  def stop() -> None:
    late.set()
    # A cursor is a connection of its own in DuckDB, and interrupted as one.
    (
      getattr(cursor, "interrupt", None)
      or getattr(connection, "interrupt", None)
      or connection.cancel
    )()

  timer = threading.Timer(VIEW_SECONDS, stop)
  timer.start()
  try:
    return sample_rows(connection, cursor, module, path, columns)
  except errors:
    if not late.is_set():
      raise
    roll_back(connection, module.ERRORS)
    return 0, []
  finally:
    timer.cancel()
    timer.join()


def roll_back(connection: Any, errors: tuple[type[Exception], ...]) -> None:
  """Makes a connection usable again whose transaction has failed; `errors` are its engine's."""
  with contextlib.suppress(*errors):
    connection.rollback()


def distinct_counts(
  connection: Any,
  module: Engine,
  path: str,
  columns: Sequence[str],
  row_count: int,
  values: Sequence[tuple],
) -> list[int]:
  """Distinct non-NULL values of each column: counted, or for large tables, and types without
  equality, estimated.
  """
  counts = []
  for column, stored in zip(columns, values, strict=True):
    if SAMPLE_ROWS < row_count <= EXACT_COUNT_ROWS:
      try:
        counts.append(
          fetch(connection, f"SELECT COUNT(DISTINCT {quote(column)}) FROM {path}")[0][0]
        )
        continue
      except module.ERRORS:
        # PostgreSQL's json, xml and point have no equality.
        roll_back(connection, module.ERRORS)
    present = [value for value in stored if value is not None]
    distinct = len(set(map(counted_as, present)))
    if row_count > len(stored) and 2 * distinct > len(present):
      # Mostly distinct in the sample: taken to go on like that.
      distinct = distinct * row_count // max(1, len(stored))
    counts.append(distinct)
  return counts


def counted_as(value: object) -> object:
  """What a value is counted as: every NaN as one, a list as its text."""
  cell = canonical_cell(value)
  return repr(value) if isinstance(cell, tuple) else cell
