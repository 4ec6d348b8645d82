"""Reading SQL text just far enough to say that it is no query.

This is the first of two judges, and says only what no engine need be asked for: that there is
nothing to run, or several statements, or one that begins as no query of any dialect does. Whether a
text is one SELECT that does nothing else is for the engine to say (an authorizer in SQLite, the
statement type in DuckDB, a cursor in a read-only transaction in PostgreSQL), and where an engine
has functions that do more than compute, its module reads their names as that engine does. This one
reads tokens, not grammar, so it is fast (some 10 us a query) and never fails on a dialect it does
not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

# Longer statements are not written by people, and parsers take seconds for them.
MAX_SQL_BYTES = 100_000

# One alternative for each kind of token; an unterminated quote or comment runs to the end of the
# text.
_TOKEN = re.compile(
  r"""
    (?P<space>\s++|--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z))
  | (?P<string>'(?:[^']++|'')*+(?:'|\Z))
  | (?P<quoted>"(?:[^"]++|"")*+(?:"|\Z)|`(?:[^`]++|``)*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z))
  | (?P<dollar>\$(?P<tag>[A-Za-z_]*+)\$(?s:.*?)(?:\$(?P=tag)\$|\Z))
  | (?P<word>[^\W\d][\w$]*+)
  | (?P<number>(?:\d[\w.]*+|\.\d[\w]*+))
  | (?P<other>.)
  """,
  re.VERBOSE | re.DOTALL,
)

# The words that a query may begin with, in one dialect or another (the last five in DuckDB alone).
# DESCRIBE, SHOW and SUMMARIZE, which it counts as queries too, tell about tables and answer no
# question.
_BEGINNINGS = frozenset(
  {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "PIVOT", "PIVOT_WIDER", "UNPIVOT", "PIVOT_LONGER"}
)
# Most statements need no second look: they begin with SELECT or WITH, and nowhere, not even in a
# string, is there a semicolon (but at the end) or a NUL.
_PLAIN = re.compile(r"\s*+(?:SELECT|WITH)\b[^;\0]*+;?\s*+\Z", re.IGNORECASE)
# A string of PostgreSQL and DuckDB whose backslash may escape a quote, so that it ends elsewhere
# than `tokens` thinks.
_ESCAPING = re.compile(r"\b[eE]'(?:[^'\\]|'')*+\\")


def tokens(sql: str, keep_space: bool = False) -> Iterator[tuple[str, str]]:
  """Yields (kind, text); kind is string, quoted, dollar, word, number, other, and space (comments
  too) with `keep_space`.
  """
  for match in _TOKEN.finditer(sql):
    kind = match.lastgroup or "other"
    if keep_space or kind != "space":
      yield kind, match.group()


def refusal(sql: str) -> tuple[Literal["refused", "resource"], str] | None:
  """Why `sql` is not run: (status, reason) with status "refused" or "resource", or None where the
  engine is to judge it.

  A trailing semicolon is allowed, a second statement and one that does not begin as a query does
  are not.
  """
  if len(sql) > MAX_SQL_BYTES:
    return "resource", f"the statement is longer than {MAX_SQL_BYTES} characters"
  if "\0" in sql:
    return "refused", "the statement contains a NUL character"
  try:
    sql.encode()
  except UnicodeEncodeError:
    return "refused", "the statement is not valid Unicode"
  if _PLAIN.match(sql):
    return None
  first = None
  ended = False
  for match in _TOKEN.finditer(sql):
    kind = match.lastgroup
    if kind == "space":
      continue
    text = match.group()
    if ended and text != ";" and not _ESCAPING.search(sql):
      return "refused", "only one statement is run at a time"
    if kind == "word" and first is None:
      first = text.upper()
      if first not in _BEGINNINGS:
        return "refused", f"only a single SELECT is run, not {first}"
    elif text == ";":
      ended = True
    elif first is None and text != "(":
      return "refused", "only a single SELECT is run"
  if first is None:
    return "refused", "the statement is empty"
  return None


# What one dialect reads otherwise than another. Outside SQLite: a backslash may escape the quote
# behind it, brackets and backticks do not quote, U& begins a name or string with escapes. Anywhere:
# control characters are no white space, and "--" may end at a carriage return.
_READ_DIFFERENTLY = re.compile(r"[\x01-\x08\x0b\x0e-\x1f\x7f\\`\[]|--[^\n]*\r(?!\n)|[uU]&[\"']")
_READ_DIFFERENTLY_BY_SQLITE = re.compile(r"[\x01-\x08\x0b\x0e-\x1f\x7f]|--[^\n]*\r(?!\n)")
_LOWER = {ord("A") + i: ord("a") + i for i in range(26)}


def reads_alike(sql: str, dialect: str = "") -> bool:
  """Whether nothing in the text hints at quotes and white space that some dialect reads otherwise
  than `tokens`.

  A hint and no more: dollars, strings in a row and letters beyond ASCII are for `same_text_key` to
  see.
  """
  return (_READ_DIFFERENTLY_BY_SQLITE if dialect == "sqlite" else _READ_DIFFERENTLY).search(
    sql
  ) is None


def same_text_key(sql: str, dialect: str = "") -> str:
  """A key that two texts share only if they differ in nothing but white space, comments, a last
  semicolon, and the case of words.

  Such texts give the same rows (the columns may be named otherwise). A text that an engine may read
  otherwise than `tokens` does has itself for its key; with `dialect` "sqlite" only that one counts.
  For "duckdb" the case of words counts, since the fields of its structures are values and keep it.
  """
  itself = "\0" + sql
  if not reads_alike(sql, dialect):
    return itself
  parts: list[str] = []
  space = ""
  previous = ""
  for kind, text in tokens(sql, keep_space=True):
    if kind == "space":
      is_comment = text.startswith(("--", "/*"))
      # Comments nest in some dialects, and white space beyond ASCII is a letter in some.
      if (is_comment and "/*" in text[2:] and text[0] == "/") or not (is_comment or text.isascii()):
        return itself
      space += text
      continue
    if kind == "string":
      # Two strings are one where a line break stands between.
      if previous == "string" and space and dialect != "sqlite":
        return itself
    elif kind == "dollar" or (kind != "quoted" and not text.isascii()) or text == "$":
      return itself
    # Where white space cannot matter it is left out.
    if space and parts and text not in "(),;" and parts[-1] not in "(,":
      parts.append(" ")
    space, previous = "", kind
    parts.append(text.translate(_LOWER) if kind == "word" and dialect != "duckdb" else text)
  while parts and parts[-1] in (";", " "):
    parts.pop()
  return "".join(parts)


def has_outer_order_by(sql: str) -> bool:
  """Whether the outermost level of the query has ORDER BY (those in subqueries, common tables and
  windows stand in parentheses).
  """
  depth = 0
  previous = ""
  for kind, text in tokens(sql):
    if text == "(":
      depth += 1
    elif text == ")":
      depth -= 1
    elif kind == "word" and depth == 0 and previous == "ORDER" and text.upper() == "BY":
      return True
    previous = text.upper() if kind == "word" else ""
  return False
