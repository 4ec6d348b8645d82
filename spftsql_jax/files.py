"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
  """Writes a file under another name and renames it: whoever reads it sees the old or the new.

  One process at a time writes a file. What a killed one leaves unfinished, the next overwrites.
  """
  unfinished = path.with_name(f".{path.name}")
  try:
    unfinished.write_bytes(data)
    os.replace(unfinished, path)
  finally:
    unfinished.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
  """`write_whole` of a value as JSON, indented by one space."""
  write_whole(path, json.dumps(value, indent=1).encode())
