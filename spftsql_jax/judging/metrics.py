"""Measures of text-to-SQL: hardness, soft F1, efficiency. Never imports JAX.

The functions work on results that have been executed already; `experiments/evaluate.py` puts them
together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from spftsql_jax.databases.cells import canonical_rows
from spftsql_jax.judging import components


def hardness(sql: str) -> str:
  """Spider's hardness of a gold query: "easy", "medium", "hard" or "extra", as its evaluator
  counts.

  Three counts decide: clauses (WHERE, GROUP BY, ORDER BY, LIMIT, further tables, OR, LIKE); nested
  queries (as the value of a condition, or by a set operation), not counting deeper ones; and other
  things that occur more than once (aggregates, selected columns, conditions, grouping columns). Of
  a set operation the first query alone is counted. Its oddities are kept: a negated condition and a
  connector in HAVING count as aggregates.
  """
  parts = components.take_apart(sql)
  conditions = [*parts.on, *parts.where, *parts.having]
  clauses = sum(map(bool, (parts.where, parts.group, parts.order, parts.limit))) + max(
    0, len(parts.tables) - 1
  )
  clauses += conditions.count("or")
  clauses += sum(1 for c in conditions if not isinstance(c, str) and c.operator == "like")
  nested = sum(len(c.subqueries()) for c in conditions if not isinstance(c, str)) + (
    parts.set_operation is not None
  )
  aggregates = sum(_starts_with_aggregate(item) for item in parts.select) + _count_aggregates(
    parts.order
  )
  aggregates += sum(1 for c in parts.where if not isinstance(c, str) and c.negated)
  aggregates += sum(1 for c in parts.having if isinstance(c, str) or c.negated)
  several = (
    (aggregates > 1) + (len(parts.select) > 1) + (len(parts.where) > 1) + (len(parts.group) > 1)
  )
  if nested == 0:
    if clauses <= 1 and several == 0:
      return "easy"
    if (clauses <= 1 and several <= 2) or (clauses <= 2 and several < 2):
      return "medium"
    if (clauses <= 2 and several > 2) or (clauses == 3 and several <= 2):
      return "hard"
  elif nested == 1 and clauses <= 1 and several == 0:
    return "hard"
  return "extra"


def _starts_with_aggregate(item: list) -> bool:
  return bool(item) and item[0] in components.AGGREGATES


def _count_aggregates(items: list[list]) -> int:
  return sum(
    token in components.AGGREGATES for item in items for token in item if isinstance(token, str)
  )


def soft_f1(gold: Sequence[tuple], predicted: Sequence[tuple]) -> float:
  """BIRD's Soft-F1 of two results, in [0, 1].

  Duplicate rows are dropped and rows paired by their position. In a pair, predicted cells found in
  the gold row are hits, those not found false, gold cells not found in the predicted row missed,
  each as a share of the gold row's cells; a row without partner is all missed or all false. Two
  empty results agree fully. NaN is found where there is a NaN.
  """
  if not gold and not predicted:
    return 1.0
  gold, predicted = (
    list(dict.fromkeys(canonical_rows(gold))),
    list(dict.fromkeys(canonical_rows(predicted))),
  )
  paired = min(len(gold), len(predicted))
  hits, false, missed = 0.0, float(len(predicted) - paired), float(len(gold) - paired)
  for gold_row, predicted_row in zip(gold, predicted, strict=False):
    width = len(gold_row)
    found = sum(cell in gold_row for cell in predicted_row)
    hits += found / width
    false += (len(predicted_row) - found) / width
    missed += sum(cell not in predicted_row for cell in gold_row) / width
  precision = hits / (hits + false) if hits + false else 0.0
  recall = hits / (hits + missed) if hits + missed else 0.0
  return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def time_ratio(gold_seconds: Sequence[float], predicted_seconds: Sequence[float]) -> float:
  """Mean of gold time by predicted time over repeated runs, without those that lie three standard
  deviations or more off.
  """
  ratios = [
    gold / max(predicted, 1e-9)
    for gold, predicted in zip(gold_seconds, predicted_seconds, strict=True)
  ]
  mean = sum(ratios) / len(ratios)
  deviation = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / len(ratios))
  # BIRD's script loses everything where all runs took exactly the same time; here they are all
  # kept.
  kept = [ratio for ratio in ratios if abs(ratio - mean) < 3 * deviation] or ratios
  return sum(kept) / len(kept)


def valid_efficiency_score(ratios: Sequence[float]) -> float:
  """BIRD's VES: the mean of sqrt(ratio) * 100 over all questions; the ratio of a wrong answer is
  0.
  """
  return 100 * sum(math.sqrt(ratio) for ratio in ratios) / max(1, len(ratios))


def reward_based_ves(ratios: Sequence[float]) -> float:
  """BIRD's R-VES: as VES, with the ratio replaced by a reward of five steps."""
  return valid_efficiency_score([_efficiency_reward(ratio) for ratio in ratios])


def _efficiency_reward(ratio: float) -> float:
  if ratio == 0:
    return 0.0
  for bound, reward in ((2, 1.25), (1, 1.0), (0.5, 0.75), (0.25, 0.5)):
    if ratio >= bound:
      return reward
  return 0.25
