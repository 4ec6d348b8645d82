"""PostgreSQL: a connection that runs one SELECT under limits, in a read-only transaction that is always rolled back.

A statement is declared as a cursor in the extended protocol: the server accepts exactly one, only a query, and refuses one
that writes in its WITH. Functions that the server's catalog calls volatile (pg_sleep, nextval, set_config, pg_read_file,
advisory locks, random) are not run. What the role may read is for the role to say: use one that may only SELECT.
"""

from __future__ import annotations

import re
import time

import psycopg
from psycopg import errors
from psycopg.types.string import TextLoader

from spftsql_jax.databases.engines import DatabaseError, hashable_rows, server_url, without_password
from spftsql_jax.databases.locations import hide_passwords

DIALECT = "postgres"
ERRORS = (psycopg.Error,)
# Address space that a worker may take beyond the engine's own limit, and whether a connection is as good as new after it ran
# into one.
MEMORY_SLACK = 512_000_000
SURVIVES_LIMITS = True
_CONNECT_TIMEOUT_S = 10
# Stable by the catalog, but able to run other text, or to tell about the server.
_REFUSED_FUNCTIONS = frozenset({"connectby", "current_setting", "dblink", "pg_ls_dir", "pg_read_file", "xpath_table"})
# The same: query_to_xml, table_to_xmlschema, crosstab3 ...
_REFUSED_FAMILIES = re.compile(r"(?:query|cursor|table|schema|database)_to_xml|crosstab")
_REFUSED = (
  errors.ReadOnlySqlTransaction,
  errors.InsufficientPrivilege,
  errors.ActiveSqlTransaction,
  errors.InvalidCursorDefinition,
)
# The tokens of PostgreSQL's own reader, as far as they decide what is a string and what a call. Every character beyond ASCII is
# a letter to it, "--" ends at a carriage return too, and comments nest (which `_called_functions` sees to).
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
  rf"""
    (?P<space>[ \t\n\r\f\v]++|--[^\n\r]*+)
  | (?P<comment>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]++|\\.|'')*+(?:'|\Z))
  | (?P<string>'(?:[^']++|'')*+(?:'|\Z))
  | (?P<quoted>"(?:[^"]++|"")*+(?:"|\Z))
  | (?P<unclear>[uU]&"|\d[\w.]*+\$)
  | (?P<dollar>\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*+)?)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<word>[{_LETTER}][{_LETTER}0-9$]*+)
  | (?P<number>\d[\w.]*+)
  | (?P<other>.)
  """,
  re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_RESOURCE = (errors.InsufficientResources, errors.ProgramLimitExceeded, errors.ConfigurationLimitExceeded)


def connect(location: str) -> psycopg.Connection:
  """A connection whose transactions are read-only. Raises DatabaseError."""
  try:
    connection = psycopg.connect(
      server_url(location), connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True, client_encoding="utf8"
    )
    connection.execute("SET default_transaction_read_only = on")
    # How `_TOKEN` reads strings; the server and the surroundings may set another way.
    connection.execute("SET standard_conforming_strings = on")
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
      # It holds any bytes, and would refuse to give those that are not UTF-8.
      connection.execute("SET client_encoding = 'SQL_ASCII'")
      for kind in ("text", "varchar", "bpchar", "name", '"char"'):
        connection.adapters.register_loader(kind, _LenientText)
    connection.autocommit = False
    connection.read_only = True
  except psycopg.Error as error:
    raise DatabaseError(
      f"{without_password(location)}: cannot be opened: {hide_passwords(_one_line(error), location)}"
    ) from None
  return connection


class _LenientText(TextLoader):
  """Text of a server that does not say how it is encoded: bytes that are not UTF-8 are left out, as in SQLite."""

  def load(self, data) -> str:
    return bytes(data).decode(errors="ignore")


