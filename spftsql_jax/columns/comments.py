"""What comments call tables and columns, where their names do not say it or say it otherwise."""

from __future__ import annotations

import re

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.words import split_identifier
from spftsql_jax.schema import Column

# Three letters with a vowel among them may be a word.
_SPOKEN = re.compile(r"(?=.*[aeiouy])[^\W\d_]{3}", re.IGNORECASE)
# A comment that is nothing but a name: "id", "date".
_PLAIN_COMMENT = re.compile(r"[A-Za-z]+( [A-Za-z]+){0,2}")
_SHORT_COMMENT = re.compile(r"[a-z][a-z \-]{2,38}", re.IGNORECASE)


def said(name: str, comment: str, lexicon: frozenset[str]) -> str:
  """What a table or column is called by: its name, or the comment where the name is none that is
  said, such as C01 or KNR, and the comment is.
  """
  words = split_identifier(name, lexicon)
  if any(word in vocabulary.ABBREVIATIONS or _SPOKEN.search(word) for word in words):
    return name
  plain = comment.strip() if _PLAIN_COMMENT.fullmatch(comment.strip()) else ""
  return _phrase_of(comment) or plain or name


def named_by_comment(column: Column, own: set[str]) -> str:
  """The name that a short comment gives its column ("year of publication"), or ""."""
  said = _phrase_of(column.comment)
  if not said or said.lower() in {str(v).lower() for v in column.samples}:
    return ""
  name = said if any(w.isupper() for w in said.split()) else said.lower()
  return "" if name in own or name.split()[0].rstrip("s") + "s" in vocabulary.UNITS else name


def _phrase_of(comment: str) -> str:
  """The noun phrase that a comment begins with, if it is short; else ""."""
  comment = comment.strip()
  if comment.count(",") > 1:
    return ""
  said = re.split(r"[,;:(.]| if | when ", comment, maxsplit=1)[0].strip()
  said = re.sub(r"^(the|a|an) ", "", said, flags=re.IGNORECASE)
  before, _, unit = said.rpartition(" in ")
  if before and unit in vocabulary.UNITS:
    said = before
  words = said.lower().split()
  if (
    not _SHORT_COMMENT.fullmatch(said)
    or len(words) > 5
    or words[0] in vocabulary.NO_NAMES | vocabulary.UNITS
    or "or" in words
    or len(said) < 4
  ):
    return ""
  if (
    words[0] in ("milligrams", "number")
    and len(words) < 3
    or not vocabulary.SENTENCE_WORDS.isdisjoint(words)
  ):
    return ""
  return said
