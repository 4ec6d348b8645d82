"""Comparing results: against the definition (all permutations tried), and against the official
evaluator's recorded verdicts.
"""

import importlib.util
import itertools
import json
import os
import pathlib
import random
import sys
import types
from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_predictions

from spftsql_jax.databases import Executor, Result
from spftsql_jax.databases.engines.postgresql import tokens as postgresql_tokens
from spftsql_jax.judging.comparison import results_match, spider_match
from spftsql_jax.judging.executed import spider_query, text_key
from spftsql_jax.sql import statements


def rows_of(*rows):
  width = len(rows[0]) if rows else 0
  return Result("ok", tuple("abcdefgh"[:width]), tuple(rows))


def by_definition(gold, predicted, ordered):
  """Spider's evaluator's rule, word for word, exponential: cells sorted by text and type, then some
  order of the columns.
  """
  if not gold and not predicted:
    return True
  if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
    return False

  def cells(row):
    return tuple(sorted(row, key=lambda x: str(x) + str(type(x))))

  left, right = [cells(r) for r in gold], [cells(r) for r in predicted]
  if left != right if ordered else set(left) != set(right):
    return False
  for order in itertools.permutations(range(len(gold[0]))):
    moved = [tuple(row[i] for i in order) for row in predicted]
    if list(gold) == moved if ordered else Counter(gold) == Counter(moved):
      return True
  return False


cell = st.sampled_from(
  [0, 1, 2, 10, 1.0, 2.5, 10.0, -1, 0.0, -0.0, 1e20, "1", "a", "", "10", None, b"a", b"1", "A"]
)


@st.composite
def result_pairs(draw):
  width = draw(st.integers(1, 4))
  alphabet = draw(st.lists(cell, min_size=1, max_size=4))
  row = st.tuples(*[st.sampled_from(alphabet)] * width)
  gold = draw(st.lists(row, max_size=5))
  predicted = draw(st.permutations(gold))
  order = draw(st.permutations(range(width)))
  predicted = [tuple(r[i] for i in order) for r in predicted]
  twist = draw(st.sampled_from(["none", "type", "cell", "drop", "duplicate", "fresh"]))
  if predicted and twist == "type":
    predicted = [tuple(float(c) if isinstance(c, int) else c for c in r) for r in predicted]
  elif predicted and twist == "cell":
    predicted[0] = (draw(cell), *predicted[0][1:])
  elif predicted and twist == "drop":
    predicted = predicted[1:]
  elif predicted and twist == "duplicate":
    predicted[-1] = predicted[0]
  elif twist == "fresh":
    predicted = draw(st.lists(row, max_size=5))
  return tuple(gold), tuple(predicted), draw(st.booleans())


@settings(max_examples=1500, deadline=None)
@given(result_pairs())
def test_spider_match_agrees_with_its_definition(pair):
  gold, predicted, ordered = pair
  assert spider_match(gold, predicted, ordered) == by_definition(gold, predicted, ordered)


