"""Filling a template: tables, columns, joins and values for its slots.

The first column is drawn freely, the next tables by their distance in the schema (weight decay **
(distance - 1)), as in Hu et al. 2023 (arXiv 2212.08785); types are kept, and the role of a column
is respected (`roles.py`).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping

from spftsql_jax.columns import roles
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers
from spftsql_jax.synthesis import dialects, joins, literals, notation
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.stored import StoredValues

DECAY = 0.3
_ATTEMPTS = 12
_WITNESSES = 8  # Other rows looked at for a value that is not taken yet.
_AGGREGATES = frozenset({"avg", "sum", "max", "min", "count"})
# Uses that a yes/no column has no sense for.
_OF_NUMBERS = frozenset({"avg", "sum", "max", "min", "arithmetic", "compare", "like"})


@dataclasses.dataclass(frozen=True)
class Filled:
  """A query made of a template.

  Attributes:
    sql: the query, in the schema's dialect.
    tables: the tables it reads.
    columns: the columns it names, as "table.column".
    render: gives a variant of the query (segments, see `notation.Compiled`) the same columns, joins
      and values; values may be given anew by the names of their slots.
    rebuild: fills another template's text, whose slots are among this one's, with the same tables,
      columns and values.
    shorter_joins: the query without one of the joined tables of which it names nothing.
    repeats: its join leads from the rows that it lists to several rows of a table of which it
      returns nothing.
    idle: a table at the end of its join tells nothing but that a key is not NULL, which no question
      says.
  """

  sql: str
  tables: tuple[str, ...]
  columns: tuple[str, ...]
  render: Callable[..., str]
  rebuild: Callable[..., Filled]
  shorter_joins: tuple[str, ...]
  repeats: bool = False
  idle: bool = False


def fill_template(
  template: notation.Template,
  schema: Schema,
  values: StoredValues,
  rng: random.Random,
  decay: float = DECAY,
) -> str:
  """The SQL of a query of this template over `schema`, in the schema's dialect.

  Args:
    template: what to fill.
    schema: the schema to fill it from.
    values: the stored values of that database.
    rng: source of chance; the same state gives the same query.
    decay: how much less likely a table is for every key that it is farther away (0 < decay <= 1).

  Raises:
    CannotFill: the schema or its data have nothing that fits.
  """
  return _filler(schema, values).fill(template, rng, decay).sql


_FILLERS: collections.OrderedDict[tuple[int, int], Filler] = collections.OrderedDict()


def _filler(schema: Schema, values: StoredValues) -> Filler:
  """One filler for each schema, kept: a schema is large to hash, so its identity is the key and the
  filler holds it.
  """
  key = (id(schema), id(values))
  if key not in _FILLERS:
    _FILLERS[key] = Filler(schema, values)
    if len(_FILLERS) > 32:
      _FILLERS.popitem(last=False)
  return _FILLERS[key]


class Filler:
  """Fills templates over one database."""

  def __init__(self, schema: Schema, values: StoredValues):
    self.schema = schema
    self.values = values
    self.graph = joins.JoinGraph(schema)
    self._roles = roles.column_roles(schema)
    self._tables = {
      table.name.lower(): table for table in schema.tables if table.row_count and table.columns
    }
    self._places = {table: place for place, table in enumerate(self._tables)}
    self._names = {
      (table.name.lower(), column.name.lower()): column.name
      for table in schema.tables
      for column in table.columns
    }
    self._is_parent = functools.lru_cache(maxsize=None)(self.graph.is_parent)
    self._candidates = functools.lru_cache(maxsize=None)(self._weigh_columns)
    self._share_values = functools.lru_cache(maxsize=100_000)(self._have_common_values)
    self._references = functools.lru_cache(maxsize=None)(self._find_references)
    # Of each table its referring columns, and the (table, column) that each refers to.
    self._referring: dict[str, list[tuple[str, tuple[str, str]]]] = {
      table: [] for table in self._tables
    }
    for edge in self.graph.edges:
      for own, referred in zip(edge.columns, edge.referred_columns, strict=True):
        self._referring[edge.child].append((own.lower(), (edge.parent, referred.lower())))
    self._fits = functools.lru_cache(maxsize=100_000)(self._weigh_table)
    self.leniency = functools.lru_cache(maxsize=None)(self._leniency)

  def fill(
    self,
    template: notation.Template,
    rng: random.Random,
    decay: float = DECAY,
    focus: tuple[str, str] | None = None,
    tight: bool = False,
  ) -> Filled:
    """A query of this template; with `focus`, one that names this (table, column), in lower case;
    with `tight`, one whose conditions select few rows. Raises CannotFill.
    """
    compiled = notation.compile_template(template.text)
    lenient = self.leniency(template.text)
    if lenient is None:
      raise CannotFill("no table fits")
    problem = "no table fits"
    for _ in range(_ATTEMPTS):
      try:
        tables, columns = self._place(template, focus, rng) if focus else ({}, {})
        tables = self._choose_tables(compiled, tables, rng, decay, lenient)
        columns = self._choose_columns(compiled, tables, columns, rng, lenient)
        return _Rendering(self, compiled, tables, columns, rng, tight).finish()
      except (CannotFill, joins.CannotJoin) as error:
        problem = str(error)
    raise CannotFill(problem)

  def holding(self, text: str, focus: tuple[str, str]) -> list[notation.Slot]:
    """The slots of a template that a (table, column) can stand for."""
    table, column = focus
    compiled = notation.compile_template(text)
    needs = _needs(compiled)
    found = []
    for slot in compiled.slots.values():
      # A slot that refers to another, or is referred to, is chosen together with that one.
      bound = slot.refers_to is not None or any(
        other.refers_to == slot.number for other in compiled.slots.values()
      )
      lenient = None if bound else self.leniency(text)
      if lenient is None or not self._fits(table, tuple(needs[slot.letter]), lenient):
        continue
      if any(name == column for name, _ in self._candidates(table, slot.kind, slot.uses, lenient)):
        found.append(slot)
    return found

  def _place(self, template, focus, rng) -> tuple[dict[str, str], dict[int, str]]:
    """Puts the focus's table and column into one of the slots that they suit."""
    table, column = focus
    options = self.holding(template.text, focus)
    if not options:
      raise CannotFill("no slot for the column")
    slot = rng.choice(options)
    return {slot.letter: table}, {slot.number: column}

  def _leniency(self, text: str) -> bool | None:
    """Whether columns must be chosen leniently (see `_suitability`) to fill a template; None where
    even that does not help.
    """
    compiled = notation.compile_template(text)
    needs = _needs(compiled)

    def assignable(chosen: dict[str, str], lenient: bool) -> bool:
      left = [letter for letter in needs if letter not in chosen]
      if not left:
        return True
      options = self._table_options(left[0], chosen, compiled, needs, 0.5, lenient)
      return any(assignable({**chosen, left[0]: table}, lenient) for table, _ in options)

    return next((lenient for lenient in (False, True) if assignable({}, lenient)), None)

  # Columns.

  def _weigh_columns(
    self, table: str, kind: str, uses: frozenset[str], lenient: bool
  ) -> tuple[tuple[str, float], ...]:
    """The columns of a table that suit a slot, each with its weight."""
    found = []
    for column in self._tables[table].columns:
      name = column.name.lower()
      role = self._roles[(table, name)]
      weight = _suitability(role, kind, uses, lenient) if column.distinct_count else 0.0
      if (
        weight > 0
        and "null" in uses
        and "optional" not in uses
        and not self.values.tables[table].has_null(name)
      ):
        weight = 0.0
      if (
        weight > 0
        and uses & {"compare", "order", "max", "min", "equal"}
        and column.distinct_count < 2
      ):
        weight = 0.0
      if weight > 0:
        found.append((name, weight))
    if kind == "name":
      # Where a column clearly names the row, no other does.
      clear = max((weight for _, weight in found), default=0.0)
      found = [(name, weight) for name, weight in found if weight >= 0.4 * clear]
    return tuple(found)

  def _choose_columns(
    self,
    compiled: notation.Compiled,
    tables: dict[str, str],
    placed: dict[int, str],
    rng: random.Random,
    lenient: bool,
  ) -> dict[int, str]:
    """A column for each slot; keys and their references first, because they leave no choice."""
    columns = dict(placed)
    slots = sorted(
      compiled.slots.values(), key=lambda slot: (slot.kind not in ("key", "ref"), slot.number)
    )
    for slot in slots:
      if slot.number in columns:
        continue
      if slot.refers_to is not None:
        self._choose_reference(compiled, slot, tables, columns, rng)
        continue
      if slot.kind in ("key", "ref") and any(other.refers_to == slot.number for other in slots):
        continue  # Chosen together with the slot that refers to it.
      self._choose_column(slot, tables, columns, compiled, rng, lenient)
    return columns

  def _choose_column(self, slot, tables, columns, compiled, rng, lenient) -> None:
    table = tables[slot.letter]
    taken = {
      columns[number]
      for number, other in compiled.slots.items()
      if other.letter == slot.letter and number in columns
    }
    candidates = self._candidates(table, slot.kind, slot.uses, lenient)
    options = [(name, weight) for name, weight in candidates if name not in taken]
    for left, right in compiled.alike:
      other = right if slot.number == left else left if slot.number == right else None
      if other in columns:
        place = (tables[compiled.slots[other].letter], columns[other])
        options = [option for option in options if self._share_values((table, option[0]), place)]
    if slot.refers_to_table is not None:
      keys = self._keys_to(table, tables[slot.refers_to_table])
      options = [option for option in options if option[0] in keys]
    elif slot.kind == "ref":
      # A key to a table of the query would say so in its slot.
      elsewhere = {tables[letter] for letter in tables if letter != slot.letter}
      options = [
        option
        for option in options
        if (self._roles[(table, option[0])].refers_to or ("",))[0] not in elsewhere
      ]
    if not options:
      raise CannotFill(f"no {slot.kind} column left in a table")
    columns[slot.number] = _draw(options, rng)

  def _choose_reference(self, compiled, slot, tables, columns, rng) -> None:
    """Columns for a foreign key slot and the slot that it refers to."""
    target = compiled.slots[slot.refers_to]
    if target.refers_to is not None and target.number not in columns:
      self._choose_reference(compiled, target, tables, columns, rng)
    table, target_table = tables[slot.letter], tables[target.letter]
    options = []
    for own, other in self._references(table, target_table):
      suits = _suitability(self._roles[(table, own)], slot.kind, frozenset())
      suits *= _suitability(self._roles[(target_table, other)], target.kind, frozenset())
      if suits and columns.get(target.number, other) == other and own not in columns.values():
        options.append(((own, other), 1.0))
    if not options:
      raise CannotFill("no foreign key between the tables")
    columns[slot.number], columns[target.number] = _draw(options, rng)

  def _have_common_values(self, left: tuple[str, str], right: tuple[str, str]) -> bool:
    """Whether two columns, each a table and a name, hold some value both."""
    first, second = (self.values.tables[table].distinct(column) for table, column in (left, right))
    return not set(first).isdisjoint(second)

  def _keys_to(self, table: str, target: str) -> set[str]:
    """The columns of a table that are a foreign key, or a part of one, to another."""
    return {own for own, place in self._referring[table] if place[0] == target}

  def _find_references(self, table: str, target: str) -> list[tuple[str, str]]:
    """Pairs of columns, one of each table, of which the first refers to the second or both refer to
    the same key.
    """
    pairs = [(own, column) for own, (parent, column) in self._referring[table] if parent == target]
    for (own, place), (other, other_place) in itertools.product(
      self._referring[table], self._referring[target]
    ):
      if place == other_place and (table, own) != (target, other):
        pairs.append((own, other))
    return pairs

  # Tables.

  def _choose_tables(
    self,
    compiled: notation.Compiled,
    placed: dict[str, str],
    rng: random.Random,
    decay: float,
    lenient: bool,
  ) -> dict[str, str]:
    """A table for each letter: the first by the number of columns that suit its first slot, the
    next by their distance.
    """
    needs = _needs(compiled)
    chosen = dict(placed)
    for letter in needs:
      if letter in placed:
        continue
      options = self._table_options(letter, chosen, compiled, needs, decay, lenient)
      if not options:
        raise CannotFill("no table fits")
      chosen[letter] = _draw(options, rng)
    return chosen

  def _table_options(
    self, letter, chosen, compiled, needs, decay, lenient
  ) -> list[tuple[str, float]]:
    """The tables that a letter can stand for beside those chosen, with their weights."""
    options = []
    for table in self._within_reach(letter, chosen, compiled, needs):
      if table in chosen.values():
        continue
      weight = self._fits(table, tuple(needs[letter]), lenient)
      if weight > 0 and chosen:
        weight = min(weight, 1.0) * self._nearness(
          letter, table, chosen, compiled, needs, decay, lenient
        )
      if weight > 0:
        options.append((table, weight))
    return options

  def _within_reach(self, letter, chosen, compiled, needs) -> Iterable[str]:
    """The tables, in their order, that keys connect with those chosen where the template wants it;
    `_nearness` judges them.

    A database of hundreds of tables has too many pairs to look at each.
    """
    reaches = []
    for scope in compiled.scopes:
      others = [chosen[name[0]] for name in scope.letters if name[0] in chosen]
      if others and any(name[0] == letter for name in scope.letters):
        reaches.append(
          set().union(*map(self.graph.reachable, others))
          if len(others) > 1
          else self.graph.reachable(others[0])
        )
    for slot in itertools.chain(needs[letter], *(needs[other] for other in chosen)):
      ends = {slot.letter, self._target(compiled, slot)}
      if letter in ends and (other := next(iter(ends - {letter, None}), None)) in chosen:
        reaches.append(self._related[chosen[other]])
    if not reaches:
      return self._tables
    smallest, *others = sorted(reaches, key=len)
    within = (
      table
      for table in smallest
      if table in self._places and all(table in reach for reach in others)
    )
    return sorted(within, key=self._places.__getitem__)

  @functools.cached_property
  def _related(self) -> dict[str, set[str]]:
    """The tables that each one has a key to or from, or a key to the same table as they have."""
    parents = {
      table: {place[0] for _, place in referring} for table, referring in self._referring.items()
    }
    children = collections.defaultdict(set)
    for table, above in parents.items():
      for parent in above:
        children[parent].add(table)
    return {
      table: above | children[table] | set().union(*(children[each] for each in above))
      for table, above in parents.items()
    }

  @staticmethod
  def _target(compiled, slot) -> str | None:
    """The letter of the table that a slot's key refers to, if any."""
    return (
      compiled.slots[slot.refers_to].letter if slot.refers_to is not None else slot.refers_to_table
    )

  def _weigh_table(self, table: str, slots: tuple[notation.Slot, ...], lenient: bool) -> float:
    """The weight of the columns that suit the first slot; 0 where the slots cannot all have a
    column of their own.
    """
    if not slots:
      return 1.0
    candidates = [self._candidates(table, slot.kind, slot.uses, lenient) for slot in slots]
    options = [{name for name, _ in found} for found in candidates]
    if not all(options) or len(set().union(*options)) < len(options) or not _can_match(options):
      return 0.0
    return sum(weight for _, weight in candidates[0])

  def _nearness(self, letter, table, chosen, compiled, needs, decay, lenient) -> float:
    """How well a table goes with those chosen: near, and on the side of the relation that the
    template speaks of.
    """
    weight = 1.0
    table_of = {**chosen, letter: table}
    for slot in itertools.chain(needs[letter], *(needs[other] for other in chosen)):
      target = self._target(compiled, slot)
      # A letter is its own target in a key of a table to itself, which needs no second table.
      if target is None or letter not in (slot.letter, target) or slot.letter == target:
        continue
      if slot.letter not in table_of or target not in table_of:
        continue
      fits = self._references if slot.refers_to is not None else self._keys_to
      if not fits(table_of[slot.letter], table_of[target]):
        return 0.0
    for scope in compiled.scopes:
      own = [name for name in scope.letters if name[0] == letter]
      others = [name for name in scope.letters if name[0] in chosen]
      if not own or not others:
        continue
      distance = min(self.graph.distance(chosen[name[0]], table) for name in others)
      if distance >= joins.FAR:
        return 0.0
      weight *= decay ** (distance - 1) * self._direction(
        letter, table, chosen, scope, others, needs, lenient
      )
    return weight

  def _direction(self, letter, table, chosen, scope, others, needs, lenient) -> float:
    """Counting and summing belong to the many side of a relation; a description to the one side.

    A sum over rows that the join repeats adds some of them several times, which no question says:
    only `lenient` lets it in.
    """
    weight = 1.0
    mentioned = bool(needs[letter])
    added_up = any(slot.uses & {"sum", "avg"} for slot in needs[letter])
    is_many = letter in scope.counted or any(slot.uses & _AGGREGATES for slot in needs[letter])
    for name in others:
      other = chosen[name[0]]
      other_is_many = name[0] in scope.counted or any(
        slot.uses & _AGGREGATES for slot in needs[name[0]]
      )
      parent, child = self._is_parent(table, other), self._is_parent(other, table)
      other_added_up = any(slot.uses & {"sum", "avg"} for slot in needs[name[0]])
      if not lenient and ((added_up and not child) or (other_added_up and not parent)):
        return 0.0
      if (
        not lenient
        and ((not mentioned and parent) or (not needs[name[0]] and child))
        and is_many != other_is_many
      ):
        return 0.0  # Counting parents of rows counts the rows.
      if is_many and not other_is_many:
        weight *= 1.0 if child else 0.01 if parent else 0.3 if mentioned else 0.05
      elif other_is_many and not is_many:
        weight *= 1.0 if parent else 0.3 if not child else 0.01
      elif not mentioned:
        # LINKED to a parent says next to nothing: nearly every row has one.
        weight *= 0.01 if parent else 1.0
      else:
        weight *= 1.0 if parent else 0.5 if child else 0.15
    return weight

  def name(self, table: str, column: str | None = None) -> str:
    """The name of a table or column as it is written in a query."""
    parts = self._tables[table].parts if column is None else (self._names[(table, column.lower())],)
    return identifiers.written_path(parts, self.schema.dialect)

  def columns_with_values(self) -> list[tuple[str, str]]:
    """The (table, column) pairs, in lower case, that hold anything."""
    return [
      (name, column.name.lower())
      for name, table in self._tables.items()
      for column in table.columns
      if column.distinct_count
    ]

  def role(self, table: str, column: str) -> roles.Role:
    return self._roles[(table, column)]


