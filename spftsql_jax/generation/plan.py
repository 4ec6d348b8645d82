"""Which requests are answered in which static shapes: few shapes, so that few programs are
compiled, and little padding.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from spftsql_jax.generation.requests import Request

T = TypeVar("T")


@dataclasses.dataclass
class Group:
  """Requests (by index) over one prefix."""

  prefix: tuple[int, ...]
  waiting: collections.deque[int]


@dataclasses.dataclass(frozen=True)
class Shape:
  """B rows of K lanes, with slots for prefixes and for prompts."""

  rows: int
  lanes: int
  prefix_slots: int
  prompt_slots: int


def plan_decoding(
  requests: Sequence[Request], accepted: Iterable[int], lanes: int
) -> dict[Shape, list[Group]]:
  """Groups by prefix, gathered by the shape they are decoded in, about `lanes` answers at once."""
  by_slots: dict[tuple[int, int], list[Group]] = {}
  for prefix, indices in _by_prefix((i, requests[i].prefix) for i in accepted).items():
    prompt_slots = bucket(max(len(requests[i].prompt) for i in indices), smallest=32)
    key = (bucket(len(prefix), smallest=128), prompt_slots)
    by_slots.setdefault(key, []).append(Group(prefix, collections.deque(indices)))
  plan = {}
  for slots, groups in by_slots.items():
    for per_row, chosen in _split_lanes(groups, lambda group: len(group.waiting), lanes).items():
      plan[Shape(_row_count(len(chosen), per_row, lanes), per_row, *slots)] = chosen
  return plan


def bucket(length: int, smallest: int) -> int:
  """The smallest of `smallest` times 1, 1.5, 2, 3, 4, 6, 8, ... that holds `length`."""
  size = smallest
  while size < length:
    if size * 3 // 2 >= length:
      return size * 3 // 2
    size *= 2
  return size


def _by_prefix(items: Iterable[tuple[int, Sequence[int]]]) -> dict[tuple[int, ...], list[int]]:
  groups: dict[tuple[int, ...], list[int]] = {}
  for index, prefix in items:
    groups.setdefault(tuple(prefix), []).append(index)
  return groups


def _split_lanes(groups: list[T], size: Callable[[T], int], lanes: int) -> dict[int, list[T]]:
  """Groups by the number of lanes each gets: 1, about an eighth of all, or all.

  Few lanes leave many idle when few groups are left, many lanes leave idle what a small group
  cannot fill. Of the ways to cut the groups by size into the three kinds, the one that is done
  first is taken, in rounds of all lanes.
  """
  kinds = sorted({1, max(lanes // 8, 1), lanes})
  best: tuple[float, dict[int, list[T]]] = (math.inf, {})
  for limits in itertools.combinations_with_replacement(
    (0, 1, 2, 4, lanes // 2, lanes, math.inf), len(kinds) - 1
  ):
    split: dict[int, list[T]] = {}
    for group in groups:
      kind = sum(size(group) > limit for limit in limits)
      split.setdefault(kinds[kind], []).append(group)
    rounds = 0
    for per_row, chosen in split.items():
      turns = [-(-size(group) // per_row) for group in chosen]
      rounds += max(-(-sum(turns) // (lanes // per_row)), max(turns))
    # A tenth of a round for each kind: fewer shapes, unless it matters.
    cost = rounds + 0.1 * len(split)
    if cost < best[0]:
      best = (cost, split)
  return best[1]


def _row_count(groups: int, per_row: int, lanes: int) -> int:
  """Rows in use at once: enough to fill the lanes, else the smallest power of four that holds the
  groups.
  """
  full = max(lanes // per_row, 1)
  return min(full, 4 ** math.ceil(math.log(groups, 4))) if groups < full else full
