"""Stand-ins for programs of a cloud or a cluster: scripts on a PATH of their own that record how
they are called.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Without site-packages, which are not needed and take time.
_RECORD = """#!{python} -ISs
import json, os, pathlib, subprocess, sys
here = pathlib.Path({folder!r})
with (here / "calls.jsonl").open("a") as file:
  file.write(json.dumps([{name!r}, *sys.argv[1:]]) + "\\n")
"""


def install(folder: Path, **programs: str) -> None:
  """Writes programs of Python code into `folder`/bin; `here` is the folder in it."""
  (folder / "bin").mkdir(parents=True, exist_ok=True)
  for name, code in programs.items():
    path = folder / "bin" / name
    path.write_text(
      _RECORD.format(python=sys.executable, folder=str(folder), name=name) + code, encoding="utf-8"
    )
    path.chmod(0o755)


def calls(folder: Path, program: str = "") -> list[list[str]]:
  """How the programs, or one of them, were called, in order."""
  path = folder / "calls.jsonl"
  lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
  return [call for call in map(json.loads, lines) if program in ("", call[0])]


def run(folder: Path, script: str, *arguments: str, **environment: str):
  """Runs a script of experiments/ where the stand-ins are found first."""
  path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
  return subprocess.run(
    [sys.executable, str(ROOT / "experiments" / script), *arguments],
    cwd=folder,
    env=os.environ | {"PATH": path} | environment,
    capture_output=True,
    text=True,
    timeout=60,
    check=False,
  )


def shell_faults(text: str) -> str:
  """What bash, and shellcheck where it is installed, say against a script."""
  commands = [["bash", "-n"]]
  if shutil.which("shellcheck"):
    commands.append(["shellcheck", "--shell=bash", "--severity=warning", "-"])
  done = [
    subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    for command in commands
  ]
  return "".join(each.stdout + each.stderr for each in done)
