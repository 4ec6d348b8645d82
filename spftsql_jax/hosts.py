"""The processes of a run, one a host (`jax.distributed`): whose work is whose, and what all know.

Everything here is a collective: each process calls the same functions in the same order. Where
there is one process they do nothing, and no device is claimed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

T = TypeVar("T")

# Messages are padded to powers of two from here on, so that few sizes are compiled.
_SMALLEST_MESSAGE = 1024


def count() -> int:
  """Number of processes."""
  return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
  """Number of this process, from 0. The first is the one that writes."""
  return jax.process_index() if jax.distributed.is_initialized() else 0


def is_first() -> bool:
  return index() == 0


def gather(value: T) -> list[T]:
  """Every process's value, in the order of the processes; values are pickled on the way."""
  if count() == 1:
    return [value]
  data = np.frombuffer(pickle.dumps(value), np.uint8)
  lengths = multihost_utils.process_allgather(np.int32(data.size))
  padded = np.zeros(max(_SMALLEST_MESSAGE, 1 << int(lengths.max() - 1).bit_length()), np.uint8)
  padded[: data.size] = data
  return [
    pickle.loads(row[:length].tobytes())
    for row, length in zip(multihost_utils.process_allgather(padded), lengths, strict=True)
  ]


def from_first(work: Callable[[], T]) -> T:
  """What `work` gives in the first process, which alone does it; what it raises, all raise."""
  if count() == 1:
    return work()
  result: tuple[Any, Exception | None] = None, None
  if is_first():
    try:
      result = work(), None
    except Exception as raised:  # not to be swallowed: all processes raise it
      result = None, raised
  value, error = gather(result)[0]
  if error is not None:
    raise error
  return value


def share(keys: Sequence[Hashable]) -> list[int]:
  """The places of this process's part of some work.

  Every place is one process's, and parts differ in size by one at most.

  Args:
    keys: of each place, such as its db_id; what has the same key stays together as far as that
      goes.
  """
  order = sorted(range(len(keys)), key=lambda place: (str(keys[place]), place))
  return sorted(order[index() * len(keys) // count() : (index() + 1) * len(keys) // count()])


def in_shares(keys: Sequence[Hashable], work: Callable[[list[int]], Sequence[T]]) -> list[T]:
  """The results for all places, of which every process does its `share`.

  Args:
    keys: see `share`.
    work: gives the results for some places, in their order.
  """
  places = share(keys)
  results = dict(zip(places, work(places), strict=True))
  everywhere: dict[int, T] = {}
  for part in gather(results):
    everywhere |= part
  return [everywhere[place] for place in range(len(keys))]


def whole(tree: Any) -> Any:
  """A tree of arrays that lie on the devices of all processes, as NumPy arrays in each."""
  return multihost_utils.process_allgather(tree, tiled=True)


def preempted(step: int) -> bool:
  """Whether some process was told to end (SIGTERM), and `step` is the one at which all are to."""
  return count() > 1 and multihost_utils.reached_preemption_sync_point(step)
