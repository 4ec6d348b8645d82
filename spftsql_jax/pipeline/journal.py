"""A run's journal: the steps that are done and what they gave.

With it the same command goes on where it was cut off. Steps give records, data files hold records
(`records.py`); both are written and read as JSON by `codec.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

from spftsql_jax import hosts
from spftsql_jax.files import json_lines, write_json, write_text, write_whole
from spftsql_jax.pipeline.codec import Json, from_json, record_to_json, to_json

R = TypeVar("R")

_JOURNAL = "journal.jsonl"


class RunInProgress(RuntimeError):
  """Another process runs in the same folder."""


class ConfigChanged(ValueError):
  """The folder holds a run of another configuration."""


class OtherForm(ValueError):
  """A journal or a data file that another version of this program wrote in another form."""


class Journal:
  """The journal of one work folder.

  A step first writes its files, then its line here; a line is written whole or (cut off in the
  middle) not counted.

  With several processes, one a host, all do a step's work together, and the first writes. They see
  the same folder.

  Attributes:
    workdir: the run's folder. Files named in step outputs are relative to it.
  """

  def __init__(
    self, workdir: str | Path, config: Mapping[str, object], locations: Sequence[str] = ()
  ):
    """Opens or creates the run in `workdir`.

    Args:
      config: of the run, of values that JSON has.
      locations: fields of the config ("data.test") that say where something lies. They may differ
        from those of the run that is gone on with; what lies there is compared by
        `inputs.keep_inputs`.

    Raises:
      RunInProgress: another process holds the folder.
      ConfigChanged: the run there was started with another configuration; the message names the
        differences.
    """
    self.workdir = Path(workdir)
    self._path = self.workdir / _JOURNAL
    self._lock: TextIO | None = None
    # The outputs of the steps as JSON: of what class one is, says whoever asks for it.
    self._done: dict[str, Json] = hosts.from_first(lambda: self._open(config, locations))

  def _open(self, config: Mapping[str, object], locations: Sequence[str]) -> dict[str, Json]:
    """Takes the folder's lock; the steps that are done."""
    self.workdir.mkdir(parents=True, exist_ok=True)
    self._lock = (self.workdir / ".lock").open("w")
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      raise RunInProgress(
        f"{self.workdir}: another run is at work here; wait for it or choose another --workdir"
      ) from error
    _keep_config(self.workdir / "config.json", config, locations)
    if self._path.is_file():
      text = self._path.read_text()
      whole = text[: text.rfind("\n") + 1]
      if whole != text:
        self._path.write_text(whole)
    return read_steps(self.workdir)

  def close(self) -> None:
    """Lets another process use the folder."""
    if self._lock is not None:
      self._lock.close()

  def step(self, name: str, kind: type[R], work: Callable[[], R]) -> R:
    """The output of step `name`: from the journal if it is done, else by doing it now.

    Args:
      kind: class of the output, a record.
      work: does the step.

    Raises:
      OtherForm: the journal has another kind of output for this step.
    """
    if name not in self._done:
      # Through JSON text in any case: a run that is gone on with sees the same as this one.
      output = json.loads(json.dumps(record_to_json(work())))
      self._done[name] = hosts.from_first(lambda: self._write(name, output))
    return self.done(name, kind)

  def done(self, name: str, kind: type[R]) -> R:
    """The output of a step that is done. Raises KeyError or OtherForm."""
    try:
      return from_json(kind, self._done[name], "its output")
    except ValueError as error:
      raise OtherForm(
        f"{self._path}: step {name} was written in another form ({error}); go on with the version "
        "of this program that began the run, or do the step's stage again (--start_from)"
      ) from error

  def _write(self, name: str, output: Json) -> Json:
    with self._path.open("a") as file:
      file.write(json.dumps({"step": name, "output": output}) + "\n")
      file.flush()
      os.fsync(file.fileno())
    return output

  def forget(self, prefixes: Sequence[str]) -> None:
    """Takes back the steps whose names begin with one of `prefixes`: they are done again. Their
    files stay.
    """
    self._done = {
      name: output for name, output in self._done.items() if not name.startswith(tuple(prefixes))
    }

    lines = [json.dumps({"step": n, "output": o}) + "\n" for n, o in self._done.items()]
    hosts.from_first(lambda: write_text(self._path, "".join(lines)))

  def names(self) -> tuple[str, ...]:
    """The steps that are done, in the order in which they were."""
    return tuple(self._done)

  def is_done(self, name: str) -> bool:
    return name in self._done

  def write_records(self, name: str, records: Iterable[object]) -> str:
    """Writes records under a content-addressed name; returns its path relative to the work folder.

    Raises RuntimeError where another process has other records under this name.
    """
    data = json_lines(map(record_to_json, records)).encode()
    path = self.workdir / "data" / f"{name}-{_digest(data)}.jsonl"
    if len(set(hosts.gather(path.name))) > 1:
      raise RuntimeError(
        f"{path.parent / name}: the processes of this run made different data; are their code and "
        "data the same?"
      )

    def write() -> None:
      path.parent.mkdir(parents=True, exist_ok=True)
      write_whole(path, data)

    hosts.from_first(write)
    return str(path.relative_to(self.workdir))

  def read_records(self, relative: str, kind: type[R]) -> list[R]:
    """The records of a file that `write_records` wrote.

    Raises:
      RuntimeError: the file is missing or damaged.
      OtherForm: it holds records of another kind.
    """
    path = self.workdir / relative
    remedy = "put it back, or do the stage that wrote it again (--start_from)"
    try:
      data = path.read_bytes()
    except FileNotFoundError as error:
      raise RuntimeError(
        f"{path}: the journal names this file, but it is gone; {remedy}"
      ) from error
    if path.stem.rpartition("-")[2] != _digest(data):
      raise RuntimeError(f"{path}: damaged (it is not what the run wrote); {remedy}")
    try:
      return [from_json(kind, json.loads(line), "record") for line in data.splitlines()]
    except ValueError as error:
      raise OtherForm(
        f"{path}: written in another form ({error}); go on with the version of this program that "
        "began the run, or do the stage that wrote it again (--start_from)"
      ) from error


