"""The part of the report page on what models can answer and do not answer first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class SolveRates:
  """A version's drawn answers.

  Attributes:
    gap: between pass@k and greedy EX, in points.
    shares: of the questions to which 0, 1, ..., all answers are right, with their numbers.
  """

  version: str
  greedy_ex: float
  pass_at_k: float
  gap: float
  questions: int
  shares: tuple[tuple[int, float, int], ...]


@dataclasses.dataclass(frozen=True)
class Headroom:
  """All versions; `k` and `samples` are those of the first."""

  k: int
  samples: int
  versions: tuple[SolveRates, ...]


def headroom(rows: Sequence[Record] | None) -> Headroom | None:
  """pass@k beside greedy EX; None where it was not measured."""
  if not rows:
    return None
  return Headroom(rows[0]["k"], rows[0]["samples"], tuple(map(_solve_rates, rows)))


def _solve_rates(row: Record) -> SolveRates:
  asked = max(row["questions"], 1)
  return SolveRates(
    str(row["version"]),
    row["greedy_ex"],
    row["pass_at_k"],
    100 * (row["pass_at_k"] - row["greedy_ex"]),
    row["questions"],
    tuple((right, number / asked, number) for right, number in enumerate(row["counts"])),
  )