def official_result_eq():
  """`result_eq` of a clone of taoyds/test-suite-sql-eval (see third_party/); its parser and
  progress bar are not needed for it.
  """
  folder = os.environ.get("SPFTSQL_TEST_SUITE_EVAL")
  if not folder:
    pytest.skip("SPFTSQL_TEST_SUITE_EVAL does not name a clone of the official evaluator")
  stubs = {name: types.ModuleType(name) for name in ("parse", "tqdm")}
  stubs["parse"].get_all_preds_for_execution = stubs["parse"].remove_distinct = None
  sys.modules |= {name: stub for name, stub in stubs.items() if name not in sys.modules}
  spec = importlib.util.spec_from_file_location("exec_eval", pathlib.Path(folder) / "exec_eval.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.result_eq


def random_pair(rng):
  """Two results that are equal, nearly equal or unrelated, full of the evaluator's quirks."""
  width, height = rng.choice((1, 1, 2, 2, 3, 4, 5)), rng.choice((0, 1, 2, 3, 5, 8))
  kinds = [
    0,
    1,
    2,
    10,
    100,
    1.0,
    2.5,
    10.0,
    -1,
    -0.0,
    0.0,
    1e20,
    "1",
    "a",
    "",
    "10",
    "None",
    None,
    b"a",
    b"1",
    "A",
    "a'",
    3,
    0.1,
  ]
  alphabet = rng.sample(kinds, rng.randint(1, 6))
  gold = [tuple(rng.choice(alphabet) for _ in range(width)) for _ in range(height)]
  if rng.random() < 0.15:
    predicted = [
      tuple(rng.choice(alphabet) for _ in range(width))
      for _ in range(rng.choice((height, height, height + 1)))
    ]
  else:
    predicted = list(gold)
    if rng.random() < 0.5:
      rng.shuffle(predicted)
    if rng.random() < 0.5:
      order = rng.sample(range(width), width)
      predicted = [tuple(row[i] for i in order) for row in predicted]
    if predicted and rng.random() < 0.4:
      i, j = rng.randrange(len(predicted)), rng.randrange(width)
      row = list(predicted[i])
      row[j] = rng.choice(
        (float(row[j]) if isinstance(row[j], int) else str(row[j]), rng.choice(kinds), None)
      )
      predicted[i] = tuple(row)
    if len(predicted) > 1 and rng.random() < 0.15:
      predicted[rng.randrange(len(predicted))] = predicted[rng.randrange(len(predicted))]
    if predicted and rng.random() < 0.05:
      predicted = [row[:-1] for row in predicted] if width > 1 else predicted[:-1]
  return gold, predicted, rng.random() < 0.4


def test_spider_match_agrees_with_the_official_function_on_50000_random_pairs():
  official = official_result_eq()
  rng = random.Random(0)
  random.seed(0)
  matches = 0
  for _ in range(50_000):
    gold, predicted, ordered = random_pair(rng)
    expected = official(gold, predicted, order_matters=ordered)
    matches += expected
    assert spider_match(tuple(gold), tuple(predicted), ordered) == expected, (
      gold,
      predicted,
      ordered,
    )
  assert 10_000 < matches < 40_000


def test_the_quirks_of_each_comparison():
  a, b = "SELECT a FROM t", "SELECT a FROM t ORDER BY a"
  nested = "SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)"
  up, down = rows_of((1, "x"), (2, "y")), rows_of((2, "y"), (1, "x"))
  assert results_match(up, down, a, "spider") and not results_match(up, down, b, "spider")
  assert not results_match(up, down, nested, "spider"), "anywhere in the text"
  assert results_match(up, down, nested, "strict") and not results_match(up, down, b, "strict")
  assert results_match(up, down, b, "bird")
  swapped = rows_of(("x", 1), ("y", 2))
  assert results_match(up, swapped, a, "spider") and not results_match(up, swapped, a, "strict")
  assert not results_match(up, swapped, a, "bird")
  assert results_match(rows_of((1,), (1,)), rows_of((1,)), a, "bird")
  assert not results_match(rows_of((1,), (1,)), rows_of((1,)), a, "spider")
  assert not results_match(rows_of((1,)), rows_of(("1",)), a, "strict")
  assert results_match(rows_of((None,)), rows_of((None,)), a, "strict")
  assert results_match(rows_of((1,)), rows_of((1.0,)), a, "spider")
  assert not results_match(rows_of((1, 10)), rows_of((1.0, 10)), a, "spider"), (
    "sorted by text and type"
  )
  empty, wide = Result("ok", ("a",)), Result("ok", ("a", "b"))
  assert results_match(empty, wide, a, "spider") and not results_match(empty, wide, a, "strict")
  failed = Result("error", message="x")
  assert not any(results_match(failed, failed, a, c) for c in ("spider", "bird", "strict"))
  with pytest.raises(ValueError, match="unknown comparison"):
    results_match(up, up, a, "loose")


def test_many_columns_that_look_alike_are_matched_quickly():
  # 12 columns, each a rotation of the same values: 12! permutations if tried one by one.
  gold = tuple(tuple((i + j) % 12 for j in range(12)) for i in range(12))
  predicted = tuple(tuple(reversed(row)) for row in gold)
  assert spider_match(gold, predicted, ordered=False)
  constant = tuple((1,) * 40 for _ in range(50))
  assert spider_match(constant, constant[::-1], ordered=False)


@needs_predictions
@pytest.mark.parametrize("system", ["c3sql-chatgpt", "dail-sql-gpt4", "graphix-t5", "codes-7b"])
def test_spider_verdicts_agree_with_the_official_evaluator_on_every_question(system):
  recorded = json.loads((SHARED / "predictions/spider-dev/official_scores.json").read_text())[
    "execution_correct"
  ][system]
  examples = json.loads((SHARED / "spider/dev.json").read_text())
  lines = (SHARED / f"predictions/spider-dev/{system}.txt").read_text().splitlines()
  locations = [str(SHARED / f"spider/database/{e['db_id']}/{e['db_id']}.sqlite") for e in examples]
  gold = [spider_query(e["query"], predicted=False) for e in examples]
  predicted = [spider_query(line.split("\t")[0], predicted=True) for line in lines]
  with Executor(workers=2) as executor:
    limits = {"timeout_s": 30, "max_rows": 1_000_000, "max_bytes": 500_000_000}
    results = executor.execute_many(
      list(zip(locations * 2, gold + predicted, strict=True)), **limits
    )
  count = len(examples)
  ours = "".join(
    "01"[results_match(results[i], results[count + i], gold[i], "spider")] for i in range(count)
  )
  assert [i for i in range(count) if ours[i] != recorded[i]] == []


@pytest.mark.parametrize(
  ("one", "other", "same"),
  [
    ("SELECT count(*) FROM t", "select COUNT ( * )\n from T ;", True),
    ("SELECT a,b FROM t -- so", "SELECT a , b FROM t", True),
    ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'", False),
    ("SELECT x'00'", "SELECT x '00'", False),
    ("SELECT 1 > = 0", "SELECT 1 >= 0", False),
    ('SELECT "A"', 'SELECT "a"', False),
    ("SELECT - -1", "SELECT --1", False),
    ("SELECT a b FROM t", "SELECT ab FROM t", False),
    ("SELECT 1 UNION ALL SELECT 1", "SELECT 1 UNION SELECT 1", False),
  ],
)
def test_texts_are_taken_for_the_same_only_where_nothing_but_space_and_case_differs(
  one, other, same
):
  assert (statements.same_text_key(one) == statements.same_text_key(other)) == same


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT E'\\'ABC'", "SELECT E'\\'abc'"),
    ("SELECT E'\\' || A || ' b'", "SELECT E'\\' || a || ' b'"),
    ("SELECT $$ A $$", "SELECT $$ a $$"),
    ("SELECT $1$ A $1$", "SELECT $1$ a $1$"),
    ("SELECT $\u20ac$ A $\u20ac$", "SELECT $\u20ac$ a $\u20ac$"),
    ("SELECT ARRAY[']', 'Abc']", "SELECT ARRAY[']', 'abc']"),
    ("SELECT 1 ` 'Abc' `", "SELECT 1 ` 'abc' `"),
    ("SELECT /* /* */ ' */ A --'", "SELECT /* /* */ ' */ a --'"),
    ("SELECT 1 --\r, 'A'", "SELECT 1 --\r, 'a'"),
    ("SELECT 1 -- x\r, 2", "SELECT 1"),
    ("SELECT 'a'\n'b'", "SELECT 'a' 'b'"),
    ("SELECT 'a' -- c\n'b'", "SELECT 'a' 'b'"),
    ("SELECT \u00c9 FROM t", "SELECT \u00e9 FROM t"),
    ("SELECT a\u00a0b FROM t", "SELECT a b FROM t"),
    ("SELECT a /* c */\u00a0b FROM t", "SELECT a b FROM t"),
    ("SELECT a\x1cb", "SELECT a b"),
    ("SELECT a\x0bb", "SELECT a b"),
    ('SELECT U&"d\\0061T"', 'SELECT U&"d\\0061t"'),
    ('SELECT "A" FROM t', 'SELECT "a" FROM t'),
    ("SELECT $A", "SELECT $a"),
  ],
)
def test_texts_that_some_dialect_tells_apart_have_different_keys(one, other):
  assert statements.same_text_key(one) != statements.same_text_key(other)
  assert text_key(one) != text_key(other)
  assert text_key(one, "postgresql") != text_key(other, "postgresql")


