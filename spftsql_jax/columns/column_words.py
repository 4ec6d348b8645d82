"""The words of a column's name as people would say them, from those of its identifier."""

from __future__ import annotations

import re

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.attributes import holds_years, property_of
from spftsql_jax.columns.inflection import follows_noun, singular_of
from spftsql_jax.columns.key_words import Keys
from spftsql_jax.columns.kinds import is_person
from spftsql_jax.schema import Column, Table

_BOUNDS = {"from": "start", "to": "end", "until": "end"}
_YEAR = re.compile(r"(19|20)\d\d")


def column_words(
  column: Column,
  table: Table,
  words: tuple[str, ...],
  owner: list[str],
  lexicon: frozenset[str],
  keys: Keys,
) -> tuple[str, ...]:
  """The words of a column's full name.

  Args:
    column: the column.
    table: its table.
    words: those of its identifier.
    owner: the words of the noun of the table's rows.
    lexicon: words that identifiers are taken apart into.
    keys: what the keys of the schema refer to.
  """
  words = _in_full(keys.words(column, table, words, owner), table, owner, lexicon)
  return _with_noun(column, _as_said(column, words, owner))


def short_words(words: tuple[str, ...], owner: list[str], own: set[str]) -> list[str]:
  """A column's words without those of its table: "name" of "product name".

  `own` are the names of the table's columns, none of which may be taken from another.
  """
  short = list(words)
  if len(words) > len(owner) and [singular_of(w) for w in words[: len(owner)]] == owner:
    short = list(words[len(owner) :])
  elif (
    len(owner) > 1 and len(words) > 1 and words[0] == owner[-1] and " ".join(words[1:]) not in own
  ):
    short = list(words[1:])  # "order status" of a customer order
  elif (
    words[-1 - len(owner) : -len(owner)] == ("of",)
    and [singular_of(w) for w in words[-len(owner) :]] == owner
  ):
    head = words[: -1 - len(owner)]  # "cost of treatment" of a treatment: its cost.
    if head and head[0] != "number" and " ".join(head) not in own:
      short = list(head)
  if short[0] in ("of", "in", "is", "has") or short[-1] in vocabulary.PREPOSITIONS:
    short = list(words)
  return short


def _in_full(
  words: tuple[str, ...], table: Table, owner: list[str], lexicon: frozenset[str]
) -> tuple[str, ...]:
  """The words with the table's own noun instead of a prefix or an initial that shortens it."""
  if len(words) == 1 or words[0] in lexicon or words[0] == owner[0]:
    return words
  if len(words[0]) > 2 and owner[0].startswith(words[0]):
    return (owner[0], *words[1:])  # "resName" of a restaurant
  if _is_prefix(words[0], owner[-1], table):
    return (owner[-1], *words[1:])  # "CRS_CODE" of a course
  if len(words) == 2 and words[0] == owner[-1][0] and words[1] in vocabulary.AFTER_INITIAL:
    return (owner[-1], words[1])  # "GName" of a video game
  return words


def _is_prefix(word: str, noun: str, table: Table) -> bool:
  """Whether a word abbreviates the noun of the table's rows in most of its columns."""
  letters = iter(noun)
  short = (
    word[0] == noun[0] and 2 <= len(word) < len(noun) and all(letter in letters for letter in word)
  )
  return short and 2 * sum(column.name.lower().startswith(word) for column in table.columns) >= len(
    table.columns
  )


