"""Which words of a question a database knows: from its names and their synonyms, its comments and
its values.
"""

from __future__ import annotations

import dataclasses
import re

from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.synonyms import synonyms_of
from spftsql_jax.columns.words import SHORTEST_STEM, alike, expand, split_identifier
from spftsql_jax.databases import ValueIndex
from spftsql_jax.examples.question_words import (
  BEFORE_THE_VERB,
  CHANGING_VERBS,
  FUNCTION_WORDS,
  QUESTION_PHRASES,
)
from spftsql_jax.schema import Column, Schema, Table

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.?!](?=\s|$)|[;\n\u3002]")
_PHRASES = [phrase.split() for phrase in QUESTION_PHRASES]
# A word as long as this may stand anywhere in a name: "schooler" in "Highschooler".
_LONG_WORD = 5


@dataclasses.dataclass(frozen=True)
class KnownWords:
  """The words of a question that say what it is about, in their order, each once.

  Attributes:
    found: those that some table, column or stored value has.
    missing: the others.
  """

  found: tuple[str, ...]
  missing: tuple[str, ...]

  @property
  def nothing_found(self) -> bool:
    """Whether the question is about something, and the database knows nothing of it."""
    return bool(self.missing) and not self.found


def look_up(question: str, schema: Schema, values: ValueIndex) -> KnownWords:
  """Looks up the words of a question.

  Numbers and function words are left out: any question may have them.
  """
  named = _schema_words(schema)
  found: dict[str, bool] = {}
  for match in _WORD.finditer(question):
    word = match[0].lower().replace("’", "'").removesuffix("'s").removesuffix("'")
    if word in FUNCTION_WORDS or (len(word) < 2 and word.isascii()):
      continue
    forms = {word, singular_of(word)}
    # Who asks for shops where there are stores asks for something that is there.
    forms |= {other[0] for other in synonyms_of((singular_of(word),)) if len(other) == 1}
    found[word] = any(_same(form, name) for form in forms for name in named) or any(
      map(values.has_word, forms)
    )
    if not found[word]:
      found[word] = any(
        len(form) >= _LONG_WORD and form in name for form in forms for name in named
      )
  return KnownWords(
    tuple(w for w, there in found.items() if there),
    tuple(w for w, there in found.items() if not there),
  )


class ChangeAskedError(ValueError):
  """A question asks to change data."""


def check_changes_nothing(question: str, schema: Schema) -> None:
  """Raises ChangeAskedError where a question asks to change data."""
  if verb := asks_for_change(question, schema):
    raise ChangeAskedError(
      f"only questions are answered, nothing is changed in a database ({verb!r} asks for a change)"
    )


def asks_for_change(question: str, schema: Schema) -> str:
  """The verb with which a question, or a sentence of it, asks to change data; "" where none does.

  "please delete all members" -> "delete". A verb that begins a name of the schema is none where the
  question goes on as the name does: "Update dates of all orders".
  """
  return next(
    filter(None, (_changing_verb(sentence, schema) for sentence in _SENTENCE_END.split(question))),
    "",
  )


def _changing_verb(sentence: str, schema: Schema) -> str:
  words = [match[0].lower() for match in _WORD.finditer(sentence)]
  while words and words[0] in BEFORE_THE_VERB:
    words.pop(0)
  if (
    not words
    or words[0] not in CHANGING_VERBS
    or any(words[: len(phrase)] == phrase for phrase in _PHRASES)
  ):
    return ""
  followed = [words[0], singular_of(words[1])] if len(words) > 1 else words[:1]
  names = [
    name
    for table in schema.tables
    for name in (table.name, *(column.name for column in table.columns))
  ]
  if any(
    [singular_of(word) for word in split_identifier(name, frozenset())[:2]] == followed
    for name in names
  ):
    return ""
  return words[0]


def _schema_words(schema: Schema) -> frozenset[str]:
  words: set[str] = set()
  for table in schema.tables:
    both: tuple[Table | Column, ...] = (table, *table.columns)
    for named in both:
      pieces = split_identifier(named.name, frozenset())
      words.update(pieces, expand(pieces), named.name.lower().split())
      said = f"{named.called} {named.comment}"
      words.update(match[0].lower() for match in _WORD.finditer(said))
  return frozenset(form for word in words for form in (word, singular_of(word)))


def _same(word: str, name: str) -> bool:
  """Whether two words are forms of one."""
  if word == name:
    return True
  shorter, longer = sorted((word, name), key=len)
  return alike(word, name) or (len(shorter) >= SHORTEST_STEM and longer.startswith(shorter))