def test_the_case_of_a_structures_fields_counts_in_duckdb():
  one, other = "SELECT s FROM (SELECT 1 AS A) AS s", "SELECT s FROM (SELECT 1 AS a) AS s"
  rows = [duckdb.sql(sql).fetchall() for sql in (one, other)]
  assert rows[0] != rows[1] and text_key(one, "duckdb") != text_key(other, "duckdb")
  assert text_key(one, "sqlite") == text_key(other, "sqlite")


# Pieces that quotes, comments and escapes are made of: any of their order is some text.
PIECES = [
  "'",
  '"',
  "\\",
  "$$",
  "$a$",
  "E",
  "e",
  "U&",
  "--",
  "\n",
  "\r",
  "/*",
  "*/",
  "`",
  "[",
  "]",
  "x",
  "X",
  " ",
  "1",
  "|| ",
  ", ",
]


def parsed_by_postgresql(sql):
  """What the server's own rules make of a text (tested against the server elsewhere)."""
  return [(token.kind, token.text) for token in postgresql_tokens.read_tokens(sql)]


@settings(max_examples=2000, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14), change=st.integers(0, 13))
def test_keys_tell_apart_what_postgresql_tells_apart(pieces, change):
  """Of two texts that differ in the case of one piece, a line break for a blank, or a comment
  less.
  """
  other = list(pieces)
  if change < len(other):
    swaps = {
      "x": "X",
      "X": "x",
      "E": "e",
      "e": "E",
      " ": "\n",
      "\n": " ",
      "--": " ",
      "/*": " ",
      "\r": " ",
    }
    other[change] = swaps.get(other[change], other[change])
  one_text, other_text = "SELECT " + "".join(pieces), "SELECT " + "".join(other)
  for key in (statements.same_text_key, text_key):
    if key(one_text, "postgresql") != key(other_text, "postgresql"):
      continue
    try:
      one, two = parsed_by_postgresql(one_text), parsed_by_postgresql(other_text)
    except postgresql_tokens.UnreadableError as error:
      # A number with letters behind it is one in no dialect.
      assert one_text == other_text or "number" in str(error)
      continue
    while one and one[-1][1] == ";":
      one.pop()
    assert one == two
