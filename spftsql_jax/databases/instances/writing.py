"""Writing an instance as an SQLite file."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
from collections.abc import Sequence

from spftsql_jax.databases.cells import is_readable
from spftsql_jax.databases.instances.drawing import MAX_ROWS
from spftsql_jax.files import replacing
from spftsql_jax.schema import Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path


def write_instance(
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
  with (
    replacing(path) as unfinished,
    contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection,
  ):
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
