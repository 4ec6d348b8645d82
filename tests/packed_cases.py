"""Packed rows of random contents, and attention over them by a plain softmax."""

import jax
import jax.numpy as jnp
import numpy as np


def random_row(random, length):
  """(ends, positions) of prefixes and their branches, some with answers in them, and padding."""
  ends, positions, start = np.zeros(length, np.int32), np.zeros(length, np.int32), 0
  while start < length - 8 and random.random() < 0.9:
    prefix = random.integers(1, 24)
    stop = start + prefix
    for _ in range(random.integers(1, 5)):
      prompt, answer = random.integers(1, 20, size=2)
      if stop + prompt + answer > length:
        break
      ends[stop : stop + prompt + answer] = stop + prompt + answer
      positions[stop : stop + prompt + answer] = prefix + np.arange(prompt + answer)
      stop += prompt + answer
    stop = min(stop, length)
    ends[start : min(start + prefix, length)] = stop
    positions[start : min(start + prefix, length)] = np.arange(prefix)[: length - start]
    start = stop
  return ends, positions


def plain(query, key, value, ends, positions=None, window=None):
  """The same by a dense mask, in float64 where that is on."""
  tokens = np.arange(query.shape[1])
  mask = (tokens[None] <= tokens[:, None]) & (tokens[:, None] < ends[:, None])
  if window is not None:
    mask &= positions[:, :, None] - positions[:, None] < window
  logits = jnp.einsum("rtngh,rsnh->rngts", query, key) * query.shape[-1] ** -0.5
  mask = mask[:, None, None]
  logits = jnp.where(mask, logits, -1e9)
  weights = jnp.exp(logits - logits.max(axis=-1, keepdims=True)) * mask
  total = weights.sum(axis=-1, keepdims=True)
  return jnp.einsum("rngts,rsnh->rtngh", weights / jnp.where(total > 0, total, 1), value)


def made(seed, rows, length, heads, groups, size):
  random = np.random.default_rng(seed)
  both = [random_row(random, length) for _ in range(rows)]
  ends, positions = (np.stack(x) for x in zip(*both, strict=True))
  ends[-1] = 0  # a row of nothing
  shapes = [(heads, groups, size), (heads, size), (heads, size), (heads, groups, size)]
  arrays = [random.normal(size=(rows, length, *shape)) for shape in shapes]
  return arrays, ends, positions


def heads_and_gradients(attention, arrays, dtype):
  *given, to_out = (jnp.asarray(x, dtype) for x in arrays)
  out, pull = jax.vjp(attention, *given)
  return [np.asarray(x, np.float64) for x in (out, *pull(to_out))]
