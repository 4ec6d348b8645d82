"""Questions in other words than their schema's: people ask for the "cost" of what has a price.

Questions made by rule call a column by its name. Now and then a noun that a schema holds is
exchanged for a synonym in the question alone, so that a model learns to look for what is meant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator

from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.synonyms import LONGEST_PHRASE, Phrase, synonyms_of, text_of
from spftsql_jax.questions.parts import article

# What stays: a quoted value, and "how much does it cost", where the noun is a verb; or a word in
# small letters, for what has a capital may be a name.
_PIECES = re.compile(
  r"""'(?:[^']|'')*'|"[^"]*"|[Hh]ow much do(?:es)? .*|(?<![\w'"])[a-z]+(?![\w'"])"""
)


def reworded(question: str, named: Collection[str], rng: random.Random, share: float) -> str:
  """A question with a share of its nouns in other words.

  Args:
    named: the words of the schema's names, in the singular: what is exchanged is made of these, and
      is not exchanged for them.
  """
  parts, at = [], 0
  drawn: dict[Phrase, Phrase | None] = {}
  for start, end, phrase in _nouns(question, named):
    if phrase not in drawn:
      others = [o for o in synonyms_of(phrase) if not set(o) & (set(named) - set(phrase))]
      drawn[phrase] = rng.choice(others) if others and rng.random() < share else None
    if (chosen := drawn[phrase]) is None:
      continue
    said = question[start:end]
    other = text_of(chosen, plural=singular_of(said) != said)
    before = question[at:start]
    parts += [_with_article(before, other), other]
    at = end
  return "".join([*parts, question[at:]])


def _nouns(question: str, named: Collection[str]) -> Iterator[tuple[int, int, Phrase]]:
  """(start, end, phrase) of the longest noun phrases that have synonyms, of words of `named`."""
  words = [m for m in _PIECES.finditer(question)]
  singular = [singular_of(m[0]) for m in words]
  place = 0
  while place < len(words):
    for length in range(min(LONGEST_PHRASE, len(words) - place), 0, -1):
      phrase = tuple(singular[place : place + length])
      start, end = words[place].start(), words[place + length - 1].end()
      together = len(question[start:end].split()) == length
      if together and set(phrase) <= set(named) and synonyms_of(phrase):
        yield start, end, phrase
        place += length - 1
        break
    place += 1


def _with_article(before: str, noun: str) -> str:
  """What stands before a noun, with the article that it takes."""
  match = re.search(r"\ban? $", before)
  if match is None:
    return before
  return before[: match.start()] + article(noun).removesuffix(noun)
