"""Values that Python does not have, or that are no text: read as the server writes them, compared
rightly, offered nowhere.
"""

import datetime
import json
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import odd_databases
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import DatabaseError, ValueIndex, make_instances, open_database
from spftsql_jax.databases.cells import is_readable
from spftsql_jax.examples.prompts import PromptFormat, schema_prompt
from spftsql_jax.judging.comparison import results_match
from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.literals import CannotFill, literal
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.synthesize import synthesize

REPOSITORY = Path(__file__).resolve().parents[1]
# Expressions of each engine, and what they give; ... where only that they are read and equal
# themselves is asked.
POSTGRESQL = {
  "'infinity'::date": "infinity",
  "'-infinity'::date": "-infinity",
  "'0044-03-15 BC'::date": "0044-03-15 BC",
  "'10000-01-01'::date": "10000-01-01",
  "'2024-02-29'::date": datetime.date(2024, 2, 29),
  "'infinity'::timestamp": "infinity",
  "'0001-01-01 00:00 BC'::timestamp": "0001-01-01 00:00:00 BC",
  "'2024-02-29 24:00'::timestamp": datetime.datetime(2024, 3, 1),
  "'12000-01-01'::timestamptz": "12000-01-01 00:00:00+00",
  "'infinity'::timestamptz": "infinity",
  "'24:00:00'::time": "24:00:00",
  "'24:00:00+00'::timetz": "24:00:00+00",
  "'12:00+15:59:59'::timetz": ...,
  "'1 month'::interval": datetime.timedelta(days=30),
  "'1 year -1 day'::interval": datetime.timedelta(days=359),
  "'1 day -12:30:01.5'::interval": datetime.timedelta(hours=11, minutes=29, seconds=58.5),
  "'178000000 years'::interval": "178000000 years",
  "'2147483647 days'::interval": "2147483647 days",
  "'NaN'::numeric": ...,
  "'Infinity'::numeric": Decimal("Infinity"),
  "'1e400'::numeric": Decimal("1e400"),
  "'NaN'::float8": ...,
  "'{NaN,1}'::float8[]": ...,
  "'$1,000.50'::money": "$1,000.50",
  "B'101'": "101",
  "'10.0.0.1/8'::inet": ...,
  "'10.0.0.0/8'::cidr": ...,
  "'08:00:2b:01:02:03'::macaddr": "08:00:2b:01:02:03",
  "'(1,2)'::point": "(1,2)",
  "'(1,2),(3,4)'::box": "(3,4),(1,2)",
  "'[1,5)'::int4range": ...,
  "'[2020-01-01,infinity)'::daterange": ...,
  "'[NaN,NaN]'::numrange": ...,
  "'{[1,3),[5,7)}'::int4multirange": ...,
  "'{[2020-01-01,infinity)}'::datemultirange": ...,
  "'{1,NULL}'::int[]": (1, None),
  "'{{1,2},{3,4}}'::int[]": ((1, 2), (3, 4)),
  "'[0:1]={1,2}'::int[]": (1, 2),
  "'{infinity,2020-01-01}'::date[]": ("infinity", datetime.date(2020, 1, 1)),
  "'{24:00}'::time[]": ("24:00:00",),
  "'{1 mon,178000000 years}'::interval[]": (datetime.timedelta(days=30), "178000000 years"),
  '\'{"a": [1, null], "a": 2.5}\'::json': (("a", (1, None)), ("a", 2.5)),
  "'1.10'::jsonb": 1.1,
  "'0.1234567890123456789'::jsonb": Decimal("0.1234567890123456789"),
  "'1e400'::jsonb": 10**400,
  "('1' || repeat('0', 5000))::jsonb": "1" + "0" * 5000,
  "(repeat('[', 3000) || repeat(']', 3000))::json": "[" * 3000 + "]" * 3000,
  '\'{"a": "\\ud800"}\'::json': '{"a": "\\ud800"}',
  '\'{"a": "\\u0000"}\'::json': (("a", "\0"),),
  "'\\xAA'::bytea": b"\xaa",
  "xmlelement(name a)": "<a/>",
  "to_tsvector('simple', 'a b')": "'a':1 'b':2",
  "ROW(1, 'infinity'::date)": ("1", "infinity"),
  "ROW(1, 'infinity')::pair": "(1,infinity)",
  "ARRAY[ROW(1, 'infinity')::pair]": ...,
  "ARRAY['sad'::mood]": "{sad}",
  "'sad'::mood": "sad",
  "'{12}'::positive[]": ...,
}
DUCKDB = {
  "DATE 'infinity'": "infinity",
  "DATE '-infinity'": "-infinity",
  "DATE '9999-12-31'": datetime.date(9999, 12, 31),
  "DATE '0001-01-01'": datetime.date(1, 1, 1),
  "DATE '0044-03-15 (BC)'": "0044-03-15 (BC)",
  "DATE '10000-01-01'": "10000-01-01",
  "TIMESTAMP 'infinity'": "infinity",
  "TIMESTAMP '9999-12-31 23:59:59.999999'": datetime.datetime.max,
  "TIMESTAMP_NS '2020-01-01 00:00:00.123456789'": "2020-01-01 00:00:00.123456789",
  "TIMESTAMP_NS '2020-01-01 00:00:00.123'": datetime.datetime(2020, 1, 1, 0, 0, 0, 123_000),
  "TIMESTAMP_S '2020-01-01 00:00:00'": datetime.datetime(2020, 1, 1),
  "TIMESTAMPTZ '2020-01-01 00:00:00+02'": datetime.datetime(2019, 12, 31, 22, tzinfo=datetime.UTC),
  "TIMESTAMPTZ 'infinity'": "infinity",
  "TIME '24:00:00'": "24:00:00",
  "TIMETZ '12:00:00+15:59:59'": ...,
  "INTERVAL '1 month'": datetime.timedelta(days=30),
  "INTERVAL '3000000 years'": "3000000 years",
  "[INTERVAL '3000000 years']": "[3000000 years]",
  "'1010'::BIT": "1010",
  "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID": ...,
  "union_value(k := 1)": 1,
  "MAP {'a': 1, 'b': NULL}": (("a", 1), ("b", None)),
  "MAP {[1]: 2}": ...,
  "MAP {{'x': 1}: DATE 'infinity'}": ...,
  "{'a': [1, 2], 'b': {'c': NULL}}": (("a", (1, 2)), ("b", (("c", None),))),
  "[DATE '2020-01-01', DATE 'infinity']": "[2020-01-01, infinity]",
  "{'d': [{'e': DATE 'infinity'}]}::VARIANT": ...,
  "[['nan'::DOUBLE, NULL], []]": ...,
  "'a'::ENUM('a', 'b')": "a",
  "12345678901234567890123456789012345678::DECIMAL(38, 0)": Decimal(
    "12345678901234567890123456789012345678"
  ),
  "170141183460469231731687303715884105727::HUGEINT": 2**127 - 1,
  "'123456789012345678901234567890123456789012345678901234567890'::BIGNUM": ...,
  "'nan'::DOUBLE": ...,
  "'-inf'::FLOAT": float("-inf"),
  "'\\xAA'::BLOB": b"\xaa",
  "'{\"a\":1}'::JSON": '{"a":1}',
  "DATE 'infinity', 1, NULL::DATE, 'x', INTERVAL '1 day' -- so": ...,
}
SQLITE = {
  "9e999": float("inf"),
  "x'ff'": b"\xff",
  "CAST(x'41ff42' AS TEXT)": "AB",
  "9223372036854775807": 2**63 - 1,
  "'a' || char(0)": "a\0",
}


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(odd_databases.POSTGRESQL) as running:
    yield running


