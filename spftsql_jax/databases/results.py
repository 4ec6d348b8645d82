"""What running a statement gave, and whether two results are the same.

`results_match` reproduces three notions of sameness:

- "spider": the test-suite evaluator of Spider (Zhong et al., 2020): bags of rows, equal under some permutation of the
  columns; in order where the gold text contains "order by" anywhere.
- "bird": BIRD's script: the sets of rows are equal; order and duplicates do not matter, the order of the columns does.
- "strict": bags of rows with the columns in order; in order where the outermost level of the gold query has ORDER BY.

In all three NULL equals NULL, NaN equals NaN, 1 equals 1.0, "1" does not equal 1, floats are compared exactly, and a statement
that failed equals nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from spftsql_jax.databases import statements
from spftsql_jax.databases.comparison import Rows, rows_match

Status = Literal["ok", "error", "timeout", "refused", "resource"]
Comparison = Literal["spider", "bird", "strict"]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
  """What running one statement gave.

  Attributes:
    status: "ok"; "error" (the engine says the statement is wrong); "timeout"; "refused" (not a single SELECT, or not allowed);
      "resource" (memory, rows, bytes or another limit, or the worker died of it).
    columns: names of the result's columns, empty unless ok.
    rows: the rows in the engine's order, empty unless ok.
    seconds: time the engine took, the transfer between processes not counted.
    transient: it is not ok for a reason that is no property of the statement (a lock, a lost connection, a database that
      cannot be opened, a full disk, a worker that was killed), so that it may well run another time.
    message: why it is not ok, or `engines.sqlite.NOT_UTF8` where text was decoded with bytes left out, else "".
  """

  status: Status
  columns: tuple[str, ...] = ()
  rows: Rows = ()
  seconds: float = 0.0
  message: str = ""
  transient: bool = False

  @property
  def ok(self) -> bool:
    return self.status == "ok"


def results_match(gold: Result, predicted: Result, gold_sql: str, comparison: Comparison = "strict") -> bool:
  """Whether `predicted` is as good as `gold`; `gold_sql` decides whether the order of the rows counts. Raises ValueError."""
  return results_agree(gold, predicted, comparison, order_counts(gold_sql, comparison))


def results_agree(gold: Result, predicted: Result, comparison: Comparison, ordered: bool) -> bool:
  """`results_match` where it is known whether the order of the rows counts. Raises ValueError."""
  if gold.status != "ok" or predicted.status != "ok":
    return False
  widths = len(gold.columns), len(predicted.columns)
  return rows_match(tuple(gold.rows), tuple(predicted.rows), widths, comparison, ordered)


def order_counts(gold_sql: str, comparison: Comparison) -> bool:
  """Whether a comparison asks for the gold query's order of rows."""
  if comparison == "spider":
    return "order by" in gold_sql.lower()
  return comparison == "strict" and statements.has_outer_order_by(gold_sql)
