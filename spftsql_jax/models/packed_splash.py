"""Attention over packed rows by the splash attention of JAX, its kernels for TPUs: what
`packed_attention` computes.

Who sees whom is a mask that is made in the program, of `ends`, so one program serves rows of any
contents. Blocks that nothing sees are neither loaded nor computed; of the others the mask is read
from memory, T x T numbers a row three times (forward, queries' and keys' gradients), the same for
all heads.

Axes: R rows, T tokens of a row, N key-value heads, G query heads a key-value head, H head size.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from spftsql_jax.models import platforms

# Rows are padded to a multiple of a TPU's lanes.
_LANES = 128
# Queries and keys of a block: smaller ones leave out more of what is masked, larger ones keep the
# units for products at work.
_BLOCK = 512
# Heads that the kernels take: narrower ones would be mostly padding.
_SIZES = (64, 128, 256)


def has_kernel(query: jax.Array, key: jax.Array, value: jax.Array) -> bool:
  """Whether the kernels are for these arrays and for the devices that the program is made for."""
  same = query.dtype == key.dtype == value.dtype
  known = query.dtype in (jnp.bfloat16, jnp.float32) and query.shape[-1] in _SIZES
  return same and known and platforms.platform() == "tpu"


def splash_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  ends: jax.Array,
  positions: jax.Array | None = None,
  window: jax.Array | int | None = None,
  *,
  interpret: bool = False,
) -> jax.Array:
  """Arguments and result as of `packed_attention.packed_attention`.

  Args:
    interpret: compute as JAX would without a TPU, which is slow.
  """
  if window is not None and positions is None:
    raise ValueError("a window is counted by positions, which are missing")
  if window is None:
    positions = None

  def row(one: tuple[Any, ...]) -> jax.Array:
    query, key, value, ends, positions = one
    return _row(query, key, value, ends, positions, window, interpret)

  rows = (query, key, value, ends, positions)
  if len(query) == 1:
    return row(jax.tree.map(lambda x: x[0], rows))[None]
  return jax.lax.map(row, rows)


def _row(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  ends: jax.Array,
  positions: jax.Array | None,
  window: jax.Array | int | None,
  interpret: bool,
) -> jax.Array:
  """[T, N, G, H] of one row."""
  length, heads, groups, size = query.shape
  missing = -length % _LANES
  longer = lambda x: jnp.pad(x, (0, missing))  # noqa: E731
  mask = _mask(longer(ends), None if positions is None else longer(positions), window)
  scaled = (query * size**-0.5).astype(query.dtype).reshape(length, heads * groups, size)
  by_head = (
    jnp.pad(jnp.swapaxes(x, 0, 1), ((0, 0), (0, missing), (0, 0))) for x in (scaled, key, value)
  )
  out = _kernel(mask, interpret)(*by_head)
  out = jnp.swapaxes(out[:, :length], 0, 1).reshape(query.shape)
  return jnp.where((ends > 0)[:, None, None, None], out, 0).astype(value.dtype)


def _mask(
  ends: jax.Array, positions: jax.Array | None, window: jax.Array | int | None
) -> jax.Array:
  """bool [T, T]: which keys each query sees.

  Padding, which sees nothing, sees itself here: a softmax over nothing would divide by zero.
  """
  tokens = jnp.arange(len(ends))
  queries, keys = tokens[:, None], tokens[None]
  mask = (keys <= queries) & (queries < ends[None])
  if positions is not None and window is not None:
    mask &= positions[:, None] - positions[None] < window
  return mask | (keys == queries)


def _kernel(mask: jax.Array, interpret: bool) -> Any:
  """JAX's function of (queries [N * G, T, H], keys, values [N, T, H]), with its gradient."""
  # Loaded where it is used: on other machines than TPUs it is not needed.
  from jax.experimental.pallas.ops.tpu import splash_attention as splash

  block = math.gcd(len(mask), _BLOCK)
  sizes = splash.BlockSizes(
    block_q=block,
    block_kv=block,
    block_q_dkv=block,
    block_kv_dkv=block,
    block_q_dq=block,
    block_kv_dq=block,
  )
  # One head's mask serves all heads.
  kernel = splash.make_splash_mha(
    mask[None], block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret
  )
  # The library makes an array of this flag and then asks in Python whether it is true, which a
  # program that is being traced cannot say.
  for name in ("fwd_mask_info", "dq_mask_info", "dkv_mask_info"):
    info = getattr(kernel, name)
    setattr(kernel, name, info._replace(is_dynamic_mask=True))
  return kernel
