"""Neighbouring instances: constraints hold, rows differ, near-miss queries are told apart."""

import contextlib
import sqlite3
import time

import pytest

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.introspection import read_schema

LIBRARY = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, boss INT REFERENCES author(id));
CREATE TABLE book (isbn TEXT PRIMARY KEY, author INT NOT NULL REFERENCES author(id), title TEXT, pages INT CHECK (pages > 0),
price REAL); CREATE TABLE reader (id INT PRIMARY KEY, mail TEXT UNIQUE, city TEXT);
CREATE TABLE loan (reader INT REFERENCES reader(id), isbn TEXT REFERENCES book(isbn), day DATE, PRIMARY KEY (reader, isbn,
day)); CREATE TABLE wish (reader INT REFERENCES reader(id), isbn TEXT REFERENCES book(isbn), PRIMARY KEY (reader, isbn));
CREATE TABLE note (text TEXT, stars INT);
CREATE TABLE bare (a INT, b TEXT);
CREATE INDEX pages_of ON book (pages);
CREATE VIEW long_book AS SELECT * FROM book WHERE pages > 300;
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
  path = tmp_path_factory.mktemp("library") / "library.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as c:
    c.executescript(LIBRARY)
    for i in range(40):
      boss = i // 2 if i else None
      c.execute("INSERT INTO author VALUES (?, ?, ?, ?)", (i, f"Author {i % 30}", f"19{50 + i % 40}-0{1 + i % 9}-11", boss))
    for i in range(900):
      c.execute(
        "INSERT INTO book VALUES (?, ?, ?, ?, ?)", (f"B-{i}", i * 7 % 40, f"Title {i % 500}", 80 + i % 400, 5 + i % 13 / 2)
      )
    for i in range(300):
      c.execute("INSERT INTO reader VALUES (?, ?, ?)", (i, f"r{i}@x", ["Ulm", "Bonn", None][i % 3]))
    for i in range(1500):
      c.execute("INSERT INTO loan VALUES (?, ?, ?)", (i % 300, f"B-{i % 901 % 900}", f"2024-0{1 + i % 9}-0{1 + i % 8}"))
      c.execute("INSERT OR IGNORE INTO wish VALUES (?, ?)", (i * 11 % 300, f"B-{i * 17 % 900}"))
      if i < 200:
        c.execute("INSERT INTO note VALUES (?, ?)", (f"note {i % 9}", i % 5 + 1))
    c.commit()
  return str(path)


def dump(path):
  with contextlib.closing(sqlite3.connect(path)) as connection:
    return list(connection.iterdump())


def test_instances_keep_the_schema_and_every_constraint(library, tmp_path):
  original = read_schema(library)
  for path in make_instances(library, tmp_path, 8, seed=3):
    schema = read_schema(str(path))
    assert [t.name for t in schema.tables] == [t.name for t in original.tables]
    for table, other in zip(schema.tables, original.tables, strict=True):
      assert (table.primary_key, table.foreign_keys, table.unique) == (other.primary_key, other.foreign_keys, other.unique)
      assert [(c.name, c.type, c.nullable) for c in table.columns] == [(c.name, c.type, c.nullable) for c in other.columns]
      assert table.row_count > 0, f"{table.name} is empty"
    with contextlib.closing(sqlite3.connect(path)) as c:
      assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
      assert c.execute("PRAGMA foreign_key_check").fetchall() == []
      assert c.execute("SELECT COUNT(*) FROM author WHERE typeof(id) != 'integer' OR name IS NULL").fetchone() == (0,)
      assert (
        c.execute("SELECT COUNT(*) FROM author WHERE born IS NOT date(born)").fetchone()[0]
        <= c.execute("SELECT COUNT(*) FROM author WHERE born IS NULL").fetchone()[0]
      ), "a shifted date is a date"


def test_instances_differ_hold_nulls_and_repeat_rows(library, tmp_path):
  paths = make_instances(library, tmp_path, 4, seed=3)
  assert len({tuple(dump(path)) for path in paths}) == 4
  nulls = repeats = 0
  for path in paths:
    with contextlib.closing(sqlite3.connect(path)) as c:
      nulls += c.execute("SELECT COUNT(*) FROM book WHERE price IS NULL").fetchone()[0]
      repeats += c.execute("SELECT COUNT(*) - COUNT(DISTINCT title || pages || price) FROM book").fetchone()[0]
  assert nulls > 0 and repeats > 0


def test_the_same_seed_gives_the_same_rows_and_another_does_not(library, tmp_path):
  first = make_instances(library, tmp_path / "a", 2, seed=5)
  again = make_instances(library, tmp_path / "b", 2, seed=5)
  other = make_instances(library, tmp_path / "c", 2, seed=6)
  assert [dump(p) for p in first] == [dump(p) for p in again] != [dump(p) for p in other]


def test_an_instance_of_a_few_thousand_rows_takes_less_than_a_second(library, tmp_path):
  start = time.process_time()
  make_instances(library, tmp_path, 2, seed=0)
  assert (time.process_time() - start) / 2 < 1.0


@pytest.mark.parametrize(
  ("query", "near_miss"),
  [
    ("SELECT COUNT(*) FROM book WHERE pages > 333", "SELECT COUNT(*) FROM book WHERE pages >= 333"),
    ("SELECT title FROM book WHERE pages > 200 OR price < 3", "SELECT title FROM book WHERE pages > 200"),
    ("SELECT COUNT(*) FROM reader", "SELECT COUNT(city) FROM reader"),
    ("SELECT DISTINCT text FROM note WHERE stars > 3", "SELECT text FROM note WHERE stars > 3"),
    ("SELECT a FROM bare WHERE b = 'x'", "SELECT a FROM bare"),
    ("SELECT name FROM author WHERE born < '1960-05-11'", "SELECT name FROM author WHERE born <= '1960-05-11'"),
    ("SELECT city FROM reader WHERE mail LIKE '%1%'", "SELECT city FROM reader WHERE mail LIKE '1%'"),
    ("SELECT name FROM author WHERE boss IS NOT NULL", "SELECT name FROM author"),
  ],
)
def test_near_misses_are_told_apart(library, tmp_path, query, near_miss):
  agreements = 0
  for path in make_instances(library, tmp_path, 6, seed=1, queries=[query]):
    with contextlib.closing(sqlite3.connect(path)) as c:
      agreements += sorted(c.execute(query).fetchall(), key=str) == sorted(c.execute(near_miss).fetchall(), key=str)
  assert agreements < 6