def _suitability(role: roles.Role, kind: str, uses: frozenset[str], lenient: bool = False) -> float:
  """How well a column of this role suits a slot: 0 not at all, 1 perfectly.

  `lenient` lets in what people ask now and then (the average of a year, groups by an amount), for
  templates that nothing else fits; what makes no sense (the sum of a flag or a telephone number,
  groups by what is unique) stays out.
  """
  if "alone" in uses and role.unique:
    return 0.0  # Every group would be one row.
  if role.flag and uses & _OF_NUMBERS:
    return 0.0
  if kind == "key":
    return float(role.kind == "key")
  if kind == "ref":
    return float(role.kind == "ref" or (role.kind == "key" and role.refers_to is not None))
  if role.kind in ("key", "ref") and not (role.natural and kind in ("name", "cat", "any")):
    return 0.0
  if kind == "name":
    return role.name_score
  if role.flag and {"count", "distinct"} <= uses:
    return 0.0  # Two at most, as everybody knows.
  # Groups of those with and those without are seldom asked for.
  weight = 0.2 if role.flag and "group" in uses else 1.0
  if "group" in uses and role.measure and role.kind == "num":
    # Who groups by an amount is rare, and by one of many amounts nobody.
    weight = 0.2 if role.category_score > 0.4 else 0.05 * lenient
  if kind == "cat":
    return weight * role.category_score
  if kind == "any":
    weight *= 0.2 if role.kind == "other" else 1.0
  else:
    weight *= float(role.kind == kind)
  if uses & {"sum", "avg", "arithmetic"}:
    weight *= 1.0 if role.measure else 0.05 * (lenient and role.kind == "num" and not role.coded)
  elif role.kind == "num" and not role.measure and uses & {"compare", "order", "max", "min"}:
    weight *= 0.02 * lenient if role.coded else 0.3
  if ("sum" in uses and role.ratio) or ("like" in uses and role.time):
    weight *= 0.05 * lenient
  if "like" in uses and role.category_score > 0.5:
    weight *= 0.3
  if "group" in uses and kind != "date":
    # People group by categories, and by the name of a thing when they count what belongs to it.
    weight *= max(
      role.category_score,
      0.3 * role.name_score * (role.name_score > 0.4),
      0.05 * (lenient and not role.unique),
    )
  elif "like" in uses:
    weight *= float(role.kind == "text" or role.natural)
  elif {"equal", "conjunct"} <= uses and role.unique:
    weight *= 0.05  # Whoever has that value is one row, and the other conditions say nothing more.
  elif "equal" in uses and role.kind == "num":
    weight *= 0.03 + role.category_score
  return weight


