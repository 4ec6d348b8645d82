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
from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.schema import Schema, Table
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


def name_codes(schema: Schema, rng: random.Random | None = None) -> NameCodes:
  """The codes of a schema: tables and columns numbered in their order, or with `rng` by chance, so
  that a code tells nothing but what it stands before.
  """
  columns = sum(len(table.columns) for table in schema.tables)
  return NameCodes(
    schema,
    _numbers(len(schema.tables), _TABLE_TOKENS, rng),
    _numbers(columns, _COLUMN_TOKENS, rng),
  )


def _numbers(count: int, tokens: int, rng: random.Random | None) -> Sequence[int]:
  if rng is None or count > tokens:
    return range(1, count + 1)
  return rng.sample(range(1, tokens + 1), count)


@dataclasses.dataclass(frozen=True, eq=False)
class NameCodes:
  """Names of a schema as codes and back.

  Attributes:
    schema: whose names they are.
    table_numbers: of each table, in order.
    column_numbers: of each column, those of one table behind those of the one before.
  """

  schema: Schema
  table_numbers: Sequence[int]
  column_numbers: Sequence[int]

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

  @functools.cached_property
  def _by_written(self) -> Mapping[tuple[str, str], str]:
    return {written: code for code, written in self._written.items()}

  def of_written(self, table: str, column: str = "") -> str | None:
    """The code of a table, or of a column of it, by names as SQL has to write them; None for names
    that the schema does not have.
    """
    return self._by_written.get((table, column))

  def table(self, name: str) -> str:
    """The code of a table, by its name. Raises KeyError."""
    return self._tables[name]

  def column(self, table: str, column: str) -> str:
    """The code of a column, by the names of its table and its own. Raises KeyError."""
    return self._columns[table, column]

  def coded(self, query: str) -> str:
    """A query, on one line, with codes for names; unchanged where it cannot be parsed."""
    text = folded(query, self.schema.dialect)
    try:
      tree = sqlglot.parse_one(text, read=self.schema.dialect)
    except (sqlglot.errors.SqlglotError, RecursionError):
      return text
    edits = sorted(_Names(self, tree).edits())
    parts, at = [], 0
    for start, end, code in edits:
      before = text[at:start]
      parts += [before, "" if before.endswith(" ") or not (at or before) else " ", code]
      at = end
    return "".join([*parts, text[at:]])

  def sql(self, text: str) -> str:
    """A coded query as SQL. Codes that stand for nothing stay."""
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


@dataclasses.dataclass(frozen=True)
class _Source:
  """What a FROM or JOIN names: a table of the schema, or None for what has no codes."""

  node: exp.Expression
  table: Table | None
  alias: exp.Identifier | None


