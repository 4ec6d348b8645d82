"""What a run reads from outside its folder, by content.

A run is not gone on with over other inputs than it began with.

Files are hashed whole (SHA-256), large ones too: a hash of samples would miss a changed cell. That
is done once. While a file's size, times of change and inode stay as they were it is not read again;
a copy of the run or of the data is read once more, and goes on where its content is the same. A
server's database has no file: what it declares and the numbers of rows of its tables stand for it,
so a changed cell is not seen there.

Where the inputs lie does not matter, nor does the folder of the run: both may be moved.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from spftsql_jax.databases.file_state import files_of
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import engine_of, path_of
from spftsql_jax.files import sha256, write_json
from spftsql_jax.pipeline.codec import from_json, optional, to_json
from spftsql_jax.schema import Column, Schema

# Beside a database of BIRD: what its columns mean.
_DESCRIPTIONS = "database_description"
_FILE = "inputs.json"
_HASHED_AT_ONCE = 4

# Of an input: its files by a name that does not depend on where they lie; or hashes, of what has
# no file.
Parts: TypeAlias = Mapping[str, Path | str]


@dataclasses.dataclass(frozen=True)
class Fingerprint:
  """The content of a file, or of what has none.

  Attributes:
    sha256: its hash.
    bytes: its size; None without a file.
    state: size, times of change and inode, while which stay it is not read again; None without a
      file.
  """

  sha256: str
  bytes: int | None = optional()
  state: tuple[int, ...] | None = optional()


# By input and part.
Fingerprints: TypeAlias = dict[str, dict[str, Fingerprint]]


class InputsChanged(ValueError):
  """The folder holds a run over other inputs."""


def inputs_of(
  examples: Mapping[str, Path | None], databases: Mapping[str, str], hf_model: Path | None
) -> dict[str, Parts]:
  """The inputs of a run by name, each with its parts.

  Args:
    examples: files of examples, or folders of `datasets`, by the name of their config field; None
      for none.
    databases: locations by db_id.
    hf_model: folder of the starting model; None for none.
  """
  found: dict[str, Parts] = {
    name: {} if path is None else _files_in(path) if path.is_dir() else {"": path}
    for name, path in examples.items()
  }
  for db_id, location in databases.items():
    path = Path(path_of(location))
    if not path.name:
      found[f"database {db_id}"] = {
        "schema and numbers of rows": _outline_hash(read_schema(location))
      }
      continue
    # What another program has committed and not yet moved into the file belongs to the database,
    # wherever a link leads.
    files = files_of(str(path), engine_of(location))
    found[f"database {db_id}"] = {
      end: Path(file) for end, file in files.items() if not end or os.path.getsize(file)
    }
    folder = path.parent / _DESCRIPTIONS
    if folder.is_dir():
      found[f"descriptions of {db_id}"] = _files_in(folder)
  found["model.hf_model"] = _files_in(hf_model) if hf_model else {}
  return found


def _files_in(folder: Path) -> dict[str, Path]:
  return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def keep_inputs(workdir: Path, inputs: Mapping[str, Parts]) -> None:
  """Notes the inputs of a new run in its folder, or compares them with what a run there has noted.

  Raises:
    InputsChanged: another content; the message names each input with what it was and what it is.
    FileNotFoundError: a file is gone.
  """
  write_json(workdir / _FILE, to_json(_compared(workdir, inputs)))


def check_inputs(workdir: Path, inputs: Mapping[str, Parts]) -> None:
  """As `keep_inputs`, where a run has noted its inputs; else nothing. Nothing is written.

  It comes before what is read from the inputs themselves: one that was damaged is named as such.
  """
  if (workdir / _FILE).is_file():
    _compared(workdir, inputs)


def _compared(workdir: Path, inputs: Mapping[str, Parts]) -> Fingerprints:
  """The inputs as they are. Raises InputsChanged or FileNotFoundError."""
  path = workdir / _FILE
  kept = _read(path) if path.is_file() else {}
  now = _fingerprints(inputs, kept)
  if kept and (differences := list(_compare(kept, now))):
    more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
    raise InputsChanged(
      f"{workdir} holds a run over other inputs ({'; '.join(differences[:5])}{more}); "
      "put back what it began with to go on with it, or use another --workdir"
    )
  return now


def _read(path: Path) -> Fingerprints:
  """What a run noted of its inputs. Raises ValueError where it is no such file."""
  return {
    name: {
      part: from_json(Fingerprint, values, f"{path}: {name}") for part, values in parts.items()
    }
    for name, parts in json.loads(path.read_text()).items()
  }


def _fingerprint(source: Path | str, before: Fingerprint | None) -> Fingerprint:
  """Of a file, or of a hash; `before` is what was noted of it."""
  if isinstance(source, str):
    return Fingerprint(source)
  stat = source.stat()
  state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
  if before is not None and before.state == state:
    return before
  return Fingerprint(sha256(source), stat.st_size, state)


def _fingerprints(inputs: Mapping[str, Parts], kept: Fingerprints) -> Fingerprints:
  with concurrent.futures.ThreadPoolExecutor(_HASHED_AT_ONCE) as pool:
    jobs = {
      name: {
        part: pool.submit(_fingerprint, source, kept.get(name, {}).get(part))
        for part, source in parts.items()
      }
      for name, parts in inputs.items()
    }
    return {
      name: {part: job.result() for part, job in parts.items()} for name, parts in jobs.items()
    }


def _compare(kept: Fingerprints, now: Fingerprints) -> Iterator[str]:
  for name in sorted({*kept, *now}):
    old, new = kept.get(name, {}), now.get(name, {})
    for part in sorted({*old, *new}):
      before, after = old.get(part), new.get(part)
      if (before and before.sha256) != (after and after.sha256):
        what = f"{name}{'' if not part or name.startswith('database ') else ', '}{part}"
        yield f"{what} was {_words(before)}, is {_words(after)}"


def _words(fingerprint: Fingerprint | None) -> str:
  if fingerprint is None:
    return "none"
  size = "" if fingerprint.bytes is None else f" of {fingerprint.bytes:,} bytes"
  return f"{fingerprint.sha256[:12]}{size}"


def _outline_hash(schema: Schema) -> str:
  """A hash of what is declared, with the numbers of rows of tables.

  What was seen of the rows is left out: which rows a server sends first is not fixed, nor which
  views it answers in time.
  """

  def declared(column: Column) -> Column:
    return dataclasses.replace(column, kind="other", samples=(), distinct_count=0, date_format="")

  tables = [
    dataclasses.replace(
      t, columns=tuple(map(declared, t.columns)), row_count=0 if t.is_view else t.row_count
    )
    for t in schema.tables
  ]
  return hashlib.sha256(repr(tables).encode()).hexdigest()
