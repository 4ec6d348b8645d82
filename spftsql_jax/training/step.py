"""One training step: pure, jitted over a mesh, with exact weighting over accumulated microbatches.

step = make_train_step(model, optimizer, program_of(objective))
state, metrics = step(init_state(optimizer, params), None, batches, 1e-5, numbers_of(objective))
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from spftsql_jax.examples.packing import TokenBatch
from spftsql_jax.models import platforms
from spftsql_jax.models.variables import model_variables
from spftsql_jax.training.objective import (
  Metrics,
  Numbers,
  Objective,
  batch_totals,
  numbers_of,
  objective_value,
  program_of,
)
from spftsql_jax.training.optimizer import OptimizerConfig, make_optimizer
from spftsql_jax.training.state import TrainState, init_state, state_shardings

__all__ = [
  "Metrics",
  "Numbers",
  "Objective",
  "TrainState",
  "init_state",
  "loss_and_gradients",
  "make_train_step",
  "numbers_of",
  "program_of",
  "state_shardings",
  "variables_of",
]

# Models of at most so many layers are trained unrolled (see `Decoder.unroll`).
UNROLLED_LAYERS = 8


def variables_of(trainable: Any, frozen: Any) -> dict[str, Any]:
  """The model's variables: an adapter over frozen params, or all params where `frozen` is None."""
  return model_variables(trainable) if frozen is None else model_variables(frozen, trainable)


def loss_and_gradients(
  model: nn.Module,
  objective: Objective,
  trainable: Any,
  frozen: Any,
  batches: TokenBatch,
  numbers: Numbers | None = None,
  dropout_key: jax.Array | None = None,
) -> tuple[Any, Metrics]:
  """(gradients, metrics) of a batch, computed a microbatch at a time.

  Gradients are float32, and are added up in it, whatever the weights are in.

  Args:
    model: a `Decoder`.
    trainable, frozen: see `variables_of`.
    batches: M microbatches: every array has a leading axis [M].
    numbers: the objective's own by default; or given, traced, beside its `program_of`.
    dropout_key: each microbatch draws its own dropout of the adapter from it; None for none.
  """
  trainable, frozen = (_as_multiplied(tree, model.config.dtype) for tree in (trainable, frozen))
  totals = batch_totals(objective, batches)
  numbers = numbers_of(objective) if numbers is None else numbers
  if model.config.num_hidden_layers <= UNROLLED_LAYERS and model.config.remat == "none":
    model = model.clone(unroll=True)
  if _fuses(model):
    model = model.clone(fuse=True)

  def value(tree: Any, batch: TokenBatch, index: jax.Array) -> tuple[jax.Array, Metrics]:
    key = None if dropout_key is None else jax.random.fold_in(dropout_key, index)
    variables = variables_of(tree, frozen)
    return objective_value(model, objective, variables, batch, totals, numbers, key)

  def gradients_of(batch: TokenBatch, index: jax.Array) -> tuple[Any, Metrics]:
    gradients, metrics = jax.grad(value, has_aux=True)(trainable, batch, index)
    return jax.tree.map(lambda x: x.astype(jnp.float32), gradients), metrics

  def add(total: Any, item: tuple[TokenBatch, jax.Array]) -> tuple[Any, None]:
    return jax.tree.map(jnp.add, total, gradients_of(*item)), None

  count = batches.answer_lengths.shape[0]
  first = jax.tree.map(lambda x: x[0], batches)
  if count == 1:
    return gradients_of(first, jnp.int32(0))
  # All of them in one loop: a first one outside of it would have memory of its own, and two
  # microbatches would take no less than one of twice the size.
  shapes = jax.eval_shape(gradients_of, first, jnp.int32(0))
  nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  return jax.lax.scan(add, nothing, (batches, jnp.arange(count)))[0]


def _as_multiplied(tree: Any, dtype: str) -> Any:
  """Wider weights in the model's dtype, once for all microbatches and passes through a layer. The
  gradients that they get were narrow before: a product's are of its operands' dtype. Scales of
  norms stay, which float32 is multiplied with.
  """
  wide = lambda leaf: jnp.dtype(leaf.dtype).itemsize > jnp.dtype(dtype).itemsize  # noqa: E731
  return jax.tree_util.tree_map_with_path(
    lambda path, x: x.astype(dtype) if path[-1].key != "scale" and wide(x) else x, tree
  )


