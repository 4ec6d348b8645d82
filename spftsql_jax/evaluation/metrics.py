"""Measures of text-to-SQL: comparing answers by execution, hardness, intervals and tests. Never imports JAX.

The functions work on results that have been executed already; `experiments/evaluate.py` puts them together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from spftsql_jax.databases import statements
from spftsql_jax.databases.results import Comparison, Result, results_match

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)
_SPLIT_OPERATORS = (("> =", ">="), ("< =", "<="), ("! =", "!="))


def spider_query(sql: str, predicted: bool, keep_distinct: bool = False) -> str:
  """The text that the test-suite evaluator executes for `sql`.

  In a prediction the letters "value" become 1 (its placeholder for a value that a model does not predict), wherever they
  stand. In both, operators split by a space are joined, every DISTINCT outside quotes is taken out unless
  `keep_distinct`, and YEAR(CURDATE()) becomes 2020.
  """
  if predicted:
    sql = sql.replace("value", "1")
  for split, joined in _SPLIT_OPERATORS:
    sql = sql.replace(split, joined)
  if not keep_distinct:
    sql = without_distinct(sql)
  return _CURRENT_YEAR.sub("2020", sql)


def without_distinct(sql: str) -> str:
  """The text without its DISTINCT keywords; strings, quoted names and comments are left alone."""
  if "distinct" not in sql.lower():
    return sql
  return "".join(text for kind, text in statements.tokens(sql, keep_space=True) if kind != "word" or text.lower() != "distinct")


def execution_match(
  gold: Sequence[Result], predicted: Sequence[Result], gold_sql: str, comparison: Comparison = "strict"
) -> bool:
  """Whether the prediction's results agree with the gold query's on all instances of the database.

  Args:
    gold: the gold query's results, one for each instance.
    predicted: the prediction's, in the same order.
    gold_sql: the gold text as it was executed; it decides whether order counts.
    comparison: "spider", "bird" or "strict"; see `results_match`.
  """
  return all(results_match(g, p, gold_sql, comparison) for g, p in zip(gold, predicted, strict=True))


def wilson_interval(successes: int, count: int, z: float = 1.959964) -> tuple[float, float]:
  """Wilson's score interval of a proportion, in [0, 1]; 95 % by default (Wilson, 1927). Without observations (0, 1)."""
  if not 0 <= successes <= count:
    raise ValueError(f"{successes} successes of {count}")
  if count == 0:
    return 0.0, 1.0
  share = successes / count
  scale = 1 + z * z / count
  centre = (share + z * z / (2 * count)) / scale
  half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
  # At the ends the exact bounds are 0 and 1; floats miss them by an ulp.
  return (0.0 if successes == 0 else centre - half), (1.0 if successes == count else centre + half)


def paired_exact_test(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float:
  """The two-sided p-value that two systems scored on the same questions are equally good (McNemar's exact test: a sign test).

  Only the questions that one system alone answers rightly count; under equality each is a fair coin.
  """
  if len(a_correct) != len(b_correct):
    raise ValueError(f"the systems answered {len(a_correct)} and {len(b_correct)} questions")
  only_a = sum(1 for a, b in zip(a_correct, b_correct, strict=True) if a and not b)
  only_b = sum(1 for a, b in zip(a_correct, b_correct, strict=True) if b and not a)
  flips = only_a + only_b
  tail = sum(math.comb(flips, i) for i in range(min(only_a, only_b) + 1))
  return min(1.0, 2 * tail / 2**flips)
