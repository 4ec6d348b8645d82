"""experiments/evaluate.py as users call it: contract of the output, exit codes, one-line errors."""

import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest
from forked import run_script
from shared_data import SHARED, needs_predictions

ROOT = pathlib.Path(__file__).parents[1]

EXAMPLES = [
  ("SELECT name FROM t ORDER BY x", "SELECT name FROM t ORDER BY x ASC\tshop"),
  ("SELECT COUNT(*) FROM t", "SELECT COUNT(x) FROM t"),
  ("SELECT x FROM t WHERE x > 100", "DELETE FROM t"),
  ("SELECT name FROM t WHERE x = 2", ""),
  ("SELECT nope FROM t", "SELECT 1"),
  ("SELECT x FROM t", "SELECT nope FROM t"),
  ("SELECT DISTINCT name FROM t", "SELECT name FROM t"),
  ("SELECT x FROM t", "SELECT x FROM t; SELECT 1"),
  ("SELECT x, name FROM t", "SELECT name, x FROM t"),
  (
    "SELECT x FROM t",
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r",
  ),
]


@pytest.fixture
def bench(tmp_path):
  folder = tmp_path / "database" / "shop"
  folder.mkdir(parents=True)
  for name, rows in (("shop", [("a", 1), ("b", 2), ("b", 3)]), ("shop_1", [("a", 1), ("b", None)])):
    with contextlib.closing(sqlite3.connect(folder / f"{name}.sqlite")) as connection:
      connection.execute("CREATE TABLE t (name TEXT, x INT)")
      connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
      connection.commit()
  records = [
    {"db_id": "shop", "question": f"q{i}", "query": gold} for i, (gold, _) in enumerate(EXAMPLES)
  ]
  (tmp_path / "dev.json").write_text(json.dumps(records))
  (tmp_path / "predicted.sql").write_text("".join(predicted + "\n" for _, predicted in EXAMPLES))
  return tmp_path


def evaluate(folder, *extra, **changed):
  flags = {
    "examples": folder / "dev.json",
    "predictions": folder / "predicted.sql",
    "databases": folder / "database",
  }
  flags |= {"comparison": "spider", "output": folder / "out.json", "timeout_s": 0.5}
  arguments = [f"--{name}={value}" for name, value in (flags | changed).items()]
  return run_script(ROOT / "experiments" / "evaluate.py", *arguments, *extra, cwd=folder)


def scores(folder):
  return json.loads((folder / "out.json").read_text())


def test_the_output_holds_verdicts_accuracy_and_divergences(bench):
  before = (bench / "database/shop/shop.sqlite").read_bytes()
  done = evaluate(bench)
  assert done.returncode == 0, done.stderr
  report = scores(bench)
  assert [entry["correct"] for entry in report["per_example"]] == [True, True] + [False] * 4 + [
    True,
    True,
    True,
    False,
  ]
  statuses = ["ok", "ok", "refused", "refused", "ok", "error", "ok", "ok", "ok", "timeout"]
  assert [entry["status"] for entry in report["per_example"]] == statuses
  assert [entry["index"] for entry in report["per_example"]] == list(range(10))
  assert (report["execution_accuracy"], report["count"]) == (0.5, 10)
  assert sum(level["count"] for level in report["by_hardness"].values()) == 10
  divergences = {entry["name"]: entry["indices"] for entry in report["divergences"]}
  assert all(
    entry["count"] == len(entry["indices"]) and entry["explanation"]
    for entry in report["divergences"]
  )
  assert divergences == {
    "refused_statement": [2],
    "blank_prediction": [3],
    "gold_failed": [4],
    "time_limit": [9],
  }
  assert (bench / "database/shop/shop.sqlite").read_bytes() == before


@pytest.mark.parametrize(
  ("comparison", "correct"),
  [("bird", [0, 1, 6, 7]), ("strict", [0, 1, 7])],
)
def test_other_comparisons(bench, comparison, correct):
  assert evaluate(bench, comparison=comparison).returncode == 0
  assert [entry["index"] for entry in scores(bench)["per_example"] if entry["correct"]] == correct


def test_all_measures(bench):
  assert evaluate(bench, comparison="bird", metrics="ex,ts,ves,r_ves,soft_f1").returncode == 0
  report = scores(bench)
  # COUNT(x) leaves out the NULL of the second instance.
  assert [entry["index"] for entry in report["per_example"] if entry["suite_correct"]] == [0, 6, 7]
  assert report["test_suite_accuracy"] == 0.3 and report["execution_accuracy"] == 0.4
  assert report["ves"] > 0 and 0 < report["r_ves"] <= 100 * 0.4 * 1.12
  assert 30 <= report["soft_f1"] < 100


