"""What answers are written from: prefixes and prompts as they are read, end to end without padding
between them, and the caches that hold their keys and values.

Axes: R rows of a stream, B schemas, K branches, A prefixes of a row, T and W tokens of a row, P
slots of a prefix, Q of a prompt, S of a branch, N key-value heads, H head size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class PrefixRows:
  """Prefixes end to end in rows.

  Attributes:
    tokens, positions, ends: int [R, T], as `packing.PackedBatch` has them: a prefix is seen by its
      own tokens alone, `positions` start anew with each, padding has 0 in `ends`.
    starts: int [R, A], the place in its row of each prefix's first token. lengths: int [R, A].
    slots: P.
  """

  tokens: jax.Array
  positions: jax.Array
  ends: jax.Array
  starts: jax.Array
  lengths: jax.Array
  slots: int = struct.field(pytree_node=False)

  @classmethod
  def padded(cls, prefixes: jax.Array, lengths: jax.Array) -> PrefixRows:
    """A row for each of right-padded prefixes [R, P] with lengths [R]."""
    lengths = jnp.asarray(lengths, jnp.int32)[:, None]
    places = jnp.broadcast_to(jnp.arange(prefixes.shape[1], dtype=jnp.int32), prefixes.shape)
    ends = jnp.where(places < lengths, lengths, 0)
    starts = jnp.zeros_like(lengths)
    return cls(jnp.asarray(prefixes), places, ends, starts, lengths, prefixes.shape[1])

  def apart(self, x: jax.Array) -> jax.Array:
    """[R, T, ...] of the rows as [R * A, P, ...], a prefix each; what is behind its length means
    nothing.
    """
    return _taken(x, self.starts, self.slots).reshape(-1, self.slots, *x.shape[2:])


@struct.dataclass
class Prompts:
  """Prompts of K branches of each of B schemas, end to end in R rows: the first B / R schemas' in
  the first row, and so on.

  Attributes:
    tokens: int [R, W].
    places: int [R, W], where a token stands among the B / R * K * Q slots of its row's branches;
      anywhere for padding.
    starts: int [B, K], the place in its row of each prompt's first token.
    lengths: int [B, K], at least 1 where the branch counts.
    slots: Q.
  """

  tokens: jax.Array
  places: jax.Array
  starts: jax.Array
  lengths: jax.Array
  slots: int = struct.field(pytree_node=False)

  @classmethod
  def padded(cls, prompts: jax.Array, lengths: jax.Array) -> Prompts:
    """A row for each schema of right-padded prompts [B, K, Q] with lengths [B, K]."""
    batch, branches, slots = prompts.shape
    tokens = jnp.asarray(prompts).reshape(batch, -1)
    places = jnp.broadcast_to(jnp.arange(branches * slots, dtype=jnp.int32), tokens.shape)
    starts = jnp.broadcast_to(jnp.arange(branches, dtype=jnp.int32) * slots, (batch, branches))
    return cls(tokens, places, starts, jnp.asarray(lengths), slots)

  def apart(self, x: jax.Array) -> jax.Array:
    """[R, W, ...] of the rows as [B, K, Q, ...]; what is behind a prompt's length means nothing."""
    return _taken(x, self._starts_in_rows(len(x)), self.slots).reshape(
      *self.starts.shape, self.slots, *x.shape[2:]
    )

  def together(self, x: jax.Array) -> jax.Array:
    """[B, K, Q, ...] as [R, W, ...]: the inverse of `apart`."""
    slots = x.reshape(len(self.tokens), -1, *x.shape[3:])
    places = jnp.minimum(self.places, slots.shape[1] - 1)
    return jax.vmap(lambda row, index: row[index])(slots, places)

  def last(self, x: jax.Array) -> jax.Array:
    """Of [R, W, D] the last token of each prompt: [B, K, D]."""
    lengths = self.lengths.reshape(len(x), -1)
    last = self._starts_in_rows(len(x)) + jnp.maximum(lengths - 1, 0)
    return _taken(x, last, 1).reshape(*self.starts.shape, x.shape[-1])

  def _starts_in_rows(self, rows: int) -> jax.Array:
    return self.starts.reshape(rows, -1)


def _taken(x: jax.Array, starts: jax.Array, count: int) -> jax.Array:
  """Of rows [R, W, ...] `count` places from each start [R, A] on: [R, A, count, ...]."""
  places = jnp.minimum(starts[..., None] + jnp.arange(count), x.shape[1] - 1)
  return jax.vmap(lambda row, index: row[index])(x, places)


@struct.dataclass
class PrefixCache:
  """Keys and values of the prefixes: each a tuple over layers of [B, P, N, H]."""

  key: tuple[jax.Array, ...]
  value: tuple[jax.Array, ...]


@struct.dataclass
class BranchCache:
  """Keys and values of the branches' own tokens while decoding.

  Slots [0, prompt_slots) hold the prompts, the others the new tokens: the token of step t lies in
  slot prompt_slots + t % (S - prompt_slots), the same for all branches, so that a step writes one
  slice in place.

  Attributes:
    key, value: tuple over layers of [B, K, S, N, H].
    positions: int32 [B, K, S], the position of each slot's token, NEVER where the slot is empty.
    lengths: int32 [B, K], own tokens of each branch so far.
    prompt_slots: number of slots set aside for prompts.
  """

  key: tuple[jax.Array, ...]
  value: tuple[jax.Array, ...]
  positions: jax.Array
  lengths: jax.Array
  prompt_slots: int = struct.field(pytree_node=False)
