"""Reading the schema of a database: structure through SQLAlchemy's inspector, kinds and sample values from the data.

Structure comes from the database's declarations. What a column holds comes from its declared type and a sample of its values,
because SQLite lets any column hold anything and because dates are often text.
"""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.engine import reflection

from spftsql_jax.databases import comments
from spftsql_jax.databases.comparison import canonical_cell
from spftsql_jax.databases.engines import (
  DatabaseError,
  ServerText,
  engine_module,
  engine_of,
  is_readable,
  name_of,
  without_password,
)
from spftsql_jax.databases.foreign_keys import TableKey, add_foreign_keys
from spftsql_jax.databases.schema import Column, ForeignKey, Kind, Schema, Table
from spftsql_jax.databases.whole_dates import format_of

# Of larger tables a sample of this many rows is read.
SAMPLE_ROWS = 5_000
# Up to this many rows distinct values are counted, beyond it they are estimated from the sample.
EXACT_COUNT_ROWS = 100_000
SAMPLES = 5
# A view may hide any amount of work: one whose rows take longer is listed without row count and samples.
VIEW_SECONDS = 5.0
_LONGEST_SAMPLE = 200

_NUMERIC = re.compile(r"int|real|floa|doub|numeric|decimal|number|serial|money|hugeint|^num$|currency", re.IGNORECASE)
TEXTUAL = re.compile(r"char|text|clob|string|enum|uuid|citext", re.IGNORECASE)
_DATELIKE = re.compile(r"date|timestamp", re.IGNORECASE)
_BOOLEAN = re.compile(r"^(bool|boolean|bit)\b", re.IGNORECASE)
_ISO_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$")


@contextlib.contextmanager
def open_reader(location: str) -> Iterator[Any]:
  """A read-only DB-API connection for code of ours, closed at the end.

  Raises DatabaseError, also for what the engine raises inside the block.
  """
  module = engine_module(engine_of(location))
  connection = module.connect(location)
  try:
    module.mark_undecodable(connection)
    yield connection
  except (sqlalchemy.exc.SQLAlchemyError, *module.ERRORS) as error:
    raise DatabaseError(f"{without_password(location)}: cannot be read: {' '.join(str(error).split())[:500]}") from error
  finally:
    connection.close()


def read_schema(location: str, foreign_keys: Sequence[TableKey] = ()) -> Schema:
  """The schema of the database at `location`, with `foreign_keys` (of `foreign_keys.py`) besides those it declares.

  Raises:
    DatabaseError: the database cannot be read.
    ValueError: a supplied key does not fit the database.
  """
  module = engine_module(engine_of(location))
  with open_reader(location) as connection, warnings.catch_warnings():
    # Types SQLAlchemy does not know; their declared text is read below.
    warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
    tables = _read_tables(module.inspector(connection), connection, module)
  schema = Schema(name=name_of(location), dialect=module.DIALECT, tables=tables)
  return add_foreign_keys(schema, foreign_keys) if foreign_keys else schema


def _read_tables(inspector: reflection.Inspector, connection, module) -> tuple[Table, ...]:
  hidden = module.hidden_tables(connection)
  views = inspector.get_view_names()
  with contextlib.suppress(NotImplementedError):  # Few engines have materialized views.
    views = [*views, *inspector.get_materialized_view_names()]
  names = [(name, False) for name in inspector.get_table_names()] + [(name, True) for name in views]
  names = [(name, is_view) for name, is_view in names if name not in hidden]
  lowered = {name.lower(): name for name, _ in names}
  tables = []
  for name, is_view in names:
    try:
      tables.append(_read_table(inspector, connection, module, name, is_view))
    except (sqlalchemy.exc.SQLAlchemyError, *module.ERRORS):
      # A view over something that is gone is of no use to anyone; a table that cannot be read is an error.
      if not is_view:
        raise
      _roll_back(connection, module)
  columns = {table.name: {column.name.lower(): column.name for column in table.columns} for table in tables}
  return tuple(_resolve_keys(table, lowered, columns) for table in tables)


