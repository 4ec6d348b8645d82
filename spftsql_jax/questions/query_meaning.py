"""What a query says, read from its syntax tree: what the question writer words.

A `Query` lists the tables used, the key relations between them (foreign-key joins are relations
here, not conditions), what is returned, and under which conditions; every column is resolved to its
table. A `SetQuery` combines two queries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import sqlglot
from sqlglot import exp

from spftsql_jax.questions.naming import same_thing
from spftsql_jax.questions.syntax import bare, conjuncts, own_columns
from spftsql_jax.schema import Column, Schema, Table


class UnsupportedQuery(ValueError):
  """The query holds something that cannot be worded faithfully; the message names it."""


@dataclasses.dataclass(frozen=True)
class Ref:
  """A column of one table occurrence. `outer` marks a column of an enclosing query."""

  alias: str
  table: Table
  column: Column
  outer: bool = False


@dataclasses.dataclass(frozen=True)
class Edge:
  """Rows of `child` point to a row of `parent`, by `columns` = `referred`.

  `is_key` is False where the two are joined on something that is no key: then the direction means
  nothing. `same` marks a child whose key is the parent's key: each child row *is* a parent row
  (gymnast, person). `optional` names the side that a LEFT JOIN keeps rows without, or "".
  """

  child: str
  parent: str
  columns: tuple[str, ...]
  referred: tuple[str, ...]
  is_key: bool
  same: bool
  optional: str = ""

  def other(self, alias: str) -> str:
    """The alias at the other end."""
    return self.parent if alias == self.child else self.child


@dataclasses.dataclass
class Query:
  """One SELECT. `conditions` and `having` are conjuncts; `order` holds (expression, descending)."""

  schema: Schema
  sources: dict[str, Table]
  edges: list[Edge]
  items: list[exp.Expr]
  distinct: bool
  conditions: list[exp.Expr]
  group: list[exp.Expr]
  having: list[exp.Expr]
  order: list[tuple[exp.Expr, bool]]
  limit: int | None
  outer: Query | None
  tree: exp.Expr
  derived: Query | SetQuery | None = None

  def ref(self, column: exp.Expr) -> Ref:
    """Resolves a column against the tables of this query, then of the enclosing ones.

    Raises:
      UnsupportedQuery: none of them has it, or the expression is no column.
    """
    if not isinstance(column, exp.Column):
      raise UnsupportedQuery(f"{column.sql()} in the place of a column")
    name, alias = column.name.lower(), column.table.lower()
    for source, table in self.sources.items():
      if alias and source != alias:
        continue
      for candidate in table.columns:
        if candidate.name.lower() == name:
          return Ref(source, table, candidate)
    if self.outer is not None:
      return dataclasses.replace(self.outer.ref(column), outer=True)
    raise UnsupportedQuery(f"unknown column {column.sql()}")

  def knows(self, column: exp.Column) -> bool:
    """Whether a table of this query, or of an enclosing one, has a column."""
    try:
      self.ref(column)
      return True
    except UnsupportedQuery:
      return False

  def neighbours(self, alias: str) -> list[Edge]:
    """The edges of an alias."""
    return [e for e in self.edges if alias in (e.child, e.parent)]

  def aliases_in(self, node: exp.Expr) -> set[str]:
    """Aliases of this query's own tables in an expression, columns inside subqueries left out."""
    return {r.alias for c in own_columns(node) if not (r := self.ref(c)).outer}

  def mentions(self, alias: str) -> bool:
    """Whether anything but its joins is about the rows of an alias."""
    ordered = (expression for expression, _ in self.order)
    asked = (*self.items, *self.conditions, *self.group, *self.having, *ordered)
    return any(alias in self.aliases_in(expression) for expression in asked)

  def path(self, start: str, goal: str) -> list[Edge]:
    """The edges from one alias to another."""
    todo: list[tuple[str, list[Edge]]] = [(start, [])]
    seen = {start}
    while todo:
      alias, path = todo.pop()
      if alias == goal:
        return path
      for edge in self.neighbours(alias):
        if edge.other(alias) not in seen:
          seen.add(edge.other(alias))
          todo.append((edge.other(alias), [*path, edge]))
    return []

  def finest(self) -> str | None:
    """The alias whose rows the joined rows are, one to one; None without such.

    All others are reached from it, from child to parent.
    """
    return next((alias for alias in self.sources if self.joins_one_to_one(alias)), None)

  def joins_one_to_one(self, alias: str, single: Collection[str] = ()) -> bool:
    """Whether each row of an alias stands in one joined row at most. `single` are aliases of which
    a row that they refer to has one row at most.
    """
    return len(self._reached(alias, True, single)) == len(self.sources)

  def connected(self) -> bool:
    """Whether joins lead from each of its tables to each other."""
    return not self.sources or len(self._reached(next(iter(self.sources)), False)) == len(
      self.sources
    )

  def _reached(self, start: str, up_only: bool, single: Collection[str] = ()) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
      alias = todo.pop()
      for edge in self.edges:
        forward = (
          edge.child == alias
          or (not up_only and edge.parent == alias)
          or ((edge.same or edge.is_key and edge.child in single) and edge.parent == alias)
        )
        other = edge.other(alias) if alias in (edge.child, edge.parent) else None
        if forward and other not in seen and other is not None:
          seen.add(other)
          todo.append(other)
    return seen


