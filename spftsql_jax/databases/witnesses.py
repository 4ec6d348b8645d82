"""Rows planted for queries: those that meet all conditions of a SELECT, and those that miss just one.

In rows drawn at random two conditions seldom hold together, and a third is seldom missed by one. So for every SELECT groups of
rows (one row of each source, joined) are added: all conditions hold; all but one; the shown values once more in other rows;
ties and extremes in what is ranked; groups as large as HAVING asks and one more and less; NULLs; and rows without a partner.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from spftsql_jax.databases import cells, literals
from spftsql_jax.databases.schema import ForeignKey, Schema, Table
from spftsql_jax.databases.selections import Cell, Condition, Selection

# Selections served in one instance; of more, a sample.
MAX_SELECTIONS = 150
_MAX_CONDITIONS = 5
_LARGE_GROUP = 30


class Planter:
  """Adds rows to the tables of one instance.

  Args:
    schema: of the database.
    rows: the rows of each table, which grow.
    rng: of the draws.
    orphans: whether rows may be made that refer to nothing.
    nulls: whether NULLs may be made.

  Keys stay unique, and references valid in `rows`. `late` holds rows that refer to nothing, and rows that go with them.
  """

  def __init__(self, schema: Schema, rows: dict[str, list[list]], rng: random.Random, orphans: bool, nulls: bool):
    self._schema = schema
    self._rows = rows
    self._rng = rng
    self._with_orphans = orphans
    self._with_nulls = nulls
    self.late: dict[str, list[list]] = {}
    self._keys: dict[str, list[tuple[tuple[int, ...], dict[tuple, list]]]] = {}
    self._referred: dict[tuple[str, tuple[str, ...]], set[tuple]] = {}
    self._fresh: dict[tuple[str, int], cells.Fresh] = {}
    self._extremes: dict[tuple[str, int, bool], object] = {}

  def plant(self, selections: Sequence[Selection]) -> None:
    """Adds the rows for the selections."""
    if len(selections) > MAX_SELECTIONS:
      selections = self._rng.sample(selections, MAX_SELECTIONS)
    for selection in selections:
      if all(self._rows.get(table.name) for table in selection.tables):
        _Grower(self, selection, self._rng).grow()

  def random_row(self, table: Table) -> list:
    """A copy of a row that is there."""
    return list(self._rng.choice(self._rows[table.name]))

  def may_be_null(self, table: Table, position: int) -> bool:
    """Whether a cell may be emptied."""
    column = table.columns[position]
    return self._with_nulls and column.nullable and column.name not in table.primary_key

  def is_key(self, table: Table, position: int) -> bool:
    """Whether the column alone identifies a row."""
    return any(positions == (position,) for positions, _ in self._keys_of(table))

  def in_key(self, table: Table, position: int) -> bool:
    """Whether the column is part of a unique key or of a reference."""
    name = table.columns[position].name
    return any(position in own for own, _ in self._keys_of(table)) or any(name in key.columns for key in table.foreign_keys)

  def fresh(self, places: Sequence[tuple[Table, int]]) -> object:
    """A value that none of these columns holds yet."""
    counters = []
    for table, position in places:
      if (table.name, position) not in self._fresh:
        self._fresh[table.name, position] = cells.Fresh(row[position] for row in self._rows[table.name])
      counters.append(self._fresh[table.name, position])
    table, position = places[0]
    counters[0].number = max(counter.number for counter in counters)
    value = counters[0].next(self.random_row(table)[position], table.columns[position])
    for counter in counters:
      counter.number = counters[0].number
    return value

  def extreme(self, table: Table, position: int) -> object:
    """A value beyond those of the column, or None."""
    above = self._rng.random() < 0.6
    place = table.name, position, above
    known = [self._extremes[place]] if place in self._extremes else [row[position] for row in self._rows[table.name]]
    self._extremes[place] = cells.beyond(known, above)
    return self._extremes[place]

  def add(self, table: Table, row: list, decided: Collection[int], unmatched: Collection[int] = ()) -> list | None:
    """Adds `row`; columns that are not `decided` may change to keep keys unique. What it refers to is added where it is
    missing, but for the `unmatched` columns.

    Returns:
      The row as it stands in the table: the one that is there already where `decided` columns are a key that is taken (its
      other decided columns are then overwritten); None where no row could be added.
    """
    for positions, taken in self._keys_of(table):
      for _ in range(8):
        value = tuple(row[i] for i in positions)
        if value not in taken and None not in value:
          break
        free = [i for i in positions if i not in decided]
        if not free:
          return self._overwrite(table, row, decided, taken[value]) if value in taken else None
        self._change_key(table, row, free)
      else:
        return None
    for key in table.foreign_keys:
      if self._is_met(table, row, key):
        continue
      if any(self._position(table, name) in unmatched for name in key.columns):
        if not self._with_orphans:
          return None
      elif not self._add_parent(table, row, key):
        return None
    rows = self.late if unmatched and self._with_orphans else self._rows
    rows.setdefault(table.name, []).append(row)
    self._register(table, row)
    return row

  def _register(self, table: Table, row: list) -> None:
    for positions, taken in self._keys_of(table):
      taken[tuple(row[i] for i in positions)] = row
    for (name, columns), known in self._referred.items():
      if name == table.name:
        known.add(tuple(str(row[self._position(table, column)]) for column in columns))

  def _overwrite(self, table: Table, row: list, decided: Collection[int], there: list) -> list:
    for i in decided:
      if not self.in_key(table, i):
        there[i] = row[i]
    return there

  def _change_key(self, table: Table, row: list, free: list[int]) -> None:
    own = [i for i in free if not any(table.columns[i].name in key.columns for key in table.foreign_keys)]
    if own:
      row[own[-1]] = self.fresh([(table, own[-1])])
      return
    position = self._rng.choice(free)
    for key in table.foreign_keys:
      if table.columns[position].name in key.columns and self._rows.get(key.referred_table):
        parent = self._schema.table(key.referred_table)
        target = self.random_row(parent)
        for name, referred in zip(key.columns, key.referred_columns, strict=True):
          row[self._position(table, name)] = target[self._position(parent, referred)]

  def _add_parent(self, table: Table, row: list, key: ForeignKey) -> bool:
    """Adds the row that `row` refers to; where its column cannot take it, the reference changes instead."""
    parent = self._schema.table(key.referred_table)
    if parent.name == table.name or not self._rows.get(parent.name):
      return False
    made = self.random_row(parent)
    decided = []
    for name, referred in zip(key.columns, key.referred_columns, strict=True):
      decided.append(self._position(parent, referred))
      made[decided[-1]] = row[self._position(table, name)]
    return self.add(parent, made, decided) is not None

  def _is_met(self, table: Table, row: list, key: ForeignKey) -> bool:
    value = tuple(row[self._position(table, name)] for name in key.columns)
    return None in value or tuple(map(str, value)) in self._known(key)

  def _known(self, key: ForeignKey) -> set[tuple]:
    place = key.referred_table, key.referred_columns
    if place not in self._referred:
      parent = self._schema.table(key.referred_table)
      positions = [self._position(parent, name) for name in key.referred_columns]
      self._referred[place] = {tuple(str(row[i]) for i in positions) for row in self._rows[parent.name]}
    return self._referred[place]

  def _keys_of(self, table: Table) -> list[tuple[tuple[int, ...], dict[tuple, list]]]:
    if table.name not in self._keys:
      sets = [
        tuple(self._position(table, name) for name in columns) for columns in (table.primary_key, *table.unique) if columns
      ]
      self._keys[table.name] = [(own, {tuple(row[i] for i in own): row for row in self._rows[table.name]}) for own in sets]
    return self._keys[table.name]

  @staticmethod
  def _position(table: Table, name: str) -> int:
    return next(i for i, column in enumerate(table.columns) if column.name == name)


class _Grower:
  """Plants the rows of one selection."""

  def __init__(self, planter: Planter, selection: Selection, rng: random.Random):
    self._planter = planter
    self._selection = selection
    self._rng = rng
    self._classes = _equal_cells(selection.joins)
    self._conditions: dict[Cell, list[int]] = {}
    for i, condition in enumerate(selection.conditions):
      self._conditions.setdefault(condition.cell, []).append(i)

  def grow(self) -> None:
    """Adds the groups of rows, each kind once or twice."""
    selection, rng = self._selection, self._rng
    base = self._group()
    if base is None:
      return
    count = len(selection.conditions)
    for i in rng.sample(range(count), min(_MAX_CONDITIONS, count)):
      self._group(broken=(i,), ranked=rng.random() < 0.5)
    if count > 2:
      self._group(broken=rng.sample(range(count), rng.randint(1, count)))
    self._group(fixed=self._values_of(selection.shown, base))
    self._group(fixed=self._values_of(selection.ranked, base))
    if selection.ranked:
      self._group(ranked=True)
    self._grow_groups(base)
    nullable = [c for c in dict.fromkeys(selection.shown + selection.ranked) if self._may_be_null(c)]
    if nullable:
      for _ in range(rng.choice((1, 1, 3))):
        self._group(fixed={rng.choice(nullable): None})
    if len(selection.tables) > 1:
      for source in range(len(selection.tables)):
        self._leave_alone(source)

  def _grow_groups(self, base: Mapping[int, list]) -> None:
    """Groups of joined rows as large as the query counts, and one more and one less."""
    selection, rng = self._selection, self._rng
    sizes = [size + more for size in selection.group_sizes for more in (-1, 0, 1)] or [rng.choice((2, 3, 4))]
    if selection.group_sizes or len(selection.tables) > 1 or selection.grouped:
      for size in sizes:
        if size > _LARGE_GROUP and rng.random() < 0.7:
          continue
        first = self._group() if selection.group_sizes else base
        many = rng.randrange(len(selection.tables))
        if first is None:
          continue
        fixed = self._values_of([cell for cell in selection.grouped if cell[0] == many], first)
        kept = {source: row for source, row in first.items() if source != many}
        for _ in range(size - 1):
          self._group(fixed=fixed, kept=kept)

  def _leave_alone(self, omitted: int) -> None:
    """A joined group without the row of one source, at times several."""
    alone = self._group(omitted=omitted)
    if alone is None:
      return
    shared = [cell for equal in self._classes if any(source == omitted for source, _ in equal) for cell in equal]
    values = self._values_of(shared, alone, keys=True)
    tables = self._selection.tables
    kept = {source: alone[source] for source, i in shared if source in alone and self._planter.is_key(tables[source], i)}
    if len(kept) < len(alone):
      for _ in range(self._rng.choice((0, 0, 2, 6, 25))):
        self._group(omitted=omitted, fixed=values, kept=kept)

  def _values_of(self, wanted: Sequence[Cell], rows: Mapping[int, list], keys: bool = False) -> dict[Cell, object]:
    """The values of cells in a group; those of unique keys only with `keys`, since no other row can have them."""
    tables = self._selection.tables
    return {
      (source, position): rows[source][position]
      for source, position in wanted
      if source in rows and (keys or not self._planter.is_key(tables[source], position))
    }

  def _may_be_null(self, cell: Cell) -> bool:
    return self._planter.may_be_null(self._selection.tables[cell[0]], cell[1])

  def _group(
    self,
    broken: Collection[int] = (),
    fixed: Mapping[Cell, object] | None = None,
    kept: Mapping[int, list] | None = None,
    omitted: int | None = None,
    ranked: bool = False,
  ) -> dict[int, list] | None:
    """Adds one joined group of rows.

    Args:
      broken: numbers of the conditions that shall not hold.
      fixed: cells whose values are given.
      kept: rows, by source, that are there and stay.
      omitted: a source without a row; the rows that would join it find no partner.
      ranked: whether ranked cells lie beyond all others.

    Returns:
      The rows by source, or None where a row could not be added.
    """
    planter, tables, kept = self._planter, self._selection.tables, kept or {}
    values: dict[Cell, object] = dict(fixed or {})
    for source, row in kept.items():
      values.update({(source, i): value for i, value in enumerate(row)})
    for equal in self._classes:
      value = self._class_value(equal, values, broken, omitted)
      values.update(dict.fromkeys(equal, value))
    if ranked:
      for cell in self._selection.ranked:
        if cell not in values and (value := planter.extreme(tables[cell[0]], cell[1])) is not None:
          values[cell] = value
    for cell in self._conditions:
      if cell not in values:
        values[cell] = self._choose(cell, broken)
    unmatched = [cell for equal in self._classes if any(source == omitted for source, _ in equal) for cell in equal]
    group: dict[int, list] = {}
    for source in self._parents_first():
      if source == omitted:
        continue
      if source in kept:
        group[source] = kept[source]
        continue
      table = tables[source]
      decided = {position: value for (s, position), value in values.items() if s == source}
      row = planter.random_row(table)
      for position, value in decided.items():
        row[position] = value
      added = planter.add(table, row, decided, [i for s, i in unmatched if s == source])
      if added is None:
        return None
      group[source] = added
    return group

  def _class_value(self, equal: tuple[Cell, ...], values: Mapping[Cell, object], broken: Collection[int], omitted: int | None):
    """One value for cells that a join sets equal."""
    tables = self._selection.tables
    for cell in equal:
      if cell in values:
        return values[cell]
    if any(source == omitted for source, _ in equal):
      # No row of the omitted source has it.
      return self._planter.fresh([(tables[source], position) for source, position in equal])
    for cell in equal:
      if cell in self._conditions:
        return self._choose(cell, broken)
    keys = [(tables[source], position) for source, position in equal if self._planter.is_key(tables[source], position)]
    if keys:
      return self._planter.fresh(keys + [(tables[s], p) for s, p in equal if (tables[s], p) not in keys])
    source, position = equal[0]
    return self._planter.random_row(tables[source])[position]

  def _choose(self, cell: Cell, broken: Collection[int]) -> object:
    """A value that meets the conditions on the cell, but for the broken ones, as far as one can be found."""
    table, rng = self._selection.tables[cell[0]], self._rng
    column = table.columns[cell[1]]
    mine: list[tuple[Condition, bool]] = [(self._selection.conditions[i], i not in broken) for i in self._conditions[cell]]
    candidates = [self._planter.random_row(table)[cell[1]] for _ in range(3)]
    for condition, _ in mine:
      for literal in condition.values:
        candidates += literals.beside(literal, column.kind, condition.operator == "like")
    if self._may_be_null(cell) and (any(c.operator == "null" for c, _ in mine) or (broken and rng.random() < 0.2)):
      candidates.append(None)
    candidates = [value for value in candidates if value is not None or self._may_be_null(cell)] or candidates
    scores = [sum(literals.holds(c.operator, c.values, value) == met for c, met in mine) for value in candidates]
    best = [value for value, score in zip(candidates, scores, strict=True) if score == max(scores)]
    # The first that fits is the literal itself or next to it.
    return rng.choice(best)

  def _parents_first(self) -> list[int]:
    tables = self._selection.tables
    names = [table.name for table in tables]
    return sorted(range(len(tables)), key=lambda s: sum(key.referred_table in names for key in tables[s].foreign_keys))


def _equal_cells(joins: Sequence[tuple[Cell, Cell]]) -> list[tuple[Cell, ...]]:
  """The cells that joins set equal, directly or through others."""
  classes: list[list[Cell]] = []
  for pair in joins:
    touched = [group for group in classes if any(cell in group for cell in pair)]
    merged = list(dict.fromkeys([cell for group in touched for cell in group] + list(pair)))
    classes = [group for group in classes if group not in touched] + [merged]
  return [tuple(group) for group in classes]
