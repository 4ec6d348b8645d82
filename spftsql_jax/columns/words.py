"""The words of an identifier: snake_case, camelCase and glued words taken apart, abbreviations
spelled out.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.inflection import plural_of, singular_of

# Letters beyond ASCII are taken for small ones: "größe" is one word.
_PIECES = re.compile(
  r"[KMGT]i?[Bb](?![A-Za-z])|[kMG]Hz|kWh|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+(?:\.\d+)?|%"
)


def split_identifier(name: str, lexicon: frozenset[str]) -> tuple[str, ...]:
  """Lower-case words of an identifier; glued words are taken apart where every piece is in
  `lexicon`.

  There is always at least one: a name without letters and digits is called by its characters
  ("number-sign").
  """
  words: list[str] = []
  pieces = [p.lower() for p in _PIECES.findall(name.replace("'", ""))]
  for index in reversed(range(1, len(pieces))):
    if pieces[index].isdigit() and pieces[index - 1].isdigit():
      # "18_49": from 18 to 49.
      pieces[index - 1 : index + 1] = [f"{pieces[index - 1]}-{pieces[index]}"]
  if len(pieces) == 2 and len(pieces[0]) == 1 and "".join(pieces) in vocabulary.ABBREVIATIONS:
    pieces = ["".join(pieces)]
  for lowered in pieces:
    if lowered in vocabulary.ABBREVIATIONS or lowered in lexicon or len(lowered) < 5:
      words.append(lowered)
    else:
      words.extend(_take_apart(lowered, lexicon))
  return tuple(words) or _characters(name)


def _characters(name: str) -> tuple[str, ...]:
  """The names of the characters of an identifier, each run of one character once: "--" ->
  ("double", "hyphen-minus").
  """
  words: list[str] = []
  for character, run in itertools.groupby(name):
    times = sum(1 for _ in run)
    if times > 1:
      words.append("double" if times == 2 else f"{times}-fold")
    # One word, of which no other rule takes a part for something else.
    words.append(
      "-".join(unicodedata.name(character, f"character {ord(character)}").lower().split())
    )
  return tuple(words) or ("unnamed",)


def expand(words: tuple[str, ...]) -> tuple[str, ...]:
  """Spells out abbreviations, and puts counts as people say them: (num, of, seats) -> (number, of,
  seats).
  """
  result: list[str] = []
  for i, word in enumerate(words):
    if word == "no" and i + 1 < len(words) and words[i + 1] != "of" and i == 0:
      result.append("no")
    elif word == "desc" and i + 1 < len(words):
      result.append("description")
    else:
      result.extend(vocabulary.ABBREVIATIONS.get(word, word).split())
  if len(result) > 1 and result[-1] in ("mf", "mfu"):
    result.pop()  # "gender_mf" says what it holds.
  if len(result) > 1 and result[0] == "number" and result[1] not in vocabulary.PREPOSITIONS:
    result = ["number", "of", *result[1:-1], plural_of(singular_of(result[-1]))]
  elif len(result) > 2 and result[0] == "number" and result[1] == "of":
    result = [*result[:-1], plural_of(singular_of(result[-1]))]
  if len(result) > 1 and result[0] in vocabulary.AGGREGATE_PREFIXES:
    result[0] = vocabulary.AGGREGATE_PREFIXES[result[0]]
  if (
    len(result) > 1
    and result[-1] in vocabulary.LEADING_WORDS
    and result[0] not in ("is", "was", "has", "years")
  ):
    result = [result[-1], *result[:-1]]  # "GNPOld" is the old GNP.
  deduplicated = [w for i, w in enumerate(result) if i == 0 or w != result[i - 1]]
  return tuple(deduplicated)


def _take_apart(word: str, lexicon: frozenset[str]) -> list[str]:
  """Splits "lastname" into known words; the word itself where that is not possible."""
  best: list[list[str] | None] = [[]] + [None] * len(word)
  for end in range(1, len(word) + 1):
    for start in range(max(0, end - 14), end):
      piece = word[start:end]
      known = (
        len(piece) > 2
        and piece in lexicon
        or (len(piece) > 3 and piece in vocabulary.ABBREVIATIONS)
        or (piece in ("id", "no") and end == len(word))
        or piece == "of"
      )
      if (
        known
        and best[start] is not None
        and (best[end] is None or len(best[start]) + 1 < len(best[end]))
      ):
        best[end] = [*best[start], piece]
  return best[-1] or [word]
