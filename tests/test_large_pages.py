"""A program that trains starts itself again once, for its memory to come in large pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
SCRIPT = f"""
import json, os, sys
sys.path.insert(0, {str(EXPERIMENTS)!r})
import large_pages
def tell():
  print(json.dumps([os.getpid(), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:]]), flush=True)
tell()
large_pages.start_again()
tell()
"""


def told(tmp_path, *arguments, **environment):
  script = tmp_path / "script.py"
  script.write_text(SCRIPT)
  rest = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
  done = subprocess.run(
    [sys.executable, script, *arguments],
    env=rest | environment,
    capture_output=True,
    text=True,
    check=True,
  )
  return [json.loads(line) for line in done.stdout.splitlines()]


def on_request():
  mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
  return mode.is_file() and "[madvise]" in mode.read_text()


@pytest.mark.skipif(not on_request(), reason="the system gives no large pages on request")
def test_it_is_the_same_process_with_the_same_arguments_and_leaves_nothing_to_its_children(
  tmp_path,
):
  first, again, then = told(tmp_path, "--a=b c", "d")
  pid, arguments = first[0], ["--a=b c", "d"]
  assert first == [pid, None, arguments] and then == [pid, None, arguments]
  assert again == [pid, "glibc.malloc.hugetlb=1", arguments]


def test_what_the_user_has_set_stays(tmp_path):
  mine = "glibc.malloc.trim_threshold=1000000"
  first, then = told(tmp_path, GLIBC_TUNABLES=mine)
  assert first == then and first[1] == mine


def test_a_script_that_another_runs_is_left_alone(tmp_path):
  (tmp_path / "script.py").write_text(SCRIPT)
  (tmp_path / "runner.py").write_text(
    "import runpy, sys\nsys.argv = ['script.py']\nrunpy.run_path('script.py', None, '__main__')\n"
  )
  done = subprocess.run(
    [sys.executable, "runner.py"], cwd=tmp_path, capture_output=True, text=True, check=True
  )
  assert len(done.stdout.splitlines()) == 2
