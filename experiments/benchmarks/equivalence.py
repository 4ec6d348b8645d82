"""Whether a mutant means the same as its gold query wherever the declared constraints hold.

Both are rewritten by rules that do not change the result under NOT NULL, primary and unique keys
(references are not relied on: SQLite does not enforce them). Where the two come out the same, the
names of the rules used are the proof. A primary key counts as NOT NULL. Rules about LIMIT hold up
to the choice among ties, rules about aggregates up to the rounding of a sum: SQL leaves both open.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from spftsql_jax.schema import Schema, Table

_NULL_REJECTING = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Between, exp.In)


def reason(gold: str, mutant: str, schema: Schema) -> str | None:
  """The rules that make the two queries the same, joined by "; ", or None where they do not."""
  trees, used = [], []
  for sql in (gold, mutant):
    tree = exp.Paren(this=sqlglot.parse_one(sql, read="sqlite"))
    names = _normalize(tree, schema)
    trees.append(tree.this.sql(dialect="sqlite").lower())
    used.append(names)
  # What both need says nothing about what differs.
  both = list(dict.fromkeys(used[0] + used[1]))
  rules = [name for name in both if used[0].count(name) != used[1].count(name)] or both
  return "; ".join(rules) if trees[0] == trees[1] else None


def _normalize(tree: exp.Expression, schema: Schema) -> list[str]:
  """Rewrites `tree` in place; returns the names of the rules that applied."""
  used = []
  # Inner SELECTs first: what they become decides about the outer ones.
  for select in reversed(list(tree.find_all(exp.Select))):
    scope = _Scope(select, schema)
    used += scope.inner_joins() + scope.counts() + scope.distinct() + scope.limit()
  return used


class _Scope:
  """One SELECT with the tables of its sources."""

  def __init__(self, select: exp.Select, schema: Schema):
    self._select = select
    self._joins = select.args.get("joins") or []
    self._tables: dict[str, Table | None] = {}
    origin = select.args.get("from_")
    for source in [origin and origin.this, *(join.this for join in self._joins)]:
      if source is not None:
        try:
          table = schema.table(source.name) if isinstance(source, exp.Table) else None
        except KeyError:
          table = None
        self._tables[source.alias_or_name.lower()] = table

  def inner_joins(self) -> list[str]:
    """LEFT JOIN becomes JOIN where a row without a partner could not stay, or would not count."""
    used = []
    for i, join in enumerate(self._joins):
      if (join.side or "").upper() != "LEFT":
        continue
      name = join.this.alias_or_name.lower()
      later = [
        other.args["on"]
        for other in self._joins[i + 1 :]
        if not other.side and other.args.get("on") is not None
      ]
      where = self._select.args.get("where")
      if any(self._rejects(part, name) for part in ([where.this] if where else []) + later):
        used.append("LEFT JOIN = JOIN: a condition on the joined table is not met by NULL")
      elif self._only_aggregates_of(name):
        used.append("LEFT JOIN = JOIN: only aggregates of the joined table, which pass over NULL")
      elif self._counts_more_than_one(name):
        used.append(
          "LEFT JOIN = JOIN: HAVING drops the groups of one row, and a row without a partner is one"
        )
      else:
        continue
      join.set("side", None)
    return used

  def counts(self) -> list[str]:
    """COUNT(column) becomes COUNT(*) where the column is not NULL in any row; COUNT(DISTINCT key)
    of one table COUNT(*) too.
    """
    used = []
    for node in self._own(exp.Count):
      inner = node.this
      key = (
        isinstance(inner, exp.Distinct) and len(inner.expressions) == 1 and len(self._tables) == 1
      )
      column = inner.expressions[0] if key else inner
      if (
        not isinstance(column, exp.Column)
        or isinstance(column.this, exp.Star)
        or not self._is_filled(column)
      ):
        continue
      if key and not self._is_unique(column):
        continue
      node.set("this", exp.Star())
      used.append(
        "COUNT(DISTINCT) of a unique key = COUNT(*)"
        if key
        else "COUNT(column) = COUNT(*): it is never NULL there"
      )
    return used

  def distinct(self) -> list[str]:
    """Drops DISTINCT where rows cannot repeat, or where repeats make no difference."""
    select = self._select
    if not select.args.get("distinct"):
      return []
    parent = select.parent
    while isinstance(parent, exp.Paren | exp.Subquery) and parent.parent is not None:
      parent = parent.parent
    limit = select.args.get("limit")
    if isinstance(parent, exp.SetOperation) and parent.args.get("distinct", True):
      name = "DISTINCT under a set operation that drops repeats itself"
    elif isinstance(parent, exp.In) and limit is None:
      name = "DISTINCT in the list of IN"
    elif (
      limit is not None
      and limit.expression.sql() == "1"
      and not select.args.get("offset")
      and self._orders_by_shown()
    ):
      name = "DISTINCT with LIMIT 1"
    elif self._tables and all(
      self._shows_key(name) or self._joins_by_key(name) for name in self._tables
    ):
      name = "DISTINCT over rows with a unique key"
    else:
      return []
    select.set("distinct", None)
    return [name]

  def _orders_by_shown(self) -> bool:
    """Whether ORDER BY names projected columns alone. By others SQLite orders the first row of each
    value that it meets.
    """
    order = self._select.args.get("order")
    shown = [e.unalias().sql().lower() for e in self._select.expressions]
    return order is None or all(entry.this.sql().lower() in shown for entry in order.expressions)

  def limit(self) -> list[str]:
    """Drops LIMIT of a nested query whose first row alone is compared, and of one row of
    aggregates.
    """
    select = self._select
    if not select.args.get("limit"):
      return []
    # As SQLite has it: the value of a nested query is its first row.
    if isinstance(select.parent, exp.Subquery) and isinstance(
      select.parent.parent, (*_NULL_REJECTING[:6],)
    ):
      name = "LIMIT in a nested query of which the first row counts"
    elif not select.args.get("group") and all(
      isinstance(e.unalias(), exp.AggFunc) for e in select.expressions
    ):
      name = "LIMIT of a single row"
    else:
      return []
    select.set("limit", None)
    return [name]

  def _own(self, *kinds: type) -> list:
    return [
      node
      for node in self._select.find_all(*kinds)
      if node.find_ancestor(exp.Select) is self._select
    ]

  def _owner(self, column: exp.Column) -> str | None:
    """The alias of the source that the column belongs to."""
    if column.table:
      return column.table.lower() if column.table.lower() in self._tables else None
    for alias, table in self._tables.items():
      if table is not None and any(
        entry.name.lower() == column.name.lower() for entry in table.columns
      ):
        return alias
    return None

  def _is_filled(self, column: exp.Column) -> bool:
    """Whether the column is NULL in no row that reaches the aggregates."""
    owner = self._owner(column)
    table = self._tables.get(owner) if owner else None
    if table is None:
      return False
    where = self._select.args.get("where")
    ons = [
      join.args["on"] for join in self._joins if not join.side and join.args.get("on") is not None
    ]
    if any(
      self._rejects(part, owner, column.name) for part in ([where.this] if where else []) + ons
    ):
      return True
    outer = any(join.side and join.this.alias_or_name.lower() == owner for join in self._joins)
    keys = {name.lower() for name in table.primary_key}
    return not outer and (not table.column(column.name).nullable or column.name.lower() in keys)

  def _is_unique(self, column: exp.Column) -> bool:
    table = self._tables[self._owner(column) or ""]
    return any(
      [name.lower() for name in key] == [column.name.lower()]
      for key in (table.primary_key, *table.unique)
    )

  def _shows_key(self, alias: str) -> bool:
    """Whether the projected columns, with those that WHERE sets to one value, identify a row of the
    source.
    """
    table = self._tables[alias]
    if table is None:
      return False
    shown = {
      e.unalias().name.lower()
      for e in self._select.expressions
      if isinstance(e.unalias(), exp.Column) and self._owner(e.unalias()) == alias
    }
    if any(
      isinstance(e, exp.Star) or (isinstance(e, exp.Column) and isinstance(e.this, exp.Star))
      for e in self._select.expressions
    ):
      shown = {column.name.lower() for column in table.columns}
    where = self._select.args.get("where")
    for part in _conjuncts(where.this) if where else ():
      if (
        isinstance(part, exp.EQ)
        and self._mentions(part.this, alias, None)
        and self._is_value(part.expression)
      ):
        shown.add(part.this.name.lower())
    filled = {c.name.lower() for c in table.columns if not c.nullable}
    keys = [
      table.primary_key,
      *(key for key in table.unique if {name.lower() for name in key} <= filled),
    ]
    return any(key and {name.lower() for name in key} <= shown for key in keys)

  def _joins_by_key(self, alias: str) -> bool:
    """Whether the source is joined by a key of its own to a source before it, so that it repeats no
    row.
    """
    table = self._tables[alias]
    for join in self._joins:
      test = join.args.get("on")
      if (
        table is not None and join.this.alias_or_name.lower() == alias and isinstance(test, exp.EQ)
      ):
        for near, far in ((test.this, test.expression), (test.expression, test.this)):
          if (
            self._mentions(near, alias, None)
            and self._is_unique(near)
            and isinstance(far, exp.Column)
          ):
            return self._owner(far) not in (None, alias)
    return False

  def _rejects(self, part: exp.Expression, alias: str, name: str | None = None) -> bool:
    """Whether the condition cannot hold where the source's columns (or the named one) are NULL."""
    if isinstance(part, exp.Paren):
      return self._rejects(part.this, alias, name)
    if isinstance(part, exp.And):
      return self._rejects(part.left, alias, name) or self._rejects(part.right, alias, name)
    if isinstance(part, exp.Or):
      return self._rejects(part.left, alias, name) and self._rejects(part.right, alias, name)
    if isinstance(part, exp.Not):
      inner = part.this.unnest()
      if isinstance(inner, exp.Is):
        return self._mentions(inner.this, alias, name)
      # NOT over a comparison is NULL as well; NOT IN over an empty list is not, so a nested query
      # does not count.
      return (
        isinstance(inner, _NULL_REJECTING)
        and not inner.find(exp.Select)
        and self._mentions(inner.this, alias, name)
      )
    if not isinstance(part, _NULL_REJECTING):
      return False
    return self._mentions(part.this, alias, name) or (
      isinstance(part, exp.Binary) and self._mentions(part.expression, alias, name)
    )

  def _mentions(self, node: exp.Expression, alias: str, name: str | None) -> bool:
    """Whether `node` is the column, or one of the source's where none is named."""
    if not isinstance(node, exp.Column) or self._owner(node) != alias:
      return False
    return name is None or node.name.lower() == name.lower()

  def _is_value(self, node: exp.Expression) -> bool:
    """Whether `node` is a literal; a double-quoted name that no source has is one in SQLite."""
    return isinstance(node, exp.Literal) or (
      isinstance(node, exp.Column) and self._owner(node) is None
    )

  def _only_aggregates_of(self, alias: str) -> bool:
    select = self._select
    if select.args.get("group") or len(self._joins) != 1:
      return False
    aggregates = [e.unalias() for e in select.expressions]
    return all(
      isinstance(e, exp.Max | exp.Min | exp.Avg | exp.Sum | exp.Count)
      and self._mentions(_argument(e), alias, None)
      for e in aggregates
    )

  def _counts_more_than_one(self, alias: str) -> bool:
    """Two sources grouped by the key of the first, and HAVING COUNT(*) that one row does not
    meet.
    """
    select = self._select
    group, having = select.args.get("group"), select.args.get("having")
    if not group or not having or len(self._joins) != 1:
      return False
    first = next(iter(self._tables))
    columns = [
      e for e in group.expressions if isinstance(e, exp.Column) and self._owner(e) == first
    ]
    test = having.this
    if not any(self._is_unique(column) for column in columns) or not isinstance(
      test.this, exp.Count
    ):
      return False
    bound = test.args.get("expression")
    number = int(bound.this) if isinstance(bound, exp.Literal) and bound.is_int else None
    least = {exp.GT: 1, exp.GTE: 2, exp.EQ: 2}.get(type(test))
    return number is not None and least is not None and number >= least


def _conjuncts(node: exp.Expression) -> list[exp.Expression]:
  if isinstance(node, exp.Paren):
    return _conjuncts(node.this)
  return _conjuncts(node.left) + _conjuncts(node.right) if isinstance(node, exp.And) else [node]


def _argument(node: exp.Expression) -> exp.Expression:
  inner = node.this
  return inner.expressions[0] if isinstance(inner, exp.Distinct) else inner
