"""Reading files of examples, whoever wrote them: the one reader of benchmark files, seeds and
synthesized pairs.

What is read: a JSON list, JSON lines, an object that holds one list of examples, a folder of
`datasets` (as `synthesize.py` writes it) or a Parquet file; text is UTF-8 with or without a
byte-order mark, with any line ends.
Field names, the first that is there:

    question   `SpiderSynQuestion` (Spider-Syn; its `SpiderQuestion` is the original), `question`
    query      `query` (Spider, Spider-Realistic, Spider-DK, synthesize.py), `SQL` (BIRD)
    db_id, evidence (BIRD); what else there is (`difficulty`, `template`, ...) is left alone

The gold query may be missing where none is scored, and the db_id where there is one database only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spftsql_jax.databases import search_path
from spftsql_jax.examples.example import Example

if TYPE_CHECKING:
  import datasets

_QUESTION_FIELDS = ("SpiderSynQuestion", "question")
_QUERY_FIELDS = ("query", "SQL")
# How files begin that are no UTF-8 text, and what they are.
_OTHER_FILES = (
  (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
  (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
  (b"\x1f\x8b", "compressed (gzip); unpack it first"),
  (b"PK\x03\x04", "a zip archive; unpack it first"),
)


def read_examples(
  path: str | Path, gold: bool = True, db_id: str = "", question: bool = True
) -> list[Example]:
  """The examples of a file, in order.

  Args:
    path: of the file, or of a `datasets` folder (`is_dataset`).
    gold: whether each needs its SQL; without, a missing query is "".
    db_id: of records that name no database; without it they are errors.
    question: whether each needs a question; without, a missing one is "".

  Raises:
    FileNotFoundError: no such file.
    ValueError: not examples, or a record without a needed field; the message gives the file, the
      line and the record.
  """
  path = Path(path)
  tabular = path.is_dir() or _is_parquet(path)
  records = _dataset_records(path) if tabular else _json_records(path)
  examples: list[Example] = []
  numbers: dict[object, int] = {}
  for number, (place, record) in enumerate(records):
    try:
      examples.append(_example(record, gold, db_id, question))
      key = record.get("question_id") if isinstance(record, dict) else None
      if isinstance(key, (int, str)) and (first := numbers.setdefault(key, number)) != number:
        raise ValueError(f"question_id {key} stands there a second time, after record {first}")
    except ValueError as error:
      raise ValueError(f"{place}: record {number}: {error}") from None
  if not examples:
    raise ValueError(f"{path}: there are no examples in it")
  return examples


def read_dataset(
  path: str | Path, gold: bool = True, db_id: str = "", question: bool = True
) -> datasets.Dataset:
  """The examples of a file as a `datasets.Dataset` with the columns db_id, question, query and
  evidence. Arguments and errors are those of `read_examples`.
  """
  import datasets

  examples = read_examples(path, gold, db_id, question)
  columns = ("db_id", "question", "query", "evidence")
  return datasets.Dataset.from_dict({c: [getattr(e, c) for e in examples] for c in columns})


def is_dataset(path: str | Path) -> bool:
  """Whether a folder is one that `datasets.Dataset.save_to_disk` wrote."""
  return (Path(path) / "dataset_info.json").is_file()


def find_database(databases: str | os.PathLike | Sequence[str | os.PathLike], db_id: str) -> Path:
  """The file of a database in the layout `DIR/<db_id>/<db_id>.sqlite`, in the first folder that has
  it.

  Raises:
    FileNotFoundError: none has it.
  """
  folders = [databases] if isinstance(databases, (str, os.PathLike)) else databases
  return Path(search_path.find_database([os.fspath(folder) for folder in folders], db_id))


def database_ids(examples: Sequence[Example]) -> list[str]:
  """The databases of the examples, each once, in order of first use."""
  return list(dict.fromkeys(e.db_id for e in examples))


def read_text(path: str | Path) -> str:
  """The text of a UTF-8 file without its byte-order mark. Raises FileNotFoundError, or ValueError
  for what is no such text.
  """
  data = Path(path).read_bytes()
  for begin, what in _OTHER_FILES:
    if data.startswith(begin):
      raise ValueError(f"{path}: the file is {what}")
  if not data.removeprefix(b"\xef\xbb\xbf").strip():
    raise ValueError(f"{path}: the file is empty")
  try:
    return data.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    what = "perhaps UTF-16" if b"\0" in data[:200] else error.reason
    raise ValueError(
      f"{path}: not UTF-8 text ({what} at byte {error.start}); save it as UTF-8"
    ) from None


def is_example_file(path: str | Path) -> bool:
  """Whether a file looks like JSON or JSON lines, or is a folder, rather than text of another
  kind.
  """
  path = Path(path)
  if path.is_dir() or _is_parquet(path):
    return True
  with path.open("rb") as file:
    return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")


def _json_records(path: Path) -> Iterator[tuple[str | _PlaceInList, object]]:
  """(place, record) of each record of a JSON file."""
  text = read_text(path)
  decoder = json.JSONDecoder()
  values = list(_values(path, text, decoder))
  if len(values) > 1 or not isinstance(values[0][1], list):
    if len(values) == 1 and (held := _held_list(values[0][1])):
      key, records = held
      yield from ((f"{path}: {key}", record) for record in records)
      return
    if len(values) == 1 and not (
      isinstance(values[0][1], dict) and {*_QUESTION_FIELDS, "db_id"} & values[0][1].keys()
    ):
      kind = type(values[0][1]).__name__
      raise ValueError(
        f"{path}: expected a JSON list of examples, found {kind} (JSON lines hold an example each)"
      )
    yield from ((f"{path}:{text.count(chr(10), 0, at) + 1}", value) for at, value in values)
    return
  # The list is read again, record by record, only where the line of one is asked for.
  for number, record in enumerate(values[0][1]):
    yield _PlaceInList(path, text, number), record


class _PlaceInList:
  """File and line of a record of a JSON list, found when they are shown."""

  def __init__(self, path: Path, text: str, number: int):
    self._path, self._text, self._number = path, text, number

  def __str__(self) -> str:
    return f"{self._path}:{_line_of(self._text, self._number)}"


def _values(path: Path, text: str, decoder: json.JSONDecoder) -> Iterator[tuple[int, object]]:
  """(place, value) of the JSON values in a text, one behind the other."""
  at = _behind_space(text, 0)
  while at < len(text):
    try:
      value, end = decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
      hint = "; is there a comma too many?" if _comma_too_many(text, error.pos) else ""
      raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg}{hint})") from None
    except RecursionError:
      raise ValueError(f"{path}: not a file of examples (nested too deeply)") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits.
      line = text.count("\n", 0, at) + 1
      raise ValueError(
        f"{path}:{line}: not a file of examples (a number of thousands of digits)"
      ) from None
    yield at, value
    at = _behind_space(text, end)


def _comma_too_many(text: str, at: int) -> bool:
  """Whether a comma stands before the closing bracket at which reading failed, or between values
  that need none.
  """
  return text[at : at + 1] == "," or (
    text[at : at + 1] in ("]", "}") and text[:at].rstrip().endswith(",")
  )


def _held_list(value: object) -> tuple[str, list] | None:
  """The key and the list of an object that holds one list of objects, such as {"data": [...]}."""
  if not isinstance(value, dict) or any(name in value for name in _QUESTION_FIELDS):
    return None
  lists = [
    (key, each)
    for key, each in value.items()
    if isinstance(each, list) and each and isinstance(each[0], dict)
  ]
  return lists[0] if len(lists) == 1 else None


def _dataset_records(path: Path) -> Iterator[tuple[str, object]]:
  """(place, record) of a folder that `datasets.Dataset.save_to_disk` wrote, or a Parquet file."""
  if path.is_dir() and not is_dataset(path):
    raise ValueError(f"{path}: a folder where a file of examples is expected")
  # Imported here: they take a second, and JSON needs none of them.
  if path.is_dir():
    import datasets

    records: Iterable[object] = datasets.load_from_disk(os.fspath(path))
  else:
    import pyarrow.parquet

    try:
      records = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
      reason = str(error).splitlines()[0]
      raise ValueError(f"{path}: this Parquet file cannot be read ({reason})") from None
  yield from ((os.fspath(path), record) for record in records)


def _is_parquet(path: Path) -> bool:
  with path.open("rb") as file:
    return file.read(4) == b"PAR1"


def _behind_space(text: str, at: int) -> int:
  while at < len(text) and text[at] in " \t\r\n":
    at += 1
  return at


def _line_of(text: str, number: int) -> int:
  """The line on which a record of a JSON list begins."""
  decoder, at = json.JSONDecoder(), text.index("[") + 1
  for _ in range(number + 1):
    while text[at] in " \t\r\n,":
      at += 1
    begin = at
    _, at = decoder.raw_decode(text, at)
  return text.count("\n", 0, begin) + 1


def _example(record: object, gold: bool, db_id: str, asked: bool) -> Example:
  if not isinstance(record, dict):
    raise ValueError(f"expected an object, found {type(record).__name__}")
  query = _first(record, _QUERY_FIELDS)
  if not gold and not isinstance(query, str):
    query = ""
  question = _first(record, _QUESTION_FIELDS)
  if not asked and not isinstance(question, str):
    question = ""
  named = record.get("db_id")
  example = Example(
    db_id=_text("db_id", db_id if named is None and db_id else named),
    question=_text("question", question),
    query=_text("query (or SQL)", query),
    evidence=evidence if isinstance(evidence := record.get("evidence"), str) else "",
    source="gold",
  )
  if not example.db_id.strip():
    raise ValueError("field db_id is empty")
  if gold and not example.query.strip():
    raise ValueError("field query (or SQL) is empty")
  return example


def _text(name: str, value: object) -> str:
  """The text of a field. Raises ValueError where it has none."""
  if isinstance(value, str):
    return value
  found = "missing" if value is None else f"not a string but {json.dumps(value)[:40]}"
  raise ValueError(f"field {name} is {found}")


def _first(record: dict, names: Sequence[str]) -> object:
  """The value of the first field that is there and not null."""
  return next((record[name] for name in names if record.get(name) is not None), None)
