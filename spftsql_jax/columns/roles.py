"""The role of a column in the queries that people ask: key, name of its row, category, measure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.splitting import split_name
from spftsql_jax.schema import Column, Schema, Table

# From here on a score says that rows are called by a column.
NAMES = 0.6
_PARTLY = 0.4  # The score of what names its row only partly.
_CALLED = 0.3  # From here on a table has something that its rows are called by.
_RAW = 0.2  # How much a number that only points to a row is asked for, beside what tells something.
_ABBREVIATED = 4  # The letters, at most, of an abbreviation that a word is glued to.
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PARTS_OF_NAMES = (("first", "name"), ("last", "name"), ("middle", "name"))


@dataclasses.dataclass(frozen=True)
class Role:
  """The role of a column.

  Attributes:
    kind: num, text, date, bool, other, key (identifies a row) or ref (refers to another row).
    refers_to: (table, column) in lower case that a single-column foreign key refers to.
    unique: no two rows share a value.
    name_score: 0 where the column does not name its row, up to 1 where it clearly does.
    category_score: 0 where its values are all different, up to 1 for a handful of values over many
      rows.
    natural: a key that says something itself (a department's name, a country's code), so that
      people ask for it.
    measure: a number (in a text column: text of digits) that may be summed and averaged.
    coded: a number that only names something (a telephone, a room): its size and order mean
      nothing.
    flag: a yes/no column: neither summed, nor ordered by, nor matched by LIKE.
    ratio: a number whose sum means nothing, say a percentage or an age.
    time: a text that tells a time: not matched by LIKE.
    date_format: of days that are whole numbers or digits (`Column.date_format`): they are neither
      summed nor rounded.
    asked: how much people ask for it, beside what is like it: 1 for most, next to 0 for a password.
    calls: by how much of `name_score` rows are called by this column alone.
    part: "first" or "last", of a person's name.
  """

  kind: str
  refers_to: tuple[str, str] | None = None
  unique: bool = False
  name_score: float = 0.0
  category_score: float = 0.0
  natural: bool = False
  measure: bool = False
  coded: bool = False
  flag: bool = False
  ratio: bool = False
  time: bool = False
  date_format: str = ""
  asked: float = 1.0
  calls: float = 1.0
  part: str = ""


def column_roles(schema: Schema) -> Mapping[tuple[str, str], Role]:
  """The role of each column, keyed by (table, column) in lower case."""
  roles = {}
  for table in schema.tables:
    keys = _Keys.of(table)
    of_table = {c.name.lower(): _as_asked(_role(table, c, keys), c) for c in table.columns}
    named = any(role.name_score * role.calls > _CALLED for role in of_table.values())
    for name, role in of_table.items():
      if role.kind in ("key", "ref") and not role.natural and (named or role.kind == "ref"):
        # Who knows a thing's name does not ask for its number.
        role = dataclasses.replace(role, asked=_RAW * role.asked)
      roles[table.name.lower(), name] = role
  return roles


def _as_asked(role: Role, column: Column) -> Role:
  """The role with what the words of the column's name say of how it is asked for."""
  pieces = split_name(column.name, vocabulary.LEXICON)
  words = " ".join(vocabulary.ABBREVIATIONS.get(piece, piece) for piece in pieces).lower()
  part, calls = kinds.part_of_name(words), kinds.share_of(words, "seldom names")
  if role.name_score and (part or _ends_glued(pieces, "name")):
    calls *= max(1.0, _PARTLY / role.name_score)  # "Lname" is a name as much as "last_name".
  asked = kinds.share_of(words, "seldom asked")
  return dataclasses.replace(role, asked=asked, calls=calls, part=part)


@dataclasses.dataclass(frozen=True)
class _Keys:
  """The keys of a table, with the names of its columns in lower case.

  Attributes:
    own: the one column that identifies a row, or None.
    foreign: the columns of its foreign keys.
    parts: the columns of a key of several.
    refers_to: (table, column) that each of them refers to.
  """

  own: str | None
  foreign: frozenset[str]
  parts: frozenset[str]
  refers_to: Mapping[str, tuple[str, str]]

  @classmethod
  def of(cls, table: Table) -> _Keys:
    """The keys of a table as its declarations and columns tell them."""
    refers_to: dict[str, tuple[str, str]] = {}
    for key in table.foreign_keys:
      for column, referred in zip(key.columns, key.referred_columns, strict=False):
        refers_to.setdefault(column.lower(), (key.referred_table.lower(), referred.lower()))
    foreign = frozenset(name.lower() for key in table.foreign_keys for name in key.columns)
    own = _own_key(table, foreign)
    parts = frozenset(name.lower() for name in table.primary_key) - {own}
    return cls(own, foreign, parts, refers_to)


def _own_key(table: Table, foreign: frozenset[str]) -> str | None:
  """The one column that identifies a row.

  The declared key, or else a first column that looks and behaves like one.
  """
  if len(table.primary_key) == 1:
    return table.primary_key[0].lower()
  if table.primary_key:
    return None
  for column in table.columns[:2]:
    if (
      _looks_like_id(column, split_name(column.name))
      and column.name.lower() not in foreign
      and _is_unique(table, column)
    ):
      return column.name.lower()
  return None


