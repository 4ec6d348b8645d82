"""Runs every hostile statement of the tests and writes the table of what came of it.

    python experiments/benchmarks/hostile.py --output=hostile.json --table=hostile.md

For each statement: engine, status, time, memory of the worker (and of PostgreSQL's process behind
it), and whether all held that must: the bytes of the database (of a server its rows, tables, roles,
settings and locks) unchanged; no file made beside it, in the worker's home or in its folder, nor
seen open for writing; no one connected to a port that waits for it, no socket seen open; time and
memory within twice their limits; the pool alive; the statement scored wrong. Engines that cannot be
started here are named and left out. Exit status 1 where anything did not hold.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# The statements and checks are those of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import launch

# isort: split
import hostile_harness
import postgresql_server
import tqdm
from absl import flags

from spftsql_jax.files import write_json

_ENGINES = flags.DEFINE_list("engines", list(hostile_harness.ENGINES), "Engines to attack.")
_TIMEOUT_S = flags.DEFINE_float(
  "timeout_s", 1.0, "Time limit of a statement in seconds.", lower_bound=0.1
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_TABLE = flags.DEFINE_string("table", "", "Markdown file to write the table to.")

_UNCHANGED = {
  "sqlite": "bytes of all files; no file, socket or connection",
  "duckdb": "bytes of all files; no file, socket or connection",
  "postgresql": "rows, tables, roles, settings, locks; no file, socket or connection",
}


def main() -> None:
  unknown = set(_ENGINES.value) - set(hostile_harness.ENGINES)
  if unknown:
    raise launch.InputError(
      f"--engines: {', '.join(sorted(unknown))} is none of {', '.join(hostile_harness.ENGINES)}"
    )
  attacks: list[hostile_harness.Attack] = []
  left_out = {}
  for engine in _ENGINES.value:
    with contextlib.ExitStack() as stack:
      server = None
      if engine == "postgresql":
        try:
          server = stack.enter_context(
            postgresql_server.start_server(hostile_harness.SERVER_ROWS, hostile_harness.MEMORY_MB)
          )
        except postgresql_server.NoServerError as error:
          left_out[engine] = str(error)
          continue
      folder = stack.enter_context(tempfile.TemporaryDirectory())
      target = stack.enter_context(
        contextlib.closing(hostile_harness.Target(engine, folder, server))
      )
      count = len(list(target.statements()))
      bar = stack.enter_context(
        tqdm.tqdm(total=count, desc=engine, unit=" statements", disable=None)
      )
      attacks += hostile_harness.run_corpus(target, _TIMEOUT_S.value, bar.update)
  rows = [_row(attack) for attack in attacks]
  harmful = [row for row in rows if row["harm"]]
  report = {
    "timeout_s": _TIMEOUT_S.value,
    "memory_limit_mb": hostile_harness.MEMORY_MB,
    "left_out": left_out,
    "summary": {
      engine: _summary([row for row in rows if row["engine"] == engine])
      for engine in dict.fromkeys(_ENGINES.value)
    },
    "statements": rows,
  }
  write_json(_OUTPUT.value, report, end="\n")
  if _TABLE.value:
    Path(_TABLE.value).write_text(_table(rows), encoding="utf-8")
  for engine, why in left_out.items():
    print(f"{engine} is left out: {why}")
  print(json.dumps(report["summary"]))
  if harmful:
    raise RuntimeError(
      f"{len(harmful)} statements did harm, the first ({harmful[0]['statement']}): "
      f"{harmful[0]['harm'][0]}"
    )


def _row(attack: hostile_harness.Attack) -> dict:
  text = ascii(attack.sql)[1:-1]
  return {
    "engine": attack.engine,
    "statement": text if len(text) <= 80 else f"{text[:55]} ... {text[-20:]}",
    "status": attack.result.status,
    "seconds": round(attack.seconds, 3),
    "worker_mib": round(attack.worker_mib, 1),
    "server_mib": round(attack.server_mib, 1),
    "unchanged": "" if "data or files changed" in attack.harm else _UNCHANGED[attack.engine],
    "harm": list(attack.harm),
    "message": attack.result.message[:200],
  }


def _summary(rows: list[dict]) -> dict:
  return {
    "statements": len(rows),
    "statuses": {
      status: sum(row["status"] == status for row in rows)
      for status in sorted({row["status"] for row in rows})
    },
    "longest_seconds": max((row["seconds"] for row in rows), default=0.0),
    "highest_worker_mib": max((row["worker_mib"] for row in rows), default=0.0),
    "highest_server_mib": max((row["server_mib"] for row in rows), default=0.0),
    "harmful": sum(bool(row["harm"]) for row in rows),
  }


def _table(rows: list[dict]) -> str:
  names = (
    "engine",
    "statement",
    "status",
    "seconds",
    "worker MiB",
    "server MiB",
    "unchanged",
    "harm",
  )
  lines = [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]
  for row in rows:
    cells = [
      row["engine"],
      f"`{row['statement'].replace('|', chr(92) + '|').replace('`', chr(39))}`",
      row["status"],
    ]
    cells += [
      f"{row['seconds']:.2f}",
      f"{row['worker_mib']:.0f}",
      f"{row['server_mib']:.0f}" if row["server_mib"] else "",
    ]
    lines.append(f"| {' | '.join([*cells, row['unchanged'], '; '.join(row['harm']) or 'none'])} |")
  return "\n".join(lines) + "\n"


if __name__ == "__main__":
  launch.launch(main)
