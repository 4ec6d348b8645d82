"""What a question mentions by name: the same in training and prediction, and never invented."""

from __future__ import annotations

import dataclasses

import pytest

from spftsql_jax.examples.linking import MatchedName, NameIndex
from spftsql_jax.examples.prompts import MatchedValue, Mentions, PromptFormat, question_prompt
from spftsql_jax.schema import Column, ForeignKey, Schema, Table


def table(name, *columns, comments=(), keys=()):
  notes = dict(comments)
  made = tuple(Column(c, "text", "TEXT", comment=notes.get(c, "")) for c in columns)
  return Table(name, made, foreign_keys=tuple(keys))


SCHEMA = Schema(
  "music",
  "sqlite",
  (
    table("singer", "singer_id", "Name", "birthYear", "net_worth"),
    table(
      "concert",
      "concert_id",
      "concert_name",
      "singer_id",
      "C07",
      comments=[("C07", "ticket price in euros")],
      keys=[ForeignKey(("singer_id",), "singer", ("singer_id",))],
    ),
    table("order", "id", "street name"),
  ),
)


def found(question, limit=6):
  return NameIndex(SCHEMA).search(question, limit)


def test_names_are_found_by_their_words_in_any_spelling_and_number():
  singer = found("What are the names and birth years of all singers?")[0]
  assert singer == MatchedName("singer", ("Name", "birthYear"))
  assert found("Which singer has the highest net worth?") == (
    MatchedName("singer", ("net_worth",)),
  )


def test_a_comment_names_a_column_whose_name_says_nothing():
  assert found("average ticket price of a concert") == (MatchedName("concert", ("C07",)),)


def test_tables_stand_in_the_order_of_their_mention_and_keys_are_not_named_by_their_table():
  assert found("concerts of each singer") == (MatchedName("concert"), MatchedName("singer"))


def test_names_are_written_as_sql_has_to_write_them():
  assert MatchedName('"order"', ('"street name"',)) in found("street name of the order")


def test_nothing_is_found_where_nothing_is_mentioned():
  assert found("") == () and found("How many are there?") == ()


SHOP = Schema(
  "shop",
  "sqlite",
  (
    table("product", "id", "name", "price", "weight"),
    table("client", "id", "birth_date", "cost"),
    table("employee", "id", "wage", "hire_date"),
  ),
)


def marked(question, schema=SHOP):
  return {(m.table, m.column, question[: m.end]) for m in NameIndex(schema).marks(question, 6)}


def test_a_column_is_marked_where_it_is_asked_for_in_other_words():
  only = dataclasses.replace(SHOP, tables=(SHOP.tables[0],))
  for question in ("How much does each drill cost?", "What is the cost of the drill?"):
    upto = question[: question.index("cost") + len("cost")]
    assert marked(question, only) == {("product", "price", upto)}
  question = "date of birth of all"
  assert ("client", "birth_date", "date of birth") in marked(question)
  # A plural that is not taken back to its singular.
  paid = Schema("x", "sqlite", (table("person", "id", "salary"),))
  assert marked("wages paid", paid) == {("person", "salary", "wages")}


def test_a_table_is_found_by_a_synonym():
  for question, name in (
    ("How many customers are there?", "client"),
    ("How many workers are there?", "employee"),
    ("How many items are there?", "product"),
  ):
    assert NameIndex(SHOP).search(question, 6) == (MatchedName(name),)
  assert ("client", "", "all customers") in marked("all customers by name")


def test_own_words_win_over_other_words():
  found = NameIndex(SHOP).search("cost", limit=1)
  assert found == (MatchedName("client", ("cost",)),)
  found = NameIndex(SHOP).search("price", limit=1)
  assert found == (MatchedName("product", ("price",)),)
  # Both are marked where there is room: by its own words first.
  marks = NameIndex(SHOP).marks("the cost", 6)
  assert [(m.table, m.column) for m in marks] == [("client", "cost"), ("product", "price")]


@pytest.mark.parametrize(
  ("question", "column", "upto"),
  [
    ("Who is our oldest client?", ("client", "birth_date"), "oldest"),
    ("clients born in May", ("client", "birth_date"), "born"),
    ("Which product is the cheapest?", ("product", "price"), "cheapest"),
    ("products heavier than 3", ("product", "weight"), "heavier"),
    ("Which employee earns most?", ("employee", "wage"), "earns"),
    ("employees of 2014", ("employee", "hire_date"), "2014"),
  ],
)
def test_a_column_is_marked_where_what_is_said_of_its_rows_means_it(question, column, upto):
  assert (*column, question[: question.index(upto) + len(upto)]) in marked(question)


def test_a_name_is_found_as_it_is_written_and_as_it_is_said():
  flat = Schema("x", "sqlite", (table("flat", "rooms", "bathroom_count", "bathroom_tiles"),))
  for question in ("a bathroom count over 1", "the number of bathrooms"):
    assert NameIndex(flat).search(question, 1) == (MatchedName("flat", ("bathroom_count",)),)


def test_what_is_said_of_rows_gives_way_to_names():
  shop = Schema("x", "sqlite", (table("film", "length", "longest_scene", "price"),))
  found = NameIndex(shop).search("longest scene", 1)
  assert found == (MatchedName("film", ("longest_scene",)),)
  # A number that is no year, and half of a phrase, mean nothing.
  assert NameIndex(SHOP).marks("employees in room 214", 6) == NameIndex(SHOP).marks("employees", 6)


def test_other_words_are_not_told_by_how_they_begin():
  schema = Schema("x", "sqlite", (table("thing", "id", "photo", "begin"),))
  assert NameIndex(schema).search("pictures", 6) == (MatchedName("thing", ("photo",)),)
  assert NameIndex(schema).search("picturesque", 6) == ()
  assert NameIndex(schema).search("photos", 6) == (MatchedName("thing", ("photo",)),)


def test_no_more_columns_than_asked_for():
  question = "name, birth year, net worth, ticket price, street name"
  for limit in range(1, 6):
    assert sum(len(m.columns) for m in found(question, limit)) == min(limit, 5)


def test_the_line_stands_before_the_question_only_where_the_format_has_it():
  mentions = Mentions(
    (MatchedName("singer", ("Name",)), MatchedName("concert")),
    (MatchedValue("singer", "Name", "Ann"),),
  )
  style = PromptFormat(matched_names=4)
  assert question_prompt("Where is Ann?", mentions, style) == (
    "Names: singer : Name ; concert\nValues: singer.Name = 'Ann'\nQuestion: Where is Ann?\nSQL:"
  )
  plain = dataclasses.replace(style, matched_names=0)
  assert "Names:" not in question_prompt("Where is Ann?", mentions, plain)
  assert plain.fingerprint == PromptFormat().fingerprint != style.fingerprint


def test_a_comment_is_not_mentioned_by_the_words_that_any_question_has():
  schema = Schema(
    "stages",
    "sqlite",
    (
      table("band", "id", "fee", comments=[("fee", "what the band asks for, empty if it is none")]),
      table("stage", "id", "sponsor", comments=[("sponsor", "company that pays for the stage")]),
    ),
  )
  index = NameIndex(schema)
  assert index.search("Which bands have none that is from it, if any?", 6) == (MatchedName("band"),)
  assert MatchedName("stage", ("sponsor",)) in index.search("Which company pays the most?", 6)
