"""SQLite's catalog, through SQLAlchemy's inspector; types and comments stand in the text of the
declarations alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import pool

from spftsql_jax.databases.catalogs import (
  DeclaredColumn,
  DeclaredKey,
  Relation,
  Structure,
  sqlite_comments,
)
from spftsql_jax.databases.errors import DatabaseError

_SCHEMA = "main"
# What `hidden` is of a generated column: virtual or stored.
_GENERATED = (2, 3)


def open_catalog(connection: sqlite3.Connection, schemas: Sequence[str]) -> SqliteCatalog:
  """The catalog; a file has the one schema "main"."""
  if other := [name for name in schemas if name.lower() != _SCHEMA]:
    raise DatabaseError(
      f"no schema {other[0]!r}: an SQLite file has no schemas (leave --schemas out for it)"
    )
  return SqliteCatalog(connection)


def hidden_tables(connection: sqlite3.Connection) -> set[str]:
  """Tables that SQLite keeps for itself: sqlite_sequence and its like, and the shadow tables behind
  virtual ones."""
  names = {
    name
    for (name,) in connection.execute(
      "SELECT name FROM sqlite_master WHERE substr(name, 1, 7) = 'sqlite_'"
    )
  }
  try:
    names |= {
      name
      for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")
    }
  except sqlite3.OperationalError:
    # Before SQLite 3.37 there is no such list.
    pass
  return names


class SqliteCatalog:
  """See `catalogs.Catalog`."""

  def __init__(self, connection: sqlite3.Connection):
    self._connection = connection
    engine = sqlalchemy.create_engine(
      "sqlite://", creator=lambda: connection, poolclass=pool.StaticPool
    )
    self._inspector = sqlalchemy.inspect(engine)
    hidden = hidden_tables(connection)
    names = [(name, False) for name in self._inspector.get_table_names()]
    names += [(name, True) for name in self._inspector.get_view_names()]
    self.relations = [
      Relation(name, _SCHEMA, (_SCHEMA,), is_view=view)
      for name, view in names
      if name not in hidden
    ]
    self.left_out: list[str] = []

  def structure(self, relation: Relation) -> Structure:
    name, inspector = relation.name, self._inspector
    declared = inspector.get_columns(name)
    # As they stand in the declaration, "" where there is none: SQLAlchemy knows some types alone.
    rows = self._connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (name,))
    types = {}
    generated = set()
    for column_name, kind, hidden in rows:
      types[column_name] = kind
      if hidden in _GENERATED:
        generated.add(column_name)
    comment, of_columns = sqlite_comments.read_comments(self._definition(name))
    columns = tuple(
      DeclaredColumn(
        column["name"],
        text := types.get(column["name"], str(column["type"])),
        text,
        bool(column.get("nullable", True)),
        of_columns.get(column["name"].lower(), ""),
        generated=column["name"] in generated,
      )
      for column in declared
    )
    if relation.is_view:
      return Structure(columns, definition=self._definition(name, "view"))
    return Structure(
      columns,
      tuple(inspector.get_pk_constraint(name).get("constrained_columns") or ()),
      tuple(
        DeclaredKey(
          tuple(key["constrained_columns"]),
          _SCHEMA,
          key["referred_table"] or "",
          tuple(key["referred_columns"] or ()),
        )
        for key in inspector.get_foreign_keys(name)
      ),
      tuple(self._unique_sets(name)),
      comment,
    )

  def _definition(self, name: str, kind: str = "table") -> str:
    """The text of the table's CREATE TABLE, comments and all; or of a view's."""
    query = "SELECT sql FROM sqlite_master WHERE name = ? AND type = ?"
    row = self._connection.execute(query, (name, kind)).fetchone()
    return row[0] if row and row[0] else ""

  def _unique_sets(self, name: str) -> list[tuple[str, ...]]:
    sets = [
      tuple(map(str, constraint["column_names"]))
      for constraint in self._inspector.get_unique_constraints(name)
    ]
    for index in self._inspector.get_indexes(name):
      # An index over an expression, or over some rows only, does not make a column unique.
      options = index.get("dialect_options", {})
      partial = any(key.endswith("_where") and value is not None for key, value in options.items())
      if index.get("unique") and None not in index["column_names"] and not partial:
        sets.append(tuple(map(str, index["column_names"])))
    return sets
