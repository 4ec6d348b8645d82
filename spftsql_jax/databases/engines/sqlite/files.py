"""Opening an SQLite file for reading so that nothing is written, neither to it nor beside it,
whoever else uses it.

A plain database is opened read-only and shares SQLite's locks. What that would write for is read in
other ways:

- A write-ahead log (`-wal`) with its index (`-shm`), as a process that writes or was killed has it:
  with SQLite's locks, and the index read-only. Not for long: while somebody reads, the writer
  cannot put the log away.
- A database in that mode without a log is opened as one that does not change.
- A log without its index, and a journal that a killed process left, have to be put back into the
  database: that is done to a copy in the folder for temporary files, whose names are gone as soon
  as it is open.

The last two are the file as it was at one moment, held without a lock: who reads must ask
`Snapshot.is_stale` before and after, and read again where it is.

(An index in this process's memory, which SQLite offers on a file system layer without locks, would
spare the copy; but SQLite then believes itself alone, and on closing deletes a log that others
use.)

See https://www.sqlite.org/wal.html and https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import os
import resource
import sqlite3

from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.file_state import file_state

# A database that is larger, with what lies beside it, is not copied.
LARGEST_COPY_BYTES = 1_000_000_000
_OPENINGS = 5
# What a process that is killed leaves to be put back.
_LEFT = ("-wal", "-journal")


class Snapshot:
  """An open database. (No dataclass: a worker is to start at once, and that module takes its time.)

  Attributes:
    connection: to the file, or to what it was at one moment.
    path: of the file.
    unlocked: no lock holds writers off, and the connection does not see what they write.
    uses_log: with a write-ahead log that its writer cannot put away as long as this is open.
    state: the file's, and that of what lies beside it, when it was opened.
  """

  __slots__ = ("connection", "path", "state", "unlocked", "uses_log")

  def __init__(
    self, connection: sqlite3.Connection, path: str, unlocked: bool, uses_log: bool, state: tuple
  ):
    self.connection, self.path = connection, path
    self.unlocked, self.uses_log, self.state = unlocked, uses_log, state

  def is_stale(self) -> bool:
    """Whether something was written since it was opened."""
    return file_state(self.path, "sqlite")[0] != self.state


def open_file(path: str) -> Snapshot:
  """Opens a database for reading. Raises DatabaseError."""
  if not os.path.isfile(path):
    raise DatabaseError(f"{path}: no such database file")
  # Where SQLite looks for what lies beside it.
  path = os.path.realpath(path)
  try:
    for _ in range(_OPENINGS):
      state, settled = file_state(path, "sqlite")
      connection, unlocked, uses_log = _open(path)
      if not unlocked or (settled and file_state(path, "sqlite")[0] == state):
        return Snapshot(connection, path, unlocked, uses_log, state)
      connection.close()
    raise DatabaseError(
      f"{path}: is written to all the time, so that it cannot be read; try again later"
    )
  except (sqlite3.Error, OSError) as error:
    raise DatabaseError(f"{path}: cannot be read as an SQLite database: {error}") from None


def _open(path: str) -> tuple[sqlite3.Connection, bool, bool]:
  """A connection that has read the schema's first page, whether it has no lock, and whether a
  log.
  """
  logged = os.path.exists(path + "-wal")
  if not logged and _writes_ahead(path):
    return _connect(path, "mode=ro&immutable=1"), True, False
  try:
    if not logged:
      return _connect(path, "mode=ro"), False, False
    # SQLite would make the index where there is none.
    if os.path.exists(path + "-shm"):
      return _connect(path, "mode=ro&readonly_shm=1"), False, True
  except sqlite3.OperationalError as error:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL):
      raise
    if not any(os.path.exists(path + ending) for ending in _LEFT):
      raise
  return _recovered_copy(path), True, False


def _connect(path: str, options: str) -> sqlite3.Connection:
  # What a file name in an SQLite URI has to escape.
  quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
  connection = sqlite3.connect(
    f"file:{quoted}?{options}",
    uri=True,
    isolation_level=None,
    check_same_thread=False,
    cached_statements=0,
  )
  try:
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
  """A copy without a name, into which the log or the journal has been put back."""
  import shutil  # rarely needed, and a worker should start at once
  import tempfile

  beside = [path + ending for ending in _LEFT if os.path.exists(path + ending)]
  if sum(map(os.path.getsize, [path, *beside])) > LARGEST_COPY_BYTES:
    raise DatabaseError(
      f"{path}: a process that wrote to it was killed, and it is too large to be mended in a "
      "copy; "
      "open it once for writing"
    )
  written = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (written[1], written[1]))
  folder = tempfile.mkdtemp(prefix="spftsql")
  try:
    copy = os.path.join(folder, "copy.sqlite")
    for ending in ("", *_LEFT):
      if os.path.exists(path + ending):
        shutil.copyfile(path + ending, copy + ending)
    _connect(copy, "mode=rw").close()
    return _connect(copy, "mode=ro&immutable=1")
  finally:
    shutil.rmtree(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, written)
