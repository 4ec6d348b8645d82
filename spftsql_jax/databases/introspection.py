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
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy

from spftsql_jax.columns.whole_dates import format_of
from spftsql_jax.databases import catalogs
from spftsql_jax.databases.cells import ServerText, canonical_cell, is_readable
from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.engines.interface import Engine
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.foreign_keys import TableKey, add_foreign_keys
from spftsql_jax.databases.locations import engine_of, name_of, schemas_of
from spftsql_jax.databases.passwords import hide_passwords, without_password
from spftsql_jax.schema import Column, ForeignKey, Kind, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

_LOGGER = logging.getLogger(__name__)
# Of larger tables a sample of this many rows is read.
SAMPLE_ROWS = 5_000
# Up to this many rows distinct values are counted, beyond it they are estimated from the sample.
EXACT_COUNT_ROWS = 100_000
SAMPLES = 5
# A view may hide any amount of work, and the rows of a foreign table come from another server:
# where they take longer the table is listed without row count and samples.
VIEW_SECONDS = 5.0
_LONGEST_SAMPLE = 200

_NUMERIC = re.compile(
  r"int|real|floa|doub|numeric|decimal|number|serial|money|hugeint|^num$|currency", re.IGNORECASE
)
TEXTUAL = re.compile(r"char|text|clob|string|enum|uuid|citext", re.IGNORECASE)
_DATELIKE = re.compile(r"date|timestamp", re.IGNORECASE)
_BOOLEAN = re.compile(r"^(bool|boolean|bit)\b", re.IGNORECASE)
# What holds other values, or is none of them though its name has the name of a number in it.
_COMPOUND = re.compile(
  r".*\[\d*\]$|(struct|map|union|interval|point|\w*range)\b", re.IGNORECASE | re.DOTALL
)
# SQLite and others call a truth value so; where types are kept it is a string of bits.
_BITS = re.compile(r"bit\b", re.IGNORECASE)
_ISO_DATE = re.compile(
  r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)


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
    sample = _sample_in_time if relation.is_view or relation.is_remote else _sample_rows
    row_count, rows = sample(connection, cursor, module, path, names)
  values = list(zip(*rows, strict=True)) if rows else [()] * len(declared)
  counts = _distinct_counts(connection, module, path, names, row_count, values)
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
  )


def _path(module: Engine, relation: catalogs.Relation, qualifiers: tuple[str, ...]) -> str:
  """What a query of ours calls a relation."""
  return quote_path(
    (*(qualifiers or relation.path if module.DIALECT != "sqlite" else ()), relation.name)
  )


def _is_lost(connection: Any) -> bool:
  """Whether a failure is the connection's and not a table's: nothing else can be read either."""
  return bool(getattr(connection, "closed", False) or getattr(connection, "broken", False))


def fetch(connection: Any, sql: str) -> list[tuple]:
  """All rows of a query."""
  with contextlib.closing(connection.cursor()) as cursor:
    return cursor.execute(sql).fetchall()


def _sample_rows(
  connection: Any, cursor: Any, module: Engine, path: str, columns: Sequence[str]
) -> tuple[int, list[tuple]]:
  """The number of rows, and the first of them."""
  del connection
  row_count = cursor.execute(f"SELECT COUNT(*) FROM {path}").fetchall()[0][0]
  names = ", ".join(map(quote, columns))
  sql = f"SELECT {names} FROM {path} LIMIT {SAMPLE_ROWS}"
  return row_count, module.fetch_rows(cursor, sql, SAMPLE_ROWS) if row_count and names else []


def _sample_in_time(
  connection: Any, cursor: Any, module: Engine, path: str, columns: Sequence[str]
) -> tuple[int, list[tuple]]:
  """As `_sample_rows`, but (0, []) where it takes longer than VIEW_SECONDS."""
  late = threading.Event()
  # RuntimeError: how DuckDB says that it was interrupted.
  errors: tuple[type[Exception], ...] = (RuntimeError, *module.ERRORS)

  def stop() -> None:
    late.set()
    # A cursor is a connection of its own in DuckDB, and interrupted as one.
    (
      getattr(cursor, "interrupt", None)
      or getattr(connection, "interrupt", None)
      or connection.cancel
    )()

  timer = threading.Timer(VIEW_SECONDS, stop)
  timer.start()
  try:
    return _sample_rows(connection, cursor, module, path, columns)
  except errors:
    if not late.is_set():
      raise
    roll_back(connection, module.ERRORS)
    return 0, []
  finally:
    timer.cancel()
    timer.join()


