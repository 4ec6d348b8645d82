"""What a person lets be seen of a database, and what they add to it: tables taken, columns whose
values are masked, descriptions, and what people call them.

A view is applied where a schema has been read: prompts, values and examples all come of the schema.
It is stored beside a model, for descriptions and the choice of tables are a part of how the model
is asked.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from spftsql_jax.databases.masking import spread, without_telling_views
from spftsql_jax.files import write_json
from spftsql_jax.schema import Column, Schema, Table

VIEW_FILE = "schema_view.json"
# A type that lists its values.
_ENUM = re.compile(r"ENUM\((?:'(?:[^']|'')*'(?:\s*,\s*)?)*\)")


@dataclasses.dataclass(frozen=True)
class SchemaView:
  """What is seen of a database. Names are told apart without case; `*` stands for anything in a
  table's.

  Attributes:
    include: tables that are taken; none for all.
    exclude: of these the ones left out.
    masked: columns as table.column, whose values are never read; nor are those of columns that
      refer to them or are computed from them (`masking`), nor views that read them.
    descriptions: (table, column, text); the column is "" for the table's own. They take the place
      of the database's comments.
    names: (table, column, what people call it), likewise: the words of questions, in the singular.
  """

  include: tuple[str, ...] = ()
  exclude: tuple[str, ...] = ()
  masked: tuple[str, ...] = ()
  descriptions: tuple[tuple[str, str, str], ...] = ()
  names: tuple[tuple[str, str, str], ...] = ()


WHOLE = SchemaView()


def seen_through(view: SchemaView, schema: Schema) -> Schema:
  """The part of `schema` that a view shows, with its descriptions.

  Raises:
    ValueError: a name is nothing's in the database, or no table is left.
  """
  if view == WHOLE:
    return schema
  for what, patterns in (("include", view.include), ("exclude", view.exclude)):
    for pattern in patterns:
      if not any(_is_called(table, [pattern]) for table in schema.tables):
        raise ValueError(f"{schema.name}: no table {pattern!r} to {what}; there are {_all(schema)}")
  masked = spread({_place(schema, name) for name in view.masked}, schema)
  if masked:
    schema = without_telling_views(masked, schema)
  described, called = _placed(view.descriptions, schema), _placed(view.names, schema)
  tables = tuple(
    _shown(table, masked, described, called)
    for table in schema.tables
    if (not view.include or _is_called(table, view.include)) and not _is_called(table, view.exclude)
  )
  if not tables:
    raise ValueError(f"{schema.name}: no table is left by what is included and excluded")
  kept = {table.name for table in tables}
  tables = tuple(
    dataclasses.replace(
      table, foreign_keys=tuple(key for key in table.foreign_keys if key.referred_table in kept)
    )
    for table in tables
  )
  return dataclasses.replace(schema, tables=tables)


def write_view(folder: Path, view: SchemaView) -> None:
  """Stores a view beside a model; nothing where all is seen."""
  path = folder / VIEW_FILE
  if view == WHOLE:
    path.unlink(missing_ok=True)
  else:
    write_json(path, dataclasses.asdict(view))


def read_view(folder: Path) -> SchemaView:
  """The view that is stored beside a model. Raises ValueError where it cannot be used."""
  path = folder / VIEW_FILE
  if not path.is_file():
    return WHOLE
  try:
    record = json.loads(path.read_text())
    names = {name: tuple(map(str, record.pop(name))) for name in ("include", "exclude", "masked")}
    descriptions, called = (
      tuple((str(t), str(c), str(text)) for t, c, text in record.pop(name, ()))
      for name in ("descriptions", "names")
    )
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(f"{path}: not a schema view ({error})") from error
  return SchemaView(**names, descriptions=descriptions, names=called)


def _shown(
  table: Table,
  masked: Collection[tuple[str, str]],
  described: Mapping[tuple[str, str], str],
  called: Mapping[tuple[str, str], str],
) -> Table:
  def column(each: Column) -> Column:
    place = (table.name, each.name)
    each = dataclasses.replace(
      each,
      comment=described.get(place, each.comment),
      called=called.get(place, ""),
    )
    if place in masked:
      # DuckDB writes the values of an enumeration into its type.
      each = dataclasses.replace(
        each,
        type=_ENUM.sub("ENUM", each.type),
        kind="other",
        samples=(),
        distinct_count=0,
        date_format="",
        allowed=(),
        masked=True,
      )
    return each

  return dataclasses.replace(
    table,
    columns=tuple(map(column, table.columns)),
    comment=described.get((table.name, ""), table.comment),
    called=called.get((table.name, ""), ""),
  )


def _placed(texts: Iterable[tuple[str, str, str]], schema: Schema) -> dict[tuple[str, str], str]:
  """The texts by (table, column) as the schema writes them. Raises ValueError."""
  found = {}
  for table, column, text in texts:
    place = _place(schema, f"{table}.{column}") if column else (_table(schema, table).name, "")
    found[place] = " ".join(text.split())
  return found


def _place(schema: Schema, name: str) -> tuple[str, str]:
  """The (table, column) that table.column means; a table's name may hold points. Raises
  ValueError."""
  for at in (i for i, letter in enumerate(name) if letter == "."):
    try:
      table = schema.table(name[:at])
      return table.name, table.column(name[at + 1 :]).name
    except KeyError:
      continue
  raise ValueError(f"{schema.name}: no column {name!r}; give it as table.column")


def _table(schema: Schema, name: str) -> Table:
  try:
    return schema.table(name)
  except KeyError as error:
    raise ValueError(f"{schema.name}: no table {name!r}; there are {_all(schema)}") from error


def _is_called(table: Table, patterns: Iterable[str]) -> bool:
  names = {table.name.lower(), table.base_name.lower(), f"{table.schema}.{table.base_name}".lower()}
  return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns for name in names)


def _all(schema: Schema) -> str:
  shown = ", ".join(table.name for table in schema.tables[:12])
  return shown + (", ..." if len(schema.tables) > 12 else "")
