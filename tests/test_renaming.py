"""Words of a schema exchanged for others: everywhere alike, and nothing of the language."""

from __future__ import annotations

import random

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.pretraining.renaming import Renaming, common_words, draw_renaming
from spftsql_jax.pretraining.domains import HELD_OUT, read_domains
from spftsql_jax.schema import Column, Schema, Table


def schema_of(**tables: tuple[str, ...]) -> Schema:
  return Schema(
    "test",
    "sqlite",
    tuple(
      Table(name, tuple(Column(c, "TEXT", "text") for c in columns))
      for name, columns in tables.items()
    ),
  )


WAFERS = schema_of(WaferLots=("lot_id", "wafer_qty", "name"), tool=("tool_id", "maker"))


def asked(question: str, query: str = "SELECT 1") -> Example:
  return Example(db_id="a", question=question, query=query)


def test_a_word_is_exchanged_in_the_case_and_number_that_it_has():
  renaming = Renaming({"lot": "cup", "lots": "cups", "wafer": "tea"})
  text = "WaferLots : lot_id ; tblWaferLot ; LOT_ID ; the lots of a wafer, but no slot or allotment"
  assert renaming(text) == (
    "TeaCups : cup_id ; tblTeaCup ; CUP_ID ; the cups of a tea, but no slot or allotment"
  )


def test_letters_beyond_ascii_are_letters_of_their_word():
  renaming = Renaming({"jim": "bob", "größe": "farbe"})
  assert renaming("Jim Jiménez : größe, Größe") == "Bob Jiménez : farbe, Farbe"


def test_only_words_of_both_names_and_questions_are_exchanged():
  examples = [asked("How many wafers of each lot?"), asked("Name the makers.")]
  words = draw_renaming(WAFERS, examples, {"name"}, random.Random(0), 0.5).words
  assert set(words) == {"wafer", "wafers", "lot", "lots", "maker", "makers"}


def test_no_two_words_become_one_and_none_becomes_a_word_that_is_there():
  question = "wafers lots tools makers names ids qty"
  for seed in range(200):
    kept = {"name", "river"}
    words = draw_renaming(WAFERS, [asked(question)], kept, random.Random(seed), 0.3).words
    others = [words[w] for w in ("wafer", "lot", "tool", "maker")]
    assert len(set(others)) == 4 and not set(others) & {"wafer", "lot", "tool", "maker", "name"}
    assert "river" not in others
    # "a lot" stays right: no word that takes "a" becomes one that takes "an".
    assert not any(other[0] in "aeiou" for other in others)


def test_words_of_the_held_out_domains_are_not_given_unless_others_have_them():
  def words_of(held_out: bool) -> set[str]:
    return {
      word
      for domain in read_domains()
      if (domain.name in HELD_OUT) == held_out
      for entity in domain.entities
      for phrase in (*entity.words, *(w for a in entity.attributes for w in a.words))
      for word in phrase.split()
    }

  theirs = words_of(True) - words_of(False)
  assert theirs
  given = {
    other
    for seed in range(500)
    for other in draw_renaming(
      WAFERS, [asked("wafer lot tool maker")], (), random.Random(seed), 0.0
    ).words.values()
  }
  assert not given & theirs


def test_words_that_questions_on_other_databases_use_belong_to_the_language():
  schemas = {"a": WAFERS, "b": schema_of(list=("wafer", "day")), "c": schema_of(cup=("day",))}
  examples = {
    "a": [asked("List the wafers", "SELECT wafer_qty FROM WaferLots")],
    "b": [asked("List days of the list", "SELECT day FROM list")],
    "c": [asked("List days", "SELECT day FROM cup")],
  }
  common = common_words(schemas, examples)
  assert {"list", "select", "from", "the", "key", "number"} <= common
  assert not {"wafer", "lot", "day", "cup"} & common
