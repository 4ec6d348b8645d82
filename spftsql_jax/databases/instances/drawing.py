"""Drawing the rows of an instance anew from those of the original."""

from __future__ import annotations

import dataclasses
import random

from spftsql_jax.databases.instances import made_values, typed_cells
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

# Rows written of a table at most: instances of large databases are small.
MAX_ROWS = 1_500
# Rows made up for a table that is empty in the original.
_INVENTED_ROWS = 12


@dataclasses.dataclass(frozen=True)
class Changes:
  """How much the rows of an instance differ from the original's.

  Attributes:
    size: number of rows, as a share of the original's.
    swap: share of cells that take another row's value.
    jitter: share of cells that take a value nearby.
    null: share of cells that are emptied where they may be.
    repeat: twice the share of rows that are there twice.
    rewire: share of references that go elsewhere.
    narrow: share of columns that keep two values at most.
  """

  size: float
  swap: float
  jitter: float
  null: float
  repeat: float
  rewire: float
  narrow: float


def draw_rows(
  schema: Schema, stored: dict[str, list[list]], changes: Changes, rng: random.Random
) -> dict[str, list[list]]:
  """The rows of every table of an instance.

  Args:
    schema: of the database.
    stored: the original's rows by table.
    changes: how much is changed.
    rng: of the draws.
  """
  return _Drawing(schema, stored, changes, rng).make()