def read_steps(workdir: Path) -> dict[str, Json]:
  """The outputs of the steps that are done in a run's folder, as JSON, by name."""
  path = workdir / _JOURNAL
  text = path.read_text() if path.is_file() else ""
  lines = text[: text.rfind("\n") + 1].splitlines()
  return {record["step"]: record["output"] for record in map(json.loads, lines)}


def data_hash(records: Sequence[object]) -> str:
  """A hash of records (examples, pairs), for lineage and for stored log-probs."""
  text = json.dumps(list(map(record_to_json, records)), sort_keys=True, ensure_ascii=False)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()[:12]


def _keep_config(path: Path, given: Mapping[str, object], locations: Sequence[str]) -> None:
  config = to_json(given)
  kept = json.loads(path.read_text()) if path.is_file() else None
  if kept is not None:
    changed = [(key, old, new) for key, old, new in _compare(kept, config) if key not in locations]
    if differences := [f"{key}: {old!r} there, {new!r} now" for key, old, new in changed]:
      raise ConfigChanged(
        f"{path.parent} holds a run with another configuration ({'; '.join(differences[:5])}); "
        "use that configuration to go on with it, or another --workdir"
      )
  if kept != config:  # a new run, or one whose inputs lie elsewhere now
    write_json(path, config)


def _compare(old: Json, new: Json, key: str = "") -> Iterator[tuple[str, Json, Json]]:
  if isinstance(old, dict) and isinstance(new, dict):
    for name in sorted({*old, *new}):
      yield from _compare(old.get(name), new.get(name), f"{key}.{name}" if key else name)
  elif old != new:
    yield key, old, new
