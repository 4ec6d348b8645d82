"""Queries that return columns of rows, or how many rows there are, as plans."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.questions.naming import SchemaNames
from spftsql_jax.questions.plan import (
  Attribute,
  Computed,
  Count,
  Counted,
  CountKnown,
  CountValues,
  Listing,
  Order,
  Rows,
  Top,
  attribute_of,
)
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery
from spftsql_jax.questions.syntax import bare, is_value, own_columns


def head_of(query: Query) -> str:
  """The alias that a listing is about."""
  finest = query.finest()
  aliases = [a for i in query.items for a in aliases_of(query, i)]
  if not aliases or any(isinstance(i, exp.Star) for i in query.items):
    return finest or (aliases[0] if aliases else next(iter(query.sources)))
  if len(set(aliases)) > 1 and finest in aliases:
    return finest
  first = aliases[0]
  return next((e.child for e in query.edges if e.same and e.parent == first), first)


def aliases_of(query: Query, item: exp.Expr) -> list[str]:
  """The aliases of this query's own tables whose columns an expression has, in their order."""
  return [r.alias for c in own_columns(item) if not (r := query.ref(c)).outer]


def is_single(query: Query, names: SchemaNames, head: str) -> bool:
  """Whether the conditions pick one row of the head, by its name or key."""
  for condition in query.conditions:
    if (
      isinstance(condition, exp.EQ)
      and isinstance(condition.this, exp.Column)
      and is_value(condition.expression)
    ):
      ref = query.ref(condition.this)
      if ref.alias != head or ref.outer:
        continue
      if names.column(ref.table, ref.column).names_entity or (ref.column.name,) == tuple(
        ref.table.primary_key
      ):
        return True
  return False


def owner_first(query: Query, head: str) -> str:
  """The alias that rows belong to, where its columns are asked for before theirs: the names of
  doctors and the dates of their visits; "" otherwise.
  """
  aliases = [a for item in query.items for a in aliases_of(query, item)]
  owners = {e.parent for e in query.edges if e.child == head and e.is_key and not e.same}
  before = [a for a in aliases if a != head]
  first = len(set(before)) == 1 and aliases == [*before, *[head] * (len(aliases) - len(before))]
  if query.distinct or query.limit is not None or head not in aliases or not first:
    return ""
  return before[0] if before[0] in owners and not any(e.optional for e in query.edges) else ""


def plan_listing(query: Query, names: SchemaNames) -> Listing:
  """A query without groups and aggregates. Raises UnsupportedQuery."""
  head = head_of(query)
  head = owner_first(query, head) or head
  rows = Rows(query, head, is_single(query, names, head))
  columns = plan_columns(query, head)
  orders = plan_orders(query, query.order, head)
  if query.limit is None:
    return Listing(rows, columns, query.distinct, orders)
  return Listing(rows, columns, query.distinct, (), Top(orders, query.limit))


def plan_columns(query: Query, head: str) -> tuple[Attribute | Computed, ...]:
  """What is returned; nothing for "*". Raises UnsupportedQuery."""
  if any(isinstance(i, exp.Star) for i in query.items):
    if len(query.items) > 1:
      raise UnsupportedQuery("* beside other columns")
    if len(query.sources) > 1:
      raise UnsupportedQuery("* over a join")
    return ()
  columns: list[Attribute | Computed] = []
  for item in query.items:
    node = bare(item.unalias())
    if is_value(node):
      raise UnsupportedQuery("a constant among the columns")
    columns.append(_expression(query, node, head))
  shown = [(c.ref.alias, c.ref.column.name) for c in columns if isinstance(c, Attribute)]
  if len({*shown}) < len(shown):
    raise UnsupportedQuery("a column that is returned twice")
  return tuple(columns)


def plan_count(query: Query, item: exp.Expr, rows: Rows) -> Counted | None:
  """COUNT over rows; None of any other expression. Raises UnsupportedQuery."""
  node = bare(item.unalias())
  if not isinstance(node, exp.Count):
    return None
  argument = node.this
  if isinstance(argument, exp.Star):
    return Count(rows)
  if isinstance(argument, exp.Distinct):
    if len(argument.expressions) != 1 or not isinstance(bare(argument.expressions[0]), exp.Column):
      raise UnsupportedQuery("COUNT(DISTINCT) of more than a column")
    ref = query.ref(bare(argument.expressions[0]))
    if ref.alias == rows.head and is_key(ref):
      return Count(rows, distinct=True)
    return CountValues(rows, attribute_of(query, ref, rows.head))
  if not isinstance(bare(argument), exp.Column):
    raise UnsupportedQuery("COUNT of an expression")
  ref = query.ref(bare(argument))
  if is_key(ref) or not ref.column.nullable:
    return Count(rows)
  return CountKnown(rows, attribute_of(query, ref, rows.head))


def is_key(ref: Ref) -> bool:
  """Whether a column alone is the key of its table."""
  return [ref.column.name.lower()] == [c.lower() for c in ref.table.primary_key]


def plan_orders(query: Query, orders: list[tuple[exp.Expr, bool]], head: str) -> tuple[Order, ...]:
  """What rows are sorted by, (expression, descending) each. Raises UnsupportedQuery."""
  return tuple(Order(_expression(query, bare(e), head), d) for e, d in orders)


def _expression(query: Query, node: exp.Expr, head: str) -> Attribute | Computed:
  if not isinstance(node, exp.Column):
    return Computed(node)
  ref = query.ref(node)
  if ref.outer:
    raise UnsupportedQuery("a column of the enclosing query")
  return attribute_of(query, ref, head)
