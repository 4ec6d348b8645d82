"""Every script tells what it does and takes, from a plain clone: nothing has to be installed or on
the path before.
"""

import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
SCRIPTS = [
  path
  for path in sorted(
    [
      *EXPERIMENTS.glob("*.py"),
      *EXPERIMENTS.glob("benchmarks/*.py"),
      *EXPERIMENTS.glob("demo/*.py"),
      *EXPERIMENTS.glob("*/launch.py"),
    ]
  )
  if '__name__ == "__main__"' in path.read_text()
]


@pytest.mark.parametrize(
  "script", SCRIPTS, ids=[str(path.relative_to(EXPERIMENTS)) for path in SCRIPTS]
)
def test_help(script, tmp_path):
  done = subprocess.run(
    [sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=300
  )
  assert done.returncode == 0, done.stderr
  assert f"{script.name}" in done.stdout and "flags:" in done.stdout
