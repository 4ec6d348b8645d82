"""Files of answers: the partial one, to which answers are added as they come and which a later
start goes on from, and the lines of the finished one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from spftsql_jax.sql.one_line import one_line

# What is kept of an answer: the fields of a `Prediction`, and what more its maker adds.
AnswerRecord = dict[str, Any]

_REASONS = {
  "empty_prompt": "the question is empty",
  "too_long": "prompt and answer exceed the model's positions",
  "unknown_token": "the tokenizer gives ids that the model does not have",
}
_NAMED = 5


class OtherAnswersError(ValueError):
  """A partial file holds answers that depend on something else than those to come."""


def fingerprint(parts: Mapping[str, object]) -> dict[str, str]:
  """What answers depend on, by name, each part (of JSON's kinds) as a short hash."""
  return {
    name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for name, part in parts.items()
  }


def content_hash(path: Path) -> str:
  """A hash of what a file, or the files of a folder, hold."""
  files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
  return hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest()


def folder_state(folder: Path) -> list[str]:
  """Name, size and time of each file of a folder: a hash of weights would take minutes."""
  return [f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in sorted(folder.iterdir())]


def resume(partial: Path, depends_on: Mapping[str, str]) -> dict[int, AnswerRecord]:
  """The answers that a partial file has, by the number of their question; starts the file where it
  has none.

  Args:
    partial: the file.
    depends_on: `fingerprint` of the answers to come.

  Raises:
    OtherAnswersError: the answers are of another fingerprint; the message names what differs.
  """
  lines = partial.read_text().split("\n") if partial.is_file() else []
  if len(lines) < 3:  # Not one answer was written whole: there is nothing to go on with.
    partial.write_text(json.dumps(depends_on) + "\n")
    return {}
  before = json.loads(lines[0])
  if changed := [name for name in depends_on if before.get(name) != depends_on[name]]:
    raise OtherAnswersError(
      f"{partial}: begun with other {' and '.join(changed)}; give the same again, or delete it to "
      "start anew"
    )
  whole = lines[1:-1]  # the last one is empty, or was cut off
  partial.write_text("\n".join([lines[0], *whole]) + "\n")
  return dict(json.loads(line) for line in whole)


def add(file: TextIO, number: int, record: AnswerRecord) -> None:
  """Adds the answer to a question to an open partial file, at once."""
  file.write(json.dumps([number, record]) + "\n")
  file.flush()


def one_line_each(answers: Sequence[str], dialects: Sequence[str]) -> tuple[list[str], list[str]]:
  """Each answer on one line, and what could not be written so: those lines are blank."""
  lines, failed = [], []
  for number, (sql, dialect) in enumerate(zip(answers, dialects, strict=True), start=1):
    try:
      lines.append(one_line(sql, dialect))
    except ValueError as error:
      lines.append("")
      failed.append(f"line {number} is blank: {error}")
  return lines, failed


def bird_text(answers: Sequence[str], db_ids: Sequence[str]) -> str:
  """The answers as BIRD's evaluator reads them."""
  numbered = {
    str(i): f"{sql}\t----- bird -----\t{db_id}"
    for i, (sql, db_id) in enumerate(zip(answers, db_ids, strict=True))
  }
  return json.dumps(numbered, indent=1, ensure_ascii=False)


def unanswered(statuses: Iterable[str]) -> list[str]:
  """Why lines are blank, a sentence for each reason, with the first of the lines (from 1)."""
  places: dict[str, list[int]] = {}
  for number, status in enumerate(statuses, start=1):
    places.setdefault(status, []).append(number)
  return [
    f"{reason} on {len(places[status])} blank lines, the first of them {places[status][:_NAMED]}"
    for status, reason in _REASONS.items()
    if status in places
  ]
