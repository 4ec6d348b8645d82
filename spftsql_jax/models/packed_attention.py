"""Attention over packed rows: schemas' prefixes and their branches end to end, each token seeing
what `ends` lets it see.

Token i sees token j iff j <= i < ends[j] (indices in the row): the one integer a key says how far
along the row it is seen. A prefix is seen to the end of its last branch, a prompt to the end of its
last answer, an answer to its own end; padding has 0 and is seen by none. Intervals nest, so this is
any tree of shared beginnings.

Axes: R rows, T tokens of a row, N key-value heads, G query heads a key-value head, H head size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from spftsql_jax.models import packed_flash, packed_splash, platforms, trials
from spftsql_jax.models.products import turned

_MASKED = -1e30


class _Tile(NamedTuple):
  """How many queries and keys a block has."""

  queries: int
  keys: int


# Small blocks compute little that is masked, and stay in a core's cache.
_ON_CPU = _Tile(64, 64)
# Where the kernels of packed_flash.py and packed_splash.py do not serve. A GPU or TPU is given few
# large products: the loop's overhead would otherwise be most of its time.
_ELSEWHERE = _Tile(512, 4096)
# Axes of a mesh over which rows are spread (see `sharding.RULES`).
_ROW_AXES = ("data", "fsdp")

Blocks = tuple[jax.Array, jax.Array]
Implementation = Literal["auto", "loop", "kernel"]


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
  implementation: Implementation = "auto",
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
    implementation: the loop of this file, the kernels of packed_flash.py (GPU) or packed_splash.py
      (TPU), or these where they can be had and agree with the loop.

  Returns:
    [R, T, N, G, H] in the dtype of `value`; zeros for padding. The softmax is float32.
  """
  if window is None:
    sight = _Sight(ends)
  elif positions is None:
    raise ValueError("a window is counted by positions, which are missing")
  else:
    sight = _Sight(ends, positions, jnp.asarray(window))
  if implementation == "auto":
    groups, size = query.shape[-2:]
    found = _has_kernel(query, key, value)
    sound = trials.may_be_used(found, lambda: _kernel_agrees(groups, size, query.dtype))
    implementation = "kernel" if sound else "loop"
  attention = _rows_attention if implementation == "loop" else _rows_kernel
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or not set(_ROW_AXES) <= set(mesh.axis_names):
    return attention(query, key, value, sight)
  # Each device goes through the rows and heads that it holds, as many blocks as those have.
  axes = _ROW_AXES if len(query) % math.prod(mesh.shape[a] for a in _ROW_AXES) == 0 else None
  heads = "tensor" if key.shape[2] % mesh.shape["tensor"] == 0 else None
  of_heads = PartitionSpec(axes, None, heads)
  leaves, structure = jax.tree.flatten(sight)
  of_sight = [PartitionSpec(axes) if leaf.ndim else PartitionSpec() for leaf in leaves]

  def rows(query: jax.Array, key: jax.Array, value: jax.Array, *leaves: jax.Array) -> jax.Array:
    return attention(query, key, value, jax.tree.unflatten(structure, leaves))

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


def _rows_kernel(query: jax.Array, key: jax.Array, value: jax.Array, sight: _Sight) -> jax.Array:
  """`packed_attention` on one GPU or TPU."""
  if platforms.platform() == "tpu":
    return packed_splash.splash_attention(query, key, value, *sight)
  return packed_flash.flash_attention(query, key, value, *sight)


def _has_kernel(query: jax.Array, key: jax.Array, value: jax.Array) -> bool:
  kernels = packed_splash if platforms.platform() == "tpu" else packed_flash
  return kernels.has_kernel(query, key, value)


@functools.cache
def _kernel_agrees(groups: int, size: int, dtype: Any) -> bool:
  """Whether the kernels give here what the loop gives, heads and gradients of one row."""
  return trials.agrees("attention kernel", "the loop", lambda: _disagreement(groups, size, dtype))


