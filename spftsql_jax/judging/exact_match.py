"""Spider's exact match: two queries are the same if each of their components is, as a set (Yu et
al., EMNLP 2018).

Values and DISTINCT do not count, nor does which of two columns tied by a foreign key is named. The
oddities of the official script are kept: DISTINCT and the choice of column do count inside
subqueries, the order of conditions counts in HAVING and in subqueries, and in FROM a subquery
counts with its values.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from spftsql_jax.databases import introspection
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.judging.spider_grammar import (
  Column,
  Condition,
  NotReadError,
  Operand,
  Query,
  Tables,
  read_query,
)

COMPONENTS = (
  "select",
  "select(no AGG)",
  "where",
  "where(no OP)",
  "group(no Having)",
  "group",
  "order",
  "and/or",
  "IUEN",
  "keywords",
)


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentMatch:
  """Whether a component agrees, and how many things it holds in either query (0: the query does not
  have it).
  """

  same: bool
  gold: int
  predicted: int


@dataclasses.dataclass(frozen=True, slots=True)
class ExactMatch:
  """The judgement of one prediction.

  Attributes:
    correct: all components and the tables agree.
    components: how each of `COMPONENTS` agrees.
    divergence: a key of `divergences.DIVERGENCES`, or "".
  """

  correct: bool
  components: dict[str, ComponentMatch]
  divergence: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class MatchSchema:
  """What exact match knows of a database: its tables, and for each column in a foreign key the one
  that stands for both.
  """

  tables: Tables
  representatives: dict[str, str]


def exact_match(gold: str, predicted: str, schema: MatchSchema) -> ExactMatch:
  """Compares a prediction with the gold query, component by component."""
  nothing = dict.fromkeys(COMPONENTS, ComponentMatch(False, 0, 0))
  try:
    gold_query = read_query(gold, schema.tables)
  except NotReadError:
    return ExactMatch(False, nothing, "gold_not_read")
  try:
    # The letters "value" stand for a value that a model does not predict.
    predicted_query = read_query(predicted.replace("value", "1"), schema.tables)
  except NotReadError:
    predicted_query = Query()
  if not (_alternates(gold_query) and _alternates(predicted_query)):
    return ExactMatch(False, nothing, "conditions_not_connected")
  gold_query = _with_representatives(_without_values(gold_query), schema)
  predicted_query = _with_representatives(_without_values(predicted_query), schema)
  parts = compare(gold_query, predicted_query)
  return ExactMatch(_all_same(gold_query, predicted_query, parts), parts)


def compare(gold: Query, predicted: Query) -> dict[str, ComponentMatch]:
  """How each component of two queries agrees."""
  having = (
    bool(gold.group)
    and [c[1] for c in gold.group] == [c[1] for c in predicted.group]
    and gold.having == predicted.having
  )
  connectors = (
    {c for c in gold.where if isinstance(c, str)},
    {c for c in predicted.where if isinstance(c, str)},
  )
  order = gold.order is not None and gold.order == predicted.order and gold.limit == predicted.limit
  return {
    "select": _bags(gold.select, predicted.select),
    "select(no AGG)": _bags([s[1] for s in gold.select], [s[1] for s in predicted.select]),
    "where": _bags(gold.where[::2], predicted.where[::2]),
    "where(no OP)": _bags(*(_operands(query.where) for query in (gold, predicted))),
    "group(no Having)": _bags(
      *([c[1].rpartition(".")[2] for c in query.group] for query in (gold, predicted))
    ),
    "group": _flags(bool(gold.group), bool(predicted.group), having),
    "order": _flags(gold.order is not None, predicted.order is not None, order),
    # The official script names the sizes the other way round here.
    "and/or": ComponentMatch(True, 1, 1)
    if connectors[0] == connectors[1]
    else ComponentMatch(False, len(connectors[1]), len(connectors[0])),
    "IUEN": _set_operations(gold.set_operation, predicted.set_operation),
    "keywords": _bags(_keywords(gold), _keywords(predicted)),
  }


def partial_scores(matches: Sequence[ExactMatch]) -> dict[str, dict[str, float]]:
  """For each component: accuracy over the predictions that have it, recall over the gold queries
  that have it, and their F1, in [0, 1].

  As in the official table F1 is 1 where accuracy and recall are both 0, for example where no query
  has the component.
  """
  scores = {}
  for name in COMPONENTS:
    parts = [match.components[name] for match in matches if match.components]
    same_in_predicted = [part.same for part in parts if part.predicted]
    same_in_gold = [part.same for part in parts if part.gold]
    accuracy = sum(same_in_predicted) / max(1, len(same_in_predicted))
    recall = sum(same_in_gold) / max(1, len(same_in_gold))
    f1 = 2 * accuracy * recall / (accuracy + recall) if accuracy + recall else 1.0
    scores[name] = {"accuracy": accuracy, "recall": recall, "f1": f1}
  return scores


def read_schema(location: str, foreign_keys: dict[str, str] | None = None) -> MatchSchema:
  """Tables and columns of a database; without `foreign_keys` those that it declares are used.
  Raises DatabaseError.
  """
  if engine_of(location) != "sqlite":
    return _read_elsewhere(location, foreign_keys)
  with contextlib.closing(sqlite.connect(location)) as connection:
    connection.text_factory = sqlite.lenient_text
    names = [
      name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    tables = {
      name.lower(): frozenset(
        row[0].lower()
        for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
      )
      for name in names
    }
    if foreign_keys is None:
      foreign_keys = _representatives(_declared_keys(connection, names))
  return MatchSchema(tables, foreign_keys)


def _read_elsewhere(location: str, foreign_keys: dict[str, str] | None) -> MatchSchema:
  """`read_schema` of a database that is no SQLite file."""
  schema = introspection.read_schema(location)
  tables = {
    table.name.lower(): frozenset(column.name.lower() for column in table.columns)
    for table in schema.tables
    if not table.is_view
  }
  if foreign_keys is None:
    foreign_keys = _representatives(
      (f"{table.name}.{own}".lower(), f"{key.referred_table}.{theirs}".lower())
      for table in schema.tables
      for key in table.foreign_keys
      for own, theirs in zip(key.columns, key.referred_columns, strict=True)
    )
  return MatchSchema(tables, foreign_keys)


def read_foreign_keys(path: str | Path) -> dict[str, dict[str, str]]:
  """From Spider's tables.json, for each database the column that stands for each column in a
  foreign key.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not a list of schemas as in tables.json.
  """
  try:
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    keys = {}
    for entry in entries:
      tables = [name.lower() for name in entry["table_names_original"]]
      columns = [
        "*" if t < 0 else f"{tables[t]}.{name.lower()}"
        for t, name in entry["column_names_original"]
      ]
      keys[entry["db_id"]] = _representatives(
        [(columns[a], columns[b]) for a, b in entry["foreign_keys"]], columns.index
      )
    return keys
  except json.JSONDecodeError as error:
    raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
    raise ValueError(
      f"{path}: not a list of schemas as in Spider's tables.json ({error!r})"
    ) from error


def _declared_keys(connection: Connection, names: Sequence[str]) -> Iterator[tuple[str, str]]:
  for name in names:
    rows = connection.execute(
      'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (name,)
    )
    for column, referred_table, referred_column in rows:
      if referred_column is not None:
        yield f"{name}.{column}".lower(), f"{referred_table}.{referred_column}".lower()


def _representatives(
  keys: Iterable[tuple[str, str]], position: Callable[[str], Any] = str
) -> dict[str, str]:
  """The first column of each group that foreign keys tie together.

  A key joins the first group that has one of its columns; groups are not merged, as in the official
  script.
  """
  groups: list[set[str]] = []
  for pair in keys:
    group = next((group for group in groups if not group.isdisjoint(pair)), None)
    if group is None:
      group = set()
      groups.append(group)
    group.update(pair)
  return {column: min(group, key=position) for group in groups for column in group}


def _operands(conditions: Sequence[Condition | str]) -> list[Operand]:
  """The operands of conditions, which stand in every other place."""
  return [each.operand for each in conditions if not isinstance(each, str)]


def _all_same(gold: Query, predicted: Query, parts: dict[str, ComponentMatch]) -> bool:
  tables_agree = not gold.tables or Counter(gold.tables) == Counter(predicted.tables)
  return all(part.same for part in parts.values()) and tables_agree


def _bags(gold: Sequence, predicted: Sequence) -> ComponentMatch:
  return ComponentMatch(Counter(gold) == Counter(predicted), len(gold), len(predicted))


def _flags(gold: bool, predicted: bool, same: bool) -> ComponentMatch:
  return ComponentMatch(gold == predicted and (same or not gold), int(gold), int(predicted))


def _set_operations(
  gold: tuple[str, Query] | None, predicted: tuple[str, Query] | None
) -> ComponentMatch:
  same = gold is None
  if gold is not None and predicted is not None and gold[0] == predicted[0]:
    same = _all_same(gold[1], predicted[1], compare(gold[1], predicted[1]))
  return _flags(gold is not None, predicted is not None, same)


def _keywords(query: Query) -> list[str]:
  present = {
    "where": query.where,
    "group": query.group,
    "having": query.having,
    "order": query.order,
    "limit": query.limit,
  }
  words = {word for word, part in present.items() if part}
  if query.order is not None:
    words.add(query.order[0])
  if query.set_operation is not None:
    words.add(query.set_operation[0])
  for each in (*query.on, *query.where, *query.having):
    if isinstance(each, Condition):
      words.update(word for word in ("in", "like") if word == each.operator)
      words.update(("not",) if each.negated else ())
    elif each == "or":
      words.add(each)
  return sorted(words)


def _alternates(query: Query) -> bool:
  """Whether conditions and connectors alternate; the official script fails on others (two
  conditions with nothing between).
  """
  lists = [query.on, query.where, query.having]
  regular = all(
    isinstance(each, Condition) == (i % 2 == 0)
    for conditions in lists
    for i, each in enumerate(conditions)
  )
  return regular and (query.set_operation is None or _alternates(query.set_operation[1]))


def _without_values(query: Query) -> Query:
  """The query with no values in its conditions, those of its set operation and those of the
  subqueries in them.
  """

  def strip(conditions: tuple[Condition | str, ...]) -> tuple[Condition | str, ...]:
    return tuple(
      dataclasses.replace(c, value=_query_alone(c.value), second_value=_query_alone(c.second_value))
      if isinstance(c, Condition)
      else c
      for c in conditions
    )

  follower = query.set_operation and (
    query.set_operation[0],
    _without_values(query.set_operation[1]),
  )
  return dataclasses.replace(
    query,
    on=strip(query.on),
    where=strip(query.where),
    having=strip(query.having),
    set_operation=follower,
  )


def _query_alone(value: object) -> Query | None:
  return _without_values(value) if isinstance(value, Query) else None


def _with_representatives(query: Query, schema: MatchSchema) -> Query:
  """The query without DISTINCT and with one column for each group tied by foreign keys, among the
  tables of its FROM; queries behind set operations follow the first one's tables, subqueries stay
  as they are.
  """
  tables = {table for table in query.tables if isinstance(table, str)}
  known = {
    column: representative
    for column, representative in schema.representatives.items()
    if (parts := column.partition("."))[0] in tables and parts[2] in schema.tables[parts[0]]
  }
  return _replace_columns(query, known)


def _replace_columns(query: Query, known: dict[str, str]) -> Query:
  def column(old: Column) -> Column:
    return old[0], known.get(old[1], old[1]), None

  def operand(old: Operand) -> Operand:
    return old[0], column(old[1]), old[2] and column(old[2])

  def conditions(old: tuple[Condition | str, ...]) -> tuple[Condition | str, ...]:
    return tuple(
      dataclasses.replace(c, operand=operand(c.operand)) if isinstance(c, Condition) else c
      for c in old
    )

  return dataclasses.replace(
    query,
    distinct=None,
    select=tuple((aggregate, operand(old)) for aggregate, old in query.select),
    on=conditions(query.on),
    where=conditions(query.where),
    group=tuple(map(column, query.group)),
    having=conditions(query.having),
    order=query.order and (query.order[0], tuple(map(operand, query.order[1]))),
    set_operation=query.set_operation
    and (query.set_operation[0], _replace_columns(query.set_operation[1], known)),
  )
