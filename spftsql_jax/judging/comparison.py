"""Whether two results are the same.

`results_match` reproduces three notions of sameness:

- "spider": the test-suite evaluator of Spider (Zhong et al., 2020): bags of rows, equal under some
  permutation of the columns; in order where the gold text contains "order by" anywhere.
- "bird": BIRD's script: the sets of rows are equal; order and duplicates do not matter, the order
  of the columns does.
- "strict": bags of rows with the columns in order; in order where the outermost level of the gold
  query has ORDER BY.

In all three NULL equals NULL, NaN equals NaN, 1 equals 1.0, "1" does not equal 1, floats are
compared exactly, and a statement that failed equals nothing.

Imports little: worker processes compare rows as well.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

from spftsql_jax.databases.cells import Rows, canonical_rows, has_nan
from spftsql_jax.sql import statements

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  from typing import Literal, Protocol

  from spftsql_jax.databases.execution.results import Result

  Comparison = Literal["spider", "bird", "strict"]

  class Answer(Protocol):
    """What is compared of a `Result`, which a worker has in another form."""

    @property
    def ok(self) -> bool: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> Rows: ...


_PLAIN_TYPES = {int, float, str, bytes, type(None)}


def results_match(
  gold: Result, predicted: Result, gold_sql: str, comparison: Comparison = "strict"
) -> bool:
  """Whether `predicted` is as good as `gold`; `gold_sql` decides whether the order of the rows
  counts. Raises ValueError.
  """
  return results_agree(gold, predicted, comparison, order_counts(gold_sql, comparison))


def results_agree(gold: Answer, predicted: Answer, comparison: Comparison, ordered: bool) -> bool:
  """`results_match` where it is known whether the order of the rows counts. Raises ValueError."""
  if not (gold.ok and predicted.ok):
    return False
  widths = len(gold.columns), len(predicted.columns)
  return rows_match(tuple(gold.rows), tuple(predicted.rows), widths, comparison, ordered)


def order_counts(gold_sql: str, comparison: Comparison) -> bool:
  """Whether a comparison asks for the gold query's order of rows."""
  if comparison == "spider":
    return "order by" in gold_sql.lower()
  return comparison == "strict" and statements.has_outer_order_by(gold_sql)


def rows_match(
  gold: Rows, predicted: Rows, widths: tuple[int, int], comparison: str, ordered: bool
) -> bool:
  """Whether the predicted rows are as good as the gold rows; a NaN is as good as any other NaN,
  also inside a list.

  Args:
    gold, predicted: the rows.
    widths: how many columns each has; a result without rows has columns too.
    comparison: "spider", "bird" or "strict".
    ordered: whether the order of the rows counts (never with "bird").

  Raises:
    ValueError: unknown comparison.
  """
  try:
    if _rows_match(gold, predicted, widths, comparison, ordered):
      return True
  except (TypeError, ArithmeticError):
    # A cell that cannot be hashed or compared as it is (a list, a signalling NaN): compared by its
    # canonical form below.
    return _rows_match(canonical_rows(gold), canonical_rows(predicted), widths, comparison, ordered)
  # NaN makes equal rows differ, never different rows equal: only where both have one is there more
  # to see.
  if not (has_nan(gold) and has_nan(predicted)):
    return False
  return _rows_match(canonical_rows(gold), canonical_rows(predicted), widths, comparison, ordered)


def _rows_match(
  gold: Rows, predicted: Rows, widths: tuple[int, int], comparison: str, ordered: bool
) -> bool:
  if comparison == "spider":
    return spider_match(gold, predicted, ordered)
  if comparison == "bird":
    return gold == predicted or set(gold) == set(predicted)
  if comparison == "strict":
    if widths[0] != widths[1] or len(gold) != len(predicted):
      return False
    return gold == predicted or (not ordered and _bag(gold) == _bag(predicted))
  raise ValueError(f"unknown comparison {comparison!r}: expected spider, bird or strict")


