"""Attention while answers are written: branches see the prefix they share, which lies in a cache,
and their own tokens.

Axes: B schemas, K branches, L branch queries, P prefix, S branch keys, N key-value heads, G query
heads a key-value head, H head size.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from spftsql_jax.models import attention, branch_flash, trials

# Position of a key that no query may see: it lies in every query's future.
NEVER = 2**30
# Axes of a mesh over which schemas, or their branches, are spread (see `generation.lanes`).
_SPREAD_AXES = ("data", "fsdp")


class Branches(NamedTuple):
  """What attends, and what it attends to.

  Attributes:
    query: [B, K, L, N, G, H]. positions: int32 [B, K, L], of the queries.
    prefix_key, prefix_value: [B, P, N, H]. prefix_lengths: int32 [B], tokens that count.
    own_key, own_value: [B, K, S, N, H].
    own_positions: int32 [B, K, S], of the branches' keys, NEVER where there is none.
  """

  query: jax.Array
  positions: jax.Array
  prefix_key: jax.Array
  prefix_value: jax.Array
  prefix_lengths: jax.Array
  own_key: jax.Array
  own_value: jax.Array
  own_positions: jax.Array


def branch_attention(given: Branches, window: int | jax.Array | None = None) -> jax.Array:
  """One softmax over the prefix and the branch's own tokens, by the kernel of branch_flash.py on
  GPUs that have it, where no gradient is asked for; else by `attention.prefix_branch_attention`.

  Args:
    given: see there. window: how far back a query sees, by positions; None for no limit.

  Returns:
    [B, K, L, N, G, H] in the dtype of `own_value`.
  """
  groups, size = given.query.shape[-2:]
  found = branch_flash.has_kernel(given.query, given.own_key)
  if not trials.may_be_used(found, lambda: _kernel_agrees(groups, size, given.query.dtype)):
    return _plain(given, window)
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or not set(_SPREAD_AXES) <= set(mesh.axis_names):
    return branch_flash.branch_attention(*given, window=window)
  # Each device attends with the schemas, branches and heads that it holds.
  parts = math.prod(mesh.shape[axis] for axis in _SPREAD_AXES)
  batch, branches = given.query.shape[:2]
  rows = _SPREAD_AXES if batch % parts == 0 else None
  lanes = _SPREAD_AXES if rows is None and branches % parts == 0 else None
  heads = "tensor" if given.own_key.shape[3] % mesh.shape["tensor"] == 0 else None
  of_branches = PartitionSpec(rows, lanes, None, heads)
  of_prefix = PartitionSpec(rows, None, heads)
  of_positions = PartitionSpec(rows, lanes)
  specs: Any = (of_branches, of_positions, of_prefix, of_prefix, PartitionSpec(rows))
  specs += (of_branches, of_branches, of_positions)

  def attend(given: Branches) -> jax.Array:
    return branch_flash.branch_attention(*given, window=window)

  return jax.shard_map(
    attend, in_specs=(Branches(*specs),), out_specs=of_branches, check_vma=False
  )(given)


def _plain(given: Branches, window: int | jax.Array | None) -> jax.Array:
  places = jnp.arange(given.prefix_key.shape[1])
  prefix_keys = jnp.where(places < given.prefix_lengths[:, None], places, NEVER)
  return attention.prefix_branch_attention(
    given.query,
    given.prefix_key,
    given.prefix_value,
    attention.visible(given.positions, prefix_keys[:, None], window),
    given.own_key,
    given.own_value,
    attention.visible(given.positions, given.own_positions, window),
  )


@functools.cache
def _kernel_agrees(groups: int, size: int, dtype: Any) -> bool:
  """Whether the kernel gives here what the plain way gives."""
  return trials.agrees(
    "attention kernel for answers",
    "the plain way",
    lambda: _disagreement(groups, size, dtype),
  )


def _disagreement(groups: int, size: int, dtype: Any) -> float:
  """How far the kernel is from the plain way for a token of each of five branches, each of which
  has another number of own tokens.
  """
  branches, prefix, own = 5, 150, 40
  names = jax.random.split(jax.random.key(0), 5)
  shapes = [(1, branches, 1, 1, groups, size), *[(1, prefix, 1, size)] * 2]
  shapes += [(1, branches, own, 1, size)] * 2
  query, prefix_key, prefix_value, own_key, own_value = (
    jax.random.normal(n, s, dtype) for n, s in zip(names, shapes, strict=True)
  )
  filled = jnp.arange(own - branches + 1, own + 1)[None, :, None]
  places = jnp.arange(own)
  length = prefix - 10
  given = Branches(
    query,
    length + filled - 1,
    prefix_key,
    prefix_value,
    jnp.array([length], jnp.int32),
    own_key,
    own_value,
    jnp.where(places < filled, length + places, NEVER),
  )
  kernel = jax.jit(lambda given: branch_flash.branch_attention(*given))
  plain = jax.jit(lambda given: _plain(given, None))
  return trials.largest_difference([kernel(given)], [plain(given)])
