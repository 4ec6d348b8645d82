"""A read-only connection to a DuckDB file that runs one SELECT under limits.

Access to files and the network is off, the configuration locked, the database opened read-only, and
a timer interrupts what runs too long; what is run at all is for `fence` to say.

Memory: DuckDB's own limit bounds what its buffers hold, not the strings and lists that its
functions build. Those are bounded by the worker's limit on the memory of the process: together at
most what the process had after DuckDB was loaded (some 70 MB resident), the limit,
`engines.RESTING_BYTES` and `MEMORY_SLACK`.
"""

from __future__ import annotations

import os
import threading
import time

import duckdb

from spftsql_jax.databases.engines.duckdb.fence import Fence, one_line
from spftsql_jax.databases.engines.duckdb.values import Unreadable, ValueReader
from spftsql_jax.databases.errors import DatabaseError, TransientError
from spftsql_jax.databases.locations import path_of

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  from spftsql_jax.databases.engines.interface import Pack, Ran

# Errors that say something of the file, the disk or the library's state, and nothing of the
# statement; after those of the first kind the connection is of no more use.
_LOST = (duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)
_TRANSIENT = (duckdb.IOException, duckdb.TransactionException)
_SETTINGS = {
  "enable_external_access": "false",
  "autoinstall_known_extensions": "false",
  "autoload_known_extensions": "false",
  "allow_community_extensions": "false",
  "allow_persistent_secrets": "false",
  # A table that is not there is not looked for among Python's variables.
  "python_enable_replacements": "false",
  "threads": "1",
  # Eight threads of 8 MB otherwise, for files on the network.
  "async_threads": "1",
  # Nothing is spilled to disk: what does not fit in memory fails.
  "temp_directory": "",
}
# What a database rests on between statements: a thread's stack and the catalog, beside the blocks
# it has read.
_RESTING_BYTES = 16_000_000


def connect(location: str, memory_bytes: int = 1_000_000_000) -> duckdb.DuckDBPyConnection:
  """A read-only connection without access to anything but the file. Raises DatabaseError."""
  path = path_of(location)
  if not os.path.isfile(path):
    raise DatabaseError(f"{path}: no such database file")
  try:
    connection = duckdb.connect(
      path, read_only=True, config={**_SETTINGS, "memory_limit": f"{memory_bytes}B"}
    )
    # A file that is open under another name is shared, settings and all.
    ((locked,),) = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
    if not locked:
      connection.execute("SET lock_configuration = true")
  except duckdb.Error as error:
    raise DatabaseError(f"{path}: cannot be read as a DuckDB database: {one_line(error)}") from None
  return connection


def mark_undecodable(connection: duckdb.DuckDBPyConnection) -> None:
  """Nothing to do: DuckDB's text is always UTF-8."""
  del connection


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process."""

  def __init__(self, location: str, memory_bytes: int):
    self._connection = connect(location, memory_bytes)
    self._fence = Fence(self._connection)
    self.resting_bytes = _RESTING_BYTES + min(os.path.getsize(path_of(location)), memory_bytes)

  def close(self) -> None:
    self._connection.close()

  def rest(self) -> None:
    """Nothing to let go of."""

  def hold(self) -> None:
    """No lock is kept between statements."""

  def release(self) -> None:
    """No lock is kept between statements."""

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message)."""
    refused = self._fence.refusal(sql)
    if refused:
      return "refused", (), [], 0.0, refused
    start = time.perf_counter()
    late = threading.Event()

    def stop() -> None:
      late.set()
      self._connection.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.start()
    try:
      columns, pieces, over = self._fetch(sql, max_rows, max_bytes, pack)
    except (MemoryError, duckdb.OutOfMemoryException) as error:
      return "resource", (), [], time.perf_counter() - start, f"out of memory: {one_line(error)}"
    except (duckdb.Error, RuntimeError) as error:
      status = "timeout" if late.is_set() else _status_of(error)
      if status not in ("timeout", "refused") and isinstance(error, _LOST + _TRANSIENT):
        raise TransientError(
          one_line(error), status, isinstance(error, _LOST), time.perf_counter() - start
        ) from None
      return status, (), [], time.perf_counter() - start, one_line(error)
    finally:
      timer.cancel()
    seconds = time.perf_counter() - start
    if over:
      return "resource", (), [], seconds, over
    return "ok", columns, pieces, seconds, ""

  def _fetch(
    self, sql: str, max_rows: int, max_bytes: int, pack: Pack
  ) -> tuple[tuple[str, ...], list[bytes], str]:
    try:
      return _fetch_all(ValueReader(self._connection, sql), max_rows, max_bytes, pack)
    except Unreadable:
      return _fetch_all(ValueReader(self._connection, sql, as_text=True), max_rows, max_bytes, pack)


def _fetch_all(
  reader: ValueReader, max_rows: int, max_bytes: int, pack: Pack
) -> tuple[tuple[str, ...], list[bytes], str]:
  pieces: list[bytes] = []
  rows, size = 0, 0
  while piece := reader.fetchmany(1024):
    rows += len(piece)
    if rows > max_rows:
      return reader.columns, [], f"the result has more than {max_rows} rows"
    packed = pack(piece)
    size += len(packed)
    if size > max_bytes:
      return reader.columns, [], f"the result is larger than {max_bytes} bytes"
    pieces.append(packed)
  return reader.columns, pieces, ""


def _status_of(error: Exception) -> str:
  if isinstance(error, duckdb.PermissionException):
    return "refused"
  text = str(error)
  if "disabled" in text or "read-only" in text:
    return "refused"
  return (
    "resource"
    if "out of memory" in text.lower() or "depth" in text or "too large" in text
    else "error"
  )
