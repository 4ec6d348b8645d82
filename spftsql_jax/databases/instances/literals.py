"""The literals that queries compare columns with, and values just beside them."""

from __future__ import annotations

import contextlib
import datetime
import re
from typing import Any

from sqlglot import exp

from spftsql_jax.columns import whole_dates
from spftsql_jax.schema import Column


def literal_of(node: exp.Expr | None, dialect: str = "sqlite") -> object:
  """The value of a literal, or None where `node` is none; DATE '2024-05-01' is its text. In SQLite
  "x" may be a string: a quoted bare name counts as one.
  """
  if isinstance(node, exp.Paren):
    return literal_of(node.this, dialect)
  if isinstance(node, exp.Cast) and dialect != "sqlite":
    return literal_of(node.this, dialect)
  if isinstance(node, exp.Boolean) and dialect != "sqlite":
    return bool(node.this)
  if isinstance(node, exp.Neg):
    value = literal_of(node.this, dialect)
    return -value if isinstance(value, int | float) else None
  if (
    dialect == "sqlite"
    and isinstance(node, exp.Column)
    and not node.table
    and isinstance(node.this, exp.Identifier)
    and node.this.quoted
  ):
    return node.name
  if not isinstance(node, exp.Literal):
    return None
  if node.is_string:
    return node.this
  with contextlib.suppress(ValueError):
    return int(node.this)
  with contextlib.suppress(ValueError):
    return float(node.this)
  return None


def beside(literal: object, column: Column, pattern: bool = False) -> list:
  """The literal itself, then values of the column at its edge: one more and one less, the day
  before and after, other letter case, one letter more or less; for a LIKE `pattern` texts that
  match it and some that just do not.
  """
  if isinstance(literal, bool):
    return [literal, not literal]
  kind, form = column.kind, column.date_format
  if isinstance(literal, str) and pattern:
    texts = [literal.replace("%", fill).replace("_", "e") for fill in ("", "a", "x y")]
    return [*texts, "b" + texts[1], texts[1] + "b", texts[1].upper(), texts[0][:-1]]
  if form and whole_dates.parse(literal, form):
    # Of the literal's own type.
    days: list[Any] = [whole_dates.shift(literal, days, form) for days in (0, -1, 1)]
    return [str(day) for day in days] if kind == "text" else [int(day) for day in days]
  if isinstance(literal, str):
    with contextlib.suppress(ValueError):
      number = int(literal)
      return [near if kind == "number" else str(near) for near in (number, number - 1, number + 1)]
    with contextlib.suppress(ValueError, OverflowError):
      moment = datetime.datetime.fromisoformat(literal) if column.kind == "date" else None
      if moment is not None and len(literal) > len("2024-05-01"):
        near = [moment + datetime.timedelta(seconds=step) for step in (0, -1, 1, -86_400, 86_400)]
        return [literal, *(each.isoformat(" ") for each in near[1:])]
    with contextlib.suppress(ValueError, OverflowError):
      day = datetime.date.fromisoformat(literal)
      return [literal, *((day + datetime.timedelta(days=days)).isoformat() for days in (-1, 1))]
    return [literal, literal.upper(), literal.lower(), literal + "s", literal[:-1]]
  values: list = [literal]
  if isinstance(literal, int):
    values = [literal, literal - 1, literal + 1]
  elif isinstance(literal, float):
    values = [literal, literal - 0.01, literal + 0.01, literal - 1.5, literal + 1.5]
  return [str(value) for value in values] if kind == "text" else values


def holds(operator: str, literals: tuple, value: object) -> bool:
  """Whether a stored `value` meets a comparison as SQLite would judge it; numbers in text count as
  numbers here.

  `operator` is one of = <> < <= > >= like in between null.
  """
  if operator == "null" or value is None:
    return operator == "null" and value is None
  if operator == "like":
    pattern = "".join(
      ".*" if c == "%" else "." if c == "_" else re.escape(c) for c in str(literals[0])
    )
    return re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
  found, *bounds = _comparable(value, *literals)
  if operator in ("=", "in"):
    return found in bounds
  if operator == "between":
    return bounds[0] <= found <= bounds[-1]
  bound = bounds[0]
  return {
    "<>": found != bound,
    "<": found < bound,
    "<=": found <= bound,
    ">": found > bound,
    ">=": found >= bound,
  }[operator]


def _comparable(*values: object) -> list:
  try:
    return [float(value) for value in values]  # type: ignore[arg-type]
  except (TypeError, ValueError, OverflowError):
    return [str(value) for value in values]
