"""Verbs in agreement with their subject: a phrase is written once, as said of several."""

from __future__ import annotations

from typing import NamedTuple

from spftsql_jax.questions import wordings

_OF_ONE = {
  "are": "is",
  "aren't": "isn't",
  "were": "was",
  "have": "has",
  "do": "does",
  "don't": "doesn't",
}


class Verb(NamedTuple):
  """What follows who or that, of several and of one: "are older than 30", "is older than 30"."""

  plural: str
  singular: str


def conjugate(phrase: str, of_one: str = "") -> Verb:
  """A phrase in both numbers.

  Args:
    phrase: as said of several: "have a visit".
    of_one: the same where it goes on in other words when said of one, with the verb unchanged:
      "belong to Boston's clubs", "belong to a club of Boston".
  """
  return Verb(phrase, agree(of_one or phrase, plural=False))


def agree(phrase: str, plural: bool) -> str:
  """A phrase that begins with a verb, as said of several, in the number of its subject.

  A verb that is not known is a past tense or an auxiliary, which is the same in both numbers.
  """
  if plural:
    return phrase
  verb, space, rest = phrase.partition(" ")
  if verb in wordings.REGULAR_VERBS:
    verb += "es" if verb.endswith("ch") else "s"
  return f"{_OF_ONE.get(verb, verb)}{space}{rest}"


def plural_verb(phrase: str) -> str:
  """A phrase as said of one, as said of several: "is above 100" -> "are above 100"."""
  verb, space, rest = phrase.partition(" ")
  return f"{_OF_SEVERAL.get(verb, verb)}{space}{rest}"


_OF_SEVERAL = {agree(verb, False): verb for verb in (*_OF_ONE, *wordings.REGULAR_VERBS)}
