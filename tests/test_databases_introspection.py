"""Reading odd but legal schemas, the same on every engine, and what only some engines have."""

import contextlib
import sqlite3
import time

import duckdb
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import open_database, sampling
from spftsql_jax.databases.introspection import read_schema

WIDE = 500
SCHEMA = f"""
CREATE TABLE "select" ("from" INTEGER, "two words" VARCHAR(20), "quo""te" VARCHAR(20),
  "Größe" DOUBLE PRECISION,
  "100%" INTEGER);
INSERT INTO "select" VALUES (1, 'a', NULL, 1.5, 2), (2, 'a', 'b', 2.5, 2), (3, 'c', 'b', NULL, 2);
CREATE TABLE wide ({", ".join(f"c{i} INTEGER" for i in range(WIDE))});
INSERT INTO wide VALUES ({", ".join(map(str, range(WIDE)))});
CREATE TABLE empty_one (a INTEGER, b VARCHAR(3), c DATE, d BOOLEAN);
CREATE TABLE keyless (a INTEGER, b INTEGER, c INTEGER, "D d" INTEGER);
CREATE UNIQUE INDEX one ON keyless (a);
CREATE UNIQUE INDEX two ON keyless (b, "D d");
CREATE UNIQUE INDEX computed ON keyless ((c + 1));
CREATE INDEX plain ON keyless (c);
CREATE TABLE "Order" (day DATE, "line no" INTEGER, PRIMARY KEY (day, "line no"));
CREATE TABLE part (id INTEGER PRIMARY KEY, day DATE, line INTEGER, up INTEGER REFERENCES part(id),
  FOREIGN KEY (day, line) REFERENCES "Order"(day, "line no"));
CREATE VIEW "some of it" AS SELECT "from" AS "group", "two words" FROM "select" WHERE "from" < 3;
"""


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SCHEMA) as running:
    yield running


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def location(request, tmp_path):
  if request.param == "postgresql":
    return request.getfixturevalue("server").reader
  path = tmp_path / f"shop.{request.param}"
  with contextlib.closing(
    (sqlite3 if request.param == "sqlite" else duckdb).connect(str(path))
  ) as connection:
    connection.executescript(SCHEMA) if request.param == "sqlite" else connection.execute(SCHEMA)
  return str(path) if request.param == "sqlite" else f"duckdb:///{path}"


def test_odd_names_values_and_counts(location):
  with open_database(location) as database:
    odd = database.schema.table("SELECT")
    assert [c.name for c in odd.columns] == ["from", "two words", 'quo"te', "Größe", "100%"]
    assert [c.kind for c in odd.columns] == ["number", "text", "text", "number", "number"]
    assert odd.row_count == 3 and [c.distinct_count for c in odd.columns] == [3, 2, 1, 2, 1]
    assert odd.column("Two Words").samples == ("a", "c") and odd.column('quo"te').samples == ("b",)
    assert (odd.primary_key, odd.foreign_keys, odd.unique) == ((), (), ())
    result = database.execute(
      'SELECT "from", "two words", "quo""te", "Größe", "100%" % 2 FROM "select" ORDER BY 1'
    )
    assert result.rows[0] == (1, "a", None, 1.5, 0), result


def test_a_wide_table_is_read_whole(location):
  with open_database(location) as database:
    wide = database.schema.table("wide")
    assert [(c.name, c.samples, c.kind) for c in wide.columns] == [
      (f"c{i}", (i,), "number") for i in range(WIDE)
    ]
    assert database.execute("SELECT * FROM wide").rows == (tuple(range(WIDE)),)


def test_an_empty_table_is_what_it_is_declared_to_be(location):
  empty = read_schema(location).table("empty_one")
  assert [c.kind for c in empty.columns] == ["number", "text", "date", "boolean"]
  assert empty.row_count == 0 and all(
    (c.samples, c.distinct_count) == ((), 0) for c in empty.columns
  )


def test_unique_columns_come_from_indexes_over_columns_alone(location):
  keyless = read_schema(location).table("keyless")
  assert keyless.primary_key == () and set(keyless.unique) == {("a",), ("b", "D d")}


