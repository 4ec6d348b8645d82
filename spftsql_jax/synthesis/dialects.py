"""From our SQLite queries to those of other engines, written as people write them there."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from spftsql_jax.synthesis import notation


@functools.lru_cache(maxsize=100_000)
def segments_to_dialect(segments: tuple[object, ...], dialect: str) -> tuple[object, ...]:
  """Segments of a template (`notation.Compiled`) in another dialect: translated once, whatever they
  are filled with.
  """
  return notation.split_marks(to_dialect(notation.join_marks(segments), dialect))


def to_dialect(sql: str, dialect: str) -> str:
  """An SQLite query of ours in another dialect.

  Two things are done that a plain translation does not do: sort orders keep the engine's own place
  for NULL instead of spelling out SQLite's, and columns that a grouped key determines are grouped
  by as well, which engines other than SQLite ask for.
  """
  if dialect == "sqlite":
    return sql
  tree = sqlglot.parse_one(sql, read="sqlite")
  ordering = Dialect.get_or_raise(dialect).NULL_ORDERING
  for item in tree.find_all(exp.Ordered):
    descending = bool(item.args.get("desc"))
    item.set(
      "nulls_first",
      {"nulls_are_small": not descending, "nulls_are_large": descending}.get(ordering, False),
    )
  for division in tree.find_all(exp.Div):
    division.set("safe", False)  # Nobody guards every division against 0 as SQLite does.
  for select in tree.find_all(exp.Select):
    group = select.args.get("group")
    if group is None:
      continue
    grouped = {item.sql() for item in group.expressions}
    positions = {
      int(item.name) for item in group.expressions if isinstance(item, exp.Literal) and item.is_int
    }
    grouped |= {
      select.selects[position - 1].sql()
      for position in positions
      if position <= len(select.selects)
    }
    places = [*select.selects, select.args.get("having"), select.args.get("order")]
    bare = {
      column.sql(): column
      for place in places
      if place is not None
      for column in _bare_columns(place, grouped)
    }
    group.set("expressions", [*group.expressions, *(column.copy() for column in bare.values())])
  return tree.sql(dialect=dialect)


def _bare_columns(node: exp.Expression, grouped: set[str]) -> Iterator[exp.Column]:
  """Columns below `node` that are neither grouped by, nor in an aggregate, nor in a nested
  query.
  """
  if node.sql() in grouped or isinstance(node, (exp.AggFunc, exp.Query, exp.Subquery)):
    return
  if isinstance(node, exp.Column):
    if not node.name.startswith("__val_"):
      yield node
    return
  for child in node.iter_expressions():
    yield from _bare_columns(child, grouped)
