"""Words of a schema in exchange for others, everywhere a model reads or writes them.

A few dozen domains have few words, and a model that knows them all learns them by heart instead of
reading its prompt. So the nouns of a database are exchanged for nouns of other domains and for
words that nobody has ever read, in names, questions, and queries alike: what is left to learn is
to look at the schema and copy from it.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.examples.example import Example
from spftsql_jax.pretraining.domains import domains_of
from spftsql_jax.pretraining.values import words_of
from spftsql_jax.schema import Schema

# A run of letters is cut where its case says that a word begins: tblReaderLetter, XMLFile.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A word that so large a share of the databases without it in their names use is no name.
_COMMON_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class Renaming:
  """Words in lower case, singular or plural, and what stands for them."""

  words: Mapping[str, str]

  def __call__(self, text: str) -> str:
    """The text with its words exchanged, each in the case it had."""
    return _WORD.sub(self._exchanged, text)

  def _exchanged(self, found: re.Match[str]) -> str:
    word = found[0]
    other = self.words.get(word.lower())
    if other is None:
      return word
    if word.isupper() and len(word) > 1:
      return other.upper()
    return other.capitalize() if word[0].isupper() else other


def common_words(schemas: Mapping[str, Schema], examples: Sequence[Example]) -> frozenset[str]:
  """Words of questions and queries that belong to the language and not to a schema: those that
  are said of databases too whose names do not hold them.
  """
  names = {db_id: _named(schema) for db_id, schema in schemas.items()}
  said: dict[str, set[str]] = {}
  for example in examples:
    words = said.setdefault(example.db_id, set())
    words.update(singular_of(w) for w in _words(example.question))
    words.update(singular_of(w) for w in _words(example.query))
  used = Counter(word for db_id, words in said.items() for word in words - names[db_id])
  lacking = {word: sum(word not in named for named in names.values()) for word in used}
  return frozenset(words_of("prompt")) | {
    w for w, n in used.items() if n > _COMMON_SHARE * max(lacking[w], 1)
  }


def draw_renaming(
  schema: Schema,
  examples: Iterable[Example],
  kept: Collection[str],
  rng: random.Random,
  invented_share: float,
) -> Renaming:
  """A renaming of the nouns that both names of the schema and questions on it hold.

  A word that stands in names alone may be a short form of one in questions, and stays.

  Args:
    kept: words that are not exchanged (`common_words`).
    invented_share: the share of nouns exchanged for words that do not exist.
  """
  asked = {singular_of(w) for e in examples for w in _words(e.question)}
  used = _named(schema) | asked
  words: dict[str, str] = {}
  for word in sorted(w for w in _named(schema) & asked if len(w) > 2 and w not in kept):
    other = _draw(word, used, kept, rng, invented_share)
    used.add(other)
    words[plural_of(word)] = plural_of(other)
    words[word] = other
  return Renaming(words)


def _words(text: str) -> list[str]:
  return [word.lower() for word in _WORD.findall(text)]


def _named(schema: Schema) -> set[str]:
  """The words of the names of tables and columns, in the singular."""
  return {
    singular_of(word)
    for table in schema.tables
    for name in (table.name, *(column.name for column in table.columns))
    for word in _words(name)
  }


def _draw(
  word: str, used: Collection[str], kept: Collection[str], rng: random.Random, invented_share: float
) -> str:
  """A word that is not used yet and takes the same article."""
  while True:
    other = _invented(rng) if rng.random() < invented_share else rng.choice(_nouns())
    same_article = (other[0] in "aeiou") == (word[0] in "aeiou")
    if other not in used and other not in kept and same_article:
      return other


def _invented(rng: random.Random) -> str:
  """A word of one or two syllables, at times with a vowel before them."""
  syllables = rng.choice((1, 2, 2))
  word = "".join(
    rng.choice(words_of("onsets")) + rng.choice(words_of("vowels")) for _ in range(syllables)
  )
  return rng.choice(("", "", "", "a", "e", "i", "o", "u")) + word + rng.choice(words_of("codas"))


@functools.cache
def _nouns() -> tuple[str, ...]:
  """The words of all domains that may be pretrained on."""
  phrases = {
    phrase
    for domain in domains_of(held_out=False)
    for entity in domain.entities
    for phrase in (*entity.words, *(w for a in entity.attributes for w in a.words))
  }
  return tuple(sorted({w for phrase in phrases for w in _words(phrase) if len(w) > 2}))
