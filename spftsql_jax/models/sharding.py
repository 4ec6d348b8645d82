"""Where arrays live on a mesh: one table from logical axes to the mesh axes ("data", "fsdp",
"tensor").
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from spftsql_jax import hosts
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig, init_lora
from spftsql_jax.models.transformer import abstract_params

MESH_AXES = ("data", "fsdp", "tensor")

# Weights are spread over "fsdp" along the model's width and over "tensor" along heads, MLP width
# and vocabulary.
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
    spec: sizes such as "data:1,fsdp:8,tensor:2"; an axis left out has size 1, one may be -1 (what
      remains). None puts all devices on "data".
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
  # As `jax.make_mesh` does; but that splits an axis of chips on a v5e alone, so that it has no mesh
  # of 8 x 2 for the 4 x 4 chips of a v6e.
  placed = mesh_utils.create_device_mesh(tuple(shape), devices, allow_split_physical_axes=True)
  return Mesh(placed, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))


def _parse_mesh(spec: str) -> dict[str, int]:
  sizes: dict[str, int] = {}
  for part in spec.split(","):
    axis, _, size = (piece.strip() for piece in part.partition(":"))
    if axis not in MESH_AXES or axis in sizes or not size.lstrip("-").isdigit():
      raise ValueError(
        f"mesh {spec!r}: {part!r} is not AXIS:SIZE with each of {', '.join(MESH_AXES)} at most once"
      )
    sizes[axis] = int(size)
  return sizes


def param_shardings(config: ModelConfig, mesh: Mesh) -> dict[str, Any]:
  """A tree like the params with the `NamedSharding` of each. An axis that the mesh does not divide
  evenly is replicated.
  """
  boxed = abstract_params(config)
  is_boxed = lambda leaf: isinstance(leaf, nn.meta.AxisMetadata)  # noqa: E731
  return jax.tree.map(
    lambda leaf: _sharding(config, mesh, leaf.names, leaf.value.shape), boxed, is_leaf=is_boxed
  )


def lora_shardings(config: ModelConfig, lora: LoraConfig, mesh: Mesh) -> dict[str, Any]:
  """A tree like the adapter with the sharding of each array: as its kernel's, the rank axis
  replicated.
  """
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


def batch_parts(mesh: Mesh | None) -> int:
  """Into how many parts the batch of schemas is cut."""
  return 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]


def put(tree: Any, shardings: Any) -> Any:
  """A tree of host arrays on the devices of a mesh, those of other processes too: each has the same
  values and puts its part.

  Args:
    tree: of arrays that this process holds whole.
    shardings: a tree like it, or one sharding for all.
  """
  if isinstance(shardings, NamedSharding):
    shardings = jax.tree.map(lambda _: shardings, tree)

  def place(array: Any, sharding: NamedSharding) -> jax.Array:
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

  return jax.tree.map(place, tree, shardings)


def local_mesh(mesh: Mesh) -> Mesh:
  """The part of a mesh that is this process's: a mesh of its own, on which it works while the
  others do something else.

  It keeps the form of the whole where the process's devices are a block of it, as they are when
  hosts lie along "data".
  """
  mine = np.vectorize(lambda device: device.process_index == jax.process_index())(mesh.devices)
  if mine.all():
    return mesh
  corner = tuple(slice(places.min(), places.max() + 1) for places in np.nonzero(mine))
  if mine[corner].all():
    return Mesh(mesh.devices[corner], MESH_AXES, axis_types=mesh.axis_types)
  return make_mesh(devices=list(mesh.devices[mine]))


def on_local_mesh(tree: Any, local: Mesh) -> Any:
  """A tree on the mesh of all processes as one on the process's own, for work that it does alone.

  Nothing is copied where the process's devices hold all of an array, as they do unless "fsdp" or
  "tensor" go beyond the host. Otherwise the tree is put together in the host's memory first.
  """

  def take(array: jax.Array) -> jax.Array:
    if array.is_fully_addressable:
      return array
    if not isinstance(array.sharding, NamedSharding):
      raise TypeError(f"an array of several processes lies on a mesh, not on {array.sharding}")
    sharding = NamedSharding(local, array.sharding.spec)
    held = {shard.device: shard for shard in array.addressable_shards}
    wanted = sharding.devices_indices_map(array.shape)
    if wanted.keys() == held.keys() and all(
      _same_part(wanted[d], held[d].index, array.shape) for d in held
    ):
      shards = [
        held[device].data for device in sharding.addressable_devices_indices_map(array.shape)
      ]
      return jax.make_array_from_single_device_arrays(array.shape, sharding, shards)
    return put(hosts.whole(array), NamedSharding(local, PartitionSpec()))

  return jax.tree.map(take, tree)


def _same_part(left: tuple[slice, ...], right: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
  return [s.indices(n) for s, n in zip(left, shape, strict=True)] == [
    s.indices(n) for s, n in zip(right, shape, strict=True)
  ]


@contextlib.contextmanager
def use_mesh(mesh: Mesh) -> Iterator[None]:
  """Within, the model's activations are constrained by the rules table when a function is
  traced.
  """
  with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
    yield


def _sharding(
  config: ModelConfig, mesh: Mesh, names: tuple[str | None, ...], shape: tuple[int, ...]
) -> NamedSharding:
  rules = dict(RULES)
  # Heads are split whole: a shard that holds half a head would be put together again in every
  # layer.
  units = {"heads": config.num_attention_heads, "kv_heads": config.num_key_value_heads}
  axes: list[Any] = []
  for name, size in zip(names, shape, strict=True):
    mesh_axes = None if name is None else rules[name]
    if name is None or mesh_axes is None:
      axes.append(None)
      continue
    parts = math.prod(
      mesh.shape[axis] for axis in ((mesh_axes,) if isinstance(mesh_axes, str) else mesh_axes)
    )
    axes.append(mesh_axes if parts > 1 and units.get(name, size) % parts == 0 else None)
  return NamedSharding(mesh, PartitionSpec(*axes))
