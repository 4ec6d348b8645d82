r"""Accepted examples a second of `synthesize`, beside a plain loop in one process.

Both over the same templates, databases and checks.

    python experiments/benchmarks/synthesis_speed.py \
      --databases=concert_singer.sqlite,pets_1.sqlite --output=speed.json

The plain loop draws a template, fills it, lets `filters.check` judge the text of the query, writes
the question and keeps what is new: the same steps, without blocks, workers or plans made once for a
template. Both are run --runs times in turn. Wall-clock times include the start of workers and the
reading of the databases; CPU seconds those of all processes.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import measuring
from absl import flags

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import name_of
from spftsql_jax.questions import sentences
from spftsql_jax.synthesis import filters, pool
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.normal_form import normal_form
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.sampler import fill_template
from spftsql_jax.synthesis.stored import StoredValues
from spftsql_jax.synthesis.synthesize import synthesize

_DATABASES = flags.DEFINE_list("databases", None, "SQLite files.", required=True)
_NUM_EXAMPLES = flags.DEFINE_integer(
  "num_examples", 1000, "Examples on each database.", lower_bound=1
)
_WORKERS = flags.DEFINE_integer(
  "workers", os.cpu_count() or 1, "Worker processes of `synthesize`.", lower_bound=1
)
_RUNS = flags.DEFINE_integer("runs", 3, "Runs of each, medians are reported.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  ways = {"plain loop": plain_loop, "synthesize": ours}
  runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
  for seed in range(_RUNS.value):
    for name, way in ways.items():
      start, before = time.perf_counter(), measuring.cpu_seconds()
      count = way(seed)
      seconds, used = time.perf_counter() - start, measuring.cpu_seconds() - before
      runs[name].append({"examples": count, "seconds": seconds, "cpu_seconds": used})
      print(f"{name}: {count} examples in {seconds:.1f} s, {used:.1f} CPU seconds", flush=True)
  report = {
    "databases": [name_of(location) for location in _DATABASES.value],
    "workers": _WORKERS.value,
    "runs": runs,
    "examples_per_second": {
      n: statistics.median(r["examples"] / r["seconds"] for r in found) for n, found in runs.items()
    },
    "examples_per_cpu_second": {
      n: statistics.median(r["examples"] / r["cpu_seconds"] for r in found)
      for n, found in runs.items()
    },
  }
  Path(_OUTPUT.value).write_text(json.dumps(report, indent=1), encoding="utf-8")
  print(
    json.dumps({key: report[key] for key in ("examples_per_second", "examples_per_cpu_second")})
  )


def ours(seed: int) -> int:
  count = _NUM_EXAMPLES.value * len(_DATABASES.value)
  return len(
    synthesize(
      _DATABASES.value,
      pool.builtin_templates(),
      SynthesisOptions(count, seed=seed, workers=_WORKERS.value),
    ).examples
  )


def plain_loop(seed: int) -> int:
  """The same steps one after the other."""
  items = pool.builtin_templates()
  total = 0
  for location in _DATABASES.value:
    rng, seen, schema = random.Random(seed), set(), read_schema(location)
    with tempfile.TemporaryDirectory() as folder:
      original = Runner(location)
      neighbours = [Runner(path) for path in make_instances(location, folder, 2, seed)]
      values = StoredValues.read(original.rows, schema)
      while len(seen) < _NUM_EXAMPLES.value:
        (item,) = rng.choices(items, [item.weight for item in items])
        try:
          sql = fill_template(item.template, schema, values, rng)
          if filters.check(sql, original, neighbours) is None:
            sentences.write_question(sql, schema, rng)
            seen.add(normal_form(sql))
        except (CannotFill, QueryFailed, sentences.UnsupportedQuery):
          continue
      for runner in (original, *neighbours):
        runner.close()
    total += len(seen)
  return total


if __name__ == "__main__":
  launch.launch(main)
