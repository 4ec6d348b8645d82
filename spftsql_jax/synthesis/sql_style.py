"""Trees with slots as text, in SQLite's dialect as people write it or in another one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.sqlite import SQLite
from sqlglot.generator import Generator
from sqlglot.generators.sqlite import SQLiteGenerator

from spftsql_jax.synthesis.slots import (
  ColumnSlot,
  LinkSlot,
  Slot,
  StarSlot,
  TableSlot,
  ValueSlot,
)

# A part of a query's text: plain SQL, or a slot.
Piece = str | ColumnSlot | StarSlot | ValueSlot | TableSlot | LinkSlot
_MARK = "\0"  # Around the number of a slot while its tree is written; SQL has no such character.


def _write_mark(generator: Generator, slot: exp.Expr) -> str:
  return f"{_MARK}{slot.meta['place']}{_MARK}"


_SLOTS = (ColumnSlot, StarSlot, ValueSlot, TableSlot, LinkSlot)
_MARKS: dict[type[exp.Expr], Callable[..., str]] = dict.fromkeys(_SLOTS, _write_mark)


class SqlStyle(SQLite):
  """SQLite's dialect as people write it.

  !=, NOT IN, IS NOT NULL, COUNT in capitals, strftime in lower case.
  """

  class Generator(SQLiteGenerator):
    TRANSFORMS = {
      kind: write for kind, write in SQLiteGenerator.TRANSFORMS.items() if kind is not exp.TimeToStr
    }

    def neq_sql(self, expression: exp.NEQ) -> str:
      return self.binary(expression, "!=")

    def not_sql(self, expression: exp.Not) -> str:
      inner = expression.this
      if not isinstance(inner, (exp.In, exp.Is, exp.Between)):
        return super().not_sql(expression)
      left = self.sql(inner, "this")
      if isinstance(inner, exp.In):
        query = inner.args.get("query")
        listed = self.sql(query) if query else f"({self.expressions(inner, flat=True)})"
        return f"{left} NOT IN {listed}"
      if isinstance(inner, exp.Is):
        return f"{left} IS NOT {self.sql(inner, 'expression')}"
      low, high = self.sql(inner, "low"), self.sql(inner, "high")
      return f"{left} NOT BETWEEN {low} AND {high}"

    def exists_sql(self, expression: exp.Exists) -> str:
      return f"EXISTS ({self.sql(expression, 'this')})"

    def timetostr_sql(self, expression: exp.TimeToStr) -> str:
      time = expression.this
      source = time.this if isinstance(time, exp.TsOrDsToTimestamp) else time
      return f"strftime({self.sql(expression, 'format')}, {self.sql(source)})"


@functools.cache
def _writer(dialect: str) -> tuple[Dialect, type[Generator]]:
  """A dialect, and a generator of it that writes marks for slots."""
  found = Dialect.get_or_raise(SqlStyle if dialect == "sqlite" else dialect)
  base = found.generator_class
  writes: dict[type[exp.Expr], Callable[..., str]] = {**base.TRANSFORMS, **_MARKS}
  return found, type(f"Marking{base.__name__}", (base,), {"TRANSFORMS": writes})


def write_pieces(tree: exp.Expr, dialect: str = "sqlite") -> tuple[Piece, ...]:
  """The text of a tree, cut at its slots, which are nodes of the tree; SQLite's in our style."""
  known, generator = _writer(dialect)
  copied = tree.copy()
  slots = [node for node in tree.walk() if isinstance(node, _SLOTS)]
  for place, slot in enumerate(node for node in copied.walk() if isinstance(node, _SLOTS)):
    slot.meta["place"] = place
  # What a dialect does not have shows when the query runs; templates are no SQL to run.
  ignore = ErrorLevel.IGNORE
  writer = generator(dialect=known, comments=False, unsupported_level=ignore)
  text = writer.generate(copied, copy=False)
  pieces: list[Piece] = []
  for index, part in enumerate(text.split(_MARK)):
    if index % 2:
      pieces.append(slots[int(part)])
    elif part:
      pieces.append(part)
  return tuple(pieces)


def spell(pieces: Sequence[Piece]) -> str:
  """Pieces as the text of a template."""
  return "".join(piece.notation if isinstance(piece, Slot) else piece for piece in pieces)


def write_sql(tree: exp.Expr) -> str:
  """The text of a tree in our style of SQLite SQL, slots as templates spell them."""
  return spell(write_pieces(tree))
