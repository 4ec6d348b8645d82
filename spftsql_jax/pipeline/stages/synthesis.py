"""Synthesized examples of a run, apart by query from those of the other splits."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from spftsql_jax import hosts
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.result import Synthesis, merge_shards
from spftsql_jax.synthesis.synthesize import synthesize

# Fewer examples are made sooner than worker processes start.
_WORTH_WORKERS = 1000


def make_examples(
  bench: Workbench,
  stage: str,
  templates: Sequence[WeightedTemplate],
  count: int,
  *,
  db_ids: Sequence[str],
  apart: Sequence[Example],
  also_apart: Sequence[Example] = (),
) -> Synthesis:
  """Synthesizes `count` verified examples over the databases `db_ids`.

  Every process makes its shard, and all have the whole.

  Args:
    stage: names the draws.
    apart: examples of other splits: none of their queries is made again.
    also_apart: the same for many examples with which few are shared: what was made all the same is
      left out, and not replaced.
  """
  config = bench.config.synthesis
  options = SynthesisOptions(
    count,
    seed=stage_seed(bench.config, stage),
    workers=config.workers if count > _WORTH_WORKERS else 1,
    exclude=tuple(e.query for e in apart),
    instances=config.instances,
    instance_dir=bench.databases.instance_dir,
    decay=config.decay,
    wordings=config.wordings,
    parts=config.parts,
    shard=(hosts.index(), hosts.count()),
    view=bench.config.data.view,
    phrases=config.phrases,
  )
  locations = [bench.databases.prompts[d].location for d in db_ids]
  shard = synthesize(locations, templates, options)
  return _apart(bench, merge_shards(hosts.gather(shard)), [*apart, *also_apart])


def _apart(bench: Workbench, made: Synthesis, others: Sequence[Example]) -> Synthesis:
  """Without what asks a query of `others`, by all that tells queries apart: synthesis goes by their
  normal form alone.
  """
  shared = bench.databases.queries.among([e.example() for e in made.examples], others)
  kept = [e for e, found in zip(made.examples, shared, strict=True) if not found]
  return dataclasses.replace(
    made,
    examples=kept,
    templates=Counter(e.template for e in kept),
    rejections=made.rejections + Counter({"asks a query of another split": sum(shared)}),
  )


def reasons(made: Synthesis) -> str:
  """Why most queries were not kept, in words; "" where none was rejected."""
  return ", ".join(f"{reason} ({n:,} times)" for reason, n in made.rejections.most_common(3))
