"""Joins that a schema's keys imply: left out of coded queries, and put back.

    joins = ImpliedJoins(codes)
    joins.left_out("SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c7 WHERE @c9 > 3")
    # SELECT @c2 FROM @t1 JOIN @t2 WHERE @c9 > 3
    joins.put_back("SELECT @c2 FROM @t1 JOIN @t2 WHERE @c9 > 3")
    # SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c7 WHERE @c9 > 3

A small model errs most in joins, and most of a join is no choice: the keys between two tables, and
the tables on the only shortest way from one to the other. NatSQL (Gan et al., 2021) leaves these
out of what a parser says; here the query stays SQL. What is put back is more than what was left
out: a table whose columns are read and that no FROM names is joined too, and a condition that ties
two keys which do not belong together gives way to the keys that do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from spftsql_jax.examples.join_ways import links_of, near_by_keys, shortest_way
from spftsql_jax.schema import Schema
from spftsql_jax.sql.lexemes import lexemes

_SET_OPERATORS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
# What ends the tables of a query.
_BEHIND_TABLES = frozenset({"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "OFFSET"})
_JOIN_WORDS = frozenset({"JOIN", "LEFT", "INNER", "OUTER"})


class Codes(Protocol):
  """Codes of a schema's names (`name_codes.NameCodes`)."""

  @property
  def schema(self) -> Schema:
    """Whose names they are."""

  @property
  def table_names(self) -> Mapping[str, str]:
    """The name of each table's code, as the schema spells it."""

  def of_column(self, table: str, column: str) -> str:
    """The code of a column, names as keys spell them."""


@dataclasses.dataclass(frozen=True)
class _Lexeme:
  text: str
  start: int
  end: int

  @property
  def word(self) -> str:
    return self.text.upper()

  @property
  def is_table(self) -> bool:
    return self.text.startswith("@t")

  @property
  def is_column(self) -> bool:
    return self.text.startswith("@c")


@dataclasses.dataclass(frozen=True)
class _Joined:
  """A table of a FROM: how it is joined ("FROM", "JOIN", "LEFT JOIN") and on what; "" for nothing
  said.
  """

  how: str
  table: str
  on: str = ""


@dataclasses.dataclass(frozen=True)
class _Select:
  """A query, or one within it.

  Attributes:
    parent: the one that it stands in, by its place among all of them; -1 for none.
    start, end: of its FROM clause in the text; equal where it has none that is plain tables.
    tables: of that clause.
    named: codes of all tables that its FROM names, whatever else that has.
    read: codes of the columns that it reads outside of that clause, but for inner queries and for
      what says by itself of which table it is (T1. @c2).
    counts: whether it says `*`.
  """

  parent: int
  start: int
  end: int
  tables: tuple[_Joined, ...]
  named: frozenset[str]
  read: tuple[str, ...]
  counts: bool


