"""The part of the report page that tells which models differ: pairs of them, compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.amounts import count, is_number
from spftsql_jax.report.text import bounds, chance, is_significant

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Contrast:
  """Two models compared.

  Attributes:
    verdict: "correct" or "wrong" where chance would hardly do it, else "": the colour.
    equality: whether they are shown to be equal, or what it would take.
  """

  first: str
  second: str
  primary: bool
  points: str
  interval: str
  verdict: str
  chance: str
  only_first: int | None
  only_second: int | None
  n: int | None
  power: float | None
  equality: str


@dataclasses.dataclass(frozen=True)
class Contrasts:
  """All of a run; `drawn` is what the bootstrap of the intervals draws."""

  rows: tuple[Contrast, ...]
  drawn: str


def contrasts(rows: Sequence[Record] | None) -> Contrasts | None:
  """The comparisons of a run; None where none was recorded."""
  if not rows:
    return None
  return Contrasts(tuple(map(_contrast, rows)), str(rows[0].get("resampled") or "questions"))


def _contrast(row: Record) -> Contrast:
  difference, p = row.get("difference"), row.get("p_holm")
  verdict = ""
  if is_significant(p) and is_number(difference) and difference:
    verdict = "correct" if difference > 0 else "wrong"
  interval = bounds(row)
  return Contrast(
    str(row.get("first_model", "")),
    str(row.get("second_model", "")),
    bool(row.get("primary")),
    _points(difference),
    f"{_points(interval[0])} to {_points(interval[1])}" if interval else "",
    verdict,
    chance(p),
    row.get("only_first"),
    row.get("only_second"),
    row.get("n"),
    row.get("power"),
    _equality(row, interval),
  )


def _points(share: Any) -> str:
  """A difference of shares in points, with its sign."""
  return f"{100 * share:+.1f}".replace("-", "\u2212") if is_number(share) else ""


def _equality(row: Record, interval: tuple[float, float] | None) -> str:
  if not is_number(row.get("margin")) or interval is None:
    return ""
  margin = f"{100 * row['margin']:g} points"
  if row.get("equivalent"):
    return f"equal within {margin}"
  if interval[0] > 0 or interval[1] < 0:
    return "they differ"
  if needed := row.get("questions_needed"):
    return f"not shown: {count(needed)} questions would show them equal within {margin}"
  return f"not shown: seen {margin} apart or more"