def _role(table: Table, column: Column, keys: _Keys) -> Role:
  name, words = column.name.lower(), split_name(column.name)
  unique = _is_unique(table, column)
  category = _category_score(table, column, words)
  like_id = _looks_like_id(column, words)
  # A text of digits that refers to a row ("country 7") is a number all the same.
  of_digits = name in keys.foreign and _holds_numbers(column)
  natural = column.kind == "text" and not like_id and not of_digits
  name_score = _name_score(table, column, words) if natural else 0.0
  if name_score > NAMES:
    category = 0.0  # Rows are called by it: two of one name are no group.
  if name == keys.own:
    return Role("key", keys.refers_to.get(name), True, name_score, natural=natural)
  if name in keys.foreign or (like_id and column.kind in ("number", "other")):
    category = category if natural else 0.0
    return Role("ref", keys.refers_to.get(name), unique, name_score, category, natural)
  if column.kind == "boolean" or (column.kind == "number" and _is_flag(column)):
    return Role("bool", category_score=0.3, flag=True)  # A flag, whatever it is declared.
  if column.kind == "number":
    return _number_role(column, words, unique, category, name in keys.parts)
  if column.kind == "text":
    return _text_role(column, words, unique, name_score, category)
  return Role(column.kind, unique=unique)


def _number_role(
  column: Column, words: tuple[str, ...], unique: bool, category: float, of_key: bool
) -> Role:
  quantity = kinds.has_word(words, "quantity")
  if kinds.has_word(words, "own text") and not quantity:
    # A telephone is no amount, though written as a number.
    return Role("other", unique=unique, coded=True)
  if column.date_format:
    category *= 0.5
    return Role("num", unique=unique, category_score=category, date_format=column.date_format)
  ordinal = quantity or kinds.has_word(words, "ordinal") or kinds.ends_in(words, "day")
  names = of_key or kinds.has_word(words, "code") or _ends_glued(words, "glued number")
  coded = names and not ordinal
  measure = quantity or not (ordinal or coded)
  return Role(
    "num",
    unique=unique,
    category_score=_amounts_as_groups(category) if measure else 0.5 * category,
    measure=measure,
    coded=coded,
    ratio=kinds.has_word(words, "ratio"),
  )


def _ends_glued(words: tuple[str, ...], kind: str) -> bool:
  """Whether a name ends in an abbreviation and such a word in one: "deptno", "pnum", "dname"."""
  if not words or words[-1] in vocabulary.LEXICON:
    return False
  rest = (words[-1].removesuffix(end) for end in kinds.words_of(kind))
  return any(0 < len(short) <= _ABBREVIATED and short != words[-1] for short in rest)


def _text_role(
  column: Column, words: tuple[str, ...], unique: bool, name_score: float, category: float
) -> Role:
  flag, form = _is_flag(column), column.date_format
  coded = kinds.has_word(words, "code", "year") and not kinds.has_word(words, "quantity")
  measure = _holds_numbers(column) and not (flag or coded or form or kinds.ends_in(words, "day"))
  return Role(
    "text",
    unique=unique,
    name_score=0.0 if form else name_score,
    category_score=_amounts_as_groups(category) if measure else category,
    measure=measure,
    flag=flag,
    time=bool(form) or kinds.ends_in(words, "date"),
    date_format=form,
  )


def _amounts_as_groups(category: float) -> float:
  """The category score of amounts: several rows have to share each, as students do their age."""
  return 0.5 * category**2


def _looks_like_id(column: Column, words: tuple[str, ...]) -> bool:
  # A number called "advisor" tells who that is.
  of_person = kinds.ends_in(words, "person") and not kinds.ends_in(words, "many persons")
  return kinds.identifies(words) or (column.kind == "number" and of_person)


def _holds_numbers(column: Column) -> bool:
  """A text column of numbers, which SQLite sums and averages all the same."""
  return bool(column.samples) and all(_NUMBER.fullmatch(str(sample)) for sample in column.samples)


def _is_flag(column: Column) -> bool:
  """A yes/no column: at most two values, and these are 0 and 1, Y and N, true and false."""
  if column.distinct_count > 2:
    return False
  if column.kind == "number":
    return bool(column.samples) and set(column.samples) <= {0, 1}
  return column.kind == "text" and kinds.holds_yes_no(column.samples)


def _is_unique(table: Table, column: Column) -> bool:
  name = column.name.lower()
  if any([n.lower() for n in names] == [name] for names in (table.primary_key, *table.unique)):
    return True
  return table.row_count > 1 and column.distinct_count >= table.row_count


def _name_score(table: Table, column: Column, words: tuple[str, ...]) -> float:
  """How clearly a column names its row, in [0, 1]."""
  if not column.distinct_count or not words or _looks_like_id(column, words):
    return 0.0
  ratio = column.distinct_count / max(table.row_count, column.distinct_count, 1)
  of_table = split_name(table.base_name)
  in_singular = tuple(word.rstrip("s") for word in of_table)
  if words[-1] == "title" and kinds.ends_in(in_singular, "person"):
    return 0.15 * ratio  # A position, not a name.
  if kinds.ends_in(words, "name") or words[-1:] == of_table[-1:]:
    # "name" or "<table>_name" names the row; "first_name" and "department_name" only partly.
    own = len(words) == 1 or set(words[:-1]) <= {*of_table, *in_singular}
    return (1.0 if own else _PARTLY) * (0.2 + 0.8 * ratio)
  return 0.15 * ratio if ratio > 0.6 else 0.0


def _category_score(table: Table, column: Column, words: tuple[str, ...]) -> float:
  """How well the values of a column group its table's rows, in [0, 1]."""
  distinct, rows = column.distinct_count, table.row_count
  if distinct < 2 or distinct >= rows or _looks_like_id(column, words):
    return 0.0
  if any(isinstance(sample, float) and not sample.is_integer() for sample in column.samples):
    return 0.0
  # Two clinics may share a telephone, but nobody sorts clinics by it.
  if kinds.has_word(words, "own text") or words[-2:] in _PARTS_OF_NAMES:
    return 0.0
  few = 1.0 if distinct <= 12 else 0.6 if distinct <= 40 else 0.2
  return few * min(1.0, (rows / distinct - 1.0) / 2.0 + 0.1)
