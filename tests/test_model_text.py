"""The reader of model text: SQL out of fences, the end of a statement, one line, the statements of
a log.
"""

import contextlib
import json
import random
import sqlite3

import pytest

from spftsql_jax.databases import Executor
from spftsql_jax.examples.prompts import PromptFormat, answer_text, sql_prompt
from spftsql_jax.examples.tokenizer import Tokenizer, train_bpe
from spftsql_jax.judging import scoring
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql import model_text
from spftsql_jax.sql.model_text import has_ended, read, read_statement
from spftsql_jax.sql.one_line import folded, one_line
from spftsql_jax.sql.statement_files import split_statements
from spftsql_jax.synthesis.templates import extract_template

SELECT = "SELECT name FROM t"


@pytest.mark.parametrize(
  "text",
  [
    "```sql\nSELECT name FROM t\n```",
    "```sql\nSELECT name FROM t;\n```\nIt lists the names; all of them.",
    "Here is the query:\n\n```SQL\r\nSELECT name FROM t\r\n```",
    "```\nSELECT name FROM t\n```",
    "~~~sqlite\nSELECT name FROM t\n~~~\n",
    "````sql\nSELECT name FROM t\n````",
    '```sql title="x"\nSELECT name FROM t\n```',
    "1. First:\n   ```sql\n   SELECT name FROM t\n   ```",
    "```sql\nSELECT name FROM t",
    "```sql SELECT name FROM t ```",
    "```SELECT name FROM t```",
    "SQL:```sql\nSELECT name FROM t```",
    "SELECT name FROM t\n```\nThis lists names.",
    "SELECT name FROM t```",
    "With these tables it's easy:\n```sql\nSELECT name FROM t\n```",
    "```sql\nSELECT 0\n```\nNo, better:\n```sql\nSELECT name FROM t;\n```\nDone.",
    "```python\nrun('SELECT 0')\n```\n```sql\nSELECT name FROM t\n```",
    "```sql\nSELECT name FROM t\n```\nIt prints:\n```\n| name |\n```",
    "sql\nSELECT name FROM t;\n```",
    "```text\nno SQL\n```\nSELECT name FROM t;",
    "<sql>SELECT name FROM t</sql>",
    "<answer>\nSELECT name FROM t;\n</answer>",
    "SQL: SELECT name FROM t;",
    "**SQL:** SELECT name FROM t",
    "Sure! Here's the query:\n\nSELECT name FROM t",
    "The answer is `SELECT name FROM t`.",
    "`SELECT name FROM t`",
    "SELECT name FROM t<|im_end|>\n<|endoftext|>",
    "<|im_start|>assistant\nSELECT name FROM t<|im_end|>",
    "<s> SELECT name FROM t</s>",
    "SELECT name FROM t<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<think>\nMaybe SELECT 0; or ```sql\nSELECT 1\n```?\n</think>\n\nSELECT name FROM t;",
    "thinking ...\n</think>\n```sql\nSELECT name FROM t\n```",
    "\ufeffSELECT name FROM t",
    "SELECT name FROM t;",
    "SELECT name FROM t ; ",
    "SELECT name FROM t;;",
    "; ;SELECT name FROM t",
    "SELECT name FROM t; DROP TABLE t",
    "SELECT name FROM t; -- done",
    "SELECT name FROM t;\n\nThis query's result is a list; enjoy.",
    "To answer, we need `name` of `t`.\n\nSELECT name FROM t;\n\nThe `name` is it.",
    "First a `SELECT` with a `FROM`:\n\nSELECT name FROM t",
    "Sure, here you go!\nSELECT name FROM t;\nHope it helps!",
    "The query is SELECT name FROM t;",
    "\u7b54\u6848\uff1aSELECT name FROM t",
    "Voici la requ\u00eate :\nSELECT name FROM t;",
    "## Answer\n\nSELECT name FROM t",
    "[SQL]\nSELECT name FROM t\n[/SQL]",
    "[/INST] SELECT name FROM t",
    "sqlite> SELECT name FROM t;",
    "1. SELECT name FROM t\n2. SELECT 0",
    "- SELECT name FROM t",
    "**SELECT name FROM t**",
    "\u201cSELECT name FROM t\u201d",
    '{"sql": "SELECT name FROM t"}',
    '```json\n{"reasoning": "a; b", "sql": "SELECT name FROM t;"}\n```',
    '{"sql": "SELECT name FROM t',
    '```python\nsql = """\nSELECT name FROM t;\n"""\nrun(sql)\n```',
    'cursor.execute("SELECT name FROM t")',
    "```\nsql\nSELECT name FROM t\n```",
    "```sql\nSQL: SELECT name FROM t\n```",
    "'''sql\nSELECT name FROM t\n'''",
    "<reasoning>\nSELECT 0;\n</reasoning>\n<answer>SELECT name FROM t</answer>",
    "Is it SELECT 0; or?</think>\n\nSELECT name FROM t",
    (
      "<|channel|>analysis<|message|>SELECT "
      "0;<|end|><|start|>assistant<|channel|>final<|message|>SELECT name FROM t<|return|>"
    ),
    '<code lang="sql">SELECT name FROM t</code>',
    "SELECT name FROM t<eos>",
    "SELECT name FROM t.",
    "SELECT name FROM t;\\n",
    "SELECT name FROM t\n\nThis query returns the names.",
    "SELECT name FROM t\nThis query returns the names",
    "SELECT name FROM t\r\n\r\nNote that it isn't sorted.",
    "SELECT name FROM t\n\nIn this query, we select `name`.",
    "SELECT name FROM t\n\n**Explanation:** names; all.",
    "SELECT name FROM t\nQuestion: How many?\nSQL: SELECT 0",
    "SELECT name FROM t\n\n| name |\n|---|\n| a |",
    "SELECT name FROM t\n\n- it lists the names",
    "SELECT name FROM t\n\nSELECT 0",
    "SELECT name FROM t\n\n\u8fd9\u4e2a\u67e5\u8be2\u8fd4\u56de\u540d\u5b57\u3002",
  ],
)
def test_the_statement_is_read_out_of_what_stands_around_it(text):
  assert read_statement(text) == SELECT


