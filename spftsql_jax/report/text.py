"""What the report says of figures and of texts that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from spftsql_jax.amounts import is_number

Record = Mapping[str, Any]

SIGNIFICANT = 0.05
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def bounds(row: Record) -> tuple[float, float] | None:
  """The row's 95 % interval, or None where it was not given."""
  interval = row.get("ci95")
  if interval is None or len(interval) != 2 or not all(map(is_number, interval)):
    return None
  return interval[0], interval[1]


def chance(p: Any) -> str:
  """A p-value as text: "p = 0.73", "p < 0.001"; "" where there is none."""
  if not is_number(p):
    return ""
  return "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 0.0995 else f"p = {p:.3f}"


def is_significant(p: Any) -> bool:
  """Whether chance alone would hardly do it: p below 0.05. False where p is not known."""
  return is_number(p) and p < SIGNIFICANT


def chance_in_words(p: Any) -> str:
  """A p-value with what it means: "p = 0.73, by chance possible"; "" where there is none."""
  told = chance(p)
  return told and told + ("" if is_significant(p) else ", by chance possible")


def printable(value: object) -> str:
  """Text in which control characters and lone surrogates are shown as U+FFFD."""
  return _CONTROL.sub("\ufffd", str(value))


def shorten(text: str, length: int) -> str:
  """`text` in at most `length` characters, the last an ellipsis where something was cut."""
  return text if len(text) <= length else text[: max(length - 1, 1)].rstrip() + "…"


def shorten_middle(text: str, length: int) -> str:
  """`text` in at most `length` characters without its middle, as either end may tell it apart."""
  if len(text) <= length:
    return text
  tail = (length - 1) // 2
  return f"{text[: length - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
