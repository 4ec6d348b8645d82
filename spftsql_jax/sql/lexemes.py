"""A text of SQL as lexemes, by the rules of a dialect.

Marks that a conversation or a fence puts behind SQL are no SQL in any dialect, and lexemes of their
own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What every dialect has. Marks that a conversation or a fence puts behind SQL are no SQL in any
# dialect. An unterminated literal, name or comment runs to the end of the text.
_MARKS = r"""
    (?P<mark><\|[A-Za-z_][\w\ ]*\|>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|</[A-Za-z_][\w-]*>|<end_of_turn>
      |`{3,}+(?=\s|\Z)|(?:(?<=\n)|\A)(?:`{3,}|~{3,}))
"""
_PLAIN_LITERAL = r"'(?:[^']++|'')*+(?:'|\Z)"
_QUOTED = r'"(?:[^"]++|"")*+(?:"|\Z)'
_REST = r"""
  | (?P<word>[^\W\d][\w$]*+)
  | (?P<number>\d[\w.]*+|\.\d\w*+)
  | (?P<other>.)
"""
_SQLITE = re.compile(
  rf"""{_MARKS}
  | (?P<space>\s++)
  | (?P<comment>--[^\n]*+|/\*(?s:.*?)(?:\*/|\Z))
  | (?P<string>{_PLAIN_LITERAL})
  | (?P<quoted>{_QUOTED}|`(?:[^`]++|``)*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z))
  {_REST}""",
  re.VERBOSE | re.DOTALL,
)
# PostgreSQL and DuckDB, whose reader is PostgreSQL's: E-strings, dollar quotes, comments inside
# comments; brackets quote nothing.
_POSTGRESQL = re.compile(
  rf"""{_MARKS}
  | (?P<space>\s++)
  | (?P<comment>--[^\n\r]*+|/\*)
  | (?P<string>[eE]'(?:[^'\\]++|''|\\.)*+(?:'|\\?\Z)|{_PLAIN_LITERAL}
      |\$(?P<tag>(?:[^\W\d]\w*+)?)\$(?s:.*?)(?:\$(?P=tag)\$|\Z))
  | (?P<quoted>{_QUOTED})
  {_REST}""",
  re.VERBOSE | re.DOTALL,
)
_NESTED = re.compile(r"/\*|\*/")
_PATTERNS = {
  "sqlite": _SQLITE,
  "duckdb": _POSTGRESQL,
  "postgres": _POSTGRESQL,
  "postgresql": _POSTGRESQL,
}


def lexemes(sql: str, dialect: str = "sqlite", start: int = 0) -> Iterator[tuple[str, str]]:
  """Yields (kind, text) of all of a text from `start` on, as the dialect reads it.

  Kinds: space, comment, string, quoted, word, number, other, and mark for what a conversation or a
  fence puts there.
  """
  pattern = _PATTERNS.get(dialect, _SQLITE)
  at = start
  while match := pattern.match(sql, at):
    kind, text = match.lastgroup or "other", match.group()
    if text == "/*" and kind == "comment":
      text = sql[at : _nested_end(sql, at)]
    yield kind, text
    at += len(text)


def _nested_end(sql: str, at: int) -> int:
  depth = 0
  for match in _NESTED.finditer(sql, at):
    depth += 1 if match.group() == "/*" else -1
    if depth == 0:
      return match.end()
  return len(sql)


def is_sqlite(dialect: str) -> bool:
  """Whether a dialect is read by SQLite's rules, as one that is not known is."""
  return _PATTERNS.get(dialect, _SQLITE) is _SQLITE
