"""Witnesses: rows that a query is to select, from which the values of its conditions are taken."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from spftsql_jax.synthesis.compiling import Compiled
from spftsql_jax.synthesis.joins import JoinTree
from spftsql_jax.synthesis.scope_joins import step_columns
from spftsql_jax.synthesis.stored import StoredValues

_ATTEMPTS = 6
_SAME_START = 3  # Of the attempts, those that start from a row that another scope has.


class Witnesses:
  """A witness for each scope of a filled template, found when first asked for."""

  def __init__(
    self,
    compiled: Compiled,
    trees: Sequence[JoinTree | None],
    tables: Mapping[str, str],
    columns: Mapping[int, str],
    stored: StoredValues,
    rng: random.Random,
  ):
    self._compiled = compiled
    self._trees = trees
    self._tables = tables
    self._columns = columns
    self._stored = stored.tables
    self._rng = rng
    self._found: dict[int, dict[str, tuple]] = {}

  def value(self, scope: int, letter: str, number: int) -> object:
    """The value of a slot's column in the scope's row of the table `letter`; None without one."""
    if scope not in self._found:
      self._found[scope] = self._find(scope)
    row = self._found[scope].get(letter)
    if row is None:
      return None
    table = self._tables[self._compiled.slots[number].letter]
    return self._stored[table].value(row, self._columns[number])

  def forget(self, scope: int) -> None:
    """Lets the next value come from another row."""
    self._found.pop(scope, None)

  def _find(self, scope: int) -> dict[str, tuple]:
    """A row of the scope's join, as a row of each node's table; empty where none was found.

    The sides of a set operation and nested queries over the same first table start from the same
    row, so that they have a row in common.
    """
    tree = self._trees[scope]
    if tree is None:
      return {}
    rows = self._stored[tree.root_table].rows
    if not rows:
      return {}
    known = next((found[tree.root] for found in self._found.values() if tree.root in found), None)
    meeting = self._meeting_rows(scope, tree)
    for attempt in range(_ATTEMPTS):
      if meeting and attempt < _SAME_START:
        root = meeting[self._rng.randrange(len(meeting))]
      elif known is not None and attempt < _SAME_START:
        root = known
      else:
        root = rows[self._rng.randrange(len(rows))]
      if found := self._follow(tree, root):
        return found
    return {}

  def _follow(self, tree: JoinTree, root: tuple) -> dict[str, tuple]:
    """A row of the join from a row of its first table; empty where that has none."""
    found = {tree.root: root}
    tables = tree.tables()
    for step in tree.steps:
      near, far = step_columns(step)
      values = tuple(self._stored[tables[step.to]].value(found[step.to], name) for name in near)
      matching = self._stored[step.table].matching(far, values) if None not in values else []
      if not matching:
        return {}
      found[step.node] = matching[self._rng.randrange(len(matching))]
    return found

  def _meeting_rows(self, scope: int, tree: JoinTree) -> list[tuple]:
    """For the right side of an INTERSECT: rows that return what the left side's witness does.

    They are rows of its first table.
    """
    left, pairs = self._compiled.meetings.get(scope, (scope, ()))
    before = self._found.get(left)
    slots = self._compiled.slots
    own = [pair for pair in pairs if slots[pair[1]].letter == tree.root[0]]
    if not before or not own:
      return []
    values = []
    for number, _ in own:
      letter = slots[number].letter
      if letter not in before:
        return []
      table = self._stored[self._tables[letter]]
      values.append(table.value(before[letter], self._columns[number]))
    names = tuple(self._columns[number] for _, number in own)
    return self._stored[tree.root_table].matching(names, tuple(values))
