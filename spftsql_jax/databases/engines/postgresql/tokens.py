"""PostgreSQL's lexical rules: what in a statement is a name, a string, a number or an operator.

They decide what the server calls, so they are the server's own (src/backend/parser/scan.l): every
character beyond ASCII is a letter, comments nest, "--" ends at a carriage return too, unquoted
names are folded, and an operator is the longest run of its characters. Where versions of the server
read a text differently the statement is not read at all.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal

Kind = Literal["name", "quoted", "string", "number", "operator", "mark", "parameter"]

_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
  rf"""
    (?P<space>[ \t\n\r\f\v]++|--[^\n\r]*+)
  | (?P<comment>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]++|\\.|'')*+(?:'|\Z))
  | (?P<string>(?:[nNbBxX])?'(?:[^']++|'')*+(?:'|\Z))
  | (?P<quoted>"(?:[^"]++|"")*+(?:"|\Z))
  | (?P<escaped_name>[uU]&")
  | (?P<dollar>\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*+)?)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<parameter>\$\d++)
  | (?P<name>[{_LETTER}][{_LETTER}0-9$]*+)
  | (?P<number>(?:\.\d|\d)(?:[eE][+-](?=\d)|[{_LETTER}0-9$]|\.(?!\.))*+)
  | (?P<operator>[~!@#^&|`?+\-*/%<>=]++)
  | (?P<mark>::|\.\.|.)
  """,
  re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_COMMENT_IN_OPERATOR = re.compile(r"--|/\*")
_NUMBER = re.compile(
  r"(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?|0[xX]_?[\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
)
# An operator may end in + or - only where one of these stands in it.
_LETS_END_IN_SIGN = frozenset("~!@#^&|`?%")
# NAMEDATALEN - 1: the server takes no more of a name.
_NAME_BYTES = 63
_UPPER = {ord("A") + i: ord("a") + i for i in range(26)}


class UnreadableError(ValueError):
  """It depends on the server's version or settings how the text falls into tokens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
  """One token. `text` is a name as the server folds and cuts it, the inside of a string, or the
  text as it stands.

  `other` is set for names beyond ASCII: as a server that does not keep UTF-8 may fold them, and not
  cut.
  """

  kind: Kind
  text: str
  other: str = ""

  @property
  def is_name(self) -> bool:
    return self.kind in ("name", "quoted")

  def is_word(self, *words: str) -> bool:
    """Whether it is one of these lower-case words, not quoted."""
    return self.kind == "name" and self.text in words


def is_mark(tokens: Sequence[Token], at: int, mark: str) -> bool:
  """Whether that mark stands at a place, which may lie outside the statement."""
  return 0 <= at < len(tokens) and tokens[at].kind == "mark" and tokens[at].text == mark


def read_tokens(sql: str) -> list[Token]:
  """The tokens of a statement, without white space and comments. Raises UnreadableError."""
  tokens: list[Token] = []
  at = 0
  # Whether an escape string ended before the white space that is being read, and whether that has a
  # line break.
  escaped = broken = False
  while match := _TOKEN.match(sql, at):
    kind, text, at = match.lastgroup, match.group(), match.end()
    if kind == "space":
      broken = broken or "\n" in text or "\r" in text
      continue
    if kind == "comment":
      depth = 1
      while depth and (edge := _COMMENT_EDGE.search(sql, at)):
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
      at = len(sql) if depth else at
      broken = True
      continue
    if escaped and broken and text[0] == "'":
      raise UnreadableError("an escape string that goes on in another line")
    escaped, broken = kind == "escaped", False
    if kind == "operator":
      text = _first_operator(text)
      at = match.start() + len(text)
    tokens.append(_token(kind or "", text, match))
  return tokens


def _token(kind: str, text: str, match: re.Match[str]) -> Token:
  if kind == "name":
    return Token("name", _cut(text.translate(_UPPER)), "" if text.isascii() else text.lower())
  if kind == "quoted":
    name = text[1:-1].replace('""', '"')
    return Token("quoted", _cut(name), "" if name.isascii() else name)
  if kind == "string":
    return Token("string", text[text.index("'") + 1 : -1].replace("''", "'"))
  if kind == "escaped":
    if "\\" in text:
      # Its inside is nobody's business but that of what must be read (see `Token.text`).
      return Token("string", "\\")
    return Token("string", text[2:-1].replace("''", "'"))
  if kind == "dollar":
    return Token("string", text.removeprefix(f"${match['tag']}$").removesuffix(f"${match['tag']}$"))
  if kind == "escaped_name":
    raise UnreadableError("a name with Unicode escapes")
  if kind == "number":
    if not _NUMBER.fullmatch(text):
      raise UnreadableError(f"a number that runs into what follows it ({text[:40]})")
    return Token("number", text)
  return Token(kind, text)  # type: ignore[arg-type]


def _cut(name: str) -> str:
  return name if len(name) <= 15 else name.encode()[:_NAME_BYTES].decode(errors="ignore")


def _first_operator(run: str) -> str:
  """The operator that a run of operator characters begins with."""
  if (comment := _COMMENT_IN_OPERATOR.search(run)) and comment.start():
    run = run[: comment.start()]
  while len(run) > 1 and run[-1] in "+-" and not _LETS_END_IN_SIGN.intersection(run[:-1]):
    run = run[:-1]
  return run
