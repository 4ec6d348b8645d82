"""The schema of a database as pure data: what every other part reads and none changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeVar

# The type of a column as far as filling a template slot is concerned.
Kind = Literal["number", "text", "date", "boolean", "other"]
_Named = TypeVar("_Named", "Column", "Table")


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
    date_format: how days are written where the column holds them as whole numbers or digits
      (`whole_dates.format_of`), else "".
    allowed: the values that its type allows, of an enumeration; in the type's order.
    masked: its values are nobody's business: none is read for prompts or for examples.
    generated: the engine computes it from other columns.
    called: what people call it, as somebody who knows says; "" where its name or comment tells.
  """

  name: str
  type: str
  kind: Kind
  nullable: bool = True
  comment: str = ""
  samples: tuple[object, ...] = ()
  distinct_count: int = 0
  date_format: str = ""
  allowed: tuple[str, ...] = ()
  masked: bool = False
  generated: bool = False
  # Not of the database itself, so no part of what tells two databases apart.
  called: str = dataclasses.field(default="", repr=False)


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
  """A table or view.

  Attributes:
    name: tells it from all other tables of its `Schema`, in lower case too: the name alone, or with
      `qualifiers` before it (sales.customer). SQL is written from `parts`, not from this.
    unique: column sets with a unique constraint or index, the primary key excluded.
    qualifiers: what SQL has to write before the name: the schema, where the name alone is another
      table's or nobody's; in DuckDB perhaps the catalog before it.
    schema: where it stands, whether or not that has to be written; "" where it is not known.
    definition: the SQL that a view stands for, "" for a table.
    called: what people call one of its rows, as of a column.
  """

  name: str
  columns: tuple[Column, ...]
  primary_key: tuple[str, ...] = ()
  foreign_keys: tuple[ForeignKey, ...] = ()
  unique: tuple[tuple[str, ...], ...] = ()
  row_count: int = 0
  comment: str = ""
  is_view: bool = False
  qualifiers: tuple[str, ...] = ()
  schema: str = ""
  definition: str = ""
  called: str = dataclasses.field(default="", repr=False)

  @property
  def base_name(self) -> str:
    """The name without what it stands in."""
    return self.name[len(".".join(self.qualifiers)) + 1 :] if self.qualifiers else self.name

  @property
  def parts(self) -> tuple[str, ...]:
    """The name as SQL has to give it, qualifiers first (see `identifiers`)."""
    return (*self.qualifiers, self.base_name)

  def position(self, name: str) -> int:
    """The place in `columns` of the column of exactly that name. Raises StopIteration."""
    return next(i for i, column in enumerate(self.columns) if column.name == name)

  def column(self, name: str) -> Column:
    """The column of that name, or else the first that differs from it in case only.

    Raises KeyError.
    """
    if (column := _called(self.columns, name)) is not None:
      return column
    raise KeyError(f"no column {name!r} in table {self.name!r}")


@dataclasses.dataclass(frozen=True)
class Schema:
  """The schema of one database.

  Attributes:
    name: its db_id.
    dialect: sqlglot's name of its SQL.
    tables: those that a query without qualifiers finds come first.
    left_out: what stands in the database and not in `tables`, with the reason; a line each.
  """

  name: str
  dialect: str
  tables: tuple[Table, ...]
  left_out: tuple[str, ...] = ()

  def table(self, name: str, qualifier: str = "") -> Table:
    """The table of that name, or else the first that differs from it in case only.

    Args:
      name: a table's `name`; or its name alone, which of several tables means the first.
      qualifier: the schema that a query writes before the name alone, if any.

    Raises:
      KeyError: there is none.
    """
    if (table := _called(self.tables, f"{qualifier}.{name}" if qualifier else name)) is not None:
      return table
    # A schema may be written where it need not be: public.customer.
    fitting = [
      table
      for table in self.tables
      if (not qualifier or not table.schema or table.schema.lower() == qualifier.lower())
      and table.base_name.lower() == name.lower()
    ]
    if fitting:
      return next((table for table in fitting if table.base_name == name), fitting[0])
    raise KeyError(f"no table {name!r} in database {self.name!r}")


def without_twins(schema: Schema) -> Schema:
  """The schema without tables and columns whose names differ from earlier ones in case alone.

  For those who tell names apart without case. A schema without such twins is returned as it is.
  """
  kept = {
    name: _first_of_twins(table.columns) for name, table in _first_of_twins(schema.tables).items()
  }
  if sum(map(len, kept.values())) == sum(len(table.columns) for table in schema.tables):
    return schema

  def stays(table_name: str, columns: tuple[str, ...]) -> bool:
    return table_name in kept and all(name in kept[table_name] for name in columns)

  tables = tuple(
    dataclasses.replace(
      table,
      columns=tuple(kept[table.name].values()),
      primary_key=table.primary_key if stays(table.name, table.primary_key) else (),
      unique=tuple(columns for columns in table.unique if stays(table.name, columns)),
      foreign_keys=tuple(
        key
        for key in table.foreign_keys
        if stays(table.name, key.columns) and stays(key.referred_table, key.referred_columns)
      ),
    )
    for table in schema.tables
    if table.name in kept
  )
  twins = [table.name for table in schema.tables if table.name not in kept]
  said = f"no examples of what differs from another table's name in case only: {', '.join(twins)}"
  return dataclasses.replace(
    schema, tables=tables, left_out=(*schema.left_out, *[said][: len(twins)])
  )


def _called(items: Sequence[_Named], name: str) -> _Named | None:
  """The item of that name, or else the first whose name differs in case only."""
  lowered = name.lower()
  alike = [item for item in items if item.name.lower() == lowered]
  return next((item for item in alike if item.name == name), alike[0] if alike else None)


def _first_of_twins(items: Sequence[_Named]) -> dict[str, _Named]:
  """By name the items that are the first of those whose names differ in case only."""
  first: dict[str, _Named] = {}
  for item in items:
    first.setdefault(item.name.lower(), item)
  return {item.name: item for item in first.values()}
