"""Names as SQL has to write them: the engines themselves are asked, for every word that they know
and for awful names.
"""

import contextlib
import dataclasses
import re
import sqlite3

import duckdb
import postgresql_server
import psycopg
import pytest
import sqlglot

from spftsql_jax.answering.predict import written_names
from spftsql_jax.databases import open_database
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.prompts import PromptFormat, schema_prompt
from spftsql_jax.generation.identifiers import identifier_automaton
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.sql import identifiers
from spftsql_jax.synthesis import sampler, stored

SQLITE_KEYWORDS = """
  abort action add after all alter always analyze and as asc attach autoincrement before begin
  between by cascade case cast check collate column commit conflict constraint create cross
  current current_date current_time current_timestamp database default deferrable deferred delete
  desc detach distinct do drop each else end escape except exclude exclusive exists explain fail
  filter first following for foreign from full generated glob group groups having if ignore
  immediate in index indexed initially inner insert instead intersect into is isnull join key last
  left like limit match materialized natural no not nothing notnull null nulls of offset on or
  order others outer over partition plan pragma preceding primary query raise range recursive
  references regexp reindex release rename replace restrict returning right rollback row rows
  savepoint select set table temp temporary then ties to transaction trigger unbounded union
  unique update using vacuum values view virtual when where window with without true false
"""
AWFUL = (
  "user", "order", "select", "firstName", "two words", "2nd", "it's", 'quo"te', "Größe", "a-b",
  "semi;colon", "date", "value", "a.b", "comma,b", "x(y)", "--c", "/*", "%", "#", "日本", "T1",
  " lead", "trail ", "UPPER", "x:y", "$1", "a$b", "_", "\\", "?", "new\nline", "`tick`", "[box]",
  "CamelCase", "i", "null", "true", "current_date", "rowid2", "group by", "é", "e" * 60,
)  # fmt: skip
DIALECTS = {"sqlite": "sqlite", "duckdb": "duckdb", "postgresql": "postgres"}


def quoted(name):
  return '"' + name.replace('"', '""') + '"'


def declarations(names):
  columns = ", ".join(f"{quoted(name)} INTEGER" for name in names)
  yield f"CREATE TABLE plain ({columns})"
  yield f"INSERT INTO plain VALUES ({', '.join(map(str, range(100, 100 + len(names))))})"
  for i, name in enumerate(names):
    if name.lower() != "plain":
      yield f"CREATE TABLE {quoted(name)} ({quoted(name)} INTEGER, b INTEGER)"
      yield f"INSERT INTO {quoted(name)} VALUES ({100 + i}, 1)"


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(
    "CREATE SCHEMA keywords; CREATE SCHEMA awful; GRANT USAGE ON SCHEMA awful TO reader"
  ) as running:
    yield running


def keywords_of(engine, server=None):
  if engine == "sqlite":
    return SQLITE_KEYWORDS.split()
  if engine == "duckdb":
    return [
      w
      for (w,) in duckdb.execute(
        "SELECT DISTINCT keyword_name FROM duckdb_keywords() ORDER BY 1"
      ).fetchall()
    ]
  with psycopg.connect(server.admin) as connection:
    return [w for (w,) in connection.execute("SELECT word FROM pg_get_keywords()").fetchall()]


