"""What the updates of a run read: rows planned from the seed alone, packed on the host.

A resumed run sees the rows that it would have seen: the plan does not depend on where it was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
  units: Sequence[Unit], shape: RowShape, rows: int, steps: int, seed: int
) -> list[list[Row]]:
  """The rows of each of `steps` updates, `rows` of them an update.

  Epochs follow each other without a gap: an update may hold the last rows of one and the first of
  the next, so that none is padded.
  """
  ahead: list[Row] = []
  epoch = 0
  while len(ahead) < steps * rows:
    ahead += plan_rows(units, shape, np.random.default_rng([seed, epoch]))
    epoch += 1
  return [ahead[step * rows : (step + 1) * rows] for step in range(steps)]


def packed_updates(
  units: Sequence[Unit],
  plan: Sequence[Sequence[Row]],
  shape: RowShape,
  packing: Packing,
  pad_id: int,
  *,
  accumulate: int = 1,
  parts: int = 1,
  start: int = 0,
) -> Iterator[tuple[int, PackedBatch]]:
  """(step, batch [M, R, ...]) of each update from `start` on, steps counted from 1.

  Args:
    accumulate: M microbatches.
    parts: R is padded with empty rows to a multiple of this: each part of a mesh holds as many.
  """
  per_part = -(-packing.rows // parts) * parts
  for step in range(start, len(plan)):
    batch = pack(units, plan[step], shape, pad_id, count=per_part * accumulate)
    yield (
      step + 1,
      jax.tree.map(lambda x: x.reshape(accumulate, per_part, *x.shape[1:]), batch),
    )
