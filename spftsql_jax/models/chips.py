"""What chips can do, by their data sheets (`chips.toml`)."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Chip:
  """A chip's figures.

  Attributes:
    kind: how its `device_kind` begins.
    memory_gib: of its memory.
    products: operations a second of dense bfloat16 products, at best.
    memory: bytes a second that its memory reads and writes.
    links: bytes a second that it sends to other chips; 0 where that is not told.
    usd_an_hour: what it costs; 0 where there is no price to go by.
  """

  kind: str
  memory_gib: float
  products: float
  memory: float
  links: float
  usd_an_hour: float


def chip_of(device_kind: str) -> Chip | None:
  """The chip of that name; None where it is not known."""
  return next((chip for chip in _chips() if device_kind.startswith(chip.kind)), None)


@functools.cache
def _chips() -> tuple[Chip, ...]:
  text = (Path(__file__).parent / "chips.toml").read_text(encoding="utf-8")
  return tuple(Chip(**values) for values in tomllib.loads(text)["chip"])
