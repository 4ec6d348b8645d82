r"""Weak scaling of synthesis: more processes, more examples. And what stops it at 64 hosts.

    python experiments/benchmarks/engine_scaling.py --databases=DIR --num_examples=500 \
      --output=scaling.json

For each number of processes n, `synthesize.py --shard=i/n` runs n times at once, with one worker
each, and makes n times --num_examples together. With a core for each, seconds should stay the same.
Then the shards are joined, by this process alone. Measure on a machine that does nothing else.

Of these numbers is computed what a job of --examples takes on 1 to 64 hosts:

- start: what a process needs before its first example (imports, schemas, neighbouring instances);
- work: CPU seconds an example over the cores, where there are units enough: a unit (a database, or
  one of --parts of its queries) is the work of one core;
- join: one process reads and writes what all have made;
- disk: all hosts read the databases, and write their examples, over one disk of --disk_mb_s.

What is longest at 64 hosts is what saturates first.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import measuring
from absl import flags

from spftsql_jax.files import json_lines, shard_path, write_json, write_text

_DATABASES = flags.DEFINE_string(
  "databases", None, "Folder DIR/<db_id>/<db_id>.sqlite.", required=True
)
_NUM_EXAMPLES = flags.DEFINE_integer("num_examples", 500, "Examples a process.", lower_bound=1)
_PROCESSES = flags.DEFINE_list("processes", ["1", "2", "4"], "How many at once.")
_PARTS = flags.DEFINE_integer("parts", 4, "Units of a database.", lower_bound=1)
_EXAMPLES = flags.DEFINE_integer("examples", 1_000_000, "Of the job computed for.", lower_bound=1)
_CORES = flags.DEFINE_integer("cores", 32, "Of a host computed for.", lower_bound=1)
_DISK = flags.DEFINE_float("disk_mb_s", 1000.0, "Of the shared disk computed for.", lower_bound=1.0)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_HOSTS = (1, 2, 4, 8, 16, 32, 64)
_SCRIPT = Path(__file__).resolve().parents[1] / "synthesize.py"


def main() -> None:
  launch.check_output(_OUTPUT.value)
  with tempfile.TemporaryDirectory() as folder:
    # What a process needs before its examples, and they hardly anything.
    start = scaled(1, 1, Path(folder))
    runs = [scaled(n, n * _NUM_EXAMPLES.value, Path(folder)) for n in map(int, _PROCESSES.value)]
  for run in runs:
    run["efficiency"] = round(runs[0]["seconds"] / run["seconds"], 3)
  first = runs[0]
  made = first["examples"]
  paths = [path for path in Path(_DATABASES.value).rglob("*.sqlite")]
  units = len(paths) * _PARTS.value
  measured = {
    "start_s": start["seconds"],
    "cpu_s_an_example": max(first["cpu_seconds"] - start["cpu_seconds"], 0.0) / made,
    "join_s_an_example": runs[-1]["join_seconds"] / runs[-1]["examples"],
    "bytes_an_example": first["bytes"] / made,
    "database_bytes": sum(path.stat().st_size for path in paths),
    "units": units,
  }
  computed = {
    "with_these_units": {hosts: needed(measured, hosts, units) for hosts in _HOSTS},
    "with_a_unit_a_core": {h: needed(measured, h, h * _CORES.value) for h in _HOSTS},
  }
  report = {
    "cores_here": len(os.sched_getaffinity(0)),
    "runs": runs,
    "measured": measured,
    "computed": {"examples": _EXAMPLES.value, "cores_a_host": _CORES.value, "seconds": computed},
    "saturates_first": {
      name: max(at[_HOSTS[-1]], key=lambda part: at[_HOSTS[-1]][part])
      for name, at in computed.items()
    },
  }
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps(report))


def scaled(processes: int, examples: int, folder: Path) -> dict[str, float]:
  """So many shards at once: wall clock and CPU seconds until the last one has ended."""
  output = folder / f"of_{processes}_{examples}.jsonl"
  common = [f"--databases={_DATABASES.value}", f"--num_examples={examples}", "--workers=1"]
  common += [f"--parts={_PARTS.value}", f"--output={output}"]
  began, used = time.perf_counter(), measuring.cpu_seconds()
  started = [
    subprocess.Popen(
      [sys.executable, str(_SCRIPT), *common, f"--shard={i}/{processes}"], stdout=subprocess.DEVNULL
    )
    for i in range(processes)
  ]
  codes = [process.wait() for process in started]
  if any(codes):
    raise RuntimeError(f"a shard of {processes} ended with exit code {max(codes)}")
  seconds = time.perf_counter() - began
  parts = [shard_path(output, i, processes) if processes > 1 else output for i in range(processes)]
  joined, join_seconds = join(parts, output.with_suffix(".all.jsonl"))
  return {
    "processes": processes,
    "examples": joined,
    "seconds": round(seconds, 2),
    "cpu_seconds": round(measuring.cpu_seconds() - used, 2),
    "join_seconds": join_seconds,
    "bytes": sum(path.stat().st_size for path in parts),
  }


def join(parts: Sequence[Path], path: Path) -> tuple[int, float]:
  """(examples, seconds) of reading all shards and writing them as one file."""
  began = time.perf_counter()
  records = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
  write_text(path, json_lines(records))
  return len(records), time.perf_counter() - began


def needed(measured: Mapping[str, float], hosts: int, units: int) -> dict[str, float]:
  """Seconds of each part of the job on so many hosts, cut into so many units."""
  total, workers = _EXAMPLES.value, hosts * _CORES.value
  # Whole units go to a core: as many as it gets at most.
  most = math.ceil(units / workers)
  moved = hosts * measured["database_bytes"] + total * measured["bytes_an_example"]
  parts = {
    "start": measured["start_s"],
    "work": most * total / units * measured["cpu_s_an_example"],
    "join": total * measured["join_s_an_example"],
    "disk": moved / (_DISK.value * 1e6),
  }
  return {name: round(seconds, 2) for name, seconds in parts.items()}


if __name__ == "__main__":
  launch.launch(main)
