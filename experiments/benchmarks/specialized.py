"""What `specialize` adds on databases with human-written questions, none of which it sees.

    python experiments/benchmarks/specialized.py --output=FILE.json [--max_minutes=10]
        [--base_model=DIR] [--questions=FILE[,FILE] --databases=DIR|FILE|URL[,..]] [--runs=DIR]

Each database is specialised on by itself, without labels, on the default settings (with
--max_minutes for so long). The model before and the model after answer its questions greedily.
Execution accuracy with its 95 % interval (Wilson), the exact test of the paired differences, and
the time taken. By default the demo databases and their 324 questions, written by hand. The file is
written anew behind each database.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import check_output, launch

# isort: split
from absl import flags
from answers import answers_of, are_right, share
from demo.make_databases import make_demo

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.base import base_in_the_box
from spftsql_jax.databases import Executor
from spftsql_jax.databases.search_path import database_places, find_database
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json
from spftsql_jax.judging.statistics import paired_exact_test
from spftsql_jax.pipeline.specialize.base_model import base_folder
from spftsql_jax.pipeline.specialize.settings import Settings
from spftsql_jax.pipeline.specialize.specialize import specialize

_BASE = flags.DEFINE_string("base_model", None, "Model to start from, as `specialize` takes it.")
_QUESTIONS = flags.DEFINE_list("questions", [], "Example files with gold SQL.")
_DATABASES = flags.DEFINE_string("databases", None, "Their databases: folders, files or URLs.")
_MINUTES = flags.DEFINE_float("max_minutes", None, "Minutes of each run.", lower_bound=1)
_RUNS = flags.DEFINE_string(
  "runs", None, "Folder that keeps the runs, to go on; forgotten by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  check_output(_OUTPUT.value)
  with tempfile.TemporaryDirectory() as folder:
    runs = Path(_RUNS.value or folder)
    base = base_folder(_BASE.value or str(base_in_the_box() or ""), runs / "base_model")
    if not _QUESTIONS.value:
      make_demo(runs / "demo")
    files: list[str] = _QUESTIONS.value or [str(runs / "demo/test.json")]
    asked = [example for file in files for example in read_examples(file)]
    places = database_places(_DATABASES.value or str(runs / "demo"))
    found: dict[str, Any] = {}
    for db_id in database_ids(asked):
      location = find_database(places, db_id)
      found[db_id] = _measure(base, location, _of(asked, db_id), runs / db_id)
      write_json(Path(_OUTPUT.value), found | {"all": _together(list(found.values()))})
      _show(db_id, found[db_id])
    _show("all", _together(list(found.values())))


def _show(name: str, figures: dict[str, Any]) -> None:
  print(name, json.dumps({key: value for key, value in figures.items() if key != "right"}))


def _of(examples: Sequence[Example], db_id: str) -> list[Example]:
  return [example for example in examples if example.db_id == db_id]


def _measure(base: str, location: str, asked: Sequence[Example], run: Path) -> dict[str, Any]:
  """Specialises on a database, and asks the model before and after."""
  began = time.perf_counter()
  specialize(Settings(location, base, seed=_SEED.value), run, _MINUTES.value)
  minutes = (time.perf_counter() - began) / 60
  # Random weights answer nothing rightly.
  before = _right(Path(base), location, asked) if base else [False] * len(asked)
  after = _right(run / "export", location, asked)
  return _figures(before, after) | {"minutes": round(minutes, 1)}


def _right(model: Path, location: str, asked: Sequence[Example]) -> list[bool]:
  """Whether each greedy answer is right."""
  exported = load_exported(model, lanes=96)
  answers = answers_of(exported, {asked[0].db_id: PromptDatabase.read(location)}, asked)
  queries = [(e.query, answer) for e, answer in zip(asked, answers, strict=True)]
  with Executor(workers=1) as executor:
    return are_right(queries, [location] * len(asked), executor)


def _figures(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
  return {
    "n": len(before),
    "before": share(before),
    "after": share(after),
    "p": paired_exact_test(before, after),
    "right": {"before": list(before), "after": list(after)},
  }


def _together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """The figures over the questions of all databases."""
  before, after = (
    [right for figures in found for right in figures["right"][when]] for when in ("before", "after")
  )
  return _figures(before, after)


if __name__ == "__main__":
  launch(main, trains=True)
