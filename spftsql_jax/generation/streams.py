"""Prefixes and prompts as they are read: end to end in rows of few sizes, so that few programs are
compiled and little padding is computed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from spftsql_jax.models.caches import PrefixRows, Prompts

# Lengths of rows are multiples of these: attention over prefixes goes by blocks of tokens.
_PREFIX_STEP, _PROMPT_STEP = 128, 32
# By how much a row of prompts is longer than their mean length asks for.
_PROMPT_ROOM = 1.1

Tokens = Sequence[int]


@dataclasses.dataclass(frozen=True)
class RowSize:
  """A row holds so many tokens, and so many prefixes at most."""

  tokens: int
  prefixes: int


def prefix_sizes(lengths: Sequence[int], together: int) -> tuple[RowSize, RowSize]:
  """Rows for one prefix and for several.

  Args:
    lengths: of the prefixes to come, in tokens. together: how many of the longest fit into a row.
  """
  one = RowSize(_up(max(1, *lengths), _PREFIX_STEP), 1)  # There may be nothing to read.
  count = min(len(lengths), 2 * together)
  longest = max(1, sum(sorted(lengths)[-count:]))
  several = RowSize(min(together * one.tokens, _up(longest, _PREFIX_STEP)), count)
  return one, several


def fill_rows(lengths: Sequence[int], rows: int, size: RowSize) -> list[list[int]]:
  """Which prefixes, by their indices, go into each row: the longest first, where they fit. What
  fits nowhere is left out.
  """
  chosen: list[list[int]] = [[] for _ in range(rows)]
  free = [size.tokens] * rows
  for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
    row = max(range(rows), key=lambda r: (len(chosen[r]) < size.prefixes, free[r]))
    if len(chosen[row]) < size.prefixes and lengths[index] <= free[row]:
      chosen[row].append(index)
      free[row] -= lengths[index]
  return chosen


def prefix_rows(
  prefixes: Sequence[Sequence[Tokens]], size: RowSize, slots: int, pad_id: int
) -> PrefixRows:
  """Rows of prefixes, as arrays of NumPy; unused places have length 0."""
  shape, places = (len(prefixes), size.tokens), (len(prefixes), size.prefixes)
  tokens, positions = np.full(shape, pad_id, np.int32), np.zeros(shape, np.int32)
  ends = np.zeros(shape, np.int32)
  starts, lengths = np.zeros(places, np.int32), np.zeros(places, np.int32)
  for row, own in enumerate(prefixes):
    start = 0
    for place, prefix in enumerate(own):
      stop = start + len(prefix)
      tokens[row, start:stop] = prefix
      positions[row, start:stop] = np.arange(len(prefix))
      ends[row, start:stop] = stop
      starts[row, place], lengths[row, place] = start, len(prefix)
      start = stop
  return PrefixRows(tokens, positions, ends, starts, lengths, slots)  # type: ignore[arg-type]


def prompt_tokens(lengths: Sequence[int], branches: int, slots: int) -> int:
  """How long a row of prompts of so many branches is: what they take by their mean length, and
  room for the longest.

  Args:
    lengths: of the prompts to come. branches: of a row. slots: of the longest prompt.
  """
  wanted = math.ceil(_PROMPT_ROOM * branches * sum(lengths) / len(lengths))
  return min(branches * slots, max(slots, _up(wanted, _PROMPT_STEP)))


def prompt_rows(
  prompts: Sequence[Sequence[Tokens]],
  rows: int,
  tokens: int,
  branches: int,
  slots: int,
  pad_id: int,
) -> Prompts:
  """Prompts of each schema's branches in `rows` rows of `tokens`, as arrays of NumPy; unused
  branches have length 1.

  Raises ValueError where a row does not hold what comes into it.
  """
  share = len(prompts) // rows
  stream, places = np.full((rows, tokens), pad_id, np.int32), np.zeros((rows, tokens), np.int32)
  starts = np.zeros((len(prompts), branches), np.int32)
  lengths = np.ones((len(prompts), branches), np.int32)
  filled = [0] * rows
  for schema, own in enumerate(prompts):
    row, first = schema // share, schema % share * branches
    for branch, prompt in enumerate(own):
      start, stop = filled[row], filled[row] + len(prompt)
      if stop > tokens:
        raise ValueError(f"a row of {tokens} tokens does not hold its prompts")
      stream[row, start:stop] = prompt
      places[row, start:stop] = (first + branch) * slots + np.arange(len(prompt))
      starts[schema, branch], lengths[schema, branch] = start, len(prompt)
      filled[row] = stop
  return Prompts(stream, places, starts, lengths, slots)  # type: ignore[arg-type]


def _up(length: int, step: int) -> int:
  return -(-length // step) * step
