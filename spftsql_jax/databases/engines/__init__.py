"""The database engines: for each a module with `Connection`, which runs one statement under limits
inside a worker process.

A location is a path of an SQLite or DuckDB file, or a URL: `sqlite:///path`, `duckdb:///path`,
`postgresql://user@host:port/name`. A URL of a database with schemas may say which of them are
meant: `?schemas=sales,crm`.
"""

from __future__ import annotations

import contextlib
import importlib
import operator
import os
import time
from collections.abc import Sequence

from spftsql_jax.databases import locations

ENGINES = ("sqlite", "duckdb", "postgresql")
_PREFIXES = {
  "sqlite": "sqlite",
  "duckdb": "duckdb",
  "postgresql": "postgresql",
  "postgres": "postgresql",
}
_FILE_ENDINGS = {"sqlite": (".sqlite", ".sqlite3"), "duckdb": (".duckdb", ".ddb")}
# What files begin with, and where.
_SQLITE_HEADER, _DUCKDB_HEADER, _DUCKDB_AT = b"SQLite format 3\0", b"DUCK", 8
# What other open databases may hold of a worker's memory while a statement runs, beside its own
# limit.
RESTING_BYTES = 64_000_000
# The files beside a database that hold data of it, by engine.
_BESIDE = {"sqlite": ("-wal", "-journal"), "duckdb": (".wal",)}
# File systems write down times of change by the kernel's clock, which goes on every 1 to 10 ms.
_TICK_NS = 20_000_000
_CLOCKS_DIFFER_NS = 1_000_000_000


class DatabaseError(Exception):
  """A database cannot be opened or read; the message says which one and why."""


class TransientError(DatabaseError):
  """A statement did not run for a reason that is no property of it: a lock, a lost connection, a
  full disk.

  Attributes:
    status: as in `Result`.
    lost: the connection is of no more use, another may be.
    seconds: how long it took.
  """

  def __init__(self, message: str, status: str = "error", lost: bool = False, seconds: float = 0.0):
    super().__init__(message)
    self.status = status
    self.lost = lost
    self.seconds = seconds


def engine_of(location: str) -> str:
  """The engine's name for a location. Raises DatabaseError for one that is not supported."""
  scheme, separator, _ = location.partition("://")
  if not separator:
    if locations.is_key_value(location):
      raise DatabaseError(
        f"{without_password(location)}: give a PostgreSQL database as a URL, "
        "postgresql://user@host:port/name"
      )
    return _engine_of_file(location)
  engine = _PREFIXES.get(scheme.split("+")[0].lower())
  if engine is None or engine not in ENGINES:
    raise DatabaseError(
      f"{without_password(location)}: databases of kind {scheme!r} are not supported; supported "
      f"are {', '.join(ENGINES)}"
    )
  return engine


def _engine_of_file(path: str) -> str:
  """The engine of a file, by its name; where that does not tell, by what it begins with.

  To open a file and close it again lets go of the locks that this process has on it, whoever took
  them (as POSIX has it): a file is only looked into where it must be.
  """
  for engine, endings in _FILE_ENDINGS.items():
    if path.lower().endswith(endings):
      return engine
  begin = b""
  # A pipe would be waited for. Of what cannot be read, opening it will say what is wrong.
  with contextlib.suppress(OSError):
    if os.path.isfile(path):
      with open(path, "rb", buffering=0) as file:
        begin = file.read(16)
  if begin[_DUCKDB_AT : _DUCKDB_AT + len(_DUCKDB_HEADER)] == _DUCKDB_HEADER:
    return "duckdb"
  if begin == _SQLITE_HEADER:
    return "sqlite"
  if begin:
    raise DatabaseError(
      f"{path}: cannot be read as an SQLite database, nor as a DuckDB one: it begins with {begin!r}"
    )
  return "sqlite"


