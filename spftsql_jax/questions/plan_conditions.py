"""Conditions of WHERE as plans: read from syntax, refused where no wording is faithful."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns import kinds
from spftsql_jax.questions.naming import SchemaNames
from spftsql_jax.questions.plan import (
  Attribute,
  Between,
  Both,
  Compare,
  Condition,
  DatePart,
  Either,
  Like,
  Literal,
  Missing,
  OneOf,
  Place,
  Stated,
  Unmoved,
  attribute_of,
)
from spftsql_jax.questions.plan_nested import Scope, plan_against, plan_alike, plan_exists, plan_in
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery
from spftsql_jax.questions.syntax import (
  bare,
  conjuncts,
  date_part,
  disjuncts,
  flipped,
  is_value,
  operator_of,
  over,
  own_columns,
)

_SIMPLE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_OPPOSITE: dict[type[exp.Expr], type[exp.Binary]] = {
  exp.EQ: exp.NEQ,
  exp.NEQ: exp.EQ,
  exp.GT: exp.LTE,
  exp.GTE: exp.LT,
  exp.LT: exp.GTE,
  exp.LTE: exp.GT,
}
# Of a yes or no that is kept as 1 and 0, what a comparison comes to.
_BOUNDS = {(">", "0"): "1", (">=", "1"): "1", ("<", "1"): "0", ("<=", "0"): "0"}


def literal_of(node: exp.Expr) -> Literal:
  """A literal, without what is put around it. Raises UnsupportedQuery: it is none."""
  node = bare(node)
  if isinstance(node, exp.Neg):
    return Literal("-" + literal_of(node.this).text, False)
  if isinstance(node, exp.Boolean):
    return Literal("true" if node.this else "false", False)
  if isinstance(node, exp.Cast) or (
    isinstance(node, exp.Func) and isinstance(node.this, exp.Literal)
  ):
    return literal_of(node.this)
  if not isinstance(node, exp.Literal):
    raise UnsupportedQuery(f"the value {node.sql()}")
  return Literal(node.this, node.is_string)


def _read_pattern(pattern: str) -> tuple[str, Place]:
  """What a pattern with a wildcard looks for, and where."""
  text = pattern.strip("%")
  if not text or "_" in text or "%" in text:
    return pattern, "pattern"
  if not pattern.startswith("%"):
    return text, "begins"
  return text, "contains" if pattern.endswith("%") else "ends"


def plan_condition(query: Query, node: exp.Expr, head: str, names: SchemaNames) -> Condition:
  """One condition on the rows of `head`. Raises UnsupportedQuery."""
  return _Reader(Scope(query, head, names)).condition(node)


class _Reader:
  """Reads conditions about the rows of one alias of a query."""

  def __init__(self, scope: Scope):
    self.scope, self.query = scope, scope.query

  def condition(self, node: exp.Expr) -> Condition:
    """Any condition."""
    node = bare(node)
    if isinstance(node, exp.Or):
      return self._either(disjuncts(node))
    if isinstance(node, exp.And):
      return Both(tuple(map(self.condition, conjuncts(node))))
    if isinstance(node, exp.Not):
      return self._not(node)
    if isinstance(node, _SIMPLE):
      return self._compare(node)
    if isinstance(node, exp.Between):
      return self._between(node, False)
    if isinstance(node, exp.Like):
      return self._like(node, bool(node.args.get("negate")))
    if isinstance(node, exp.In):
      return self._in(node, False)
    if isinstance(node, exp.Is):
      return self._is(node, False)
    if isinstance(node, exp.Exists):
      return plan_exists(self.scope, node, False)
    if isinstance(node, exp.Column):
      return self._compare(over(exp.EQ, this=node, expression=exp.Literal.number(1)))
    raise UnsupportedQuery(f"the condition {type(node).__name__}")

  def _not(self, whole: exp.Not) -> Condition:
    node = bare(whole.this)
    if isinstance(node, exp.In):
      return self._in(node, True)
    if isinstance(node, exp.Like):
      return self._like(node, not node.args.get("negate"))
    if isinstance(node, exp.Is):
      return self._is(node, True)
    if isinstance(node, exp.Exists):
      return plan_exists(self.scope, node, True)
    if isinstance(node, exp.Between):
      return self._between(node, True)
    if isinstance(node, _SIMPLE):
      return self._compare(over(_OPPOSITE[type(node)], this=node.this, expression=node.expression))
    if isinstance(node, exp.Column):
      return self._compare(over(exp.EQ, this=node, expression=exp.Literal.number(0)))
    raise UnsupportedQuery(f"NOT {type(node).__name__}")

  def _attribute(self, node: exp.Expr) -> Attribute:
    ref = self.query.ref(bare(node))
    if ref.outer:
      raise UnsupportedQuery("a condition on the enclosing query")
    return attribute_of(self.query, ref, self.scope.head)

  def _compare(self, node: exp.Expr) -> Condition:
    operator, left, right = operator_of(node), bare(node.this), bare(node.expression)
    if is_value(left):
      left, right, operator = right, left, flipped(operator)
    if isinstance(left, exp.Subquery) and not isinstance(right, exp.Subquery):
      left, right, operator = right, left, flipped(operator)
    if isinstance(right, exp.Subquery):
      return plan_against(self.scope, left, operator, right)
    if not is_value(right):
      columns = own_columns(left) + own_columns(right)
      if len(columns) >= 2 and any(self.query.ref(c).outer for c in columns):
        return plan_alike(self.scope, left, right, operator)
      return Unmoved(node)
    if isinstance(left, exp.Column):
      return self._compared(self._attribute(left), operator, literal_of(right))
    part = date_part(left)
    if part is not None:
      return DatePart(self._attribute(part[1]), part[0], operator, literal_of(right))
    if (
      isinstance(left, exp.Lower | exp.Upper)
      and isinstance(left.this, exp.Column)
      and operator in ("=", "!=")
    ):
      return self._compared(self._attribute(left.this), operator, literal_of(right))
    return Unmoved(node)

  def _compared(self, attribute: Attribute, operator: str, value: Literal) -> Compare | Stated:
    if self.scope.names.column(attribute.ref.table, attribute.ref.column).property:
      bound = _BOUNDS.get((operator, value.text))
      if bound is not None:
        operator, value = "=", Literal(bound, False)
      said = kinds.yes_or_no(value.text.lower())
      if attribute.own and operator in ("=", "!=") and said is not None:
        return Stated(attribute, said == (operator == "="))
    return Compare(attribute, operator, value)

  def _between(self, node: exp.Between, negated: bool) -> Condition:
    low, high = node.args["low"], node.args["high"]
    if not isinstance(bare(node.this), exp.Column):
      return Unmoved(over(exp.Not, this=node) if negated else node)
    if not is_value(low) or not is_value(high):
      if negated:
        raise UnsupportedQuery("NOT BETWEEN without values")
      ends = (exp.GTE, low), (exp.LTE, high)
      return Both(
        tuple(self._compare(over(end, this=node.this, expression=value)) for end, value in ends)
      )
    return Between(self._attribute(node.this), literal_of(low), literal_of(high), negated)

  def _like(self, node: exp.Like, negated: bool) -> Condition:
    subject, pattern = bare(node.this), node.expression
    while isinstance(subject, exp.Lower | exp.Upper | exp.Cast):
      subject = bare(subject.this)
    if not isinstance(pattern, exp.Literal):
      raise UnsupportedQuery("LIKE without a value")
    if not isinstance(subject, exp.Column):
      raise UnsupportedQuery("LIKE of an expression")
    attribute = self._attribute(subject)
    if "%" not in pattern.this and "_" not in pattern.this:
      return self._compared(attribute, "!=" if negated else "=", literal_of(pattern))
    return Like(attribute, *_read_pattern(pattern.this), negated)

  def _is(self, node: exp.Is, negated: bool) -> Condition:
    value = node.expression
    if isinstance(value, exp.Not):
      negated, value = not negated, value.this
    if not isinstance(value, exp.Null):
      return self._compare(over(exp.NEQ if negated else exp.EQ, this=node.this, expression=value))
    if not isinstance(bare(node.this), exp.Column):
      raise UnsupportedQuery("IS NULL of an expression")
    return Missing(self._attribute(node.this), not negated)

  def _in(self, node: exp.In, negated: bool) -> Condition:
    if node.args.get("query") is not None:
      return plan_in(self.scope, node, negated)
    if not all(map(is_value, node.expressions)) or not isinstance(bare(node.this), exp.Column):
      raise UnsupportedQuery("IN over something other than values")
    return self._one_of(self._attribute(node.this), node.expressions, negated)

  def _one_of(self, attribute: Attribute, nodes: list[exp.Expr], negated: bool) -> Condition:
    values = tuple(map(literal_of, nodes))
    if len(values) == 1:
      return self._compared(attribute, "!=" if negated else "=", values[0])
    return OneOf(attribute, values, negated)

  def _either(self, nodes: list[exp.Expr]) -> Condition:
    members = tuple(map(self.condition, nodes))
    compared = [m for m in members if isinstance(m, Compare)]
    columns = {(m.attribute.ref.alias, m.attribute.ref.column.name) for m in compared}
    if len(compared) == len(members) and len(columns) == 1:
      if all(m.operator == "=" for m in compared):
        return OneOf(compared[0].attribute, tuple(m.value for m in compared), False)
      if len({m.value for m in compared}) < len(compared):
        raise UnsupportedQuery("below or above the same value")
    return Either(members)
