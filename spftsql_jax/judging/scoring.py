"""Scoring predictions by execution: each is run beside its gold query and judged.

To agree with an official script is to give its verdict. Every place where a verdict may differ from
it on purpose has a name in `divergences`, and what was met is reported; so is a verdict that is the
script's own, but hangs on an oddity of the script.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence

from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.judging import brought_back, pool
from spftsql_jax.judging.comparison import order_counts
from spftsql_jax.judging.executed import TextsToRun, executed_texts, spider_query
from spftsql_jax.judging.judge import ALONE, Pair
from spftsql_jax.judging.verdicts import Judgement, Verdict, verdict_of
from spftsql_jax.sql import statements

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from spftsql_jax.judging.comparison import Comparison

_LOGGER = logging.getLogger(__name__)
MAX_ROWS = 1_000_000
# Results are held for so many examples at a time.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class _Scoring:
  """How pairs are judged; the attributes are arguments of `score_predictions`."""

  executor: Executor
  comparison: Comparison
  timeout_s: float
  suite: bool
  keep_rows: bool


def score_predictions(
  queries: Sequence[tuple[str, str]],
  locations: Sequence[Sequence[str]],
  executor: Executor,
  comparison: Comparison = "strict",
  timeout_s: float = 30.0,
  keep_distinct: bool = False,
  suite: bool = False,
  progress: Callable[[int], None] | None = None,
  keep_rows: bool = False,
) -> list[Verdict]:
  """Runs and judges predictions.

  Args:
    queries: (gold SQL, predicted SQL) pairs.
    locations: for each pair its database, and behind it further instances for `suite`.
    executor: runs the statements.
    comparison: "spider", "bird" or "strict".
    timeout_s: time limit of each statement.
    keep_distinct: with "spider": compare with DISTINCT in place.
    suite: also judge on all instances (those that pass on the first; the others are wrong already).
    progress: called with the number of pairs that have been judged.
    keep_rows: keep the rows in the verdicts, for measures that need them.

  Returns:
    One verdict for each pair, in order.
  """
  how = _Scoring(executor, comparison, timeout_s, suite, keep_rows)
  to_run = TextsToRun()

  def make_pair(texts: tuple[str, str], place: Sequence[str], ordered: bool) -> Pair:
    dialect = _dialect_of(place[0])
    gold, predicted = (to_run.choose(text, dialect) for text in texts)
    return Pair(gold, predicted, tuple(place if suite else place[:1]), ordered)

  texts = [
    executed_texts(gold, predicted, comparison, keep_distinct, _dialect_of(place[0]))
    for (gold, predicted), place in zip(queries, locations, strict=True)
  ]
  ordered = [order_counts(gold, comparison) for gold, _ in texts]
  pairs = [
    make_pair(text, place, order)
    for text, place, order in zip(texts, locations, ordered, strict=True)
  ]
  verdicts = _judge(pairs, texts, how, progress)
  if alone := sum(verdict.message == ALONE for verdict in verdicts):
    _LOGGER.warning("%d of %d right answers %s", alone, sum(v.correct for v in verdicts), ALONE)
  if comparison != "spider":
    return verdicts
  # What Spider's script would have said without an oddity of its own: said by name where that is
  # another verdict.
  otherwise: dict[tuple[int, str], Pair] = {}
  for i, ((gold, predicted), place) in enumerate(zip(queries, locations, strict=True)):
    if "value" in predicted:
      written = spider_query(predicted, False, keep_distinct)
      otherwise[i, "value_placeholder"] = make_pair((texts[i][0], written), place, ordered[i])
    if "order" in gold.lower() and statements.has_outer_order_by(gold) != ordered[i]:
      otherwise[i, "order_by_text"] = make_pair(texts[i], place, not ordered[i])
  others = _judge(
    list(otherwise.values()),
    [(pair.gold, pair.predicted) for pair in otherwise.values()],
    dataclasses.replace(how, keep_rows=False),
  )
  for (i, oddity), other in zip(otherwise, others, strict=True):
    verdict = verdicts[i]
    same = (other.correct, other.suite_correct) == (verdict.correct, verdict.suite_correct)
    if not same and not verdict.divergence:
      verdicts[i] = dataclasses.replace(verdict, divergence=oddity)
  return verdicts


def _judge(
  pairs: Sequence[Pair],
  texts: Sequence[tuple[str, str]],
  how: _Scoring,
  progress: Callable[[int], None] | None = None,
) -> list[Verdict]:
  """One verdict for each pair; `texts` are what the verdicts say was executed."""
  judged: dict[Pair, Judgement] = {}
  if not how.keep_rows:
    different = list(dict.fromkeys(pairs))
    judged = pool.judge(different, how.executor, how.comparison, how.timeout_s, MAX_ROWS, progress)
  verdicts: dict[int, Verdict] = {}

  def decide(i: int, judgement: Judgement) -> None:
    verdicts[i] = verdict_of(
      judgement, pairs[i], texts[i], how.comparison, how.suite, how.keep_rows
    )

  for i, pair in enumerate(pairs):
    if pair in judged:
      decide(i, judged[pair])
  # The others are run for their rows, which are compared here.
  rest = [i for i in range(len(pairs)) if i not in verdicts]
  for start in range(0, len(rest), _CHUNK):
    chunk = rest[start : start + _CHUNK]
    judgements = brought_back.judge(
      [pairs[i] for i in chunk], how.executor, how.comparison, how.timeout_s, MAX_ROWS
    )
    for i, judgement in zip(chunk, judgements, strict=True):
      decide(i, judgement)
    if progress is not None and how.keep_rows:
      progress(len(chunk))
  return [verdicts[i] for i in range(len(pairs))]


def _dialect_of(location: str) -> str:
  """The engine of a location, "" for one that no engine opens (which its result will say)."""
  try:
    return engine_of(location)
  except DatabaseError:
    return ""
