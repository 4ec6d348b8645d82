"""Which synthesized queries are kept.

Those whose result says something, says it every time, and needs every part of the query.

Weak checkers get exploited: an empty result is matched by any other empty one, a tie under LIMIT,
SQLite's bare columns and volatile functions make noise, and a condition that changes nothing
teaches to ignore the question.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis import notation
from spftsql_jax.synthesis.check_plan import Plan, Render, TieProbe, make_plan
from spftsql_jax.synthesis.compiling import compile_template
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.rejections import Rejection
from spftsql_jax.synthesis.runner import QueryFailed, Runner

# Of fewer rows two columns may be equal by chance.
_ROWS_TO_TELL = 3


@dataclasses.dataclass(frozen=True)
class Limits:
  """What a kept query may cost and must give.

  Attributes:
    max_rows: more rows than this are no answer to a question.
    neighbours_with_rows: share of the neighbouring instances on which the result must not be empty.
    loose_joins: as in the queries of some sources, a list may have the same row several times
      because a join repeats it ("the patients who had a visit", each as often as they came), or
      lack rows that have no partner, and a join may end in a table of which nothing is said.
  """

  max_rows: int = 1_000
  neighbours_with_rows: float = 0.5
  loose_joins: bool = True


DEFAULT_LIMITS = Limits()


def check(
  sql: str,
  original: Runner,
  neighbours: Sequence[Runner] = (),
  dialect: str = "sqlite",
  limits: Limits = DEFAULT_LIMITS,
) -> Rejection | None:
  """Why a query is not kept, or None where it is.

  Args:
    sql: one SELECT in the database's dialect.
    original: the database.
    neighbours: neighbouring instances of it; with none, the checks that need them see the original
      only.
    dialect: sqlglot's name of the dialect.
    limits: see `Limits`.
  """
  try:
    tree = sqlglot.parse_one(sql, read=dialect)
  except sqlglot.errors.SqlglotError:
    return Rejection.NOT_PARSED
  if not isinstance(tree, exp.Query):
    return Rejection.NO_SELECT
  if dialect == "sqlite" and _quoted_string(tree, original):
    return Rejection.QUOTED_STRING
  query = _Judged(
    sql, make_plan(tree), lambda part: part.tree.sql(dialect=dialect), (), original, neighbours
  )
  return _judge(query, limits)


def check_filled(
  filled: Filled,
  template: notation.Template,
  original: Runner,
  neighbours: Sequence[Runner],
  limits: Limits,
) -> Rejection | None:
  """`check` for a query made of a template: the same judgement, without parsing anything."""
  strict = not limits.loose_joins
  if strict and filled.idle:
    return Rejection.REDUNDANT_JOIN
  if strict and filled.drops:
    return Rejection.DROPPED
  if strict and filled.circular:
    return Rejection.CIRCULAR
  plan = template_plan(template.text)
  query = _Judged(filled.sql, plan, filled.render, filled.shorter_joins, original, neighbours)
  return _judge(query, limits, strict and filled.repeats, filled.groups if strict else 0)


@functools.lru_cache(maxsize=20_000)
def template_plan(text: str) -> Plan:
  """The plan of all queries of a template."""
  compiled = compile_template(text)
  keys = frozenset(number for number, slot in compiled.slots.items() if slot.kind == "key")
  return make_plan(compiled.query.tree, keys)


@dataclasses.dataclass(frozen=True)
class _Judged:
  """A query to be judged, what has to be run for it, and where.

  Attributes:
    sql: its text.
    plan: see `check_plan.Plan`.
    render: writes a query of the plan.
    shorter_joins: the query without one of the tables at the end of its join.
    original: the database.
    neighbours: neighbouring instances of it.
  """

  sql: str
  plan: Plan
  render: Render
  shorter_joins: Sequence[str]
  original: Runner
  neighbours: Sequence[Runner]


def _judge(
  query: _Judged, limits: Limits, distinct: bool = False, groups: int = 0
) -> Rejection | None:
  """`check`; rows must be `distinct`, and of at least so many `groups`."""
  plan, original, render = query.plan, query.original, query.render
  if plan.refusal:
    return plan.refusal
  widened: Sequence[tuple] | None = None
  try:
    if plan.limited:
      # One run for both: on a large table a query takes seconds.
      tie = plan.ties[0]
      widened = original.rows(render(tie.query))
      limit = int(render(tie.limit))
      rows: Sequence[tuple] = [row[: min(tie.keys[0], 0) or None] for row in widened[:limit]]
    else:
      rows = original.rows(query.sql)
  except QueryFailed as error:
    return Rejection.TIMEOUT if error.status == "timeout" else Rejection.FAILS
  reason = _poor_result(query.sql, rows, limits)
  if reason in (None, Rejection.TOO_MANY) and distinct and len(set(map(repr, rows))) < len(rows):
    return Rejection.REPEATED
  if reason:
    return reason
  if sum(None not in row for row in rows) < groups:
    return Rejection.ONE_GROUP if len(rows) == 1 else Rejection.DROPPED
  try:
    query = dataclasses.replace(query, neighbours=_answering(query, rows))
    return (
      _tie_at_limit(query, widened)
      or _bare_column(query)
      or _several_rows(query)
      or _empty_elsewhere(query, limits)
      or _same_columns(query, rows)
      or _redundant_part(query, rows)
    )
  except QueryFailed as error:
    return Rejection.CHECK_TIMEOUT if error.status == "timeout" else Rejection.CHECK_FAILS


def _answering(query: _Judged, rows: Sequence[tuple]) -> list[Runner]:
  """The neighbours on which the query runs: one where the data make it fail says nothing. Where
  another engine stands in for the original's, none does unless the query gives `rows` there too.
  """
  found = []
  for neighbour in query.neighbours:
    if neighbour.may_fail_by_data:
      try:
        elsewhere = neighbour.rows(query.sql)
      except QueryFailed as error:
        if error.status == "timeout":
          raise
        if neighbour.is_unchanged_copy:
          return []
        continue
      if neighbour.is_unchanged_copy:
        if collections.Counter(elsewhere) != collections.Counter(rows):
          return []
        continue
    found.append(neighbour)
  return found


def _quoted_string(tree: exp.Expr, original: Runner) -> bool:
  """Whether a name in double quotes is no column, so that SQLite silently takes it for a text."""
  quoted = {
    column.name.lower()
    for column in tree.find_all(exp.Column)
    if not column.table and column.this.args.get("quoted")
  }
  if not quoted:
    return False
  known = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
  for table in {table.name for table in tree.find_all(exp.Table)}:
    text = exp.Literal.string(table).sql()
    try:
      named = original.rows(f"SELECT name FROM pragma_table_info({text})")
    except QueryFailed:
      return False
    known |= {row[0].lower() for row in named}
  return not quoted <= known


def _poor_result(sql: str, rows: Sequence[tuple], limits: Limits) -> Rejection | None:
  if not rows:
    return Rejection.EMPTY
  if len(rows) > limits.max_rows:
    return Rejection.TOO_MANY
  if all(value is None for row in rows for value in row):
    return Rejection.ONLY_NULL
  first = rows[0]
  if len(rows) == 1 and len(first) > 1 and first[0] is None and " GROUP BY " in sql:
    # "The company with the most customers, and how many": those of no company.
    return Rejection.NULL_FIRST
  if len(rows) == 1 and all(value in (0, None) for value in first):
    return Rejection.ONLY_ZERO
  alike = all(row == first for row in rows)
  if len(rows) > 2 and alike:
    return Rejection.ALL_EQUAL
  only_text = len(first) == 1 and isinstance(first[0], str) and alike
  if only_text and f"= {exp.Literal.string(first[0]).sql()}" in sql:
    # The answer stands in the question: "the country of the singers from France".
    return Rejection.CONSTANT
  return None


def _tie_at_limit(query: _Judged, widened: Sequence[tuple] | None) -> Rejection | None:
  """Whether which rows a LIMIT keeps is chance, or whether it cuts nothing of the original.

  Chance: equal or NULL sort keys at the cut. `widened` is the result of the first probe where it is
  known.
  """
  for index, tie in enumerate(query.plan.ties):
    sql, count = query.render(tie.query), int(query.render(tie.limit))
    known = widened is not None and index == 0
    found = widened if known and widened is not None else query.original.rows(sql)
    keys = sort_keys(tie, found)
    if any(None in key for key in keys[:count]):
      return Rejection.NULL_AT_LIMIT
    if len(found) <= count:
      return Rejection.REDUNDANT_LIMIT
    if keys[count - 1] == keys[count]:
      return Rejection.TIE_AT_LIMIT
  return None


def sort_keys(tie: TieProbe, rows: Sequence[tuple]) -> list[tuple]:
  """The sort keys of the rows that a tie probe has returned."""
  return [tuple(row[place] for place in tie.keys) for row in rows]


def _bare_column(query: _Judged) -> Rejection | None:
  instances = (query.original, *query.neighbours)
  several = any(each.rows(query.render(probe)) for probe in query.plan.bare for each in instances)
  return Rejection.BARE_COLUMN if several else None


def _several_rows(query: _Judged) -> Rejection | None:
  several = any(len(query.original.rows(query.render(each))) > 1 for each in query.plan.scalars)
  return Rejection.SEVERAL_ROWS if several else None


def _empty_elsewhere(query: _Judged, limits: Limits) -> Rejection | None:
  neighbours = query.neighbours
  if query.plan.null_sensitive or not neighbours:
    return None
  with_rows = sum(bool(neighbour.rows(query.sql)) for neighbour in neighbours)
  few = with_rows < limits.neighbours_with_rows * len(neighbours)
  return Rejection.EMPTY_ELSEWHERE if few else None


def _same_columns(query: _Judged, rows: Sequence[tuple]) -> Rejection | None:
  """Whether two columns of the result are equal in all rows of all instances: those that a join is
  made by.
  """
  if len(rows) < _ROWS_TO_TELL:
    return None
  pairs = list(itertools.combinations(range(len(rows[0])), 2))
  for instance in (query.original, *query.neighbours):
    if not pairs:
      return None
    found = rows if instance is query.original else instance.rows(query.sql)
    pairs = [(a, b) for a, b in pairs if all(row[a] == row[b] for row in found)]
  return Rejection.SAME_COLUMNS if pairs else None


def _redundant_part(query: _Judged, rows: Sequence[tuple]) -> Rejection | None:
  """Whether a part of the query could be left out and no instance would tell."""
  original, ordered = query.original, query.plan.ordered
  found: dict[int, list[tuple]] = {}

  def result(index: int, instance: Runner) -> list[tuple]:
    if index not in found:
      own = rows if instance is original else instance.rows(query.sql)
      found[index] = _comparable(own, ordered)
    return found[index]

  shorter = [(reason, query.render(part)) for reason, part in query.plan.reductions]
  joins = [(Rejection.REDUNDANT_JOIN, text) for text in query.shorter_joins]
  for reason, text in joins + shorter:
    # The original last: it may be large, and mostly a neighbour shows the difference.
    for index, instance in enumerate((*query.neighbours, original)):
      try:
        other = _comparable(instance.rows(text), ordered)
      except QueryFailed as error:
        if error.status == "timeout":
          raise
        break  # Without the part the query does not even run.
      if other != result(index, instance):
        break
    else:
      return reason
  return None


def _comparable(rows: Sequence[tuple], ordered: bool) -> list[tuple]:
  return list(rows) if ordered else sorted(rows, key=repr)
