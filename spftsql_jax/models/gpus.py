"""What a compiler asks of GPUs that are not there (`gpus.toml`)."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Gpu:
  """A GPU's figures, sizes in bytes.

  Attributes:
    device_kind: as JAX has it.
    compute_capability: "9.0a", the letter for features that later ones do not have.
    cores: multiprocessors.
    float32_units_a_core, threads_a_core, shared_memory_a_core: of each.
    shared_memory_a_block: what a kernel may ask for.
    l2_cache: of all cores together.
    clock_ghz: at best.
  """

  device_kind: str
  compute_capability: str
  cores: int
  float32_units_a_core: int
  threads_a_core: int
  shared_memory_a_core: int
  shared_memory_a_block: int
  l2_cache: int
  clock_ghz: float

  @property
  def capability(self) -> tuple[int, int]:
    """Major and minor version of the compute capability."""
    major, _, minor = self.compute_capability.rstrip("a").partition(".")
    return int(major), int(minor)


@functools.cache
def usual_gpus() -> Mapping[str, Gpu]:
  """Those of this package's table, by name."""
  text = (Path(__file__).parent / "gpus.toml").read_text(encoding="utf-8")
  return {name: Gpu(**values) for name, values in tomllib.loads(text).items()}


def gpu_of(device_kind: str) -> Gpu | None:
  """The GPU of that kind; None where it is not known."""
  return next((gpu for gpu in usual_gpus().values() if gpu.device_kind == device_kind), None)
