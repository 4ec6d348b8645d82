"""The text of a template, and what it compiles to.

A template is SQL without FROM and JOIN whose columns and values are slots. Its text is its only
state:

    SELECT a.name1, COUNT(b.*) WHERE b.num2 > :num2 GROUP BY a.key3

  a, b, c       tables; a2 is a second row of the same table (a self join); a_outer is `a` of the
  enclosing query a.num1        a column slot: a kind and a number; the same number is the same
  column b.ref2_key1   a foreign key that refers to slot 1 (b.ref2_ref1: both refer to the same key;
  b.ref2_a: it refers to a row of a) :num1         a value of slot 1; :num1_2 another one; :count a
  number of rows; :limit a LIMIT COUNT(b.*)    COUNT(*) over a join in which `b` takes part even
  where none of its columns is named LINKED(b)     a condition: a row of `b` belongs to it (an inner
  join); OPTIONAL(b): a left join to `b`

Kinds written by the extractor: num, text, date, bool, other, key, ref. A template of ours may also
say name, cat and any.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite

KINDS = ("name", "text", "cat", "num", "date", "bool", "any", "other", "key", "ref")

_KIND_PATTERN = "|".join(KINDS)
_SLOT = re.compile(rf"^({_KIND_PATTERN})(\d+)(?:_(?:(key|ref)(\d+)|([a-z])))?$")
_VALUE = re.compile(rf"^({_KIND_PATTERN})(\d+)(?:_(\d+))?$")
_FREE_VALUE = re.compile(r"^(count|limit)(?:_(\d+))?$")
_LETTER = re.compile(r"^([a-z])(\d?)(_outer)?$")
_MARK = re.compile(r"__(from|col|star|val)_(\w+?)__")


class UnsupportedTemplate(ValueError):
  """The query (or the template's text) cannot be a template; the message says why."""


class SqlStyle(SQLite):
  """SQLite's dialect written the way people write it: !=, NOT IN, IS NOT NULL, count as COUNT,
  strftime in lower case.
  """

  class Generator(SQLite.Generator):
    TRANSFORMS = {
      kind: write
      for kind, write in SQLite.Generator.TRANSFORMS.items()
      if kind is not exp.TimeToStr
    }

    def neq_sql(self, expression: exp.NEQ) -> str:
      return self.binary(expression, "!=")

    def not_sql(self, expression: exp.Not) -> str:
      inner = expression.this
      if isinstance(inner, exp.In):
        field = inner.args.get("query") or f"({self.expressions(inner, flat=True)})"
        return (
          f"{self.sql(inner, 'this')} NOT IN {field if isinstance(field, str) else self.sql(field)}"
        )
      if isinstance(inner, exp.Is):
        return f"{self.sql(inner, 'this')} IS NOT {self.sql(inner, 'expression')}"
      if isinstance(inner, exp.Between):
        return (
          f"{self.sql(inner, 'this')} NOT BETWEEN {self.sql(inner, 'low')} AND "
          f"{self.sql(inner, 'high')}"
        )
      return super().not_sql(expression)

    def exists_sql(self, expression: exp.Exists) -> str:
      return f"EXISTS ({self.sql(expression, 'this')})"

    def timetostr_sql(self, expression: exp.TimeToStr) -> str:
      source = (
        expression.this.this
        if isinstance(expression.this, exp.TsOrDsToTimestamp)
        else expression.this
      )
      return f"strftime({self.sql(expression, 'format')}, {self.sql(source)})"


def write_sql(tree: exp.Expression) -> str:
  """The text of a tree in our style of SQLite SQL."""
  return tree.sql(dialect=SqlStyle, comments=False)


@dataclasses.dataclass(frozen=True)
class Template:
  """A template; `text` is canonical when it comes from `Template.parse` or the extractor. Hashable,
  picklable.
  """

  text: str

  @classmethod
  def parse(cls, text: str) -> Template:
    """The template of that text with letters and slots renamed in the order of their appearance.
    Raises UnsupportedTemplate.
    """
    try:
      tree = sqlglot.parse_one(text, read="sqlite")
    except sqlglot.errors.SqlglotError as error:
      raise UnsupportedTemplate(f"template does not parse: {text!r}") from error
    return cls(canonical_text(write_sql(tree)))

  @property
  def id(self) -> str:
    """A short hash of the text, the same on every machine."""
    return "t" + hashlib.blake2s(self.text.encode(), digest_size=6).hexdigest()

  def to_json(self) -> dict[str, str]:
    return {"id": self.id, "text": self.text}

  @classmethod
  def from_json(cls, record: dict[str, str]) -> Template:
    return cls.parse(record["text"])


@dataclasses.dataclass(frozen=True)
class WeightedTemplate:
  """A template and how often it is drawn, relative to the others."""

  template: Template
  weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Slot:
  """A column slot.

  `uses` says where it stands: select, distinct, group, alone (grouped by in a query over one
  table), like, null, optional, equal, compare, ...
  """

  number: int
  letter: str
  kind: str
  refers_to: int | None
  refers_to_table: str | None
  uses: frozenset[str]


@dataclasses.dataclass(frozen=True)
class ValueSlot:
  """A value slot.

  Attributes:
    name: as in the text, without the colon.
    slot: number of the column slot, or None for counts and limits.
    mode: plain, like, strftime, probe, count or limit. A probe's value is near what `probe`
      returns.
    operator: EQ, NEQ, GT, GTE, LT, LTE, LOW, HIGH (of a BETWEEN), IN or LIKE.
    scope: number of the SELECT it stands in.
    letter: the table it is compared with a column of, as written.
    format: of strftime.
    under_or: the condition is part of a disjunction.
    single: it must select one row, because another value is compared with what its query returns.
    probe: segments of a query that returns the values of the other side.
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
  probe: tuple[object, ...] = ()


@dataclasses.dataclass(frozen=True)
class Scope:
  """A SELECT: the tables it reads, in the order of their appearance; `-1` is no enclosing scope."""

  parent: int
  letters: tuple[str, ...]
  counted: frozenset[str]
  optional: frozenset[str]
  correlated: bool
  has_source: bool


@dataclasses.dataclass(frozen=True)
class Compiled:
  """What the sampler needs of a template: slots, scopes, and its text cut into segments.

  `alike` lists pairs of slots whose values are compared, so that their columns must have some in
  common; `meets` says of a scope that is the right side of an INTERSECT which scope the left one
  is, and the (left, right) slots that they return. `listed` are the tables of what a plain list of
  rows returns: a SELECT without DISTINCT, groups, aggregates or LIMIT. `marked` is the text with
  marks in place of slots, values and FROM: SQL again, from which variants of the query are made. A
  segment is a string, or ("from", scope), ("col", scope, letter, number), ("star", scope, letter),
  ("val", name).
  """

  slots: dict[int, Slot]
  values: tuple[ValueSlot, ...]
  scopes: tuple[Scope, ...]
  segments: tuple[object, ...]
  marked: str
  alike: tuple[tuple[int, int], ...] = ()
  meets: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = dataclasses.field(
    default_factory=dict
  )
  listed: frozenset[str] = frozenset()


def canonical_text(text: str) -> str:
  """`text` with table letters, slots and values renamed in the order of their appearance."""
  letters: dict[str, str] = {}
  numbers: dict[str, int] = {}
  values: dict[str, str] = {}
  per_slot: dict[str, int] = {}
  referents: dict[str, tuple[str | None, ...]] = {}

  def letter_of(token: str) -> str:
    letter, instance, outer = _LETTER.match(token).groups()
    return letters.setdefault(letter, chr(ord("a") + len(letters))) + instance + (outer or "")

  def number_of(number: str) -> int:
    return numbers.setdefault(number, len(numbers) + 1)

  def value_of(token: str) -> str:
    if token not in values:
      match = _VALUE.match(token)
      base = f"{match[1]}{number_of(match[2])}" if match else _FREE_VALUE.match(token)[1]
      per_slot[base] = per_slot.get(base, 0) + 1
      values[token] = base if per_slot[base] == 1 else f"{base}_{per_slot[base]}"
    return values[token]

  pieces: list[tuple[str, str]] = []
  tokens = sqlglot.tokenize(text, read="sqlite")
  position = 0
  for index, token in enumerate(tokens):
    word = text[token.start : token.end + 1]
    before = tokens[index - 1].text if index else ""
    after = tokens[index + 1].text if index + 1 < len(tokens) else ""
    pieces.append(("", text[position : token.start]))
    if _LETTER.match(word) and (
      after == "." or (before == "(" and tokens[index - 2].text in ("LINKED", "OPTIONAL"))
    ):
      pieces.append(("", letter_of(word)))
    elif before == "." and (match := _SLOT.match(word)):
      if match[4] or match[5]:
        referents[match[2]] = match.groups()[2:]
      pieces.append(("slot", f"{match[1]} {match[2]}"))
      number_of(match[2])
    elif before == ":" and (_VALUE.match(word) or _FREE_VALUE.match(word)):
      pieces.append(("", value_of(word)))
    else:
      pieces.append(("", word))
    position = token.end + 1
  pieces.append(("", text[position:]))

  def slot_text(kind: str, number: str) -> str:
    target_kind, target, table = referents.get(number, (None, None, None))
    suffix = ""
    if target in numbers:
      suffix = f"_{target_kind}{numbers[target]}"
    elif table in letters:
      suffix = f"_{letters[table]}"
    return f"{kind}{numbers[number]}{suffix}"

  return "".join(slot_text(*piece.split()) if what == "slot" else piece for what, piece in pieces)


@functools.lru_cache(maxsize=20_000)
def compile_template(text: str) -> Compiled:
  """Compiles a template's text. Raises UnsupportedTemplate."""
  try:
    tree = sqlglot.parse_one(text, read="sqlite")
  except sqlglot.errors.SqlglotError as error:
    raise UnsupportedTemplate(f"template does not parse: {text!r}") from error
  selects = list(tree.find_all(exp.Select, bfs=False))
  index_of = {id(select): index for index, select in enumerate(selects)}
  parents = [_enclosing(select, index_of) for select in selects]
  scopes = [_read_scope(select, parents[index], index_of) for index, select in enumerate(selects)]
  slots = _read_slots(tree)
  optional = {letter for scope in scopes for letter in scope.optional}
  alone = _grouped_alone(selects, scopes)
  for number, slot in slots.items():
    more = {"optional"} if slot.letter in optional else set()
    more |= {"alone"} if number in alone else set()
    slots[number] = dataclasses.replace(slot, uses=slot.uses | more) if more else slot
  values = _read_values(tree, index_of, parents, slots)
  marked = write_marked(tree, index_of, parents)
  return Compiled(
    slots=slots,
    values=tuple(values),
    scopes=tuple(scopes),
    segments=split_marks(marked),
    marked=marked,
    alike=tuple(_alike(tree, slots)),
    meets=_meetings(tree, index_of),
    listed=_listed(tree),
  )


def _listed(tree: exp.Expression) -> frozenset[str]:
  if not isinstance(tree, exp.Select) or any(
    tree.args.get(part) for part in ("distinct", "group", "limit")
  ):
    return frozenset()
  if any(item.find(exp.AggFunc) for item in tree.selects):
    return frozenset()
  return frozenset(column.table for item in tree.selects for column in item.find_all(exp.Column))


def _slot_of(node: exp.Expression | None) -> int | None:
  """The number of the column slot that a node is, or that a SELECT of one column returns."""
  while isinstance(node, (exp.Paren, exp.Subquery, exp.Alias)):
    node = node.this
  if isinstance(node, exp.Select):
    return _slot_of(node.selects[0]) if len(node.selects) == 1 else None
  plain = isinstance(node, exp.Column) and node.table and not isinstance(node.this, exp.Star)
  return parse_slot(node.name)[1] if plain else None


def _returned(query: exp.Expression) -> list[int | None]:
  """The slots that a query without a set operation returns, column by column."""
  while isinstance(query, (exp.Paren, exp.Subquery)):
    query = query.this
  return [_slot_of(item) for item in query.selects] if isinstance(query, exp.Select) else []


def _alike(tree: exp.Expression, slots: dict[int, Slot]) -> Iterator[tuple[int, int]]:
  pairs: list[tuple[int | None, int | None]] = []
  for operation in tree.find_all(exp.Intersect, exp.Except):
    pairs += zip(_returned(operation.this), _returned(operation.expression), strict=False)
  for node in tree.find_all(exp.EQ, exp.In):
    other = node.expression if isinstance(node, exp.EQ) else node.args.get("query")
    pairs.append((_slot_of(node.this), _slot_of(other)))
  for left, right in pairs:
    if left is None or right is None or left == right:
      continue
    # A key and what refers to it are alike as it is.
    if slots[left].refers_to is None and slots[right].refers_to is None:
      yield left, right


def _meetings(
  tree: exp.Expression, index_of: dict[int, int]
) -> dict[int, tuple[int, tuple[tuple[int, int], ...]]]:
  found = {}
  for operation in tree.find_all(exp.Intersect):
    sides = [
      side.this if isinstance(side, exp.Subquery) else side
      for side in (operation.this, operation.expression)
    ]
    if all(isinstance(side, exp.Select) for side in sides):
      pairs = zip(*(_returned(side) for side in sides), strict=False)
      slots = tuple(
        (left, right) for left, right in pairs if left is not None and right is not None
      )
      found[index_of[id(sides[1])]] = (index_of[id(sides[0])], slots)
  return found


def parse_slot(name: str) -> tuple[str, int, int | None, str | None]:
  """Kind, number, slot referred to and table referred to, of a slot's name. Raises
  UnsupportedTemplate.
  """
  match = _SLOT.match(name)
  if not match:
    raise UnsupportedTemplate(f"{name!r} is not a column slot")
  return match[1], int(match[2]), int(match[4]) if match[4] else None, match[5]


def _enclosing(node: exp.Expression, index_of: dict[int, int]) -> int:
  parent = node.parent
  while parent is not None:
    if id(parent) in index_of:
      return index_of[id(parent)]
    parent = parent.parent
  return -1


def _scope_of(node: exp.Expression, index_of: dict[int, int], parents: list[int]) -> int:
  """The scope whose table a node names: its SELECT, the one around it for `x_outer`, the first of a
  set operation.
  """
  scope = _enclosing(node, index_of)
  if scope == -1:
    return 0
  table = node.table if isinstance(node, exp.Column) else ""
  return parents[scope] if table.endswith("_outer") else scope


def _bare(letter: str) -> str:
  return letter.removesuffix("_outer")


def _read_scope(select: exp.Select, parent: int, index_of: dict[int, int]) -> Scope:
  own = index_of[id(select)]
  letters: dict[str, None] = {}
  counted, optional = set(), set()
  correlated = False
  for node in select.find_all(exp.Column, exp.Anonymous, bfs=False):
    if _enclosing(node, index_of) != own:
      # A column two levels down that says _outer names its own parent, never this scope by
      # accident.
      if isinstance(node, exp.Column) and node.table.endswith("_outer"):
        holder = _enclosing(node, index_of)
        if _enclosing_of_index(holder, select, index_of) == own:
          letters.setdefault(_bare(node.table))
          correlated = True
      continue
    if isinstance(node, exp.Anonymous) and node.name.upper() in ("LINKED", "OPTIONAL"):
      letter = node.expressions[0].name
      letters.setdefault(letter)
      if node.name.upper() == "OPTIONAL":
        optional.add(letter)
    elif isinstance(node, exp.Column) and node.table:
      if node.table.endswith("_outer"):
        correlated = True
        continue
      letters.setdefault(node.table)
      if isinstance(node.this, exp.Star) and isinstance(node.parent, exp.Count):
        counted.add(node.table)
  return Scope(
    parent,
    tuple(letters),
    frozenset(counted),
    frozenset(optional),
    correlated,
    select.args.get("from_") is not None,
  )


def _grouped_alone(selects: list[exp.Select], scopes: list[Scope]) -> set[int]:
  """The slots that a SELECT over one table groups by."""
  found = set()
  for select, scope in zip(selects, scopes, strict=True):
    group = select.args.get("group")
    if group is not None and len(scope.letters) == 1:
      found |= {
        parse_slot(item.name)[1]
        for item in group.expressions
        if isinstance(item, exp.Column) and item.table
      }
  return found


def _enclosing_of_index(index: int, root: exp.Expression, index_of: dict[int, int]) -> int:
  for select in root.find_all(exp.Select):
    if index_of.get(id(select)) == index:
      return _enclosing(select, index_of)
  return -1


def _read_slots(tree: exp.Expression) -> dict[int, Slot]:
  slots: dict[int, Slot] = {}
  for column in tree.find_all(exp.Column, bfs=False):
    if not column.table or isinstance(column.this, exp.Star):
      continue
    kind, number, refers_to, table = parse_slot(column.name)
    letter = _LETTER.match(column.table)
    if not letter:
      raise UnsupportedTemplate(f"{column.table!r} is not a table of a template")
    known = slots.get(number, Slot(number, letter[1], kind, None, None, frozenset()))
    if (known.letter, known.kind) != (letter[1], kind):
      raise UnsupportedTemplate(f"slot {number} stands for two columns")
    slots[number] = Slot(
      number,
      known.letter,
      kind,
      known.refers_to or refers_to,
      known.refers_to_table or table,
      known.uses | _uses(column),
    )
  return slots


_COMPARISONS = {
  exp.EQ: "EQ",
  exp.NEQ: "NEQ",
  exp.GT: "GT",
  exp.GTE: "GTE",
  exp.LT: "LT",
  exp.LTE: "LTE",
}
_FLIPPED = {"GT": "LT", "GTE": "LTE", "LT": "GT", "LTE": "GTE"}


def _uses(column: exp.Column) -> set[str]:
  """Where a column stands in the query, from itself up to its SELECT."""
  uses: set[str] = set()
  node: exp.Expression = column
  while node.parent is not None and not isinstance(node, exp.Select):
    parent = node.parent
    if isinstance(parent, exp.AggFunc):
      uses.add(parent.key)
    elif isinstance(parent, exp.Distinct):
      uses.add("distinct")
    elif isinstance(parent, (exp.Like, exp.Glob)):
      uses.add("like")
    elif isinstance(parent, exp.Is):
      uses.add("null")
    elif isinstance(parent, (exp.EQ, exp.NEQ, exp.In)):
      uses.add("equal")
    elif isinstance(parent, (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)):
      uses.add("compare")
    elif isinstance(parent, (exp.Add, exp.Sub, exp.Mul, exp.Div)):
      uses.add("arithmetic")
    elif isinstance(parent, exp.And):
      uses.add("conjunct")
    elif isinstance(parent, exp.Group):
      uses.add("group")
    elif isinstance(parent, exp.Order):
      uses.add("order")
    elif isinstance(parent, exp.Select) and node.arg_key == "expressions":
      uses.add("distinct" if parent.args.get("distinct") else "select")
    node = parent
  return uses


def _read_values(tree, index_of, parents, slots) -> list[ValueSlot]:
  values: dict[str, ValueSlot] = {}
  for node in tree.find_all(exp.Placeholder, bfs=False):
    name = node.name
    scope = max(_enclosing(node, index_of), 0)
    if name in values:
      continue
    free = _FREE_VALUE.match(name)
    match = _VALUE.match(name)
    if not free and not match:
      raise UnsupportedTemplate(f":{name} is not a value slot")
    slot = int(match[2]) if match else None
    if slot is not None and slot not in slots:
      raise UnsupportedTemplate(f":{name} is a value of a column that the template does not have")
    if free and free[1] == "limit":
      values[name] = ValueSlot(name, None, "limit", "EQ", scope)
      continue
    values[name] = _value_slot(node, name, slot, scope, index_of, parents)
  return list(values.values())


def _value_slot(node, name, slot, scope, index_of, parents) -> ValueSlot:
  parent = node.parent
  while isinstance(parent, (exp.Paren, exp.Cast, exp.Neg)):
    node, parent = parent, parent.parent
  operator, other = "EQ", None
  if isinstance(parent, (exp.Like, exp.Glob)):
    column = parent.find(exp.Column)
    return ValueSlot(
      name, slot, "like", "LIKE", scope, letter=column.table if column is not None else ""
    )
  if isinstance(parent, exp.Between):
    operator, other = ("LOW" if node.arg_key == "low" else "HIGH"), parent.this
  elif isinstance(parent, exp.In):
    operator, other = "IN", parent.this
  elif type(parent) in _COMPARISONS:
    operator = _COMPARISONS[type(parent)]
    other = parent.expression if parent.this is node else parent.this
    if parent.this is node:
      operator = _FLIPPED.get(operator, operator)
  while isinstance(other, exp.Paren):
    other = other.this
  letter = other.table if isinstance(other, exp.Column) else ""
  if isinstance(other, exp.Column) and slot is not None:
    under_or = isinstance(parent.find_ancestor(exp.Or, exp.Select), exp.Or)
    single = operator == "EQ" and _compared(parent.find_ancestor(exp.Select))
    return ValueSlot(
      name, slot, "plain", operator, scope, letter=letter, under_or=under_or, single=single
    )
  if (
    isinstance(other, exp.TimeToStr)
    and slot is not None
    and isinstance(other.args["format"], exp.Literal)
  ):
    column = other.find(exp.Column)
    return ValueSlot(
      name,
      slot,
      "strftime",
      operator,
      scope,
      letter=column.table,
      format=str(other.args["format"].this),
    )
  if other is None or isinstance(other, (exp.Subquery, exp.Placeholder, exp.Literal)):
    return ValueSlot(name, slot, "count" if slot is None else "plain", operator, scope)
  select = other.find_ancestor(exp.Select)
  probe = _probe_segments(select, other, index_of, parents) if select is not None else ()
  return ValueSlot(name, slot, "probe" if probe else "count", operator, scope, probe=probe)


def _compared(select: exp.Select | None) -> bool:
  """Whether a nested query is compared with and has nothing but its conditions to make it return
  one row.
  """
  if (
    select is None
    or not isinstance(select.parent, exp.Subquery)
    or type(select.parent.parent) not in _COMPARISONS
  ):
    return False
  aggregated = any(item.find(exp.AggFunc) for item in select.selects)
  return not (aggregated or select.args.get("group") or select.args.get("limit"))


def _probe_segments(
  select: exp.Select, expression: exp.Expression, index_of, parents
) -> tuple[object, ...]:
  """A query for the values that `expression` takes in `select`; none where it is correlated or
  tests itself.
  """
  if any(column.table.endswith("_outer") for column in select.find_all(exp.Column)):
    return ()
  own = index_of[id(select)]
  where, group = select.args.get("where"), select.args.get("group")
  in_where = expression.find_ancestor(exp.Where) is not None
  text = f"SELECT {write_marked(expression, index_of, parents)} {{FROM}}"
  if where is not None and not in_where:
    text += " WHERE " + write_marked(where.this, index_of, parents)
  if group is not None:
    text += " GROUP BY " + ", ".join(
      write_marked(item, index_of, parents) for item in group.expressions
    )
  return split_marks(text.replace("{FROM}", f"FROM __from_{own}__"))


def write_marked(node: exp.Expression, index_of: dict[int, int], parents: list[int]) -> str:
  """The text of a node of a template with slots, values and FROM as marks that `split_marks`
  finds.
  """
  marks: dict[int, exp.Expression] = {}
  for child in node.find_all(exp.Column, exp.Placeholder, exp.Anonymous, exp.Select, bfs=False):
    if isinstance(child, exp.Column) and child.table:
      scope = _scope_of(child, index_of, parents)
      letter = _bare(child.table)
      if isinstance(child.this, exp.Star):
        marks[id(child)] = (
          exp.Star()
          if isinstance(child.parent, exp.Count)
          else exp.column(f"__star_{scope}_{letter}__")
        )
      else:
        marks[id(child)] = exp.column(f"__col_{scope}_{letter}_{parse_slot(child.name)[1]}__")
    elif isinstance(child, exp.Placeholder):
      marks[id(child)] = exp.column(f"__val_{child.name}__")
    elif isinstance(child, exp.Anonymous) and child.name.upper() in ("LINKED", "OPTIONAL"):
      marks[id(child)] = exp.true()
    elif isinstance(child, exp.Select) and child.args.get("from_") is None:
      marks[id(child)] = child

  def build(original: exp.Expression, copied: exp.Expression) -> exp.Expression:
    for source, target in zip(original.walk(bfs=False), list(copied.walk(bfs=False)), strict=True):
      mark = marks.get(id(source))
      if mark is None:
        continue
      if isinstance(source, exp.Select):
        target.set("from_", exp.From(this=exp.to_table(f"__from_{index_of[id(source)]}__")))
      elif target is copied:
        return mark
      else:
        target.replace(mark)
    return copied

  copied = build(node, node.copy())
  for where in list(copied.find_all(exp.Where)):
    _drop_true(where)
  return write_sql(copied)


def _drop_true(where: exp.Where) -> None:
  """Removes the TRUE that LINKED and OPTIONAL leave in a WHERE, and the WHERE where nothing else is
  in it.
  """
  for node in list(where.find_all(exp.Boolean)):
    if isinstance(node.parent, exp.And):
      node.parent.replace(node.parent.expression if node.parent.this is node else node.parent.this)
    elif node.parent is where:
      where.pop()


def join_marks(segments: tuple[object, ...]) -> str:
  """The marked text that `split_marks` cuts into these segments."""
  return "".join(
    part if isinstance(part, str) else f"__{'_'.join(map(str, part))}__" for part in segments
  )


def split_marks(text: str) -> tuple[object, ...]:
  """The segments of a marked text, see `Compiled`."""
  segments: list[object] = []
  position = 0
  for match in _MARK.finditer(text):
    if match.start() > position:
      segments.append(text[position : match.start()])
    what, rest = match.groups()
    if what == "from":
      segments.append(("from", int(rest)))
    elif what == "star":
      scope, letter = rest.split("_")
      segments.append(("star", int(scope), letter))
    elif what == "col":
      scope, letter, number = rest.split("_")
      segments.append(("col", int(scope), letter, int(number)))
    else:
      segments.append(("val", rest))
    position = match.end()
  if position < len(text):
    segments.append(text[position:])
  return tuple(segments)
