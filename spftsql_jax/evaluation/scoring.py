"""Scoring predictions by execution: each is run beside its gold query and judged; the rules are those of METHOD-style
comparisons.

Every place where a verdict may differ from the official script on purpose has a name in `DIVERGENCES`, and what was met is
reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from spftsql_jax.databases import statements
from spftsql_jax.databases.executor import Executor
from spftsql_jax.databases.results import Comparison, Result, results_match
from spftsql_jax.evaluation import metrics

MAX_ROWS = 1_000_000
MAX_BYTES = 256_000_000
# Results are held for so many examples at a time.
_CHUNK = 1024

DIVERGENCES = {
  "refused_statement": (
    "the prediction is not a single SELECT, or asks for a function with side effects or without a fixed result, and was not "
    "run; the official scripts run it (a write returns no rows, which passes where the gold result is empty; of several "
    "statements Spider's runs the first)"
  ),
  "gold_failed": "the gold query failed on the database, so no answer counts as right; Spider's script stops, BIRD's counts 0",
  "time_limit": "the prediction or the gold query ran out of time; the limit of Spider's script never ends a query",
  "resource_limit": "the prediction or the gold query went over a limit on memory, rows or bytes; the scripts have none",
  "blank_prediction": "a blank line counts as a wrong answer; Spider's script takes it as the end of a session",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
  """The judgement of one prediction.

  Attributes:
    correct: it agrees with the gold query on the database.
    suite_correct: it agrees on all instances of the database; None unless asked for.
    gold, predicted: the results on the database.
    gold_sql, predicted_sql: the texts that were executed.
    divergence: a key of `DIVERGENCES`, or "".
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
  def status(self) -> str:
    return self.predicted.status


def executed_texts(gold: str, predicted: str, comparison: Comparison, keep_distinct: bool = False) -> tuple[str, str]:
  """The texts that a comparison executes for the gold query and the prediction."""
  if comparison == "spider":
    return metrics.spider_query(gold, False, keep_distinct), metrics.spider_query(predicted, True, keep_distinct)
  return gold, predicted


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
    keep_rows: keep the rows in the verdicts, for measures that need them; else large results are there without rows.

  Returns:
    One verdict for each pair, in order.
  """
  verdicts: list[Verdict] = []
  chosen: dict[str, str] = {}
  for start in range(0, len(queries), _CHUNK):
    texts = [executed_texts(gold, predicted, comparison, keep_distinct) for gold, predicted in queries[start : start + _CHUNK]]
    places = locations[start : start + _CHUNK]
    # Of texts that differ in white space and the case of words only, one is run for all.
    keys = [(statements.same_text_key(gold), statements.same_text_key(predicted)) for gold, predicted in texts]
    runs = [
      (chosen.setdefault(gold_key, gold), chosen.setdefault(predicted_key, predicted))
      for (gold_key, predicted_key), (gold, predicted) in zip(keys, texts, strict=True)
    ]
    first = [(place[0], text) for place, pair in zip(places, runs, strict=True) for text in pair]
    results = executor.execute_many(first, timeout_s, MAX_ROWS, MAX_BYTES)
    chunk = [_judge(results[2 * i], results[2 * i + 1], texts[i], comparison) for i in range(len(texts))]
    if suite:
      chunk = _judge_suite(chunk, runs, places, executor, comparison, timeout_s)
    verdicts += chunk if keep_rows else [_without_rows(verdict) for verdict in chunk]
    if progress is not None:
      progress(len(chunk))
  return verdicts


def _judge(gold: Result, predicted: Result, texts: tuple[str, str], comparison: Comparison) -> Verdict:
  gold_sql, predicted_sql = texts
  correct = results_match(gold, predicted, gold_sql, comparison)
  divergence, message = "", predicted.message
  if not predicted_sql.strip():
    divergence, message = "blank_prediction", "the prediction is blank"
  elif not gold.ok:
    message = f"the gold query failed ({gold.status}): {gold.message}"
    divergence = {"timeout": "time_limit", "resource": "resource_limit"}.get(gold.status, "gold_failed")
  elif predicted.status != "ok":
    divergence = {"refused": "refused_statement", "timeout": "time_limit", "resource": "resource_limit"}.get(
      predicted.status, ""
    )
  return Verdict(correct, None, gold, predicted, gold_sql, predicted_sql, divergence, message)


def _judge_suite(
  chunk: list[Verdict],
  runs: Sequence[tuple[str, str]],
  places: Sequence[Sequence[str]],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
) -> list[Verdict]:
  """Judges those that are right on the first instance on the others too."""
  jobs, owners = [], []
  for i, (verdict, (gold_run, predicted_run), place) in enumerate(zip(chunk, runs, places, strict=True)):
    # The same text gives the same rows everywhere; that it runs on the first instance is known.
    if verdict.correct and gold_run != predicted_run:
      for location in place[1:]:
        jobs += [(location, gold_run), (location, predicted_run)]
        owners.append(i)
  failed: dict[int, str] = {}
  results = executor.execute_many(jobs, timeout_s, MAX_ROWS, MAX_BYTES)
  for k, i in enumerate(owners):
    gold, predicted = results[2 * k], results[2 * k + 1]
    if i not in failed and not results_match(gold, predicted, chunk[i].gold_sql, comparison):
      failed[i] = f"differs on {jobs[2 * k][0]}" + (
        f": {predicted.message or gold.message}" if not (gold.ok and predicted.ok) else ""
      )
  return [
    dataclasses.replace(verdict, suite_correct=verdict.correct and i not in failed, message=failed.get(i, verdict.message))
    for i, verdict in enumerate(chunk)
  ]


def _without_rows(verdict: Verdict) -> Verdict:
  gold, predicted = verdict.gold, verdict.predicted
  if len(gold.rows) + len(predicted.rows) < 100:
    return verdict
  return dataclasses.replace(
    verdict, gold=dataclasses.replace(gold, rows=()), predicted=dataclasses.replace(predicted, rows=())
  )
