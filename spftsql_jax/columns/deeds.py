"""Names that are verbs, said by the nouns of what is done: prescribes, works_on, apply_date."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import NamedTuple

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.inflection import follows_noun, singular_of

Words = tuple[str, ...]

_VOWELS = "aeiou"
# Shorter words in "able" are things: a table, a cable.
_SHORTEST_ADJECTIVE = 6


class _Verb(NamedTuple):
  """A form of a verb.

  Attributes:
    base: the base form.
    form: which form it is: base, third (person) or participle.
    noun: the words for what is done; none where only the word beside it says that.
    clear: no form of the verb is the name of a thing.
  """

  base: str
  form: str
  noun: Words
  clear: bool

  @property
  def finite(self) -> bool:
    """Whether it is a verb wherever it stands: a participle may be said of a noun."""
    return self.clear and self.form != "participle"


def rows_said(words: Words, ends: Collection[str] = ()) -> Words:
  """The words of a table's name with a noun for the verb that says what its rows are.

  Args:
    words: of the name.
    ends: the last words, in the singular, of the tables that its keys refer to. Before one of them
      a word that might be a noun is a verb: "visits_restaurant".
  """
  *before, last = words
  phrase = vocabulary.VERB_TABLES.get(" ".join(words))
  if phrase:
    return tuple(phrase.split())  # "on_call"
  verb, other = _verbs().get(last), singular_of(last)
  if verb and not before:
    noun = _noun(verb, *sorted(ends))
    said = verb.clear or verb.form == "participle" or noun != verb.noun
    return (said and noun) or words  # "prescribes", "takes" of a course
  if verb and verb.finite:
    return (*before, *verb.noun)  # "course_arrange"
  if len(words) == 3 and other in ends and _state(before[-1]):
    return (other, _state(before[-1]))  # "accelerator_compatible_browser"
  verb = _verbs().get(before[-1]) if before else None
  if verb is None:
    return words
  noun = _noun(verb, other)
  if last in vocabulary.PREPOSITIONS:
    return (*before[:-1], *noun) if noun else words  # "faculty_participates_in"
  if len(words) == 2 and verb.clear and verb.form == "base":
    return (_doing(verb.base), last)  # "operate_company" holds companies.
  alone = len(words) == 2
  deed = other in ends or (alone and (verb.clear or not ends))
  said_of_noun = verb.form == "participle" or (alone and verb.form == "base")
  if not noun or not deed or said_of_noun or follows_noun(last):
    return words
  return (other, *noun)  # "visits_restaurant", "membership_register_branch"


def column_said(words: Words, dated: bool) -> Words:
  """The words of a column with the noun of what is done for the verb: "apply date" is the date of
  the application, and "certification expires", where it is `dated`, that of its expiry.
  """
  if len(words) == 3 and words[1] == "since" and words[2] in ("date", "year"):
    return (_state(words[0]) or words[0], "start", words[2])
  first, last = _verbs().get(words[0]), _verbs().get(words[-1])
  said_of_deed = kinds.ends_in(words, "date", "year", "type", "identifier")
  if len(words) == 2 and first and first.finite and first.form == "base" and said_of_deed:
    return (*first.noun, words[1])
  if last and last.finite and len(words) == 2 and words[0] in ("date", "year", "time"):
    return (*last.noun, words[0])  # "date undergoes"
  return (*words[:-1], *last.noun, "date") if dated and last and last.finite else words


def _state(word: str) -> str:
  """The noun for what an adjective says may be: compatibility; "" of other words."""
  able = len(word) > _SHORTEST_ADJECTIVE and word.endswith(("able", "ible"))
  return f"{word[:-2]}ility" if able else ""


def _noun(verb: _Verb, *beside: str) -> Words:
  """What is done, which a word beside the verb may tell from what else it means ("works_on")."""
  phrases = (vocabulary.VERB_TABLES.get(f"{verb.base} {word}") for word in beside)
  return next((tuple(phrase.split()) for phrase in phrases if phrase), verb.noun)


@functools.cache
def _verbs() -> Mapping[str, _Verb]:
  """The verbs of both lists by each of their forms."""
  found: dict[str, _Verb] = {}
  for entries, clear in ((vocabulary.DEEDS, True), (vocabulary.VERB_TABLES, False)):
    for entry, noun in entries.items():
      verb, _, participle = entry.partition(", ")
      base, _, beside = verb.partition(" ")
      if base in vocabulary.PREPOSITIONS:
        continue
      said = () if beside else tuple(noun.split())
      forms = {"base": base, "third": _third(base), "participle": participle or _participle(base)}
      for form, word in forms.items():
        if word not in found or not found[word].noun:
          found[word] = _Verb(base, form, said, clear)
  return found


def _third(base: str) -> str:
  """The third person: applies, teaches."""
  if base.endswith("y") and base[-2] not in _VOWELS:
    return f"{base[:-1]}ies"
  return f"{base}es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{base}s"


def _participle(base: str) -> str:
  """The participle of a regular verb: applied, arranged."""
  if base.endswith("y") and base[-2] not in _VOWELS:
    return f"{base[:-1]}ied"
  return f"{base}d" if base.endswith("e") else f"{base}ed"


def _doing(base: str) -> str:
  return f"{base[:-1] if base.endswith('e') and not base.endswith('ee') else base}ing"
