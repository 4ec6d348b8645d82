"""Which columns hold what a masked one holds: those that refer to it, and what is computed from it.

The engine's own declarations say so. Where they cannot be read the column counts as one that does:
masking more than was asked for gives nothing away.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping

from spftsql_jax.schema import Schema, Table

# Masked columns: (table, column), spelled as the schema has them.
Places = Collection[tuple[str, str]]


def spread(masked: Places, schema: Schema) -> frozenset[tuple[str, str]]:
  """These columns, those that refer to one of them by a declared key, and the generated columns of
  their tables, which may be computed from them.
  """
  found = set(masked)
  while True:
    more = {place for table in schema.tables for place in _drawn_in(table, found)} - found
    if not more:
      return frozenset(found)
    found |= more


def _drawn_in(table: Table, masked: Places) -> Iterator[tuple[str, str]]:
  for key in table.foreign_keys:
    for own, theirs in zip(key.columns, key.referred_columns, strict=True):
      if (key.referred_table, theirs) in masked:
        yield table.name, own
  if any(name == table.name for name, _ in masked):
    for column in table.columns:
      if column.generated:
        yield table.name, column.name


def without_telling_views(masked: Places, schema: Schema) -> Schema:
  """The schema without views that read a masked column, or a view that does; `left_out` names
  them.
  """
  hidden = _by_base_name(masked, schema)
  told: list[str] = []
  tables = schema.tables
  while True:
    telling = [
      table
      for table in tables
      if table.is_view and reads(table.definition, schema.dialect, hidden, stars=True)
    ]
    if not telling:
      break
    # Whoever reads one of these reads what is masked under whatever name.
    hidden = hidden | {table.base_name.lower(): None for table in telling}
    told += [f"view {table.name}, which reads a masked column" for table in telling]
    tables = tuple(table for table in tables if table not in telling)
  if not told:
    return schema
  return dataclasses.replace(schema, tables=tables, left_out=(*schema.left_out, *told))


def without_masked(schema: Schema) -> Schema:
  """The schema without its masked columns, for those that copy rows."""
  tables = (
    dataclasses.replace(table, columns=tuple(c for c in table.columns if not c.masked))
    for table in schema.tables
  )
  # Of a table whose columns are all masked nothing is left.
  return dataclasses.replace(schema, tables=tuple(table for table in tables if table.columns))


def uses_masked(sql: str, schema: Schema) -> bool:
  """Whether a query names a masked column: what it compares it with is one of its values."""
  masked = [(t.name, c.name) for t in schema.tables for c in t.columns if c.masked]
  return bool(masked) and reads(sql, schema.dialect, _by_base_name(masked, schema), stars=False)


def may_show_masked(sql: str, schema: Schema) -> bool:
  """Whether the rows of a query, or what the engine says of it, may hold a masked value: it names a
  masked column, takes all columns of its table, or reads what is not in the schema.
  """
  masked = [(t.name, c.name) for t in schema.tables for c in t.columns if c.masked]
  if not masked or not sql.strip():
    return False
  import sqlglot
  from sqlglot import exp

  if reads(sql, schema.dialect, _by_base_name(masked, schema), stars=True):
    return True
  known = {table.base_name.lower() for table in schema.tables}
  trees = [tree for tree in sqlglot.parse(sql, read=schema.dialect) if tree is not None]
  read = {table.name.lower() for tree in trees for table in tree.find_all(exp.Table)}
  own = {cte.alias.lower() for tree in trees for cte in tree.find_all(exp.CTE)}
  return not read <= known | own


def reads(sql: str, dialect: str, hidden: Mapping[str, frozenset[str] | None], stars: bool) -> bool:
  """Whether a statement reads what is hidden.

  Args:
    hidden: by the name of a table, in lower case and without its schema, the columns that are; None
      for all there is in it.
    stars: whether `*`, or a row as a whole, counts.
  """
  import sqlglot  # Where nothing is masked, nothing is read.
  from sqlglot import exp

  try:
    trees = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
  except (sqlglot.errors.SqlglotError, RecursionError):
    trees = []
  if not trees:
    return True
  for tree in trees:
    sources = list(tree.find_all(exp.Table))
    read = {source.name.lower() for source in sources} & hidden.keys()
    if not read:
      continue
    named = [hidden[name] for name in read]
    columns = {each for names in named if names is not None for each in names}
    if stars and any(names is None for names in named):
      return True
    rows = {source.alias_or_name.lower() for source in sources} if stars else set()
    used = {column.name.lower() for column in tree.find_all(exp.Column)}
    used |= {
      each.name.lower() for join in tree.find_all(exp.Join) for each in join.args.get("using") or ()
    }
    if used & (columns | rows):
      return True
    if stars and any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
      return True
  return False


def _by_base_name(masked: Places, schema: Schema) -> dict[str, frozenset[str] | None]:
  found: dict[str, set[str]] = {}
  for table, column in masked:
    found.setdefault(schema.table(table).base_name.lower(), set()).add(column.lower())
  return {name: frozenset(columns) for name, columns in found.items()}