class ImpliedJoins:
  """What the keys of a schema tell of the joins of its queries, which are in `codes`."""

  def __init__(self, codes: Codes):
    self._dialect = codes.schema.dialect
    self._names = codes.table_names
    self._code = {name: own for own, name in self._names.items()}
    self._near = near_by_keys(codes.schema)
    self._owner = {
      codes.of_column(table.name, column.name): self._code[table.name]
      for table in codes.schema.tables
      for column in table.columns
    }
    # Between two tables, by their codes: keys as pairs of columns, that of the first before.
    self._links: dict[tuple[str, str], list[tuple[tuple[str, str], ...]]] = {}
    for own, key, other in links_of(codes.schema):
      pairs = [
        (codes.of_column(own, mine), codes.of_column(other, theirs))
        for mine, theirs in zip(key.columns, key.referred_columns, strict=True)
      ]
      here, there = self._code[own], self._code[other]
      self._links.setdefault((here, there), []).append(tuple(pairs))
      if own != other:
        self._links.setdefault((there, here), []).append(tuple((b, a) for a, b in pairs))
    self._keys = {c for links in self._links.values() for key in links for p in key for c in p}

  @property
  def conditions(self) -> dict[str, str]:
    """What two tables are joined on: "@t1 @t2", "@c1 = @c7"; of several keys the first."""
    return {" ".join(tables): _condition(keys[0]) for tables, keys in self._links.items()}

  def left_out(self, query: str) -> str:
    """A coded query without the conditions and tables of joins that `put_back` gives back; the
    query as it is where that gives anything else.
    """
    selects = _selects(query, self._dialect)
    for candidate in (self._shortest, _without_conditions):
      short = _edited(query, {s: candidate(s.tables) for s in selects if len(s.tables) > 1})
      if short != query and self._same(selects, _selects(self.put_back(short), self._dialect)):
        return short
    return query

  def put_back(self, query: str) -> str:
    """A coded query with the conditions of its joins, and the tables that it reads. What has
    aliases or an inner query in its FROM stays.
    """
    selects = _selects(query, self._dialect)
    changed: dict[_Select, tuple[_Joined, ...]] = {}
    around: dict[int, set[str]] = {-1: set()}
    for place, select in enumerate(selects):
      outer = around[select.parent]
      tables = self._whole(select, outer)
      around[place] = outer | select.named | {joined.table for joined in tables}
      if tables != select.tables:
        changed[select] = tables
    return _edited(query, changed)

  def _shortest(self, tables: tuple[_Joined, ...]) -> tuple[_Joined, ...]:
    """Without conditions and the tables between others."""
    kept = [dataclasses.replace(tables[0], on="")]
    for joined, behind in zip(tables[1:], [*tables[2:], None], strict=True):
      # A table that the next one is reached by.
      if behind is not None and joined.how == behind.how == "JOIN":
        way = self._way([j.table for j in kept], behind.table)
        if joined.table in way[:-1]:
          continue
      kept.append(dataclasses.replace(joined, on=""))
    return tuple(kept)

  def _same(self, before: Sequence[_Select], after: Sequence[_Select]) -> bool:
    """Whether queries join the same tables in the same order and on the same conditions."""
    if len(before) != len(after):
      return False
    return all(
      [(j.how, j.table, _pairs_of(j.on)) for j in a.tables]
      == [(j.how, j.table, _pairs_of(j.on)) for j in b.tables]
      for a, b in zip(before, after, strict=True)
    )

  def _whole(self, select: _Select, outer: set[str]) -> tuple[_Joined, ...]:
    """The tables of a query with all that it reads, joined."""
    if not select.tables:
      return ()
    listed = [joined.table for joined in select.tables]
    if not set(listed) <= self._names.keys():
      return select.tables
    read = [self._owner[code] for code in select.read if code in self._owner]
    missing = [t for t in dict.fromkeys(read) if t not in listed and t not in outer]
    tables = list(select.tables)
    if missing and len(listed) == 1 and not select.counts and listed[0] not in read:
      tables = [_Joined("FROM", missing.pop(0))]  # Nothing is read of the one that it names.
    tables += [_Joined("JOIN", table) for table in missing]
    return self._joined(tables)

  def _joined(self, tables: Sequence[_Joined]) -> tuple[_Joined, ...]:
    done = [tables[0]]
    for joined in tables[1:]:
      there = [each.table for each in done]
      if joined.table in there:
        continue
      if joined.on and self._holds(joined, there):
        done.append(joined)
        continue
      for step in self._way(there, joined.table):
        how = joined.how if step == joined.table else "JOIN"
        done.append(_Joined(how, step, self._condition([d.table for d in done], step) or joined.on))
    return tuple(done)

  def _holds(self, joined: _Joined, there: Sequence[str]) -> bool:
    """Whether a condition ties a table to those before it: not by keys of others."""
    columns = [lexeme.text for lexeme in _lexemes(joined.on, self._dialect) if lexeme.is_column]
    owners = {self._owner.get(column, "") for column in columns}
    if joined.table not in owners or not owners <= {joined.table, *there}:
      return False
    pairs = _pairs_of(joined.on)
    if len(columns) != 2 or not set(columns) <= self._keys:
      return True
    keys = [key for other in there for key in self._links.get((other, joined.table), ())]
    return not keys or any(frozenset(pair) in pairs for key in keys for pair in key)

  def _way(self, there: Sequence[str], table: str) -> tuple[str, ...]:
    """The codes of tables on the way to one, which stands last."""
    start = [self._names[own] for own in reversed(there)]
    return tuple(self._code[name] for name in shortest_way(self._near, start, self._names[table]))

  def _condition(self, there: Sequence[str], table: str) -> str:
    """What a table is joined on: a key with the last of those before it that has one."""
    for other in reversed(there):
      for link in self._links.get((other, table), ()):
        return _condition(link)
    return ""


def _condition(key: Sequence[tuple[str, str]]) -> str:
  return " AND ".join(f"{a} = {b}" for a, b in key)


def _pairs_of(on: str) -> frozenset[frozenset[str]]:
  """The pairs of columns that a condition ties, or the words of one that does more."""
  parts = re.split(r"\s+AND\s+", on)
  found = [re.fullmatch(r"(@c\d+) = (@c\d+)", part.strip()) for part in parts]
  if all(found):
    return frozenset(frozenset(match.groups()) for match in found if match)
  return frozenset({frozenset({on})})


