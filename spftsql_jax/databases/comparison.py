"""Comparing the rows of two results; which notions of sameness there are is told in `results`.

Imports nothing but the standard library's lightest parts: worker processes compare rows as well.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from spftsql_jax.databases.engines import hashable_cell

Rows = tuple[tuple, ...]
_PLAIN_TYPES = {int, float, str, bytes, type(None)}
_NEVER_NAN = {int, bool, str, bytes, type(None)}
# Every NaN is compared as this one object, which Python's containers find equal to itself.
_NAN = float("nan")


def rows_match(gold: Rows, predicted: Rows, widths: tuple[int, int], comparison: str, ordered: bool) -> bool:
  """Whether the predicted rows are as good as the gold rows; a NaN is as good as any other NaN, also inside a list.

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
    # A cell that cannot be hashed or compared as it is (a list, a signalling NaN): compared by its canonical form below.
    return _rows_match(canonical_rows(gold), canonical_rows(predicted), widths, comparison, ordered)
  # NaN makes equal rows differ, never different rows equal: only where both have one is there more to see.
  if not (has_nan(gold) and has_nan(predicted)):
    return False
  return _rows_match(canonical_rows(gold), canonical_rows(predicted), widths, comparison, ordered)


def has_nan(rows: Iterable[Sequence]) -> bool:
  """Whether some cell does not equal itself: NaN, or a list or structure with a NaN in it."""
  cells = list(itertools.chain.from_iterable(rows))
  if set(map(type, cells)) <= _NEVER_NAN:
    return False
  return any(map(_holds_nan, cells))


def _holds_nan(cell: object) -> bool:
  # Python finds a list equal to itself whatever stands in it.
  if isinstance(cell, tuple | list | dict):
    return any(map(_holds_nan, cell.items() if isinstance(cell, dict) else cell))
  is_nan = getattr(cell, "is_nan", None)
  return is_nan() if is_nan is not None else cell != cell


def canonical_rows(rows: Iterable[Sequence]) -> Rows:
  """The rows with canonical cells; see `canonical_cell`."""
  return tuple(tuple(map(canonical_cell, row)) for row in rows)


def canonical_cell(cell: object) -> object:
  """`cell` as it is compared and counted: one object for every NaN (of float or Decimal), tuples for lists and structures."""
  if isinstance(cell, float):
    return _NAN if cell != cell else cell
  if isinstance(cell, tuple | list | dict):
    return tuple(map(canonical_cell, cell.items() if isinstance(cell, dict) else cell))
  # Decimal, which a worker for SQLite need not import.
  is_nan = getattr(cell, "is_nan", None)
  if is_nan is not None and is_nan():
    return _NAN
  cell = hashable_cell(cell)
  # Whatever else does not equal itself (a range up to NaN) is compared as text.
  return cell if cell == cell else str(cell)


def _rows_match(gold: Rows, predicted: Rows, widths: tuple[int, int], comparison: str, ordered: bool) -> bool:
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
  """Whether equal cells also have equal text: no decimals or booleans, and no floats that equal an integer there.

  Rows that are equal under some permutation of the columns then have equal sorted rows, and sorting them is not needed.
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
    return _bag(gold_columns[0]) == _bag(predicted_columns[0])
  gold_bags = [_bag(column) for column in gold_columns]
  predicted_bags = [_bag(column) for column in predicted_columns]
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
    gold_bag = _bag(new_gold)
    tried: set[tuple] = set()
    for j in candidates[order[depth]]:
      if j in used or predicted_columns[j] in tried:
        continue
      tried.add(predicted_columns[j])
      new_predicted = [numbers.get(pair, -1) for pair in zip(predicted_groups, predicted_columns[j], strict=True)]
      if _bag(new_predicted) == gold_bag and assign(depth + 1, used | {j}, new_gold, new_predicted):
        return True
    return False

  nothing = [0] * len(gold_columns[0])
  return assign(0, frozenset(), nothing, nothing)
