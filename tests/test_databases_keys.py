"""Foreign keys that nothing declares: supplied in a file, or inferred from names and values, on
every engine.
"""

import contextlib
import dataclasses
import json
import sqlite3

import duckdb
import postgresql_server
import pytest

from spftsql_jax.databases import infer_foreign_keys, open_database, read_foreign_keys
from spftsql_jax.databases.foreign_keys import add_foreign_keys, parse_foreign_keys
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import ForeignKey

# No table declares a foreign key.
SCHEMA = """
CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name VARCHAR(20));
CREATE TABLE countries (id INTEGER PRIMARY KEY, name VARCHAR(20));
CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER, "Country" INTEGER, year INTEGER,
  home_singer_id INTEGER, fk_country INTEGER, wrong_singer_id INTEGER);
CREATE TABLE singer_details (singer_id INTEGER PRIMARY KEY, shoe INTEGER);
CREATE TABLE room (house INTEGER, floor INTEGER, PRIMARY KEY (house, floor));
CREATE TABLE stay (id INTEGER PRIMARY KEY, house INTEGER, floor INTEGER, nights INTEGER);
CREATE TABLE empty_one (id INTEGER PRIMARY KEY, singer_id INTEGER, country INTEGER);
CREATE VIEW seen AS SELECT singer_id FROM song;
INSERT INTO singer VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO countries VALUES (11, 'x'), (12, 'y');
INSERT INTO song VALUES (1, 1, 11, 1, 2, 12, 8), (2, 1, 12, 2, NULL, 11, 9),
  (3, 3, 12, 1, 3, NULL, 7);
INSERT INTO singer_details VALUES (1, 40), (2, 41);
INSERT INTO room VALUES (1, 1), (1, 2), (2, 1);
INSERT INTO stay VALUES (1, 1, 2, 3), (2, 2, 1, 1), (3, 2, 1, 1);
"""
EXPECTED = {
  ("song", ("singer_id",), "singer", ("singer_id",)),
  ("song", ("Country",), "countries", ("id",)),
  ("song", ("home_singer_id",), "singer", ("singer_id",)),
  ("song", ("fk_country",), "countries", ("id",)),
  ("singer_details", ("singer_id",), "singer", ("singer_id",)),
  ("stay", ("house", "floor"), "room", ("house", "floor")),
  ("empty_one", ("singer_id",), "singer", ("singer_id",)),
}


def keys_of(schema):
  return {
    (t.name, k.columns, k.referred_table, k.referred_columns)
    for t in schema.tables
    for k in t.foreign_keys
  }


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SCHEMA) as running:
    yield running


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def location(request, tmp_path):
  if request.param == "postgresql":
    return request.getfixturevalue("server").reader
  path = tmp_path / f"music.{request.param}"
  with contextlib.closing(
    (sqlite3 if request.param == "sqlite" else duckdb).connect(str(path))
  ) as connection:
    connection.executescript(SCHEMA) if request.param == "sqlite" else connection.execute(SCHEMA)
  return str(path) if request.param == "sqlite" else f"duckdb:///{path}"


def test_keys_are_inferred_by_name_and_value_on_every_engine(location):
  with open_database(location, infer_keys=True) as database:
    assert keys_of(database.schema) == EXPECTED
    assert all(key.inferred for table in database.schema.tables for key in table.foreign_keys)
  with open_database(location) as database:
    assert keys_of(database.schema) == set(), "nothing is inferred that was not asked for"


def test_declared_keys_stay_as_they_are(tmp_path):
  path = tmp_path / "d.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript(
      "CREATE TABLE person (id INTEGER PRIMARY KEY); CREATE TABLE pet (id INTEGER PRIMARY KEY);"
      "CREATE TABLE toy (id INTEGER PRIMARY KEY, pet_id INT REFERENCES person(id), person_id INT);"
      "INSERT INTO person VALUES (1); INSERT INTO pet VALUES (1); INSERT INTO toy VALUES (1, 1, 1);"
    )
  toy = infer_foreign_keys(read_schema(str(path)), str(path)).table("toy")
  assert [(k.columns, k.referred_table, k.inferred) for k in toy.foreign_keys] == [
    (("pet_id",), "person", False),
    (("person_id",), "person", True),
  ]


