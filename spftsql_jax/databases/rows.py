"""The rows of results, as they are compared and counted: one object for every NaN, tuples for
lists.

Imports nothing but the standard library's lightest parts: worker processes compare rows as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from spftsql_jax.databases.engines import hashable_cell

Rows = tuple[tuple, ...]
_NEVER_NAN = {int, bool, str, bytes, type(None)}
# Every NaN is compared as this one object, which Python's containers find equal to itself.
_NAN = float("nan")


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
