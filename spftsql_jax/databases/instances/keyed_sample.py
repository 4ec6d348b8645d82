"""A sample of the rows of a database that keeps its keys: what a row refers to is there too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from spftsql_jax.schema import ForeignKey, Schema, Table

# Rows read of a table before what they refer to; all, where it has no more.
SAMPLE_ROWS = 4_000
# Rows that a sample refers to, looked up for one foreign key at once.
_LOOKED_UP = 4_000
# Chains of references are followed so far.
_CHAIN = 6

# Some rows of a table; and those whose `columns` hold one of the values, which are given as text.
ReadSome = Callable[[Table], list[list]]
ReadReferred = Callable[[Table, tuple[str, ...], Sequence[tuple[str, ...]]], list[list]]


def sample_with_keys(
  schema: Schema, read_some: ReadSome, read_referred: ReadReferred
) -> dict[str, list[list]]:
  """Rows of every table of a schema, such that those referred to are among them.

  A reference that the original breaks stays broken.
  """
  tables = [table for table in schema.tables if not table.is_view]
  rows = {table.name: read_some(table) for table in tables}
  partial = {table.name for table in tables if table.row_count > len(rows[table.name])}
  asked: dict[tuple[str, tuple[str, ...]], set[tuple[str, ...]]] = {}
  for _ in range(_CHAIN):
    found = False
    for table in tables:
      for key in table.foreign_keys:
        if key.referred_table not in partial:
          continue
        known = asked.setdefault((key.referred_table, key.referred_columns), set())
        missing = list(_missing(schema, table, key, rows, known))[:_LOOKED_UP]
        if missing:
          known.update(missing)
          parent = schema.table(key.referred_table)
          rows[parent.name] += read_referred(parent, key.referred_columns, missing)
          found = True
    if not found:
      break
  return rows


def _missing(
  schema: Schema,
  table: Table,
  key: ForeignKey,
  rows: dict[str, list[list]],
  known: set[tuple[str, ...]],
) -> Iterator[tuple[str, ...]]:
  """The values of a foreign key that no row of the table referred to has, each once."""
  parent = schema.table(key.referred_table)
  present = set(_values(parent, key.referred_columns, rows[parent.name])) | known
  for value in dict.fromkeys(_values(table, key.columns, rows[table.name])):
    if value not in present:
      yield value


def _values(
  table: Table, columns: Sequence[str], rows: Sequence[list]
) -> Iterator[tuple[str, ...]]:
  places = [table.position(name) for name in columns]
  for row in rows:
    value = tuple(row[place] for place in places)
    if None not in value:
      yield tuple(map(str, value))
