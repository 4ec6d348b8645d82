"""Reading benchmark files, prompts, and the tokenizer's boundary rule."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.prompts import (
  NO_MENTIONS,
  MatchedValue,
  Mentions,
  PromptFormat,
  normalize_query,
  question_prompt,
  schema_prompt,
)
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer, train_bpe
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

SCHEMA = Schema(
  "shop",
  "sqlite",
  (
    Table(
      "customer",
      (
        Column("id", "INTEGER", "number"),
        Column("full name", "TEXT", "text", comment="as written"),
      ),
      ("id",),
    ),
    Table(
      "sale",
      (
        Column("customer_id", "INTEGER", "number"),
        Column("day", "DATE", "date", samples=("2020-01-02",)),
      ),
      foreign_keys=(ForeignKey(("customer_id",), "customer", ("id",)),),
    ),
  ),
)


def write(path, value):
  path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
  return path


def test_spider_and_bird_records_are_read(tmp_path):
  path = write(
    tmp_path / "a.json",
    [
      {"db_id": "d", "question": "q", "query": "SELECT 1"},
      {"db_id": "d", "question": "r", "SQL": "SELECT 2", "evidence": "e"},
    ],
  )
  first, second = read_examples(path)
  assert (first.query, first.evidence, second.query, second.evidence) == (
    "SELECT 1",
    "",
    "SELECT 2",
    "e",
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    (
      (
        '[\n{"db_id": "d", "question": "q", "query": "s"},\n{"db_id": "d", "question": 3, "query": '
        '"s"}]'
      ),
      r":3: record 1: field question",
    ),
    ('[\n\n{"db_id": "d", "question": "q"}]', r":3: record 0: field query \(or SQL\) is missing"),
    ("[1]", r":1: record 0: expected an object, found int"),
    ('[{"a":\n', r":2: not JSON"),
    ('{"a": 1}', "expected a JSON list of examples, found dict"),
  ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    read_examples(write(tmp_path / "bad.json", text))


@pytest.mark.parametrize("style", ["ddl", "compact", "names"])
def test_every_style_shows_every_table_column_and_key(style):
  text = schema_prompt(SCHEMA, PromptFormat(schema_style=style, samples=1))
  for word in ("customer", "id", "full name", "sale", "customer_id", "day"):
    assert word in text
  assert (
    "REFERENCES customer (id)" in text
    if style == "ddl"
    else "customer_id" in text and "= customer.id" in text
  )
  assert ("as written" in text) == (style != "names")


def test_the_question_comes_last_and_values_are_quoted():
  prompt = question_prompt(
    "Who is\nO'Brien?",
    Mentions(values=(MatchedValue("customer", "full name", "O'Brien"),)),
    PromptFormat(),
    "hint",
  )
  assert (
    prompt
    == "Evidence: hint\nValues: customer.full name = 'O''Brien'\nQuestion: Who is O'Brien?\nSQL:"
  )


def test_normalizing_keeps_string_literals():
  assert normalize_query("SELECT  'a  b'\n FROM t ;", "sqlite") == "SELECT 'a  b' FROM t"


def test_format_fingerprints_differ_with_the_format():
  assert (
    len(
      {
        PromptFormat(schema_style=s, matched_values=m).fingerprint
        for s in ("ddl", "names")
        for m in (1, 2)
      }
    )
    == 4
  )


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(
    train_bpe(["SELECT name FROM customer WHERE day > '2020'"] * 5, 400), PromptFormat()
  )


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_answer_comes_back_and_the_branch_is_the_same_ids_everywhere(tokenizer, question):
  query = "SELECT 'x y' FROM sale"
  branch = tokenizer.text_to_sql(SCHEMA, question, query)
  assert branch.prefix == tokenizer.prefix(SCHEMA)
  assert branch.prompt == tokenizer.question(question) and len(branch.prompt) >= 1
  assert (
    branch.answer == tokenizer.answer(query, "sqlite") and branch.answer[-1] == tokenizer.end_id
  )
  assert tokenizer.decode(branch.answer) == query
  assert tokenizer.encode(question) == tuple(
    tokenizer.hf.encode(question, add_special_tokens=False)
  )


@pytest.mark.parametrize(
  "question", ["", "\U0001f600", "\u6f22\u5b57 how many?", "a\n\nb", "x" * 5000, "SELECT 1; --"]
)
def test_odd_questions_are_tokenized_apart(tokenizer, question):
  branch = tokenizer.text_to_sql(SCHEMA, question, "SELECT 1")
  assert tokenizer.hf.decode(branch.prompt) == question_prompt(
    question, NO_MENTIONS, tokenizer.style
  )


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
  tokenizer.hf.save_pretrained(tmp_path)
  again = load_tokenizer(tmp_path, PromptFormat())
  assert (
    again.answer("SELECT name", "sqlite") == tokenizer.answer("SELECT name", "sqlite")
    and again.pad_id == tokenizer.pad_id
  )
  with pytest.raises(FileNotFoundError, match="no such model folder"):
    load_tokenizer(tmp_path / "none", PromptFormat())
  (tmp_path / "empty").mkdir()
  with pytest.raises(ValueError, match="no tokenizer can be read"):
    load_tokenizer(tmp_path / "empty", PromptFormat())
