"""Flash attention over packed rows as kernels for NVIDIA GPUs: what `packed_attention` computes, in
one pass over the blocks of keys that a block of queries sees.

Blocks that nothing sees are neither loaded nor computed: the kernels walk lists of blocks that are
made of `ends` (see `_walk`). Keys' gradients have a kernel of their own, which walks the other way,
so that no two programs write to one place. After Dao, "FlashAttention-2", arXiv:2307.08691.

JAX 0.11 calls Pallas' Triton backend, which these are for, deprecated: it will go some day.

Axes: R rows, T tokens of a row, N key-value heads, G query heads a key-value head, H head size.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from spftsql_jax.models import platforms

# What is masked, and the floor of a row's maximum: the weights of a query that sees nothing are 0.
_MASKED = -1e30
_FLOOR = _MASKED / 2
# Fewer programs than this leave a GPU's processors idle: the groups of a key's head go apart then.
_FEW_PROGRAMS = 512

# How many products over the scores each kernel makes, by its name.
PRODUCTS = {"packed_forward": 2, "packed_to_query": 3, "packed_to_keys": 4}


@dataclasses.dataclass(frozen=True)
class Tile:
  """Queries and keys of a block, and how Triton compiles the loop over blocks."""

  queries: int
  keys: int
  warps: int = 4
  stages: int = 2


class Tiles(NamedTuple):
  """Of the forward kernel, of the queries' gradient and of the keys' and values' gradients."""

  forward: Tile
  to_query: Tile
  to_keys: Tile


def usual_tiles(size: int, dtype: Any) -> Tiles:
  """Blocks that fit the shared memory of GPUs since Ampere, by the bytes of a head's vector."""
  width = size * jnp.dtype(dtype).itemsize
  if width <= 128:
    return Tiles(Tile(128, 64), Tile(64, 64), Tile(64, 64))
  if width <= 256:
    return Tiles(Tile(64, 64), Tile(64, 32), Tile(32, 64))
  return Tiles(Tile(32, 32), Tile(32, 32), Tile(32, 32))


def has_kernel(query: jax.Array, key: jax.Array, value: jax.Array) -> bool:
  """Whether the kernels are for these arrays and for the devices that the program is made for."""
  size = query.shape[-1]
  same = query.dtype == key.dtype == value.dtype
  narrow = query.dtype in (jnp.bfloat16, jnp.float16, jnp.float32)
  return same and narrow and size in (16, 32, 64, 128) and is_ampere_or_newer()


def is_ampere_or_newer() -> bool:
  """Older GPUs are not for Triton, AMD's are untried."""
  capability = platforms.compute_capability()
  return capability is not None and capability[0] >= 8


class _Sight(NamedTuple):
  """Who sees whom: int32 [R, T] `ends`, and with a window [R, T] `positions` and [1] `window`."""

  ends: Any
  positions: Any = None
  window: Any = None


def flash_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  ends: jax.Array,
  positions: jax.Array | None = None,
  window: jax.Array | int | None = None,
  *,
  tiles: Tiles | None = None,
  interpret: bool = False,
) -> jax.Array:
  """Arguments and result as of `packed_attention.packed_attention`.

  Products of float32 are TF32 unless `jax.default_matmul_precision` asks for more.

  Args:
    tiles: block sizes, powers of two from 16; None for the usual ones.
    interpret: compute as JAX would without a GPU, which is slow.
  """
  tiles = tiles or usual_tiles(query.shape[-1], query.dtype)
  length = query.shape[1]
  missing = -length % max(max(tile.queries, tile.keys) for tile in tiles)
  sight = _Sight(_longer(ends, missing))
  if window is not None:
    if positions is None:
      raise ValueError("a window is counted by positions, which are missing")
    window = jnp.asarray(window, jnp.int32).reshape(1)
    sight = _Sight(sight.ends, _longer(positions, missing), window)
  out = _flash(*(_longer(x, missing) for x in (query, key, value)), sight, tiles, interpret)
  return out[:, :length]


def _longer(x: jax.Array, missing: int) -> jax.Array:
  """[R, T, ...] with padding behind each row."""
  return jnp.pad(x, ((0, 0), (0, missing), *((0, 0),) * (x.ndim - 2))) if missing else x


class _Walk(NamedTuple):
  """For each block of one side the blocks of the other that it has to do with.

  Attributes:
    blocks: int32 [R, blocks, other blocks], their numbers in order, and no more behind them.
    counts: int32 [R, blocks], how many these are.
  """

  blocks: jax.Array
  counts: jax.Array