def _disagreement(groups: int, size: int, dtype: Any) -> float:
  """The largest relative difference (Frobenius) of the kernels' heads and gradients from the
  loop's, over a prefix of 320 tokens and four branches.
  """
  length, prefix, branch = 512, 320, 40
  shapes = (1, length, 1, groups, size), (1, length, 1, size), (1, length, 1, size)
  keys = jax.random.split(jax.random.key(0), 4)
  arrays = [jax.random.normal(k, s, dtype) for k, s in zip(keys, (*shapes, shapes[0]), strict=True)]
  places = np.arange(length)
  ends = np.where(places < prefix, prefix + 4 * branch, prefix + branch * (places // branch - 7))
  ends = np.where(places < prefix + 4 * branch, ends, 0)[None].astype(np.int32)

  def heads_and_gradients(attention: Callable[..., jax.Array]) -> list[jax.Array]:
    *given, to_out = arrays
    out, back = jax.vjp(lambda q, k, v: attention(q, k, v, _Sight(jnp.asarray(ends))), *given)
    return [out, *back(to_out.astype(out.dtype))]

  found, wanted = (
    jax.jit(heads_and_gradients, static_argnums=0)(a) for a in (_rows_kernel, _rows_attention)
  )
  return trials.largest_difference(found, wanted)


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


def _mask(sight: _Sight, tile: _Tile, queries: jax.Array, keys: jax.Array) -> jax.Array:
  """bool [queries, keys]: which keys of a block the queries of another see, by their numbers."""
  i = (queries * tile.queries + jnp.arange(tile.queries))[:, None]
  j = keys * tile.keys + jnp.arange(tile.keys)
  mask = (j <= i) & (i < sight.ends[j])
  if sight.positions is not None and sight.window is not None:
    mask &= sight.positions[i] - sight.positions[j] < sight.window
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


def _tile(length: int) -> _Tile:
  """Whole parts of a row, the largest up to the usual sizes."""
  usual = _ON_CPU if platforms.platform() == "cpu" else _ELSEWHERE
  return _Tile(math.gcd(length, usual.queries), math.gcd(length, usual.keys))


def _product(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
  """float32: products of matrices [N, ...], summed over an axis of each."""
  axes = (((left_axis,), (right_axis,)), ((0,), (0,)))
  return jax.lax.dot_general(left, right, axes, preferred_element_type=jnp.float32)


def _forward(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
) -> tuple[jax.Array, jax.Array]:
  """(heads [T, N, G, H], log-sum-exp of the scores by block of queries [T / queries, N, queries *
  G])."""
  length, heads, groups, size = query.shape
  tile = _tile(length)
  seen, counts = seen_blocks(sight.ends, *tile)
  q, k, v = _cut(query, tile.queries), _cut(key, tile.keys), _cut(value, tile.keys)

  def of_block(block: jax.Array, out: Blocks) -> Blocks:
    q_block = q[block]

    def add(step: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
      maximum, total, weighted = carry
      index = seen[block, step]
      mask = _mask(sight, tile, block, index)
      logits = _product(q_block, k[index], 2, 2) * size**-0.5
      logits = logits.reshape(heads, tile.queries, groups, tile.keys)
      logits = jnp.where(mask[:, None], logits, _MASKED)
      logits = logits.reshape(*maximum.shape, tile.keys)
      higher = jnp.maximum(maximum, logits.max(axis=-1))
      weights = jnp.exp(logits - higher[..., None])
      scale = jnp.exp(maximum - higher)
      added = _product(weights.astype(value.dtype), v[index], 2, 1)
      return (
        higher,
        total * scale + weights.sum(axis=-1),
        weighted * scale[..., None] + added,
      )

    rows = q_block.shape[:2]
    # The floor above what is masked: the weights of a query that sees nothing are zero.
    start = (
      jnp.full(rows, _MASKED / 2, jnp.float32),
      jnp.zeros(rows, jnp.float32),
      jnp.zeros((*rows, size), jnp.float32),
    )
    maximum, total, weighted = jax.lax.fori_loop(0, counts[block], add, start)
    total = jnp.where(total > 0, total, 1.0)
    of_heads, log_sums = out
    return (
      of_heads.at[block].set((weighted / total[..., None]).astype(value.dtype)),
      log_sums.at[block].set(maximum + jnp.log(total)),
    )

  out = (jnp.zeros_like(q, value.dtype), jnp.zeros(q.shape[:-1], jnp.float32))
  blocks, log_sums = jax.lax.fori_loop(0, len(q), of_block, out)
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
  tile = _tile(length)
  seen, counts = seen_blocks(sight.ends, *tile)
  q, k, v = _cut(query, tile.queries), _cut(key, tile.keys), _cut(value, tile.keys)
  to_out = _cut(gradient.astype(value.dtype), tile.queries)
  # What a softmax's gradient takes from each score: the sum over keys of weight times gradient.
  mean = jnp.einsum("tngh,tngh->tng", gradient.astype(jnp.float32), out.astype(jnp.float32))
  mean = _cut(mean[..., None], tile.queries)[..., 0]

  def of_block(block: jax.Array, found: tuple[Any, ...]) -> tuple[Any, ...]:
    to_q, to_k, to_v = found
    q_block, g_block = q[block], to_out[block]
    q_turned, g_turned = turned(q_block), turned(g_block)
    log_sum, shift = log_sums[block], mean[block]

    def add(step: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
      own, to_k, to_v = carry
      index = seen[block, step]
      mask = _mask(sight, tile, block, index)
      k_block, v_block = k[index], v[index]
      logits = _product(q_block, k_block, 2, 2) * size**-0.5
      weights = jnp.exp(logits - log_sum[..., None])
      weights = weights.reshape(heads, tile.queries, groups, tile.keys)
      weights = jnp.where(mask[:, None], weights, 0.0).reshape(logits.shape)
      to_weights = _product(g_block, v_block, 2, 2)
      to_scores = (weights * (to_weights - shift[..., None]) * size**-0.5).astype(query.dtype)
      own = own + _product(to_scores, k_block, 2, 1)
      # Written with the small operand turned around (see `attention.scores`): [N, H, keys].
      to_k = to_k.at[index].add(_product(q_turned, to_scores, 2, 1))
      to_v = to_v.at[index].add(_product(g_turned, weights.astype(value.dtype), 2, 1))
      return own, to_k, to_v

    own = jnp.zeros(q_block.shape, jnp.float32)
    own, to_k, to_v = jax.lax.fori_loop(0, counts[block], add, (own, to_k, to_v))
    return to_q.at[block].set(own.astype(query.dtype)), to_k, to_v

  nothing_yet = jnp.zeros((*k.shape[:2], size, tile.keys), jnp.float32)
  to_q, to_k, to_v = jax.lax.fori_loop(
    0, len(q), of_block, (jnp.zeros_like(q), nothing_yet, jnp.zeros_like(nothing_yet))
  )
  join = lambda found, x: _join(jnp.swapaxes(found, 2, 3).astype(x.dtype), x.shape)  # noqa: E731
  nothing = lambda x: np.zeros(jnp.shape(x), jax.dtypes.float0)  # noqa: E731
  return (
    _join(to_q, query.shape),
    join(to_k, key),
    join(to_v, value),
    jax.tree.map(nothing, sight),
  )


_row_attention.defvjp(_row_forward, _row_backward)
