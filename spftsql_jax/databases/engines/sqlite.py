"""SQLite: a read-only connection that runs one SELECT under limits.

Five fences stand around a statement: the file is opened read-only, an authorizer with an allow-list
refuses everything but reading and known functions, the process may open no file while it runs,
SQLite's own limits bound lengths, depths and memory, and a progress handler stops it when its time
is over. What ignores even that (one call of a string function that takes minutes) is stopped by the
worker's alarm and the executor, from outside.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import operator
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterable

from spftsql_jax.databases.engines import (
  RESTING_BYTES,
  DatabaseError,
  TransientError,
  path_of,
  sqlite_files,
)

DIALECT = "sqlite"
ERRORS = (sqlite3.Error,)
# Whether a column holds values of its declared type only.
TYPES_ARE_KEPT = False
# Memory that a worker may take beyond the engine's own limit, and whether a connection is as good
# as new after it ran into one.
MEMORY_SLACK = 64_000_000
SURVIVES_LIMITS = True

# The message of a result whose text had to be decoded that way.
NOT_UTF8 = "bytes that are not UTF-8 were left out of the text"

# Codes that say something of the file, the disk or another process, and nothing of the statement.
_TRANSIENT = frozenset(
  {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
  }
)
# SQLite would first have to put back what a process left that was killed, or is about to commit.
_WANTS_TO_MEND = frozenset(
  {
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_READONLY_RECOVERY,
    sqlite3.SQLITE_READONLY_CANTINIT,
  }
)

MAX_CELL_BYTES = 10_000_000
_OPCODES_BETWEEN_CHECKS = 4_000
# So long is waited for another's lock at a time.
_LOOK_AGAIN_S = 0.02
# Of one database; and what each declaration, and each letter of one, takes of the heap at most once
# it is read (measured).
_CACHE_BYTES = 16_384_000
_HEAP_OF_A_NAME, _HEAP_OF_A_LETTER = 400, 4
# How often a statement is run on a file that another process writes to.
_ATTEMPTS = 3

_LIMITS = {
  sqlite3.SQLITE_LIMIT_LENGTH: MAX_CELL_BYTES,
  # Statements are far shorter (`statements.MAX_SQL_BYTES`); the declaration of a wide table, which
  # SQLite reads again, is not.
  sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000_000,
  sqlite3.SQLITE_LIMIT_COLUMN: 2_000,
  sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 500,
  sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
  sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
  sqlite3.SQLITE_LIMIT_ATTACHED: 0,
  sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
  sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
  sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

# What a SELECT may ask for. Absent on purpose: random, randomblob (a score must not depend on
# luck), load_extension, fts3_tokenizer, readfile, writefile, edit, and everything that only tells
# about the library.
_FUNCTION_NAMES = """
  abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat
  concat_ws cos cosh count cume_dist current_date current_time current_timestamp date datetime
  degrees dense_rank exp first_value floor format glob group_concat hex highlight if ifnull iif
  instr json json_array json_array_insert json_array_length json_each json_error_position
  json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty
  json_quote json_remove json_replace json_set json_tree json_type json_valid jsonb jsonb_array
  jsonb_array_insert jsonb_each jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
  jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set jsonb_tree julianday lag last_value
  lead length like likelihood likely ln log log10 log2 lower ltrim match matchinfo max median min
  mod nth_value ntile nullif octet_length offsets percent_rank percentile percentile_cont
  percentile_disc pi pow power printf quote radians rank regexp replace round row_number rtrim sign
  sin sinh snippet soundex sqrt strftime string_agg substr substring subtype sum tan tanh time
  timediff total trim trunc typeof unhex unicode unistr unistr_quote unixepoch unlikely upper
  zeroblob -> ->>
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
# Modules of virtual tables that compute from the database's own tables alone, and those that are
# read like functions.
_TABLE_MODULES = frozenset(
  {"fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "geopoly", "rtree", "rtree_i32"}
)
_TABLE_FUNCTIONS = frozenset(
  {"generate_series", "json_each", "json_tree", "jsonb_each", "jsonb_tree"}
)
_ALLOWED_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})


def connect(location: str) -> sqlite3.Connection:
  """A read-only connection without further fences, for code of ours (introspection). Raises
  DatabaseError.

  Nothing is written beside the file either; see `sqlite_files` for how a database with a log or a
  journal is read.
  """
  return sqlite_files.open_file(path_of(location)).connection


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


