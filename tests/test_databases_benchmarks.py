"""The benchmarks of the databases wing, small: that they run, and that what they report holds."""

import contextlib
import json
import pathlib
import sqlite3
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[1] / "experiments" / "benchmarks"


def run(name, output, *flags):
  command = [sys.executable, str(BENCHMARKS / name), f"--output={output}", *flags]
  done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
  assert done.returncode == 0, done.stderr
  return json.loads(output.read_text())


@pytest.fixture
def spider(tmp_path):
  """Examples over two databases, in the layout of the benchmarks."""
  examples = []
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / name / f"{name}.sqlite")) as connection:
      connection.executescript(
        "CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INT REFERENCES singer(singer_id), "
        "twice INT REFERENCES song(id));"
        "INSERT INTO singer VALUES (1, 'x'), (2, CAST(x'e3' AS TEXT)); INSERT INTO song VALUES (1, "
        "1, 1), (2, 1, 1);"
      )
    examples += [
      {"db_id": name, "question": "?", "query": f"SELECT * FROM {table}"}
      for table in ("singer", "song", "song")
    ]
  (tmp_path / "dev.json").write_text(json.dumps(examples))
  return [f"--databases={tmp_path}", f"--examples={tmp_path / 'dev.json'}"]


def test_five_thousand_statements_in_a_row_lose_nothing(tmp_path):
  report = run("million.py", tmp_path / "out.json", "--count=5000", "--batch=500", "--cache_mb=1")
  assert report["count"] == sum(report["statuses"].values()) == 5000
  assert (report["lost"], report["wrong"]) == (0, 0)
  assert {status.split(": ")[1] for status in report["statuses"]} >= {
    "ok",
    "error",
    "refused",
    "resource",
  }
  for who in ("parent_mb", "worker_mb"):
    assert report[who]["last_tenth"] - report[who]["first_tenth"] < 8


def test_the_rate_is_that_of_the_same_rows(tmp_path, spider):
  report = run("executor_rate.py", tmp_path / "out.json", "--repeat=5", "--rounds=2", *spider)
  assert report["statements"] == 30 and report["rows"] == 60
  assert set(report["ways"]) == {"bare", "fenced", "packed", "executor_1", "executor_2"}


def test_inferred_keys_are_counted_right(tmp_path, spider):
  report = run("inferred_keys.py", tmp_path / "out.json", *spider)["dev"]
  # song.twice cannot be told by its name.
  assert (report["databases"], report["declared"], report["inferred"]) == (2, 4, 2)
  assert (report["precision"], report["recall"]) == (1.0, 0.5)
  assert report["not_inferred"] == ["a: song(twice) to song(id)", "b: song(twice) to song(id)"]


def test_named_values_are_found(tmp_path):
  report = run("values_search.py", tmp_path / "out.json", "--values=5000", "--questions=40")
  assert (
    report["values"] == 5000
    and report["named_values_found"] == "20 of 20"
    and report["percentile_95_ms"] < 50
  )
