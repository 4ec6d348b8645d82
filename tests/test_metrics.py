"""Metrics: against the official evaluator's recorded hardness, and worked examples."""

import json
import math

import pytest
from shared_data import SHARED, needs_predictions

from spftsql_jax.judging import metrics
from spftsql_jax.judging.executed import spider_query


@needs_predictions
def test_hardness_agrees_with_the_official_evaluator_on_every_question():
  recorded = json.loads((SHARED / "predictions/spider-dev/official_scores.json").read_text())[
    "hardness"
  ]
  letters = {"easy": "e", "medium": "m", "hard": "h", "extra": "x"}
  examples = json.loads((SHARED / "spider/dev.json").read_text())
  assert "".join(letters[metrics.hardness(example["query"])] for example in examples) == recorded


@pytest.mark.parametrize(
  ("sql", "level"),
  [
    ("SELECT name FROM t", "easy"),
    ("SELECT COUNT(*) FROM t WHERE a = 'x or y like union'", "easy"),
    ("SELECT a, b FROM t WHERE c BETWEEN 1 AND 2", "medium"),
    ("SELECT a FROM t WHERE b IN (SELECT b FROM u)", "hard"),
    ("SELECT a FROM t UNION SELECT a FROM u", "hard"),
    (
      "SELECT a, b FROM t WHERE b > (SELECT AVG(b) FROM t) AND c LIKE '%x%' ORDER BY a LIMIT 1",
      "extra",
    ),
    ("WITH w AS (SELECT 1 AS a) SELECT a FROM w", "easy"),
    (
      (
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END FROM t WHERE (a = 1 OR b = 2) AND c IS NOT "
        "NULL"
      ),
      "medium",
    ),
    ("", "easy"),
    (")(", "easy"),
  ],
)
def test_hardness_of_any_text(sql, level):
  assert metrics.hardness(sql) == level


@pytest.mark.parametrize(
  ("sql", "executed"),
  [
    ("SELECT DISTINCT a FROM t WHERE b > = 3", "SELECT  a FROM t WHERE b >= 3"),
    (
      "SELECT count(distinct a) FROM t WHERE b = 'distinct' AND \"distinct\" ! = 1",
      "SELECT count( a) FROM t WHERE b = 'distinct' AND \"distinct\" != 1",
    ),
    ("SELECT a FROM t WHERE y = YEAR(CURDATE())", "SELECT a FROM t WHERE y = 2020"),
  ],
)
def test_spider_query_is_what_the_evaluator_executes(sql, executed):
  assert spider_query(sql, predicted=False) == executed
  assert (
    spider_query("SELECT DISTINCT a", predicted=False, keep_distinct=True) == "SELECT DISTINCT a"
  )
  assert (
    spider_query("SELECT a FROM t WHERE a = value", predicted=True) == "SELECT a FROM t WHERE a = 1"
  )
  assert spider_query("SELECT a FROM t WHERE a = value", predicted=False).endswith("value")


def official_soft_f1(predicted, gold):
  """Soft-F1 computed the long way, from its definition in the BIRD mini-dev paper."""
  if not predicted and not gold:
    return 1.0
  predicted, gold = list(dict.fromkeys(predicted)), list(dict.fromkeys(gold))
  tp = fp = fn = 0.0
  for i in range(max(len(predicted), len(gold))):
    if i >= len(predicted):
      fn += 1
    elif i >= len(gold):
      fp += 1
    else:
      n = len(gold[i])
      tp += sum(v in gold[i] for v in predicted[i]) / n
      fp += sum(v not in gold[i] for v in predicted[i]) / n
      fn += sum(v not in predicted[i] for v in gold[i]) / n
  if tp == 0:
    return 0.0
  precision, recall = tp / (tp + fp), tp / (tp + fn)
  return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
  ("gold", "predicted"),
  [
    ([], []),
    ([(1,)], []),
    ([], [(1,)]),
    ([(1, "a"), (2, "b")], [(1, "a"), (2, "b")]),
    ([(1, "a"), (2, "b")], [("a", 1), (3, "b"), (4, "c")]),
    ([(1, "a"), (1, "a"), (2, "b")], [(1, "a", 7)]),
  ],
)
def test_soft_f1_agrees_with_its_definition(gold, predicted):
  assert metrics.soft_f1(gold, predicted) == pytest.approx(official_soft_f1(predicted, gold))


def test_efficiency_scores_follow_their_definitions():
  assert metrics.time_ratio([1.0, 2.0], [1.0, 1.0]) == pytest.approx(1.5)
  # One of 20 runs lies far off and is left out.
  assert metrics.time_ratio([1.0] * 19 + [500.0], [1.0] * 20) == pytest.approx(1.0)
  assert metrics.time_ratio([1.0] * 3, [2.0] * 3) == pytest.approx(0.5), (
    "no deviation: all runs kept"
  )
  ratios = [0.0, 0.1, 0.25, 0.5, 1.0, 1.9, 2.0, 100.0]
  rewards = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.25, 1.25]
  assert metrics.reward_based_ves(ratios) == pytest.approx(100 * sum(map(math.sqrt, rewards)) / 8)
  assert metrics.valid_efficiency_score([4.0, 0.0]) == pytest.approx(100.0)
