"""How a query begins, and where one statement ends and another begins."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPACE = r"(?:\s++|--[^\n]*+(?:\n|\Z)|/\*(?s:.*?)(?:\*/|\Z))*+"
_NAME = r"""(?:[^\W\d][\w$]*+|"[^"]*+"|`[^`]*+`|\[[^\]]*+\])"""
# How a query begins, so that "With these tables ..." and "From the schema ..." are none.
QUERY = re.compile(
  rf"""{_SPACE}(?:\({_SPACE})*+(?:SELECT\b|VALUES\s*+\(|(?:FROM|TABLE)\s++{_NAME}\s*+(?:[;,.)]|\bAS\b|\bSELECT\b|\bWHERE\b|\Z)
    |WITH\s++(?:RECURSIVE\s++)?{_NAME}\s*+(?:\([^()]*+\)\s*+)?AS\b)""",
  re.VERBOSE | re.IGNORECASE,
)
# Behind a function in FROM.
_ORDINALITY = re.compile(r"WITH\s+ORDINALITY\s+AS\s+[^\s(]", re.IGNORECASE)
_SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS", "ALL", "DISTINCT"})
# Statements that may go on with a query on a line of its own, and words that begin a statement and
# never go on with one.
_BEFORE_A_QUERY = frozenset(
  {"WITH", "FROM", "INSERT", "REPLACE", "CREATE", "EXPLAIN", "DECLARE", "PREPARE", "MERGE"}
)
_OTHER_VERBS = frozenset(
  {
    "INSERT",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "EXPLAIN",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PRAGMA",
    "VACUUM",
    "COPY",
  }
)
_FIRST_WORD = re.compile(r"[\s;(]*(\w*)")
_VERBS_OF_STATEMENTS = (
  _BEFORE_A_QUERY
  | _OTHER_VERBS
  | {"UPDATE", "ATTACH", "DETACH", "SET", "TRUNCATE", "GRANT", "CALL", "SHOW"}
)


def begins_query(text: str) -> bool:
  """Whether a text begins a query: SELECT, WITH ... AS, VALUES, TABLE or FROM, behind comments and
  parentheses.
  """
  return QUERY.match(text) is not None


def is_statement(text: str) -> bool:
  """Whether a text begins as SQL does, a query or not."""
  word = _FIRST_WORD.match(text)
  return begins_query(text) or (word is not None and word[1].upper() in _VERBS_OF_STATEMENTS)


def begins_another(text: str, at: int, word: str, previous: str, words: Sequence[str]) -> bool:
  """Whether a line that begins with `word`, behind a statement of `words`, begins another
  statement.
  """
  if word == "\\":
    return True
  if words[0] in _BEFORE_A_QUERY and not {"SELECT", "VALUES"} & set(words):
    return False
  if len(words) > 2 and list(words[-2:]) == ["BY", "NAME"] and words[-3] in _SET_OPERATORS:
    return False
  if word in ("SELECT", "WITH") and not _ORDINALITY.match(text, at):
    return previous not in _SET_OPERATORS and QUERY.match(text, at) is not None
  return word in _OTHER_VERBS and (previous[-1:].isalnum() or previous[-1:] in "_\"'`])*")
