"""Reading a query with the small grammar that Spider's exact match is defined on.

The official reader knows one shape of SELECT: tables joined in a row and named with AS, conditions
without parentheses around them, one value or subquery on the right, columns looked up in the
schema. It cannot read what does not have this shape, and such a prediction counts as an empty
query; what stands behind the last clause that it knows it does not look at. Exact match depends on
both, so this reader has the same limits. (`components` takes any query apart, for hardness.)
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

Tables = dict[str, frozenset[str]]  # the columns of each table, all in lower case
Column = tuple[str, str, bool | None]  # (aggregate or "none", "table.column" or "*", DISTINCT)
# (arithmetic operator or "none", column, second column)
Operand = tuple[str, Column, Column | None]

_AGGREGATES = ("none", "max", "min", "count", "sum", "avg")
# Far more than any question needs, and far fewer than Python's stack holds.
_MOST_LEVELS = 150
_ARITHMETIC = ("none", "-", "+", "*", "/")
_OPERATORS = ("not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like", "is", "exists")
_SET_OPERATIONS = ("intersect", "union", "except")
_CLAUSES = ("select", "from", "where", "group", "order", "limit", *_SET_OPERATIONS)
_ENDS = (*_CLAUSES, ")", ";")
_AROUND_JOINS = ("join", "on", "as")
# What is a token wherever it stands: brackets, some signs, a comma or colon unless a digit follows,
# a last full stop. The rest is split at white space alone: "a=1" and "1,2" are one token each,
# which is why such predictions are not read.
_ALONE = re.compile(
  r"[\[\](){}<>;@#$%&?!*`«»“”‘’„]|--|\.{2,}|[,:](?!\d)|(?<=[^.])\.(?=[\])}>»”’ ]*\s*\Z)"
)
_STRING = re.compile("\ue000(\\d+)\ue000")


class NotReadError(ValueError):
  """The text does not have the shape that the grammar knows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
  """`operand [NOT] operator value [AND second value]`; a value is a number, a string in quotes, a
  column or a query.
  """

  negated: bool
  operator: str
  operand: Operand
  value: object
  second_value: object


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
  """One SELECT, and the query behind its set operation.

  Attributes:
    distinct: SELECT DISTINCT; None where it does not count.
    select: (aggregate, operand) pairs.
    tables: names, or queries in FROM.
    on, where, having: conditions with the connectors "and" and "or" between them.
    group: columns.
    order: (direction, operands), or None; the direction is the last one written, "asc" if none is.
    limit: whether there is a LIMIT.
    set_operation: (operator, query), or None.
  """

  distinct: bool | None = False
  select: tuple[tuple[str, Operand], ...] = ()
  tables: tuple[str | Query, ...] = ()
  on: tuple[Condition | str, ...] = ()
  where: tuple[Condition | str, ...] = ()
  group: tuple[Column, ...] = ()
  having: tuple[Condition | str, ...] = ()
  order: tuple[str, tuple[Operand, ...]] | None = None
  limit: bool = False
  set_operation: tuple[str, Query] | None = None


def read_query(sql: str, tables: Tables) -> Query:
  """Reads `sql` over a schema.

  Raises:
    NotReadError: it does not have the shape that the grammar knows, or names what the schema does
      not have.
  """
  tokens = _tokens(sql)
  # An alias holds in the whole text, also outside the query that defines it; the last one of a name
  # wins.
  names: dict[str, str] = {}
  for i, token in enumerate(tokens):
    if token == "as":
      if i + 1 == len(tokens):
        raise NotReadError("nothing behind AS")
      names[tokens[i + 1]] = tokens[i - 1]
  if clash := names.keys() & tables.keys():
    raise NotReadError(f"the alias {min(clash)} is the name of a table")
  names |= {table: table for table in tables}
  if sum(token in ("select", "(") for token in tokens) > _MOST_LEVELS:
    raise NotReadError("nested too deeply")
  return _Reader(tokens, names, tables).query()