# Names of a process's modules, read once: they belong to the library, not to a database.
_modules: list[frozenset[str]] = []


def _library_modules(connection: sqlite3.Connection) -> frozenset[str]:
  if not _modules:
    try:
      names = {
        name.lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list")
      }
    except sqlite3.OperationalError:
      # SQLite was built without the list.
      names = {"dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"}
    _modules.append(frozenset(names))
  return _modules[0]


def _virtual_tables(connection: sqlite3.Connection) -> dict[str, str]:
  """The database's own virtual tables and their modules, in lower case."""
  found = {}
  virtual = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0 AND sql LIKE "
    "'CREATE VIRTUAL%'"
  )
  for name, sql in connection.execute(virtual):
    from spftsql_jax.sql import statements

    # CREATE VIRTUAL TABLE name USING module; the name may be quoted and hold anything.
    words = [text for _, text in itertools.islice(statements.tokens(sql), 6)]
    found[name.lower()] = (
      words[5].strip('"`[]').lower() if len(words) > 5 and words[4].upper() == "USING" else ""
    )
  return found


def _hidden_modules(connection: sqlite3.Connection, virtual: dict[str, str]) -> frozenset[str]:
  """Lower-case names that may not be read from: modules that tell about the file's pages or the
  connection (dbstat, sqlite_stmt, pragma_...) or might read other files, by themselves or as tables
  of the database made with them.
  """
  own = {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
  eponymous = _library_modules(connection) - _TABLE_FUNCTIONS - own
  return eponymous | {name for name, module in virtual.items() if module not in _TABLE_MODULES}


def _open_virtual_tables(connection: sqlite3.Connection, names: Iterable[str]) -> None:
  """Has SQLite connect the harmless virtual tables now, under no authorizer: it declares their
  columns by a CREATE TABLE, and R-tree prepares the statements that it would write with.
  """
  for name in names:
    quoted = name.replace('"', '""')
    try:
      connection.execute(f'SELECT * FROM "{quoted}" LIMIT 1').fetchone()
    except sqlite3.Error:
      # One that is broken, or needs arguments: whoever reads from it will be told.
      continue


def _authorize(
  hidden: frozenset[str], action: int, first: str | None, second: str | None, *unused: str | None
) -> int:
  if action in _ALLOWED_ACTIONS:
    if action == sqlite3.SQLITE_READ and first is not None and first.lower() in hidden:
      return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
  if action == sqlite3.SQLITE_FUNCTION and second is not None and second.lower() in _FUNCTIONS:
    return sqlite3.SQLITE_OK
  # The full-text modules ask for these two while they are read from.
  if action == sqlite3.SQLITE_PRAGMA and second is None and first in ("data_version", "page_size"):
    return sqlite3.SQLITE_OK
  return sqlite3.SQLITE_DENY


def refusal_of(connection: sqlite3.Connection) -> Callable[[str], str]:
  """What tells why a statement is not to be run on a connection of ours, "" where it may: that a
  worker's connection would refuse it, or that it cannot be read at all.
  """
  virtual = _virtual_tables(connection)
  authorizer = functools.partial(_authorize, _hidden_modules(connection, virtual))
  _open_virtual_tables(
    connection, [name for name, module in virtual.items() if module in _TABLE_MODULES]
  )
  ((trusted,),) = connection.execute("PRAGMA trusted_schema").fetchall() or [(1,)]

  def refusal(sql: str) -> str:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.set_authorizer(authorizer)
    try:
      connection.execute(f"EXPLAIN {sql}").close()
    except sqlite3.Error as error:
      return str(error)
    finally:
      connection.set_authorizer(None)
      connection.execute(f"PRAGMA trusted_schema = {trusted}")
    return ""

  return refusal


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
    self._snapshot: sqlite_files.Snapshot | None = None
    self.resting_bytes = 0
    self._open()

  def close(self) -> None:
    """Lets go of the file; the next statement opens it again."""
    self.release()
    if self._snapshot is not None:
      self._snapshot.connection.close()
      self._snapshot = None

  def _open(self) -> sqlite_files.Snapshot:
    """Opens the file as it is now. Raises DatabaseError."""
    self.close()
    self._deadline = math.inf
    snapshot = sqlite_files.open_file(self._path)
    try:
      self._fence(snapshot.connection)
    except sqlite3.Error as error:
      snapshot.connection.close()
      raise DatabaseError(f"{self._path}: cannot be read as an SQLite database: {error}") from None
    self._snapshot, self._connection = snapshot, snapshot.connection
    return snapshot

  def _fence(self, connection: sqlite3.Connection) -> None:
    execute = connection.execute
    execute("PRAGMA query_only = ON")
    virtual = _virtual_tables(connection)
    self._virtual = [name for name, module in virtual.items() if module in _TABLE_MODULES]
    # It keeps views from full-text and R-tree tables too: where there are any, what a view may use
    # is left to the authorizer, which sees it as well.
    execute(f"PRAGMA trusted_schema = {'ON' if self._virtual else 'OFF'}")
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
    self._authorizer = functools.partial(_authorize, _hidden_modules(connection, virtual))
    _open_virtual_tables(connection, self._virtual)
    for limit, value in _LIMITS.items():
      connection.setlimit(limit, value)
    # From now on waiting for a lock is `_has_another_way`'s, which keeps the time limit.
    execute("PRAGMA busy_timeout = 0")
    connection.set_authorizer(self._authorizer)

  def _is_late(self) -> bool:
    return time.perf_counter() > self._deadline

  def run(
    self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack
  ) -> tuple[str, tuple, list, float, str]:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message);
    `pack` turns a list of rows to bytes.

    Raises DatabaseError where the file has changed and cannot be opened any more, and
    TransientError for what is no property of the statement.
    """
    deadline = time.perf_counter() + timeout_s
    for _ in range(_ATTEMPTS):
      snapshot = self._snapshot
      if snapshot is None or (snapshot.unlocked and snapshot.is_stale()):
        snapshot = self._open()
      outcome, fault = None, None
      try:
        outcome = self._run(sql, deadline, max_rows, max_bytes, pack)
      except TransientError as error:
        fault = error
      if outcome is not None and (
        outcome[0] == "timeout" or (outcome[0] == "ok" and not snapshot.unlocked)
      ):
        return outcome
      if not snapshot.is_stale():
        break
      # What was read without locks, or failed, while another process wrote is read again.
      self.close()
    else:
      if snapshot.unlocked:
        message = (
          "the database is written to all the time, so that it cannot be read; try again later"
        )
        raise TransientError(message, seconds=time.perf_counter() - deadline + timeout_s)
    if fault is not None:
      raise fault
    return outcome

  def rest(self) -> None:
    """To be called when no statement is at hand: lets go of a log that its writer would put
    away.
    """
    if self._snapshot is not None and self._snapshot.uses_log:
      self.close()

  def _run(
    self, sql: str, deadline: float, max_rows: int, max_bytes: int, pack
  ) -> tuple[str, tuple, list, float, str]:
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
      code = getattr(error, "sqlite_errorcode", 0)
      if code & 0xFF in _TRANSIENT or code in _WANTS_TO_MEND:
        raise TransientError(str(error), _status_of(error), seconds=seconds) from None
      return _status_of(error), (), [], seconds, str(error)
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
      self._connection.set_authorizer(None)
      self._connection.execute("PRAGMA temp_store = MEMORY")
      # The schema is forgotten over this; the authorizer would refuse to have it read again.
      self._connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
      _open_virtual_tables(self._connection, self._virtual)
      self._connection.set_authorizer(self._authorizer)
      return True
    functions = _TABLE_FUNCTIONS & _library_modules(self._connection)
    if "vtable constructor failed" in str(error) and not functions.issubset(self._virtual):
      # The first statement that reads from json_each or its like.
      self._virtual += functions
      self._connection.set_authorizer(None)
      _open_virtual_tables(self._connection, self._virtual)
      self._connection.set_authorizer(self._authorizer)
      return True
    return False

  def _fetch(
    self, sql: str, max_rows: int, max_bytes: int, pack
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


def _status_of(error: Exception) -> str:
  """The status of a failed statement, from SQLite's error code."""
  code = getattr(error, "sqlite_errorcode", None)
  text = str(error)
  if code is not None:
    code &= 0xFF
  if code == sqlite3.SQLITE_INTERRUPT:
    return "timeout"
  if (
    code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
    or "one statement at a time" in text
  ):
    return "refused"
  # The authorizer refuses functions by a plain error with this text.
  if "not authorized" in text or "prohibited" in text:
    return "refused"
  if code in (
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
  ):
    return "resource"
  if any(
    mark in text
    for mark in (
      "too many",
      "too big",
      "too large",
      "too complex",
      "too deep",
      "stack overflow",
      "maximum depth",
    )
  ):
    return "resource"
  return "error"
