"""Synthesis on whatever names and values an engine allows: no exception, and every query runs."""

import contextlib
import sqlite3

import odd_databases
import postgresql_server
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spftsql_jax.columns.words import split_identifier
from spftsql_jax.databases import open_database
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Column, ForeignKey, Schema, Table, without_twins
from spftsql_jax.sql import identifiers
from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.rejections import Rejection
from spftsql_jax.synthesis.synthesize import synthesize

EXAMPLES = 20
WRITERS = {"sqlite": odd_databases.write_sqlite, "duckdb": odd_databases.write_duckdb}


def without_case_twins(names):
  return list({name.lower(): name for name in names}.values())


STARTS = [*range(0, len(odd_databases.NAMES) - 8, 8), len(odd_databases.NAMES) - 8]
GROUPS = [without_case_twins(odd_databases.NAMES[start : start + 8]) for start in STARTS]


def check(location, least=EXAMPLES):
  made = synthesize([location], pool.builtin_templates(), SynthesisOptions(EXAMPLES, seed=1))
  assert len(made.examples) >= least
  with open_database(location) as database:
    results = database.execute_many([example.query for example in made.examples])
  assert [
    (e.query, r.message) for e, r in zip(made.examples, results, strict=True) if not r.ok
  ] == []
  for example in made.examples:
    question = example.question
    assert (
      question.strip()
      and question.isprintable()
      and any(character.isalpha() for character in question)
    ), question
    question.encode()
  return made


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(odd_databases.POSTGRESQL) as running:
    yield running


@pytest.mark.parametrize("engine", WRITERS)
@pytest.mark.parametrize("names", GROUPS, ids=range(len(GROUPS)))
def test_any_name(tmp_path, engine, names):
  check(WRITERS[engine](tmp_path / "odd.db", odd_databases.statements_for(names)))


@pytest.mark.parametrize("names", GROUPS[::3], ids=range(0, len(GROUPS), 3))
def test_any_name_on_postgresql(server, names):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE odd TEMPLATE template0")
  location = server.reader.replace("/shop", "/odd")
  try:
    with psycopg.connect(server.admin.replace("/shop", "/odd"), autocommit=True) as admin:
      for sql in odd_databases.statements_for(names):
        admin.execute(sql)
      admin.execute(
        "GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "
        "reader"
      )
    check(location)
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("DROP DATABASE odd WITH (FORCE)")


