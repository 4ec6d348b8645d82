"""False refusals: what people and models rightly write for SQLite and DuckDB is run, but for a
reason written beside it.
"""

import contextlib
import sqlite3

import duckdb
import legitimate_embedded
import pytest

from spftsql_jax.databases import Executor

ENGINES = ("sqlite", "duckdb")


def location(engine, folder):
  if engine == "sqlite":
    path = folder / "legitimate.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
      connection.executescript(legitimate_embedded.SQLITE_SCRIPT)
    return str(path)
  path = folder / "legitimate.duckdb"
  with duckdb.connect(str(path)) as connection:
    connection.execute(legitimate_embedded.DUCKDB_SCRIPT)
  return f"duckdb:///{path}"


@pytest.mark.parametrize("engine", ENGINES)
def test_no_legitimate_select_is_refused_without_a_reason(engine, tmp_path):
  corpus = [
    each if isinstance(each, tuple) else (each, "")
    for each in getattr(legitimate_embedded, engine.upper())
  ]
  assert sum(not reason for _, reason in corpus) >= 55 and len({sql for sql, _ in corpus}) == len(
    corpus
  )
  place = location(engine, tmp_path)
  with Executor(workers=1) as executor:
    results = executor.execute_many([(place, sql) for sql, _ in corpus], timeout_s=30.0)
  outcomes = [
    (sql, result.status, result.message) for (sql, _), result in zip(corpus, results, strict=True)
  ]
  wanted = ["refused" if reason else "ok" for _, reason in corpus]
  assert [
    outcome for outcome, status in zip(outcomes, wanted, strict=True) if outcome[1] != status
  ] == []
  assert all(result.columns for result in results if result.ok)
