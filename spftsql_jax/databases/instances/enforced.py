"""What the stores of engines that enforce types and constraints have in common."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence

from spftsql_jax.databases.catalogs import Catalog, DeclaredColumn
from spftsql_jax.schema import ForeignKey, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Rows of a table that are tried one by one before all are given up.
_REFUSED = 100


def references_hold(schema: Schema) -> bool:
  """Whether every foreign key of a schema is one that its database enforces."""
  return not any(key.inferred for table in schema.tables for key in table.foreign_keys)


def left_out_columns(catalog: Catalog, schema: Schema) -> Mapping[str, tuple[DeclaredColumn, ...]]:
  """By table the columns that are declared, must hold something, and are not in the schema."""
  tables = {(table.schema, table.base_name): table for table in schema.tables}
  found = {}
  for relation in catalog.relations:
    table = tables.get((relation.schema, relation.name))
    if table is None or table.is_view:
      continue
    known = {column.name for column in table.columns}
    found[table.name] = tuple(
      column
      for column in catalog.structure(relation).columns
      if column.name not in known and not column.nullable
    )
  return found


def declare(
  declarations: Sequence[str], run: Callable[[str], object], errors: tuple[type[Exception], ...]
) -> None:
  """Runs declarations, in an order in which they can run; those that cannot are left out."""
  waiting = list(declarations)
  while waiting:
    failed = []
    for sql in waiting:
      try:
        run(sql)
      except errors:
        failed.append(sql)
    if len(failed) == len(waiting):
      return
    waiting = failed


def insert_possible(
  rows: Sequence[list],
  insert: Callable[[Sequence[list]], None],
  errors: tuple[type[Exception], ...],
) -> None:
  """Inserts those of the rows that the table takes; `insert` does it for all of some rows or
  none. Gives up where the table takes none of the first.
  """
  waiting = collections.deque([rows] if rows else [])
  refused, taken = 0, False
  while waiting and (taken or refused < _REFUSED):
    some = waiting.popleft()
    try:
      insert(some)
      taken = True
    except errors:
      refused += len(some) == 1
      if len(some) > 1:
        middle = len(some) // 2
        waiting.extendleft((some[middle:], some[:middle]))


def delete_orphans(schema: Schema, run: Callable[[str], int]) -> None:
  """Deletes rows whose declared foreign key refers to nothing.

  A key that nearly all rows break stays broken: an empty table would tell nothing.

  Args:
    run: runs a statement, and gives the number of rows that it deletes, or the one number of its
      result.
  """
  for _ in range(3):
    deleted = 0
    for table in schema.tables:
      for key in table.foreign_keys:
        if key.inferred:
          continue
        orphan = _refers_to_nothing(schema, table, key)
        path = quote_path(table.parts)
        count = run(f"SELECT COUNT(*) FROM {path} AS child WHERE {orphan}")
        if count and count < run(f"SELECT COUNT(*) FROM {path}"):
          run(f"DELETE FROM {path} AS child WHERE {orphan}")
          deleted += count
    if not deleted:
      return


def _refers_to_nothing(schema: Schema, table: Table, key: ForeignKey) -> str:
  present = " AND ".join(f"child.{quote(name)} IS NOT NULL" for name in key.columns)
  equal = " AND ".join(
    f"parent.{quote(theirs)} = child.{quote(own)}"
    for own, theirs in zip(key.columns, key.referred_columns, strict=True)
  )
  parent = quote_path(schema.table(key.referred_table).parts)
  return f"{present} AND NOT EXISTS (SELECT 1 FROM {parent} AS parent WHERE {equal})"
