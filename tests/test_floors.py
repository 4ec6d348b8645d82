"""The house's floors: imports run one way, downwards, without a circle, and the SQL wing starts
without JAX.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from import_graph import Import, circles, imports, modules

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "spftsql_jax"
FILES = modules(PACKAGE)
IMPORTS = list(imports(FILES))

# From below. A room, or a file beside the rooms, imports what stands before it, and itself.
ROOMS = (
  "files",
  "amounts",
  "hosts",
  "schema",
  "sql",
  "columns",
  "databases",
  "judging",
  "questions",
  "examples",
  "synthesis",
  "pretraining",
  "base",
  "models",
  "training",
  "generation",
  "ahead",
  "answering",
  "report",
  "pipeline",
  "console",
)
SQL_WING = (
  "schema",
  "sql",
  "columns",
  "databases",
  "judging",
  "questions",
  "synthesis",
  "pretraining",
)
WORKER = "spftsql_jax.databases.execution.worker"
# Modules that a worker may load before it has seen a database: some 70, half of them Python's own.
WORKER_MODULES = 120


def room_of(module: str) -> str:
  """The room of a module, "" for the package's own file."""
  return module.split(".")[1] if "." in module else ""


def told(one: Import) -> str:
  path = FILES[one.importer].relative_to(ROOT)
  return f"{path}:{one.line}: imports {one.imported}"


def test_every_room_has_its_floor():
  assert {room_of(module) for module in FILES} - {"", *ROOMS} == set()


def test_imports_run_downwards():
  floors = {room: floor for floor, room in enumerate(("", *ROOMS))}
  upwards = [
    told(one)
    for one in IMPORTS
    # A room without a floor is told above.
    if floors.get(room_of(one.imported), 0) > floors.get(room_of(one.importer), len(floors))
  ]
  assert not upwards, "imports upwards:\n" + "\n".join(upwards)


def test_no_circle_between_modules():
  edges = defaultdict(set)
  for one in IMPORTS:
    edges[one.importer].add(one.imported)
  lines = []
  for circle in circles(edges):
    lines += [f"a circle of {len(circle)}:"]
    lines += [
      "  " + told(one) for one in IMPORTS if one.importer in circle and one.imported in circle
    ]
  assert not lines, "\n".join(lines)


def test_the_package_imports_nothing_by_itself():
  code = "import sys, spftsql_jax; print(*(m for m in sys.modules if m.startswith('spftsql_jax.')))"
  assert not _python(code).split()


@pytest.mark.parametrize("room", SQL_WING)
def test_the_sql_wing_never_imports_jax(room):
  names = [name for name in FILES if room_of(name) == room]
  # Each in a process of its own, forked from one that has loaded the libraries they share.
  code = f"""
import importlib, os, sys, duckdb, numpy, sqlglot, sqlalchemy
for name in {names!r}:
  child = os.fork()
  if not child:
    importlib.import_module(name)
    heavy = sorted({{"jax", "jaxlib", "flax", "optax", "orbax", "torch"}} & sys.modules.keys())
    if heavy:
      print(name, "loads", *heavy, flush=True)
    os._exit(0)
  if os.waitpid(child, 0)[1]:
    print(name, "cannot be imported", flush=True)
"""
  assert _python(code) == ""


def test_a_worker_starts_with_few_modules():
  code = f"import sys, {WORKER}; print(*sorted(sys.modules))"
  loaded = _python(code).split()
  ours = {name for name in loaded if room_of(name) and name.startswith("spftsql_jax.")}
  assert {room_of(name) for name in ours} <= {"files", "schema", "sql", "columns", "databases"}
  assert not {"jax", "numpy", "transformers", "sqlglot.optimizer"} & set(loaded)
  assert len(loaded) < WORKER_MODULES


def _python(code: str) -> str:
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture
def package(tmp_path):
  """A small package with a circle, a relative import and one inside a function."""
  root = tmp_path / "house"
  (root / "room").mkdir(parents=True)
  (root / "__init__.py").write_text("")
  (root / "room" / "__init__.py").write_text("from .a import x\n")
  (root / "room" / "a.py").write_text("import os\n\ndef f():\n  from house.room import b\n")
  (root / "room" / "b.py").write_text("from . import a\nfrom ..top import y\n")
  (root / "top.py").write_text("y = 1\n")
  return modules(root)


def test_imports_of_every_kind_are_seen(package):
  assert {(one.importer, one.imported, one.line) for one in imports(package)} == {
    ("house.room", "house.room.a", 1),
    ("house.room.a", "house.room.b", 4),
    ("house.room.b", "house.room.a", 1),
    ("house.room.b", "house.top", 2),
  }


def test_circles_are_found(package):
  edges = defaultdict(set)
  for one in imports(package):
    edges[one.importer].add(one.imported)
  assert circles(edges) == [["house.room.a", "house.room.b"]]
