"""How DuckDB's values become Python's: by its own client, and where Python has no such value, as
DuckDB's text.

The client gives the last day of the year 9999 for infinity, drops nanoseconds, and fails on a long
interval, or on a time zone where pytz is not installed. A result in which any of that happens is
read again with text in place of the values concerned.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator

import duckdb

from spftsql_jax.databases.cells import hashable_rows

# Types of which some values have no counterpart in Python, by themselves or inside a list or
# structure; a field that is called so does no harm.
_TEMPORAL = re.compile(r"\b(?:DATE|TIMESTAMP\w*|TIME_NS|INTERVAL|VARIANT)\b")
_NANOSECONDS = re.compile(r"\b(?:TIMESTAMP_NS|TIME_NS)\b")
# What infinity looks like to the client.
_EDGES = frozenset(
  {datetime.date.max, datetime.date.min, datetime.datetime.max, datetime.datetime.min}
)
# Of Python's longest interval; a year of DuckDB's is a little longer in `epoch` than for the
# client.
_LONGEST_S = 80_000_000_000_000
_FRACTION = re.compile(r"\.\d{6}(\d+)")


class Unreadable(Exception):
  """A result holds values that Python does not have: it is to be read as text."""


class ValueReader:
  """Runs a query and hands out its rows.

  Args:
    connection: runs nothing else meanwhile.
    sql: one query.
    as_text: values that Python may not have come as DuckDB's text where it does not.

  Attributes:
    columns: names of the result's columns.
  """

  def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str, as_text: bool = False):
    self._connection = connection.execute(sql)
    description = connection.description or ()
    self.columns = tuple(entry[0] for entry in description)
    types = [str(entry[1]) for entry in description]
    self._temporal = [i for i, name in enumerate(types) if _TEMPORAL.search(name)]
    self._as_text = as_text and bool(self._temporal)
    self._nanoseconds = any(map(_NANOSECONDS.search, types))
    if self._as_text:
      items, self._readers = zip(*map(_text_item, range(1, len(types) + 1), types), strict=True)
      connection.execute(f"SELECT {', '.join(items)} FROM (\n{_without_end(sql)}\n)")

  def fetchmany(self, count: int) -> list[tuple]:
    """The next rows, hashable. Raises Unreadable where they have to be read as text; and what
    DuckDB raises.
    """
    if self._as_text:
      rows = [self._read(row) for row in self._connection.fetchmany(count)]
    elif not self._temporal:
      rows = self._connection.fetchmany(count)
    elif self._nanoseconds:
      raise Unreadable
    else:
      try:
        rows = self._connection.fetchmany(count)
      except (duckdb.InvalidInputException, OverflowError, ValueError) as error:
        raise Unreadable from error
      if any(_has_edge(row[i]) for row in rows for i in self._temporal):
        raise Unreadable
    return hashable_rows(rows)

  def _read(self, row: tuple) -> tuple:
    cells = iter(row)
    return tuple(reader(cells) for reader in self._readers)


def fetch_rows(connection: duckdb.DuckDBPyConnection, sql: str, limit: int) -> list[tuple]:
  """Up to `limit` rows of a query, hashable, with DuckDB's text for what Python does not have."""
  try:
    return ValueReader(connection, sql).fetchmany(limit)
  except Unreadable:
    return ValueReader(connection, sql, as_text=True).fetchmany(limit)


def _has_edge(cell: object) -> bool:
  if isinstance(cell, list | tuple):
    return any(map(_has_edge, cell))
  if isinstance(cell, dict):
    return any(_has_edge(part) for pair in cell.items() for part in pair)
  return isinstance(cell, datetime.date) and cell in _EDGES


def _text_item(number: int, kind: str) -> tuple[str, Callable[[Iterator], object]]:
  """The items of SELECT that read the column with this number and type, and what makes the value of
  them.
  """
  column = f"#{number}"
  if kind == "INTERVAL":
    short = f"CASE WHEN abs(epoch({column})) < {_LONGEST_S} THEN {column} END"
    return f"{short}, {column}::VARCHAR", lambda cells: _first_known(next(cells), next(cells))
  if not _TEMPORAL.search(kind):
    return column, lambda cells: next(cells)
  parse = {"DATE": datetime.date.fromisoformat, "TIME_NS": datetime.time.fromisoformat}.get(kind)
  if parse is None and kind.startswith("TIMESTAMP") and "(" not in kind and "[" not in kind:
    parse = datetime.datetime.fromisoformat
  return f"{column}::VARCHAR", lambda cells: _parsed(next(cells), parse)


def _first_known(value: object, text: str | None) -> object:
  return text if value is None else value


def _parsed(text: str | None, parse: Callable[[str], object] | None) -> object:
  """The value of a text; the text itself where Python has none, or would cut it."""
  if text is None or parse is None:
    return text
  cut = _FRACTION.search(text)
  if cut and cut[1].strip("0"):
    return text
  try:
    return parse(text)
  except ValueError:
    return text


def _without_end(sql: str) -> str:
  """The text without what may stand behind its one statement: semicolons and comments."""
  text = sql.encode()
  end = len(text)
  for start, kind in reversed(duckdb.tokenize(sql)):
    if kind != duckdb.token_type.comment and text[start : start + 1] != b";":
      break
    end = start
  return text[:end].decode()
