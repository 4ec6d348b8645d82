"""Handing pairs of gold and predicted statements to worker processes that judge them there
(`in_worker`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.execution.results import Result, Status
from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.databases.locations import absolute_location, engine_of
from spftsql_jax.judging.judge import Pair
from spftsql_jax.judging.verdicts import Judgement
from spftsql_jax.sql import statements

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from spftsql_jax.judging.comparison import Comparison
  from spftsql_jax.judging.in_worker import Told

_JUDGE = "spftsql_jax.judging.in_worker:judge"
# Larger results are not held in a worker but compared by the caller.
_MAX_BYTES = 8_000_000
# Few pairs of a large database make a job, so that all workers share them.
_LARGE_FILE_BYTES = 500_000
_PAIRS_IN_A_JOB, _PAIRS_OF_A_LARGE_FILE = 64, 8


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
    The judgements, whose results have no rows. A pair that cannot be judged in a worker is missing:
    statements that are refused, results too large to be held twice, databases that are no SQLite
    file, and whatever ended a worker.
  """
  identities = {
    location: _identity(location)
    for location in dict.fromkeys(location for pair in pairs for location in pair.locations)
  }
  batches = _batches(pairs, identities)
  jobs = [
    (
      _JUDGE,
      float(timeout_s),
      (
        tuple(map(absolute_location, batch[0].locations)),
        tuple(identities[location] for location in batch[0].locations),
        [(pair.gold, pair.predicted, pair.ordered) for pair in batch],
        float(timeout_s),
        max_rows,
        _MAX_BYTES,
        comparison,
      ),
    )
    for batch in batches
  ]
  done = 0

  def tell(count: int) -> None:
    nonlocal done
    before, done = done, done + count
    if progress is not None:
      progress(len(pairs) * done // len(jobs) - len(pairs) * before // len(jobs))

  judged: dict[Pair, Judgement] = {}
  for batch, answer in zip(batches, executor.run_jobs(jobs, tell), strict=True):
    # None: the worker died of it.
    told = cast("list[Told | None]", answer) or [None] * len(batch)
    judged |= {
      pair: _judgement(each) for pair, each in zip(batch, told, strict=True) if each is not None
    }
  return judged


def _batches(pairs: Sequence[Pair], identities: dict[str, tuple]) -> list[list[Pair]]:
  """The pairs that a worker can judge, one job each: of one database, of about the same size, those
  with the same gold query beside each other.

  Large databases come first, so that at the end no worker sits on the slow ones while the others
  have nothing left to do.
  """
  texts = dict.fromkeys(text for pair in pairs for text in (pair.gold, pair.predicted))
  refused = {text for text in texts if statements.refusal(text) is not None}
  groups: dict[tuple[str, ...], list[Pair]] = {}
  for pair in pairs:
    if refused.isdisjoint((pair.gold, pair.predicted)) and all(map(identities.get, pair.locations)):
      groups.setdefault(pair.locations, []).append(pair)

  def size_of(locations: tuple[str, ...]) -> int:
    return max(identities[location][1] for location in locations)

  batches = []
  for locations in sorted(groups, key=size_of, reverse=True):
    group = sorted(groups[locations], key=lambda pair: pair.gold)
    is_large = identities[locations[0]][1] > _LARGE_FILE_BYTES
    most = _PAIRS_OF_A_LARGE_FILE if is_large else _PAIRS_IN_A_JOB
    size = math.ceil(len(group) / math.ceil(len(group) / most))
    batches += [group[start : start + size] for start in range(0, len(group), size)]
  return batches


def _identity(location: str) -> tuple:
  """The identity of an SQLite file that exists, else ()."""
  try:
    identity = identity_of(location) if engine_of(location) == "sqlite" else ()
  except DatabaseError:
    return ()
  return identity if len(identity) > 1 else ()


def _judgement(told: Told) -> Judgement:
  """The judgement that a worker has sent."""
  gold, predicted, differs_on, message = told
  return Judgement(_result(*gold), _result(*predicted), differs_on, message)


def _result(status: Status, columns: tuple[str, ...], seconds: float, message: str) -> Result:
  return Result(status, columns, (), seconds, message)
