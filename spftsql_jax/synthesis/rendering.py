"""A template whose tables and columns are chosen, as SQL: joins, values and text."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from spftsql_jax.synthesis import literals, scope_joins
from spftsql_jax.synthesis.compiling import Compiled, compile_template
from spftsql_jax.synthesis.dialects import SlottedQuery
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.joins import JoinTree
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.slots import ColumnSlot, StarSlot, TableSlot, ValueSlot
from spftsql_jax.synthesis.stored import rank_below
from spftsql_jax.synthesis.supply import Supply
from spftsql_jax.synthesis.value_specs import ValueSpec
from spftsql_jax.synthesis.witnesses import Witnesses

_OTHER_ROWS = 8  # Other rows looked at for a value that is not taken yet.


class Rendering:
  """One filled template: its joins, its values, and every variant of its text."""

  def __init__(
    self,
    supply: Supply,
    compiled: Compiled,
    tables: Mapping[str, str],
    columns: Mapping[int, str],
    rng: random.Random,
    tight: bool = False,
  ):
    self._supply = supply
    self._compiled = compiled
    self._tables = tables
    self._columns = columns
    self._rng = rng
    self._tight = tight
    self._trees = scope_joins.choose_joins(compiled, tables, supply.graph, rng)
    self._aliases = scope_joins.choose_aliases(compiled, self._trees)
    self._witnesses = Witnesses(compiled, self._trees, tables, columns, supply.values, rng)
    self._literals: dict[str, str] = {}
    self._values: dict[int, set] = {}  # By the number of a column slot; 0 for counts and limits.
    self._lower_bounds: dict[int, object] = {}

  def finish(self, values: Mapping[str, str] | None = None) -> Filled:
    """The filled query.

    `values` are literals that are known already, by the names of their slots.
    """
    self._literals.update(values or {})
    dialect = self._supply.schema.dialect
    # Values of conditions on rows first: probing a HAVING needs them.
    for spec in sorted(self._compiled.values, key=lambda spec: spec.mode == "probe"):
      if spec.name not in self._literals:
        self._literals[spec.name] = literals.literal(self._choose_value(spec), dialect)
    query, trees = self._compiled.query, self._trees
    sql = self.text(query)
    names = {
      table: self._supply.schema.table(table).name
      for tree in trees
      if tree is not None
      for table in tree.tables().values()
    }
    return Filled(
      sql,
      tuple(names.values()),
      tuple(self._named_columns(names)),
      self.text,
      self._rebuild,
      tuple(
        self._write(query, self._literals, shorter)
        for shorter in scope_joins.shorter_trees(self._compiled, trees)
      ),
      scope_joins.repeats_rows(self._compiled, trees[0]),
      scope_joins.has_idle_end(self._compiled, trees),
      any(
        self._supply.has_alone(step.edge, step.upwards)
        for step in scope_joins.needed_steps(self._compiled, trees[0])
      ),
      self._is_circular(),
      self._least_groups(),
    )

  def _is_circular(self) -> bool:
    """Whether a condition is on a key that its table is joined by."""
    for spec in self._compiled.values:
      tree = self._trees[spec.scope]
      if spec.slot is None or tree is None:
        continue
      for step in tree.steps:
        child = step.to if step.upwards else step.node
        keys = {column.lower() for column in step.edge.columns}
        if child == spec.letter and self._columns[spec.slot].lower() in keys:
          return True
    return False

  def _least_groups(self) -> int:
    """How many groups the result has to have; 0 where that cannot be said.

    Without a condition all, with one at least two.
    """
    compiled, tables = self._compiled, self._supply.tables
    places = [
      (self._tables[compiled.slots[number].letter], self._columns[number])
      for number in compiled.grouped
    ]
    counts = [tables[table].column(column).distinct_count for table, column in places]
    if compiled.conditioned or len(counts) != 1:
      return 2 if compiled.conditioned and any(count > 1 for count in counts) else 0
    kind, alone = compiled.slots[compiled.grouped[0]].kind, len(compiled.scopes[0].letters) == 1
    if kind == "ref" and alone:
      # "For each customer" is for those too to whom no row of the table refers.
      referred = tables.get((self._supply.roles[places[0]].refers_to or ("",))[0])
      return referred.row_count if referred else 0
    return 0 if kind == "key" or alone else counts[0]

  def _named_columns(self, names: Mapping[str, str]) -> dict[str, None]:
    """The columns that the query names, as "table.column", each once."""
    found: dict[str, None] = {}
    for number, slot in sorted(self._compiled.slots.items()):
      table, column = self._tables[slot.letter], self._columns[number]
      if table in names:
        found[f"{names[table]}.{self._supply.column_names[(table, column)]}"] = None
    return found

  def text(self, query: SlottedQuery, values: Mapping[str, str] | None = None) -> str:
    """A query of these slots in the schema's dialect, some values perhaps given anew."""
    known = {**self._literals, **values} if values else self._literals
    return self._write(query, known, self._trees)

  def _rebuild(self, text: str, values: Mapping[str, str] | None = None) -> Filled:
    compiled = compile_template(text)
    other = Rendering(self._supply, compiled, self._tables, self._columns, self._rng)
    return other.finish({**self._literals, **(values or {})})

  def _write(
    self, query: SlottedQuery, values: Mapping[str, str], trees: Sequence[JoinTree | None]
  ) -> str:
    """The text of a query with its slots filled."""
    parts = []
    for piece in query.pieces(self._supply.schema.dialect):
      if isinstance(piece, str):
        parts.append(piece)
      elif isinstance(piece, ColumnSlot):
        column = self._supply.name(self._tables[piece.letter[0]], self._columns[piece.number])
        parts.append(self._qualified(piece, column))
      elif isinstance(piece, ValueSlot):
        parts.append(values[piece.name])
      elif isinstance(piece, StarSlot):
        parts.append(self._qualified(piece, "*"))
      elif isinstance(piece, TableSlot):
        parts.append(self._from(piece.scope, trees[piece.scope]))
      else:
        raise TypeError(f"{piece.notation} is no part of a query")
    return "".join(parts)

  def _qualified(self, slot: ColumnSlot | StarSlot, column: str) -> str:
    alias = self._aliases[slot.scope].get(slot.letter, "")
    return f"{alias}.{column}" if alias else column

  def _from(self, scope: int, tree: JoinTree | None) -> str:
    if tree is None:
      raise CannotFill("a SELECT without a table")
    optional = self._compiled.scopes[scope].optional
    return scope_joins.write_from(self._supply, tree, self._aliases[scope], optional)

  # Values.

  def _choose_value(self, spec: ValueSpec) -> object:
    taken = self._values.setdefault(spec.slot or 0, set())
    if spec.mode in ("limit", "count"):
      value: object = literals.choose_free(spec, taken, self._rng)
    elif spec.mode == "probe":
      value = self._near_probed(spec, taken)
    else:
      value = self._of_column(spec, taken)
    taken.add(value)
    return value

  def _of_column(self, spec: ValueSpec, taken: set) -> object:
    """A value to compare a column with. Raises CannotFill."""
    number, rng = spec.slot, self._rng
    if number is None:
      raise CannotFill("a value of no column")
    table, column = self._tables[self._compiled.slots[number].letter], self._columns[number]
    stored = self._supply.values.tables[table]
    witness = self._witness_value(spec, number, taken)
    if spec.mode == "like":
      return literals.choose_like(stored, column, witness, taken, rng)
    if spec.mode == "strftime":
      return literals.choose_formatted(spec, stored, column, witness, taken, rng)
    role = self._supply.roles[(table, column)]
    value = literals.choose_plain(spec, stored, column, role, witness, taken, rng, self._tight)
    if spec.operator == "LOW":
      self._lower_bounds[number] = value
    elif spec.operator == "HIGH":
      low = self._lower_bounds.get(number)
      if low is not None and not rank_below([low], value):
        raise CannotFill("an empty range")
    return value

  def _witness_value(self, spec: ValueSpec, number: int, taken: set) -> object:
    """The column's value in a row that the query is to select."""
    witness = self._witnesses.value(spec.scope, spec.letter, number)
    asked = spec.operator in ("EQ", "IN") and not spec.under_or
    for _ in range(_OTHER_ROWS if asked and witness in taken else 0):
      # Another row that the rest of the query asks for just as well.
      self._witnesses.forget(spec.scope)
      witness = self._witnesses.value(spec.scope, spec.letter, number)
      if witness not in taken:
        break
    return witness

  def _near_probed(self, spec: ValueSpec, taken: set) -> object:
    """A value near those which the other side of the comparison takes in the database."""
    probe = self._supply.values.probe
    if probe is None or spec.probe is None:
      return literals.choose_free(spec, taken, self._rng)
    rows = probe(self.text(spec.probe))
    roles = {
      self._supply.roles[(self._tables[slot.letter], self._columns[number])]
      for number, slot in self._compiled.slots.items()
    }
    formats = {role.date_format for role in roles} - {""}
    return literals.choose_near([row[0] for row in rows], spec.operator, self._rng, sorted(formats))
