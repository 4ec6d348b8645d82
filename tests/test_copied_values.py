"""Values copied wrongly are told by the question and the database, and nothing else changes."""

from __future__ import annotations

import pytest

from spftsql_jax.answering.copied_values import as_stored
from spftsql_jax.databases import ValueIndex
from spftsql_jax.examples.prompts import MatchedValue
from spftsql_jax.schema import Column, Schema, Table


def table(name, *columns):
  return Table(name, tuple(Column(column, "TEXT", "text") for column in columns))


SCHEMA = Schema(
  "clinic", "sqlite", (table("doctor", "id", "name", "home town"), table("town", "name"))
)
VALUES = ValueIndex(
  [
    ("doctor", "name", "Henry Fox"),
    ("doctor", "name", "Lucy O'Hara"),
    ("doctor", "home town", "Riverton"),
    ("town", "name", "Riverton"),
    ("town", "name", "---"),
  ]
)
FOX = MatchedValue("doctor", "name", "Henry Fox")
HARA = MatchedValue("doctor", "name", "Lucy O'Hara")
RIVERTON = MatchedValue("doctor", '"home town"', "Riverton")


def stored(condition, question, *mentioned, tables="doctor"):
  start = f"SELECT * FROM {tables} WHERE "
  found = as_stored(start + condition, question, SCHEMA, VALUES, mentioned)
  assert found.startswith(start)
  return found.removeprefix(start)


@pytest.mark.parametrize(
  ("written", "right"),
  [
    ("name = 'Henry Fxo'", "name = 'Henry Fox'"),
    ("name = 'henry fox'", "name = 'Henry Fox'"),
    ("name = 'Henry'", "name = 'Henry Fox'"),
    ("name != 'Hen' AND id = '7'", "name != 'Henry Fox' AND id = '7'"),
    ("name ='Lucy O''Har' OR name= 'Foxy'", "name ='Lucy O''Hara' OR name= 'Henry Fox'"),
    ("\"home town\" = 'Riverside'", "\"home town\" = 'Riverton'"),
    ("'x' = name OR doctor.name = 'Hnry Fox'", "'x' = name OR doctor.name = 'Henry Fox'"),
  ],
)
def test_what_a_column_does_not_hold_gives_way_to_what_the_question_mentions(written, right):
  question = "Is Henry Fox or Lucy O'Hara from Riverton?"
  assert stored(written, question, FOX, HARA, RIVERTON) == right


@pytest.mark.parametrize(
  "condition",
  [
    "name = 'Lucy O''Hara'",  # Held, though another one is mentioned.
    "name = 'Henry'' Fox",
    "name LIKE '%Hen%'",
    "name > 'H'",
    "id = 'Henry'",
    "nobody = 'Henri'",
    "name = 'Paul Gray'",  # What the question says.
  ],
)
def test_all_else_stays(condition):
  assert stored(condition, "Does Henry Fox know Paul Gray?", FOX) == condition


def test_nothing_is_known_without_a_mention():
  assert stored("name = 'Henri'", "Who?") == "name = 'Henri'"
  assert stored("name = 'Henri'", "Riverton?", RIVERTON) == "name = 'Henri'"


def test_a_value_without_words_is_taken_to_be_there():
  assert VALUES.holds("town", "name", "---") and VALUES.holds("town", "name", "?")
  assert VALUES.holds("doctor", "name", "Henry Fox")
  assert not VALUES.holds("town", "name", "Henry Fox")
  assert not VALUES.holds("doctor", "name", "Henry")
  assert not VALUES.holds("doctor", "name", "Henry Foxes")
