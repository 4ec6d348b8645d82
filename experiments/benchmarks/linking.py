"""How many of the columns that gold queries use are marked in their questions, and how many marks
are of such columns.

    python experiments/benchmarks/linking.py --questions=FILE --databases=DIR --output=FILE.json

Of columns that are no keys: those follow from the tables. The gold queries are read for the measure
alone. Questions whose database is missing, or whose query cannot be parsed, are counted apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import sqlglot
from absl import flags

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.examples.benchmarks import find_database, read_examples
from spftsql_jax.examples.linking import NameIndex
from spftsql_jax.examples.named_places import named_places
from spftsql_jax.files import write_json
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers

_QUESTIONS = flags.DEFINE_string("questions", None, "Questions with gold queries.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of their databases.", required=True)
_LIMIT = flags.DEFINE_integer("limit", 8, "Columns that are marked at most.", lower_bound=1)
_MISSED = flags.DEFINE_bool("missed", False, "List the columns that are not marked.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

Columns = set[tuple[str, str]]


def main() -> None:
  launch.check_output(_OUTPUT.value)
  indexes: dict[str, tuple[Schema, NameIndex] | None] = {}
  left_out = asked = used = marked = right = 0
  missed = []
  for example in read_examples(Path(_QUESTIONS.value)):
    if example.db_id not in indexes:
      indexes[example.db_id] = _opened(example.db_id)
    opened = indexes[example.db_id]
    gold = opened and _gold(example.query, opened[0])
    if opened is None or gold is None:
      left_out += 1
      continue
    schema, index = opened
    found = _without_keys(
      {(m.table, m.column) for m in index.marks(example.question, _LIMIT.value) if m.column}, schema
    )
    asked += 1
    used, marked, right = used + len(gold), marked + len(found), right + len(gold & found)
    missed += [[example.question, *column] for column in sorted(gold - found)]
  figures = {
    "questions": asked,
    "left_out": left_out,
    "columns": used,
    "recall": right / max(used, 1),
    "precision": right / max(marked, 1),
  }
  print(json.dumps(figures))
  write_json(Path(_OUTPUT.value), figures | ({"missed": missed} if _MISSED.value else {}))


def _opened(db_id: str) -> tuple[Schema, NameIndex] | None:
  try:
    schema = PromptDatabase.read(find_database(Path(_DATABASES.value), db_id)).schema
  except FileNotFoundError:
    return None
  return schema, NameIndex(schema)


def _gold(query: str, schema: Schema) -> Columns | None:
  """The columns of a query as SQL has to write them, keys left out."""
  try:
    tree = sqlglot.parse_one(query, read=schema.dialect)
  except sqlglot.errors.SqlglotError:
    return None
  places = [place for place in named_places(tree, schema) if place.column]
  return _without_keys({_written(schema, place.table, place.column) for place in places}, schema)


def _without_keys(columns: Columns, schema: Schema) -> Columns:
  return columns - set(_keys(schema))


def _keys(schema: Schema) -> Iterator[tuple[str, str]]:
  for table in schema.tables:
    for column in (*table.primary_key, *(c for key in table.foreign_keys for c in key.columns)):
      yield _written(schema, table.name, column)


def _written(schema: Schema, table: str, column: str) -> tuple[str, str]:
  owner = schema.table(table)
  return (
    identifiers.written_path(owner.parts, schema.dialect),
    identifiers.written(owner.column(column).name, schema.dialect),
  )


if __name__ == "__main__":
  launch.launch(main)
