"""Handing pairs of gold and predicted statements to worker processes that judge them there
(`judging/judge.py`).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

from spftsql_jax.databases.engines import DatabaseError, absolute_location, engine_of, identity_of
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.judging.comparison import Comparison
from spftsql_jax.sql import statements

# Larger results are not held in a worker but compared by the caller.
_MAX_BYTES = 8_000_000
# Few pairs of a large database make a job, so that all workers share them.
_LARGE_FILE_BYTES = 500_000
_PAIRS_IN_A_JOB, _PAIRS_OF_A_LARGE_FILE = 64, 8


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
  """A gold and a predicted statement, the instances of their database, and whether the order of the
  rows counts.
  """

  gold: str
  predicted: str
  locations: tuple[str, ...]
  ordered: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
  """What a worker found.

  Attributes:
    gold, predicted: the results on the first instance, without rows.
    differs_on: the first instance on which they differ, -1 where they agree on all.
    message: what failed on a later instance, else "".
  """

  gold: Result
  predicted: Result
  differs_on: int
  message: str


def judge(
  pairs: Sequence[Pair],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
  max_rows: int,
  progress: Callable[[int], None] | None = None,
) -> dict[Pair, Judgement]:
  """Judges different pairs in the executor's workers.

  Args:
    pairs: what to judge; each is run on its locations until the results differ.
    executor: whose workers are used.
    comparison: how results are compared.
    timeout_s: time limit of each statement.
    max_rows: larger results are not judged here.
    progress: called with the number of pairs that have been judged since the last call.

  Returns:
    The judgements. A pair that cannot be judged in a worker is missing: statements that are
    refused, results too large to be held twice, databases that are no SQLite file, and whatever
    ended a worker.
  """
  groups: dict[tuple[str, ...], list[Pair]] = {}
  identities: dict[str, tuple | None] = {}
  refused: dict[str, bool] = {}
  for pair in pairs:
    for text in (pair.gold, pair.predicted):
      if text not in refused:
        refused[text] = statements.refusal(text) is not None
    for location in pair.locations:
      if location not in identities:
        identities[location] = _identity(location)
    if not (
      refused[pair.gold]
      or refused[pair.predicted]
      or any(identities[each] is None for each in pair.locations)
    ):
      groups.setdefault(pair.locations, []).append(pair)
  # Large databases first, so that at the end no worker sits on the slow ones while the others have
  # nothing left to do.
  ordered = sorted(groups.items(), key=lambda item: -max(map(_size, map(identities.get, item[0]))))
  batches = [
    batch
    for locations, group in ordered
    for batch in _batches(
      group,
      _PAIRS_OF_A_LARGE_FILE
      if _size(identities[locations[0]]) > _LARGE_FILE_BYTES
      else _PAIRS_IN_A_JOB,
    )
  ]
  jobs = [
    (
      tuple(absolute_location(location) for location in batch[0].locations),
      tuple(identities[location] for location in batch[0].locations),
      [(pair.gold, pair.predicted, pair.ordered) for pair in batch],
      float(timeout_s),
      max_rows,
      _MAX_BYTES,
      comparison,
    )
    for batch in batches
  ]
  told = 0

  def tell(done: int) -> None:
    nonlocal told
    told += done
    if progress is not None:
      progress(len(pairs) * told // len(jobs) - len(pairs) * (told - done) // len(jobs))

  answers = executor.run_jobs(jobs, tell)
  return {
    pair: Judgement(_result(verdict[0]), _result(verdict[1]), verdict[2], verdict[3])
    for batch, verdicts in zip(batches, answers, strict=True)
    for pair, verdict in zip(batch, verdicts or itertools.repeat(None, len(batch)), strict=True)
    if verdict is not None
  }


def _identity(location: str) -> tuple | None:
  """The identity of an SQLite file that exists, else None."""
  try:
    identity = identity_of(location) if engine_of(location) == "sqlite" else ()
  except DatabaseError:
    return None
  return identity if len(identity) > 1 else None


def _size(identity: tuple | None) -> int:
  return identity[1] if identity else 0


def _batches(group: list[Pair], most: int) -> list[list[Pair]]:
  """The pairs of one database in batches of about the same size, those with the same gold query
  beside each other.
  """
  group = sorted(group, key=lambda pair: pair.gold)
  size = math.ceil(len(group) / math.ceil(len(group) / most))
  return [group[start : start + size] for start in range(0, len(group), size)]


def _result(outcome: tuple) -> Result:
  status, columns, seconds, message = outcome
  return Result(status, tuple(columns), (), seconds, message)
