"""Choosing the values of a query so that its conditions select something, but not everything."""

from __future__ import annotations

import datetime
import decimal
import random
import re
import struct
from collections.abc import Collection

from spftsql_jax.columns import whole_dates
from spftsql_jax.columns.roles import Role
from spftsql_jax.databases.cells import is_readable
from spftsql_jax.synthesis.stored import TableRows, rank_below, round_number
from spftsql_jax.synthesis.value_specs import ValueSpec

_LIMITS = (3, 3, 3, 5, 5, 5, 10, 2, 4)
_COUNTS = (1, 1, 2, 2, 2, 3, 3, 5, 10)
_TIGHT = 2  # A tight bound leaves this many values out beside the outermost one, at most.
_SHARE = 4  # A range reaches to either side of what it has to hold by this part of all values.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_TRIES = 4  # Thresholds drawn until one is round.
_WORDS = re.compile(r"[^\W\d_]{3,}")


class CannotFill(ValueError):
  """The schema or its data have nothing that fits; the message says what is missing."""


def literal(value: object, dialect: str = "sqlite") -> str:
  """A value as SQL. Raises CannotFill for what nobody writes into a query."""
  if isinstance(value, bool):
    return ("1" if value else "0") if dialect == "sqlite" else ("TRUE" if value else "FALSE")
  if isinstance(value, int):
    return str(value)
  if isinstance(value, float):
    if value != value or abs(value) > 1e15:
      raise CannotFill("a number too large to write")
    value = _shortest(value)
    return str(int(value)) if value.is_integer() else repr(value)
  if isinstance(value, str):
    if len(value) > 60 or "\n" in value or not is_readable(value):
      raise CannotFill("a text too long to write, or not readable")
    return "'" + value.replace("'", "''") + "'"
  if isinstance(value, (datetime.date, datetime.datetime)):
    return (
      f"'{value.isoformat(sep=' ') if isinstance(value, datetime.datetime) else value.isoformat()}'"
    )
  if isinstance(value, decimal.Decimal):
    return literal(float(value))
  raise CannotFill(f"a value of type {type(value).__name__}")


def _shortest(value: float) -> float:
  """A number that was stored with single precision (2.299999952316284) as it was meant (2.3)."""
  if len(repr(value)) > 10 and _single(value) == value:
    return next(
      (short for digits in range(6, 10) if _single(short := float(f"{value:.{digits}g}")) == value),
      value,
    )
  return value


def _single(value: float) -> float | None:
  try:
    return struct.unpack("f", struct.pack("f", value))[0]
  except OverflowError:
    return None


def choose_free(slot: ValueSpec, taken: set, rng: random.Random) -> int:
  """A LIMIT, or a number of rows where nothing tells which numbers occur."""
  options = [
    value for value in (_LIMITS if slot.mode == "limit" else _COUNTS) if value not in taken
  ]
  return rng.choice(options or [7])


def choose_plain(
  slot: ValueSpec,
  stored: TableRows,
  column: str,
  role: Role,
  witness: object,
  taken: set,
  rng: random.Random,
  tight: bool = False,
) -> object:
  """A value to compare a column with.

  Args:
    slot: the value slot with its operator.
    stored: the table's rows.
    column: the column's name.
    role: the column's; dates and numbers may be rounded.
    witness: the column's value in a row that the query is to select, or None.
    taken: values that other slots of this column already have.
    rng: source of chance.
    tight: few rows are to be selected.

  Raises:
    CannotFill: the column has no values that fit.
  """
  values = stored.distinct(column)
  if not values:
    raise CannotFill(f"no values in {column}")
  if slot.single:
    if stored.count(column, witness) == 1 and witness not in taken:
      return witness
    once = [value for value in values if value not in taken and stored.count(column, value) == 1]
    if not once:
      raise CannotFill(f"no value in {column} that occurs once")
    return rng.choice(once)
  if slot.operator in ("EQ", "IN", "NEQ"):
    if slot.operator != "NEQ" and witness is not None and witness != "" and witness not in taken:
      return witness
    options = (
      [value for value in values if value not in taken and value != witness]
      if len(values) < 500
      else []
    )
    if not options:
      options = [value for value in (rng.choice(values) for _ in range(8)) if value not in taken]
    if not options:
      raise CannotFill(f"too few values in {column}")
    return rng.choice(options)
  if len(values) < 2:
    raise CannotFill(f"too few values in {column}")
  return _threshold(values, slot.operator, role, witness if not slot.under_or else None, rng, tight)


