"""A program for TPUs as the compiler optimizes it, before it makes machine code of it.

The code takes half to 94 % of the time, and tells no report anything but its own size: what is
multiplied and sent stands in the optimized program, and how much memory it takes in where its
buffers are put. The compiler writes both to a folder as it goes. It cannot be stopped there, so it
runs in a process of its own, which is ended once they are written.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax

from spftsql_jax.ahead.devices import devices_of
from spftsql_jax.ahead.programs import Prepared, Step, Workload, prepare
from spftsql_jax.models import LoraConfig, ModelConfig, sharding
from spftsql_jax.training.optimizer import OptimizerConfig

# The compiler writes them in this order, and the last when the first two are whole.
_TEXT = ".after_optimizations.txt"
_BUFFERS = ".after_optimizations-buffer-assignment.txt"
_LAST = ".after_optimizations_after_buffer_assignment.txt"
_ERROR = "error.txt"
_LOOK_EVERY_S = 0.2
# "allocation 544: size 931348992, preallocated-temp:"; of a color are what lies in no main memory.
_ALLOCATION = re.compile(r"^allocation \d+: size (\d+), (.*)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"\bcolor [1-9]")


@dataclasses.dataclass(frozen=True)
class Recipe:
  """What a program is prepared from, in another process as in this one."""

  step: Step
  config: ModelConfig
  topology: str
  mesh: str
  workload: Workload
  lora: LoraConfig | None
  optimizer: OptimizerConfig | None

  def prepare(self, devices: Callable[[str], list[jax.Device]] = devices_of) -> Prepared:
    """For the devices of its slice. Raises ValueError for a mesh or sizes that do not fit."""
    mesh = sharding.make_mesh(self.mesh, devices(self.topology))
    return prepare(self.step, self.config, mesh, self.workload, self.lora, self.optimizer)


@dataclasses.dataclass(frozen=True)
class Optimized:
  """What the compiler wrote, and what it took.

  Attributes:
    text: the optimized HLO.
    memory: bytes of a chip's main memory, by what for: arguments, temporary and output. Arguments
      that are given away hold their results.
    cpu_seconds: of all cores, the start of a process included.
  """

  text: str
  memory: dict[str, int]
  cpu_seconds: float


def optimized(recipe: Recipe) -> Optimized:
  """Optimizes a program. Raises RuntimeError with what the compiler says where it cannot."""
  before = _of_children()
  with tempfile.TemporaryDirectory() as folder:
    process = multiprocessing.get_context("spawn").Process(
      target=_compile, args=(recipe, folder), daemon=True
    )
    process.start()
    while (written := _written(Path(folder))) is None and process.is_alive():
      time.sleep(_LOOK_EVERY_S)
    process.kill()
    process.join()
    written = written or _written(Path(folder))
    if written is None:
      error = Path(folder) / _ERROR
      told = error.read_text() if error.is_file() else f"it ended with {process.exitcode}"
      raise RuntimeError(f"{recipe.topology} {recipe.mesh} {recipe.step}: {told}")
    text, buffers = (path.read_text() for path in written)
  return Optimized(text, memory_of(buffers), _of_children() - before)


def memory_of(buffers: str) -> dict[str, int]:
  """Bytes of main memory, by what for, from where a compiler put a program's buffers."""
  found = {"arguments": 0, "temporary": 0, "output": 0}
  for size, said in _ALLOCATION.findall(buffers):
    if _ELSEWHERE.search(said):
      continue
    if said.startswith("parameter"):
      found["arguments"] += int(size)
    elif "maybe-live-out" in said:
      found["output"] += int(size)
    else:
      found["temporary"] += int(size)
  return found


def _written(folder: Path) -> tuple[Path, Path] | None:
  """(the optimized program, where its buffers lie), once both are whole."""
  for last in folder.glob(f"*{_LAST}"):
    name = last.name.removesuffix(_LAST)
    return folder / f"{name}{_TEXT}", folder / f"{name}{_BUFFERS}"
  return None


def _compile(recipe: Recipe, folder: str) -> None:
  """In a process of its own."""
  # Of what is found in a cache nothing is written.
  jax.config.update("jax_enable_compilation_cache", False)
  try:
    lowered = recipe.prepare().lower()
    lowered.compile(compiler_options={"xla_dump_to": folder, "xla_dump_hlo_as_text": True})
  except Exception as error:  # Of whatever kind: it is told where it was asked for.
    (Path(folder) / _ERROR).write_text(str(error))


def _of_children() -> float:
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime
