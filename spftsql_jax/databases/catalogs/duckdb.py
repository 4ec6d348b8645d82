"""DuckDB's catalog, from its own catalog functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import duckdb

from spftsql_jax.databases.catalogs import (
  DeclaredColumn,
  DeclaredKey,
  Relation,
  Structure,
  choose_schemas,
)

# The database of the file itself; what was attached to it elsewhere is no part of the file.
_HERE = "database_name = current_database()"
_OF = f"{_HERE} AND schema_name = ? AND table_name = ?"
_NO_TYPE = re.compile(r'"NULL"(\[\d*\])*')
_ENUM_VALUE = re.compile(r"'((?:[^']|'')*)'")


def open_catalog(connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]) -> DuckdbCatalog:
  """The catalog of the file's own database."""
  return DuckdbCatalog(connection, schemas)


class DuckdbCatalog:
  """See `catalogs.Catalog`."""

  def __init__(self, connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]):
    self._connection = connection
    [(database, path)] = self._rows("SELECT current_database(), current_schema()")
    tables = (
      f"SELECT schema_name, table_name FROM duckdb_tables() WHERE {_HERE} AND NOT internal ORDER "
      "BY table_oid"
    )
    views = (
      f"SELECT schema_name, view_name FROM duckdb_views() WHERE {_HERE} AND NOT internal ORDER "
      "BY view_oid"
    )
    found = [(*row, False) for row in self._rows(tables)] + [
      (*row, True) for row in self._rows(views)
    ]
    counts = Counter(schema for schema, _, _ in found)
    taken, self.left_out = choose_schemas(counts, [path], schemas)
    # A schema called as the file is would be taken for the catalog.
    qualifiers = {
      schema: (database, schema) if schema.lower() == database.lower() else (schema,)
      for schema in taken
    }
    self.relations = [
      Relation(name, schema, qualifiers[schema], schema == path, view)
      for schema, name, view in found
      if schema in taken
    ]
    self.relations.sort(key=lambda relation: (relation.is_view, taken.index(relation.schema)))

  def _rows(self, sql: str, *values: object) -> list[tuple]:
    return self._connection.cursor().execute(sql, list(values)).fetchall()

  def structure(self, relation: Relation) -> Structure:
    place = (relation.schema, relation.name)
    rows = self._rows(
      (
        f"SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE {_OF} "
        "ORDER BY column_index"
      ),
      *place,
    )
    generated = {
      name
      for (name,) in self._rows(
        "SELECT column_name FROM information_schema.columns WHERE table_catalog = "
        "current_database() AND is_generated = 'ALWAYS' AND table_schema = ? AND table_name = ?",
        *place,
      )
    }
    columns = tuple(
      # A view of nothing but NULL, or of empty lists, has a type of that name, which is no type to
      # anyone.
      DeclaredColumn(
        name,
        text := "" if _NO_TYPE.fullmatch(kind) else kind,
        text,
        nullable,
        comment or "",
        _enum_values(kind),
        name in generated,
      )
      for name, kind, nullable, comment in rows
    )
    if relation.is_view:
      comments = self._rows(
        f"SELECT comment, sql FROM duckdb_views() WHERE {_HERE} AND schema_name = ? "
        "AND view_name = ?",
        *place,
      )
      comment, definition = comments[0] if comments else ("", "")
      return Structure(columns, comment=comment or "", definition=definition or "")
    comments = self._rows(f"SELECT comment FROM duckdb_tables() WHERE {_OF}", *place)
    constraints = self._rows(
      f"""SELECT constraint_type, constraint_column_names, referenced_table, referenced_column_names
          FROM duckdb_constraints() WHERE {_OF} ORDER BY constraint_index""",
      *place,
    )
    primary = [tuple(own) for kind, own, _, _ in constraints if kind == "PRIMARY KEY"]
    unique = [tuple(own) for kind, own, _, _ in constraints if kind == "UNIQUE"]
    unique += self._unique_indexes(place, {column.name for column in columns})
    keys = tuple(
      # A key cannot leave its schema.
      DeclaredKey(tuple(own), relation.schema, table, tuple(theirs))
      for kind, own, table, theirs in constraints
      if kind == "FOREIGN KEY"
    )
    return Structure(
      columns,
      primary[0] if primary else (),
      keys,
      tuple(unique),
      comments[0][0] or "" if comments else "",
    )

  def _unique_indexes(self, place: tuple[str, str], columns: set[str]) -> list[tuple[str, ...]]:
    rows = self._rows(f"SELECT expressions FROM duckdb_indexes() WHERE {_OF} AND is_unique", *place)
    # The catalog has the text of the indexed expressions; those that are columns are named in it as
    # they are, or quoted.
    found = [
      tuple(part.strip(" \"'") for part in expressions.strip("[]").split(","))
      for (expressions,) in rows
    ]
    return [names for names in found if columns.issuperset(names)]


def _enum_values(kind: str) -> tuple[str, ...]:
  """The values of ENUM('a', 'b'), of a list of these too."""
  return (
    tuple(value.replace("''", "'") for value in _ENUM_VALUE.findall(kind))
    if kind.startswith("ENUM(")
    else ()
  )
