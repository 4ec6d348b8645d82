"""One training step: pure, jitted over a mesh, with exact weighting over accumulated
microbatches.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from spftsql_jax.examples.batches import PrefixBatch
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training.losses import OnCorrect, kept_pairs, pairwise_terms
from spftsql_jax.training.optimizer import OptimizerConfig, make_optimizer

# Models of at most so many layers are trained unrolled (see `Decoder.unroll`).
_UNROLLED_LAYERS = 8

Metrics = dict[str, jax.Array]
Numbers = tuple[float | jax.Array, float | jax.Array, float | jax.Array, float | jax.Array]


@dataclasses.dataclass(frozen=True)
class Objective:
  """What is minimized.

  Attributes:
    loss: "sft" on every branch; "error_driven" (SPFT-SQL), "spin" or "dpo" on pairs of branches.
    beta: the paper's lambda.
    on_correct: what a pair whose opponent was right contributes ("error_driven" only).
    nll_weight: weight of the negative log-likelihood a token of y+, added to a pairwise loss
      against collapse.
    pair_weight: weight of the pairwise loss itself; with 0 the NLL term alone is left, which is SFT
      on the y+ of the very same batches (the SFT control).
    length_normalize: whether pairwise losses use log-probs a token instead of summed ones.
  """

  loss: Literal["sft", "error_driven", "spin", "dpo"] = "sft"
  beta: float = 0.1
  on_correct: OnCorrect = "positive_only"
  nll_weight: float = 0.0
  pair_weight: float = 1.0
  length_normalize: bool = False


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
    copy = jax.tree.map(lambda x: jnp.array(x, dtype, copy=True), tree)
    wide = (
      jax.tree.map(lambda x: jnp.array(x, jnp.float32, copy=True), tree)
      if _is_narrow(copy)
      else None
    )
    moments = make_optimizer(optimizer).init(copy if wide is None else wide)
    return TrainState(jnp.zeros((), jnp.int32), copy, moments, jnp.zeros((), bool), wide)

  if not _on_mesh(trainable):
    return init(trainable)
  return jax.jit(init, out_shardings=state_shardings(optimizer, trainable, dtype))(trainable)


def state_shardings(optimizer: OptimizerConfig, trainable: Any, dtype: Any = None) -> TrainState:
  """The sharding of each array of a state: moments and master weights lie as what they belong to,
  all else is replicated.

  Args:
    trainable: arrays, or shapes with shardings, on a mesh.
    dtype: see `init_state`.
  """
  everywhere = NamedSharding(jax.tree.leaves(trainable)[0].sharding.mesh, PartitionSpec())
  names = dict(jax.tree_util.tree_leaves_with_path(trainable))

  def lies(path: tuple, leaf: Any) -> NamedSharding:
    # A moment's path ends with its parameter's, whatever the optimizer wraps around (chains, masks,
    # groups). Adafactor keeps sums over rows and columns there instead, which have another shape.
    ends = (names.get(path[start:]) for start in range(len(path)))
    return next(
      (end.sharding for end in ends if end is not None and end.shape == leaf.shape), everywhere
    )

  moments = jax.tree_util.tree_map_with_path(
    lies, jax.eval_shape(make_optimizer(optimizer).init, trainable)
  )
  places = jax.tree.map(lambda x: x.sharding, trainable)
  return TrainState(
    everywhere, places, moments, everywhere, places if _is_narrow(trainable, dtype) else None
  )


def _is_narrow(tree: Any, dtype: Any = None) -> bool:
  """Whether any weight of a tree is of a type narrower than float32, or `dtype` is, where it is
  given.
  """
  kinds = {leaf.dtype for leaf in jax.tree.leaves(tree)} if dtype is None else {jnp.dtype(dtype)}
  return kinds != {jnp.dtype(jnp.float32)}


def _on_mesh(trainable: Any) -> bool:
  leaf = jax.tree.leaves(trainable)[0]
  return (
    isinstance(leaf, jax.Array)
    and not isinstance(leaf, jax.core.Tracer)
    and isinstance(leaf.sharding, NamedSharding)
  )


def variables_of(trainable: Any, frozen: Any) -> dict[str, Any]:
  """The model's variables: `trainable` is all params where `frozen` is None, else an adapter over
  `frozen`.
  """
  return {"params": trainable} if frozen is None else {"params": frozen, "lora": trainable}


def program_of(objective: Objective) -> Objective:
  """The objective without what a compiled step takes as numbers: objectives with equal programs
  share one.
  """
  pairs = "sft" if objective.loss == "sft" else "error_driven"
  on_correct = objective.on_correct if objective.loss == "error_driven" else "positive_only"
  return Objective(
    pairs,
    0.0,
    on_correct,
    nll_weight=0.0,
    pair_weight=0.0,
    length_normalize=objective.length_normalize,
  )


def numbers_of(objective: Objective) -> Numbers:
  """(beta, weight of the NLL term, weight of the pairwise term, 1.0 where every answer is a
  negative whatever its reward).
  """
  return (
    objective.beta,
    objective.nll_weight,
    objective.pair_weight,
    float(objective.loss in ("spin", "dpo")),
  )


def objective_value(
  model: nn.Module,
  objective: Objective,
  variables: dict[str, Any],
  batch: PrefixBatch,
  weights: tuple[jax.Array, jax.Array],
  numbers: Numbers,
  dropout_key: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """A microbatch's share of the loss of the whole batch.

  Args:
    numbers: `numbers_of(objective)`; they may be traced.
    weights: (pairs, tokens) of the *whole* batch as `batch_weights` gives them, so that the shares
      of all microbatches add up to the loss of the batch however the examples fell into them.

  Returns:
    The share, and summed metrics.
  """
  log_probs = answer_log_probs(model, variables, batch, dropout_key)  # [B, K]
  lengths = batch.answer_lengths
  pairs, tokens = weights
  beta, nll_weight, pair_weight, always = numbers
  if objective.loss == "sft":
    loss = -jnp.sum(log_probs) / tokens
    return loss, {"loss": loss, "log_prob_positive": jnp.sum(log_probs) / jnp.maximum(pairs, 1)}
  if objective.length_normalize:
    log_probs = log_probs / jnp.maximum(lengths, 1)
    opponent = batch.opponent_log_probs / jnp.maximum(lengths, 1)
  else:
    opponent = batch.opponent_log_probs
  positive, negative = log_probs[:, 0::2], log_probs[:, 1::2]
  reward, weight = pair_rewards(objective, batch)
  reward = jnp.maximum(reward, always)  # SPIN and DPO: R = 1 always
  terms = pairwise_terms(positive, negative, opponent[:, 0::2], opponent[:, 1::2], reward, beta)
  nll = -jnp.sum(positive * (lengths[:, 0::2] if objective.length_normalize else 1)) / tokens
  loss = pair_weight * jnp.sum(terms * weight) / pairs + nll_weight * nll
  mean = lambda x: jnp.sum(x * weight) / pairs  # noqa: E731
  return loss, {
    "loss": loss,
    "log_prob_positive": mean(positive),
    "log_prob_negative": mean(negative),
    "margin": mean(
      beta * ((positive - opponent[:, 0::2]) - reward * (negative - opponent[:, 1::2]))
    ),
    "reward_rate": mean(reward),
  }


def pair_rewards(objective: Objective, batch: PrefixBatch) -> tuple[jax.Array, jax.Array]:
  """(R, weight), each [..., B, K / 2]: the reward, and 1 for the pairs that count, 0 for padding
  and what is dropped.
  """
  present = (batch.answer_lengths[..., 0::2] > 0).astype(jnp.float32)
  if objective.loss == "error_driven":
    present *= kept_pairs(batch.reward, objective.on_correct)
  return batch.reward, present


def batch_weights(objective: Objective, batches: PrefixBatch) -> tuple[jax.Array, jax.Array]:
  """(number of pairs or examples that count, number of tokens of y+) over all microbatches; at
  least 1 each.
  """
  lengths = batches.answer_lengths
  if objective.loss == "sft":
    return jnp.maximum(jnp.sum(lengths > 0), 1), jnp.maximum(jnp.sum(lengths), 1)
  _, weight = pair_rewards(objective, batches)
  return jnp.maximum(jnp.sum(weight), 1), jnp.maximum(jnp.sum(lengths[..., 0::2]), 1)


def loss_and_gradients(
  model: nn.Module,
  objective: Objective,
  trainable: Any,
  frozen: Any,
  batches: PrefixBatch,
  numbers: Numbers | None = None,
  dropout_key: jax.Array | None = None,
) -> tuple[Any, Metrics]:
  """(gradients, metrics) of a batch given as M microbatches (a leading axis [M] on every array of
  `batches`).

  Gradients are float32, and are added up in it, whatever the weights are in.

  `numbers` are the objective's own unless they are given, traced, beside its `program_of`. With
  `dropout_key` each microbatch draws its own dropout of the adapter.
  """
  weights = batch_weights(objective, batches)
  numbers = numbers_of(objective) if numbers is None else numbers
  if model.config.num_hidden_layers <= _UNROLLED_LAYERS and model.config.remat == "none":
    model = model.clone(unroll=True)

  def value(tree: Any, batch: PrefixBatch, index: jax.Array) -> tuple[jax.Array, Metrics]:
    key = None if dropout_key is None else jax.random.fold_in(dropout_key, index)
    return objective_value(
      model, objective, variables_of(tree, frozen), batch, weights, numbers, key
    )

  def gradient(*arguments: Any) -> tuple[Any, Metrics]:
    found, metrics = jax.grad(value, has_aux=True)(*arguments)
    return jax.tree.map(lambda x: x.astype(jnp.float32), found), metrics

  count = batches.answer_lengths.shape[0]
  first = gradient(trainable, jax.tree.map(lambda x: x[0], batches), jnp.int32(0))
  if count == 1:
    return first

  def add(total: Any, item: tuple[PrefixBatch, jax.Array]) -> tuple[Any, None]:
    return jax.tree.map(jnp.add, total, gradient(trainable, *item)), None

  return jax.lax.scan(add, first, (jax.tree.map(lambda x: x[1:], batches), jnp.arange(1, count)))[0]


def _finite_as(values: jax.Array, dtype: Any) -> jax.Array:
  """Which values are finite numbers in `dtype`: float16 ends at 65,504."""
  return jnp.isfinite(values.astype(dtype))


def make_train_step(
  model: nn.Module,
  optimizer: OptimizerConfig,
  objective: Objective,
  shardings: TrainState | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
  """The jitted update `step(state, frozen, batches, learning_rate, numbers, seed=0) -> (state,
  metrics)`; the state is donated.

  An update that is not finite is not made: the state halts (see `TrainState.halted`), and the
  metric "finite" is 0.0. Metrics come to the host late, so it is the program that must hold the
  state fast.

  `frozen` are the params under an adapter, or None where all params are trained; `numbers` are
  `numbers_of` the objective; `seed` with the state's step gives the dropout of an adapter that has
  one.

  The same arguments give the same function, so that a second run of the same kind compiles nothing.

  Args:
    model: a `Decoder`.
    optimizer: which optimizer; its rate and schedule do not matter here.
    objective: the loss, as `program_of` gives it.
    shardings: `state_shardings` on a mesh: the new state lies where the old one lay. None leaves
      placement to the compiler.
  """
  leaves, structure = (None, None) if shardings is None else jax.tree.flatten(shardings)
  return _train_step(model, optimizer, objective, leaves and tuple(leaves), structure)


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
    batches: PrefixBatch,
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
    weights = state.weights
    updates, optimizer_state = transformation.update(gradients, state.optimizer, weights)
    moved = jax.tree.map(lambda w, u: w + u * learning_rate, weights, updates)
    # Weight by weight, and not first over all of them: that would need room for a second copy.
    safe = jax.tree.map(lambda new, like: _finite_as(new, like.dtype), moved, state.trainable)
    weights = jax.tree.map(
      lambda ok, new, old: jnp.where(ok & sound, new, old), safe, moved, weights
    )
    optimizer_state = jax.tree.map(
      lambda new, old: jnp.where(sound, new, old), optimizer_state, state.optimizer
    )
    finite = sound & jnp.stack([jnp.all(ok) for ok in jax.tree.leaves(safe)]).all()
    metrics["finite"] = finite.astype(jnp.float32)
    after = TrainState(
      state.step + finite,
      jax.tree.map(lambda new, like: new.astype(like.dtype), weights, state.trainable),
      optimizer_state,
      ~finite,
      None if state.master is None else weights,
    )
    return after, metrics

  out = None if shardings is None else (structure.unflatten(shardings), None)
  return jax.jit(step, donate_argnums=0, out_shardings=out)
