"""The stored values of a database, read once, from which the conditions of queries are drawn."""

from __future__ import annotations

import bisect
import datetime
import decimal
import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence

from spftsql_jax.databases.cells import is_readable
from spftsql_jax.schema import Schema
from spftsql_jax.sql.identifiers import quote, quote_path

Rows = Sequence[tuple]
# Of a larger table, this many rows are kept.
MAX_ROWS = 4_000
_PROBES = 2_000  # Results of probes that are kept.


def _can_be_given(value: object) -> bool:
  if isinstance(value, float | decimal.Decimal):
    return math.isfinite(value)
  return value is not None and value != "" and is_readable(value)


class TableRows:
  """Rows of one table.

  The index of a column set and the distinct values of a column are made when first asked for.
  """

  def __init__(self, columns: Sequence[str], rows: Rows):
    self.rows = list(rows)
    self._position = {name.lower(): index for index, name in enumerate(columns)}
    self._distinct: dict[str, list] = {}
    self._indexes: dict[tuple[str, ...], dict[tuple, list[tuple]]] = {}

  def value(self, row: tuple, column: str) -> object:
    return row[self._position[column.lower()]]

  def distinct(self, column: str) -> list:
    """The distinct values of a column that a query can be given, sorted.

    Mixed types are sorted by type first.

    Left out are NULL, empty text, NaN and the infinities, text that is not readable, and text
    beside dates (an engine's way to write a date that Python does not have).
    """
    key = column.lower()
    if key not in self._distinct:
      position = self._position[key]
      values = {value for row in self.rows if _can_be_given(value := row[position])}
      if any(isinstance(value, datetime.date) for value in values):
        values = {value for value in values if isinstance(value, datetime.date)}
      numbers = all(isinstance(value, int | float | decimal.Decimal) for value in values)
      self._distinct[key] = (
        sorted(values)
        if numbers
        else sorted(values, key=lambda value: (type(value).__name__, str(value)))
      )
    return self._distinct[key]

  def count(self, column: str, value: object) -> int:
    """How many rows hold a value."""
    return len(self.matching((column,), (value,)))

  def has_null(self, column: str) -> bool:
    position = self._position[column.lower()]
    return any(row[position] is None for row in self.rows)

  def matching(self, columns: tuple[str, ...], values: tuple) -> list[tuple]:
    """The rows whose `columns` hold `values`."""
    key = tuple(name.lower() for name in columns)
    if key not in self._indexes:
      positions = [self._position[name] for name in key]
      index: dict[tuple, list[tuple]] = {}
      for row in self.rows:
        index.setdefault(tuple(row[position] for position in positions), []).append(row)
      self._indexes[key] = index
    return self._indexes[key].get(values, [])


class StoredValues:
  """The values of one database.

  Attributes:
    tables: the rows kept of each table, by its name in lower case.
    probe: runs a query and returns its rows, at most a few thousand; None where no database is at
      hand.
  """

  def __init__(self, tables: Mapping[str, TableRows], probe: Callable[[str], Rows] | None = None):
    self.tables = tables
    # The same few expressions are probed again and again, and on a large table each time costs a
    # scan.
    self.probe = functools.lru_cache(maxsize=_PROBES)(probe) if probe is not None else None

  @classmethod
  def read(
    cls, run: Callable[[str], Rows], schema: Schema, max_rows: int = MAX_ROWS
  ) -> StoredValues:
    """Reads up to `max_rows` rows of each table with `run`, which is kept for probing."""
    tables = {}
    for table in schema.tables:
      names = [column.name for column in table.columns]
      columns = ", ".join("NULL" if c.masked else quote(c.name) for c in table.columns)
      query = f"SELECT {columns} FROM {quote_path(table.parts)} LIMIT {max_rows}"
      # A table whose rows could not be counted in time is not asked for them again.
      tables[table.name.lower()] = TableRows(names, run(query) if table.row_count else [])
    return cls(tables, run)


def rank_below(values: Sequence, value: object) -> int:
  """How many of the sorted `values` are smaller than `value`."""
  return bisect.bisect_left(values, value)


def round_number(low: float, high: float, rng: random.Random) -> float | None:
  """The roundest number in [low, high), or None.

  One of the roundest if there are several.
  """
  if not low < high:
    return None
  whole = isinstance(low, int) and isinstance(high, int)
  for exponent in range(9, -1 if whole else -4, -1):
    for factor in (5, 2, 1):
      step = factor * 10**exponent
      first = -(-low // step)
      last = -(-high // step) - 1
      if last >= first:
        number = rng.randint(int(first), int(min(last, first + 20))) * step
        if not low <= number < high:
          continue
        return int(number) if whole else round(number, 6)
  return None
