"""Rotary embeddings and grouped-query attention: over one sequence, and over a shared prefix plus a
branch's own tokens.

Axes: B schemas, K branches, T tokens, P prefix, L branch queries, S branch keys, N key-value heads,
G query heads a key-value head, H head size. Queries are [..., N, G, H]: a key-value head is never
repeated in memory for the G heads that share it.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.models.config import ModelConfig, RopeScaling

# Finite, so that a row with nothing to attend to gives zeros and a finite gradient, not NaN.
_MASKED = -1e30


def rope_frequencies(config: ModelConfig) -> tuple[np.ndarray, float]:
  """Rotary frequencies float32 [head_dim / 2] and the factor on cos and sin (1 except for yarn).

  In float32 step by step, in the order of `transformers`, as checkpoints were trained with: at
  position 10,000 a float64 table differs by 1e-3 radians. The powers are rounded from float64:
  NumPy's float32 power is off by one bit in every fifth of them.
  """
  dim = config.head_dim
  exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
  powers = np.power(np.float64(np.float32(config.rope_theta)), exponents.astype(np.float64)).astype(
    np.float32
  )
  frequencies = np.float32(1.0) / powers
  scaling = config.rope_scaling
  if scaling is None:
    return frequencies, 1.0
  if scaling.kind == "linear":
    return frequencies / np.float32(scaling.factor), 1.0
  if scaling.kind == "llama3":
    return _llama3_frequencies(frequencies, scaling), 1.0
  return _yarn_frequencies(powers, scaling, config.rope_theta), _yarn_attention_factor(scaling)


def _llama3_frequencies(frequencies: np.ndarray, scaling: RopeScaling) -> np.ndarray:
  factor, low, high = np.float32(scaling.factor), scaling.low_freq_factor, scaling.high_freq_factor
  length, one = scaling.original_max_position_embeddings, np.float32(1.0)
  wavelength = one / frequencies * np.float32(2 * math.pi)
  blend = (one / wavelength * np.float32(length) - np.float32(low)) / np.float32(high - low)
  blended = (one - blend) * frequencies / factor + blend * frequencies
  longest, shortest = np.float32(length / low), np.float32(length / high)
  result = np.where(wavelength > longest, frequencies / factor, frequencies)
  return np.where((wavelength >= shortest) & (wavelength <= longest), blended, result)


def _yarn_frequencies(powers: np.ndarray, scaling: RopeScaling, theta: float) -> np.ndarray:
  dim = 2 * len(powers)

  def dimension_of(rotations: float) -> float:
    return (
      dim
      * math.log(scaling.original_max_position_embeddings / (rotations * 2 * math.pi))
      / (2 * math.log(theta))
    )

  low, high = dimension_of(scaling.beta_fast), dimension_of(scaling.beta_slow)
  if scaling.truncate:
    low, high = math.floor(low), math.ceil(high)
  low, high = max(low, 0), min(high, dim - 1)
  if low == high:
    high += 0.001
  one = np.float32(1.0)
  ramp = np.clip(
    (np.arange(len(powers), dtype=np.float32) - np.float32(low)) / np.float32(high - low), 0, 1
  )
  kept = one - ramp
  return one / (np.float32(scaling.factor) * powers) * (one - kept) + one / powers * kept


def _yarn_attention_factor(scaling: RopeScaling) -> float:
  def scale(mscale: float) -> float:
    return 1.0 if scaling.factor <= 1 else 0.1 * mscale * math.log(scaling.factor) + 1.0

  if scaling.attention_factor is not None:
    return scaling.attention_factor
  if scaling.mscale and scaling.mscale_all_dim:
    return scale(scaling.mscale) / scale(scaling.mscale_all_dim)
  return scale(1.0)


def rope_table(config: ModelConfig, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
  """cos and sin, float32 [..., H/2], of int positions [...]."""
  frequencies, factor = rope_frequencies(config)
  angles = positions[..., None].astype(jnp.float32) * frequencies
  return jnp.cos(angles) * factor, jnp.sin(angles) * factor


def apply_rope(x: jax.Array, table: tuple[jax.Array, jax.Array]) -> jax.Array:
  """Rotates x [..., heads, H] by a table [..., H/2]; the two halves of a head are the two
  coordinates. Dtype of x.
  """
  cos, sin = (t[..., None, :] for t in table)
  first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(
    x.dtype
  )


def visible(
  query_positions: jax.Array, key_positions: jax.Array, window: jax.Array | int | None
) -> jax.Array:
  """Causal mask bool [..., Q, S] from positions [..., Q] and [..., S]; `window` limits how far back
  a query sees.
  """
  distance = query_positions[..., :, None] - key_positions[..., None, :]
  mask = distance >= 0
  return mask if window is None else mask & (distance < window)


def causal_attention(
  query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array, blocks: int = 1
) -> jax.Array:
  """Softmax attention within one sequence.

  Args:
    query: [B, T, N, G, H]. key, value: [B, S, N, H].
    mask: bool, broadcastable to [B, T, S].
    blocks: the queries are computed in so many parts, of which each reads the keys up to its own
      last position alone; more than one only where T = S and the mask is causal. Of the scores
      above the diagonal 1 / blocks are left.

  Returns:
    [B, T, N, G, H] in the dtype of `value`. The softmax is float32.
  """
  length = query.shape[1]
  size = -(-length // blocks)
  parts = []
  for start in range(0, length, size):
    stop = min(start + size, length)
    seen = key.shape[1] if blocks == 1 else stop
    parts.append(
      _attend(query[:, start:stop], key[:, :seen], value[:, :seen], mask[:, start:stop, :seen])
    )
  return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)


def flash_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  implementation: Literal["cudnn", "xla"],
) -> jax.Array:
  """`causal_attention` of right-padded sequences by `jax.nn.dot_product_attention`: "cudnn"
  (NVIDIA, 16-bit) or "xla".

  No mask but the causal one: padding stands behind all that counts, and what it attends to means
  nothing.
  """
  batch, length, heads, groups, size = query.shape
  flat = query.reshape(batch, length, heads * groups, size)
  out = jax.nn.dot_product_attention(
    flat, key, value, is_causal=True, implementation=implementation
  )
  return out.reshape(query.shape)


def _attend(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
  batch, length, heads, groups, size = query.shape
  rows = jnp.moveaxis(query, 2, 1).reshape(batch, heads, length * groups, size)
  key, value = jnp.moveaxis(key, 2, 1), jnp.moveaxis(value, 2, 1)
  logits = scores(rows, key).reshape(batch, heads, length, groups, -1) * size**-0.5
  logits = jnp.where(mask[:, None, :, None], logits, _MASKED)
  # Divided behind the product with the values: H numbers a row instead of S.
  weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
  total = weights.sum(axis=-1)
  weighted = weights.astype(value.dtype).reshape(batch, heads, length * groups, -1)
  out = jnp.einsum("bnms,bnsh->bnmh", weighted, value, preferred_element_type=jnp.float32)
  out = out.reshape(batch, heads, length, groups, size) / total[..., None]
  return jnp.moveaxis(out, 1, 2).astype(value.dtype)


@jax.custom_vjp
def scores(query: jax.Array, key: jax.Array) -> jax.Array:
  """query @ key^T in float32 [..., M, S] of [..., M, H] and [..., S, H].

  Its gradient with respect to the keys is written with the small operand, the queries, turned
  around: JAX's own rule turns the M x S array around, which on a CPU costs as much as the product
  itself.
  """
  axis, batch = query.ndim - 1, tuple(range(query.ndim - 2))
  return jax.lax.dot_general(
    query, key, (((axis,), (axis,)), (batch, batch)), preferred_element_type=jnp.float32
  )


def _scores_forward(
  query: jax.Array, key: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return scores(query, key), (query, key)


def _scores_backward(
  kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  query, key = kept
  gradient = gradient.astype(query.dtype)
  axis, batch = query.ndim - 1, tuple(range(query.ndim - 2))
  to_query = jax.lax.dot_general(gradient, key, (((axis,), (axis - 1,)), (batch, batch)))
  # [..., H, S]
  to_key = jax.lax.dot_general(query, gradient, (((axis - 1,), (axis - 1,)), (batch, batch)))
  return to_query, jnp.swapaxes(to_key, -1, -2)


scores.defvjp(_scores_forward, _scores_backward)


def prefix_branch_attention(
  query: jax.Array,
  prefix_key: jax.Array,
  prefix_value: jax.Array,
  prefix_mask: jax.Array,
  own_key: jax.Array,
  own_value: jax.Array,
  own_mask: jax.Array,
) -> jax.Array:
  """Attention of branches to the prefix they share and to their own tokens: ONE softmax over both
  sets of logits.

  The two sets are never concatenated: they share a maximum and a denominator. That is the same
  function with the same gradient (a softmax does not depend on the constant subtracted, so the
  maximum carries none), and the prefix keys are read once for all K.

  Args:
    query: [B, K, L, N, G, H].
    prefix_key, prefix_value: [B, P, N, H]. prefix_mask: bool, broadcastable to [B, K, L, P].
    own_key, own_value: [B, K, S, N, H]. own_mask: bool, broadcastable to [B, K, L, S].

  Returns:
    [B, K, L, N, G, H] in the dtype of `own_value`. The softmax is float32.
  """
  batch, branches, length, heads, groups, size = query.shape
  scale = size**-0.5
  # Each logits array keeps the axis order of its matrix product: no transpose of anything of size P
  # or S.
  rows = jnp.moveaxis(query, 3, 1).reshape(batch, heads, -1, size)
  prefix_logits = scores(rows, jnp.moveaxis(prefix_key, 2, 1)) * scale
  prefix_logits = prefix_logits.reshape(batch, heads, branches, length, groups, -1)
  prefix_logits = jnp.where(prefix_mask[:, None, :, :, None], prefix_logits, _MASKED)
  rows = jnp.moveaxis(query, 3, 2).reshape(batch, branches, heads, -1, size)
  own_logits = scores(rows, jnp.moveaxis(own_key, 3, 2)) * scale
  own_logits = own_logits.reshape(batch, branches, heads, length, groups, -1)
  own_logits = jnp.where(own_mask[:, :, None, :, None], own_logits, _MASKED)
  prefix_maximum = jnp.moveaxis(prefix_logits.max(axis=-1), 1, 2)  # [B, K, N, L, G]
  maximum = jax.lax.stop_gradient(jnp.maximum(prefix_maximum, own_logits.max(axis=-1)))
  prefix_weights = jnp.exp(prefix_logits - jnp.moveaxis(maximum, 2, 1)[..., None])
  own_weights = jnp.exp(own_logits - maximum[..., None])
  total = jnp.moveaxis(prefix_weights.sum(axis=-1), 1, 2) + own_weights.sum(axis=-1)
  dtype = own_value.dtype
  from_prefix = jnp.einsum(
    "bnklgp,bpnh->bknlgh",
    prefix_weights.astype(dtype),
    prefix_value,
    preferred_element_type=jnp.float32,
  )
  from_own = jnp.einsum(
    "bknlgs,bksnh->bknlgh", own_weights.astype(dtype), own_value, preferred_element_type=jnp.float32
  )
  return jnp.moveaxis((from_prefix + from_own) / total[..., None], 2, 3).astype(dtype)
