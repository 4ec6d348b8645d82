"""What the updates of a run read: rows planned from the seed alone, packed on the host.

A resumed run sees the rows that it would have seen: the plan does not depend on where it was cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from spftsql_jax.examples.batches import Unit
from spftsql_jax.examples.packing import (
  PackedBatch,
  Packing,
  Row,
  RowShape,
  pack,
  plan_rows,
)


def plan_updates(
  units: Sequence[Unit], shape: RowShape, rows: int, steps: int, seed: int, start: int = 0
) -> Iterator[list[Row]]:
  """The rows of each of `steps` updates, `rows` of them an update; those before `start` are left
  out. An epoch is planned when its first row is asked for.

  Epochs follow each other without a gap: an update may hold the last rows of one and the first of
  the next, so that none is padded.
  """
  epochs = (plan_rows(units, shape, np.random.default_rng([seed, n])) for n in itertools.count())
  every = itertools.chain.from_iterable(epochs)
  for _ in itertools.islice(every, start * rows):
    pass
  for _ in range(start, steps):
    yield list(itertools.islice(every, rows))


def packed_updates(
  units: Sequence[Unit],
  plan: Iterable[Sequence[Row]],
  shape: RowShape,
  packing: Packing,
  pad_id: int,
  *,
  accumulate: int = 1,
  parts: int = 1,
  start: int = 0,
) -> Iterator[tuple[int, PackedBatch]]:
  """(step, batch [M, R, ...]) of each update, steps counted from 1.

  Args:
    plan: the rows of the updates behind step `start`.
    accumulate: M microbatches.
    parts: R is padded with empty rows to a multiple of this: each part of a mesh holds as many.
  """
  per_part = -(-packing.rows // parts) * parts
  for step, rows in enumerate(plan, start + 1):
    batch = pack(units, rows, shape, pad_id, count=per_part * accumulate)
    yield (
      step,
      jax.tree.map(lambda x: x.reshape(accumulate, per_part, *x.shape[1:]), batch),
    )
