"""The console command: every launch script from a checkout, and from a wheel in any folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from spftsql_jax.console import commands

ROOT = Path(__file__).parents[1]


def console(*arguments, **options):
  return subprocess.run(
    [sys.executable, "-m", "spftsql_jax.console", *arguments],
    capture_output=True,
    text=True,
    cwd=ROOT,
    check=False,
    **options,
  )


def test_every_launch_script_is_a_command_and_no_helper_is():
  found = commands()
  assert {"specialize", "ask", "spft", "synthesize", "evaluate", "predict"} <= set(found)
  assert not {"launch", "stopping", "processes", "database_access", "config_file"} & set(found)
  shown = console().stdout
  assert all(f"  {name} " in shown for name in found)


def test_a_command_is_its_script_with_its_exit_code_and_its_one_line():
  there = console("synthesize", "--databases=nowhere.sqlite", "--output=x.jsonl", "--seed=0")
  assert there.returncode == 2 and "nowhere.sqlite" in there.stderr
  assert len(there.stderr.strip().splitlines()) == 1


def test_an_unknown_command_is_told_with_those_there_are():
  there = console("specialise")
  assert there.returncode == 2 and "specialise" in there.stderr and "specialize" in there.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
  """The console command of a wheel, built from an sdist where setuptools is there to make one, and
  installed without its requirements, which are this environment's.
  """
  folder = tmp_path_factory.mktemp("wheel")
  source = folder / "source"  # Building writes beside what it builds.
  source.mkdir()
  for name in ("spftsql_jax", "experiments"):
    shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
  for name in ("setup.py", "pyproject.toml", "requirements.txt", "README.md", "MANIFEST.in"):
    shutil.copy(ROOT / name, source)
  if importlib.util.find_spec("setuptools"):
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (source,) = folder.glob("*.tar.gz")
  built = subprocess.run(
    [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", f"--wheel-dir={folder}", source],
    capture_output=True,
    text=True,
    check=False,
  )
  if "No matching distribution" in built.stderr:
    pytest.skip("no package index is in reach to build a wheel with")
  assert built.returncode == 0, built.stderr
  venv.create(folder / "env", with_pip=True)
  python = folder / "env/bin/python"
  (wheel,) = folder.glob("*.whl")
  subprocess.run(
    [python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel], check=True
  )
  site = next((folder / "env/lib").glob("python*/site-packages"))
  ours = [path for path in sys.path if path.endswith("site-packages")]
  (site / "requirements.pth").write_text("\n".join(ours))
  return folder / "env/bin/spftsql"


def test_an_installed_command_works_in_any_folder(installed, tmp_path):
  environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

  def run(*arguments):
    return subprocess.run(
      [installed, *arguments],
      capture_output=True,
      text=True,
      cwd=tmp_path,
      env=environment,
      check=False,
    )

  assert "specialize" in run("--help").stdout
  made = run("synthetic_databases", "--output=made", "--count=1", "--seed=1")
  assert made.returncode == 0, made.stderr
  (database,) = (tmp_path / "made").glob("*/*.sqlite")
  pairs = run(
    "synthesize", f"--databases={database}", "--num_examples=5", "--seed=0", "--output=pairs.jsonl"
  )
  assert pairs.returncode == 0, pairs.stderr
  assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 5


def test_a_wheel_brings_demo_data_and_configs(installed):
  folder = next((installed.parents[1] / "lib").glob("python*/site-packages/spftsql_jax/commands"))
  assert (folder / "demo/questions/clinic.json").is_file()
  assert (folder / "configs/quickstart.py").is_file()
