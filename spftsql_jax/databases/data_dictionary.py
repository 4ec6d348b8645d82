"""Data dictionaries: what a database does not say itself of its tables and columns, their
descriptions and what people call them.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

# A description or a name: table, column ("" for the table's own), text.
Text = tuple[str, str, str]

# What people say, in letters and digits: one line, no marks that end or open a part of a sentence.
_NAME = re.compile(r"[^\W_]+(?:[ '&/-]+[^\W_]+){0,6}")


def read_descriptions(path: str | Path) -> tuple[Text, ...]:
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
  return _texts(path, "description", "descriptions")


def read_names(path: str | Path) -> tuple[Text, ...]:
  """The names in a CSV file with the columns table, column and name: what people call a row of a
  table (column empty) or a value of a column, in the singular.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: it is no such CSV, or a name is none that can stand in a sentence.
  """
  path = Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file of names")
  names = _texts(path, "name", "names")
  for table, column, name in names:
    if not _NAME.fullmatch(name):
      place = f"{table}.{column}" if column else table
      raise ValueError(f"{path}: {place} is called {name!r}; a name is one to seven words")
  return names


def _texts(path: Path, what: str, several: str) -> tuple[Text, ...]:
  rows = _rows(path, ("table", "column", what), several)
  return tuple(
    (row["table"], row["column"], row[what]) for row in rows if row["table"] and row[what]
  )


def _of_bird(path: Path) -> list[Text]:
  """What BIRD says of a table's columns: what they mean, and what their values mean."""
  found = []
  for row in _rows(path, ("original_column_name", "column_description"), "descriptions"):
    texts = (row["column_description"], row.get("value_description", ""))
    text = "; ".join(dict.fromkeys(each for each in texts if each))
    if row["original_column_name"] and text:
      found.append((path.stem, row["original_column_name"], text))
  return found


def _rows(path: Path, needed: tuple[str, ...], several: str) -> list[dict[str, str]]:
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
      f"{path}: no column {', '.join(missing)} in its first line; a file of {several} has "
      f"{', '.join(needed)}"
    )
  return [
    {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    for row in reader
  ]
