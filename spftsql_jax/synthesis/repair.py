"""Repairing queries that fail for a reason that can be mended: the template is changed where it
fails and filled again with the same tables, columns and values, and whoever uses the result is told
what was done.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis import filters, notation
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.sampler import Filled

_LIMITS = range(2, 11)
_MOST = 6  # Repairs tried on one query.


def repair(
  filled: Filled,
  template: notation.Template,
  reason: str,
  original: Runner,
  neighbours: Sequence[Runner],
  limits: filters.Limits,
) -> tuple[Filled, notation.Template, str] | None:
  """A query that passes the filters instead of one that they refused, its template, and what was
  done; None if nothing helps.

  Args:
    filled: the refused query.
    template: its template.
    reason: why it was refused, as `filters.check_filled` says.
    original: the database.
    neighbours: neighbouring instances of it.
    limits: see `filters.Limits`.
  """
  tried = 0
  for what, text, values in _candidates(filled, template, reason, original):
    tried += 1
    if tried > _MOST:
      return None
    try:
      other = filled.rebuild(text, values)
      mended = notation.Template(text)
      if filters.check_filled(other, mended, original, neighbours, limits) is None:
        return other, notation.Template(notation.canonical_text(text)), what
    except (CannotFill, QueryFailed, notation.UnsupportedTemplate):
      continue
  return None


def _candidates(filled, template, reason, original) -> Iterator[tuple[str, str, dict[str, str]]]:
  """What could be done, the changed template's text, and values given anew."""
  if reason in ("tie at LIMIT", "NULL at LIMIT"):
    for limit in _untied_limits(filled, template, original):
      yield "another LIMIT", template.text, {"limit": str(limit)}
  for what, text in _changed(template.text, reason):
    yield what, text, {}


def _untied_limits(filled: Filled, template: notation.Template, original: Runner) -> list[int]:
  """The limits at which the rows that are kept are no chance; none where the template's own limit
  is fixed.
  """
  ties = filters.template_plan(template.text).ties
  if len(ties) != 1 or ties[0][1] != (("val", "limit"),):
    return []
  query, _, positions = ties[0]
  try:
    rows = original.rows(filled.render(query, {"limit": str(_LIMITS[-1])}))
  except QueryFailed:
    return []
  keys = [tuple(row[position] for position in positions) for row in rows]
  known = next((index for index, key in enumerate(keys) if None in key), len(keys))
  return [
    count
    for count in _LIMITS
    if count <= known and count < len(keys) and keys[count - 1] != keys[count]
  ]


@functools.lru_cache(maxsize=20_000)
def _changed(text: str, reason: str) -> tuple[tuple[str, str], ...]:
  """The changes of a template that may mend queries refused for this reason."""
  tree = sqlglot.parse_one(text, read="sqlite")
  if reason == "NULL at LIMIT":
    found = _without_null(tree)
  elif reason in ("tie at LIMIT", "LIMIT without ORDER BY"):
    found = _with_tie_breaker(tree)
  elif reason == "LIMIT with an order that DISTINCT hides":
    found = _without_distinct(tree)
  elif reason == "bare column":
    found = _with_more_groups(tree)
  elif reason == "redundant join":
    found = _without_links(tree)
  elif reason == "rows repeated by a join":
    found = _with_distinct(tree)
  elif reason in ("redundant condition", "redundant set operation"):
    found = (
      (_DROPPED[reason], shorter) for why, shorter in filters.reductions(tree) if why == reason
    )
  else:
    return ()
  return tuple((what, notation.write_sql(changed)) for what, changed in found)


_DROPPED = {
  "redundant condition": "dropped a redundant condition",
  "redundant set operation": "dropped a redundant side of a set operation",
}
Change = tuple[str, exp.Expression]


def _limited(tree: exp.Expression) -> list[exp.Select]:
  return [select for select in tree.find_all(exp.Select) if select.args.get("limit")]


def _with_tie_breaker(tree: exp.Expression) -> Iterator[Change]:
  """ORDER BY goes on with what the query returns or groups by, one column at a time."""
  for select in _limited(tree):
    order, group = select.args.get("order"), select.args.get("group")
    sorted_by = {item.this.sql() for item in order.expressions} if order else set()
    options = [*select.selects, *(group.expressions if group else [])]
    options = [
      item
      for item in options
      if isinstance(item, exp.Column) and not isinstance(item.this, exp.Star)
    ]
    for text, item in {item.sql(): item for item in options}.items():
      if text in sorted_by:
        continue
      copied, target = filters.copy_with(tree, select)
      if order:
        target.args["order"].append("expressions", exp.Ordered(this=item.copy(), nulls_first=True))
      else:
        target.set(
          "order", exp.Order(expressions=[exp.Ordered(this=item.copy(), nulls_first=True)])
        )
      yield "added a tie-breaking sort key", copied


def _without_null(tree: exp.Expression) -> Iterator[Change]:
  """Rows without the value that is sorted by are left out."""
  for select in _limited(tree):
    order = select.args.get("order")
    for item in order.expressions if order and not select.args.get("group") else []:
      if isinstance(item.this, exp.Column):
        copied, target = filters.copy_with(tree, select)
        target.where(exp.Not(this=exp.Is(this=item.this.copy(), expression=exp.Null())), copy=False)
        yield "left out rows without the sort key", copied


def _with_distinct(tree: exp.Expression) -> Iterator[Change]:
  # An order by something else than what is returned would have no meaning any more.
  if isinstance(tree, exp.Select) and not tree.args.get("order"):
    copied = tree.copy()
    copied.set("distinct", exp.Distinct())
    yield "added DISTINCT", copied


def _without_distinct(tree: exp.Expression) -> Iterator[Change]:
  for select in _limited(tree):
    if select.args.get("distinct"):
      copied, target = filters.copy_with(tree, select)
      target.set("distinct", None)
      yield "dropped DISTINCT before LIMIT", copied


def _with_more_groups(tree: exp.Expression) -> Iterator[Change]:
  """Columns outside the aggregates are grouped by."""
  copied = tree.copy()
  changed = False
  for select in copied.find_all(exp.Select):
    aggregated = any(item.find(exp.AggFunc) for item in select.selects)
    group = select.args.get("group")
    if not group and not aggregated:
      continue
    grouped = {item.sql() for item in group.expressions} if group else set()
    bare = [
      item for item in select.selects if isinstance(item, exp.Column) and item.sql() not in grouped
    ]
    if bare and not any(isinstance(item.this, exp.Star) for item in bare):
      select.group_by(*(item.copy() for item in bare), copy=False)
      changed = True
  if changed:
    yield "grouped by a bare column", copied


def _without_links(tree: exp.Expression) -> Iterator[Change]:
  """LINKED leaves, and with it a table of which nothing is named."""
  for link in tree.find_all(exp.Anonymous):
    if link.name.upper() != "LINKED":
      continue
    copied, target = filters.copy_with(tree, link)
    parent = target.parent
    if isinstance(parent, exp.And):
      parent.replace(parent.expression if parent.this is target else parent.this)
    elif isinstance(parent, exp.Where):
      parent.pop()
    else:
      continue
    yield "dropped a redundant join", copied
