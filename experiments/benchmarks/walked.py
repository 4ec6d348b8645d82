"""The steps that `walks.py` traces, each in a process of its own, and the tracer.

A step imports what it needs and returns the work that is traced. The module imports the standard
library alone: it is loaded before the tree that is traced, and in
worker processes, which should stay as they are.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# One of the pool's, with a join and a value.
TEMPLATE = "SELECT b.name1 WHERE a.num2 > :num2"
SCHEMA = """
CREATE TABLE band (id INTEGER PRIMARY KEY, name TEXT NOT NULL, founded INTEGER);
CREATE TABLE concert (
  id INTEGER PRIMARY KEY,
  band_id INTEGER NOT NULL REFERENCES band (id),
  visitors INTEGER NOT NULL
);
"""
_BANDS = ("Paper Lanterns", "Static Harbour", "Cold Tea Club", "Neon Shepherd", "Black Kettle")


def trace(tree: str, output: str) -> None:
  """Writes each function of `tree`'s package, when it is first called, into the pipe `output`.

  With the time, as a line; from here on, and in the processes that this one starts too.
  """
  package = os.path.join(tree, "spftsql_jax") + os.sep
  seen = set()
  pipe = os.open(output, os.O_WRONLY)

  def called(frame: FrameType, event: str, _: Any) -> None:
    code = frame.f_code
    if event != "call" or code in seen or not code.co_filename.startswith(package):
      return
    seen.add(code)
    # Not the bodies of modules and classes, nor comprehensions and lambdas.
    if code.co_flags & inspect.CO_OPTIMIZED and "<" not in code.co_name:
      name = f"{code.co_filename[len(package) :]}:{code.co_qualname}"
      os.write(pipe, f"{time.monotonic_ns()}\t{name}\n".encode())

  threading.setprofile(called)
  sys.setprofile(called)
  start = subprocess.Popen
  first = (
    f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import walked; "
    f"walked.trace({tree!r}, {output!r}); "
  )

  def start_traced(command: list[str], *arguments: Any, **named: Any) -> subprocess.Popen:
    if command[0] == sys.executable and "-c" in command:
      place = command.index("-c") + 1
      command = [*command[:place], first + command[place], *command[place + 1 :]]
    return start(command, *arguments, **named)

  vars(subprocess)["Popen"] = start_traced


def make_shop(path: Path) -> None:
  """The database of the walk."""
  import sqlite3

  connection = sqlite3.connect(path)
  connection.executescript(SCHEMA)
  for i, name in enumerate(_BANDS, 1):
    connection.execute("INSERT INTO band VALUES (?, ?, ?)", (i, name, 1990 + 3 * i))
    for j in range(6):
      connection.execute(
        "INSERT INTO concert VALUES (?, ?, ?)", (10 * i + j, i, 100 * i + 37 * j * j)
      )
  connection.commit()
  connection.close()


def open_shop(folder: Path) -> Callable[[], None]:
  """What is done once for a database: its schema is read, its neighbouring instances are made."""
  from spftsql_jax.databases import make_instances, open_database

  def work() -> None:
    with open_database(folder / "festival.sqlite") as database:
      assert database.schema.tables
    make_instances(folder / "festival.sqlite", folder, 1, seed=0)

  return work


def sql(folder: Path) -> Callable[[], None]:
  """A template's text becomes a query with a question; it and a near-miss are judged."""
  notation = importlib.import_module("spftsql_jax.synthesis.notation")
  synthesis = importlib.import_module("spftsql_jax.synthesis.synthesize")
  databases = importlib.import_module("spftsql_jax.databases")
  scoring = _import("spftsql_jax.judging.scoring", "spftsql_jax.evaluation.scoring")
  shop = str(folder / "festival.sqlite")
  options: Any = {"num_examples": 1, "seed": 0, "instances": 1, "instance_dir": str(folder)}
  if "options" in inspect.signature(synthesis.synthesize).parameters:
    kind = importlib.import_module("spftsql_jax.synthesis.options").SynthesisOptions
    options = {"options": kind(**options)}

  def work() -> None:
    templates = [notation.WeightedTemplate(notation.Template.parse(TEMPLATE), 1.0)]
    (example,) = synthesis.synthesize([shop], templates, **options).examples
    assert " > " in example.query and example.question, example
    pairs = [(example.query, example.query), (example.query, example.query.replace(" > ", " < "))]
    places = [[shop, *map(str, folder.glob("festival_*.sqlite"))]] * 2
    with databases.Executor(workers=1) as executor:
      verdicts = scoring.score_predictions(pairs, places, executor, suite=True)
    assert [verdict.correct for verdict in verdicts] == [True, False], verdicts

  return work


def params(folder: Path) -> Callable[[], None]:
  """The weights of a Hugging Face folder become a version of a model base, and a folder again."""
  models = importlib.import_module("spftsql_jax.models")
  bases = importlib.import_module("spftsql_jax.pipeline.model_base")

  def work() -> None:
    model, tree = models.load_hf(folder / "model")
    base = bases.ModelBase(folder / "base")
    base.add("base", tree, bases.Lineage("base", base_model="model"))
    models.save_hf(folder / "export", model.config, base.load("base"))
    assert (folder / "export" / "model.safetensors").is_file()

  return work


def _import(*names: str) -> Any:
  """The first of these modules that the tree has."""
  for name in names[:-1]:
    try:
      return importlib.import_module(name)
    except ModuleNotFoundError:
      pass
  return importlib.import_module(names[-1])
