"""Cells of engines whose columns hold values of their declared type only: as rows are drawn from
them, and as they are written.

Numbers and truth values are Python's, all else is the engine's text: a day is "2024-05-01". Text of
what nothing is known of (lists, documents, intervals) is a `ServerText`, which nobody changes.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
import uuid
from collections.abc import Sequence

from spftsql_jax.databases.cells import ServerText
from spftsql_jax.databases.column_kinds import kind_of
from spftsql_jax.schema import Column

_WHOLE = re.compile(r"(u?(tiny|small|big|huge)?int(eger)?\d*|.*serial\d*)$", re.IGNORECASE)
_LENGTH = re.compile(r"(?:var)?char(?:acter)?(?: varying)?\((\d+)\)$", re.IGNORECASE)
_TIME = re.compile(r"time(?!stamp)", re.IGNORECASE)
_EPOCH = datetime.date(2000, 1, 1)


def is_native(column: Column) -> bool:
  """Whether the driver's own value is taken, not the engine's text."""
  return column.kind == "number" or (column.kind == "boolean" and "bool" in column.type.lower())


def cell(value: object, column: Column) -> object:
  """A value as it was read: natively, or as text."""
  if isinstance(value, float | decimal.Decimal) and not math.isfinite(value):
    return ServerText(value)
  if isinstance(value, str) and column.kind not in ("text", "date", "number"):
    return ServerText(value)
  return value


def fits(value: object, column: Column) -> bool:
  """Whether a made value is one of the column's type, as far as that is known here."""
  if value is None or isinstance(value, ServerText):
    return True
  if column.allowed:
    return value in column.allowed
  kind = column.type.lower()
  if "bool" in kind:
    return isinstance(value, bool) or value in (0, 1, "true", "false", "t", "f")
  if kind == "uuid":
    return _is_uuid(str(value))
  if "date" in kind or "timestamp" in kind:
    return _is_time(str(value))
  if length := _LENGTH.match(kind):
    return len(str(value)) <= int(length[1])
  if kind_of(column.type, ()) == "number":
    return isinstance(value, int | float | decimal.Decimal) or _is_number(str(value))
  return True


def as_text(value: object, column: Column) -> str | None:
  """What the engine reads as the value when it is written into the column."""
  if value is None:
    return None
  if isinstance(value, bool):
    return "true" if value else "false"
  if _WHOLE.match(column.type) and isinstance(value, float):
    return str(round(value)) if math.isfinite(value) else str(value)
  if isinstance(value, str):
    return value.replace("\0", "").encode(errors="replace").decode()
  return repr(value) if isinstance(value, float) else str(value)


def filling(kind: str, rows: int) -> list[str]:
  """Made-up text for a column that must hold something and of which nothing may be known: another
  in every row.
  """
  name = kind.lower()
  if name == "uuid":
    return [str(uuid.UUID(int=i)) for i in range(rows)]
  if _TIME.match(name):
    return [f"{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}" for i in range(rows)]
  if "json" in name:
    return [str(i) for i in range(rows)]
  if name.endswith("]"):
    # PostgreSQL writes its types in lower case, DuckDB in upper case.
    return ["{}" if kind == name else "[]"] * rows
  known = kind_of(kind, ())
  if known == "date":
    return [(_EPOCH + datetime.timedelta(days=i)).isoformat() for i in range(rows)]
  if known == "boolean":
    return ["false"] * rows
  return [str(i) if known == "number" else f"x{i}" for i in range(rows)]


def first_that_fits(values: Sequence[object], column: Column) -> list[object]:
  """Those of the values that fit; all where none does."""
  return [value for value in values if fits(value, column)] or list(values)


def _is_uuid(text: str) -> bool:
  try:
    uuid.UUID(text)
  except ValueError:
    return False
  return True


def _is_time(text: str) -> bool:
  try:
    datetime.datetime.fromisoformat(text)
  except ValueError:
    return False
  return True


def _is_number(text: str) -> bool:
  try:
    float(text)
  except ValueError:
    return False
  return True