def _fuses(model: nn.Module) -> bool:
  """Whether products of one input are made as one (see `Decoder.fuse`): not on a CPU, where putting
  their gradients side by side takes what fewer products save.
  """
  cut = platforms.cuts("tensor")
  return model.lora is None and not cut and platforms.platform() != "cpu"


def _finite_as(values: jax.Array, dtype: Any) -> jax.Array:
  """Which values are finite numbers in `dtype`: float16 ends at 65,504."""
  return jnp.isfinite(values.astype(dtype))


def make_train_step(
  model: nn.Module,
  optimizer: OptimizerConfig,
  objective: Objective,
  shardings: TrainState | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
  """The jitted update of a `TrainState`, which donates the state it is given.

      step(state, frozen, batches, learning_rate, numbers, seed=0) -> (state, metrics)

  An update that is not finite is not made: the state halts (see `TrainState.halted`), and the
  metric "finite" is 0.0. Metrics come to the host late, so the program itself must hold on to the
  state. The same arguments give the same function: a second run of the same kind compiles nothing.

  Args of the update:
    frozen: the params under an adapter, or None where all params are trained.
    batches: M microbatches, see `loss_and_gradients`.
    numbers: `numbers_of` the objective.
    seed: with the state's step it gives the dropout of an adapter that has one.

  Args:
    model: a `Decoder`.
    optimizer: which optimizer; its rate and schedule do not matter here.
    objective: the loss, as `program_of` gives it.
    shardings: `state_shardings` on a mesh: the new state lies where the old one lay. None leaves
      placement to the compiler.
  """
  if shardings is None:
    return _train_step(model, optimizer, objective, None, None)
  leaves, structure = jax.tree.flatten(shardings)
  return _train_step(model, optimizer, objective, tuple(leaves), structure)


@functools.lru_cache(maxsize=16)
def _train_step(
  model: nn.Module,
  optimizer: OptimizerConfig,
  objective: Objective,
  shardings: tuple | None,
  structure: Any,
) -> Callable[..., tuple[TrainState, Metrics]]:
  transformation = make_optimizer(optimizer)
  dropout = model.lora is not None and model.lora.dropout > 0

  def step(
    state: TrainState,
    frozen: Any,
    batches: TokenBatch,
    learning_rate: float,
    numbers: Numbers,
    seed: int = 0,
  ) -> tuple[TrainState, Metrics]:
    key = jax.random.fold_in(jax.random.key(seed), state.step) if dropout else None
    gradients, metrics = loss_and_gradients(
      model, objective, state.trainable, frozen, batches, numbers, key
    )
    metrics["gradient_norm"] = optax.global_norm(gradients)
    # The norm is infinite or no number where any gradient is, and where their squares overflow.
    sound = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"]) & ~state.halted
    old = state.weights
    updates, optimizer_state = transformation.update(gradients, state.optimizer, old)
    new = jax.tree.map(lambda weight, update: weight + update * learning_rate, old, updates)
    # Weight by weight, and not first over all of them: that would need room for a second copy.
    safe = jax.tree.map(lambda x, used: _finite_as(x, used.dtype), new, state.trainable)
    weights = jax.tree.map(lambda ok, x, before: jnp.where(ok & sound, x, before), safe, new, old)
    finite = sound & jnp.stack([jnp.all(ok) for ok in jax.tree.leaves(safe)]).all()
    metrics["finite"] = finite.astype(jnp.float32)
    after = TrainState(
      step=state.step + finite,
      trainable=jax.tree.map(lambda x, used: x.astype(used.dtype), weights, state.trainable),
      optimizer=jax.tree.map(
        lambda x, before: jnp.where(sound, x, before), optimizer_state, state.optimizer
      ),
      halted=~finite,
      master=None if state.master is None else weights,
    )
    return after, metrics

  out = None if shardings is None else (structure.unflatten(shardings), None)
  return jax.jit(step, donate_argnums=0, out_shardings=out)
