"""Synthesis as a whole.

Reproducible whatever the workers, verified by sqlite3 itself, and the launch script's contract.
"""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlglot
import synthesis_fixtures
from postgresql_server import running_server
from sqlglot import exp

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.judging.metrics import hardness
from spftsql_jax.questions.sentences import joints, strain
from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.balance import Balance, operators_of, reach_targets
from spftsql_jax.synthesis.normal_form import masked, normal_form
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.synthesize import reweight, synthesize

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("synthesize")
  synthesis_fixtures.make_database(folder, "bookshop")
  synthesis_fixtures.make_database(folder, "annexe")
  return folder


def paths(folder):
  return [folder / name / f"{name}.sqlite" for name in ("annexe", "bookshop")]


@pytest.fixture(scope="module")
def made(folder):
  return synthesize(paths(folder), pool.builtin_templates(), SynthesisOptions(240, seed=5))


def test_examples_run_have_rows_and_are_all_different(made, folder):
  assert len(made.examples) == 240 and not made.short
  assert Counter(example.db_id for example in made.examples) == {"annexe": 120, "bookshop": 120}
  for path in paths(folder):
    connection = sqlite3.connect(path)
    examples = [example for example in made.examples if example.db_id == path.stem]
    assert len({normal_form(example.query) for example in examples}) == len(examples)
    for example in examples:
      assert connection.execute(example.query).fetchall(), example.query
      assert example.question.strip() and example.source == "rules"
      assert example.tables and Template(example.skeleton).id == example.template
    connection.close()
  assert sum(made.templates.values()) == 240 and made.attempts >= 240


def test_same_seed_gives_the_same_examples_whatever_the_number_of_workers(made, folder):
  again = synthesize(
    paths(folder), pool.builtin_templates(), SynthesisOptions(240, seed=5, workers=2)
  )
  assert again.examples == made.examples
  assert again.rejections == made.rejections and again.attempts == made.attempts
  other = synthesize(paths(folder)[:1], pool.builtin_templates(), SynthesisOptions(40, seed=6))
  assert {e.query for e in other.examples} != {e.query for e in made.examples[:40]}


@pytest.mark.parametrize(
  ("values", "message"),
  [
    ({"num_examples": -1}, "not be negative"),
    ({"instances": -1}, "not be negative"),
    ({"workers": 0}, "at least 1"),
    ({"wordings": 0}, "at least 1"),
    ({"parts": 0}, "at least 1"),
    ({"shard": (2, 2)}, "no such shard"),
  ],
)
def test_options_out_of_their_range_are_refused(values, message):
  with pytest.raises(ValueError, match=message):
    SynthesisOptions(**{"num_examples": 1, "seed": 0, **values})


def test_workers_end_when_their_parent_is_killed(folder, tmp_path):
  script = tmp_path / "long.py"
  script.write_text(
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
    "from spftsql_jax.synthesis import pool\n"
    "from spftsql_jax.synthesis.options import SynthesisOptions\n"
    "from spftsql_jax.synthesis.synthesize import synthesize\n"
    "if __name__ == '__main__':\n"
    f"  synthesize([{str(paths(folder)[1])!r}], pool.builtin_templates(), "
    "SynthesisOptions(10**6, seed=0, workers=2))\n"
  )
  started = subprocess.Popen([sys.executable, script])
  children: list[int] = []
  deadline = time.monotonic() + 60
  # Two workers and a resource tracker.
  while len(children) < 3 and started.poll() is None and time.monotonic() < deadline:
    time.sleep(0.1)
    children = [
      int(pid)
      for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    ]
  time.sleep(1.0)
  started.send_signal(signal.SIGKILL)
  started.wait()
  assert len(children) == 3
  deadline = time.monotonic() + 60
  while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
    time.sleep(0.1)
  assert not [pid for pid in children if _alive(pid)]


def _alive(pid: int) -> bool:
  stat = Path(f"/proc/{pid}/stat")
  return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_every_table_of_interest_is_reached(made):
  tables = Counter(table for example in made.examples for table in example.tables)
  assert {"author", "book", "book_author", "copy", "country", "shelf", "weather"} <= set(tables)


