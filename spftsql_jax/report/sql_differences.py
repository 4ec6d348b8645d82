"""An SQL query as it is shown: a line for each outer clause, with what another has not marked."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re

SHOWN_LENGTH = 4000
# Beyond this many tokens the two queries are not compared: the matching is quadratic, and the marks
# would help nobody.
COMPARED_TOKENS = 400

_TOKEN = re.compile(
  r"""
  '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`   # literals and quoted names
  | --[^\n]* | /\*.*?\*/                      # comments
  | [^\W\d][\w$]* | \d+(?:\.\d+)?             # words and numbers
  | \s+ | <> | [<>!=]= | \|\| | .
  """,
  re.DOTALL | re.VERBOSE,
)
_CLAUSES = frozenset(
  {
    *("select", "from", "where", "group", "having", "order", "limit"),
    *("union", "intersect", "except", "window"),
  }
)


@dataclasses.dataclass(frozen=True)
class ShownSql:
  """A query's text in pieces, (text, whether it is marked), and how many characters were cut."""

  pieces: tuple[tuple[str, bool], ...]
  hidden: int


def show_sql(sql: str, other: str | None) -> ShownSql:
  """The query with what does not stand in `other` marked (None: nothing is marked)."""
  tokens = _lay_out(_TOKEN.findall(sql[:SHOWN_LENGTH].strip()))
  marked = _differing(tokens, _TOKEN.findall(other)) if other is not None else set()
  # A blank between two marked tokens is marked too, so that a changed phrase reads as one.
  marks = [
    i in marked or (token.isspace() and i - 1 in marked and i + 1 in marked)
    for i, token in enumerate(tokens)
  ]
  pieces = tuple(
    ("".join(token for _, token in run), mark)
    for mark, run in itertools.groupby(zip(marks, tokens, strict=True), key=lambda each: each[0])
  )
  return ShownSql(pieces, max(len(sql) - SHOWN_LENGTH, 0))


def _lay_out(tokens: list[str]) -> list[str]:
  """Each clause of the outermost level on a line of its own; only blanks between tokens change."""
  laid_out, depth = list(tokens), 0
  for index, token in enumerate(tokens):
    depth += (token == "(") - (token == ")")
    if depth == 0 and token.lower() in _CLAUSES and index > 1 and tokens[index - 1].isspace():
      laid_out[index - 1] = "\n"
  return laid_out


def _differing(tokens: list[str], others: list[str]) -> set[int]:
  """Indices of the tokens that have no counterpart in `others`.

  Words compare without case, blanks do not count.
  """
  places = [index for index, token in enumerate(tokens) if not token.isspace()]
  ours = [_fold(tokens[index]) for index in places]
  theirs = [_fold(token) for token in others if not token.isspace()]
  if max(len(ours), len(theirs)) > COMPARED_TOKENS:
    return set()
  blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
  matched = {block.a + offset for block in blocks for offset in range(block.size)}
  return {place for order, place in enumerate(places) if order not in matched}


def _fold(token: str) -> str:
  return token if token[0] in "'\"`" else token.lower()
