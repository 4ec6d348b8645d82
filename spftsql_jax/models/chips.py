"""What chips can do, by their data sheets (`chips.toml`)."""

from __future__ import annotations

import dataclasses
import functools
import os
import tomllib
from collections.abc import Sequence
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
    slices: names of sets of these chips that can be had, such as "v5e:4x4".
  """

  kind: str
  memory_gib: float
  products: float
  memory: float
  links: float
  usd_an_hour: float
  slices: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    object.__setattr__(self, "slices", tuple(self.slices))


def chip_of(device_kind: str, chips: Sequence[Chip] | None = None) -> Chip | None:
  """The chip of that name, by default of this package's table; None where it is not known."""
  known = usual_chips() if chips is None else chips
  return next((chip for chip in known if device_kind.startswith(chip.kind)), None)


def read_chips(path: str | os.PathLike) -> tuple[Chip, ...]:
  """Chips of a file in the form of `chips.toml`. Raises ValueError for another."""
  try:
    values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return tuple(Chip(**chip) for chip in values["chip"])
  except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f"{path}: not TOML ({error})") from error
  except (KeyError, TypeError) as error:
    told = str(error).removeprefix("Chip.__init__() ")
    raise ValueError(f"{path}: not chips as [[chip]] has them ({told})") from error


@functools.cache
def usual_chips() -> tuple[Chip, ...]:
  """Those of this package's table."""
  return read_chips(Path(__file__).parent / "chips.toml")
