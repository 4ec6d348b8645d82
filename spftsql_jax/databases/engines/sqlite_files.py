"""Opening an SQLite file for reading so that nothing is written, neither to it nor beside it, whoever else uses it.

A plain database is opened read-only and shares SQLite's locks. What that would write for is read in other ways:

- A write-ahead log (`-wal`) needs an index in shared memory (`-shm`), a file that readers make and write to. It is kept in this
  process's own memory instead, on the file system layer that takes no locks.
- A database in that mode without a log is opened as one that does not change.
- A journal that a killed process left has to be rolled back: that is done to a copy in the folder for temporary files, whose
  names are gone as soon as it is open.

Each is the file as it was at one moment, held without a lock: who reads must ask `Snapshot.is_stale` before and after, and read
again where it is. `shared` instead takes part in SQLite's own locks where another process has made the `-shm`, without
writing to it.

See https://www.sqlite.org/wal.html and https://www.sqlite.org/walformat.html (the index's header and `WalCkptInfo`).
"""

from __future__ import annotations

import dataclasses
import os
import resource
import sqlite3

from spftsql_jax.databases.engines import DatabaseError, file_state

# A larger database with a journal that has to be rolled back is not copied.
LARGEST_COPY_BYTES = 1_000_000_000
# Of the index of a write-ahead log: its header, and how far the log has been copied into the database. Between the two stand
# the marks of readers, which say nothing of the data.
_INDEX_HEADER, _COPIED, _BEING_COPIED = slice(0, 48), slice(96, 100), slice(128, 132)
_OPENINGS = 5


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """An open database.

  Attributes:
    connection: to the file, or to what it was at one moment.
    path: of the file.
    unlocked: no lock holds writers off, and the connection does not see what they write.
    state: the file's, and that of what lies beside it, when it was opened.
  """

  connection: sqlite3.Connection
  path: str
  unlocked: bool
  state: tuple

  def is_stale(self) -> bool:
    """Whether something was written since it was opened."""
    return _state(self.path)[0] != self.state


def open_file(path: str, shared: bool) -> Snapshot:
  """Opens a database for reading; `shared`: with SQLite's locks where there is a log and its index. Raises DatabaseError."""
  if not os.path.isfile(path):
    raise DatabaseError(f"{path}: no such database file")
  try:
    for _ in range(_OPENINGS):
      state, settled = _state(path)
      connection, unlocked = _open(path, shared)
      if not unlocked or (settled and _state(path)[0] == state):
        return Snapshot(connection, path, unlocked, state)
      connection.close()
    # Written to without pause, and no index to share.
    raise DatabaseError(f"{path}: is written to all the time, so that it cannot be read; try again later")
  except (sqlite3.Error, OSError) as error:
    raise DatabaseError(f"{path}: cannot be read as an SQLite database: {error}") from None


def _state(path: str) -> tuple[tuple, bool]:
  """What changes with every write, and whether a write from now on is sure to change it."""
  state, settled = file_state(path, "sqlite")
  try:
    descriptor = os.open(path + "-shm", os.O_RDONLY | os.O_CLOEXEC)
  except OSError:
    return state, settled
  try:
    index = os.pread(descriptor, 136, 0)
  finally:
    os.close(descriptor)
  return (*state, index[_INDEX_HEADER], index[_COPIED], index[_BEING_COPIED]), settled


def _open(path: str, shared: bool) -> tuple[sqlite3.Connection, bool]:
  """A connection that has read the schema's first page, and whether it is without locks."""
  if os.path.exists(path + "-wal"):
    if os.path.exists(path + "-shm") and shared:
      return _connect(path, "mode=ro&readonly_shm=1"), False
    return _connect(path, "mode=ro&vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE"), True
  if _writes_ahead(path):
    return _connect(path, "mode=ro&immutable=1"), True
  try:
    return _connect(path, "mode=ro"), False
  except sqlite3.OperationalError as error:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    journal = path + "-journal"
    if code not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or not os.path.exists(journal):
      raise
    return _recovered_copy(path), True


def _connect(path: str, options: str, *first: str) -> sqlite3.Connection:
  # What a file name in an SQLite URI has to escape.
  quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
  connection = sqlite3.connect(
    f"file:{quoted}?{options}", uri=True, isolation_level=None, check_same_thread=False, cached_statements=0
  )
  try:
    for statement in first:
      connection.execute(statement)
    connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
  except sqlite3.Error:
    connection.close()
    raise
  return connection


def _writes_ahead(path: str) -> bool:
  """Whether the file's header says that whoever reads it is to look for a write-ahead log."""
  descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
  try:
    header = os.read(descriptor, 20)
  finally:
    os.close(descriptor)
  return len(header) == 20 and header[19] == 2


def _recovered_copy(path: str) -> sqlite3.Connection:
  """A copy without a name whose journal has been rolled back."""
  import shutil  # rarely needed, and a worker should start at once
  import tempfile

  if os.path.getsize(path) > LARGEST_COPY_BYTES:
    raise DatabaseError(
      f"{path}: a process that wrote to it was killed, and it is too large to be mended in a copy; open it once for writing"
    )
  written = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (written[1], written[1]))
  folder = tempfile.mkdtemp(prefix="spftsql")
  try:
    copy = os.path.join(folder, "copy.sqlite")
    shutil.copyfile(path, copy)
    shutil.copyfile(path + "-journal", copy + "-journal")
    _connect(copy, "mode=rw").close()
    return _connect(copy, "mode=ro&immutable=1")
  finally:
    shutil.rmtree(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, written)
