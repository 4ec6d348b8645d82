"""The rewriting of one query into a template.

Which table has which letter, which column which slot, which literal which value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from spftsql_jax.columns.roles import Role
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.query_sources import Sources, read_sources
from spftsql_jax.synthesis.slots import (
  ColumnSlot,
  LinkSlot,
  StarSlot,
  UnsupportedTemplate,
  ValueSlot,
)

# The parts of a SELECT in which columns stand, in the order in which they are read.
_PARTS = (
  "expressions",
  "where",
  "group",
  "having",
  "order",
  "limit",
  "windows",
  "qualify",
  "offset",
)
_COMPARISONS = (
  exp.EQ,
  exp.NEQ,
  exp.GT,
  exp.GTE,
  exp.LT,
  exp.LTE,
  exp.Between,
  exp.In,
  exp.Like,
  exp.Glob,
)


class Rewriting:
  """Rewrites one query, in place."""

  def __init__(self, schema: Schema, roles: Mapping[tuple[str, str], Role]):
    self._schema = schema
    self._roles = roles
    self._columns = {
      table.name.lower(): {column.name.lower() for column in table.columns}
      for table in schema.tables
    }
    self._letters: dict[str, str] = {}
    self._numbers: dict[tuple[str, str], int] = {}
    self._values: dict[tuple[str, str], ValueSlot] = {}
    self._value_counts: dict[str, int] = {}

  def rewrite(self, tree: exp.Expr, parent: Sources | None) -> Sources:
    """Rewrites a query; returns the sources of its first SELECT. Raises UnsupportedTemplate."""
    if isinstance(tree, exp.Subquery):
      return self.rewrite(tree.this, parent)
    if isinstance(tree, exp.SetOperation):
      first = self.rewrite(tree.this, parent)
      self.rewrite(tree.expression, parent)
      for part in ("order", "limit"):
        if tree.args.get(part):
          self._rewrite_expression(tree.args[part], first)
      return first
    if not isinstance(tree, exp.Select):
      raise UnsupportedTemplate("not one SELECT")
    return self._rewrite_select(tree, parent)

  def _rewrite_select(self, select: exp.Select, parent: Sources | None) -> Sources:
    sources = Sources(parent, self._columns)
    read_sources(
      select, sources, self._schema, self._letters, lambda query: self.rewrite(query, None)
    )
    _inline_aliases(select, sources)
    for part in _PARTS:
      value = select.args.get(part)
      for node in value if isinstance(value, list) else [value] if value is not None else []:
        self._rewrite_expression(node, sources)
    _mark_tables(select, sources)
    return sources

  def _rewrite_expression(self, root: exp.Expr, sources: Sources) -> None:
    """Rewrites the columns, literals and nested queries below `root`."""
    literals: list[exp.Expr] = []
    for node in list(_walk_one_query(root)):
      if isinstance(node, (exp.Select, exp.SetOperation)):
        self.rewrite(node, sources)
      elif isinstance(node, exp.Star) and not isinstance(node.parent, (exp.Column, exp.Count)):
        tables = sources.named_tables()
        if len(tables) == 1:
          node.replace(StarSlot(letter=sources.letters[tables[0]]))
          sources.mentioned.add(tables[0])
      elif isinstance(node, exp.Column):
        self._rewrite_column(node, sources, literals)
      elif isinstance(node, (exp.Literal, exp.Boolean)):
        literals.append(node)
      elif isinstance(node, exp.Placeholder):
        raise UnsupportedTemplate("a parameter")
    for literal in literals:
      self._rewrite_literal(literal)

  def _rewrite_column(self, column: exp.Column, sources: Sources, literals: list[exp.Expr]) -> None:
    star = isinstance(column.this, exp.Star)
    at: Sources | None = sources
    alias: str | None = None
    while at is not None:
      alias = column.table.lower() if star else at.alias_of(column)
      if alias is not None and alias in at.tables:
        break
      if None in at.tables.values():
        return  # A column of a derived table keeps the name that its query gives it.
      at = at.parent
    if at is None or alias is None:
      if column.table or not column.this.args.get("quoted"):
        raise UnsupportedTemplate(f"no such column: {column.sql()}")
      literal = exp.Literal.string(column.name)
      column.replace(literal)
      literals.append(literal)
      return
    if at is not sources and at is not sources.parent:
      raise UnsupportedTemplate("a reference to a query two levels up")
    table = at.tables[alias]
    if table is None:
      raise UnsupportedTemplate("a column of a derived table named with its alias")
    at.mentioned.add(alias)
    letter, outer = at.letters[alias], at is not sources
    if star:
      column.replace(StarSlot(letter=letter, outer=outer))
      return
    place = table, column.name.lower()
    number = self._numbers.setdefault(place, len(self._numbers) + 1)
    kind = self._roles[place].kind
    column.replace(ColumnSlot(letter=letter, outer=outer, kind=kind, number=number))

  def mark_references(self, tree: exp.Expr) -> None:
    """Lets each foreign key slot say what it refers to.

    A slot, or a table of the query, or what another one refers to.
    """
    references = {number: self._reference(*place) for place, number in self._numbers.items()}
    for slot in tree.find_all(ColumnSlot):
      for name, value in references[slot.number].items():
        slot.set(name, value)

  def _reference(self, table: str, column: str) -> dict[str, int | str]:
    """What the slot of a column refers to, as arguments of a `ColumnSlot`."""
    target = self._roles[(table, column)].refers_to
    if target is None:
      return {}
    if target in self._numbers and target != (table, column):
      kind = self._roles[target].kind
      named = kind in ("key", "ref")
      return {"refers_as": kind, "refers_to": self._numbers[target]} if named else {}
    if target[0] in self._letters and target[0] != table:
      return {"refers_to_table": self._letters[target[0]]}
    number = self._numbers[(table, column)]
    for place, other in self._numbers.items():
      if other < number and self._roles[place].refers_to == target:
        return {"refers_as": "ref", "refers_to": other}
    return {}

  def _rewrite_literal(self, literal: exp.Expr) -> None:
    parent = literal.parent
    node: exp.Expr = literal
    while isinstance(parent, (exp.Paren, exp.Neg)):
      node, parent = parent, parent.parent
    if isinstance(parent, exp.Limit):
      if literal.name != "1" and isinstance(literal, exp.Literal) and literal.is_int:
        node.replace(self._value_slot("limit", None, literal.name))
      return
    if not isinstance(parent, _COMPARISONS):
      return
    other = parent.this if parent.this is not node else parent.args.get("expression")
    if other is None or isinstance(parent, exp.In) and node is parent.this:
      return
    if other.find(exp.Count):
      node.replace(self._value_slot("count", None, literal.name))
    elif not isinstance(other, exp.Subquery):
      column = other.find(exp.Column)
      if isinstance(column, ColumnSlot):
        node.replace(self._value_slot(column.kind, column.number, node.sql()))

  def _value_slot(self, kind: str, number: int | None, value: str) -> ValueSlot:
    """The slot of a value: the same one where it has come for the same column."""
    slot = ValueSlot(kind=kind, number=number)
    key = (slot.of, value)
    if key not in self._values:
      count = self._value_counts[slot.of] = self._value_counts.get(slot.of, 0) + 1
      slot.set("index", count if count > 1 else None)
      self._values[key] = slot
    return self._values[key].copy()


def _inline_aliases(select: exp.Select, sources: Sources) -> None:
  """Replaces an output alias used later in the query by its expression.

  Without a derived table it names nothing.
  """
  outputs = {
    item.alias.lower(): item.this for item in select.expressions if isinstance(item, exp.Alias)
  }
  for part in ("where", "group", "having", "order"):
    for column in list(select.args[part].find_all(exp.Column)) if select.args.get(part) else []:
      name = column.name.lower()
      if not column.table and name in outputs and sources.alias_of(column) is None:
        column.replace(outputs[name].copy())
  for part in ("group", "order"):
    for item in select.args[part].expressions if select.args.get(part) else []:
      position = item.this if isinstance(item, exp.Ordered) else item
      if not isinstance(position, exp.Literal) or not position.is_int:
        continue
      if 1 <= int(position.this) <= len(select.expressions):
        position.replace(select.expressions[int(position.this) - 1].unalias().copy())
  nested = isinstance(select.parent, exp.Subquery) and isinstance(select.parent.parent, exp.From)
  for item in list(select.expressions) if not nested else []:
    if isinstance(item, exp.Alias):
      item.replace(item.this)


def _mark_tables(select: exp.Select, sources: Sources) -> None:
  """Names the tables of which nothing is named.

  COUNT(*) gets the table whose rows it counts, the other leaves of the join their LINKED.
  """
  tables = sources.named_tables()
  if not tables:
    return
  degree = {alias: {pair for pair in sources.connections if alias in pair} for alias in tables}
  leaves = [
    alias
    for alias in tables
    if alias not in sources.mentioned and (len(degree[alias]) <= 1 or len(tables) == 1)
  ]
  counts = [
    node
    for node in _walk_one_query(select, enter=True)
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Star)
  ]
  if counts:
    counted = leaves.pop(0) if leaves else tables[0] if len(tables) == 1 else None
    if counted is not None:
      for count in counts:
        count.set("this", StarSlot(letter=sources.letters[counted]))
      sources.mentioned.add(counted)
  marks = [(alias, alias in sources.optional) for alias in leaves]
  marks += [(alias, True) for alias in tables if alias in sources.optional & sources.mentioned]
  links = [LinkSlot(letter=sources.letters[alias], optional=optional) for alias, optional in marks]
  if links:
    where = select.args.get("where")
    old = where.this if where else None
    kept = [] if old is None else [exp.paren(old) if isinstance(old, exp.Or) else old]
    select.set("where", exp.Where(this=exp.and_(*kept, *links)))


def _walk_one_query(root: exp.Expr, enter: bool = False) -> Iterator[exp.Expr]:
  """Nodes below `root` in text order, nested queries as one node."""
  stack = [root]
  while stack:
    node = stack.pop()
    nested = isinstance(node, (exp.Select, exp.SetOperation)) and (node is not root or not enter)
    if node is not root or not enter:
      yield node
    if not nested:
      stack.extend(reversed(list(node.iter_expressions())))
