"""Finding foreign keys that a database does not declare, by name and by value.

A column refers to a key (a primary key or unique column) where its name says so and its values do
not speak against it:

    song.singer_id      -> singer.singer_id    the key's own name
                        -> singer.id           the table's name and the key's
    song.singer         -> singer.id           the table's name alone
    flight.home_team_id -> team.id             the same behind a word that tells its part

Values alone prove nothing (the numbers 1 to 9 are in every key), names alone little: both are asked
for. Of a table without rows only the two surest forms of a name are believed. Every query reads a
bounded number of rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from spftsql_jax.columns import kinds
from spftsql_jax.columns.splitting import split_name
from spftsql_jax.databases.column_kinds import TEXTUAL
from spftsql_jax.databases.foreign_keys import TableKey, add_foreign_keys
from spftsql_jax.databases.introspection import open_reader
from spftsql_jax.databases.sampling import EXACT_COUNT_ROWS, fetch
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Rows of a referring table that are read, and distinct values of them that are looked up.
CHECKED_ROWS = 50_000
CHECKED_VALUES = 2_000
# Least share of the values that the key must hold: undeclared keys are kept by no one, so a few
# lead nowhere.
LEAST_CONTAINED = 0.95

# The forms of a name, best first.
_SAME, _TABLE_AND_KEY, _TABLE, _ROLE, _TAIL = range(5)


@dataclasses.dataclass(frozen=True)
class _Key:
  """A column that others may refer to, with its name and its table's taken apart."""

  table: Table
  column: Column
  words: tuple[str, ...]
  table_words: tuple[str, ...]
  is_primary: bool
  form: int = -1


def infer_foreign_keys(schema: Schema, location: str) -> Schema:
  """`schema` with the foreign keys that its database seems to have and does not declare.

  They are marked as inferred.

  Columns that have a declared key keep it. Raises DatabaseError where the database cannot be read.
  """
  with open_reader(location) as connection:
    found = _infer(schema, lambda sql: fetch(connection, sql))
  return add_foreign_keys(schema, found)


def _infer(schema: Schema, run: Callable[[str], list[tuple]]) -> list[TableKey]:
  """The keys that are not declared; `run` gives the rows of a query."""
  tables = [table for table in schema.tables if not table.is_view]
  loose = schema.dialect == "sqlite"
  targets = _targets(tables)
  composite = [table for table in tables if len(table.primary_key) > 1]
  found = []
  for table in tables:
    declared = {column.lower() for key in table.foreign_keys for column in key.columns}
    for column in table.columns:
      if column.name.lower() in declared:
        continue
      for key in _candidates(table, column, targets, loose):
        names = ((column.name, key.column.name),)
        if _values_fit(table, key.table, names, _is_sure(column, key), run):
          found.append(
            (
              table.name,
              ForeignKey((column.name,), key.table.name, (key.column.name,), inferred=True),
            )
          )
          break
    found += [(table.name, key) for key in _composite_keys(table, composite, declared, loose, run)]
  return found


def _targets(tables: list[Table]) -> list[_Key]:
  """The columns that may be referred to.

  Primary and unique ones, and where a table declares none, those that look like it.
  """
  found = []
  for table in tables:
    single = {names[0] for names in (table.primary_key, *table.unique) if len(names) == 1}
    counted = 2 <= table.row_count <= EXACT_COUNT_ROWS
    for column in table.columns:
      words = split_name(column.name)
      undeclared = (
        counted
        and not table.primary_key
        and not table.unique
        and column.distinct_count == table.row_count
      )
      # A glued word counts here: "custno".
      looks_like_it = bool(words) and words[-1].endswith(tuple(_key_words()))
      if words and (column.name in single or (undeclared and looks_like_it)):
        is_primary = table.primary_key == (column.name,)
        found.append(_Key(table, column, words, split_name(table.base_name), is_primary))
  return found


def _candidates(table: Table, column: Column, targets: list[_Key], loose: bool) -> list[_Key]:
  """The keys that the name of `column` may speak of and whose type fits, the likeliest first."""
  words = split_name(column.name)
  ranked = []
  for number, key in enumerate(targets):
    if (key.table is table and key.column is column) or not _types_fit(column, key.column, loose):
      continue
    form = _form(words, key)
    if form is not None and _may_point(table, column, key, form):
      ranked.append(
        (
          not _owns(key.words, key.table_words),
          form,
          not key.is_primary,
          -key.table.row_count,
          number,
        )
      )
  return [dataclasses.replace(targets[number], form=form) for _, form, *_, number in sorted(ranked)]


def _form(words: tuple[str, ...], key: _Key) -> int | None:
  """In which form the name `words` speaks of `key`: one of _SAME ... _ROLE, or None."""
  bare_key = "".join(key.words) in kinds.words_of("shared key")
  if words == key.words or "".join(words) == "".join(key.words):
    return None if bare_key else _SAME
  # fk_customer, id_customer, ref_customer_id.
  while len(words) > 1 and words[0] in _key_words():
    words = words[1:]
  # player_1, team_id_2.
  has_role = len(words) > 1 and words[-1].isdigit()
  words = words[:-1] if has_role else words
  tables = _spellings(key.table_words)
  tails = _spellings(key.table_words[-1:]) if len(key.table_words) > 1 else ()
  key_name = "".join(key.words)
  for start in range(len(words)):
    rest = words[start:]
    text = "".join(rest)
    form = None
    if text == key_name and not bare_key:
      form = _SAME
    elif any(text == name + key_name for name in tables) or (
      key.is_primary and _without_key_word(rest) in tables
    ):
      form = _TABLE_AND_KEY
    elif key.is_primary and text in tables:
      form = _TABLE
    elif (
      key.is_primary
      and not start
      and (text in tails or any(text == name + key_name for name in tails))
    ):
      return _TAIL
    if form is not None:
      return _ROLE if start or has_role else form
  return None


