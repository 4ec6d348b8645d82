"""The pool when things go wrong around it: Ctrl-C, a parent that dies, a worker that is killed, a
parent with threads.
"""

import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import duckdb
import pytest

from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution import protocol

ROOT = pathlib.Path(__file__).parents[1]
SLOW = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r"
STUCK = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')"


@pytest.fixture
def path(tmp_path):
  with contextlib.closing(sqlite3.connect(tmp_path / "d.sqlite")) as connection:
    connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    connection.commit()
  return str(tmp_path / "d.sqlite")


def workers_of(pid):
  """Process ids of the children of a process."""
  return [
    int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
  ]


def is_running(pid):
  try:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
  except OSError:
    return False


def wait_until(condition, seconds=10.0):
  end = time.monotonic() + seconds
  while not condition() and time.monotonic() < end:
    time.sleep(0.02)
  return condition()


def start_parent(path, sql, timeout_s):
  # A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that.
  code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from spftsql_jax.databases import Executor
try:
  with Executor(workers=2) as executor:
    executor.execute_many([({path!r}, "SELECT 1")])
    print("ready", flush=True)
    executor.execute_many([({path!r}, {sql!r}), ({path!r}, {sql + " "!r})], timeout_s={timeout_s})
except KeyboardInterrupt:
  print("interrupted", flush=True)
"""
  parent = subprocess.Popen(
    [sys.executable, "-c", code],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=ROOT,
  )
  assert parent.stdout.readline() == "ready\n"
  assert wait_until(lambda: len(workers_of(parent.pid)) == 2)
  time.sleep(0.2)
  return parent, workers_of(parent.pid)


@pytest.mark.parametrize("sql", [SLOW, STUCK])
def test_ctrl_c_kills_the_workers_and_raises_cleanly(path, sql):
  parent, workers = start_parent(path, sql, timeout_s=60)
  parent.send_signal(signal.SIGINT)
  output, errors = parent.communicate(timeout=10)
  assert output == "interrupted\n" and errors == "" and parent.returncode == 0
  assert wait_until(lambda: not any(map(is_running, workers)), 3.0)


@pytest.mark.parametrize("sql", [SLOW, STUCK])
def test_workers_end_when_their_parent_is_killed(path, sql):
  parent, workers = start_parent(path, sql, timeout_s=1.0)
  parent.kill()
  parent.communicate()
  assert wait_until(lambda: not any(map(is_running, workers)), 5.0)


def test_a_worker_killed_from_outside_costs_at_most_one_result(path):
  with Executor(workers=2, cache_mb=0) as executor:
    jobs = [(path, f"SELECT x + {i} FROM t") for i in range(2000)]
    executor.execute_many(jobs[:4])
    os.kill(executor._workers[0]._process.pid, signal.SIGKILL)
    results = executor.execute_many(jobs)
  lost = [result for result in results if not result.ok]
  assert len(lost) <= 1
  assert all(result.rows == ((7 + i,),) for i, result in enumerate(results) if result.ok)


def test_answers_that_wait_to_be_read_are_no_reason_to_kill(path, monkeypatch):
  """A machine that lets the parent wait longer than the limits costs no answer."""
  with Executor(workers=1, cache_mb=0) as executor:
    executor.execute(path, "SELECT 1")
    real = executor._workers[0].receive
    pid = executor.worker_pids()

    def late():
      # It answers, and the parent sleeps through its deadline before it looks.
      executor._workers[0].deadline = 0.0
      time.sleep(0.05)
      return real() if late.calls else setattr(late, "calls", 1) or []

    late.calls = 0
    monkeypatch.setattr(executor._workers[0], "receive", late)
    results = executor.execute_many(
      [(path, f"SELECT x + {i} FROM t") for i in range(64)], timeout_s=0.2
    )
    assert [result.rows for result in results] == [((7 + i,),) for i in range(64)]
    assert executor.worker_pids() == pid


def test_a_worker_killed_for_its_time_has_timed_out_even_if_it_answered_just_before(path):
  executor = Executor(workers=1)
  with executor:
    executor.start()
    each = executor._workers[0]
    job = (protocol.STATEMENT, 5.0, (path, (path,), SLOW, 10, 1000))
    each.send([(("key", "SELECT 1"), job)])
    each.kill()
    # Its end is read before the system has buried it.
    each.dead = True
    each._process.poll = lambda: None
    each.kill()
    del each._process.poll
    each._process.wait()
    assert each.obituary().status == "timeout"


def test_results_are_kept_within_their_bytes(path):
  with Executor(workers=1, cache_mb=1) as executor:
    sql = (
      "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 1000) SELECT n, n, n "
      "FROM r"
    )
    for i in range(30):
      assert len(executor.execute(path, sql + " " * i).rows) == 1000
    cache = executor._cache
    assert (
      0 < cache._bytes <= 1_000_000
      and sum(size for _, size in cache._entries.values()) == cache._bytes
    )


def test_memory_stays_flat_over_many_statements(path):
  def resident_kb(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4

  with Executor(workers=1, cache_mb=1) as executor:

    def run(start):
      results = executor.execute_many(
        [
          (path, f"SELECT x, 'text {i}' FROM t WHERE x != {i} OR 1")
          for i in range(start, start + 10_000)
        ]
      )
      assert all(r.rows == ((7, f"text {start + i}"),) for i, r in enumerate(results))

    run(0)
    run(10_000)
    worker = executor._workers[0]._process.pid
    before = resident_kb(worker), resident_kb("self")
    run(20_000)
    run(30_000)
    assert executor._workers[0]._process.pid == worker
    assert resident_kb(worker) - before[0] < 4_000 and resident_kb("self") - before[1] < 20_000


def test_a_closed_executor_says_so(path):
  executor = Executor(workers=1)
  executor.close()
  with pytest.raises(RuntimeError, match="closed"):
    executor.execute(path, "SELECT 1")
  with pytest.raises(ValueError, match="workers"):
    Executor(workers=0)


def test_relative_locations_are_those_of_the_caller(tmp_path, monkeypatch):
  """Workers run in another folder."""
  with contextlib.closing(sqlite3.connect(tmp_path / "here.sqlite")) as connection:
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (5)")
    connection.commit()
  duckdb.connect(str(tmp_path / "there.duckdb")).execute("CREATE TABLE t AS SELECT 6 AS x").close()
  monkeypatch.chdir(tmp_path)
  with Executor(workers=1) as executor:
    results = executor.execute_many(
      [
        (p, "SELECT x FROM t")
        for p in ("here.sqlite", "sqlite:///here.sqlite", "duckdb:///there.duckdb")
      ]
    )
  assert [r.rows for r in results] == [((5,),), ((5,),), ((6,),)]
