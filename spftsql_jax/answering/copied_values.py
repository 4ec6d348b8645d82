"""Values that a model copied wrongly, as the database has them.

    as_stored("SELECT id FROM doctor WHERE name = 'Henri Foks'", "Whom does Henry Fox see?",
              schema, values, mentioned)
    # SELECT id FROM doctor WHERE name = 'Henry Fox'

Small models misspell long values, and large ones write "france" where "France" is stored. Where a
column does not hold a text that it is compared with, and the question mentions a value of it, that
one was meant. What the question itself says, word for word, stays: who asks for what is not there
gets nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import sqlglot

from spftsql_jax.databases import ValueIndex
from spftsql_jax.examples.named_places import NamedPlace, named_places
from spftsql_jax.examples.prompts import MatchedValue
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers

# Behind a column: what compares it with a text, and that text.
_COMPARED = re.compile(r"\s*(?:=|==|!=|<>)\s*('(?:[^']|'')*')")


def as_stored(
  sql: str,
  question: str,
  schema: Schema,
  values: ValueIndex,
  mentioned: Sequence[MatchedValue],
) -> str:
  """A query with the values that its question mentions in the place of texts that nobody stored.

  Args:
    schema: the one that the query is written for.
    mentioned: what the question mentions (`PromptDatabase.mentions`), best first.
  """
  if "'" not in sql:
    return sql
  try:
    places = named_places(sqlglot.parse_one(sql, read=schema.dialect), schema)
  except (sqlglot.errors.SqlglotError, RecursionError):
    return sql
  parts, at = [], 0
  for place in places:
    compared = _COMPARED.match(sql, place.end) if place.column else None
    if compared is None or place.end < at:
      continue
    written = compared[1][1:-1].replace("''", "'")
    meant = _meant(written, question, _of_column(place, schema, mentioned))
    if meant is None or values.holds(place.table, place.column, written):
      continue
    parts += [sql[at : compared.start(1)], "'" + meant.replace("'", "''") + "'"]
    at = compared.end(1)
  return "".join([*parts, sql[at:]])


def _of_column(place: NamedPlace, schema: Schema, mentioned: Sequence[MatchedValue]) -> list[str]:
  """The mentioned values of a column."""
  table = identifiers.written_path(schema.table(place.table).parts, schema.dialect)
  column = identifiers.written(place.column, schema.dialect)
  return [match.value for match in mentioned if (match.table, match.column) == (table, column)]


def _meant(written: str, question: str, candidates: Sequence[str]) -> str | None:
  """The candidate that is most like what was written; None where the question says just that."""
  if not candidates:
    return None
  best = max(candidates, key=lambda value: _likeness(written, value))
  said = re.search(rf"(?<!\w){re.escape(written)}(?!\w)", question, re.IGNORECASE)
  part = written.lower() in best.lower()
  return None if said and written.strip() and not part else best


def _likeness(one: str, other: str) -> float:
  return difflib.SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()