def test_excluded_queries_are_not_made_again(made, folder):
  taken = [example.query.replace("SELECT", "select  ") for example in made.examples]
  again = synthesize(
    paths(folder)[:1], pool.builtin_templates(), SynthesisOptions(60, seed=5, exclude=tuple(taken))
  )
  forms = {normal_form(query) for query in taken}
  assert not forms & {normal_form(example.query) for example in again.examples}
  assert again.rejections["in the evaluation set"] > 20


def test_a_database_with_no_more_to_give_comes_up_short_and_says_so(folder):
  templates = [WeightedTemplate(Template.parse("SELECT COUNT(a.*)"))]
  made = synthesize(paths(folder)[:1], templates, SynthesisOptions(50, seed=0))
  assert 5 <= len(made.examples) <= 7, "one for each table"
  assert made.short == {"annexe": 50 - len(made.examples)} and made.rejections["duplicate"] > 500


def test_failed_templates_weigh_more_up_to_the_cap():
  templates = [
    WeightedTemplate(Template.parse(text), 2.0)
    for text in ("SELECT a.num1", "SELECT a.text1", "SELECT a.date1")
  ]
  first, second, third = (item.template.id for item in templates)
  weights = {
    item.template.id: item.weight for item in reweight(templates, {first: 9, second: 1}, cap=2.5)
  }
  assert weights[first] == pytest.approx(5.0), "capped at 2.5 times"
  assert weights[second] == pytest.approx(2.0 * 1.2)
  assert weights[third] == 2.0
  assert reweight(templates, {}) == templates


def run_script(*arguments: str) -> subprocess.CompletedProcess:
  script = REPOSITORY / "experiments" / "synthesize.py"
  return subprocess.run(
    [sys.executable, str(script), *arguments],
    capture_output=True,
    text=True,
    timeout=400,
    check=False,
  )


def test_launch_script_writes_json_lines_and_a_summary(folder, tmp_path):
  seeds = tmp_path / "seeds.json"
  queries = [
    "SELECT title FROM book WHERE pages > 300",
    "SELECT T1.name, COUNT(*) FROM author AS T1 JOIN book_author AS T2"
    # fmt: skip
    " ON T1.id = T2.author_id GROUP BY T1.id",
    "SELECT genre, AVG(price) FROM book GROUP BY genre",
  ]
  seeds.write_text(
    json.dumps([{"db_id": "bookshop", "question": "?", "query": query} for query in queries])
  )
  output = tmp_path / "out.jsonl"
  done = run_script(
    f"--databases={folder}",
    f"--seed_examples={seeds}",
    "--num_examples=30",
    "--workers=1",
    f"--output={output}",
  )
  assert done.returncode == 0, done.stderr
  records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
  summary = json.loads(done.stdout.strip().splitlines()[-1])
  assert summary["examples"] == len(records) == 30 and summary["templates"] == 3
  for record in records:
    assert {"db_id", "query", "question", "template", "tables", "columns"} <= set(record)


def test_killed_run_goes_on_and_ends_with_the_same_bytes(folder, tmp_path):
  arguments = [f"--databases={folder}", "--num_examples=260", "--workers=1", "--seed=3"]
  whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
  assert run_script(*arguments, f"--output={whole}").returncode == 0
  script = REPOSITORY / "experiments" / "synthesize.py"
  started = subprocess.Popen(
    [sys.executable, str(script), *arguments, f"--output={cut}"], stdout=subprocess.DEVNULL
  )
  record = tmp_path / "cut.jsonl.record"
  deadline = time.monotonic() + 120
  while time.monotonic() < deadline and not (
    record.is_file() and record.read_text(encoding="utf-8").count("\n") > 2
  ):
    time.sleep(0.02)
  started.send_signal(signal.SIGKILL)
  started.wait()
  assert not cut.exists(), "killed before its end"
  kept = record.read_text(encoding="utf-8")
  record.write_text(kept[:-40], encoding="utf-8")  # As if the kill had torn the last line.
  done = run_script(*arguments, f"--output={cut}", "--workers=2")
  assert done.returncode == 0, done.stderr
  assert cut.read_bytes() == whole.read_bytes() and not record.exists()