def _tokens(sql: str) -> list[str]:
  pieces = sql.replace("'", '"').split('"')
  if len(pieces) % 2 == 0:
    raise NotReadError("a quote is not closed")
  strings = pieces[1::2]
  pieces[1::2] = [f"\ue000{i}\ue000" for i in range(len(strings))]
  tokens = _ALONE.sub(r" \g<0> ", "".join(pieces)).lower().split()
  # A string with something right beside it is no string, but no other token either.
  tokens = [
    f'"{strings[int(match[1])]}"' if (match := _STRING.fullmatch(token)) else token
    for token in tokens
  ]
  for i in range(len(tokens) - 1, 0, -1):
    if tokens[i] == "=" and tokens[i - 1] in ("!", ">", "<"):
      tokens[i - 1 : i + 1] = [tokens[i - 1] + "="]
  return tokens


class _Reader:
  """A place in the tokens, and how to go on from there. "" stands for the end."""

  def __init__(self, tokens: Sequence[str], names: dict[str, str], tables: Tables):
    self._tokens = tokens
    self._names = names
    self._tables = tables
    self._at = 0

  @property
  def _token(self) -> str:
    return self._tokens[self._at] if self._at < len(self._tokens) else ""

  def _take(self, *expected: str) -> bool:
    """Goes past the token if it is one of `expected`."""
    if self._token in expected:
      self._at += 1
      return True
    return False

  def _demand(self, *expected: str) -> str:
    token = self._token
    if not self._take(*expected):
      raise NotReadError(f"{token!r} where {' or '.join(expected)} was expected")
    return token

  def query(self) -> Query:
    start = self._at
    in_parentheses = self._take("(")
    # FROM is read first, since it says which tables a column without a table's name may belong to.
    select_at = self._at
    try:
      self._at = self._tokens.index("from", start) + 1
    except ValueError:
      raise NotReadError("no FROM") from None
    tables, on, default_tables = self._from()
    behind_from, self._at = self._at, select_at
    distinct, select = self._select(default_tables)
    self._at = behind_from
    where = self._conditions(default_tables) if self._take("where") else ()
    group = self._group(default_tables)
    having = self._conditions(default_tables) if self._take("having") else ()
    order = self._order(default_tables)
    limit = self._take("limit")
    if limit:
      if not self._token:
        raise NotReadError("nothing behind LIMIT")
      self._at += 1
    while self._take(";"):
      pass
    if in_parentheses:
      self._demand(")")
    while self._take(";"):
      pass
    operator = self._token
    set_operation = (operator, self.query()) if self._take(*_SET_OPERATIONS) else None
    return Query(distinct, select, tables, on, where, group, having, order, limit, set_operation)

  def _from(self) -> tuple[tuple[str | Query, ...], tuple[Condition | str, ...], list[str]]:
    tables: list[str | Query] = []
    on: list[Condition | str] = []
    default_tables: list[str] = []
    while self._token:
      in_parentheses = self._take("(")
      if self._token == "select":
        tables.append(self.query())
      else:
        self._take("join")
        table = self._names.get(self._token, "")
        if table not in self._tables:
          raise NotReadError(f"{self._token!r} is no table")
        self._at += 1
        if self._token == "as":
          self._at += 2
        tables.append(table)
        default_tables.append(table)
      if self._take("on"):
        conditions = self._conditions(default_tables)
        on += ["and", *conditions] if on else conditions
      if in_parentheses:
        self._demand(")")
      if self._token in _ENDS:
        break
    return tuple(tables), tuple(on), default_tables

  def _select(self, default_tables: list[str]) -> tuple[bool, tuple[tuple[str, Operand], ...]]:
    self._demand("select")
    distinct = self._take("distinct")
    selected = []
    while self._token and self._token not in _CLAUSES:
      aggregate = self._token if self._token in _AGGREGATES else "none"
      self._take(*_AGGREGATES)
      selected.append((aggregate, self._operand(default_tables)))
      self._take(",")
    return distinct, tuple(selected)

  def _group(self, default_tables: list[str]) -> tuple[Column, ...]:
    columns: list[Column] = []
    if self._take("group"):
      self._demand("by")
      while self._token and self._token not in _ENDS:
        columns.append(self._column(default_tables))
        if not self._take(","):
          break
    return tuple(columns)

  def _order(self, default_tables: list[str]) -> tuple[str, tuple[Operand, ...]] | None:
    if not self._take("order"):
      return None
    self._demand("by")
    direction, operands = "asc", []
    while self._token and self._token not in _ENDS:
      operands.append(self._operand(default_tables))
      if self._token in ("asc", "desc"):
        direction = self._demand("asc", "desc")
      if not self._take(","):
        break
    return direction, tuple(operands)

  def _conditions(self, default_tables: list[str]) -> tuple[Condition | str, ...]:
    conditions: list[Condition | str] = []
    while self._token:
      operand = self._operand(default_tables)
      negated = self._take("not")
      operator = self._demand(*_OPERATORS)
      value, second_value = self._value(default_tables), None
      if operator == "between":
        self._demand("and")
        second_value = self._value(default_tables)
      conditions.append(Condition(negated, operator, operand, value, second_value))
      if self._token in _ENDS or self._token in _AROUND_JOINS:
        break
      if self._token in ("and", "or"):
        conditions.append(self._demand("and", "or"))
    return tuple(conditions)

  def _operand(self, default_tables: list[str]) -> Operand:
    in_parentheses = self._take("(")
    left = self._column(default_tables)
    operator, right = "none", None
    if self._token in _ARITHMETIC:
      operator = self._demand(*_ARITHMETIC)
      right = self._column(default_tables)
    if in_parentheses:
      self._demand(")")
    return operator, left, right

  def _column(self, default_tables: list[str]) -> Column:
    in_parentheses = self._take("(")
    aggregate = self._token
    if self._take(*_AGGREGATES):
      # The parenthesis that was opened before an aggregate stays open: the official reader forgets
      # it.
      self._demand("(")
      distinct = self._take("distinct")
      name = self._name(default_tables)
      self._demand(")")
      return aggregate, name, distinct
    distinct = self._take("distinct")
    name = self._name(default_tables)
    if in_parentheses:
      self._demand(")")
    return "none", name, distinct

  def _name(self, default_tables: list[str]) -> str:
    token = self._token
    self._at += 1
    if token == "*":
      return token
    if "." in token:
      alias, _, column = token.partition(".")
      table = self._names.get(alias, "")
      if column in self._tables.get(table, ()):
        return f"{table}.{column}"
    else:
      for table in default_tables:
        if token in self._tables[table]:
          return f"{table}.{token}"
    raise NotReadError(f"{token!r} is no column")

  def _value(self, default_tables: list[str]) -> object:
    start = self._at
    in_parentheses = self._take("(")
    value: object
    if self._token == "select":
      value = self.query()
    elif '"' in self._token:
      value = self._token
      self._at += 1
    else:
      try:
        value = float(self._token)
        self._at += 1
      except ValueError:
        value = self._column_as_value(start, default_tables)
    if in_parentheses:
      self._demand(")")
    return value

  def _column_as_value(self, start: int, default_tables: list[str]) -> Column:
    """A column on the right of an operator takes all up to the next comma, parenthesis, AND or
    clause, and only its beginning
    is read: "a = b OR c = d" ends the conditions there.
    """
    end = self._at
    while end < len(self._tokens) and self._tokens[end] not in (
      ",",
      ")",
      "and",
      *_CLAUSES,
      *_AROUND_JOINS,
    ):
      end += 1
    column = _Reader(self._tokens[start:end], self._names, self._tables)._column(default_tables)
    self._at = end
    return column
