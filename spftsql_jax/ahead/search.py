"""The cheapest slice and mesh that fit, found without compiling them all.

What a program costs at least is known without compiling it: its operations, and the bytes that it
has to read. So candidates are compiled from the one that could be cheapest on, until none that is
left could be cheaper than the cheapest that fits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Over more chips than this weights are not cut along heads: each layer waits for what it sends.
_MOST_TENSOR = 8


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A slice, such as "v5e:4x4", with a mesh over its chips."""

  topology: str
  mesh: str
  chips: int


@dataclasses.dataclass(frozen=True)
class Measured:
  """A compiled program: whether it fits, and what 1,000 examples cost at least."""

  fits: bool
  usd: float


# What a program costs at least before it is compiled; None where it cannot fit.
Floor = Callable[[Candidate, Any], float | None]
# None where no more may be compiled.
Measure = Callable[[Candidate, Any], Measured | None]


@dataclasses.dataclass(frozen=True)
class Found:
  """What a search found.

  Attributes:
    candidate: the cheapest that fits; None where none does.
    usd: what it costs, of all programs together.
    tried: candidates of which something was compiled. too_large: those whose arguments alone do not
      fit. dearer: those that cannot be cheaper.
    ended: whether the search was ended before it was sure.
  """

  candidate: Candidate | None
  usd: float
  tried: int
  too_large: int
  dearer: int
  ended: bool


def meshes_of(chips: int, key_value_heads: int) -> list[str]:
  """Meshes over so many chips: weights cut over "fsdp" or whole on "data", heads over "tensor"."""
  found = []
  for tensor in (1 << n for n in range(_MOST_TENSOR.bit_length())):
    if chips % tensor or key_value_heads % tensor:
      break
    parts = chips // tensor
    found.append(f"data:1,fsdp:{parts},tensor:{tensor}")
    if parts > 1:
      found.append(f"data:{parts},fsdp:1,tensor:{tensor}")
  return found


def cheapest(
  candidates: Iterable[Candidate], steps: Sequence[str], floor: Floor, measure: Measure
) -> Found:
  """The candidate on which all programs fit, at the lowest sum of what they cost."""
  possible: list[tuple[float, int, Candidate, list[float]]] = []
  too_large = 0
  for each in candidates:
    floors = [floor(each, step) for step in steps]
    known = [usd for usd in floors if usd is not None]
    if len(known) < len(floors):
      too_large += 1
    else:
      possible.append((sum(known), each.chips, each, known))
  # Of equal ones the smaller slice, then the first.
  possible.sort(key=lambda one: one[:2])
  best, best_usd, tried, dearer = None, math.inf, 0, 0
  for least, _, each, leasts in possible:
    if least >= best_usd:
      dearer += 1
      continue
    tried += 1
    usd = 0.0
    for place, step in enumerate(steps):
      measured = measure(each, step)
      if measured is None:
        return Found(best, best_usd, tried - 1, too_large, dearer, ended=True)
      usd += measured.usd
      # The others cost at least their floors.
      if not measured.fits or usd + sum(leasts[place + 1 :]) >= best_usd:
        usd = math.inf
        break
    if usd < best_usd:
      best, best_usd = each, usd
  return Found(best, best_usd, tried, too_large, dearer, ended=False)
