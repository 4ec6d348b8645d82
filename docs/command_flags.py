"""The flags of a launch script, as absl has them when the script is imported."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"

# Run for each script in a process of its own: two scripts that define one flag cannot share one.
_CODE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
module = importlib.import_module(sys.argv[2])
from absl import flags
print(json.dumps([
  [f.name, f.flag_type(), f.default_as_str or "", f.help or "",
   getattr(f.parser, "syntactic_help", ""), bool(f.boolean)]
  for f in flags.FLAGS.get_key_flags_for_module(module.__name__)
]))
"""


@dataclasses.dataclass(frozen=True)
class Flag:
  """A flag, as absl tells it: `allowed` is what its parser says of its values."""

  name: str
  type: str
  default: str
  help: str
  allowed: str
  boolean: bool

  @property
  def usage(self) -> str:
    """How it is written on a command line."""
    return f"--[no]{self.name}" if self.boolean else f"--{self.name}"


def path_of(script: str) -> Path:
  """Where a script lies in experiments/, without its suffix."""
  start, _, folder = script.partition("launch_")
  return Path(script) if start or not folder else Path(folder) / "launch"


@functools.cache
def read_flags(script: str) -> tuple[Flag, ...]:
  """The flags that `experiments/<script>.py --help` shows, by name.

  Args:
    script: its name; launch_tpu is tpu/launch.py.
  """
  done = subprocess.run(
    [sys.executable, "-c", _CODE, str(EXPERIMENTS), ".".join(path_of(script).parts)],
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  if done.returncode:
    raise RuntimeError(
      f"experiments/{path_of(script)}.py cannot be imported: {done.stderr.strip()}"
    )
  return tuple(Flag(*fields) for fields in sorted(json.loads(done.stdout.splitlines()[-1])))
