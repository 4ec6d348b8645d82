"""A line before the SQL of an answer that names what the query uses: tables, columns and values.

    singer : name age ; concert : year = 'France' ; 18
    SQL: SELECT ...

It is made by rule from the query, for gold and for every other answer alike. What a model writes
so is read back by `sql_of`, which takes what stands behind the line.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from spftsql_jax.examples.name_codes import NameCodes
from spftsql_jax.examples.named_places import named_places
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers

# What stands between the line and the query.
MARK = "\nSQL:"
# What the prompt ends with instead, up to where the line begins.
LINKS = "Links:"
# The line of a query that names nothing, or that cannot be read.
_NOTHING = "none"
# Values are shown so far: what they are is in the query again.
_VALUE_LENGTH = 60


def linking_line(query: str, schema: Schema, codes: NameCodes | None = None) -> str:
  """The tables of a query with their columns, in the order in which it names them, then its values.

  Names are written as SQL has to write them, or as codes.

  Args:
    query: one statement, without codes.
  """
  try:
    tree = sqlglot.parse_one(query, read=schema.dialect)
    places = named_places(tree, schema)
  except (sqlglot.errors.SqlglotError, RecursionError):
    return _NOTHING
  columns: dict[str, dict[str, None]] = {}
  for place in places:
    own = columns.setdefault(place.table, {})
    if place.column:
      own[place.column] = None
  parts = [_of_table(table, list(own), schema, codes) for table, own in columns.items()]
  if values := dict.fromkeys(_values(tree, schema)):
    parts.append("= " + " , ".join(values))
  return " ; ".join(parts) or _NOTHING


def linked_answer(query: str, sql: str, schema: Schema, codes: NameCodes | None = None) -> str:
  """The answer with its line.

  Args:
    query: one statement, without codes.
    sql: the same as it stands in an answer (`prompts.answer_text`).
  """
  return f" {linking_line(query, schema, codes)}{MARK}{sql}"


def sql_of(answer: str) -> str:
  """What stands behind the line of an answer; all of it where there is no line."""
  line, mark, sql = answer.partition(MARK)
  return sql.strip() if mark else line


def has_begun(answer: str) -> bool:
  """Whether an answer has come to its SQL."""
  return MARK in answer


def _of_table(table: str, columns: list[str], schema: Schema, codes: NameCodes | None) -> str:
  dialect = schema.dialect
  path = identifiers.written_path(schema.table(table).parts, dialect)
  written = [(column, identifiers.written(column, dialect)) for column in columns]
  if codes is not None:
    # A code has a space before it, as everywhere: it is a token with it.
    names = [codes.of_written(path, name) or name for _, name in written]
    path = codes.of_written(path) or path
  else:
    names = [name for _, name in written]
  return f"{path} : {' '.join(names)}" if names else path


def _values(tree: exp.Expr, schema: Schema) -> list[str]:
  """The literals that a query compares with, as SQL has to write them; no limits."""
  found = []
  for node in tree.find_all(exp.Literal, exp.Column, bfs=False):
    if node.find_ancestor(exp.Limit, exp.Offset, exp.Interval) is not None:
      continue
    if isinstance(node, exp.Column) and not _is_text(node, schema):
      continue
    text = " ".join(node.name.split())[:_VALUE_LENGTH]
    is_number = isinstance(node, exp.Literal) and not node.is_string
    found.append(text if is_number else "'" + text.replace("'", "''") + "'")
  return found


def _is_text(column: exp.Column, schema: Schema) -> bool:
  """Whether SQLite takes what looks like a name in double quotes for a text: no column has it."""
  quoted = isinstance(column.this, exp.Identifier) and column.this.quoted
  if schema.dialect != "sqlite" or not quoted or column.table:
    return False
  return all(c.name.lower() != column.name.lower() for t in schema.tables for c in t.columns)
