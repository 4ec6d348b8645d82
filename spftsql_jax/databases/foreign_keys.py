"""Foreign keys that a database does not declare, supplied by who knows it.

They stand in a JSON file, for each database (by db_id) a list of entries:

    {"shop": [
      {"table": "order", "column": "customer",
       "referred_table": "customer", "referred_column": "id"},
      {"table": "shipment", "column": ["customer", "day"],
       "referred_table": "order", "referred_column": ["customer", "day"]}
    ]}

`key_inference` finds such keys by itself. Both are marked `ForeignKey.inferred`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence

from spftsql_jax.schema import ForeignKey, Schema, Table

# The table that holds the columns, and its key.
TableKey = tuple[str, ForeignKey]
_FIELDS = ("table", "column", "referred_table", "referred_column")


def read_foreign_keys(path: str | os.PathLike) -> dict[str, list[TableKey]]:
  """The keys in the JSON file at `path`, by db_id.

  Raises:
    ValueError: not the form above; the message names the file and the entry.
    OSError: the file cannot be read.
  """
  with open(path, encoding="utf-8") as file:
    text = file.read()
  try:
    return parse_foreign_keys(json.loads(text))
  except json.JSONDecodeError as error:
    raise ValueError(f"{os.fspath(path)}: line {error.lineno}: not JSON: {error.msg}") from None
  except ValueError as error:
    raise ValueError(f"{os.fspath(path)}: {error}") from None


def parse_foreign_keys(value: object) -> dict[str, list[TableKey]]:
  """The keys in a value of the form above, by db_id. Raises ValueError naming the entry."""
  if not isinstance(value, dict):
    raise ValueError('foreign keys: an object {"db_id": [entries]} is needed')
  parsed: dict[str, list[TableKey]] = {}
  for db_id, entries in value.items():
    if not isinstance(entries, list):
      raise ValueError(f"foreign keys of {db_id!r}: a list of entries is needed")
    parsed[db_id] = [
      _parse_entry(entry, f"foreign key {i} of {db_id!r}")
      for i, entry in enumerate(entries, start=1)
    ]
  return parsed


def _parse_entry(entry: object, where: str) -> TableKey:
  if not isinstance(entry, dict) or set(entry) != set(_FIELDS):
    raise ValueError(
      f"{where}: an object with {', '.join(_FIELDS)} is needed, not {json.dumps(entry)}"
    )
  for field in ("table", "referred_table"):
    if not isinstance(entry[field], str):
      raise ValueError(f"{where}: {field} must be a name, not {json.dumps(entry[field])}")
  sides = []
  for field in ("column", "referred_column"):
    names = [entry[field]] if isinstance(entry[field], str) else entry[field]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
      raise ValueError(
        f"{where}: {field} must be a name or a list of names, not {json.dumps(entry[field])}"
      )
    sides.append(tuple(names))
  if len(sides[0]) != len(sides[1]):
    raise ValueError(f"{where}: {len(sides[0])} columns refer to {len(sides[1])}")
  return entry["table"], ForeignKey(sides[0], entry["referred_table"], sides[1], inferred=True)


def add_foreign_keys(schema: Schema, keys: Sequence[TableKey]) -> Schema:
  """`schema` with `keys` behind its own.

  Names are compared without case, and a key that is there already is not added again.

  Raises:
    ValueError: a key speaks of a table or column that the database lacks, or has no partner for a
      column.
  """
  added: dict[str, list[ForeignKey]] = {}
  for i, (name, key) in enumerate(keys, start=1):
    try:
      table, referred = schema.table(name), schema.table(key.referred_table)
      own = tuple(table.column(column).name for column in key.columns)
      theirs = tuple(referred.column(column).name for column in key.referred_columns)
    except KeyError as error:
      raise ValueError(
        f"foreign key {i} of {schema.name!r} ({_shown(name, key)}): {error.args[0]}"
      ) from None
    if not own or len(own) != len(theirs):
      raise ValueError(
        f"foreign key {i} of {schema.name!r} ({_shown(name, key)}): "
        "each column needs one that it refers to"
      )
    present = [*table.foreign_keys, *added.get(table.name, ())]
    if not any(
      (each.columns, each.referred_table, each.referred_columns) == (own, referred.name, theirs)
      for each in present
    ):
      added.setdefault(table.name, []).append(ForeignKey(own, referred.name, theirs, key.inferred))
  return dataclasses.replace(
    schema, tables=tuple(_with_keys(table, added.get(table.name, ())) for table in schema.tables)
  )


def _with_keys(table: Table, keys: Sequence[ForeignKey]) -> Table:
  return dataclasses.replace(table, foreign_keys=(*table.foreign_keys, *keys)) if keys else table


def _shown(name: str, key: ForeignKey) -> str:
  return (
    f"{name}({', '.join(key.columns)}) to {key.referred_table}({', '.join(key.referred_columns)})"
  )
