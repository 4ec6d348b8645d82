"""Repairing queries that fail for a reason that can be mended.

The template is changed where it fails and filled again with the same tables, columns and values.
Whoever uses the result is told what was done.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlglot import exp

from spftsql_jax.synthesis import filters
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template, read_template
from spftsql_jax.synthesis.reductions import copy_with, reductions
from spftsql_jax.synthesis.rejections import Rejection, Repair
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.slots import LinkSlot, StarSlot, UnsupportedTemplate, ValueSlot
from spftsql_jax.synthesis.sql_style import write_sql
from spftsql_jax.synthesis.value_specs import drop_condition

_LIMITS = range(2, 11)
_MOST = 6  # Repairs tried on one query.


@dataclasses.dataclass(frozen=True)
class Repaired:
  """A query that passes instead of one that was refused, its template, and what was done."""

  filled: Filled
  template: Template
  repair: Repair


def repair(
  filled: Filled,
  template: Template,
  reason: Rejection,
  original: Runner,
  neighbours: Sequence[Runner],
  limits: filters.Limits,
) -> Repaired | None:
  """What becomes of a refused query; None if nothing helps.

  Args:
    filled: the refused query.
    template: its template.
    reason: why it was refused, as `filters.check_filled` says.
    original: the database.
    neighbours: neighbouring instances of it.
    limits: see `filters.Limits`.
  """
  tried = 0
  for done, text, values in _candidates(filled, template, reason, original):
    tried += 1
    if tried > _MOST:
      return None
    try:
      other = filled.rebuild(text, values)
      if filters.check_filled(other, Template(text), original, neighbours, limits) is None:
        return Repaired(other, Template.parse(text), done)
    except (CannotFill, QueryFailed, UnsupportedTemplate):
      continue
  return None


def _candidates(
  filled: Filled, template: Template, reason: Rejection, original: Runner
) -> Iterator[tuple[Repair, str, dict[str, str]]]:
  """What could be done, the changed template's text, and values given anew."""
  if Repair.OTHER_LIMIT in reason.repairs:
    for limit in _untied_limits(filled, template, original):
      yield Repair.OTHER_LIMIT, template.text, {"limit": str(limit)}
  for done, text in changed_templates(template.text, reason):
    yield done, text, {}


def _untied_limits(filled: Filled, template: Template, original: Runner) -> list[int]:
  """The limits at which the rows that are kept are no chance.

  None where the template's own limit is fixed.
  """
  ties = filters.template_plan(template.text).ties
  limit = ties[0].limit.tree if len(ties) == 1 else None
  if not isinstance(limit, ValueSlot) or limit.name != "limit":
    return []
  try:
    rows = original.rows(filled.render(ties[0].query, {"limit": str(_LIMITS[-1])}))
  except QueryFailed:
    return []
  keys = filters.sort_keys(ties[0], rows)
  known = next((index for index, key in enumerate(keys) if None in key), len(keys))
  return [
    count
    for count in _LIMITS
    if count <= known and count < len(keys) and keys[count - 1] != keys[count]
  ]


@functools.lru_cache(maxsize=20_000)
def changed_templates(text: str, reason: Rejection) -> tuple[tuple[Repair, str], ...]:
  """The changes of a template that may mend queries refused for this reason.

  They are texts whose slots keep their numbers.
  """
  tree = read_template(text)
  return tuple(
    (done, write_sql(changed))
    for done in reason.repairs
    if done in _CHANGES
    for changed in _CHANGES[done](tree)
  )


def _limited(tree: exp.Expr) -> list[exp.Select]:
  return [select for select in tree.find_all(exp.Select) if select.args.get("limit")]


def _with_tie_breaker(tree: exp.Expr) -> Iterator[exp.Expr]:
  """ORDER BY goes on with what the query returns or groups by, one column at a time."""
  for select in _limited(tree):
    order, group = select.args.get("order"), select.args.get("group")
    sorted_by = {item.this for item in order.expressions} if order else set()
    options = [*select.selects, *(group.expressions if group else [])]
    columns = [item for item in options if _is_column(item)]
    for item in dict.fromkeys(columns):
      if item in sorted_by:
        continue
      copied, target = copy_with(tree, select)
      key = exp.Ordered(this=item.copy(), nulls_first=True)
      if order:
        target.args["order"].append("expressions", key)
      else:
        target.set("order", exp.Order(expressions=[key]))
      yield copied


def _is_column(node: exp.Expr) -> bool:
  return isinstance(node, exp.Column) and not isinstance(node, StarSlot)


def _without_null(tree: exp.Expr) -> Iterator[exp.Expr]:
  """Rows without the value that is sorted by are left out."""
  for select in _limited(tree):
    order = select.args.get("order")
    for item in order.expressions if order and not select.args.get("group") else []:
      if isinstance(item.this, exp.Column):
        copied, target = copy_with(tree, select)
        target.where(exp.Not(this=exp.Is(this=item.this.copy(), expression=exp.Null())), copy=False)
        yield copied


def _with_distinct(tree: exp.Expr) -> Iterator[exp.Expr]:
  # An order by something else than what is returned would have no meaning any more.
  if isinstance(tree, exp.Select) and not tree.args.get("order"):
    copied = tree.copy()
    copied.set("distinct", exp.Distinct())
    yield copied


def _without_distinct(tree: exp.Expr) -> Iterator[exp.Expr]:
  for select in _limited(tree):
    if select.args.get("distinct"):
      copied, target = copy_with(tree, select)
      target.set("distinct", None)
      yield copied


def _with_more_groups(tree: exp.Expr) -> Iterator[exp.Expr]:
  """Columns outside the aggregates are grouped by."""
  copied = tree.copy()
  changed = False
  for select in copied.find_all(exp.Select):
    aggregated = any(item.find(exp.AggFunc) for item in select.selects)
    group = select.args.get("group")
    if not group and not aggregated:
      continue
    grouped = set(group.expressions) if group else set()
    bare = [item for item in select.selects if isinstance(item, exp.Column) and item not in grouped]
    if bare and not any(isinstance(item, StarSlot) for item in bare):
      select.group_by(*(item.copy() for item in bare), copy=False)
      changed = True
  if changed:
    yield copied


def _without_link(tree: exp.Expr) -> Iterator[exp.Expr]:
  """LINKED leaves, and with it a table of which nothing is named."""
  for link in tree.find_all(LinkSlot):
    if link.optional:
      continue
    copied, target = copy_with(tree, link)
    if drop_condition(target):
      yield copied


def _without(part: Rejection) -> Callable[[exp.Expr], Iterator[exp.Expr]]:
  """One of the parts that are redundant for this reason leaves."""
  return lambda tree: (shorter for reason, shorter in reductions(tree) if reason is part)


# What each repair makes of a template; another LIMIT is no change of it.
_CHANGES: dict[Repair, Callable[[exp.Expr], Iterable[exp.Expr]]] = {
  Repair.TIE_BREAKER: _with_tie_breaker,
  Repair.WITHOUT_NULL: _without_null,
  Repair.WITH_DISTINCT: _with_distinct,
  Repair.WITHOUT_DISTINCT: _without_distinct,
  Repair.MORE_GROUPS: _with_more_groups,
  Repair.WITHOUT_LINK: _without_link,
  Repair.WITHOUT_CONDITION: _without(Rejection.REDUNDANT_CONDITION),
  Repair.WITHOUT_SIDE: _without(Rejection.REDUNDANT_SET_OPERATION),
}
