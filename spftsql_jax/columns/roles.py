"""What a column is for, as far as a query that a person asks is concerned: key, name of its row,
category, measure, ...
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from spftsql_jax.columns.vocabulary import ENDS_IN_ID, PERSONS
from spftsql_jax.schema import Column, Schema, Table

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "key", "pk"})
# What a yes/no column holds, however it is declared.
_FLAG_VALUES = frozenset({"0", "1", "y", "n", "yes", "no", "t", "f", "true", "false"})
_NAME_WORDS = frozenset(
  {"name", "title", "label", "fullname", "headline", "nickname", "username", "lastname", "surname"}
)
# Words for persons that a number may count.
_MANY_PERSONS = frozenset(
  ["people", "staff", "crew", "faculty", "personnel", "human", "head", "individual", "kid"]
)
# Numbers that name something: their sum or average means nothing, nor does their order, ...
_CODE_WORDS = frozenset([
  "zip", "zipcode", "postal", "postcode", "code", "phone", "tel", "telephone", "mobile", "fax", "ssn", "isbn", "issn", "serial",
  "major", "minor", "category", "type", "kind", "class", "status", "gender", "sex", "department", "region", "branch", "account",
  "flight", "building", "room", "classroom", "number", "no", "nr", "num",
])  # fmt: skip
# Text that is each row's own, even where some rows share it.
_CONTACT_WORDS = frozenset([
  "phone", "tel", "telephone", "mobile", "cell", "fax", "email", "mail", "url", "website", "homepage", "address", "ssn", "isbn",
  "issn", "serial", "password", "description", "comment", "comments", "note", "notes", "details", "fname", "lname", "firstname",
  "lastname", "surname", "forename",
])  # fmt: skip
# ... except of these, which can be first or last.
_ORDINAL_WORDS = frozenset([
  "year", "yr", "month", "day", "hour", "hr", "week", "quarter", "latitude", "longitude", "lat", "lon", "lng", "version",
  "rank", "position", "grade", "round", "season", "edition", "episode", "chapter", "volume",
])  # fmt: skip
# ... unless a word says that it is a quantity after all ("number of pages", "room count").
_QUANTITY_WORDS = frozenset(
  ["of", "count", "total", "amount", "sum", "avg", "average", "quantity", "price", "cost", "rooms"]
)
# Numbers that are averaged, but not added up.
_RATIO_WORDS = frozenset([
  "percent", "percentage", "pct", "perc", "ratio", "avg", "average", "mean", "median", "temperature", "speed", "humidity",
  "pressure", "visibility", "age", "level", "gpa", "rating",
])  # fmt: skip
# Text that tells a time, of which nobody asks how it ends.
_TIME_WORDS = frozenset(["date", "time", "datetime", "timestamp"])


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


def split_words(identifier: str) -> list[str]:
  """The words of an identifier in lower case: "StuID" -> ["stu", "id"]; one without letters and
  digits is one word itself.
  """
  return [word.lower() for word in _WORD.findall(identifier)] or [identifier.lower()]


def column_roles(schema: Schema) -> Mapping[tuple[str, str], Role]:
  """The role of each column, keyed by (table, column) in lower case."""
  roles = {}
  for table in schema.tables:
    foreign = {}
    in_foreign = set()
    for key in table.foreign_keys:
      in_foreign.update(name.lower() for name in key.columns)
      for column, referred in zip(key.columns, key.referred_columns, strict=False):
        foreign.setdefault(column.lower(), (key.referred_table.lower(), referred.lower()))
    key_column = _key_column(table, in_foreign)
    for column in table.columns:
      roles[(table.name.lower(), column.name.lower())] = _role(
        table, column, key_column, in_foreign, foreign
      )
  return roles


def _holds_numbers(column: Column) -> bool:
  """A text column of numbers, which SQLite sums and averages all the same."""
  return bool(column.samples) and all(_NUMBER.match(str(sample)) for sample in column.samples)


def _is_flag(column: Column) -> bool:
  """A yes/no column: at most two values, and these are 0 and 1, Y and N, true and false."""
  if column.kind == "number":
    return column.distinct_count <= 2 and bool(column.samples) and set(column.samples) <= {0, 1}
  values = {str(sample).lower() for sample in column.samples}
  return (
    column.kind == "text" and column.distinct_count <= 2 and bool(values) and values <= _FLAG_VALUES
  )


def _is_unique(table: Table, column: Column) -> bool:
  lower = column.name.lower()
  if [name.lower() for name in table.primary_key] == [lower] or any(
    [n.lower() for n in names] == [lower] for names in table.unique
  ):
    return True
  return table.row_count > 1 and column.distinct_count >= table.row_count


def _key_column(table: Table, in_foreign: set[str]) -> str | None:
  """The one column that identifies a row: the declared key, or else a first column that looks and
  behaves like one.
  """
  if len(table.primary_key) == 1:
    return table.primary_key[0].lower()
  if table.primary_key:
    return None
  for column in table.columns[:2]:
    if (
      _looks_like_id(column) and column.name.lower() not in in_foreign and _is_unique(table, column)
    ):
      return column.name.lower()
  return None


def _looks_like_id(column: Column) -> bool:
  words = split_words(column.name)
  if column.kind == "number" and words and words[-1] in PERSONS - _MANY_PERSONS:
    return True  # A number called "advisor" tells who that is.
  return bool(words) and (
    words[-1] in _ID_WORDS or words[-1].endswith("id") and words[-1] not in ENDS_IN_ID
  )


def _role(
  table: Table, column: Column, key_column: str | None, in_foreign: set[str], foreign: dict
) -> Role:
  lower = column.name.lower()
  unique = _is_unique(table, column)
  category = _category_score(table, column)
  words = split_words(column.name)
  # A text of digits that refers to a row ("country 7") is a number all the same.
  natural = (
    column.kind == "text"
    and not _looks_like_id(column)
    and not (lower in in_foreign and _holds_numbers(column))
  )
  name_score = _name_score(table, column, words) if natural else 0.0
  if lower == key_column:
    return Role("key", foreign.get(lower), True, name_score, natural=natural)
  if lower in in_foreign or (_looks_like_id(column) and column.kind in ("number", "other")):
    return Role(
      "ref", foreign.get(lower), unique, name_score, category if natural else 0.0, natural
    )
  flag = _is_flag(column)
  if flag and column.kind == "number":
    return Role("bool", category_score=0.3, flag=True)  # A flag, whatever it is declared.
  if column.kind == "number":
    quantity = bool(_QUANTITY_WORDS.intersection(words))
    if _CONTACT_WORDS.intersection(words) and not quantity:
      # A telephone is no amount, though written as a number.
      return Role("other", unique=unique, coded=True)
    if column.date_format:
      return Role(
        "num", unique=unique, category_score=0.5 * category, date_format=column.date_format
      )
    ordinal = quantity or bool(_ORDINAL_WORDS.intersection(words))
    coded = bool(_CODE_WORDS.intersection(words)) and not ordinal
    measure, ratio = quantity or not (ordinal or coded), bool(_RATIO_WORDS.intersection(words))
    return Role(
      "num", unique=unique, category_score=0.5 * category, measure=measure, coded=coded, ratio=ratio
    )
  if column.kind == "text":
    coded = bool(_CODE_WORDS.intersection(words)) and not _QUANTITY_WORDS.intersection(words)
    form = column.date_format
    measure = _holds_numbers(column) and not flag and not coded and not form
    time = bool(form or words and words[-1] in _TIME_WORDS)
    score = 0.0 if form else name_score
    return Role(
      "text", None, unique, score, category, measure=measure, flag=flag, time=time, date_format=form
    )
  if column.kind == "boolean":
    return Role("bool", category_score=0.3, flag=True)
  return Role(column.kind, unique=unique)


def _name_score(table: Table, column: Column, words: list[str]) -> float:
  if not column.distinct_count:
    return 0.0
  ratio = column.distinct_count / max(table.row_count, column.distinct_count, 1)
  if not words or _looks_like_id(column):
    return 0.0
  table_words = split_words(table.base_name)
  last = words[-1]
  if last == "title" and table_words[-1].rstrip("s") in PERSONS:
    return 0.15 * ratio  # A position, not a name.
  if last in _NAME_WORDS or last == table_words[-1]:
    # "name" or "<table>_name" names the row; "first_name" and "department_name" only partly.
    own = len(words) == 1 or set(words[:-1]) <= set(table_words) | {
      word.rstrip("s") for word in table_words
    }
    return (1.0 if own else 0.4) * (0.2 + 0.8 * ratio)
  return 0.15 * ratio if ratio > 0.6 else 0.0


def _category_score(table: Table, column: Column) -> float:
  distinct, rows = column.distinct_count, table.row_count
  if distinct < 2 or distinct >= rows or _looks_like_id(column):
    return 0.0
  repeats = rows / distinct
  if any(isinstance(sample, float) and not sample.is_integer() for sample in column.samples):
    return 0.0
  few = 1.0 if distinct <= 12 else 0.6 if distinct <= 40 else 0.2
  words = split_words(column.name)
  if _CONTACT_WORDS.intersection(words) or words[-2:] in (
    ["first", "name"],
    ["last", "name"],
    ["middle", "name"],
  ):
    return 0.0  # Two clinics may share a telephone, but nobody sorts clinics by it.
  return few * min(1.0, (repeats - 1.0) / 2.0 + 0.1)