@pytest.mark.parametrize("engine", list(DIALECTS))
def test_every_word_that_the_engine_knows_is_written_so_that_it_is_a_name(engine, request):
  server = request.getfixturevalue("server") if engine == "postgresql" else None
  words, dialect = keywords_of(engine, server), DIALECTS[engine]
  with contextlib.ExitStack() as stack:
    if engine == "sqlite":
      connection = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
    elif engine == "duckdb":
      connection = stack.enter_context(duckdb.connect())
    else:
      connection = stack.enter_context(psycopg.connect(server.admin))
      connection.execute("SET search_path = keywords")
    for statement in declarations(words):
      connection.execute(statement)
    for i, word in enumerate(words):
      name = identifiers.written(word, dialect)
      for query in (
        f"SELECT {name} FROM {name}",
        f"SELECT b, {name} FROM {name} WHERE {name} = {100 + i} ORDER BY {name} DESC LIMIT 1",
        f"SELECT {name}, COUNT(*) FROM {name} GROUP BY {name} HAVING MAX({name}) > 1",
        (
          f"SELECT T1.{name} FROM {name} AS T1 JOIN {name} AS T2 ON T1.{name} = T2.{name} WHERE "
          "NOT "
          f"T2.{name} BETWEEN 1 AND 9"
        ),
        (
          f"SELECT {name}.{name} FROM {name} WHERE {name} IN (SELECT {name} FROM plain WHERE "
          f"{name} "
          "- 1 > 0)"
        ),
      ):
        assert 100 + i in connection.execute(query).fetchall()[0], query
        tree = sqlglot.parse_one(query, read=dialect)
        assert {table.name for table in tree.find_all(sqlglot.exp.Table)} <= {word, "plain"}, query
        assert word in {column.name for column in tree.find_all(sqlglot.exp.Column)}, query


# Places of a query where a name may stand, as synthesized queries have them.
PLACES = (
  "SELECT T1.a FROM x AS T1 LEFT JOIN {w} AS T2 ON T1.{w} = T2.{w} ORDER BY T1.{w}",
  "SELECT a FROM x JOIN {w} ON x.a = {w}.b WHERE {w} = 1 GROUP BY {w} HAVING COUNT(*) > 1 ORDER BY "
  "{w} DESC LIMIT 1",
  "SELECT COUNT({w}), MAX({w}) FROM {w} WHERE {w} IN (SELECT {w} FROM {w})",
  "SELECT AVG({w}) - MIN({w}) FROM {w} WHERE NOT {w} LIKE 'x' AND {w} IS NULL",
  "SELECT a FROM b, {w} UNION SELECT {w} FROM {w} JOIN x ON {w}.a = x.b",
  "SELECT CAST({w} AS REAL), {w} + 1 FROM b WHERE {w} <> 2 OR 1 < {w}",
)


def words_of_sqlglot(dialect):
  """What its tokenizer and its parser know in a dialect."""
  made = sqlglot.dialects.dialect.Dialect.get_or_raise(dialect)
  parser = made.parser_class
  known = (
    made.tokenizer_class.KEYWORDS,
    parser.FUNCTIONS,
    parser.FUNCTION_PARSERS,
    parser.NO_PAREN_FUNCTION_PARSERS,
    (token.name for token in sqlglot.TokenType),
  )
  return sorted({w.lower() for words in known for w in words if re.fullmatch("[A-Za-z_]+", w)})


def is_misread(word, query, dialect):
  """Whether it does not stand in the tree as a name, as often as in the query."""
  try:
    tree = sqlglot.parse_one(query, read=dialect)
  except sqlglot.errors.SqlglotError:
    return True
  names = [name for name in tree.find_all(sqlglot.exp.Identifier) if name.this.lower() == word]
  return len(names) != len(re.findall(rf"\b{word}\b", query))


@pytest.mark.parametrize("dialect", list(DIALECTS.values()))
def test_a_word_that_is_not_reserved_is_a_name_to_the_parser_wherever_it_stands(dialect):
  words = [w for w in words_of_sqlglot(dialect) if w not in identifiers.reserved_words(dialect)]
  assert len(words) > 500
  queries = ((word, place.format(w=word)) for word in words for place in PLACES)
  assert [(word, query) for word, query in queries if is_misread(word, query, dialect)] == []


def test_postgresql_quotes_whatever_its_own_quote_ident_quotes(server):
  with psycopg.connect(server.admin) as connection:
    names = [*keywords_of("postgresql", server), *AWFUL]
    for name in names:
      (own,) = connection.execute("SELECT quote_ident(%s)", (name,)).fetchone()
      assert own == name or identifiers.written(name, "postgres") == own, name


