"""What a synthesis gives."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from spftsql_jax.synthesis.synthetic_example import SyntheticExample


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """What `synthesize` made.

  Attributes:
    examples: in the order of the databases; within one, those of each template are spread evenly.
    rejections: how many queries were not kept, by reason (`rejections.Rejection`, or a
      `rejections.Cause` with what it was).
    templates: how many examples each template (id) gave.
    attempts: how many draws were made.
    short: how many examples fewer than its share each database gave.
    seconds: time taken.
    repairs: how many of the examples were repaired, by what was done.
    unit_sizes: how many examples each unit (a database, or a part of its queries) gave, in their
      order.
    left_out: of each database what could not be read or is not taken, a line each
      (`Schema.left_out`).
  """

  examples: list[SyntheticExample]
  rejections: collections.Counter[str]
  templates: collections.Counter[str]
  attempts: int
  short: Mapping[str, int]
  seconds: float
  repairs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
  unit_sizes: tuple[int, ...] = ()
  left_out: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def merge_shards(shards: Sequence[Synthesis]) -> Synthesis:
  """What one call would have made, from what `synthesize` made shard by shard.

  The shards are (0, n), (1, n), .., (n - 1, n), in this order.
  """
  parts = [iter(made.examples) for made in shards]
  examples: list[SyntheticExample] = []
  for sizes in itertools.zip_longest(*(made.unit_sizes for made in shards), fillvalue=0):
    for part, size in zip(parts, sizes, strict=True):
      examples += itertools.islice(part, size)
  return Synthesis(
    examples=examples,
    rejections=_total(made.rejections for made in shards),
    templates=_total(made.templates for made in shards),
    attempts=sum(made.attempts for made in shards),
    short=_total(made.short for made in shards),
    seconds=max(made.seconds for made in shards),
    repairs=_total(made.repairs for made in shards),
    unit_sizes=tuple(
      size
      for sizes in itertools.zip_longest(*(made.unit_sizes for made in shards))
      for size in sizes
      if size is not None
    ),
    left_out={db_id: texts for made in shards for db_id, texts in made.left_out.items()},
  )


def _total(counts: Iterable[Mapping[str, int]]) -> collections.Counter[str]:
  return sum((collections.Counter(each) for each in counts), collections.Counter())
