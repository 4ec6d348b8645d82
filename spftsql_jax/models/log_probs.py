"""Summed log-probs of answers, from logits at answer positions only."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from spftsql_jax.examples.packing import PackedBatch, TokenBatch

# Logits are made for so many positions at a time that a slice stays below this many numbers (256
# MiB in float32).
LOGITS_AT_ONCE = 1 << 26


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
  token_log_probs = _token_log_probs(model, variables, hidden, targets)
  return jnp.sum(jnp.where(steps < batch.answer_lengths[..., None], token_log_probs, 0.0), axis=-1)


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
  found = _token_log_probs(model, variables, hidden[:, None], targets[:, None])[:, 0]
  answers = batch.answer_lengths.shape[-1]

  def by_answer(values: jax.Array, owners: jax.Array) -> jax.Array:
    # Padding has an owner of its own, behind all answers.
    return jax.ops.segment_sum(values, owners, answers + 1)[:answers]

  return jax.vmap(by_answer)(found, jnp.asarray(batch.owners))


def _token_log_probs(
  model: nn.Module, variables: dict[str, Any], hidden: jax.Array, targets: jax.Array
) -> jax.Array:
  """log p of `targets` [B, K, A] given `hidden` [B, K, A, D], in slices whose logits the backward
  pass computes again.
  """

  slices = -(-targets.size * model.config.vocab_size // LOGITS_AT_ONCE)
  if slices > 1:
    variables = _with_head_whole(model, variables)

  def of(slice_: tuple[jax.Array, jax.Array]) -> jax.Array:
    logits: Any = model.apply(variables, slice_[0], method="logits")
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, slice_[1][..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)

  if slices <= 1:
    return of((hidden, targets))
  # Slice the answer axis, so that the sharded leading axis stays whole.
  a_size = targets.shape[-1]
  width = -(-a_size // min(slices, a_size))
  padding = -a_size % width

  def cut(x: jax.Array) -> jax.Array:
    x = jnp.pad(x, [(0, 0), (0, 0), (0, padding)] + [(0, 0)] * (x.ndim - 3))
    return jnp.moveaxis(x.reshape(*x.shape[:2], -1, width, *x.shape[3:]), 2, 0)

  out = jax.lax.map(jax.checkpoint(of), (cut(hidden), cut(targets)))  # [slices, B, K, width]
  return jnp.moveaxis(out, 0, 2).reshape(*targets.shape[:2], -1)[..., :a_size]


def _with_head_whole(model: nn.Module, variables: dict[str, Any]) -> dict[str, Any]:
  """The variables with the output embedding in one piece along the model's width.

  On a mesh that cuts it there each slice of the answers would put it together again, forward and
  backward: nine tenths of all that an update of a model of 1.5 billion parameters sent.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or "tensor" not in mesh.axis_names:
    return variables
  name = "embedding" if model.config.tie_word_embeddings else "lm_head"
  head = variables["params"][name]
  vocabulary = "tensor" if head.shape[0] % mesh.shape["tensor"] == 0 else None
  head = jax.lax.with_sharding_constraint(head, PartitionSpec(vocabulary, None))
  return {**variables, "params": {**variables["params"], name: head}}
