"""A query made of a template."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from spftsql_jax.synthesis.dialects import SlottedQuery


class RenderFilled(Protocol):
  """Writes another query with the columns, joins and values of a filled one."""

  def __call__(self, query: SlottedQuery, values: Mapping[str, str] | None = None) -> str: ...


class Rebuild(Protocol):
  """Fills another template's text, whose slots are among those of a filled one."""

  def __call__(self, text: str, values: Mapping[str, str] | None = None) -> Filled: ...


@dataclasses.dataclass(frozen=True)
class Filled:
  """A query made of a template.

  Attributes:
    sql: the query, in the schema's dialect.
    tables: the tables it reads.
    columns: the columns it names, as "table.column".
    render: gives a variant of the query the same columns, joins and values; values may be given
      anew by the names of their slots.
    rebuild: fills another template's text, whose slots are among this one's, with the same tables,
      columns and values.
    shorter_joins: the query without one of the joined tables of which it names nothing.
    repeats: its join leads from the rows that it lists to several rows of a table of which it
      returns nothing.
    idle: a table at the end of its join tells nothing but that a key is not NULL, which no question
      says.
    drops: its join leaves out some of the rows that it lists, which no question says.
    circular: a condition is on the key that its table is joined by to the row that it refers to, so
      that the answer is the condition: "roles that have employees with the role code HR".
    groups: how many groups its result has to have, if it is not to leave some out unsaid.
  """

  sql: str
  tables: tuple[str, ...]
  columns: tuple[str, ...]
  render: RenderFilled
  rebuild: Rebuild
  shorter_joins: tuple[str, ...]
  repeats: bool = False
  idle: bool = False
  drops: bool = False
  circular: bool = False
  groups: int = 0
