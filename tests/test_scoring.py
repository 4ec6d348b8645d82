"""Scoring: what workers judge themselves is what comes out where rows are fetched and compared
here.
"""

import contextlib
import dataclasses
import json
import sqlite3

import pytest
from shared_data import SHARED, needs_predictions

from spftsql_jax.databases import Executor
from spftsql_jax.judging import pool, scoring
from spftsql_jax.judging.divergences import DIVERGENCES
from spftsql_jax.judging.executed import text_key
from spftsql_jax.judging.judge import Pair
from spftsql_jax.sql import statements

FLOOD = (
  "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT {}) SELECT x, "
  "hex(zeroblob(20)) FROM r"
)
PAIRS = [
  ("SELECT name, x FROM t", "SELECT name, x FROM t"),
  ("SELECT name, x FROM t", "select  NAME , x from T;"),
  ("SELECT name, x FROM t", "SELECT x, name FROM t"),
  ("SELECT name, x FROM t ORDER BY x", "SELECT name, x FROM t ORDER BY x DESC"),
  ("SELECT count(*) FROM t", "SELECT count(x) FROM t"),
  ("SELECT count(*) FROM t", "SELECT 3"),
  ("SELECT x FROM t WHERE x > 1", "SELECT x FROM t WHERE x >= 2"),
  ("SELECT x FROM t WHERE x > 900", "SELECT name FROM t WHERE x > 900"),
  ("SELECT x FROM t", "SELECT x * 1.0 FROM t"),
  ("SELECT nope FROM t", "SELECT x FROM t"),
  ("SELECT x FROM t", "SELECT nope FROM t"),
  ("SELECT x FROM t", "DELETE FROM t"),
  ("SELECT x FROM t", ""),
  (
    "SELECT x FROM t",
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
  ),
  # More bytes than a worker compares, equal and not.
  (FLOOD.format(200_000), FLOOD.format(200_000).replace("x, hex", "x , hex") + " ORDER BY 1"),
  (FLOOD.format(200_000), FLOOD.format(200_001)),
]


@pytest.fixture(scope="module")
def instances(tmp_path_factory):
  folder = tmp_path_factory.mktemp("shop")
  for i, rows in enumerate(
    ([("a", 1), ("b", 2), ("b", 3)], [("a", 1), ("b", None), ("c", 2.5)], [])
  ):
    with contextlib.closing(sqlite3.connect(folder / f"shop_{i}.sqlite")) as connection:
      connection.execute("CREATE TABLE t (name TEXT, x)")
      connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
      connection.commit()
  return [str(folder / f"shop_{i}.sqlite") for i in range(3)]


def plain(verdict):
  """Without what may differ: rows, times, and how far a statement got before it was stopped."""
  gold, predicted = (
    dataclasses.replace(r, rows=(), seconds=0.0) for r in (verdict.gold, verdict.predicted)
  )
  return dataclasses.replace(verdict, gold=gold, predicted=predicted)


@pytest.mark.parametrize("suite", [False, True])
@pytest.mark.parametrize("comparison", ["spider", "bird", "strict"])
def test_workers_judge_as_rows_are_compared_here(instances, comparison, suite):
  with Executor(workers=2) as executor:
    judged, compared = (
      scoring.score_predictions(
        PAIRS, [instances] * len(PAIRS), executor, comparison, 3.0, suite=suite, keep_rows=keep_rows
      )
      for keep_rows in (False, True)
    )
  assert [plain(v) for v in judged] == [plain(v) for v in compared]
  assert {v.divergence for v in judged} == {
    "",
    "gold_failed",
    "refused_statement",
    "blank_prediction",
    "time_limit",
  }
  assert all(not v.gold.rows and not v.predicted.rows for v in judged) and compared[0].gold.rows


def test_a_pair_that_ends_its_worker_is_judged_all_the_same(instances, monkeypatch):
  pairs = [Pair("SELECT x FROM t", f"SELECT {i}", tuple(instances[:1])) for i in range(3)]
  with Executor(workers=1) as executor:
    monkeypatch.setattr(executor, "run_jobs", lambda jobs, progress: [None] * len(jobs))
    assert pool.judge(pairs, executor, "strict", 1.0, 100) == {}
    verdicts = scoring.score_predictions(
      [("SELECT x FROM t", "SELECT x FROM t WHERE 1")], [instances[:1]], executor
    )
  assert [v.correct for v in verdicts] == [True]


