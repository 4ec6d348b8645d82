"""Summed log-probs of answers, from logits at answer positions only."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from spftsql_jax.examples.packing import PackedBatch, TokenBatch
from spftsql_jax.models.token_log_probs import token_log_probs


def answer_log_probs(
  model: nn.Module,
  variables: dict[str, Any],
  batch: TokenBatch,
  dropout_key: jax.Array | None = None,
) -> jax.Array:
  """log p(answer | schema, question), summed over the answer's tokens, in float32.

  Args:
    model: a `Decoder`.
    variables: {"params": ...} and, with an adapter, "lora".
    batch: prefixes with K branches each, or packed rows of A answers at most.
    dropout_key: of the adapter's dropout, in training; None for none.

  Returns:
    [B, K], or [R, A]; 0 where there is no answer.
  """
  rngs = None if dropout_key is None else {"dropout": dropout_key}
  if isinstance(batch, PackedBatch):
    return _packed_log_probs(model, variables, batch, rngs)
  stream = (batch.prefix, batch.prefix_lengths, batch.branch)
  # [B, K, L, D]
  hidden: Any = model.apply(variables, *stream, method="branch_hidden", rngs=rngs)
  steps = jnp.arange(batch.max_answer)
  # The token at position t is predicted by the hidden state at t - 1, which is never before the
  # branch: prompts are not empty.
  # [B, K, A]
  positions = jnp.minimum(batch.answer_start[..., None] + steps, batch.branch.shape[-1] - 1)
  targets = jnp.take_along_axis(batch.branch, positions, axis=-1)
  hidden = jnp.take_along_axis(hidden, (positions - 1)[..., None], axis=2)  # [B, K, A, D]
  rows = len(targets)
  found = _token_log_probs(
    model, variables, hidden.reshape(rows, -1, hidden.shape[-1]), targets.reshape(rows, -1)
  ).reshape(targets.shape)
  return jnp.sum(jnp.where(steps < batch.answer_lengths[..., None], found, 0.0), axis=-1)


def _packed_log_probs(
  model: nn.Module,
  variables: dict[str, Any],
  batch: PackedBatch,
  rngs: dict[str, jax.Array] | None,
) -> jax.Array:
  """`answer_log_probs` of packed rows, [R, A]: logits of answer tokens alone, end to end."""
  stream = (batch.tokens, batch.positions, batch.ends)
  hidden: Any = model.apply(variables, *stream, method="packed_hidden", rngs=rngs)  # [R, T, D]
  hidden = jnp.take_along_axis(hidden, batch.sources[..., None], axis=1)  # [R, W, D]
  targets = jnp.asarray(batch.targets)
  found = _token_log_probs(model, variables, hidden, targets)
  answers = batch.answer_lengths.shape[-1]

  def by_answer(values: jax.Array, owners: jax.Array) -> jax.Array:
    # Padding has an owner of its own, behind all answers.
    return jax.ops.segment_sum(values, owners, answers + 1)[:answers]

  return jax.vmap(by_answer)(found, jnp.asarray(batch.owners))


def _token_log_probs(
  model: nn.Module, variables: dict[str, Any], hidden: jax.Array, targets: jax.Array
) -> jax.Array:
  """log p of `targets` [R, W] given `hidden` [R, W, D]."""
  head: Any = model.apply(variables, method="head")
  return token_log_probs(hidden, head, targets, model.config.product_dtype)
