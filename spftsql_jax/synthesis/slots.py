"""The slots of a template, as nodes of sqlglot's trees.

A template is a tree of SQL in which some nodes are slots. This module alone knows how a slot is
spelled; everything else asks a node for its type and its arguments.

  a.num1 a2.ref3_key1 a_outer.cat2   ColumnSlot
  a.*                                StarSlot
  :num1 :num1_2 :count :limit        ValueSlot
  LINKED(b) OPTIONAL(b)              LinkSlot
  (not written)                      TableSlot, the FROM of a SELECT
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from sqlglot import exp

KINDS = ("name", "text", "cat", "num", "date", "bool", "any", "other", "key", "ref")

_KIND = "|".join(KINDS)
_COLUMN = re.compile(rf"^({_KIND})(\d+)(?:_(?:(key|ref)(\d+)|([a-z])))?$")
_VALUE = re.compile(rf"^(?:({_KIND})(\d+)|(count|limit))(?:_(\d+))?$")
_LETTER = re.compile(r"^([a-z]\d?)(_outer)?$")
LINKED, OPTIONAL = "LINKED", "OPTIONAL"


class UnsupportedTemplate(ValueError):
  """The query (or the template's text) cannot be a template; the message says why."""


class Slot(exp.Expr):
  """What all slots are."""

  @property
  def notation(self) -> str:
    """The slot as a template's text spells it."""
    raise NotImplementedError


class MemberSlot(Slot):
  """What belongs to a table: `letter`, `outer` and `scope` are told in `ColumnSlot`."""

  @property
  def letter(self) -> str:
    return cast(str, self.args["letter"])

  @property
  def outer(self) -> bool:
    return bool(self.args.get("outer"))

  @property
  def scope(self) -> int:
    return cast(int, self.args["scope"])


class ColumnSlot(exp.Column, MemberSlot):
  """A column to be chosen.

  Args of the node:
    letter: the table, "a"; "a2" is a second row of the same table.
    outer: the table is one of the enclosing query.
    kind: one of `KINDS`.
    number: the same number stands for the same column.
    refers_to: the number of the slot that this foreign key refers to, or None.
    refers_as: "key", or "ref" where both refer to the same key; None without `refers_to`.
    refers_to_table: the letter of the table that it refers to, where that has no slot.
    scope: the number of the SELECT whose table it is; set by `compile_template`.
  """

  arg_types = {
    "letter": True,
    "outer": False,
    "kind": True,
    "number": True,
    "refers_to": False,
    "refers_as": False,
    "refers_to_table": False,
    "scope": False,
  }

  @property
  def kind(self) -> str:
    return cast(str, self.args["kind"])

  @property
  def number(self) -> int:
    return cast(int, self.args["number"])

  @property
  def refers_to(self) -> int | None:
    return self.args.get("refers_to")

  @property
  def refers_to_table(self) -> str | None:
    return self.args.get("refers_to_table")

  @property
  def notation(self) -> str:
    suffix = ""
    if self.refers_to is not None:
      suffix = f"_{self.args['refers_as']}{self.refers_to}"
    elif self.refers_to_table:
      suffix = f"_{self.refers_to_table}"
    return f"{_qualifier(self.letter, self.outer)}.{self.kind}{self.number}{suffix}"


class StarSlot(exp.Column, MemberSlot):
  """All columns of a table, or under COUNT its rows.

  `letter`, `outer` and `scope` are those of a `ColumnSlot`.
  """

  arg_types = {"letter": True, "outer": False, "scope": False}

  @property
  def notation(self) -> str:
    return f"{_qualifier(self.letter, self.outer)}.*"


class ValueSlot(exp.Placeholder, Slot):
  """A value to be chosen.

  Args of the node:
    kind: the kind of the column slot whose value it is, or "count" (of rows) or "limit".
    number: the number of that column slot; None for counts and limits.
    index: tells several values of one column apart; None for the first.
  """

  arg_types = {"kind": True, "number": False, "index": False}

  @property
  def kind(self) -> str:
    return cast(str, self.args["kind"])

  @property
  def number(self) -> int | None:
    return self.args.get("number")

  @property
  def of(self) -> str:
    """The name without the index: what it is a value of."""
    return self.kind if self.number is None else f"{self.kind}{self.number}"

  @property
  def name(self) -> str:
    index = self.args.get("index")
    return self.of if index is None else f"{self.of}_{index}"

  @property
  def notation(self) -> str:
    return f":{self.name}"


class LinkSlot(exp.Expression, exp.Condition, Slot):
  """A condition that a row of the table `letter` belongs to the query's row.

  With `optional` such a row need not be there (a left join).
  """

  arg_types = {"letter": True, "optional": False}

  @property
  def letter(self) -> str:
    return cast(str, self.args["letter"])

  @property
  def optional(self) -> bool:
    return bool(self.args.get("optional"))

  @property
  def notation(self) -> str:
    return f"{OPTIONAL if self.optional else LINKED}({self.letter})"


class TableSlot(exp.Table, Slot):
  """The tables of the SELECT number `scope`, with their joins; stands in its FROM."""

  arg_types = {"scope": True}

  @property
  def scope(self) -> int:
    return cast(int, self.args["scope"])

  @property
  def notation(self) -> str:
    return f"scope {self.scope}"


def read_slots(tree: exp.Expr) -> exp.Expr:
  """Makes slots of the names in a parsed template, in place. Raises UnsupportedTemplate."""
  for node in list(tree.find_all(exp.Column, exp.Placeholder, exp.Anonymous)):
    if isinstance(node, exp.Column) and node.table:
      letter, outer = read_letter(node.table)
      star = isinstance(node.this, exp.Star)
      node.replace(
        StarSlot(letter=letter, outer=outer) if star else _column_slot(node.name, letter, outer)
      )
    elif isinstance(node, exp.Placeholder):
      node.replace(_value_slot(node.name))
    elif isinstance(node, exp.Anonymous) and node.name.upper() in (LINKED, OPTIONAL):
      # Its letter reads as a column without a table.
      letter, _ = read_letter(node.expressions[0].name)
      node.replace(LinkSlot(letter=letter, optional=node.name.upper() == OPTIONAL))
  return tree


def find_table_slots(tree: exp.Expr) -> Iterator[ColumnSlot | StarSlot]:
  """The slots below a node that name a table of their SELECT or of the one around it."""
  for node in tree.find_all(exp.Column):
    if isinstance(node, (ColumnSlot, StarSlot)):
      yield node


def read_letter(text: str) -> tuple[str, bool]:
  """The letter of a table, and whether it is one of the enclosing query.

  Raises UnsupportedTemplate.
  """
  match = _LETTER.match(text)
  if not match:
    raise UnsupportedTemplate(f"{text!r} is not a table of a template")
  return match[1], bool(match[2])


def _column_slot(name: str, letter: str, outer: bool) -> ColumnSlot:
  match = _COLUMN.match(name)
  if not match:
    raise UnsupportedTemplate(f"{name!r} is not a column slot")
  kind, number, refers_as, refers_to, table = match.groups()
  return ColumnSlot(
    letter=letter,
    outer=outer,
    kind=kind,
    number=int(number),
    refers_as=refers_as,
    refers_to=int(refers_to) if refers_to else None,
    refers_to_table=table,
  )


def _value_slot(name: str) -> ValueSlot:
  match = _VALUE.match(name)
  if not match:
    raise UnsupportedTemplate(f":{name} is not a value slot")
  kind, number, free, index = match.groups()
  return ValueSlot(
    kind=kind or free,
    number=int(number) if number else None,
    index=int(index) if index else None,
  )


def _qualifier(letter: str, outer: bool) -> str:
  return f"{letter}_outer" if outer else letter