def test_a_worker_that_is_killed_while_it_judges_is_replaced(instances):
  # One call of a function that compares for hours, which SQLite does not interrupt.
  stubborn = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || '1')"
  pairs = [("SELECT 1", stubborn), ("SELECT count(*) FROM t", "SELECT 3")]
  with Executor(workers=1) as executor:
    verdicts = scoring.score_predictions(pairs, [instances[:1]] * 2, executor, timeout_s=1.0)
  assert [(v.correct, v.divergence) for v in verdicts] == [(False, "time_limit"), (True, "")]
  assert "killed" in verdicts[0].message


def test_text_that_is_not_utf8_is_a_named_divergence_from_birds_script(tmp_path):
  path = str(tmp_path / "latin.sqlite")
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE t (name TEXT)")
    connection.execute("INSERT INTO t VALUES (CAST(x'4a6f73e9' AS TEXT))")
    connection.commit()
  pairs = [
    ("SELECT name FROM t", "SELECT name FROM t WHERE 1"),
    ("SELECT count(*) FROM t", "SELECT 1"),
  ]
  for comparison, divergences in (("bird", ["not_utf8", ""]), ("spider", ["", ""])):
    with Executor(workers=1) as executor:
      verdicts = scoring.score_predictions(pairs, [[path]] * 2, executor, comparison)
    assert [(v.correct, v.divergence, v.message) for v in verdicts] == [
      (True, each, "") for each in divergences
    ]


@needs_predictions
def test_text_keys_are_those_of_the_token_reader():
  texts = [
    e["query"]
    for name in ("dev", "train_spider")
    for e in json.loads((SHARED / f"spider/{name}.json").read_text())
  ]
  fast = {}
  for text in texts:
    fast.setdefault(text_key(text), set()).add(statements.same_text_key(text))
  assert all(len(keys) == 1 for keys in fast.values())
  assert len(fast) == len({statements.same_text_key(text) for text in texts}) < len(set(texts))


@pytest.mark.parametrize(
  ("one", "other", "same"),
  [
    ("SELECT count(*) FROM t", "select COUNT ( * )\n from T ;", True),
    ("SELECT a,b FROM t -- so", "SELECT a , b FROM t", True),
    ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'", False),
    ("SELECT a FROM t WHERE b = 'a  b'", "SELECT a FROM t WHERE b = 'a b'", False),
    ("SELECT x'00'", "SELECT x '00'", False),
    ("SELECT 'it''s A'", "SELECT 'it''s a'", False),
    ("SELECT 'A", "SELECT 'a", False),
    ("SELECT - -1", "SELECT --1", False),
    ("SELECT a b FROM t", "SELECT ab FROM t", False),
  ],
)
def test_text_keys_are_the_same_only_where_nothing_but_space_and_case_differs(one, other, same):
  assert (text_key(one) == text_key(other)) == same


def test_a_sort_that_would_spill_into_files_gives_what_sqlite_gives(instances):
  sql = (
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 300000), "
    "s AS (SELECT (x * 7919) % 300007 AS k, hex(zeroblob(50)) AS filler FROM r ORDER BY k LIMIT "
    "299999) "
    "SELECT count(*), sum(k), min(length(filler)) FROM s"
  )
  with contextlib.closing(sqlite3.connect(instances[0])) as connection:
    expected = tuple(connection.execute(sql).fetchall())
  with Executor(workers=1) as executor:
    results = executor.execute_many(
      [(instances[0], sql), (instances[0], "SELECT count(*) FROM t")], timeout_s=20
    )
  assert [(r.status, r.rows) for r in results] == [("ok", expected), ("ok", ((3,),))]


def score(queries, location, comparison="spider", **options):
  with Executor(workers=1) as executor:
    return scoring.score_predictions(
      queries, [[location]] * len(queries), executor, comparison, 5.0, **options
    )


# Gold texts that run as the same query and differ in what Spider's script reads from them; and
# predictions likewise.
ORDER_GOLD = [
  "SELECT name, x FROM t ORDER BY x",
  "SELECT name, x FROM t ORDER  BY x",
  "SELECT name, x FROM t ORDER\nBY x",
  "SELECT name, x FROM t order /* so */ by x",
]
VALUE_PREDICTIONS = [
  "SELECT value FROM v",
  "SELECT Value FROM v",
  "SELECT VALUE FROM v",
  "SELECT 1 FROM v",
]


