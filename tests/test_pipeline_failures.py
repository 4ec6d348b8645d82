"""What goes wrong around a run: a full disk, a folder that cannot be written, a database that
disappears, a poisoned file.

Each is one clear line, and the same command goes on when it is put right.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import EXPERIMENTS, journal_of, make_demo, quiet, short_tokenizer, tiny_config

from spftsql_jax.databases import DatabaseError
from spftsql_jax.pipeline import run


@pytest.fixture(scope="module")
def started(tmp_path_factory):
  """(demo data, work folder) of a run that has stopped behind SFT."""
  demo, workdir = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("run")
  make_demo(demo)
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    run.run(tiny_config(str(demo)), workdir, stop_after="sft", say=quiet)
  return demo, workdir


def steps_of(workdir: Path) -> list[str]:
  return list(journal_of(workdir))


def test_a_database_that_disappears_is_named_and_the_run_goes_on_when_it_is_back(started, tmp_path):
  demo, workdir = started
  copy = shutil.copytree(workdir, tmp_path / "run")
  database = demo / "clinic" / "clinic.sqlite"
  away = database.rename(tmp_path / "away.sqlite")
  try:
    with pytest.raises((DatabaseError, FileNotFoundError), match=r"clinic\.sqlite"):
      run.run(tiny_config(str(demo)), copy, stop_after="vbi_ft", say=quiet)
  finally:
    shutil.move(away, database)
  assert steps_of(copy) == steps_of(workdir)
  run.run(tiny_config(str(demo)), copy, stop_after="vbi_ft", say=quiet)
  assert set(steps_of(copy)) > set(steps_of(workdir))


@pytest.mark.parametrize("poison", ["changed", "garbage", "gone"])
def test_a_poisoned_example_file_is_named_and_never_used(started, tmp_path, poison):
  demo, workdir = started
  copy = shutil.copytree(workdir, tmp_path / "run")
  [path] = (copy / "data").glob("selection-*.jsonl")
  text = path.read_text()
  if poison == "gone":
    path.unlink()
  else:
    # The first is sound JSON, an answer that nobody verified.
    first, rest = text.split("\n", 1)
    record = json.loads(first) | {"query": "SELECT 1"}
    path.write_text(f"{json.dumps(record)}\n{rest}" if poison == "changed" else "\0" + text)
  with pytest.raises(RuntimeError, match=rf"{path.name}.*(gone|damaged)"):
    run.run(tiny_config(str(demo)), copy, stop_after="vbi_ft", say=quiet)
  path.write_text(text)
  run.run(tiny_config(str(demo)), copy, stop_after="sft", say=quiet)


@pytest.fixture
def small_disk(tmp_path):
  """A file system of 128 kB of its own."""
  place = tmp_path / "disk"
  place.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
  if (
    os.geteuid()
    or not shutil.which("mount")
    or subprocess.run(command, capture_output=True).returncode
  ):
    pytest.skip("file systems cannot be mounted here (needs root)")
  yield place
  subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_and_a_read_only_disk_are_said_and_the_run_goes_on(started, small_disk):
  demo, _ = started

  def launch():
    arguments = [
      f"--config={EXPERIMENTS}/configs/demo_tiny.py",
      f"--config.data_dir={demo}",
      f"--workdir={small_disk}/run",
    ]
    command = [sys.executable, str(EXPERIMENTS / "spft.py"), *arguments, "--stop_after=sft"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return done.returncode, [
      line for line in done.stderr.splitlines() if line.startswith("spft.py: ")
    ]

  def remount(options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(small_disk)], check=True)

  code, said = launch()
  assert code == 1 and len(said) == 1 and "the disk is full" in said[0], said
  remount("ro")
  code, said = launch()
  assert code == 1 and len(said) == 1 and "Read-only file system" in said[0], said
  remount("rw,size=200m")
  assert launch() == (0, [])
  assert steps_of(small_disk / "run")[-1] in ("sft", "questions")
