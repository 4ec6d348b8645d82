"""Choosing a table for each letter of a template.

The first is drawn by the number of columns that suit its first slot, the next by their distance in
the schema (weight decay ** (distance - 1)), as in Hu et al. 2023 (arXiv 2212.08785).
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from spftsql_jax.synthesis import joins
from spftsql_jax.synthesis.compiling import ColumnSpec, Compiled, Scope
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.supply import Supply

_AGGREGATES = frozenset({"avg", "sum", "max", "min", "count"})
_ADDED_UP = frozenset({"sum", "avg"})
_SHOWN = frozenset({"select", "distinct"})
# Of a table whose rows only connect others, alone or where these are counted or listed, beside the
# tables that people ask about alone.
_CONNECTING = 0.02
Item = TypeVar("Item")


def _lists(slots: Sequence[ColumnSpec]) -> bool:
  """Whether one of the slots is returned as it is."""
  return any(_SHOWN & slot.uses and not _AGGREGATES & slot.uses for slot in slots)


def draw(options: Sequence[tuple[Item, float]], rng: random.Random) -> Item:
  """One of the (item, weight) pairs' items, by weight."""
  if len(options) == 1:
    return options[0][0]
  return rng.choices([item for item, _ in options], [weight for _, weight in options])[0]


def column_needs(compiled: Compiled) -> dict[str, list[ColumnSpec]]:
  """The column slots of each table, tables in the order of their appearance."""
  needs: dict[str, list[ColumnSpec]] = {
    letter[0]: [] for scope in compiled.scopes for letter in scope.letters
  }
  for slot in compiled.slots.values():
    needs[slot.letter].append(slot)
  return needs


