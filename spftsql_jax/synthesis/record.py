"""The record of a synthesis that is under way: block after block what the workers returned.

With it a run that was killed goes on where it was and ends with the same examples.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from spftsql_jax.synthesis.attempts import Attempt
from spftsql_jax.synthesis.synthetic_example import SyntheticExample

BlockResult = list[Attempt]


def fingerprint_of(*arguments: object) -> str:
  """A text that changes when any argument does."""
  return hashlib.blake2s("\n".join(map(repr, arguments)).encode(), digest_size=16).hexdigest()


class Record:
  """The blocks of a run, in the order in which they were used.

  A record of another run (`fingerprint`) is begun anew.
  """

  def __init__(self, path: str | os.PathLike[str], fingerprint: str):
    self._path = Path(path)
    self.blocks: dict[tuple[int, int], BlockResult] = {}
    lines = self._read(fingerprint)
    # What follows the last whole line was being written when the run was killed.
    self._path.write_text(
      "".join(line + "\n" for line in lines or [json.dumps({"fingerprint": fingerprint})]),
      encoding="utf-8",
    )
    self._file = self._path.open("a", encoding="utf-8")

  def _read(self, fingerprint: str) -> list[str]:
    if not self._path.is_file():
      return []
    kept: list[str] = []
    for line in self._path.read_text(encoding="utf-8").split("\n")[:-1]:
      try:
        entry = json.loads(line)
      except json.JSONDecodeError:
        break
      if not kept:
        if entry.get("fingerprint") != fingerprint:
          return []
      else:
        self.blocks[entry["unit"], entry["first"]] = _from_json(entry)
      kept.append(line)
    return kept

  def add(self, unit: int, first: int, result: BlockResult) -> None:
    """Writes a block down, unless it is there already."""
    if (unit, first) in self.blocks:
      return
    attempts = [
      [position, found and [found[0].to_json(), found[1]], dict(reasons)]
      for position, found, reasons in result
    ]
    entry = {"unit": unit, "first": first, "attempts": attempts}
    self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    self._file.flush()

  def close(self) -> None:
    self._file.close()


def _from_json(entry: dict[str, Any]) -> BlockResult:
  return [
    (
      position,
      found and (SyntheticExample.from_json(found[0]), found[1]),
      collections.Counter(reasons),
    )
    for position, found, reasons in entry["attempts"]
  ]