def test_plain_names_are_left_as_they_are():
  for dialect in DIALECTS.values():
    for name in (
      "singer",
      "first_name",
      "_x",
      "t2",
      "date",
      "name",
      "year",
      "type",
      "key",
      "language",
      "rank",
      "day",
      "text",
    ):
      assert identifiers.written(name, dialect) == name
  assert (
    identifiers.written("firstName", "sqlite")
    == identifiers.written("firstName", "duckdb")
    == "firstName"
  )
  assert identifiers.written("firstName", "postgres") == '"firstName"'
  assert [identifiers.written("user", d) for d in ("sqlite", "duckdb", "postgres")] == [
    "user",
    "user",
    '"user"',
  ]
  assert identifiers.written_path(("sales", "Order", 'a"b'), "postgres") == 'sales."Order"."a""b"'


PATH = r'(?:"(?:[^"]|"")*"|[^\W\d]\w*)(?:\.(?:"(?:[^"]|"")*"|[^\W\d]\w*))*'


def printed_names(prompt, style):
  """(table, columns) as a prompt prints them."""
  body = prompt.partition("\n")[2]
  if style == "ddl":
    for name, columns in re.findall(
      rf"CREATE (?:TABLE|VIEW) ({PATH}) \(\n(.*?)\n\);", body, re.DOTALL
    ):
      found = re.findall(rf"(?:\A|\n)  ({PATH}) ", columns)
      yield name, [column for column in found if column not in ("PRIMARY", "FOREIGN")]
  else:
    for name, columns in re.findall(
      rf"(?:\A|\n)({PATH}) : ((?:\"(?:[^\"]|\"\")*\"|[^\n\"])*)", body
    ):
      if style == "names":
        yield name, re.findall(rf"({PATH})(?: = {PATH})?(?: |\Z)", columns)
      else:
        yield name, re.findall(rf"(?:\A| , )({PATH}) (?:number|text|date|boolean|other)", columns)


@pytest.mark.parametrize("engine", list(DIALECTS))
def test_each_name_of_each_prompt_runs_as_printed(engine, request, tmp_path):
  names = list({name.lower(): name for name in AWFUL}.values())
  if engine == "sqlite":
    location = tmp_path / "awful.sqlite"
    with contextlib.closing(sqlite3.connect(location)) as connection:
      for statement in declarations(names):
        connection.execute(statement)
      connection.commit()
  elif engine == "duckdb":
    location = tmp_path / "awful.duckdb"
    with duckdb.connect(str(location)) as connection:
      for statement in declarations(names):
        connection.execute(statement)
  else:
    server = request.getfixturevalue("server")
    location = server.reader
    with psycopg.connect(server.admin) as connection:
      connection.execute("SET search_path = awful")
      for statement in declarations(names):
        connection.execute(statement)
      connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA awful TO reader")
  schemas = ["awful"] if engine == "postgresql" else []
  with open_database(location, schemas=schemas) as database:
    for style in ("ddl", "compact", "names"):
      found = dict(printed_names(schema_prompt(database.schema, PromptFormat(style)), style))
      assert len(found) == len(names) + 1, style
      assert sorted(map(len, found.values())) == [2] * len(names) + [len(names)], style
      pairs = [(table, column) for table, columns in found.items() for column in columns]
      results = database.execute_many([f"SELECT {column} FROM {table}" for table, column in pairs])
      for (table, column), result in zip(pairs, results, strict=True):
        # Not an error, and not a name that is read as a text.
        assert result.ok and isinstance(result.rows[0][0], int), (style, table, column, result)
    printed = {name for table, columns in found.items() for name in (table, *columns)}
    # The very same are in synthesized queries, and are what constrained decoding allows.
    worded = [t for t in database.schema.tables if re.search(r"[A-Za-z]", t.name)]
    worded = [
      dataclasses.replace(
        t, columns=tuple(c for c in t.columns if re.search(r"[A-Za-z]{2}", c.name))
      )
      for t in worded
    ]
    schema = dataclasses.replace(database.schema, tables=tuple(worded))
    values = stored.StoredValues.read(lambda sql: database.execute(sql).rows, schema)
    filler = sampler.Filler(schema, values)
    in_queries = {filler.name(t.name.lower(), c.name) for t in worded for c in t.columns}
    in_queries |= {filler.name(t.name.lower()) for t in worded if t.columns}
    assert len(in_queries) > 20 and in_queries <= printed
    assert {
      name for table, own in written_names(database.schema).items() for name in (table, *own)
    } == printed


