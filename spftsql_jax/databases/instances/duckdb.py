"""Instances of a DuckDB database: files with the original's name in folders `<db_id>_<i>`.

The name of the file is a name that queries may write. Foreign keys are not declared in instances,
but hold; all else is declared as in the original. The original is opened read-only; of a large
table a few blocks of rows are read.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import re
import shutil
from collections.abc import Iterator, Sequence

import duckdb

from spftsql_jax.databases import catalogs
from spftsql_jax.databases.engines import duckdb as engine
from spftsql_jax.databases.errors import CannotCopyError, DatabaseError
from spftsql_jax.databases.instances import enforced, typed_cells
from spftsql_jax.databases.instances.drawing import MAX_ROWS
from spftsql_jax.databases.instances.interface import Place, TableRows
from spftsql_jax.databases.instances.keyed_sample import SAMPLE_ROWS, sample_with_keys
from spftsql_jax.databases.locations import name_of, path_of, schemas_of, with_schemas
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# For reading the original, however large it is, and for writing an instance.
_MEMORY_BYTES = 256_000_000
# Each column takes a block while a table is written, so that those of 256 KiB which DuckDB takes by
# default would let no table have more than some 900 columns.
_BLOCK_BYTES = 16_384
# Rows of a sampled block: blocks lie anywhere in the table.
_BLOCK_ROWS = 200
_HERE = "database_name = current_database() AND NOT internal"
# A string, a name in quotes, or a foreign key as DuckDB writes it in a declaration.
_NAME = r'(?:"(?:[^"]|"")*"|[^\s"(),.]+)'
_FOREIGN_KEY = re.compile(
  rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"
    |(,\s*FOREIGN\s+KEY\s*\(\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\)\s*
      REFERENCES\s+{_NAME}(?:\.{_NAME})*\s*\(\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\))""",
  re.VERBOSE,
)