@dataclasses.dataclass
class SetQuery:
  """`operator` is union, union all, intersect or except."""

  operator: str
  left: Query | SetQuery
  right: Query | SetQuery
  order: list[tuple[exp.Expr, bool]]
  limit: int | None


def read_query(sql: str | exp.Expr, schema: Schema) -> Query | SetQuery:
  """Parses and resolves a query, or resolves its tree.

  Raises UnsupportedQuery where it does not parse, or holds what has no representation.
  """
  try:
    tree = (
      sqlglot.parse_one(sql, dialect=schema.dialect or "sqlite") if isinstance(sql, str) else sql
    )
  except sqlglot.errors.SqlglotError as error:
    raise UnsupportedQuery(f"the SQL does not parse: {str(error).splitlines()[0]}") from None
  return _read(tree, schema, None)


def read_nested(node: exp.Expr, outer: Query) -> Query | SetQuery:
  """Reads a subquery met in a condition or a projection of `outer`."""
  while isinstance(node, (exp.Subquery, exp.Paren)):
    node = node.this
  return _read(node, outer.schema, outer)


def _read(tree: exp.Expr, schema: Schema, outer: Query | None) -> Query | SetQuery:
  while isinstance(tree, (exp.Subquery, exp.Paren)) and not tree.args.get("joins"):
    tree = tree.this
  if tree.args.get("with_") or tree.args.get("with"):
    raise UnsupportedQuery("WITH")
  if isinstance(tree, exp.SetOperation):
    operator = {exp.Union: "union", exp.Intersect: "intersect", exp.Except: "except"}[type(tree)]
    if operator == "union" and not tree.args.get("distinct"):
      operator = "union all"
    left, right = _read(tree.this, schema, outer), _read(tree.expression, schema, outer)
    return SetQuery(operator, left, right, _order(tree), _limit(tree))
  if not isinstance(tree, exp.Select):
    raise UnsupportedQuery(type(tree).__name__.upper())
  if tree.args.get("offset"):
    raise UnsupportedQuery("OFFSET")
  query = Query(
    schema,
    {},
    [],
    list(tree.expressions),
    bool(tree.args.get("distinct")),
    [],
    [],
    [],
    [],
    None,
    outer,
    tree,
  )
  from_ = tree.args.get("from_") or tree.args.get("from")
  if from_ is None:
    raise UnsupportedQuery("SELECT without FROM")
  if isinstance(from_.this, exp.Subquery):
    if tree.args.get("joins"):
      raise UnsupportedQuery("a join with a derived table")
    query.derived = _read(from_.this, schema, outer)
  joins = tree.args.get("joins") or []
  for table in [] if query.derived else [from_.this, *(j.this for j in joins)]:
    _add_source(query, table)
  _repair_strings(tree, query)
  predicates: list[tuple[exp.Expr, str]] = []
  for join in joins:
    if join.args.get("using"):
      raise UnsupportedQuery("JOIN USING")
    side = (join.side or "").upper()
    if side in ("RIGHT", "FULL"):
      raise UnsupportedQuery(f"{side} JOIN")
    optional = join.this.alias_or_name.lower() if side == "LEFT" else ""
    if isinstance(join.args.get("on"), exp.Boolean) and join.args["on"].this:
      continue  # So a JOIN without ON is read: a later one says how its tables hang together.
    predicates += [(p, optional) for p in conjuncts(join.args.get("on"))]
  where = tree.args.get("where")
  predicates += [(p, "") for p in conjuncts(where.this if where else None)]
  pairs: dict[tuple[str, str, str], list[tuple[Ref, Ref]]] = {}
  for predicate, optional in predicates:
    if (
      isinstance(predicate, exp.EQ)
      and isinstance(predicate.this, exp.Column)
      and isinstance(predicate.expression, exp.Column)
    ):
      one, other = query.ref(predicate.this), query.ref(predicate.expression)
      if not one.outer and not other.outer and one.alias != other.alias:
        if one.alias > other.alias:
          one, other = other, one
        pairs.setdefault((one.alias, other.alias, optional), []).append((one, other))
        continue
    if optional:
      raise UnsupportedQuery("a condition in a LEFT JOIN")
    query.conditions.append(predicate)
  query.edges = [_edge(found, optional) for (_, _, optional), found in pairs.items()]
  if not query.connected():
    raise UnsupportedQuery("a join without a condition")
  if len(query.edges) > max(0, len(query.sources) - 1):
    raise UnsupportedQuery("joins that form a circle")
  group = tree.args.get("group")
  query.group = [_positional(bare(g), query) for g in group.expressions] if group else []
  having = tree.args.get("having")
  query.having = conjuncts(having.this) if having else []
  query.order = [(_positional(e, query), d) for e, d in _order(tree)]
  query.limit = _limit(tree)
  return query


