"""Filling a template: tables, columns, joins and values for its slots.

Types are kept, and the role of a column is respected (`columns/roles.py`), as in Hu et al. 2023
(arXiv 2212.08785).
"""

from __future__ import annotations

import collections
import functools
import random
from collections.abc import Collection

from spftsql_jax.columns import roles
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis import joins
from spftsql_jax.synthesis.column_choice import ColumnChoice
from spftsql_jax.synthesis.compiling import ColumnSpec, compile_template
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template
from spftsql_jax.synthesis.rendering import Rendering
from spftsql_jax.synthesis.stored import StoredValues
from spftsql_jax.synthesis.supply import Place, Supply
from spftsql_jax.synthesis.table_choice import TableChoice, column_needs

DECAY = 0.3
_ATTEMPTS = 12
_FILLERS_KEPT = 32


def fill_template(
  template: Template,
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
  """One filler for each schema, kept.

  A schema is large to hash, so its identity is the key, and the filler holds it.
  """
  key = (id(schema), id(values))
  if key not in _FILLERS:
    _FILLERS[key] = Filler(schema, values)
    if len(_FILLERS) > _FILLERS_KEPT:
      _FILLERS.popitem(last=False)
  return _FILLERS[key]


class Filler:
  """Fills templates over one database; `connecting` and `awkward` as `Supply` has them."""

  def __init__(
    self,
    schema: Schema,
    values: StoredValues,
    connecting: Collection[str] = (),
    awkward: Collection[Place] = (),
  ):
    self.schema = schema
    self.values = values
    self._supply = Supply(schema, values, connecting, awkward)
    self.leniency = functools.lru_cache(maxsize=None)(self._leniency)
    self.takes = functools.lru_cache(maxsize=None)(self._takes)

  def fill(
    self,
    template: Template,
    rng: random.Random,
    decay: float = DECAY,
    focus: Place | None = None,
    tight: bool = False,
  ) -> Filled:
    """A query of this template. Raises CannotFill.

    With `focus` it names this (table, column), in lower case; with `tight` its conditions select
    few rows.
    """
    compiled = compile_template(template.text)
    lenient = self.leniency(template.text)
    if lenient is None:
      raise CannotFill("no table fits")
    choice = self._choice(template.text, lenient, decay)
    problem = "no table fits"
    for _ in range(_ATTEMPTS):
      try:
        given_tables, given_columns = self._assign(template, focus, rng) if focus else ({}, {})
        tables = choice.choose(given_tables, rng)
        columns = ColumnChoice(self._supply, compiled, tables, lenient).choose(given_columns, rng)
        return Rendering(self._supply, compiled, tables, columns, rng, tight).finish()
      except (CannotFill, joins.CannotJoin) as error:
        problem = str(error)
    raise CannotFill(problem)

  def holding(self, text: str, focus: Place) -> list[ColumnSpec]:
    """The slots of a template that a (table, column) can stand for."""
    lenient = self.leniency(text)
    if lenient is None:
      return []
    table, column = focus
    compiled = compile_template(text)
    needs = column_needs(compiled)
    # A slot that refers to another, or is referred to, is chosen together with that one.
    referred = {slot.refers_to for slot in compiled.slots.values()}
    found = []
    for slot in compiled.slots.values():
      if slot.refers_to is not None or slot.number in referred:
        continue
      if not self._supply.table_weight(table, tuple(needs[slot.letter]), lenient):
        continue
      candidates = self._supply.candidates(table, slot.kind, slot.uses, lenient)
      fits = any(name == column for name, _ in candidates)
      if fits and self.takes(text, lenient, slot.letter, table):
        found.append(slot)
    return found

  def _takes(self, text: str, lenient: bool, letter: str, table: str) -> bool:
    """Whether a template can be filled with a table for one of its letters: a table without keys
    has none to be joined with.
    """
    return self._choice(text, lenient).possible({letter: table})

  def _assign(
    self, template: Template, focus: Place, rng: random.Random
  ) -> tuple[dict[str, str], dict[int, str]]:
    """Puts the focus's table and column into one of the slots that they suit."""
    table, column = focus
    options = self.holding(template.text, focus)
    if not options:
      raise CannotFill("no slot for the column")
    slot = rng.choice(options)
    return {slot.letter: table}, {slot.number: column}

  def _leniency(self, text: str) -> bool | None:
    """Whether columns must be chosen leniently (see `suitability`) to fill a template.

    None where even that does not help.
    """
    return next((how for how in (False, True) if self._choice(text, how).possible()), None)

  def _choice(self, text: str, lenient: bool, decay: float = DECAY) -> TableChoice:
    """How tables are chosen for a template."""
    compiled = compile_template(text)
    return TableChoice(self._supply, compiled, column_needs(compiled), decay, lenient)

  def name(self, table: str, column: str | None = None) -> str:
    """The name of a table or column as it is written in a query."""
    return self._supply.name(table, column)

  def columns_with_values(self) -> list[Place]:
    """The (table, column) pairs, in lower case, that hold anything."""
    return self._supply.columns_with_values()

  def role(self, table: str, column: str) -> roles.Role:
    return self._supply.roles[(table, column)]

  def seldom_asked(self, place: Place) -> bool:
    """Whether people seldom ask for a column: a key or a flag, one of a table that only connects
    others, one whose name is no noun.
    """
    role, supply = self.role(*place), self._supply
    numbered = role.kind in ("key", "ref") and not role.natural
    unsaid = place[0] in supply.connecting or place in supply.awkward
    return numbered or role.flag or role.asked < 1 or unsaid
