"""What a training step changes: weights, moments and counters, and where they lie on a mesh."""

from __future__ import annotations

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from spftsql_jax.training.optimizer import OptimizerConfig, make_optimizer


@flax.struct.dataclass
class TrainState:
  """Everything a step changes.

  Attributes:
    step: int32 scalar, updates made.
    trainable: the tree that the model computes with: all params, or the adapter.
    optimizer: the optimizer's state, in float32 whatever `trainable` is in (see
      `OptimizerConfig.state_dtype`).
    halted: bool scalar, whether a loss, a gradient or an update was no finite number. Such an
      update is not made, and none behind it: `trainable` stays what it was before.
    master: the weights in float32 where `trainable` holds any of a narrower type, else None. The
      optimizer updates these, and `trainable` is what they round to: a bfloat16 weight of 0.02 has
      neighbours 1e-4 away, and an update of 1e-5 would be lost each time.
  """

  step: jax.Array
  trainable: Any
  optimizer: Any
  halted: jax.Array
  master: Any = None

  @property
  def weights(self) -> Any:
    """What has been trained, in full: the master weights where there are any."""
    return self.trainable if self.master is None else self.master


def init_state(optimizer: OptimizerConfig, trainable: Any, dtype: Any = None) -> TrainState:
  """A fresh state that trains a copy of `trainable`: a step donates the state it is given.

  Where `trainable` lies on a mesh, the state does (see `state_shardings`). Where it is bound to a
  device, all of the state is, as what a step returns is: else the second step, which is given that,
  would be compiled again.

  Args:
    dtype: what the model computes with; None for the weights' own. Where it, or any weight, is
      narrower than float32, the state has master weights: 4 bytes a weight more, and moments of 4
      bytes instead of 2.
  """
  init = functools.partial(_init, optimizer, dtype)
  if not _on_mesh(trainable):
    state, leaf = init(trainable), jax.tree.leaves(trainable)[0]
    return jax.device_put(state, leaf.sharding) if _is_bound(leaf) else state
  return jax.jit(init, out_shardings=state_shardings(optimizer, trainable, dtype))(trainable)


def state_shardings(optimizer: OptimizerConfig, trainable: Any, dtype: Any = None) -> TrainState:
  """The sharding of each array of a state, as a `TrainState` of shardings.

  Weights, their moments and master weights lie as the weights do; all else is replicated.

  Args:
    trainable: arrays, or shapes with shardings, on a mesh.
    dtype: see `init_state`.
  """
  everywhere = NamedSharding(jax.tree.leaves(trainable)[0].sharding.mesh, PartitionSpec())
  weights = dict(jax.tree_util.tree_leaves_with_path(trainable))

  def sharding_of(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
    # The path of a moment ends with its weight's, whatever the optimizer wraps around (chains,
    # masks, groups). Adafactor keeps sums over rows and columns there, which have another shape.
    for start in range(len(path)):
      weight = weights.get(path[start:])
      if weight is not None and weight.shape == leaf.shape:
        return weight.sharding
    return everywhere

  shapes = jax.eval_shape(functools.partial(_init, optimizer, dtype), trainable)
  return jax.tree_util.tree_map_with_path(sharding_of, shapes)


def _init(optimizer: OptimizerConfig, dtype: Any, weights: Any) -> TrainState:
  """A state that trains copies of weights."""

  def copy_as(dtype: Any) -> Any:
    return jax.tree.map(lambda x: jnp.array(x, dtype, copy=True), weights)

  used = copy_as(dtype)
  narrow = any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(used))
  master = copy_as(jnp.float32) if narrow else None
  moments = make_optimizer(optimizer).init(used if master is None else master)
  return TrainState(jnp.zeros((), jnp.int32), used, moments, jnp.zeros((), bool), master)


def _on_mesh(trainable: Any) -> bool:
  leaf = jax.tree.leaves(trainable)[0]
  return _is_placed(leaf) and isinstance(leaf.sharding, NamedSharding)


def _is_bound(leaf: Any) -> bool:
  """Whether an array lies where it is because it was put there, as one that was loaded."""
  return _is_placed(leaf) and leaf.committed


def _is_placed(leaf: Any) -> bool:
  return isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