def _may_point(table: Table, column: Column, key: _Key, form: int) -> bool:
  """Whether a reference of `column` to `key` makes sense beside what else the two are."""
  own_key = table.primary_key == (column.name,) or (column.name,) in table.unique
  if key.table is table:
    return form == _ROLE and not own_key
  if own_key:
    # Two tables with the same key: the one that the key is named after is referred to.
    named_here = _stem(split_name(column.name)) in _spellings(split_name(table.base_name))
    return (
      form in (_SAME, _TABLE_AND_KEY, _TABLE)
      and _owns(key.words, key.table_words)
      and not named_here
    )
  return True


def _owns(words: tuple[str, ...], table_words: tuple[str, ...]) -> bool:
  """Whether a key is named after its table, as singer.singer_id and employee.emp_num are."""
  stem = _stem(words)
  if not stem or "".join(words) in kinds.words_of("shared key"):
    return True
  tables = _spellings(table_words)
  return stem in tables or (len(stem) >= 3 and any(name.startswith(stem) for name in tables))


def _stem(words: tuple[str, ...]) -> str:
  return "".join(word for word in words if word not in _key_words())


def _is_sure(column: Column, key: _Key) -> bool:
  """Whether the name alone is believed, where there are no values to ask."""
  # business.business_id is not what review.business_id refers to business.bid for.
  shadowed = column is not key.column and any(
    other.name.lower() == column.name.lower() for other in key.table.columns
  )
  return key.form == _SAME or (key.form in (_TABLE_AND_KEY, _ROLE) and not shadowed)


def _composite_keys(
  table: Table,
  tables: list[Table],
  declared: set[str],
  loose: bool,
  run: Callable[[str], list[tuple]],
) -> list[ForeignKey]:
  """References of `table` to keys of several columns, of which it has columns of the same names."""
  columns = {column.name.lower(): column for column in table.columns}
  own_key = {name.lower() for name in table.primary_key}
  names_of = {each.name: frozenset(name.lower() for name in each.primary_key) for each in tables}
  found: list[ForeignKey] = []
  # The longest first: a part of what refers to one table does not refer to another.
  for referred in sorted(tables, key=lambda each: -len(each.primary_key)):
    wanted = names_of[referred.name]
    # Of tables with the same key none is known to be the first.
    alone = sum(names == wanted for names in names_of.values()) == 1
    if (
      referred is table
      or not alone
      or wanted == own_key
      or not wanted <= columns.keys()
      or wanted <= declared
    ):
      continue
    own = tuple(columns[name.lower()].name for name in referred.primary_key)
    if any(set(own) <= set(key.columns) for key in found):
      continue
    names = tuple(zip(own, referred.primary_key, strict=True))
    fits = all(
      _types_fit(columns[mine.lower()], referred.column(theirs), loose) for mine, theirs in names
    )
    if fits and _values_fit(table, referred, names, True, run):
      found.append(ForeignKey(own, referred.name, referred.primary_key, inferred=True))
  return found


def _types_fit(column: Column, key: Column, loose: bool) -> bool:
  """Whether the engine compares the two.

  SQLite (`loose`) compares text that looks like numbers with numbers.
  """
  if loose:
    return column.kind == key.kind or {column.kind, key.kind} == {"text", "number"}
  if column.kind in ("number", "date", "boolean") or (
    TEXTUAL.search(column.type) and TEXTUAL.search(key.type)
  ):
    return column.kind == key.kind
  return column.type.upper() == key.type.upper()


def _values_fit(
  table: Table,
  referred: Table,
  names: Sequence[tuple[str, str]],
  sure: bool,
  run: Callable[[str], list[tuple]],
) -> bool:
  """Whether nearly all values that `table` holds stand in `referred`.

  Where it holds none, whether the name is `sure`.
  """
  picked = ", ".join(f"{quote(own)} AS v{i}" for i, (own, _) in enumerate(names))
  rows = f"SELECT {picked} FROM {quote_path(table.parts)} LIMIT {CHECKED_ROWS}"
  present = " AND ".join(f"v{i} IS NOT NULL" for i in range(len(names)))
  values = f"SELECT DISTINCT * FROM ({rows}) AS r WHERE {present} LIMIT {CHECKED_VALUES}"
  joined = " AND ".join(f"k.{quote(theirs)} = d.v{i}" for i, (_, theirs) in enumerate(names))
  key = f"k.{quote(names[0][1])}"
  counts = f"SELECT COUNT(*), COUNT({key}) FROM ({values}) AS d"
  count, held = run(f"{counts} LEFT JOIN {quote_path(referred.parts)} AS k ON {joined}")[0]
  return held >= LEAST_CONTAINED * count if count else sure


def _without_key_word(words: tuple[str, ...]) -> str:
  """What stands before a last word such as "id"; "" where there is no such word."""
  return "".join(words[:-1]) if words and words[-1] in _key_words() else ""


def _key_words() -> frozenset[str]:
  """Words that say "this is a key" and nothing about whose."""
  return kinds.words_of("key", "key by name")


def _spellings(words: tuple[str, ...]) -> set[str]:
  """The ways a column may call a table: without the plural, and without ref_ or tbl_ in front."""
  while len(words) > 1 and words[0] in kinds.words_of("table prefix"):
    words = words[1:]
  name = "".join(words)
  found = {name, name.removesuffix("s"), name.removesuffix("es")}
  if name.endswith("ies"):
    found.add(name[:-3] + "y")
  return found
