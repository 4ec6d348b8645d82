"""The losses of SFT, SPFT-SQL, SPIN and DPO, with DPOP's floor, over answer log-probs. The training
step calls these.

Log-probs are float32 and *summed over the SQL tokens* of an answer (or divided by their number,
where an objective normalizes by length). [...] is any shape: one entry an answer, or a pair.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

OnCorrect = Literal["positive_only", "drop"]


def sft_loss(log_probs: jax.Array, token_counts: jax.Array) -> jax.Array:
  """Negative log-likelihood a token.

      -sum_i log p(y_i | x_i) / sum_i |y_i|

  Args:
    log_probs: [...] summed log-probs of the answers; 0 for padding.
    token_counts: [...] number of tokens of each answer, 0 for padding. Or the number of tokens of
      the whole batch, [], where these answers are a part of one: the parts' losses then add up.

  Returns:
    Scalar.
  """
  return -jnp.sum(log_probs) / jnp.maximum(jnp.sum(token_counts), 1)


def preference_margin(
  policy_pos: jax.Array,
  policy_neg: jax.Array,
  opponent_pos: jax.Array,
  opponent_neg: jax.Array,
  reward: jax.Array,
  beta: float | jax.Array,
  floor_weight: float | jax.Array = 0.0,
) -> jax.Array:
  """How much more than its opponent a policy prefers y+ to y-: what Eq. 3 takes the logistic of.

      t = beta * log p(y+|x)/p_opp(y+|x)  -  R * beta * log p(y-|x)/p_opp(y-|x)
          - beta * floor_weight * max(0, log p_opp(y+|x)/p(y+|x))

  The second line is DPOP's (arXiv 2402.13228, Eq. 3) and an extension: a pair gains nothing by
  pushing y- down where y+ goes down with it, below what it was under the opponent.

  Arguments as of `error_driven_loss`; returns [...].
  """
  positive = policy_pos - jax.lax.stop_gradient(opponent_pos)
  negative = policy_neg - jax.lax.stop_gradient(opponent_neg)
  # jnp.where and not a product: an opponent log-prob of -inf on a pair with R = 0 must not make
  # 0 * inf = nan.
  preferred = beta * positive - jnp.where(reward > 0, reward * beta * negative, 0.0)
  return preferred - beta * floor_weight * jnp.maximum(-positive, 0.0)


def kept_pairs(reward: jax.Array, on_correct: OnCorrect) -> jax.Array:
  """Which pairs count, as ones and zeros [...]: all, or with "drop" the opponent's errors alone."""
  if on_correct == "positive_only":
    return jnp.ones_like(reward)
  if on_correct == "drop":
    return (reward > 0).astype(reward.dtype)
  raise ValueError(f"on_correct must be 'positive_only' or 'drop', not {on_correct!r}")


def error_driven_loss(
  policy_pos: jax.Array,
  policy_neg: jax.Array,
  opponent_pos: jax.Array,
  opponent_neg: jax.Array,
  reward: jax.Array,
  beta: float | jax.Array = 0.1,
  on_correct: OnCorrect = "positive_only",
  *,
  floor_weight: float | jax.Array = 0.0,
  weights: jax.Array | None = None,
  count: jax.Array | None = None,
) -> jax.Array:
  """SPFT-SQL's loss: Eq. 3 of arXiv 2509.03937 (our reading of it).

      E[ l(t) ],    l(t) = log(1 + exp(-t)),    t the pair's `preference_margin`

  Args:
    policy_pos, policy_neg: [...] log p of y+ and y- under the policy, which is trained.
    opponent_pos, opponent_neg: [...] log p of the same answers under the opponent; constants.
    reward: [...] R of Eq. 2: 1 where y- is an error of the opponent, 0 where it is right.
    beta: the paper's lambda.
    on_correct: what a pair with R = 0 contributes: "positive_only" keeps the positive term (the
      paper's equation), "drop" leaves the pair out of the mean (ExSPIN).
    floor_weight: of the floor on log p(y+), see `preference_margin`; 0 in the paper.
    weights: [...] how much each pair counts, 0 for padding; by default all count alike.
    count: the sum of the weights of the kept pairs of the whole batch, where these pairs are a part
      of one: the parts' losses then add up.

  Returns:
    Scalar, the mean over the kept pairs; 0 where none is kept.
  """
  reward = jnp.asarray(reward, jnp.float32)
  kept = kept_pairs(reward, on_correct)
  if weights is not None:
    kept = weights * kept
  margin = preference_margin(
    policy_pos, policy_neg, opponent_pos, opponent_neg, reward, beta, floor_weight
  )
  losses = jax.nn.softplus(-margin)
  return jnp.sum(losses * kept) / (jnp.maximum(jnp.sum(kept), 1) if count is None else count)


def spin_loss(
  policy_pos: jax.Array,
  policy_neg: jax.Array,
  opponent_pos: jax.Array,
  opponent_neg: jax.Array,
  beta: float | jax.Array = 0.1,
) -> jax.Array:
  """SPIN (arXiv 2401.01335, Eq. 4.7): every answer of the opponent is a negative, R = 1 always.

  Arguments and result as of `error_driven_loss`.
  """
  reward = jnp.ones_like(policy_pos)
  return error_driven_loss(policy_pos, policy_neg, opponent_pos, opponent_neg, reward, beta)


def dpo_loss(
  policy_chosen: jax.Array,
  policy_rejected: jax.Array,
  reference_chosen: jax.Array,
  reference_rejected: jax.Array,
  beta: float | jax.Array = 0.1,
) -> jax.Array:
  """DPO (arXiv 2305.18290, Eq. 7): SPIN's function over fixed pairs and with a fixed reference."""
  return spin_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta)
