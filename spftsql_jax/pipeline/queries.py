"""Which examples ask the same query. By it training, verification, self-play, selection and test
are apart.

A query comes with several wordings, and it can be written in several ways. Two examples count as
one query where they are of one database and share a key: their text but for white space, comments
and the case of words (`statements.same_text_key`); their normal form, in which aliases, the case of
names, the order of AND, the spelling of joins and comparisons are gone too; or the program that
SQLite compiles them to, in which the order of FROM often is. Queries that give the same rows by
other ways are not found: nothing cheap finds them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
import sqlite3
import typing
from collections.abc import Mapping, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.databases.engines import engine_module, sqlite
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.examples.example import Example
from spftsql_jax.judging.programs import program_form
from spftsql_jax.sql.statements import same_text_key
from spftsql_jax.synthesis.normal_form import normal_form

Key = tuple[str, str, str]

# The comparison that says the same of swapped operands, and the one that is its contrary.
_SWAPPED = {
  exp.EQ: exp.EQ,
  exp.NEQ: exp.NEQ,
  exp.LT: exp.GT,
  exp.GT: exp.LT,
  exp.LTE: exp.GTE,
  exp.GTE: exp.LTE,
}
_CONTRARY = {
  exp.EQ: exp.NEQ,
  exp.NEQ: exp.EQ,
  exp.LT: exp.GTE,
  exp.GTE: exp.LT,
  exp.GT: exp.LTE,
  exp.LTE: exp.GT,
}
# What may stand in another of its kind, grouped by parentheses.
_OPERATIONS = (exp.Binary, exp.Not, exp.Neg, exp.Between, exp.In)


class Queries:
  """Tells which examples ask the same query.

  Attributes:
    locations: of the databases, by db_id; on one that is missing here texts and normal forms alone
      are compared.
    dialects: of the databases' SQL, by db_id; where one is missing that of its location's engine,
      else SQLite's.
  """

  def __init__(self, locations: Mapping[str, str], dialects: Mapping[str, str] | None = None):
    self.locations, self.dialects = locations, dialects or {}
    self._keys: dict[tuple[str, str], frozenset[Key]] = {}

  def keys(self, examples: Sequence[Example]) -> list[frozenset[Key]]:
    """The keys of each example's query. Two examples that share one ask the same query."""
    asked = [(e.db_id, e.query) for e in examples]
    new: dict[str, set[str]] = {}
    for db_id, query in asked:
      if (db_id, query) not in self._keys:
        new.setdefault(db_id, set()).add(query)
    for db_id, queries in new.items():
      with contextlib.ExitStack() as stack:
        connection = self._connect(db_id, stack)
        for query in queries:
          self._keys[db_id, query] = self._make_keys(db_id, query, connection)
    return [self._keys[pair] for pair in asked]

  def among(self, examples: Sequence[Example], others: Sequence[Example]) -> list[bool]:
    """Whether each example asks a query that one of `others` asks."""
    shared = {example.db_id for example in examples}
    taken = frozenset().union(*self.keys([e for e in others if e.db_id in shared]))
    return [not taken.isdisjoint(keys) for keys in self.keys(examples)]

  def apart(self, examples: Sequence[Example], others: Sequence[Example]) -> list[Example]:
    """The examples that ask no query of `others`."""
    return [e for e, found in zip(examples, self.among(examples, others), strict=True) if not found]

  def groups(self, examples: Sequence[Example]) -> list[int]:
    """A number for each example's query: the same for all that share a key, be it over a third one
    between them.
    """
    leaders: list[int] = list(range(len(examples)))
    first: dict[Key, int] = {}

    def find(place: int) -> int:
      while leaders[place] != place:
        leaders[place] = place = leaders[leaders[place]]
      return place

    for place, keys in enumerate(self.keys(examples)):
      for key in keys:
        one, other = sorted((find(place), find(first.setdefault(key, place))))
        leaders[other] = one
    return [find(place) for place in range(len(examples))]

  def _dialect(self, db_id: str) -> str:
    if db_id in self.dialects:
      return self.dialects[db_id]
    location = self.locations.get(db_id)
    return "sqlite" if location is None else engine_module(engine_of(location)).DIALECT

  def _connect(self, db_id: str, stack: contextlib.ExitStack) -> sqlite3.Connection | None:
    """A connection to an SQLite database that is there, to compile on; nothing is executed."""
    location = self.locations.get(db_id)
    if location is None or engine_of(location) != "sqlite":
      return None
    try:
      return stack.enter_context(contextlib.closing(sqlite.connect(location)))
    except DatabaseError:
      return None  # whoever needs the database says so

  def _make_keys(
    self, db_id: str, query: str, connection: sqlite3.Connection | None
  ) -> frozenset[Key]:
    keys = [(db_id, "text", same_text_key(query))]
    with contextlib.suppress(ValueError):
      keys.append((db_id, "form", _one_spelling(query, self._dialect(db_id))))
    if connection is not None:
      with contextlib.suppress(sqlite3.Error, sqlite3.Warning):
        program = [line[1:7] for line in connection.execute(f"EXPLAIN {query}")]
        keys.append(
          (db_id, "program", hashlib.sha256(repr(program_form(program)).encode()).hexdigest())
        )
    return frozenset(keys)


