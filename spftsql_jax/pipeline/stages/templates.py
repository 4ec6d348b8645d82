"""The templates of a run: dealt to disjoint splits, and weighed anew after each round."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import RunConfig, stage_seed
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.records import DataFile, SplitTemplate, TemplateErrors
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import reweight
from spftsql_jax.synthesis.tasks import schema_of
from spftsql_jax.synthesis.templates import extract_templates


@dataclasses.dataclass(frozen=True)
class TemplateSplits:
  """The templates of a run by what they are for.

  No template is in two splits, unless the paper's splits are asked for.
  """

  train: tuple[WeightedTemplate, ...]
  self_play: tuple[WeightedTemplate, ...]
  selection: tuple[WeightedTemplate, ...]

  def rows(self) -> Iterator[SplitTemplate]:
    """The lines of the data file."""
    for field in dataclasses.fields(self):
      for item in getattr(self, field.name):
        yield SplitTemplate(field.name, item.template.text, item.weight)


def split_templates(bench: Workbench, data: RunData) -> TemplateSplits:
  """The run's templates by split: dealt once (thousands of seeds take minutes), then read from the
  data file.
  """
  journal = bench.journal

  def deal() -> DataFile:
    schemas = {d: bench.databases.prompts[d].schema for d in data.seed_databases}
    queries = [(e.query, schemas[e.db_id]) for e in data.seeds]
    queries += logged_queries(bench.config, data)
    dealt = deal_templates(bench.config, queries)
    return DataFile(journal.write_records("templates", dealt.rows()))

  file = journal.step("prepare/templates", DataFile, deal).file
  parts: dict[str, list[WeightedTemplate]] = {
    field.name: [] for field in dataclasses.fields(TemplateSplits)
  }
  for row in journal.read_records(file, SplitTemplate):
    parts[row.split].append(WeightedTemplate(Template(row.text), row.weight))
  return TemplateSplits(**{name: tuple(items) for name, items in parts.items()})


def logged_queries(config: RunConfig, data: RunData) -> list[tuple[str, Schema]]:
  """The queries of the log with their schemas: they join along keys that nobody declared, too."""
  schemas = {
    d: schema_of(data.locations[d], True, config.data.view)
    for d in dict.fromkeys(d for d, _ in data.logged)
  }
  return [(sql, schemas[d]) for d, sql in data.logged]


def deal_templates(config: RunConfig, queries: Sequence[tuple[str, Schema]]) -> TemplateSplits:
  """Templates of given queries and of the built-in pool, dealt to three disjoint splits.

  The given ones are the seeds', which are trained on, and what users ask: their templates are in
  `train`.
  """
  from_seeds: list[WeightedTemplate] = []
  if queries:
    from_seeds, _ = extract_templates(list(queries))
  trained = {item.template for item in from_seeds}
  pool = [item for item in builtin_templates() if item.template not in trained]
  parts = _deal(config, pool)
  pool_share = config.synthesis.pool_share if from_seeds else 1.0
  pool_mass, seeds_mass = (sum(i.weight for i in items) for items in (pool, from_seeds))
  weighed = {
    name: [dataclasses.replace(i, weight=pool_share * i.weight / pool_mass) for i in part]
    for name, part in parts.items()
  }
  weighed["train"] += [
    dataclasses.replace(i, weight=(1 - pool_share) * i.weight / seeds_mass) for i in from_seeds
  ]
  if config.paper_splits:
    weighed = dict.fromkeys(weighed, [item for part in weighed.values() for item in part])
  return TemplateSplits(**{name: tuple(part) for name, part in weighed.items()})


def _deal(config: RunConfig, pool: Sequence[WeightedTemplate]) -> dict[str, list[WeightedTemplate]]:
  """Each split gets its share of the pool's weight: heaviest first, each template goes to the split
  that is furthest below its share.
  """
  self_play, selection = config.synthesis.holdout
  shares = {
    "train": 1 - sum(config.synthesis.holdout),
    "self_play": self_play,
    "selection": selection,
  }
  parts: dict[str, list[WeightedTemplate]] = {name: [] for name in shares}
  filled = dict.fromkeys(shares, 0.0)
  rng = random.Random(stage_seed(config, "template splits"))
  ties = {item.template: rng.random() for item in pool}
  for item in sorted(pool, key=lambda i: (-i.weight, ties[i.template])):
    open_splits = [name for name, share in shares.items() if share > 0]
    name = min(open_splits, key=lambda n: (filled[n] + item.weight) / shares[n])
    parts[name].append(item)
    filled[name] += item.weight
  return parts


def next_templates(
  config: RunConfig,
  templates: Sequence[WeightedTemplate],
  errors: Sequence[TemplateErrors],
) -> tuple[WeightedTemplate, ...]:
  """The next round's templates: those of y- weigh more, up to the cap."""
  wrong = {row.template: row.errors for row in errors}
  return tuple(reweight(templates, wrong, cap=config.synthesis.feedback_cap))


def error_rates(examples: Sequence[Example], wrong: Sequence[bool]) -> tuple[TemplateErrors, ...]:
  """Errors and total by template id, most errors first."""
  totals = Counter(e.template for e in examples)
  errors = Counter(e.template for e, w in zip(examples, wrong, strict=True) if w)
  return tuple(
    TemplateErrors(template, errors[template], total)
    for template, total in sorted(totals.items(), key=lambda i: (-errors[i[0]], i[0]))
  )