def _walk(ends: jax.Array, tile: Tile, of_keys: bool = False) -> _Walk:
  """Which blocks of keys each block of queries sees; `of_keys` has it the other way around."""
  rows, length = ends.shape
  first_query = jnp.arange(0, length, tile.queries, dtype=jnp.int32)[:, None]
  first_key = jnp.arange(0, length, tile.keys, dtype=jnp.int32)
  furthest = ends.reshape(rows, 1, -1, tile.keys).max(axis=-1)
  seen = (first_key < first_query + tile.queries) & (furthest > jnp.maximum(first_query, first_key))
  if of_keys:
    seen = seen.swapaxes(1, 2)
  void = seen.shape[2]
  numbers = jnp.where(seen, jnp.arange(void, dtype=jnp.int32), void)
  return _Walk(jnp.sort(numbers, axis=2), seen.sum(axis=2, dtype=jnp.int32))


# The kernels. A reference to a whole row is read block by block: only what is read is loaded.


def _product(left: jax.Array, right: jax.Array, turned: bool = False) -> jax.Array:
  """float32: left times right, or times right `turned` around."""
  return plgpu.dot(left, right, trans_b=turned)


def _numbers(block: jax.Array, size: int) -> jax.Array:
  """int32 [size]: the tokens of a block."""
  return block * size + jnp.arange(size, dtype=jnp.int32)


def _logits_scale(size: int) -> float:
  """Weights are powers of 2, which GPUs are quick at."""
  return size**-0.5 * math.log2(math.e)


class _Side(NamedTuple):
  """What the mask asks of a block of tokens, [size] each: their numbers and, with a window, their
  positions; of keys also their `ends`.
  """

  tokens: jax.Array
  positions: jax.Array | None
  ends: jax.Array | None = None


def _side(sight: _Sight, block: jax.Array, size: int, of_keys: bool = False) -> _Side:
  part = pl.ds(block * size, size)
  positions = None if sight.positions is None else sight.positions[part]
  return _Side(_numbers(block, size), positions, sight.ends[part] if of_keys else None)


def _mask(sight: _Sight, queries: _Side, keys: _Side, turned: bool = False) -> jax.Array:
  """bool [queries, keys], or `turned` [keys, queries]: who sees whom."""
  of_query = (lambda x: x[None, :]) if turned else (lambda x: x[:, None])
  of_key = (lambda x: x[:, None]) if turned else (lambda x: x[None, :])
  i, j = of_query(queries.tokens), of_key(keys.tokens)
  mask = (j <= i) & (i < of_key(keys.ends))
  if sight.window is not None:
    mask &= of_query(queries.positions) - of_key(keys.positions) < sight.window[0]
  return mask


