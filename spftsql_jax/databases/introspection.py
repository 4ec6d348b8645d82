"""Reading the schema of a database: structure from its catalog, kinds and sample values from the
data.

Structure comes from the database's declarations (`catalogs`). What a column holds comes from its
declared type and a sample of its values, because SQLite lets any column hold anything and because
dates are often text. A table that cannot be read is left out and named in `Schema.left_out`: the
others are of use without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy

from spftsql_jax.columns.whole_dates import format_of
from spftsql_jax.databases import catalogs
from spftsql_jax.databases.cells import canonical_cell, is_readable
from spftsql_jax.databases.column_kinds import kind_of
from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.engines.interface import Engine
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.foreign_keys import TableKey, add_foreign_keys
from spftsql_jax.databases.locations import engine_of, name_of, schemas_of
from spftsql_jax.databases.passwords import hide_passwords, without_password
from spftsql_jax.databases.sampling import (
  counted_as,
  distinct_counts,
  roll_back,
  sample_in_time,
  sample_rows,
)
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.sql.identifiers import quote_path

_LOGGER = logging.getLogger(__name__)
SAMPLES = 5
_LONGEST_SAMPLE = 200


@contextlib.contextmanager
def open_reader(location: str) -> Iterator[Any]:
  """A read-only DB-API connection for code of ours, closed at the end.

  Raises DatabaseError, also for what the engine raises inside the block.
  """
  module = engine_module(engine_of(location))
  connection = module.connect(location)
  errors: tuple[type[Exception], ...] = (sqlalchemy.exc.SQLAlchemyError, *module.ERRORS)
  try:
    module.mark_undecodable(connection)
    yield connection
  except errors as error:
    message = hide_passwords(_one_line(error), location)
    raise DatabaseError(f"{without_password(location)}: cannot be read: {message}") from error
  finally:
    connection.close()


def read_schema(location: str, foreign_keys: Sequence[TableKey] = ()) -> Schema:
  """The schema of the database at `location`, with `foreign_keys` (of `foreign_keys.py`) besides
  those it declares.

  Raises:
    DatabaseError: the database cannot be read, or nothing in it.
    ValueError: a supplied key does not fit the database.
  """
  engine = engine_of(location)
  module = engine_module(engine)
  with open_reader(location) as connection, warnings.catch_warnings():
    # Types SQLAlchemy does not know; their declared text is read.
    warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
    try:
      catalog = catalogs.open_catalog(engine, connection, schemas_of(location))
      tables, failures = _read_tables(catalog, connection, module)
    except DatabaseError as error:
      raise DatabaseError(f"{without_password(location)}: {error}") from error
  left_out = tuple(hide_passwords(text, location) for text in (*failures, *catalog.left_out))
  schema = Schema(name=name_of(location), dialect=module.DIALECT, tables=tables, left_out=left_out)
  return add_foreign_keys(schema, foreign_keys) if foreign_keys else schema


# What has been said of which database: a schema is read several times in a run.
_said: set[tuple[str, str]] = set()


def tell_left_out(name: str, left_out: Sequence[str]) -> None:
  """Says once, in a line of the log (on stderr, if nobody set it up otherwise), what was left out
  of a database.
  """
  text = "; ".join(left_out)
  if text and (name, text) not in _said:
    _said.add((name, text))
    _LOGGER.warning("%s: left out: %s", name, text)


def _read_tables(
  catalog: catalogs.Catalog, connection: Any, module: Engine
) -> tuple[tuple[Table, ...], list[str]]:
  """The tables, and of those that cannot be read the name and the reason."""
  # An SQLite file has one schema, which tells nothing apart.
  names = (
    _identities(catalog.relations) if module.DIALECT != "sqlite" else [()] * len(catalog.relations)
  )
  read: dict[str, tuple[Table, catalogs.Structure]] = {}
  failures = []
  refusal = module.refusal_of(connection)
  errors: tuple[type[Exception], ...] = (
    sqlalchemy.exc.SQLAlchemyError,
    RuntimeError,
    *module.ERRORS,
  )
  for relation, qualifiers in zip(catalog.relations, names, strict=True):
    try:
      structure = catalog.structure(relation)
      table = _read_table(connection, module, relation, qualifiers, structure)
      # A view may be made of what no query may do (functions with effects, luck): nobody could ask
      # about it.
      if reason := refusal(f"SELECT * FROM {_path(module, relation, qualifiers)}"):
        raise RuntimeError(reason)
    except errors as error:
      if _is_lost(connection):
        raise
      failures.append(
        f"{'view' if relation.is_view else 'table'} {relation.shown} cannot be read "
        f"({_one_line(error)})"
      )
      roll_back(connection, module.ERRORS)
      continue
    taken = {column.name for column in table.columns}
    if dropped := [column.name for column in structure.columns if column.name not in taken]:
      names_of_twins = catalogs.listed(dropped)
      failures.append(
        f"of table {relation.shown} what differs from another column's name in case only: "
        f"{names_of_twins}"
      )
    read[table.name] = (table, structure)
  if failures and not read:
    raise DatabaseError(f"none of its tables can be read: {failures[0]}")
  places = {
    (table.schema.lower(), table.base_name.lower()): table for table, _ in reversed(read.values())
  }
  exact = {(table.schema, table.base_name): table for table, _ in read.values()}
  return tuple(
    _with_keys(table, structure, exact, places) for table, structure in read.values()
  ), failures


def _identities(relations: Sequence[catalogs.Relation]) -> list[tuple[str, ...]]:
  """What is to be written before each name: nothing where a query finds it and no other is called
  the same.
  """
  same = Counter(relation.name.lower() for relation in relations)
  taken: set[str] = set()
  found = []
  for relation in relations:
    qualifiers = () if relation.is_found and same[relation.name.lower()] == 1 else relation.path
    if not qualifiers and relation.name.lower() in taken:
      # Another one's qualified name reads the same: a table "a.b" beside b of schema a.
      qualifiers = relation.path
    taken.add(".".join((*qualifiers, relation.name)).lower())
    found.append(qualifiers)
  return found


def _read_table(
  connection: Any,
  module: Engine,
  relation: catalogs.Relation,
  qualifiers: tuple[str, ...],
  structure: catalogs.Structure,
) -> Table:
  """A table with what its rows tell of its columns, still without foreign keys."""
  # PostgreSQL tells "Name" from name; nobody who asks does.
  declared = list({column.name.lower(): column for column in reversed(structure.columns)}.values())[
    ::-1
  ]
  names = [column.name for column in declared]
  path = _path(module, relation, qualifiers)
  with contextlib.closing(connection.cursor()) as cursor:
    sample = sample_in_time if relation.is_view or relation.is_remote else sample_rows
    row_count, rows = sample(connection, cursor, module, path, names)
  values = list(zip(*rows, strict=True)) if rows else [()] * len(declared)
  counts = distinct_counts(connection, module, path, names, row_count, values)
  columns = tuple(
    _make_column(column, stored, count, module.TYPES_ARE_KEPT)
    for column, stored, count in zip(declared, values, counts, strict=True)
  )
  known = set(names)
  unique = (
    columns
    for columns in structure.unique
    if columns and columns != structure.primary_key and known.issuperset(columns)
  )
  return Table(
    ".".join((*qualifiers, relation.name)),
    columns,
    structure.primary_key if known.issuperset(structure.primary_key) else (),
    (),
    tuple(dict.fromkeys(unique)),
    row_count,
    structure.comment,
    relation.is_view,
    qualifiers,
    relation.schema,
    structure.definition,
  )


def _path(module: Engine, relation: catalogs.Relation, qualifiers: tuple[str, ...]) -> str:
  """What a query of ours calls a relation."""
  return quote_path(
    (*(qualifiers or relation.path if module.DIALECT != "sqlite" else ()), relation.name)
  )


def _is_lost(connection: Any) -> bool:
  """Whether a failure is the connection's and not a table's: nothing else can be read either."""
  return bool(getattr(connection, "closed", False) or getattr(connection, "broken", False))


def _make_column(
  declared: catalogs.DeclaredColumn,
  stored: tuple,
  distinct_count: int,
  types_are_kept: bool = False,
) -> Column:
  present = [counted_as(value) for value in stored if value is not None]
  # What Python made of a list or a document is no text that the database knows.
  scalars = [
    counted_as(value)
    for value in stored
    if value is not None and not isinstance(canonical_cell(value), tuple | bytes)
  ]
  frequent = [
    value
    for value, _ in sorted(Counter(scalars).items(), key=lambda item: (-item[1], str(item[0])))
    if (not isinstance(value, str | bytes) or len(value) <= _LONGEST_SAMPLE) and is_readable(value)
  ]
  return Column(
    name=declared.name,
    type=declared.type,
    kind=(
      kind := kind_of(
        "enum" if declared.allowed else declared.base_type,
        [value for value in stored if value is not None],
        types_are_kept,
      )
    ),
    nullable=declared.nullable,
    comment=declared.comment,
    samples=tuple(frequent[:SAMPLES]),
    distinct_count=distinct_count,
    date_format=format_of(declared.name, present) if kind in ("number", "text") else "",
    allowed=declared.allowed,
    generated=declared.generated,
  )


def _with_keys(table: Table, structure: catalogs.Structure, exact: dict, places: dict) -> Table:
  """The table with its foreign keys, names spelled as declared; those that refer to nothing that
  was read are left out.
  """
  keys = []
  own_names = {column.name.lower(): column.name for column in table.columns}
  for key in structure.foreign_keys:
    place = (key.referred_schema, key.referred)
    target = exact.get(place) or places.get((place[0].lower(), place[1].lower()))
    if target is None:
      continue
    their_names = {column.name.lower(): column.name for column in target.columns}
    own = tuple(own_names.get(name.lower(), "") for name in key.columns)
    referred = tuple(their_names.get(name.lower(), "") for name in key.referred_columns)
    if own and len(own) == len(referred) and all(own) and all(referred):
      keys.append(ForeignKey(own, target.name, referred))
  return dataclasses.replace(table, foreign_keys=tuple(dict.fromkeys(keys)))


def _one_line(error: Exception) -> str:
  """An error's own words; SQLAlchemy adds the statement and a link."""
  return " ".join(str(getattr(error, "orig", None) or error).split())[:500]