def path_of(location: str) -> str:
  """The absolute path of a file database, "" for a server. Percent escapes in a URL are
  resolved.
  """
  _, separator, rest = location.partition("://")
  if not separator:
    return os.path.abspath(location)
  engine = engine_of(location)
  if engine == "postgresql":
    return ""
  if engine == "duckdb":
    rest, _ = locations.take_parameter(location, "schemas")
    rest = rest.partition("://")[2]
  import urllib.parse  # not needed by a worker for SQLite, which is to start at once

  # As in SQLAlchemy three slashes begin a relative path and four an absolute one; three before an
  # absolute one are understood too.
  path = os.path.abspath(urllib.parse.unquote(rest.removeprefix("/")))
  absolute = urllib.parse.unquote(rest)
  return absolute if not os.path.exists(path) and os.path.exists(absolute) else path


def absolute_location(location: str) -> str:
  """The same location without a relative path, for a process with another working folder."""
  path = path_of(location)
  if not path:
    return location
  if engine_of(location) == "sqlite":
    return path
  import urllib.parse

  return with_schemas(f"duckdb:///{urllib.parse.quote(path)}", schemas_of(location))


def schemas_of(location: str) -> tuple[str, ...]:
  """The schemas that a location names, none for those that are found by themselves."""
  return locations.take_parameter(location, "schemas")[1]


def with_schemas(location: str, schemas: Sequence[str]) -> str:
  """The location of these schemas of a database; with none, the location as it is. Raises
  DatabaseError for SQLite.
  """
  if not schemas:
    return location
  if engine_of(location) == "sqlite":
    raise DatabaseError(
      f"{location}: an SQLite file has no schemas to choose ({', '.join(schemas)})"
    )
  url = absolute_location(location) if path_of(location) else location
  return locations.with_parameter(locations.take_parameter(url, "schemas")[0], "schemas", schemas)


def server_url(location: str) -> str:
  """A PostgreSQL location as its driver takes it: without what only we read, its password escaped
  as a URL wants it.
  """
  import urllib.parse

  rest = locations.take_parameter(location, "schemas")[0].partition("://")[2]
  user, password, host = locations.split_user(rest)
  user, password = (
    urllib.parse.quote(urllib.parse.unquote(part), safe="") for part in (user, password)
  )
  account = f"{user}:{password}@" if password else f"{user}@" if user else ""
  return f"postgresql://{account}{host}"


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


def name_of(location: str) -> str:
  """The db_id: file name without its ending, or the server's database name."""
  path = path_of(location)
  if path:
    return os.path.splitext(os.path.basename(path))[0]
  import urllib.parse

  host = locations.split_user(location.partition("://")[2])[2]
  return urllib.parse.unquote(host.partition("?")[0].partition("/")[2].strip("/")) or "postgres"


def without_password(location: str) -> str:
  """The location as it may be shown; see `locations`."""
  return locations.without_password(location)


def engine_module(name: str):
  """The module of an engine, imported when it is first needed (a worker for SQLite never loads a
  driver).
  """
  return importlib.import_module(f"{__name__}.{name}")


class ServerText(str):
  """The text of a value whose type Python does not have (money, a point, XML)."""


def is_readable(value: object) -> bool:
  """Whether a value can be shown and written into a query as it is stored.

  False for text with U+FFFD (in readers of ours it stands for bytes that are not text), with NUL,
  or with half a surrogate pair, which no UTF-8 file can take.
  """
  if not isinstance(value, str):
    return True
  if "\ufffd" in value or "\0" in value:
    return False
  try:
    value.encode()
  except UnicodeEncodeError:
    return False
  return True


def hashable_rows(rows: list[tuple]) -> list[tuple]:
  """Rows whose cells can be compared and counted; see `hashable_cell`."""
  try:
    for row in rows:
      hash(row)
    return rows
  except TypeError:
    return [tuple(map(hashable_cell, row)) for row in rows]


def hashable_cell(cell: object) -> object:
  """A cell that can be compared and counted: lists become tuples, structures tuples of their items,
  what else cannot be hashed its text; others stay as they are.
  """
  if isinstance(cell, list | tuple):
    parts = tuple(map(hashable_cell, cell))
    return cell if type(cell) is tuple and all(map(operator.is_, parts, cell)) else parts
  if isinstance(cell, dict):
    return tuple((hashable_cell(key), hashable_cell(value)) for key, value in cell.items())
  if isinstance(cell, bytearray | memoryview):
    return bytes(cell)
  try:
    hash(cell)
  except TypeError:
    # A multirange, a signalling NaN.
    return ServerText(cell)
  return cell
