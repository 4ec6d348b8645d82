"""What a training step changes: weights, moments and counters, and where they lie on a mesh."""

from __future__ import annotations

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

  Where `trainable` lies on a mesh, the state does (see `state_shardings`).

  Args:
    dtype: what the model computes with; None for the weights' own. Where it, or any weight, is
      narrower than float32, the state has master weights: 4 bytes a weight more, and moments of 4
      bytes instead of 2.
  """

  def init(tree: Any) -> TrainState:
    def copy_as(dtype: Any) -> Any:
      return jax.tree.map(lambda x: jnp.array(x, dtype, copy=True), tree)

    used = copy_as(dtype)
    master = copy_as(jnp.float32) if _is_narrow(used) else None
    moments = make_optimizer(optimizer).init(used if master is None else master)
    return TrainState(jnp.zeros((), jnp.int32), used, moments, jnp.zeros((), bool), master)

  if not _on_mesh(trainable):
    return init(trainable)
  return jax.jit(init, out_shardings=state_shardings(optimizer, trainable, dtype))(trainable)


def state_shardings(optimizer: OptimizerConfig, trainable: Any, dtype: Any = None) -> TrainState:
  """The sharding of each array of a state, as a `TrainState` of shardings.

  Moments and master weights lie as what they belong to; all else is replicated.

  Args:
    trainable: arrays, or shapes with shardings, on a mesh.
    dtype: see `init_state`.
  """
  everywhere = NamedSharding(jax.tree.leaves(trainable)[0].sharding.mesh, PartitionSpec())
  weights = dict(jax.tree_util.tree_leaves_with_path(trainable))

  def sharding_of(path: tuple[Any, ...], moment: Any) -> NamedSharding:
    # A moment's path ends with its weight's, whatever the optimizer wraps around (chains, masks,
    # groups). Adafactor keeps sums over rows and columns there instead, which have another shape.
    for start in range(len(path)):
      weight = weights.get(path[start:])
      if weight is not None and weight.shape == moment.shape:
        return weight.sharding
    return everywhere

  moments = jax.eval_shape(make_optimizer(optimizer).init, trainable)
  of_weights = jax.tree.map(lambda x: x.sharding, trainable)
  return TrainState(
    step=everywhere,
    trainable=of_weights,
    optimizer=jax.tree_util.tree_map_with_path(sharding_of, moments),
    halted=everywhere,
    master=of_weights if _is_narrow(trainable, dtype) else None,
  )


def _is_narrow(tree: Any, dtype: Any = None) -> bool:
  """Whether any weight is narrower than float32; or `dtype` is, where one is given."""
  kinds = {leaf.dtype for leaf in jax.tree.leaves(tree)} if dtype is None else {jnp.dtype(dtype)}
  return kinds != {jnp.dtype(jnp.float32)}


def _on_mesh(trainable: Any) -> bool:
  leaf = jax.tree.leaves(trainable)[0]
  return (
    isinstance(leaf, jax.Array)
    and not isinstance(leaf, jax.core.Tracer)
    and isinstance(leaf.sharding, NamedSharding)
  )
