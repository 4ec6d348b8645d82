"""What is read of a large database before anything is trained: time and memory of the schema, the
inferred keys, the neighbouring instances and the value index.

    python experiments/benchmarks/large_databases.py --rows=4000000 --output=large.json

A database of two tables is made in SQLite and in DuckDB: --rows visits of a quarter as many
customers, with a text of its own in every row. Each engine is read in a process of its own, whose
highest resident memory after each step is given beside the seconds of that step.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags

from spftsql_jax.databases import ValueIndex, infer_foreign_keys, make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.files import write_json

_ROWS = flags.DEFINE_integer("rows", 4_000_000, "Rows of the larger table.", lower_bound=1000)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_TABLES = (
  "CREATE TABLE customer (id INTEGER PRIMARY KEY, name VARCHAR, town VARCHAR, born INTEGER)",
  "CREATE TABLE visit (id INTEGER PRIMARY KEY, customer_id INTEGER, ref VARCHAR, amount REAL)",
)
_ROWS_OF = (
  "INSERT INTO customer SELECT i, 'Customer number ' || i, 'Town ' || (i % 500), 1900 + i % 100 "
  "FROM numbers WHERE i < {customers}",
  "INSERT INTO visit SELECT i, (i * 7919) % {customers}, 'ref-' || i, (i % 10000) / 100.0 "
  "FROM numbers",
)
_NUMBERS = {
  "sqlite": "WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers "
  "WHERE i + 1 < {rows}) ",
  "duckdb": "WITH numbers AS (SELECT range AS i FROM range({rows})) ",
}


def main() -> None:
  launch.check_output(_OUTPUT.value)
  found = {}
  with tempfile.TemporaryDirectory() as folder:
    for engine in _NUMBERS:
      path = os.path.join(folder, f"large.{engine}")
      _make(engine, path, _ROWS.value)
      with multiprocessing.get_context("spawn").Pool(1) as pool:
        steps = pool.apply(_measure, (path,))
      found[engine] = {"rows": _ROWS.value, "file_mb": os.path.getsize(path) / 1e6, **steps}
  write_json(_OUTPUT.value, found, end="\n")
  print(json.dumps(found))


def _make(engine: str, path: str, rows: int) -> None:
  if engine == "sqlite":
    connection: Any = sqlite3.connect(path)
  else:
    import duckdb

    connection = duckdb.connect(path)
  with contextlib.closing(connection):
    for sql in _TABLES:
      connection.execute(sql)
    for sql in _ROWS_OF:
      numbers = _NUMBERS[engine].format(rows=rows)
      insert, select = sql.split(" SELECT ", 1)
      text = f"{insert} {numbers} SELECT {select.format(customers=rows // 4)}"
      connection.execute(text)
    connection.commit()


def _measure(path: str) -> dict[str, dict[str, float]]:
  steps: dict[str, dict[str, float]] = {}

  def note(name: str, began: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    steps[name] = {"seconds": round(time.perf_counter() - began, 2), "peak_mb": round(peak)}

  began = time.perf_counter()
  schema = read_schema(path)
  note("schema", began)
  began = time.perf_counter()
  schema = infer_foreign_keys(schema, path)
  note("keys", began)
  began = time.perf_counter()
  with tempfile.TemporaryDirectory() as folder:
    make_instances(path, folder, 2, seed=0, schema=schema)
    note("instances", began)
  began = time.perf_counter()
  index = ValueIndex.build(path, schema)
  note(f"values ({len(index):,})", began)
  return steps


if __name__ == "__main__":
  launch.launch(main)
