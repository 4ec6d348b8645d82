"""What a template says of the values that its conditions compare with."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from sqlglot import exp

from spftsql_jax.synthesis.dialects import SlottedQuery
from spftsql_jax.synthesis.slots import (
  ColumnSlot,
  LinkSlot,
  StarSlot,
  TableSlot,
  UnsupportedTemplate,
  ValueSlot,
  find_table_slots,
)

_PROBED_ROWS = 500
_OPERATORS: dict[type[exp.Expr], str] = {
  exp.EQ: "EQ",
  exp.NEQ: "NEQ",
  exp.GT: "GT",
  exp.GTE: "GTE",
  exp.LT: "LT",
  exp.LTE: "LTE",
}
_FLIPPED = {"GT": "LT", "GTE": "LTE", "LT": "GT", "LTE": "GTE"}


@dataclasses.dataclass(frozen=True)
class ValueSpec:
  """What is asked of the value for a slot.

  Attributes:
    name: of the slot, without the colon.
    slot: number of the column slot, or None for counts and limits.
    mode: plain, like, strftime, probe, count or limit. A probe's value is near what `probe`
      returns.
    operator: EQ, NEQ, GT, GTE, LT, LTE, LOW, HIGH (of a BETWEEN), IN or LIKE.
    scope: number of the SELECT it stands in.
    letter: the table it is compared with a column of.
    format: of strftime.
    under_or: the condition is part of a disjunction.
    single: it must select one row, because another value is compared with what its query returns.
    probe: a query that returns the values of the other side.
  """

  name: str
  slot: int | None
  mode: str
  operator: str
  scope: int
  letter: str = ""
  format: str = ""
  under_or: bool = False
  single: bool = False
  probe: SlottedQuery | None = None


def read_values(
  tree: exp.Expr, index_of: Mapping[int, int], slots: Collection[int]
) -> list[ValueSpec]:
  """The value slots of a template, in the order of its text.

  Args:
    tree: the template, whose slots know their scopes.
    index_of: the number of each SELECT, by its id().
    slots: the numbers of the template's column slots.

  Raises:
    UnsupportedTemplate: a value of a column that the template does not have.
  """
  found: dict[str, ValueSpec] = {}
  for slot in tree.find_all(ValueSlot, bfs=False):
    if slot.name in found:
      continue
    if slot.number is not None and slot.number not in slots:
      raise UnsupportedTemplate(
        f":{slot.name} is a value of a column that the template does not have"
      )
    scope = max(index_of.get(id(slot.find_ancestor(exp.Select)), -1), 0)
    if slot.kind == "limit":
      found[slot.name] = ValueSpec(slot.name, None, "limit", "EQ", scope)
    else:
      found[slot.name] = _value_spec(slot, scope, index_of)
  return list(found.values())


def _value_spec(slot: ValueSlot, scope: int, index_of: Mapping[int, int]) -> ValueSpec:
  name, number = slot.name, slot.number
  node: exp.Expr = slot
  while isinstance(node.parent, (exp.Paren, exp.Cast, exp.Neg)):
    node = node.parent
  parent = node.parent
  if isinstance(parent, (exp.Like, exp.Glob)):
    letter = _letter_of(parent.find(exp.Column))
    return ValueSpec(name, number, "like", "LIKE", scope, letter=letter)
  operator, other = _comparison(node)
  plain = "count" if number is None else "plain"
  if isinstance(other, exp.Column) and parent is not None and number is not None:
    single = operator == "EQ" and _must_be_one_row(parent.find_ancestor(exp.Select))
    return ValueSpec(
      name,
      number,
      "plain",
      operator,
      scope,
      letter=_letter_of(other),
      under_or=isinstance(parent.find_ancestor(exp.Or, exp.Select), exp.Or),
      single=single,
    )
  if isinstance(other, exp.TimeToStr) and number is not None:
    form = other.args["format"]
    if isinstance(form, exp.Literal):
      letter = _letter_of(other.find(exp.Column))
      return ValueSpec(
        name, number, "strftime", operator, scope, letter=letter, format=str(form.this)
      )
  if other is None or isinstance(other, (exp.Subquery, exp.Placeholder, exp.Literal)):
    return ValueSpec(name, number, plain, operator, scope)
  select = other.find_ancestor(exp.Select)
  probe = _probe(select, other, index_of) if select is not None else None
  return ValueSpec(
    name, number, "count" if probe is None else "probe", operator, scope, probe=probe
  )


def _comparison(node: exp.Expr) -> tuple[str, exp.Expr | None]:
  """How a value is compared, as seen from the other side, and that side."""
  parent = node.parent
  operator, other = "EQ", None
  if isinstance(parent, exp.Between):
    operator, other = ("LOW" if node.arg_key == "low" else "HIGH"), parent.this
  elif isinstance(parent, exp.In):
    operator, other = "IN", parent.this
  elif parent is not None and type(parent) in _OPERATORS:
    operator = _OPERATORS[type(parent)]
    other = parent.expression if parent.this is node else parent.this
    if parent.this is node:
      operator = _FLIPPED.get(operator, operator)
  while isinstance(other, exp.Paren):
    other = other.this
  return operator, other


def _letter_of(column: exp.Expr | None) -> str:
  return column.letter if isinstance(column, (ColumnSlot, StarSlot)) else ""


def _must_be_one_row(select: exp.Select | None) -> bool:
  """Whether nothing but its conditions makes a nested query return one row, as it must."""
  if select is None or not isinstance(select.parent, exp.Subquery):
    return False
  if type(select.parent.parent) not in _OPERATORS:
    return False
  aggregated = any(item.find(exp.AggFunc) for item in select.selects)
  return not (aggregated or select.args.get("group") or select.args.get("limit"))


def _probe(
  select: exp.Select, expression: exp.Expr, index_of: Mapping[int, int]
) -> SlottedQuery | None:
  """A query for the values that `expression` takes in `select`.

  None where it is correlated or tests itself.
  """
  if any(slot.outer for slot in find_table_slots(select)):
    return None
  source = exp.From(this=TableSlot(scope=index_of[id(select)]))
  query = exp.Select(expressions=[expression.copy()], from_=source)
  where, group = select.args.get("where"), select.args.get("group")
  if where is not None and expression.find_ancestor(exp.Where) is None:
    query.set("where", where.copy())
  if group is not None:
    query.set("group", group.copy())
  query.set("limit", exp.Limit(expression=exp.Literal.number(_PROBED_ROWS)))
  return SlottedQuery(without_links(query))


def without_links(query: exp.Expr) -> exp.Expr:
  """A copy without LINKED, OPTIONAL and the tables of COUNT, which are no SQL."""
  copied = query.copy()
  for link in list(copied.find_all(LinkSlot)):
    if not drop_condition(link):
      link.replace(exp.true())
  for star in list(copied.find_all(StarSlot)):
    if isinstance(star.parent, exp.Count):
      star.replace(exp.Star())
  return copied


def drop_condition(condition: exp.Expr) -> bool:
  """Takes a condition out of a conjunction, or the WHERE with it; False where it is in neither."""
  parent = condition.parent
  if isinstance(parent, exp.And):
    parent.replace(parent.expression if parent.this is condition else parent.this)
  elif isinstance(parent, exp.Where):
    parent.pop()
  else:
    return False
  return True
