"""Choosing a column for each slot of a template, its tables being chosen."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Mapping

from spftsql_jax.synthesis.compiling import ColumnSpec, Compiled
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.suitability import suitability
from spftsql_jax.synthesis.supply import Supply
from spftsql_jax.synthesis.table_choice import draw

# How much more a first name is asked for where the last name is too, and the other way round.
_OTHER_PART = 8.0


@dataclasses.dataclass(frozen=True)
class ColumnChoice:
  """Chooses the columns of one template from a supply.

  Attributes:
    supply: what the database has.
    compiled: the template.
    tables: the table of each letter.
    lenient: see `suitability`.
  """

  supply: Supply
  compiled: Compiled
  tables: Mapping[str, str]
  lenient: bool

  def choose(self, given: Mapping[int, str], rng: random.Random) -> dict[int, str]:
    """A column for each slot, beside those given. Raises CannotFill.

    Keys and their references come first, because they leave no choice.
    """
    columns = dict(given)
    slots = sorted(
      self.compiled.slots.values(), key=lambda slot: (slot.kind not in ("key", "ref"), slot.number)
    )
    for slot in slots:
      if slot.number in columns:
        continue
      if slot.refers_to is not None:
        self._choose_reference(slot, slot.refers_to, columns, rng)
        continue
      if slot.kind in ("key", "ref") and any(other.refers_to == slot.number for other in slots):
        continue  # Chosen together with the slot that refers to it.
      self._choose_column(slot, columns, rng)
    self._first_names_first(columns, set(given))
    return columns

  def _first_names_first(self, columns: dict[int, str], given: Collection[int]) -> None:
    """Of a first and a last name that are both only shown, the first stands before the last."""
    at: dict[tuple[str, str], int] = {}
    for slot in self.compiled.slots.values():
      part = self.supply.roles[(self.tables[slot.letter], columns[slot.number])].part
      if part and slot.uses == {"select"} and slot.number not in given:
        at[slot.letter, part] = slot.number
    for (letter, part), last in at.items():
      first = at.get((letter, "first"), 0)
      if part == "last" and first > last:
        columns[first], columns[last] = columns[last], columns[first]

  def _choose_column(self, slot: ColumnSpec, columns: dict[int, str], rng: random.Random) -> None:
    table = self.tables[slot.letter]
    taken = {
      columns[number]
      for number, other in self.compiled.slots.items()
      if other.letter == slot.letter and number in columns
    }
    candidates = self.supply.candidates(table, slot.kind, slot.uses, self.lenient)
    options = [(name, weight) for name, weight in candidates if name not in taken]
    if slot.kind in ("any", "text") and slot.uses == {"select"}:
      parts = {self.supply.roles[(table, name)].part for name in taken} - {""}
      options = [(name, weight * self._completing(table, name, parts)) for name, weight in options]
    for left, right in self.compiled.alike:
      compared = right if slot.number == left else left if slot.number == right else None
      if compared is not None and compared in columns:
        place = (self.tables[self.compiled.slots[compared].letter], columns[compared])
        options = [
          option for option in options if self.supply.share_values((table, option[0]), place)
        ]
    if slot.refers_to_table is not None:
      keys = self.supply.keys_to(table, self.tables[slot.refers_to_table])
      options = [option for option in options if option[0] in keys]
    elif slot.kind == "ref":
      # A key to a table of the query would say so in its slot.
      elsewhere = {self.tables[letter] for letter in self.tables if letter != slot.letter}
      options = [
        option
        for option in options
        if (self.supply.roles[(table, option[0])].refers_to or ("",))[0] not in elsewhere
      ]
    if not options:
      raise CannotFill(f"no {slot.kind} column left in a table")
    columns[slot.number] = draw(options, rng)

  def _completing(self, table: str, column: str, parts: Collection[str]) -> float:
    """How much more a column is asked for beside these parts of a person's name."""
    part = self.supply.roles[(table, column)].part
    return _OTHER_PART if parts and part and part not in parts else 1.0

  def _choose_reference(
    self, slot: ColumnSpec, refers_to: int, columns: dict[int, str], rng: random.Random
  ) -> None:
    """Columns for a foreign key slot and the slot that it refers to."""
    target = self.compiled.slots[refers_to]
    if target.refers_to is not None and target.number not in columns:
      self._choose_reference(target, target.refers_to, columns, rng)
    table, target_table = self.tables[slot.letter], self.tables[target.letter]
    roles = self.supply.roles
    options = []
    for own, other in self.supply.references(table, target_table):
      if target.kind == "key" and own not in self.supply.keys_to(table, target_table):
        continue  # A row's key that both have from a third table ties neither to the other.
      suits = suitability(roles[(table, own)], slot.kind, frozenset())
      suits *= suitability(roles[(target_table, other)], target.kind, frozenset())
      if suits and columns.get(target.number, other) == other and own not in columns.values():
        options.append(((own, other), 1.0))
    if not options:
      raise CannotFill("no foreign key between the tables")
    columns[slot.number], columns[target.number] = draw(options, rng)
