"""What a template compiles to: the facts that filling it needs, and its query with FROM."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from sqlglot import exp

from spftsql_jax.synthesis.dialects import SlottedQuery
from spftsql_jax.synthesis.notation import read_template
from spftsql_jax.synthesis.slots import (
  ColumnSlot,
  LinkSlot,
  StarSlot,
  TableSlot,
  UnsupportedTemplate,
  find_table_slots,
)
from spftsql_jax.synthesis.value_specs import ValueSpec, read_values, without_links


@dataclasses.dataclass(frozen=True)
class ColumnSpec:
  """What is asked of the column for a slot.

  Attributes:
    number: of the slot.
    letter: of its table.
    kind: one of `slots.KINDS`.
    refers_to: the number of the slot that this foreign key refers to.
    refers_to_table: the letter of the table that it refers to.
    uses: where it stands: select, distinct, group, alone (grouped by in a query over one table),
      like, null, optional, equal, compare, united (with a column of another table), combined (with
      the same column of other rows), share (what has one value of it is counted beside others), ...
  """

  number: int
  letter: str
  kind: str
  refers_to: int | None
  refers_to_table: str | None
  uses: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Scope:
  """A SELECT.

  Attributes:
    parent: the number of the SELECT around it; -1 for none.
    letters: the tables that it reads, in the order of their appearance.
    counted: those of them whose rows it counts.
    optional: those that a left join adds.
    correlated: it names a table of the query around it, or a query in it names one of its tables.
    has_source: the template's text gives it a FROM (a nested query).
  """

  parent: int
  letters: tuple[str, ...]
  counted: frozenset[str]
  optional: frozenset[str]
  correlated: bool
  has_source: bool


@dataclasses.dataclass(frozen=True)
class Listing:
  """What a SELECT without groups, aggregates and DISTINCT lists: rows, not values.

  Attributes:
    returned: the tables whose columns it returns, in their order.
    said: the tables of which its conditions say something.
    ordered: the tables by whose columns it is ordered, where it has a LIMIT.
    limited: it has a LIMIT.
  """

  returned: tuple[str, ...]
  said: frozenset[str]
  ordered: tuple[str, ...]
  limited: bool


# Of a scope that is the right side of an INTERSECT: the scope of the left side, and the (left,
# right) slots that they return.
Meeting = tuple[int, tuple[tuple[int, int], ...]]


@dataclasses.dataclass(frozen=True)
class Compiled:
  """What the sampler needs of a template.

  Attributes:
    slots: the column slots by number.
    values: the value slots.
    scopes: the SELECTs, in the order of the text.
    query: the query: SQL with a `TableSlot` in each FROM, and without LINKED and OPTIONAL.
    alike: pairs of slots whose values are compared, so that their columns must share some.
    meetings: by the scope that is the right side of an INTERSECT, what it has to meet.
    listing: of a query that lists rows.
    grouped: the slots whose values are the groups of a query without HAVING and LIMIT.
    conditioned: a condition leaves some of its rows out.
  """

  slots: dict[int, ColumnSpec]
  values: tuple[ValueSpec, ...]
  scopes: tuple[Scope, ...]
  query: SlottedQuery
  alike: tuple[tuple[int, int], ...] = ()
  meetings: dict[int, Meeting] = dataclasses.field(default_factory=dict)
  listing: Listing | None = None
  grouped: tuple[int, ...] = ()
  conditioned: bool = False


@functools.lru_cache(maxsize=20_000)
def compile_template(text: str) -> Compiled:
  """Compiles a template's text. Raises UnsupportedTemplate."""
  tree = read_template(text)
  selects = list(tree.find_all(exp.Select, bfs=False))
  scopes = _read_scopes(tree, selects)
  slots = _read_columns(tree, selects, scopes)
  values = read_values(tree, {id(select): index for index, select in enumerate(selects)}, slots)
  alike, meetings = _alike(tree, slots), _meetings(tree, selects)
  listing, grouped = _listing(tree), _grouped_values(tree, scopes)
  conditioned = tree.args.get("where") is not None
  query = SlottedQuery(without_links(tree))
  return Compiled(
    slots, tuple(values), scopes, query, alike, meetings, listing, grouped, conditioned
  )


