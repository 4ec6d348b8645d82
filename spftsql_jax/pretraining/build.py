"""Writes a synthetic database: CREATE TABLE with comments, and rows that keep the keys."""

from __future__ import annotations

import os
import pathlib
import random
import sqlite3
from collections.abc import Iterable, Iterator

from spftsql_jax.files import replacing
from spftsql_jax.pretraining.design import ColumnDesign, Design, KeyDesign, TableDesign, draw_design
from spftsql_jax.pretraining.domains import domains_of
from spftsql_jax.pretraining.values import Notation, Value, draw_value
from spftsql_jax.sql.identifiers import written

_TRIES = 30


def make_database(
  path: str | os.PathLike, number: int, seed: int = 0, held_out: bool = False
) -> Design:
  """Writes synthetic database `number` to the SQLite file `path`, which must not exist.

  The same number and seed give the same database; other ones another schema and other rows. The
  domains are those to pretrain on, or those held out from it.
  """
  rng = random.Random(f"{seed}:{number}:held out" if held_out else f"{seed}:{number}")
  design = draw_design(domains_of(held_out), rng)
  connection = sqlite3.connect(path)
  try:
    connection.execute("PRAGMA synchronous = OFF")
    fill(connection, design, rng)
    connection.commit()
  finally:
    connection.close()
  return design


def make_databases(
  folder: pathlib.Path, numbers: Iterable[int], seed: int = 0, held_out: bool = False
) -> Iterator[tuple[pathlib.Path, bool]]:
  """Makes the synthetic databases with these numbers in a folder, and leaves those that are there.

  Gives the file of each, `folder`/<name>/<name>.sqlite, and whether it was made now.
  """
  for number in numbers:
    name = f"{'held_out' if held_out else 'synthetic'}_{number}"
    path = folder / name / f"{name}.sqlite"
    missing = not path.is_file()
    if missing:
      path.parent.mkdir(parents=True, exist_ok=True)
      with replacing(path) as unfinished:
        make_database(unfinished, number, seed, held_out)
    yield path, missing


def fill(connection: sqlite3.Connection, design: Design, rng: random.Random) -> None:
  """Creates the tables of a design and fills them."""
  keys: dict[str, list[tuple[Value, ...]]] = {}
  for table in design.tables:
    connection.execute(create_statement(table, design.tables))
    rows = draw_rows(table, design.notation, keys, rng)
    marks = ", ".join("?" * len(table.columns))
    connection.executemany(f"INSERT INTO {_name(table.name)} VALUES ({marks})", rows)
    at = [index for index, column in enumerate(table.columns) if column.name in table.primary_key]
    keys[table.name] = [tuple(row[index] for index in at) for row in rows]


def create_statement(table: TableDesign, tables: tuple[TableDesign, ...]) -> str:
  """CREATE TABLE with a comment behind each column whose name does not say all."""
  items: list[tuple[str, ColumnDesign | None]] = [
    (_column(column, table), column) for column in table.columns
  ]
  if len(table.primary_key) > 1:
    items.append((f"PRIMARY KEY ({', '.join(map(_name, table.primary_key))})", None))
  for key in table.foreign_keys:
    referred = next(other for other in tables if other.name == key.table)
    columns, targets = (", ".join(map(_name, c)) for c in (key.columns, referred.primary_key))
    items.append((f"FOREIGN KEY ({columns}) REFERENCES {_name(key.table)} ({targets})", None))
  lines = []
  for index, (text, column) in enumerate(items):
    comma = "," if index < len(items) - 1 else ""
    comment = f" -- {column.words}" if column is not None and column.commented else ""
    lines.append(f"  {text}{comma}{comment}")
  head = f"CREATE TABLE {_name(table.name)} ("
  return "\n".join([head + (f" -- {table.words}" if table.commented else ""), *lines, ")"])


