"""The joins of a filled template, one for each SELECT, and their FROM clauses."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
from collections.abc import Iterator, Mapping

from spftsql_jax.synthesis.compiling import Compiled
from spftsql_jax.synthesis.joins import JoinGraph, JoinTree, Step
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.slots import ColumnSlot, StarSlot
from spftsql_jax.synthesis.supply import Supply


def choose_joins(
  compiled: Compiled, tables: Mapping[str, str], graph: JoinGraph, rng: random.Random
) -> list[JoinTree | None]:
  """The join of each scope; two scopes with the same tables (the sides of INTERSECT) get the same.
  None where a scope reads a nested query. Raises CannotFill, CannotJoin.
  """
  made: dict[tuple, JoinTree] = {}
  trees: list[JoinTree | None] = []
  for scope in compiled.scopes:
    nodes = tuple((letter, tables[letter[0]]) for letter in scope.letters)
    if not nodes:
      if not scope.has_source:
        raise CannotFill("a SELECT without a table")
      trees.append(None)
      continue
    optional_last = tuple(sorted(nodes, key=lambda node: node[0] in scope.optional))
    if optional_last not in made:
      made[optional_last] = graph.join(optional_last, rng)
    trees.append(made[optional_last])
  return trees


def choose_aliases(compiled: Compiled, trees: list[JoinTree | None]) -> list[dict[str, str]]:
  """The alias of each node in each scope.

  None where a query reads one table and no other query names it.
  """
  aliases: list[dict[str, str]] = []
  offsets: list[int] = []
  for scope, tree in zip(compiled.scopes, trees, strict=True):
    nodes = list(tree.tables()) if tree is not None else []
    inner = scope.correlated and scope.parent >= 0
    start = offsets[scope.parent] if inner else 0
    offsets.append(start + len(nodes))
    needed = len(nodes) > 1 or scope.correlated
    aliases.append({node: f"T{start + i + 1}" if needed else "" for i, node in enumerate(nodes)})
  return aliases


def write_from(
  supply: Supply, tree: JoinTree, aliases: Mapping[str, str], optional: frozenset[str]
) -> str:
  """What stands behind FROM; the `optional` nodes are joined by a LEFT JOIN."""
  left = set(optional)
  for step in reversed(tree.steps):
    # What only leads to a table of a left join is joined the same way.
    after = [other.node for other in tree.steps if other.to == step.node]
    if after and step.node.startswith("~") and all(node in left for node in after):
      left.add(step.node)

  def source(node: str, table: str) -> str:
    alias = aliases[node]
    return f"{supply.name(table)} AS {alias}" if alias else supply.name(table)

  parts = [source(tree.root, tree.root_table)]
  tables = tree.tables()
  for step in tree.steps:
    near, far = step_columns(step)
    conditions = [
      f"{aliases[step.to]}.{supply.name(tables[step.to], one)}"
      f" = {aliases[step.node]}.{supply.name(step.table, other)}"
      for one, other in zip(near, far, strict=True)
    ]
    kind = "LEFT JOIN" if step.node in left else "JOIN"
    parts.append(f"{kind} {source(step.node, step.table)} ON {' AND '.join(conditions)}")
  return " ".join(parts)


def step_columns(step: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """The columns that a step compares: of the source that is there, and of the one it adds."""
  edge = step.edge
  if step.upwards:
    return edge.columns, edge.referred_columns
  return edge.referred_columns, edge.columns


def shorter_trees(
  compiled: Compiled, trees: list[JoinTree | None]
) -> Iterator[list[JoinTree | None]]:
  """The joins without a table at the end of one of which the query names no column."""
  slots = compiled.query.pieces()
  named = {(s.scope, s.letter) for s in slots if isinstance(s, (ColumnSlot, StarSlot))}
  for index, tree in enumerate(trees):
    for step in tree.steps if tree is not None else ():
      if tree is None or (index, step.node) in named:
        continue
      if any(other.to == step.node for other in tree.steps):
        continue
      rest = tuple(other for other in tree.steps if other is not step)
      yield [*trees[:index], dataclasses.replace(tree, steps=rest), *trees[index + 1 :]]


def repeats_rows(compiled: Compiled, tree: JoinTree | None) -> bool:
  """Whether the join repeats the rows that a plain list is about.

  It does where from what it returns it leads to the many side of a key.
  """
  listing = compiled.listing
  if listing is None or listing.limited or tree is None:
    return False
  reached = {node for node in tree.tables() if node in listing.returned}
  if not reached:
    return False
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


def needed_steps(compiled: Compiled, tree: JoinTree | None) -> Iterator[Step]:
  """The steps that leave out rows of a list which have no partner, and no question says so.

  Each leads away from what is listed, or from what a LIMIT takes the first of: "the program with
  the most recent launch" may have no share. It is not said where nothing behind it is in a
  condition, and columns behind it are returned: beside them, nobody says that there have to be any.
  """
  listing = compiled.listing
  if listing is None or tree is None or len({*listing.returned, *listing.ordered}) < 2:
    return
  optional = compiled.scopes[0].optional
  steps = [*tree.steps, *map(_turned, tree.steps, (tree.tables()[step.to] for step in tree.steps))]

  def away_from(node: str, before: str = "") -> Iterator[Step]:
    for step in steps:
      if step.to == node and step.node != before:
        yield step
        yield from away_from(step.node, node)

  def is_finest(node: str) -> bool:
    return all(step.upwards for step in away_from(node))

  finest = (node for node in listing.returned if is_finest(node))
  head = next(itertools.chain(listing.ordered, finest, listing.returned))
  for step in away_from(head):
    behind = {step.node, *(other.node for other in away_from(step.node, step.to))}
    if not behind & (listing.said | optional) and behind & set(listing.returned):
      yield step


def _turned(step: Step, table: str) -> Step:
  """A step the other way, to a `table`."""
  return Step(step.to, table, step.node, step.edge, not step.upwards)


def has_idle_end(compiled: Compiled, trees: list[JoinTree | None]) -> bool:
  """Whether a join ends in the row that a key refers to and of which no column is named.

  Counting is no naming.
  """
  slots = compiled.query.pieces()
  named = {(slot.scope, slot.letter) for slot in slots if isinstance(slot, ColumnSlot)}
  for index, tree in enumerate(trees):
    steps = tree.steps if tree is not None else ()
    # Each key from the row that refers to the row that it refers to, the latter first.
    edges = [(step.node, step.to) if step.upwards else (step.to, step.node) for step in steps]
    ends = collections.Counter(node for edge in edges for node in edge)
    if any(ends[parent] == 1 and (index, parent) not in named for parent, _ in edges):
      return True
  return False
