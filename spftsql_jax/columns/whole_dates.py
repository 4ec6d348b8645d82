"""Days and moments kept as whole numbers or digits: 20240517, 202405, 2024138, seconds since 1970.

`format_of` reads a column, once, when its schema is read (`Column.date_format`); `shift` and
`start_of` make other values for such a column, which are real days too.
"""

from __future__ import annotations

import calendar
import datetime
import decimal
import math
from collections.abc import Iterable

from spftsql_jax.columns import kinds
from spftsql_jax.columns.splitting import split_name

# By the number of digits.
_FORMATS = {
  14: "%Y%m%d%H%M%S",
  12: "%Y%m%d%H%M",
  10: "%Y%m%d%H",
  8: "%Y%m%d",
  7: "%Y%j",
  6: "%Y%m",
}
# Told without a word in the column's name, since hardly another number looks so.
_TELLING = frozenset({"%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M"})
SECONDS, MILLISECONDS = "seconds", "milliseconds"
_PER_SECOND = {SECONDS: 1, MILLISECONDS: 1_000}
# 1985 to 2096; numbers of this size are moments only where the column's name says so.
_MOMENTS = {
  SECONDS: (500_000_000, 4_000_000_000),
  MILLISECONDS: (500_000_000_000, 4_000_000_000_000),
}
_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_YEAR, _LAST_YEAR = 1700, 2200
# One value in so many may be no day at all (0, 99999999, the 30th of February).
_BAD = 20
# Without a word in the name, so many different values have to be months, or days of a year.
_MANY = 8


def format_of(name: str, values: Iterable[object]) -> str:
  """The format of the days that a column holds, or "".

  As `strftime` writes it, or SECONDS or MILLISECONDS.

  Args:
    name: the column's.
    values: some of its values other than NULL; whole numbers, or text of digits.
  """
  texts = set()
  for value in values:
    text = _digits(value)
    if not (text.isascii() and text.isdecimal()):
      return ""
    texts.add(text)
  if not texts:
    return ""
  words = split_name(name)
  size = max({len(t) for t in texts}, key=lambda size: sum(len(t) == size for t in texts))
  form = _FORMATS.get(size, "")
  tells = form in _TELLING or len(texts) >= _MANY or kinds.has_word(words, "moment", "whole date")
  if form and tells and _BAD * sum(parse(text, form) is None for text in texts) <= len(texts):
    return form
  if kinds.ends_in(words, "moment"):
    for unit, (low, high) in _MOMENTS.items():
      if all(low <= int(text) <= high for text in texts):
        return unit
  return ""


def parse(value: object, form: str) -> datetime.datetime | None:
  """The moment that a value says in a format; None where it is none."""
  text = _digits(value)
  try:
    if form in _PER_SECOND:
      return _EPOCH + datetime.timedelta(seconds=int(text) / _PER_SECOND[form])
    moment = datetime.datetime.strptime(text, form)
  except (ValueError, OverflowError):
    return None
  # The parser is content with fewer digits than the format has.
  return (
    moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR and moment.strftime(form) == text else None
  )


def shift(value: object, days: int, form: str) -> object:
  """A value so many days later, of the same type; itself where it is no day.

  Of months and years: at least one step.
  """
  moment = parse(value, form)
  if moment is None or not days:
    return value
  if form == "%Y%m":
    steps = days // 28 or 1 if days > 0 else -(-days // 28 or 1)
    index = moment.year * 12 + moment.month - 1 + steps
    other = datetime.datetime(index // 12, index % 12 + 1, 1)
  else:
    try:
      other = moment + datetime.timedelta(days=days)
    except OverflowError:
      return value
  written = _write(other, form)
  return value if written is None else _of_type(value, written)


def start_of(low: object, high: object, form: str) -> object | None:
  """The first day of a year, or else of a month, in [low, high); None where there is none.

  It is of the type of `low`.
  """
  last = parse(high, form)
  if last is None or parse(low, form) is None:
    return None
  midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
  for first in (midnight.replace(month=1, day=1), midnight.replace(day=1)):
    written = _write(first, form)
    if written is not None and int(_digits(low)) <= int(written) < int(_digits(high)):
      return _of_type(low, written)
  return None


def _digits(value: object) -> str:
  """The digits of a whole number, or of text; "" for other values."""
  if isinstance(value, float | decimal.Decimal):
    return str(int(value)) if math.isfinite(value) and value == int(value) else ""
  return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _of_type(value: object, digits: str) -> object:
  """Digits as a value of the type of another."""
  return type(value)(digits) if isinstance(value, int | float | decimal.Decimal) else digits


def _write(moment: datetime.datetime, form: str) -> str | None:
  if form in _PER_SECOND:
    seconds = calendar.timegm(moment.timetuple())
    return str(seconds * _PER_SECOND[form]) if seconds >= 0 else None
  return moment.strftime(form) if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