class _Names:
  """The names of a parsed query that have codes, with their places in its text."""

  def __init__(self, codes: NameCodes, tree: exp.Expression):
    self._codes, self._schema, self._tree = codes, codes.schema, tree
    self._inner = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    self._sources = {id(select): self._of(select) for select in tree.find_all(exp.Select)}
    self._columns = [(c, self._resolve(c)) for c in tree.find_all(exp.Column)]
    # Sources that some column cannot be told to be of keep the name that it calls them by.
    self._kept = {
      id(source)
      for column, (source, found) in self._columns
      if source is not None and not found and column.table
    }

  def edits(self) -> Iterator[tuple[int, int, str]]:
    """(start, end, code) of each stretch of text that a code takes the place of."""
    for select in self._tree.find_all(exp.Select):
      for source in self._sources[id(select)].values():
        if source.table is not None:
          yield from self._edit_of_table(select, source)
    for column, (source, name) in self._columns:
      if source is None or source.table is None or not name:
        continue
      code = self._codes.column(source.table.name, name)
      start, end = _span(column)
      if not column.table or not self._called(column, source):
        yield start, end, code
        continue
      if source.alias is None:
        yield *_span(column, ("db", "table")), self._codes.table(source.table.name)
      yield *_span(column.this), code

  def _edit_of_table(self, select: exp.Select, source: _Source) -> Iterator[tuple[int, int, str]]:
    start, end = _span(source.node, ("db", "this"))
    if source.alias is not None and not self._twice(select, source):
      end = max(end, _span(source.alias)[1])
    yield start, end, self._codes.table(source.table.name)

  def _called(self, column: exp.Column, source: _Source) -> bool:
    """Whether the column keeps what it calls its table by."""
    return self._twice(source.node.find_ancestor(exp.Select), source)

  def _twice(self, select: exp.Select | None, source: _Source) -> bool:
    """Whether a query in reach reads the same table too, or the source's own name is needed."""
    if id(source) in self._kept or select is None:
      return True
    around = list(self._around(select))
    within = [s for s in select.find_all(exp.Select) if id(s) in self._sources]
    reach = {id(s): s for s in (*around, *within)}
    named = [
      other
      for key in reach
      for other in self._sources[key].values()
      if other.table is not None and other.table.name == source.table.name
    ]
    return len(named) > 1

  def _around(self, node: exp.Expression) -> Iterator[exp.Select]:
    """The query, and those around it."""
    select = node if isinstance(node, exp.Select) else node.find_ancestor(exp.Select)
    while select is not None:
      yield select
      select = select.find_ancestor(exp.Select)

  def _of(self, select: exp.Select) -> dict[str, _Source]:
    """What a query's own FROM and JOINs name, by the lower-case name that columns call it by."""
    found: dict[str, _Source] = {}
    first = select.args.get("from_") or select.args.get("from")
    nodes = [first.this] if first is not None else []
    nodes += [join.this for join in select.args.get("joins") or ()]
    for number, node in enumerate(nodes):
      table = self._table(node) if isinstance(node, exp.Table) else None
      alias = node.args.get("alias")
      name = node.alias_or_name.lower()
      held = alias.this if isinstance(alias, exp.TableAlias) else None
      found[name if name not in found else f"{name} {number}"] = _Source(node, table, held)
      for join in node.args.get("joins") or ():
        if isinstance(join.this, exp.Table):
          more = join.this
          at = more.args.get("alias")
          found[more.alias_or_name.lower()] = _Source(
            more, self._table(more), at.this if isinstance(at, exp.TableAlias) else None
          )
    return found

  def _table(self, node: exp.Table) -> Table | None:
    if not isinstance(node.this, exp.Identifier) or node.catalog:
      return None
    if not node.db and node.name.lower() in self._inner:
      return None
    try:
      return self._schema.table(node.name, node.db)
    except KeyError:
      return None

  def _resolve(self, column: exp.Column) -> tuple[_Source | None, str]:
    """(the source that a column is of, its name as the schema spells it); "" for a column that
    the source does not have.
    """
    if not isinstance(column.this, exp.Identifier):
      name = column.table.lower()
      return next((s[name] for s in self._reach(column) if name in s), None), ""
    for select in self._around(column):
      sources = self._sources[id(select)]
      if column.table:
        if (source := sources.get(column.table.lower())) is not None:
          return source, _column_of(source.table, column.name)
        continue
      if _is_alias(select, column):
        return None, ""
      for source in sources.values():
        if name := _column_of(source.table, column.name):
          return source, name
        if source.table is None:
          return None, ""  # Perhaps one of its columns.
    return None, ""

  def _reach(self, node: exp.Expression) -> Iterator[dict[str, _Source]]:
    for select in self._around(node):
      yield self._sources[id(select)]


def _column_of(table: Table | None, name: str) -> str:
  names = [c.name for c in table.columns] if table is not None else []
  if name in names:
    return name
  return next((n for n in names if n.lower() == name.lower()), "")


def _is_alias(select: exp.Select, column: exp.Column) -> bool:
  """Whether a bare name behind a query's SELECT list is one that the list gives."""
  inside = column
  while inside.parent is not select and inside.parent is not None:
    inside = inside.parent
  if inside.arg_key in ("expressions", "joins", "from_", "from"):
    return False
  return column.name.lower() in {
    e.alias.lower() for e in select.expressions if isinstance(e, exp.Alias)
  }


def _span(node: exp.Expression, parts: Sequence[str] = ("db", "table", "this")) -> tuple[int, int]:
  """(start, end) of a name in the text, from the first to the last of its parts."""
  held = [node] if isinstance(node, exp.Identifier) else [node.args.get(part) for part in parts]
  places = [i.meta for i in held if isinstance(i, exp.Identifier) and "start" in i.meta]
  return min(m["start"] for m in places), max(m["end"] for m in places) + 1
