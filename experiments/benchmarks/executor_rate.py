"""Measures how many statements a second and a core the executor runs, and what it costs over bare
sqlite3.

    python experiments/benchmarks/executor_rate.py --examples=dev.json --databases=database \
      --repeat=3 --output=rate.json

The statements are the gold SQL of the examples, made distinct by a comment so that no cache answers
them. Bare sqlite3 (one process, one connection a database, execute and fetchall, no limits) takes
turns with the executor, with 1 and 2 workers. Two steps in between run in this process and tell
where the cost comes from: the worker's connection with its fences and limits, and the same packing
its rows. CPU seconds are those of all processes; medians over the rounds are reported. Statements
that take bare sqlite3 longer than --longest_ms are left out and counted: the noise of a few scans
is larger than what is measured.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags

from spftsql_jax.databases import Executor, Result
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.execution import protocol
from spftsql_jax.examples import benchmarks
from spftsql_jax.files import write_json

_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the examples.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_REPEAT = flags.DEFINE_integer(
  "repeat", 3, "Distinct copies of each statement in a round.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds, in which each way runs once.", lower_bound=1)
_LONGEST_MS = flags.DEFINE_float(
  "longest_ms", 2.0, "Leave out statements that take bare sqlite3 longer.", lower_bound=0.0
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_TIMEOUT_S, _MAX_ROWS, _MAX_BYTES = 30.0, 1_000_000, 1_000_000_000
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# (database path, SQL) pairs to run.
Jobs = list[tuple[str, str]]


def main() -> None:
  examples = benchmarks.read_examples(_EXAMPLES.value)
  gold = [
    (os.path.abspath(benchmarks.find_database(_DATABASES.value, e.db_id)), e.query)
    for e in examples
  ]
  # As the executor orders them: the statements of a database in a row.
  gold.sort(key=lambda pair: pair[0])
  # Connections and workers are opened before the clock runs, as they are in a run of any length.
  with contextlib.ExitStack() as stack:
    paths = list(dict.fromkeys(path for path, _ in gold))
    bare = {path: stack.enter_context(contextlib.closing(_bare_connection(path))) for path in paths}
    fenced = {
      path: stack.enter_context(contextlib.closing(sqlite.Connection(path, 512_000_000)))
      for path in paths
    }
    pools = {size: stack.enter_context(Executor(workers=size)) for size in (1, 2)}
    run = [pair for pair in gold if _bare_ms(bare, *pair) <= _LONGEST_MS.value]
    if not run:
      raise launch.InputError(
        f"every statement takes longer than --longest_ms={_LONGEST_MS.value:g}"
      )
    ways: dict[str, Callable[[Jobs], tuple[list, float]]] = {
      "bare": lambda jobs: (_run_bare(bare, jobs), 0.0),
      "fenced": lambda jobs: (_run_fenced(fenced, jobs), 0.0),
      "packed": lambda jobs: (_run_packed(fenced, jobs), 0.0),
      "executor_1": lambda jobs: _run_executor(pools[1], jobs),
      "executor_2": lambda jobs: _run_executor(pools[2], jobs),
    }
    measured: dict[str, list[dict]] = {name: [] for name in ways}
    for round_number in range(-1, _ROUNDS.value):
      counts = {}
      for name, way in ways.items():
        repeated = ((path, sql) for path, sql in run for _ in range(_REPEAT.value))
        jobs = [(path, f"{sql} -- {round_number} {i}") for i, (path, sql) in enumerate(repeated)]
        counts[name], figures = _timed(way, jobs)
        # The round before the first warms the caches of the file system and the connections.
        if round_number >= 0:
          measured[name].append(figures)
      different = [name for name in ways if counts[name] != counts["bare"]]
      if different:
        raise RuntimeError(f"{', '.join(different)}: other rows than bare sqlite3 gives")
  report = {"left_out": len(gold) - len(run)} | _report(
    measured, len(run) * _REPEAT.value, sum(counts["bare"])
  )
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps({key: value for key, value in report.items() if key != "rounds"}))


def _bare_connection(path: str) -> sqlite3.Connection:
  return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def _bare_ms(connections: dict[str, sqlite3.Connection], path: str, sql: str) -> float:
  start = time.process_time()
  _run_bare(connections, [(path, sql), (path, sql)])
  return 500 * (time.process_time() - start)


def _run_bare(connections: dict[str, sqlite3.Connection], jobs: Jobs) -> list[int]:
  """The number of rows of each answer; the rows themselves are let go, as a worker lets go of what
  it has sent.
  """
  counts = []
  for path, sql in jobs:
    try:
      counts.append(len(connections[path].execute(sql).fetchall()))
    except sqlite3.OperationalError as error:
      if "decode to UTF-8" not in str(error):
        raise
      connections[path].text_factory = sqlite.lenient_text
      counts.append(len(connections[path].execute(sql).fetchall()))
      connections[path].text_factory = str
  return counts


def _run_fenced(connections: dict[str, sqlite.Connection], jobs: Jobs) -> list[int]:
  fetched = (
    connections[path].run(sql, _TIMEOUT_S, _MAX_ROWS, _MAX_BYTES, list)[2] for path, sql in jobs
  )
  return [sum(map(len, pieces)) for pieces in fetched]


def _run_packed(connections: dict[str, sqlite.Connection], jobs: Jobs) -> list[list[bytes]]:
  return [
    connections[path].run(sql, _TIMEOUT_S, _MAX_ROWS, _MAX_BYTES, protocol.pack_rows)[2]
    for path, sql in jobs
  ]


def _run_executor(executor: Executor, jobs: Jobs) -> tuple[list[Result], float]:
  """Also the CPU seconds of the workers."""
  executor.start()
  before = sum(map(_cpu_seconds, executor.worker_pids()))
  results = executor.execute_many(jobs, _TIMEOUT_S, _MAX_ROWS, _MAX_BYTES)
  return results, sum(map(_cpu_seconds, executor.worker_pids())) - before


def _timed(run: Callable[[Jobs], tuple[list, float]], jobs: Jobs) -> tuple[list[int], dict]:
  """The number of rows of each job, counted behind the clock, and what running them took."""
  # What earlier rounds left is not to be walked through again and again.
  gc.collect()
  gc.freeze()
  wall, cpu = time.perf_counter(), time.process_time()
  answers, elsewhere = run(jobs)
  here = time.process_time() - cpu
  figures = {
    "seconds": time.perf_counter() - wall,
    "cpu_here": here,
    "cpu_workers": elsewhere,
    "cpu": here + elsewhere,
  }
  return list(map(_row_count, answers)), figures


def _row_count(answer: int | list[bytes] | Result) -> int:
  if isinstance(answer, Result):
    return len(answer.rows)
  return answer if isinstance(answer, int) else len(protocol.unpack_rows(answer))


def _cpu_seconds(pid: int) -> float:
  fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
  return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _report(measured: dict[str, list[dict]], statements: int, rows: int) -> dict:
  def micro(name: str, field: str) -> float:
    return round(1e6 * statistics.median(each[field] for each in measured[name]) / statements, 1)

  ways = {
    name: {
      "statements_per_second": round(
        statements / statistics.median(each["seconds"] for each in each_round)
      ),
      "statements_per_cpu_second": round(
        statements / statistics.median(each["cpu"] for each in each_round)
      ),
      "cpu_us_per_statement": micro(name, "cpu"),
    }
    for name, each_round in measured.items()
  }
  return {
    "statements": statements,
    "rows": rows,
    "rounds_counted": _ROUNDS.value,
    "ways": ways,
    "overhead_us_per_statement": {
      "fences and limits": round(micro("fenced", "cpu") - micro("bare", "cpu"), 1),
      "packing rows": round(micro("packed", "cpu") - micro("fenced", "cpu"), 1),
      "rest of the worker": round(micro("executor_1", "cpu_workers") - micro("packed", "cpu"), 1),
      "parent": micro("executor_1", "cpu_here"),
      "in all": round(micro("executor_1", "cpu") - micro("bare", "cpu"), 1),
    },
    "rounds": measured,
  }


if __name__ == "__main__":
  launch.launch(main)
