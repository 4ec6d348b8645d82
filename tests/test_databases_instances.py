"""Neighbouring instances: constraints hold, rows differ, near-miss queries are told apart."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

import pytest

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.instances import literals
from spftsql_jax.databases.introspection import read_schema

LIBRARY = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, boss INT
  REFERENCES author(id));
CREATE TABLE book (isbn TEXT PRIMARY KEY, author INT NOT NULL
  REFERENCES author(id), title TEXT, pages INT CHECK (pages > 0),
price REAL); CREATE TABLE reader (id INT PRIMARY KEY, mail TEXT UNIQUE, city TEXT);
CREATE TABLE loan (reader INT REFERENCES reader(id), isbn TEXT
  REFERENCES book(isbn), day DATE, PRIMARY KEY (reader, isbn,
day)); CREATE TABLE wish (reader INT REFERENCES reader(id), isbn TEXT
  REFERENCES book(isbn), PRIMARY KEY (reader, isbn));
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
      c.execute(
        "INSERT INTO author VALUES (?, ?, ?, ?)",
        (i, f"Author {i % 30}", f"19{50 + i % 40}-0{1 + i % 9}-11", boss),
      )
    for i in range(900):
      c.execute(
        "INSERT INTO book VALUES (?, ?, ?, ?, ?)",
        (f"B-{i}", i * 7 % 40, f"Title {i % 500}", 80 + i % 400, 5 + i % 13 / 2),
      )
    for i in range(300):
      c.execute("INSERT INTO reader VALUES (?, ?, ?)", (i, f"r{i}@x", ["Ulm", "Bonn", None][i % 3]))
    for i in range(1500):
      c.execute(
        "INSERT INTO loan VALUES (?, ?, ?)",
        (i % 300, f"B-{i % 901 % 900}", f"2024-0{1 + i % 9}-0{1 + i % 8}"),
      )
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
      assert (table.primary_key, table.foreign_keys, table.unique) == (
        other.primary_key,
        other.foreign_keys,
        other.unique,
      )
      assert [(c.name, c.type, c.nullable) for c in table.columns] == [
        (c.name, c.type, c.nullable) for c in other.columns
      ]
      assert table.row_count > 0, f"{table.name} is empty"
    with contextlib.closing(sqlite3.connect(path)) as c:
      assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
      assert c.execute("PRAGMA foreign_key_check").fetchall() == []
      assert c.execute(
        "SELECT COUNT(*) FROM author WHERE typeof(id) != 'integer' OR name IS NULL"
      ).fetchone() == (0,)
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
      repeats += c.execute(
        "SELECT COUNT(*) - COUNT(DISTINCT title || pages || price) FROM book"
      ).fetchone()[0]
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
    (
      "SELECT title FROM book WHERE pages > 200 OR price < 3",
      "SELECT title FROM book WHERE pages > 200",
    ),
    ("SELECT COUNT(*) FROM reader", "SELECT COUNT(city) FROM reader"),
    ("SELECT DISTINCT text FROM note WHERE stars > 3", "SELECT text FROM note WHERE stars > 3"),
    ("SELECT a FROM bare WHERE b = 'x'", "SELECT a FROM bare"),
    (
      "SELECT name FROM author WHERE born < '1960-05-11'",
      "SELECT name FROM author WHERE born <= '1960-05-11'",
    ),
    (
      "SELECT city FROM reader WHERE mail LIKE '%1%'",
      "SELECT city FROM reader WHERE mail LIKE '1%'",
    ),
    ("SELECT name FROM author WHERE boss IS NOT NULL", "SELECT name FROM author"),
    # Two conditions and a join, by one; a group of exactly 7; the boundary behind DISTINCT, AVG,
    # MAX and a set operation.
    (
      (
        "SELECT r.city FROM reader r JOIN loan l ON r.id = l.reader WHERE r.city = 'Köln' AND "
        "l.day "
        "> '2024-02-30'"
      ),
      (
        "SELECT r.city FROM reader r JOIN loan l ON r.id = l.reader WHERE r.city = 'Köln' AND "
        "l.day "
        ">= '2024-02-30'"
      ),
    ),
    (
      "SELECT author FROM book GROUP BY author HAVING COUNT(*) >= 57",
      "SELECT author FROM book GROUP BY author HAVING COUNT(*) > 57",
    ),
    (
      "SELECT DISTINCT title FROM book WHERE pages > 411",
      "SELECT DISTINCT title FROM book WHERE pages >= 411",
    ),
    (
      "SELECT title FROM book WHERE pages > (SELECT AVG(pages) FROM book)",
      "SELECT title FROM book WHERE pages >= (SELECT AVG(pages) FROM book)",
    ),
    (
      "SELECT MAX(price) FROM book WHERE pages < 100",
      "SELECT MAX(price) FROM book WHERE pages <= 100",
    ),
    (
      "SELECT text FROM note WHERE stars > 40 INTERSECT SELECT text FROM note WHERE stars < 30",
      "SELECT text FROM note WHERE stars > 40 INTERSECT SELECT text FROM note WHERE stars < 31",
    ),
    (
      "SELECT title FROM book b JOIN wish w ON b.isbn = w.isbn",
      "SELECT title FROM book b LEFT JOIN wish w ON b.isbn = w.isbn",
    ),
    (
      "SELECT isbn FROM loan l JOIN reader r ON l.reader = r.id",
      "SELECT isbn FROM loan l LEFT JOIN reader r ON l.reader = r.id",
    ),
    (
      (
        "SELECT id FROM reader WHERE id NOT IN (SELECT reader FROM loan UNION SELECT reader FROM "
        "wish)"
      ),
      "SELECT id FROM reader WHERE id NOT IN (SELECT reader FROM loan)",
    ),
    (
      "SELECT city FROM reader GROUP BY city ORDER BY COUNT(*) DESC LIMIT 1",
      "SELECT city FROM reader GROUP BY city ORDER BY COUNT(city) DESC LIMIT 1",
    ),
  ],
)
def test_near_misses_are_told_apart(library, tmp_path, query, near_miss):
  agreements = 0
  for path in make_instances(library, tmp_path, 6, seed=1, queries=[query]):
    with contextlib.closing(sqlite3.connect(path)) as c:
      agreements += sorted(c.execute(query).fetchall(), key=str) == sorted(
        c.execute(near_miss).fetchall(), key=str
      )
  assert agreements < 6


def test_rows_meet_all_conditions_of_a_query_and_all_but_each_one(library, tmp_path):
  conditions = ["a.born < '1931-05-06'", "b.pages = 417", "b.price >= 99.5", "b.title LIKE 'Gone%'"]
  query = "SELECT COUNT(*) FROM author a JOIN book b ON a.id = b.author WHERE "
  for path in make_instances(
    library, tmp_path, 4, seed=4, queries=[query + " AND ".join(conditions)]
  ):
    with contextlib.closing(sqlite3.connect(path)) as c:
      assert c.execute(query + " AND ".join(conditions)).fetchone()[0] > 0
      for i, condition in enumerate(conditions):
        others = " AND ".join(conditions[:i] + conditions[i + 1 :])
        assert c.execute(f"{query} {others} AND NOT ({condition})").fetchone()[0] > 0, condition


def test_for_queries_some_instances_hold_orphans_and_every_other_constraint(library, tmp_path):
  queries = [
    (
      "SELECT a.name FROM author a JOIN book b ON a.id = b.author WHERE b.pages > 300 AND a.born > "
      "'1960-01-01'"
    ),
    (
      "SELECT r.mail FROM reader r JOIN loan l ON r.id = l.reader JOIN book b ON b.isbn = l.isbn "
      "WHERE b.price < 7"
    ),
    "SELECT author FROM book GROUP BY author HAVING COUNT(*) > 20",
    "SELECT nothing FROM nowhere WHERE",
  ]
  schema = read_schema(library)
  orphans = []
  for path in make_instances(library, tmp_path / "with", 5, seed=2, queries=queries):
    with contextlib.closing(sqlite3.connect(path)) as c:
      assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
      orphans.append(len(c.execute("PRAGMA foreign_key_check").fetchall()))
      for table in schema.tables:
        for columns in () if table.is_view else (table.primary_key, *table.unique):
          filled = " AND ".join(f"{name} IS NOT NULL" for name in columns)
          sql = (
            f"SELECT COUNT(*) FROM {table.name} WHERE {filled} GROUP BY {', '.join(columns)} "
            "HAVING COUNT(*) > 1"
          )
          assert not columns or c.execute(sql).fetchall() == []
      assert c.execute(
        "SELECT COUNT(*) FROM author WHERE name IS NULL OR id IS NULL"
      ).fetchone() == (0,)
      assert c.execute(
        "SELECT COUNT(*) FROM book WHERE pages <= 0 OR author IS NULL"
      ).fetchone() == (0,)
  assert [count > 0 for count in orphans] == [False, True, False, True, False]
  for path in make_instances(
    library, tmp_path / "without", 5, seed=2, queries=queries, orphans=False
  ):
    with contextlib.closing(sqlite3.connect(path)) as c:
      assert c.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_same_seed_and_queries_give_the_same_rows_in_another_process(library, tmp_path):
  queries = [
    f"SELECT title FROM book WHERE pages > {100 + i} INTERSECT SELECT text FROM note"
    for i in range(20)
  ]
  paths = make_instances(library, tmp_path / "a", 5, seed=8, queries=queries)
  code = (
    "import sys; from spftsql_jax.databases import make_instances\n"
    "make_instances(sys.argv[1], sys.argv[2], 5, seed=8, queries=sys.argv[3:])"
  )
  # Another hash seed: the order of a set must not matter.
  environment = {**os.environ, "PYTHONHASHSEED": "77"}
  subprocess.run(
    [sys.executable, "-c", code, library, str(tmp_path / "b"), *queries],
    check=True,
    env=environment,
  )
  assert [dump(path) for path in paths] == [dump(tmp_path / "b" / path.name) for path in paths]


@pytest.mark.parametrize(
  ("operator", "values", "stored"),
  [
    *(
      (operator, (10,), [9, 10, 11, 10.5, -1, None])
      for operator in ("=", "<>", "<", "<=", ">", ">=")
    ),
    *(
      (operator, ("m",), ["a", "m", "M", "z", "", None])
      for operator in ("=", "<>", "<", "<=", ">", ">=")
    ),
    *(
      ("like", (pattern,), ["", "a", "ab", "xaby", "A%B", "a.b", None])
      for pattern in ("a%", "%a_%", "A%B", "a.b", "_")
    ),
    ("between", (3, 5), [2, 3, 4, 5, 6, None]),
    ("in", ("x", "y"), ["x", "y", "z", None]),
    ("null", (), [0, "", None]),
  ],
)
def test_conditions_hold_where_sqlite_says_so(operator, values, stored):
  text = {
    "null": "? IS NULL",
    "between": "? BETWEEN ? AND ?",
    "in": "? IN (?, ?)",
    "like": "? LIKE ?",
  }
  with contextlib.closing(sqlite3.connect(":memory:")) as c:
    for value in stored:
      (expected,) = c.execute(
        f"SELECT {text.get(operator, f'? {operator} ?')}", (value, *values)
      ).fetchone()
      assert literals.holds(operator, values, value) == bool(expected), value
