"""Runs a million statements in a row through the executor: is every result there and right, and
does memory stay flat?

    python experiments/benchmarks/million.py --count=1000000 --output=million.json

The statements run on a small database made for this, in a shuffled order by --seed: mostly SELECTs
whose rows are known beforehand, and among them some that SQLite calls wrong, that are refused, that
return too many rows, and (few, they cost a second each) that run over their time; one in a hundred
thousand kills its worker. No two are the same text, so no cache answers them, and the cache is full
most of the time. Resident memory of this process and of the workers is read after every batch; the
first batches, in which caches fill, are left out of the comparison of the first tenth with the
last.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import tqdm
from absl import flags

from spftsql_jax.databases import Executor, Result
from spftsql_jax.files import write_json

_COUNT = flags.DEFINE_integer("count", 1_000_000, "Statements to run.", lower_bound=100)
_WORKERS = flags.DEFINE_integer("workers", 2, "Worker processes.", lower_bound=1)
_BATCH = flags.DEFINE_integer(
  "batch", 10_000, "Statements given to the executor at once.", lower_bound=1
)
_CACHE_MB = flags.DEFINE_integer("cache_mb", 16, "Memory for results that are kept.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the order of the statements.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_TIMEOUT_S, _MAX_ROWS = 1.0, 50
_PAGE_MB = os.sysconf("SC_PAGESIZE") / 1e6
_ROWS = 100
# What is run: its share of the statements, its text, and the status it must have ({i} is the
# statement's number).
_ENDLESS = (
  "WITH RECURSIVE r(x) AS (SELECT {i} UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r"
)
_STUCK = "SELECT {i}, instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')"
_KINDS = {
  "rows": (0.90, "SELECT a, a + {i}, b FROM t WHERE a = {i} % 100", "ok"),
  "wrong": (0.05, "SELECT nothing_{i} FROM t", "error"),
  "write": (0.03, "DELETE FROM t WHERE a = {i}", "refused"),
  "random": (0.01, "SELECT random() + {i}", "refused"),
  "flood": (0.0099, "SELECT x.a, {i} FROM t x, t y", "resource"),
  "endless": (0.00009, _ENDLESS, "timeout"),
  "stuck": (0.00001, _STUCK, "timeout"),
}


def main() -> None:
  rng = random.Random(_SEED.value)
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "million.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection:
      connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
      connection.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"row {i}") for i in range(_ROWS)])
      connection.commit()
    with Executor(workers=_WORKERS.value, cache_mb=_CACHE_MB.value) as executor:
      executor.start()
      report = _run(executor, path, rng)
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps({key: value for key, value in report.items() if not isinstance(value, list)}))
  if report["lost"] or report["wrong"]:
    raise RuntimeError(
      f"{report['lost']} results lost, {report['wrong']} wrong, the first: "
      f"{report['wrong_ones'][:1]}"
    )


def _run(executor: Executor, path: str, rng: random.Random) -> dict:
  kinds, shares = list(_KINDS), [share for share, _, _ in _KINDS.values()]
  seen: Counter[str] = Counter()
  lost = wrong = 0
  wrong_ones: list[list[str]] = []  # The first hundred.
  memory: list[list[float]] = []  # of this process, and of the largest worker, in MB
  processes = set(executor.worker_pids())
  start, cpu = time.perf_counter(), time.process_time()
  with tqdm.tqdm(total=_COUNT.value, unit=" statements", disable=None) as bar:
    for first in range(0, _COUNT.value, _BATCH.value):
      numbers = range(first, min(first + _BATCH.value, _COUNT.value))
      drawn = rng.choices(kinds, shares, k=len(numbers))
      jobs = [
        (path, _KINDS[kind][1].replace("{i}", str(i)))
        for kind, i in zip(drawn, numbers, strict=True)
      ]
      results = executor.execute_many(jobs, timeout_s=_TIMEOUT_S, max_rows=_MAX_ROWS)
      lost += len(jobs) - sum(isinstance(result, Result) for result in results)
      for kind, i, result in zip(drawn, numbers, results, strict=False):
        seen[f"{kind}: {result.status}"] += 1
        if not _is_right(kind, i, result):
          wrong += 1
          wrong_ones += [[kind, str(i), result.status, result.message]] if wrong <= 100 else []
      pids = executor.worker_pids()
      processes |= set(pids)
      memory.append([_resident_mb("self"), max(map(_resident_mb, map(str, pids)), default=0.0)])
      bar.update(len(jobs))
  seconds = time.perf_counter() - start
  return {
    "count": _COUNT.value,
    "seconds": round(seconds, 1),
    "per_second": round(_COUNT.value / seconds),
    "cpu_seconds_parent": round(time.process_time() - cpu, 1),
    "workers": _WORKERS.value,
    "worker_processes": len(processes),
    "lost": lost,
    "wrong": wrong,
    "wrong_ones": wrong_ones,
    "statuses": dict(sorted(seen.items())),
    "parent_mb": _first_and_last([here for here, _ in memory]),
    "worker_mb": _first_and_last([there for _, there in memory]),
    "memory_mb": memory,
  }


def _is_right(kind: str, i: int, result: Result) -> bool:
  if kind == "rows":
    return result.rows == ((i % _ROWS, i % _ROWS + i, f"row {i % _ROWS}"),)
  return result.status == _KINDS[kind][2] and result.rows == ()


def _first_and_last(values: list[float]) -> dict[str, float]:
  """Medians of the first and the last tenth, in MB; the very first twentieth is left out."""
  kept = values[max(1, len(values) // 20) :] or values
  tenth = max(1, len(kept) // 10)
  first, last = statistics.median(kept[:tenth]), statistics.median(kept[-tenth:])
  return {
    "first_tenth": round(first, 1),
    "last_tenth": round(last, 1),
    "highest": round(max(kept), 1),
  }


def _resident_mb(pid: str) -> float:
  try:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
  except (OSError, IndexError):
    return 0.0  # It has just been replaced.


if __name__ == "__main__":
  launch.launch(main)
