"""What a database says about itself: its tables, their columns and keys, one module an engine.

Each module has `open_catalog(connection, schemas)`, which gives a `Catalog`. Rows are not read here
(`introspection` does), nor is anything a worker process needs.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from spftsql_jax.databases.errors import DatabaseError

# Of a longer list of names that are left out, the message gives so many.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Relation:
  """A table or view.

  Attributes:
    name: as the engine spells it.
    schema: where it stands.
    path: the qualifiers that name it whatever else there is, in the order in which SQL writes them.
    is_found: a query finds it by its name alone.
    is_view: views, materialized ones too.
    is_remote: its rows come from elsewhere, perhaps from a server that is away.
    key: the engine's own number of it, where it has one.
  """

  name: str
  schema: str
  path: tuple[str, ...]
  is_found: bool = True
  is_view: bool = False
  is_remote: bool = False
  key: int = 0

  @property
  def shown(self) -> str:
    """How messages name it."""
    return self.name if self.is_found else f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class DeclaredColumn:
  """A column as it is declared; `base_type` is the type that a domain stands for, elsewhere the
  type itself. One that is `generated` the engine computes from others."""

  name: str
  type: str
  base_type: str
  nullable: bool = True
  comment: str = ""
  allowed: tuple[str, ...] = ()
  generated: bool = False


@dataclasses.dataclass(frozen=True)
class DeclaredKey:
  """A foreign key to the table `referred` of schema `referred_schema`."""

  columns: tuple[str, ...]
  referred_schema: str
  referred: str
  referred_columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Structure:
  """What a table's declaration says. `unique` may repeat the primary key; `definition` is what a
  view stands for."""

  columns: tuple[DeclaredColumn, ...]
  primary_key: tuple[str, ...] = ()
  foreign_keys: tuple[DeclaredKey, ...] = ()
  unique: tuple[tuple[str, ...], ...] = ()
  comment: str = ""
  definition: str = ""


class Catalog(Protocol):
  """The tables and views of a database.

  Attributes:
    relations: those that are taken; what a query finds by its name alone comes first, tables before
      views.
    left_out: what is not taken and why, a line each.
  """

  relations: Sequence[Relation]
  left_out: Sequence[str]

  def structure(self, relation: Relation) -> Structure:
    """What the declaration of one of `relations` says. Raises the engine's errors."""
    ...


def open_catalog(engine: str, connection: Any, schemas: Sequence[str]) -> Catalog:
  """The catalog of an open database.

  Args:
    engine: one of `engines.ENGINES`.
    connection: from its `connect`.
    schemas: those to take; with none see `choose_schemas`.

  Raises:
    DatabaseError: a schema of `schemas` is not there, or nothing may be read. The engine's own
      errors.
  """
  if engine == "stand_in":
    raise DatabaseError(
      "is no database to give but stands in for one; give the DuckDB file by its path, or the "
      "PostgreSQL database by its URL"
    )
  return importlib.import_module(f"{__name__}.{engine}").open_catalog(connection, schemas)


def choose_schemas(
  counts: Mapping[str, int], path: Sequence[str], wanted: Sequence[str]
) -> tuple[list[str], list[str]]:
  """The schemas to take, and what is left out by that.

  By default these are the ones in which a query looks by itself (the search path), for that is what
  the database's owner set up to be found; a database may hold hundreds more, of tenants, audits or
  old versions. Where nothing stands there, all are taken: then their names must be written anyway.

  Args:
    counts: of all schemas how many tables and views may be read.
    path: where a query looks for a name without a schema, in this order.
    wanted: the schemas that were asked for by name.

  Raises:
    DatabaseError: one that was asked for is not there.
  """
  if wanted:
    spelled = {name.lower(): name for name in counts} | {name: name for name in counts}
    missing = [name for name in wanted if name not in spelled and name.lower() not in spelled]
    if missing:
      there = ", ".join(sorted(counts)) or "none with tables"
      raise DatabaseError(f"no schema {missing[0]!r} with tables in it; there are: {there}")
    return list(dict.fromkeys(spelled.get(name) or spelled[name.lower()] for name in wanted)), []
  taken = [name for name in path if counts.get(name)]
  others = sorted(name for name, count in counts.items() if count and name not in taken)
  if not taken or not others:
    return taken or others, []
  names = listed(f"{name} ({counts[name]})" for name in others)
  return taken, [
    (
      f"what stands in schema{'s' * (len(others) > 1)} {names}: take it with "
      f"--schemas={','.join([*taken, others[0]])}"
    )
  ]


def listed(names: Iterable[str]) -> str:
  """Names as a message lists them, a long list cut."""
  every = list(names)
  rest = len(every) - _NAMED
  return ", ".join(every[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
