"""Token batches in which many questions share one schema: `PrefixBatch` and how examples are
grouped into them.

Letters in shapes: B schemas, K branches over a schema, P tokens of a schema, L tokens of a branch
(question + SQL), A answer tokens at most.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import flax.struct
import numpy as np


@flax.struct.dataclass
class PrefixBatch:
  """B schema prefixes with K branches each.

  A branch attends to its prefix and, causally, to itself; never to another branch. The mathematics
  is that of B * K separate sequences; the prefix is computed once.

  Attributes:
    prefix: int32 [B, P] schema prompt, right-padded.
    prefix_lengths: int32 [B].
    branch: int32 [B, K, L] question prompt followed by the SQL, right-padded.
    answer_start: int32 [B, K] position in the branch of the first SQL token; at least 1.
    answer_lengths: int32 [B, K] number of SQL tokens (end token counted); 0 marks a padding branch.
    reward: float32 [B, K / 2] R of each pair (branches 2i and 2i + 1 are y+ and y-), or None
      without pairs.
    opponent_log_probs: float32 [B, K] of each branch's answer under the opponent, or None without
      pairs.
    weights: float32 [B, K / 2] how much each pair counts, or None where all count alike.
    max_answer: A, static: no answer in the batch is longer.
  """

  prefix: np.ndarray
  prefix_lengths: np.ndarray
  branch: np.ndarray
  answer_start: np.ndarray
  answer_lengths: np.ndarray
  reward: np.ndarray | None = None
  opponent_log_probs: np.ndarray | None = None
  weights: np.ndarray | None = None
  max_answer: int = flax.struct.field(pytree_node=False, default=0)


@dataclasses.dataclass(frozen=True)
class Branch:
  """One prompt with its answer, tokenized: the schema prefix, the question part and the answer with
  its end token.
  """

  prefix: tuple[int, ...]
  prompt: tuple[int, ...]
  answer: tuple[int, ...]

  @property
  def length(self) -> int:
    return len(self.prompt) + len(self.answer)


@dataclasses.dataclass(frozen=True)
class Unit:
  """What must stay together in a batch: one branch (SFT), or y+ and y- of one question (pairwise
  losses).

  Attributes:
    reward, opponent_log_probs: of a pair.
    weight: how much a pair counts beside the others.
  """

  branches: tuple[Branch, ...]
  reward: float = 0.0
  opponent_log_probs: tuple[float, ...] = ()
  weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class BatchShape:
  """How large batches are and to which lengths they are padded; few lengths mean few compilations.

  Attributes:
    schemas: B.
    branches: K; must be even for pairs.
    prefix_buckets: allowed P, ascending.
    branch_buckets: allowed L, ascending.
    answer_buckets: allowed A, ascending.
    branch_counts: smaller K, ascending, for batches whose groups have fewer branches; none by
      default.

  `choose_shape` gives the buckets that suit a set of units best.
  """

  schemas: int = 4
  branches: int = 16
  prefix_buckets: tuple[int, ...] = (256, 512, 1024)
  branch_buckets: tuple[int, ...] = (64, 96, 128, 192)
  answer_buckets: tuple[int, ...] = (64, 128)
  branch_counts: tuple[int, ...] = ()

  @property
  def counts(self) -> tuple[int, ...]:
    """Allowed K, ascending."""
    return (*self.branch_counts, self.branches)


def bucket(length: int, buckets: Sequence[int]) -> int | None:
  """The smallest bucket that holds `length`, or None."""
  return next((b for b in buckets if length <= b), None)


def fits(unit: Unit, shape: BatchShape) -> bool:
  """Whether every branch of the unit fits the largest buckets. What does not fit is for the caller
  to count and name.
  """
  return all(
    len(b.prefix) <= shape.prefix_buckets[-1]
    and b.length <= shape.branch_buckets[-1]
    and len(b.answer) <= shape.answer_buckets[-1]
    for b in unit.branches
  )


def choose_buckets(lengths: Sequence[int], count: int) -> tuple[int, ...]:
  """The `count` or fewer buckets, ascending, to which `lengths` are padded with the fewest
  positions in all; exact.
  """
  sizes, numbers = np.unique(np.asarray(lengths, np.int64), return_counts=True)
  before = np.concatenate([[0], np.cumsum(numbers)])
  # best[j]: fewest positions for the j shortest sizes; a last bucket sizes[j - 1] holds those
  # behind some i < j.
  best = np.where(np.arange(len(sizes) + 1) == 0, 0.0, np.inf)
  choices = []
  for _ in range(min(count, len(sizes))):
    costs = best[None, :-1] + sizes[:, None] * (before[1:, None] - before[None, :-1])  # [j - 1, i]
    costs = np.where(np.tri(len(sizes), dtype=bool), costs, np.inf)
    choices.append(costs.argmin(axis=1))
    best = np.concatenate([[0.0], costs.min(axis=1)])
  buckets, end = [], len(sizes)
  for choice in reversed(choices):
    if end:
      buckets.append(int(sizes[end - 1]))
      end = int(choice[end - 1])
  return tuple(reversed(buckets))


def choose_shape(
  units: Sequence[Unit],
  schemas: int,
  branches: int,
  prefix_buckets: int = 3,
  branch_buckets: int = 3,
  answer_buckets: int = 2,
  branch_counts: int = 1,
) -> BatchShape:
  """The shape with so many buckets of each kind that holds all units with the least padding.

  Each combination of buckets that occurs is compiled once. Raises ValueError without units.
  """
  if not units:
    raise ValueError("no units to choose a batch shape for")
  by_prefix = Counter(unit.branches[0].prefix for unit in units)
  per_unit = len(units[0].branches)
  groups = [
    (len(prefix), size * per_unit)
    for prefix, n in by_prefix.items()
    for size in _cuts(n, branches // per_unit)
  ]
  counts = choose_buckets([size for _, size in groups], branch_counts)
  return BatchShape(
    schemas,
    counts[-1],
    choose_buckets([length for length, _ in groups], prefix_buckets),
    choose_buckets([max(b.length for b in unit.branches) for unit in units], branch_buckets),
    choose_buckets([max(len(b.answer) for b in unit.branches) for unit in units], answer_buckets),
    counts[:-1],
  )


def _cuts(count: int, most: int) -> list[int]:
  """Sizes, equal but for one, of the fewest parts of `count` with at most `most` each."""
  parts = -(-count // most)
  return [count // parts + (i < count % parts) for i in range(parts)]


def plan_epoch(
  units: Sequence[Unit], shape: BatchShape, rng: np.random.Generator
) -> list[list[list[int]]]:
  """Groups units into batches: a list of batches, each a list of at most B groups, each the indices
  of units of one schema.

  Units of a schema are shuffled, then cut into groups of equal size and similar length (sorted
  within windows of eight groups), and groups of the same buckets are put together, so that padding
  stays small while the order stays random. Every unit occurs exactly once.

  Raises:
    ValueError: a unit exceeds the largest bucket (filter with `fits` first).
  """
  by_prefix: dict[tuple[int, ...], list[int]] = {}
  for index, unit in enumerate(units):
    if not fits(unit, shape):
      raise ValueError(f"unit {index} exceeds the largest bucket of {shape}")
    by_prefix.setdefault(unit.branches[0].prefix, []).append(index)

  def longest(index: int) -> int:
    return max(b.length for b in units[index].branches)

  by_shape: dict[tuple[int | None, ...], list[list[int]]] = {}
  for prefix, indices in by_prefix.items():
    per_unit = len(units[indices[0]].branches)
    order = [indices[i] for i in rng.permutation(len(indices))]
    sizes = _cuts(len(order), shape.branches // per_unit)
    for first in range(0, len(sizes), 8):
      window = sizes[first : first + 8]
      part, order = sorted(order[: sum(window)], key=longest), order[sum(window) :]
      for size in window:
        group, part = part[:size], part[size:]
        key = (
          bucket(len(prefix), shape.prefix_buckets),
          bucket(max(map(longest, group)), shape.branch_buckets),
          bucket(size * per_unit, shape.counts),
        )
        by_shape.setdefault(key, []).append(group)
  batches = []
  for groups in by_shape.values():
    order = [groups[i] for i in rng.permutation(len(groups))]
    batches += [order[i : i + shape.schemas] for i in range(0, len(order), shape.schemas)]
  return [batches[i] for i in rng.permutation(len(batches))]


def _bucket_for(length: int, buckets: Sequence[int]) -> int:
  """The smallest bucket that holds `length`. Raises ValueError where none does."""
  found = bucket(length, buckets)
  if found is None:
    raise ValueError(f"length {length} exceeds the largest bucket, {max(buckets)}")
  return found


def collate(
  units: Sequence[Unit], groups: Sequence[Sequence[int]], shape: BatchShape, pad_id: int
) -> PrefixBatch:
  """Fills a `PrefixBatch` with the units named by `groups`; missing groups and branches are padding
  (answer length 0).
  """
  chosen = [units[i] for group in groups for i in group]
  branches = [b for unit in chosen for b in unit.branches]
  per_unit = len(chosen[0].branches)
  b_size = shape.schemas
  k_size = _bucket_for(max(len(group) for group in groups) * per_unit, shape.counts)
  p_size = _bucket_for(max(len(b.prefix) for b in branches), shape.prefix_buckets)
  l_size = _bucket_for(max(b.length for b in branches), shape.branch_buckets)
  a_size = _bucket_for(max(len(b.answer) for b in branches), shape.answer_buckets)
  prefix = np.full((b_size, p_size), pad_id, np.int32)
  # a padding row keeps one visible token: an empty softmax would be nan
  prefix_lengths = np.ones(b_size, np.int32)
  branch = np.full((b_size, k_size, l_size), pad_id, np.int32)
  answer_start = np.ones((b_size, k_size), np.int32)
  answer_lengths = np.zeros((b_size, k_size), np.int32)
  reward = np.zeros((b_size, k_size // 2), np.float32) if per_unit == 2 else None
  opponent = np.zeros((b_size, k_size), np.float32) if per_unit == 2 else None
  weighted = per_unit == 2 and any(unit.weight != 1.0 for unit in units)
  weights = np.zeros((b_size, k_size // 2), np.float32) if weighted else None
  for row, group in enumerate(groups):
    tokens = units[group[0]].branches[0].prefix
    prefix[row, : len(tokens)] = tokens
    prefix_lengths[row] = len(tokens)
    for place, index in enumerate(group):
      unit = units[index]
      for side, item in enumerate(unit.branches):
        column = place * per_unit + side
        branch[row, column, : item.length] = item.prompt + item.answer
        answer_start[row, column] = len(item.prompt)
        answer_lengths[row, column] = len(item.answer)
        if opponent is not None and unit.opponent_log_probs:
          opponent[row, column] = unit.opponent_log_probs[side]
      if reward is not None:
        reward[row, place] = unit.reward
      if weights is not None:
        weights[row, place] = unit.weight
  return PrefixBatch(
    prefix,
    prefix_lengths,
    branch,
    answer_start,
    answer_lengths,
    reward,
    opponent,
    weights,
    max_answer=a_size,
  )


def padding_share(batch: PrefixBatch) -> float:
  """Share of the computed token positions (prefix and branches) that are padding."""
  real = int(batch.prefix_lengths.sum())
  real += int(((batch.answer_start + batch.answer_lengths) * (batch.answer_lengths > 0)).sum())
  return 1.0 - real / (batch.prefix.size + batch.branch.size)