def _forward_kernel(q_ref, k_ref, v_ref, blocks_ref, counts_ref, *refs, tile: Tile) -> None:  # type: ignore[no-untyped-def]
  """A block of queries of one head [queries, H]; also their log-sum-exp [queries], to base 2."""
  *sight_refs, out_ref, log_sums_ref = refs
  sight = _Sight(*sight_refs)
  own = pl.program_id(0)
  queries = _side(sight, own, tile.queries)
  q = q_ref[...]
  size = q.shape[-1]

  def add(step: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
    maximum, total, weighted = carry
    block = blocks_ref[step]
    part = pl.ds(block * tile.keys, tile.keys)
    mask = _mask(sight, queries, _side(sight, block, tile.keys, of_keys=True))
    logits = _product(q, k_ref[part, :], turned=True) * _logits_scale(size)
    logits = jnp.where(mask, logits, _MASKED)
    higher = jnp.maximum(maximum, logits.max(axis=1))
    weights = jnp.exp2(logits - higher[:, None])
    scale = jnp.exp2(maximum - higher)
    v = v_ref[part, :]
    added = _product(weights.astype(v.dtype), v)
    return (
      higher,
      total * scale + weights.sum(axis=1),
      weighted * scale[:, None] + added,
    )

  start = (
    jnp.full((tile.queries,), _FLOOR, jnp.float32),
    jnp.zeros((tile.queries,), jnp.float32),
    jnp.zeros((tile.queries, size), jnp.float32),
  )
  maximum, total, weighted = jax.lax.fori_loop(0, counts_ref[own], add, start)
  total = jnp.where(total > 0, total, 1.0)
  out_ref[...] = (weighted / total[:, None]).astype(out_ref.dtype)
  log_sums_ref[...] = maximum + jnp.log2(total)


def _to_query_kernel(q_ref, k_ref, v_ref, to_out_ref, log_sums_ref, shift_ref, *refs, tile: Tile):  # type: ignore[no-untyped-def]
  """The gradient of a block of queries of one head."""
  blocks_ref, counts_ref, *sight_refs, to_q_ref = refs
  sight = _Sight(*sight_refs)
  own = pl.program_id(0)
  queries = _side(sight, own, tile.queries)
  q, to_out = q_ref[...], to_out_ref[...]
  log_sums, shift = log_sums_ref[...], shift_ref[...]
  size = q.shape[-1]

  def add(step: jax.Array, found: jax.Array) -> jax.Array:
    block = blocks_ref[step]
    part = pl.ds(block * tile.keys, tile.keys)
    mask = _mask(sight, queries, _side(sight, block, tile.keys, of_keys=True))
    k = k_ref[part, :]
    logits = _product(q, k, turned=True) * _logits_scale(size)
    weights = jnp.where(mask, jnp.exp2(logits - log_sums[:, None]), 0.0)
    to_weights = _product(to_out, v_ref[part, :], turned=True)
    to_scores = weights * (to_weights - shift[:, None])
    return found + _product(to_scores.astype(k.dtype), k)

  found = jnp.zeros((tile.queries, size), jnp.float32)
  found = jax.lax.fori_loop(0, counts_ref[own], add, found)
  to_q_ref[...] = (found * size**-0.5).astype(to_q_ref.dtype)


def _to_keys_kernel(q_ref, k_ref, v_ref, to_out_ref, log_sums_ref, shift_ref, *refs, tile: Tile):  # type: ignore[no-untyped-def]
  """The gradients of a block of keys and values of one head, summed over the groups [T, groups, H]
  of queries that are given.

  Scores lie turned around here, [keys, queries]: no product then needs one turned in registers.
  """
  blocks_ref, counts_ref, *sight_refs, to_k_ref, to_v_ref = refs
  sight = _Sight(*sight_refs)
  own = pl.program_id(0)
  keys = _side(sight, own, tile.keys, of_keys=True)
  k, v = k_ref[...], v_ref[...]
  groups, size = q_ref.shape[1:]

  def add(step: jax.Array, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    to_k, to_v = found
    group = jax.lax.rem(step, jnp.int32(groups))
    block = blocks_ref[jax.lax.div(step, jnp.int32(groups))]
    part = pl.ds(block * tile.queries, tile.queries)
    mask = _mask(sight, _side(sight, block, tile.queries), keys, turned=True)
    q, to_out = q_ref[part, group, :], to_out_ref[part, group, :]
    logits = _product(k, q, turned=True) * _logits_scale(size)
    weights = jnp.where(mask, jnp.exp2(logits - log_sums_ref[group, part][None, :]), 0.0)
    to_v += _product(weights.astype(to_out.dtype), to_out)
    to_weights = _product(v, to_out, turned=True)
    to_scores = weights * (to_weights - shift_ref[group, part][None, :])
    return to_k + _product(to_scores.astype(q.dtype), q), to_v

  nothing = jnp.zeros((tile.keys, size), jnp.float32)
  to_k, to_v = jax.lax.fori_loop(0, counts_ref[own] * groups, add, (nothing, nothing))
  to_k_ref[...] = (to_k * size**-0.5).astype(to_k_ref.dtype)
  to_v_ref[...] = to_v.astype(to_v_ref.dtype)


# Calls of the kernels: grids of (blocks, heads, rows).


def _call(kernel: Any, tile: Tile, grid: tuple[int, ...], interpret: bool, **specs: Any) -> Any:
  return pl.pallas_call(
    functools.partial(kernel, tile=tile),
    grid=grid,
    compiler_params=plgpu.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
    interpret=interpret,
    name=f"packed{kernel.__name__.removesuffix('_kernel')}",
    **specs,
  )


def _of_walk(walk: _Walk) -> list[pl.BlockSpec]:
  _, own, other = walk.blocks.shape
  return [
    pl.BlockSpec((None, None, other), lambda i, h, r: (r, i, 0)),
    pl.BlockSpec((None, own), lambda i, h, r: (r, 0)),
  ]


def _leaves(sight: _Sight) -> tuple[list[jax.Array], list[pl.BlockSpec]]:
  row = pl.BlockSpec((None, sight.ends.shape[1]), lambda i, h, r: (r, 0))
  if sight.window is None:
    return [sight.ends], [row]
  return list(sight), [row, row, pl.BlockSpec((1,), lambda i, h, r: (0,))]


def _of_queries(length: int, groups: int, size: int, tile: Tile) -> tuple[pl.BlockSpec, ...]:
  """(of queries [R, T, N, G, H], of keys [R, T, N, H], of sums [R, N, G, T]) for a kernel whose
  programs each have a block of queries of one head.
  """
  at = lambda h: (h // groups, h % groups)  # noqa: E731
  return (
    pl.BlockSpec((None, tile.queries, None, None, size), lambda i, h, r: (r, i, *at(h), 0)),
    pl.BlockSpec((None, length, None, size), lambda i, h, r: (r, 0, h // groups, 0)),
    pl.BlockSpec((None, None, None, tile.queries), lambda i, h, r: (r, *at(h), i)),
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _flash(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
  tiles: Tiles,
  interpret: bool,
) -> jax.Array:
  return _forward(query, key, value, sight, tiles, interpret)[0]


def _forward(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  sight: _Sight,
  tiles: Tiles,
  interpret: bool,
) -> tuple[jax.Array, tuple[Any, ...]]:
  rows, length, heads, groups, size = query.shape
  tile = tiles.forward
  walk = _walk(sight.ends, tile)
  leaves, of_leaves = _leaves(sight)
  of_query, of_key, of_sums = _of_queries(length, groups, size, tile)
  out, log_sums = _call(
    _forward_kernel,
    tile,
    (length // tile.queries, heads * groups, rows),
    interpret,
    in_specs=[of_query, of_key, of_key, *_of_walk(walk), *of_leaves],
    out_specs=[of_query, of_sums],
    out_shape=[
      jax.ShapeDtypeStruct(query.shape, value.dtype),
      jax.ShapeDtypeStruct((rows, heads, groups, length), jnp.float32),
    ],
  )(query, key, value, *walk, *leaves)
  return out, (query, key, value, sight, out, log_sums)


def _backward(
  tiles: Tiles, interpret: bool, kept: tuple[Any, ...], gradient: jax.Array
) -> tuple[Any, ...]:
  query, key, value, sight, out, log_sums = kept
  gradient = gradient.astype(value.dtype)
  # What a softmax's gradient takes from each score: the sum over keys of weight times gradient.
  shift = (gradient.astype(jnp.float32) * out.astype(jnp.float32)).sum(axis=-1)
  shift = jnp.moveaxis(shift, 1, 3)
  given = (query, key, value, gradient, log_sums, shift)
  to_query = _to_query(given, sight, tiles.to_query, interpret)
  to_key, to_value = _to_keys(given, sight, tiles.to_keys, interpret)
  nothing = lambda x: np.zeros(jnp.shape(x), jax.dtypes.float0)  # noqa: E731
  return to_query, to_key, to_value, jax.tree.map(nothing, sight)


def _to_query(
  given: tuple[jax.Array, ...], sight: _Sight, tile: Tile, interpret: bool
) -> jax.Array:
  query = given[0]
  rows, length, heads, groups, size = query.shape
  walk = _walk(sight.ends, tile)
  leaves, of_leaves = _leaves(sight)
  of_query, of_key, of_sums = _of_queries(length, groups, size, tile)
  of_given = [of_query, of_key, of_key, of_query, of_sums, of_sums]
  return _call(
    _to_query_kernel,
    tile,
    (length // tile.queries, heads * groups, rows),
    interpret,
    in_specs=[*of_given, *_of_walk(walk), *of_leaves],
    out_specs=of_query,
    out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype),
  )(*given, *walk, *leaves)


def _to_keys(
  given: tuple[jax.Array, ...], sight: _Sight, tile: Tile, interpret: bool
) -> tuple[jax.Array, jax.Array]:
  query, key, value, *_ = given
  rows, length, heads, groups, size = query.shape
  walk = _walk(sight.ends, tile, of_keys=True)
  leaves, of_leaves = _leaves(sight)
  blocks = length // tile.keys
  # Groups that go apart leave a sum each, [R, T, N, parts, H].
  parts = groups if rows * heads * blocks < _FEW_PROGRAMS else 1
  together = groups // parts
  at = lambda h: (h // parts, h % parts)  # noqa: E731
  of_query = pl.BlockSpec((None, length, None, together, size), lambda i, h, r: (r, 0, *at(h), 0))
  of_key = pl.BlockSpec((None, tile.keys, None, size), lambda i, h, r: (r, i, h // parts, 0))
  of_sums = pl.BlockSpec((None, None, together, length), lambda i, h, r: (r, *at(h), 0))
  of_part = pl.BlockSpec((None, tile.keys, None, None, size), lambda i, h, r: (r, i, *at(h), 0))
  summed = lambda x: jnp.float32 if parts > 1 else x.dtype  # noqa: E731
  found = [jax.ShapeDtypeStruct((*x.shape[:3], parts, size), summed(x)) for x in (key, value)]
  of_given = [of_query, of_key, of_key, of_query, of_sums, of_sums]
  to_key, to_value = _call(
    _to_keys_kernel,
    tile,
    (blocks, heads * parts, rows),
    interpret,
    in_specs=[*of_given, *_of_walk(walk), *of_leaves],
    out_specs=[of_part, of_part],
    out_shape=found,
  )(*given, *walk, *leaves)
  return to_key.sum(axis=3).astype(key.dtype), to_value.sum(axis=3).astype(value.dtype)


_flash.defvjp(_forward, _backward)
