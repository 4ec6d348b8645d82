"""Tables and columns by short codes, so that a small model says a name in one token.

    codes = name_codes(schema)
    codes.coded("SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id")
    # SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c7
    codes.sql("SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c7")
    # SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id

A column's code stands for its table too. So aliases fall away but where a query reads a table
twice. What cannot be told (names of WITH, of inner queries, of nobody) stays as it is written.
Every code has a space before it: so it is always the same token.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections.abc import Mapping, Sequence

import sqlglot

from spftsql_jax.columns.roles import column_roles
from spftsql_jax.examples.implied_joins import ImpliedJoins
from spftsql_jax.examples.named_places import NamedPlace, named_places
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers
from spftsql_jax.sql.one_line import folded

# Codes that a tokenizer has as single tokens (`code_tokens`); larger schemas spell the others.
_TABLE_TOKENS, _COLUMN_TOKENS = 32, 128
_CODE = re.compile(r" ?@([tc])([1-9][0-9]*)\b")
# A text literal or a quoted name, within which nothing is a code; or a code.
_PIECES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|""" + _CODE.pattern)
_ALIAS = re.compile(r"\s+AS\s+([A-Za-z_]\w*)", re.IGNORECASE)


def code_tokens() -> list[str]:
  """The codes, with their space, that a tokenizer should have as single tokens."""
  return [f" @t{n}" for n in range(1, _TABLE_TOKENS + 1)] + [
    f" @c{n}" for n in range(1, _COLUMN_TOKENS + 1)
  ]


def name_codes(
  schema: Schema, rng: random.Random | None = None, implied_joins: bool = False
) -> NameCodes:
  """The codes of a schema: tables and columns numbered in their order, or with `rng` by chance, so
  that a code tells nothing but what it stands before. For `implied_joins` see `NameCodes`.
  """
  columns = sum(len(table.columns) for table in schema.tables)
  return NameCodes(
    schema,
    _numbers(len(schema.tables), _TABLE_TOKENS, rng),
    _numbers(columns, _COLUMN_TOKENS, rng),
    implied_joins,
  )


def _numbers(count: int, tokens: int, rng: random.Random | None) -> Sequence[int]:
  if rng is None or count > tokens:
    return range(1, count + 1)
  return rng.sample(range(1, tokens + 1), count)


@functools.lru_cache(maxsize=256)
def _parsed(text: str, dialect: str) -> sqlglot.exp.Expr:
  """A query's tree, which nobody may change: a query is often coded several times in a row."""
  return sqlglot.parse_one(text, read=dialect)