@pytest.mark.parametrize(
  "sql",
  [
    "SELECT name -- it; is\nFROM t",
    "SELECT name /* a; b */\n\tFROM t",
    "SELECT ';' || ';;' FROM t WHERE x = 'it''s; so'",
    'SELECT "a;b", `c;d`, [e;f] FROM t',
    "SELECT '```sql' FROM t",
    "SELECT 'see ```sql SELECT 0``` there' FROM t",
    "SELECT '</think>' || '<|im_end|> x' FROM t",
    "SELECT 'Answer: SELECT 0' FROM t",
    "-- Names: SELECT 0\nSELECT name FROM t",
    "WITH a AS (SELECT 1)\nSELECT * FROM a",
    "(SELECT 1) UNION (SELECT 2)",
    "VALUES (1), (2)",
    "DELETE FROM t",
    "I do not know",
    "SELECT 'never closed; at all",
    "SELECT 1 /* never closed; at all",
    "",
  ],
)
def test_a_statement_stays_as_it_is(sql):
  assert read(sql) == model_text.Reading(sql)
  if sql and "never closed" not in sql:
    assert read_statement(f"So:\n```sql\n{sql}\n```\nwhich it is") == sql


@pytest.mark.parametrize(
  ("sql", "dialect"),
  [
    ("SELECT name\n\nx FROM t\n\nb WHERE b.x = 1", "sqlite"),
    ("SELECT name FROM t\n\nWHERE x = 1 -- the first one.\n\nORDER BY x", "sqlite"),
    ("SELECT name FROM t\nODER BY x", "sqlite"),
    ("SELECT a\n\nb, c d FROM t\n\nUNION\n\nSELECT 1, 2", "sqlite"),
    ("SELECT x\n- b c FROM t\n\nLIMIT\n1.", "sqlite"),
    ("SELECT DISTINCT ON (a)\nb c FROM t", "postgres"),
    ("SELECT a FROM f(1)\n\nWITH ORDINALITY\n\nAS r(a, n)", "postgres"),
    ("SELECT a COLLATE\nb DESC LIMIT 1", "postgres"),
    ("SELECT 1 UNION ALL BY NAME\n\nSELECT 2", "duckdb"),
    ("SELECT DISTINCT ON (a)\nb: c\nFROM\nu: t", "duckdb"),
    ("FROM t\n\nSELECT name", "duckdb"),
    ("SELECT a\n\n** b FROM t", "duckdb"),
  ],
)
def test_a_line_with_which_a_query_goes_on_is_never_prose(sql, dialect):
  assert read_statement(sql, dialect) == sql


