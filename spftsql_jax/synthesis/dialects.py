"""From our SQLite queries to those of other engines, written as people write them there."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from spftsql_jax.synthesis.sql_style import Piece, write_pieces


class SlottedQuery:
  """A query with slots: `tree`, SQL of SQLite's in our style, and its text in any dialect.

  It is written once for each dialect, whatever its slots are filled with.
  """

  def __init__(self, tree: exp.Expr):
    self.tree = tree
    self._pieces: dict[str, tuple[Piece, ...]] = {}

  def pieces(self, dialect: str = "sqlite") -> tuple[Piece, ...]:
    """Its text, cut at the slots."""
    if dialect not in self._pieces:
      self._pieces[dialect] = write_pieces(to_dialect(self.tree, dialect), dialect)
    return self._pieces[dialect]


def to_dialect(tree: exp.Expr, dialect: str) -> exp.Expr:
  """An SQLite query of ours as one of another dialect; a copy, unless it stays as it is.

  Two things are done that a plain translation does not do: sort orders keep the engine's own place
  for NULL instead of spelling out SQLite's, and columns that a grouped key determines are grouped
  by as well, which engines other than SQLite ask for.
  """
  if dialect == "sqlite":
    return tree
  tree = tree.copy()
  ordering = Dialect.get_or_raise(dialect).NULL_ORDERING
  for item in tree.find_all(exp.Ordered):
    descending = bool(item.args.get("desc"))
    first = {"nulls_are_small": not descending, "nulls_are_large": descending}.get(ordering, False)
    item.set("nulls_first", first)
  for division in tree.find_all(exp.Div):
    division.set("safe", False)  # Nobody guards every division against 0 as SQLite does.
  for select in tree.find_all(exp.Select):
    if select.args.get("group") is not None:
      _group_all(select)
  return tree


def _group_all(select: exp.Select) -> None:
  """Groups by the columns outside the aggregates, too."""
  group = select.args["group"]
  grouped = set(group.expressions)
  for item in group.expressions:
    if isinstance(item, exp.Literal) and item.is_int and int(item.name) <= len(select.selects):
      grouped.add(select.selects[int(item.name) - 1])
  places = [*select.selects, select.args.get("having"), select.args.get("order")]
  bare = dict.fromkeys(
    column for place in places if place is not None for column in bare_columns(place, grouped)
  )
  group.set("expressions", [*group.expressions, *(column.copy() for column in bare)])


def bare_columns(node: exp.Expr, grouped: set[exp.Expr]) -> Iterator[exp.Column]:
  """Columns below `node` that are outside `grouped`, aggregates and nested queries."""
  if node in grouped or isinstance(node, (exp.AggFunc, exp.Query, exp.Subquery)):
    return
  if isinstance(node, exp.Column):
    yield node
    return
  for child in node.iter_expressions():
    yield from bare_columns(child, grouped)
