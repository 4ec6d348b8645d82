"""Results and schemas as the JSON that the page reads."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from typing import Any, Literal

from spftsql_jax.databases.execution.results import Result
from spftsql_jax.schema import Schema, Table
from spftsql_jax.sql import identifiers

ShownKind = Literal["number", "date", "text"]
_DATE = re.compile(r"\d{4}-\d\d(-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?")
# JavaScript's numbers hold whole numbers up to here; larger ones travel as text.
_LARGEST_EXACT = 2**53 - 1


def result_record(result: Result) -> dict[str, Any]:
  """A result: its status and message, columns with their kinds, and rows of JSON cells."""
  rows = [[_cell(cell) for cell in row] for row in result.rows]
  return {
    "status": result.status,
    "message": result.message,
    "columns": list(result.columns),
    "kinds": [_kind(result, i) for i in range(len(result.columns))],
    "rows": rows,
    "seconds": result.seconds,
  }


def schema_record(schema: Schema) -> dict[str, Any]:
  """The tables of a schema and their columns, with all names as SQL has to write them too."""
  return {
    "name": schema.name,
    "dialect": schema.dialect,
    "tables": [_table(table, schema.dialect) for table in schema.tables],
    "left_out": list(schema.left_out),
  }


def _table(table: Table, dialect: str) -> dict[str, Any]:
  refers = {
    column: f"{key.referred_table}.{referred}"
    for key in table.foreign_keys
    for column, referred in zip(key.columns, key.referred_columns, strict=False)
  }
  return {
    "name": table.name,
    "written": identifiers.written_path(table.parts, dialect),
    "rows": table.row_count,
    "view": table.is_view,
    "comment": table.comment,
    "columns": [
      {
        "name": column.name,
        "written": identifiers.written(column.name, dialect),
        "type": column.type,
        "comment": column.comment,
        "key": column.name in table.primary_key,
        "refers": refers.get(column.name, ""),
      }
      for column in table.columns
    ],
  }


def _kind(result: Result, index: int) -> ShownKind:
  """What all cells of a column are, NULL left out."""
  cells = [row[index] for row in result.rows if row[index] is not None]
  if cells and all(map(_is_number, cells)):
    return "number"
  if cells and all(map(_is_date, cells)):
    return "date"
  return "text"


def _is_number(cell: object) -> bool:
  return isinstance(cell, int | float | decimal.Decimal) and not isinstance(cell, bool)


def _is_date(cell: object) -> bool:
  return isinstance(cell, datetime.date) or (
    isinstance(cell, str) and _DATE.fullmatch(cell) is not None
  )


def _cell(cell: object) -> object:
  """A cell as JSON has it: exact, so that what a number of JavaScript cannot hold is text."""
  if cell is None or isinstance(cell, bool | str):
    return cell
  if isinstance(cell, int):
    return cell if abs(cell) <= _LARGEST_EXACT else str(cell)
  if isinstance(cell, float):
    return cell if math.isfinite(cell) else str(cell)
  if isinstance(cell, bytes | bytearray | memoryview):
    return f"x'{bytes(cell).hex()}'"
  if isinstance(cell, datetime.datetime):
    return cell.isoformat(" ")
  return cell.isoformat() if isinstance(cell, datetime.date) else str(cell)
