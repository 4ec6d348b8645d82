"""Neighbouring instances of a database: same schema, different rows.

Two queries can agree on one database by luck. On instances whose rows are drawn anew from the same
values (with duplicates, ties and NULLs, and for known queries with rows at and beside their
literals) a near-miss query gives itself away, while two equivalent queries still agree. After Zhong
et al. (2020), "Semantic Evaluation for Text-to-SQL with Distilled Test Suites", section 3, without
their distillation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import logging
import os
import random
from collections.abc import Iterable, Iterator
from typing import cast

from spftsql_jax.databases.errors import CannotCopyError
from spftsql_jax.databases.instances.drawing import Changes, draw_rows
from spftsql_jax.databases.instances.instance_rows import InstanceRows
from spftsql_jax.databases.instances.interface import Place, StoreType
from spftsql_jax.databases.instances.planting import Planting, plant
from spftsql_jax.databases.instances.selections import read_selections
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.databases.masking import without_masked
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.schema import Schema

_LOGGER = logging.getLogger(__name__)

# One after the other, so that a few instances already differ in kind: how much is drawn anew, and
# how rows are planted for queries.
_KINDS = (
  # The original's own size and look.
  (
    Changes(size=1.0, swap=0.25, jitter=0.15, null=0.04, repeat=0.1, rewire=0.2, narrow=0.0),
    Planting(nulls=True),
  ),
  # Few rows with many ties and NULLs.
  (
    Changes(size=0.4, swap=0.5, jitter=0.1, null=0.12, repeat=0.2, rewire=0.4, narrow=0.2),
    Planting(nulls=True, orphans=True, null_columns=True, constant_columns=True),
  ),
  # Many repeated rows and no NULL made, since a single one empties NOT IN.
  (
    Changes(size=1.3, swap=0.3, jitter=0.05, null=0.0, repeat=0.5, rewire=0.3, narrow=0.0),
    Planting(),
  ),
  # Few rows, nearly all cells drawn anew.
  (
    Changes(size=0.7, swap=0.9, jitter=0.2, null=0.0, repeat=0.0, rewire=0.8, narrow=0.1),
    Planting(orphans=True, constant_columns=True),
  ),
  # Some joins find no row at all.
  (
    Changes(size=0.6, swap=0.5, jitter=0.1, null=0.08, repeat=0.2, rewire=0.5, narrow=0.0),
    Planting(nulls=True, null_columns=True, empty_tables=True),
  ),
)


def make_instances(
  location: str | os.PathLike[str],
  output_dir: str | os.PathLike[str],
  count: int,
  seed: int,
  queries: Iterable[str] = (),
  orphans: bool = True,
  schema: Schema | None = None,
) -> list[Place]:
  """Makes `count` neighbouring instances of a database, in an embedded engine of its own dialect.

  Of SQLite and DuckDB they are files. Of PostgreSQL they are databases of a private server that
  runs in `output_dir` and ends with the process that started it (`private_server`).

  Declared types, NOT NULL and unique keys hold in every instance, foreign keys too (one that the
  original breaks may stay broken), with one exception: where the engine does not enforce a
  reference (in SQLite, or a key that is not declared), some of the instances made for queries (the
  2nd and 4th of every five) have rows that refer to nothing where a query joins. In the 5th of
  every five half of the tables that queries join are empty. The same arguments give the same rows.

  Args:
    location: the original, which is only read: all of small tables, a sample of large ones.
    output_dir: made if missing; gets `<db_id>_<i>.sqlite`, or `<db_id>_<i>/` with a DuckDB file
      that is called as the original, complete files only.
    count: number of instances.
    seed: of the random draws.
    queries: SQL that the instances shall test, say the gold queries: rows are planted that meet all
      its conditions, or all but one. What cannot be parsed is passed over.
    orphans: False keeps foreign keys valid for queries too.
    schema: the original's, where it is to hold keys that the database does not declare, or less
      than the database: a column that is not in it, or masked in it, is not read, and an instance
      has NULL there, or where that must not be, made-up values; a table that is not in it is
      empty.

  Returns:
    Where the instances are. None where no instance can hold what the database holds, which a line
    of the log says: the original alone judges then. Where no PostgreSQL server can be started,
    DuckDB files that stand in, an unchanged copy before the instances.

  Raises:
    DatabaseError: the original cannot be read, or an instance not written. OSError: the disk is
      full.
  """
  if not count:
    return []
  location = os.fspath(location)
  schema = _with_keys_that_lead_somewhere(without_masked(schema or read_schema(location)))
  os.makedirs(output_dir, exist_ok=True)
  module = importlib.import_module(f"{__package__}.{engine_of(location)}")
  try:
    store = cast(StoreType, module.Store)(location, os.fspath(output_dir), schema, seed)
  except CannotCopyError as error:
    tell_alone(schema.name, str(error))
    return []
  queries = list(queries)
  key = _key_of(location, schema, seed, queries, orphans)
  try:
    selections = read_selections(queries, schema)
    places: list[Place] = [*store.first]
    for i in range(count):
      place = store.find(i, key)
      if place is None:
        rng = random.Random(f"{seed}/{schema.name}/{i}")
        changes, planting = _KINDS[i % len(_KINDS)]
        planting = dataclasses.replace(
          planting,
          orphans=orphans and planting.orphans and not store.references_hold,
          turn=i // len(_KINDS),
        )
        rows = draw_rows(schema, store.stored, changes, rng)
        growing = InstanceRows(schema, rows, rng, planting.orphans)
        plant(selections, growing, planting, rng)
        place = store.write(i, key, rows, growing.late)
      places.append(place)
    return places
  except CannotCopyError as error:
    tell_alone(schema.name, str(error))
    return []
  finally:
    store.close()


@contextlib.contextmanager
def instances_kept(
  folder: str | os.PathLike[str], locations: Iterable[str], count: int
) -> Iterator[None]:
  """Keeps the instances of these databases in `folder` for all processes until the end of the
  block, if there are to be any: what they run in belongs to this process then, not to the one that
  makes them.
  """
  if count and any(engine_of(location) == "postgresql" for location in locations):
    from spftsql_jax.databases.instances.private_server import serving

    with serving(folder, locations):
      yield
  else:
    yield


# What has been said of which database: instances are made several times in a run.
_said: set[tuple[str, str]] = set()


def tell_alone(name: str, reason: str) -> None:
  """Says once, in a line of the log, why a database has no instances."""
  if (name, reason) not in _said:
    _said.add((name, reason))
    _LOGGER.warning("%s: no neighbouring instances, it judges alone: %s", name, reason)


def _with_keys_that_lead_somewhere(schema: Schema) -> Schema:
  """The schema without keys of columns or to tables that are not in it."""
  columns = {table.name: {column.name for column in table.columns} for table in schema.tables}

  def kept(table: str, names: tuple[str, ...]) -> bool:
    return columns.get(table, set()).issuperset(names)

  tables = tuple(
    dataclasses.replace(
      table,
      primary_key=table.primary_key if kept(table.name, table.primary_key) else (),
      unique=tuple(names for names in table.unique if kept(table.name, names)),
      foreign_keys=tuple(
        key
        for key in table.foreign_keys
        if kept(table.name, key.columns)
        and key.referred_table in columns
        and kept(key.referred_table, key.referred_columns)
      ),
    )
    for table in schema.tables
  )
  return dataclasses.replace(schema, tables=tables)


def _key_of(location: str, schema: Schema, seed: int, queries: list[str], orphans: bool) -> str:
  """What an instance is made of, in short. What a sample of rows says of columns is left out."""
  tables = [
    (table.name, [(c.name, c.type) for c in table.columns], table.foreign_keys, table.row_count)
    for table in schema.tables
  ]
  parts = without_password(location), tables, seed, queries, orphans
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
