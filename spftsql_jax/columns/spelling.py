"""Names as they are read: taken apart, and misspelt words put right (locaton, shaff)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from string import ascii_lowercase

from spftsql_jax.columns import kinds, synonyms, vocabulary
from spftsql_jax.columns.comments import said
from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.words import split_identifier
from spftsql_jax.schema import Schema

_SHORTEST = 5
# From here on a letter too many or too few is an error, whatever else the schema says.
_LONG = 8


class Spelling:
  """How the names of a schema are read; `lexicon` has the words that they are taken apart into."""

  def __init__(self, schema: Schema, lexicon: frozenset[str]):
    self._lexicon = lexicon
    self._right = _right_words(schema, lexicon)

  def words(self, name: str, comment: str = "") -> tuple[str, ...]:
    """The words of a name, or of the comment on what has no name that is said."""
    words = split_identifier(said(name, comment, self._lexicon), self._lexicon)
    return tuple(self._right.get(word, word) for word in words)


def _right_words(schema: Schema, lexicon: frozenset[str]) -> Mapping[str, str]:
  """The right spelling of each misspelt word in the names of a schema.

  Such a word is in no list, and one slip of the hand away from one other word: a letter too many
  or too few, or two exchanged, for a word of other names or, if it is long, of the lists; or a
  wrong letter, where the right word is in the lists and stands elsewhere behind the same word
  ("num_of_shaff" beside "num_of_staff"). Its first letter is right, and so is its last. Or it is a
  long word of other names cut short, but for its last letter.
  """
  names = [table.base_name for table in schema.tables]
  names += [column.name for table in schema.tables for column in table.columns]
  split = [split_identifier(name, lexicon) for name in names]
  behind = {pair for words in split for pair in zip(words, words[1:], strict=False)}
  used = {word for words in split for word in words}
  found = {}
  for word in used:
    if len(word) < _SHORTEST or not word.isalpha() or word in _known():
      continue
    slips = {near for near in _slips(word) if near in used or len(word) >= _LONG}
    wrong = {
      near
      for before, misspelt in behind
      if misspelt == word
      for near in _with_a_wrong_letter(word)
      if (before, near) in behind
    }
    # "furniture_manufacte" beside "manufacturer"
    cut = {near for near in used if len(word) >= _LONG and near.startswith(word[:-1])}
    right = {near for near in slips | wrong | cut if near in _known()}
    if len(right) == 1:
      found[word] = right.pop()
  return found


def _slips(word: str) -> Iterator[str]:
  """The words of which this one has a letter too many, one too few, or two exchanged."""
  for i in range(1, len(word) - 1):
    yield word[:i] + word[i + 1 :]
    yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]
  for i in range(1, len(word)):
    yield from (word[:i] + letter + word[i:] for letter in ascii_lowercase)


def _with_a_wrong_letter(word: str) -> Iterator[str]:
  """The words of which this one has another letter."""
  for i in range(1, len(word) - 1):
    yield from (word[:i] + letter + word[i + 1 :] for letter in ascii_lowercase)


@functools.cache
def _known() -> frozenset[str]:
  """All words of the lists, in both numbers."""
  listed = {*vocabulary.LEXICON, *vocabulary.ABBREVIATIONS, *kinds.all_words()}
  listed |= {word for phrase in synonyms.phrases() for word in phrase}
  return frozenset(listed | set(map(plural_of, listed)) | set(map(singular_of, listed)))
