"""What is no property of a statement is not its answer: lost connections, locks, databases that are
away for a while, killed workers and timeouts are not kept, and a lost connection is opened again.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import duckdb
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import Executor
from spftsql_jax.databases.engines.postgresql import connection
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.synthesis.runner import Runner

ROWS = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES " + ", ".join(f"({i})" for i in range(20))
SLOW = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r"
PAIRS = [
  (f"SELECT a FROM t WHERE a = {i}", f"SELECT a FROM t WHERE NOT a <> {i}") for i in range(20)
]


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(ROWS) as running:
    yield running


@pytest.fixture
def sqlite_file(tmp_path):
  path = str(tmp_path / "t.sqlite")
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript(ROWS)
  return path


@pytest.fixture
def duckdb_file(tmp_path):
  path = str(tmp_path / "t.duckdb")
  with duckdb.connect(path) as connection:
    connection.execute(ROWS)
  return path


def right_pairs(executor, location):
  return sum(
    v.correct for v in score_predictions(PAIRS, [(location,)] * len(PAIRS), executor, timeout_s=5.0)
  )


def test_all_right_pairs_are_right_after_a_restart(server):
  with Executor(workers=2) as executor:
    assert right_pairs(executor, server.reader) == 20
    server.control("restart")
    assert executor.execute(server.reader, "SELECT 1 AS fresh").ok
  with Executor(workers=2) as executor:
    for _ in range(2):
      executor.execute_many([(server.reader, f"SELECT {i}") for i in range(8)])
    server.control("restart")
    assert right_pairs(executor, server.reader) == 20


def test_a_statement_is_run_again_when_its_connection_is_ended(server):
  with Executor(workers=1) as executor:
    assert executor.execute(server.reader, "SELECT 1").ok
    ending = threading.Timer(0.5, end_readers, [server])
    ending.start()
    result = executor.execute(
      server.reader, "SELECT count(*) FROM generate_series(1, 8000000) AS s(i)", timeout_s=30
    )
    ending.join()
    assert result.rows == ((8_000_000,),)


def end_readers(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")


def test_a_server_that_is_away_is_asked_again_when_it_is_back(server):
  with Executor(workers=1) as executor:
    assert executor.execute(server.reader, "SELECT 1").ok
    server.control("stop")
    try:
      away = executor.execute(server.reader, "SELECT 2")
      assert away.status in ("error", "resource") and away.transient and away.message
    finally:
      server.control("start")
    assert executor.execute(server.reader, "SELECT 2").rows == ((2,),)
    assert right_pairs(executor, server.reader) == 20


@pytest.mark.parametrize(("timeout_s", "status"), [(0.5, "timeout"), (5.0, "error")])
def test_a_lock_of_postgresql_is_not_kept(server, timeout_s, status):
  with Executor(workers=1) as executor:
    with psycopg.connect(server.admin) as admin:
      admin.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
      locked = executor.execute(server.reader, "SELECT count(*) FROM t", timeout_s=timeout_s)
      assert locked.status == status and (locked.transient or status == "timeout"), locked
      admin.rollback()
    assert executor.execute(server.reader, "SELECT count(*) FROM t", timeout_s=timeout_s).rows == (
      (20,),
    )


def test_a_lock_of_sqlite_is_waited_for_and_not_kept(sqlite_file):
  other = sqlite3.connect(sqlite_file, isolation_level=None, check_same_thread=False)
  with contextlib.closing(other), Executor(workers=1) as executor:
    assert executor.execute(sqlite_file, "SELECT 1").ok
    other.execute("BEGIN EXCLUSIVE")
    begin = time.perf_counter()
    locked = executor.execute(sqlite_file, "SELECT count(*) FROM t", timeout_s=0.5)
    assert locked.status == "error" and locked.transient and time.perf_counter() - begin < 2.0, (
      locked
    )
    freeing = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    freeing.start()
    assert right_pairs(executor, sqlite_file) == 20
    freeing.join()
    assert executor.execute(sqlite_file, "SELECT count(*) FROM t", timeout_s=0.5).rows == ((20,),)
    other.execute("BEGIN EXCLUSIVE")
    assert executor.execute(sqlite_file, "SELECT count(*) FROM t", timeout_s=0.5).ok, "kept"
    other.execute("ROLLBACK")


def test_a_lock_of_duckdb_is_not_kept(duckdb_file):
  code = (
    f"import duckdb, sys; c = duckdb.connect({duckdb_file!r}); print('open', flush=True); "
    "sys.stdin.read()"
  )
  holder = subprocess.Popen(
    [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
  )
  location = f"duckdb:///{duckdb_file}"
  with Executor(workers=1) as executor:
    assert holder.stdout.readline() == "open\n"
    locked = executor.execute(location, "SELECT count(*) FROM t")
    assert locked.status == "error" and locked.transient, locked
    holder.communicate()
    assert executor.execute(location, "SELECT count(*) FROM t").rows == ((20,),)
    assert right_pairs(executor, location) == 20


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_file_that_comes_back_is_read(engine, request):
  path = request.getfixturevalue(f"{engine}_file")
  location = path if engine == "sqlite" else f"duckdb:///{path}"
  with Executor(workers=1) as executor:
    assert executor.execute(location, "SELECT 1").ok
    os.rename(path, path + ".away")
    gone = executor.execute(location, "SELECT count(*) FROM t")
    assert gone.status == "error" and gone.transient, gone
    os.rename(path + ".away", path)
    assert executor.execute(location, "SELECT count(*) FROM t").rows == ((20,),)
    assert right_pairs(executor, location) == 20


def test_the_statement_of_a_worker_that_was_killed_is_not_kept(sqlite_file):
  sql = (
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 3000000) SELECT "
    "COUNT(*) FROM r"
  )
  with Executor(workers=1) as executor:
    executor.start()
    assert executor.execute(sqlite_file, "SELECT 1").ok
    killing = threading.Timer(0.1, os.kill, [executor.worker_pids()[0], signal.SIGKILL])
    killing.start()
    killed = executor.execute(sqlite_file, sql, timeout_s=60)
    killing.join()
    assert killed.status == "resource" and killed.transient, killed
    assert executor.execute(sqlite_file, sql, timeout_s=60).rows == ((3_000_000,),)


def test_what_is_a_property_of_the_statement_is_kept_and_a_timeout_is_not(sqlite_file):
  with Executor(workers=1) as executor:
    for sql in ("SELECT a FROM t", "SELECT nope FROM t"):
      assert executor.execute(sqlite_file, sql) is executor.execute(sqlite_file, sql)
    first = executor.execute(sqlite_file, SLOW, timeout_s=0.1)
    assert (
      first.status == "timeout" and executor.execute(sqlite_file, SLOW, timeout_s=0.1) is not first
    )


@pytest.mark.parametrize(
  ("code", "transient"),
  [
    ("08006", True), ("40001", True), ("40P01", True), ("53100", True), ("53200", True),
    ("53300", True), ("55P03", True),
    ("57P01", True), ("57P03", True), ("58030", True), ("XX000", True), ("25P03", True),
    ("53400", False), ("42703", False),
    ("22012", False), ("57014", False), ("54001", False), ("0A000", False), (None, False),
  ],
)  # fmt: skip
def test_codes_of_the_server_and_codes_of_the_statement(code, transient):
  assert connection.is_transient(code) == transient


def test_a_verdict_on_what_could_not_be_run_says_so(sqlite_file):
  with (
    contextlib.closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other,
    Executor(workers=1) as executor,
  ):
    other.execute("BEGIN EXCLUSIVE")
    [verdict] = score_predictions(PAIRS[:1], [(sqlite_file,)], executor, timeout_s=0.2)
    assert not verdict.correct and verdict.divergence == "not_run" and "locked" in verdict.message
    other.execute("ROLLBACK")
    assert score_predictions(PAIRS[:1], [(sqlite_file,)], executor, timeout_s=0.2)[0].correct


def test_synthesis_goes_on_after_a_restart(server):
  runner = Runner(server.reader)
  assert list(runner.rows("SELECT count(*) FROM t")) == [(20,)]
  server.control("restart")
  assert list(runner.rows("SELECT count(*) FROM t")) == [(20,)]
  runner.close()
