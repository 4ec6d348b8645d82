"""What else people say for a noun: they ask for the "cost" where a column is called price."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.word_lists import read_lists

# The words of a noun phrase, in small letters and in the singular.
Phrase = tuple[str, ...]

# Of the longest phrase that there is something else for.
LONGEST_PHRASE = 4


def synonyms_of(phrase: Phrase) -> tuple[Phrase, ...]:
  """The other phrases of its group; none where it stands in no group."""
  return _by_phrase().get(phrase, ())


def phrases() -> Collection[Phrase]:
  """All phrases of the list."""
  return _by_phrase().keys()


def text_of(phrase: Phrase, plural: bool) -> str:
  """A phrase of the list as it is written there, but in the plural where it has to be: the words
  of ("sale", "tax") are in the singular, yet it is said "sales tax".
  """
  text = _texts()[phrase]
  if not plural or singular_of(text) != text:
    return text
  head, per, unit = text.partition(" per ")
  return plural_of(head) + per + unit


def said_otherwise(phrase: Phrase) -> Iterator[Phrase]:
  """A phrase with its longest part that has synonyms exchanged for each of them; of parts equally
  long the last, which says what the phrase is.

  ("unit", "price") gives ("price", "per", "unit") where that is known, else ("unit", "cost").
  """
  for length in range(len(phrase), 0, -1):
    for start in range(len(phrase) - length, -1, -1):
      if others := synonyms_of(phrase[start : start + length]):
        for other in others:
          yield (*phrase[:start], *other, *phrase[start + length :])
        return


@functools.cache
def _by_phrase() -> Mapping[Phrase, tuple[Phrase, ...]]:
  return {
    phrase: tuple(other for other in group if other != phrase)
    for group in [[_phrase(text) for text in group] for group in _groups()]
    for phrase in group
  }


@functools.cache
def _texts() -> Mapping[Phrase, str]:
  return {_phrase(text): text for group in _groups() for text in group}


def _phrase(text: str) -> Phrase:
  return tuple(map(singular_of, text.split()))


@functools.cache
def _groups() -> tuple[tuple[str, ...], ...]:
  lists = read_lists(Path(__file__).parent / "lists" / "synonyms.txt")
  return tuple(tuple(line.split(" / ")) for line in lists["synonyms"])