def _without_conditions(tables: tuple[_Joined, ...]) -> tuple[_Joined, ...]:
  return tuple(dataclasses.replace(joined, on="") for joined in tables)


def _edited(query: str, changed: Mapping[_Select, Sequence[_Joined]]) -> str:
  """A query with other tables in some of its FROM clauses."""
  parts, at = [], 0
  for select in sorted(changed, key=lambda s: s.start):
    clause = " ".join(
      f"{joined.how} {joined.table}" + (f" ON {joined.on}" if joined.on else "")
      for joined in changed[select]
    )
    parts += [query[at : select.start], clause]
    at = select.end
  return "".join([*parts, query[at:]])


def _lexemes(text: str, dialect: str) -> list[_Lexeme]:
  """The lexemes of a coded query, a code being one, without what stands between them."""
  found: list[_Lexeme] = []
  at = 0
  for kind, piece in lexemes(text, dialect):
    end = at + len(piece)
    if kind == "word" and found and found[-1] == _Lexeme("@", at - 1, at):
      found[-1] = _Lexeme(f"@{piece}", at - 1, end)
    elif kind not in ("space", "comment"):
      found.append(_Lexeme(piece, at, end))
    at = end
  return found


class _Reader:
  """A query that is being read, lexeme by lexeme."""

  def __init__(self, parent: int, depth: int):
    self.parent, self.depth = parent, depth
    self.clause: list[_Lexeme] | None = None  # Of its FROM, once that has begun.
    self.closed = False
    self.read: list[str] = []
    self.counts = self.nested = self.qualified = False

  def take(self, lexeme: _Lexeme, depth: int) -> None:
    """Takes what stands in this query and in none within it."""
    here = depth == self.depth
    if here and self.clause is None and lexeme.word == "FROM":
      self.clause = [lexeme]
    elif here and lexeme.word in _BEHIND_TABLES:
      self.closed = True
    elif self.clause is not None and not self.closed:
      self.nested |= not here
      self.clause.append(lexeme)
      return
    if lexeme.is_column and not self.qualified:
      self.read.append(lexeme.text)
    self.qualified = lexeme.text == "."
    self.counts |= lexeme.text == "*"

  def found(self, query: str) -> _Select:
    """The query, read to its end."""
    clause = self.clause or []
    tables = () if self.nested else _tables(query, clause)
    start, end = (clause[0].start, clause[-1].end) if tables else (0, 0)
    named = frozenset(lexeme.text for lexeme in clause if lexeme.is_table)
    return _Select(self.parent, start, end, tables, named, tuple(self.read), self.counts)


def _selects(query: str, dialect: str) -> list[_Select]:
  """The queries of a text, outer ones first."""
  readers: list[_Reader] = []
  open_: list[int] = []  # Places of those that are not read to their end, inner ones last.
  depth = 0
  for lexeme in _lexemes(query, dialect):
    if lexeme.text == ")":
      depth -= 1
    while open_ and (
      readers[open_[-1]].depth > depth
      or (readers[open_[-1]].depth == depth and lexeme.word in _SET_OPERATORS)
    ):
      open_.pop()
    if lexeme.word == "SELECT":
      if open_ and readers[open_[-1]].clause and not readers[open_[-1]].closed:
        readers[open_[-1]].nested = True
      readers.append(_Reader(open_[-1] if open_ else -1, depth))
      open_.append(len(readers) - 1)
    elif open_:
      readers[open_[-1]].take(lexeme, depth)
    if lexeme.text == "(":
      depth += 1
  return [reader.found(query) for reader in readers]


def _tables(query: str, clause: Sequence[_Lexeme]) -> tuple[_Joined, ...]:
  """The tables of a FROM clause; none where it is more than codes, joins and conditions."""
  found: list[_Joined] = []
  at = 0
  while at < len(clause):
    start = at
    while at < len(clause) and (clause[at].word in _JOIN_WORDS or not at):
      at += 1
    how = " ".join(lexeme.word for lexeme in clause[start:at])
    wanted = ("JOIN", "LEFT JOIN", "INNER JOIN", "LEFT OUTER JOIN") if found else ("FROM",)
    if how not in wanted or at == len(clause) or not clause[at].is_table:
      return ()
    table, on = clause[at].text, ""
    at += 1
    if at < len(clause) and clause[at].word == "ON":
      first = at + 1
      while at < len(clause) and clause[at].word not in _JOIN_WORDS:
        at += 1
      on = query[clause[first].start : clause[at - 1].end] if first < at else ""
    found.append(_Joined(how, table, on))
  return tuple(found)
