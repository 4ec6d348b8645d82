"""Sequences that only a copying model predicts: random tokens, then runs of them again.

Beside the corpus they keep heads that copy at work while the first updates learn all else.
"""

from __future__ import annotations

import numpy as np

from spftsql_jax.examples.batches import Branch, Unit

# Tokens to copy from, runs that are copied, and tokens of a run; the last number is left out.
_PREFIX = (16, 80)
_RUNS = (4, 12)
_RUN = (2, 9)


def copying_units(count: int, tokens: range, end_id: int, seed: int) -> list[Unit]:
  """So many units of random `tokens`: the prefix, and as the answer runs of it, one behind the
  other.
  """
  rng = np.random.default_rng(seed)
  units = []
  for _ in range(count):
    prefix = rng.integers(tokens.start, tokens.stop, rng.integers(*_PREFIX)).tolist()
    said = []
    for _ in range(rng.integers(*_RUNS)):
      start = rng.integers(0, len(prefix) - _RUN[0])
      said += prefix[start : start + rng.integers(*_RUN)]
    units.append(Unit((Branch(tuple(prefix), tuple(said[:1]), (*said[1:], end_id)),)))
  return units
