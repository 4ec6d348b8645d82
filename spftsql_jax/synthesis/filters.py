"""Which synthesized queries are kept: those whose result says something, says it every time, and
needs every part of the query.

Weak checkers get exploited: an empty result is matched by any other empty one, a tie under LIMIT,
SQLite's bare columns and volatile functions make noise, and a condition that changes nothing
teaches to ignore the question.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis import notation, sampler
from spftsql_jax.synthesis.runner import QueryFailed, Runner

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


REPEATED = "rows repeated by a join"
TOO_MANY = "too many rows"
_MASKED_VALUE = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


@dataclasses.dataclass(frozen=True)
class Limits:
  """What a kept query may cost and must give.

  Attributes:
    max_rows: more rows than this are no answer to a question.
    neighbours_with_rows: share of the neighbouring instances on which the result must not be empty.
    repeated_rows: a list may have the same row several times because a join repeats it ("the
      patients who had a visit", each as often as they came), and a join may end in a table of which
      nothing is said, as in the queries of some sources.
  """

  max_rows: int = 1_000
  neighbours_with_rows: float = 0.5
  repeated_rows: bool = True


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Plan:
  """What has to be run to judge a query, made from its syntax tree alone; a text is SQL, or
  segments of a template.

  Attributes:
    refusal: why such a query is never kept, or None.
    ties: for each LIMIT: a query that returns one row more with its sort keys, the limit's text,
      and where the keys are (from the end, where they were added).
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

  refusal: str | None
  ties: tuple[tuple[object, object, tuple[int, ...]], ...] = ()
  limited: bool = False
  bare: tuple[object, ...] = ()
  scalars: tuple[object, ...] = ()
  reductions: tuple[tuple[str, object], ...] = ()
  ordered: bool = False
  null_sensitive: bool = False


def check(
  sql: str,
  original: Runner,
  neighbours: Sequence[Runner] = (),
  dialect: str = "sqlite",
  limits: Limits = DEFAULT_LIMITS,
) -> str | None:
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
    return "does not parse"
  if not isinstance(tree, exp.Query):
    return "not a SELECT"
  if dialect == "sqlite" and _quoted_string(tree, original):
    return "quoted string"
  return _judge(sql, make_plan(tree, dialect), str, (), original, neighbours, limits)


def check_filled(
  filled: sampler.Filled,
  template: notation.Template,
  original: Runner,
  neighbours: Sequence[Runner],
  limits: Limits,
) -> str | None:
  """`check` for a query made of a template: the same judgement, without parsing anything."""
  if filled.idle and not limits.repeated_rows:
    return "redundant join"
  distinct = not limits.repeated_rows and filled.repeats
  plan = template_plan(template.text)
  return _judge(
    filled.sql, plan, filled.render, filled.shorter_joins, original, neighbours, limits, distinct
  )


@functools.lru_cache(maxsize=20_000)
def template_plan(text: str) -> Plan:
  """The plan of all queries of a template."""
  compiled = notation.compile_template(text)
  keys = {number for number, slot in compiled.slots.items() if slot.kind == "key"}
  plan = make_plan(sqlglot.parse_one(compiled.marked, read="sqlite"), notation.SqlStyle, keys)
  split = notation.split_marks
  return dataclasses.replace(
    plan,
    ties=tuple((split(query), split(limit), positions) for query, limit, positions in plan.ties),
    bare=tuple(split(query) for query in plan.bare),
    scalars=tuple(split(query) for query in plan.scalars),
    reductions=tuple((reason, split(query)) for reason, query in plan.reductions),
  )


def make_plan(
  tree: exp.Query, dialect: object = "sqlite", keys: frozenset[int] | set[int] = frozenset()
) -> Plan:
  """The plan of a query, or of a template's marked text, of which `keys` are the slots that are
  primary keys.
  """
  if reason := _volatile(tree):
    return Plan(reason)
  try:
    return Plan(
      None,
      ties=tuple(_tie_probes(tree, dialect)),
      limited=tree.args.get("limit") is not None,
      bare=tuple(_bare_column_probes(tree, dialect, keys)),
      scalars=tuple(_scalar_probes(tree, dialect)),
      reductions=tuple(
        (reason, shorter.sql(dialect=dialect)) for reason, shorter in reductions(tree)
      ),
      ordered=tree.args.get("order") is not None,
      null_sensitive=any(
        isinstance(node.this, exp.In) and node.this.args.get("query")
        for node in tree.find_all(exp.Not)
      ),
    )
  except _Refused as refused:
    return Plan(str(refused))


class _Refused(Exception):
  """A query that is not kept whatever the data."""


def _judge(
  sql, plan, render, shorter_joins, original, neighbours, limits, distinct=False
) -> str | None:
  if plan.refusal:
    return plan.refusal
  widened = None
  try:
    if plan.limited:
      # One run for both: on a large table a query takes seconds.
      probe, limit, positions = plan.ties[0]
      widened = original.rows(render(probe))
      rows = [row[: min(positions[0], 0) or None] for row in widened[: int(render(limit))]]
    else:
      rows = original.rows(sql)
  except QueryFailed as error:
    return "timeout" if error.status == "timeout" else "fails"
  reason = _poor_result(sql, rows, limits)
  if reason in (None, TOO_MANY) and distinct and len(set(map(repr, rows))) < len(rows):
    return REPEATED
  if reason:
    return reason
  try:
    return (
      _tie_at_limit(plan, render, widened, original, neighbours)
      or (
        "bare column"
        if any(i.rows(render(query)) for query in plan.bare for i in (original, *neighbours))
        else None
      )
      or (
        "several rows to compare with"
        if any(len(original.rows(render(query))) > 1 for query in plan.scalars)
        else None
      )
      or (None if plan.null_sensitive else _empty_elsewhere(sql, neighbours, limits))
      or _redundant_part(sql, plan, render, shorter_joins, rows, original, neighbours)
    )
  except QueryFailed as error:
    return "timeout in a check" if error.status == "timeout" else "a check fails"


def _quoted_string(tree: exp.Query, original: Runner) -> bool:
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
    try:
      known |= {
        row[0].lower()
        for row in original.rows(
          f"SELECT name FROM pragma_table_info({exp.Literal.string(table).sql()})"
        )
      }
    except QueryFailed:
      return False
  return not quoted <= known


def _volatile(tree: exp.Expression) -> str | None:
  for node in tree.find_all(exp.Func):
    name = node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()
    arguments = (
      node.expressions
      if isinstance(node, exp.Anonymous)
      else [value for value in node.args.values() if value]
    )
    if name in _VOLATILE or _VOLATILE_BY_ARGUMENTS.get(name) == len(arguments):
      return "volatile function"
  for literal in tree.find_all(exp.Literal):
    text = literal.name.strip().lower() if literal.is_string else ""
    if text == "now" or (text in _VOLATILE_TIMES and isinstance(literal.parent, exp.Cast)):
      return "volatile function"
  # A clause of a table or of the whole query.
  return "sample" if tree.find(exp.TableSample) else None


def _poor_result(sql: str, rows: Sequence[tuple], limits: Limits) -> str | None:
  if not rows:
    return "empty"
  if len(rows) > limits.max_rows:
    return TOO_MANY
  if all(value is None for row in rows for value in row):
    return "only NULL"
  if len(rows) == 1 and len(rows[0]) > 1 and rows[0][0] is None and " GROUP BY " in sql:
    return "NULL first"  # "The company with the most customers, and how many": those of no company.
  if len(rows) == 1 and all(value in (0, None) for value in rows[0]):
    return "only zero"
  if len(rows) > 2 and all(row == rows[0] for row in rows):
    return "all rows equal"
  only_text = (
    len(rows[0]) == 1 and isinstance(rows[0][0], str) and all(row == rows[0] for row in rows)
  )
  if only_text and f"= {exp.Literal.string(rows[0][0]).sql()}" in sql:
    # The answer stands in the question: "the country of the singers from France".
    return "constant"
  return None


def _tie_at_limit(
  plan: Plan,
  render: Callable,
  widened: Sequence[tuple] | None,
  original: Runner,
  neighbours: Sequence[Runner],
) -> str | None:
  """Whether which rows a LIMIT keeps is chance (equal or NULL sort keys at the cut), or whether it
  cuts nothing anywhere; `widened` is the result of the first probe where it is known.
  """
  for index, (query, limit, positions) in enumerate(plan.ties):
    count = int(render(limit))
    found = widened if widened is not None and index == 0 else original.rows(render(query))
    sort_keys = [tuple(row[position] for position in positions) for row in found]
    if any(None in key for key in sort_keys[:count]):
      return "NULL at LIMIT"
    if len(found) < count or (
      len(found) == count and not any(len(i.rows(render(query))) > count for i in neighbours)
    ):
      return "redundant LIMIT"
    if len(found) > count and sort_keys[count - 1] == sort_keys[count]:
      return "tie at LIMIT"
  return None


def _tie_probes(tree: exp.Query, dialect: object) -> Iterator[tuple[str, str, tuple[int, ...]]]:
  for query in tree.find_all(exp.Select, exp.SetOperation):
    limit = query.args.get("limit")
    if limit is None:
      continue
    order = query.args.get("order")
    if order is None:
      raise _Refused("LIMIT without ORDER BY")
    if query.args.get("offset") or not isinstance(limit, exp.Limit):
      raise _Refused("unusual LIMIT")
    if _correlated(query):
      raise _Refused("LIMIT in a correlated query")
    widened = query.copy()
    keys = [item.this for item in order.expressions]
    if isinstance(widened, exp.Select) and not widened.args.get("distinct"):
      for index, key in enumerate(keys):
        widened.select(exp.alias_(_unaliased(key, query), f"sort_key_{index}"), copy=False)
      positions = tuple(range(-len(keys), 0))
    else:
      outputs = [item.alias_or_name.lower() or item.sql() for item in query.selects]
      texts = [key.name.lower() if isinstance(key, exp.Column) else key.sql() for key in keys]
      if not all(text in outputs for text in texts):
        raise _Refused("LIMIT with an order that DISTINCT hides")
      positions = tuple(outputs.index(text) for text in texts)
    more = exp.Add(this=limit.expression.copy(), expression=exp.Literal.number(1))
    widened.set("limit", exp.Limit(expression=more))
    yield widened.sql(dialect=dialect), limit.expression.sql(dialect=dialect), positions


def _unaliased(key: exp.Expression, query: exp.Select) -> exp.Expression:
  """A sort key that names or counts an output column, as that column's expression."""
  for index, item in enumerate(query.selects):
    named = (
      isinstance(key, exp.Column)
      and not key.table
      and isinstance(item, exp.Alias)
      and item.alias == key.name
    )
    if named or (isinstance(key, exp.Literal) and key.name == str(index + 1)):
      return item.unalias().copy()
  return key.copy()


def _correlated(query: exp.Query) -> bool:
  """Whether a query names columns of a query around it."""
  own = {table.alias_or_name.lower() for table in query.find_all(exp.Table)}
  for column in query.find_all(exp.Column):
    if column.name.startswith("__col_"):
      if f"__from_{column.name.split('_')[3]}__" not in own:
        return True
    elif column.table and column.table.lower() not in own:
      return True
  return False


def _bare_column_probes(
  tree: exp.Query, dialect: object, keys: frozenset[int] | set[int]
) -> Iterator[str]:
  """Queries for a group in which a column outside the aggregates has several values, of which
  SQLite returns any.
  """
  for select in tree.find_all(exp.Select):
    group = select.args.get("group")
    outputs = [
      *select.selects,
      *([select.args["having"].this] if select.args.get("having") else []),
    ]
    outputs += (
      [_unaliased(item.this, select) for item in select.args["order"].expressions]
      if select.args.get("order")
      else []
    )
    aggregates = any(_own(select, exp.AggFunc, output) for output in outputs)
    if group is None and not aggregates:
      continue
    items = [_group_item(item, select) for item in group.expressions] if group is not None else []
    grouped = {item.sql() for item in items}
    # A primary key in GROUP BY determines the other columns of its table.
    determined = {
      marks[:-1] for item in items if (marks := _slot_marks(item)) and int(marks[-1]) in keys
    }
    bare = {column.sql(): column for output in outputs for column in _bare_columns(output, grouped)}
    bare = {
      text: column
      for text, column in bare.items()
      if (_slot_marks(column) or ("",))[:-1] not in determined
    }
    if not bare:
      continue
    if group is None or _correlated(select):
      raise _Refused("bare column")
    probe = select.copy()
    for part in ("order", "limit", "distinct"):
      probe.set(part, None)
    probe.set("expressions", [exp.Literal.number(1)])
    several = [
      exp.GT(
        this=exp.Count(this=exp.Distinct(expressions=[column.copy()])),
        expression=exp.Literal.number(1),
      )
      for column in bare.values()
    ]
    probe.set("having", exp.Having(this=exp.or_(*several)))
    probe.set("group", exp.Group(expressions=[item.copy() for item in items]))
    probe.set("limit", exp.Limit(expression=exp.Literal.number(1)))
    yield probe.sql(dialect=dialect)


def _scalar_probes(tree: exp.Query, dialect: object) -> Iterator[str]:
  """The nested queries of comparisons that may give several rows: no aggregate, or one for each
  group.
  """
  for nested in tree.find_all(exp.Subquery):
    query = nested.this
    compared = isinstance(nested.parent, (exp.Binary, exp.Between)) and not isinstance(
      nested.parent, exp.SetOperation
    )
    if (
      not compared
      or not isinstance(query, exp.Select)
      or query.args.get("limit")
      or _correlated(query)
    ):
      continue
    if query.args.get("group") or not any(_own(query, exp.AggFunc, item) for item in query.selects):
      yield query.sql(dialect=dialect)


def _slot_marks(node: exp.Expression) -> tuple[str, ...] | None:
  """Scope, letter and number of a template's marked column."""
  if isinstance(node, exp.Column) and node.name.startswith("__col_"):
    return tuple(node.name.strip("_").split("_")[1:])
  return None


def _group_item(item: exp.Expression, select: exp.Select) -> exp.Expression:
  if isinstance(item, exp.Literal) and item.is_int and int(item.name) <= len(select.selects):
    return select.selects[int(item.name) - 1].unalias()
  return item


def _own(select: exp.Select, kind: type, root: exp.Expression) -> bool:
  return any(
    node.find_ancestor(exp.Select) is select and not node.find_ancestor(exp.Window)
    for node in root.find_all(kind)
  )


def _bare_columns(node: exp.Expression, grouped: set[str]) -> Iterator[exp.Column]:
  """Columns below `node` that are neither grouped by, nor in an aggregate, nor in a nested
  query.
  """
  if node.sql() in grouped or isinstance(node, (exp.AggFunc, exp.Query, exp.Subquery)):
    return
  if isinstance(node, exp.Column):
    if not node.name.startswith("__val_"):
      yield node
    return
  for child in node.iter_expressions():
    yield from _bare_columns(child, grouped)


def _empty_elsewhere(sql: str, neighbours: Sequence[Runner], limits: Limits) -> str | None:
  if not neighbours:
    return None
  with_rows = sum(bool(neighbour.rows(sql)) for neighbour in neighbours)
  return (
    "empty on neighbours" if with_rows < limits.neighbours_with_rows * len(neighbours) else None
  )


def _redundant_part(sql, plan, render, shorter_joins, rows, original, neighbours) -> str | None:
  """Whether a part of the query could be left out and no instance would tell."""
  found: dict[int, object] = {}

  def result(index: int, instance: Runner) -> object:
    if index not in found:
      found[index] = _comparable(rows if instance is original else instance.rows(sql), plan.ordered)
    return found[index]

  shorter = [(reason, render(query)) for reason, query in plan.reductions]
  for reason, text in [("redundant join", text) for text in shorter_joins] + shorter:
    # The original last: it may be large, and mostly a neighbour shows the difference.
    for index, instance in enumerate((*neighbours, original)):
      try:
        other = _comparable(instance.rows(text), plan.ordered)
      except QueryFailed as error:
        if error.status == "timeout":
          raise
        break  # Without the part the query does not even run.
      if other != result(index, instance):
        break
    else:
      return reason
  return None


def _comparable(rows: Sequence[tuple], ordered: bool) -> object:
  return list(rows) if ordered else sorted(rows, key=repr)


def reductions(tree: exp.Query) -> Iterator[tuple[str, exp.Query]]:
  """The query with one part left out, and what its being equal would mean."""
  for where in tree.find_all(exp.Where, exp.Having):
    conditions = (
      list(where.this.flatten()) if isinstance(where.this, (exp.And, exp.Or)) else [where.this]
    )
    kind = type(where.this)
    for index in range(len(conditions)):
      copied, target = copy_with(tree, where)
      rest = [
        condition.copy() for position, condition in enumerate(conditions) if position != index
      ]
      if rest:
        target.set("this", (exp.or_ if kind is exp.Or else exp.and_)(*rest))
      else:
        target.pop()
      yield "redundant condition", copied
  yield from _known_alternatives(tree)
  for select in tree.find_all(exp.Select):
    yield from _shorter_joins(tree, select)
  for operation in tree.find_all(exp.SetOperation):
    for side in ("this", "expression"):
      if isinstance(operation, exp.Except) and side == "expression":
        continue
      copied, target = copy_with(tree, operation)
      kept = target.args[side].copy()
      if target is copied:
        # A set operation has no duplicates, so neither has what it is compared with.
        if isinstance(kept, exp.Select):
          kept.set("distinct", exp.Distinct())
        yield "redundant set operation", kept
      else:
        target.replace(kept)
        yield "redundant set operation", copied


def _known_alternatives(tree: exp.Query) -> Iterator[tuple[str, exp.Query]]:
  """The query with NOT NULL in place of an OR or a list of values: the same where one of them
  always holds (x < 7 OR x > 5).
  """
  for where in tree.find_all(exp.Where):
    conditions = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    for condition in conditions:
      inner = condition.unnest()
      if not isinstance(inner, exp.Or) and not (
        isinstance(inner, exp.In) and not inner.args.get("query")
      ):
        continue
      columns = {c.sql(): c for c in inner.find_all(exp.Column) if not c.name.startswith("__val_")}
      if (
        inner.find(exp.Select)
        or not columns
        or any(isinstance(c.this, exp.Star) for c in columns.values())
      ):
        continue
      known = [
        exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null()))
        for column in columns.values()
      ]
      copied, target = copy_with(tree, condition)
      target.replace(exp.and_(*known, copy=False))
      yield "tautological condition", copied


