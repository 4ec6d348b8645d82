"""Instances of a PostgreSQL database as DuckDB files, where no private server can be started.

`<db_id>_unchanged/` holds the original's own rows (a sample of large tables): only what gives the
original's results there is judged on the others. Views are not made, nor values of types that
DuckDB does not have, which are text there.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import duckdb
import sqlglot
from sqlglot import exp

from spftsql_jax.databases.catalogs import DeclaredColumn
from spftsql_jax.databases.instances import enforced, typed_cells
from spftsql_jax.databases.instances.duckdb import has_unique_keys, number_of, writing
from spftsql_jax.databases.instances.interface import Place, TableRows
from spftsql_jax.databases.locations import UNCHANGED, stand_in_location
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path


class StandInStore:
  """See `interface.Store`.

  Args:
    folder: of the instances.
    schema: of the original.
    stored: its rows.
    filled: by table the columns that are not in the schema and must hold something.
  """

  def __init__(
    self,
    folder: str,
    schema: Schema,
    stored: dict[str, list[list]],
    filled: Mapping[str, Sequence[DeclaredColumn]],
  ):
    self._folder, self._schema = pathlib.Path(folder), schema
    self.stored, self._filled = stored, filled
    self.references_hold = enforced.references_hold(schema)
    self.first: Sequence[Place] = (self._write(UNCHANGED, stored, {}),)

  def find(self, index: int, key: str) -> str | None:
    """Never: what an older version has made is not told from what this one would."""
    del index, key
    return None

  def write(self, index: int, key: str, rows: TableRows, late: TableRows) -> str:
    """Writes one instance beside its final name, then moves it there."""
    del key
    return self._write(f"_{index}", rows, late)

  def close(self) -> None:
    """Nothing is held."""

  def _write(self, ending: str, rows: TableRows, late: TableRows) -> str:
    name = self._schema.name
    path = (self._folder / f"{name}{ending}" / f"{name}.duckdb").resolve()
    with writing(path) as connection:
      for table in self._schema.tables:
        if not table.is_view:
          self._declare(connection, table)
      for each in (rows, late):
        for table_name, added in each.items():
          self._insert(connection, self._schema.table(table_name), added)
      if ending != UNCHANGED:
        enforced.delete_orphans(self._schema, lambda sql: number_of(connection, sql))
    return stand_in_location(str(path))

  def _declare(self, connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}")
    more = self._filled.get(table.name, ())
    parts = [
      f"{quote(column.name)} {_type_of(connection, column)}"
      + ("" if column.nullable else " NOT NULL")
      for column in table.columns
    ] + [f"{quote(column.name)} VARCHAR" for column in more]
    keys = [("PRIMARY KEY", table.primary_key)] if table.primary_key else []
    keys += [("UNIQUE", names) for names in table.unique]
    parts += [f"{kind} ({', '.join(map(quote, names))})" for kind, names in keys]
    path = quote_path((table.schema, table.base_name))
    connection.execute(f"CREATE TABLE {path} ({', '.join(parts)})")
    if not table.qualifiers and table.schema != "main":
      # Found by its name alone, too.
      connection.execute(
        f"CREATE VIEW {quote_path(('main', table.base_name))} AS SELECT * FROM {path}"
      )

  def _insert(
    self, connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[list]
  ) -> None:
    names = ", ".join(quote(column.name) for column in table.columns)
    texts = ", ".join(["unnest(?::VARCHAR[])"] * len(table.columns))
    ignore = "OR IGNORE " if has_unique_keys(connection, table) else ""
    path = quote_path((table.schema, table.base_name))

    def insert(some: Sequence[list]) -> None:
      cells = [
        [typed_cells.as_text(row[i], column) for row in some]
        for i, column in enumerate(table.columns)
      ]
      connection.execute(f"INSERT {ignore}INTO {path} ({names}) SELECT {texts}", cells)

    enforced.insert_possible(rows, insert, (duckdb.Error,))


def _type_of(connection: duckdb.DuckDBPyConnection, column: Column) -> str:
  """DuckDB's type for a column; VARCHAR where it has none."""
  if column.allowed or column.kind == "other":
    return "VARCHAR"
  if column.type.lower() == "numeric":
    # Of any precision; DuckDB's default has three digits behind the point.
    return "DECIMAL(38, 10)"
  try:
    kind = exp.DataType.build(column.type, dialect="postgres").sql(dialect="duckdb")
    connection.execute(f"SELECT NULL::{kind}")
  except (sqlglot.errors.SqlglotError, duckdb.Error):
    return "VARCHAR"
  return kind