def test_shards_together_make_what_one_run_makes(folder):
  whole = synthesize(paths(folder), pool.builtin_templates(), SynthesisOptions(90, seed=4, parts=2))
  shards = [
    synthesize(
      paths(folder), pool.builtin_templates(), SynthesisOptions(90, seed=4, parts=2, shard=(i, 3))
    )
    for i in range(3)
  ]
  together = [example for shard in shards for example in shard.examples]
  assert all(len(shard.examples) < 90 for shard in shards)
  assert sorted(map(repr, together)) == sorted(map(repr, whole.examples)) and len(together) == 90
  forms = Counter((e.db_id, normal_form(e.query)) for e in together)
  assert max(forms.values()) == 1, "parts have no query in common"


def test_every_column_with_values_is_reached(folder):
  made = synthesize(
    paths(folder)[1],
    pool.builtin_templates(),
    SynthesisOptions(250, seed=1, balance=Balance(aim="reach")),
  )
  schema = read_schema(str(paths(folder)[1]))
  columns = {f"{table.name}.{column.name}" for table in schema.tables for column in table.columns}
  assert columns == {column for example in made.examples for column in example.columns}


def test_balanced_columns_come_about_equally_often(folder):
  def spread(aim: str) -> float:
    made = synthesize(
      paths(folder)[1],
      pool.builtin_templates(),
      SynthesisOptions(300, seed=1, balance=Balance(aim=aim)),
    )
    counts = Counter(column for example in made.examples for column in example.columns)
    return max(counts.values()) / statistics.quantiles(counts.values(), n=4)[0]

  assert spread("columns") < 0.7 * spread("reach")


def test_half_of_the_queries_over_linked_tables_are_over_several(folder):
  made = synthesize(paths(folder)[1], pool.builtin_templates(), SynthesisOptions(300, seed=1))
  trees = [sqlglot.parse_one(example.query, read="sqlite") for example in made.examples]
  several = sum(len({t.name.lower() for t in tree.find_all(exp.Table)}) > 1 for tree in trees)
  assert several >= 0.45 * len(trees)


def test_no_more_hangs_on_one_another_than_in_questions_of_people(made):
  assert max(joints(example.question) for example in made.examples) == 3
  hard = [strain(example.question) for example in made.examples]
  assert max(hard) == 4
  assert sum(each > 2 for each in hard) < 0.35 * len(hard)  # 24 % of people's.


def test_targets_for_operators_and_hardness_are_met(folder):
  balance = Balance(
    operators={"join": 0.5, "group": 0.25},
    hardness={"easy": 0.3, "medium": 0.3, "hard": 0.3, "extra": 0.1},
  )
  weighted = reach_targets(pool.builtin_templates(), balance, hardness)
  total = sum(item.weight for item in weighted)
  join = sum(item.weight for item in weighted if "join" in operators_of(item.template.text)) / total
  assert join == pytest.approx(0.5, abs=0.01)
  made = synthesize(
    paths(folder)[1],
    pool.builtin_templates(),
    SynthesisOptions(300, seed=1, balance=balance, hardness_of=hardness),
  )
  shares = {
    name: count / 300 for name, count in Counter(hardness(e.query) for e in made.examples).items()
  }
  assert shares["easy"] == pytest.approx(0.3, abs=0.1) and shares["hard"] == pytest.approx(
    0.3, abs=0.1
  )
  assert sum(" JOIN " in e.query for e in made.examples) / 300 == pytest.approx(0.5, abs=0.12)
  with pytest.raises(ValueError, match="'like'"):
    reach_targets(pool.builtin_templates()[:1], Balance(operators={"like": 0.5}))