def _read_scopes(tree: exp.Expr, selects: list[exp.Select]) -> tuple[Scope, ...]:
  """The scopes of a template; its slots are told theirs, and each SELECT gets its FROM."""
  index_of = {id(select): index for index, select in enumerate(selects)}
  parents = [index_of.get(id(select.find_ancestor(exp.Select)), -1) for select in selects]
  letters: list[dict[str, None]] = [{} for _ in selects]
  counted: list[set[str]] = [set() for _ in selects]
  optional: list[set[str]] = [set() for _ in selects]
  correlated: set[int] = set()
  for node in tree.dfs():
    if not isinstance(node, (ColumnSlot, StarSlot, LinkSlot)):
      continue
    own = index_of.get(id(node.find_ancestor(exp.Select)), -1)
    outer = not isinstance(node, LinkSlot) and node.outer
    scope = parents[own] if outer and own >= 0 else own
    if not isinstance(node, LinkSlot):
      # The order of a set operation names the columns of its first SELECT.
      node.set("scope", 0 if own == -1 else scope)
    if outer:
      correlated |= {own, scope}
    if own == -1 or scope == -1:
      continue
    letters[scope].setdefault(node.letter)
    if isinstance(node, LinkSlot) and node.optional:
      optional[scope].add(node.letter)
    if isinstance(node, StarSlot) and not outer and isinstance(node.parent, exp.Count):
      counted[scope].add(node.letter)
  found = []
  for index, select in enumerate(selects):
    has_source = select.args.get("from_") is not None
    if not has_source:
      select.set("from_", exp.From(this=TableSlot(scope=index)))
    found.append(
      Scope(
        parents[index],
        tuple(letters[index]),
        frozenset(counted[index]),
        frozenset(optional[index]),
        index in correlated,
        has_source,
      )
    )
  return tuple(found)


def _read_columns(
  tree: exp.Expr, selects: list[exp.Select], scopes: tuple[Scope, ...]
) -> dict[int, ColumnSpec]:
  """The column slots of a template. Raises UnsupportedTemplate where one stands for two columns."""
  alone = _grouped_alone(selects, scopes)
  optional = {letter for scope in scopes for letter in scope.optional}
  found: dict[int, ColumnSpec] = {}
  for slot in tree.find_all(ColumnSlot, bfs=False):
    number, table = slot.number, slot.letter[0]
    known = found.get(number)
    if known is not None and (known.letter, known.kind) != (table, slot.kind):
      raise UnsupportedTemplate(f"slot {number} stands for two columns")
    uses = _uses(slot) | ({"alone"} if number in alone else set())
    found[number] = ColumnSpec(
      number,
      table,
      slot.kind,
      (known and known.refers_to) or slot.refers_to,
      (known and known.refers_to_table) or slot.refers_to_table,
      uses | ({"optional"} if table in optional else set()) | (known.uses if known else set()),
    )
  for operation in tree.find_all(exp.SetOperation):
    for pair in zip(_returned(operation.this), _returned(operation.expression), strict=False):
      united = [found[number] for number in pair if number is not None]
      several = len({spec.letter for spec in united}) > 1
      use = {"united"} if several else set() if isinstance(operation, exp.Union) else {"combined"}
      for spec in united:
        found[spec.number] = dataclasses.replace(spec, uses=found[spec.number].uses | use)
  return found


def _grouped_alone(selects: list[exp.Select], scopes: tuple[Scope, ...]) -> set[int]:
  """The slots that a SELECT over one table groups by."""
  found = set()
  for select, scope in zip(selects, scopes, strict=True):
    group = select.args.get("group")
    if group is not None and len(scope.letters) == 1:
      found |= {item.number for item in group.expressions if isinstance(item, ColumnSlot)}
  return found


# The use that a column has below such a node.
_USES: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
  ((exp.Distinct,), "distinct"),
  ((exp.Like, exp.Glob), "like"),
  ((exp.Is,), "null"),
  ((exp.EQ, exp.NEQ, exp.In), "equal"),
  ((exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between), "compare"),
  ((exp.Add, exp.Sub, exp.Mul, exp.Div), "arithmetic"),
  ((exp.And,), "conjunct"),
  ((exp.Group,), "group"),
  ((exp.Order,), "order"),
)


def _uses(column: ColumnSlot) -> frozenset[str]:
  """Where a column stands in the query, from itself up to its SELECT."""
  uses: set[str] = set()
  node: exp.Expr = column
  while node.parent is not None and not isinstance(node, exp.Select):
    parent = node.parent
    if "equal" in uses and _counts_a_share(parent, node):
      uses.add("share")
    if isinstance(parent, exp.AggFunc):
      uses.add(parent.key)
    elif isinstance(parent, exp.Select) and node.arg_key == "expressions":
      uses.add("distinct" if parent.args.get("distinct") else "select")
    else:
      uses |= {use for kinds, use in _USES if isinstance(parent, kinds)}
    node = parent
  return frozenset(uses)


