"""Neighbouring instances of a database: same schema, different rows.

Two queries can agree on one database by luck. On instances whose rows are drawn anew from the same
values (with duplicates, ties and NULLs, and for known queries with rows at and beside their
literals) a near-miss query gives itself away, while two equivalent queries still agree. After Zhong
et al. (2020), "Semantic Evaluation for Text-to-SQL with Distilled Test Suites", section 3, without
their distillation.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import pathlib
import random
import sqlite3
from collections.abc import Iterable, Sequence

from spftsql_jax.databases.catalogs.sqlite import hidden_tables
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.instances.drawing import Changes, draw_rows
from spftsql_jax.databases.instances.instance_rows import InstanceRows
from spftsql_jax.databases.instances.planting import Planting, plant
from spftsql_jax.databases.instances.selections import read_selections
from spftsql_jax.databases.instances.writing import write_instance
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import name_of
from spftsql_jax.schema import Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Rows read of a table.
READ_ROWS = 20_000


# One after the other, so that a few instances already differ in kind: how much is drawn anew, and
# how rows are planted for queries.
_KINDS = (
  # The original's own size and look.
  (
    Changes(size=1.0, swap=0.25, jitter=0.15, null=0.04, repeat=0.1, rewire=0.2, narrow=0.0),
    Planting(nulls=True),
  ),
  # Few rows with many ties and NULLs.
  (
    Changes(size=0.4, swap=0.5, jitter=0.1, null=0.12, repeat=0.2, rewire=0.4, narrow=0.2),
    Planting(nulls=True, orphans=True, null_columns=True, constant_columns=True),
  ),
  # Many repeated rows and no NULL made, since a single one empties NOT IN.
  (
    Changes(size=1.3, swap=0.3, jitter=0.05, null=0.0, repeat=0.5, rewire=0.3, narrow=0.0),
    Planting(),
  ),
  # Few rows, nearly all cells drawn anew.
  (
    Changes(size=0.7, swap=0.9, jitter=0.2, null=0.0, repeat=0.0, rewire=0.8, narrow=0.1),
    Planting(orphans=True, constant_columns=True),
  ),
  # Some joins find no row at all.
  (
    Changes(size=0.6, swap=0.5, jitter=0.1, null=0.08, repeat=0.2, rewire=0.5, narrow=0.0),
    Planting(nulls=True, null_columns=True, empty_tables=True),
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
    changes, planting = _KINDS[i % len(_KINDS)]
    planting = dataclasses.replace(
      planting, orphans=orphans and planting.orphans, turn=i // len(_KINDS)
    )
    rows = draw_rows(schema, stored, changes, rng)
    growing = InstanceRows(schema, rows, rng, planting.orphans)
    plant(selections, growing, planting, rng)
    target = pathlib.Path(output_dir) / f"{name_of(location)}_{i}.sqlite"
    try:
      write_instance(target, definitions, schema, rows, stored, growing.late)
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
