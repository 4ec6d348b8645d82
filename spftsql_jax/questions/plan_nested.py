"""Conditions that hold a query, as plans: membership, comparison with a value, correlation."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from sqlglot import exp

from spftsql_jax.questions.naming import UNTOLD_KEY, SchemaNames, role_of, tells_a_role
from spftsql_jax.questions.plan import (
  Against,
  Alike,
  Attribute,
  Both,
  Computed,
  Condition,
  Either,
  Member,
  attribute_of,
)
from spftsql_jax.questions.query_meaning import (
  Query,
  Ref,
  SetQuery,
  UnsupportedQuery,
  mentions_outer,
  read_nested,
)
from spftsql_jax.questions.syntax import aggregate_of, bare, is_value, operator_of
from spftsql_jax.schema import ForeignKey


class Scope(NamedTuple):
  """Of which rows a condition is: those of one alias of a query."""

  query: Query
  head: str
  names: SchemaNames


def plan_exists(scope: Scope, node: exp.Exists, negated: bool) -> Condition:
  """EXISTS, as the membership that its correlation asks for. Raises UnsupportedQuery."""
  nested = read_nested(node.this, scope.query)
  if not isinstance(nested, Query) or nested.group or nested.having or nested.limit is not None:
    raise UnsupportedQuery("EXISTS over more than one plain SELECT")
  for condition in nested.conditions:
    sides = _correlated(nested, condition)
    if sides is not None:
      rest = [c for c in nested.conditions if c is not condition]
      others = dataclasses.replace(nested, conditions=rest, items=[sides[0]], order=[])
      return plan_member(scope, dataclasses.replace(sides[1], outer=False), others, negated)
  raise UnsupportedQuery("EXISTS that does not refer to the outer query")


def _correlated(nested: Query, condition: exp.Expr) -> tuple[exp.Expr, Ref] | None:
  """The column of the nested query and that of the outer one which must be equal to it."""
  if not isinstance(condition, exp.EQ):
    return None
  left, right = condition.this, condition.expression
  if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
    return None
  one, other = nested.ref(left), nested.ref(right)
  if one.outer == other.outer:
    return None
  return (right, one) if one.outer else (left, other)


def plan_in(scope: Scope, node: exp.In, negated: bool) -> Condition:
  """A column IN a query; of one row, compared with its value. Raises UnsupportedQuery."""
  column = bare(node.this)
  if not isinstance(column, exp.Column):
    raise UnsupportedQuery("IN with an expression")
  nested = read_nested(node.args["query"], scope.query)
  if isinstance(nested, Query) and nested.limit == 1 and len(nested.items) == 1:
    return plan_against(scope, column, "!=" if negated else "=", node.args["query"])
  return plan_member(scope, scope.query.ref(column), nested, negated)


def plan_member(scope: Scope, left: Ref, nested: Query | SetQuery, negated: bool) -> Condition:
  """A column among what a query returns. Raises UnsupportedQuery."""
  attribute = attribute_of(scope.query, left, scope.head)
  if isinstance(nested, SetQuery):
    parted = _parted(scope, left, nested, negated)
    return parted or Member("values", attribute, None, nested, negated)
  right = _returned(nested)
  how = _how(attribute, right, nested, scope.names, negated) if right is not None else "values"
  return Member(how, attribute, right if how != "values" else None, nested, negated)


def _parted(scope: Scope, left: Ref, nested: SetQuery, negated: bool) -> Condition | None:
  """Membership in a set operation as two memberships, where both are relations between rows."""
  one = plan_member(scope, left, nested.left, negated)
  other = plan_member(scope, left, nested.right, negated != (nested.operator == "except"))
  if any(isinstance(m, Member) and m.how in ("values", "shared") for m in (one, other)):
    return None
  either = negated != nested.operator.startswith("union")
  return Either((one, other)) if either else Both((one, other))


def _returned(nested: Query) -> Ref | None:
  """The column that a query returns of the rows of one table; None of anything else."""
  item = nested.items[0].unalias()
  if (
    len(nested.items) != 1
    or not isinstance(item, exp.Column)
    or nested.limit is not None
    or nested.derived
  ):
    return None
  ref = nested.ref(item)
  if ref.outer:
    raise UnsupportedQuery("a subquery that returns a column of the outer query")
  return ref


def _how(attribute: Attribute, right: Ref, nested: Query, names: SchemaNames, negated: bool) -> str:
  left, grouped = attribute.ref, bool(nested.group or nested.having)
  if attribute.own and key_between(right, left) is not None:
    if grouped:
      return "counted" if _counts(nested) and not negated else "values"
    keys = [
      k for k in right.table.foreign_keys if k.referred_table.lower() == left.table.name.lower()
    ]
    role = role_of((right.column.name,), left.table, names) if len(keys) > 1 else None
    if role is None and len(keys) > 1 and tells_a_role(right.column.name, left.table, names):
      raise UnsupportedQuery(UNTOLD_KEY)
    if role is not None and (nested.conditions or nested.edges) and not far_end(nested, right):
      raise UnsupportedQuery("conditions on rows that refer in one of several roles")
    return "referred"
  if not grouped:
    if key_between(left, right) is not None and right.alias in nested.sources:
      if nested.conditions or nested.edges:
        return "refers"
    elif (
      attribute.own
      and (left.table.name.lower(), left.column.name)
      == (right.table.name.lower(), right.column.name)
      and (left.column.name,) == tuple(left.table.primary_key)
    ):
      return "rows"
  ours, theirs = key_of(left), key_of(right)
  to_one = ours and theirs and ours.referred_table.lower() == theirs.referred_table.lower()
  return "shared" if to_one and attribute.own and not nested.group else "values"


def _counts(nested: Query) -> bool:
  """Whether rows are grouped by whom they refer to, and only counted."""
  having = nested.having[0] if len(nested.having) == 1 and not nested.edges else None
  return (
    having is not None
    and operator_of(having) != ""
    and isinstance(having.this, exp.Count)
    and isinstance(having.this.this, exp.Star)
    and is_value(having.expression)
  )


def far_end(nested: Query, right: Ref) -> tuple[str, exp.Expr | None] | None:
  """The other row that a row with two keys to one table refers to.

  Its alias, of which all conditions are, or the one value that the other key must have.
  """
  if not nested.edges and len(nested.conditions) == 1:
    condition = nested.conditions[0]
    if isinstance(condition, exp.EQ) and isinstance(condition.this, exp.Column):
      ref = nested.ref(condition.this)
      key = key_of(ref)
      if key and key.referred_columns == (ref.column.name,) and is_value(condition.expression):
        return ref.alias, condition.expression
  if len(nested.edges) == 1 and nested.edges[0].child == right.alias:
    parent = nested.edges[0].parent
    if all(nested.aliases_in(condition) == {parent} for condition in nested.conditions):
      return parent, None
  return None


def key_of(ref: Ref) -> ForeignKey | None:
  """The foreign key that a column alone is."""
  own = [ref.column.name.lower()]
  return next((k for k in ref.table.foreign_keys if [c.lower() for c in k.columns] == own), None)


def key_between(child: Ref, parent: Ref) -> ForeignKey | None:
  """The one-column foreign key from `child` to `parent`.

  Declared, or plain to see: the same name, a primary key.
  """
  own, referred = child.column.name.lower(), parent.column.name.lower()
  for key in child.table.foreign_keys:
    if key.referred_table.lower() == parent.table.name.lower() and [
      c.lower() for c in key.columns
    ] == [own]:
      return key
  if (
    own == referred
    and child.table.name.lower() != parent.table.name.lower()
    and [c.lower() for c in parent.table.primary_key] == [referred]
    and [c.lower() for c in child.table.primary_key] != [own]
  ):
    return ForeignKey((child.column.name,), parent.table.name, (parent.column.name,), inferred=True)
  return None


def plan_against(scope: Scope, left: exp.Expr, operator: str, right: exp.Expr) -> Condition:
  """What is compared with the one value that a query returns. Raises UnsupportedQuery."""
  nested = read_nested(right, scope.query)
  if not isinstance(nested, Query) or len(nested.items) != 1 or nested.derived:
    raise UnsupportedQuery("a comparison with a set operation")
  item = bare(nested.items[0].unalias())
  function = aggregate_of(item)
  if not isinstance(left, exp.Column):
    return Against("value", Computed(left), operator, function, nested)
  ref = scope.query.ref(left)
  if ref.outer:
    raise UnsupportedQuery("a condition on the enclosing query")
  equal = operator in ("=", "!=")
  if equal and isinstance(item, exp.Column) and not (nested.limit or nested.group):
    member = plan_member(scope, ref, nested, operator == "!=")
    if isinstance(member, Member) and member.how not in ("values", "shared"):
      return member
  how = _compared(ref, item, nested, scope.names, operator)
  rest = [c for c in scope.query.conditions if right.sql() not in c.sql()]
  own = all(scope.query.aliases_in(c) == {ref.alias} for c in rest)
  if how == "rows" and own and _names_only(nested.conditions) == _names_only(rest):
    how = "such"
  return Against(how, attribute_of(scope.query, ref, scope.head), operator, function, nested)


def _names_only(conditions: list[exp.Expr]) -> set[str]:
  """Conditions without the aliases of their columns; "x" may be a text that was not read yet."""

  def bare_name(node: exp.Expr) -> exp.Expr:
    return exp.column(node.name.lower()) if isinstance(node, exp.Column | exp.Literal) else node

  return {condition.transform(bare_name).sql() for condition in conditions}


def _compared(ref: Ref, item: exp.Expr, nested: Query, names: SchemaNames, operator: str) -> str:
  """How a column stands to the value that a query returns (`Against.how`)."""
  inner = item.this if aggregate_of(item) in ("avg", "max", "min") else item
  if (
    isinstance(inner, exp.Distinct)
    and len(inner.expressions) == 1
    and not isinstance(item, exp.Avg)
  ):
    inner = inner.expressions[0]  # Of an extreme, DISTINCT changes nothing.
  if not isinstance(inner, exp.Column) or nested.group:
    return "value"
  other = nested.ref(inner)
  alike = other.table is ref.table and other.column is ref.column
  if inner is item:
    if other.outer or (nested.limit or 1) > 1 or operator in ("<=", ">="):
      return "value"
    if operator in ("<", ">"):
      return "same" if alike else "value"
    to_row = nested.limit == 1 and key_between(ref, other) is not None
    return "same" if alike else "row" if to_row else "value"
  if not alike or nested.edges:
    return "value"
  if len(nested.conditions) == 1:
    sides = _correlated(nested, nested.conditions[0])
    if sides is not None and nested.ref(sides[0]).column is sides[1].column:
      if names.column(sides[1].table, sides[1].column).property:
        raise UnsupportedQuery("rows alike in a yes or no")
      return "alike"
  if any(mentions_outer(nested, condition) for condition in nested.conditions):
    return "value"
  return "rows" if nested.conditions else "all"


def plan_alike(scope: Scope, left: exp.Expr, right: exp.Expr, operator: str) -> Alike:
  """A correlated comparison: the same attribute as the outer row. Raises UnsupportedQuery."""
  if operator != "=" or not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
    raise UnsupportedQuery("a correlated condition other than equality")
  refs = [scope.query.ref(left), scope.query.ref(right)]
  inner = next((r for r in refs if not r.outer), None)
  if inner is None or len({r.column.name.lower() for r in refs}) > 1:
    raise UnsupportedQuery("a correlated condition over different columns")
  if scope.names.column(inner.table, inner.column).property:
    raise UnsupportedQuery("rows alike in a yes or no")
  return Alike(attribute_of(scope.query, inner, scope.head))