def test_queries_that_differ_from_excluded_ones_in_their_values_only_are_not_made(made, folder):
  taken = [example.query for example in made.examples]
  again = synthesize(
    paths(folder)[:1],
    pool.builtin_templates(),
    SynthesisOptions(60, seed=5, exclude=tuple(taken), exclude_masked=True),
  )
  taken_forms = {masked(normal_form(query)) for query in taken}
  assert not taken_forms & {masked(normal_form(example.query)) for example in again.examples}


def test_launch_script_writes_a_dataset(folder, tmp_path):
  datasets = pytest.importorskip("datasets")
  arguments = [f"--databases={folder}/bookshop/bookshop.sqlite", "--num_examples=30", "--workers=1"]
  done = run_script(*arguments, f"--output={tmp_path / 'set'}")
  assert done.returncode == 0, done.stderr
  assert run_script(*arguments, f"--output={tmp_path / 'set.jsonl'}").returncode == 0
  lines = (tmp_path / "set.jsonl").read_text(encoding="utf-8").splitlines()
  assert datasets.load_from_disk(str(tmp_path / "set")).to_list() == [
    json.loads(line) for line in lines
  ]


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--num_examples=3"], "databases"),
    (["--databases=/nowhere", "--output=x.jsonl"], "/nowhere"),
    (
      ["--databases={folder}", "--output={folder}/x.jsonl", "--seed_examples=/nowhere.json"],
      "/nowhere.json",
    ),
    (
      ["--databases={folder}", "--output={folder}/x.jsonl", "--seed_examples={folder}/broken.json"],
      "broken.json:1: record 0",
    ),
    (["--databases={folder}/broken.sqlite", "--output={folder}/x.jsonl"], "broken.sqlite"),
    (["--databases={folder}", "--output=/nowhere/x.jsonl"], "/nowhere"),
    (["--databases={folder}", "--output={folder}/x.jsonl", "--shard=3/3"], "--shard=3/3"),
    (["--databases={folder}", "--output={folder}/x.jsonl", "--balance=speed"], "--balance=speed"),
  ],
)
def test_launch_script_ends_in_one_clear_line_on_bad_input(arguments, words, folder):
  (folder / "broken.json").write_text('[{"db_id": "bookshop"}]')
  (folder / "broken.sqlite").write_text(
    "this is no database, only text that is long enough to be taken for one" * 20
  )
  done = run_script(*[argument.replace("{folder}", str(folder)) for argument in arguments])
  assert done.returncode == 2
  assert words in done.stderr and "Traceback" not in done.stderr
  assert len(done.stderr.strip().splitlines()) == 1


def test_duckdb_gets_queries_that_duckdb_runs(folder, tmp_path):
  duckdb = pytest.importorskip("duckdb")
  path = tmp_path / "bookshop.duckdb"
  source = sqlite3.connect(paths(folder)[1])
  with duckdb.connect(str(path)) as target:
    for statement in synthesis_fixtures.SCHEMA.split(";")[:-1]:
      target.execute(statement)
    for name in ("country", "author", "book", "book_author", "shelf", "copy", "weather"):
      rows = source.execute(f"SELECT * FROM {name}").fetchall()
      target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
  source.close()
  made = synthesize(f"duckdb:///{path}", pool.builtin_templates(), SynthesisOptions(60, seed=2))
  assert len(made.examples) == 60 and not made.rejections["fails"]
  with duckdb.connect(str(path), read_only=True) as connection:
    for example in made.examples:
      assert connection.execute(example.query).fetchall(), example.query


