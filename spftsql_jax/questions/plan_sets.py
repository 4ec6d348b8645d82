"""Set operations as plans: rows of one table, values, or two lists that are put together."""

from __future__ import annotations

from typing import NamedTuple

from sqlglot import exp

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.naming import ColumnName, SchemaNames
from spftsql_jax.questions.plan import (
  Attribute,
  Combined,
  Lists,
  Member,
  Order,
  Related,
  Rows,
  SameRows,
  Values,
  attribute_of,
)
from spftsql_jax.questions.plan_listings import head_of, is_key, plan_orders
from spftsql_jax.questions.plan_nested import Scope, key_between, plan_member
from spftsql_jax.questions.query_meaning import Query, Ref, SetQuery, UnsupportedQuery


class _Side(NamedTuple):
  """A query that returns columns of rows."""

  query: Query
  head: str
  refs: tuple[Ref, ...]

  @property
  def rows(self) -> Rows:
    return Rows(self.query, self.head)

  @property
  def columns(self) -> tuple[Attribute, ...]:
    return tuple(attribute_of(self.query, ref, self.head) for ref in self.refs)


def plan_set(query: SetQuery, names: SchemaNames) -> tuple[Combined, Rows, tuple[Order, ...]]:
  """What is combined, and what it is sorted by, which belongs to the rows of its first query.

  Raises UnsupportedQuery.
  """
  if query.limit is not None:
    raise UnsupportedQuery("LIMIT on a set operation")
  base = query.left
  while isinstance(base, SetQuery):
    base = base.left
  head = head_of(base)
  orders = plan_orders(base, query.order, head)
  return _combined(query, names), Rows(base, head), orders


def _combined(query: SetQuery, names: SchemaNames) -> Combined:
  left, right = _side(query.left), _side(query.right)
  if query.operator != "union all" and left and right and len(left.refs) == len(right.refs):
    if _columns_of(left) == _columns_of(right):
      return _alike(query.operator, left, right, names)
    related = _related(query.operator, left, right, names)
    if related is not None:
      return related
    if len(left.refs) == 1 and _called_alike(left.refs[0], right.refs[0], names):
      return Values(query.operator, left.rows, right.rows, left.columns, False)
  return Lists(query.operator, query.left, query.right)


def _side(query: Query | SetQuery) -> _Side | None:
  """A query as columns of rows; None where it is more than that."""
  if (
    not isinstance(query, Query)
    or query.group
    or query.having
    or query.order
    or query.limit is not None
    or query.derived
  ):
    return None
  columns = [item.unalias() for item in query.items]
  if not all(isinstance(c, exp.Column) and not isinstance(c.this, exp.Star) for c in columns):
    return None
  refs = [query.ref(c) for c in columns]
  if any(ref.outer for ref in refs):
    return None
  referred = [_referred(query, ref) for ref in refs]
  if len({ref.alias for ref in referred}) > 1:
    return _Side(query, head_of(query), tuple(refs))
  alias = referred[0].alias
  head = next((e.child for e in query.edges if e.same and e.parent == alias), alias)
  return _Side(query, head, tuple(referred))


def _referred(query: Query, ref: Ref) -> Ref:
  """The key that a foreign key points to, where its row is joined; else the column itself."""
  for edge in query.edges:
    columns = [c.lower() for c in edge.columns]
    joined = edge.is_key and not edge.optional and edge.child == ref.alias
    if joined and columns == [ref.column.name.lower()]:
      parent = query.sources[edge.parent]
      return Ref(edge.parent, parent, parent.column(edge.referred[0]))
  return ref


def _columns_of(side: _Side) -> list[tuple[str, str]]:
  return [(ref.table.name, ref.column.name) for ref in side.refs]


def _alike(operator: str, left: _Side, right: _Side, names: SchemaNames) -> Combined:
  """The same columns on both sides: of rows where they tell which, else values.

  A name can belong to several rows: the set is over names, which is how people mean it.
  """
  told = len(left.refs) > 1 or any(
    is_key(ref) or "name" in name.tags or name.names_entity or _tells_rows(ref, name)
    for ref in left.refs
    for name in [names.column(ref.table, ref.column)]
  )
  one = left.query.sources[left.head] is right.query.sources[right.head]
  if told:
    return SameRows(operator, left.rows, right.rows, left.columns)
  return Values(operator, left.rows, right.rows, left.columns, one)


def _tells_rows(ref: Ref, name: ColumnName) -> bool:
  """Whether each row has a text of its own, so that rows and values are the same: its details.

  Few rows may lie in as many cities or have as many owners, and yet their values are meant.
  """
  noun = name.short[0].singular
  shared = name.tags - {"plain"} or is_person(noun)
  holders = wordings.LEVELS | wordings.PLACES | wordings.HOLDERS | wordings.MAKERS
  alone = 0 < ref.table.row_count == ref.column.distinct_count
  return alone and ref.column.kind == "text" and not shared and noun.split()[-1] not in holders


def _called_alike(left: Ref, right: Ref, names: SchemaNames) -> bool:
  one, other = (names.column(ref.table, ref.column) for ref in (left, right))
  return one.short[0] == other.short[0] or one.nouns[0] == other.nouns[0]


def _related(operator: str, left: _Side, right: _Side, names: SchemaNames) -> Related | None:
  """SELECT key ... EXCEPT SELECT foreign key ...: rows without related rows."""
  if len(left.refs) != 1 or operator not in ("except", "intersect"):
    return None
  if operator == "intersect" and key_between(left.refs[0], right.refs[0]) is not None:
    left, right = right, left
  own, other = left.refs[0], right.refs[0]
  if key_between(other, own) is None:
    return None
  negated = operator == "except"
  related = plan_member(Scope(left.query, own.alias, names), own, right.query, negated)
  if not isinstance(related, Member) or related.how in ("values", "shared"):
    return None
  return Related(left.rows, left.columns, related)
