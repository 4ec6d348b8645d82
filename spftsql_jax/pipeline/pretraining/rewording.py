"""Questions in other words than their schema's: people ask for the "cost" of what has a price.

Questions made by rule call a column by its name. Now and then a noun that a schema holds is
exchanged for a synonym in the question alone, so that a model learns to look for what is meant.
And at times for a word that says nothing of the schema, as people's own words often do: then types,
values, keys and the rest of the question tell what is meant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator

from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.synonyms import LONGEST_PHRASE, Phrase, synonyms_of, text_of
from spftsql_jax.pipeline.pretraining.renaming import draw_noun
from spftsql_jax.questions.parts import article

# What stays: a quoted value, and "how much does it cost", where the noun is a verb; or a word in
# small letters, for what has a capital may be a name.
_PIECES = re.compile(
  r"""'(?:[^']|'')*'|"[^"]*"|[Hh]ow much do(?:es)? .*|(?<![\w'"])[a-z]+(?![\w'"])"""
)

# Shorter words are no nouns.
_SHORTEST = 3


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


def obscured(
  question: str,
  named: Collection[str],
  kept: Collection[str],
  rng: random.Random,
  share: float,
  invented_share: float,
) -> str:
  """A question with a share of the words of names exchanged for nouns that its schema lacks.

  Args:
    named: as in `reworded`. kept: words of the language, which stay (`renaming.common_words`).
    invented_share: of these nouns that do not exist.
  """
  parts, at = [], 0
  drawn: dict[str, str | None] = {}
  for match in _PIECES.finditer(question):
    word = singular_of(match[0])
    if word not in named or word in kept or len(word) < _SHORTEST:
      continue
    if word not in drawn:
      other = singular_of(draw_noun(word, named, kept, rng, invented_share))
      drawn[word] = other if rng.random() < share else None
    if (chosen := drawn[word]) is None:
      continue
    parts += [question[at : match.start()], chosen if word == match[0] else plural_of(chosen)]
    at = match.end()
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
