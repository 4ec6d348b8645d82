"""Synthesis on a Ray cluster makes the file that one machine makes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import pytest

from spftsql_jax.synthesis import on_ray
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

SCRIPT = Path(__file__).resolve().parents[1] / "experiments/synthesize.py"


@pytest.fixture(scope="module")
def databases(tmp_path_factory) -> list[str]:
  folder = tmp_path_factory.mktemp("databases")
  paths = []
  for name, rows in (("shop", 9), ("farm", 14)):
    paths.append(str(folder / f"{name}.sqlite"))
    with sqlite3.connect(paths[-1]) as connection:
      connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
      values = [(i, f"{name} item {i}", 1.5 * i) for i in range(rows)]
      connection.executemany("INSERT INTO item VALUES (?, ?, ?)", values)
    connection.close()
  return paths


class FakeRay(types.ModuleType):
  """Runs tasks when they are waited for, the last first: results come in another order."""

  def __init__(self):
    super().__init__("ray")
    self.cores: list[int] = []

  def init(self, address, **_):
    if address != "here":
      raise ConnectionError("nobody answers\nat all")

  def remote(self, num_cpus, max_retries):
    self.cores.append(num_cpus)

    def task(function):
      return types.SimpleNamespace(remote=lambda *arguments: [function, arguments, None])

    return task

  def wait(self, waiting):
    function, arguments, _ = waiting[-1]
    waiting[-1][2] = function(*arguments)
    return waiting[-1:], waiting[:-1]

  def get(self, found):
    return [result for _, _, result in found]


def test_units_together_are_what_one_machine_makes(databases, monkeypatch):
  ray = FakeRay()
  monkeypatch.setitem(sys.modules, "ray", ray)
  options = SynthesisOptions(24, seed=3, instances=0, parts=2)
  counted = []
  made = on_ray.synthesize_on_ray(databases, builtin_templates(), options, "here", counted.append)
  alone = synthesize(databases, builtin_templates(), options)
  assert made.examples == alone.examples and len(made.examples) == 24
  assert made.unit_sizes == alone.unit_sizes and len(counted) == 4 and sum(counted) == 24
  assert made.rejections == alone.rejections and ray.cores == [1]


def test_without_a_cluster_one_line_says_so(databases, monkeypatch):
  monkeypatch.setitem(sys.modules, "ray", FakeRay())
  with pytest.raises(on_ray.NoCluster, match="no Ray cluster at auto: nobody answers$"):
    on_ray.synthesize_on_ray(databases, builtin_templates(), SynthesisOptions(4, seed=0))
  monkeypatch.setitem(sys.modules, "ray", None)
  with pytest.raises(on_ray.NoCluster, match="not installed"):
    on_ray.synthesize_on_ray(databases, builtin_templates(), SynthesisOptions(4, seed=0))


def test_a_real_cluster_makes_the_same_bytes(databases, tmp_path):
  pytest.importorskip("ray", reason="ray is not installed")
  files = []
  for engine in (["--engine=local", "--workers=1"], ["--engine=ray", "--ray_address=local"]):
    files.append(tmp_path / f"{len(files)}.jsonl")
    command = [sys.executable, SCRIPT, f"--databases={','.join(databases)}", *engine]
    options = ["--num_examples=12", "--instances=0", f"--output={files[-1]}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["examples"] == 12
  assert files[0].read_bytes() == files[1].read_bytes()
  assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jsonl", "1.jsonl"]
