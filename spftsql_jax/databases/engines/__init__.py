"""The database engines: for each a module with `Connection`, which runs one statement under limits inside a worker process.

A location is a path of an SQLite file, or a URL: `sqlite:///path`, `duckdb:///path`, `postgresql://user@host:port/name`.
"""

from __future__ import annotations

import importlib
import operator
import os

ENGINES = ("sqlite", "duckdb", "postgresql")
_PREFIXES = {"sqlite": "sqlite", "duckdb": "duckdb", "postgresql": "postgresql", "postgres": "postgresql"}


class DatabaseError(Exception):
  """A database cannot be opened or read; the message says which one and why."""


def engine_of(location: str) -> str:
  """The engine's name for a location. Raises DatabaseError for one that is not supported."""
  scheme, separator, _ = location.partition("://")
  if not separator:
    return "sqlite"
  engine = _PREFIXES.get(scheme.split("+")[0].lower())
  if engine is None or engine not in ENGINES:
    raise DatabaseError(f"{location}: databases of kind {scheme!r} are not supported; supported are {', '.join(ENGINES)}")
  return engine


def path_of(location: str) -> str:
  """The absolute path of a file database, "" for a server. Percent escapes in a URL are resolved."""
  engine = engine_of(location)
  if engine == "postgresql":
    return ""
  _, separator, rest = location.partition("://")
  if not separator:
    return os.path.abspath(location)
  import urllib.parse  # not needed by a worker for SQLite, which is to start at once

  # As in SQLAlchemy three slashes begin a relative path and four an absolute one; three before an absolute one are understood
  # too.
  path = os.path.abspath(urllib.parse.unquote(rest.removeprefix("/")))
  absolute = urllib.parse.unquote(rest)
  return absolute if not os.path.exists(path) and os.path.exists(absolute) else path


def absolute_location(location: str) -> str:
  """The same location without a relative path, for a process with another working folder."""
  path = path_of(location)
  if not path:
    return location
  return path if engine_of(location) == "sqlite" else f"{engine_of(location)}:///{path}"


def identity_of(location: str) -> tuple:
  """What changes when the file behind a location changes: path, size, time of change, inode. Servers are identified by their
  URL.
  """
  path = path_of(location)
  if not path:
    return (location,)
  try:
    stat = os.stat(path)
  except OSError:
    return (path,)
  return (path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


def name_of(location: str) -> str:
  """The db_id: file name without its ending, or the server's database name."""
  path = path_of(location)
  if path:
    return os.path.splitext(os.path.basename(path))[0]
  import urllib.parse

  return urllib.parse.urlsplit(location).path.strip("/") or "postgres"


def without_password(location: str) -> str:
  """The location as it may be shown."""
  scheme, separator, rest = location.partition("://")
  user, at, host = rest.rpartition("@")
  return f"{scheme}{separator}{user.split(':')[0]}{at}{host}"


def engine_module(name: str):
  """The module of an engine, imported when it is first needed (a worker for SQLite never loads a driver)."""
  return importlib.import_module(f"{__name__}.{name}")


class ServerText(str):
  """The text of a value whose type Python does not have (money, a point, XML)."""


def is_readable(value: object) -> bool:
  """Whether a value can be shown and written into a query as it is stored.

  False for text with U+FFFD (in readers of ours it stands for bytes that are not text), with NUL, or with half a surrogate
  pair, which no UTF-8 file can take.
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
  """A cell that can be compared and counted: lists become tuples, structures tuples of their items, what else cannot be hashed
  its text; others stay as they are.
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
