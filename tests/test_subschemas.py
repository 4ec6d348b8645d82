"""Schemas too long for a prefix bucket are split along keys into overlapping parts that cover each
query's tables.
"""

import dataclasses
from collections import Counter

import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import Mentions, PromptFormat
from spftsql_jax.examples.subschemas import SubSchemas, tables_of
from spftsql_jax.examples.tokenizer import Tokenizer, train_bpe
from spftsql_jax.pipeline import training_units
from spftsql_jax.pipeline.records import Pair
from spftsql_jax.schema import Column, ForeignKey, Schema, Table


def table(name: str, *refers: str) -> Table:
  keys = tuple(ForeignKey((f"{r}_id",), r, ("id",)) for r in refers)
  columns = ("id", *(f"{r}_id" for r in refers))
  return Table(name, tuple(Column(c, "INTEGER", "number") for c in columns), ("id",), keys)


# A chain of keys a - b - c - d - e, and f apart.
SCHEMA = Schema(
  "shop",
  "sqlite",
  (table("a"), table("b", "a"), table("c", "b"), table("d", "c"), table("e", "d"), table("f")),
)


def at_most(count):
  return lambda schema: len(schema.tables) <= count


def names(schema: Schema) -> set[str]:
  return {t.name for t in schema.tables}


def test_parts_are_connected_overlap_and_hold_every_table():
  parts = SubSchemas(SCHEMA, at_most(3)).parts
  assert set().union(*map(names, parts)) == set("abcdef")
  assert all(len(names(p)) <= 3 for p in parts)
  assert {"a", "b", "c"} in map(names, parts) and {"f"} in map(names, parts)
  assert sum(len(names(p)) for p in parts) > 6  # they overlap
  for part in parts:
    for t in part.tables:
      assert all(k.referred_table in names(part) for k in t.foreign_keys)


def test_a_query_gets_the_first_part_that_covers_it_and_the_same_again():
  parts = SubSchemas(SCHEMA, at_most(3))
  part = parts.covering({"b", "c"})
  assert {"b", "c"} <= names(part) and parts.covering({"c"}) is parts.covering({"c"})
  apart = parts.covering({"a", "f"})
  assert {"a", "f"} <= names(apart) and len(names(apart)) == 3
  assert parts.covering({"a", "f"}) is apart
  assert parts.covering({"a", "c", "e", "f"}) is None
  # What was asked before changes nothing: a run that goes on after a cut sees the same parts.
  fresh = SubSchemas(SCHEMA, at_most(3))
  assert fresh.covering({"c"}) == parts.covering({"c"}) and fresh.covering({"f", "a"}) == apart


def test_tables_of_a_query_are_those_of_the_schema():
  assert tables_of("SELECT * FROM A JOIN b ON 1 = 1 WHERE id IN (SELECT id FROM c)", SCHEMA) == {
    "a",
    "b",
    "c",
  }
  assert tables_of("WITH x AS (SELECT 1 FROM d) SELECT * FROM x", SCHEMA) == {"d"}
  assert tables_of("SELECT FROM WHERE (", SCHEMA) is None


class Database:
  schema = SCHEMA

  def mentions(self, question, style, shown=None):
    return Mentions()


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(train_bpe(["abc select from"], 300), PromptFormat("names", matched_values=0))


def maker_with(tokenizer, longest: int, how: str, lines: list[str]):
  packing = Packing(longest_prefix=longest, longest_branch=80, longest_answer=64)
  return training_units.UnitMaker(
    tokenizer, {"shop": Database()}, packing, how == "split", lines.append
  )


QUERIES = [
  "SELECT id FROM a",
  "SELECT a.id FROM a JOIN b",
  "SELECT 1 FROM a, c, e, f",
  "SELECT id FROM f",
]
EXAMPLES = [Example("shop", f"how many {i}?", q) for i, q in enumerate(QUERIES)]


def pair_branches(maker, examples, answers):
  pairs = [Pair(e, a, 1.0, (0.0, 0.0)) for e, a in zip(examples, answers, strict=True)]
  return training_units.pair_branches(maker, pairs)


def test_long_examples_are_moved_or_left_out_counted_and_named(tokenizer):
  whole, limit = len(tokenizer.prefix(SCHEMA)), 0
  limit = whole * 2 // 3
  lines: list[str] = []
  units = training_units.sql_units(maker_with(tokenizer, limit, "split", lines), EXAMPLES)
  assert all(len(b.prefix) <= limit for u in units for b in u.branches)
  left = len(EXAMPLES) - len(units)
  assert lines and "put over sub-schemas (shop" in lines[0]
  assert ("left out (shop" in lines[0]) == (left > 0)
  # Nothing is cut: the branches are those of the whole prompt.
  plain = training_units.sql_units(maker_with(tokenizer, whole, "split", []), EXAMPLES)
  assert {u.branches[0].prompt + u.branches[0].answer for u in units} <= {
    u.branches[0].prompt + u.branches[0].answer for u in plain
  }


def test_long_examples_are_dropped_by_option_and_fitting_ones_stay(tokenizer):
  whole = len(tokenizer.prefix(SCHEMA))
  lines: list[str] = []
  assert training_units.sql_units(maker_with(tokenizer, whole - 1, "drop", lines), EXAMPLES) == []
  assert lines == [
    "  4 of 4 question-SQL pairs are too long for training and are left out (shop 4)"
  ]
  lines.clear()
  assert (
    len(training_units.sql_units(maker_with(tokenizer, whole, "drop", lines), EXAMPLES)) == 4
    and not lines
  )


def test_pairs_over_a_sub_schema_share_their_prefix(tokenizer):
  maker = maker_with(tokenizer, len(tokenizer.prefix(SCHEMA)) * 2 // 3, "split", [])
  made = pair_branches(maker, EXAMPLES[:2], ["SELECT 1", "SELECT 2 FROM zebra"])
  pairs = made.branches
  assert made.fitted.moved == Counter(shop=2) and list(pairs) == [0, 1]
  for positive, negative in pairs.values():
    assert (
      positive.prefix == negative.prefix
      and positive.prompt == negative.prompt
      and positive.answer != negative.answer
    )


def test_an_answer_that_does_not_end_is_y_minus_as_far_as_it_goes(tokenizer):
  lines: list[str] = []
  maker = maker_with(tokenizer, len(tokenizer.prefix(SCHEMA)), "split", lines)
  room = maker.packing.longest_answer
  answers = ["SELECT 1, " * room, "SELECT 2"]
  made = pair_branches(maker, EXAMPLES[:2], answers)
  pairs = made.branches
  whole = tokenizer.text_to_sql(SCHEMA, EXAMPLES[0].question, answers[0]).answer
  cut = pairs[0][1]
  assert (
    made.endless == 1
    and not made.fitted.left_out
    and len(whole) > room >= cut.length - len(cut.prompt)
  )
  assert cut.answer == whole[: len(cut.answer)] and cut.length in (
    maker.packing.longest_branch,
    room + len(cut.prompt),
  )
  assert (
    pairs[1][1].answer == tokenizer.text_to_sql(SCHEMA, EXAMPLES[1].question, answers[1]).answer
  )
  # A gold query is never cut.
  long = dataclasses.replace(EXAMPLES[0], query=answers[0])
  made = pair_branches(maker, [long], ["SELECT 1"])
  assert not made.branches and made.fitted.left_out == Counter(shop=1) and made.endless == 0
