"""Which devices a name means: chips of a TPU slice, GPUs of one machine, or devices of this one.
None but the last have to be there.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import warnings
from typing import Any

import jax
from jax.experimental import topologies

from spftsql_jax.ahead.gpu_target import target_config
from spftsql_jax.models.gpus import Gpu, usual_gpus

# What compiles for them, and how it is to be had.
_TPU_COMPILER = "libtpu is not installed, the compiler for TPUs: pip install "
_GPU_COMPILER = (
  "JAX's plugin for NVIDIA GPUs is not installed, which compiles for them without one: pip install "
  f"jax-cuda12-pjrt=={jax.__version__} nvidia-cuda-nvcc-cu12"
)
_GPU_PLUGINS = ("jax_plugins.xla_cuda13", "jax_plugins.xla_cuda12")


@functools.cache
def devices_of(topology: str) -> list[jax.Device]:
  """The devices of "v5e:4x4" (a TPU slice), "h100:8" (GPUs with links to each other; "h100" is one)
  or "cpu:2" (of this machine).

  Raises:
    ValueError: there is no such slice, or its compiler is not installed.
  """
  kind, _, count = topology.partition(":")
  if here := of_this_machine(topology):
    return jax.devices("cpu")[:here]
  if kind not in usual_gpus():
    return _tpus(topology)
  check_name(topology)
  return _gpus(usual_gpus()[kind], int(count or 1))


def check_name(topology: str) -> None:
  """Raises ValueError for a number of GPUs that is none, whatever is installed."""
  kind, _, count = topology.partition(":")
  if kind in usual_gpus() and (not (count or "1").isdigit() or not int(count or 1)):
    raise ValueError(f"--topology={topology}: {kind}:N is N of these GPUs")


def of_this_machine(topology: str) -> int:
  """N of "cpu:N"; 0 for other slices."""
  kind, _, count = topology.partition(":")
  return int(count) if kind == "cpu" and count.isdigit() else 0


def _tpus(topology: str) -> list[jax.Device]:
  _warn_of_another_libtpu()
  try:
    return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
  except Exception as error:  # The plugin raises errors of several kinds.
    if not _is_installed("libtpu"):
      raise ValueError(f'{_TPU_COMPILER}"{_libtpu_of_jax()}"') from error
    gpus = ", ".join(usual_gpus())
    raise ValueError(
      f"--topology={topology}: {str(error).splitlines()[0]} (known are slices such as v5e:4x4, and "
      f"{gpus})"
    ) from error


def _libtpu_of_jax() -> str:
  """The version of libtpu that this JAX is made for, as a requirement."""
  wanted = importlib.metadata.requires("jax") or []
  return next(
    (each.split(";")[0].strip() for each in wanted if each.startswith("libtpu")), "libtpu"
  )


def _warn_of_another_libtpu() -> None:
  """What another version compiles JAX cannot always read: "RET_CHECK failure" of an operand's
  count is such an error.
  """
  try:
    installed = importlib.metadata.version("libtpu")
  except importlib.metadata.PackageNotFoundError:
    return
  name, _, version = (wanted := _libtpu_of_jax()).partition("==")
  if version and not f"{installed}.".startswith(version.removesuffix("*")):
    warnings.warn(
      f"{name} {installed} is not the version that JAX {jax.__version__} is made for, and programs "
      f'may fail to compile: pip install "{wanted}"',
      stacklevel=2,
    )


def _gpus(gpu: Gpu, count: int) -> list[jax.Device]:
  if not any(map(_is_installed, _GPU_PLUGINS)):
    raise ValueError(_GPU_COMPILER)
  # Parts, hosts of each, and GPUs of each.
  asked: dict[str, Any] = {"topology": f"1x1x{count}", "target_config": target_config(gpu)}
  return list(topologies.get_topology_desc(platform="cuda", **asked).devices)


def _is_installed(module: str) -> bool:
  try:
    return importlib.util.find_spec(module) is not None
  except ModuleNotFoundError:  # Nor is the package that it is in.
    return False