BEGUN = [
  "SELECT a b FROM t u",
  "SELECT a FROM t WHERE b IS NULL",
  "FROM t SELECT a",
  "SELECT DISTINCT ON (a) b c FROM t",
  "SELECT a FROM t JOIN u ON a = b ORDER BY a LIMIT 1",
  "WITH c AS ( SELECT 1 ) SELECT a FROM c",
  "SELECT a: 1 FROM c: t",
]
WORDS = [
  *(
    "a",
    "b",
    "this",
    "query",
    "name",
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "NOT",
    "IN",
    "IS",
    "NULL",
    "AS",
    "ON",
    "JOIN",
    "LEFT",
  ),
  *(
    "SEMI",
    "USING",
    "GROUP",
    "ORDER",
    "BY",
    "LIMIT",
    "UNION",
    "ALL",
    "EXCEPT",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
  ),
  *(
    "END",
    "LIKE",
    "COLLATE",
    "DESC",
    "NULLS",
    "LAST",
    "OVER",
    "INTERVAL",
    "DAY",
    "DATE",
    "TIME",
    "ZONE",
    "DOUBLE",
    "1",
    "'x.'",
  ),
  *("+", "-", "*", "**", "(", ")", ",", "::", "=", ".", "(a)", "count(*)", "b:", '"q"', "1."),
]


def test_no_line_of_a_statement_that_duckdb_takes_is_prose():
  duckdb = pytest.importorskip("duckdb")
  rng, runs = random.Random(4), 0
  with duckdb.connect() as connection:
    for _ in range(15_000):
      tokens = rng.choice(BEGUN).split()
      for _ in range(rng.randint(0, 3)):
        tokens.insert(rng.randint(1, len(tokens)), rng.choice(WORDS))
      try:
        (_,) = connection.extract_statements(" ".join(tokens))
      except (duckdb.Error, ValueError):
        continue
      runs += 1
      for breaks in (["\n\n"], ["\n"], [" ", "\n", "\n\n"]):
        text = "".join(token + rng.choice(breaks) for token in tokens).strip()
        assert read_statement(text, "duckdb") == text
  assert runs > 1_000


@pytest.mark.parametrize("dialect", ["postgres", "postgresql", "duckdb"])
@pytest.mark.parametrize(
  "sql",
  [
    r"SELECT E'a\';b'",
    r"SELECT e'\\', ';'",
    r"SELECT 'a\', 2",
    "SELECT $$a;b$$, $x$ ; $$ ; $x$",
    "SELECT /* a /* b; */ c; */ 1",
    "SELECT a[1], '];' FROM t",
    'SELECT "a;b" FROM t',
    "SELECT a$b$ FROM t",
  ],
)
def test_literals_and_comments_are_those_of_the_dialect(sql, dialect):
  assert read_statement(f"{sql}; SELECT $$ 0", dialect) == sql


def test_the_same_text_ends_elsewhere_in_another_dialect():
  text = "SELECT /* a /* b */ ; c */ 1"
  assert (
    read_statement(text, "sqlite") == "SELECT /* a /* b */"
    and read_statement(text, "postgres") == text
  )
  assert read_statement("SELECT [a;b]", "sqlite") == "SELECT [a;b]"
  assert read_statement("SELECT `a;b`", "postgres") == "SELECT `a"


def test_what_was_around_and_behind_is_told():
  assert read("```sql\nSELECT 1;\n```").around and not read("```sql\nSELECT 1;\n```").behind
  assert [
    read(f"SELECT 1{end}").behind
    for end in ("", ";", "; ", "; -- x", ";;", "; SELECT 2", "; so it is")
  ] == [
    *(False,) * 4,
    *(True,) * 3,
  ]
  assert not any(read(f"SELECT 1{end}").around for end in ("", ";;", "; x", "\n"))


