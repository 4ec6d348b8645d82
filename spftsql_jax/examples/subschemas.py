"""Sub-schemas: parts of a schema within the longest prefix, of tables that keys connect.

Where a schema's prompt is too long, questions are put over a part that covers the tables they need.
The parts overlap, are few and are the same for all questions of a database, so that questions still
share them.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.examples.join_ways import near_by_keys, shortest_way
from spftsql_jax.schema import Schema
from spftsql_jax.sql.model_text import read_statement


def tables_of(query: str, schema: Schema) -> frozenset[str] | None:
  """Names, as the schema spells them, of the schema's tables that a query reads; None where it
  cannot be parsed.
  """
  try:
    tree = sqlglot.parse_one(read_statement(query, schema.dialect), read=schema.dialect)
  except sqlglot.errors.SqlglotError:
    return None
  found = set()
  for table in tree.find_all(exp.Table):
    with contextlib.suppress(KeyError):  # The name of a WITH, or nobody's.
      found.add(schema.table(table.name, table.db).name)
  return frozenset(found)


class SubSchemas:
  """The parts of one schema.

  Args:
    schema: the whole.
    fits: whether a schema's prompt is short enough.

  Attributes:
    parts: one grown from each table: the tables nearest by keys are added as long as they fit.
      Parts within others are left out.
  """

  def __init__(self, schema: Schema, fits: Callable[[Schema], bool]):
    self._schema, self._fits = schema, fits
    self._order = [table.name for table in schema.tables]
    self._near = near_by_keys(schema)
    self._busiest_first = {
      name: sorted(others, key=lambda n: -len(self._near[n])) for name, others in self._near.items()
    }
    grown = [names for name in self._order if (names := self._grow([name]))]
    kept = [
      a
      for i, a in enumerate(grown)
      if not any(a < b or (a == b and j < i) for j, b in enumerate(grown))
    ]
    self.parts: list[Schema] = [self._part(names) for names in kept]
    self._names: list[frozenset[str]] = kept
    self._around: dict[frozenset[str], Schema | None] = {}

  def covering(self, tables: Collection[str]) -> Schema | None:
    """The first part that holds all `tables`, else one grown around them; None where even they
    alone are too long.

    It depends on the tables alone, not on what was asked before: pairs are scored and trained on
    over the same part, in a run that goes on after a cut too.
    """
    wanted = frozenset(tables)
    for held, part in zip(self._names, self.parts, strict=True):
      if wanted <= held:
        return part
    if wanted not in self._around:
      names = self._grow(sorted(wanted, key=self._order.index)) if wanted else None
      self._around[wanted] = None if names is None else self._part(names)
    return self._around[wanted]

  def near(self, name: str) -> frozenset[str]:
    """The tables that keys connect with one."""
    return frozenset(self._near[name])

  def way(self, tables: Collection[str], name: str) -> tuple[str, ...]:
    """The tables on a shortest way along keys from one of `tables` to another table, which stands
    last; it alone where no way leads there. Of ways as short it takes those over tables with more
    keys: they are more often joined.
    """
    return shortest_way(self._busiest_first, sorted(tables, key=self._order.index), name)

  def _grow(self, start: Sequence[str]) -> frozenset[str] | None:
    names = set(start)
    if not self._fits(self._part(names)):
      return None
    waiting, seen = deque(start), set(start)
    while waiting:
      for other in self._near[waiting.popleft()]:
        if other not in seen:
          seen.add(other)
          if self._fits(self._part(names | {other})):
            names.add(other)
            waiting.append(other)
    return frozenset(names)

  def _part(self, names: Iterable[str]) -> Schema:
    """The tables of these names; keys to tables that are not there are left out, for nothing can be
    joined along them.
    """
    kept = set(names)
    present = {name.lower() for name in kept}
    tables = tuple(
      dataclasses.replace(
        t, foreign_keys=tuple(k for k in t.foreign_keys if k.referred_table.lower() in present)
      )
      for t in self._schema.tables
      if t.name in kept
    )
    return dataclasses.replace(self._schema, tables=tables)
