"""A program compiled, or found in a folder where it was kept: compiling a large one takes long."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import importlib.metadata
import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

import jax
import jaxlib

from spftsql_jax.ahead.gpu_target import target_config
from spftsql_jax.ahead.optimized import Recipe, optimized
from spftsql_jax.ahead.programs import Prepared
from spftsql_jax.files import write_whole
from spftsql_jax.models.gpus import gpu_of

# What compilers are told, by kind of device. A GPU's finds the quickest way to multiply by trying,
# for which it needs one: here cuBLAS does all of it, since Triton's usual blocks do not always do.
_OPTIONS: dict[str, dict[str, bool | int]] = {
  "gpu": {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
}
# Of packages, the first that is installed.
_COMPILERS = {
  "gpu": ("jax-cuda13-pjrt", "jax-cuda12-pjrt"),
  "tpu": ("libtpu",),
}


@dataclasses.dataclass(frozen=True)
class Compiled:
  """What the compiler made of a program.

  Attributes:
    text: the optimized HLO.
    memory: bytes of a chip's memory that are in use at once, by what for. That of its "code" is
      not known where none was made.
    seconds, cpu_seconds: of compiling it; the second of all cores together.
  """

  text: str
  memory: dict[str, int]
  seconds: float
  cpu_seconds: float


def compiled(
  program: Prepared, kept: str | os.PathLike | None = None, recipe: Recipe | None = None
) -> Compiled:
  """A program compiled.

  Args:
    recipe: what the program was prepared from, to have it optimized only (`optimized`).
    kept: folder in which it is looked for, and kept under a name that is the hash of the program,
      its mesh and the compiler's version. JAX's own cache does not serve: it keeps what runs on
      devices that are there.

  Raises:
    ValueError: a part of the compiler is not installed.
  """
  # What is only optimized is lowered where that is done: here for its name alone.
  lowered = program.lower() if recipe is None or kept is not None else None
  path = None if kept is None else Path(kept) / f"{_name(program, lowered, recipe)}.json.gz"
  if path is not None and (found := _read(path)) is not None:
    return found
  made = _made(lowered, program.device.platform) if recipe is None else _optimized(recipe)
  if path is not None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, gzip.compress(json.dumps(dataclasses.asdict(made)).encode()))
  return made


def _made(lowered: Any, platform: str) -> Compiled:
  start, used = time.perf_counter(), time.process_time()
  executable = _executable(lowered, _OPTIONS.get(platform, {}))
  seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - used
  return Compiled(executable.as_text(), _memory(executable, platform), seconds, cpu_seconds)


def _optimized(recipe: Recipe) -> Compiled:
  start = time.perf_counter()
  found = optimized(recipe)
  return Compiled(found.text, found.memory, time.perf_counter() - start, found.cpu_seconds)


def _executable(lowered: Any, options: dict[str, bool | int]) -> Any:
  try:
    return lowered.compile(compiler_options=options) if options else lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if "No PTX compilation provider" not in str(error):
      raise
    raise ValueError(
      "NVIDIA's assembler (ptxas) is not installed: pip install nvidia-cuda-nvcc-cu12"
    ) from error


def _name(program: Prepared, lowered: Any, recipe: Recipe | None = None) -> str:
  devices, device, platform = program.mesh.devices.flat, program.device, program.device.platform
  # Devices of two kinds can look alike: both a v5e and a v6e are a "TpuDevice(id=0, ...)".
  told = [lowered.as_text(), str(program.mesh), str(list(devices)), device.device_kind]
  told += [jax.__version__, _compiler(platform)]
  told += [] if recipe is None else ["optimized"]
  told += [str(_OPTIONS[platform])] if platform in _OPTIONS else []
  if (gpu := gpu_of(device.device_kind)) is not None:
    told.append(target_config(gpu))
  return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def _compiler(platform: str) -> str:
  for package in _COMPILERS.get(platform, ()):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      return importlib.metadata.version(package)
  return jaxlib.__version__


def _read(path: Path) -> Compiled | None:
  """What was kept; None where there is nothing, or what cannot be read."""
  try:
    return Compiled(**json.loads(gzip.decompress(path.read_bytes())))
  except (OSError, EOFError, ValueError, TypeError, zlib.error):
    return None


def _memory(executable: Any, platform: str) -> dict[str, int]:
  sizes = executable.memory_analysis()
  temporary = sizes.temp_size_in_bytes
  if platform == "tpu":
    # There results that lie where arguments lay are counted as temporary too.
    temporary = sizes.peak_memory_in_bytes - sizes.argument_size_in_bytes
  return {
    "arguments": sizes.argument_size_in_bytes,
    "temporary": temporary,
    # What is donated lies where its result lies.
    "output": sizes.output_size_in_bytes - sizes.alias_size_in_bytes,
    "code": sizes.generated_code_size_in_bytes,
  }