def roll_back(connection: Any, errors: tuple[type[Exception], ...]) -> None:
  """Makes a connection usable again whose transaction has failed; `errors` are its engine's."""
  with contextlib.suppress(*errors):
    connection.rollback()


def _distinct_counts(
  connection: Any,
  module: Engine,
  path: str,
  columns: Sequence[str],
  row_count: int,
  values: Sequence[tuple],
) -> list[int]:
  """Distinct non-NULL values of each column: counted, or for large tables, and types without
  equality, estimated.
  """
  counts = []
  for column, stored in zip(columns, values, strict=True):
    if SAMPLE_ROWS < row_count <= EXACT_COUNT_ROWS:
      try:
        counts.append(
          fetch(connection, f"SELECT COUNT(DISTINCT {quote(column)}) FROM {path}")[0][0]
        )
        continue
      except module.ERRORS:
        # PostgreSQL's json, xml and point have no equality.
        roll_back(connection, module.ERRORS)
    present = [value for value in stored if value is not None]
    distinct = len(set(map(_hashable, present)))
    if row_count > len(stored) and 2 * distinct > len(present):
      # Mostly distinct in the sample: taken to go on like that.
      distinct = distinct * row_count // max(1, len(stored))
    counts.append(distinct)
  return counts


def _hashable(value: object) -> object:
  """What a value is counted as: every NaN as one, a list as its text."""
  cell = canonical_cell(value)
  return repr(value) if isinstance(cell, tuple) else cell


def _make_column(
  declared: catalogs.DeclaredColumn,
  stored: tuple,
  distinct_count: int,
  types_are_kept: bool = False,
) -> Column:
  present = [_hashable(value) for value in stored if value is not None]
  # What Python made of a list or a document is no text that the database knows.
  scalars = [
    _hashable(value)
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
  )


def kind_of(declared_type: str, values: Sequence[object], types_are_kept: bool = False) -> Kind:
  """What a column holds, by its declared type and some of its non-NULL values.

  The values decide where they are clear (a TEXT column of ISO dates is a date, an INT column of
  words is text); an empty column is what it was declared to be. Where the engine lets no other
  value into a column (`types_are_kept`), text in a column of dates or numbers is one that Python
  does not have ("infinity"), and says nothing.
  """
  if (
    values
    and all(isinstance(value, ServerText) for value in values)
    and _declared_kind(declared_type) != "date"
  ):
    return "other"
  if types_are_kept and (_COMPOUND.match(declared_type) or _BITS.match(declared_type)):
    return "other"
  if types_are_kept and _declared_kind(declared_type) in ("date", "number", "boolean"):
    values = [value for value in values if not isinstance(value, str)]
  values = values[:500]
  if _BOOLEAN.search(declared_type) and all(
    value in (0, 1, "0", "1", "t", "f", "true", "false", "T", "F") for value in values
  ):
    return "boolean"
  if not values:
    return _declared_kind(declared_type)
  kinds = Counter(_value_kind(value) for value in values)
  kind, count = kinds.most_common(1)[0]
  if count < 0.9 * len(values):
    return (
      "text" if kinds["text"] + kinds["date"] + kinds["numeral"] else _declared_kind(declared_type)
    )
  if kind == "numeral":
    # Digits in a text column (telephone numbers, codes) are text; in a column declared numeric they
    # are numbers.
    return "number" if _declared_kind(declared_type) == "number" else "text"
  return kind  # type: ignore[return-value]


def _value_kind(value: object) -> str:
  if isinstance(value, bool):
    return "boolean"
  if isinstance(value, ServerText):
    return "other"
  if isinstance(value, str):
    if _ISO_DATE.match(value):
      return "date"
    return "numeral" if value.replace(".", "", 1).removeprefix("-").isdigit() else "text"
  if isinstance(value, bytes | memoryview):
    return "other"
  name = type(value).__name__
  if name in ("int", "float", "Decimal"):
    return "number"
  return "date" if name in ("date", "datetime", "Timestamp") else "other"


def _declared_kind(declared_type: str) -> Kind:
  if _BOOLEAN.search(declared_type):
    return "boolean"
  if _DATELIKE.search(declared_type):
    return "date"
  if TEXTUAL.search(declared_type):
    return "text"
  if _NUMERIC.search(declared_type):
    return "number"
  return "other"


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
