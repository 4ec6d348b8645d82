"""Data dictionaries: descriptions of tables and columns that a database does not hold itself."""

from __future__ import annotations

import csv
import io
from pathlib import Path

# A description: table, column ("" for the table's own), text.
Description = tuple[str, str, str]

_COLUMNS = ("table", "column", "description")


def read_descriptions(path: str | Path) -> tuple[Description, ...]:
  """The descriptions in a CSV file with the columns table, column and description, or in BIRD's
  folder `database_description`, which has a CSV file for each table.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: a file is no such CSV; the message names it.
  """
  path = Path(path)
  if path.is_dir():
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == ".csv")
    if not files:
      raise ValueError(f"{path}: no CSV file in this folder of descriptions")
    return tuple(found for file in files for found in _of_bird(file))
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file or folder of descriptions")
  rows = _rows(path, _COLUMNS)
  return tuple(
    (row["table"], row["column"], row["description"])
    for row in rows
    if row["table"] and row["description"]
  )


def _of_bird(path: Path) -> list[Description]:
  """What BIRD says of a table's columns: what they mean, and what their values mean."""
  found = []
  for row in _rows(path, ("original_column_name", "column_description")):
    texts = (row["column_description"], row.get("value_description", ""))
    text = "; ".join(dict.fromkeys(each for each in texts if each))
    if row["original_column_name"] and text:
      found.append((path.stem, row["original_column_name"], text))
  return found


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
  """The rows of a CSV file by column; BIRD's files are not all UTF-8."""
  data = path.read_bytes()
  try:
    text = data.decode("utf-8-sig")
  except UnicodeDecodeError:
    text = data.decode("latin-1")
  reader = csv.DictReader(io.StringIO(text, newline=""))
  reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
  if missing := [name for name in needed if name not in reader.fieldnames]:
    raise ValueError(
      f"{path}: no column {', '.join(missing)} in its first line; a file of descriptions has "
      f"{', '.join(needed)}"
    )
  return [
    {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    for row in reader
  ]
