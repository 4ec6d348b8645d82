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
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.splitting import split_name, word_spans
from spftsql_jax.examples.example import Example
from spftsql_jax.pretraining.domains import domains_of
from spftsql_jax.pretraining.values import words_of
from spftsql_jax.schema import Schema

# A word that so large a share of the databases without it in their names use is no name.
_COMMON_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class Renaming:
  """Words in lower case, singular or plural, and what stands for them."""

  words: Mapping[str, str]

  def __call__(self, text: str) -> str:
    """The text with its words exchanged, each in the case it had."""
    parts, behind = [], 0
    for start, end in word_spans(text):
      parts += [text[behind:start], self._exchanged(text[start:end])]
      behind = end
    return "".join((*parts, text[behind:]))

  def _exchanged(self, word: str) -> str:
    other = self.words.get(word.lower())
    if other is None:
      return word
    if word.isupper() and len(word) > 1:
      return other.upper()
    return other.capitalize() if word[0].isupper() else other


def common_words(
  schemas: Mapping[str, Schema], examples: Mapping[str, Iterable[Example]]
) -> frozenset[str]:
  """Words of questions and queries that belong to the language and not to a schema: those that
  are said of databases too whose names do not hold them.

  Args:
    schemas, examples: by db_id.
  """
  names = {db_id: named_words(schema) for db_id, schema in schemas.items()}
  used = Counter(
    word
    for db_id, asked in examples.items()
    for word in _words(t for e in asked for t in (e.question, e.query)) - names[db_id]
  )
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
  named, asked = named_words(schema), _words(example.question for example in examples)
  used = named | asked
  words: dict[str, str] = {}
  for word in sorted(w for w in named & asked if len(w) > 2 and w not in kept):
    other = draw_noun(word, used, kept, rng, invented_share)
    used.add(other)
    words[plural_of(word)] = plural_of(other)
    words[word] = other
  return Renaming(words)


def _words(texts: Iterable[str]) -> set[str]:
  """The words of texts, in the singular."""
  return {singular_of(word) for text in texts for word in split_name(text) if word.isalpha()}


def named_words(schema: Schema) -> set[str]:
  """The words of the names of tables and columns, in the singular."""
  return _words(
    name
    for table in schema.tables
    for name in (table.name, *(column.name for column in table.columns))
  )


def draw_noun(
  word: str, used: Collection[str], kept: Collection[str], rng: random.Random, invented_share: float
) -> str:
  """A noun in the place of `word` that is not used yet and takes the same article: one of another
  domain, or with `invented_share` one that does not exist.
  """
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
  return tuple(sorted({w for phrase in phrases for w in split_name(phrase) if len(w) > 2}))