def test_exact_match_by_component(bench):
  assert evaluate(bench, metrics="ex,em").returncode == 0
  report = scores(bench)
  assert [entry["index"] for entry in report["per_example"] if entry["exact_match"]] == [0, 6, 7, 8]
  assert report["exact_match"] == 0.4 and "exact_match" in report["by_hardness"]["easy"]
  assert report["per_example"][1]["differing_components"] == ["select", "select(no AGG)"]
  assert (
    report["partial_match"]["where"]["recall"] == 0.0
    and report["partial_match"]["select"]["accuracy"] > 0.5
  )
  # Without tables.json every question that the grammar reads is judged by the database's own keys;
  # the fifth is not read.
  divergences = {entry["name"]: entry["indices"] for entry in report["divergences"]}
  assert divergences["declared_foreign_keys"] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
  assert 4 in divergences["gold_not_read"] and 4 in divergences["gold_failed"]
  (bench / "tables.json").write_text(
    json.dumps(
      [
        {
          "db_id": "shop",
          "table_names_original": ["t"],
          "column_names_original": [[-1, "*"], [0, "name"], [0, "x"]],
          "foreign_keys": [],
        }
      ]
    )
  )
  assert evaluate(bench, metrics="em").returncode == 0
  assert "declared_foreign_keys" not in {entry["name"] for entry in scores(bench)["divergences"]}


def test_birds_json_of_predictions(bench):
  answers = {str(i): f"{sql}\t----- bird -----\tshop" for i, (_, sql) in enumerate(EXAMPLES) if sql}
  (bench / "predicted.json").write_text(json.dumps(answers))
  assert evaluate(bench, predictions=bench / "predicted.json").returncode == 0
  assert scores(bench)["execution_accuracy"] == 0.5


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    ({"examples": "absent.json"}, "absent.json"),
    ({"predictions": "absent.sql"}, "absent.sql"),
    ({"databases": "absent"}, "no such database"),
    ({"comparison": "loose"}, "comparison"),
    ({"metrics": "ex,bleu"}, "unknown measure 'bleu'"),
    ({"output": "absent/out.json"}, "no such folder"),
    ({"timeout_s": "-1"}, "timeout_s"),
    ({"unheard_of": "1"}, "unheard_of"),
    ({"examples": "broken.json"}, "broken.json:2"),
    ({"examples": "records.json"}, "record 1"),
    ({"predictions": "short.sql"}, "1 predictions for 10 examples"),
    ({"predictions": "broken.json"}, "broken.json:2"),
    ({"predictions": "far.json"}, "numbers below 10"),
    ({"predictions": "database"}, "a folder where a file is expected"),
    ({"tables": "absent.json", "metrics": "em"}, "absent.json"),
    ({"tables": "broken.json", "metrics": "em"}, "broken.json:2"),
    ({"tables": "empty.json", "metrics": "em"}, "no schema of database 'shop'"),
  ],
)
def test_bad_input_exits_2_with_one_line(bench, changed, message):
  (bench / "broken.json").write_text('[\n{"db_id": }]')
  (bench / "records.json").write_text(
    '[{"db_id": "shop", "question": "q", "query": "SELECT 1"}, {"db_id": "shop"}]'
  )
  (bench / "short.sql").write_text("SELECT 1\n")
  (bench / "far.json").write_text('{"99": "SELECT 1"}')
  (bench / "empty.json").write_text("[]")
  done = evaluate(bench, **changed)
  assert done.returncode == 2
  assert message in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
  assert not (bench / "out.json").exists()


def test_help_explains_the_command(bench):
  done = evaluate(bench, "--help")
  assert (
    done.returncode == 0
    and "--predictions" in done.stdout
    and "Scores predicted SQL" in done.stdout
  )


@needs_predictions
def test_spider_dev_agrees_with_the_official_evaluator(tmp_path):
  done = evaluate(
    tmp_path,
    examples=SHARED / "spider/dev.json",
    predictions=SHARED / "predictions/spider-dev/graphix-t5.txt",
    databases=SHARED / "spider/database",
    timeout_s=30,
  )
  assert done.returncode == 0, done.stderr
  recorded = json.loads((SHARED / "predictions/spider-dev/official_scores.json").read_text())[
    "execution_correct"
  ]["graphix-t5"]
  assert "".join("01"[entry["correct"]] for entry in scores(tmp_path)["per_example"]) == recorded


def test_evaluate_never_imports_jax(bench):
  (bench / "sitecustomize.py").write_text(
    "import sys; sys.modules['jax'] = sys.modules['torch'] = None"
  )
  flags = {
    "examples": "dev.json",
    "predictions": "predicted.sql",
    "databases": "database",
    "output": "out.json",
  }
  command = [
    sys.executable,
    str(ROOT / "experiments" / "evaluate.py"),
    *(f"--{k}={v}" for k, v in flags.items()),
  ]
  command += ["--metrics=ex,ts,em,ves,soft_f1", "--timeout_s=0.5"]
  environment = os.environ | {"PYTHONPATH": str(bench)}
  done = subprocess.run(
    command, capture_output=True, text=True, check=False, cwd=bench, env=environment
  )
  assert done.returncode == 0, done.stderr
