"""The words of keys: what a key identifies or refers to, however short its name says that."""

from __future__ import annotations

import collections
from collections.abc import Mapping

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.words import expand, split_identifier
from spftsql_jax.schema import Column, Schema, Table

# From here on the beginning of a word is enough to know it by: "super" of a supervisor.
_SHORTEST_BEGINNING = 4


class Keys:
  """The keys of one schema.

  `nouns` are those of all tables, by their names in lower case.
  """

  def __init__(self, schema: Schema, nouns: Mapping[str, str]):
    self._nouns = nouns
    found = collections.defaultdict(set)
    # By the name of a column of the key.
    self._identified = collections.defaultdict(list)
    for table in schema.tables:
      for name in table.primary_key:
        self._identified[name.lower()].append(nouns[table.name.lower()].split())
      if len(table.primary_key) == 1:
        noun = nouns[table.name.lower()]
        found[noun[0], key_said(table.primary_key[0], noun)].add(noun)
    # By the initial of the noun and what the key is: ("e", "SSN") of an employee.
    self._initialled = {key: next(iter(same)) for key, same in found.items() if len(same) == 1}

  def words(
    self, column: Column, table: Table, words: tuple[str, ...], owner: list[str]
  ) -> tuple[str, ...]:
    """The words of a column that shortens what it belongs to: mID, actid, pname, Essn."""
    keys = [
      key.referred_table.lower()
      for key in table.foreign_keys
      if tuple(key.columns) == (column.name,)
    ]
    keys = [name for name in keys if name in self._nouns and name != table.name.lower()]
    split = split_identifier(column.name, vocabulary.LEXICON)
    referred = [self._nouns[name].split() for name in keys]
    for named in (*referred, *self._identified[column.name.lower()], owner):
      if len(named) > 1 and len(split) > 1 and split[0] == "".join(word[0] for word in named):
        return (*named, *expand(split[1:]))  # "HH_ID" of a happy hour
    initial, rest = words[0][:1], words[0][1:]
    if len(words) == 1 and rest in vocabulary.AFTER_INITIAL:
      said = _spelled_out(rest)
      if keys and self._nouns[keys[0]].startswith(initial):
        return (*self._nouns[keys[0]].split(), said)
      if owner[-1][0] == initial:
        return (*owner, said)
      if owner[-1] == said and owner[0][0] == initial:
        return (said,)  # "dlocation" of a department location
    if len(words) == 1 and rest and words[0] not in vocabulary.LEXICON:
      noun = self._initialled.get((initial, _spelled_out(rest)))
      if noun is not None and rest != "id":
        return (*noun.split(), _spelled_out(rest))
    glued = len(words) == 1 and kinds.is_glued_identifier(words[0])
    short = len(words) == 2 and words[1] == "id" and len(words[0]) == 1
    if not glued and not short:
      return words
    if keys:
      return (*self._nouns[keys[0]].split(), "id")
    of_owner = any(word.startswith(words[0].removesuffix("id")) for word in owner)
    own = tuple(table.primary_key) == (column.name,)
    return (*owner, "id") if own or (glued and of_owner) else words


def key_said(key: str, noun: str) -> str:
  """What a table's key is, without its table's noun or initial: "SSN", "number" of Dnumber."""
  words = expand(split_identifier(key, vocabulary.LEXICON | set(noun.split())))
  rest = key.lower()[1:]
  if len(words) == 1 and key[:1].lower() == noun[0] and rest in vocabulary.AFTER_INITIAL:
    words = (_spelled_out(rest),)
  own = " ".join(words).removeprefix(noun).strip()
  return own or words[-1]


def role_words(column: str, referred: str, key: str) -> list[str]:
  """The words of a foreign key's name without those that only say that it is one.

  Args:
    column: its name.
    referred: the noun of the rows that it refers to.
    key: their own key, "" of several columns. Mgr_ssn holds the Ssn of the manager.
  """
  words = list(expand(split_identifier(column, vocabulary.LEXICON | set(referred.split()))))
  said = key_said(key, referred) if key else ""
  initial, rest = column[:1].lower(), column.lower()[1:]
  if said and initial == referred[0] and _spelled_out(rest) == said:
    return []  # "Essn", "Dno"
  if len(words) > 1 and words[-1] == said and not kinds.is_glued_identifier(said):
    words.pop()
    words[-1] = _in_full(words[-1], referred)
  while words and (
    kinds.ends_in(words, "key")
    or (kinds.is_glued_identifier(words[-1]) and len(words[-1]) < 6 and len(words) > 1)
  ):
    words.pop()
  if len(words) > 1 and len(words[-1]) == 1 and referred.startswith(words[-1]):
    words[-1:] = referred.split()  # "source_u_id" of a user
  part, found, _ = f"{' '.join(words)} ".rpartition(f" {referred} ")
  if found and part and kinds.is_person(part) and kinds.is_person(referred):
    words = part.split()  # "driver_employee_id": the driver is an employee.
  return words


def _spelled_out(word: str) -> str:
  return vocabulary.ABBREVIATIONS.get(word, word)


def _in_full(word: str, referred: str) -> str:
  """The one word for people that a word begins, where a key refers to people: "super"."""
  if len(word) < _SHORTEST_BEGINNING or word in vocabulary.LEXICON or not kinds.is_person(referred):
    return word
  people = [person for person in kinds.words_of("person") if person.startswith(word)]
  return people[0] if len(people) == 1 else word
