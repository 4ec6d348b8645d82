"""Files that are whole or not there: written under another name beside, then renamed.

Whoever reads the name sees what was there before, or all of what is there now. One process at a
time writes a file. One that is killed leaves the old file, and at most a hidden `.NAME.unfinished`
beside it, which the next overwrites.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
  """The name to write a file under that becomes `path` at the end of the block.

  What a killed process has left there is removed first, and so is what a block that fails leaves.
  """
  path = Path(path)
  unfinished = path.with_name(f".{path.name}.unfinished")
  unfinished.unlink(missing_ok=True)
  try:
    yield unfinished
    os.replace(unfinished, path)
  finally:
    unfinished.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a file: it is as it was until all of it is there."""
  with replacing(path) as unfinished:
    unfinished.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """`write_whole` of a text in UTF-8, its line ends as they are."""
  write_whole(path, text.encode())


def write_json(path: str | os.PathLike[str], value: object, indent: int = 1, end: str = "") -> None:
  """`write_whole` of a value as JSON.

  Args:
    indent: spaces of each level.
    end: what follows the value, such as a line end.
  """
  write_text(path, json.dumps(value, indent=indent) + end)


def shard_path(path: str | os.PathLike[str], index: int, count: int) -> Path:
  """The file of a shard of several, beside that of the whole: out-00001-of-00004.jsonl."""
  path = Path(path)
  return path.with_name(f"{path.stem}-{index:05}-of-{count:05}{path.suffix}")


def json_lines(records: Iterable[object]) -> str:
  """The text of a JSON lines file: a record a line, letters as they are."""
  return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def sha256(path: str | os.PathLike[str]) -> str:
  """The SHA-256 of what a file holds, in hexadecimal."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
