"""Where the databases of examples are looked for: folders, files and URLs, in the order in which
they are given.

    places = database_places("spider/database,spider_dk/database")
    find_database(places, "concert_singer")      # the first folder that has it

A folder holds DIR/<db_id>/<db_id>.sqlite (Spider, BIRD, and their relatives), or is such a folder
DIR/<db_id> itself; DuckDB files end in .duckdb there. A file or a URL is one database under its own
name. Places may be of different engines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from spftsql_jax.databases.locations import FILE_ENDINGS, name_of, split_locations
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.urls import is_key_value

LAYOUT = "expected DIR/<db_id>/<db_id>.sqlite or .duckdb"
# Of two files with the same name the first is the database.
_ENDINGS = tuple(ending for endings in FILE_ENDINGS.values() for ending in endings)


def database_places(value: str, root: str | os.PathLike | None = None) -> tuple[str, ...]:
  """The places that a flag names, each of which is there.

  Args:
    value: folders, files and URLs with commas between them (see `locations.split_locations`); a
      path that is there as a whole is one.
    root: what relative paths begin at; the working folder by default.

  Raises:
    FileNotFoundError: one is not there, or none is given.
  """

  def under_root(location: str) -> str:
    return location if root is None or _is_server(location) else os.path.join(root, location)

  is_one = os.path.exists(under_root(value))
  places = list(map(under_root, [value] if is_one else split_locations([value])))
  for place in places:
    if not _is_server(place) and not os.path.exists(place):
      raise FileNotFoundError(f"{place}: no such database or folder")
  if not places:
    raise FileNotFoundError("no databases given: a folder, a file or a URL is needed")
  return tuple(places)


def find_database(places: Sequence[str], db_id: str) -> str:
  """The location of a database: in the first of the places that has it. Raises
  FileNotFoundError.
  """
  found = next(iter(_found(places, db_id)), None)
  if found is not None:
    return found
  shown = " or ".join(without_password(place) for place in places)
  if len(places) == 1 and os.path.isdir(places[0]):
    raise FileNotFoundError(
      f"{Path(shown) / db_id / f'{db_id}.sqlite'}: no such database ({LAYOUT})"
    )
  raise FileNotFoundError(
    f"{db_id}: no such database in {shown} ({LAYOUT}, or a file or URL of this name)"
  )


def has_database(places: Sequence[str], db_id: str) -> bool:
  """Whether one of the places has the database."""
  return next(iter(_found(places, db_id)), None) is not None


def all_databases(places: Sequence[str]) -> list[str]:
  """The db_ids of all databases in the places, in order."""
  found: list[str] = []
  for place in places:
    if _is_server(place) or os.path.isfile(place):
      found.append(name_of(place))
      continue
    found += map(name_of, databases_in(place))
  return list(dict.fromkeys(found))


def only_database(places: Sequence[str]) -> str:
  """The db_id where the places are one file or one URL, else ""."""
  return name_of(places[0]) if len(places) == 1 and not os.path.isdir(places[0]) else ""


def shadowed(places: Sequence[str], db_ids: Iterable[str]) -> list[str]:
  """A line for each database that more than one of the places has: which is used, and which is
  not.
  """
  lines = []
  for db_id in db_ids:
    first, *others = [without_password(each) for each in _found(places, db_id)] or [""]
    if others:
      lines.append(f"{db_id}: {first} is used, the first of several; not used: {', '.join(others)}")
  return lines


def _found(places: Sequence[str], db_id: str) -> Iterable[str]:
  for place in places:
    if _is_server(place) or os.path.isfile(place):
      if name_of(place) == db_id:
        yield place
      continue
    for folder in (Path(place) / db_id, Path(place)):
      path = _file_in(folder, db_id)
      if path is not None and folder.resolve().name == db_id:
        yield os.fspath(path)
        break


def databases_in(folder: str | os.PathLike[str]) -> list[str]:
  """The database files of a folder, of its subfolders or else its own, in the order of their
  names.
  """
  place = Path(folder)
  inside = [_file_in(entry, entry.name) for entry in sorted(place.iterdir()) if entry.is_dir()]
  found = [os.fspath(path) for path in inside if path is not None]
  own = _file_in(place, place.resolve().name)
  return found or ([] if own is None else [os.fspath(own)])


def _file_in(folder: Path, db_id: str) -> Path | None:
  """The file of a database in its folder."""
  paths = (folder / f"{db_id}{ending}" for ending in _ENDINGS)
  return next((path for path in paths if path.is_file()), None)


def _is_server(place: str) -> bool:
  """Whether a place is no path: a URL, or libpq's other form."""
  return "://" in place or is_key_value(place)
