"""A connection to PostgreSQL that runs one SELECT under limits, in a read-only transaction that is
always rolled back.

A statement is declared as a cursor in the extended protocol: the server accepts exactly one, only a
query, and refuses one that writes in its WITH. What it calls is looked up in the server's catalog
before (`fence`). What the role may read is for the role to say: use one that may only SELECT. A
superuser, or a role with rights on the server's files and processes, is turned away unless that is
allowed.
"""

from __future__ import annotations

import time

import psycopg
from psycopg import errors

from spftsql_jax.databases import permissions
from spftsql_jax.databases.cells import hashable_rows
from spftsql_jax.databases.engines.postgresql.fence import Fence
from spftsql_jax.databases.engines.postgresql.values import register_loaders
from spftsql_jax.databases.errors import DatabaseError, TransientError
from spftsql_jax.databases.locations import server_url
from spftsql_jax.databases.passwords import hide_passwords, without_password

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  from spftsql_jax.databases.engines.interface import Pack, Ran

_CONNECT_TIMEOUT_S = 10
# For statements of ours; a model's have their own limit.
_CATALOG_TIMEOUT_S = 60
# Built-in roles with rights on the server itself, and so on every database and file of it.
_SERVER_ROLES = (
  "pg_read_server_files",
  "pg_write_server_files",
  "pg_execute_server_program",
  "pg_signal_backend",
)
_READING_ROLE = (
  "CREATE ROLE reader LOGIN PASSWORD '...'; GRANT CONNECT ON DATABASE {database} TO reader; "
  "GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;"
)
_REFUSED = (
  errors.ReadOnlySqlTransaction,
  errors.InsufficientPrivilege,
  errors.ActiveSqlTransaction,
  errors.InvalidCursorDefinition,
)
# Classes of SQLSTATEs: insufficient resources, and program limits exceeded.
_RESOURCE_CLASSES = ("53", "54")
# SQLSTATEs that say something of the server at that moment and nothing of the statement: classes
# and single codes.
_TRANSIENT_CLASSES = ("08", "40", "53", "58", "XX")
_TRANSIENT_CODES = ("25P03", "55006", "55P03", "57P01", "57P02", "57P03", "57P04", "57P05")
# Of these classes: the role's own limit on temporary files, which the statement ran into.
_OF_THE_STATEMENT = ("53400",)
# What the server does for a session in one operation before it turns to files, and what it may not
# do at all. Those that a server is too old for, or that the role may not set, are left out.
_SETTINGS = {
  "max_parallel_workers_per_gather": "0",
  "lock_timeout": "2s",
  "idle_in_transaction_session_timeout": "120s",
  # The whole result is read: the plan that is best for all rows, not for the first tenth.
  "cursor_tuple_fraction": "1.0",
  # The guard's look-up is planned once.
  "plan_cache_mode": "force_generic_plan",
}
_SETTINGS_WHERE_ALLOWED = {
  # The server notices within a second that a worker is gone, and does not compile a statement,
  # which it would not stop.
  "client_connection_check_interval": "1s",
  "jit": "off",
  "hash_mem_multiplier": "1",
}


def connect(location: str) -> psycopg.Connection:
  """A connection whose transactions are read-only. Raises DatabaseError."""
  try:
    connection = psycopg.connect(
      server_url(location),
      connect_timeout=_CONNECT_TIMEOUT_S,
      autocommit=True,
      client_encoding="utf8",
    )
    connection.execute("SET default_transaction_read_only = on")
    # How `postgresql_tokens` reads strings; the server and the surroundings may set another way.
    connection.execute("SET standard_conforming_strings = on")
    # A role may be set to less than a look into the catalog takes, and to floats that are cut.
    connection.execute(f"SET statement_timeout = '{_CATALOG_TIMEOUT_S}s'")
    connection.execute("SET extra_float_digits = 1")
    register_loaders(connection)
    if not permissions.superuser_allowed() and (role := _server_role(connection)):
      database = connection.info.dbname
      connection.close()
      raise DatabaseError(
        f"{without_password(location)}: the role {role}; a model's SQL is run only by a role that "
        "can do no harm "
        f"({_READING_ROLE.format(database=database)}), or with --allow_superuser"
      )
    connection.autocommit = False
    connection.read_only = True
  except psycopg.Error as error:
    raise DatabaseError(
      f"{without_password(location)}: cannot be opened: "
      f"{hide_passwords(_one_line(error), location)}"
    ) from None
  return connection


