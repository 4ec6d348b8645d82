"""What has to be run to judge a query, made from its tree alone.

For a template that is done once, whatever it is filled with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from sqlglot import exp

from spftsql_jax.synthesis.dialects import SlottedQuery, bare_columns
from spftsql_jax.synthesis.reductions import reductions
from spftsql_jax.synthesis.rejections import Rejection
from spftsql_jax.synthesis.slots import ColumnSlot, TableSlot
from spftsql_jax.synthesis.sql_style import write_sql

# Functions that give something else the next time, in any of the dialects, by sqlglot's name or
# their own.
_VOLATILE_NAMES = """
  array_sample array_shuffle changes clock_timestamp currval current_date current_datetime
  current_localtime current_localtimestamp current_query_id current_time current_timestamp
  current_timestamp_ltz gen_random_uuid generate_uuid get_current_time get_current_timestamp getdate
  last_insert_rowid lastval localtime localtimestamp nextval now rand randn random random_normal
  randomblob reservoir_quantile setseed statement_timestamp sysdate timeofday today total_changes
  transaction_timestamp txid_current unix_timestamp utc_date utc_time utc_timestamp uuid uuidv4
  uuidv7
"""
_VOLATILE = frozenset(_VOLATILE_NAMES.split())
# Those that mean now where they are not told a time, with the number of arguments that leaves.
_VOLATILE_BY_ARGUMENTS = {
  "date": 0,
  "time": 0,
  "datetime": 0,
  "julianday": 0,
  "unixepoch": 0,
  "age": 1,
}
# Texts that mean another day each day where they are read as a time; the first is read so by
# functions as well.
_VOLATILE_TIMES = frozenset({"now", "today", "tomorrow", "yesterday"})

# Writes a query of a plan as SQL, its slots filled.
Render = Callable[[SlottedQuery], str]


@dataclasses.dataclass(frozen=True)
class TieProbe:
  """A query with a LIMIT that returns one row more, with its sort keys.

  Attributes:
    query: that query.
    limit: the expression of the limit.
    keys: where the sort keys are in its rows (from the end, where they were added).
  """

  query: SlottedQuery
  limit: SlottedQuery
  keys: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
  """What has to be run to judge a query.

  Attributes:
    refusal: why such a query is never kept, or None.
    ties: a probe for each LIMIT.
    limited: the first of `ties` is of the whole query.
    bare: queries that return a row where a column outside the aggregates has several values in a
      group.
    scalars: nested queries that are compared with and must give one row; of several, SQLite takes
      any.
    reductions: what it would mean if this shorter query gave the same, and that query.
    ordered: the order of the rows counts.
    null_sensitive: one NULL in a nested query empties the result (NOT IN), as it does on
      neighbouring instances that add some.
  """

  refusal: Rejection | None
  ties: tuple[TieProbe, ...] = ()
  limited: bool = False
  bare: tuple[SlottedQuery, ...] = ()
  scalars: tuple[SlottedQuery, ...] = ()
  reductions: tuple[tuple[Rejection, SlottedQuery], ...] = ()
  ordered: bool = False
  null_sensitive: bool = False


class _Refused(Exception):
  """A query that is not kept whatever the data."""

  def __init__(self, reason: Rejection):
    super().__init__(reason)
    self.reason = reason


def make_plan(tree: exp.Expr, keys: frozenset[int] = frozenset()) -> Plan:
  """The plan of a query, or of a template's query, of which `keys` are the primary key slots."""
  if reason := _volatile(tree):
    return Plan(reason)
  try:
    return Plan(
      None,
      ties=tuple(_tie_probes(tree)),
      limited=tree.args.get("limit") is not None,
      bare=tuple(map(SlottedQuery, _bare_column_probes(tree, keys))),
      scalars=tuple(map(SlottedQuery, _scalar_probes(tree))),
      reductions=tuple((reason, SlottedQuery(shorter)) for reason, shorter in reductions(tree)),
      ordered=tree.args.get("order") is not None,
      null_sensitive=any(
        isinstance(node.this, exp.In) and node.this.args.get("query")
        for node in tree.find_all(exp.Not)
      ),
    )
  except _Refused as refused:
    return Plan(refused.reason)


def _volatile(tree: exp.Expr) -> Rejection | None:
  for node in tree.find_all(exp.Func):
    if isinstance(node, exp.Anonymous):
      name, arguments = node.name.lower(), node.expressions
    else:
      name, arguments = node.sql_name().lower(), [value for value in node.args.values() if value]
    if name in _VOLATILE or _VOLATILE_BY_ARGUMENTS.get(name) == len(arguments):
      return Rejection.VOLATILE
  for literal in tree.find_all(exp.Literal):
    text = literal.name.strip().lower() if literal.is_string else ""
    if text == "now" or (text in _VOLATILE_TIMES and isinstance(literal.parent, exp.Cast)):
      return Rejection.VOLATILE
  # A clause of a table or of the whole query.
  return Rejection.SAMPLE if tree.find(exp.TableSample) else None