def _counts_a_share(parent: exp.Expr, condition: exp.Expr) -> bool:
  """Whether rows of a condition are counted by a CASE, or as a quotient."""
  if isinstance(parent, exp.Select) and condition.arg_key == "where":
    return any(quotient.find(exp.Count) for quotient in parent.find_all(exp.Div))
  return isinstance(parent, exp.AggFunc)


def _listing(tree: exp.Expr) -> Listing | None:
  if not isinstance(tree, exp.Select) or any(tree.args.get(part) for part in ("distinct", "group")):
    return None
  if any(item.find(exp.AggFunc) for item in tree.selects):
    return None
  where, limited = tree.args.get("where"), tree.args.get("limit") is not None
  conditions = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else []
  said = [_own_letters(node) for node in (conditions or ([where.this] if where else []))]
  order = tree.args["order"].expressions if limited and tree.args.get("order") else []
  returned, ordered = (
    tuple(dict.fromkeys(letter for item in items for letter in _own_letters(item)))
    for items in (tree.selects, order)
  )
  # Of two tables that are alternatives, neither need have a row.
  alone = (letters for letters in said if len(letters) == 1)
  return Listing(returned, frozenset().union(*alone), ordered, limited)


def _own_letters(node: exp.Expr) -> list[str]:
  """The tables of the whole query whose columns a part of it names."""
  slots = [slot for slot in find_table_slots(node) if isinstance(slot, ColumnSlot | StarSlot)]
  return list(dict.fromkeys(slot.letter for slot in slots if slot.scope == 0))


def _grouped_values(tree: exp.Expr, scopes: tuple[Scope, ...]) -> tuple[int, ...]:
  group = tree.args.get("group")
  if len(scopes) > 1 or not group or any(tree.args.get(part) for part in ("having", "limit")):
    return ()
  slots = [_slot_of(item) for item in group.expressions]
  return tuple(slot for slot in slots if slot is not None) if None not in slots else ()


def _slot_of(node: exp.Expr | None) -> int | None:
  """The number of the column slot that a node is, or that a SELECT of one column returns."""
  while isinstance(node, (exp.Paren, exp.Subquery, exp.Alias)):
    node = node.this
  if isinstance(node, exp.Select):
    return _slot_of(node.selects[0]) if len(node.selects) == 1 else None
  return node.number if isinstance(node, ColumnSlot) else None


def _returned(query: exp.Expr) -> list[int | None]:
  """The slots that a query without a set operation returns, column by column."""
  while isinstance(query, (exp.Paren, exp.Subquery)):
    query = query.this
  return [_slot_of(item) for item in query.selects] if isinstance(query, exp.Select) else []


def _alike(tree: exp.Expr, slots: dict[int, ColumnSpec]) -> tuple[tuple[int, int], ...]:
  pairs: list[tuple[int | None, int | None]] = []
  for operation in tree.find_all(exp.Intersect, exp.Except):
    pairs += zip(_returned(operation.this), _returned(operation.expression), strict=False)
  for node in tree.find_all(exp.EQ, exp.In):
    other = node.expression if isinstance(node, exp.EQ) else node.args.get("query")
    pairs.append((_slot_of(node.this), _slot_of(other)))

  def compared() -> Iterator[tuple[int, int]]:
    for left, right in pairs:
      if left is None or right is None or left == right:
        continue
      # A key and what refers to it are alike as it is.
      if slots[left].refers_to is None and slots[right].refers_to is None:
        yield left, right

  return tuple(compared())


def _meetings(tree: exp.Expr, selects: list[exp.Select]) -> dict[int, Meeting]:
  index_of = {id(select): index for index, select in enumerate(selects)}
  found: dict[int, Meeting] = {}
  for operation in tree.find_all(exp.Intersect):
    left, right = (
      side.this if isinstance(side, exp.Subquery) else side
      for side in (operation.this, operation.expression)
    )
    if isinstance(left, exp.Select) and isinstance(right, exp.Select):
      pairs = zip(_returned(left), _returned(right), strict=False)
      known = tuple((one, other) for one, other in pairs if one is not None and other is not None)
      found[index_of[id(right)]] = (index_of[id(left)], known)
  return found
