"""Reading benchmark files: Spider-style (`db_id`, `question`, `query`) and BIRD-style (`SQL`, `evidence`) JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from spftsql_jax.databases.engines import DatabaseError, name_of
from spftsql_jax.databases.locations import split_locations
from spftsql_jax.examples.example import Example


def read_examples(path: str | Path) -> list[Example]:
  """The examples of a benchmark file, in order.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not JSON, or a record without a needed field; the message gives the file and the record.
  """
  path = Path(path)
  try:
    text = path.read_text(encoding="utf-8")
    records = json.loads(text)
  except json.JSONDecodeError as error:
    raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  except UnicodeDecodeError as error:
    raise ValueError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
  if not isinstance(records, list):
    raise ValueError(f"{path}: expected a JSON list of examples, found {type(records).__name__}")
  examples = []
  for number, record in enumerate(records):
    try:
      examples.append(_example(record))
    except ValueError as error:
      raise ValueError(f"{path}:{_line_of(text, number)}: record {number}: {error}") from error
  return examples


def find_database(databases: str | Path, db_id: str) -> Path:
  """The file of a database in the layout `DIR/<db_id>/<db_id>.sqlite`. Raises FileNotFoundError."""
  path = Path(databases) / db_id / f"{db_id}.sqlite"
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such database (expected DIR/<db_id>/<db_id>.sqlite)")
  return path


def find_location(databases: str | Path, db_id: str) -> str:
  """The location of a database, as `open_database` takes it.

  Args:
    databases: a folder as for `find_database`, or URLs and database files, with commas between them, of which one has the name.

  Raises:
    FileNotFoundError, DatabaseError: it is not there.
  """
  named = split_locations([str(databases)])
  if len(named) == 1 and "://" not in named[0] and not Path(named[0]).is_file():
    return str(find_database(databases, db_id))
  for location in named:
    if name_of(location) == db_id:
      return location
  there = ", ".join(map(name_of, named))
  raise DatabaseError(f"no database {db_id!r} among those given: {there}")


def database_ids(examples: Sequence[Example]) -> list[str]:
  """The databases of the examples, each once, in order of first use."""
  return list(dict.fromkeys(e.db_id for e in examples))


def _line_of(text: str, number: int) -> int:
  """The line on which a record of a JSON list begins."""
  decoder, at = json.JSONDecoder(), text.index("[") + 1
  for _ in range(number + 1):
    while text[at] in " \t\r\n,":
      at += 1
    begin = at
    _, at = decoder.raw_decode(text, at)
  return text.count("\n", 0, begin) + 1


def _example(record: object) -> Example:
  if not isinstance(record, dict):
    raise ValueError(f"expected an object, found {type(record).__name__}")
  query = record.get("query", record.get("SQL"))
  fields = {"db_id": record.get("db_id"), "question": record.get("question"), "query (or SQL)": query}
  for name, value in fields.items():
    if not isinstance(value, str):
      raise ValueError(f"field {name} is {'missing' if value is None else 'not a string'}")
  return Example(
    db_id=record["db_id"], question=record["question"], query=query, evidence=str(record.get("evidence") or ""), source="gold"
  )
