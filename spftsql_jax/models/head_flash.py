"""Log-sum-exps of logits, and gradients of logits, as kernels for NVIDIA GPUs: no logit is written.

A program multiplies a block of hidden states with the head's rows of a block of tokens and goes on
with the logits in its registers: summed up (`log_sum_parts`), or turned into the gradient that goes
back through them, in the dtype of what it is multiplied with next (`gradient_of_logits`).

Axes: W positions, D hidden, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from spftsql_jax.models.packed_flash import is_ampere_or_newer

_MASKED = -1e30
# The vocabulary is cut so that there are as many programs at least: some for each processor.
_ENOUGH_PROGRAMS = 512

NAMES = ("head_log_sums", "head_to_logits")


@dataclasses.dataclass(frozen=True)
class Tile:
  """Positions and tokens of a block of logits, the part of the width that is multiplied at once,
  and how Triton compiles the loop over it.
  """

  positions: int = 128
  tokens: int = 128
  width: int = 64
  warps: int = 8
  stages: int = 3


class LogSumParts(NamedTuple):
  """Of each position, float32 [W].

  Attributes:
    most: the largest logit. total: the sum of exp(logit - most).
    chosen: the logit of the target; 0 where that is no token of this head.
  """

  most: jax.Array
  total: jax.Array
  chosen: jax.Array


def has_kernel(hidden: jax.Array, head: jax.Array) -> bool:
  """Whether the kernels are for these arrays and for the devices that the program is made for."""
  narrow = hidden.dtype == head.dtype and hidden.dtype in (jnp.bfloat16, jnp.float16)
  return narrow and hidden.shape[-1] % 32 == 0 and is_ampere_or_newer()


def log_sum_parts(
  hidden: jax.Array,
  head: jax.Array,
  targets: jax.Array,
  *,
  tile: Tile | None = None,
  interpret: bool = False,
) -> LogSumParts:
  """What log p of the targets is made of.

  Args:
    hidden: [W, D]. head: [V, D]. targets: int32 [W], any number for those of another head.
    tile: powers of two from 16; None for the usual one. interpret: compute as JAX would without a
      GPU, which is slow.
  """
  tile = _fitting(tile, hidden)
  count, vocab = len(hidden), len(head)
  missing = -count % tile.positions
  states, tokens = _longer(hidden, missing), _longer(targets.astype(jnp.int32), missing)
  blocks = pl.cdiv(vocab, tile.tokens)
  parts = min(blocks, pl.cdiv(_ENOUGH_PROGRAMS, len(states) // tile.positions))
  found = jax.ShapeDtypeStruct((parts, len(states)), jnp.float32)
  of_part = pl.BlockSpec((None, tile.positions), lambda i, part: (part, i))
  parts_found = _call(
    functools.partial(_log_sums_kernel, blocks=pl.cdiv(blocks, parts)),
    NAMES[0],
    tile,
    (len(states) // tile.positions, parts),
    interpret,
    in_specs=[*_whole(states, head), _of_positions(tile)],
    out_specs=[of_part] * 3,
    out_shape=[found] * 3,
  )(states, head, tokens)
  mosts, totals, chosen = (part[:, :count] for part in parts_found)
  most = mosts.max(axis=0)
  return LogSumParts(most, (totals * jnp.exp(mosts - most)).sum(axis=0), chosen.sum(axis=0))


def gradient_of_logits(
  hidden: jax.Array,
  head: jax.Array,
  targets: jax.Array,
  log_sums: jax.Array,
  to_log_probs: jax.Array,
  *,
  tile: Tile | None = None,
  interpret: bool = False,
) -> jax.Array:
  """The gradient of the targets' log-probs with respect to the logits, [W, V] in the dtype of the
  states: (1[v = target] - p(v)) times that of the log-prob.

  Args:
    log_sums: float32 [W], log-sum-exps of the logits. to_log_probs: float32 [W]. Others: as of
      `log_sum_parts`.
  """
  tile = _fitting(tile, hidden)
  count, vocab = len(hidden), len(head)
  missing = -count % tile.positions
  given = [_longer(x, missing) for x in (targets.astype(jnp.int32), log_sums, to_log_probs)]
  states = _longer(hidden, missing)
  out = _call(
    _to_logits_kernel,
    NAMES[1],
    tile,
    (len(states) // tile.positions, pl.cdiv(vocab, tile.tokens)),
    interpret,
    in_specs=[*_whole(states, head), *[_of_positions(tile)] * 3],
    out_specs=pl.BlockSpec((tile.positions, vocab), lambda i, block: (i, 0)),
    out_shape=jax.ShapeDtypeStruct((len(states), vocab), hidden.dtype),
  )(states, head, *given)
  return out[:count]


def _logits(x_ref, head_ref, own, block, tile):  # type: ignore[no-untyped-def]
  """float32 [positions, tokens] of block `own` of the positions and `block` of the vocabulary, and
  its tokens [tokens].
  """
  rows = pl.ds(own * tile.positions, tile.positions)
  tokens = block * tile.tokens + jnp.arange(tile.tokens, dtype=jnp.int32)
  inside = (tokens < head_ref.shape[0])[:, None]

  def add(step, logits):  # type: ignore[no-untyped-def]
    part = pl.ds(step * tile.width, tile.width)
    weights = head_ref.at[pl.ds(block * tile.tokens, tile.tokens), part]
    return logits + plgpu.dot(
      x_ref[rows, part], plgpu.load(weights, mask=inside, other=0.0), trans_b=True
    )

  nothing = jnp.zeros((tile.positions, tile.tokens), jnp.float32)
  return jax.lax.fori_loop(0, x_ref.shape[1] // tile.width, add, nothing), tokens


def _log_sums_kernel(  # type: ignore[no-untyped-def]
  x_ref, head_ref, targets_ref, most_ref, total_ref, chosen_ref, *, tile, blocks
) -> None:
  targets, vocab = targets_ref[...], head_ref.shape[0]
  own, first = pl.program_id(0), pl.program_id(1) * blocks

  def add(step, carry):  # type: ignore[no-untyped-def]
    most, total, chosen = carry
    logits, tokens = _logits(x_ref, head_ref, own, first + step, tile)
    logits = jnp.where((tokens < vocab)[None, :], logits, _MASKED)
    higher = jnp.maximum(most, logits.max(axis=1))
    total = total * jnp.exp(most - higher) + jnp.exp(logits - higher[:, None]).sum(axis=1)
    hit = (tokens[None, :] == targets[:, None]) & (tokens < vocab)[None, :]
    return higher, total, chosen + jnp.where(hit, logits, 0.0).sum(axis=1)

  zeros = jnp.zeros((tile.positions,), jnp.float32)
  # The floor above what is masked: a part without a token adds nothing.
  floor = jnp.full((tile.positions,), _MASKED / 2, jnp.float32)
  most, total, chosen = jax.lax.fori_loop(0, blocks, add, (floor, zeros, zeros))
  most_ref[...], total_ref[...], chosen_ref[...] = most, total, chosen


def _to_logits_kernel(  # type: ignore[no-untyped-def]
  x_ref, head_ref, targets_ref, log_sums_ref, gradient_ref, out_ref, *, tile
) -> None:
  own, block = pl.program_id(0), pl.program_id(1)
  logits, tokens = _logits(x_ref, head_ref, own, block, tile)
  chosen = (tokens[None, :] == targets_ref[...][:, None]).astype(jnp.float32)
  to_logits = (chosen - jnp.exp(logits - log_sums_ref[...][:, None])) * gradient_ref[...][:, None]
  plgpu.store(
    out_ref.at[:, pl.ds(block * tile.tokens, tile.tokens)],
    to_logits.astype(out_ref.dtype),
    mask=(tokens < head_ref.shape[0])[None, :],
  )


def _call(
  kernel: Any, name: str, tile: Tile, grid: tuple[int, ...], interpret: bool, **specs: Any
) -> Any:
  return pl.pallas_call(
    functools.partial(kernel, tile=tile),
    grid=grid,
    compiler_params=plgpu.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
    interpret=interpret,
    name=name,
    **specs,
  )


def _whole(*arrays: jax.Array) -> list[pl.BlockSpec]:
  """Arrays that are read part by part: only what is read is loaded."""
  return [pl.BlockSpec(x.shape, lambda i, j: (0, 0)) for x in arrays]


def _of_positions(tile: Tile) -> pl.BlockSpec:
  return pl.BlockSpec((tile.positions,), lambda i, j: (i,))


def _fitting(tile: Tile | None, hidden: jax.Array) -> Tile:
  """Whole parts of the width, which is a multiple of 32."""
  tile = tile or Tile()
  whole = hidden.shape[1] % tile.width == 0
  return tile if whole else dataclasses.replace(tile, width=tile.width // 2)


def _longer(x: jax.Array, missing: int) -> jax.Array:
  """[W, ...] with padding behind."""
  return jnp.pad(x, ((0, missing), *((0, 0),) * (x.ndim - 1))) if missing else x
