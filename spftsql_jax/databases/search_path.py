"""Where the databases of examples are looked for: folders, files and URLs, in the order in which
they are given.

    places = database_places("spider/database,spider_dk/database")
    find_database(places, "concert_singer")      # the first folder that has it

A folder holds DIR/<db_id>/<db_id>.sqlite (Spider, BIRD, and their relatives), or is such a folder
DIR/<db_id> itself; a file or a URL is one database under its own name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from spftsql_jax.databases.locations import name_of, split_locations
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.urls import is_key_value

_LAYOUT = "expected DIR/<db_id>/<db_id>.sqlite"


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
      f"{Path(shown) / db_id / f'{db_id}.sqlite'}: no such database ({_LAYOUT})"
    )
  raise FileNotFoundError(
    f"{db_id}: no such database in {shown} ({_LAYOUT}, or a file or URL of this name)"
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
    inside = sorted(
      path.stem for path in Path(place).glob("*/*.sqlite") if path.stem == path.parent.name
    )
    own = Path(place).resolve().name
    found += inside or ([own] if (Path(place) / f"{own}.sqlite").is_file() else [])
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
    for path in (Path(place) / db_id / f"{db_id}.sqlite", Path(place) / f"{db_id}.sqlite"):
      if path.is_file() and path.parent.resolve().name == db_id:
        yield os.fspath(path)
        break


def _is_server(place: str) -> bool:
  """Whether a place is no path: a URL, or libpq's other form."""
  return "://" in place or is_key_value(place)
