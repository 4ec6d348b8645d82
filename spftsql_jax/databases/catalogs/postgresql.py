"""PostgreSQL's catalog, from pg_catalog: what a role may read, as people use the server.

A partitioned table is one table, its partitions are none of their own; foreign tables are tables,
materialized views are views. Types are written as `format_type` writes them. Of a table that the
role may read in part, that part is taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import psycopg

from spftsql_jax.databases.catalogs import (
  DeclaredColumn,
  DeclaredKey,
  Relation,
  Structure,
  choose_schemas,
  listed,
)
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.sql import identifiers

_RELATIONS = r"""
  SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, pg_table_is_visible(c.oid),
    has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'),
    EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname <> 'information_schema'
  ORDER BY c.oid
"""
# A child by inheritance that adds no column of its own is a partition in the manner of older
# servers.
_PARTITIONS = """
  SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE c.relispartition OR NOT EXISTS (SELECT 1 FROM pg_attribute a
    WHERE a.attrelid = i.inhrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0)
"""
_COLUMNS = """
  SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod),
    format_type(base.oid, NULL), NOT a.attnotnull,
    col_description(a.attrelid, a.attnum), a.attgenerated <> '',
    has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
    ARRAY(
      WITH RECURSIVE within (oid) AS (
        SELECT a.atttypid
        UNION SELECT next.oid FROM within w JOIN pg_type t ON t.oid = w.oid CROSS JOIN LATERAL
          (VALUES (t.typbasetype),
            (CASE t.typcategory WHEN 'A' THEN t.typelem ELSE 0 END)) next (oid)
      )
      SELECT enumlabel::text FROM pg_enum WHERE enumtypid IN (SELECT oid FROM within)
        ORDER BY enumsortorder)
  FROM pg_attribute a CROSS JOIN LATERAL (
    WITH RECURSIVE stands_for (oid) AS (
      SELECT a.atttypid
      UNION ALL SELECT t.typbasetype FROM stands_for s
        JOIN pg_type t ON t.oid = s.oid AND t.typtype = 'd'
    )
    SELECT t.oid FROM stands_for s JOIN pg_type t ON t.oid = s.oid WHERE t.typtype <> 'd') base
  WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""
_NAMES = """
  ARRAY(SELECT a.attname::text FROM unnest({numbers}) WITH ORDINALITY k (number, place) JOIN
  pg_attribute a ON a.attrelid = {table} AND a.attnum = k.number ORDER BY k.place)
"""
_CONSTRAINTS = f"""
  SELECT conrelid, contype::text, {_NAMES.format(numbers="conkey", table="conrelid")}, confrelid,
    {_NAMES.format(numbers="confkey", table="confrelid")}
  FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND conrelid = ANY(%s::oid[])
    ORDER BY conrelid, conname
"""
# An index over an expression, or over some rows only, does not make a column unique.
_UNIQUE_INDEXES = f"""
  SELECT indrelid, {_NAMES.format(numbers="indkey[0:indnkeyatts - 1]", table="indrelid")}
  FROM pg_index
  WHERE indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
    AND indrelid = ANY(%s::oid[])
  ORDER BY indexrelid
"""
_COMMENTS = "SELECT oid, obj_description(oid, 'pg_class') FROM pg_class WHERE oid = ANY(%s::oid[])"

_DEFINITIONS = """
  SELECT oid, pg_get_viewdef(oid) FROM pg_class
  WHERE relkind IN ('v', 'm') AND oid = ANY(%s::oid[])
"""


def open_catalog(connection: psycopg.Connection, schemas: Sequence[str]) -> PostgresqlCatalog:
  """The catalog of what the connection's role may read."""
  return PostgresqlCatalog(connection, schemas)


