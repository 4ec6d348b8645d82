"""Hostile SQL: whatever a model writes, the data stay as they are, no file comes or goes, the
limits hold and the pool lives on. `experiments/benchmarks/hostile.py` writes the table of all
statements.
"""

import contextlib
import os
import socket
import sqlite3
import threading
import time

import hostile_harness
import hostile_statements
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import Result

TIMEOUT_S = 0.4


@pytest.fixture(scope="module", params=hostile_harness.ENGINES)
def target(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp("hostile")
  with contextlib.ExitStack() as stack:
    server = None
    if request.param == "postgresql":
      server = stack.enter_context(
        postgresql_server.running_server(hostile_harness.SERVER_ROWS, hostile_harness.MEMORY_MB)
      )
    yield stack.enter_context(
      contextlib.closing(hostile_harness.Target(request.param, folder, server))
    )


def test_no_hostile_statement_does_harm(target):
  attacks = hostile_harness.run_corpus(target, TIMEOUT_S)
  assert len(attacks) == len(list(target.statements()))
  assert [(attack.sql[:80], attack.harm) for attack in attacks if attack.harm] == []


def test_the_checks_see_harm(target, tmp_path):
  """Each check, on what it is there to find."""
  before = target.state()
  socket.create_connection(("127.0.0.1", target.port)).close()
  assert target.connections() == 1 and target.connections() == 0
  target.created.take()
  for path in (target.folder / "made", target.home / "cache"):
    path.touch()
    assert target.state() != before, path
    path.unlink()
  assert target.state() == before
  assert target.created.take() == ["cache"]
  held = hostile_harness.opened_by(os.getpid())
  with socket.socket(), (tmp_path / "written").open("w"):
    opened = hostile_harness.opened_by(os.getpid()) - held
  assert str(tmp_path / "written") in opened and any(each.startswith("socket:") for each in opened)
  assert hostile_harness.highest_mib(os.getpid()) > 1
  if target.engine == "sqlite":
    other = hostile_harness.Target("sqlite", tmp_path / "other")
    with contextlib.closing(other), hostile_harness.attacked_executor(other) as executor:
      before = other.state()
      with sqlite3.connect(other.location) as connection:
        connection.execute("UPDATE t SET a = a + 1 WHERE a = 3")
      connection.close()
      found = hostile_harness.attack(other, executor, "SELECT 30", ("refused",), before, TIMEOUT_S)
    assert found.harm == ("status ok ()", "data or files changed", "scored right")
  elif target.engine == "postgresql":
    with psycopg.connect(
      target.location.replace("reader@", "admin@"), autocommit=True
    ) as connection:
      connection.execute("UPDATE t SET a = a + 100 WHERE a = 3")
      assert target.state() != before
      connection.execute("UPDATE t SET a = a - 100 WHERE a = 103")
      connection.execute("CREATE ROLE intruder")
      assert target.state() != before
      connection.execute("DROP ROLE intruder")
      quiet = target.state()
      connection.execute("SELECT note('x')")
      assert target.state() != quiet and not target.goes_on()
      with psycopg.connect(target.location) as other:
        other.execute("SET statement_timeout = 1500")
        running = threading.Thread(target=run_into_the_limit, args=[other])
        running.start()
        time.sleep(0.2)
        assert target.goes_on()
        running.join()
      assert Result(
        "ok", ("n",), tuple(connection.execute("SELECT nextval('s')").fetchall())
      ).rows == ((1,),)
      assert target.state() != before


def run_into_the_limit(connection):
  with contextlib.suppress(psycopg.Error):
    connection.execute("SELECT pg_sleep(60)")


def test_the_corpus_is_large_enough():
  corpora = (hostile_statements.SQLITE, hostile_statements.DUCKDB, hostile_statements.POSTGRESQL)
  assert sum(map(len, corpora)) >= 260 and all(len(corpus) >= 30 for corpus in corpora)
  assert all(len({sql for sql, _ in corpus}) == len(corpus) for corpus in corpora)
