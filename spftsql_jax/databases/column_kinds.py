"""What a column holds: by its declared type and a sample of its values.

SQLite lets any column hold anything, and dates are often text: the values decide where they are
clear.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from spftsql_jax.databases.cells import ServerText
from spftsql_jax.schema import Kind

_NUMERIC = re.compile(
  r"int|real|floa|doub|numeric|decimal|number|serial|money|hugeint|^num$|currency", re.IGNORECASE
)
TEXTUAL = re.compile(r"char|text|clob|string|enum|uuid|citext", re.IGNORECASE)
_DATELIKE = re.compile(r"date|timestamp", re.IGNORECASE)
_BOOLEAN = re.compile(r"^(bool|boolean|bit)\b", re.IGNORECASE)
# What holds other values, or is none of them though its name has the name of a number in it.
_COMPOUND = re.compile(
  r".*\[\d*\]$|(struct|map|union|interval|point|\w*range)\b", re.IGNORECASE | re.DOTALL
)
# SQLite and others call a truth value so; where types are kept it is a string of bits.
_BITS = re.compile(r"bit\b", re.IGNORECASE)
_ISO_DATE = re.compile(
  r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)


def kind_of(declared_type: str, values: Sequence[object], types_are_kept: bool = False) -> Kind:
  """What a column holds, by its declared type and some of its non-NULL values.

  The values decide where they are clear (a TEXT column of ISO dates is a date, an INT column of
  words is text); an empty column is what it was declared to be. Where the engine lets no other
  value into a column (`types_are_kept`), text in a column of dates or numbers is one that Python
  does not have ("infinity"), and says nothing.
  """
  if (
    values
    and all(isinstance(value, ServerText) for value in values)
    and _declared_kind(declared_type) != "date"
  ):
    return "other"
  if types_are_kept and (_COMPOUND.match(declared_type) or _BITS.match(declared_type)):
    return "other"
  if types_are_kept and _declared_kind(declared_type) in ("date", "number", "boolean"):
    values = [value for value in values if not isinstance(value, str)]
  values = values[:500]
  if _BOOLEAN.search(declared_type) and all(
    value in (0, 1, "0", "1", "t", "f", "true", "false", "T", "F") for value in values
  ):
    return "boolean"
  if not values:
    return _declared_kind(declared_type)
  kinds = Counter(_value_kind(value) for value in values)
  kind, count = kinds.most_common(1)[0]
  if count < 0.9 * len(values):
    return (
      "text" if kinds["text"] + kinds["date"] + kinds["numeral"] else _declared_kind(declared_type)
    )
  if kind == "numeral":
    # Digits in a text column (telephone numbers, codes) are text; in a column declared numeric they
    # are numbers.
    return "number" if _declared_kind(declared_type) == "number" else "text"
  return kind  # type: ignore[return-value]


def _value_kind(value: object) -> str:
  if isinstance(value, bool):
    return "boolean"
  if isinstance(value, ServerText):
    return "other"
  if isinstance(value, str):
    if _ISO_DATE.match(value):
      return "date"
    return "numeral" if value.replace(".", "", 1).removeprefix("-").isdigit() else "text"
  if isinstance(value, bytes | memoryview):
    return "other"
  name = type(value).__name__
  if name in ("int", "float", "Decimal"):
    return "number"
  return "date" if name in ("date", "datetime", "Timestamp") else "other"


def _declared_kind(declared_type: str) -> Kind:
  if _BOOLEAN.search(declared_type):
    return "boolean"
  if _DATELIKE.search(declared_type):
    return "date"
  if TEXTUAL.search(declared_type):
    return "text"
  if _NUMERIC.search(declared_type):
    return "number"
  return "other"