def test_supplied_keys_are_added_and_marked(location, tmp_path):
  entries = [
    {"table": "SONG", "column": "year", "referred_table": "Singer", "referred_column": "SINGER_ID"},
    {
      "table": "stay",
      "column": ["house", "floor"],
      "referred_table": "room",
      "referred_column": ["house", "floor"],
    },
  ]
  file = tmp_path / "keys.json"
  file.write_text(json.dumps({"music": entries}))
  with open_database(location, foreign_keys=read_foreign_keys(file)["music"]) as database:
    schema = database.schema
  assert schema.table("song").foreign_keys == (
    ForeignKey(("year",), "singer", ("singer_id",), inferred=True),
  )
  assert schema.table("stay").foreign_keys == (
    ForeignKey(("house", "floor"), "room", ("house", "floor"), inferred=True),
  )
  assert add_foreign_keys(schema, read_foreign_keys(file)["music"]) == schema, (
    "no key is there twice"
  )


GOOD = {
  "table": "song",
  "column": "singer_id",
  "referred_table": "singer",
  "referred_column": "singer_id",
}


@pytest.mark.parametrize(
  ("value", "message"),
  [
    ([], "an object"),
    ({"music": GOOD}, "keys of 'music': a list"),
    ({"music": [GOOD, {"table": "song"}]}, "key 2 of 'music': an object with table, column"),
    ({"music": [GOOD | {"more": 1}]}, "key 1 of 'music': an object with"),
    ({"music": [GOOD | {"table": 3}]}, "key 1 of 'music': table must be a name, not 3"),
    ({"music": [GOOD | {"column": []}]}, "key 1 of 'music': column must be"),
    ({"music": [GOOD | {"column": ["a", "b"]}]}, "key 1 of 'music': 2 columns refer to 1"),
  ],
)
def test_a_malformed_file_is_refused_naming_the_entry(value, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    parse_foreign_keys(value)
  file = tmp_path / "keys.json"
  file.write_text(json.dumps(value))
  with pytest.raises(ValueError, match=f"{file}: .*{message}"):
    read_foreign_keys(file)


def test_a_file_that_is_not_json_is_refused_with_its_line(tmp_path):
  file = tmp_path / "keys.json"
  file.write_text('{"music":\n [}')
  with pytest.raises(ValueError, match=f"{file}: line 2: not JSON"):
    read_foreign_keys(file)


@pytest.mark.parametrize("field", GOOD)
def test_a_key_that_does_not_fit_the_database_is_refused_naming_it(location, field):
  keys = parse_foreign_keys({"music": [GOOD, GOOD | {field: "absent"}]})["music"]
  with pytest.raises(
    ValueError, match=r"foreign key 2 of '\w+' \(.*absent.*\): no (table|column) 'absent'"
  ):
    read_schema(location, keys)


def test_inference_on_odd_schemas_neither_fails_nor_invents(tmp_path):
  path = tmp_path / "odd.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute('CREATE TABLE "select" ("from id" TEXT PRIMARY KEY, "quo""te" TEXT)')
    connection.execute('CREATE TABLE "or\'der" ("from id" TEXT, _ INT, `1` INT, [größe] TEXT)')
    connection.execute("INSERT INTO \"select\" VALUES (CAST(x'41e34d' AS TEXT), 'x')")
    connection.execute("INSERT INTO \"or'der\" VALUES (CAST(x'41e34d' AS TEXT), 1, 1, 'x')")
    connection.execute(f"CREATE TABLE wide ({', '.join(f'c{i} INT' for i in range(500))})")
    connection.commit()
  schema = read_schema(str(path))
  inferred = infer_foreign_keys(schema, str(path))
  assert keys_of(inferred) == {("or'der", ("from id",), "select", ("from id",))}
  bare = dataclasses.replace(
    inferred, tables=tuple(dataclasses.replace(t, foreign_keys=()) for t in inferred.tables)
  )
  assert bare == schema