@pytest.fixture(scope="module")
def with_values(tmp_path_factory):
  path = tmp_path_factory.mktemp("values") / "v.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE v (value INTEGER)")
    connection.executemany("INSERT INTO v VALUES (?)", [(5,), (7,)])
    connection.execute("CREATE TABLE t (name TEXT, x)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [("a", 1), ("b", 2), ("c", 3)])
    connection.commit()
  return str(path)


@pytest.mark.parametrize("keep_rows", [False, True])
@pytest.mark.parametrize("comparison", ["spider", "bird", "strict"])
def test_a_verdict_never_depends_on_the_other_questions_of_the_file(
  with_values, comparison, keep_rows
):
  backwards = "SELECT name, x FROM t ORDER BY x DESC"
  pairs = [(gold, backwards) for gold in ORDER_GOLD] + [
    ("SELECT value FROM v", each) for each in VALUE_PREDICTIONS
  ]
  alone = [plain(score([pair], with_values, comparison, keep_rows=keep_rows)[0]) for pair in pairs]
  for order in (pairs, pairs[::-1], pairs[2:] + pairs[:2]):
    together = score(order, with_values, comparison, keep_rows=keep_rows)
    assert {pair: plain(verdict) for pair, verdict in zip(order, together, strict=True)} == dict(
      zip(pairs, alone, strict=True)
    )


def test_an_oddity_of_spiders_script_that_decides_a_verdict_is_named(with_values):
  backwards, forwards = "SELECT name, x FROM t ORDER BY x DESC", "SELECT name, x FROM t ORDER BY x"
  nested = "SELECT name, x FROM (SELECT * FROM t ORDER BY x)"
  cases = [
    # The script sees no order in these gold texts, though the query asks for one ...
    *((gold, backwards, True, "order_by_text") for gold in ORDER_GOLD[1:]),
    *((gold, forwards, True, "") for gold in ORDER_GOLD),
    (ORDER_GOLD[0], backwards, False, ""),
    # ... and one in this, whose outermost level has none.
    (nested, backwards, False, "order_by_text"),
    # "value" is run as 1: a right answer is wrong, a wrong one right.
    ("SELECT value FROM v", "SELECT value FROM v", False, "value_placeholder"),
    ("SELECT value FROM v", "SELECT Value FROM v", True, ""),
    (
      "SELECT count(*) FROM v WHERE 1 = 1",
      "SELECT count(*) FROM v WHERE value = 1",
      True,
      "value_placeholder",
    ),
    ("SELECT count(*) FROM v", "SELECT count(value) FROM v", True, ""),
  ]
  verdicts = score([case[:2] for case in cases], with_values)
  assert [(v.correct, v.divergence) for v in verdicts] == [case[2:] for case in cases]
  assert {case[3] for case in cases} - {""} <= set(DIVERGENCES)


def test_in_duckdb_texts_that_differ_in_case_are_run_each(tmp_path):
  duckdb = pytest.importorskip("duckdb")
  duckdb.connect(str(tmp_path / "d.duckdb")).close()
  location = f"duckdb:///{tmp_path}/d.duckdb"
  pairs = [
    ("SELECT {a: 1}", "SELECT {a: 1}"),
    ("SELECT {a: 1}", "SELECT {A: 1}"),
    ("SELECT {A: 1}", "SELECT {a: 1}"),
  ]
  assert [v.correct for v in score(pairs, location, "strict")] == [True, False, False]


def test_nan_is_a_named_divergence_from_the_scripts(tmp_path):
  duckdb = pytest.importorskip("duckdb")
  duckdb.connect(str(tmp_path / "d.duckdb")).close()
  pairs = [
    ("SELECT 'nan'::DOUBLE", "SELECT sqrt(4.0) * 'nan'::DOUBLE"),
    ("SELECT 1", "SELECT 'nan'::FLOAT"),
  ]
  for comparison, name in (("spider", "nan"), ("bird", "nan"), ("strict", "")):
    verdicts = score(pairs, f"duckdb:///{tmp_path}/d.duckdb", comparison)
    assert [(v.correct, v.divergence) for v in verdicts] == [(True, name), (False, "")]