def _read_table(inspector: reflection.Inspector, connection, module, name: str, is_view: bool) -> Table:
  declared = inspector.get_columns(name)
  types = module.declared_types(connection, name)
  primary_key: tuple[str, ...] = ()
  foreign_keys: tuple[ForeignKey, ...] = ()
  unique: tuple[tuple[str, ...], ...] = ()
  comment = ""
  column_comments: dict[str, str] = {}
  if not is_view:
    primary_key = tuple(inspector.get_pk_constraint(name).get("constrained_columns") or ())
    foreign_keys = tuple(
      ForeignKey(tuple(key["constrained_columns"]), key["referred_table"], tuple(key["referred_columns"] or ()))
      for key in inspector.get_foreign_keys(name)
    )
    unique = _unique_sets(inspector, name, primary_key)
  definition = module.definition(connection, name)
  if definition:
    comment, column_comments = comments.read_comments(definition)
  else:
    try:
      comment = inspector.get_table_comment(name).get("text") or ""
    except NotImplementedError:
      pass
  with contextlib.closing(connection.cursor()) as cursor:
    row_count, rows = _sample_view(connection, cursor, module, name) if is_view else _sample_rows(cursor, module, name)
  values = list(zip(*rows, strict=True)) if rows else [()] * len(declared)
  counts = _distinct_counts(connection, module, name, [column["name"] for column in declared], row_count, values)
  columns = tuple(
    _make_column(column, types.get(column["name"]), column_comments, stored, count, module.TYPES_ARE_KEPT)
    for column, stored, count in zip(declared, values, counts, strict=True)
  )
  return Table(name, columns, primary_key, foreign_keys, unique, row_count, comment, is_view)


def _unique_sets(inspector: reflection.Inspector, name: str, primary_key: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
  sets = [tuple(map(str, constraint["column_names"])) for constraint in inspector.get_unique_constraints(name)]
  for index in inspector.get_indexes(name):
    # An index over an expression, or over some rows only, does not make a column unique.
    partial = any(key.endswith("_where") and value is not None for key, value in index.get("dialect_options", {}).items())
    if index.get("unique") and None not in index["column_names"] and not partial:
      sets.append(tuple(map(str, index["column_names"])))
  return tuple(dict.fromkeys(columns for columns in sets if columns and columns != primary_key))


def quote(name: str) -> str:
  """`name` as a quoted identifier of any of the engines."""
  return '"' + name.replace('"', '""') + '"'


def fetch(connection, sql: str) -> list[tuple]:
  """All rows of a query."""
  with contextlib.closing(connection.cursor()) as cursor:
    return cursor.execute(sql).fetchall()


def _sample_rows(cursor, module, name: str) -> tuple[int, list[tuple]]:
  row_count = cursor.execute(f"SELECT COUNT(*) FROM {quote(name)}").fetchall()[0][0]
  sql = f"SELECT * FROM {quote(name)} LIMIT {SAMPLE_ROWS}"
  return row_count, module.fetch_rows(cursor, sql, SAMPLE_ROWS) if row_count else []


def _sample_view(connection, cursor, module, name: str) -> tuple[int, list[tuple]]:
  """As `_sample_rows`, but (0, []) where it takes longer than VIEW_SECONDS."""
  late = threading.Event()

  def stop() -> None:
    late.set()
    # A cursor is a connection of its own in DuckDB, and interrupted as one.
    (getattr(cursor, "interrupt", None) or getattr(connection, "interrupt", None) or connection.cancel)()

  timer = threading.Timer(VIEW_SECONDS, stop)
  timer.start()
  try:
    return _sample_rows(cursor, module, name)
  except (RuntimeError, *module.ERRORS):  # RuntimeError: how DuckDB says that it was interrupted.
    if not late.is_set():
      raise
    _roll_back(connection, module)
    return 0, []
  finally:
    timer.cancel()
    timer.join()


def _roll_back(connection, module) -> None:
  """Makes a connection usable again whose transaction has failed."""
  with contextlib.suppress(*module.ERRORS):
    connection.rollback()


def _distinct_counts(
  connection, module, name: str, columns: Sequence[str], row_count: int, values: Sequence[tuple]
) -> list[int]:
  """Distinct non-NULL values of each column: counted, or for large tables, and types without equality, estimated."""
  counts = []
  for column, stored in zip(columns, values, strict=True):
    if SAMPLE_ROWS < row_count <= EXACT_COUNT_ROWS:
      try:
        counts.append(fetch(connection, f"SELECT COUNT(DISTINCT {quote(column)}) FROM {quote(name)}")[0][0])
        continue
      except module.ERRORS:
        # PostgreSQL's json, xml and point have no equality.
        _roll_back(connection, module)
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
  declared: Mapping[str, Any],
  declared_type: str | None,
  column_comments: dict,
  stored: tuple,
  distinct_count: int,
  types_are_kept: bool = False,
) -> Column:
  name = declared["name"]
  type_text = declared_type if declared_type is not None else str(declared["type"])
  present = [_hashable(value) for value in stored if value is not None]
  frequent = [
    value
    for value, _ in sorted(Counter(present).items(), key=lambda item: (-item[1], str(item[0])))
    if (not isinstance(value, str | bytes) or len(value) <= _LONGEST_SAMPLE) and is_readable(value)
  ]
  return Column(
    name=name,
    type=type_text,
    kind=(kind := kind_of(type_text, [value for value in stored if value is not None], types_are_kept)),
    nullable=bool(declared.get("nullable", True)),
    comment=declared.get("comment") or column_comments.get(name.lower(), ""),
    samples=tuple(frequent[:SAMPLES]),
    distinct_count=distinct_count,
    date_format=format_of(name, present) if kind in ("number", "text") else "",
  )