def _tie_probes(tree: exp.Expr) -> Iterator[TieProbe]:
  for query in tree.find_all(exp.Select, exp.SetOperation):
    limit = query.args.get("limit")
    if limit is None:
      continue
    order = query.args.get("order")
    if order is None:
      raise _Refused(Rejection.NO_ORDER)
    if query.args.get("offset") or not isinstance(limit, exp.Limit):
      raise _Refused(Rejection.UNUSUAL_LIMIT)
    if _correlated(query):
      raise _Refused(Rejection.CORRELATED_LIMIT)
    widened = query.copy()
    sorted_by = [item.this for item in order.expressions]
    if isinstance(query, exp.Select) and not query.args.get("distinct"):
      for index, key in enumerate(sorted_by):
        widened.append("expressions", exp.alias_(_unaliased(key, query), f"sort_key_{index}"))
      places = tuple(range(-len(sorted_by), 0))
    else:
      outputs = [_output_name(item) for item in query.selects]
      names = [_key_name(key) for key in sorted_by]
      if not all(name in outputs for name in names):
        raise _Refused(Rejection.HIDDEN_ORDER)
      places = tuple(outputs.index(name) for name in names)
    more = exp.Add(this=limit.expression.copy(), expression=exp.Literal.number(1))
    widened.set("limit", exp.Limit(expression=more))
    yield TieProbe(SlottedQuery(widened), SlottedQuery(limit.expression), places)


def _output_name(item: exp.Expr) -> object:
  """What a sort key calls an output column."""
  if isinstance(item, ColumnSlot):
    return item.scope, item.letter, item.number
  return item.alias_or_name.lower() or write_sql(item)


def _key_name(key: exp.Expr) -> object:
  if isinstance(key, ColumnSlot):
    return key.scope, key.letter, key.number
  return key.name.lower() if isinstance(key, exp.Column) else write_sql(key)


def _unaliased(key: exp.Expr, query: exp.Select) -> exp.Expr:
  """A sort key that names or counts an output column, as that column's expression."""
  for index, item in enumerate(query.selects):
    named = (
      isinstance(key, exp.Column)
      and not isinstance(key, ColumnSlot)
      and not key.table
      and isinstance(item, exp.Alias)
      and item.alias == key.name
    )
    if named or (isinstance(key, exp.Literal) and key.name == str(index + 1)):
      return item.unalias().copy()
  return key.copy()


def _correlated(query: exp.Expr) -> bool:
  """Whether a query names columns of a query around it."""
  scopes = {table.scope for table in query.find_all(TableSlot)}
  own = {table.alias_or_name.lower() for table in query.find_all(exp.Table)}
  for column in query.find_all(exp.Column):
    if isinstance(column, ColumnSlot):
      if column.scope not in scopes:
        return True
    elif column.table and column.table.lower() not in own:
      return True
  return False


def _bare_column_probes(tree: exp.Expr, keys: frozenset[int]) -> Iterator[exp.Expr]:
  """Queries for a group in which a column outside the aggregates has several values.

  SQLite returns any of them.
  """
  for select in tree.find_all(exp.Select):
    group, having, order = (select.args.get(part) for part in ("group", "having", "order"))
    outputs = [*select.selects, *([having.this] if having else [])]
    outputs += [_unaliased(item.this, select) for item in order.expressions] if order else []
    aggregates = any(_own(select, exp.AggFunc, output) for output in outputs)
    if group is None and not aggregates:
      continue
    items = [_group_item(item, select) for item in group.expressions] if group is not None else []
    bare = _bare_columns(outputs, items, keys)
    if not bare:
      continue
    if group is None or _correlated(select):
      raise _Refused(Rejection.BARE_COLUMN)
    probe = select.copy()
    for part in ("order", "limit", "distinct"):
      probe.set(part, None)
    probe.set("expressions", [exp.Literal.number(1)])
    several = [
      exp.GT(
        this=exp.Count(this=exp.Distinct(expressions=[column.copy()])),
        expression=exp.Literal.number(1),
      )
      for column in bare
    ]
    probe.set("having", exp.Having(this=exp.or_(*several)))
    probe.set("group", exp.Group(expressions=[item.copy() for item in items]))
    probe.set("limit", exp.Limit(expression=exp.Literal.number(1)))
    yield probe


def _bare_columns(
  outputs: list[exp.Expr], items: list[exp.Expr], keys: frozenset[int]
) -> list[exp.Column]:
  """The columns of `outputs` that grouping by `items` does not determine, each once."""
  # A primary key in GROUP BY determines the other columns of its table.
  determined = {
    (item.scope, item.letter)
    for item in items
    if isinstance(item, ColumnSlot) and item.number in keys
  }
  grouped = set(items)
  found = dict.fromkeys(column for output in outputs for column in bare_columns(output, grouped))
  return [
    column
    for column in found
    if not isinstance(column, ColumnSlot) or (column.scope, column.letter) not in determined
  ]


def _scalar_probes(tree: exp.Expr) -> Iterator[exp.Expr]:
  """The nested queries of comparisons that may give several rows.

  They have no aggregate, or one for each group.
  """
  for nested in tree.find_all(exp.Subquery):
    query, around = nested.this, nested.parent
    compared = isinstance(around, (exp.Binary, exp.Between))
    if not compared or isinstance(around, exp.SetOperation) or not isinstance(query, exp.Select):
      continue
    if query.args.get("limit") or _correlated(query):
      continue
    if query.args.get("group") or not any(_own(query, exp.AggFunc, item) for item in query.selects):
      yield query


def _group_item(item: exp.Expr, select: exp.Select) -> exp.Expr:
  if isinstance(item, exp.Literal) and item.is_int and int(item.name) <= len(select.selects):
    return select.selects[int(item.name) - 1].unalias()
  return item


def _own(select: exp.Select, kind: type[exp.Expr], root: exp.Expr) -> bool:
  return any(
    node.find_ancestor(exp.Select) is select and not node.find_ancestor(exp.Window)
    for node in root.find_all(kind)
  )
