"""SQLite: a read-only connection that runs one SELECT under limits.

Five fences stand around a statement: the file is opened read-only, an authorizer with an allow-list refuses everything but
reading and known functions, the process may open no file while it runs, SQLite's own limits bound lengths, depths and memory,
and a progress handler stops it when its time is over. What ignores even that (one call of a string function that takes
minutes) is stopped by the worker's alarm and the executor, from outside.
"""

from __future__ import annotations

import functools
import operator
import os
import resource
import sqlite3
import time

from spftsql_jax.databases.engines import DatabaseError, path_of

DIALECT = "sqlite"
ERRORS = (sqlite3.Error,)
# Address space that a worker may take beyond the engine's own limit, and whether a connection is as good as new after it ran
# into one.
MEMORY_SLACK = 64_000_000
SURVIVES_LIMITS = True

# The message of a result whose text had to be decoded that way.
NOT_UTF8 = "bytes that are not UTF-8 were left out of the text"

MAX_CELL_BYTES = 10_000_000
_OPCODES_BETWEEN_CHECKS = 4_000

_LIMITS = {
  sqlite3.SQLITE_LIMIT_LENGTH: MAX_CELL_BYTES,
  sqlite3.SQLITE_LIMIT_SQL_LENGTH: 200_000,
  sqlite3.SQLITE_LIMIT_COLUMN: 2_000,
  sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 500,
  sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
  sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
  sqlite3.SQLITE_LIMIT_ATTACHED: 0,
  sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
  sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
  sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

# What a SELECT may ask for. Absent on purpose: random, randomblob (a score must not depend on luck), load_extension,
# fts3_tokenizer, readfile, writefile, edit, and everything that only tells about the library.
_FUNCTION_NAMES = """
  abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat concat_ws cos cosh count
  cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format glob
  group_concat hex highlight ifnull iif instr json json_array json_array_length json_each json_extract json_group_array
  json_group_object json_insert json_object json_patch json_quote json_remove json_replace json_set json_tree json_type
  json_valid julianday lag last_value lead length like likelihood likely ln log log10 log2 lower ltrim match max min mod
  nth_value ntile nullif octet_length percent_rank pi pow power printf quote radians rank regexp replace round row_number
  rtrim sign sin sinh snippet soundex sqrt strftime string_agg substr substring sum tan tanh time timediff total trim
  trunc typeof unhex unicode unixepoch unlikely upper zeroblob -> ->>
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_ALLOWED_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})


def connect(location: str) -> sqlite3.Connection:
  """A read-only connection without further fences, for code of ours (introspection). Raises DatabaseError."""
  path = path_of(location)
  if not os.path.isfile(path):
    raise DatabaseError(f"{path}: no such database file")
  # What a file name in an SQLite URI has to escape.
  quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
  try:
    # A write-ahead-log database would need a -shm file beside it even for reading; without a log it can be read as it is.
    options = "mode=ro&immutable=1" if _is_quiet_wal(path) else "mode=ro"
    connection = sqlite3.connect(
      f"file:{quoted}?{options}", uri=True, isolation_level=None, check_same_thread=False, cached_statements=0
    )
    connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
  except (sqlite3.Error, OSError) as error:
    raise DatabaseError(f"{path}: cannot be read as an SQLite database: {error}") from None
  return connection


# Text as the official evaluators read it: bytes that are not UTF-8 are left out.
lenient_text = operator.methodcaller("decode", "utf-8", "ignore")


def _is_quiet_wal(path: str) -> bool:
  descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
  try:
    header = os.read(descriptor, 20)
  finally:
    os.close(descriptor)
  if len(header) < 20 or header[18] != 2:
    return False
  log = path + "-wal"
  return not os.path.exists(log) or os.path.getsize(log) == 0


# Names of a process's modules, read once: they belong to the library, not to a database.
_modules: list[frozenset[str]] = []


def _module_tables(connection: sqlite3.Connection) -> frozenset[str]:
  """Lower-case names that can be read from without being in the schema: modules that tell about the file's pages or the
  connection (dbstat, sqlite_dbpage, sqlite_stmt, pragma_...).
  """
  if not _modules:
    try:
      names = {name.lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
    except sqlite3.OperationalError:
      names = {"dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"}  # SQLite was built without the list.
    _modules.append(frozenset(names - {"json_each", "json_tree"}))
  return _modules[0].difference(name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master"))


def _authorize(hidden: frozenset[str], action: int, first: str | None, second: str | None, *unused: str | None) -> int:
  if action in _ALLOWED_ACTIONS:
    if action == sqlite3.SQLITE_READ and first is not None and first.lower() in hidden:
      return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
  if action == sqlite3.SQLITE_FUNCTION and second is not None and second.lower() in _FUNCTIONS:
    return sqlite3.SQLITE_OK
  return sqlite3.SQLITE_DENY


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process."""

  def __init__(self, location: str, memory_bytes: int):
    self._deadline = 0.0
    self._connection = connect(location)
    execute = self._connection.execute
    execute("PRAGMA query_only = ON")
    execute("PRAGMA trusted_schema = OFF")
    # Sorting is a third faster where it may spill into files, even if it never does: that is tried first, with a cache that
    # makes it rare. A statement can open no file, so one that does spill fails, and runs again with all in memory.
    execute("PRAGMA cache_size = -16000")
    self._spills_into_memory = False
    self._reader: sqlite3.Cursor | None = None
    execute(f"PRAGMA hard_heap_limit = {memory_bytes}")
    for limit, value in _LIMITS.items():
      self._connection.setlimit(limit, value)
    self._connection.set_progress_handler(self._is_late, _OPCODES_BETWEEN_CHECKS)
    self._authorizer = functools.partial(_authorize, _module_tables(self._connection))
    self._connection.set_authorizer(self._authorizer)

  def close(self) -> None:
    self.release()
    self._connection.close()

  def _is_late(self) -> bool:
    return time.perf_counter() > self._deadline

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack) -> tuple[str, tuple, list, float, str]:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message); `pack` turns a list of rows to
    bytes.
    """
    start = time.perf_counter()
    self._deadline = start + timeout_s
    self._connection.text_factory = str
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What is open stays open; nothing more can be, be it a file to sort in.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, files[1]))
    try:
      while True:
        try:
          columns, pieces, over = self._fetch(sql, max_rows, max_bytes, pack)
          break
        except sqlite3.OperationalError as error:
          if not self._has_another_way(error):
            raise
    except MemoryError:
      return "resource", (), [], time.perf_counter() - start, "out of memory"
    except (sqlite3.Error, sqlite3.Warning) as error:
      seconds = time.perf_counter() - start
      return _status_of(error), (), [], seconds, str(error)
    finally:
      resource.setrlimit(resource.RLIMIT_NOFILE, files)
    seconds = time.perf_counter() - start
    if over:
      return "resource", (), [], seconds, over
    return "ok", columns, pieces, seconds, NOT_UTF8 if self._connection.text_factory is lenient_text else ""

  def hold(self) -> None:
    """Keeps the read lock between statements, which takes a third of the time of a small one, until `release`. Writers wait."""
    if self._reader is None:
      try:
        # A statement that is not read to its end.
        self._reader = self._connection.execute("SELECT 1 FROM sqlite_master")
        self._reader.fetchone()
      except sqlite3.Error:
        # Somebody writes: the statement itself will say so, or find it done.
        self._reader = None

  def release(self) -> None:
    """Gives the read lock back."""
    if self._reader is not None:
      self._reader.close()
      self._reader = None

  def program(self, sql: str, timeout_s: float) -> list[tuple] | None:
    """The byte code that a statement is compiled to, None where it cannot be compiled.

    Numbers are printed with 16 digits, blobs not at all. None for an SQLite that may cut long operands.
    """
    if sqlite3.sqlite_version_info < (3, 38):
      return None
    self._deadline = time.perf_counter() + timeout_s
    try:
      # Without the line number and the comment.
      return [line[1:7] for line in self._connection.execute(f"EXPLAIN {sql}")]
    except (sqlite3.Error, sqlite3.Warning):
      return None

  def schema_text(self) -> str:
    """The declarations of everything in the database."""
    rows = self._connection.execute("SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_master ORDER BY 1")
    return "\n".join(text for (text,) in rows)

  def _has_another_way(self, error: sqlite3.OperationalError) -> bool:
    """Turns from a fast way that has failed to a slower one; False where that is not what has failed."""
    if "decode to UTF-8" in str(error) and self._connection.text_factory is str:
      # A call for each cell.
      self._connection.text_factory = lenient_text
      return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN) and not self._spills_into_memory:
      self._spills_into_memory = True
      self.release()
      self._connection.set_authorizer(None)
      self._connection.execute("PRAGMA temp_store = MEMORY")
      # The schema is forgotten over this; the authorizer would refuse to have it read again.
      self._connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
      self._connection.set_authorizer(self._authorizer)
      return True
    return False

  def _fetch(self, sql: str, max_rows: int, max_bytes: int, pack) -> tuple[tuple[str, ...], list[bytes], str]:
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
        # As many rows at once as make about a quarter of a megabyte, so that wide rows never pile up.
        step = max(1, min(4096, 250_000 * rows // max(size, 1)))
    finally:
      cursor.close()


def _status_of(error: Exception) -> str:
  """The status of a failed statement, from SQLite's error code."""
  code = getattr(error, "sqlite_errorcode", None)
  text = str(error)
  if code is not None:
    code &= 0xFF
  if code == sqlite3.SQLITE_INTERRUPT:
    return "timeout"
  if code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or "one statement at a time" in text:
    return "refused"
  # The authorizer refuses functions by a plain error with this text.
  if "not authorized" in text or "prohibited" in text:
    return "refused"
  if code in (sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
    return "resource"
  if any(
    mark in text for mark in ("too many", "too big", "too large", "too complex", "too deep", "stack overflow", "maximum depth")
  ):
    return "resource"
  return "error"