def test_keys_of_several_columns_and_to_the_table_itself(location):
  schema = read_schema(location)
  assert schema.table("order").primary_key == ("day", "line no")
  keys = {
    (k.columns, k.referred_table, k.referred_columns, k.inferred)
    for k in schema.table("part").foreign_keys
  }
  assert keys == {
    (("up",), "part", ("id",), False),
    (("day", "line"), "Order", ("day", "line no"), False),
  }


def test_views_have_columns_rows_and_samples(location):
  view = read_schema(location).table("some of it")
  assert (
    view.is_view
    and view.row_count == 2
    and [c.name for c in view.columns] == ["group", "two words"]
  )
  assert view.column("group").samples == (1, 2)


SLOW_VIEW = {
  "sqlite": (
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) AS n FROM r"
  ),
  "duckdb": (
    "SELECT COUNT(*) AS n FROM range(10000000000) a, range(1000000) b WHERE a.range % 7 = "
    "b.range % 5"
  ),
  "postgresql": (
    "SELECT COUNT(*) AS n FROM generate_series(1, 100000) a, generate_series(1, 10000000) b"
  ),
}


def test_a_slow_view_holds_nothing_up(location, request, monkeypatch):
  monkeypatch.setattr(sampling, "VIEW_SECONDS", 0.2)
  engine = request.node.callspec.params["location"]
  create = f"CREATE VIEW a_slow AS {SLOW_VIEW[engine]}"
  with contextlib.ExitStack() as stack:
    if engine == "postgresql":
      admin = stack.enter_context(
        psycopg.connect(request.getfixturevalue("server").admin, autocommit=True)
      )
      admin.execute(create)
      stack.callback(admin.execute, "DROP VIEW a_slow")
      admin.execute("GRANT SELECT ON a_slow TO reader")
    else:
      module = sqlite3 if engine == "sqlite" else duckdb
      with contextlib.closing(module.connect(location.removeprefix("duckdb:///"))) as connection:
        connection.execute(create)
        connection.commit()
    start = time.process_time()
    schema = read_schema(location)
    assert time.process_time() - start < 10.0
  slow = schema.table("a_slow")
  assert slow.is_view and [c.name for c in slow.columns] == ["n"] and slow.row_count == 0
  assert schema.table("some of it").row_count == 2, "what comes behind it is read"


def test_postgresql_reads_what_the_role_may_read(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE TABLE a_secret (x INTEGER)")
    admin.execute("CREATE VIEW b_broken AS SELECT 1 / (a - a) AS n FROM generate_series(1, 2) AS a")
    admin.execute("CREATE MATERIALIZED VIEW kept AS SELECT 7 AS x")
    admin.execute("GRANT SELECT ON b_broken, kept TO reader")
    try:
      schema = read_schema(server.reader)
    finally:
      admin.execute("DROP TABLE a_secret")
      admin.execute("DROP VIEW b_broken")
      admin.execute("DROP MATERIALIZED VIEW kept")
  names = {table.name for table in schema.tables}
  assert "a_secret" not in names and {"select", "wide", "part", "some of it"} <= names
  kept = schema.table("kept")
  assert kept.is_view and kept.row_count == 1 and kept.column("x").samples == (7,)


def test_postgresql_text_in_an_encoding_that_the_server_does_not_know(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0")
  location = server.admin.replace("/shop", "/latin")
  try:
    with psycopg.connect(location, autocommit=True) as connection:
      connection.execute("CREATE TABLE t (a TEXT, b VARCHAR(5))")
      connection.execute("SET client_encoding = 'SQL_ASCII'")
      connection.execute(b"INSERT INTO t VALUES ('A\xe3M', 'o\xffk')")
    with open_database(location, allow_superuser=True) as database:
      assert database.execute("SELECT a, b FROM t").rows == (("AM", "ok"),)
      assert database.schema.table("t").column("a").samples == (), "no query could compare with it"
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("DROP DATABASE latin WITH (FORCE)")


def test_a_password_is_shown_nowhere():
  with pytest.raises(Exception) as caught:
    read_schema("postgresql://reader:secret@127.0.0.1:1/shop")
  assert "secret" not in str(caught.value) and "127.0.0.1:1" in str(caught.value)
