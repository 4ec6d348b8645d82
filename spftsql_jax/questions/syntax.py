"""What kind of expression a syntax tree is, and which columns it mentions."""

from __future__ import annotations

from typing import TypeVar

from sqlglot import exp

from spftsql_jax.schema import Table

_Kind = TypeVar("_Kind", bound=exp.Expr)

_OPERATORS: dict[type[exp.Expr], str] = {
  exp.EQ: "=",
  exp.NEQ: "!=",
  exp.GT: ">",
  exp.GTE: ">=",
  exp.LT: "<",
  exp.LTE: "<=",
}
_FLIPPED = {"=": "=", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_AGGREGATES: dict[type[exp.Expr], str] = {
  exp.Avg: "avg",
  exp.Max: "max",
  exp.Min: "min",
  exp.Sum: "sum",
  exp.Count: "count",
}


def bare(node: exp.Expr) -> exp.Expr:
  """The expression without parentheses around it (a subquery keeps its own)."""
  while isinstance(node, exp.Paren):
    node = node.this
  return node


def over(kind: type[_Kind], **parts: exp.Expr) -> _Kind:
  """A new expression over copies of parts of a query: one over the parts themselves would become
  their parent, and take them out of the query's tree.
  """
  return kind(**{name: part.copy() for name, part in parts.items()})


def own_columns(node: exp.Expr) -> list[exp.Column]:
  """The columns in an expression, those inside its subqueries left out."""
  if isinstance(node, exp.Column):
    return [node]
  return [
    n
    for n in node.walk(prune=lambda n: isinstance(n, (exp.Select, exp.Subquery)))
    if isinstance(n, exp.Column)
  ]


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
  """The members of a tree of ANDs, parentheses removed."""
  if node is None:
    return []
  node = bare(node)
  if isinstance(node, exp.And):
    return conjuncts(node.this) + conjuncts(node.expression)
  return [node]


def disjuncts(node: exp.Expr) -> list[exp.Expr]:
  """The members of a tree of ORs, parentheses removed."""
  node = bare(node)
  if isinstance(node, exp.Or):
    return disjuncts(node.this) + disjuncts(node.expression)
  return [node]


def operator_of(node: exp.Expr) -> str:
  """The operator of a comparison; "" of anything else."""
  return _OPERATORS.get(type(node), "")


def flipped(operator: str) -> str:
  """The operator with its sides exchanged."""
  return _FLIPPED[operator]


def is_value(node: exp.Expr) -> bool:
  """Whether a node is a literal, possibly negative, in parentheses or cast."""
  node = bare(node)
  if isinstance(node, (exp.Neg, exp.Cast)):
    return is_value(node.this)
  return isinstance(node, (exp.Literal, exp.Boolean))


def merge_ranges(conditions: list[exp.Expr]) -> list[exp.Expr]:
  """Two bounds of one column as one condition.

  x >= a AND x <= b, which people say as one range, becomes BETWEEN; x > a AND x < b is kept.
  """
  result: list[exp.Expr] = []
  for condition in conditions:
    previous = result[-1] if result else None
    bounds = (
      isinstance(condition, (exp.LT, exp.LTE))
      and isinstance(previous, (exp.GT, exp.GTE))
      and isinstance(condition.this, exp.Column)
      and condition.this == previous.this
      and is_value(condition.expression)
      and is_value(previous.expression)
    )
    if bounds and isinstance(condition, exp.LTE) and isinstance(previous, exp.GTE):
      result[-1] = over(
        exp.Between, this=condition.this, low=previous.expression, high=condition.expression
      )
    elif bounds and previous is not None:
      result[-1] = over(exp.And, this=previous, expression=condition)
    else:
      result.append(condition)
  return result


def aggregate_of(node: exp.Expr) -> str | None:
  """The name of an aggregate function; None of anything else."""
  return _AGGREGATES.get(type(node))


def aggregate_in(node: exp.Expr) -> bool:
  """Whether an expression aggregates, outside window functions and subqueries."""
  if isinstance(node.unalias(), exp.Window):
    return False
  return any(
    isinstance(n, exp.AggFunc)
    for n in node.walk(prune=lambda n: isinstance(n, (exp.Subquery, exp.Window)))
    if not isinstance(n, exp.Window)
  ) and not isinstance(node.unalias(), exp.Subquery)


def is_link(table: Table) -> bool:
  """Whether a table only connects two others.

  It has two foreign keys, and at most one column besides keys.
  """
  if len(table.foreign_keys) != 2:
    return False
  keys = {c.lower() for k in table.foreign_keys for c in k.columns} | {
    c.lower() for c in table.primary_key
  }
  return sum(c.name.lower() not in keys for c in table.columns) <= 1


def is_pure_link(table: Table) -> bool:
  """Whether each row of the table is one pair of the two rows that it connects."""
  if not is_link(table):
    return False
  keys = {c.lower() for k in table.foreign_keys for c in k.columns}
  others = [c.name.lower() for c in table.columns if c.name.lower() not in keys]
  return (
    {c.lower() for c in table.primary_key} == keys
    or not others
    or others == [c.lower() for c in table.primary_key]
  )


def date_part(node: exp.Expr) -> tuple[str, exp.Column] | None:
  """The part of a date that an expression takes, and the column.

  STRFTIME('%Y', x), YEAR(x), EXTRACT(year FROM x), possibly cast.
  """
  node = bare(node)
  while isinstance(node, exp.Cast):
    node = bare(node.this)
  formats = {
    "%Y": "year",
    "%m": "month",
    "%d": "day",
    "%Y-%m": "year and month",
    "%H": "hour",
    "%w": "weekday",
  }
  if isinstance(node, exp.TimeToStr):
    argument, spelled = node.this, node.args.get("format")
    while isinstance(argument, (exp.Cast, exp.TsOrDsToTimestamp, exp.TsOrDsToDate)):
      argument = argument.this
    if (
      isinstance(argument, exp.Column)
      and isinstance(spelled, exp.Literal)
      and spelled.this in formats
    ):
      return formats[spelled.this], argument
    return None
  for kind, name in ((exp.Year, "year"), (exp.Month, "month"), (exp.Day, "day")):
    if isinstance(node, kind) and isinstance(node.this, exp.Column):
      return name, node.this
  if isinstance(node, exp.Extract) and isinstance(node.expression, exp.Column):
    return node.name.lower(), node.expression
  if isinstance(node, exp.Substring) and isinstance(node.this, exp.Column):
    start, length = node.args.get("start"), node.args.get("length")
    if start is not None and length is not None and (start.name, length.name) == ("1", "4"):
      return "year", node.this
  return None
