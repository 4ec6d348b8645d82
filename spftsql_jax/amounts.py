"""Amounts as people read them: shares, counts, durations, rates and sizes.

Each function takes a number and gives its text; a dash stands for what is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

UNKNOWN = "–"
_DATABASES_NAMED = 5


def is_number(value: Any) -> TypeGuard[int | float]:
  """Whether `value` is a finite number (a bool is none)."""
  return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: Any) -> str:
  """A share as a percentage with one decimal, without the sign."""
  return f"{100 * value:.1f}".replace("-", "−") if is_number(value) else UNKNOWN


def count(value: Any) -> str:
  """A whole number with thousands grouped."""
  return f"{int(value):,}" if is_number(value) else UNKNOWN


def duration(seconds: Any) -> str:
  """Seconds as a person says them: "42 s", "8 min 32 s", "1 h 45 min"."""
  if not is_number(seconds):
    return UNKNOWN
  if seconds < 9.95:
    return f"{seconds:.1f} s"
  whole = round(seconds)
  if whole < 60:
    return f"{whole} s"
  if whole < 3600:
    return f"{whole // 60} min {whole % 60} s"
  return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate(per_second: Any, what: str = "") -> str:
  """How fast something goes, in the unit of time that leaves a number of one or more.

  "140 a second", "12 a minute"; with `what`: "140 tokens a second".
  """
  if not is_number(per_second):
    return UNKNOWN
  what = what and f" {what}"
  for seconds, unit in ((1, "second"), (60, "minute"), (3600, "hour")):
    value = per_second * seconds
    if value >= 0.95 or unit == "hour":
      break
  digits = 0 if value >= 9.5 else 1
  return f"{value:,.{digits}f}{what} {'an' if unit == 'hour' else 'a'} {unit}"


def size(number_of_bytes: Any) -> str:
  """Bytes in the binary unit that leaves a small number: "2.1 GiB"."""
  if not is_number(number_of_bytes):
    return UNKNOWN
  value = float(number_of_bytes)
  for unit in ("bytes", "KiB", "MiB", "GiB"):
    if value < 1024:
      return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
    value /= 1024
  return f"{value:.1f} TiB"


def by_database(found: Mapping[str, int]) -> str:
  """The databases with most of what was counted, and how many others there are: Spider has 140, and
  every stage tells.
  """
  ranked = sorted(found.items(), key=lambda i: (-i[1], i[0]))
  named = ", ".join(f"{db_id} {number}" for db_id, number in ranked[:_DATABASES_NAMED])
  others = ranked[_DATABASES_NAMED:]
  if not others:
    return named
  return f"{named}, and {sum(n for _, n in others)} of {len(others)} other databases"