@dataclasses.dataclass(frozen=True, eq=False)
class NameCodes:
  """Names of a schema as codes and back.

  Attributes:
    schema: whose names they are.
    table_numbers: of each table, in order.
    column_numbers: of each column, those of one table behind those of the one before.
    implied_joins: whether `coded` leaves out of joins what the keys tell (`ImpliedJoins`); `sql`
      puts it back in any case.
  """

  schema: Schema
  table_numbers: Sequence[int]
  column_numbers: Sequence[int]
  implied_joins: bool = False

  @functools.cached_property
  def _tables(self) -> Mapping[str, str]:
    numbers = zip(self.schema.tables, self.table_numbers, strict=True)
    return {table.name: f"@t{number}" for table, number in numbers}

  @functools.cached_property
  def _columns(self) -> Mapping[tuple[str, str], str]:
    names = [(t.name, c.name) for t in self.schema.tables for c in t.columns]
    numbers = zip(names, self.column_numbers, strict=True)
    return {name: f"@c{number}" for name, number in numbers}

  @functools.cached_property
  def _written(self) -> Mapping[str, tuple[str, str]]:
    """Of each code: the table's and the column's name as SQL has to write them; for a table ""."""
    dialect = self.schema.dialect
    paths = {t.name: identifiers.written_path(t.parts, dialect) for t in self.schema.tables}
    found = {code: (paths[name], "") for name, code in self._tables.items()}
    for (table, column), code in self._columns.items():
      found[code] = (paths[table], identifiers.written(column, dialect))
    return found

  @property
  def written(self) -> Mapping[str, tuple[str, str]]:
    """What each code stands for: table and column as SQL has to write them; for a table ""."""
    return self._written

  @functools.cached_property
  def _by_written(self) -> Mapping[tuple[str, str], str]:
    return {written: code for code, written in self._written.items()}

  @functools.cached_property
  def table_names(self) -> Mapping[str, str]:
    """The name of each table's code, as the schema spells it."""
    return {code: name for name, code in self._tables.items()}

  def of_column(self, table: str, column: str) -> str:
    """The code of a column, names as keys spell them."""
    return self._columns[table, self.schema.table(table).column(column).name]

  def of_written(self, table: str, column: str = "") -> str | None:
    """The code of a table, or of a column of it, by names as SQL has to write them; None for names
    that the schema does not have.
    """
    return self._by_written.get((table, column))

  @functools.cached_property
  def _identifying(self) -> Mapping[str, tuple[str, ...]]:
    roles = column_roles(self.schema)
    found = {}
    for table in self.schema.tables:
      of = {c.name: roles[table.name.lower(), c.name.lower()] for c in table.columns}
      keys = [name for name, role in of.items() if role.kind == "key"]
      named = max(of, key=lambda name: of[name].name_score)
      names = [named] if of[named].name_score else []
      found[self._tables[table.name]] = tuple(
        self._columns[table.name, name] for name in dict.fromkeys([*keys[:1], *names])
      )
    return found

  def identifying(self, table: str) -> tuple[str, ...]:
    """The codes of the columns that a table's rows are told apart and called by, by its code: its
    key, and what names a row, as far as it has them.
    """
    return self._identifying[table]

  def coded(self, query: str) -> str:
    """A query, on one line, with codes for names. Where it cannot be parsed, as with what a model
    did not finish, names are told by their spelling.
    """
    text = folded(query, self.schema.dialect)
    try:
      tree = _parsed(text, self.schema.dialect)
    except (sqlglot.errors.SqlglotError, RecursionError):
      edits = self._spelled(text)
    else:
      edits = [(p.start, p.end, self._code(p)) for p in named_places(tree, self.schema)]
    parts, at = [], 0
    for start, end, code in edits:
      before = text[at:start]
      parts += [before, "" if before.endswith(" ") or not (at or before) else " ", code]
      at = end
    coded = "".join([*parts, text[at:]])
    return self._joins.left_out(coded) if self.implied_joins else coded

  @property
  def links(self) -> Mapping[str, str]:
    """What `sql` joins two tables on where the query says nothing: "@t1 @t2", "@c1 = @c7"."""
    return self._joins.conditions

  @functools.cached_property
  def _joins(self) -> ImpliedJoins:
    return ImpliedJoins(self)

  def _code(self, place: NamedPlace) -> str:
    if place.column:
      return self._columns[place.table, place.column]
    return self._tables[place.table]

  def _spelled(self, text: str) -> list[tuple[int, int, str]]:
    """(start, end, code) of all names in a text that are spelled as SQL has to write them; a column
    alone is that of a table which the text names.
    """
    paths = {table for table, column in self._by_written if not column}
    named = {path for path in paths if re.search(rf"(?<!\w){re.escape(path)}(?!\w)", text)}
    codes: dict[str, str] = {}
    for (table, column), code in self._by_written.items():
      codes[f"{table}.{column}" if column else table] = code
      if column and (table in named or not named):
        codes.setdefault(column, code)
    names = "|".join(re.escape(name) for name in sorted(codes, key=len, reverse=True))
    pattern = re.compile(rf"""'(?:[^']|'')*'|(?<!\w)({names})(?!\w)""")
    return [(*m.span(), codes[m[1]]) for m in pattern.finditer(text) if m[1]]

  def sql(self, text: str) -> str:
    """A coded query as SQL, with what the keys tell of its joins. Codes that stand for nothing
    stay.
    """
    text = self._joins.put_back(text)
    whole = {m[0].strip() for m in _PIECES.finditer(text) if m[1] == "t"}
    tables = {self._written[code][0] for code in whole if code in self._written}
    aliases: dict[str, list[str]] = {}
    for match in _PIECES.finditer(text):
      if match[1] == "t" and (code := match[0].strip()) in self._written:
        alias = _ALIAS.match(text, match.end())
        aliases.setdefault(self._written[code][0], []).append(alias[1] if alias else "")
    parts, at = [], 0
    for match in _PIECES.finditer(text):
      code = match[0].strip()
      if not match[1] or code not in self._written:
        continue
      before = text[at : match.start()]
      name = self._name(code, before[-1:] == ".", tables, aliases)
      glued = not before and not at or before[-1:] in ("(", ".", " ")
      parts += [before, "" if glued or match[0][0] != " " else " ", name]
      at = match.end()
    return "".join([*parts, text[at:]])

  def _name(
    self, code: str, qualified: bool, tables: set[str], aliases: Mapping[str, list[str]]
  ) -> str:
    table, column = self._written[code]
    if not column:
      return table
    if qualified or len(tables) < 2 or table not in tables:
      return column
    called = set(aliases[table])
    if len(called) == 1:
      return f"{called.pop() or table}.{column}"
    # A table that is read twice: what needs to be told apart has its alias already.
    shared = sum((other, column) in self._by_written for other in tables) > 1
    return f"{table}.{column}" if shared and "" in called else column
