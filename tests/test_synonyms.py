"""What people say for a noun: the list itself, and how phrases are exchanged by it."""

from __future__ import annotations

import collections
import re
from pathlib import Path

import pytest

from spftsql_jax.columns import synonyms
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.synonyms import LONGEST_PHRASE, said_otherwise, synonyms_of, text_of

LIST = Path(synonyms.__file__).parent / "lists/synonyms.txt"
# Read here once more, line by line, whatever the package's own reader makes of it.
LINES = [
  line for line in LIST.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#["
]
GROUPS = [line.split(" / ") for line in LINES]


def test_the_list_is_of_lower_case_words_in_groups_of_two_and_more():
  phrase = "[a-z]+(?: [a-z]+)*"
  wrong = [line for line in LINES if not re.fullmatch(f"{phrase}(?: / {phrase})+", line)]
  assert len(LINES) > 1000 and wrong == []


def test_no_phrase_stands_in_two_groups_or_twice_in_one():
  # In the singular: "people" is the plural of "person".
  phrases = [" ".join(map(singular_of, text.split())) for group in GROUPS for text in group]
  assert [p for p, count in collections.Counter(phrases).items() if count > 1] == []


def test_no_phrase_is_longer_than_what_is_looked_for():
  assert max(len(text.split()) for group in GROUPS for text in group) <= LONGEST_PHRASE


def test_a_group_is_of_singulars_or_of_plurals():
  mixed = [group for group in GROUPS if len({singular_of(text) != text for text in group}) > 1]
  assert mixed == []


def test_every_phrase_has_the_others_of_its_group():
  for group in GROUPS:
    phrases = [tuple(map(singular_of, text.split())) for text in group]
    for phrase, text in zip(phrases, group, strict=True):
      assert set(synonyms_of(phrase)) == set(phrases) - {phrase}
      assert text_of(phrase, plural=False) == text


@pytest.mark.parametrize(
  ("phrase", "otherwise"),
  [
    ("price", ["cost"]),
    # The whole before its parts.
    ("unit price", ["price per unit", "price per item"]),
    # Of parts equally long the last, which says what the phrase is.
    ("customer salary", ["customer wage"]),
    # A longer part before a later one.
    ("birth date price", ["date of birth price", "birthday price"]),
    ("drill bit", ["power drill bit"]),
    ("xyzzy", []),
    ("", []),
  ],
)
def test_the_longest_part_that_has_synonyms_is_exchanged(phrase, otherwise):
  assert [" ".join(p) for p in said_otherwise(tuple(phrase.split()))] == otherwise


@pytest.mark.parametrize(
  ("phrase", "one", "many"),
  [
    ("wage", "wage", "wages"),
    ("cost per unit", "cost per unit", "costs per unit"),
    ("date of birth", "date of birth", "dates of birth"),
    # Its words are compared in the singular, and yet it is said in the plural.
    ("betting odds", "betting odds", "betting odds"),
    ("specimen", "specimen", "specimens"),
    ("personnel", "personnel", "personnel"),
  ],
)
def test_a_phrase_is_said_as_it_stands_in_the_list_and_in_the_plural_where_it_has_to_be(
  phrase, one, many
):
  words = tuple(map(singular_of, phrase.split()))
  assert (text_of(words, plural=False), text_of(words, plural=True)) == (one, many)