def test_postgresql_gets_queries_that_postgresql_runs(folder):
  psycopg = pytest.importorskip("psycopg")
  tills = (
    'CREATE TABLE "Till" ("TillNo" INTEGER PRIMARY KEY, "Opened" DATE, "Open" BOOLEAN, "Takings" '
    "REAL);"
  )
  with running_server(synthesis_fixtures.SCHEMA + tills) as server:
    source = sqlite3.connect(paths(folder)[1])
    with psycopg.connect(server.admin, autocommit=True) as target:
      for name in ("country", "author", "book", "shelf", "book_author", "copy", "weather"):
        rows = source.execute(f"SELECT * FROM {name}").fetchall()
        rows = [(*row[:5], bool(row[5]), row[6]) for row in rows] if name == "book" else rows
        target.cursor().executemany(
          f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows
        )
      target.execute(
        "INSERT INTO \"Till\" SELECT i, DATE '2020-01-01' + i, i % 3 = 0, i / 7.0 FROM "
        "generate_series(1, 60) AS i"
      )
    source.close()
    made = synthesize(
      server.reader,
      pool.builtin_templates(),
      SynthesisOptions(80, seed=2, balance=Balance(aim="columns")),
    )
    assert len(made.examples) == 80 and not made.rejections["fails"]
    assert {"Till.Open", "Till.Takings", "book.in_print"} <= {
      column for e in made.examples for column in e.columns
    }
    with psycopg.connect(server.reader) as connection:
      for example in made.examples:
        assert connection.execute(example.query).fetchall(), example.query
        assert not re.search(r"\d\.\d{7}", example.query), "no spelled-out single precision"


def test_keys_that_nothing_declares_are_joined_along(tmp_path):
  path = tmp_path / "plain.sqlite"
  with sqlite3.connect(path) as connection:
    connection.execute("CREATE TABLE customers (customer_id INTEGER, name TEXT, city TEXT)")
    connection.execute("CREATE TABLE orders (order_id INTEGER, customer_id INTEGER, amount REAL)")
    connection.executemany(
      "INSERT INTO customers VALUES (?, ?, ?)", [(i, f"Ann {i}", "XYZ"[i % 3]) for i in range(40)]
    )
    connection.executemany(
      "INSERT INTO orders VALUES (?, ?, ?)", [(i, i * 7 % 40, (i * 37 % 91) / 2) for i in range(90)]
    )
  connection.close()

  def joins(infer_keys: bool) -> int:
    options = SynthesisOptions(80, seed=1, infer_keys=infer_keys)
    made = synthesize(path, pool.builtin_templates(), options)
    return sum(" JOIN " in example.query for example in made.examples)

  assert joins(False) == 0 and joins(True) >= 10


def test_templates_of_ours_are_not_filled_with_what_is_seldom_asked(tmp_path):
  """The sum of what a link leads to counts some rows twice.

  It is left to sources that really ask for it.
  """
  path = tmp_path / "staff.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript("""
      CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);
      CREATE TABLE firm (id INTEGER PRIMARY KEY, title TEXT, assets INTEGER);
      CREATE TABLE job (person_id INTEGER REFERENCES person (id),
        firm_id INTEGER REFERENCES firm (id));
    """)
    connection.executemany(
      "INSERT INTO person VALUES (?, ?)", [(i, f"Person {i}") for i in range(12)]
    )
    connection.executemany(
      "INSERT INTO firm VALUES (?, ?, ?)", [(i, f"Firm {i}", 7 * i + 3) for i in range(9)]
    )
    connection.executemany(
      "INSERT INTO job VALUES (?, ?)", [(i % 12, (i * 5) % 9) for i in range(30)]
    )
  connection.close()
  summed = Template.parse("SELECT a.name1, SUM(b.num2) GROUP BY a.key3")
  ours = [item for item in pool.builtin_templates() if item.template == summed]
  plain = WeightedTemplate(Template.parse("SELECT a.name1"), 1.0)
  assert len(ours) == 1
  made = synthesize(path, [ours[0], plain], SynthesisOptions(12, seed=0))
  assert made.examples and not any(
    "SUM(" in example.query and "JOIN" in example.query for example in made.examples
  )
  # A template that differs from all of ours comes from a source, whose habits are kept.
  habit = WeightedTemplate(
    Template.parse("SELECT a.name1, SUM(b.num2), COUNT(b.*) GROUP BY a.key3"), 1.0
  )
  assert habit.template not in {item.template for item in pool.builtin_templates()}
  kept = synthesize(path, [habit, plain], SynthesisOptions(12, seed=0))
  assert any("SUM(" in example.query and "JOIN" in example.query for example in kept.examples)
