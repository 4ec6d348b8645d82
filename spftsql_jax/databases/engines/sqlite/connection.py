"""A read-only connection to an SQLite file that runs one SELECT under limits.

Five fences stand around a statement: the file is opened read-only, an authorizer refuses what does
more than read (`fence`), the process may open no file while it runs, SQLite's own limits bound
lengths, depths and memory, and a progress handler stops it when its time is over. What ignores even
that (one call of a string function that takes minutes) is stopped by the worker's alarm and the
executor, from outside.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import resource
import sqlite3
import time

from spftsql_jax.databases.engines import RESTING_BYTES
from spftsql_jax.databases.engines.sqlite import files
from spftsql_jax.databases.engines.sqlite.failures import is_transient, status_of
from spftsql_jax.databases.engines.sqlite.fence import Fence
from spftsql_jax.databases.engines.sqlite.limits import LIMITS
from spftsql_jax.databases.errors import DatabaseError, TransientError
from spftsql_jax.databases.locations import path_of

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  from spftsql_jax.databases.engines.interface import Pack, Ran

# The message of a result whose text had to be decoded that way.
NOT_UTF8 = "bytes that are not UTF-8 were left out of the text"
_OPCODES_BETWEEN_CHECKS = 4_000
# So long is waited for another's lock at a time.
_LOOK_AGAIN_S = 0.02
# Of one database; and what each declaration, and each letter of one, takes of the heap at most once
# it is read (measured).
_CACHE_BYTES = 16_384_000
_HEAP_OF_A_NAME, _HEAP_OF_A_LETTER = 400, 4
# How often a statement is run on a file that another process writes to.
_ATTEMPTS = 3


def connect(location: str) -> sqlite3.Connection:
  """A read-only connection without further fences, for code of ours (introspection). Raises
  DatabaseError.

  Nothing is written beside the file either; see `sqlite_files` for how a database with a log or a
  journal is read.
  """
  return files.open_file(path_of(location)).connection


# Text as the official evaluators read it: bytes that are not UTF-8 are left out.
lenient_text = operator.methodcaller("decode", "utf-8", "ignore")


def mark_undecodable(connection: sqlite3.Connection) -> None:
  """Lets text that is not UTF-8 come with U+FFFD where it cannot be read, so that it can be told
  from other text.
  """
  connection.text_factory = operator.methodcaller("decode", "utf-8", "replace")


def fetch_rows(cursor: sqlite3.Cursor, sql: str, limit: int) -> list[tuple]:
  """Up to `limit` rows of a query of ours."""
  return cursor.execute(sql).fetchmany(limit)


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process.

  `resting_bytes` is what it may hold of SQLite's heap between statements: cached pages and the
  schema.
  """

  def __init__(self, location: str, memory_bytes: int):
    self._path = path_of(location)
    self._memory_bytes = memory_bytes
    self._most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    self._deadline = math.inf
    self._reader: sqlite3.Cursor | None = None
    self._journal_stays = False
    self._snapshot: files.Snapshot | None = None
    self.resting_bytes = 0
    self._open()

  def close(self) -> None:
    """Lets go of the file; the next statement opens it again."""
    self.release()
    if self._snapshot is not None:
      self._snapshot.connection.close()
      self._snapshot = None

  def _open(self) -> files.Snapshot:
    """Opens the file as it is now. Raises DatabaseError."""
    self.close()
    self._deadline = math.inf
    snapshot = files.open_file(self._path)
    try:
      self._put_up_fences(snapshot.connection)
    except sqlite3.Error as error:
      snapshot.connection.close()
      raise DatabaseError(f"{self._path}: cannot be read as an SQLite database: {error}") from None
    self._snapshot, self._connection = snapshot, snapshot.connection
    return snapshot

  def _put_up_fences(self, connection: sqlite3.Connection) -> None:
    execute = connection.execute
    execute("PRAGMA query_only = ON")
    self._fence = Fence(connection)
    # It keeps views from full-text and R-tree tables too: where there are any, what a view may use
    # is left to the authorizer, which sees it as well.
    execute(f"PRAGMA trusted_schema = {'ON' if self._fence.virtual_tables else 'OFF'}")
    # Sorting is a third faster where it may spill into files, even if it never does: that is tried
    # first, with a cache that makes it rare. A statement can open no file, so one that does spill
    # fails, and runs again with all in memory.
    execute(f"PRAGMA cache_size = -{_CACHE_BYTES // 1024}")
    self._spills_into_memory = False
    # SQLite counts the heap of the whole process: other databases that are open hold their part of
    # it.
    execute(f"PRAGMA hard_heap_limit = {self._memory_bytes + RESTING_BYTES}")
    connection.set_progress_handler(self._is_late, _OPCODES_BETWEEN_CHECKS)
    objects, text = execute("SELECT COUNT(*), TOTAL(LENGTH(sql)) FROM sqlite_master").fetchone()
    cached = min(os.path.getsize(self._path), _CACHE_BYTES) * 11 // 10
    self.resting_bytes = cached + int(_HEAP_OF_A_NAME * objects + _HEAP_OF_A_LETTER * text)
    self._fence.open_virtual_tables()
    for limit, value in LIMITS.items():
      connection.setlimit(limit, value)
    # From now on waiting for a lock is `_has_another_way`'s, which keeps the time limit.
    execute("PRAGMA busy_timeout = 0")
    self._fence.put_up()

  def _is_late(self) -> bool:
    return time.perf_counter() > self._deadline

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message);
    `pack` turns a list of rows to bytes.

    Raises DatabaseError where the file has changed and cannot be opened any more, and
    TransientError for what is no property of the statement.
    """
    deadline = time.perf_counter() + timeout_s
    attempt = 0
    while True:
      attempt += 1
      snapshot = self._snapshot
      if snapshot is None or (snapshot.unlocked and snapshot.is_stale()):
        snapshot = self._open()
      outcome: Ran | TransientError
      try:
        outcome = self._run(sql, deadline, max_rows, max_bytes, pack)
      except TransientError as error:
        outcome = error
      else:
        if outcome[0] == "timeout" or (outcome[0] == "ok" and not snapshot.unlocked):
          return outcome
      if not snapshot.is_stale():
        break
      # What was read without locks, or failed, while another process wrote is read again.
      self.close()
      if attempt == _ATTEMPTS:
        if snapshot.unlocked:
          message = (
            "the database is written to all the time, so that it cannot be read; try again later"
          )
          raise TransientError(message, seconds=time.perf_counter() - deadline + timeout_s)
        break
    if isinstance(outcome, TransientError):
      raise outcome
    return outcome

  def rest(self) -> None:
    """To be called when no statement is at hand: lets go of a log that its writer would put
    away.
    """
    if self._snapshot is not None and self._snapshot.uses_log:
      self.close()

  def _run(self, sql: str, deadline: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    start = time.perf_counter()
    self._deadline = deadline
    self._connection.text_factory = str
    held = self._reader
    try:
      while True:
        try:
          if self._journal_stays and self._reader is None:
            self._reader = self._begin_reading()
          # What is open stays open; nothing more can be, be it a file to sort in.
          resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._most_files[1]))
          columns, pieces, over = self._fetch(sql, max_rows, max_bytes, pack)
          break
        except sqlite3.OperationalError as error:
          resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
          if not self._has_another_way(error):
            raise
    except MemoryError:
      return "resource", (), [], time.perf_counter() - start, "out of memory"
    except (sqlite3.Error, sqlite3.Warning) as error:
      seconds = time.perf_counter() - start
      if is_transient(error):
        raise TransientError(str(error), status_of(error), seconds=seconds) from None
      return status_of(error), (), [], seconds, str(error)
    finally:
      resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
      if self._reader is not held:
        self.release()
    seconds = time.perf_counter() - start
    if over:
      return "resource", (), [], seconds, over
    return (
      "ok",
      columns,
      pieces,
      seconds,
      NOT_UTF8 if self._connection.text_factory is lenient_text else "",
    )

  def hold(self) -> None:
    """Keeps the read lock between statements, which takes a third of the time of a small one, until
    `release`. Writers wait.
    """
    if self._reader is None and self._snapshot is not None and not self._snapshot.unlocked:
      self._deadline = math.inf
      if not self._journal_stays:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._most_files[1]))
      # Where somebody writes the statement itself will say so, or find it done.
      with contextlib.suppress(sqlite3.Error):
        self._reader = self._begin_reading()
      resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)

  def _begin_reading(self) -> sqlite3.Cursor:
    """Takes the read lock, which is kept until the cursor is closed: a statement that is not read
    to its end.
    """
    cursor = self._connection.execute("SELECT 1 FROM sqlite_master UNION ALL SELECT 1")
    cursor.fetchone()
    return cursor

  def release(self) -> None:
    """Gives the read lock back."""
    if self._reader is not None:
      self._reader.close()
      self._reader = None

  def program(self, sql: str, timeout_s: float) -> list[tuple] | None:
    """The byte code that a statement is compiled to, None where it cannot be compiled.

    Numbers are printed with 16 digits, blobs not at all. None for an SQLite that may cut long
    operands.
    """
    if sqlite3.sqlite_version_info < (3, 38):
      return None
    if self._snapshot is None or (self._snapshot.unlocked and self._snapshot.is_stale()):
      self._open()
    self._deadline = time.perf_counter() + timeout_s
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._most_files[1]))
    try:
      # Without the line number and the comment.
      return [line[1:7] for line in self._connection.execute(f"EXPLAIN {sql}")]
    except (sqlite3.Error, sqlite3.Warning):
      return None
    finally:
      resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)

  def schema_text(self) -> str:
    """The declarations of everything in the database. Raises DatabaseError."""
    if self._snapshot is None:
      self._open()
    self._deadline = math.inf
    rows = self._connection.execute(
      "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_master ORDER BY 1"
    )
    return "\n".join(text for (text,) in rows)

  def _has_another_way(self, error: sqlite3.OperationalError) -> bool:
    """Turns from a fast way that has failed to a slower one; False where that is not what has
    failed.
    """
    if "decode to UTF-8" in str(error) and self._connection.text_factory is str:
      # A call for each cell.
      self._connection.text_factory = lenient_text
      return True
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_READONLY_ROLLBACK and not self._journal_stays:
      # A journal lies there, and SQLite may not open it to see that nothing is to be put back (with
      # PRAGMA journal_mode = PERSIST it always lies there).
      self._journal_stays = True
      return True
    code &= 0xFF
    if (
      code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
      and time.perf_counter() < self._deadline - _LOOK_AGAIN_S
    ):
      # Somebody writes; a transaction of his is over before long.
      time.sleep(_LOOK_AGAIN_S)
      return True
    if (
      code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
      and not self._spills_into_memory
    ):
      self._spills_into_memory = True
      self.release()
      with self._fence.down():
        self._connection.execute("PRAGMA temp_store = MEMORY")
        # The schema is forgotten over this; the authorizer would refuse to have it read again.
        self._connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        self._fence.open_virtual_tables()
      return True
    # The first statement that reads from json_each or its like.
    return "vtable constructor failed" in str(error) and self._fence.open_table_functions()

  def _fetch(
    self, sql: str, max_rows: int, max_bytes: int, pack: Pack
  ) -> tuple[tuple[str, ...], list[bytes], str]:
    cursor = self._connection.cursor()
    try:
      cursor.execute(sql)
      columns = tuple(entry[0] for entry in cursor.description or ())
      pieces: list[bytes] = []
      rows, size, step = 0, 0, 64
      while True:
        piece = cursor.fetchmany(step)
        if not piece:
          return columns, pieces, ""
        rows += len(piece)
        if rows > max_rows:
          return columns, [], f"the result has more than {max_rows} rows"
        packed = pack(piece)
        size += len(packed)
        if size > max_bytes:
          return columns, [], f"the result is larger than {max_bytes} bytes"
        pieces.append(packed)
        if len(piece) < step:
          return columns, pieces, ""
        # As many rows at once as make about a quarter of a megabyte, so that wide rows never pile
        # up.
        step = max(1, min(4096, 250_000 * rows // max(size, 1)))
    finally:
      cursor.close()