def _server_role(connection: psycopg.Connection) -> str:
  """What makes the role more than a reader of databases ("admin is a superuser"), or ""."""
  rows = connection.execute(
    """SELECT r.rolname, r.rolsuper, session_user::pg_catalog.text FROM pg_catalog.pg_roles r
       WHERE (r.rolsuper OR r.rolname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]))
       AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')
       ORDER BY r.rolname OPERATOR(pg_catalog.=) session_user DESC,
         r.rolname::pg_catalog.text LIMIT 1""",
    [list(_SERVER_ROLES)],
  ).fetchall()
  if not rows:
    return ""
  name, is_superuser, own = rows[0]
  if name == own or connection.info.parameter_status("is_superuser") == "on":
    return f"{own} is a superuser"
  return f"{own} is a member of {name}, " + (
    "a superuser" if is_superuser else "which has rights on the server itself"
  )


class Connection:
  """One database, opened for running statements under limits. Lives in a worker process."""

  # The server holds what there is to hold.
  resting_bytes = 0

  def __init__(self, location: str, memory_bytes: int):
    self._connection = connect(location)
    self._connection.prepare_threshold = None
    self._timeout_ms = 0
    execute = self._connection.execute
    try:
      execute(f"SET work_mem = '{max(1, memory_bytes // 8_000_000)}MB'")
      for name, value in _SETTINGS.items():
        execute(f"SET {name} = '{value}'")
      self._connection.commit()
      where_allowed = {**_SETTINGS_WHERE_ALLOWED, "temp_file_limit": f"{memory_bytes // 1000}kB"}
      for name, value in where_allowed.items():
        self._set_where_allowed(name, value)
      self._fence = Fence(self._connection, permissions.functions_allowed())
      # Has the server plan the look-up.
      self._fence.refusal("SELECT 1")
      self._connection.rollback()
    except psycopg.Error as error:
      raise DatabaseError(
        f"{without_password(location)}: cannot be used: {_one_line(error)}"
      ) from None

  def _set_where_allowed(self, name: str, value: str) -> None:
    try:
      self._connection.execute(f"SET {name} = '{value}'")
      self._connection.commit()
    except (errors.InsufficientPrivilege, errors.UndefinedObject, errors.InvalidParameterValue):
      self._connection.rollback()

  def close(self) -> None:
    self._connection.close()

  def rest(self) -> None:
    """Nothing to let go of."""

  def hold(self) -> None:
    """No lock is kept between statements."""

  def release(self) -> None:
    """No lock is kept between statements."""

  def run(self, sql: str, timeout_s: float, max_rows: int, max_bytes: int, pack: Pack) -> Ran:
    """Runs one statement: (status, column names, packed pieces of the rows, seconds, message).

    Raises TransientError for what is no property of the statement.
    """
    start = time.perf_counter()
    try:
      self._limit_time(timeout_s)
      if refused := self._fence.refusal(sql):
        return refused[0], (), [], 0.0, refused[1]
      start = time.perf_counter()
      columns, pieces, over = self._fetch(sql, start + timeout_s, max_rows, max_bytes, pack)
    except MemoryError:
      return "resource", (), [], time.perf_counter() - start, "out of memory"
    except errors.QueryCanceled as error:
      return "timeout", (), [], time.perf_counter() - start, _one_line(error)
    except (psycopg.Error, ValueError) as error:
      # ValueError: text of the driver's own that cannot be read.
      seconds = time.perf_counter() - start
      code = getattr(error, "sqlstate", None)
      is_resource = code is not None and code.startswith(_RESOURCE_CLASSES)
      # A WITH that writes is a query, but none that the server declares a cursor for.
      writes = isinstance(error, errors.FeatureNotSupported) and "DECLARE CURSOR" in str(error)
      status = (
        "refused"
        if writes or isinstance(error, _REFUSED)
        else "resource"
        if is_resource
        else "error"
      )
      lost = self._connection.closed
      if lost or is_transient(code):
        raise TransientError(_one_line(error), status, lost, seconds) from None
      return status, (), [], seconds, _one_line(error)
    finally:
      self._rollback()
    seconds = time.perf_counter() - start
    if over:
      return (
        ("timeout" if over == "time" else "resource"),
        (),
        [],
        seconds,
        "out of time" if over == "time" else over,
      )
    return "ok", columns, pieces, seconds, ""

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

  def _fetch(
    self, sql: str, deadline: float, max_rows: int, max_bytes: int, pack: Pack
  ) -> tuple[tuple[str, ...], list[bytes], str]:
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


def fetch_rows(cursor: psycopg.Cursor, sql: str, limit: int) -> list[tuple]:
  """Up to `limit` rows of a query of ours, hashable, with the server's text for what Python does
  not have.
  """
  return hashable_rows(cursor.execute(sql).fetchmany(limit))


def is_transient(code: str | None) -> bool:
  """Whether an SQLSTATE says that the same statement may well run later; None comes of a connection
  that broke.
  """
  if code is None or code in _OF_THE_STATEMENT:
    return False
  return code in _TRANSIENT_CODES or code.startswith(_TRANSIENT_CLASSES)


def _one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:500]
