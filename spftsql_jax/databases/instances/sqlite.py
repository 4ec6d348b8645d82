"""Instances of an SQLite database: files beside each other, `<db_id>_<i>.sqlite`."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sqlite3
from collections.abc import Sequence

from spftsql_jax.databases.catalogs.sqlite import hidden_tables
from spftsql_jax.databases.cells import is_readable
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.instances import typed_cells
from spftsql_jax.databases.instances.drawing import MAX_ROWS
from spftsql_jax.databases.instances.interface import Place, TableRows
from spftsql_jax.databases.locations import name_of
from spftsql_jax.files import replacing
from spftsql_jax.schema import Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Rows read of a table.
READ_ROWS = 20_000


class Store:
  """See `interface.Store`."""

  # SQLite enforces no reference unless a connection asks for it.
  references_hold = False
  first: Sequence[Place] = ()

  def __init__(self, location: str, folder: str, schema: Schema, seed: int):
    del seed
    self._folder, self._name, self._schema = pathlib.Path(folder), name_of(location), schema
    connection = sqlite.connect(location)
    connection.text_factory = sqlite.lenient_text
    try:
      self.stored = {
        table.name: _read_rows(connection, table) for table in schema.tables if not table.is_view
      }
      definitions = connection.execute(
        "SELECT type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE "
        "'sqlite_%' "
        "ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, "
        "rowid"
      ).fetchall()
      # The tables behind a virtual table come with it.
      absent = hidden_tables(connection) | self._unreadable(connection, definitions)
      self._definitions = [entry for entry in definitions if entry[1] not in absent]
    finally:
      connection.close()

  def find(self, index: int, key: str) -> pathlib.Path | None:
    """Never: what an older version has made is not told from what this one would."""
    del index, key
    return None

  def write(self, index: int, key: str, rows: TableRows, late: TableRows) -> pathlib.Path:
    """Writes one instance beside its final name, then moves it there."""
    del key
    path = self._folder / f"{self._name}_{index}.sqlite"
    try:
      with (
        replacing(path) as unfinished,
        contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection,
      ):
        self._fill(connection, rows, late)
    except sqlite3.OperationalError as error:
      if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
      raise DatabaseError(f"{path}: cannot be written: {error}") from error
    return path

  def close(self) -> None:
    """Nothing is held."""

  def _unreadable(self, connection: sqlite3.Connection, definitions: Sequence[tuple]) -> set[str]:
    """Names of the tables that are declared, not in the schema, and cannot be read: nothing that
    belongs to them is made. One that is left out of the schema is there, and empty.
    """
    known = {table.base_name for table in self._schema.tables}
    unknown = {name for kind, name, _ in definitions if kind == "table"} - known
    unreadable = set()
    for name in unknown:
      try:
        connection.execute(f"SELECT * FROM {quote(name)} LIMIT 1").fetchone()
      except sqlite3.Error:
        unreadable.add(name)
    return unreadable

  def _fill(self, connection: sqlite3.Connection, rows: TableRows, late: TableRows) -> None:
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for kind, _, sql in self._definitions:
      if kind in ("table", "index"):
        connection.execute(sql)
    for table in self._schema.tables:
      if table.name in rows:
        _insert(connection, table, rows[table.name], self.stored[table.name])
    _drop_orphans(connection, {table.base_name.lower() for table in self._schema.tables})
    for name, added in late.items():
      _insert(connection, self._schema.table(name), added, [])
    for kind, _, sql in self._definitions:
      if kind not in ("table", "index"):
        connection.execute(sql)
    connection.execute("COMMIT")


def _read_rows(connection: sqlite3.Connection, table: Table) -> list[list]:
  names = ", ".join(quote(column.name) for column in table.columns)
  return [
    list(row)
    for row in connection.execute(
      f"SELECT {names} FROM {quote_path(table.parts)} LIMIT {READ_ROWS}"
    )
  ]


def _drop_orphans(connection: sqlite3.Connection, filled: set[str]) -> None:
  """Deletes rows whose foreign key refers to nothing in one of the `filled` tables: overlapping
  keys, or a parent row that a constraint refused.
  """
  for _ in range(3):
    try:
      orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.OperationalError:
      # Some declared key refers to columns that are not unique, which SQLite cannot check.
      return
    found = {
      (table, rowid)
      for table, rowid, referred, _ in orphans
      if rowid is not None and referred.lower() in filled
    }
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
  declared = connection.execute(
    'SELECT name, type, "notnull", dflt_value, hidden FROM pragma_table_xinfo(?)', (table.name,)
  ).fetchall()
  generated = {name for name, *_, hidden in declared if hidden in (2, 3)}
  known = {column.name for column in table.columns}
  # Columns that are left out of the schema, and must hold something.
  filled = {
    name: kind
    for name, kind, needed, default, hidden in declared
    if needed and default is None and not hidden and name not in known
  }
  kept = [i for i, column in enumerate(table.columns) if column.name not in generated]
  names = ", ".join(map(quote, [*(table.columns[i].name for i in kept), *filled]))
  marks = ", ".join("?" * (len(kept) + len(filled)))
  sql = f"INSERT OR IGNORE INTO {quote_path(table.parts)} ({names}) VALUES ({marks})"

  def storable(some: Sequence[list]) -> list[list]:
    made = [typed_cells.filling(kind, len(some)) for kind in filled.values()]
    more = zip(*made, strict=True) if made else [()] * len(some)
    return [
      [_storable(row[i]) for i in kept] + list(cells) for row, cells in zip(some, more, strict=True)
    ]

  _insert_possible(connection, sql, storable(rows))
  if (
    rows
    and stored
    and connection.execute(
      f"SELECT NOT EXISTS (SELECT 1 FROM {quote_path(table.parts)})"
    ).fetchone()[0]
  ):
    # A CHECK that nothing changed can pass: better the original rows than an empty table.
    _insert_possible(connection, sql, storable(stored[:MAX_ROWS]))


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
