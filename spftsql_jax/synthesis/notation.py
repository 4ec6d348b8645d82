"""The notation of a template: between its text and its tree.

A template is SQL without FROM and JOIN whose columns and values are slots. Its text is its only
state:

    SELECT a.name1, COUNT(b.*) WHERE b.num2 > :num2 GROUP BY a.key3

  a, b, c        tables; a2 is a second row of the same table (a self join); a_outer is `a` of the
                 enclosing query
  a.num1         a column slot: a kind and a number; the same number is the same column
  b.ref2_key1    a foreign key that refers to slot 1 (b.ref2_ref1: both refer to the same key;
                 b.ref2_a: it refers to a row of a)
  :num1          a value of slot 1; :num1_2 another one; :count a number of rows; :limit a LIMIT
  COUNT(b.*)     COUNT(*) over a join in which `b` takes part, even where no column of it is named
  LINKED(b)      a condition: a row of `b` belongs to it (an inner join); OPTIONAL(b): a left join

Kinds written by the extractor: num, text, date, bool, other, key, ref. A template of ours may also
say name, cat and any.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis.slots import (
  ColumnSlot,
  LinkSlot,
  StarSlot,
  UnsupportedTemplate,
  ValueSlot,
  read_slots,
)
from spftsql_jax.synthesis.sql_style import write_pieces, write_sql


@dataclasses.dataclass(frozen=True)
class Template:
  """A template. Hashable, picklable.

  `text` is canonical when it comes from `parse`, `of` or the extractor.
  """

  text: str

  @classmethod
  def parse(cls, text: str) -> Template:
    """The template of that text, made canonical. Raises UnsupportedTemplate."""
    return cls.of(read_template(text))

  @classmethod
  def of(cls, tree: exp.Expr) -> Template:
    """The template of a tree with slots, which is made canonical in place."""
    return cls(write_sql(make_canonical(tree)))

  @property
  def id(self) -> str:
    """A short hash of the text, the same on every machine."""
    return "t" + hashlib.blake2s(self.text.encode(), digest_size=6).hexdigest()

  def to_json(self) -> dict[str, str]:
    return {"id": self.id, "text": self.text}

  @classmethod
  def from_json(cls, record: dict[str, str]) -> Template:
    return cls.parse(record["text"])


@dataclasses.dataclass(frozen=True)
class WeightedTemplate:
  """A template and how often it is drawn, relative to the others."""

  template: Template
  weight: float = 1.0


def read_template(text: str) -> exp.Expr:
  """The tree of a template's text, with its slots. Raises UnsupportedTemplate."""
  try:
    tree = sqlglot.parse_one(text, read="sqlite")
  except sqlglot.errors.SqlglotError as error:
    raise UnsupportedTemplate(f"template does not parse: {text!r}") from error
  return read_slots(tree)


def make_canonical(tree: exp.Expr) -> exp.Expr:
  """Renames letters and slots in the order of their appearance in the text, in place."""
  letters: dict[str, str] = {}
  numbers: dict[int, int] = {}
  indexes: dict[str, int] = {}
  counts: dict[str, int] = {}
  # Of each column slot that refers to something, by its old number, an occurrence that says so.
  references: dict[int, ColumnSlot] = {}

  def new_letter(slot: ColumnSlot | StarSlot | LinkSlot) -> str:
    table, instance = slot.letter[0], slot.letter[1:]
    return letters.setdefault(table, chr(ord("a") + len(letters))) + instance

  def new_number(number: int) -> int:
    return numbers.setdefault(number, len(numbers) + 1)

  renamed: list[tuple[exp.Expr, dict[str, Any]]] = []
  for slot in write_pieces(tree):
    if isinstance(slot, str):
      continue
    names: dict[str, Any] = {}
    if isinstance(slot, (ColumnSlot, StarSlot, LinkSlot)):
      names["letter"] = new_letter(slot)
    if isinstance(slot, ColumnSlot):
      names["number"] = new_number(slot.number)
      if slot.refers_to is not None or slot.refers_to_table:
        references[slot.number] = slot
    if isinstance(slot, ValueSlot):
      names["number"] = None if slot.number is None else new_number(slot.number)
      if slot.name not in indexes:
        of = f"{slot.kind}{names['number']}"
        counts[of] = counts.get(of, 0) + 1
        indexes[slot.name] = counts[of]
      index = indexes[slot.name]
      names["index"] = None if index == 1 else index
    renamed.append((slot, names))
  for node, names in renamed:
    if isinstance(node, ColumnSlot) and node.number in references:
      names |= _renamed_reference(references[node.number], numbers, letters)
  for node, names in renamed:
    for name, value in names.items():
      node.set(name, value)
  return tree


def _renamed_reference(
  slot: ColumnSlot, numbers: dict[int, int], letters: dict[str, str]
) -> dict[str, Any]:
  """What a slot refers to in new names; nothing where the template does not have it."""
  number, table = slot.refers_to, slot.refers_to_table
  known = number is not None and number in numbers
  return {
    "refers_to": numbers[number] if known and number is not None else None,
    "refers_as": slot.args.get("refers_as") if known else None,
    "refers_to_table": letters.get(table) if table and not known else None,
  }