def _add_source(query: Query, node: exp.Expr) -> None:
  if not isinstance(node, exp.Table):
    raise UnsupportedQuery("a derived table in a join")
  try:
    table = query.schema.table(node.name, node.db)
  except KeyError as error:
    raise UnsupportedQuery(str(error)) from None
  query.sources[node.alias_or_name.lower()] = table


def _repair_strings(tree: exp.Select, query: Query) -> None:
  """SQLite reads "x" as a string where no column is called x; so do we."""
  for column in list(own_columns(tree)) + [c for e in tree.expressions for c in own_columns(e)]:
    if (
      column.this.args.get("quoted")
      and not column.table
      and not query.derived
      and not query.knows(column)
    ):
      literal = exp.Literal.string(column.name)
      for i, item in enumerate(query.items):
        if item is column:
          query.items[i] = literal
      column.replace(literal)
  for key in ("where", "having", "order", "group"):
    part = tree.args.get(key)
    for column in own_columns(part) if part is not None else ():
      if (
        column.this.args.get("quoted")
        and not column.table
        and not query.derived
        and not query.knows(column)
      ):
        column.replace(exp.Literal.string(column.name))


def _edge(pairs: list[tuple[Ref, Ref]], optional: str) -> Edge:
  left, right = pairs[0]
  left_columns, right_columns = (
    tuple(p[0].column.name for p in pairs),
    tuple(p[1].column.name for p in pairs),
  )
  for child, parent, own, referred in (
    (left, right, left_columns, right_columns),
    (right, left, right_columns, left_columns),
  ):
    for key in child.table.foreign_keys:
      if (
        key.referred_table.lower() == parent.table.name.lower()
        and _equal(key.columns, own)
        and _equal(key.referred_columns, referred)
      ):
        same = _equal(child.table.primary_key, own) and same_thing(child.table, parent.table)
        return Edge(child.alias, parent.alias, own, referred, True, same, optional)
  left_is_key, right_is_key = (
    _equal(left.table.primary_key, left_columns),
    _equal(right.table.primary_key, right_columns),
  )
  if right_is_key and not left_is_key or (right_is_key and left_is_key):
    same = left_is_key and right_is_key and same_thing(left.table, right.table)
    return Edge(left.alias, right.alias, left_columns, right_columns, True, same, optional)
  if left_is_key:
    return Edge(right.alias, left.alias, right_columns, left_columns, True, False, optional)
  return Edge(left.alias, right.alias, left_columns, right_columns, False, False, optional)


def _equal(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
  return bool(left) and sorted(x.lower() for x in left) == sorted(x.lower() for x in right)


def _positional(node: exp.Expr, query: Query) -> exp.Expr:
  """GROUP BY 1 and ORDER BY alias stand for the projection they name."""
  if isinstance(node, exp.Literal) and node.is_int and 0 < int(node.this) <= len(query.items):
    node = query.items[int(node.this) - 1]
  elif isinstance(node, exp.Column) and not node.table:
    for item in query.items:
      if isinstance(item, exp.Alias) and item.alias.lower() == node.name.lower():
        node = item
  return node.this if isinstance(node, exp.Alias) else node


def _order(tree: exp.Expr) -> list[tuple[exp.Expr, bool]]:
  order = tree.args.get("order")
  return [(bare(o.this), bool(o.args.get("desc"))) for o in order.expressions] if order else []


def _limit(tree: exp.Expr) -> int | None:
  limit = tree.args.get("limit")
  if limit is None:
    return None
  value = limit.expression if limit.args.get("expression") is not None else None
  if not isinstance(value, exp.Literal) or not value.is_int:
    raise UnsupportedQuery("a LIMIT that is not a number")
  return int(value.this)


def mentions_outer(query: Query, node: exp.Expr) -> bool:
  """Whether an expression has a column of an enclosing query."""
  return any(query.ref(c).outer for c in own_columns(node))
