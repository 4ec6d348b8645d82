"""Copies of an SQLite database in DuckDB and PostgreSQL, and its queries in their dialects: what
benchmarks and tests of these engines are run on.

Names are written in lower case, as PostgreSQL reads what is not quoted. A column gets the type that
all its values have (BIGINT, DOUBLE, DATE, TEXT); keys that the rows break are left out.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import duckdb
import psycopg
import sqlglot
from sqlglot import exp

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql.identifiers import quote

# Runs a statement, perhaps with rows of values.
_Run = Callable[[str], object]


def copy_to_duckdb(source: Path, target: Path) -> None:
  """Writes an SQLite database as a DuckDB file, which must not be there yet."""
  target.parent.mkdir(parents=True, exist_ok=True)
  with contextlib.closing(duckdb.connect(str(target))) as connection:

    def insert(table: str, rows: Sequence[tuple]) -> None:
      columns = ", ".join("unnest(?::VARCHAR[])" for _ in rows[0])
      for start in range(0, len(rows), 10_000):
        some = zip(*rows[start : start + 10_000], strict=True)
        texts = [list(map(_text, column)) for column in some]
        connection.execute(f"INSERT INTO {table} SELECT {columns}", texts)

    _copy(source, connection.execute, insert, late_keys=False)


def copy_to_postgresql(source: Path, connection: psycopg.Connection) -> None:
  """Writes an SQLite database into an empty PostgreSQL one."""

  def insert(table: str, rows: Sequence[tuple]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
      for row in rows:
        copy.write_row(tuple(map(_text, row)))

  def run(sql: str) -> None:
    with connection.transaction():
      connection.execute(sql.encode())

  _copy(source, run, insert, late_keys=True)


def translate(sql: str, schema: Schema, dialect: str) -> str:
  """An SQLite query of the original for its copy. Raises ValueError for what sqlglot cannot read.

  A name in double quotes that is no column is the string as which SQLite reads it.
  """
  try:
    tree = sqlglot.parse_one(sql, read="sqlite")
  except sqlglot.errors.SqlglotError as error:
    raise ValueError(str(error)) from error
  known = {column.name.lower() for table in schema.tables for column in table.columns}
  known |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
  for column in list(tree.find_all(exp.Column)):
    quoted = isinstance(column.this, exp.Identifier) and column.this.args.get("quoted")
    if quoted and not column.table and column.name.lower() not in known:
      column.replace(exp.Literal.string(column.name))
  for name in tree.find_all(exp.Identifier):
    name.set("this", name.name.lower())
  return tree.sql(dialect=dialect)


def same_values(one: Sequence[tuple], other: Sequence[tuple]) -> bool:
  """Whether two results have the same rows in any order, but for types: 1 is 1.0, a day its
  text.
  """
  return sorted(map(_plain, one)) == sorted(map(_plain, other))


def _plain(row: tuple) -> tuple[str, ...]:
  return tuple(
    f"{float(cell):.6g}" if isinstance(cell, int | float | decimal.Decimal) else str(cell)
    for cell in row
  )


def _copy(
  source: Path, run: _Run, insert: Callable[[str, Sequence[tuple]], None], late_keys: bool
) -> None:
  schema = read_schema(str(source))
  with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as connection:
    connection.text_factory = lambda data: data.decode(errors="ignore").replace("\0", "")
    keys = []
    for table in _parents_first(schema):
      names = ", ".join(quote(column.name) for column in table.columns)
      rows = connection.execute(f"SELECT {names} FROM {quote(table.name)}").fetchall()
      types = [_type_of(column, [row[i] for row in rows]) for i, column in enumerate(table.columns)]
      named = quote(table.name.lower())
      own, referring = _keys_of(connection, table, rows)
      parts = [
        f"{quote(column.name.lower())} {kind}"
        for column, kind in zip(table.columns, types, strict=True)
      ]
      parts += own if late_keys else own + referring
      try:
        run(f"CREATE TABLE {named} ({', '.join(parts)})")
      except (duckdb.Error, psycopg.Error):
        # A key to what is not unique.
        run(f"CREATE TABLE {named} ({', '.join(parts[: len(parts) - len(referring)])})")
      keys += [f"ALTER TABLE {named} ADD {key}" for key in referring]
      if rows:
        insert(named, rows)
    for key in keys if late_keys else ():
      with contextlib.suppress(psycopg.Error):
        run(key)


def _keys_of(
  connection: sqlite3.Connection, table: Table, rows: Sequence[tuple]
) -> tuple[list[str], list[str]]:
  """The clauses of the keys that the rows hold: primary key, and foreign keys."""
  own = []
  if table.primary_key:
    places = [table.position(name) for name in table.primary_key]
    values = [tuple(row[i] for i in places) for row in rows]
    if len(set(values)) == len(values) and not any(None in value for value in values):
      own.append(f"PRIMARY KEY ({_list(table.primary_key)})")
  broken = (
    {
      number
      for _, _, _, number in connection.execute(f"PRAGMA foreign_key_check({quote(table.name)})")
    }
    if _can_be_checked(connection, table)
    else set(range(len(table.foreign_keys)))
  )
  referring = [
    f"FOREIGN KEY ({_list(key.columns)}) "
    f"REFERENCES {quote(key.referred_table.lower())} ({_list(key.referred_columns)})"
    for key in table.foreign_keys
    if not broken and key.referred_table != table.name
  ]
  return own, referring


def _can_be_checked(connection: sqlite3.Connection, table: Table) -> bool:
  try:
    connection.execute(f"PRAGMA foreign_key_check({quote(table.name)})").fetchall()
  except sqlite3.OperationalError:
    return False
  return True


def _list(names: Iterable[str]) -> str:
  return ", ".join(quote(name.lower()) for name in names)


def _type_of(column: Column, values: Iterable[object]) -> str:
  present = [value for value in values if value is not None]
  if all(isinstance(value, int) for value in present) and (present or column.kind == "number"):
    return "BIGINT"
  if all(isinstance(value, int | float) for value in present) and present:
    return "DOUBLE PRECISION"
  if present and column.kind == "date" and all(map(_is_day, present)):
    return "DATE"
  return "TEXT"


def _is_day(value: object) -> bool:
  try:
    return datetime.date.fromisoformat(str(value)).isoformat() == value
  except ValueError:
    return False


def _text(value: object) -> str | None:
  if isinstance(value, bytes):
    return value.decode(errors="ignore")
  return None if value is None else repr(value) if isinstance(value, float) else str(value)


def _parents_first(schema: Schema) -> list[Table]:
  ordered: dict[str, Table] = {}
  rest = [table for table in schema.tables if not table.is_view]
  while rest:
    ready = [
      table
      for table in rest
      if all(
        key.referred_table in ordered or key.referred_table == table.name
        for key in table.foreign_keys
      )
    ]
    for table in ready or rest[:1]:
      ordered[table.name] = table
    rest = [table for table in rest if table.name not in ordered]
  return list(ordered.values())
