"""Instances of a PostgreSQL database: databases of a private server (`private_server`).

They are declared as far as the original's role may read: tables (a partitioned table is one, a
foreign table is a plain one), views, types, functions in SQL, and the extensions that the private
server has. The original is read in a read-only transaction; of a large table a few pages are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from spftsql_jax.databases import catalogs
from spftsql_jax.databases.engines import postgresql as engine
from spftsql_jax.databases.engines.postgresql.fence import PURE_EXTENSIONS
from spftsql_jax.databases.errors import CannotCopyError, DatabaseError
from spftsql_jax.databases.instances import enforced, typed_cells
from spftsql_jax.databases.instances.declarations import (
  Declared,
  foreign_keys,
  path_of_table,
  read_declared,
  string,
)
from spftsql_jax.databases.instances.drawing import MAX_ROWS
from spftsql_jax.databases.instances.interface import Place, TableRows
from spftsql_jax.databases.instances.interface import Store as InstanceStore
from spftsql_jax.databases.instances.keyed_sample import SAMPLE_ROWS, sample_with_keys
from spftsql_jax.databases.instances.private_server import READER, server_in
from spftsql_jax.databases.instances.stand_in import StandInStore
from spftsql_jax.databases.locations import name_of, schemas_of, with_schemas
from spftsql_jax.databases.passwords import hide_passwords, without_password
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql.identifiers import quote

_LOGGER = logging.getLogger(__name__)
# What has been said of which database: instances are made several times in a run.
_said: set[tuple[str, str]] = set()
# Of a large table more is sampled than is taken: pages are not equally full.
_MORE = 1.5
_NAME_BYTES = 63


def Store(location: str, folder: str, schema: Schema, seed: int) -> InstanceStore:
  """Reads the original; see `interface.StoreType`. Its instances are databases of a private server,
  or where none can be started, DuckDB files that stand in.
  """
  connection = engine.connect(location)
  try:
    catalog = catalogs.open_catalog("postgresql", connection, schemas_of(location))
    filled = enforced.left_out_columns(catalog, schema)
    declared = read_declared(connection, catalog)
    stored = sample_with_keys(
      schema,
      lambda table: _read_some(connection, table, seed),
      lambda table, columns, values: _read_referred(connection, table, columns, values),
    )
  except psycopg.Error as error:
    message = hide_passwords(" ".join(str(error).split()), location)
    raise DatabaseError(f"{without_password(location)}: cannot be read: {message}") from error
  finally:
    connection.close()
  try:
    return _ServerStore(location, folder, schema, stored, filled, declared)
  except CannotCopyError as error:
    if (schema.name, str(error)) not in _said:
      _said.add((schema.name, str(error)))
      _LOGGER.warning("%s: DuckDB stands in for neighbouring instances: %s", schema.name, error)
    return StandInStore(folder, schema, stored, filled)


class _ServerStore:
  """See `interface.Store`."""

  first: Sequence[Place] = ()

  def __init__(
    self,
    location: str,
    folder: str,
    schema: Schema,
    stored: dict[str, list[list]],
    filled: Mapping[str, Sequence[catalogs.DeclaredColumn]],
    declared: Declared,
  ):
    self._location, self._schema, self._filled = location, schema, filled
    self._declared, self.stored = declared, stored
    self.references_hold = enforced.references_hold(schema)
    self._server = server_in(folder)
    self._check_version()

  def _check_version(self) -> None:
    with self._server.admin() as connection:
      own = connection.info.server_version // 10000
    if own < self._declared.version:
      raise CannotCopyError(
        f"the PostgreSQL programs here (version {own}) are older than its server "
        f"(version {self._declared.version})"
      )

  def _name(self, index: int, key: str) -> str:
    begin = f"{name_of(self._location)}_{index}".encode()[: _NAME_BYTES - len(key) - 1]
    return f"{begin.decode(errors='ignore')}_{key}"

  def find(self, index: int, key: str) -> str | None:
    """The instance, where the server has it."""
    name = self._name(index, key)
    with self._server.admin() as connection:
      known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return self._url(name) if known else None

  def _url(self, name: str) -> str:
    return with_schemas(self._server.url(name), schemas_of(self._location))

  def write(self, index: int, key: str, rows: TableRows, late: TableRows) -> str:
    """Makes a database under another name, fills it, and renames it."""
    name = self._name(index, key)
    unfinished = f"_{name}"[:_NAME_BYTES]
    try:
      with self._server.admin() as connection:
        # Of several processes one makes it.
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        if self.find(index, key) is None:
          connection.execute(f"DROP DATABASE IF EXISTS {quote(unfinished)} WITH (FORCE)".encode())
          self._create(connection, unfinished)
          with self._server.admin(unfinished) as inside:
            self._fill(inside, rows, late)
          connection.execute(f"ALTER DATABASE {quote(unfinished)} RENAME TO {quote(name)}".encode())
    except psycopg.Error as error:
      raise DatabaseError(f"{name}: an instance cannot be written: {error}") from error
    return self._url(name)

  def close(self) -> None:
    """Nothing is held."""

  def _create(self, connection: psycopg.Connection, name: str) -> None:
    zone, path, collation, classes = self._declared.settings
    create = f"CREATE DATABASE {quote(name)} TEMPLATE template0 ENCODING 'UTF8'"
    try:
      collated = f"{create} LC_COLLATE {string(collation)} LC_CTYPE {string(classes)}"
      connection.execute(collated.encode())
    except psycopg.Error:
      # A collation that this machine does not have: both queries of a pair sort alike all the same.
      connection.execute(create.encode())
    named = ", ".join(map(quote, path)) or "''"
    for setting, value in (("TimeZone", string(zone)), ("search_path", named)):
      connection.execute(f"ALTER DATABASE {quote(name)} SET {setting} TO {value}".encode())
    connection.execute(f"REVOKE ALL ON DATABASE {quote(name)} FROM PUBLIC".encode())
    connection.execute(f"GRANT CONNECT ON DATABASE {quote(name)} TO {READER}".encode())

  def _fill(self, connection: psycopg.Connection, rows: TableRows, late: TableRows) -> None:
    def run(sql: str) -> int:
      cursor = connection.execute(sql.encode())
      row = cursor.fetchone() if cursor.description else None
      return int(row[0]) if row else 0

    def declare(statements: Sequence[str]) -> None:
      enforced.declare(statements, lambda sql: connection.execute(sql.encode()), (psycopg.Error,))

    connection.execute("SET check_function_bodies = off")
    declare(
      [f"CREATE SCHEMA IF NOT EXISTS {quote(name)}" for name in self._schemas()]
      + [
        f"CREATE EXTENSION IF NOT EXISTS {quote(name)} SCHEMA {quote(schema)}"
        for name, schema in self._declared.extensions.items()
      ]
      + list(self._declared.statements)
    )
    declare(self._declared.checks)
    self._check_complete(connection)
    for table in self._schema.tables:
      if table.name in rows:
        self._insert(connection, table, rows[table.name])
        if rows[table.name] and not run(f"SELECT COUNT(*) FROM {path_of_table(table)}"):
          # A CHECK that nothing changed can pass: better the original rows than an empty table.
          self._insert(connection, table, self.stored[table.name][:MAX_ROWS])
    for name, added in late.items():
      self._insert(connection, self._schema.table(name), added)
    enforced.delete_orphans(self._schema, run)
    declare(foreign_keys(self._schema))
    run("ANALYZE")
    for name in self._schemas():
      run(f"GRANT USAGE ON SCHEMA {quote(name)} TO {READER}")
      run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {quote(name)} TO {READER}")

  def _schemas(self) -> Iterator[str]:
    yield from dict.fromkeys(
      [*self._declared.extensions.values(), *(place for place, _ in self._declared.generated)]
    )

  def _check_complete(self, connection: psycopg.Connection) -> None:
    """Raises CannotCopyError where a table, or a function that queries may call, is missing."""
    there = {name for (name,) in connection.execute("SELECT extname FROM pg_extension").fetchall()}
    for name in self._declared.extensions:
      if name in PURE_EXTENSIONS and name not in there:
        raise CannotCopyError(f"the private server has no extension {name}")
    for table in self._schema.tables:
      names = ", ".join(quote(column.name) for column in table.columns)
      try:
        connection.execute(f"SELECT {names} FROM {path_of_table(table)} LIMIT 0".encode())
      except psycopg.Error as error:
        message = " ".join(str(error).split())
        raise CannotCopyError(f"{table.name} cannot be made in a copy: {message}") from error

  def _insert(self, connection: psycopg.Connection, table: Table, rows: Sequence[list]) -> None:
    """Inserts rows; one that a constraint refuses is left out."""
    generated = self._declared.generated.get((table.schema, table.base_name), frozenset())
    kept = [i for i, column in enumerate(table.columns) if column.name not in generated]
    filled = [column for column in self._filled.get(table.name, ()) if column.name not in generated]
    names = [table.columns[i].name for i in kept] + [column.name for column in filled]
    kinds = [table.columns[i].type for i in kept] + [column.type for column in filled]
    cells = [f"c{i}" for i in range(len(names))]
    cast = ", ".join(f"{cell}::{kind}" for cell, kind in zip(cells, kinds, strict=True))
    begin = f"INSERT INTO {path_of_table(table)} ({', '.join(map(quote, names))}) SELECT {cast} "
    lists = ", ".join(["%s::text[]"] * len(names))
    given = f"FROM unnest({lists}) AS given ({', '.join(cells)}) ON CONFLICT DO NOTHING"
    sql = (_escaped(begin) + given).encode()

    def insert(some: Sequence[list]) -> None:
      texts: list[Sequence[str | None]] = []
      texts += [[typed_cells.as_text(row[i], table.columns[i]) for row in some] for i in kept]
      texts += [typed_cells.filling(column.base_type, len(some)) for column in filled]
      connection.execute(sql, texts)

    if names:
      enforced.insert_possible(rows, insert, (psycopg.Error,))


def _escaped(sql: str) -> str:
  """Text of a statement with parameters in which no name is taken for one."""
  return sql.replace("%", "%%")


def _items(columns: Sequence[Column]) -> str:
  """What is selected of a table: numbers and truth values as they are, all else as text."""
  return ", ".join(
    quote(column.name) if typed_cells.is_native(column) else f"{quote(column.name)}::text"
    for column in columns
  )


def _cells(rows: Sequence[tuple], table: Table) -> list[list]:
  return [
    [typed_cells.cell(value, column) for value, column in zip(row, table.columns, strict=True)]
    for row in rows
  ]


def _read_some(connection: psycopg.Connection, table: Table, seed: int) -> list[list]:
  select = f"SELECT {_items(table.columns)} FROM {path_of_table(table)}"
  if table.row_count > SAMPLE_ROWS:
    percent = min(100.0, 100 * _MORE * SAMPLE_ROWS / table.row_count)
    sample = f"{select} TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE ({seed})"
    try:
      rows = connection.execute(f"{sample} LIMIT {SAMPLE_ROWS}".encode()).fetchall()
    except psycopg.Error:
      # A foreign table.
      connection.rollback()
      rows = []
    if len(rows) >= SAMPLE_ROWS // 10:
      return _cells(rows, table)
  return _cells(connection.execute(f"{select} LIMIT {SAMPLE_ROWS}".encode()).fetchall(), table)


def _read_referred(
  connection: psycopg.Connection,
  table: Table,
  columns: Sequence[str],
  values: Sequence[tuple[str, ...]],
) -> list[list]:
  own = ", ".join(map(quote, columns))
  names = [f"c{i}" for i in range(len(columns))]
  wanted = ", ".join(
    f"{given}::{table.column(name).type}" for given, name in zip(names, columns, strict=True)
  )
  lists = ", ".join(["%s::text[]"] * len(columns))
  begin = (
    f"SELECT {_items(table.columns)} FROM {path_of_table(table)} WHERE ({own}) IN (SELECT {wanted} "
  )
  rows = connection.execute(
    (f"{_escaped(begin)}FROM unnest({lists}) AS given ({', '.join(names)}))").encode(),
    [list(part) for part in zip(*values, strict=True)],
  ).fetchall()
  return _cells(rows, table)
