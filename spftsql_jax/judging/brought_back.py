"""Judging pairs by rows that the workers bring back to this process.

For what is not judged in a worker (`in_worker`): databases that are no SQLite file, results too
large to be held there twice, statements that ended a worker or are refused, and rows that the
caller wants to keep.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.judging.comparison import results_agree
from spftsql_jax.judging.judge import Pair, judge_pairs
from spftsql_jax.judging.verdicts import Judgement

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from spftsql_jax.judging.comparison import Comparison

MAX_BYTES = 256_000_000


def judge(
  pairs: Sequence[Pair],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
  max_rows: int,
) -> list[Judgement]:
  """Judges pairs; the results in the judgements have their rows.

  Args:
    pairs: whose results are held in memory together.
    executor: whose workers run the statements.
    comparison: how results are compared.
    timeout_s, max_rows: limits of each statement.
  """
  judged = judge_pairs(pairs, _Rows(executor, comparison, (timeout_s, max_rows, MAX_BYTES)))
  # Nothing is left to be judged elsewhere.
  return [Judgement(*found) for found in judged if found is not None]


class _Rows:
  """The place where all statements have been run and their rows are at hand (`judge.Place`).

  Args:
    limits: timeout_s, max_rows and max_bytes of each statement.
  """

  def __init__(self, executor: Executor, comparison: Comparison, limits: tuple[float, int, int]):
    self._executor = executor
    self._comparison = comparison
    self._limits = limits
    self._results: dict[tuple[str, str], Result] = {}

  def begin(self, instance: int, pairs: Sequence[Pair]) -> None:
    """Runs all statements on the instance, on all workers at once."""
    jobs = [
      (pair.locations[instance], text) for pair in pairs for text in (pair.gold, pair.predicted)
    ]
    self._results = dict(zip(jobs, self._executor.execute_many(jobs, *self._limits), strict=True))

  def run(self, location: str, sql: str) -> Result:
    """The result of a statement, which `begin` has run."""
    return self._results[location, sql]

  def agree(self, gold: Result, predicted: Result, ordered: bool) -> bool:
    """Whether two results are the same."""
    return results_agree(gold, predicted, self._comparison, ordered)

  def same_program(self, pair: Pair) -> bool:
    """Not known: no engine is asked."""
    del pair
    return False
