"""Rows planted for queries: those that meet all conditions of a SELECT, and those that miss just
one.

In rows drawn at random two conditions seldom hold together, and a third is seldom missed by one. So
for every SELECT groups of rows (one row of each source, joined) are added: all conditions hold; all
but one; the shown values once more in other rows; ties and extremes in what is ranked; groups as
large as HAVING asks and one more and less; NULLs; and rows without a partner. At last whole columns
and tables may be spoiled: mostly NULL, one value throughout, or no row at all.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from spftsql_jax.databases.instances import literals, typed_cells
from spftsql_jax.databases.instances.instance_rows import InstanceRows
from spftsql_jax.databases.instances.selections import Cell, Condition, Selection

# Selections served in one instance; of more, a sample.
MAX_SELECTIONS = 150
_MAX_CONDITIONS = 5
_LARGE_GROUP = 30
_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class Planting:
  """How rows are planted in one instance.

  Attributes:
    nulls: whether NULLs may be made.
    orphans: whether rows may be made that refer to nothing.
    null_columns: whether every other column grouped by (and some of those shown) become NULL in
      most rows, where they may.
    constant_columns: whether every other column compared with a nested query gets one value
      throughout.
    empty_tables: whether every other table of those joined that refer to others loses all rows.
    turn: an odd turn spoils what an even one spares.
  """

  nulls: bool = False
  orphans: bool = False
  null_columns: bool = False
  constant_columns: bool = False
  empty_tables: bool = False
  turn: int = 0


def plant(
  selections: Sequence[Selection], rows: InstanceRows, planting: Planting, rng: random.Random
) -> None:
  """Adds rows for the selections."""
  selections = [selection for selection in selections if all(map(rows.has, selection.tables))]
  chosen = rng.sample(selections, min(MAX_SELECTIONS, len(selections)))
  # Groups of a certain size last, before other rows are copied into them.
  planters = [
    _Planter(selection, rows, planting, rng)
    for selection in sorted(chosen, key=lambda s: bool(s.group_sizes))
  ]
  for planter in planters:
    planter.plant_all()
  for planter in planters:
    planter.plant_null_on_one_side()
  _spoil(selections, rows, planting, rng)


def _spoil(
  selections: Sequence[Selection], rows: InstanceRows, planting: Planting, rng: random.Random
) -> None:
  """Floods columns with NULL, flattens columns, and empties tables."""

  def every_other(wanted: Iterable[_Item]) -> list[_Item]:
    return list(dict.fromkeys(wanted))[planting.turn % 2 :: 2]

  if planting.null_columns:
    grouped = every_other((s.tables[source], i) for s in selections for source, i in s.grouped)
    shown = dict.fromkeys((s.tables[source], i) for s in selections for source, i in s.shown)
    for table, position in grouped + [place for place in shown if rng.random() < 0.15]:
      if table.columns[position].nullable and not rows.in_key(table, position):
        for row in rows.all_rows(table):
          if rng.random() < 0.7:
            row[position] = None
  if planting.constant_columns:
    for table, position in every_other(
      (s.tables[source], i) for s in selections for source, i in s.compared
    ):
      value = rows.random_row(table)[position]
      for row in rows.all_rows(table) if rows.is_free(table, position) else ():
        row[position] = value
  if planting.empty_tables:
    for table in every_other(
      table for s in selections if s.joins for table in s.tables if table.foreign_keys
    ):
      rows.empty(table)


class _Planter:
  """Plants the rows of one selection."""

  def __init__(
    self, selection: Selection, rows: InstanceRows, planting: Planting, rng: random.Random
  ):
    self._selection = selection
    self._rows = rows
    self._planting = planting
    self._rng = rng
    self._classes = _equal_cells(selection.joins)
    self._conditions: dict[Cell, list[int]] = {}
    for i, condition in enumerate(selection.conditions):
      self._conditions.setdefault(condition.cell, []).append(i)

  def plant_all(self) -> None:
    """Adds the groups of rows, each kind once or twice."""
    selection, rng = self._selection, self._rng
    base = self._group(fresh=True)
    if base is None:
      return
    count = len(selection.conditions)
    if selection.ranked:
      self._group(ranked=True)
    for i in rng.sample(range(count), min(_MAX_CONDITIONS, count)):
      self._group(broken=self._conditions[selection.conditions[i].cell], fresh=True)
      for _ in range(2 if selection.ranked else 1):
        self._group(broken=(i,), ranked=True, fresh=rng.random() < 0.5)
      self._group(fresh=True)
    if count > 2:
      self._group(broken=rng.sample(range(count), rng.randint(1, count)))
    self._group(fixed=self._values_of(selection.shown, base))
    self._group(fixed=self._values_of(selection.ranked, base))
    self._plant_groups(base)
    nullable = [
      c for c in dict.fromkeys(selection.shown + selection.ranked) if self._may_be_null(c)
    ]
    if nullable and rng.random() < 0.6:
      # Twice, since NULLs in a unique column are the repeats that it allows.
      fixed = self._values_of(selection.shown, base) | {rng.choice(nullable): None}
      for _ in range(2):
        self._group(fixed=fixed)
    if len(selection.tables) > 1:
      for source in range(len(selection.tables)):
        self._leave_alone(source)

  def plant_null_on_one_side(self) -> None:
    """Among rows that refer to nothing: a NULL that only one side of a set operation shows."""
    if (
      self._planting.orphans
      and not self._planting.nulls
      and self._selection.side == 1 + self._planting.turn % 2
    ):
      for source, position in self._selection.shown:
        column = self._selection.tables[source].columns[position]
        if column.nullable and not self._rows.in_key(self._selection.tables[source], position):
          self._group(fixed={(source, position): None})

  def _plant_groups(self, base: Mapping[int, list]) -> None:
    """Groups of joined rows as large as the query counts, and one more and one less."""
    selection, rng = self._selection, self._rng
    if not selection.group_sizes and not selection.grouped and len(selection.tables) < 2:
      return
    tables, count = selection.tables, len(selection.conditions)
    joined = [cell for equal in self._classes for cell in equal]
    keyed = {source for source, i in joined if self._rows.is_key(tables[source], i)}
    for size in [size + more for size in selection.group_sizes for more in (-1, 0, 1)] or [
      rng.choice((2, 3, 4, 8))
    ]:
      if size > _LARGE_GROUP and rng.random() < 0.5:
        continue
      first = self._group(fresh=True) if selection.group_sizes else base
      if first is None:
        continue
      many = rng.choice(
        [source for source in range(len(tables)) if source not in keyed] or range(len(tables))
      )
      fixed = self._values_of([cell for cell in selection.grouped if cell[0] == many], first)
      kept = {source: row for source, row in first.items() if source != many}
      broken = (
        (rng.randrange(count),)
        if count and not selection.group_sizes and rng.random() < 0.5
        else ()
      )
      for _ in range(size - 1):
        self._group(fixed=fixed, kept=kept, broken=broken)

  def _leave_alone(self, omitted: int) -> None:
    """A joined group without the row of one source, at times several."""
    alone = self._group(omitted=omitted, ranked=self._rng.random() < 0.5)
    if alone is None:
      return
    shared = [
      cell
      for equal in self._classes
      if any(source == omitted for source, _ in equal)
      for cell in equal
    ]
    values = self._values_of(shared, alone, keys=True)
    tables = self._selection.tables
    kept = {
      source: alone[source]
      for source, i in shared
      if source in alone and self._rows.is_key(tables[source], i)
    }
    if len(kept) < len(alone):
      for _ in range(self._rng.choice((0, 0, 2, 6, 25))):
        self._group(omitted=omitted, fixed=values, kept=kept)

  def _values_of(
    self, wanted: Sequence[Cell], rows: Mapping[int, list], keys: bool = False
  ) -> dict[Cell, object]:
    """The values of cells in a group; those of unique keys only with `keys`, since no other row can
    have them.
    """
    tables = self._selection.tables
    return {
      (source, position): rows[source][position]
      for source, position in wanted
      if source in rows and (keys or not self._rows.is_key(tables[source], position))
    }

  def _can_be_fresh(self, cell: Cell) -> bool:
    table, position = self._selection.tables[cell[0]], cell[1]
    return table.columns[position].kind in ("number", "text", "date") and not self._rows.in_key(
      table, position
    )

  def _may_be_null(self, cell: Cell) -> bool:
    table = self._selection.tables[cell[0]]
    column = table.columns[cell[1]]
    return self._planting.nulls and column.nullable and column.name not in table.primary_key

  def _group(
    self,
    broken: Collection[int] = (),
    fixed: Mapping[Cell, object] | None = None,
    kept: Mapping[int, list] | None = None,
    omitted: int | None = None,
    ranked: bool = False,
    fresh: bool = False,
  ) -> dict[int, list] | None:
    """Adds one joined group of rows.

    Args:
      broken: numbers of the conditions that shall not hold.
      fixed: cells whose values are given.
      kept: rows, by source, that are there and stay.
      omitted: a source without a row; the rows that would join it find no partner.
      ranked: whether ranked cells lie beyond all others.
      fresh: whether shown cells hold values that no other row has, so that DISTINCT or a set
        operation cannot hide the group.

    Returns:
      The rows by source, or None where a row could not be added.
    """
    tables, kept = self._selection.tables, kept or {}
    values: dict[Cell, object] = dict(fixed or {})
    for source, row in kept.items():
      values.update({(source, i): value for i, value in enumerate(row)})
    for equal in self._classes:
      value = self._class_value(equal, values, broken, omitted, fresh)
      values.update(dict.fromkeys(equal, value))
    if ranked:
      for cell in self._selection.ranked:
        if (
          cell not in values and (value := self._rows.extreme(tables[cell[0]], cell[1])) is not None
        ):
          values[cell] = value
    for cell in self._conditions:
      if cell not in values:
        values[cell] = self._choose(cell, broken)
    for cell in self._selection.shown if fresh else ():
      if cell not in values and self._can_be_fresh(cell):
        values[cell] = self._rows.fresh([(tables[cell[0]], cell[1])])
    unmatched = [
      cell
      for equal in self._classes
      if any(source == omitted for source, _ in equal)
      for cell in equal
    ]
    group: dict[int, list] = {}
    for source in self._parents_first():
      if source == omitted:
        continue
      if source in kept:
        group[source] = kept[source]
        continue
      table = tables[source]
      decided = {position: value for (s, position), value in values.items() if s == source}
      row = self._rows.random_row(table)
      for position, value in decided.items():
        row[position] = value
      added = self._rows.add(table, row, decided, [i for s, i in unmatched if s == source])
      if added is None:
        return None
      group[source] = added
    return group

  def _class_value(
    self,
    equal: tuple[Cell, ...],
    values: Mapping[Cell, object],
    broken: Collection[int],
    omitted: int | None,
    fresh: bool,
  ) -> object:
    """One value for cells that a join sets equal."""
    tables = self._selection.tables
    for cell in equal:
      if cell in values:
        return values[cell]
    if any(source == omitted for source, _ in equal):
      # No row of the omitted source has it.
      return self._rows.fresh([(tables[source], position) for source, position in equal])
    for cell in equal:
      if cell in self._conditions:
        return self._choose(cell, broken)
    keys = [
      (tables[source], position)
      for source, position in equal
      if self._rows.is_key(tables[source], position)
    ]
    if keys:
      return self._rows.fresh(
        keys + [(tables[s], p) for s, p in equal if (tables[s], p) not in keys]
      )
    if fresh and all(map(self._can_be_fresh, equal)):
      return self._rows.fresh([(tables[source], position) for source, position in equal])
    source, position = equal[0]
    return self._rows.random_row(tables[source])[position]

  def _choose(self, cell: Cell, broken: Collection[int]) -> object:
    """A value that meets the conditions on the cell, but for the broken ones, as far as one can be
    found.
    """
    table, rng = self._selection.tables[cell[0]], self._rng
    column = table.columns[cell[1]]
    mine: list[tuple[Condition, bool]] = [
      (self._selection.conditions[i], i not in broken) for i in self._conditions[cell]
    ]
    candidates: list[object] = []
    for condition, _ in mine:
      for literal in condition.values:
        candidates += literals.beside(literal, column, condition.operator == "like")
    if self._rows.types_are_kept:
      candidates = typed_cells.first_that_fits(candidates, column)
    candidates += [self._rows.random_row(table)[cell[1]] for _ in range(3)]
    if self._may_be_null(cell) and (
      any(c.operator == "null" for c, _ in mine) or (broken and rng.random() < 0.2)
    ):
      candidates.append(None)
    candidates = [
      value for value in candidates if value is not None or self._may_be_null(cell)
    ] or candidates
    scores = [
      sum(literals.holds(c.operator, c.values, value) == met for c, met in mine)
      for value in candidates
    ]
    best = [value for value, score in zip(candidates, scores, strict=True) if score == max(scores)]
    # The first that fits is the literal itself or next to it: the edge of the condition.
    return best[0] if rng.random() < 0.5 else rng.choice(best)

  def _parents_first(self) -> list[int]:
    tables = self._selection.tables
    names = [table.name for table in tables]
    return sorted(
      range(len(tables)),
      key=lambda s: sum(key.referred_table in names for key in tables[s].foreign_keys),
    )


def _equal_cells(joins: Sequence[tuple[Cell, Cell]]) -> list[tuple[Cell, ...]]:
  """The cells that joins set equal, directly or through others."""
  classes: list[list[Cell]] = []
  for pair in joins:
    touched = [group for group in classes if any(cell in group for cell in pair)]
    merged = list(dict.fromkeys([cell for group in touched for cell in group] + list(pair)))
    classes = [group for group in classes if group not in touched] + [merged]
  return [tuple(group) for group in classes]
