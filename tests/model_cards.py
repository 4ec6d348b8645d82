"""The examples in a model card, taken out and executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def block(card: str, holding: str) -> str:
  """The one Python block of a card that holds a text."""
  [found] = [b for b in _BLOCK.findall(card) if holding in b]
  return found


def run_example(folder: Path, library: str, python: str = sys.executable) -> str:
  """What the card's example for a library prints, executed in the card's folder as a reader would:
  the prompt, then the example.
  """
  card = (folder / "README.md").read_text(encoding="utf-8")
  code = f"{block(card, 'parts = [')}\n{block(card, library)}"
  environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
  done = subprocess.run(
    [python, "-c", code],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
    timeout=600,
    env=environment,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return done.stdout.strip()