def _needs(compiled: notation.Compiled) -> dict[str, list[notation.Slot]]:
  """The column slots of each table, tables in the order of their appearance."""
  needs: dict[str, list[notation.Slot]] = {
    letter[0]: [] for scope in compiled.scopes for letter in scope.letters
  }
  for slot in compiled.slots.values():
    needs[slot.letter].append(slot)
  return needs


def _can_match(options: list[set[str]]) -> bool:
  """Whether every slot can have a column of its own (a bipartite matching)."""
  owner: dict[str, int] = {}

  def place(index: int, seen: set[str]) -> bool:
    for name in options[index]:
      if name not in seen:
        seen.add(name)
        if name not in owner or place(owner[name], seen):
          owner[name] = index
          return True
    return False

  return all(place(index, set()) for index in range(len(options)))


def _draw(options: list[tuple], rng: random.Random):
  """One of the (item, weight) pairs' items, by weight."""
  if len(options) == 1:
    return options[0][0]
  return rng.choices([item for item, _ in options], [weight for _, weight in options])[0]


class _Rendering:
  """One filled template: joins, values and text."""

  def __init__(
    self,
    filler: Filler,
    compiled: notation.Compiled,
    tables,
    columns,
    rng: random.Random,
    tight: bool = False,
  ):
    self._filler = filler
    self._compiled = compiled
    self._tables = tables
    self._columns = columns
    self._rng = rng
    self._tight = tight
    self._joins = self._make_joins()
    self._aliases = self._make_aliases()
    self._literals: dict[str, str] = {}
    self._values: dict[int, set] = {}
    self._lower_bounds: dict[int, object] = {}
    self._witnesses: dict[int, dict[str, tuple]] = {}

  def finish(self, values: Mapping[str, str] | None = None) -> Filled:
    """The filled query; `values` are literals that are known already, by the names of their
    slots.
    """
    self._literals.update(values or {})
    # Values of conditions on rows first: probing a HAVING needs them.
    for slot in sorted(self._compiled.values, key=lambda slot: slot.mode == "probe"):
      if slot.name not in self._literals:
        self._literals[slot.name] = literals.literal(
          self._choose_value(slot), self._filler.schema.dialect
        )
    sql = self.text(self._compiled.segments)
    tables = dict.fromkeys(
      table for tree in self._joins if tree is not None for table in tree.tables().values()
    )
    names = {table: self._filler.schema.table(table).name for table in tables}
    columns = dict.fromkeys(
      f"{names[self._tables[slot.letter]]}.{self._filler._names[(self._tables[slot.letter], self._columns[number])]}"
      for number, slot in sorted(self._compiled.slots.items())
      if self._tables[slot.letter] in names
    )
    shorter = tuple(self._shorter_joins())
    return Filled(
      sql,
      tuple(names.values()),
      tuple(columns),
      self.text,
      self._rebuild,
      shorter,
      self._repeats(),
      self._has_idle_end(),
    )

  def _repeats(self) -> bool:
    """Whether the join repeats the rows that a plain list is about: from what it returns it leads
    to the many side of a key.
    """
    listed, tree = self._compiled.listed, self._joins[0]
    if not listed or tree is None:
      return False
    reached = {node for node in tree.tables() if node in listed}
    edges = [(step.to, step.node, step.upwards) for step in tree.steps]
    while True:
      found = {b for a, b, _ in edges if a in reached} | {a for a, b, _ in edges if b in reached}
      for near, far, upwards in edges:
        onward = near in reached and far not in reached and not upwards
        if onward or (far in reached and near not in reached and upwards):
          return True
      if found <= reached:
        return False
      reached |= found

  def text(self, segments: tuple[object, ...], values: Mapping[str, str] | None = None) -> str:
    """A query of these segments in the schema's dialect, some values perhaps given anew."""
    kept = self._literals
    self._literals = {**kept, **(values or {})}
    try:
      dialect = self._filler.schema.dialect
      return self._render(
        segments if dialect == "sqlite" else dialects.segments_to_dialect(segments, dialect)
      )
    finally:
      self._literals = kept

  def _rebuild(self, text: str, values: Mapping[str, str] | None = None) -> Filled:
    compiled = notation.compile_template(text)
    other = _Rendering(self._filler, compiled, self._tables, self._columns, self._rng)
    return other.finish({**self._literals, **(values or {})})

  def _shorter_joins(self) -> Iterator[str]:
    """The query without a table at the end of a join of which it names no column."""
    named = {
      (part[1], part[2])
      for part in self._compiled.segments
      if not isinstance(part, str) and part[0] in ("col", "star")
    }
    for index, tree in enumerate(self._joins):
      for step in tree.steps if tree is not None else ():
        if (index, step.node) in named or any(other.to == step.node for other in tree.steps):
          continue
        rest = tuple(other for other in tree.steps if other is not step)
        self._joins[index] = dataclasses.replace(tree, steps=rest)
        yield self.text(self._compiled.segments)
        self._joins[index] = tree

  def _has_idle_end(self) -> bool:
    """Whether a join ends in the row that a key refers to, and the query names no column of it
    (counting is no naming).
    """
    named = {
      (part[1], part[2])
      for part in self._compiled.segments
      if not isinstance(part, str) and part[0] == "col"
    }
    for index, tree in enumerate(self._joins):
      edges = (
        [(step.node, step.to) if step.upwards else (step.to, step.node) for step in tree.steps]
        if tree
        else []
      )
      ends = collections.Counter(node for edge in edges for node in edge)
      if any(ends[parent] == 1 and (index, parent) not in named for parent, _ in edges):
        return True
    return False

  def _make_joins(self) -> list[joins.JoinTree | None]:
    """The join of each scope; two scopes with the same tables (the sides of INTERSECT) get the
    same.
    """
    made: dict[tuple, joins.JoinTree] = {}
    trees: list[joins.JoinTree | None] = []
    for scope in self._compiled.scopes:
      nodes = tuple((letter, self._tables[letter[0]]) for letter in scope.letters)
      if not nodes:
        if not scope.has_source:
          raise CannotFill("a SELECT without a table")
        trees.append(None)
        continue
      optional_last = tuple(sorted(nodes, key=lambda node: node[0] in scope.optional))
      if optional_last not in made:
        made[optional_last] = self._filler.graph.join(optional_last, self._rng)
      trees.append(made[optional_last])
    return trees

  def _make_aliases(self) -> list[dict[str, str]]:
    """The alias of each node in each scope; none where a query reads one table and no other query
    names it.
    """
    aliases: list[dict[str, str]] = []
    offsets: list[int] = []
    for index, scope in enumerate(self._compiled.scopes):
      tree = self._joins[index]
      nodes = list(tree.tables()) if tree is not None else []
      inner = scope.correlated and scope.parent >= 0
      start = offsets[scope.parent] if inner else 0
      offsets.append(start + len(nodes))
      needed = len(nodes) > 1 or scope.correlated
      aliases.append(
        {node: f"T{start + position + 1}" if needed else "" for position, node in enumerate(nodes)}
      )
    return aliases

  def _render(self, segments: tuple[object, ...]) -> str:
    parts = []
    for segment in segments:
      if isinstance(segment, str):
        parts.append(segment)
      elif segment[0] == "from":
        parts.append(self._render_from(segment[1]))
      elif segment[0] == "col":
        _, scope, letter, number = segment
        column = self._filler.name(self._tables[letter[0]], self._columns[number])
        parts.append(self._qualified(scope, letter, column))
      elif segment[0] == "star":
        parts.append(self._qualified(segment[1], segment[2], "*"))
      else:
        parts.append(self._literals[segment[1]])
    return "".join(parts)

  def _qualified(self, scope: int, node: str, column: str) -> str:
    alias = self._aliases[scope].get(node, "")
    return f"{alias}.{column}" if alias else column

  def _render_from(self, scope: int) -> str:
    tree, aliases = self._joins[scope], self._aliases[scope]
    optional = set(self._compiled.scopes[scope].optional)
    for step in reversed(tree.steps):
      # What only leads to a table of a left join is joined the same way.
      after = [other.node for other in tree.steps if other.to == step.node]
      if after and step.node.startswith("~") and all(node in optional for node in after):
        optional.add(step.node)

    def source(node: str, table: str) -> str:
      alias = aliases[node]
      return f"{self._filler.name(table)} AS {alias}" if alias else self._filler.name(table)

    parts = [source(tree.root, tree.root_table)]
    tables = tree.tables()
    for step in tree.steps:
      near, far = _columns_of(step)
      conditions = [
        f"{aliases[step.to]}.{self._filler.name(tables[step.to], left)}"
        f" = {aliases[step.node]}.{self._filler.name(step.table, right)}"
        for left, right in zip(near, far, strict=True)
      ]
      kind = "LEFT JOIN" if step.node in optional else "JOIN"
      parts.append(f"{kind} {source(step.node, step.table)} ON {' AND '.join(conditions)}")
    return " ".join(parts)

  # Values.

  def _choose_value(self, slot: notation.ValueSlot) -> object:
    rng, number = self._rng, slot.slot
    taken = self._values.setdefault(number or 0, set())
    if slot.mode in ("limit", "count"):
      value: object = literals.choose_free(slot, taken, rng)
    elif slot.mode == "probe":
      value = self._probe_value(slot, taken)
    else:
      table = self._tables[self._compiled.slots[number].letter]
      column = self._columns[number]
      stored = self._filler.values.tables[table]
      witness = self._witness_value(slot, table, column)
      for _ in range(
        _WITNESSES
        if witness in taken and slot.operator in ("EQ", "IN") and not slot.under_or
        else 0
      ):
        # Another row that the rest of the query asks for just as well.
        self._witnesses.pop(slot.scope, None)
        witness = self._witness_value(slot, table, column)
        if witness not in taken:
          break
      if slot.mode == "like":
        value = literals.choose_like(stored, column, witness, taken, rng)
      elif slot.mode == "strftime":
        value = literals.choose_formatted(slot, stored, column, witness, taken, rng)
      else:
        role = self._filler.role(table, column)
        value = literals.choose_plain(slot, stored, column, role, witness, taken, rng, self._tight)
        if slot.operator == "LOW":
          self._lower_bounds[number] = value
        elif (
          slot.operator == "HIGH"
          and number in self._lower_bounds
          and not self._lower_bounds[number] < value
        ):
          raise CannotFill("an empty range")
    taken.add(value)
    return value

  def _probe_value(self, slot: notation.ValueSlot, taken: set) -> object:
    """A value near those which the other side of the comparison takes in the database."""
    probe = self._filler.values.probe
    if probe is None:
      return literals.choose_free(slot, taken, self._rng)
    rows = probe(self.text((*slot.probe, " LIMIT 500")))
    named = {
      self._filler.role(self._tables[s.letter], self._columns[n])
      for n, s in self._compiled.slots.items()
    }
    formats = {role.date_format for role in named} - {""}
    return literals.choose_near([row[0] for row in rows], slot.operator, self._rng, sorted(formats))

  def _witness_value(self, slot: notation.ValueSlot, table: str, column: str) -> object:
    """The column's value in a row that the query is to select."""
    letter = slot.letter.removesuffix("_outer")
    if slot.scope not in self._witnesses:
      self._witnesses[slot.scope] = self._find_witness(slot.scope)
    row = self._witnesses[slot.scope].get(letter)
    return self._filler.values.tables[table].value(row, column) if row is not None else None

  def _find_witness(self, scope: int) -> dict[str, tuple]:
    """A row of the scope's join, as a row of each node's table; empty where none was found.

    The sides of a set operation and nested queries over the same first table start from the same
    row, so that they have a row in common.
    """
    tree = self._joins[scope]
    if tree is None:
      return {}
    stored = self._filler.values.tables
    rows = stored[tree.root_table].rows
    if not rows:
      return {}
    known = next(
      (found[tree.root] for found in self._witnesses.values() if tree.root in found), None
    )
    meeting = self._meeting_rows(scope, tree)
    for attempt in range(6):
      if meeting and attempt < 3:
        root = meeting[self._rng.randrange(len(meeting))]
      else:
        root = known if known is not None and attempt < 3 else rows[self._rng.randrange(len(rows))]
      found = {tree.root: root}
      for step in tree.steps:
        near, far = _columns_of(step)
        table = tree.tables()[step.to]
        values = tuple(stored[table].value(found[step.to], name) for name in near)
        matching = stored[step.table].matching(far, values) if None not in values else []
        if not matching:
          break
        found[step.node] = matching[self._rng.randrange(len(matching))]
      else:
        return found
    return {}

  def _meeting_rows(self, scope: int, tree: joins.JoinTree) -> list[tuple]:
    """For the right side of an INTERSECT: rows of its first table that return what the left side's
    witness returns.
    """
    left, slots = self._compiled.meets.get(scope, (scope, ()))
    before = self._witnesses.get(left)
    own = [pair for pair in slots if self._compiled.slots[pair[1]].letter == tree.root[0]]
    if not before or not own:
      return []
    stored = self._filler.values.tables
    values = []
    for number, _ in own:
      letter = self._compiled.slots[number].letter
      if letter not in before:
        return []
      values.append(stored[self._tables[letter]].value(before[letter], self._columns[number]))
    return stored[tree.root_table].matching(
      tuple(self._columns[number] for _, number in own), tuple(values)
    )


def _columns_of(step: joins.Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """The columns that a step compares: of the source that is there, and of the one it adds."""
  edge = step.edge
  return (
    (edge.columns, edge.referred_columns) if step.upwards else (edge.referred_columns, edge.columns)
  )
