"""Where arrays live on a mesh: one table from logical axes to the mesh axes ("data", "fsdp", "tensor")."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig, init_lora
from spftsql_jax.models.transformer import abstract_params

MESH_AXES = ("data", "fsdp", "tensor")

# Weights are spread over "fsdp" along the model's width and over "tensor" along heads, MLP width and vocabulary.
RULES: tuple[tuple[str, str | tuple[str, ...] | None], ...] = (
  ("batch", ("data", "fsdp")),
  ("embed", "fsdp"),
  ("vocab", "tensor"),
  ("heads", "tensor"),
  ("kv_heads", "tensor"),
  ("mlp", "tensor"),
  ("layers", None),
  ("norm", None),
  ("hidden", None),
)


def make_mesh(spec: str | None = None, devices: list[jax.Device] | None = None) -> Mesh:
  """The mesh with axes ("data", "fsdp", "tensor").

  Args:
    spec: sizes such as "data:1,fsdp:8,tensor:2"; an axis left out has size 1, one may be -1 (what remains). None puts all
      devices on "data".
    devices: by default all.

  Raises:
    ValueError: the spec is malformed or does not fit the number of devices.
  """
  devices = jax.devices() if devices is None else devices
  sizes = _parse_mesh(spec) if spec else {"data": -1}
  shape = [sizes.get(axis, 1) for axis in MESH_AXES]
  known = math.prod(size for size in shape if size != -1)
  if shape.count(-1) == 1 and len(devices) % known == 0:
    shape[shape.index(-1)] = len(devices) // known
  if math.prod(shape) != len(devices) or min(shape) < 1:
    raise ValueError(f"mesh {spec!r} does not fit {len(devices)} devices")
  return jax.make_mesh(tuple(shape), MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES), devices=devices)


def _parse_mesh(spec: str) -> dict[str, int]:
  sizes: dict[str, int] = {}
  for part in spec.split(","):
    axis, _, size = (piece.strip() for piece in part.partition(":"))
    if axis not in MESH_AXES or axis in sizes or not size.lstrip("-").isdigit():
      raise ValueError(f"mesh {spec!r}: {part!r} is not AXIS:SIZE with each of {', '.join(MESH_AXES)} at most once")
    sizes[axis] = int(size)
  return sizes


def param_shardings(config: ModelConfig, mesh: Mesh) -> dict[str, Any]:
  """A tree like the params with the `NamedSharding` of each. An axis that the mesh does not divide evenly is replicated."""
  boxed = abstract_params(config)
  is_boxed = lambda leaf: isinstance(leaf, nn.meta.AxisMetadata)  # noqa: E731
  return jax.tree.map(lambda leaf: _sharding(config, mesh, leaf.names, leaf.value.shape), boxed, is_leaf=is_boxed)


def lora_shardings(config: ModelConfig, lora: LoraConfig, mesh: Mesh) -> dict[str, Any]:
  """A tree like the adapter with the sharding of each array: as its kernel's, the rank axis replicated."""
  shapes = jax.eval_shape(lambda key: init_lora(config, lora, key), jax.random.key(0))
  boxed = abstract_params(config)["layers"]
  layers: dict[str, Any] = {}
  for part, modules in shapes["layers"].items():
    for name, arrays in modules.items():
      axes = boxed[part][name]["kernel"].names
      layers.setdefault(part, {})[name] = {
        "a": _sharding(config, mesh, (axes[0], axes[1], None), arrays["a"].shape),
        "b": _sharding(config, mesh, (axes[0], None, axes[2]), arrays["b"].shape),
      }
  return {"layers": layers}


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Sharding of arrays whose leading axis is the batch of schemas (B)."""
  return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


@contextlib.contextmanager
def use_mesh(mesh: Mesh) -> Iterator[None]:
  """Within, the model's activations are constrained by the rules table when a function is traced."""
  with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
    yield


def _sharding(config: ModelConfig, mesh: Mesh, names: tuple[str | None, ...], shape: tuple[int, ...]) -> NamedSharding:
  rules = dict(RULES)
  # Heads are split whole: a shard that holds half a head would be put together again in every layer.
  units = {"heads": config.num_attention_heads, "kv_heads": config.num_key_value_heads}
  axes: list[Any] = []
  for name, size in zip(names, shape, strict=True):
    mesh_axes = rules[name] if name is not None else None
    parts = (
      1 if mesh_axes is None else math.prod(mesh.shape[a] for a in ((mesh_axes,) if isinstance(mesh_axes, str) else mesh_axes))
    )
    axes.append(mesh_axes if parts > 1 and units.get(name, size) % parts == 0 else None)
  return NamedSharding(mesh, PartitionSpec(*axes))
