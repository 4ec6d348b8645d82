"""What a database in a file is at the moment: what changes with every write to it."""

from __future__ import annotations

import os
import time

from spftsql_jax.databases.locations import engine_of, path_of

# The files beside a database that hold data of it, by engine.
_BESIDE = {"sqlite": ("-wal", "-journal"), "duckdb": (".wal",), "stand_in": (".wal",)}
# File systems write down times of change by the kernel's clock, which goes on every 1 to 10 ms.
_TICK_NS = 20_000_000
_CLOCKS_DIFFER_NS = 1_000_000_000


def identity_of(location: str) -> tuple:
  """What changes when the file behind a location changes: path, size, time of change, inode, and
  the same of the logs and journals beside it. Servers are identified by their URL.
  """
  path = path_of(location)
  if not path:
    return (location,)
  state, settled = file_state(path, engine_of(location))
  if not state:
    return (path,)
  # Written to at this moment, and for longer than was waited: whatever is read of it now may not be
  # used again.
  return (path, *state) if settled else (path, *state, time.monotonic_ns())


def file_state(path: str, engine: str) -> tuple[tuple, bool]:
  """What changes with every write to a database in a file, and whether a write from now on is sure
  to change it.

  The first is () where there is no file, else size, time of change and inode of it, and of each
  file with data that belongs to it. A file that was written to just now could be written to again
  at the same tick of the clock: then this waits for the next.
  """
  for _ in range(3):
    state, newest = _stat_all(path, engine)
    age = time.time_ns() - newest
    # A time far in the future is of another machine's clock, and tells nothing.
    if not -_CLOCKS_DIFFER_NS < age < _TICK_NS:
      return state, True
    time.sleep((_TICK_NS - max(age, 0)) / 1e9)
  return state, False


def files_of(path: str, engine: str) -> dict[str, str]:
  """The files that hold a database's data, by their endings: "" for itself, then what lies beside
  it and is there.
  """
  if engine == "sqlite" and os.path.islink(path):
    # SQLite looks beside the file that is meant, DuckDB beside its name.
    path = os.path.realpath(path)
  beside = {ending: path + ending for ending in _BESIDE[engine]}
  return {"": path} | {ending: file for ending, file in beside.items() if os.path.exists(file)}


def _stat_all(path: str, engine: str) -> tuple[tuple, int]:
  state: list[object] = []
  newest = 0
  for ending, file in files_of(path, engine).items():
    try:
      stat = os.stat(file)
    except OSError:
      if not ending:
        return (), 0
      continue
    state += (
      (ending, stat.st_size, stat.st_mtime_ns, stat.st_ino)
      if ending
      else (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    )
    newest = max(newest, stat.st_mtime_ns)
  return tuple(state), newest
