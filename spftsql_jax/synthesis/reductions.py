"""A query with one part left out: where nothing changes, the part is redundant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from sqlglot import exp

from spftsql_jax.synthesis.rejections import Rejection

Node = TypeVar("Node", bound=exp.Expr)
# What it would mean if the shorter query gave the same, and that query.
Reduction = tuple[Rejection, exp.Expr]


def reductions(tree: exp.Expr) -> Iterator[Reduction]:
  """The shorter queries of a query, or of a template."""
  for where in tree.find_all(exp.Where, exp.Having):
    yield from _without_condition(tree, where)
  yield from _known_alternatives(tree)
  for select in tree.find_all(exp.Select):
    yield from _shorter_joins(tree, select)
  for operation in tree.find_all(exp.SetOperation):
    yield from _one_side(tree, operation)


def _without_condition(tree: exp.Expr, where: exp.Expr) -> Iterator[Reduction]:
  whole = where.this
  conditions = list(whole.flatten()) if isinstance(whole, (exp.And, exp.Or)) else [whole]
  combine = exp.or_ if type(whole) is exp.Or else exp.and_
  for index in range(len(conditions)):
    copied, target = copy_with(tree, where)
    rest = [condition.copy() for place, condition in enumerate(conditions) if place != index]
    if rest:
      target.set("this", combine(*rest))
    else:
      target.pop()
    yield Rejection.REDUNDANT_CONDITION, copied


def _known_alternatives(tree: exp.Expr) -> Iterator[Reduction]:
  """The query with NOT NULL in place of an OR or a list of values.

  It is the same where one of them always holds (x < 7 OR x > 5).
  """
  for where in tree.find_all(exp.Where):
    conditions = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    for condition in conditions:
      inner = condition.unnest()
      listed = isinstance(inner, exp.In) and not inner.args.get("query")
      if not listed and not isinstance(inner, exp.Or):
        continue
      columns = list(dict.fromkeys(inner.find_all(exp.Column)))
      stars = any(isinstance(column.this, exp.Star) for column in columns)
      if inner.find(exp.Select) or not columns or stars:
        continue
      known = [exp.Not(this=exp.Is(this=c.copy(), expression=exp.Null())) for c in columns]
      copied, target = copy_with(tree, condition)
      target.replace(exp.and_(*known, copy=False))
      yield Rejection.TAUTOLOGY, copied


def _shorter_joins(tree: exp.Expr, select: exp.Select) -> Iterator[Reduction]:
  """The query without a joined table that nothing but its own ON names."""
  for join in select.args.get("joins") or []:
    alias = join.alias_or_name.lower()
    own = list(join.find_all(exp.Column))
    named = {
      column.table.lower()
      for column in select.find_all(exp.Column)
      if not any(column is other for other in own)
    }
    if alias in named or "" in named or any(isinstance(item, exp.Star) for item in select.selects):
      continue
    copied, target = copy_with(tree, join)
    target.pop()
    yield Rejection.REDUNDANT_JOIN, copied


def _one_side(tree: exp.Expr, operation: exp.SetOperation) -> Iterator[Reduction]:
  for side in ("this", "expression"):
    if isinstance(operation, exp.Except) and side == "expression":
      continue
    copied, target = copy_with(tree, operation)
    kept = target.args[side].copy()
    if target is not copied:
      target.replace(kept)
      yield Rejection.REDUNDANT_SET_OPERATION, copied
      continue
    # A set operation has no duplicates, so neither has what it is compared with.
    if isinstance(kept, exp.Select):
      kept.set("distinct", exp.Distinct())
    yield Rejection.REDUNDANT_SET_OPERATION, kept


def copy_with(tree: exp.Expr, node: Node) -> tuple[exp.Expr, Node]:
  """A copy of the tree, and the copy's node that corresponds to `node`."""
  copied = tree.copy()
  for source, target in zip(tree.walk(), copied.walk(), strict=True):
    if source is node and isinstance(target, type(node)):
      return copied, target
  raise ValueError("the node is not in the tree")
