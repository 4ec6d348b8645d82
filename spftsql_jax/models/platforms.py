"""What a program is made for: which kind of device, and whether a mesh cuts its arrays."""

from __future__ import annotations

from typing import Any

import jax

from spftsql_jax.models.gpus import gpu_of


def platform() -> str:
  """ "cpu", "gpu" or "tpu": of the mesh in use, whose devices may be elsewhere, where a program is
  compiled ahead; without a mesh of the devices that are here.
  """
  device = _of_mesh()
  return jax.default_backend() if device is None else device.platform


def is_here() -> bool:
  """Whether what is traced can be run in this process."""
  return platform() == jax.default_backend()


def cuts(axis: str) -> bool:
  """Whether the mesh in use cuts arrays along this axis of it."""
  mesh = jax.sharding.get_abstract_mesh()
  return not mesh.empty and mesh.shape.get(axis, 1) > 1


def compute_capability() -> tuple[int, int] | None:
  """Of the NVIDIA GPU that a program is made for; None for other devices and unknown GPUs."""
  if platform() != "gpu":
    return None
  device = _of_mesh()
  if device is not None and not is_here():
    gpu = gpu_of(device.device_kind)
    return None if gpu is None else gpu.capability
  # An AMD GPU's is a name.
  told = str(getattr(jax.local_devices()[0], "compute_capability", "")).split(".")
  return (int(told[0]), int(told[1])) if len(told) == 2 and "".join(told).isdigit() else None


def _of_mesh() -> Any:
  """What is known of the devices of the mesh in use; None without one."""
  mesh = jax.sharding.get_abstract_mesh()
  return None if mesh.empty else getattr(mesh, "abstract_device", None)
