"""A query taken apart into its clauses: what hardness is counted on.

Reads tokens and parentheses, not a full grammar: some 50 us a query, and any dialect gives an
answer. (A full parser takes a millisecond, and evaluating a thousand predictions should take less
than a second.)
"""

from __future__ import annotations

import dataclasses

from spftsql_jax.sql import statements

# A token: text, or a parenthesised group of tokens.
Token = str | list

SET_OPERATIONS = ("intersect", "union", "except")
AGGREGATES = ("max", "min", "count", "sum", "avg")
_OPERATORS = (
  "between",
  "=",
  "==",
  ">",
  "<",
  ">=",
  "<=",
  "!=",
  "<>",
  "in",
  "like",
  "glob",
  "ilike",
  "is",
  "exists",
)
_CLAUSES = {"select": 1, "from": 1, "where": 1, "group": 2, "having": 1, "order": 2, "limit": 1}
_MERGED = frozenset({">=", "<=", "!=", "<>", "==", "||"})


@dataclasses.dataclass
class Condition:
  """One comparison: `left operator values`; a value that is a subquery is a `Components`."""

  negated: bool
  operator: str
  left: list[Token]
  values: list[list[Token] | Components]

  def subqueries(self) -> list[Components]:
    return [value for value in self.values if isinstance(value, Components)]


@dataclasses.dataclass
class Components:
  """The clauses of one SELECT. Conditions alternate with "and" and "or", in the order of the text,
  parentheses dissolved.
  """

  distinct: bool = False
  select: list[list[Token]] = dataclasses.field(default_factory=list)
  tables: list[list[Token]] = dataclasses.field(default_factory=list)
  on: list[Condition | str] = dataclasses.field(default_factory=list)
  where: list[Condition | str] = dataclasses.field(default_factory=list)
  group: list[list[Token]] = dataclasses.field(default_factory=list)
  having: list[Condition | str] = dataclasses.field(default_factory=list)
  order: list[list[Token]] = dataclasses.field(default_factory=list)
  descending: bool = False
  limit: bool = False
  set_operation: tuple[str, Components] | None = None


def take_apart(sql: str) -> Components:
  """The components of a query. Text that is no query gives empty components."""
  return _take_apart(_tree(sql))


def _tree(sql: str) -> list[Token]:
  """Tokens in lower case (quoted ones as they are) with each parenthesis as a list."""
  root: list[Token] = []
  stack = [root]
  for kind, text in statements.tokens(sql):
    top = stack[-1]
    if text == "(":
      group: list[Token] = []
      top.append(group)
      stack.append(group)
    elif text == ")":
      if len(stack) > 1:
        stack.pop()
    elif kind == "other":
      # "> =" counts as ">=", as everywhere in Spider's tools.
      if top and isinstance(top[-1], str) and top[-1] + text in _MERGED:
        top[-1] += text
      elif text != ";":
        top.append(text)
    else:
      top.append(text if kind in ("string", "quoted") else text.lower())
  return root


def _take_apart(tokens: list[Token]) -> Components:
  while len(tokens) == 1 and isinstance(tokens[0], list):
    tokens = tokens[0]
  if tokens and tokens[0] == "with":
    # The common tables are not counted, as little as what stands in FROM.
    start = next((i for i, token in enumerate(tokens) if token == "select"), len(tokens))
    tokens = tokens[start:]
  result = Components()
  for i, token in enumerate(tokens):
    if isinstance(token, str) and token in SET_OPERATIONS:
      rest = tokens[i + 1 :]
      if rest and rest[0] in ("all", "distinct"):
        rest = rest[1:]
      result.set_operation = (token, _take_apart(rest))
      tokens = tokens[:i]
      break
  while len(tokens) == 1 and isinstance(tokens[0], list):
    tokens = tokens[0]
  parts = _clauses(tokens)
  select = parts.get("select", [])
  if select and select[0] == "distinct":
    result.distinct, select = True, select[1:]
  result.select = _split(select, ",")
  result.tables, result.on = _tables(parts.get("from", []))
  result.where = _conditions(parts.get("where", []))
  result.group = _split(parts.get("group", []), ",")
  result.having = _conditions(parts.get("having", []))
  result.order = _split(parts.get("order", []), ",")
  result.descending = bool(result.order) and "desc" in result.order[-1]
  result.limit = "limit" in parts
  return result


def _clauses(tokens: list[Token]) -> dict[str, list[Token]]:
  parts: dict[str, list[Token]] = {}
  current: list[Token] = []
  skip = 0
  for i, token in enumerate(tokens):
    if skip:
      skip -= 1
    elif (
      isinstance(token, str)
      and token in _CLAUSES
      and (_CLAUSES[token] == 1 or tokens[i + 1 : i + 2] == ["by"])
    ):
      current = parts.setdefault(token, [])
      skip = _CLAUSES[token] - 1
    else:
      current.append(token)
  return parts


def _split(tokens: list[Token], separator: str) -> list[list[Token]]:
  pieces: list[list[Token]] = [[]]
  for token in tokens:
    if token == separator:
      pieces.append([])
    else:
      pieces[-1].append(token)
  return [piece for piece in pieces if piece]


def _tables(tokens: list[Token]) -> tuple[list[list[Token]], list[Condition | str]]:
  """Table mentions (with their aliases), and the conditions of all ON clauses in one row."""
  tables: list[list[Token]] = [[]]
  conditions: list[Condition | str] = []
  current = tables[0]
  on: list[Token] | None = None

  def end_on() -> None:
    if on is not None:
      if conditions:
        conditions.append("and")
      conditions.extend(_conditions(on))

  for token in tokens:
    if token in (",", "join"):
      end_on()
      on = None
      current = []
      tables.append(current)
    elif token == "on":
      end_on()
      on = []
    elif on is not None:
      if token not in ("left", "right", "inner", "outer", "full", "cross", "natural"):
        on.append(token)
    else:
      current.append(token)
  end_on()
  return [table for table in tables if table], conditions


def _conditions(tokens: list[Token]) -> list[Condition | str]:
  """Conditions and the connectors between them."""
  result: list[Condition | str] = []
  current: list[Token] = []
  between = False
  for token in [*tokens, "and"]:
    if token == "between":
      between = True
    if token in ("and", "or") and not (between and token == "and"):
      if len(current) == 1 and isinstance(current[0], list) and current[0][:1] != ["select"]:
        result.extend(_conditions(current[0]))
      elif current:
        result.append(_condition(current))
      result.append(token)
      current = []
    else:
      if between and token == "and":
        between = False
      current.append(token)
  if current:
    # BETWEEN without its AND took the end mark.
    result.append(_condition(current[:-1]))
  while result and isinstance(result[-1], str):
    result.pop()
  return result


def _condition(tokens: list[Token]) -> Condition:
  for i, token in enumerate(tokens):
    if isinstance(token, str) and token in _OPERATORS:
      left, right = tokens[:i], tokens[i + 1 :]
      negated = "not" in left[-1:] or left[:1] == ["not"]
      left = [part for part in left if part != "not"]
      pieces = _split(right, "and") if token == "between" else [right]
      return Condition(negated, token, left, [_value(piece) for piece in pieces])
  return Condition(tokens[:1] == ["not"], "", tokens, [])


def _value(tokens: list[Token]) -> list[Token] | Components:
  inner = tokens
  while len(inner) == 1 and isinstance(inner[0], list):
    inner = inner[0]
  if inner and inner[0] in ("select", "with"):
    return _take_apart(inner)
  return tokens
