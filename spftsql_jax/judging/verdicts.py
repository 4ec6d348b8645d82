"""From what running a pair has shown to its verdict, with the reason and the name of a divergence
from the official script.
"""

from __future__ import annotations

import dataclasses

from spftsql_jax.databases.cells import has_nan
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.execution.results import Result, Status
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.judging.judge import ALONE, Pair

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from spftsql_jax.judging.comparison import Comparison

_LIMITS = {"timeout": "time_limit", "resource": "resource_limit"}


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
  """What running a pair has shown.

  Attributes:
    gold, predicted: the results on the first instance.
    differs_on: the first instance on which they differ or one fails, -1 where they agree on all.
    message: what failed on a later instance, else "".
  """

  gold: Result
  predicted: Result
  differs_on: int
  message: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
  """The verdict on one prediction.

  Attributes:
    correct: it agrees with the gold query on the database.
    suite_correct: it agrees on all instances of the database; None unless asked for.
    gold, predicted: the results on the database, without rows unless they were asked for.
    gold_sql, predicted_sql: the texts that were executed.
    divergence: a key of `divergences.DIVERGENCES`, or "".
    message: why it is wrong, where there is more to say than that the rows differ.
  """

  correct: bool
  suite_correct: bool | None
  gold: Result
  predicted: Result
  gold_sql: str
  predicted_sql: str
  divergence: str
  message: str

  @property
  def status(self) -> Status:
    """How the prediction ran."""
    return self.predicted.status


def verdict_of(
  judgement: Judgement,
  pair: Pair,
  texts: tuple[str, str],
  comparison: Comparison,
  suite: bool,
  keep_rows: bool = False,
) -> Verdict:
  """The verdict on a pair.

  Args:
    judgement: on the pair.
    pair: as it was run.
    texts: what the verdict says was executed.
    comparison: how results were compared.
    suite: whether the pair's further instances count.
    keep_rows: whether the verdict keeps the results' rows.
  """
  correct = judgement.differs_on != 0
  divergence, message = _reason(judgement, texts[1], comparison)
  if suite and judgement.differs_on > 0:
    message = difference(pair.locations[judgement.differs_on], judgement.message)
  if suite and judgement.message == ALONE:
    message = ALONE
  gold, predicted = (
    result if keep_rows or not result.rows else dataclasses.replace(result, rows=())
    for result in (judgement.gold, judgement.predicted)
  )
  suite_correct = judgement.differs_on < 0 if suite else None
  return Verdict(correct, suite_correct, gold, predicted, *texts, divergence, message)


def _reason(judgement: Judgement, predicted_sql: str, comparison: Comparison) -> tuple[str, str]:
  """The divergence that was met on the first instance, and why the answer is wrong there."""
  gold, predicted = judgement.gold, judgement.predicted
  if not predicted_sql.strip():
    return "blank_prediction", "the prediction is blank"
  if gold.transient or predicted.transient:
    return "not_run", gold.message if gold.transient else predicted.message
  if not gold.ok:
    message = f"the gold query failed ({gold.status}): {gold.message}"
    return _LIMITS.get(gold.status, "gold_failed"), message
  if not predicted.ok:
    divergences = {"refused": "refused_statement", **_LIMITS}
    return divergences.get(predicted.status, ""), predicted.message
  # Spider's script leaves the same bytes out.
  if comparison == "bird" and sqlite.NOT_UTF8 in (gold.message, predicted.message):
    return "not_utf8", ""
  # Rows that stayed in a worker are SQLite's, which has no NaN.
  if judgement.differs_on != 0 and comparison != "strict" and has_nan(gold.rows):
    return "nan", ""
  return "", ""


def difference(location: str, message: str) -> str:
  """What a verdict says of a further instance on which the results differ."""
  return f"differs on {without_password(location)}" + (f": {message}" if message else "")