def _called_functions(sql: str) -> set[str] | None:
  """The names that stand before an opening parenthesis (keywords such as IN among them), as the server spells them.

  None where it depends on the server's version what is a name and what a string.
  """
  names = set()
  previous = ""
  at = 0
  while match := _TOKEN.match(sql, at):
    kind, at = match.lastgroup, match.end()
    if kind == "unclear":
      return None
    if kind == "comment":
      depth = 1
      while depth and (edge := _COMMENT_EDGE.search(sql, at)):
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
      at = len(sql) if depth else at
    elif kind == "word":
      previous = match.group().lower()
    elif kind == "quoted":
      previous = match.group()[1:-1].replace('""', '"')
    elif kind != "space":
      if match.group() == "(" and previous:
        names.add(previous)
      previous = ""
  return names


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process."""

  def __init__(self, location: str, memory_bytes: int):
    self._connection = connect(location)
    self._timeout_ms = 0
    execute = self._connection.execute
    try:
      # What the server does for this session in one operation before it turns to files, whose size it limits where it may.
      execute(f"SET work_mem = '{max(1, memory_bytes // 8_000_000)}MB'")
      execute("SET max_parallel_workers_per_gather = 0")
      execute("SET lock_timeout = '2s'")
      execute("SET idle_in_transaction_session_timeout = '120s'")
      # The whole result is read: the plan that is best for all rows, not for the first tenth.
      execute("SET cursor_tuple_fraction = 1.0")
      self._connection.commit()
      volatile = execute("SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND prokind IN ('f', 'p')")
      self._refused = _REFUSED_FUNCTIONS | {name.lower() for (name,) in volatile.fetchall()}
      self._connection.commit()
    except psycopg.Error as error:
      raise DatabaseError(f"{without_password(location)}: cannot be used: {_one_line(error)}") from None

  def close(self) -> None:
    self._connection.close()

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack) -> tuple[str, tuple, list, float, str]:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message)."""
    refused = self._refusal(sql)
    if refused:
      return "refused", (), [], 0.0, refused
    start = time.perf_counter()
    try:
      self._limit_time(timeout_s)
      start = time.perf_counter()
      columns, pieces, over = self._fetch(sql, start + timeout_s, max_rows, max_bytes, pack)
    except MemoryError:
      return "resource", (), [], time.perf_counter() - start, "out of memory"
    except errors.QueryCanceled as error:
      return "timeout", (), [], time.perf_counter() - start, _one_line(error)
    except (psycopg.Error, ValueError) as error:
      # ValueError: a value that Python has no type for (a year beyond 9999).
      seconds = time.perf_counter() - start
      status = "refused" if isinstance(error, _REFUSED) else "resource" if isinstance(error, _RESOURCE) else "error"
      return status, (), [], seconds, _one_line(error)
    finally:
      self._rollback()
    seconds = time.perf_counter() - start
    if over:
      return ("timeout" if over == "time" else "resource"), (), [], seconds, "out of time" if over == "time" else over
    return "ok", columns, pieces, seconds, ""

  def _refusal(self, sql: str) -> str:
    """Why the functions that `sql` calls are not to be run, or ""."""
    called = _called_functions(sql)
    if called is None:
      return "not allowed: a name with Unicode escapes, or a number that runs into a $"
    found = [name for name in called if name in self._refused or _REFUSED_FAMILIES.match(name)]
    return f"not allowed to use function {min(found)}" if found else ""

  def _limit_time(self, timeout_s: float) -> None:
    milliseconds = max(1, round(1000 * timeout_s))
    if milliseconds != self._timeout_ms:
      self._connection.execute(f"SET statement_timeout = {milliseconds}")
      # Outside the transaction that is rolled back after each statement.
      self._connection.commit()
      self._timeout_ms = milliseconds

  def _rollback(self) -> None:
    try:
      self._connection.rollback()
    except psycopg.Error:
      self._connection.close()

  def _fetch(self, sql: str, deadline: float, max_rows: int, max_bytes: int, pack) -> tuple[tuple[str, ...], list[bytes], str]:
    # The name makes it a cursor on the server: rows come in portions, a flood is cut off.
    with self._connection.cursor(name="answer") as cursor:
      cursor.execute(sql.rstrip().removesuffix(";").encode())
      columns = tuple(entry.name for entry in cursor.description or ())
      pieces: list[bytes] = []
      rows, size, step = 0, 0, 256
      while True:
        piece = cursor.fetchmany(step)
        rows += len(piece)
        if rows > max_rows:
          return columns, [], f"the result has more than {max_rows} rows"
        packed = pack(hashable_rows(piece))
        size += len(packed)
        if size > max_bytes:
          return columns, [], f"the result is larger than {max_bytes} bytes"
        if piece:
          pieces.append(packed)
        if len(piece) < step:
          return columns, pieces, ""
        if time.perf_counter() > deadline:
          return columns, [], "time"
        step = max(1, min(4096, 250_000 * rows // max(size, 1)))


def _one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:500]
