"""A statement without comments and with single spaces, or on one line.

`folded` writes a statement as models are taught it: a comment is no part of an answer, and a line
comment in a target of one line would swallow what follows. `one_line` does the same for files with
one SQL a line; there, a line break or TAB inside a literal is written as an expression,
`('a' || char(10) || 'b')`, which gives the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spftsql_jax.sql.lexemes import is_sqlite, lexemes
from spftsql_jax.sql.model_text import read_statement

# What cannot stand in a line of a file of predictions, where a TAB begins the db_id.
_LINE_BREAKING = re.compile(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]")
# Words of the grammar behind which an expression stands.
_BEFORE_AN_OPERAND = re.compile(
  r"ALL|AND|BETWEEN|BY|CASE|DISTINCT|ELSE|ESCAPE|FROM|GLOB|HAVING|ILIKE|IN|IS|LIKE|LIMIT|MATCH|NOT|OFFSET|ON|OR"
  r"|REGEXP|SELECT|THEN|TO|VALUES|WHEN|WHERE",
  re.IGNORECASE,
)


def folded(sql: str, dialect: str = "sqlite") -> str:
  """The statement in `sql` without comments and with single spaces; literals and quoted names stay
  as they are.
  """
  return "".join(text for _, text in _folded_lexemes(read_statement(sql, dialect), dialect))


def one_line(sql: str, dialect: str = "sqlite") -> str:
  """The statement in `sql` on one line without TAB, with the same meaning.

  Raises:
    ValueError: a quoted name, or a literal that must stay one, holds a line break or a TAB.
  """
  parts: list[str] = []
  previous = "("
  for kind, text in _folded_lexemes(read_statement(sql, dialect), dialect):
    if _LINE_BREAKING.search(text):
      # Behind an operand a literal is a name, and behind X or U& a part of one: neither can become
      # an expression.
      operand = previous[-1].isalnum() or previous[-1] in "_$)]\"'`&"
      if kind != "string" or (operand and not _BEFORE_AN_OPERAND.fullmatch(previous)):
        raise ValueError(f"a line break or TAB in {text[:40]!r} cannot be written on one line")
      text = _literal_expression(text, dialect)
    parts.append(text)
    previous = previous if kind == "space" else text
  return "".join(parts)


def _folded_lexemes(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
  """The lexemes of a statement without comments, with single spaces between them.

  In PostgreSQL's SQL two literals with a line break between them are one, and are written as one.
  """
  joins_literals = not is_sqlite(dialect)
  pending, gap = "", ""
  for kind, text in lexemes(sql, dialect):
    if kind in ("space", "comment"):
      gap += text
      continue
    if (
      joins_literals
      and pending
      and kind == "string"
      and text[0] == "'"
      and "\n" in gap
      and "/*" not in gap
    ):
      pending, gap = pending[:-1] + text[1:], ""
      continue
    if pending:
      yield "string", pending
      pending = ""
    if gap:
      yield "space", " "
      gap = ""
    if kind == "string" and joins_literals and text.endswith("'"):
      pending = text
    else:
      yield kind, text
  if pending:
    yield "string", pending


def _literal_expression(literal: str, dialect: str) -> str:
  """An expression on one line with a literal's value."""
  function = "char" if is_sqlite(dialect) else "chr"
  if literal[0] in "eE":
    # Inside such a literal the character has a name of its own.
    names = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\f": r"\f"}

    def named(match: re.Match) -> str:
      return (
        names.get(match["char"], f"\\u{ord(match['char']):04x}") if match["char"] else match.group()
      )

    return re.sub(rf"\\?(?P<char>{_LINE_BREAKING.pattern})|\\.", named, literal)
  if literal[0] == "$":
    tag = literal[: literal.index("$", 1) + 1]
    body = literal.removeprefix(tag).removesuffix(tag).replace("'", "''")
  else:
    body = literal[1:-1]
  pieces = [
    f"{function}({ord(piece)})" if _LINE_BREAKING.fullmatch(piece) else f"'{piece}'"
    for piece in re.split(rf"({_LINE_BREAKING.pattern})", body)
    if piece
  ]
  return f"({' || '.join(pieces)})"
