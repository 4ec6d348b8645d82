"""The value index: what it finds, and that it stays fast with many values."""

import contextlib
import random
import sqlite3
import subprocess
import sys
import time

import pytest

from spftsql_jax.databases import ValueIndex, open_database, values

VALUES = [
  ("singer", "country", "France"),
  ("singer", "country", "United States"),
  ("singer", "name", "O'Brien"),
  ("singer", "sex", "M"),
  ("country", "code", "AND"),
  ("country", "name", "Côte d'Ivoire"),
  ("song", "title", "Rock with You"),
  ("song", "genre", "rock"),
  ("city", "name", "San José"),
  ("city", "name", "Aberdeen "),
]


@pytest.mark.parametrize(
  ("question", "first"),
  [
    ("How many singers are from france?", ("singer", "country", "France")),
    ("singers of the UNITED STATES, please", ("singer", "country", "United States")),
    ("When was O'Brien born?", ("singer", "name", "O'Brien")),
    ("How many have sex M?", ("singer", "sex", "M")),
    ("people of Côte d'Ivoire", ("country", "name", "Côte d'Ivoire")),
    ("who sang rock with you", ("song", "title", "Rock with You")),
    ("flights to Aberdeen", ("city", "name", "Aberdeen ")),
    ("Is the country AND small?", ("country", "code", "AND")),
  ],
)
def test_a_mentioned_value_comes_first(question, first):
  match = ValueIndex(VALUES).search(question)[0]
  assert (match.table, match.column, match.value) == first and match.score == 1.0


@pytest.mark.parametrize(
  "question", ["How many singers are there and where?", "", "?!", "list the names and maximum ages"]
)
def test_what_is_not_mentioned_is_not_found(question):
  assert ValueIndex(VALUES).search(question) == []
  assert ValueIndex([]).search(question) == []


def test_build_reads_the_text_columns_of_a_database(tmp_path):
  path = tmp_path / "d.sqlite"
  with sqlite3.connect(path) as connection:
    connection.execute("CREATE TABLE t (id INT, city TEXT, prose TEXT)")
    connection.executemany(
      "INSERT INTO t VALUES (?, ?, ?)",
      [(i, city, "long " * 50) for i, city in enumerate(["Bonn", "Ulm", "Bonn", None])],
    )
  connection.close()
  with open_database(path) as database:
    index = ValueIndex.build(database)
  assert len(index) == 2
  assert [(m.column, m.value) for m in index.search("shops in bonn")] == [("city", "Bonn")]
  assert len(ValueIndex.build(path)) == 2


def test_a_question_takes_milliseconds_with_many_values():
  rng = random.Random(0)
  words = ["".join(rng.choices("abcdefghij", k=6)) for _ in range(5000)]
  values = [
    ("t", f"c{i % 9}", f"street {' '.join(rng.choices(words, k=2))} {i}") for i in range(100_000)
  ]
  index = ValueIndex(values)
  start = time.process_time()
  found = index.search(f"Which people live in {values[777][2]}?")
  assert time.process_time() - start < 0.2
  assert found[0].value == values[777][2]


def test_the_databases_wing_never_imports_jax():
  code = (
    "import sys, spftsql_jax.judging.metrics\n"
    "from spftsql_jax.databases import values, introspection\n"
    "from spftsql_jax.databases.execution import executor, worker, results\n"
    "from spftsql_jax.databases.instances import make, literals\n"
    "from spftsql_jax.databases.engines import duckdb, postgresql, sqlite\n"
    "sys.exit('jax' in sys.modules)"
  )
  assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_of_more_values_than_are_kept_columns_with_few_come_first(tmp_path, monkeypatch, caplog):
  path = tmp_path / "large.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE visit (ref TEXT, town TEXT)")
    rows = [(f"ref {i}", f"Town {i % 40}") for i in range(400)]
    connection.executemany("INSERT INTO visit VALUES (?, ?)", rows)
    connection.commit()
  monkeypatch.setattr(values, "MOST_VALUES", 100)
  index = values.ValueIndex.build(path)
  assert len(index) == 100
  assert [match.column for match in index.search("Who has been in Town 39?", 1)] == ["town"]
  assert "visit.ref (60)" in caplog.text and "visit.town" not in caplog.text
  monkeypatch.setattr(values, "READ_ROWS", 10)
  assert len(values.ValueIndex.build(path)) == 20, "of a large table some rows are read"