def choose_near(
  values: list, operator: str, rng: random.Random, date_formats: Collection[str] = ()
) -> object:
  """A number to compare an expression with that takes `values`. Raises CannotFill.

  Where these are days in one of the `date_formats`, a day.
  """
  numbers = sorted(
    {value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)}
  )
  if not numbers:
    texts = sorted({value for value in values if isinstance(value, str)})
    if not texts:
      raise CannotFill("the expression has no values")
    return rng.choice(texts)
  if operator in ("EQ", "IN"):
    return rng.choice(numbers)
  if len(numbers) < 2:
    raise CannotFill("the expression has only one value")
  form = next(
    (f for f in date_formats if all(whole_dates.parse(number, f) for number in numbers)), ""
  )
  return _threshold(numbers, operator, Role("num", date_format=form), None, rng)


def _threshold(
  values: list, operator: str, role: Role, witness: object, rng: random.Random, tight: bool = False
) -> object:
  """A value that parts `values`: some satisfy `x operator value`, some do not.

  `witness` does, if given.

  `tight` leaves but a few of them: of a range those next to the witness, else the largest or the
  smallest.
  """
  found: object = None
  for _ in range(_TRIES):
    low, high = _bounds(values, operator, witness, rng, tight)
    # What satisfies the condition begins above `low`, or ends below `high`: the value itself counts
    # on one side.
    with_high = operator in ("GTE", "LOW", "LT")
    found = _between(values[low], values[high], role, rng, with_high)
    if not with_high and role.kind == "date" and _begins(found, values):
      behind = _day_behind(values[low])
      between = behind is not None and behind < str(values[high]) and not _begins(behind, values)
      found = behind if between else values[low]
    if _is_round(found):
      break
  return found


