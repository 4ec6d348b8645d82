"""Names as codes: what a query says does not change, on human queries and by hand."""

from __future__ import annotations

import dataclasses
import random
import sqlite3
from pathlib import Path

import pytest

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.linking import NameIndex, NameMark
from spftsql_jax.examples.name_codes import code_tokens, name_codes
from spftsql_jax.examples.prompts import (
  MatchedValue,
  Mentions,
  PromptFormat,
  question_prompt,
  schema_prompt,
)
from spftsql_jax.examples.tokenizer import Tokenizer, train_bpe
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

SPIDER = Path(__file__).parents[2] / "shared/data/spider"
STYLE = PromptFormat(schema_style="names", matched_names=6, codes=True)


def table(name, *columns, keys=()):
  made = tuple(Column(c, "TEXT", "text", distinct_count=50) for c in columns)
  return Table(name, made, ("id",), tuple(keys), row_count=50)


# Columns in order: @c1 id, @c2 name, @c3 "birth year" of singer @t1; @c4 id, @c5 singer_id,
# @c6 title of song @t2.
SCHEMA = Schema(
  "music",
  "sqlite",
  (
    table("singer", "id", "name", "birth year"),
    table("song", "id", "singer_id", "title", keys=[ForeignKey(("singer_id",), "singer", ("id",))]),
  ),
)
CODES = name_codes(SCHEMA)


@pytest.mark.parametrize(
  ("query", "coded", "sql"),
  [
    (
      "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id",
      "SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c5",
      "SELECT singer.name FROM singer JOIN song ON singer.id = song.singer_id",
    ),
    (
      'SELECT COUNT("birth year") FROM singer;',
      "SELECT COUNT( @c3) FROM @t1",
      'SELECT COUNT("birth year") FROM singer',
    ),
    (  # A table that is read twice keeps its aliases.
      "SELECT a.name FROM singer a, singer b WHERE a.id < b.id",
      "SELECT a. @c2 FROM @t1 a, @t1 b WHERE a. @c1 < b. @c1",
      "SELECT a.name FROM singer a, singer b WHERE a.id < b.id",
    ),
    (
      "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song WHERE title = '@c1 name')",
      "SELECT @c2 FROM @t1 WHERE @c1 IN (SELECT @c5 FROM @t2 WHERE @c6 = '@c1 name')",
      "SELECT singer.name FROM singer WHERE singer.id IN "
      "(SELECT song.singer_id FROM song WHERE song.title = '@c1 name')",
    ),
    (  # Branches of a set operation are told apart by themselves.
      "SELECT T1.id FROM singer T1 EXCEPT SELECT T1.singer_id FROM song T1",
      "SELECT @c1 FROM @t1 EXCEPT SELECT @c5 FROM @t2",
      "SELECT singer.id FROM singer EXCEPT SELECT song.singer_id FROM song",
    ),
    (  # An alias of the SELECT list is no column, nor is a name of WITH a table.
      "SELECT COUNT(*) AS title FROM song GROUP BY singer_id ORDER BY title",
      "SELECT COUNT(*) AS title FROM @t2 GROUP BY @c5 ORDER BY title",
      "SELECT COUNT(*) AS title FROM song GROUP BY singer_id ORDER BY title",
    ),
    (
      "WITH song AS (SELECT name FROM singer) SELECT name FROM song",
      "WITH song AS (SELECT @c2 FROM @t1) SELECT name FROM song",
      "WITH song AS (SELECT name FROM singer) SELECT name FROM song",
    ),
    ("SELECT T1.* FROM singer AS T1", None, "SELECT T1.* FROM singer AS T1"),
    ("SELECT nonsense FROM nobody", "SELECT nonsense FROM nobody", "SELECT nonsense FROM nobody"),
    ("SELECT FROM (", "SELECT FROM (", "SELECT FROM ("),
    (  # What cannot be parsed.
      "SELECT singer.name, T2.title FROM singer JOIN song AS T2 ON ON singer.id = 'name'",
      "SELECT @c2, T2. @c6 FROM @t1 JOIN @t2 AS T2 ON ON @c1 = 'name'",
      "SELECT singer.name, T2.title FROM singer JOIN song AS T2 ON ON singer.id = 'name'",
    ),
  ],
)
def test_a_query_there_and_back(query, coded, sql):
  found = CODES.coded(query)
  assert coded is None or found == coded
  assert CODES.sql(found) == sql
  assert CODES.coded(sql) == found, "what is read back has the same codes"


