"""What every engine gives for making instances of its databases: a store, which reads the original
and writes instances.

In the module of an engine (`sqlite`, `duckdb`, `postgresql`) stands a class `Store`, made by
`Store(location, folder, schema, seed)`. Read by people and the type checker alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from spftsql_jax.schema import Schema

# The rows of tables by the tables' names; cells in the order of the schema's columns.
TableRows: TypeAlias = Mapping[str, list[list]]
# Where an instance is: the path of a file, or a URL.
Place: TypeAlias = os.PathLike[str] | str


class Store(Protocol):
  """The original, read, and the instances made of it.

  Attributes:
    stored: rows of the original: all of a small table, of a large one a sample with the rows that
      it refers to.
    references_hold: the engine lets no row refer to nothing where a foreign key is declared.
    first: what comes before the instances: an unchanged copy, where another engine stands in for
      the original's (`locations.is_unchanged_copy`).
  """

  stored: dict[str, list[list]]
  references_hold: bool
  first: Sequence[Place]

  def find(self, index: int, key: str) -> Place | None:
    """The instance of this number where it has been made of the same arguments, told by `key`, and
    need not be made again.
    """
    ...

  def write(self, index: int, key: str, rows: TableRows, late: TableRows) -> Place:
    """Writes an instance, whole or not at all.

    Args:
      index: the number of the instance.
      key: tells what it is made of.
      rows: of every table.
      late: rows that may refer to nothing, where the engine takes them.

    Raises:
      DatabaseError: it cannot be written. OSError: the disk is full.
    """
    ...

  def close(self) -> None:
    """Lets go of the original."""
    ...


class StoreType(Protocol):
  """The class of an engine's stores."""

  def __call__(self, location: str, folder: str, schema: Schema, seed: int) -> Store:
    """Reads the original. Raises DatabaseError, and CannotCopyError where the engine could read
    it and no instance can hold its tables.
    """
    ...
