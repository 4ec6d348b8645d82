"""DuckDB: a read-only connection that runs one SELECT under limits.

DuckDB itself says what kind of statement it read, how the text falls into tokens, and which functions have no fixed result or
give tables; of the latter only a few are run, since others write logs and profiles or load what they are told to. Access to
files and the network is off, the configuration locked, the database opened read-only, and a timer interrupts what runs too
long.
"""

from __future__ import annotations

import os
import re
import threading
import time

import duckdb

from spftsql_jax.databases.engines import DatabaseError, hashable_rows, path_of

DIALECT = "duckdb"
ERRORS = (duckdb.Error,)
# Address space that a worker may take beyond the engine's own limit, and whether a connection is as good as new after it ran
# into one.
MEMORY_SLACK = 2_000_000_000
SURVIVES_LIMITS = False

_SETTINGS = {
  "enable_external_access": "false",
  "autoinstall_known_extensions": "false",
  "autoload_known_extensions": "false",
  "allow_community_extensions": "false",
  "allow_persistent_secrets": "false",
  # A table that is not there is not looked for among Python's variables.
  "python_enable_replacements": "false",
  "threads": "1",
  # Nothing is spilled to disk: what does not fit in memory fails.
  "temp_directory": "",
}
# Told to read the process's surroundings rather than the database.
_REFUSED_FUNCTIONS = frozenset({"getenv", "getvariable", "current_setting"})
_refused: frozenset[str] | None = None
# The functions giving tables that a query may use.
_TABLE_FUNCTIONS = ("generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest")
# Characters that DuckDB may read as a space, though its lexer takes them for letters.
_NAME = re.compile(rb'"(?:[^"]++|"")*+"?|[\w$\x80-\xff]*+')
_ODD_SPACE = re.compile(r"[^\S\x00-\x7f]|[\u200b-\u200f\u2060\ufeff]")


def connect(location: str, memory_bytes: int = 1_000_000_000) -> duckdb.DuckDBPyConnection:
  """A read-only connection without access to anything but the file. Raises DatabaseError."""
  path = path_of(location)
  if not os.path.isfile(path):
    raise DatabaseError(f"{path}: no such database file")
  try:
    connection = duckdb.connect(path, read_only=True, config={**_SETTINGS, "memory_limit": f"{memory_bytes}B"})
    connection.execute("SET lock_configuration = true")
  except duckdb.Error as error:
    raise DatabaseError(f"{path}: cannot be read as a DuckDB database: {_one_line(error)}") from None
  return connection


def _refused_functions(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
  """The lower-case names of the functions that are not run; asked of the library once, which takes it a tenth of a second."""
  global _refused
  if _refused is None:
    rows = connection.execute(
      """SELECT lower(function_name) FROM duckdb_functions() WHERE internal GROUP BY 1
         HAVING bool_or(stability = 'VOLATILE') OR NOT bool_or(function_type IN ('scalar', 'aggregate', 'window', 'macro'))"""
    )
    _refused = _REFUSED_FUNCTIONS | {name for (name,) in rows.fetchall() if name not in _TABLE_FUNCTIONS}
  return _refused


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process."""

  def __init__(self, location: str, memory_bytes: int):
    self._connection = connect(location, memory_bytes)
    self._refused = _refused_functions(self._connection)

  def close(self) -> None:
    self._connection.close()

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack) -> tuple[str, tuple, list, float, str]:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message)."""
    refused = self._refusal(sql)
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
      return "resource", (), [], time.perf_counter() - start, f"out of memory: {_one_line(error)}"
    except (duckdb.Error, RuntimeError) as error:
      status = "timeout" if late.is_set() else _status_of(error)
      return status, (), [], time.perf_counter() - start, _one_line(error)
    finally:
      timer.cancel()
    seconds = time.perf_counter() - start
    if over:
      return "resource", (), [], seconds, over
    return "ok", columns, pieces, seconds, ""

  def _refusal(self, sql: str) -> str:
    """Why DuckDB's own reading of the text is not one harmless SELECT, or ""; text it cannot read is left to fail when it
    runs."""
    try:
      found = self._connection.extract_statements(sql)
    except duckdb.Error:
      return ""
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
      return "only a single SELECT is run"
    try:
      called = _called_functions(sql) | _called_functions(_ODD_SPACE.sub(" ", sql))
    except duckdb.Error as error:
      return f"its functions cannot be told: {_one_line(error)}"
    called &= self._refused
    return f"not allowed to use function {min(called)}" if called else ""

  def _fetch(self, sql: str, max_rows: int, max_bytes: int, pack) -> tuple[tuple[str, ...], list[bytes], str]:
    self._connection.execute(sql)
    columns = tuple(entry[0] for entry in self._connection.description or ())
    pieces: list[bytes] = []
    rows, size = 0, 0
    while piece := self._connection.fetchmany(1024):
      rows += len(piece)
      if rows > max_rows:
        return columns, [], f"the result has more than {max_rows} rows"
      packed = pack(hashable_rows(piece))
      size += len(packed)
      if size > max_bytes:
        return columns, [], f"the result is larger than {max_bytes} bytes"
      pieces.append(packed)
    return columns, pieces, ""


def _called_functions(sql: str) -> set[str]:
  """Lower-case names that stand before an opening parenthesis, in DuckDB's own reading of the text."""
  text = sql.encode()
  found = [token for token in duckdb.tokenize(sql) if token[1] != duckdb.token_type.comment]
  ends = [start for start, _ in found[1:]] + [len(text)]
  names = set()
  previous = b""
  for (start, kind), end in zip(found, ends, strict=True):
    if text[start : start + 1] == b"(" and previous:
      names.add(previous.decode(errors="replace").lower())
    # A keyword may be the name of a function too.
    is_name = kind in (duckdb.token_type.identifier, duckdb.token_type.keyword)
    previous = _NAME.match(text, start, end).group().strip(b'"') if is_name else b""
  return names


def _status_of(error: Exception) -> str:
  if isinstance(error, duckdb.PermissionException):
    return "refused"
  text = str(error)
  if "disabled" in text or "read-only" in text:
    return "refused"
  return "resource" if "out of memory" in text.lower() or "depth" in text or "too large" in text else "error"


def _one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:500]
