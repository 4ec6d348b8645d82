"""A question over a schema too long for the prompt is put over the part that it mentions, the one
that training would take for its tables.
"""

from __future__ import annotations

import dataclasses
import types

import pytest

from spftsql_jax.answering.predict import PromptDatabase, answer_questions
from spftsql_jax.answering.schema_choice import Coverage, SchemaChooser, covered
from spftsql_jax.databases import ValueIndex
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import Tokenizer, train_bpe
from spftsql_jax.generation.requests import Answer
from spftsql_jax.pipeline.evaluation import Evaluator
from spftsql_jax.schema import Column, ForeignKey, Schema, Table


def table(name: str, columns: str, *refers: str, comment: str = "") -> Table:
  keys = tuple(ForeignKey((f"{r}_id",), r, ("id",)) for r in refers)
  names = ("id", *columns.split(), *(f"{r}_id" for r in refers))
  texts = tuple(Column(c, "TEXT", "text") for c in names)
  return Table(name, texts, ("id",), keys, comment=comment)


# author - writes - book - loan - reader, and staff - branch apart.
SCHEMA = Schema(
  "library",
  "sqlite",
  (
    table("author", "surname birth_year"),
    table("writes", "position", "author", "book"),
    table("book", "title genre"),
    table("loan", "due_date", "book", "reader"),
    table("reader", "surname city"),
    table("branch", "street opened"),
    table("T7", "wage", "branch", comment="members of the staff"),
  ),
)
VALUES = ValueIndex([("reader", "city", "Lisbon"), ("branch", "street", "Mill Lane")])
DATABASE = PromptDatabase("unused", SCHEMA, VALUES)


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(train_bpe(["abc select from"], 300), PromptFormat("names", matched_values=0))


@pytest.fixture(scope="module")
def chooser(tokenizer):
  return SchemaChooser(tokenizer, len(tokenizer.prefix(SCHEMA)) * 3 // 5)


def tables(schema: Schema) -> set[str]:
  return {t.name for t in schema.tables}


def test_a_schema_that_fits_is_the_same_object_whatever_is_asked(tokenizer):
  exactly = SchemaChooser(tokenizer, len(tokenizer.prefix(SCHEMA)))
  for chooser in (exactly, SchemaChooser(tokenizer, None)):
    assert chooser.choose(DATABASE, "titles of books") is SCHEMA
    assert chooser.parts(SCHEMA) is None
    assert chooser.describe({"": DATABASE}, [Example("", "titles", "")], "questions") == ""
  assert SchemaChooser(tokenizer, exactly.longest_prefix - 1).choose(DATABASE, "x") is not SCHEMA


@pytest.mark.parametrize(
  ("question", "needed"),
  [
    ("Which genres do books have?", {"book"}),
    # The table between the two is mentioned nowhere.
    ("Titles of the books by each author", {"author", "writes", "book"}),
    ("How many are from Lisbon?", {"reader"}),  # by a stored value
    ("Which is in Mill Lane?", {"branch"}),
    ("Who are the staff with the highest pay?", {"T7"}),  # by the comment
    ("When was each branch opened?", {"branch"}),
    ("Surnames of readers with a loan due", {"loan", "reader"}),
  ],
)
def test_the_part_has_the_tables_that_the_question_mentions(chooser, question, needed):
  chosen = chooser.choose(DATABASE, question)
  assert covered(chosen, needed)
  assert chooser.tokenizer.prefix_length(chosen) <= chooser.longest_prefix
  assert not covered(chosen, tables(SCHEMA))


def test_it_is_a_part_that_training_would_take_for_its_tables(chooser, tokenizer):
  """Else a model would be asked over schemas that it has not learned over."""
  trained = SchemaChooser(tokenizer, chooser.longest_prefix).parts(SCHEMA)
  for question in ("genres of books", "authors and branches", "zebras", "loans of Lisbon"):
    chosen = chooser.choose(DATABASE, question)
    assert chosen in (*trained.parts, trained.covering(tables(chosen)))


def test_the_choice_depends_on_the_question_alone(chooser, tokenizer):
  fresh = SchemaChooser(tokenizer, chooser.longest_prefix)
  asked = ["zebras", "staff of branches", "titles", "authors of books"]
  assert [tables(chooser.choose(DATABASE, q)) for q in asked] == [
    tables(fresh.choose(DATABASE, q)) for q in reversed(asked)
  ][::-1]
  assert chooser.choose(DATABASE, "titles") is chooser.choose(DATABASE, "titles")
  # Evidence names tables too.
  assert "T7" in tables(chooser.choose(DATABASE, "zebras", "zebras are staff"))


def test_a_schema_without_a_table_that_fits_stays_whole(tokenizer):
  assert SchemaChooser(tokenizer, 1).choose(DATABASE, "titles of books") is SCHEMA


def test_what_is_split_is_counted_and_named(chooser):
  examples = [Example("", "titles of books", ""), Example("", "staff", "")]
  told = chooser.describe({"": DATABASE}, examples, "questions")
  assert told.startswith("2 of 2 questions are over schemas too long for the prompt")
  assert "2 sub-schemas" in told


def test_questions_are_put_over_their_parts_and_share_the_prefix(chooser, tokenizer):
  asked = []

  def generate(params, requests, **options):
    asked.extend(requests)
    return [Answer((), 0.0, "stop") for _ in requests]

  generator = types.SimpleNamespace(generate=generate)
  examples = [Example("", q, "") for q in ("titles of books", "staff", "titles of books")]
  arguments = (generator, None, tokenizer, {"": DATABASE}, examples)
  answer_questions(*arguments, max_new_tokens=9, schemas=chooser)
  parts = [chooser.choose(DATABASE, e.question) for e in examples]
  assert [r.prefix for r in asked] == [tokenizer.prefix(part) for part in parts]
  assert asked[0].prefix is asked[2].prefix and asked[0].prefix != asked[1].prefix
  asked.clear()
  answer_questions(*arguments, max_new_tokens=9)
  assert {r.prefix for r in asked} == {tokenizer.prefix(SCHEMA)}


def test_gold_tables_are_counted_and_choose_nothing(chooser):
  examples = [
    Example("", "titles of books", "SELECT title FROM book"),
    Example("", "titles of books", "SELECT wage FROM T7"),
    Example("", "titles of books", "not SQL ("),
  ]
  assert chooser.coverage({"": DATABASE}, examples) == Coverage(questions=2, covered=1)
  whole = SchemaChooser(chooser.tokenizer, None)
  assert whole.coverage({"": DATABASE}, examples) == Coverage(0, 0)


def test_an_evaluation_says_what_is_split_and_covered(chooser):
  databases = types.SimpleNamespace(prompts={"": DATABASE})
  evaluator = Evaluator(None, None, chooser.tokenizer, 9, databases, chooser)
  examples = [Example("", "titles of books", "SELECT title FROM book")]
  assert "1 of 1 have all tables of their gold query" in evaluator.describe_split(examples)
  whole = dataclasses.replace(evaluator, schemas=SchemaChooser(chooser.tokenizer, None))
  assert whole.describe_split(examples) == ""
