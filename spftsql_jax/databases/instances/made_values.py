"""Values for single cells: fresh ones, shifted ones, ones beyond the others, and made-up ones."""

from __future__ import annotations

import datetime
import decimal
import random
import re
import uuid
from collections.abc import Iterable

from spftsql_jax.columns import whole_dates
from spftsql_jax.databases.cells import ServerText
from spftsql_jax.schema import Column

# The integers that SQLite stores.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_DAYS_NEAR = (-366, -31, -1, 1, 31, 366)
# Half of those that are made, which nobody else makes.
_UUIDS = 0x5F_46_49_4C_4C_45_44_00
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(.*)$", re.DOTALL)


class Fresh:
  """Counts on from the largest number of a column, so that its values do not occur in the column
  yet; days as whole numbers from the last day.
  """

  def __init__(self, values: Iterable[object], column: Column):
    self.number = 0
    self._form = column.date_format
    self._is_uuid = column.type.lower() == "uuid"
    for value in values:
      number = _uuid_number(value) if self._is_uuid else _number_of(value)
      if number is not None and (not self._form or whole_dates.parse(value, self._form)):
        self.number = max(self.number, number)

  def next(self, example: object, column: Column) -> object:
    """A new value that looks like the example."""
    following = self.number
    if self._form:
      following = int(str(whole_dates.shift(self.number, 1, self._form)))
    self.number = following if following > self.number else self.number + 1
    if self._is_uuid:
      return str(uuid.UUID(int=(_UUIDS << 64) + self.number))
    if isinstance(example, str) and not example.isdecimal():
      if column.kind == "date" and (match := _DAY.match(example)):
        return _shift_day(match, self.number % 20_000)
      return f"{example} {self.number}"
    return str(self.number) if isinstance(example, str) else self.number


def jitter(value: object, column: Column, rng: random.Random) -> object:
  """A value near `value`; text that is neither a number nor a date stays as it is."""
  if isinstance(value, ServerText | bool):
    return value
  if column.date_format and whole_dates.parse(value, column.date_format):
    return whole_dates.shift(value, rng.choice(_DAYS_NEAR), column.date_format)
  if isinstance(value, int):
    near = value + rng.choice((-1, 1, 2, -max(1, abs(value) // 10), max(1, abs(value) // 10)))
    return near if _LOWEST <= near <= _HIGHEST else value
  if isinstance(value, float):
    return round(value * rng.choice((0.5, 0.9, 1.1, 2.0)), 4)
  if isinstance(value, decimal.Decimal):
    return value + rng.choice((-1, 1)) * decimal.Decimal(
      (0, (1,), min(0, int(value.as_tuple()[2])))
    )
  if isinstance(value, str) and (match := _DAY.match(value)):
    return _shift_day(match, rng.choice(_DAYS_NEAR))
  if isinstance(value, str) and value.isdecimal() and len(value) < 10 and not value.startswith("0"):
    return str(max(0, int(value) + rng.choice((-1, 1))))
  return value


def beyond(values: Iterable[object], column: Column, above: bool) -> object:
  """A value above (or below) all of `values` in SQLite's order, text above numbers; None where that
  cannot be said.
  """
  present = list(values)
  numbers = [value for value in present if isinstance(value, int | float | decimal.Decimal)]
  texts = [
    value for value in present if isinstance(value, str) and not isinstance(value, ServerText)
  ]
  if numbers and (not texts or not above):
    edge = max(numbers) if above else min(numbers)
    if isinstance(edge, bool):
      return above
    if column.date_format and whole_dates.parse(edge, column.date_format):
      return whole_dates.shift(edge, 1 if above else -1, column.date_format)
    further = edge + 1 if above else edge - 1
    return further if further != edge and _LOWEST <= further <= _HIGHEST else None
  if not texts:
    return None
  last = max(texts) if above else min(texts)
  if column.date_format and whole_dates.parse(last, column.date_format):
    return whole_dates.shift(last, 1 if above else -1, column.date_format)
  if match := _DAY.match(last):
    return _shift_day(match, 1 if above else -1)
  return last + "z" if above else last[:-1] or None


def invent(column: Column, i: int, rng: random.Random) -> object:
  """A small number, a word or a date for the i-th row of a table that is empty."""
  if column.allowed:
    return rng.choice(column.allowed)
  if column.type.lower() == "uuid":
    return str(uuid.UUID(int=(_UUIDS << 64) + i + 1))
  if column.kind == "number":
    return i + 1 if rng.random() < 0.5 else rng.randint(1, 20)
  if column.kind == "boolean":
    return rng.randint(0, 1)
  if column.kind == "date":
    return (datetime.date(2000, 1, 1) + datetime.timedelta(days=rng.randint(0, 9000))).isoformat()
  return (
    rng.choice(("alpha", "beta", "gamma", "delta", "omega")) if rng.random() < 0.8 else f"item {i}"
  )


def _uuid_number(value: object) -> int | None:
  """The number of a made identifier, None for another one."""
  try:
    first, number = divmod(uuid.UUID(str(value)).int, 1 << 64)
  except ValueError:
    return None
  return number if first == _UUIDS else None


def _number_of(value: object) -> int | None:
  """The whole number of a number, or of text of digits, that leaves room to count on; else None."""
  if isinstance(value, str):
    return int(value) if value.isdecimal() and len(value) < 19 else None
  if isinstance(value, int | float | decimal.Decimal) and _LOWEST // 2 < value < _HIGHEST // 2:
    return int(value)
  return None


def _shift_day(match: re.Match, days: int) -> str:
  try:
    day = datetime.date(int(match[1]), int(match[2]), int(match[3])) + datetime.timedelta(days=days)
  except (ValueError, OverflowError):
    return match.group()
  return day.isoformat() + match[4]