class PostgresqlCatalog:
  """See `catalogs.Catalog`."""

  def __init__(self, connection: psycopg.Connection, schemas: Sequence[str]):
    self._connection = connection
    found = self._rows(_RELATIONS)
    readable = {row[0] for row in found if row[5]}
    parents = dict(self._rows(_PARTITIONS))
    # A partition of what may be read; one whose table may not be read is a table to this role.
    partitions = {child for child in parents if readable.intersection(_above(child, parents))}
    [(role, path)] = self._rows("SELECT current_user::text, current_schemas(false)::text[]")
    own = [row for row in found if row[0] not in partitions and not row[6]]
    if own and not any(row[5] for row in own):
      raise DatabaseError(
        _without_rights(role, [row for row in own if not schemas or row[1] in schemas] or own)
      )
    counts = Counter({row[1]: 0 for row in own})
    counts.update(row[1] for row in own if row[5])
    taken, self.left_out = choose_schemas(counts, path, schemas)
    if schemas and not any(counts[name] for name in taken):
      raise DatabaseError(_without_rights(role, [row for row in own if row[1] in taken]))
    kept = [row for row in own if row[5] and row[1] in taken]
    self.relations = [
      Relation(name, schema, (schema,), visible, kind in "vm", kind == "f", oid)
      for oid, schema, name, kind, visible, _, _ in kept
    ]
    self.relations.sort(key=lambda relation: (relation.is_view, taken.index(relation.schema)))
    oids = [relation.key for relation in self.relations]
    self._places = {row[0]: (row[1], row[2]) for row in kept}
    self._comments = dict(self._rows(_COMMENTS, oids))
    self._definitions = dict(self._rows(_DEFINITIONS, oids))
    self._columns: dict[int, list[DeclaredColumn]] = defaultdict(list)
    hidden: dict[int, list[str]] = defaultdict(list)
    columns = self._rows(_COLUMNS, oids)
    for oid, name, kind, base, nullable, comment, generated, may, labels in columns:
      if may:
        self._columns[oid].append(
          DeclaredColumn(name, kind, base, nullable, comment or "", tuple(labels), generated)
        )
      else:
        hidden[oid].append(name)
    self._constraints: dict[int, list[tuple]] = defaultdict(list)
    for oid, *constraint in self._rows(_CONSTRAINTS, oids):
      self._constraints[oid].append(tuple(constraint))
    self._unique: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for oid, names in self._rows(_UNIQUE_INDEXES, oids):
      self._unique[oid].append(tuple(names))
    self._tell_what_may_not_be_read(
      role, [row for row in own if not row[5] and row[1] in taken], hidden
    )
    if extension := [
      f"{row[1]}.{row[2]}" for row in found if row[5] and row[6] and row[1] in taken
    ]:
      self.left_out.append(f"what belongs to extensions: {listed(extension)}")

  def _rows(self, sql: str, *values: object) -> list[tuple]:
    return self._connection.execute(sql, values or None).fetchall()

  def _tell_what_may_not_be_read(
    self, role: str, rows: Sequence[tuple], hidden: dict[int, list[str]]
  ) -> None:
    if rows:
      names = listed(f"{row[1]}.{row[2]}" for row in rows)
      grant = f"GRANT SELECT ON {_path(rows[0])} TO {_written(role)}"
      self.left_out.append(f"what role {role} may not read: {names} (as its owner: {grant})")
    for oid, columns in hidden.items():
      schema, name = self._places[oid]
      self.left_out.append(
        f"of table {schema}.{name} the columns that role {role} may not read: {listed(columns)}"
      )

  def structure(self, relation: Relation) -> Structure:
    constraints = self._constraints[relation.key]
    readable = {column.name for column in self._columns[relation.key]}
    primary = [tuple(own) for kind, own, _, _ in constraints if kind == "p"]
    keys = tuple(
      DeclaredKey(tuple(own), *self._places[table], tuple(theirs))
      for kind, own, table, theirs in constraints
      if kind == "f" and table in self._places
    )
    unique = tuple(names for names in self._unique[relation.key] if readable.issuperset(names))
    return Structure(
      tuple(self._columns[relation.key]),
      primary[0] if primary and readable.issuperset(primary[0]) else (),
      keys,
      unique,
      self._comments.get(relation.key) or "",
      self._definitions.get(relation.key) or "",
    )


def _above(child: int, parents: dict[int, int]) -> set[int]:
  """The tables that a partition is a part of, directly or not."""
  above: set[int] = set()
  while child in parents and parents[child] not in above:
    child = parents[child]
    above.add(child)
  return above


def _without_rights(role: str, rows: Sequence[tuple]) -> str:
  schemas = list(dict.fromkeys(row[1] for row in rows))
  written = ", ".join(map(_written, schemas))
  return (
    f"role {role} may read none of the {len(rows):,} tables and views in "
    f"schema{'s' * (len(schemas) > 1)} {listed(schemas)}; "
    f"as their owner: GRANT USAGE ON SCHEMA {written} TO {_written(role)}; "
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {written} TO {_written(role)};"
  )


def _written(name: str) -> str:
  return identifiers.written(name, "postgres")


def _path(row: tuple) -> str:
  return identifiers.written_path(row[1:3], "postgres")
