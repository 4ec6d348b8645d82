"""What else people say for a noun: they ask for the "cost" where a column is called price."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.word_lists import read_lists

# The words of a noun phrase, in small letters and in the singular.
Phrase = tuple[str, ...]

# Of the longest phrase that there is something else for.
LONGEST_PHRASE = 4


def synonyms_of(phrase: Phrase) -> tuple[Phrase, ...]:
  """The other phrases of its group; none where it stands in no group."""
  return _by_phrase().get(phrase, ())


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
  found: dict[Phrase, tuple[Phrase, ...]] = {}
  lists = read_lists(Path(__file__).parent / "lists" / "synonyms.txt")
  for line in lists["synonyms"]:
    group = [tuple(singular_of(word) for word in text.split()) for text in line.split(" / ")]
    for phrase in group:
      found[phrase] = tuple(other for other in group if other != phrase)
  return found