def test_a_comment_may_follow_the_language_of_a_fence():
  assert (
    read_statement("```sql-- the names\nSELECT name FROM t```")
    == "-- the names\nSELECT name FROM t"
  )


def test_an_answer_goes_on_where_the_prompt_ended():
  assert read_statement(" name FROM t;", begun="SELECT") == SELECT
  assert read_statement("SELECT name FROM t", begun="SELECT") == SELECT


def test_a_model_may_stop_at_the_end_of_its_statement_only():
  assert has_ended("SELECT 1;") and has_ended("SQL: SELECT ';' ;")
  for text in (
    "SELECT ';",
    "SELECT 1 -- ;",
    "```sql\nSELECT 1;",
    "<think>SELECT 1;",
    "SELECT 1",
    "SELECT /* ; */ 1",
  ):
    assert not has_ended(text), text
  for text in ("I need the names;", '{"sql": "SELECT 1;', "Let me see; first"):
    assert not has_ended(text), text


def test_a_line_comment_never_takes_what_follows():
  sql = "SELECT name -- the name; it's\nFROM t /* all\nrows */ WHERE note = 'a  -- b' -- end"
  expected = "SELECT name FROM t WHERE note = 'a  -- b'"
  assert folded(sql) == one_line(sql) == expected
  assert (
    answer_text(sql, "sqlite") == f" {expected}"
    and sql_prompt(sql, PromptFormat(), "sqlite") == f"SQL: {expected}\nQuestion:"
  )
  schema = Schema(
    "d", "sqlite", (Table("t", (Column("name", "TEXT", "text"), Column("note", "TEXT", "text"))),)
  )
  tokenizer = Tokenizer(train_bpe([sql] * 3, 300), PromptFormat())
  assert tokenizer.decode(tokenizer.text_to_sql(schema, "q", sql).answer) == expected
  assert extract_template(f"{sql}\n; -- really", schema) == extract_template(expected, schema)


def test_two_literals_on_two_lines_are_one_in_postgresql():
  assert folded("SELECT 'a' -- x\n  'b'", "postgres") == "SELECT 'ab'"
  assert folded("SELECT 'a'\n'b'", "sqlite") == "SELECT 'a' 'b'"


def test_a_line_keeps_what_a_literal_says():
  assert one_line("SELECT 'a\nb''\tc'") == "SELECT ('a' || char(10) || 'b''' || char(9) || 'c')"
  assert one_line("SELECT E'a\n\\\\\tb'", "duckdb") == r"SELECT E'a\n\\\tb'"
  assert one_line("SELECT $$a'\nb$$", "postgres") == "SELECT ('a''' || chr(10) || 'b')"
  for sql in (
    'SELECT "a\nb"',
    "SELECT x AS 'a\nb'",
    "SELECT x 'a\nb'",
    "SELECT X'a\nb'",
    "SELECT [a\tb]",
  ):
    with pytest.raises(ValueError, match="cannot be written on one line"):
      one_line(sql)


SQLITE_PIECES = [
  *(
    "1",
    "'a;b'",
    "''",
    "'it''s'",
    "'x\ny'",
    "'\t'",
    "/* ; */",
    "-- ;'\n",
    "\n",
    " ",
    '"a;b"',
    "+",
    "||",
    "(",
    ")",
    "[c;d]",
  ),
  *("`c;d`", ",", "'\\'", "x", "/* /* ; */", "'--'", "LIKE", "=", "IN (", "AS y"),
]


def test_reading_folding_and_one_line_give_the_same_rows_in_sqlite():
  rng, runs, refused = random.Random(3), 0, 0
  with contextlib.closing(sqlite3.connect(":memory:")) as database:
    database.execute('CREATE TABLE t ("a;b", [c;d], x)')
    database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(5, 6, 7), ("x\ny", "\t", "it's")])
    for _ in range(30_000):
      sql = f"SELECT {' '.join(rng.choice(SQLITE_PIECES) for _ in range(rng.randint(1, 7)))} FROM t"
      try:
        rows = database.execute(sql).fetchall()
      except sqlite3.Error:
        continue
      runs += 1
      assert read_statement(f"{sql}; SELECT 'no'") == sql
      assert database.execute(folded(sql)).fetchall() == rows, sql
      try:
        line = one_line(sql)
      except ValueError:
        refused += 1
        continue
      assert not set("\n\r\t") & set(line) and database.execute(line).fetchall() == rows, sql
  assert runs > 3_000 and refused < runs / 5