@functools.lru_cache(1 << 14)
def _one_spelling(query: str, dialect: str) -> str:
  """The query's normal form, with its joins, comparisons, orders and parentheses spelled in one
  way. It is kept: each run of a process, and each time that one goes on, asks it of the same ones.

  Raises ValueError where it does not parse.
  """
  try:
    tree = typing.cast(exp.Expression, sqlglot.parse_one(query, read=dialect))
  except sqlglot.errors.SqlglotError as error:
    raise ValueError(f"query does not parse: {query}") from error
  for node in reversed(list(tree.walk())):  # what is inside first
    if isinstance(node, exp.Paren):
      node.replace(node.this)
    elif isinstance(node, exp.Join) and node.args.get("kind") in ("INNER", "OUTER"):
      node.set("kind", None)
    elif isinstance(node, exp.Ordered):
      node.set("desc", bool(node.args.get("desc")))
    elif isinstance(node, exp.Not) and type(inner := node.this.unnest()) in _CONTRARY:
      node.replace(_CONTRARY[type(inner)](this=inner.this, expression=inner.expression))
  for node in reversed(list(tree.find_all(*_OPERATIONS))):
    around = node.parent
    if isinstance(around, _OPERATIONS) and (
      type(around) is not type(node) or node.arg_key != "this"
    ):
      node.replace(exp.Paren(this=node.copy()))  # as it is grouped, now everywhere alike
  normal_form(tree, dialect)  # names the columns by their tables, by which operands are ordered
  for node in reversed(list(tree.find_all(*_SWAPPED))):
    if node.this.sql(dialect) > node.expression.sql(dialect):
      node.replace(_SWAPPED[type(node)](this=node.expression, expression=node.this))
  return normal_form(tree, dialect)


def hold_back(
  groups: Sequence[int], count: int, rng: random.Random, barred: frozenset[int] = frozenset()
) -> tuple[list[int], list[int]]:
  """Draws whole queries to hold back, and says what is left to train on.

  Args:
    groups: the query of each example, as a number.
    count: examples to hold back; fewer where there are not enough queries.
    barred: queries that must not be held back: they are trained on.

  Returns:
    The places of what is held back and of what is trained on, both in order. No query is on both
    sides; wordings of the last query drawn that exceed `count` are on neither.
  """
  places: dict[int, list[int]] = {}
  for place, group in enumerate(groups):
    places.setdefault(group, []).append(place)
  drawn = [group for group in places if group not in barred]
  rng.shuffle(drawn)
  held: list[int] = []
  taken: set[int] = set()
  for group in drawn:
    if len(held) >= count:
      break
    held += places[group]
    taken.add(group)
  return sorted(held[:count]), [place for place, group in enumerate(groups) if group not in taken]
