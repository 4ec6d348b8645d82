"""The line before the SQL: what it names, that it is learned, and that it is taken off again."""

import dataclasses
import types

import pytest
from tiny_runs import make_demo

from spftsql_jax.answering import predict
from spftsql_jax.answering.exported import stored_prompt, write_prompt_format
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.linked_answers import has_begun, linking_line, sql_of
from spftsql_jax.examples.prompts import (
  NO_MENTIONS,
  PromptFormat,
  normalize_query,
  question_prompt,
)
from spftsql_jax.examples.tokenizer import Tokenizer, train_bpe
from spftsql_jax.generation.requests import Answer
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

SCHEMA = Schema(
  "stage",
  "sqlite",
  (
    Table("singer", (Column("id", "INT", "number"), Column("name", "TEXT", "text")), ("id",)),
    Table(
      "concert",
      tuple(Column(n, "TEXT", "text") for n in ("id", "singer_id", "opening year")),
      ("id",),
      (ForeignKey(("singer_id",), "singer", ("id",)),),
    ),
  ),
)
LINKED = PromptFormat(answer_style="linked")


@pytest.mark.parametrize(
  ("query", "line"),
  [
    ("SELECT COUNT(*) FROM singer", "singer"),
    (
      "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id "
      "WHERE T2.\"opening year\" = 'it''s 2014' LIMIT 3",
      "singer : name id ; concert : singer_id \"opening year\" ; = 'it''s 2014'",
    ),
    (
      "SELECT name FROM singer WHERE id > 5 AND id < 20 UNION SELECT id FROM concert",
      "singer : name id ; concert : id ; = 5 , 20",
    ),
    # Spider's spelling of a text, which SQLite takes for one.
    ('SELECT "id" FROM singer WHERE name = "Sky Radio"', "singer : id name ; = 'Sky Radio'"),
    ("SELECT FROM WHERE (", "none"),
    ("", "none"),
  ],
)
def test_the_line_names_what_the_query_uses(query, line):
  assert linking_line(query, SCHEMA) == line


def tokenizer_of(style: PromptFormat) -> Tokenizer:
  return Tokenizer(train_bpe(["SELECT name FROM singer WHERE id = 5"] * 3, 400, codes=True), style)


QUERY = "SELECT name FROM singer WHERE name = 'a; b'"


@pytest.mark.parametrize("codes", [False, True])
def test_an_answer_has_its_line_and_is_read_back_without_it(codes):
  tokenizer = tokenizer_of(dataclasses.replace(LINKED, codes=codes))
  branch = tokenizer.text_to_sql(SCHEMA, "who?", QUERY)
  text = tokenizer.decode(branch.answer)
  assert text.count("\nSQL: ") == 1 and branch.answer[-1] == tokenizer.end_id
  assert tokenizer.decode(branch.prompt).endswith("Links:")
  assert tokenizer.sql(branch.answer, SCHEMA) == QUERY
  line = text.partition("\n")[0]
  shown = tokenizer.codes(SCHEMA)
  named = shown.of_written("singer") if codes else "singer"
  assert line.startswith(named.strip()) and line.endswith("= 'a; b'")
  # The other direction is as it was: an SQL query is asked for its question.
  assert "Links" not in tokenizer.decode(tokenizer.query(QUERY, "sqlite", SCHEMA))


def test_an_answer_without_a_line_is_taken_as_it_is():
  assert sql_of("SELECT 1") == "SELECT 1" and not has_begun("singer : name")
  assert sql_of("singer : name\nSQL: SELECT 'x\nSQL: y'") == "SELECT 'x\nSQL: y'"
  tokenizer = tokenizer_of(LINKED)
  assert tokenizer.statement(tokenizer.encode(" singer ; = 'a;")) is None
  assert tokenizer.statement(tokenizer.encode(" singer\nSQL: SELECT 1;")) == "SELECT 1;"


def test_a_semicolon_in_the_line_does_not_end_the_answer():
  """The first part stops at it; what follows is asked for and belongs to the same answer."""
  tokenizer = tokenizer_of(LINKED)
  whole = tokenizer.answer(QUERY, "sqlite", SCHEMA)
  semicolons = predict._semicolons(tokenizer)
  stop = next(i for i, token in enumerate(whole) if token in semicolons) + 1
  asked = []

  class Generator:
    def generate(self, params, requests, *, eos_id, on_answer=None, **options):
      asked.append(requests)
      done = whole[:stop] if on_answer else whole[stop:]
      answer = Answer(tuple(done), -1.0, "stop")
      if on_answer:
        on_answer(0, answer)
      return [answer]

  database = types.SimpleNamespace(schema=SCHEMA, mentions=lambda *_: NO_MENTIONS)
  example = types.SimpleNamespace(db_id="stage", question="who?", evidence="")
  [[found]] = predict.answer_questions(
    Generator(), None, tokenizer, {"stage": database}, [example], max_new_tokens=200
  )
  assert found.sql == QUERY and len(asked) == 2


def test_a_format_keeps_its_name_and_survives_its_folder(tmp_path):
  plain = PromptFormat()
  assert plain.fingerprint == "ddl-v1-46cdefc0"
  assert LINKED.fingerprint != plain.fingerprint
  write_prompt_format(tmp_path, LINKED, 90)
  stored = stored_prompt(tmp_path)
  assert stored.style == LINKED and stored.max_new_tokens == 90
  with pytest.raises(ValueError, match="answer_style 'thoughts' is none of sql, linked"):
    PromptFormat(answer_style="thoughts")
  assert question_prompt("who?", NO_MENTIONS, plain).endswith("SQL:")


def test_every_gold_query_of_the_demo_has_its_tables_in_its_line(tmp_path):
  make_demo(tmp_path)
  schemas = {}
  for example in read_examples(tmp_path / "test.json"):
    if example.db_id not in schemas:
      path = tmp_path / example.db_id / f"{example.db_id}.sqlite"
      schemas[example.db_id] = read_schema(str(path))
    schema = schemas[example.db_id]
    query = normalize_query(example.query, "sqlite")
    line = linking_line(query, schema)
    named = {part.split(" : ")[0] for part in line.split(" ; = ")[0].split(" ; ")}
    words = set(query.lower().replace("(", " ").replace(")", " ").replace(",", " ").split())
    tables = {t.name for t in schema.tables if t.name.lower() in words}
    assert tables and tables <= named | {n.strip('"') for n in named}, (query, line)
