"""Questions in other words than their schema's: what is exchanged, and what stays."""

from __future__ import annotations

import random
import re

import pytest

from spftsql_jax.columns.inflection import plural_of
from spftsql_jax.pipeline.pretraining.rewording import obscured, reworded

SEEDS = range(8)


def said(question: str, named: str, share: float = 1.0) -> set[str]:
  """What some seeds make of a question."""
  words = frozenset(named.split())
  return {reworded(question, words, random.Random(seed), share) for seed in SEEDS}


def test_a_noun_of_the_schema_is_said_in_any_of_the_other_words():
  assert said("What is the bike of Ann?", "bike") == {
    "What is the bicycle of Ann?",
    "What is the cycle of Ann?",
  }


def test_the_longest_phrase_is_exchanged_as_a_whole():
  assert said("What is the unit cost?", "unit cost") == {"What is the cost per unit?"}


@pytest.mark.parametrize(
  "question",
  [
    "Which name is 'price of price'?",
    'Which name is "price of price"?',
    "Which name is 'it''s a price'?",
    "Who is called Price?",
    "What is the PRICE?",
    "What is the x_price or the price_2?",
    "How much does each one price?",
  ],
)
def test_values_and_what_may_be_a_name_or_a_verb_stay(question):
  assert said(question, "price") == {question}


def test_words_beside_a_value_are_exchanged_nevertheless():
  assert said("What is the price of 'price' now, the price?", "price") == {
    "What is the cost of 'price' now, the cost?"
  }


def test_words_that_the_schema_does_not_have_stay():
  assert said("What is the price of the drill?", "salary") == {"What is the price of the drill?"}
  assert said("What is the birth date?", "date") == {"What is the birth date?"}


def test_a_noun_is_never_exchanged_for_another_word_of_the_schema():
  assert said("What is the price?", "price cost") == {"What is the price?"}
  assert said("List the bikes.", "bike cycle") == {"List the bicycles."}
  assert said("What is the unit price?", "unit price item") == {"What is the price per unit?"}


@pytest.mark.parametrize(
  ("question", "named", "expected"),
  [
    ("all salaries", "salary", "all wages"),
    ("all birth years", "birth year", "all years of birth"),
    ("all dates of payment", "date of payment", {"all payment dates", "all days of payment"}),
    ("all odds", "odds odd", "all betting odds"),
    ("one sample and many samples", "sample", "one specimen and many specimens"),
    ("the specimen", "specimen", "the sample"),
  ],
)
def test_the_number_is_kept(question, named, expected):
  assert said(question, named) == ({expected} if isinstance(expected, str) else expected)


@pytest.mark.parametrize(
  ("question", "named", "expected"),
  [
    ("of a doctoral fee and a physician", "physician", {"a doctor", "a medical doctor"}),
    ("with a car", "car", {"an automobile", "a motor car"}),
    ("with an automobile", "automobile", {"a car", "a motor car"}),
    ("in a college", "college", {"a university"}),
    ("of an end user", "end user", {"a user"}),
    ("in an apartment", "apartment", {"a flat"}),
    # No article stands before what cannot be counted.
    ("with a workforce", "workforce", {"with staff", "with personnel"}),
  ],
)
def test_the_article_is_that_of_the_new_word(question, named, expected):
  found = said(question, named)
  assert len(found) == len(expected)
  assert all(any(text.endswith(end) for end in expected) for text in found), found


def test_the_same_noun_is_exchanged_for_the_same_one_in_a_question():
  for text in said("Which bike is older than any other bike, and which bikes cost most?", "bike"):
    assert text.count("cycle") == 3 and text.count("bicycle") in (0, 3), text
    assert len({word.strip("s,") for word in text.split() if "cycle" in word}) == 1, text


def test_with_no_share_nothing_changes_and_with_half_of_it_half():
  question = "What is the price of the bike?"
  assert said(question, "price bike", share=0.0) == {question}
  drawn = [reworded(question, {"price"}, random.Random(seed), 0.5) for seed in range(400)]
  assert 150 < drawn.count(question) < 250


def test_the_same_seed_draws_the_same_words():
  named = ["price", "bike", "customer", "city", "photo"]
  question = "What is the price of the bike of each customer in a city with a photo?"
  for seed in SEEDS:
    # In whatever order the words of the schema come.
    first = reworded(question, set(named), random.Random(seed), 0.5)
    assert first == reworded(question, named[::-1], random.Random(seed), 0.5)
  assert len(said(question, " ".join(named), share=0.5)) > 4


def hidden(question: str, named: str, kept: str = "", share: float = 1.0) -> set[str]:
  """What some seeds make of a question whose names say nothing of the schema."""
  words, stay = frozenset(named.split()), frozenset(kept.split())
  return {obscured(question, words, stay, random.Random(seed), share, 0.5) for seed in SEEDS}


def test_what_says_nothing_of_the_schema_stands_for_its_words_with_their_number_and_article():
  for text in hidden("Which bike has a price, and which bikes have another?", "bike price"):
    one, price, many = re.fullmatch(
      r"Which (\w+) has an? (\w+), and which (\w+) have another\?", text
    ).groups()
    assert not {one, price, many} & {"bike", "bikes", "price"}, text
    assert many == plural_of(one), text
    assert (price[0] in "aeiou") == (" an " in text), text


def test_values_capitals_words_of_the_language_and_of_no_name_are_not_hidden():
  question = "How many of the fast bikes have the number 'bike', and is Bike one of them?"
  for text in hidden(question, "bike number of many", kept="number many of"):
    assert re.fullmatch(
      r"How many of the fast (?!bikes)\w+ have the number 'bike', and is Bike one of them\?", text
    ), text


def test_nothing_is_hidden_without_a_share_and_by_the_same_seed_the_same():
  assert hidden("List the bikes.", "bike", share=0.0) == {"List the bikes."}
  assert hidden("List the bikes.", "bike") == hidden("List the bikes.", "bike")
  assert len(hidden("List the bikes.", "bike")) > 4