def spider_match(gold: Rows, predicted: Rows, ordered: bool) -> bool:
  """Whether some permutation of the columns makes the two bags (`ordered`: lists) of rows equal, as
  the test-suite evaluator sees it.

  That evaluator tries the permutations one after the other. Here a column may only stand for one
  with the same bag of values, and the columns are assigned one by one, the most telling first,
  giving up as soon as the rows read so far differ as bags.
  """
  if gold is predicted or (not gold and not predicted):
    return True
  if len(gold) != len(predicted):
    return False
  width = len(gold[0])
  if len(predicted[0]) != width:
    return False
  if _are_plain(gold, predicted):
    # Most predictions that are right have their columns in order.
    if gold == predicted or (not ordered and _bag(gold) == _bag(predicted)):
      return True
  # Identical in value and type: passes every test below.
  elif gold == predicted and repr(gold) == repr(predicted):
    return True
  elif not _same_unordered_rows(gold, predicted, ordered):
    return False
  gold_columns = list(zip(*gold, strict=True))
  predicted_columns = list(zip(*predicted, strict=True))
  if ordered:
    return _bag(gold_columns) == _bag(predicted_columns)
  return _columns_can_be_assigned(gold_columns, predicted_columns)


def _bag(items: Iterable) -> dict:
  """How often each item occurs. A plain dict: two Counters are compared item by item in Python."""
  return dict(Counter(items))


def _are_plain(gold: Rows, predicted: Rows) -> bool:
  """Whether equal cells also have equal text: no decimals or booleans, and no floats that equal an
  integer there.

  Rows that are equal under some permutation of the columns then have equal sorted rows, and sorting
  them is not needed.
  """
  cells = list(itertools.chain.from_iterable(itertools.chain(gold, predicted)))
  types = set(map(type, cells))
  if not types <= _PLAIN_TYPES:
    return False
  if float not in types:
    return True
  whole = {cell for cell in cells if type(cell) is float and cell.is_integer()}
  # -0.0 equals 0.0, but not as text.
  return 0.0 not in whole and whole.isdisjoint(cell for cell in cells if type(cell) is int)


def _cell_key(cell: object) -> str:
  return str(cell) + str(type(cell))


def _same_unordered_rows(gold: Rows, predicted: Rows, ordered: bool) -> bool:
  """The evaluator's first test: rows with their cells sorted by text and type agree, as lists or
  (duplicates not counted) as sets.

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
    return _bag(gold_columns[0]) == _bag(predicted_columns[0])
  gold_bags = [_bag(column) for column in gold_columns]
  predicted_bags = [_bag(column) for column in predicted_columns]
  candidates = [
    [j for j, bag in enumerate(predicted_bags) if bag == gold_bag] for gold_bag in gold_bags
  ]
  if not all(candidates):
    return False
  # A key column first: it makes the rows distinct, after which each other column either fits or
  # does not.
  order = sorted(range(len(gold_columns)), key=lambda i: (-len(gold_bags[i]), len(candidates[i])))

  def assign(
    depth: int, used: frozenset[int], gold_groups: list[int], predicted_groups: list[int]
  ) -> bool:
    if depth == len(order):
      return True
    column = gold_columns[order[depth]]
    numbers: dict[tuple, int] = {}
    new_gold = [
      numbers.setdefault(pair, len(numbers)) for pair in zip(gold_groups, column, strict=True)
    ]
    gold_bag = _bag(new_gold)
    tried: set[tuple] = set()
    for j in candidates[order[depth]]:
      if j in used or predicted_columns[j] in tried:
        continue
      tried.add(predicted_columns[j])
      new_predicted = [
        numbers.get(pair, -1) for pair in zip(predicted_groups, predicted_columns[j], strict=True)
      ]
      if _bag(new_predicted) == gold_bag and assign(depth + 1, used | {j}, new_gold, new_predicted):
        return True
    return False

  nothing = [0] * len(gold_columns[0])
  return assign(0, frozenset(), nothing, nothing)
