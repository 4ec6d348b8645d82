"""Where a database is: the path of a file or a URL, and what it says.

A location is a path of an SQLite or DuckDB file, or a URL: `sqlite:///path`, `duckdb:///path`,
`postgresql://user@host:port/name`. A URL of a database with schemas may say which of them are
meant: `?schemas=sales,crm`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from spftsql_jax.databases import urls
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.passwords import without_password

ENGINES = ("sqlite", "duckdb", "postgresql")
# A DuckDB file that stands in for a PostgreSQL database: made here, nobody's to give.
STAND_IN = "postgresql+duckdb"
# How the folder of one ends that has the original's rows.
UNCHANGED = "_unchanged"
_PREFIXES = {
  "sqlite": "sqlite",
  "duckdb": "duckdb",
  "postgresql": "postgresql",
  "postgres": "postgresql",
}
# Of files, by engine; the first is the one of benchmarks.
FILE_ENDINGS = {"sqlite": (".sqlite", ".sqlite3"), "duckdb": (".duckdb", ".ddb")}
# What files begin with, and where.
_SQLITE_HEADER, _DUCKDB_HEADER, _DUCKDB_AT = b"SQLite format 3\0", b"DUCK", 8
_BEGINS_PATH = ("/", "./", "../", "~/")


def engine_of(location: str) -> str:
  """The engine's name for a location. Raises DatabaseError for one that is not supported."""
  scheme, separator, _ = location.partition("://")
  if not separator:
    if urls.is_key_value(location):
      raise DatabaseError(
        f"{without_password(location)}: give a PostgreSQL database as a URL, "
        "postgresql://user@host:port/name"
      )
    return _engine_of_file(location)
  if scheme.lower() == STAND_IN:
    return "stand_in"
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
  for engine, endings in FILE_ENDINGS.items():
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
    rest, _ = urls.take_parameter(location, "schemas")
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
  if engine_of(location) == "stand_in":
    return stand_in_location(path)
  import urllib.parse

  return with_schemas(f"duckdb:///{urllib.parse.quote(path)}", schemas_of(location))


def stand_in_location(path: str) -> str:
  """The location of a DuckDB file that stands in for a PostgreSQL database."""
  import urllib.parse

  return f"{STAND_IN}:///{urllib.parse.quote(path)}"


def may_fail_by_data(location: str) -> bool:
  """Whether rows can make a query fail that runs on others: a nested query gives two, a divisor is
  0, a text is no date. In SQLite none of these fails.
  """
  return engine_of(location) != "sqlite"


def is_unchanged_copy(location: str) -> bool:
  """Whether a database stands in for another with the same rows: what gives another result there
  than in the original cannot be judged by other rows in its engine.
  """
  if not location.startswith(f"{STAND_IN}:"):
    return False
  return os.path.basename(os.path.dirname(path_of(location))).endswith(UNCHANGED)


def schemas_of(location: str) -> tuple[str, ...]:
  """The schemas that a location names, none for those that are found by themselves."""
  return urls.take_parameter(location, "schemas")[1]


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
  return urls.with_parameter(urls.take_parameter(url, "schemas")[0], "schemas", schemas)


def server_url(location: str) -> str:
  """A PostgreSQL location as its driver takes it: without what only we read, its password escaped
  as a URL wants it.
  """
  import urllib.parse

  rest = urls.take_parameter(location, "schemas")[0].partition("://")[2]
  user, password, host = urls.split_user(rest)
  user, password = (
    urllib.parse.quote(urllib.parse.unquote(part), safe="") for part in (user, password)
  )
  account = f"{user}:{password}@" if password else f"{user}@" if user else ""
  return f"postgresql://{account}{host}"


def name_of(location: str) -> str:
  """The db_id: file name without its ending, or the server's database name."""
  path = path_of(location)
  if path:
    return os.path.splitext(os.path.basename(path))[0]
  import urllib.parse

  host = urls.split_user(location.partition("://")[2])[2]
  return urllib.parse.unquote(host.partition("?")[0].partition("/")[2].strip("/")) or "postgres"


def split_locations(values: Iterable[str]) -> list[str]:
  """The locations in the values of a flag that may be repeated and may hold several, with commas
  between them.

  A comma ends a location where another one begins behind it. A URL may hold commas itself (in a
  password, options, a list of
  hosts): it goes on, unless what follows is another URL, or a path that begins with a slash or is
    there.
  """
  found: list[str] = []
  for value in values:
    begins = len(found)
    for piece in [value] if os.path.exists(value) else value.split(","):
      in_url = len(found) > begins and urls.URL_BEGIN.match(found[-1])
      if in_url and not (
        urls.URL_BEGIN.match(piece)
        or piece.startswith(_BEGINS_PATH)
        or (piece and os.path.exists(piece))
      ):
        found[-1] += f",{piece}"
      elif piece.strip() or in_url:
        found.append(piece.strip())
  return found