class _Drawing:
  """Draws the rows of one instance, tables that others refer to first."""

  def __init__(
    self, schema: Schema, stored: dict[str, list[list]], changes: Changes, rng: random.Random
  ):
    self._schema = schema
    self._stored = stored
    self._changes = changes
    self._rng = rng
    self._rows: dict[str, list[list]] = {}

  def make(self) -> dict[str, list[list]]:
    """The rows of every table."""
    late: list[tuple[Table, ForeignKey]] = []
    for table in _parents_first(self._schema):
      self._rows[table.name] = self._draw_table(table, late)
    for table, key in late:
      self._rewire(table, self._rows[table.name], key, share=1.0)
    return self._rows

  def _draw_table(self, table: Table, late: list[tuple[Table, ForeignKey]]) -> list[list]:
    rng, changes = self._rng, self._changes
    stored = self._stored[table.name] or self._invent(table)
    limit = min(MAX_ROWS, max(3, round(len(stored) * changes.size)))
    if changes.size >= 1.0 and len(stored) <= MAX_ROWS:
      rows = [list(row) for row in stored if rng.random() > 0.1]
    else:
      rows = [list(row) for row in rng.sample(stored, min(limit, len(stored)))]
    target = max(1, min(MAX_ROWS, round(max(len(rows), limit) * (1 + changes.repeat / 2))))
    for _ in range(max(0, target - len(rows))):
      rows.append(list(rng.choice(rows or stored)))
    positions = {column.name: i for i, column in enumerate(table.columns)}
    key_columns = {name for key in table.foreign_keys for name in key.columns}
    fixed = (
      set(table.primary_key) | {name for columns in table.unique for name in columns} | key_columns
    )
    for column in table.columns:
      if column.name not in fixed:
        self._change_column(
          rows, positions[column.name], column, [row[positions[column.name]] for row in stored]
        )
    for key in table.foreign_keys:
      if key.referred_table in self._rows and key.referred_table != table.name:
        self._rewire(table, rows, key, changes.rewire)
      else:
        late.append((table, key))
    return self._make_unique(table, rows, positions)

  def _change_column(self, rows: list[list], position: int, column: Column, pool: list) -> None:
    """Swaps, jitters and empties cells of a column that is no key."""
    rng, changes = self._rng, self._changes
    if rng.random() < changes.narrow:
      pool = rng.choices(pool, k=2)
      for row in rows:
        row[position] = rng.choice(pool)
    present = [value for value in pool if value is not None]
    for row in rows:
      dice = rng.random()
      if dice < changes.swap:
        row[position] = rng.choice(pool)
      elif dice < changes.swap + changes.jitter and row[position] is not None:
        row[position] = made_values.jitter(row[position], column, rng)
      if column.nullable and rng.random() < changes.null:
        row[position] = None
      elif not column.nullable and row[position] is None and present:
        row[position] = rng.choice(present)

  def _rewire(self, table: Table, rows: list[list], key: ForeignKey, share: float) -> None:
    """Lets the foreign key of each row refer to a row that is there; `share` of them to one drawn
    anew.
    """
    rng = self._rng
    own = [table.position(name) for name in key.columns]
    parent = self._schema.table(key.referred_table)
    theirs = [parent.position(name) for name in key.referred_columns]
    targets = [tuple(row[i] for i in theirs) for row in self._rows[parent.name]]
    targets = [target for target in targets if None not in target]
    known = {tuple(map(str, target)) for target in targets}
    columns = [table.columns[i] for i in own]
    in_primary_key = any(column.name in table.primary_key for column in columns)
    may_be_null = all(column.nullable for column in columns) and not in_primary_key
    # In a link table the keys are the primary key: what is there stays where it can.
    share = 0.0 if in_primary_key and share == 1.0 else share
    for row in rows:
      value = tuple(row[i] for i in own)
      if None in value and may_be_null and rng.random() < 0.7:
        continue
      if may_be_null and rng.random() < self._changes.null / 2:
        value = (None,) * len(own)
      elif targets and (rng.random() < share or tuple(map(str, value)) not in known):
        value = rng.choice(targets)
      elif not targets and may_be_null:
        value = (None,) * len(own)
      for i, part in zip(own, value, strict=True):
        row[i] = part

  def _make_unique(self, table: Table, rows: list[list], positions: dict[str, int]) -> list[list]:
    """Gives rows whose unique columns are taken a fresh value, or another link, or leaves them
    out.
    """
    kept = rows
    for columns in (table.primary_key, *table.unique):
      own = [positions[name] for name in columns if name in positions]
      if not own:
        continue
      free = [
        i
        for i in own
        if not any(table.columns[i].name in key.columns for key in table.foreign_keys)
      ]
      seen: set[tuple] = set()
      numbers = None
      if free:
        numbers = made_values.Fresh(
          (row[free[-1]] for row in self._stored[table.name] + kept), table.columns[free[-1]]
        )
      result = []
      for row in kept:
        value = tuple(row[i] for i in own)
        for _ in range(20):
          if value not in seen or None in value:
            break
          if numbers is not None:
            row[free[-1]] = numbers.next(row[free[-1]], table.columns[free[-1]])
          else:
            for key in table.foreign_keys:
              if set(key.columns) & set(columns):
                self._rewire_row(table, row, key)
          value = tuple(row[i] for i in own)
        if value not in seen or None in value:
          seen.add(value)
          result.append(row)
      kept = result
    return kept

  def _rewire_row(self, table: Table, row: list, key: ForeignKey) -> None:
    if self._rows.get(key.referred_table):
      target = self._rng.choice(self._rows[key.referred_table])
      parent = self._schema.table(key.referred_table)
      for name, referred in zip(key.columns, key.referred_columns, strict=True):
        row[table.position(name)] = target[parent.position(referred)]

  def _invent(self, table: Table) -> list[list]:
    """Rows for a table that is empty: small numbers, a few words and dates, so that joins and
    comparisons hit.
    """
    typed = self._schema.dialect != "sqlite"
    # Of what nothing is known (a list, a document) the simplest value.
    fillings = [
      typed_cells.filling(column.type, _INVENTED_ROWS) if typed and column.kind == "other" else None
      for column in table.columns
    ]
    return [
      [
        made_values.invent(column, i, self._rng) if filling is None else filling[i]
        for column, filling in zip(table.columns, fillings, strict=True)
      ]
      for i in range(_INVENTED_ROWS)
    ]


def _parents_first(schema: Schema) -> list[Table]:
  """The tables, each after those it refers to as far as that is possible."""
  tables = [table for table in schema.tables if not table.is_view]
  ordered: dict[str, Table] = {}
  while len(ordered) < len(tables):
    rest = [table for table in tables if table.name not in ordered]
    ready = [
      t
      for t in rest
      if all(k.referred_table in ordered or k.referred_table == t.name for k in t.foreign_keys)
    ]
    # A circle of references is cut at its first table.
    for table in ready or rest[:1]:
      ordered[table.name] = table
  return list(ordered.values())
