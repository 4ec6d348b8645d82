"""Attention over packed rows: schemas' prefixes and their branches end to end, each token seeing
what `ends` lets it see.

Token i sees token j iff j <= i < ends[j] (indices in the row): the one integer a key says how far
along the row it is seen. A prefix is seen to the end of its last branch, a prompt to the end of its
last answer, an answer to its own end; padding has 0 and is seen by none. Intervals nest, so this is
any tree of shared beginnings.

Axes: R rows, T tokens of a row, N key-value heads, G query heads a key-value head, H head size.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from spftsql_jax.models.attention import scores

_MASKED = -1e30
# Queries and keys of a block. The loop below takes the same time a block whatever is masked in it:
# larger blocks compute more that is masked, smaller ones wait more often for two cores to meet.
_ON_CPU = (128, 128)
# A GPU or TPU has no kernel for this mask yet. It is given few large products: the loop's overhead
# would otherwise be most of its time.
_ELSEWHERE = (512, 4096)
# Axes of a mesh over which rows are spread (see `sharding.RULES`).
_ROW_AXES = ("data", "fsdp")

Blocks = tuple[jax.Array, jax.Array]


class _Sight(NamedTuple):
  """What decides who sees whom: `ends`, and with a window the `positions` that it is counted by."""

  ends: jax.Array
  positions: jax.Array | None = None
  window: jax.Array | None = None


def packed_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  ends: jax.Array,
  positions: jax.Array | None = None,
  window: jax.Array | int | None = None,
) -> jax.Array:
  """Softmax attention within packed rows, block by block: scores of blocks that nothing sees are
  not computed, and no more than one block of them is in memory.

  The number of blocks computed is that of the rows' contents, not of their shape: one program
  serves rows of any contents.

  Args:
    query: [R, T, N, G, H]. key, value: [R, T, N, H].
    ends: int32 [R, T], see above.
    positions: int32 [R, T] of tokens in their own sequences; needed with `window` alone.
    window: how far back a token sees, by positions; None for no limit.

  Returns:
    [R, T, N, G, H] in the dtype of `value`; zeros for padding. The softmax is float32.
  """
  if window is None:
    sight = _Sight(ends)
  elif positions is None:
    raise ValueError("a window is counted by positions, which are missing")
  else:
    sight = _Sight(ends, positions, jnp.asarray(window))
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or not set(_ROW_AXES) <= set(mesh.axis_names):
    return _rows_attention(query, key, value, sight)
  # Each device goes through the rows and heads that it holds, as many blocks as those have.
  axes = _ROW_AXES if len(query) % math.prod(mesh.shape[a] for a in _ROW_AXES) == 0 else None
  heads = "tensor" if key.shape[2] % mesh.shape["tensor"] == 0 else None
  of_heads = PartitionSpec(axes, None, heads)
  leaves, structure = jax.tree.flatten(sight)
  of_sight = [PartitionSpec(axes) if leaf.ndim else PartitionSpec() for leaf in leaves]

  def rows(query: jax.Array, key: jax.Array, value: jax.Array, *leaves: jax.Array) -> jax.Array:
    return _rows_attention(query, key, value, jax.tree.unflatten(structure, leaves))

  specs = (of_heads, of_heads, of_heads, *of_sight)
  return jax.shard_map(rows, in_specs=specs, out_specs=of_heads, check_vma=False)(
    query, key, value, *leaves
  )


def _rows_attention(query: jax.Array, key: jax.Array, value: jax.Array, sight: _Sight) -> jax.Array:
  """`packed_attention` on one device, a row at a time."""

  def row(one: tuple[Any, ...]) -> jax.Array:
    *heads, ends, positions = one
    return _row_attention(*heads, _Sight(ends, positions, sight.window))

  rows = (query, key, value, sight.ends, sight.positions)
  if len(query) == 1:
    return row(jax.tree.map(lambda x: x[0], rows))[None]
  return jax.lax.map(row, rows)


def seen_blocks(ends: jax.Array, queries: int, keys: int) -> Blocks:
  """Which blocks of keys each block of queries sees.

  Args:
    ends: int32 [T], T a multiple of both block sizes.

  Returns:
    (int32 [T / queries, T / keys] numbers of the blocks of keys, those that are seen first;
    int32 [T / queries] how many are seen).
  """
  length = len(ends)
  first_query = jnp.arange(0, length, queries)[:, None]
  first_key = jnp.arange(0, length, keys)[None]
  furthest = ends.reshape(-1, keys).max(axis=1)[None]
  last_query = first_query + queries - 1
  seen = (first_key <= last_query) & (furthest > jnp.maximum(first_query, first_key))
  order = jnp.argsort(~seen, axis=1, stable=True).astype(jnp.int32)
  return order, seen.sum(axis=1).astype(jnp.int32)


@jax.custom_vjp
def _row_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
) -> jax.Array:
  return _forward(query, key, value, sight)[0]


def _block_mask(
  sight: _Sight,
  first_query: jax.Array,
  first_key: jax.Array,
  queries: int,
  keys: int,
) -> jax.Array:
  """bool [queries, keys]: which keys of a block the queries of another see."""
  i = first_query + jnp.arange(queries)[:, None]
  j = first_key + jnp.arange(keys)[None]
  mask = (j <= i) & (i < jax.lax.dynamic_slice_in_dim(sight.ends, first_key, keys)[None])
  if sight.positions is not None and sight.window is not None:
    of_queries = jax.lax.dynamic_slice_in_dim(sight.positions, first_query, queries)
    of_keys = jax.lax.dynamic_slice_in_dim(sight.positions, first_key, keys)
    mask &= of_queries[:, None] - of_keys[None] < sight.window
  return mask


def _cut(x: jax.Array, size: int) -> jax.Array:
  """[T, N, ..., H] as blocks [T / size, N, size * ..., H]."""
  blocks = x.reshape(-1, size, *x.shape[1:])
  blocks = jnp.moveaxis(blocks, 2, 1)
  return blocks.reshape(*blocks.shape[:2], -1, x.shape[-1])


def _join(blocks: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Blocks [T / size, N, size * ..., H] as [T, N, ..., H], the inverse of `_cut`."""
  count, heads = blocks.shape[:2]
  blocks = blocks.reshape(count, heads, shape[0] // count, *shape[2:])
  return jnp.moveaxis(blocks, 1, 2).reshape(shape)


def _sizes(length: int) -> tuple[int, int]:
  """Queries and keys of a block: whole parts of a row, the largest up to the usual sizes."""
  queries, keys = _ON_CPU if jax.default_backend() == "cpu" else _ELSEWHERE
  return math.gcd(length, queries), math.gcd(length, keys)


def _at(x: jax.Array, index: jax.Array) -> jax.Array:
  return jax.lax.dynamic_index_in_dim(x, index, keepdims=False)


def _put(x: jax.Array, block: jax.Array, index: jax.Array) -> jax.Array:
  return jax.lax.dynamic_update_index_in_dim(x, block.astype(x.dtype), index, 0)


def _forward(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
) -> tuple[jax.Array, jax.Array]:
  """(heads [T, N, G, H], log-sum-exp of the scores by block of queries [T / queries, N, queries *
  G])."""
  length, heads, groups, size = query.shape
  queries, keys = _sizes(length)
  order, counts = seen_blocks(sight.ends, queries, keys)
  q, k, v = _cut(query, queries), _cut(key, keys), _cut(value, keys)

  def of_queries(block: jax.Array, out: Blocks) -> Blocks:
    q_block, seen = _at(q, block), _at(order, block)

    def add(step: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
      maximum, total, weighted = carry
      index = seen[step]
      mask = _block_mask(sight, block * queries, index * keys, queries, keys)
      logits = scores(q_block, _at(k, index)) * size**-0.5
      logits = logits.reshape(heads, queries, groups, keys)
      logits = jnp.where(mask[None, :, None], logits, _MASKED)
      logits = logits.reshape(heads, queries * groups, keys)
      higher = jnp.maximum(maximum, logits.max(axis=-1))
      weights = jnp.exp(logits - higher[..., None])
      scale = jnp.exp(maximum - higher)
      product = jnp.einsum(
        "nms,nsh->nmh",
        weights.astype(value.dtype),
        _at(v, index),
        preferred_element_type=jnp.float32,
      )
      return (
        higher,
        total * scale + weights.sum(axis=-1),
        weighted * scale[..., None] + product,
      )

    rows = (heads, queries * groups)
    # The floor above what is masked: the weights of a query that sees nothing are zero.
    start = (
      jnp.full(rows, _MASKED / 2, jnp.float32),
      jnp.zeros(rows, jnp.float32),
      jnp.zeros((*rows, size), jnp.float32),
    )
    maximum, total, weighted = jax.lax.fori_loop(0, counts[block], add, start)
    total = jnp.where(total > 0, total, 1.0)
    return _put(out[0], weighted / total[..., None], block), _put(
      out[1], maximum + jnp.log(total), block
    )

  out = (jnp.zeros_like(q, value.dtype), jnp.zeros(q.shape[:-1], jnp.float32))
  blocks, log_sums = jax.lax.fori_loop(0, len(q), of_queries, out)
  return _join(blocks, query.shape), log_sums


def _row_forward(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
) -> tuple[jax.Array, tuple[Any, ...]]:
  out, log_sums = _forward(query, key, value, sight)
  return out, (query, key, value, sight, out, log_sums)


def _row_backward(kept: tuple[Any, ...], gradient: jax.Array) -> tuple[Any, ...]:
  query, key, value, sight, out, log_sums = kept
  length, heads, groups, size = query.shape
  queries, keys = _sizes(length)
  order, counts = seen_blocks(sight.ends, queries, keys)
  q, k, v = _cut(query, queries), _cut(key, keys), _cut(value, keys)
  to_out = _cut(gradient.astype(value.dtype), queries)
  # What a softmax's gradient takes from each score: the sum over keys of weight times gradient.
  mean = jnp.einsum("tngh,tngh->tng", gradient.astype(jnp.float32), out.astype(jnp.float32))
  mean = _cut(mean[..., None], queries)[..., 0]
  rows = (((1,), (1,)), ((0,), (0,)))  # over queries, of each head
  last = (((2,), (2,)), ((0,), (0,)))  # over the head's numbers

  def product(left: jax.Array, right: jax.Array, axes: Any) -> jax.Array:
    return jax.lax.dot_general(left, right, axes, preferred_element_type=jnp.float32)

  def of_queries(block: jax.Array, found: tuple[Any, ...]) -> tuple[Any, ...]:
    to_q, to_k, to_v = found
    q_block, g_block, seen = _at(q, block), _at(to_out, block), _at(order, block)
    log_sum, shift = _at(log_sums, block), _at(mean, block)

    def add(step: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
      own, to_k, to_v = carry
      index = seen[step]
      mask = _block_mask(sight, block * queries, index * keys, queries, keys)
      k_block, v_block = _at(k, index), _at(v, index)
      logits = product(q_block, k_block, last) * size**-0.5
      weights = jnp.exp(logits - log_sum[..., None]).reshape(heads, queries, groups, keys)
      weights = jnp.where(mask[None, :, None], weights, 0.0)
      weights = weights.reshape(heads, queries * groups, keys)
      to_weights = product(g_block, v_block, last)
      to_scores = (weights * (to_weights - shift[..., None]) * size**-0.5).astype(query.dtype)
      own = own + product(to_scores, k_block, (((2,), (1,)), ((0,), (0,))))
      # Written with the small operand turned around (see `attention.scores`): [N, H, keys].
      to_k = _put(to_k, _at(to_k, index) + product(q_block, to_scores, rows), index)
      to_v = _put(
        to_v, _at(to_v, index) + product(g_block, weights.astype(value.dtype), rows), index
      )
      return own, to_k, to_v

    own = jnp.zeros(q_block.shape, jnp.float32)
    own, to_k, to_v = jax.lax.fori_loop(0, counts[block], add, (own, to_k, to_v))
    return _put(to_q, own, block), to_k, to_v

  turned = jnp.zeros((*k.shape[:2], size, keys), jnp.float32)
  to_q, to_k, to_v = jax.lax.fori_loop(
    0, len(q), of_queries, (jnp.zeros_like(q), turned, jnp.zeros_like(turned))
  )
  join = lambda turned, x: _join(jnp.swapaxes(turned, 2, 3).astype(x.dtype), x.shape)  # noqa: E731
  nothing = lambda x: np.zeros(jnp.shape(x), jax.dtypes.float0)  # noqa: E731
  return (
    _join(to_q, query.shape),
    join(to_k, key),
    join(to_v, value),
    jax.tree.map(nothing, sight),
  )


_row_attention.defvjp(_row_forward, _row_backward)
