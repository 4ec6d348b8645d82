"""What people say where they mean a column and do not name it: "who is the oldest?", "in 2014"."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from spftsql_jax.columns.attributes import tags_of
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.synonyms import Phrase
from spftsql_jax.columns.word_lists import read_lists, tuples_by_word
from spftsql_jax.schema import Column

# Stands in the lists for any year.
YEAR = "<year>"
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")


def implied_by(column: Column, words: Phrase) -> Iterable[Phrase]:
  """The phrases that mean a column, by its kind and by the last word of its name.

  Args:
    words: of its name, in the singular.
  """
  said = [_lists()["said of kinds"].get(tag, ()) for tag in sorted(tags_of(column, words))]
  said.append(_lists()["said of words"].get(words[-1], ()))
  return dict.fromkeys(phrase for group in said for phrase in group)


def is_year(word: str) -> bool:
  """Whether a word of a question is a year."""
  return _YEAR.fullmatch(word) is not None


@functools.cache
def _lists() -> Mapping[str, Mapping[str, tuple[Phrase, ...]]]:
  lists = read_lists(Path(__file__).parent / "lists" / "implied.txt")
  return {
    name: {
      key: tuple(tuple(singular_of(w) for w in text.split()) for text in texts)
      for key, texts in tuples_by_word(entries).items()
    }
    for name, entries in lists.items()
  }
