"""The words of a name: the one place where names of tables and columns are taken apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

# Units of size and of frequency are one word each, whatever the case of their letters.
_PIECES = re.compile(
  r"[KMGT]i?[Bb](?![A-Za-z])|[kMG]Hz|kWh"
  r"|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+(?:\.[0-9]+)?|%"
)
_SHORTEST_GLUED, _LONGEST_WORD = 5, 14


def split_name(name: str, *lexicons: Container[str]) -> tuple[str, ...]:
  """The words of a name in lower case: home_team_id, homeTeamID and "Home team id" have the same.

  Words end where the case of their letters or the kind of their characters says so, in any
  alphabet: "ÄrzteID2" has the words ärzte, id and 2. A piece of five letters or more is taken apart
  again where all its parts stand in some of `lexicons`: "lastname".

  Args:
    name: of a table or column.
    lexicons: the words that glued names are made of.

  Returns:
    The words; none where the name has neither letters nor digits.
  """
  name = name.replace("'", "")
  words: list[str] = []
  for start, end in word_spans(name):
    word = name[start:end].lower()
    if not lexicons or len(word) < _SHORTEST_GLUED:
      words.append(word)
    else:
      words.extend(_take_apart(word, lexicons))
  return tuple(words)


def word_spans(text: str) -> list[tuple[int, int]]:
  """Where the words and numbers of a text begin and end, as `split_name` cuts names; glued words
  are one.
  """
  # Letters beyond ASCII are found as the plain ones that they resemble in kind.
  plain = text if text.isascii() else "".join(map(_plain, text))
  return [piece.span() for piece in _PIECES.finditer(plain)]


def _plain(character: str) -> str:
  """A character of ASCII that separates words as this one does."""
  if character.isascii():
    return character
  if character.isalpha():
    return "A" if character.isupper() else "a"
  if character.isdecimal():
    return "0"
  # A mark that belongs to the letter before it.
  return "a" if unicodedata.category(character).startswith("M") else " "


def _take_apart(word: str, lexicons: tuple[Container[str], ...]) -> list[str]:
  """The fewest known words that make up one; the word itself where there are none."""
  if any(word in lexicon for lexicon in lexicons):
    return [word]
  best: list[list[str] | None] = [[], *([None] * len(word))]
  for end in range(1, len(word) + 1):
    for start in range(max(0, end - _LONGEST_WORD), end):
      before, shortest = best[start], best[end]
      if before is None or (shortest is not None and len(before) + 1 >= len(shortest)):
        continue
      piece = word[start:end]
      if (
        (len(piece) > 2 and any(piece in lexicon for lexicon in lexicons))
        or (piece in ("id", "no") and end == len(word))
        or piece == "of"
      ):
        best[end] = [*before, piece]
  return best[-1] or [word]
