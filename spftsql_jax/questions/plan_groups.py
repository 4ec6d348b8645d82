"""Queries that group rows, as plans."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from spftsql_jax.columns import kinds
from spftsql_jax.questions.naming import SchemaNames
from spftsql_jax.questions.plan import (
  Amount,
  Attribute,
  Computed,
  GroupOrder,
  Key,
  Measure,
  MeasureCompare,
  PartOfDate,
  PerGroup,
  RowCount,
  Unmoved,
)
from spftsql_jax.questions.plan_conditions import attribute_of, literal_of
from spftsql_jax.questions.plan_listings import aliases_of, is_key, is_single
from spftsql_jax.questions.query_meaning import Edge, Query, Ref, UnsupportedQuery
from spftsql_jax.questions.syntax import (
  aggregate_in,
  bare,
  date_part,
  flipped,
  is_link,
  is_pure_link,
  is_value,
  operator_of,
  own_columns,
)
from spftsql_jax.schema import Table


def plan_groups(query: Query, names: SchemaNames) -> PerGroup:
  """A query with GROUP BY. Raises UnsupportedQuery."""
  return _Reader(query, names).plan()


def named_after_ends(query: Query, table: Table, names: SchemaNames) -> bool:
  """Whether a link table has no name of its own: "book_author"."""
  words = names.table(table).nouns[0].singular
  ends = (
    names.table(query.schema.table(k.referred_table)).nouns[0].singular for k in table.foreign_keys
  )
  return any(end in words or end.split()[-1] == words for end in ends)


def is_amount(ref: Ref, names: SchemaNames) -> bool:
  """Whether a column holds numbers that say how much: which prices have 3 books? Keys, codes, years
  and numbers of people ("advisor") only tell which.
  """
  name, said = ref.column.name.lower(), names.column(ref.table, ref.column)
  return (
    ref.column.kind == "number"
    and not said.tags & {"year", "date"}
    and not kinds.is_label(said.nouns[0].singular.split())
    and not kinds.is_person(said.nouns[0].singular)
    and not any(name == c.lower() for key in ref.table.foreign_keys for c in key.columns)
  )


def _shares_a_parent(start: str, path: Sequence[Edge]) -> bool:
  """Whether a way goes to what rows belong to, and from there to others that belong to it: the
  courses of a teacher's department are not the teacher's.
  """
  here, up = start, False
  for edge in path:
    to_parent, here = edge.child == here, edge.other(here)
    if up and not to_parent and not edge.same:
      return True
    up = up or (to_parent and not edge.same)
  return False


def _same(names: Sequence[str], column: str) -> bool:
  return [name.lower() for name in names] == [column.lower()]


class _Reader:
  """Reads what a query groups, and what it says of the groups."""

  def __init__(self, query: Query, names: SchemaNames):
    if any(isinstance(i, exp.Star) for i in query.items):
      raise UnsupportedQuery("* with GROUP BY")
    self.query, self.names = query, names
    self.rows = self._rows()
    self.refs = [query.ref(g) for g in query.group if isinstance(g, exp.Column)]
    self.entity = self._entity() if len(self.refs) == len(query.group) else ""
    starts = [self.entity] if self.entity else [ref.alias for ref in self.refs]
    self.path = [edge for start in starts for edge in query.path(start, self.rows)]
    self.optional = any(edge.optional for edge in self.path)
    self.beside: set[str] = set()

  def plan(self) -> PerGroup:
    """The whole query."""
    query = self.query
    items = [bare(i.unalias()) for i in query.items]
    returned = tuple(map(self._value, items))
    keys = tuple(map(self._key, query.group))
    whole = all(key in returned for key in keys)
    if self.entity:
      self._refuse_ways()
    else:
      self._refuse_values(not any(isinstance(r, Measure) for r in returned), whole)
    having = tuple(map(self._having, query.having))
    order = tuple(GroupOrder(self._value(bare(e), False), down) for e, down in query.order)
    if len(self.beside) > 1:
      raise UnsupportedQuery("counts of all rows and of some")
    fewer = any(not e.same for e in self.path) or any(
      query.aliases_in(c) != {self.entity} for c in query.conditions
    )
    measures = [*returned, *(h.measure for h in having if isinstance(h, MeasureCompare))]
    counted = not any(isinstance(m, Amount) for m in [*measures, *(o.by for o in order)])
    return PerGroup(
      query,
      self.rows,
      "".join(self.beside),
      self.entity,
      keys,
      returned,
      whole,
      having,
      order,
      query.limit,
      self.optional,
      fewer and not self.optional,
      counted and self._are_pairs(),
      bool(self.entity) and fewer and not self.optional and self._lack_rows(),
    )

  def _lack_rows(self) -> bool:
    """Whether some groups that are rows have none of the rows that are grouped."""
    query, here = self.query, self.entity
    if any(query.aliases_in(condition) - {here} for condition in query.conditions):
      return True
    for edge in self.path:
      child, parent = query.sources[edge.child], query.sources[edge.parent]
      referring = [child.column(name).distinct_count for name in edge.columns]
      # Of a key of several columns, only how many rows hold one is known.
      most = referring[0] if len(referring) == 1 else child.row_count
      # 0: not known, of a column that nobody has counted.
      if edge.parent == here and 0 < most < parent.row_count:
        return True
      here = edge.other(here)
    return False

  def _rows(self) -> str:
    finest = self.query.finest()
    if finest is not None:
      link = self.query.sources[finest]
      chosen = is_pure_link(link) and named_after_ends(self.query, link, self.names)
      return (chosen and self._finest_of_chosen(finest)) or finest
    said = [*self.query.items, *self.query.having, *(e for e, _ in self.query.order)]
    functions = (f for node in said for f in node.find_all(exp.AggFunc))
    for column in (c for f in functions if not isinstance(f, exp.Count) for c in own_columns(f)):
      return self.query.ref(column).alias
    finest = self._finest_of_chosen()
    if finest is None:
      raise UnsupportedQuery("groups over tables of which none is the finest")
    return finest

  def _finest_of_chosen(self, link: str = "") -> str | None:
    """The alias whose rows the joined rows are, where links to one chosen row only choose among
    them: papers have at most one link to the keyword Parsing. `link` is one that must be such.
    """
    query = self.query
    spoken = {a for node in (*query.group, *query.items) for a in aliases_of(query, node)}
    chosen = {
      e
      for e in query.edges
      if e.parent not in spoken
      and is_pure_link(query.sources[e.child])
      and is_single(query, self.names, e.parent)
    }
    links, ends = {e.child for e in chosen}, {e.parent for e in chosen}
    if link not in {"", *links} or not all(e.is_key for e in query.edges):
      return None
    for alias in query.sources:
      if alias not in {link, *ends} and query.joins_one_to_one(alias, links - {alias}):
        return alias
    return None

  def _entity(self) -> str:
    """The table whose rows are the groups, or "".

    Grouped by its key, by the key that points to it, or by a name that only one of them has.
    """
    for ref in self.refs:
      edges = [e for e in self.query.edges if e.is_key]
      # Keys that nothing declares are known by what refers to them.
      key = is_key(ref) or any(
        e.parent == ref.alias and _same(e.referred, ref.column.name) for e in edges
      )
      if key and ref.alias != self.rows:
        child = next((e.child for e in self.query.edges if e.same and e.parent == ref.alias), "")
        return "" if child == self.rows else child or ref.alias
      for edge in edges:
        if edge.child == ref.alias and _same(edge.columns, ref.column.name) and not edge.same:
          return "" if edge.parent == self.rows else edge.parent
    (ref, *others) = self.refs
    named = self.names.column(ref.table, ref.column).names_entity
    repeats = 0 < ref.column.distinct_count < ref.table.row_count
    return ref.alias if named and not (repeats or others or ref.alias == self.rows) else ""

  def _are_pairs(self) -> bool:
    """Whether the rows are those of a link table, by one of its keys and with the other joined."""
    query, edges = self.query, self.query.neighbours(self.rows)
    if self.entity or len(self.refs) != 1 or len(edges) != 1:
      return False
    ends = sorted((self.refs[0].column.name.lower(), *(c.lower() for c in edges[0].columns)))
    keys = query.sources[self.rows].foreign_keys
    return (
      is_pure_link(query.sources[self.rows])
      and self.refs[0].alias == self.rows == edges[0].child
      and ends == sorted(c.lower() for key in keys for c in key.columns)
    )

  def _refuse_ways(self) -> None:
    """What cannot be said of rows of groups that are rows themselves."""
    query, link = self.query, self.query.sources[self.rows]
    if _shares_a_parent(self.entity, self.path):
      raise UnsupportedQuery("rows that are not those of the groups, but have the same parent")
    if any(len(query.aliases_in(c)) > 1 for c in query.conditions):
      raise UnsupportedQuery("a condition over both the groups and their rows")
    if len(self.path) > 1 and is_pure_link(link) and named_after_ends(query, link, self.names):
      raise UnsupportedQuery("a count of pairs that have no name of their own")

  def _refuse_values(self, only_keys: bool, whole: bool) -> None:
    """What nobody asks of groups that are values."""
    if only_keys and not whole:
      raise UnsupportedQuery("part of the grouped columns alone")
    if not self.query.having and self.query.limit is None:
      return
    if any(self.names.column(ref.table, ref.column).property for ref in self.refs):
      raise UnsupportedQuery("which of those with and those without")
    ranked = self.query.limit is not None and self.query.order and not self.query.having
    if only_keys and not ranked and any(is_amount(ref, self.names) for ref in self.refs):
      raise UnsupportedQuery("which amounts have so many rows")

  def _is_of_group(self, node: exp.Expr, key: Key) -> bool:
    """Whether an expression has one value in a group: of its keys, its columns and those above."""
    if node in self.query.group:
      return True
    if not isinstance(key, Attribute):
      return False
    ref = key.ref
    return any(r.alias == ref.alias and r.column is ref.column for r in self.refs) or bool(
      self.entity and (key.own or self._above(self.entity, ref.alias))
    )

  def _above(self, start: str, goal: str) -> bool:
    return any(
      e.child == start and e.is_key and (e.parent == goal or self._above(e.parent, goal))
      for e in self.query.edges
    )

  def _value(self, node: exp.Expr, returned: bool = True) -> Key | Measure:
    if aggregate_in(node):
      return self._measure(node)
    key = self._key(node)
    if returned and not self._is_of_group(node, key):
      raise UnsupportedQuery(f"{node.sql()} is neither grouped by nor an aggregate")
    return key

  def _key(self, node: exp.Expr) -> Key:
    part = None if self.entity else date_part(node)
    if part is not None and part[0] in ("year", "month", "day"):
      return PartOfDate(attribute_of(self.query, self.query.ref(part[1]), self.rows), part[0])
    if not isinstance(node, exp.Column):
      return Computed(node)
    ref = self.query.ref(node)
    for edge in self.query.edges:  # A key that points to a group is the group's own.
      if edge.child == ref.alias and edge.parent == self.entity and not edge.optional:
        for own, referred in zip(edge.columns, edge.referred, strict=True):
          if own.lower() == ref.column.name.lower():
            table = self.query.sources[self.entity]
            return Attribute(Ref(self.entity, table, table.column(referred)), True)
    return attribute_of(self.query, ref, self.entity or self.rows)

  def _measure(self, node: exp.Expr) -> Measure:
    beside = self._counted(node) if isinstance(node, exp.Count) else None
    if beside is None:
      return Amount(node)
    self.beside.add(beside)
    return RowCount()

  def _counted(self, node: exp.Count) -> str | None:
    """What each counted row must have beside it, "" for nothing; None where no rows are counted."""
    argument = bare(node.this)
    if isinstance(argument, exp.Star):
      if self.optional:
        raise UnsupportedQuery("COUNT(*) that is 1 for those without any")
      return ""
    if not isinstance(argument, exp.Column):
      return None
    ref = self.query.ref(argument)
    keys = {c.lower() for k in ref.table.foreign_keys for c in k.columns}
    if (
      not any(r.alias == ref.alias and r.column is ref.column for r in self.refs)
      and not is_key(ref)
      and ref.column.nullable
      and ref.column.name.lower() not in keys | {c.lower() for c in ref.table.primary_key}
    ):
      return None
    start = self.entity or self.refs[0].alias
    if self.optional and not any(e.optional for e in self.query.path(start, ref.alias)):
      raise UnsupportedQuery("a count that is 1 for those without any")
    beyond = self.query.path(self.rows, ref.alias)
    lacking = any(e.optional == ref.alias for e in beyond)
    through = len(beyond) == len(self.path) == 1 and is_link(self.query.sources[self.rows])
    return ref.alias if lacking and not through and ref.alias != self.entity else ""

  def _having(self, node: exp.Expr) -> MeasureCompare | Unmoved:
    if isinstance(node, exp.Between) and aggregate_in(node.this):
      low, high = literal_of(node.args["low"]), literal_of(node.args["high"])
      return MeasureCompare(self._measure(bare(node.this)), "between", low, high)
    operator = operator_of(node)
    if not operator:
      raise UnsupportedQuery(f"HAVING {type(node).__name__}")
    left, right = bare(node.this), bare(node.expression)
    if is_value(left):
      left, right, operator = right, left, flipped(operator)
    if not aggregate_in(left):
      if self.entity:
        return Unmoved(node)
      raise UnsupportedQuery("HAVING without an aggregate")
    measure = self._measure(left)
    if isinstance(right, exp.Subquery):
      return MeasureCompare(measure, operator, right)
    if aggregate_in(right):
      return MeasureCompare(measure, operator, self._measure(right))
    if not is_value(right):
      raise UnsupportedQuery("HAVING compared with an expression")
    value = literal_of(right)
    if isinstance(measure, RowCount) and not value.text.isdigit():
      raise UnsupportedQuery(f"a count compared with {value.text}")
    return MeasureCompare(measure, operator, value)
