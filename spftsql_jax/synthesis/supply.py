"""What a database has for the slots of templates: columns by kind and use, and keys."""

from __future__ import annotations

import collections
import functools
import itertools
import math
from collections.abc import Collection, Hashable, Sequence

from spftsql_jax.columns import roles
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers
from spftsql_jax.synthesis import joins
from spftsql_jax.synthesis.compiling import ColumnSpec
from spftsql_jax.synthesis.runner import QueryFailed
from spftsql_jax.synthesis.stored import StoredValues
from spftsql_jax.synthesis.suitability import suitability

Place = tuple[str, str]  # A table and a column, in lower case.
_AWKWARD = 0.02  # How much a column is asked for whose name is no noun.
_BADLY = 0.1  # Columns that together weigh less suit a slot badly.
Weighted = tuple[tuple[str, float], ...]  # Names with their weights.


class Supply:
  """The tables with rows of one database, and how their columns suit slots.

  Tables and columns are named in lower case. `connecting` are tables whose rows people only ask
  about beside those of others, `awkward` columns whose names are no nouns: they are conditions.
  `figures` are tables that hold numbers of another's rows, say the fees of each campus and year:
  people ask for these numbers, but do not count, list or look for rows of them.
  """

  def __init__(
    self,
    schema: Schema,
    values: StoredValues,
    connecting: Collection[str] = (),
    awkward: Collection[Place] = (),
  ):
    self.schema = schema
    self.values = values
    self.connecting = frozenset(connecting)
    self.awkward = frozenset(awkward)
    self.graph = joins.JoinGraph(schema)
    self.roles = roles.column_roles(schema)
    self.tables = {
      table.name.lower(): table for table in schema.tables if table.row_count and table.columns
    }
    self.place_of = {table: place for place, table in enumerate(self.tables)}
    self.column_names = {
      (table.name.lower(), column.name.lower()): column.name
      for table in schema.tables
      for column in table.columns
    }
    # Of each table its referring columns, and what each refers to.
    self.referring: dict[str, list[tuple[str, Place]]] = {table: [] for table in self.tables}
    for edge in self.graph.edges:
      for own, referred in zip(edge.columns, edge.referred_columns, strict=True):
        self.referring[edge.child].append((own.lower(), (edge.parent, referred.lower())))
    self.figures = frozenset(filter(self._holds_figures, self.tables))
    self.is_parent = functools.lru_cache(maxsize=None)(self.graph.is_parent)
    self.candidates = functools.lru_cache(maxsize=None)(self._weigh_columns)
    self.share_values = functools.lru_cache(maxsize=100_000)(self._have_common_values)
    self.references = functools.lru_cache(maxsize=None)(self._find_references)
    self.has_alone = functools.lru_cache(maxsize=None)(self._find_alone)
    self.table_weight = functools.lru_cache(maxsize=100_000)(self._weigh_table)

  def name(self, table: str, column: str | None = None) -> str:
    """The name of a table or column as it is written in a query."""
    if column is None:
      parts = self.tables[table].parts
    else:
      parts = (self.column_names[(table, column.lower())],)
    return identifiers.written_path(parts, self.schema.dialect)

  def columns_with_values(self) -> list[Place]:
    """The columns that hold anything."""
    return [
      (name, column.name.lower())
      for name, table in self.tables.items()
      for column in table.columns
      if column.distinct_count
    ]

  def _weigh_columns(self, table: str, kind: str, uses: frozenset[str], lenient: bool) -> Weighted:
    """The columns of a table that suit a slot, each with its weight."""
    found = []
    several = uses & {"compare", "order", "max", "min", "equal"}
    tested = "null" in uses and "optional" not in uses
    for column in self.tables[table].columns:
      name = column.name.lower()
      if column.distinct_count < (2 if several else 1):
        continue
      weight = suitability(self.roles[(table, name)], kind, uses, lenient)
      if (table, name) in self.awkward and "equal" not in uses:
        weight *= _AWKWARD
      if weight > 0 and tested and not self.values.tables[table].has_null(name):
        continue
      if weight > 0:
        found.append((name, weight))
    if kind == "name":
      # Where a column clearly names the row, no other does.
      clear = max((weight for _, weight in found), default=0.0)
      found = [(name, weight) for name, weight in found if weight >= 0.4 * clear]
    return tuple(found)

  def _weigh_table(self, table: str, slots: tuple[ColumnSpec, ...], lenient: bool) -> float:
    """The weight of the columns that suit the first slot, less where those of another suit badly.

    0 where the slots cannot all have a column of their own.
    """
    if not slots:
      return 1.0
    candidates = [self.candidates(table, slot.kind, slot.uses, lenient) for slot in slots]
    options = [{name for name, _ in found} for found in candidates]
    if not all(options) or len(set().union(*options)) < len(options) or not can_match(options):
      return 0.0
    first, *others = (sum(weight for _, weight in found) for found in candidates)
    return first * math.prod(min(1.0, weight / _BADLY) for weight in others)

  def _have_common_values(self, left: Place, right: Place) -> bool:
    """Whether two columns hold some value both."""
    first, second = (self.values.tables[table].distinct(column) for table, column in (left, right))
    return not set(first).isdisjoint(second)

  def linked(self, ends: frozenset[str]) -> bool:
    """Whether the rows of a table do nothing but connect two others."""
    return any(
      {place[0] for _, place in referring} == ends and self.own_columns(table) < 2
      for table, referring in self.referring.items()
    )

  def own_columns(self, table: str) -> int:
    """How many columns of a table are no keys."""
    columns = (self.roles[(table, c.name.lower())] for c in self.tables[table].columns)
    return sum(role.kind not in ("key", "ref") for role in columns)

  def _holds_figures(self, table: str) -> bool:
    """Whether a table has no key of its own but the one to another, and beside it numbers and times
    alone.
    """
    referring = {own for own, _ in self.referring[table]}
    own = [column.name.lower() for column in self.tables[table].columns]
    others = [self.roles[(table, column)] for column in own if column not in referring]
    numbers = all(role.kind in ("num", "date") for role in others)
    return len(referring) == 1 and numbers and any(role.measure for role in others)

  def keys_to(self, table: str, target: str) -> set[str]:
    """The columns of a table that are a foreign key, or a part of one, to another."""
    return {own for own, place in self.referring[table] if place[0] == target}

  def _find_references(self, table: str, target: str) -> list[tuple[str, str]]:
    """Pairs of columns of two tables that a key connects.

    The first refers to the second, or both refer to the same key.
    """
    pairs = [(own, column) for own, (parent, column) in self.referring[table] if parent == target]
    for (own, place), (other, other_place) in itertools.product(
      self.referring[table], self.referring[target]
    ):
      if place == other_place and (table, own) != (target, other):
        pairs.append((own, other))
    return pairs

  def _find_alone(self, edge: joins.Edge, upwards: bool) -> bool:
    """Whether some row has no partner along a key; `upwards` one of the table that refers.

    Where that cannot be found out, there may be one.
    """
    ends = [(edge.child, edge.columns), (edge.parent, edge.referred_columns)]
    (own, near), (other, far) = ends if upwards else reversed(ends)
    if self.values.probe is None:
      return False
    same = " AND ".join(
      f"T1.{self.name(own, one)} = T2.{self.name(other, two)}"
      for one, two in zip(near, far, strict=True)
    )
    probe = (
      f"SELECT 1 FROM {self.name(own)} AS T1 LEFT JOIN {self.name(other)} AS T2 ON {same}"
      f" WHERE T2.{self.name(other, far[0])} IS NULL LIMIT 1"
    )
    try:
      return bool(self.values.probe(probe))
    except QueryFailed:
      return True

  @functools.cached_property
  def related(self) -> dict[str, set[str]]:
    """The tables that each one has a key to or from, or a key to the same table as they have."""
    parents = {
      table: {place[0] for _, place in referring} for table, referring in self.referring.items()
    }
    children: dict[str, set[str]] = collections.defaultdict(set)
    for table, above in parents.items():
      for parent in above:
        children[parent].add(table)
    return {
      table: above | children[table] | set().union(*(children[each] for each in above))
      for table, above in parents.items()
    }


def can_match(options: Sequence[Collection[Hashable]]) -> bool:
  """Whether every slot can have a column of its own (a bipartite matching)."""
  owner: dict[Hashable, int] = {}

  def assign(index: int, seen: set[Hashable]) -> bool:
    for name in options[index]:
      if name not in seen:
        seen.add(name)
        if name not in owner or assign(owner[name], seen):
          owner[name] = index
          return True
    return False

  return all(assign(index, set()) for index in range(len(options)))
