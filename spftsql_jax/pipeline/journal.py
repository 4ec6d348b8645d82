"""A run's journal: which steps are done and what they gave, so that the same command goes on where
it was cut off.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from spftsql_jax import hosts


class RunInProgress(RuntimeError):
  """Another process runs in the same folder."""


class ConfigChanged(ValueError):
  """The folder holds a run of another configuration."""


class Journal:
  """The journal of one work folder.

  A step first writes its files, then its line here; a line is written whole or (cut off in the
  middle) not counted.

  With several processes, one a host, all do a step's work together, and the first writes. They see
  the same folder.

  Attributes:
    workdir: the run's folder. Files named in step outputs are relative to it.
  """

  def __init__(self, workdir: str | Path, config: dict[str, Any], locations: Sequence[str] = ()):
    """Opens or creates the run in `workdir`.

    Args:
      locations: fields of the config ("data.test") that say where something lies. They may differ
        from those of the run that is gone on with; what lies there is compared by
        `inputs.keep_inputs`.

    Raises:
      RunInProgress: another process holds the folder.
      ConfigChanged: the run there was started with another configuration; the message names the
        differences.
    """
    self.workdir = Path(workdir)
    self._path = self.workdir / "journal.jsonl"
    self._lock: TextIO | None = None
    self._done: dict[str, dict[str, Any]] = hosts.from_first(lambda: self._open(config, locations))

  def _open(self, config: dict[str, Any], locations: Sequence[str]) -> dict[str, dict[str, Any]]:
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
    done: dict[str, dict[str, Any]] = {}
    if self._path.is_file():
      text = self._path.read_text()
      whole = text[: text.rfind("\n") + 1]
      for line in whole.splitlines():
        record = json.loads(line)
        done[record["step"]] = record["output"]
      if whole != text:
        self._path.write_text(whole)
    return done

  def close(self) -> None:
    """Lets another process use the folder."""
    if self._lock is not None:
      self._lock.close()

  def step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The output of step `name`: from the journal if it is done, else by doing it now.

    Args:
      work: does the step; its output must be JSON.
    """
    if name not in self._done:
      output = json.loads(json.dumps(work()))
      self._done[name] = hosts.from_first(lambda: self._write(name, output))
    return self._done[name]

  def _write(self, name: str, output: dict[str, Any]) -> dict[str, Any]:
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

    def write() -> None:
      temporary = self._path.with_name(".journal.jsonl")
      temporary.write_text(
        "".join(json.dumps({"step": n, "output": o}) + "\n" for n, o in self._done.items())
      )
      os.replace(temporary, self._path)

    hosts.from_first(write)

  def is_done(self, name: str) -> bool:
    return name in self._done

  def write_jsonl(self, name: str, records: Iterable[dict[str, Any]]) -> str:
    """Writes records under a content-addressed name; returns its path relative to the work folder.

    Raises RuntimeError where another process has other records under this name.
    """
    data = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()
    path = self.workdir / "data" / f"{name}-{_digest(data)}.jsonl"
    if len(set(hosts.gather(path.name))) > 1:
      raise RuntimeError(
        f"{path.parent / name}: the processes of this run made different data; are their code "
        "and "
        "data the same?"
      )

    def write() -> None:
      path.parent.mkdir(parents=True, exist_ok=True)
      temporary = path.with_name("." + path.name)
      temporary.write_bytes(data)
      os.replace(temporary, path)

    hosts.from_first(write)
    return str(path.relative_to(self.workdir))

  def read_jsonl(self, relative: str) -> Iterator[dict[str, Any]]:
    """The records of a file that `write_jsonl` wrote. Raises RuntimeError where it is missing or
    damaged.
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
    yield from map(json.loads, data.splitlines())


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()[:12]


def _keep_config(path: Path, config: dict[str, Any], locations: Sequence[str]) -> None:
  config = json.loads(json.dumps(config))
  kept = json.loads(path.read_text()) if path.is_file() else None
  if kept is not None:
    changed = [(key, old, new) for key, old, new in _compare(kept, config) if key not in locations]
    if differences := [f"{key}: {old!r} there, {new!r} now" for key, old, new in changed]:
      raise ConfigChanged(
        f"{path.parent} holds a run with another configuration ({'; '.join(differences[:5])}); "
        "use that configuration to go on with it, or another --workdir"
      )
  if kept != config:  # a new run, or one whose inputs lie elsewhere now
    temporary = path.with_name(".config.json")
    temporary.write_text(json.dumps(config, indent=1))
    os.replace(temporary, path)


def _compare(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
  if isinstance(old, dict) and isinstance(new, dict):
    for name in sorted({*old, *new}):
      yield from _compare(old.get(name), new.get(name), f"{key}.{name}" if key else name)
  elif old != new:
    yield key, old, new
