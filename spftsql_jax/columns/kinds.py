"""What the words of a name make a column: an identifier, a name, a code, a date, an amount.

The one place where a column's name is judged by its words. The words of each kind stand in
`lists/kinds.txt`, which is read at the first question. What a column holds is not asked here:
`roles` and `attributes` weigh both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from spftsql_jax.columns.word_lists import by_word, read_lists

# The kinds that sentences are chosen by, of `lists/kinds.txt`.
_OF_AMOUNTS = (
  *("age", "price", "pay", "money", "duration", "length", "height", "weight", "size", "speed"),
  "count",
)
TAGS = ("name", "place", "type", "year", "month", "date", "birth", "rating", *_OF_AMOUNTS)
# Those of them that only numbers are of.
NUMERIC_TAGS = frozenset(_OF_AMOUNTS)


@functools.cache
def words_of(*kinds: str) -> frozenset[str]:
  """The words of kinds of `lists/kinds.txt`, all in one set."""
  return frozenset(word for kind in kinds for word in _lists()[kind])


def all_words() -> frozenset[str]:
  """The words of all kinds."""
  return words_of(*_lists())


def has_word(words: Iterable[str], *kinds: str) -> bool:
  """Whether any of the words of a name says that its column is of one of these kinds."""
  return not words_of(*kinds).isdisjoint(words)


def ends_in(words: Sequence[str], *kinds: str) -> bool:
  """Whether the last word of a name says that its column is of one of these kinds."""
  return bool(words) and words[-1] in words_of(*kinds)


def identifies(words: Sequence[str]) -> bool:
  """Whether a name says that its column tells a row from the others: "singer_id", "stuid"."""
  return ends_in(words, "identifier") or (bool(words) and is_glued_identifier(words[-1]))


def is_label(words: Sequence[str]) -> bool:
  """Whether a number of this name only names something or tells its place: "major", "rank"."""
  return has_word(words, "code", "identifier", "ordinal") and not has_word(words, "quantity")


def is_glued_identifier(word: str) -> bool:
  """Whether a word is what it identifies and "id", written as one: "stuid", but not "paid"."""
  return word.endswith("id") and word != "id" and word not in words_of("not identifier")


def share_of(words: str, kind: str) -> float:
  """The least share that a list gives to a phrase in a name; 1 where it has none of them."""
  shares = (share for phrase, share in _shares(kind).items() if f" {phrase} " in f" {words} ")
  return min(shares, default=100) / 100


def part_of_name(words: str) -> str:
  """Which part of a person's name a column of these words holds: "first", "last" or neither."""
  return next((part for part in ("first", "last") if words in words_of(f"{part} name")), "")


def is_person(noun: str) -> bool:
  """Whether a noun names people, so that it takes who."""
  last = noun.split(" of ")[0].split()[-1]
  return last in words_of("person") or (
    last.endswith(("ist", "ian", "eer")) and last not in words_of("not person")
  )


def holds_yes_no(values: Iterable[object]) -> bool:
  """Whether values are those of a yes/no column: one word for yes, one for no, or one of both."""
  found = {str(value).lower() for value in values}
  return bool(found) and any(found <= {yes, no} for yes, no in _yes_and_no().items())


def yes_or_no(value: str) -> bool | None:
  """What a value of a yes/no column says; None where it says neither."""
  if value in _yes_and_no():
    return True
  return False if value in _yes_and_no().values() else None


@functools.cache
def _shares(kind: str) -> dict[str, int]:
  return {phrase: int(share) for phrase, share in by_word(_lists()[kind]).items()}


@functools.cache
def _lists() -> dict[str, tuple[str, ...]]:
  return read_lists(Path(__file__).parent / "lists" / "kinds.txt")


@functools.cache
def _yes_and_no() -> dict[str, str]:
  return by_word(_lists()["yes"])