def accepted(tables, sql):
  spelled = [bytes([i]) for i in range(256)]
  automaton = identifier_automaton(tables, spelled, {0})
  state = 0
  for byte in [*sql.encode(), 0]:
    state = int(automaton.table[state, automaton.classes[byte]])
    if state < 0:
      return False
  return True


def test_constrained_decoding_reads_quoted_and_qualified_names():
  tables = {
    "customer": ["id", '"firstName"'],
    "sales.customer": ["id", "city"],
    'sales."Order"': ["total", '"user"'],
    '"Big Data".visit': ["minutes"],
    "wh.sales.entry": ["what"],
  }
  for sql in (
    "SELECT id FROM customer",
    'SELECT "firstName" FROM customer AS T1',
    "SELECT city FROM sales.customer WHERE city = 'x'",
    "SELECT T1.city FROM sales.customer AS T1 JOIN customer AS T2 ON T1.id = T2.id",
    'SELECT total, T1."user" FROM sales."Order" AS T1',
    "SELECT sales.customer.city FROM SALES.CUSTOMER",
    'SELECT minutes FROM "Big Data".visit',
    "SELECT what FROM wh.sales.entry",
  ):
    assert accepted(tables, sql), sql
  for sql in (
    "SELECT firstName FROM customer",
    "SELECT id FROM sales.visit",
    "SELECT id FROM sales",
    "SELECT id FROM sales.entry",
    "SELECT id FROM order",
    "SELECT wages FROM sales.customer",
    "SELECT sales.customer.total FROM sales.customer",
  ):
    assert not accepted(tables, sql), sql


def test_tables_that_differ_in_case_only_keep_their_own_names_in_each_prompt():
  columns = (Column("id", "integer", "number"),)
  upper = Table("public.Case", columns, ("id",), qualifiers=("public",), schema="public")
  key = ForeignKey(("id",), "public.Case", ("id",))
  lower = Table(
    "public.case", columns, foreign_keys=(key,), qualifiers=("public",), schema="public"
  )
  for tables in ((upper, lower), (lower, upper)):
    schema = Schema("x", "postgres", tables)
    for style in ("ddl", "compact", "names"):
      prompt = schema_prompt(schema, PromptFormat(style))
      mark = " (\n" if style == "ddl" else " : "
      assert prompt.count(f'public."Case"{mark}') == prompt.count(f'public."case"{mark}') == 1, (
        prompt
      )
      assert ('REFERENCES public."Case" (id)' if style == "ddl" else '= public."Case".id') in prompt
    # What a query writes without its schema, or in its own case, is the table of that very name.
    assert schema.table("case") is lower and schema.table("Case") is upper
    assert schema.table("case", "public") is lower and schema.table("CASE") is tables[0]


def test_a_table_keeps_its_name_through_a_schema_made_by_hand():
  table = Table("Order", (Column("firstName", "TEXT", "text"),))
  assert table.parts == ("Order",) and table.base_name == "Order"
  assert 'CREATE TABLE "Order" (\n  "firstName" TEXT' in schema_prompt(
    Schema("x", "postgres", (table,)), PromptFormat()
  )
  assert "CREATE TABLE Song (\n  firstName TEXT" in schema_prompt(
    Schema("x", "sqlite", (Table("Song", table.columns),)), PromptFormat()
  )


def test_reading_a_schema_finds_awful_names_again(tmp_path):
  path = tmp_path / "awful.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    for statement in declarations(("a.b", 'q"', "x y")):
      connection.execute(statement)
    connection.commit()
  assert {t.parts for t in read_schema(str(path)).tables} == {
    ("plain",),
    ("a.b",),
    ('q"',),
    ("x y",),
  }
