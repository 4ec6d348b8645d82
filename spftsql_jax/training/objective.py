"""What a training step minimizes: a loss of losses.py over a batch that comes in parts.

Axes: M microbatches, B schemas, K branches (branches 2i and 2i + 1 are y+ and y- of pair i). Of
packed rows B are the rows and K the answers of each.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from spftsql_jax.examples.packing import TokenBatch
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training.losses import (
  OnCorrect,
  error_driven_loss,
  kept_pairs,
  preference_margin,
  sft_loss,
)

Metrics = dict[str, jax.Array]


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
    floor_weight: of DPOP's floor on log p(y+), see `losses.preference_margin`; an extension.
    length_normalize: whether pairwise losses use log-probs a token instead of summed ones.
  """

  loss: Literal["sft", "error_driven", "spin", "dpo"] = "sft"
  beta: float = 0.1
  on_correct: OnCorrect = "positive_only"
  nll_weight: float = 0.0
  pair_weight: float = 1.0
  length_normalize: bool = False
  floor_weight: float = 0.0


class Numbers(NamedTuple):
  """What of an objective a compiled step takes as numbers (scalars, traced there).

  Attributes:
    beta, nll_weight, pair_weight, floor_weight: see `Objective`.
    least_reward: 1 where every answer of the opponent counts as an error (SPIN, DPO), else 0.
  """

  beta: float | jax.Array
  nll_weight: float | jax.Array
  pair_weight: float | jax.Array
  least_reward: float | jax.Array
  floor_weight: float | jax.Array = 0.0


class Totals(NamedTuple):
  """What the losses of a whole batch are divided by; at least 1 each.

  Attributes:
    units: pairs that count, each with its weight; examples for SFT.
    tokens: tokens of the answers learned from: of y+ in pairs, with the weights of these.
  """

  units: jax.Array
  tokens: jax.Array


def numbers_of(objective: Objective) -> Numbers:
  """The numbers that a compiled step of `program_of(objective)` takes."""
  always = objective.loss in ("spin", "dpo")
  return Numbers(
    objective.beta,
    objective.nll_weight,
    objective.pair_weight,
    float(always),
    objective.floor_weight,
  )


def program_of(objective: Objective) -> Objective:
  """The objective without its numbers: objectives of equal programs share one compiled step.

  SPIN and DPO are the error-driven loss with R = 1, so all pairwise losses share one.
  """
  return Objective(
    loss="sft" if objective.loss == "sft" else "error_driven",
    beta=0.0,
    on_correct=objective.on_correct if objective.loss == "error_driven" else "positive_only",
    nll_weight=0.0,
    pair_weight=0.0,
    floor_weight=0.0,
    length_normalize=objective.length_normalize,
  )


def batch_totals(objective: Objective, batches: TokenBatch) -> Totals:
  """The totals of a whole batch, given as arrays [M, B, K] or [B, K]."""
  lengths = jnp.asarray(batches.answer_lengths)
  if objective.loss == "sft":
    units, tokens = jnp.sum(lengths > 0), jnp.sum(lengths)
  else:
    reward, _ = _pair_values(batches)
    weights = _weights(batches)
    units = jnp.sum(weights * kept_pairs(reward, _on_correct(objective)))
    tokens = jnp.sum(weights * _sides(lengths)[0])
  return Totals(jnp.maximum(units, 1), jnp.maximum(tokens, 1))


def objective_value(
  model: nn.Module,
  objective: Objective,
  variables: dict[str, Any],
  batch: TokenBatch,
  totals: Totals,
  numbers: Numbers,
  dropout_key: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """A microbatch's share of the loss of the whole batch, and of its metrics.

  Args:
    model: a `Decoder`. variables: its params and adapter.
    batch: the microbatch, arrays [B, ...].
    totals: `batch_totals` of the *whole* batch: the shares of all microbatches add up to the loss
      of the batch, however the examples fell into them.
    numbers: `numbers_of(objective)`; they may be traced.
    dropout_key: of the adapter's dropout; None for none.
  """
  log_probs = answer_log_probs(model, variables, batch, dropout_key)  # [B, K]
  if objective.loss == "sft":
    loss = sft_loss(log_probs, totals.tokens)
    return loss, {"loss": loss, "log_prob_positive": jnp.sum(log_probs) / totals.units}
  return _pairwise_value(objective, log_probs, batch, totals, numbers)


def _pairwise_value(
  objective: Objective,
  log_probs: jax.Array,
  batch: TokenBatch,
  totals: Totals,
  numbers: Numbers,
) -> tuple[jax.Array, Metrics]:
  """`objective_value` on pairs: the error-driven loss and the NLL of y+, each times its weight."""
  reward, opponent = _pair_values(batch)
  positive, negative = _sides(log_probs)  # [B, K / 2] each, as all that follows
  opponent_pos, opponent_neg = _sides(opponent)
  tokens_pos, tokens_neg = _sides(jnp.asarray(batch.answer_lengths))
  weights = _weights(batch)
  nll = sft_loss(weights * positive, totals.tokens)
  if objective.length_normalize:
    tokens_pos, tokens_neg = jnp.maximum(tokens_pos, 1), jnp.maximum(tokens_neg, 1)
    positive, opponent_pos = positive / tokens_pos, opponent_pos / tokens_pos
    negative, opponent_neg = negative / tokens_neg, opponent_neg / tokens_neg
  reward = jnp.maximum(reward, numbers.least_reward)
  pairs = (positive, negative, opponent_pos, opponent_neg, reward, numbers.beta)
  on_correct, floor = _on_correct(objective), numbers.floor_weight
  pairwise = error_driven_loss(
    *pairs, on_correct, floor_weight=floor, weights=weights, count=totals.units
  )
  loss = numbers.pair_weight * pairwise + numbers.nll_weight * nll
  kept = weights * kept_pairs(reward, on_correct)

  def mean(values: jax.Array) -> jax.Array:
    return jnp.sum(values * kept) / totals.units

  return loss, {
    "loss": loss,
    "log_prob_positive": mean(positive),
    "log_prob_negative": mean(negative),
    "margin": mean(preference_margin(*pairs, floor)),
    "reward_rate": mean(reward),
  }


def _sides(values: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(of y+, of y-), [..., K / 2] each, of values [..., K] of branches."""
  return values[..., 0::2], values[..., 1::2]


def _weights(batch: TokenBatch) -> jax.Array:
  """float32 [..., K / 2]: how much each pair counts, 1 where nothing is said; 0 for padding."""
  present = (_sides(jnp.asarray(batch.answer_lengths))[0] > 0).astype(jnp.float32)
  return present if batch.weights is None else present * jnp.asarray(batch.weights)


def _pair_values(batch: TokenBatch) -> tuple[jax.Array, jax.Array]:
  """(rewards [..., K / 2], opponent's log-probs [..., K]); ValueError for a batch without pairs."""
  if batch.reward is None or batch.opponent_log_probs is None:
    raise ValueError("a pairwise loss needs pairs: units with a reward and opponent log-probs")
  return jnp.asarray(batch.reward), jnp.asarray(batch.opponent_log_probs)


def _on_correct(objective: Objective) -> OnCorrect:
  """What happens to pairs with R = 0; SPIN and DPO have none."""
  return objective.on_correct if objective.loss == "error_driven" else "positive_only"