def _column(column: ColumnDesign, table: TableDesign) -> str:
  text = f"{_name(column.name)} {column.type}"
  if table.primary_key == (column.name,):
    return f"{text} PRIMARY KEY"
  if column.attribute is not None and column.attribute.unique and not column.nullable:
    return f"{text} UNIQUE"
  return text


def _name(name: str) -> str:
  return written(name, "sqlite")


def draw_rows(
  table: TableDesign,
  notation: Notation,
  keys: dict[str, list[tuple[Value, ...]]],
  rng: random.Random,
) -> list[tuple[Value, ...]]:
  """Rows of a table; `keys` holds the primary keys of the tables made so far.

  No two rows share a value where none may; a table has fewer rows where its values run out.
  """
  count = rng.randint(20, 120) if table.foreign_keys else rng.randint(6, 50)
  start = rng.choice((1, 1, 1, 101, 1000))
  seen: dict[str, set[Value]] = {c.name: set() for c in table.columns if _unique(c)}
  pairs: set[tuple[Value, ...]] = set()
  nulls = {column.name: rng.uniform(0.03, 0.4) for column in table.columns if column.nullable}
  # Some rows are referred to often, most seldom.
  weights = {key.columns: _uneven(len(keys.get(key.table, ())), rng) for key in table.foreign_keys}
  rows: list[tuple[Value, ...]] = []
  for number in range(count):
    for _ in range(_TRIES):
      cells = _references(table, keys, weights, nulls, rows, rng)
      for column in table.columns:
        if column.attribute is not None:
          cells[column.name] = _cell(column, notation, start + number, nulls, rng)
      key = tuple(cells[name] for name in table.primary_key)
      if key not in pairs and all(cells[name] not in taken for name, taken in seen.items()):
        break
    else:
      break
    pairs.add(key)
    for name, taken in seen.items():
      if cells[name] is not None:
        taken.add(cells[name])
    rows.append(tuple(cells[column.name] for column in table.columns))
  return rows


def _unique(column: ColumnDesign) -> bool:
  attribute = column.attribute
  # A name out of few, such as that of a committee, is not given twice.
  return attribute is not None and (
    attribute.unique or (attribute.names_row and attribute.kind == "of")
  )


def _uneven(count: int, rng: random.Random) -> list[float]:
  weights = [1 / (rank + 1) ** 0.6 for rank in range(count)]
  rng.shuffle(weights)
  return weights


def _references(
  table: TableDesign,
  keys: dict[str, list[tuple[Value, ...]]],
  weights: dict[tuple[str, ...], list[float]],
  nulls: dict[str, float],
  rows: list[tuple[Value, ...]],
  rng: random.Random,
) -> dict[str, Value]:
  cells: dict[str, Value] = {}
  for key in table.foreign_keys:
    values = _referred(table, key, keys, weights, rows, rng)
    absent = key.nullable and rng.random() < nulls.get(key.columns[0], 0.0)
    for index, name in enumerate(key.columns):
      cells[name] = None if values is None or absent else values[index]
  return cells


def _referred(
  table: TableDesign,
  key: KeyDesign,
  keys: dict[str, list[tuple[Value, ...]]],
  weights: dict[tuple[str, ...], list[float]],
  rows: list[tuple[Value, ...]],
  rng: random.Random,
) -> tuple[Value, ...] | None:
  if key.table == table.name:
    # A row refers to an earlier one: no circles.
    at = [c.name for c in table.columns].index(table.primary_key[0])
    return (rng.choice(rows)[at],) if rows else None
  choices = keys.get(key.table)
  return rng.choices(choices, weights[key.columns])[0] if choices else None


def _cell(
  column: ColumnDesign, notation: Notation, number: int, nulls: dict[str, float], rng: random.Random
) -> Value:
  assert column.attribute is not None
  if column.attribute.kind == "key":
    return number
  if column.nullable and rng.random() < nulls[column.name]:
    return None
  return draw_value(column.attribute, notation, rng)
