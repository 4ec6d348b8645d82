"""The cells and rows of results: as they can be read, counted and compared.

Imports nothing but the standard library's lightest parts: worker processes compare rows as well.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence

Rows = tuple[tuple, ...]
_NEVER_NAN = {int, bool, str, bytes, type(None)}
# Every NaN is compared as this one object, which Python's containers find equal to itself.
_NAN = float("nan")


class ServerText(str):
  """The text of a value whose type Python does not have (money, a point, XML)."""


def is_readable(value: object) -> bool:
  """Whether a value can be shown and written into a query as it is stored.

  False for text with U+FFFD (in readers of ours it stands for bytes that are not text), with NUL,
  or with half a surrogate pair, which no UTF-8 file can take.
  """
  if not isinstance(value, str):
    return True
  if "\ufffd" in value or "\0" in value:
    return False
  try:
    value.encode()
  except UnicodeEncodeError:
    return False
  return True


def hashable_rows(rows: list[tuple]) -> list[tuple]:
  """Rows whose cells can be compared and counted; see `hashable_cell`."""
  try:
    for row in rows:
      hash(row)
    return rows
  except TypeError:
    return [tuple(map(hashable_cell, row)) for row in rows]


def hashable_cell(cell: object) -> object:
  """A cell that can be compared and counted: lists become tuples, structures tuples of their items,
  what else cannot be hashed its text; others stay as they are.
  """
  if isinstance(cell, list | tuple):
    parts = tuple(map(hashable_cell, cell))
    return cell if type(cell) is tuple and all(map(operator.is_, parts, cell)) else parts
  if isinstance(cell, dict):
    return tuple((hashable_cell(key), hashable_cell(value)) for key, value in cell.items())
  if isinstance(cell, bytearray | memoryview):
    return bytes(cell)
  try:
    hash(cell)
  except TypeError:
    # A multirange, a signalling NaN.
    return ServerText(cell)
  return cell


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
  """`cell` as it is compared and counted: one object for every NaN (of float or Decimal), tuples
  for lists and structures.
  """
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