characters = st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")
names = st.lists(
  st.text(characters, min_size=1, max_size=12), min_size=4, max_size=6, unique_by=str.lower
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(names, st.sampled_from([0, 1, 2, 30]), st.sampled_from(sorted(WRITERS)))
def test_any_names_drawn_at_random(tmp_path_factory, drawn, rows, engine):
  try:
    location = WRITERS[engine](
      tmp_path_factory.mktemp("odd") / "odd.db", odd_databases.statements_for(drawn, rows)
    )
  except Exception:
    # The engine does not allow the name.
    return
  check(location, least=0)


@pytest.mark.parametrize("name", sorted(odd_databases.SQLITE_VALUES))
def test_any_value_on_sqlite(tmp_path, name):
  check(odd_databases.write_sqlite(tmp_path / "odd.sqlite", odd_databases.SQLITE_VALUES[name]))


@pytest.mark.parametrize("name", sorted(odd_databases.DUCKDB_VALUES))
def test_any_value_on_duckdb(tmp_path, name):
  check(odd_databases.write_duckdb(tmp_path / "odd.duckdb", odd_databases.DUCKDB_VALUES[name]))


def test_any_value_on_postgresql(server):
  """Arrays, jsonb and all the others; a table without columns; names that differ in case only."""
  made = check(server.reader)
  assert {table for example in made.examples for table in example.tables} & {"everything"}


def test_queries_of_tables_that_differ_in_case_only_name_the_one_that_is_meant(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE twins TEMPLATE template0")
  location = server.reader.replace("/shop", "/twins")
  try:
    with psycopg.connect(server.admin.replace("/shop", "/twins"), autocommit=True) as admin:
      for table, letter in (("same", "a"), ("Same", "b"), ("SAME", "c")):
        admin.execute(f'CREATE TABLE "{table}" (id int PRIMARY KEY, name text, "Name" text)')
        rows = f"SELECT i, '{letter}' || i % 5, 'x' FROM generate_series(1, 20) i"
        admin.execute(f'INSERT INTO "{table}" {rows}')
      admin.execute(
        "GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "
        "reader"
      )
    assert len(check(location).examples) == EXAMPLES
    schema = read_schema(location)
    assert len(schema.tables) == 3 and all(
      schema.table(table.name) is table for table in schema.tables
    )
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("DROP DATABASE twins WITH (FORCE)")


def test_names_beyond_ascii_that_sqlite_tells_apart_by_case(tmp_path):
  """SQLite folds the case of ASCII letters only: "ñ" and "Ñ" are two columns."""
  path = tmp_path / "n.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute('CREATE TABLE "ä" (id INTEGER PRIMARY KEY, "ñ" TEXT, "Ñ" INTEGER)')
    connection.execute('CREATE TABLE "Ä" (id INTEGER PRIMARY KEY, "ñ" TEXT REFERENCES "ä" ("Ñ"))')
    for i in range(20):
      connection.execute('INSERT INTO "ä" VALUES (?, ?, ?)', (i, f"n{i % 4}", i % 7))
      connection.execute('INSERT INTO "Ä" VALUES (?, ?)', (i, f"m{i % 4}"))
    connection.commit()
  check(str(path))


def test_of_twins_the_first_stays_with_the_keys_that_name_it():
  def table(name, columns, **keys):
    return Table(name, tuple(Column(column, "INTEGER", "number") for column in columns), **keys)

  schema = Schema(
    "s",
    "postgres",
    (
      table("a", ("id", "x", "X"), primary_key=("id",), unique=(("x",), ("X",))),
      table("A", ("id",), primary_key=("id",)),
      table(
        "b",
        ("id", "ID", "y"),
        primary_key=("ID",),
        foreign_keys=(
          ForeignKey(("y",), "a", ("x",)),
          ForeignKey(("y",), "A", ("id",)),
          ForeignKey(("y",), "a", ("X",)),
        ),
      ),
    ),
  )
  kept = without_twins(schema)
  assert [
    (t.name, [c.name for c in t.columns], t.primary_key, t.unique, t.foreign_keys)
    for t in kept.tables
  ] == [
    ("a", ["id", "x"], ("id",), (("x",),), ()),
    ("b", ["id", "y"], (), (), (ForeignKey(("y",), "a", ("x",)),)),
  ]
  assert kept.left_out == ("no examples of what differs from another table's name in case only: A",)
  assert without_twins(kept) is kept


@pytest.mark.parametrize(
  ("name", "words"),
  [
    ("#", ("number-sign",)),
    ("--", ("double", "hyphen-minus")),
    ("?!", ("question-mark", "exclamation-mark")),
    ("😀", ("grinning-face",)),
    (" ", ("space",)),
    ("\n", ("character-10",)),
    ("___", ("3-fold", "low-line")),
    ("%", ("%",)),
    ("", ("unnamed",)),
    ("a#", ("a",)),
  ],
)
def test_a_name_without_letters_is_called_by_its_characters(name, words):
  assert split_identifier(name, frozenset()) == words


def write_keywords(path):
  """Two tables called as SQL calls something else, and one that is not."""
  with contextlib.closing(sqlite3.connect(path)) as connection:
    for table in ("grant", "lateral", "singer"):
      connection.execute(
        f'CREATE TABLE "{table}" (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER)'
      )
      rows = [(n, f"name {n}", n * n) for n in range(30)]
      connection.executemany(f'INSERT INTO "{table}" VALUES (?, ?, ?)', rows)
    connection.commit()
  return path


def test_tables_called_as_the_parser_calls_something_else_have_examples(tmp_path):
  made = check(write_keywords(tmp_path / "keywords.sqlite"))
  assert {table for example in made.examples for table in example.tables} >= {"grant", "lateral"}
  assert made.rejections[Rejection.NOT_PARSED] == 0


def test_a_query_that_the_engine_runs_and_the_parser_cannot_read_is_counted(tmp_path, monkeypatch):
  # As if nobody had known of these words: SQLite takes them without quotes.
  monkeypatch.setattr(identifiers, "reserved_words", lambda dialect: frozenset())
  made = check(write_keywords(tmp_path / "keywords.sqlite"), least=1)
  assert made.rejections[Rejection.NOT_PARSED] > 0
  assert {table for example in made.examples for table in example.tables} == {"singer"}
