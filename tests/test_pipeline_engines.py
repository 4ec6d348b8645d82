"""The whole method on databases of several engines in one run: an SQLite folder, a DuckDB file, a
PostgreSQL database.
"""

import dataclasses
import json
import subprocess
import sys

import psycopg
import pytest
import tiny_runs
from tiny_runs import EXPERIMENTS, quiet, short_tokenizer, tiny_config

from spftsql_jax.databases import make_instances, search_path
from spftsql_jax.databases.instances import private_server
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.pipeline import databases as run_databases
from spftsql_jax.pipeline import run

sys.path.insert(0, str(EXPERIMENTS / "benchmarks"))

import dialect_copies

demo = tiny_runs.demo  # a fixture
SCHEMA = "SELECT 1"
DIALECTS = {"clinic": "sqlite", "library": "duckdb", "festival": "postgres"}


@pytest.fixture(scope="module")
def mixed(demo, server, tmp_path_factory):
  """(data folder, places of the databases): the demo data, its databases in three engines."""
  root = tmp_path_factory.mktemp("mixed")
  (root / "clinic").symlink_to(demo / "clinic")
  dialect_copies.copy_to_duckdb(
    demo / "library" / "library.sqlite", root / "more" / "library" / "library.duckdb"
  )
  with psycopg.connect(server.admin, autocommit=True) as connection:
    connection.execute("CREATE DATABASE festival")
  with psycopg.connect(server.admin.replace("/shop", "/festival"), autocommit=True) as connection:
    dialect_copies.copy_to_postgresql(demo / "festival" / "festival.sqlite", connection)
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
  schemas = {db_id: read_schema(str(demo / db_id / f"{db_id}.sqlite")) for db_id in DIALECTS}
  for name in ("seeds", "test"):
    examples = []
    for example in json.loads((demo / f"{name}.json").read_text()):
      db_id, query = example["db_id"], example["query"]
      if DIALECTS[db_id] != "sqlite":
        query = dialect_copies.translate(query, schemas[db_id], DIALECTS[db_id])
      # sqlglot writes this function of SQLite's as it is.
      if "JULIANDAY" not in query or DIALECTS[db_id] == "sqlite":
        examples.append(example | {"query": query})
    (root / f"{name}.json").write_text(json.dumps(examples))
  url = server.reader.replace("/shop", "/festival")
  return root, [str(root), str(root / "more"), url]


@pytest.mark.skipif(
  private_server.server_binaries() is None, reason="no PostgreSQL server programs"
)
def test_a_run_over_three_engines_judges_on_neighbours_of_each(
  mixed, tmp_path, monkeypatch, caplog
):
  root, places = mixed
  config = tiny_config(str(root))
  config = dataclasses.replace(
    config,
    data=dataclasses.replace(config.data, databases=",".join(places)),
    self_play=dataclasses.replace(config.self_play, baselines=(), iterations=1),
    vbi_ft=dataclasses.replace(config.vbi_ft, rounds=1),
  )
  short_tokenizer(monkeypatch)
  found = []

  def noted(*arguments, **named):
    found.append(make_instances(*arguments, **named))
    return found[-1]

  monkeypatch.setattr(run_databases, "make_instances", noted)
  try:
    results = run.run(config, tmp_path / "run", say=quiet)
  finally:
    private_server.stop_server(tmp_path / "run" / "instances")
  assert [row["stage"] for row in results["table"]] == ["base", "sft", "vbi_ft", "self_play"]
  assert [len(instances) for instances in found] == [2, 2, 2]
  assert "judges alone" not in caplog.text and "stands in" not in caplog.text
  data = (tmp_path / "run" / "data").glob("*.jsonl")
  lines = [json.loads(line) for file in data for line in file.read_text().splitlines()]
  assert {line["db_id"] for line in lines if "template" in line} == set(DIALECTS)
  assert not list((tmp_path / "run" / "instances").glob(".postgresql_*"))


