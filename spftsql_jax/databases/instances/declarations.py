"""What a PostgreSQL database declares, as statements that declare it again.

As far as the role may read: tables (a partitioned one is one, a foreign one a plain one), views,
types, and functions in SQL.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import psycopg

from spftsql_jax.databases import catalogs
from spftsql_jax.schema import Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

_ENUMS = """
  SELECT n.nspname::text, t.typname::text, ARRAY(
    SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype = 'e' AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  ORDER BY t.oid
"""
_DOMAINS = """
  SELECT n.nspname::text, t.typname::text, format_type(t.typbasetype, t.typtypmod), ARRAY(
    SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.contypid = t.oid ORDER BY c.oid)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype = 'd' AND n.nspname NOT IN ('information_schema', 'pg_catalog')
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  ORDER BY t.oid
"""
_COMPOSITES = """
  SELECT n.nspname::text, t.typname::text, ARRAY(
    SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid
  WHERE c.relkind = 'c' AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  ORDER BY t.oid
"""
_FUNCTIONS = r"""
  SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  WHERE p.prokind = 'f' AND l.lanname IN ('sql', 'plpgsql') AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname <> 'information_schema' AND p.prorettype <> 'trigger'::regtype
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  ORDER BY p.oid
"""
_EXTENSIONS = """
  SELECT e.extname::text, n.nspname::text FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'
"""
_GENERATED = """
  SELECT a.attrelid, a.attname::text, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
  JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attgenerated <> '' AND a.attrelid = ANY(%s::oid[])
"""
_CHECKS = """
  SELECT conrelid, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE contype = 'c' AND conrelid = ANY(%s::oid[]) ORDER BY oid
"""
_VIEWS = "SELECT oid, pg_get_viewdef(oid) FROM pg_class WHERE oid = ANY(%s::oid[])"
_SETTINGS = """
  SELECT current_setting('TimeZone'), current_schemas(false)::text[], datcollate::text,
    datctype::text, current_setting('server_version_num')::int / 10000
  FROM pg_database WHERE datname = current_database()
"""


@dataclasses.dataclass(frozen=True)
class Declared:
  """What a database declares, as statements.

  Attributes:
    extensions: by name their schema.
    statements: what makes the rest.
    checks: statements that add constraints of rows, each of which may be left out.
    generated: by schema and table the columns that the server computes.
    settings: time zone, search path, collation and character classes.
    version: of the server, its first number.
  """

  extensions: Mapping[str, str]
  statements: Sequence[str]
  checks: Sequence[str]
  generated: Mapping[tuple[str, str], frozenset[str]]
  settings: tuple[str, Sequence[str], str, str]
  version: int


def path_of_table(table: Table) -> str:
  """A table's name with its schema, in quotes."""
  return quote_path((table.schema, table.base_name))


def string(text: str) -> str:
  """A text as SQL writes it."""
  return "'" + text.replace("'", "''") + "'"


def foreign_keys(schema: Schema) -> list[str]:
  """The statements that declare a schema's own foreign keys."""
  return [
    f"ALTER TABLE {path_of_table(table)} ADD FOREIGN KEY ({', '.join(map(quote, key.columns))}) "
    f"REFERENCES {path_of_table(schema.table(key.referred_table))} "
    f"({', '.join(map(quote, key.referred_columns))})"
    for table in schema.tables
    for key in table.foreign_keys
    if not key.inferred
  ]


def read_declared(connection: psycopg.Connection, catalog: catalogs.Catalog) -> Declared:
  """Reads what there is to declare; foreign keys are left to `_foreign_keys`."""

  def rows(sql: str, *values: object) -> list[tuple]:
    return connection.execute(sql.encode(), values or None).fetchall()

  statements = [
    f"CREATE TYPE {quote_path((schema, name))} AS ENUM ({', '.join(map(string, labels))})"
    for schema, name, labels in rows(_ENUMS)
  ]
  statements += [
    f"CREATE DOMAIN {quote_path((schema, name))} AS {base} {' '.join(constraints)}"
    for schema, name, base, constraints in rows(_DOMAINS)
  ]
  statements += [
    f"CREATE TYPE {quote_path((schema, name))} AS ({', '.join(parts)})"
    for schema, name, parts in rows(_COMPOSITES)
  ]
  oids = [relation.key for relation in catalog.relations]
  computed: dict[int, dict[str, str]] = {oid: {} for oid in oids}
  for oid, name, text in rows(_GENERATED, oids):
    computed[oid][name] = text
  places: dict[int, str] = {}
  generated = {}
  views = []
  for relation in catalog.relations:
    path = places[relation.key] = quote_path((relation.schema, relation.name))
    structure = catalog.structure(relation)
    generated[relation.schema, relation.name] = frozenset(computed[relation.key])
    if relation.is_view:
      views.append(relation.key)
      continue
    parts = [
      f"{quote(column.name)} {column.type}"
      + (
        f" GENERATED ALWAYS AS ({text}) STORED"
        if (text := computed[relation.key].get(column.name))
        else ""
      )
      + ("" if column.nullable else " NOT NULL")
      for column in structure.columns
    ]
    keys = [("PRIMARY KEY", structure.primary_key)] if structure.primary_key else []
    keys += [("UNIQUE", names) for names in structure.unique if names != structure.primary_key]
    parts += [f"{kind} ({', '.join(map(quote, names))})" for kind, names in keys]
    statements.append(f"CREATE TABLE {path} ({', '.join(parts)})")
  statements += [text for (text,) in rows(_FUNCTIONS)]
  definitions = dict(rows(_VIEWS, views))
  statements += [f"CREATE VIEW {places[oid]} AS {definitions[oid]}" for oid in views]
  zone, path_names, collation, classes, version = rows(_SETTINGS)[0]
  return Declared(
    extensions=dict(rows(_EXTENSIONS)),
    statements=statements,
    checks=[f"ALTER TABLE {places[oid]} ADD {text}" for oid, text in rows(_CHECKS, oids)],
    generated=generated,
    settings=(zone, path_names, collation, classes),
    version=version,
  )