def _shorter_joins(tree: exp.Query, select: exp.Select) -> Iterator[tuple[str, exp.Query]]:
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
    yield "redundant join", copied


def copy_with(tree: exp.Expression, node: exp.Expression) -> tuple[exp.Expression, exp.Expression]:
  """A copy of the tree, and the copy's node that corresponds to `node`."""
  copied = tree.copy()
  for source, target in zip(tree.walk(), copied.walk(), strict=True):
    if source is node:
      return copied, target
  raise ValueError("the node is not in the tree")


def masked(form: str) -> str:
  """A normal form with every value masked: the same for queries that differ in their values
  only.
  """
  return _MASKED_VALUE.sub("?", form)


def normal_form(query: str | exp.Expression, dialect: str = "sqlite") -> str:
  """A text that is the same for queries which differ in case, white space, aliases and the order of
  AND only.

  Args:
    query: its text, or its tree, which is changed.
    dialect: of the text, and of what is returned.

  Raises:
    ValueError: the text does not parse.
  """
  try:
    tree = sqlglot.parse_one(query, read=dialect) if isinstance(query, str) else query
  except sqlglot.errors.SqlglotError as error:
    raise ValueError(f"query does not parse: {query}") from error
  nodes: dict[type, list[exp.Expression]] = {}
  for node in tree.walk():
    nodes.setdefault(type(node), []).append(node)
  sources: dict[int, list[exp.Expression]] = {}
  for table in nodes.get(exp.Table, ()):
    sources.setdefault(id(table.find_ancestor(exp.Select)), []).append(table)
  names = {select: _source_names(tables) for select, tables in sources.items()}
  for column in nodes.get(exp.Column, ()):
    _qualify(column, names)
  for table in nodes.get(exp.Table, ()):
    table.set("alias", None)
  for alias in nodes.get(exp.Alias, ()):
    alias.replace(alias.this)
  # The names that the columns were given just now are in lower case already.
  for identifier in nodes.get(exp.Identifier, ()):
    identifier.args["this"], identifier.args["quoted"] = identifier.name.lower(), False
  for conjunction in (*nodes.get(exp.And, ()), *nodes.get(exp.Or, ())):
    if type(conjunction.parent) is not type(conjunction):
      parts = sorted((part.copy() for part in conjunction.flatten()), key=lambda part: part.sql())
      joined = (exp.and_ if isinstance(conjunction, exp.And) else exp.or_)(*parts, copy=False)
      if conjunction.parent is not None:
        conjunction.replace(joined)
  return tree.sql(dialect=dialect, comments=False)


def _source_names(tables: Sequence[exp.Expression]) -> dict[str, str]:
  """By the alias of each table of a FROM its name, numbered where the table comes more than
  once.
  """
  names = [table.name.lower() for table in tables]
  return {
    table.alias_or_name.lower(): name
    if names.count(name) == 1
    else f"{name}{names[: position + 1].count(name)}"
    for position, (table, name) in enumerate(zip(tables, names, strict=True))
  }


def _qualify(column: exp.Expression, names: dict[int, dict[str, str]]) -> None:
  """Writes a column with its table's name instead of the alias."""
  select = column.find_ancestor(exp.Select)
  alias = column.table.lower()
  if not alias:
    own = names.get(id(select), {})
    if len(own) == 1 and not column.this.args.get("quoted"):
      column.set("table", exp.to_identifier(next(iter(own.values()))))
    return
  while select is not None:
    if alias in names.get(id(select), ()):
      column.set("table", exp.to_identifier(names[id(select)][alias]))
      return
    select = select.find_ancestor(exp.Select)