@dataclasses.dataclass(frozen=True)
class TableChoice:
  """Chooses the tables of one template from a supply.

  Attributes:
    supply: what the database has.
    compiled: the template.
    needs: its column slots by table.
    decay: how much less likely a table is for every key that it is farther away.
    lenient: see `suitability`; also lets in sums over rows that a join repeats.
  """

  supply: Supply
  compiled: Compiled
  needs: Mapping[str, list[ColumnSpec]]
  decay: float
  lenient: bool

  def choose(self, given: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """A table for each letter, beside those given. Raises CannotFill."""
    chosen = dict(given)
    for letter in self.needs:
      if letter in given:
        continue
      options = self._options(letter, chosen)
      if not options:
        raise CannotFill("no table fits")
      chosen[letter] = draw(options, rng)
    return chosen

  def possible(self, chosen: Mapping[str, str] | None = None) -> bool:
    """Whether there is a table for each letter."""
    chosen = chosen or {}
    left = [letter for letter in self.needs if letter not in chosen]
    if not left:
      return True
    options = self._options(left[0], chosen)
    return any(self.possible({**chosen, left[0]: table}) for table, _ in options)

  def _options(self, letter: str, chosen: Mapping[str, str]) -> list[tuple[str, float]]:
    """The tables that a letter can stand for beside those chosen, with their weights."""
    options = []
    slots = tuple(self.needs[letter])
    for table in self._within_reach(letter, chosen):
      if table in chosen.values():
        continue
      weight = self.supply.table_weight(table, slots, self.lenient)
      if table in self.supply.connecting:
        if self._is_about(letter):
          weight *= _CONNECTING
        elif not self._is_said(letter, table):
          continue
      if table in self.supply.figures and self._asks_for_rows(letter):
        weight *= _CONNECTING
      if weight > 0 and chosen:
        weight = min(weight, 1.0) * self._nearness(letter, table, chosen)
      if weight > 0:
        options.append((table, weight))
    return options

  def _asks_for_rows(self, letter: str) -> bool:
    """Whether rows of a letter are counted, listed, or looked for."""
    own = self._own_slots(letter)
    counted = any(letter in scope.counted for scope in self.compiled.scopes)
    return counted or not own or (_lists(own) and letter == next(iter(self.needs)))

  def _own_slots(self, letter: str) -> list[ColumnSpec]:
    """The column slots of a letter that are no keys."""
    return [slot for slot in self.needs[letter] if slot.kind not in ("key", "ref")]

  def _is_about(self, letter: str) -> bool:
    """Whether a query is about the rows of a letter: it counts or lists them, or has no other."""
    if letter != next(iter(self.needs)):
      return False
    listed = _lists(self.needs[letter])
    return len(self.needs) == 1 or listed or letter in self.compiled.scopes[0].counted

  def _is_said(self, letter: str, table: str) -> bool:
    """Whether rows that only connect others are said well: by those, or listed beside them.
    They are not in "players that have a starting year after 2010 for a coach", nor where they are
    more than pairs, and would be counted as what they are called: "student addresses".
    """
    own = self._own_slots(letter)
    return _lists(own) or not (own or self.supply.own_columns(table) > 1)

  def _within_reach(self, letter: str, chosen: Mapping[str, str]) -> Iterable[str]:
    """The tables, in their order, that keys connect with those chosen where that is wanted.

    `_nearness` judges them.

    A database of hundreds of tables has too many pairs to look at each.
    """
    reachable = self.supply.graph.reachable
    reaches: list[Collection[str]] = []
    for scope in self.compiled.scopes:
      others = [chosen[name[0]] for name in scope.letters if name[0] in chosen]
      if others and any(name[0] == letter for name in scope.letters):
        reaches.append(
          set().union(*map(reachable, others)) if len(others) > 1 else reachable(others[0])
        )
    for slot in self._slots_of(letter, chosen):
      ends = {slot.letter, self._target(slot)}
      other = next(iter(ends - {letter, None}), None)
      if letter in ends and other is not None and other in chosen:
        reaches.append(self.supply.related[chosen[other]])
    if not reaches:
      return self.supply.tables
    smallest, *others_ = sorted(reaches, key=len)
    place_of = self.supply.place_of
    within = (
      table for table in smallest if table in place_of and all(table in reach for reach in others_)
    )
    return sorted(within, key=place_of.__getitem__)

  def _slots_of(self, letter: str, chosen: Mapping[str, str]) -> Iterable[ColumnSpec]:
    """The slots of a letter and of those chosen."""
    return itertools.chain(self.needs[letter], *(self.needs[other] for other in chosen))

  def _target(self, slot: ColumnSpec) -> str | None:
    """The letter of the table that a slot's key refers to, if any."""
    if slot.refers_to is not None:
      return self.compiled.slots[slot.refers_to].letter
    return slot.refers_to_table

  def _nearness(self, letter: str, table: str, chosen: Mapping[str, str]) -> float:
    """How well a table goes with those chosen.

    It is near, and on the side of the relation that the template speaks of.
    """
    supply = self.supply
    weight = 1.0
    table_of = {**chosen, letter: table}
    for slot in self._slots_of(letter, chosen):
      target = self._target(slot)
      # A letter is its own target in a key of a table to itself, which needs no second table.
      if target is None or letter not in (slot.letter, target) or slot.letter == target:
        continue
      if slot.letter not in table_of or target not in table_of:
        continue
      ends = table_of[slot.letter], table_of[target]
      if not (supply.references(*ends) if slot.refers_to is not None else supply.keys_to(*ends)):
        return 0.0
    for scope in self.compiled.scopes:
      own = [name for name in scope.letters if name[0] == letter]
      others = [name for name in scope.letters if name[0] in chosen]
      if not own or not others:
        continue
      distance = min(supply.graph.distance(chosen[name[0]], table) for name in others)
      if distance >= joins.FAR:
        return 0.0
      pair = frozenset({table, *(chosen[name[0]] for name in others)})
      if distance > 1 and scope.optional & set(own) and not supply.linked(pair):
        return 0.0  # "The number of photos with a lens of each mountain, 0 if there are none".
      weight *= self.decay ** (distance - 1) * self._direction(letter, table, chosen, scope, others)
    return weight

  def _direction(
    self,
    letter: str,
    table: str,
    chosen: Mapping[str, str],
    scope: Scope,
    others: Sequence[str],
  ) -> float:
    """Counting and summing belong to the many side of a relation; a description to the one side.

    A sum over rows that the join repeats adds some of them several times, which no question says:
    only `lenient` lets it in.
    """
    weight = 1.0
    is_parent = self.supply.is_parent
    mentioned, added_up = bool(self.needs[letter]), self._has_use(letter, _ADDED_UP)
    is_many = letter in scope.counted or self._has_use(letter, _AGGREGATES)
    for name in others:
      other = chosen[name[0]]
      other_is_many = name[0] in scope.counted or self._has_use(name[0], _AGGREGATES)
      other_added_up = self._has_use(name[0], _ADDED_UP)
      parent, child = is_parent(table, other), is_parent(other, table)
      if not self.lenient:
        if (added_up and not child) or (other_added_up and not parent):
          return 0.0
        unsaid = (not mentioned and parent) or (not self.needs[name[0]] and child)
        if unsaid and is_many != other_is_many:
          return 0.0  # Counting parents of rows counts the rows.
      if is_many and not other_is_many:
        weight *= 1.0 if child else 0.01 if parent else 0.3 if mentioned else 0.05
      elif other_is_many and not is_many:
        weight *= 1.0 if parent else 0.3 if not child else 0.01
      elif not mentioned:
        # LINKED to a parent says next to nothing: nearly every row has one.
        weight *= 0.01 if parent else 1.0
      else:
        weight *= 1.0 if parent else 0.5 if child else 0.15
    return weight

  def _has_use(self, letter: str, uses: frozenset[str]) -> bool:
    return any(slot.uses & uses for slot in self.needs[letter])
