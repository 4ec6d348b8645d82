"""Which kind of device a program is made for."""

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
