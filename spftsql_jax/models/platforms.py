"""What a program is made for: which kind of device, and whether a mesh cuts its arrays."""

from __future__ import annotations

import jax


def platform() -> str:
  """ "cpu", "gpu" or "tpu": of the mesh in use, whose devices may be elsewhere, where a program is
  compiled ahead; without a mesh of the devices that are here.
  """
  mesh = jax.sharding.get_abstract_mesh()
  device = None if mesh.empty else getattr(mesh, "abstract_device", None)
  return jax.default_backend() if device is None else device.platform


def is_here() -> bool:
  """Whether what is traced can be run in this process."""
  return platform() == jax.default_backend()


def cuts(axis: str) -> bool:
  """Whether the mesh in use cuts arrays along this axis of it."""
  mesh = jax.sharding.get_abstract_mesh()
  return not mesh.empty and mesh.shape.get(axis, 1) > 1
