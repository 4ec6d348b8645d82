"""How tables that a question mentions are joined: the foreign keys between them, and those on the
way from one to another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from spftsql_jax.schema import ForeignKey, Schema

# A table and a foreign key of it.
Link = tuple[str, ForeignKey]


def links_between(schema: Schema, tables: Sequence[str]) -> tuple[Link, ...]:
  """The links by which `tables` (names of the schema) are joined, in the schema's order.

  These are all links between two of them. Where that leaves one apart from those before it, the
  links on a shortest way to them too.
  """
  wanted = list(dict.fromkeys(tables))
  joined, near = wanted[:1], near_by_keys(schema)
  for name in wanted[1:]:
    joined += [step for step in shortest_way(near, joined, name) if step not in joined]
  return tuple(
    (own, key) for own, key, other in links_of(schema) if own in joined and other in joined
  )


def links_of(schema: Schema) -> Iterator[tuple[str, ForeignKey, str]]:
  """(table, foreign key, the table referred to) of a schema, names as it spells them."""
  names = {table.name.lower(): table.name for table in schema.tables}
  for table in schema.tables:
    for key in table.foreign_keys:
      if (other := names.get(key.referred_table.lower())) is not None:
        yield table.name, key, other


def near_by_keys(schema: Schema) -> dict[str, list[str]]:
  """The tables that foreign keys connect with each table, one for each key, names as the schema
  spells them.
  """
  near: dict[str, list[str]] = {table.name: [] for table in schema.tables}
  for own, _, other in links_of(schema):
    if other != own:
      near[own].append(other)
      near[other].append(own)
  return near


def shortest_way(
  near: Mapping[str, Sequence[str]], start: Sequence[str], goal: str
) -> tuple[str, ...]:
  """The tables on a shortest way from one of `start` to `goal`, which stands last, without the one
  that it starts from; `goal` alone where no way leads there. Of ways as short, the one that `start`
  and `near` name first.
  """
  before = dict.fromkeys(start, "")
  waiting = deque(before)
  while waiting and goal not in before:
    here = waiting.popleft()
    for other in near[here]:
      if other not in before:
        before[other] = here
        waiting.append(other)
  steps = [goal]
  while (step := before.get(steps[-1])) and step not in start:
    steps.append(step)
  return tuple(reversed(steps))