def check(location, expressions):
  with open_database(location) as database:
    for expression, expected in expressions.items():
      one, other = database.execute_many([f"SELECT {expression}", f"SELECT\n{expression}"])
      assert one.status == other.status == "ok", (expression, one)
      assert expected is ... or one.rows[0][0] == expected, (expression, one.rows)
      assert expected is ... or type(one.rows[0][0]) is type(expected), (expression, one.rows)
      assert all(
        results_match(one, other, "", comparison) for comparison in ("spider", "bird", "strict")
      ), expression
      # A bag of the value twice is not the value once.
      if "--" not in expression:
        twice = database.execute(f"SELECT {expression} UNION ALL SELECT {expression}")
        if twice.ok:
          assert not results_match(one, twice, "", "strict") and results_match(
            one, twice, "", "bird"
          ), expression


def test_sqlite_values(tmp_path):
  check(odd_databases.write_sqlite(tmp_path / "v.sqlite", ["CREATE TABLE t (a)"]), SQLITE)


def test_duckdb_values(tmp_path):
  check(odd_databases.write_duckdb(tmp_path / "v.duckdb", ["CREATE TABLE t (a INTEGER)"]), DUCKDB)


def test_postgresql_values(server):
  check(server.reader, POSTGRESQL)


@pytest.mark.parametrize("style", ["SQL, MDY", "Postgres, DMY", "German"])
def test_postgresql_values_under_other_settings_of_the_role(server, style):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(f"ALTER ROLE reader SET datestyle = '{style}'")
    admin.execute("ALTER ROLE reader SET intervalstyle = 'iso_8601'")
    try:
      check(
        server.reader,
        {e: v for e, v in POSTGRESQL.items() if "date" in e or "time" in e or "interval" in e},
      )
    finally:
      admin.execute("ALTER ROLE reader RESET ALL")