def _as_said(column: Column, words: tuple[str, ...], owner: list[str]) -> tuple[str, ...]:
  """The words as they are said: dates and places by what happened, set phrases."""
  if (
    len(words) == 3
    and words[0] == "date"
    and singular_of(words[1]) == owner[-1]
    and words[2] in vocabulary.EVENTS_OF_COLUMNS
  ):
    words = (words[0], words[2])  # "date account opened" of an account
  if len(words) == 2 and words[0].endswith("ated") and words[1] == "in" and column.kind == "text":
    words = ("place", "of", f"{words[0][:-2]}ion")  # "incorporated in"
  if len(words) == 2 and words[1] == "by" and follows_noun(words[0]) and column.kind == "text":
    words = (_doer(words[0]),)  # "organized by"
  if len(words) == 2 and words[0] == "born":
    words = (words[1], "of", "birth")
  if words[:1] == ("other",) and [singular_of(w) for w in words[1:-1]] == owner:
    words = (words[0], words[-1])  # "other student details" of a student
  if (
    len(words) == 3
    and words[0] == "date"
    and words[1] in ("first", "last")
    and words[2] in vocabulary.EVENTS_OF_COLUMNS
  ):
    words = (words[1], vocabulary.EVENTS_OF_COLUMNS[words[2]][0], "date")  # "date first registered"
  if len(words) == 3 and words[0] == "date" and words[2] in vocabulary.DONE_WITH:
    words = (words[1], "date")  # "date claim made"
  elif (
    len(words) == 3
    and words[0] == "date"
    and words[1] not in vocabulary.PREPOSITIONS
    and words[2] in vocabulary.EVENTS_OF_COLUMNS
  ):
    words = (words[1], vocabulary.EVENTS_OF_COLUMNS[words[2]][0], "date")  # "date claim settled"
  if len(words) == 2 and words[0] == "amount" and not _follows_amount(words[1]):
    words = (words[1], words[0])  # "amount payment"
  if len(words) == 4 and words[:2] == ("date", "in") and words[3] in _BOUNDS:
    words = (words[0], *words[2:])  # "date in location from"
  if len(words) == 3 and words[0] == "date" and words[2] in _BOUNDS:
    # "date valid from", "date supplied from", "date address from"
    bound = (_BOUNDS[words[2]], "date")
    words = (
      bound if follows_noun(words[1]) or words[1] in ("valid", "effective") else (words[1], *bound)
    )
  if len(words) > 2 and words[0] in ("date", "year") and words[1] in vocabulary.DOINGS:
    # "date joined staff"
    words = (words[0], "of", *vocabulary.DOINGS[words[1]].split(), *words[2:])
  if len(words) > 1 and _YEAR.fullmatch(words[-1]) and words[-2] not in vocabulary.PREPOSITIONS:
    words = (*words[:-1], "in", words[-1])  # "change_2007"
  if len(words) > 2 and words[:2] == ("date", "time"):
    words = (*words[2:], "time")  # "datetime_detention_end"
  if words[0] == "date" and len(words) in (2, 3) and _are_nouns(words[1:]):
    words = (*words[1:], "date")  # "date first rental", "date incident start"
  if len(words) == 3 and words[1:] in (("from", "date"), ("to", "date")):
    words = (f"{words[0]}-{words[1]}", "date")
  if words[0] == "line" and vocabulary.ADDRESS_PARTS.issuperset(words[2:]):
    words = words[:2]  # "line_1_number_building": the first line of an address.
  words = vocabulary.COLUMN_PHRASES.get(words, words)
  if len(words) > 1 and words[0] in ("the", "a"):
    words = words[1:]
  if (
    column.kind == "date"
    and len(words) > 1
    and words[-1] in ("on", "at")
    and words[-2] not in vocabulary.EVENTS_OF_COLUMNS
  ):
    words = (*words[:-1], "date")  # "checked on": the checked date.
  if (
    len(words) == 2
    and words[1] in ("from", "since")
    and words[0] in ("start", "valid", "effective")
  ):
    words = (
      words[0],
      "date" if column.kind == "date" else "year" if holds_years(column) else "time",
    )
  return words


def _are_nouns(words: tuple[str, ...]) -> bool:
  """Whether words say what a date is that of: none of them is a deed or joins the others."""
  joining = vocabulary.PREPOSITIONS | {"and", "or", "time", "date"}
  return joining.isdisjoint(words) and not any(map(follows_noun, words))


def _doer(participle: str) -> str:
  """Who did what a participle says: organizer, creator."""
  regular = f"{participle[:-2]}or" if participle.endswith("ated") else f"{participle[:-1]}r"
  return vocabulary.DOERS.get(participle, regular)


def _follows_amount(word: str) -> bool:
  """Whether a word says of an amount what becomes of it: "amount paid", "amount due"."""
  return follows_noun(word) or word.endswith("ing") or word in ("due", "of", "in")


def _with_noun(column: Column, words: tuple[str, ...]) -> tuple[str, ...]:
  """The words with a noun where a column is called by what is none: a participle of years
  ("built"), a choice ("day or boarding"), an adjective of numbers.
  """
  if column.kind == "text" and "or" in words[1:-1]:
    if not is_person(words[-1]):
      return (*words, "type")
    # "good or bad customer", but "author or editor"
    return words if words[-2] == "or" else (*words[:-1], "status")
  if column.kind == "text" and len(words) == 1 and words[0] in vocabulary.EVENTS_OF_COLUMNS:
    return ("year", *words) if holds_years(column) else words
  if column.kind == "number" and len(words) == 2 and words[1] in vocabulary.UNITS:
    return ("amount", *words) if follows_noun(words[0]) else words  # "used_kb"
  if column.kind != "number" or len(words) != 1:
    return words
  (word,) = words
  if word in ("gold", "silver", "bronze"):
    return (word, "medals")
  if word in vocabulary.SUPERLATIVE_NAMES:
    return (word, "value")  # "highest": the highest value, of which there can be a lowest.
  if property_of(column, words):
    return words
  if word in vocabulary.ADJECTIVE_NAMES:
    return (word, "figure")
  if follows_noun(word) and word not in vocabulary.EVENTS_OF_COLUMNS:
    # "killed", "budgeted"
    return ("number", word) if word in vocabulary.SUFFERED else (word, "amount")
  return words
