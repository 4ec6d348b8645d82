"""The literals that queries compare columns with, and values just beside them."""

from __future__ import annotations

import contextlib
import datetime
import random
from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from spftsql_jax.databases.schema import Kind

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike, exp.Between, exp.In)


def literals_by_query(queries: Iterable[str]) -> list[dict[str, list]]:
  """For each query the literals by the lower-case name of the column they are compared with; what cannot be parsed gives none.

  In SQLite "x" may be a string: a quoted name that is compared with a column counts as one too.
  """
  found = []
  for sql in dict.fromkeys(queries):
    columns: dict[str, list] = {}
    try:
      trees = sqlglot.parse(sql, read="sqlite")
    except sqlglot.errors.SqlglotError:
      continue
    for tree in trees:
      for node in tree.find_all(*_COMPARISONS) if tree is not None else ():
        column = node.this
        if not isinstance(column, exp.Column):
          continue
        parts = [node.args.get(name) for name in ("expression", "low", "high")] + list(node.args.get("expressions") or ())
        for part in parts:
          value = _literal(part)
          if value is not None and value not in columns.setdefault(column.name.lower(), []):
            columns[column.name.lower()].append(value)
    columns = {name: values for name, values in columns.items() if values}
    if columns:
      found.append(columns)
  return found


def _literal(node: exp.Expression | None) -> object:
  if isinstance(node, exp.Neg):
    value = _literal(node.this)
    return -value if isinstance(value, int | float) else None
  if isinstance(node, exp.Column) and not node.table and isinstance(node.this, exp.Identifier) and node.this.quoted:
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


def near(literal: object, kind: Kind, rng: random.Random) -> object:
  """The literal itself, or a value at its edge: one more or less, the day before or after, other letter case, text around a
  pattern.
  """
  if isinstance(literal, str):
    try:
      number = int(literal)
    except ValueError:
      number = None
    if number is not None:
      literal = number + rng.choice((-1, 0, 0, 1))
      return literal if kind == "number" else str(literal)
    with contextlib.suppress(ValueError):
      day = datetime.date.fromisoformat(literal)
      return (day + datetime.timedelta(days=rng.choice((-1, 0, 0, 1)))).isoformat()
    if "%" in literal or "_" in literal:
      fill = rng.choice(("", "a", "x y"))
      text = literal.replace("%", fill).replace("_", "e")
      return rng.choice((text, text, "b" + text, text + "b", text.upper()))
    return rng.choice((literal, literal, literal, literal.upper(), literal.lower(), literal + "s", literal[:-1]))
  value: object = literal
  if isinstance(literal, int):
    value = literal + rng.choice((-1, 0, 0, 1))
  elif isinstance(literal, float):
    value = literal + rng.choice((-0.01, 0.0, 0.0, 0.01))
  return str(value) if kind == "text" else value