@pytest.mark.parametrize("comparison", ["spider", "bird", "strict"])
def test_every_measure_is_taken_on_every_engine(mixed, tmp_path, comparison):
  root, places = mixed
  examples = json.loads((root / "test.json").read_text())
  predictions = tmp_path / "predicted.sql"
  predictions.write_text("".join(" ".join(e["query"].split()) + "\n" for e in examples))
  output = tmp_path / "scores.json"
  done = subprocess.run(
    [
      sys.executable,
      EXPERIMENTS / "evaluate.py",
      f"--examples={root / 'test.json'}",
      f"--predictions={predictions}",
      f"--databases={','.join(places)}",
      f"--comparison={comparison}",
      "--metrics=ex,ts,em,ves,r_ves,soft_f1",
      "--timing_runs=1",
      f"--output={output}",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  report = json.loads(output.read_text())
  assert report["execution_accuracy"] == report["test_suite_accuracy"] == 1.0
  readable = [e for e in report["per_example"] if e["exact_match"]]
  assert {examples[e["index"]]["db_id"] for e in readable} == set(DIALECTS)


def test_further_duckdb_files_beside_one_are_its_suite(mixed, tmp_path):
  root, _ = mixed
  folder = tmp_path / "databases" / "library"
  folder.mkdir(parents=True)
  source = root / "more" / "library" / "library.duckdb"
  (folder / "library.duckdb").symlink_to(source)
  query = "SELECT COUNT(*) FROM loan"
  (made,) = make_instances(source, tmp_path / "made", 1, seed=0)
  (folder / "other.duckdb").symlink_to(made)
  (tmp_path / "examples.json").write_text(
    json.dumps([{"db_id": "library", "question": "How many loans?", "query": query}])
  )
  wrong = "SELECT 1700"
  (tmp_path / "predicted.sql").write_text(wrong + "\n")
  done = subprocess.run(
    [
      sys.executable,
      EXPERIMENTS / "evaluate.py",
      f"--examples={tmp_path / 'examples.json'}",
      f"--predictions={tmp_path / 'predicted.sql'}",
      f"--databases={tmp_path / 'databases'}",
      "--comparison=strict",
      "--metrics=ex,ts",
      f"--output={tmp_path / 'scores.json'}",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  report = json.loads((tmp_path / "scores.json").read_text())
  assert (report["execution_accuracy"], report["test_suite_accuracy"]) == (1.0, 0.0)


def test_folders_hold_files_of_either_engine_and_sqlite_s_comes_first(mixed, tmp_path):
  root, _ = mixed
  for name, file in (("a", "a.sqlite"), ("a", "a.duckdb"), ("b", "b.duckdb"), ("c", "x.duckdb")):
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / name / file).touch()
  places = search_path.database_places(str(tmp_path))
  assert search_path.all_databases(places) == ["a", "b"]
  assert search_path.find_database(places, "a") == str(tmp_path / "a" / "a.sqlite")
  assert search_path.find_database(places, "b") == str(tmp_path / "b" / "b.duckdb")
  assert search_path.databases_in(tmp_path / "b") == [str(tmp_path / "b" / "b.duckdb")]
  with pytest.raises(FileNotFoundError, match=r"\.sqlite or \.duckdb"):
    search_path.find_database(places, "c")
  assert search_path.databases_in(root) == [str(root / "clinic" / "clinic.sqlite")]


def test_synthesize_takes_the_three_at_once(mixed, tmp_path):
  _, places = mixed
  done = subprocess.run(
    [
      sys.executable,
      EXPERIMENTS / "synthesize.py",
      f"--databases={','.join(places)}",
      "--num_examples=30",
      "--seed=0",
      "--workers=1",
      f"--output={tmp_path / 'examples.jsonl'}",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout.splitlines()[-1])["examples"] == 30
  lines = (tmp_path / "examples.jsonl").read_text().splitlines()
  assert {json.loads(line)["db_id"] for line in lines} == set(DIALECTS)
  assert "not supported" not in done.stderr, "no warnings of what is only compared"