def kind_of(declared_type: str, values: Sequence[object], types_are_kept: bool = False) -> Kind:
  """What a column holds, by its declared type and some of its non-NULL values.

  The values decide where they are clear (a TEXT column of ISO dates is a date, an INT column of words is text); an empty
  column is what it was declared to be. Where the engine lets no other value into a column (`types_are_kept`), text in a
  column of dates or numbers is one that Python does not have ("infinity"), and says nothing.
  """
  if values and all(isinstance(value, ServerText) for value in values) and _declared_kind(declared_type) != "date":
    return "other"
  if types_are_kept and _declared_kind(declared_type) in ("date", "number", "boolean"):
    values = [value for value in values if not isinstance(value, str)]
  values = values[:500]
  if _BOOLEAN.search(declared_type) and all(value in (0, 1, "0", "1", "t", "f", "true", "false", "T", "F") for value in values):
    return "boolean"
  if not values:
    return _declared_kind(declared_type)
  kinds = Counter(_value_kind(value) for value in values)
  kind, count = kinds.most_common(1)[0]
  if count < 0.9 * len(values):
    return "text" if kinds["text"] + kinds["date"] + kinds["numeral"] else _declared_kind(declared_type)
  if kind == "numeral":
    # Digits in a text column (telephone numbers, codes) are text; in a column declared numeric they are numbers.
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


def _resolve_keys(table: Table, tables: dict[str, str], columns: dict[str, dict[str, str]]) -> Table:
  """Foreign keys with names spelled as declared; those that refer to nothing are left out."""
  resolved = []
  for key in table.foreign_keys:
    target = tables.get((key.referred_table or "").lower())
    if target is None or target not in columns:
      continue
    own = tuple(columns[table.name].get(name.lower(), "") for name in key.columns)
    referred = tuple(columns[target].get(name.lower(), "") for name in key.referred_columns)
    if own and len(own) == len(referred) and all(own) and all(referred):
      resolved.append(ForeignKey(own, target, referred))
  return Table(
    table.name,
    table.columns,
    table.primary_key,
    tuple(dict.fromkeys(resolved)),
    table.unique,
    table.row_count,
    table.comment,
    table.is_view,
  )
