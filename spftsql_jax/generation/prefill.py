"""The pass over a schema prefix, for its cache alone: nothing of it is differentiated, and no token
is predicted from it.

So two things that the model's own forward must do can be left out: what the last layer does behind
its keys and values, and the scores above the diagonal, by which a query block would look at keys
that come after it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from spftsql_jax.models import attention
from spftsql_jax.models.transformer import NEVER, Block, Decoder, layers_of

_MASKED = -1e30
# A prefix is cut into so many blocks of queries, none smaller than this.
_MOST_BLOCKS, _SMALLEST_BLOCK = 8, 64

KeyValue = tuple[jax.Array, jax.Array]


def prefix_key_values(
  model: Decoder,
  variables: dict[str, Any],
  layers: tuple[dict[str, Any], ...] | None,
  prefixes: jax.Array,
  lengths: jax.Array,
) -> tuple[KeyValue, ...]:
  """Keys and values of prefixes int32 [A, P] with lengths [A]: for each layer two arrays [A, P, N,
  H]. `layers` is from `transformer.layers_of`, by default of `variables`."""
  config = model.config
  positions = jnp.arange(prefixes.shape[1], dtype=jnp.int32)
  keys = jnp.where(positions < lengths[:, None], positions, NEVER)
  rope = attention.rope_table(config, positions[None])
  block = Block(config, model.lora)
  x = variables["params"]["embedding"].astype(jnp.dtype(config.dtype))[prefixes]
  collected = []
  for i, layer in enumerate(layers_of(config, variables) if layers is None else layers):
    last = i == config.num_hidden_layers - 1
    x, key_value = block.apply(layer, x, config.windows[i], keys, rope, last, method=_layer)
    collected.append(key_value)
  return tuple(collected)


def _layer(
  block: Block, x: jax.Array, window: int | None, keys: jax.Array, rope: KeyValue, last: bool
):
  """One layer over x [A, P, D]: its output (of the last layer its input: nobody reads it) and its
  keys and values.
  """
  query, key, value = block.attention.project(block.attention_norm(x), rope)
  if not last:
    x = block._finish(x, causal_attention_in_blocks(query, key, value, keys, window))
  return x, (key, value)


def causal_attention_in_blocks(
  query: jax.Array, key: jax.Array, value: jax.Array, key_positions: jax.Array, window: int | None
) -> jax.Array:
  """`attention.causal_attention`, a block of queries at a time, each over the keys up to its end.

  Half the work, and the scores of a block stay in the processor's caches.

  Args:
    query: [A, P, N, G, H]. key, value: [A, P, N, H].
    key_positions: int32 [A, P], NEVER for padding.
    window: how many positions a query sees, or None for all.

  Returns:
    [A, P, N, G, H] in the dtype of `value`. The softmax is float32.
  """
  count, slots, kv_heads, groups, head_dim = query.shape
  size = max(_SMALLEST_BLOCK, -(-slots // _MOST_BLOCKS))
  # Matrix products over [T * G, H] and [S, H] for each key-value head.
  query, key, value = jnp.moveaxis(query, 1, 2), jnp.moveaxis(key, 1, 2), jnp.moveaxis(value, 1, 2)
  heads = []
  for start in range(0, slots, size):
    end = min(start + size, slots)
    rows = query[:, :, start:end].reshape(count, kv_heads, -1, head_dim) * head_dim**-0.5
    logits = jnp.einsum(
      "anqh,ansh->anqs", rows, key[:, :, :end], preferred_element_type=jnp.float32
    )
    mask = attention.visible(jnp.arange(start, end), key_positions[:, :end], window)
    logits = jnp.where(
      mask[:, None, :, None], logits.reshape(count, kv_heads, end - start, groups, end), _MASKED
    )
    weights = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights.reshape(count, kv_heads, -1, end).astype(value.dtype)
    sums = jnp.einsum(
      "anqs,ansh->anqh", weights, value[:, :, :end], preferred_element_type=jnp.float32
    )
    heads.append(sums.reshape(count, kv_heads, end - start, groups, head_dim) / total)
  return jnp.moveaxis(jnp.concatenate(heads, axis=2), 2, 1).astype(value.dtype)
