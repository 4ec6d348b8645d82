"""The words of a name as English reads them: glued words taken apart, abbreviations in full."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Iterable

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.splitting import split_name

SHORTEST_STEM = 4
# Two words are forms of one where this share of the longer is a common beginning.
_COMMON_SHARE = 0.6
# The last words of names that are said of what a column holds.
_OF_VALUES = frozenset({"mf", "mfu", "is"})
# Words beside "count" that say which count it is and not of what.
_NOT_COUNTED = frozenset(vocabulary.AGGREGATE_PREFIXES.values()) | {"total", "of", "number"}
_LONG_ABBREVIATIONS = frozenset(word for word in vocabulary.ABBREVIATIONS if len(word) > 3)


def split_identifier(name: str, lexicon: frozenset[str]) -> tuple[str, ...]:
  """The words of a name, of which there is always at least one.

  As `split_name` finds them, glued words taken apart where every piece is in `lexicon` or is a long
  abbreviation; and as people read them: "18_49" is from 18 to 49. A name without letters and digits
  is called by its characters ("number-sign").
  """
  words = list(split_name(name, lexicon, _LONG_ABBREVIATIONS))
  for index in reversed(range(1, len(words))):
    if words[index].isdigit() and words[index - 1].isdigit():
      words[index - 1 : index + 1] = [f"{words[index - 1]}-{words[index]}"]
  if len(words) == 2 and len(words[0]) == 1 and "".join(words) in vocabulary.ABBREVIATIONS:
    words = ["".join(words)]
  return tuple(words) or _characters(name)


def singular_words(parts: Iterable[str]) -> tuple[str, ...]:
  """The words of what a name is read as, in small letters and in the singular: ("Start dates",
  "ID") -> ("start", "date", "id").
  """
  return tuple(singular_of(word.lower()) for part in parts for word in part.split())


def alike(word: str, other: str) -> bool:
  """Whether two words may be forms of one by how they begin: "price", "pricing"."""
  if word[:SHORTEST_STEM] != other[:SHORTEST_STEM]:
    return False  # Most words differ at once.
  common = len(os.path.commonprefix((word, other)))
  return common >= SHORTEST_STEM and common >= _COMMON_SHARE * max(len(word), len(other))


def _characters(name: str) -> tuple[str, ...]:
  """The names of the characters of a name, each run of one character once.

  "--" -> ("double", "hyphen-minus").
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
  """Spells out abbreviations, and says counts as people do: "num seats" -> "number of seats"."""
  result: list[str] = []
  for i, word in enumerate(words):
    if word == "no" and i + 1 < len(words) and words[i + 1] != "of" and i == 0:
      result.append("no")
    elif word == "desc" and i + 1 < len(words):
      result.append("description")
    else:
      result.extend(vocabulary.ABBREVIATIONS.get(word, word).split())
  if len(result) > 1 and result[-1] in _OF_VALUES:
    result.pop()  # "gender_mf" says what it holds, "genre_is" that it does.
  if len(result) > 1 and result[-1] == "count" and not _NOT_COUNTED.intersection(result):
    # "bathroom_count", "booked_count"
    result = ["number", "of", *result[:-1]]
    if result[2] in vocabulary.PARTICIPLES or result[2].endswith("ed"):
      del result[1]
      return tuple(result)
  if len(result) > 1 and result[0] == "number" and result[1] not in vocabulary.PREPOSITIONS:
    result[1:1] = ["of"]
  if len(result) > 2 and result[:2] == ["number", "of"]:
    result[2:] = plural_of(singular_of(" ".join(result[2:]))).split()
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
