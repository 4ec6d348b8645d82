"""Masked columns: their values are in no copy of a database, nor seen through keys, views and
computed columns; and whoever names one is found.
"""

import contextlib
import sqlite3

import duckdb
import psycopg
import pytest

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.instances import private_server
from spftsql_jax.databases.introspection import open_reader, read_schema
from spftsql_jax.databases.masking import may_show_masked, uses_masked
from spftsql_jax.databases.schema_view import SchemaView, seen_through
from spftsql_jax.sql.identifiers import quote, quote_path

TABLES = """
CREATE TABLE person (
  ssn VARCHAR(40) PRIMARY KEY,
  mail VARCHAR(40) NOT NULL UNIQUE,
  phone VARCHAR(40),
  town VARCHAR(40),
  shout VARCHAR(40) GENERATED ALWAYS AS (upper(phone)) {stored}
);
CREATE TABLE visit (
  id INTEGER PRIMARY KEY,
  person_ssn VARCHAR(40) REFERENCES person (ssn),
  day DATE
);
CREATE VIEW everything AS SELECT * FROM person;
CREATE VIEW renamed AS SELECT e.phone AS spare FROM everything e;
CREATE VIEW towns AS SELECT town, COUNT(*) AS people FROM person GROUP BY town;
"""
SCHEMA = TABLES.format(stored="STORED")
MASKED = ("person.ssn", "person.mail", "person.phone")
SECRETS = ("Zanzibar", "zanzibar", "ZANZIBAR")
PEOPLE = [
  (f"Zanzibar-{i}", f"{i}@zanzibar.example", f"Zanzibar +{i}" if i % 7 else None, f"Town{i % 5}")
  for i in range(50)
]
VISITS = [(i, f"Zanzibar-{i % 50}", f"2024-0{1 + i % 9}-11") for i in range(120)]
INSERTS = (
  "INSERT INTO person (ssn, mail, phone, town) VALUES ({0}, {0}, {0}, {0})",
  "INSERT INTO visit VALUES ({0}, {0}, {0})",
)


def fill(run_many, mark):
  for sql, rows in zip(INSERTS, (PEOPLE, VISITS), strict=True):
    run_many(sql.format(mark), rows)


def sqlite_location(tmp_path, _):
  path = tmp_path / "people.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript(TABLES.format(stored="STORED"))
    fill(connection.executemany, "?")
    connection.commit()
  return str(path)


def duckdb_location(tmp_path, _):
  path = tmp_path / "people.duckdb"
  with contextlib.closing(duckdb.connect(str(path))) as connection:
    connection.execute(TABLES.format(stored=""))
    fill(connection.executemany, "?")
  return str(path)


def postgresql_location(_, request):
  server = request.getfixturevalue("server")
  with psycopg.connect(server.admin) as connection:
    if connection.execute("SELECT count(*) FROM person").fetchone() == (0,):
      fill(connection.cursor().executemany, "%s")
  return server.reader


ENGINES = {
  "sqlite": sqlite_location,
  "duckdb": duckdb_location,
  "postgresql": postgresql_location,
}


@pytest.fixture(params=ENGINES)
def location(request, tmp_path):
  return ENGINES[request.param](tmp_path, request)


def test_what_holds_a_masked_value_is_masked_too(location):
  schema = seen_through(SchemaView(masked=MASKED), read_schema(location))
  masked = {(t.name, c.name) for t in schema.tables for c in t.columns if c.masked}
  people = {("person", name) for name in ("ssn", "mail", "phone", "shout")}
  assert masked == people | {("visit", "person_ssn")}
  assert not any(secret in repr(schema) for secret in SECRETS)
  # A view that counts is harmless; one that reads a view that tells is not.
  assert {table.name for table in schema.tables if table.is_view} == {"towns"}
  told = " ".join(schema.left_out)
  assert "view everything, which reads a masked column" in told and "view renamed" in told


def test_copies_have_no_masked_value(location, tmp_path):
  if location.startswith("postgresql") and private_server.server_binaries() is None:
    pytest.skip("no PostgreSQL server programs")
  schema = seen_through(SchemaView(masked=MASKED), read_schema(location))
  queries = ["SELECT town FROM person WHERE phone = 'Zanzibar +3' OR town = 'Town2'"]
  folder = tmp_path / "made"
  try:
    places = make_instances(location, folder, 2, seed=0, queries=queries, schema=schema)
    assert len(places) == 2
    for place in places:
      rows = cells_of(str(place))
      assert "Town2" in rows and len(rows) > 100, "other values are there"
      assert not any(secret in rows for secret in SECRETS)
    for file in folder.rglob("*"):
      if file.is_file() and not file.is_symlink():
        data = file.read_bytes()
        assert not any(secret.encode() in data for secret in SECRETS), file
  finally:
    private_server.stop_server(folder)


def cells_of(location):
  """The text of all that is stored at a location."""
  found = []
  with open_reader(location) as connection:
    for table in read_schema(location).tables:
      names = ", ".join(quote(column.name) for column in table.columns)
      cursor = connection.cursor()
      cursor.execute(f"SELECT {names} FROM {quote_path(table.parts)}")
      found += [repr(row) for row in cursor.fetchall()]
  return " ".join(found)


@pytest.mark.parametrize(
  ("sql", "uses", "may_show"),
  [
    ("SELECT town FROM person", False, False),
    ("SELECT COUNT(*) FROM person", False, False),
    ("WITH a AS (SELECT town FROM person) SELECT town FROM a", False, False),
    ("SELECT town FROM person WHERE MAIL = 'a@b'", True, True),
    ('SELECT p."mail" FROM person AS p', True, True),
    ("SELECT 1 FROM visit JOIN person ON person_ssn = ssn", True, True),
    ("SELECT * FROM person", False, True),
    ("SELECT p.* FROM person AS p", False, True),
    ("SELECT spare FROM renamed", False, True),
    ("SELECT id FROM visit", False, False),
    ("SELECT FROM WHERE", True, True),
    ("", True, False),
  ],
)
def test_a_query_that_names_a_masked_column_is_found(tmp_path, sql, uses, may_show):
  location = sqlite_location(tmp_path, None)
  schema = seen_through(SchemaView(masked=MASKED), read_schema(location))
  assert (uses_masked(sql, schema), may_show_masked(sql, schema)) == (uses, may_show)
