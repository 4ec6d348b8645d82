"""The statements of a file: a log, or a list of gold queries."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator

from spftsql_jax.sql.beginnings import begins_another
from spftsql_jax.sql.lexemes import lexemes

# Space, empty statements and the lines that `split_statements` leaves out.
_SKIPPED = re.compile(
  r"(?:[\s;\ufeff]|--[^\n]*|/\*(?s:.*?)\*/|\\[^\n]*|(?:(?<=\n)|\A)[ \t]*#[^\n]*)*"
)
_END_OF_ROWS = re.compile(r"^\\\.[ \t\r]*$", re.MULTILINE)
_LABEL_BEHIND = re.compile(r"[ ]*\t[ \t]*([^\s;]+)[ \t\r]*(?=\n|\Z)")
_LABEL = re.compile(r"[^\s;'\"(),*]+")


@dataclasses.dataclass(frozen=True)
class Statement:
  """A statement of a file, with the line it begins on (from 1), and the name of its database where
  one is written behind it.
  """

  sql: str
  line: int
  label: str = ""


def split_statements(
  text: str, dialect: str = "sqlite", labels: Collection[str] = ()
) -> Iterator[Statement]:
  """The statements of a file, in order.

  A semicolon ends a statement, and so does a line on which another query begins where the grammar
  cannot go on with one. Lines between statements that begin with a backslash or # (commands of a
  shell, heads of a log) are left out, and the rows behind COPY ... FROM STDIN with them.

  Args:
    text: of the file.
    dialect: sqlglot's name of the SQL; one that is not known is read as SQLite's.
    labels: known names of databases. A TAB and one of them ends a line's statement; behind a
      semicolon, and behind a statement of one line, any name does.
  """
  at, line = 0, 1
  while at < len(text):
    skipped = _SKIPPED.match(text, at)
    begin = skipped.end() if skipped else at
    line += text.count("\n", at, begin)
    found = _next_statement(text, begin, dialect, labels)
    if found.sql:
      yield Statement(found.sql, line, found.label)
    at = found.behind
    if found.words[:1] == ("COPY",) and "STDIN" in found.words:
      rows = _END_OF_ROWS.search(text, at)
      at = rows.end() if rows else len(text)
    line += text.count("\n", begin, at)


@dataclasses.dataclass(frozen=True)
class _Found:
  sql: str
  label: str
  behind: int
  words: tuple[str, ...]


def _next_statement(text: str, begin: int, dialect: str, labels: Collection[str]) -> _Found:
  """The statement that begins at `begin`, where to go on behind it, and its words outside
  parentheses.
  """
  at, depth, fresh_line, previous = begin, 0, False, ""
  words: list[str] = []

  def labelled(end: int) -> tuple[str, str]:
    sql, tab, name = text[begin:end].strip().rpartition("\t")
    name = name.strip()
    if tab and (name in labels or ("\n" not in sql and _LABEL.fullmatch(name))):
      return sql.strip(), name
    return text[begin:end].strip(), ""

  for kind, lexeme in lexemes(text, dialect, begin):
    if lexeme == ";" and kind == "other":
      tail = _LABEL_BEHIND.match(text, at + 1)
      return _Found(
        text[begin:at].strip(),
        tail[1] if tail else "",
        tail.end() if tail else at + 1,
        tuple(words),
      )
    if kind in ("space", "comment"):
      fresh_line = fresh_line or "\n" in lexeme
      if "\n" in lexeme and depth <= 0:
        sql, label = labelled(at)
        if label in labels and label:
          return _Found(sql, label, at, tuple(words))
    else:
      if (
        depth <= 0
        and fresh_line
        and words
        and begins_another(text, at, lexeme.upper(), previous, words)
      ):
        return _Found(*labelled(at), at, tuple(words))
      if kind == "word" and depth <= 0:
        words.append(lexeme.upper())
      if kind == "other":
        depth += {"(": 1, ")": -1}.get(lexeme, 0)
      previous, fresh_line = lexeme.upper(), False
    at += len(lexeme)
  return _Found(*labelled(at), at, tuple(words))
