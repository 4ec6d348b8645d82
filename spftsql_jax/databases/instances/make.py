"""Neighbouring instances of a database: same schema, different rows.

Two queries can agree on one database by luck. On instances whose rows are drawn anew from the same
values (with duplicates, ties and NULLs, and for known queries with rows at and beside their
literals) a near-miss query gives itself away, while two equivalent queries still agree. After Zhong
et al. (2020), "Semantic Evaluation for Text-to-SQL with Distilled Test Suites", section 3, without
their distillation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import pathlib
import random
import sqlite3
from collections.abc import Iterable, Sequence

from spftsql_jax.databases.catalogs.sqlite import hidden_tables
from spftsql_jax.databases.engines import DatabaseError, is_readable, name_of, sqlite
from spftsql_jax.databases.instances import cells
from spftsql_jax.databases.instances.growing import GrowingRows
from spftsql_jax.databases.instances.selections import read_selections
from spftsql_jax.databases.instances.witnesses import Manner, plant
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Rows read of a table, and rows written at most: instances of large databases are small.
READ_ROWS = 20_000
MAX_ROWS = 1_500
# Rows made up for a table that is empty in the original.
_INVENTED_ROWS = 12


@dataclasses.dataclass(frozen=True)
class _Profile:
  """How one instance differs from the original.

  Attributes:
    size: number of rows, as a share of the original's.
    swap: share of cells that take another row's value.
    jitter: share of cells that take a value nearby.
    null: share of cells that are emptied where they may be.
    repeat: twice the share of rows that are there twice.
    rewire: share of references that go elsewhere.
    narrow: share of columns that keep two values at most.
    planted: how rows are planted for queries.
  """

  size: float
  swap: float
  jitter: float
  null: float
  repeat: float
  rewire: float
  narrow: float
  planted: Manner


# One after the other, so that a few instances already differ in kind: the original's own size and
# look; few rows with many ties and NULLs; many repeated rows and no NULL made, since a single one
# empties NOT IN; few rows, nearly all cells drawn anew; and one where some joins find no row at
# all.
_PROFILES = (
  _Profile(1.0, 0.25, 0.15, 0.04, repeat=0.1, rewire=0.2, narrow=0.0, planted=Manner(nulls=True)),
  _Profile(
    0.4,
    0.5,
    0.1,
    0.12,
    repeat=0.2,
    rewire=0.4,
    narrow=0.2,
    planted=Manner(nulls=True, orphans=True, flood=True, flat=True),
  ),
  _Profile(1.3, 0.3, 0.05, 0.0, repeat=0.5, rewire=0.3, narrow=0.0, planted=Manner()),
  _Profile(
    0.7, 0.9, 0.2, 0.0, repeat=0.0, rewire=0.8, narrow=0.1, planted=Manner(orphans=True, flat=True)
  ),
  _Profile(
    0.6,
    0.5,
    0.1,
    0.08,
    repeat=0.2,
    rewire=0.5,
    narrow=0.0,
    planted=Manner(nulls=True, flood=True, barren=True),
  ),
)


def make_instances(
  path: str | os.PathLike,
  output_dir: str | os.PathLike,
  count: int,
  seed: int,
  queries: Iterable[str] = (),
  orphans: bool = True,
  schema: Schema | None = None,
) -> list[pathlib.Path]:
  """Makes `count` neighbouring instances of an SQLite database.

  Declared types, NOT NULL and unique keys hold in every instance, foreign keys too (one that the
  original breaks may stay broken), with one exception: SQLite enforces no reference unless a
  connection asks for it, so some of the instances made for queries (the 2nd and 4th of every five)
  have rows that refer to nothing where a query joins. In the 5th of every five half of the tables
  that queries join are empty. The same arguments give the same rows.

  Args:
    path: the original, which is only read.
    output_dir: made if missing; gets `<db_id>_<i>.sqlite`, complete files only.
    count: number of instances.
    seed: of the random draws.
    queries: SQL that the instances shall test, say the gold queries: rows are planted that meet all
      its conditions, or all but one. What cannot be parsed is passed over.
    orphans: False keeps foreign keys valid for queries too.
    schema: the original's, where it is to hold keys that the database does not declare.

  Returns:
    The paths of the instances.

  Raises:
    DatabaseError: the original cannot be read, or an instance not written. OSError: the disk is
      full.
  """
  location = os.fspath(path)
  schema = schema or read_schema(location)
  connection = sqlite.connect(location)
  connection.text_factory = sqlite.lenient_text
  try:
    stored = {
      table.name: _read_rows(connection, table) for table in schema.tables if not table.is_view
    }
    definitions = connection.execute(
      "SELECT type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE "
      "'sqlite_%' "
      "ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, "
      "rowid"
    ).fetchall()
    # The tables behind a virtual table come with it; what could not be read is not made, nor what
    # belongs to it.
    absent = hidden_tables(connection) | _unread(definitions, schema)
    definitions = [entry for entry in definitions if entry[1] not in absent]
  finally:
    connection.close()
  selections = read_selections(queries, schema)
  os.makedirs(output_dir, exist_ok=True)
  paths = []
  for i in range(count):
    rng = random.Random(f"{seed}/{schema.name}/{i}")
    profile = _PROFILES[i % len(_PROFILES)]
    rows = _Instance(schema, stored, profile, rng).make()
    manner = dataclasses.replace(
      profile.planted, orphans=orphans and profile.planted.orphans, turn=i // len(_PROFILES)
    )
    growing = GrowingRows(schema, rows, rng, manner.orphans)
    plant(selections, growing, manner, rng)
    target = pathlib.Path(output_dir) / f"{name_of(location)}_{i}.sqlite"
    try:
      _write(target, definitions, schema, rows, stored, growing.late)
    except sqlite3.OperationalError as error:
      if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
      raise DatabaseError(f"{target}: cannot be written: {error}") from error
    paths.append(target)
  return paths


def _unread(definitions: Sequence[tuple], schema: Schema) -> set[str]:
  """Names of the tables that are declared and not in the schema."""
  return {name for kind, name, _ in definitions if kind == "table"}.difference(
    table.base_name for table in schema.tables
  )


def _read_rows(connection: sqlite3.Connection, table: Table) -> list[list]:
  names = ", ".join(quote(column.name) for column in table.columns)
  return [
    list(row)
    for row in connection.execute(
      f"SELECT {names} FROM {quote_path(table.parts)} LIMIT {READ_ROWS}"
    )
  ]


def _write(
  path: pathlib.Path,
  definitions: Sequence[tuple],
  schema: Schema,
  rows: dict[str, list[list]],
  stored: dict,
  late: dict,
) -> None:
  """Writes one instance beside its final name, then moves it there; `late` are rows that may refer
  to nothing.
  """
  unfinished = path.with_name(path.name + ".unfinished")
  unfinished.unlink(missing_ok=True)
  with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for kind, _, sql in definitions:
      if kind in ("table", "index"):
        connection.execute(sql)
    for table in schema.tables:
      if table.name in rows:
        _insert(connection, table, rows[table.name], stored[table.name])
    _drop_orphans(connection)
    for name, added in late.items():
      _insert(connection, schema.table(name), added, [])
    for kind, _, sql in definitions:
      if kind not in ("table", "index"):
        connection.execute(sql)
    connection.execute("COMMIT")
  os.replace(unfinished, path)


def _drop_orphans(connection: sqlite3.Connection) -> None:
  """Deletes rows whose foreign key refers to nothing: overlapping keys, or a parent row that a
  constraint refused.
  """
  for _ in range(3):
    try:
      orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.OperationalError:
      # Some declared key refers to columns that are not unique, which SQLite cannot check.
      return
    found = {(table, rowid) for table, rowid, *_ in orphans if rowid is not None}
    if not found:
      return
    for table in sorted({table for table, _ in found}):
      rowids = [(rowid,) for name, rowid in found if name == table]
      (count,) = connection.execute(f"SELECT COUNT(*) FROM {quote(table)}").fetchone()
      # A key that the original breaks throughout stays broken: an empty table would tell nothing.
      if len(rowids) < count:
        connection.executemany(f"DELETE FROM {quote(table)} WHERE rowid = ?", rowids)


def _insert(
  connection: sqlite3.Connection, table: Table, rows: list[list], stored: list[list]
) -> None:
  """Inserts rows; one that a constraint refuses gives way to an original row, or is left out."""
  generated = {
    name
    for name, hidden in connection.execute(
      "SELECT name, hidden FROM pragma_table_xinfo(?)", (table.name,)
    )
    if hidden in (2, 3)
  }
  kept = [i for i, column in enumerate(table.columns) if column.name not in generated]
  names = ", ".join(quote(table.columns[i].name) for i in kept)
  marks = ", ".join("?" * len(kept))
  sql = f"INSERT OR IGNORE INTO {quote_path(table.parts)} ({names}) VALUES ({marks})"
  _insert_possible(connection, sql, [[_storable(row[i]) for i in kept] for row in rows])
  if (
    rows
    and stored
    and connection.execute(
      f"SELECT NOT EXISTS (SELECT 1 FROM {quote_path(table.parts)})"
    ).fetchone()[0]
  ):
    # A CHECK that nothing changed can pass: better the original rows than an empty table.
    _insert_possible(connection, sql, [[row[i] for i in kept] for row in stored[:MAX_ROWS]])


def _insert_possible(connection: sqlite3.Connection, sql: str, rows: Sequence[list]) -> None:
  """Inserts those of the rows that the table takes."""
  waiting = iter(rows)
  while True:
    try:
      connection.executemany(sql, waiting)
      return
    except sqlite3.IntegrityError:
      # A fraction in an INTEGER PRIMARY KEY: OR IGNORE does not pass over it. The rows behind it
      # are still waiting.
      continue


def _storable(value: object) -> object:
  """`value` as SQLite keeps it: numbers beyond 64 bits as it reads them in a statement, text
  without half surrogate pairs.
  """
  if isinstance(value, int) and not -(2**63) <= value < 2**63:
    try:
      return float(value)
    except OverflowError:
      return float("inf") if value > 0 else float("-inf")
  return (
    value
    if is_readable(value) or not isinstance(value, str)
    else value.encode(errors="replace").decode()
  )


class _Instance:
  """Draws the rows of one instance, tables that others refer to first."""

  def __init__(
    self, schema: Schema, stored: dict[str, list[list]], profile: _Profile, rng: random.Random
  ):
    self._schema = schema
    self._stored = stored
    self._profile = profile
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
    rng, profile = self._rng, self._profile
    stored = self._stored[table.name] or self._invent(table)
    limit = min(MAX_ROWS, max(3, round(len(stored) * profile.size)))
    if profile.size >= 1.0 and len(stored) <= MAX_ROWS:
      rows = [list(row) for row in stored if rng.random() > 0.1]
    else:
      rows = [list(row) for row in rng.sample(stored, min(limit, len(stored)))]
    target = max(1, min(MAX_ROWS, round(max(len(rows), limit) * (1 + profile.repeat / 2))))
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
        self._rewire(table, rows, key, profile.rewire)
      else:
        late.append((table, key))
    return self._make_unique(table, rows, positions)

  def _change_column(self, rows: list[list], position: int, column: Column, pool: list) -> None:
    """Swaps, jitters and empties cells of a column that is no key."""
    rng, profile = self._rng, self._profile
    if rng.random() < profile.narrow:
      pool = rng.choices(pool, k=2)
      for row in rows:
        row[position] = rng.choice(pool)
    present = [value for value in pool if value is not None]
    for row in rows:
      dice = rng.random()
      if dice < profile.swap:
        row[position] = rng.choice(pool)
      elif dice < profile.swap + profile.jitter and row[position] is not None:
        row[position] = cells.jitter(row[position], column, rng)
      if column.nullable and rng.random() < profile.null:
        row[position] = None
      elif not column.nullable and row[position] is None and present:
        row[position] = rng.choice(present)

  def _rewire(self, table: Table, rows: list[list], key: ForeignKey, share: float) -> None:
    """Lets the foreign key of each row refer to a row that is there; `share` of them to one drawn
    anew.
    """
    rng = self._rng
    own = [self._position(table, name) for name in key.columns]
    parent = self._schema.table(key.referred_table)
    theirs = [self._position(parent, name) for name in key.referred_columns]
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
      if may_be_null and rng.random() < self._profile.null / 2:
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
        numbers = cells.Fresh(
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
        row[self._position(table, name)] = target[self._position(parent, referred)]

  def _invent(self, table: Table) -> list[list]:
    """Rows for a table that is empty: small numbers, a few words and dates, so that joins and
    comparisons hit.
    """
    return [
      [cells.invent(column, i, self._rng) for column in table.columns]
      for i in range(_INVENTED_ROWS)
    ]

  @staticmethod
  def _position(table: Table, name: str) -> int:
    return next(i for i, column in enumerate(table.columns) if column.name == name)


def _parents_first(schema: Schema) -> list[Table]:
  """The tables, each after those it refers to as far as that is possible."""
  tables = [table for table in schema.tables if not table.is_view]
  placed: dict[str, Table] = {}
  while len(placed) < len(tables):
    rest = [table for table in tables if table.name not in placed]
    ready = [
      t
      for t in rest
      if all(k.referred_table in placed or k.referred_table == t.name for k in t.foreign_keys)
    ]
    # A circle of references is cut at its first table.
    for table in ready or rest[:1]:
      placed[table.name] = table
  return list(placed.values())
