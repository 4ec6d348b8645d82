"""The schema of a database as pure data: what every other part reads and none changes."""

from __future__ import annotations

import dataclasses
from typing import Literal

# The type of a column as far as filling a template slot is concerned.
Kind = Literal["number", "text", "date", "boolean", "other"]


@dataclasses.dataclass(frozen=True)
class Column:
  """A column.

  Attributes:
    name: as declared.
    type: the declared SQL type ("VARCHAR(40)"), possibly empty in SQLite.
    kind: what the type and the stored values say the column holds.
    nullable: False only where the schema forbids NULL.
    comment: the database's own description of the column, or "".
    samples: a few distinct non-NULL values, most frequent first.
    distinct_count: number of distinct non-NULL values.
  """

  name: str
  type: str
  kind: Kind
  nullable: bool = True
  comment: str = ""
  samples: tuple[object, ...] = ()
  distinct_count: int = 0


@dataclasses.dataclass(frozen=True)
class ForeignKey:
  """`columns` of the owning table refer to `referred_columns` of `referred_table`.

  `inferred` marks a key that the database does not declare.
  """

  columns: tuple[str, ...]
  referred_table: str
  referred_columns: tuple[str, ...]
  inferred: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
  """A table or view. `unique` lists column sets with a unique constraint or index, the primary key excluded."""

  name: str
  columns: tuple[Column, ...]
  primary_key: tuple[str, ...] = ()
  foreign_keys: tuple[ForeignKey, ...] = ()
  unique: tuple[tuple[str, ...], ...] = ()
  row_count: int = 0
  comment: str = ""
  is_view: bool = False

  def column(self, name: str) -> Column:
    """The column of that name, compared without case. Raises KeyError."""
    for column in self.columns:
      if column.name.lower() == name.lower():
        return column
    raise KeyError(f"no column {name!r} in table {self.name!r}")


@dataclasses.dataclass(frozen=True)
class Schema:
  """The schema of one database. `name` is its db_id, `dialect` sqlglot's name of its SQL."""

  name: str
  dialect: str
  tables: tuple[Table, ...]

  def table(self, name: str) -> Table:
    """The table of that name, compared without case. Raises KeyError."""
    for table in self.tables:
      if table.name.lower() == name.lower():
        return table
    raise KeyError(f"no table {name!r} in database {self.name!r}")
