"""The losses of SFT, SPFT-SQL, SPIN and DPO over summed answer log-probs.

Every function takes log-probs that are already *summed over the SQL tokens* of an answer, in
float32. The three pairwise losses share one core, `pairwise_terms`; they differ only in which pairs
carry a negative term and which are counted.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

OnCorrect = Literal["positive_only", "drop"]


def sft_loss(log_probs: jax.Array, token_counts: jax.Array) -> jax.Array:
  """Negative log-likelihood a token: -sum_i log p(y_i | x_i) / sum_i |y_i|.

  Args:
    log_probs: [N] summed log-probs of the answers.
    token_counts: [N] number of tokens of each answer; 0 for padding, whose log-prob must be 0.

  Returns:
    Scalar.
  """
  return -jnp.sum(log_probs) / jnp.maximum(jnp.sum(token_counts), 1)


def pairwise_terms(
  policy_pos: jax.Array,
  policy_neg: jax.Array,
  opponent_pos: jax.Array,
  opponent_neg: jax.Array,
  reward: jax.Array,
  beta: float,
) -> jax.Array:
  """The logistic loss of each pair, before averaging (METHOD: Eq. 3 of arXiv 2509.03937).

      l( beta * log p(y+|x)/p_opp(y+|x)  -  R * beta * log p(y-|x)/p_opp(y-|x) ),    l(t) = log(1 + exp(-t))

  Args:
    policy_pos, policy_neg: [N] log p_theta of y+ and y-.
    opponent_pos, opponent_neg: [N] log p of the same answers under the opponent; constants.
    reward: [N] R: 1 where y- executes to something else than y+, 0 where the opponent was right.
    beta: the paper's lambda.

  Returns:
    [N] losses.
  """
  positive = policy_pos - jax.lax.stop_gradient(opponent_pos)
  negative = policy_neg - jax.lax.stop_gradient(opponent_neg)
  # jnp.where and not a product: an opponent log-prob of -inf on a pair with R = 0 must not make 0 *
  # inf = nan.
  margin = beta * positive - jnp.where(reward > 0, reward * beta * negative, 0.0)
  return jax.nn.softplus(-margin)


def kept_pairs(reward: jax.Array, on_correct: OnCorrect) -> jax.Array:
  """[N] weight of each pair: all ones for "positive_only"; only the opponent's errors for "drop"
  (ExSPIN).
  """
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
  beta: float = 0.1,
  on_correct: OnCorrect = "positive_only",
) -> jax.Array:
  """SPFT-SQL's loss: the mean of `pairwise_terms` over the pairs (Eq. 3 of arXiv 2509.03937).

  Args:
    policy_pos, policy_neg, opponent_pos, opponent_neg: [N] summed log-probs.
    reward: [N] R of Eq. 2, 1 for an error of the opponent, 0 for a right answer.
    beta: the paper's lambda.
    on_correct: what a pair with R = 0 contributes: "positive_only" keeps the positive term (the
      paper's equation), "drop" leaves the pair out of the mean.

  Returns:
    Scalar; 0 where no pair is kept.
  """
  reward = jnp.asarray(reward, jnp.float32)
  kept = kept_pairs(reward, on_correct)
  terms = pairwise_terms(policy_pos, policy_neg, opponent_pos, opponent_neg, reward, beta)
  return jnp.sum(terms * kept) / jnp.maximum(jnp.sum(kept), 1)


def spin_loss(
  policy_pos: jax.Array,
  policy_neg: jax.Array,
  opponent_pos: jax.Array,
  opponent_neg: jax.Array,
  beta: float = 0.1,
) -> jax.Array:
  """SPIN (arXiv 2401.01335, Eq. 4.7): every answer of the opponent is a negative, R = 1 always.
  Arguments as above.
  """
  return error_driven_loss(
    policy_pos, policy_neg, opponent_pos, opponent_neg, jnp.ones_like(policy_pos), beta
  )


def dpo_loss(
  policy_chosen: jax.Array,
  policy_rejected: jax.Array,
  reference_chosen: jax.Array,
  reference_rejected: jax.Array,
  beta: float = 0.1,
) -> jax.Array:
  """DPO (arXiv 2305.18290, Eq. 7): the same function as SPIN, over fixed pairs and with a fixed
  reference model.
  """
  return spin_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta)