def test_intervals_are_equal_where_postgresql_finds_them_equal(server):
  pairs = [
    ("1 year", "360 days"),
    ("1 mon", "30 days"),
    ("1 day", "24:00"),
    ("-1 mon 1 day", "-29 days"),
    ("1 year", "365 days"),
  ]
  with open_database(server.reader) as database:
    for a, b in pairs:
      one, other, same = (
        database.execute(f"SELECT {each}")
        for each in (f"'{a}'::interval", f"'{b}'::interval", f"'{a}'::interval = '{b}'::interval")
      )
      assert results_match(one, other, "", "strict") == same.rows[0][0], (a, b)


def test_one_such_value_leaves_a_duckdb_table_readable_and_its_answers_right(tmp_path):
  location = odd_databases.write_duckdb(
    tmp_path / "t.duckdb", odd_databases.DUCKDB_VALUES["temporal"]
  )
  with open_database(location) as database:
    kinds = {column.name: column.kind for column in database.schema.table("t").columns}
    assert [kinds[name] for name in ("id", "d", "ts", "tz", "name")] == [
      "number",
      "date",
      "date",
      "date",
      "text",
    ]
    ordered = database.execute("SELECT id FROM t WHERE d IS NOT NULL ORDER BY d DESC LIMIT 2")
    assert ordered.rows == ((20,), (19,))
    dates = database.execute("SELECT id, d FROM t ORDER BY id")
    assert dates.rows[0] == (0, datetime.date(2020, 1, 1)) and dates.rows[20:] == (
      (20, "infinity"),
      (21, "-infinity"),
      (22, "0044-03-15 (BC)"),
    )
    cut = database.execute("SELECT d FROM t", max_rows=5)
    assert cut.status == "resource"
    same = (
      database.execute("SELECT max(d) FROM t"),
      database.execute("SELECT d FROM t WHERE id = 20;  -- the last"),
    )
    assert results_match(*same, "", "strict") and same[0].rows == (("infinity",),)


def test_duckdb_without_pytz_reads_times_with_zones(tmp_path):
  location = odd_databases.write_duckdb(
    tmp_path / "t.duckdb", odd_databases.DUCKDB_VALUES["temporal"]
  )
  code = (
    "import sys; sys.modules['pytz'] = None\n"
    "from spftsql_jax.databases.engines import duckdb\n"
    "connection = duckdb.connect(sys.argv[1])\n"
    "print(duckdb.fetch_rows(connection.cursor(), 'SELECT tz, [tz] FROM t WHERE id IN (3, 20) "
    "ORDER BY id', 9))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, location],
    capture_output=True,
    text=True,
    check=False,
    cwd=REPOSITORY,
  )
  assert done.stdout.strip() == (
    "[(datetime.datetime(2019, 12, 31, 22, 0, tzinfo=datetime.timezone.utc), \"['2019-12-31 "
    "22:00:00+00']\"), "
    "('infinity', '[infinity]')]"
  ), done


def test_one_such_value_leaves_a_postgresql_table_readable_and_its_answers_right(server):
  with open_database(server.reader) as database:
    table = database.schema.table("everything")
    kinds = {column.name: column.kind for column in table.columns}
    assert table.row_count == 23
    assert [kinds[name] for name in ("id", "d", "ts", "tz", "n", "f", "mood")] == ["number"] * 1 + [
      "date"
    ] * 3 + ["number"] * 2 + ["text"]
    for name in (
      "iv",
      "m",
      "b",
      "ip",
      "p",
      "r",
      "dr",
      "mr",
      "tags",
      "grid",
      "j",
      "js",
      "x",
      "ts_v",
      "pr",
      "by",
      "u",
    ):
      assert kinds[name] == "other", name
    assert database.execute("SELECT id, d FROM everything WHERE id > 19 ORDER BY id").rows == (
      (20, datetime.date(2020, 1, 21)),
      (21, "infinity"),
      (22, "-infinity"),
      (23, "0044-03-15 BC"),
    )
    one, other = database.execute_many(
      ["SELECT max(d) FROM everything", "SELECT d FROM everything WHERE id = 21"]
    )
    assert results_match(one, other, "", "strict")
    whole = database.execute_many(
      ["SELECT * FROM everything ORDER BY id", "SELECT * FROM everything  ORDER BY id DESC"]
    )
    assert whole[0].ok and results_match(*whole, "", "strict")
  assert ValueIndex.build(server.reader).search("who is glad?")[0].value == "glad"


def test_large_tables_of_types_without_equality_are_read(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      "CREATE TABLE big AS SELECT i, '{}'::json j, '(1,2)'::point p FROM generate_series(1, 6000) i"
    )
    admin.execute("GRANT SELECT ON big TO reader")
    try:
      with open_database(server.reader) as database:
        columns = database.schema.table("big").columns
        assert [column.distinct_count for column in columns] == [6000, 1, 1] and columns[
          1
        ].kind == "other"
    finally:
      admin.execute("DROP TABLE big")