class Store:
  """See `interface.Store`."""

  first: Sequence[Place] = ()

  def __init__(self, location: str, folder: str, schema: Schema, seed: int):
    self._location, self._folder, self._schema = location, pathlib.Path(folder), schema
    self._seed = seed
    self.references_hold = enforced.references_hold(schema)
    try:
      with contextlib.closing(engine.connect(location, _MEMORY_BYTES)) as connection:
        catalog = catalogs.open_catalog("duckdb", connection, schemas_of(location))
        self._filled = enforced.left_out_columns(catalog, schema)
        self._declarations = list(_declarations(connection))
        self._generated = _generated_columns(connection)
        self.stored = sample_with_keys(
          schema,
          lambda table: self._read_some(connection, table),
          lambda table, columns, values: _read_referred(connection, table, columns, values),
        )
    except duckdb.Error as error:
      raise DatabaseError(f"{location}: cannot be read: {error}") from error

  def find(self, index: int, key: str) -> pathlib.Path | None:
    """Never: what an older version has made is not told from what this one would."""
    del index, key
    return None

  def write(self, index: int, key: str, rows: TableRows, late: TableRows) -> os.PathLike[str] | str:
    """Writes one instance beside its final name, then moves it there."""
    del key
    path = (
      self._folder
      / f"{name_of(self._location)}_{index}"
      / pathlib.Path(path_of(self._location)).name
    )
    with writing(path) as connection:
      self._fill(connection, rows, late)
    schemas = schemas_of(self._location)
    return with_schemas(os.fspath(path), schemas) if schemas else path

  def close(self) -> None:
    """Nothing is held."""

  def _read_some(self, connection: duckdb.DuckDBPyConnection, table: Table) -> list[list]:
    select = f"SELECT {_items(table.columns)} FROM {quote_path(table.parts)}"
    if table.row_count > SAMPLE_ROWS:
      rng = random.Random(f"{self._seed}/{table.name}")
      starts = sorted(rng.randrange(table.row_count) for _ in range(SAMPLE_ROWS // _BLOCK_ROWS))
      blocks = (
        f"{select} WHERE rowid BETWEEN {start} AND {start + _BLOCK_ROWS - 1}" for start in starts
      )
      rows = connection.execute(" UNION ".join(blocks)).fetchall()
      # Numbers of rows have gaps where rows were deleted.
      if len(rows) >= SAMPLE_ROWS // 10:
        return _cells(sorted(rows, key=repr), table)
    return _cells(connection.execute(f"{select} LIMIT {SAMPLE_ROWS}").fetchall(), table)

  def _fill(self, connection: duckdb.DuckDBPyConnection, rows: TableRows, late: TableRows) -> None:
    enforced.declare(self._declarations, connection.execute, (duckdb.Error,))
    for table in self._schema.tables:
      try:
        connection.execute(f"SELECT * FROM {quote_path(table.parts)} LIMIT 0")
      except duckdb.Error as error:
        raise CannotCopyError(f"{table.name} cannot be made in a copy: {error}") from error
    for table in self._schema.tables:
      if table.name in rows:
        self._insert(connection, table, rows[table.name])
        if rows[table.name] and not number_of(connection, f"SELECT COUNT(*) FROM {_path(table)}"):
          # A CHECK that nothing changed can pass: better the original rows than an empty table.
          self._insert(connection, table, self.stored[table.name][:MAX_ROWS])
    for name, added in late.items():
      self._insert(connection, self._schema.table(name), added)
    enforced.delete_orphans(self._schema, lambda sql: number_of(connection, sql))

  def _insert(
    self, connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[list]
  ) -> None:
    """Inserts rows; one that a constraint refuses is left out."""
    generated = self._generated.get((table.schema, table.base_name), frozenset())
    kept = [i for i, column in enumerate(table.columns) if column.name not in generated]
    filled = self._filled.get(table.name, ())
    names = [table.columns[i].name for i in kept] + [column.name for column in filled]
    texts = ", ".join(["unnest(?::VARCHAR[])"] * len(names))
    ignore = "OR IGNORE " if has_unique_keys(connection, table) else ""
    sql = f"INSERT {ignore}INTO {_path(table)} ({', '.join(map(quote, names))}) SELECT {texts}"

    def insert(some: Sequence[list]) -> None:
      cells = [[typed_cells.as_text(row[i], table.columns[i]) for row in some] for i in kept]
      more = [typed_cells.filling(column.base_type, len(some)) for column in filled]
      connection.execute(sql, [*cells, *more])

    enforced.insert_possible(rows, insert, (duckdb.Error,))


def has_unique_keys(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
  """Whether a table of an instance has keys that rows may run into."""
  of_table = "schema_name = ? AND table_name = ?"
  ((found,),) = connection.execute(
    "SELECT EXISTS (SELECT 1 FROM duckdb_constraints() "
    f"WHERE {of_table} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')) "
    f"OR EXISTS (SELECT 1 FROM duckdb_indexes() WHERE {of_table} AND is_unique)",
    [table.schema, table.base_name] * 2,
  ).fetchall()
  return bool(found)


def _path(table: Table) -> str:
  return quote_path(table.parts)


def _items(columns: Sequence[Column]) -> str:
  """What is selected of a table: numbers and truth values as they are, all else as text."""
  return ", ".join(
    quote(column.name)
    if typed_cells.is_native(column)
    else f"CAST({quote(column.name)} AS VARCHAR)"
    for column in columns
  )


def _cells(rows: Sequence[tuple], table: Table) -> list[list]:
  return [
    [typed_cells.cell(value, column) for value, column in zip(row, table.columns, strict=True)]
    for row in rows
  ]


def _read_referred(
  connection: duckdb.DuckDBPyConnection,
  table: Table,
  columns: Sequence[str],
  values: Sequence[tuple[str, ...]],
) -> list[list]:
  own = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in columns)
  wanted = ", ".join("unnest(?::VARCHAR[])" for _ in columns)
  rows = connection.execute(
    f"SELECT {_items(table.columns)} FROM {_path(table)} WHERE ({own}) IN (SELECT ({wanted}))",
    [list(part) for part in zip(*values, strict=True)],
  ).fetchall()
  return _cells(rows, table)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[duckdb.DuckDBPyConnection]:
  """A new database, which gets its final name when the block has ended without an error.

  Raises OSError or DatabaseError naming the file.
  """
  # The name of the file counts while tables are declared, too.
  unfinished = path.parent / ".unfinished" / path.name
  unfinished.parent.mkdir(parents=True, exist_ok=True)
  unfinished.unlink(missing_ok=True)
  try:
    with contextlib.closing(create(unfinished)) as connection:
      yield connection
      connection.execute("CHECKPOINT")
    os.replace(unfinished, path)
  except duckdb.IOException as error:
    raise OSError(f"{path}: cannot be written: {error}") from error
  except duckdb.Error as error:
    raise DatabaseError(f"{path}: cannot be written: {error}") from error
  finally:
    shutil.rmtree(unfinished.parent, ignore_errors=True)


def create(path: pathlib.Path) -> duckdb.DuckDBPyConnection:
  """A new database, which can read nothing but itself."""
  connection = duckdb.connect(
    str(path),
    config={
      "enable_external_access": "false",
      "autoinstall_known_extensions": "false",
      "autoload_known_extensions": "false",
      "python_enable_replacements": "false",
      "memory_limit": f"{_MEMORY_BYTES}B",
      "default_block_size": str(_BLOCK_BYTES),
      "threads": "1",
      "temp_directory": "",
    },
  )
  # What a default or a view of the original calls runs under the same fence.
  connection.execute("SET lock_configuration = true")
  return connection


def number_of(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
  """The one number of a query's result, or of the rows that a statement changes."""
  rows = connection.execute(sql).fetchall()
  return int(rows[0][0]) if rows else 0


def _declarations(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
  """The statements that declare what a database holds, but for foreign keys."""

  def rows(sql: str) -> list[tuple]:
    return connection.execute(sql).fetchall()

  for (name,) in rows(f"SELECT schema_name FROM duckdb_schemas() WHERE {_HERE}"):
    yield f"CREATE SCHEMA IF NOT EXISTS {quote(name)}"
  for schema, name, labels in rows(
    f"SELECT schema_name, type_name, labels FROM duckdb_types() WHERE {_HERE} "
    "AND logical_type = 'ENUM' AND type_name <> 'enum'"
  ):
    values = ", ".join("'" + label.replace("'", "''") + "'" for label in labels or ())
    yield f"CREATE TYPE {quote_path((schema, name))} AS ENUM ({values})"
  for (sql,) in rows(f"SELECT sql FROM duckdb_sequences() WHERE {_HERE.split(' AND ')[0]}"):
    yield sql
  for schema, name, kind, parameters, text in rows(
    "SELECT schema_name, function_name, function_type, parameters, macro_definition "
    f"FROM duckdb_functions() WHERE {_HERE} AND macro_definition IS NOT NULL"
  ):
    table = "TABLE " if kind == "table_macro" else ""
    named = ", ".join(map(quote, parameters))
    yield f"CREATE MACRO {quote_path((schema, name))}({named}) AS {table}{text}"
  for (sql,) in rows(f"SELECT sql FROM duckdb_tables() WHERE {_HERE} ORDER BY table_oid"):
    yield _FOREIGN_KEY.sub(lambda found: "" if found[1] else found[0], sql)
  for (sql,) in rows(
    f"SELECT sql FROM duckdb_indexes() WHERE {_HERE.split(' AND ')[0]} AND is_unique "
    "AND sql IS NOT NULL"
  ):
    yield sql
  for (sql,) in rows(f"SELECT sql FROM duckdb_views() WHERE {_HERE} ORDER BY view_oid"):
    yield sql


def _generated_columns(
  connection: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str], frozenset[str]]:
  """The columns that DuckDB computes, by schema and table."""
  rows = connection.execute(
    "SELECT table_schema, table_name, list(column_name) FROM information_schema.columns "
    "WHERE table_catalog = current_database() AND is_generated = 'ALWAYS' GROUP BY ALL"
  ).fetchall()
  return {(schema, table): frozenset(names) for schema, table, names in rows}
