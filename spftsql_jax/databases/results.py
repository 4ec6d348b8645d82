"""What running a statement gave, and whether two results are the same.

`results_match` reproduces three notions of sameness:

- "spider": the test-suite evaluator of Spider (Zhong et al., 2020): bags of rows, equal under some permutation of the
  columns; in order where the gold text contains "order by" anywhere.
- "bird": BIRD's script: the sets of rows are equal; order and duplicates do not matter, the order of the columns does.
- "strict": bags of rows with the columns in order; in order where the outermost level of the gold query has ORDER BY.

In all three NULL equals NULL, 1 equals 1.0, "1" does not equal 1, floats are compared exactly, and a statement that failed
equals nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import Literal

from spftsql_jax.databases import statements

Status = Literal["ok", "error", "timeout", "refused", "resource"]
Comparison = Literal["spider", "bird", "strict"]
Rows = tuple[tuple, ...]
_PLAIN_TYPES = {int, str, bytes, type(None)}


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
  """What running one statement gave.

  Attributes:
    status: "ok"; "error" (the engine says the statement is wrong); "timeout"; "refused" (not a single SELECT, or not allowed);
      "resource" (memory, rows, bytes or another limit, or the worker died of it).
    columns: names of the result's columns, empty unless ok.
    rows: the rows in the engine's order, empty unless ok.
    seconds: time the engine took, the transfer between processes not counted.
    message: why it is not ok, else "".
  """

  status: Status
  columns: tuple[str, ...] = ()
  rows: Rows = ()
  seconds: float = 0.0
  message: str = ""

  @property
  def ok(self) -> bool:
    return self.status == "ok"


def results_match(gold: Result, predicted: Result, gold_sql: str, comparison: Comparison = "strict") -> bool:
  """Whether `predicted` is as good as `gold`; `gold_sql` decides whether the order of the rows counts. Raises ValueError."""
  if gold.status != "ok" or predicted.status != "ok":
    return False
  if comparison == "spider":
    return spider_match(gold.rows, predicted.rows, ordered="order by" in gold_sql.lower())
  if comparison == "bird":
    return set(gold.rows) == set(predicted.rows)
  if comparison == "strict":
    return strict_match(gold, predicted, ordered=statements.has_outer_order_by(gold_sql))
  raise ValueError(f"unknown comparison {comparison!r}: expected spider, bird or strict")


def strict_match(gold: Result, predicted: Result, ordered: bool) -> bool:
  """Equal number of columns, and equal lists (`ordered`) or bags of rows."""
  if len(gold.columns) != len(predicted.columns) or len(gold.rows) != len(predicted.rows):
    return False
  if ordered:
    return tuple(gold.rows) == tuple(predicted.rows)
  return gold.rows == predicted.rows or Counter(gold.rows) == Counter(predicted.rows)


def spider_match(gold: Rows, predicted: Rows, ordered: bool) -> bool:
  """Whether some permutation of the columns makes the two bags (`ordered`: lists) of rows equal, as the test-suite evaluator
  sees it.

  That evaluator tries the permutations one after the other. Here a column may only stand for one with the same bag of values,
  and the columns are assigned one by one, the most telling first, giving up as soon as the rows read so far differ as bags.
  """
  if gold is predicted or (not gold and not predicted):
    return True
  if len(gold) != len(predicted):
    return False
  width = len(gold[0])
  if len(predicted[0]) != width:
    return False
  if _are_plain(gold) and _are_plain(predicted):
    if gold == predicted:
      return True
  # Identical in value and type: passes every test below.
  elif gold == predicted and repr(gold) == repr(predicted):
    return True
  elif not _same_unordered_rows(gold, predicted, ordered):
    return False
  gold_columns = list(zip(*gold, strict=True))
  predicted_columns = list(zip(*predicted, strict=True))
  if ordered:
    return Counter(gold_columns) == Counter(predicted_columns)
  return _columns_can_be_assigned(gold_columns, predicted_columns)


def _are_plain(rows: Rows) -> bool:
  """Whether equal cells also have equal text: no floats, decimals or booleans, which may equal integers written otherwise.

  Rows that are equal under some permutation of the columns then have equal sorted rows, and sorting them is not needed.
  """
  return set(map(type, itertools.chain.from_iterable(rows))) <= _PLAIN_TYPES


def _cell_key(cell: object) -> str:
  return str(cell) + str(type(cell))


def _same_unordered_rows(gold: Rows, predicted: Rows, ordered: bool) -> bool:
  """The evaluator's first test: rows with their cells sorted by text and type agree, as lists or (duplicates not counted) as
  sets.

  Sorting by text is why (1, 10) and (1.0, 10) are told apart although 1 equals 1.0.
  """
  if len(gold[0]) == 1:
    return gold == predicted if ordered else set(gold) == set(predicted)
  # Cells repeat, and making their text is the cost here.
  keys: dict[tuple[type, object], str] = {}

  def sort_cells(row: tuple) -> tuple:
    def key(cell: object) -> str:
      slot = (cell.__class__, cell)
      text = keys.get(slot)
      if text is None:
        # -0.0 and 0.0 are one key but two texts.
        text = keys[slot] = _cell_key(cell)
      return _cell_key(cell) if cell == 0 and slot[0] is float else text

    return tuple(sorted(row, key=key))

  gold_sorted = [sort_cells(row) for row in gold]
  predicted_sorted = [sort_cells(row) for row in predicted]
  return gold_sorted == predicted_sorted if ordered else set(gold_sorted) == set(predicted_sorted)


def _columns_can_be_assigned(gold_columns: list[tuple], predicted_columns: list[tuple]) -> bool:
  """Whether the predicted columns can be permuted so that the bags of rows are equal."""
  if len(gold_columns) == 1:
    return Counter(gold_columns[0]) == Counter(predicted_columns[0])
  gold_bags = [Counter(column) for column in gold_columns]
  predicted_bags = [Counter(column) for column in predicted_columns]
  candidates = [[j for j, bag in enumerate(predicted_bags) if bag == gold_bag] for gold_bag in gold_bags]
  if not all(candidates):
    return False
  # A key column first: it makes the rows distinct, after which each other column either fits or does not.
  order = sorted(range(len(gold_columns)), key=lambda i: (-len(gold_bags[i]), len(candidates[i])))

  def assign(depth: int, used: frozenset[int], gold_groups: list[int], predicted_groups: list[int]) -> bool:
    if depth == len(order):
      return True
    column = gold_columns[order[depth]]
    numbers: dict[tuple, int] = {}
    new_gold = [numbers.setdefault(pair, len(numbers)) for pair in zip(gold_groups, column, strict=True)]
    gold_bag = Counter(new_gold)
    tried: set[tuple] = set()
    for j in candidates[order[depth]]:
      if j in used or predicted_columns[j] in tried:
        continue
      tried.add(predicted_columns[j])
      new_predicted = [numbers.get(pair, -1) for pair in zip(predicted_groups, predicted_columns[j], strict=True)]
      if Counter(new_predicted) == gold_bag and assign(depth + 1, used | {j}, new_gold, new_predicted):
        return True
    return False

  nothing = [0] * len(gold_columns[0])
  return assign(0, frozenset(), nothing, nothing)
