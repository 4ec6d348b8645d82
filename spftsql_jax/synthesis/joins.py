"""Rebuilding FROM: the shortest joins along foreign keys that connect given tables."""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Collection, Sequence

from spftsql_jax.schema import Schema

FAR = 1_000_000  # The distance of tables that no keys connect.


class CannotJoin(ValueError):
  """No foreign keys connect the tables."""


@dataclasses.dataclass(frozen=True)
class Edge:
  """A foreign key: `columns` of `child` refer to `referred_columns` of `parent`.

  Table names are in lower case.
  """

  child: str
  columns: tuple[str, ...]
  parent: str
  referred_columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Step:
  """One more source of a join: `node`, joined to the earlier `to` along `edge`.

  `upwards` where `node` is the edge's parent.
  """

  node: str
  table: str
  to: str
  edge: Edge
  upwards: bool


@dataclasses.dataclass(frozen=True)
class JoinTree:
  """A join: the first source and the steps that add the others.

  A source is named by its node: the letter of a template's table, or "~1", "~2", ... for tables
  that only connect others.
  """

  root: str
  root_table: str
  steps: tuple[Step, ...]

  def tables(self) -> dict[str, str]:
    """The table of each node, in the order of the join."""
    return {self.root: self.root_table} | {step.node: step.table for step in self.steps}


class JoinGraph:
  """The tables of a schema as a graph whose edges are the foreign keys.

  Tables without rows are left out: a join through one of them is always empty.
  """

  def __init__(self, schema: Schema):
    self.edges: list[Edge] = []
    known = {table.name.lower(): table for table in schema.tables if table.row_count}
    self.tables = list(known)
    for table in known.values():
      for key in table.foreign_keys:
        parent = known.get(key.referred_table.lower())
        if parent is None:
          continue
        # SQLite lets a key name only the table: then it refers to the primary key.
        referred = tuple(name for name in key.referred_columns if name) or parent.primary_key
        if len(referred) != len(key.columns):
          continue
        edge = Edge(table.name.lower(), key.columns, parent.name.lower(), referred)
        if edge not in self.edges:
          self.edges.append(edge)
    self._around: dict[str, list[tuple[str, Edge]]] = collections.defaultdict(list)
    for edge in self.edges:
      if edge.child != edge.parent:
        self._around[edge.child].append((edge.parent, edge))
        self._around[edge.parent].append((edge.child, edge))
    self._distances = {table: self._distances_from(table) for table in self.tables}

  def _distances_from(self, start: str) -> dict[str, int]:
    distances = {start: 0}
    queue = collections.deque([start])
    while queue:
      table = queue.popleft()
      for other, _ in self._around[table]:
        if other not in distances:
          distances[other] = distances[table] + 1
          queue.append(other)
    return distances

  def distance(self, left: str, right: str) -> int:
    """Number of foreign keys on the shortest path between two tables; FAR where there is none."""
    return self._distances[left].get(right, FAR)

  def reachable(self, table: str) -> Collection[str]:
    """The tables that keys connect with a table, in any number of steps, itself among them."""
    return self._distances[table].keys()

  def edges_between(self, child: str, parent: str) -> list[Edge]:
    """The foreign keys of `child` that refer to `parent`."""
    return [edge for edge in self.edges if edge.child == child and edge.parent == parent]

  def is_parent(self, parent: str, child: str) -> bool:
    """Whether each row of `child` leads to at most one row of `parent` along a shortest path."""
    if parent == child:
      return True
    distance = self.distance(child, parent)
    if distance >= FAR:
      return False
    return any(
      edge.child == child
      and self.distance(other, parent) == distance - 1
      and self.is_parent(parent, other)
      for other, edge in self._around[child]
    )

  def join(self, nodes: Sequence[tuple[str, str]], rng: random.Random) -> JoinTree:
    """The join of (node, table) pairs, the first pair first. Raises CannotJoin.

    Each further node is connected to the nearest one that is there; between paths of equal length
    `rng` chooses. A second node of a table already there is connected along a key that the first
    does not use.
    """
    (root, root_table), rest = nodes[0], list(nodes[1:])
    present: dict[str, str] = {root: root_table}
    steps: list[Step] = []
    while rest:
      rest.sort(
        key=lambda item: (
          item[1] in present.values(),
          min(self.distance(t, item[1]) for t in present.values()),
        )
      )
      node, table = rest.pop(0)
      if table in present.values():
        steps.extend(self._second_instance(node, table, present, steps, rng))
      else:
        steps.extend(self._connect(node, table, present, rng))
      for step in steps:
        present[step.node] = step.table
      # A table that came in as a connection may be wanted itself.
      rest = [item for item in rest if item[0] not in present]
    return JoinTree(root, root_table, tuple(steps))

  def _connect(
    self, node: str, table: str, present: dict[str, str], rng: random.Random
  ) -> list[Step]:
    nearest = min(self.distance(other, table) for other in present.values())
    if nearest >= FAR:
      raise CannotJoin(f"no keys lead to {table}")
    starts = [
      other
      for other, other_table in present.items()
      if self.distance(other_table, table) == nearest
    ]
    to = rng.choice(starts) if len(starts) > 1 else starts[0]
    steps: list[Step] = []
    current = present[to]
    while current != table:
      left = self.distance(current, table)
      options = [
        (other, edge)
        for other, edge in self._around[current]
        if self.distance(other, table) == left - 1
      ]
      other, edge = rng.choice(options) if len(options) > 1 else options[0]
      name = node if other == table else f"~{len(present) + len(steps)}"
      steps.append(Step(name, other, to, edge, upwards=edge.parent == other))
      current, to = other, name
    return steps

  def _second_instance(
    self, node: str, table: str, present: dict[str, str], steps: Sequence[Step], rng: random.Random
  ) -> list[Step]:
    """Connects one more row of a table that is there already.

    By a key to itself, or by a second key from a table that is there or next to it.
    """
    options: list[list[Step]] = []
    used = {(step.to if step.upwards else step.node, step.edge) for step in steps}
    for other, other_table in present.items():
      for edge in self.edges_between(other_table, table):
        # The row that holds the key is `other`: one that has been followed already leads to the
        # same row again.
        if (other, edge) not in used:
          options.append([Step(node, table, other, edge, upwards=True)])
    if not options:
      first = next(name for name, other_table in present.items() if other_table == table)
      for neighbour, edge in self._around[table]:
        if edge.parent != table:
          continue
        link = f"~{len(present)}"
        options += [
          [
            Step(link, neighbour, first, edge, upwards=False),
            Step(node, table, link, back, upwards=True),
          ]
          for back in self.edges_between(neighbour, table)
          if back != edge
        ]
    if not options:
      raise CannotJoin(f"no keys lead from {table} to {table}")
    return rng.choice(options)
