"""Hostile SQL: whatever a model writes, the data stay as they are, no file comes or goes, the limits hold and the pool lives
on.

`python tests/test_hostile_sql.py` prints the table of all statements: engine, status, time, memory of the worker.
"""

import contextlib
import hashlib
import os
import pathlib
import sqlite3
import sys
import tempfile
import threading
import time

import duckdb
import hostile_statements
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import Executor, Result, results_match

TIMEOUT_S = 0.4
MEMORY_MB = 200
ROWS = "CREATE TABLE t (a INTEGER, b VARCHAR); CREATE SEQUENCE s; INSERT INTO t VALUES " + ", ".join(
  f"({i}, 'row {i}')" for i in range(30)
)


class Watch:
  """The largest resident memory of an executor's workers, and the sockets they hold, sampled while statements run."""

  def __init__(self, executor):
    self.executor = executor
    self.peak_mb = 0.0
    self._done = threading.Event()
    self._thread = threading.Thread(target=self._sample, daemon=True)
    self._thread.start()

  def _sample(self):
    while not self._done.wait(0.01):
      for each in list(self.executor._workers):
        with contextlib.suppress(OSError, IndexError):
          pages = int(pathlib.Path(f"/proc/{each._process.pid}/statm").read_text().split()[1])
          self.peak_mb = max(self.peak_mb, pages * os.sysconf("SC_PAGESIZE") / 1e6)

  def sockets(self):
    """Sockets the workers hold open."""
    held = []
    for each in self.executor._workers:
      for link in pathlib.Path(f"/proc/{each._process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
          target = os.readlink(link)
          held += [target] if target.startswith("socket:") else []
    return held

  def stop(self):
    self._done.set()
    self._thread.join()


class Target:
  """A database under attack: where it is, and what must not change."""

  def __init__(self, engine, folder, server=None):
    self.engine = engine
    self.folder = pathlib.Path(folder)
    self.secret = self.folder / "secret.txt"
    self.secret.write_text("secret")
    if engine == "sqlite":
      self.location = str(self.folder / "target.sqlite")
      with contextlib.closing(sqlite3.connect(self.location)) as connection:
        connection.executescript(ROWS.replace("CREATE SEQUENCE s;", ""))
    elif engine == "duckdb":
      path = self.folder / "target.duckdb"
      with duckdb.connect(str(path)) as connection:
        connection.execute(ROWS)
      self.location = f"duckdb:///{path}"
    else:
      self.admin, self.location = server.admin, server.reader

  def state(self):
    """The bytes of every file in the folder; for the server the rows, tables, roles and large objects it holds."""
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.folder.iterdir()}
    if self.engine != "postgresql":
      return files
    queries = (
      "SELECT * FROM t ORDER BY a",
      "SELECT relname FROM pg_class ORDER BY 1",
      "SELECT rolname FROM pg_roles ORDER BY 1",
      "SELECT last_value, is_called FROM s",
      "SELECT COUNT(*) FROM pg_largeobject",
    )
    with psycopg.connect(self.admin) as connection:
      rows = [connection.execute(sql).fetchall() for sql in queries]
    return files, rows

  def statements(self):
    corpus = getattr(hostile_statements, self.engine.upper())
    return [
      (sql.replace("{TARGET}", f"{self.folder}/made").replace("{SECRET}", str(self.secret)), wanted) for sql, wanted in corpus
    ]


def attack(target, executor, sql):
  """(result, seconds, peak memory of the worker in MB) of one statement."""
  watch = Watch(executor)
  start = time.perf_counter()
  result = executor.execute(target.location, sql, timeout_s=TIMEOUT_S, max_rows=10_000, max_bytes=20_000_000)
  seconds = time.perf_counter() - start
  watch.stop()
  return result, seconds, watch.peak_mb


def check(target, executor, sql, wanted, before, base_mb):
  result, seconds, peak_mb = attack(target, executor, sql)
  shown = sql[:80]
  assert result.status in wanted, f"{shown}: {result.status} ({result.message})"
  assert target.state() == before, f"{shown}: something changed"
  # Twice the limit, and what it takes to start another worker on a busy machine.
  assert seconds < 2 * TIMEOUT_S + 1.5, f"{shown}: {seconds:.2f} s"
  assert peak_mb < base_mb + 2 * MEMORY_MB, f"{shown}: {peak_mb:.0f} MB"
  for gold in (Result("ok", ("n",), ((30,),)), Result("ok", ("a", "b"), ())):
    for comparison in ("spider", "bird", "strict"):
      assert not results_match(gold, result, "SELECT COUNT(*) FROM t", comparison), f"{shown}: scored right"
  alive = executor.execute(target.location, "SELECT COUNT(*) FROM t", timeout_s=10.0)
  assert alive.rows == ((30,),), f"{shown}: the pool is dead: {alive}"
  return result, seconds, peak_mb


@pytest.fixture(scope="module", params=["sqlite", "duckdb", "postgresql"])
def target(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp("hostile")
  if request.param != "postgresql":
    yield Target(request.param, folder)
    return
  with postgresql_server.running_server(ROWS) as server:
    yield Target(request.param, folder, server)


def run_corpus(target):
  """Every statement with its result, time and memory; asserts that none does harm."""
  rows = []
  with Executor(workers=1, memory_mb=MEMORY_MB, cache_mb=0) as executor:
    executor.execute(target.location, "SELECT 1", timeout_s=10.0)
    before = target.state()
    here = set(os.listdir("/tmp")) | set(os.listdir("."))
    watch = Watch(executor)
    time.sleep(0.05)
    watch.stop()
    for sql, wanted in target.statements():
      result, seconds, peak_mb = check(target, executor, sql, wanted, before, watch.peak_mb)
      rows.append((target.engine, sql, result, seconds, peak_mb))
    sockets = watch.sockets()
    assert len(sockets) == (1 if target.engine == "postgresql" else 0), f"connections of the worker: {sockets}"
    new = {name for name in (set(os.listdir("/tmp")) | set(os.listdir("."))) - here if "made" in name or "duckdb" in name}
    assert not new, f"new files {new}"
  return rows


def test_no_hostile_statement_does_harm(target):
  assert len(run_corpus(target)) == len(target.statements())


def test_the_corpus_is_large_enough():
  corpora = (hostile_statements.SQLITE, hostile_statements.DUCKDB, hostile_statements.POSTGRESQL)
  assert sum(map(len, corpora)) >= 60 and all(len(corpus) >= 30 for corpus in corpora)


def main():
  print("| engine | statement | status | seconds | worker MB | message |\n| --- | --- | --- | --- | --- | --- |")
  with tempfile.TemporaryDirectory() as folder, postgresql_server.running_server(ROWS) as server:
    for engine in ("sqlite", "duckdb", "postgresql"):
      place = pathlib.Path(folder) / engine
      place.mkdir()
      for _, sql, result, seconds, peak_mb in run_corpus(Target(engine, place, server)):
        text = ascii(sql if len(sql) < 90 else sql[:60] + " ... " + sql[-20:])[1:-1].replace("|", "\\|")
        print(
          f"| {engine} | `{text}` | {result.status} | {seconds:.2f} | {peak_mb:.0f} | {result.message[:60].replace('|', '')} |"
        )


if __name__ == "__main__":
  sys.exit(main())
