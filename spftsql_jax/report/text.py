"""Numbers and names as the report writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from spftsql_jax.report.charts import escape

Record = Mapping[str, Any]

SIGNIFICANT = 0.05


def is_number(value: Any) -> bool:
  """Whether `value` is a finite number (a bool is none)."""
  return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: Any) -> str:
  """A share as a percentage with one decimal, without the sign; a dash where there is none."""
  return f"{100 * value:.1f}".replace("-", "−") if is_number(value) else "–"


def count(value: Any) -> str:
  """A whole number with thousands grouped; a dash where there is none."""
  return f"{int(value):,}" if is_number(value) else "–"


def bounds(row: Record) -> tuple[float, float] | None:
  """The row's 95 % interval, or None where it was not given."""
  interval = row.get("ci95")
  if interval is None or len(interval) != 2 or not all(map(is_number, interval)):
    return None
  return interval[0], interval[1]


def duration(seconds: Any) -> str:
  """Seconds as a person says them: "42 s", "8 min 32 s", "1 h 45 min"."""
  if not is_number(seconds):
    return "–"
  if seconds < 9.95:
    return f"{seconds:.1f} s"
  whole = round(seconds)
  if whole < 60:
    return f"{whole} s"
  if whole < 3600:
    return f"{whole // 60} min {whole % 60} s"
  return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate(per_second: Any, what: str = "") -> str:
  """How fast something goes, in the unit of time that leaves a number of one or more: "140 a
  second", "12 a minute".
  """
  if not is_number(per_second):
    return "–"
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
    return "–"
  value = float(number_of_bytes)
  for unit in ("bytes", "KiB", "MiB", "GiB"):
    if value < 1024:
      return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
    value /= 1024
  return f"{value:.1f} TiB"


def chance(p: Any) -> str:
  """A p-value as text: "p = 0.73", "p < 0.001"; "" where there is none."""
  if not is_number(p):
    return ""
  return "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 0.0995 else f"p = {p:.3f}"


def is_significant(p: Any) -> bool:
  """Whether chance alone would hardly do it: p below 0.05. False where p is not known."""
  return is_number(p) and p < SIGNIFICANT


def scroll(content: str, label: str) -> str:
  """Content (HTML) that scrolls inside its own box where it is wider than the page, by the keyboard
  too.
  """
  return (
    f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'
  )