# Text that is not UTF-8.

LATIN = [
  "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, city TEXT)",
  *(
    f"INSERT INTO person VALUES ({i}, CAST(x'4a6f73e92044{61 + i % 9}' AS TEXT), 'Rome')"
    for i in range(20)
  ),
  *(f"INSERT INTO person VALUES ({20 + i}, 'Ann {'abc'[i % 3]}', 'Oslo')" for i in range(12)),
]


def test_undecodable_text_is_offered_nowhere(tmp_path):
  location = odd_databases.write_sqlite(tmp_path / "latin.sqlite", LATIN)
  index = ValueIndex.build(location)
  assert {m.value for m in index.search("Where does Jos D live, and where Ann b?")} == {
    "Ann a",
    "Ann b",
    "Ann c",
  }
  assert len(index) == 5, "three Anns and two cities"
  with open_database(location) as database:
    assert all(
      is_readable(sample)
      for column in database.schema.table("person").columns
      for sample in column.samples
    )
    for style in ("ddl", "compact"):
      prompt = schema_prompt(database.schema, PromptFormat(schema_style=style, samples=5))
      assert "Jos" not in prompt and "Ann a" in prompt
    made = synthesize([location], pool.builtin_templates(), SynthesisOptions(60, seed=2))
    assert len(made.examples) == 60
    for example in made.examples:
      # What is compared is a whole stored text, or a pattern of readable letters.
      assert (
        "'Jos" not in example.query and is_readable(example.query) and is_readable(example.question)
      )
      assert database.execute(example.query).rows
      json.dumps(example.to_json(), ensure_ascii=False).encode()
  for path in make_instances(
    location,
    tmp_path / "instances",
    2,
    seed=1,
    queries=["SELECT name FROM person WHERE name > '\ud800'"],
  ):
    with sqlite3.connect(path) as connection:
      assert connection.execute("SELECT COUNT(name) FROM person").fetchone()[0] > 0


@pytest.mark.parametrize("text", ["a\ufffdb", "a\0b", "a\ud800b"])
def test_no_literal_is_made_of_unreadable_text(text):
  with pytest.raises(CannotFill):
    literal(text)


def test_a_server_that_does_not_declare_its_encoding(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
  location = server.reader.replace("/shop", "/bytes")
  try:
    with psycopg.connect(server.admin.replace("/shop", "/bytes"), autocommit=True) as admin:
      admin.execute("SET client_encoding = 'SQL_ASCII'")
      admin.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
      admin.execute(
        "CREATE TABLE person (id int PRIMARY KEY, name text, mood mood, tags text[], d date)"
      )
      admin.execute(
        b"INSERT INTO person SELECT i, 'Jos\xe9 D' || i, 'sad', ARRAY['\xe9'], 'infinity' FROM "
        b"generate_series(1, 9) i"
      )
      admin.execute(
        "INSERT INTO person SELECT i, 'Ann ' || i % 3, 'glad', ARRAY['a'], '2020-01-01' FROM "
        "generate_series(20, 39) i"
      )
      admin.execute("GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON person TO reader")
    with open_database(location) as database:
      found = database.execute("SELECT name, mood, tags, d FROM person WHERE id = 1")
      assert found.rows == (("Jos D1", "sad", ("",), "infinity"),)
      assert all(
        is_readable(sample)
        for column in database.schema.table("person").columns
        for sample in column.samples
      )
      made = synthesize([location], pool.builtin_templates(), SynthesisOptions(20, seed=2))
      for example in made.examples:
        assert "'Jos" not in example.query and database.execute(example.query).ok, example.query
    assert {m.value for m in ValueIndex.build(location).search("Jos D1, Ann 2, glad")} >= {"Ann 2"}
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("DROP DATABASE bytes WITH (FORCE)")


@pytest.mark.parametrize("name", sorted(odd_databases.SQLITE_VALUES))
def test_instances_are_made_of_any_sqlite_values(tmp_path, name):
  location = odd_databases.write_sqlite(tmp_path / "v.sqlite", odd_databases.SQLITE_VALUES[name])
  queries = [
    "SELECT label FROM t WHERE x > 99999999999999999999 AND big < 9223372036854775807",
    "SELECT name FROM t WHERE id = 9223372036854775807 OR id < -9223372036854775808 ORDER BY name",
    f"SELECT COUNT(*) FROM t WHERE id > {'9' * 400}",
  ]
  try:
    paths = make_instances(location, tmp_path / "instances", 5, seed=1, queries=queries)
  except DatabaseError as error:
    pytest.fail(str(error))
  for path in paths:
    with sqlite3.connect(path) as connection:
      assert connection.execute("SELECT COUNT(*) FROM t").fetchone()[0] > 0
