"""Times evaluate.py against Spider's official test-suite evaluator on the same predictions, side by
side, and compares every verdict.

    python experiments/benchmarks/evaluate_speed.py --official=test-suite-sql-eval \
      --examples=dev.json --predictions=predicted.sql --databases=database \
      --instances=20 --output=speed.json

--official is a clone of taoyds/test-suite-sql-eval (third_party/README.md says which revision);
--official_python a Python that has its requirements (sqlparse, nltk, tqdm). With --instances=N each
database gets N - 1 neighbouring instances in a temporary folder. Both are run --runs times, in
turns, after one run of each that is not counted and leaves Python's byte code in the temporary
folder. Reported are the medians of wall clock and of CPU time (user and system, workers included)
of the whole process, start included, and every run.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags

from spftsql_jax.databases.instances.make import make_instances
from spftsql_jax.examples import benchmarks
from spftsql_jax.sql.one_line import one_line

_OFFICIAL = flags.DEFINE_string("official", None, "Clone of the official evaluator.", required=True)
_OFFICIAL_PYTHON = flags.DEFINE_string(
  "official_python", sys.executable, "Python with the official evaluator's requirements."
)
_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the examples.", required=True)
_PREDICTIONS = flags.DEFINE_string("predictions", None, "File of predictions.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_INSTANCES = flags.DEFINE_integer(
  "instances", 1, "Instances of each database, the original included.", lower_bound=1
)
_RUNS = flags.DEFINE_integer("runs", 3, "Runs of each, in turns.", lower_bound=1)
_WORKERS = flags.DEFINE_integer(
  "workers", min(8, os.cpu_count() or 1), "Worker processes of evaluate.py.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

# Runs evaluation.py as it is and prints each verdict. The tokenizer's data (punkt, for splitting
# sentences) cannot be had everywhere: the word tokenizer inside it, called directly, gives the same
# tokens for SQL and takes less time.
_WRAPPER = """
import sys, nltk
from nltk.tokenize import NLTKWordTokenizer
tokenizer = NLTKWordTokenizer()
nltk.word_tokenize = tokenizer.tokenize
import exec_eval
original = exec_eval.eval_exec_match
def recorded(**arguments):
  verdict = original(**arguments)
  print("VERDICT", verdict)
  return verdict
exec_eval.eval_exec_match = recorded
import evaluation
evaluation.evaluate(*sys.argv[1:4], "exec", None, False, False, False)
"""


def main() -> None:
  examples = benchmarks.read_examples(_EXAMPLES.value)
  if not (Path(_OFFICIAL.value) / "exec_eval.py").is_file():
    raise launch.InputError(
      f"{_OFFICIAL.value}: no clone of the official evaluator (exec_eval.py is missing)"
    )
  with tempfile.TemporaryDirectory() as scratch:
    databases = Path(scratch) / "database"
    for db_id in benchmarks.database_ids(examples):
      source = benchmarks.find_database(_DATABASES.value, db_id)
      (databases / db_id).mkdir(parents=True)
      shutil.copy(source, databases / db_id)
      make_instances(source, databases / db_id, _INSTANCES.value - 1, seed=0)
    gold = Path(scratch) / "gold.sql"
    gold.write_text(
      "".join(f"{one_line(e.query)}\t{e.db_id}\n" for e in examples), encoding="utf-8"
    )
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(scratch) / "byte_code")
    runs: dict[str, list[dict]] = {"official": [], "ours": []}
    for _ in range(1 + _RUNS.value):
      # Interleaved, so that a machine that changes its speed changes it for both.
      runs["official"].append(_timed(lambda: _run_official(gold, databases)))
      runs["ours"].append(_timed(lambda: _run_ours(databases, Path(scratch) / "ours.json")))
    runs = {name: each[1:] for name, each in runs.items()}
  pairs = zip(runs["official"][0].pop("verdicts"), runs["ours"][0].pop("verdicts"), strict=True)
  disagreements = [i for i, (theirs, ours) in enumerate(pairs) if theirs != ours]
  for run in (*runs["official"][1:], *runs["ours"][1:]):
    del run["verdicts"]
  medians = {
    name: {key: statistics.median(run[key] for run in each) for key in ("seconds", "cpu_seconds")}
    for name, each in runs.items()
  }
  result = {
    "questions": len(examples),
    "instances": _INSTANCES.value,
    "workers": _WORKERS.value,
    "medians": medians,
    "speedup": round(medians["official"]["seconds"] / medians["ours"]["seconds"], 2),
    "cpu_ratio": round(medians["official"]["cpu_seconds"] / medians["ours"]["cpu_seconds"], 2),
    "disagreements": disagreements,
  }
  Path(_OUTPUT.value).write_text(
    json.dumps(result | {"runs": runs}, indent=1) + "\n", encoding="utf-8"
  )
  print(json.dumps(result))


def _timed(run: Callable[[], list[bool]]) -> dict:
  """The verdicts of a run with its wall clock and the CPU time of its processes."""
  before, start = _children_cpu_seconds(), time.perf_counter()
  verdicts = run()
  seconds = time.perf_counter() - start
  return {
    "seconds": round(seconds, 3),
    "cpu_seconds": round(_children_cpu_seconds() - before, 3),
    "verdicts": verdicts,
  }


def _children_cpu_seconds() -> float:
  """CPU time of all processes that this one has waited for, and of those that they have waited
  for.
  """
  usage = resource.getrusage(resource.RUSAGE_CHILDREN)
  return usage.ru_utime + usage.ru_stime


def _run_official(gold: Path, databases: Path) -> list[bool]:
  command = [
    _OFFICIAL_PYTHON.value,
    "-c",
    _WRAPPER,
    str(gold),
    os.path.abspath(_PREDICTIONS.value),
    str(databases),
  ]
  done = subprocess.run(command, cwd=_OFFICIAL.value, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(
      f"the official evaluator failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    )
  return [line == "VERDICT 1" for line in done.stdout.splitlines() if line.startswith("VERDICT")]


def _run_ours(databases: Path, output: Path) -> list[bool]:
  script = Path(__file__).resolve().parents[1] / "evaluate.py"
  measure = "ts" if _INSTANCES.value > 1 else "ex"
  command = [
    sys.executable,
    str(script),
    f"--examples={_EXAMPLES.value}",
    f"--predictions={_PREDICTIONS.value}",
    f"--databases={databases}",
    "--comparison=spider",
    f"--metrics={measure}",
    f"--workers={_WORKERS.value}",
    f"--output={output}",
  ]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(f"evaluate.py failed: {done.stderr.strip()}")
  key = "suite_correct" if _INSTANCES.value > 1 else "correct"
  return [entry[key] for entry in json.loads(output.read_text())["per_example"]]


if __name__ == "__main__":
  launch.launch(main)
