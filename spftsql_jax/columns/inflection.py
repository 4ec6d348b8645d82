"""Plural and singular of noun phrases, by the `inflect` engine without its run-time type checks.

inflect rewrites each of its functions to check the types of its arguments while it is imported,
which takes seconds that every worker process would spend again; what is passed to it here is always
a string.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from unittest import mock

import typeguard

from spftsql_jax.columns import vocabulary

with mock.patch.object(typeguard, "typechecked", lambda function: function):
  import inflect

_ENGINE = inflect.engine()

_AFTER_HEAD = (" of ", " for ", " with ", " in ", " by ", " at ", " to ", " on ", " from ")


def follows_noun(word: str) -> bool:
  """Whether a word of a name stands behind what it is about: "date sold", "documents mailed"."""
  return word in vocabulary.TRAILING_WORDS or (
    word.endswith("ed") and word not in vocabulary.NOT_PARTICIPLES
  )


def _by_joints(phrase: str, change: Callable[[str], str]) -> str | None:
  """The phrase with its head changed, or both of its nouns; None where it is one noun.

  "Date of birth" has a head, "date and time" has two.
  """
  for separator in _AFTER_HEAD:
    head, found, rest = phrase.partition(separator)
    before, _, last = head.rpartition(" ")
    # "skills required to fix"
    purpose = bool(before) and separator == " to "
    if found and head and (purpose or not follows_noun(last)):
      return change(head) + found + rest
  _, choice, last = phrase.rpartition(" or ")
  if choice:
    # "boys or girls" says what its values are, as does a "boys or girls type".
    _, behind, head = last.rpartition(" ")
    return f"{phrase.removesuffix(head)}{change(head)}" if behind else phrase
  first, found, second = phrase.partition(" and ")
  return f"{change(first)} and {change(second)}" if found else None


@functools.lru_cache(maxsize=16384)
def plural_of(phrase: str) -> str:
  """The plural of a singular noun phrase: "date of birth" -> "dates of birth"."""
  if (changed := _by_joints(phrase, plural_of)) is not None:
    return changed
  before, _, word = phrase.rpartition(" ")
  if phrase.startswith("date ") and " " in before:
    # As in "date became customer" or "date product discontinued".
    return f"dates {phrase.removeprefix('date ')}"
  if follows_noun(word):
    return f"{plural_of(before)} {word}" if before else phrase  # "invested" alone has no plural.
  if word.lower() in vocabulary.UNCOUNTABLE or not (word.isalpha() and word.isascii()):
    return phrase
  if word.isupper() and len(word) > 1:
    plural = word + "s"
  else:
    plural = vocabulary.IRREGULAR_PLURALS.get(word) or _ENGINE.plural_noun(word) or word
  return f"{before} {plural}" if before else plural


@functools.lru_cache(maxsize=16384)
def singular_of(phrase: str) -> str:
  """The singular of a noun phrase that may be plural already: "has allergies" -> "has allergy"."""
  if (changed := _by_joints(phrase, singular_of)) is not None:
    return changed
  before, _, word = phrase.rpartition(" ")
  if before and follows_noun(word):
    return f"{singular_of(before)} {word}"
  lowered = word.lower()
  if (
    lowered in vocabulary.UNCOUNTABLE
    or lowered in ("cosmos", "chaos")
    or lowered.endswith(("ss", "us", "is"))
    or lowered in vocabulary.SINGULAR_IN_AS
    or len(word) < 4
    or not word.isalpha()
  ):
    return phrase
  single = word
  if lowered in vocabulary.IRREGULAR_SINGULARS:
    single = vocabulary.IRREGULAR_SINGULARS[lowered]
  elif lowered.endswith(("s", "men", "ren", "people")):
    single = _ENGINE.singular_noun(word) or word
  return f"{before} {single}" if before else single
