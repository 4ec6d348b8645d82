"""Attention of branches to the prefix they share and to their own tokens as one kernel for NVIDIA
GPUs: what `attention.prefix_branch_attention` computes, without a score in memory.

A program has a block of queries of one key-value head, those of one branch beside those of the
next: it goes through the prefix, which all of them see, and then through the own tokens of each
branch that it has queries of. Forward alone: answers are written with it, nothing is learned.

Axes: B schemas, K branches, L branch queries, P prefix, S branch keys, N key-value heads, G query
heads a key-value head, H head size; Q = K * L * G queries of a key-value head.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from spftsql_jax.models import packed_flash
from spftsql_jax.models.packed_flash import Tile

# What is masked, and the floor of a row's maximum: the weights of a query that sees nothing are 0.
_MASKED = -1e30
_FLOOR = _MASKED / 2
# A GPU has some 100 to 150 processors: with fewer programs than two for each, blocks of queries are
# smaller, though the prefix is then read from the cache more often.
_FEW_PROGRAMS = 256
# No query stands there: it sees nothing.
_NOWHERE = -1

NAME = "branch_attention"
# Products over the scores that the kernel makes.
PRODUCTS = 2


def usual_tile(programs_of: int, size: int, dtype: Any) -> Tile:
  """The block of queries and keys for so many queries of all heads and schemas together.

  Products want 16 queries at least; a block of keys and one of values fit twice into the shared
  memory of GPUs since Ampere.
  """
  width = size * jnp.dtype(dtype).itemsize
  queries = 16
  while queries < 64 and programs_of >= 2 * queries * _FEW_PROGRAMS:
    queries *= 2
  return Tile(queries, 64 if width <= 256 else 32)


def has_kernel(query: jax.Array, key: jax.Array) -> bool:
  """Whether the kernel is for these arrays and for the devices that the program is made for."""
  return packed_flash.has_kernel(query, key, key) and query.dtype != jnp.float32


def branch_attention(
  query: jax.Array,
  positions: jax.Array,
  prefix_key: jax.Array,
  prefix_value: jax.Array,
  prefix_lengths: jax.Array,
  own_key: jax.Array,
  own_value: jax.Array,
  own_positions: jax.Array,
  window: int | jax.Array | None = None,
  *,
  tile: Tile | None = None,
  interpret: bool = False,
) -> jax.Array:
  """One softmax over the prefix and the branch's own tokens.

  Args:
    query: [B, K, L, N, G, H]. positions: int32 [B, K, L], of the queries.
    prefix_key, prefix_value: [B, P, N, H]. prefix_lengths: int32 [B], tokens that count.
    own_key, own_value: [B, K, S, N, H]. own_positions: int32 [B, K, S], of the branches' keys; what
      is not to be seen lies in the future.
    window: how far back a query sees; None for no limit.
    tile: blocks of queries and keys, powers of two from 16; None for the usual ones.
    interpret: compute as JAX would without a GPU, which is slow.

  Returns:
    [B, K, L, N, G, H] in the dtype of `own_value`. The softmax is float32.
  """
  batch, branches, length, heads, groups, size = query.shape
  count = branches * length * groups
  tile = tile or usual_tile(batch * heads * count, size, query.dtype)
  missing = -count % tile.queries
  rows = jnp.moveaxis(query, 3, 1).reshape(batch, heads, count, size)
  rows = jnp.pad(rows, ((0, 0), (0, 0), (0, missing), (0, 0)))
  at = jnp.repeat(positions.astype(jnp.int32).reshape(batch, -1), groups, axis=1)
  at = jnp.pad(at, ((0, 0), (0, missing)), constant_values=_NOWHERE)
  sight: list[jax.Array] = [at, prefix_lengths.astype(jnp.int32)[:, None], own_positions]
  if window is not None:
    sight.append(jnp.asarray(window, jnp.int32).reshape(1))
  out = _call(
    rows, prefix_key, prefix_value, own_key, own_value, sight, tile, length * groups, interpret
  )
  out = out[:, :, :count].reshape(batch, heads, branches, length, groups, size)
  return jnp.moveaxis(out, 1, 3)


def _call(
  rows: jax.Array,
  prefix_key: jax.Array,
  prefix_value: jax.Array,
  own_key: jax.Array,
  own_value: jax.Array,
  sight: list[jax.Array],
  tile: Tile,
  together: int,
  interpret: bool,
) -> jax.Array:
  """Queries [B, N, Q, H], of which `together` are of one branch, to heads [B, N, Q, H]."""
  batch, heads, count, size = rows.shape
  branches, own_slots = own_key.shape[1:3]
  # As `generation.lanes.Rows` keeps them: the two turns cancel out.
  prefix = [jnp.moveaxis(x, 1, 3) for x in (prefix_key, prefix_value)]
  prefix_slots = prefix_key.shape[1]
  of_rows = pl.BlockSpec((None, None, tile.queries, size), lambda i, h, b: (b, h, i, 0))
  of_prefix = pl.BlockSpec((None, None, size, prefix_slots), lambda i, h, b: (b, h, 0, 0))
  of_own = pl.BlockSpec((None, branches, own_slots, None, size), lambda i, h, b: (b, 0, 0, h, 0))
  of_sight = [
    pl.BlockSpec((None, tile.queries), lambda i, h, b: (b, i)),
    pl.BlockSpec((None, 1), lambda i, h, b: (b, 0)),
    pl.BlockSpec((None, branches, own_slots), lambda i, h, b: (b, 0, 0)),
    pl.BlockSpec((1,), lambda i, h, b: (0,)),
  ]
  return pl.pallas_call(
    functools.partial(_kernel, tile=tile, together=together),
    grid=(count // tile.queries, heads, batch),
    in_specs=[of_rows, of_prefix, of_prefix, of_own, of_own, *of_sight[: len(sight)]],
    out_specs=of_rows,
    out_shape=jax.ShapeDtypeStruct(rows.shape, own_value.dtype),
    compiler_params=plgpu.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
    interpret=interpret,
    name=NAME,
  )(rows, *prefix, own_key, own_value, *sight)


def _kernel(  # type: ignore[no-untyped-def]
  q_ref, prefix_k_ref, prefix_v_ref, own_k_ref, own_v_ref, at_ref, length_ref, *refs, tile, together
) -> None:
  """A block of queries of one key-value head: [queries, H]."""
  own_at_ref, *window_ref, out_ref = refs
  q, at = q_ref[...], at_ref[...]
  size, slots = prefix_k_ref.shape
  branches, own_slots = own_at_ref.shape
  number = pl.program_id(0) * tile.queries + jnp.arange(tile.queries, dtype=jnp.int32)
  branch = jax.lax.div(number, jnp.int32(together))
  scale = size**-0.5 * math.log2(math.e)  # weights are powers of 2, which GPUs are quick at

  def seen(key_at: jax.Array) -> jax.Array:
    """Which keys at these positions [keys] the queries see: bool [queries, keys]."""
    distance = at[:, None] - key_at[None, :]
    return (distance >= 0) & (distance < window_ref[0][0]) if window_ref else distance >= 0

  def add(carry, scores, mask, weigh):  # type: ignore[no-untyped-def]
    maximum, total, weighted = carry
    logits = jnp.where(mask, scores * scale, _MASKED)
    higher = jnp.maximum(maximum, logits.max(axis=1))
    weights = jnp.exp2(logits - higher[:, None])
    rest = jnp.exp2(maximum - higher)
    added = weigh(weights.astype(own_v_ref.dtype))
    return higher, total * rest + weights.sum(axis=1), weighted * rest[:, None] + added

  def over_prefix(step, carry):  # type: ignore[no-untyped-def]
    place = step * tile.keys + jnp.arange(tile.keys, dtype=jnp.int32)
    inside = (place < slots)[None, :]
    part = (slice(None), pl.ds(step * tile.keys, tile.keys))
    k = plgpu.load(prefix_k_ref.at[part], mask=inside, other=0.0)
    v = plgpu.load(prefix_v_ref.at[part], mask=inside, other=0.0)
    mask = seen(place) & (place < length_ref[0])[None, :]
    return add(carry, plgpu.dot(q, k), mask, lambda w: plgpu.dot(w, v, trans_b=True))

  blocks = pl.cdiv(own_slots, tile.keys)
  first = jax.lax.div(pl.program_id(0) * tile.queries, together)

  def over_own(step, carry):  # type: ignore[no-untyped-def]
    one = first + jax.lax.div(step, jnp.int32(blocks))
    start = jax.lax.rem(step, jnp.int32(blocks)) * tile.keys
    place = start + jnp.arange(tile.keys, dtype=jnp.int32)
    inside = place < own_slots
    part = pl.ds(start, tile.keys)
    key_at = plgpu.load(own_at_ref.at[one, part], mask=inside, other=0)
    k = plgpu.load(own_k_ref.at[one, part, :], mask=inside[:, None], other=0.0)
    v = plgpu.load(own_v_ref.at[one, part, :], mask=inside[:, None], other=0.0)
    mask = seen(key_at) & inside[None, :] & (branch == one)[:, None]
    return add(carry, plgpu.dot(q, k, trans_b=True), mask, lambda w: plgpu.dot(w, v))

  carry = (
    jnp.full((tile.queries,), _FLOOR, jnp.float32),
    jnp.zeros((tile.queries,), jnp.float32),
    jnp.zeros((tile.queries, size), jnp.float32),
  )
  filled = jax.lax.div(length_ref[0] + (tile.keys - 1), jnp.int32(tile.keys))
  carry = jax.lax.fori_loop(0, filled, over_prefix, carry)
  last = jax.lax.div((pl.program_id(0) + 1) * tile.queries - 1, together)
  count = jnp.minimum(last, branches - 1) - first + 1
  _, total, weighted = jax.lax.fori_loop(0, count * blocks, over_own, carry)
  total = jnp.where(total > 0, total, 1.0)
  out_ref[...] = (weighted / total[:, None]).astype(out_ref.dtype)
