"""What the SELECTs of queries read and ask for: tables, joins, conditions, and the columns that
they show or rank by.

Just enough of a query to make rows for it. AND, OR and NOT are not told apart: whoever makes rows
for all the conditions, and for all but each one of them, serves them alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import sqlglot
from sqlglot import exp

from spftsql_jax.databases.instances.literals import literal_of
from spftsql_jax.schema import Schema, Table

# A column of a source: the number of the source, and the position of the column in its table.
Cell = tuple[int, int]

_OPERATORS: dict[type, str] = {
  exp.EQ: "=",
  exp.NEQ: "<>",
  exp.LT: "<",
  exp.LTE: "<=",
  exp.GT: ">",
  exp.GTE: ">=",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LARGEST_GROUP = 250


@dataclasses.dataclass(frozen=True)
class Condition:
  """A column compared with literals; `operator` as in `literals.holds`."""

  cell: Cell
  operator: str
  values: tuple


@dataclasses.dataclass(frozen=True)
class Selection:
  """One SELECT, or two that a set operation or a nested query ties together.

  Attributes:
    tables: the sources, in order; a table may stand there twice.
    joins: pairs of cells that are equal in a joined row.
    conditions: comparisons with literals.
    shown: cells that are projected, counted or grouped by.
    grouped: cells that are grouped by.
    ranked: cells that are ordered by, aggregated, or compared with a nested query's value.
    compared: those of them that are compared.
    group_sizes: literals that a COUNT is compared with.
    side: 1 on the left of a set operation, 2 on its right, else 0.
  """

  tables: tuple[Table, ...]
  joins: tuple[tuple[Cell, Cell], ...] = ()
  conditions: tuple[Condition, ...] = ()
  shown: tuple[Cell, ...] = ()
  grouped: tuple[Cell, ...] = ()
  ranked: tuple[Cell, ...] = ()
  compared: tuple[Cell, ...] = ()
  group_sizes: tuple[int, ...] = ()
  side: int = 0


def read_selections(queries: Iterable[str], schema: Schema) -> list[Selection]:
  """The selections of the queries, each once, in order; what cannot be parsed, or reads no table,
  gives none.
  """
  found: dict[Selection, None] = {}
  for sql in dict.fromkeys(queries):
    try:
      trees = sqlglot.parse(sql, read=schema.dialect)
    except (sqlglot.errors.SqlglotError, RecursionError):
      continue
    for tree in trees:
      if tree is not None:
        found.update(dict.fromkeys(_read_query(tree, schema)))
  return list(found)


def _read_query(tree: exp.Expr, schema: Schema) -> Iterable[Selection]:
  readers = {id(select): _Reader(select, schema) for select in tree.find_all(exp.Select)}
  read = {key: reader.read() for key, reader in readers.items() if reader.tables}
  for node in tree.find_all(exp.SetOperation):
    for side, branch in ((1, node.left), (2, node.right)):
      for select in _branches(branch):
        if id(select) in read:
          read[id(select)] = dataclasses.replace(read[id(select)], side=side)
  yield from read.values()
  for operation in tree.find_all(exp.SetOperation):
    for left in _branches(operation.left):
      for right in _branches(operation.right):
        if id(left) in read and id(right) in read:
          sides = zip(readers[id(left)].projected, readers[id(right)].projected, strict=False)
          yield _tie(read[id(left)], read[id(right)], [(a, b) for a, b in sides if a and b])
  for test in tree.find_all(exp.In, exp.EQ, exp.Exists):
    outer = test.find_ancestor(exp.Select)
    if outer is None or id(outer) not in read:
      continue
    for nested in _branches(test.args.get("query") or test.args.get("expression") or test.this):
      if id(nested) not in read:
        continue
      mine = readers[id(outer)].cell(test.this) if not isinstance(test, exp.Exists) else None
      theirs = next(iter(readers[id(nested)].projected), None)
      pairs = (
        [(mine, theirs)] if mine and theirs else readers[id(outer)].correlated(readers[id(nested)])
      )
      if pairs:
        yield _tie(read[id(outer)], read[id(nested)], pairs)


def _branches(node: exp.Expr | None) -> list[exp.Select]:
  """The SELECTs that a query consists of: itself, or the branches of its set operations."""
  while isinstance(node, exp.Subquery | exp.Paren):
    node = node.this
  if isinstance(node, exp.SetOperation):
    return _branches(node.left) + _branches(node.right)
  return [node] if isinstance(node, exp.Select) else []


def _tie(left: Selection, right: Selection, pairs: list[tuple[Cell, Cell]]) -> Selection:
  """Both selections as one, whose rows agree in the paired cells."""
  shift = len(left.tables)

  def move(cell: Cell) -> Cell:
    return cell[0] + shift, cell[1]

  return Selection(
    tables=left.tables + right.tables,
    joins=left.joins
    + tuple((move(a), move(b)) for a, b in right.joins)
    + tuple((a, move(b)) for a, b in pairs),
    conditions=left.conditions
    + tuple(dataclasses.replace(c, cell=move(c.cell)) for c in right.conditions),
    shown=left.shown,
    grouped=left.grouped,
    ranked=left.ranked + tuple(map(move, right.ranked)),
    compared=left.compared + tuple(map(move, right.compared)),
    group_sizes=left.group_sizes,
  )


class _Reader:
  """Reads one SELECT. Sources that are no tables (nested queries) are passed over with all that
  refers to them.
  """

  def __init__(self, select: exp.Select, schema: Schema):
    self._select = select
    self._dialect = schema.dialect
    self.tables: list[Table] = []
    self._aliases: dict[str, int] = {}
    origin = select.args.get("from_") or select.args.get("from")
    for source in [origin and origin.this, *(join.this for join in select.args.get("joins") or ())]:
      if isinstance(source, exp.Table):
        try:
          table = schema.table(source.name, source.db)
        except KeyError:
          continue
        if not table.is_view:
          self._aliases.setdefault(source.alias_or_name.lower(), len(self.tables))
          self.tables.append(table)
    self.projected = [self.cell(node.unalias()) for node in select.expressions]

  def cell(self, node: exp.Expr | None) -> Cell | None:
    """The cell that a column of this SELECT means, or None."""
    if isinstance(node, exp.Paren):
      return self.cell(node.this)
    if not isinstance(node, exp.Column):
      return None
    sources = list(range(len(self.tables)))
    if node.table:
      named = self._aliases.get(node.table.lower())
      sources = [] if named is None else [named]
    for source in sources:
      for position, column in enumerate(self.tables[source].columns):
        if column.name.lower() == node.name.lower():
          return source, position
    return None

  def _literal(self, node: exp.Expr | None) -> object:
    return literal_of(node, self._dialect)

  def read(self) -> Selection:
    """The selection."""
    select = self._select
    conditions: list[Condition] = []
    joins: list[tuple[Cell, Cell]] = []
    sizes: list[int] = []
    compared: list[Cell] = []
    for node in self._own(exp.Binary, exp.Between, exp.In):
      left, right = node.this, node.args.get("expression")
      cell, other = self.cell(left), self.cell(right)
      if isinstance(node, exp.EQ) and cell and other and self._literal(right) is None:
        joins.append((cell, other))
      elif isinstance(left, exp.Count) and type(node) in _OPERATORS:
        value = self._literal(right)
        sizes += [value] if isinstance(value, int) and value <= _LARGEST_GROUP else []
      elif cell and isinstance(right, exp.Subquery):
        compared.append(cell)
      elif condition := self._condition(node):
        conditions.append(condition)
    for join in select.args.get("joins") or ():
      for name in join.args.get("using") or ():
        cells = [self.cell(exp.column(name.name, table=alias)) for alias in self._aliases]
        present = [cell for cell in cells if cell]
        joins += zip(present, present[1:], strict=False)
    grouped = self._cells(select.args.get("group"))
    aggregated = [self.cell(node.this) for node in self._own(exp.Max, exp.Min, exp.Sum, exp.Avg)]
    counted = [cell for node in self._own(exp.Count) for cell in self._cells(node)]
    ranked = [
      *compared,
      *self._cells(select.args.get("order")),
      *(cell for cell in aggregated if cell),
    ]
    shown = [*(cell for cell in self.projected if cell), *counted, *grouped]
    return Selection(
      tables=tuple(self.tables),
      joins=tuple(dict.fromkeys(joins)),
      conditions=tuple(dict.fromkeys(conditions)),
      shown=tuple(dict.fromkeys(shown)),
      grouped=tuple(dict.fromkeys(grouped)),
      ranked=tuple(dict.fromkeys(ranked)),
      compared=tuple(dict.fromkeys(compared)),
      group_sizes=tuple(dict.fromkeys(sizes)),
    )

  def correlated(self, inner: _Reader) -> list[tuple[Cell, Cell]]:
    """Pairs of a cell of this SELECT and one of the nested SELECT `inner` that the nested one sets
    equal.
    """
    pairs = []
    for node in inner._own(exp.EQ):
      for near, far in ((node.this, node.expression), (node.expression, node.this)):
        if inner.cell(far) is None and (mine := self.cell(far)) and (theirs := inner.cell(near)):
          pairs.append((mine, theirs))
    return pairs

  def _own(self, *kinds: type[Any]) -> list[Any]:
    """The nodes of these kinds that belong to this SELECT and not to one inside it."""
    return [
      node
      for node in self._select.find_all(*kinds)
      if node.find_ancestor(exp.Select) is self._select
    ]

  def _cells(self, node: exp.Expr | None) -> list[Cell]:
    found = [self.cell(column) for column in node.find_all(exp.Column)] if node is not None else []
    return [cell for cell in found if cell]

  def _condition(self, node: exp.Expr) -> Condition | None:
    left, right = node.this, node.args.get("expression")
    if isinstance(left, exp.AggFunc) and not isinstance(left, exp.Count):
      # Met by a group of one row.
      left = left.this
    cell = self.cell(left)
    operator = _OPERATORS.get(type(node), "")
    if cell is None and operator and self._literal(left) is not None:
      cell, right, operator = self.cell(right), left, _MIRRORED.get(operator, operator)
    values = [self._literal(right)]
    if isinstance(node, exp.Is):
      return Condition(cell, "null", ()) if cell and isinstance(right, exp.Null) else None
    if isinstance(node, exp.Between):
      operator, values = (
        "between",
        [self._literal(node.args["low"]), self._literal(node.args["high"])],
      )
    elif isinstance(node, exp.In):
      operator, values = "in", [self._literal(entry) for entry in node.expressions]
    elif isinstance(node, exp.Like | exp.ILike):
      operator = "like"
    if cell is None or not operator or not values or None in values:
      return None
    return Condition(cell, operator, tuple(values))
