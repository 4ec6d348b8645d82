"""The rows of an instance while rows are added: keys stay unique, and references valid."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from spftsql_jax.databases.instances import made_values
from spftsql_jax.schema import ForeignKey, Schema, Table


class InstanceRows:
  """Adds rows to the tables of one instance.

  Args:
    schema: of the database.
    rows: the rows of each table, which grow.
    rng: of the draws.
    orphans: whether rows may be added that refer to nothing.

  Attributes:
    late: rows that refer to nothing, and rows that go with them; `rows` holds none.
    types_are_kept: a column holds values of its declared type only.
  """

  def __init__(
    self, schema: Schema, rows: dict[str, list[list]], rng: random.Random, orphans: bool
  ):
    self._schema = schema
    self.types_are_kept = schema.dialect != "sqlite"
    self._rows = rows
    self._rng = rng
    self._orphans = orphans
    self.late: dict[str, list[list]] = {}
    self._keys: dict[str, list[tuple[tuple[int, ...], dict[tuple, list]]]] = {}
    self._referred: dict[tuple[str, tuple[str, ...]], set[tuple]] = {}
    self._fresh: dict[tuple[str, int], made_values.Fresh] = {}
    self._extremes: dict[tuple[str, int, bool], object] = {}

  def has(self, table: Table) -> bool:
    """Whether the table has rows."""
    return bool(self._rows.get(table.name))

  def all_rows(self, table: Table) -> list[list]:
    """The rows themselves, late ones too."""
    return self._rows[table.name] + self.late.get(table.name, [])

  def empty(self, table: Table) -> None:
    """Takes all rows of the table away, and those of the tables that refer to it."""
    self._rows[table.name] = []
    self.late.pop(table.name, None)
    for other in self._schema.tables:
      if self.has(other) and any(key.referred_table == table.name for key in other.foreign_keys):
        self.empty(other)

  def random_row(self, table: Table) -> list:
    """A copy of a row that is there."""
    return list(self._rng.choice(self._rows[table.name]))

  def is_key(self, table: Table, position: int) -> bool:
    """Whether the column alone identifies a row."""
    return any(positions == (position,) for positions, _ in self._keys_of(table))

  def in_key(self, table: Table, position: int) -> bool:
    """Whether the column is part of a unique key."""
    return any(position in own for own, _ in self._keys_of(table))

  def is_free(self, table: Table, position: int) -> bool:
    """Whether the column is part of neither a unique key nor a reference."""
    name = table.columns[position].name
    return not self.in_key(table, position) and not any(
      name in key.columns for key in table.foreign_keys
    )

  def fresh(self, places: Sequence[tuple[Table, int]]) -> object:
    """A value that none of these columns holds yet."""
    counters = []
    for table, position in places:
      if (table.name, position) not in self._fresh:
        stored = (row[position] for row in self._rows[table.name])
        self._fresh[table.name, position] = made_values.Fresh(stored, table.columns[position])
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
    known = (
      [self._extremes[place]]
      if place in self._extremes
      else [row[position] for row in self._rows[table.name]]
    )
    self._extremes[place] = made_values.beyond(known, table.columns[position], above)
    return self._extremes[place]

  def add(
    self, table: Table, row: list, decided: Collection[int], unmatched: Collection[int] = ()
  ) -> list | None:
    """Adds `row`; columns that are not `decided` may change to keep keys unique. What it refers to
    is added where it is missing, but for the `unmatched` columns.

    Returns:
      The row as it stands in the table: the one that is there already where its `decided` columns
      are a key that is taken (its other decided columns are then overwritten); None where no row
      could be added.
    """
    for positions, taken in self._keys_of(table):
      for attempt in range(8):
        value = tuple(row[i] for i in positions)
        if value not in taken and None not in value:
          break
        free = [i for i in positions if i not in decided]
        if not free:
          return self._overwrite(table, row, decided, taken[value]) if value in taken else None
        self._change_key(table, row, free, new_parent=attempt > 3)
      else:
        return None
    for key in table.foreign_keys:
      if self._is_met(table, row, key):
        continue
      if any(table.position(name) in unmatched for name in key.columns):
        if not self._orphans:
          return None
      elif not self._add_parent(table, row, key):
        return None
    rows = self.late if unmatched and self._orphans else self._rows
    rows.setdefault(table.name, []).append(row)
    self._register(table, row)
    return row

  def _register(self, table: Table, row: list) -> None:
    for positions, taken in self._keys_of(table):
      taken[tuple(row[i] for i in positions)] = row
    for (name, columns), known in self._referred.items():
      if name == table.name:
        known.add(tuple(str(row[table.position(column)]) for column in columns))

  def _overwrite(self, table: Table, row: list, decided: Collection[int], there: list) -> list:
    for i in decided:
      if self.is_free(table, i):
        there[i] = row[i]
    return there

  def _change_key(self, table: Table, row: list, free: list[int], new_parent: bool) -> None:
    """Gives a column of a key another value; one that refers to another table refers to another
    row, or to a `new_parent`.
    """
    own = [
      i for i in free if not any(table.columns[i].name in key.columns for key in table.foreign_keys)
    ]
    if own:
      row[own[-1]] = self.fresh([(table, own[-1])])
      return
    position = self._rng.choice(free)
    for key in table.foreign_keys:
      if table.columns[position].name not in key.columns or not self._rows.get(key.referred_table):
        continue
      parent = self._schema.table(key.referred_table)
      target = self.random_row(parent)
      if new_parent:
        first = parent.position(key.referred_columns[0])
        target[first] = self.fresh([(parent, first), (table, table.position(key.columns[0]))])
      for name, referred in zip(key.columns, key.referred_columns, strict=True):
        row[table.position(name)] = target[parent.position(referred)]

  def _add_parent(self, table: Table, row: list, key: ForeignKey) -> bool:
    """Adds the row that `row` refers to; where its column cannot take it, the reference changes
    instead.
    """
    parent = self._schema.table(key.referred_table)
    if parent.name == table.name or not self._rows.get(parent.name):
      return False
    made = self.random_row(parent)
    decided = []
    for name, referred in zip(key.columns, key.referred_columns, strict=True):
      decided.append(parent.position(referred))
      made[decided[-1]] = row[table.position(name)]
    return self.add(parent, made, decided) is not None

  def _is_met(self, table: Table, row: list, key: ForeignKey) -> bool:
    value = tuple(row[table.position(name)] for name in key.columns)
    return None in value or tuple(map(str, value)) in self._known(key)

  def _known(self, key: ForeignKey) -> set[tuple]:
    place = key.referred_table, key.referred_columns
    if place not in self._referred:
      parent = self._schema.table(key.referred_table)
      positions = [parent.position(name) for name in key.referred_columns]
      self._referred[place] = {
        tuple(str(row[i]) for i in positions) for row in self._rows[parent.name]
      }
    return self._referred[place]

  def _keys_of(self, table: Table) -> list[tuple[tuple[int, ...], dict[tuple, list]]]:
    if table.name not in self._keys:
      sets = [
        tuple(table.position(name) for name in columns)
        for columns in (table.primary_key, *table.unique)
        if columns
      ]
      self._keys[table.name] = [
        (own, {tuple(row[i] for i in own): row for row in self._rows[table.name]}) for own in sets
      ]
    return self._keys[table.name]
