"""The words of a table's name as people would say them of its rows."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.deeds import Words, rows_said
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.spelling import Spelling
from spftsql_jax.columns.words import expand
from spftsql_jax.schema import Schema, Table

# Of fewer tables a word that all begin with may be what they are about.
_FEWEST_WITH_PREFIX = 3


class RowWords(NamedTuple):
  """The words of a table's name that say something, and the noun for one of its rows."""

  name: Words
  noun: str


def row_words(schema: Schema, spelling: Spelling) -> Mapping[str, RowWords]:
  """What the rows of all tables are called, by their names in lower case."""
  spoken = _spoken_names(schema)
  split = {
    table.name.lower(): spelling.words(spoken[table.name], table.comment) for table in schema.tables
  }
  prefix = _common_prefix(list(split.values()))
  bare = {name: _bare(words, prefix) for name, words in split.items()}
  referred = {
    table.name.lower(): {key.referred_table.lower() for key in table.foreign_keys} & bare.keys()
    for table in schema.tables
  }
  nouns = {
    name: _noun(words, {singular_of(bare[other][-1]) for other in referred[name]})
    for name, words in bare.items()
  }
  nouns |= {table.name.lower(): table.called for table in schema.tables if table.called}
  found = {}
  for table in schema.tables:
    name = table.name.lower()
    ends = {nouns[other] for other in referred[name]}
    noun = _of_link(nouns[name], ends, nouns.values())
    columns = {column.name: spelling.words(column.name) for column in table.columns}
    keys = [columns[key] for key in table.primary_key if key in columns]
    noun = _of_typed(_of_decision(noun, columns.values()), keys)
    found[name] = RowWords(bare[name], table.called or noun)
  return found


def _noun(words: Words, ends: Collection[str]) -> str:
  """The noun for one row of a table with a name of these words; `ends` as in `rows_said`."""
  spelled = expand(rows_said(words, ends))
  if len(spelled) == 3 and spelled[1] == "of":
    spelled = (spelled[2], spelled[0])  # "member of club"
  noun = singular_of(" ".join((*map(_modifier, spelled, spelled[1:]), spelled[-1])))
  one = vocabulary.RECORDED.get(spelled[-1])
  return f"{noun} {one}" if one else noun


def _of_link(noun: str, ends: Collection[str], nouns: Collection[str]) -> str:
  """What is meant by a noun made of those of two tables, the second of which takes part in the
  first: a happy hour member is no member, but a participation.

  `ends` are the nouns of the tables that its keys refer to, `nouns` those of all tables.
  """
  what, _, who = noun.rpartition(" ")
  if who not in vocabulary.PARTAKERS or who not in ends or what not in nouns:
    return noun
  return f"{what} {'membership' if what.split()[-1] in vocabulary.JOINED else 'participation'}"


def _of_decision(noun: str, columns: Iterable[Words]) -> str:
  """The noun for what was decided where one of the columns says how: an acceptance may be none."""
  decided = noun.split()[-1] in vocabulary.DECIDED
  told = any(words[-1] in vocabulary.DECISIONS for words in columns)
  return f"{noun} decision" if decided and told else noun


def _of_typed(noun: str, keys: Sequence[Words]) -> str:
  """The noun for the rows of a table of the types of something: that itself where the key is called
  so. A table "allergy type" with a key "allergy" has a row for each allergy, which tells its type.
  """
  what, _, last = noun.rpartition(" ")
  return what if kinds.ends_in((last,), "type") and keys == [tuple(what.split())] else noun


def _spoken_names(schema: Schema) -> dict[str, str]:
  """What tables are called: their names alone, if these tell them apart.

  Of several with the same name the schema's as well, if it says anything.
  """
  same = collections.Counter(table.base_name.lower() for table in schema.tables)

  def spoken(table: Table) -> str:
    alone = same[table.base_name.lower()] == 1
    alone = alone or table.schema.lower() in vocabulary.UNSPOKEN_SCHEMAS
    return table.base_name if alone else f"{table.schema} {table.base_name}"

  return {table.name: spoken(table) for table in schema.tables}


def _common_prefix(names: Sequence[Words]) -> str:
  """The word that all tables of a schema begin with, which then says nothing ("app" of app_users
  and app_orders); "" where there is none, or where some table is called by it alone.
  """
  first = {words[0] for words in names}
  enough = len(names) >= _FEWEST_WITH_PREFIX and all(len(words) > 1 for words in names)
  return first.pop() if enough and len(first) == 1 else ""


def _bare(words: Words, prefix: str) -> Words:
  """The words without those that say nothing of the rows."""
  bare = list(words)
  if bare[0] == prefix:
    bare.pop(0)
  while len(bare) > 1 and bare[0] in vocabulary.TABLE_PREFIXES:
    bare.pop(0)
  while len(bare) > 1 and bare[-1] in vocabulary.TABLE_SUFFIXES:
    bare.pop()
  return tuple(bare)


def _modifier(word: str, following: str) -> str:
  """A word of a compound before another: the cards of customers are customer cards."""
  if (
    following in vocabulary.PREPOSITIONS
    or word in vocabulary.PLURAL_MODIFIERS
    or kinds.is_person(following)
  ):
    return word
  return singular_of(word)