def _bounds(
  values: list, operator: str, witness: object, rng: random.Random, tight: bool
) -> tuple[int, int]:
  """The places of two values that a threshold lies between; see `_threshold`."""
  last = len(values) - 1
  rank = rank_or_middle(values, witness, rng)
  share = 0 if tight else last // _SHARE
  if operator in ("GT", "GTE", "LOW"):
    high = max(1, min(last, rank))
    if operator == "LOW":
      high = max(1, min(last - 1, high) - share)
    elif tight:
      high = max(1, last - rng.randint(0, _TIGHT))
    return high - 1 if tight else rng.randint(high // 2, high - 1), high
  low = max(0, min(last - 1, rank))
  if operator == "HIGH":
    low = min(last - 1, max(1, low) + share)
  elif tight:
    low = min(last - 1, rng.randint(0, _TIGHT))
  return low, low + 1 if tight else rng.randint(low + 1, max(low + 1, (low + last + 1) // 2))


def rank_or_middle(values: list, witness: object, rng: random.Random) -> int:
  """The rank of the witness, or a rank somewhere in the middle."""
  if witness is not None:
    try:
      return rank_below(values, witness)
    except TypeError:
      pass
  last = len(values) - 1
  return rng.randint(max(0, last // 4), max(1, (3 * last + 3) // 4))


def _between(
  low: object, high: object, role: Role, rng: random.Random, with_high: bool = False
) -> object:
  """A value people would say in [low, high), or in (low, high] if `with_high`.

  `low`, or else `high`, itself where it is said as it stands, sometimes; else a round one.
  """
  end = high if with_high else low
  if rng.random() < 0.3 and _is_round(end):
    return end
  if role.date_format:
    rounded = whole_dates.start_of(low, high, role.date_format)
    return end if rounded is None or (with_high and rounded == low) else rounded
  if role.kind == "date" and isinstance(low, str) and isinstance(high, str):
    for length, rest in ((4, "-01-01"), (7, "-01"), (10, "")):
      rounded = high[:length] + rest
      inside = low < rounded <= high if with_high else low <= rounded < high
      if inside and re.fullmatch(r"\d{4}-\d\d-\d\d", rounded):
        return rounded
    return end
  if role.kind != "num" or not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
    return end
  if isinstance(low, int) and 1900 <= low <= 2100 and not role.measure:
    return end  # A year, most likely.
  number = round_number(-high, -low, rng) if with_high else round_number(low, high, rng)
  return end if number is None else -number if with_high else number


def _day_behind(moment: object) -> str | None:
  """The day behind that of a moment; None for what is none."""
  try:
    return (datetime.date.fromisoformat(str(moment)[:10]) + datetime.timedelta(days=1)).isoformat()
  except ValueError:
    return None


def _begins(day: object, values: list) -> bool:
  """Whether a day is that of a moment among `values`.

  The moment, as a longer text, is above it: "after May 1" would take in May 1.
  """
  if not isinstance(day, str):
    return False
  moments = (value for value in values if isinstance(value, str))
  return any(value.startswith(day) and value != day for value in moments)


def _is_round(value: object) -> bool:
  """Whether people say a value as it stands: a number of two digits, noughts aside, or a text that
  is no moment.
  """
  if isinstance(value, str):
    return _MOMENT.match(value) is None
  if isinstance(value, bool) or not isinstance(value, (int, float)):
    return True
  return len(f"{abs(value):.12g}".replace(".", "").strip("0")) <= 2


def choose_like(
  stored: TableRows, column: str, witness: object, taken: set, rng: random.Random
) -> str:
  """A LIKE pattern that the witness matches. Raises CannotFill.

  A word of it anywhere, or its first letters, or its last.
  """
  values = stored.distinct(column)
  text = witness if isinstance(witness, str) and witness else rng.choice(values) if values else None
  if not isinstance(text, str):
    raise CannotFill(f"no text in {column}")
  words = [word for word in _WORDS.findall(text) if word.isascii()]
  chance = rng.random()
  if len(words) > 1 and chance < 0.6:
    pattern = f"%{rng.choice(words)}%"
  elif text[0].isalpha() and chance < 0.85:
    pattern = f"{text[: rng.choice((1, 1, 2))]}%"
  elif text[-1].isalpha():
    pattern = f"%{text[-rng.choice((1, 2)) :]}"
  else:
    raise CannotFill(f"no words in {column}")
  if (
    pattern in taken
    or any(mark in pattern[1:-1] for mark in "%_")
    or pattern.strip("%") != pattern.strip("%").strip()
  ):
    raise CannotFill(f"no new pattern in {column}")
  return pattern


def choose_formatted(
  slot: ValueSpec,
  stored: TableRows,
  column: str,
  witness: object,
  taken: set,
  rng: random.Random,
) -> str:
  """A part of a date, such as its year, as strftime writes it. Raises CannotFill."""
  parts = sorted(
    {
      text
      for value in stored.distinct(column)
      if (text := format_date(value, slot.format)) is not None
    }
  )
  own = format_date(witness, slot.format) if witness is not None else None
  if slot.operator in ("EQ", "IN", "NEQ"):
    if own is not None and own not in taken and slot.operator != "NEQ":
      return own
    parts = [part for part in parts if part not in taken]
    if not parts:
      raise CannotFill(f"too few dates in {column}")
    return rng.choice(parts)
  if len(parts) < 2:
    raise CannotFill(f"too few dates in {column}")
  return str(_threshold(parts, slot.operator, Role("text"), own, rng))


def format_date(value: object, form: str) -> str | None:
  """A stored date in strftime's format; None where it is no ISO date."""
  if isinstance(value, str):
    try:
      value = datetime.date.fromisoformat(value[:10])
    except ValueError:
      return None
  if not isinstance(value, datetime.date):
    return None
  return value.strftime(form)