def test_a_code_of_nothing_stays():
  assert CODES.sql("SELECT @c9 FROM @t1") == "SELECT @c9 FROM singer"


@pytest.mark.skipif(not SPIDER.is_dir(), reason="Spider is not here")
@pytest.mark.parametrize("implied_joins", [False, True])
def test_every_human_query_of_spider_dev_says_the_same(implied_joins):
  folder, codes, connections, seen = SPIDER / "database", {}, {}, set()
  joined = shorter = 0
  for example in read_examples(SPIDER / "dev.json"):
    if (example.db_id, example.query) in seen:
      continue
    seen.add((example.db_id, example.query))
    path = folder / example.db_id / f"{example.db_id}.sqlite"
    if example.db_id not in codes:
      codes[example.db_id] = name_codes(read_schema(str(path)), implied_joins=implied_joins)
      connections[example.db_id] = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
      connections[example.db_id].text_factory = bytes
    coded = codes[example.db_id].coded(example.query)
    sql = codes[example.db_id].sql(coded)
    run = connections[example.db_id].execute
    assert run(sql).fetchall() == run(example.query).fetchall(), (example.query, sql)
    joined += " JOIN " in example.query.upper()
    shorter += " JOIN " in example.query.upper() and " ON " not in coded
  assert len(seen) > 500
  assert not implied_joins or shorter > 0.75 * joined


def test_prompts_show_a_code_before_each_name_and_behind_each_mention():
  assert schema_prompt(SCHEMA, STYLE, CODES) == (
    'music\n @t1 singer : @c1 id @c2 name @c3 "birth year"\n'
    " @t2 song : @c4 id @c5 singer_id = @c1 @c6 title\n @t1 @t2 : @c1 = @c5\n"
  )
  mentions = Mentions(
    marks=NameIndex(SCHEMA).marks("Name of the singer of Help?", 6),
    values=(MatchedValue("song", "title", "Help"),),
  )
  assert mentions.marks == (
    NameMark(4, "singer", "name"),
    NameMark(18, "singer"),
  )
  assert question_prompt("Name of the singer of Help?", mentions, STYLE, "", CODES) == (
    "Values: @c6 = 'Help'\nJoins: @t1 @t2 : @c1 = @c5\n"
    "Question: Name @c2 @t1 of the singer @t1 @c1 @c2 of Help @c6 @t2?\nSQL:"
  )


def test_a_part_of_a_schema_has_codes_of_its_own_and_no_others_are_shown():
  part = dataclasses.replace(SCHEMA, tables=SCHEMA.tables[1:])
  marks = NameIndex(SCHEMA).marks("title and name of the singer", 6)
  shown = question_prompt(
    "title and name of the singer", Mentions(marks=marks), STYLE, "", name_codes(part)
  )
  assert "title @c3 @t1 and name of" in shown


@pytest.mark.parametrize("style", ["ddl", "compact", "names"])
def test_a_code_is_one_token_wherever_it_stands(style):
  style = dataclasses.replace(STYLE, schema_style=style)
  tokenizer = Tokenizer(train_bpe([schema_prompt(SCHEMA, PromptFormat())], 600, codes=True), style)
  ids = {tokenizer.encode(code) for code in code_tokens()}
  assert all(len(i) == 1 for i in ids) and len(ids) == 160
  name = tokenizer.encode(" @c2")[0]
  query = "SELECT MAX(name) FROM singer WHERE name = 'x'"
  branch = tokenizer.text_to_sql(SCHEMA, "How many?", query)
  assert branch.prefix.count(name) == 1 and branch.answer.count(name) == 2
  assert tokenizer.sql(branch.answer, SCHEMA) == query
  assert tokenizer.sql_to_text(SCHEMA, query, "How many?").prompt.count(name) == 2


def test_codes_drawn_by_chance_are_read_back_alike():
  drawn = name_codes(SCHEMA, random.Random(1))
  query = "SELECT name FROM singer"
  assert drawn.coded(query) != CODES.coded(query) and drawn.sql(drawn.coded(query)) == query


def test_formats_without_codes_keep_their_names():
  assert PromptFormat().fingerprint == "ddl-v1-46cdefc0"
  assert PromptFormat("names", matched_names=6).fingerprint == "names-v1-f043c934"
  assert PromptFormat().fingerprint != PromptFormat(codes=True).fingerprint