def test_statements_end_where_duckdb_ends_them():
  duckdb = pytest.importorskip("duckdb")
  pieces = [
    "1",
    "'a;b'",
    r"E'a\'b;'",
    r"e'\\'",
    "$$;$$",
    "$x$ ; $$ $x$",
    "/* ; */",
    "/* /* ; */ ; */",
    "-- ;\n",
    "\n",
    '"a;b"',
  ]
  pieces += ["+", "(", ")", "[1]", "'a'\n'b;'", ",", "||", r"'\'", "a"]
  rng, runs = random.Random(1), 0
  with duckdb.connect() as connection:
    for _ in range(20_000):
      text = f"SELECT {' '.join(rng.choice(pieces) for _ in range(rng.randint(1, 7)))}; SELECT 2"
      try:
        first, *rest = connection.extract_statements(text)
      except duckdb.Error:
        continue
      if len(rest) == 1:
        runs += 1
        assert read_statement(text, "duckdb") == first.query.strip().removesuffix(";").strip()
  assert runs > 1_000


LOG = """-- made by hand; long ago
\\timing on
SELECT a,
  ';' -- x; y
FROM t
;
SELECT a FROM t\tshop
SELECT b FROM u\tclub
DELETE FROM u\tclub
SELECT a FROM t
UNION
SELECT b FROM u
WITH x AS (SELECT 1)
SELECT * FROM x
INSERT INTO t
SELECT 1;
COPY t (a) FROM stdin;
1;2
\\.
SELECT (
SELECT 1);\tshop
\\copy t TO 'x.csv'
SELECT a
\tFROM t"""


def test_a_log_is_split_by_statement():
  found = [(s.sql, s.line, s.label) for s in split_statements(LOG, labels={"shop", "club"})]
  assert found == [
    ("SELECT a,\n  ';' -- x; y\nFROM t", 3, ""),
    ("SELECT a FROM t", 7, "shop"),
    ("SELECT b FROM u", 8, "club"),
    ("DELETE FROM u", 9, "club"),
    ("SELECT a FROM t\nUNION\nSELECT b FROM u", 10, ""),
    ("WITH x AS (SELECT 1)\nSELECT * FROM x", 13, ""),
    ("INSERT INTO t\nSELECT 1", 15, ""),
    ("COPY t (a) FROM stdin", 17, ""),
    ("SELECT (\nSELECT 1)", 20, "shop"),
    ("SELECT a\n\tFROM t", 23, ""),
  ]


@pytest.fixture
def shop(tmp_path):
  path = tmp_path / "shop.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE t (name TEXT, x INT)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [("a", 1), ("b", 2), ("x\ny", 3)])
    connection.commit()
  return str(path)


@pytest.mark.parametrize("comparison", ["spider", "bird", "strict"])
def test_gold_and_prediction_are_read_alike(shop, comparison):
  texts = [
    "SELECT name -- it\nFROM t",
    "SELECT name FROM t;;",
    "SELECT name FROM t; SELECT 1",
    "SELECT name FROM t; -- end",
    "```sql\nSELECT name\nFROM t;\n```",
    "SELECT name FROM t",
  ]
  pairs = [(gold, predicted) for gold in texts for predicted in texts]
  pairs += [(gold, "SELECT x FROM t;;") for gold in texts]
  with Executor(workers=1) as executor:
    for keep_rows in (False, True):
      verdicts = scoring.score_predictions(
        pairs, [[shop]] * len(pairs), executor, comparison, keep_rows=keep_rows
      )
      correct = [verdict.correct for verdict in verdicts]
      assert correct == [True] * len(texts) ** 2 + [False] * len(texts), json.dumps(correct)
