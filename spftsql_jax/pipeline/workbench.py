"""What the stages of a run work with: each tool is a room of its own, and stages pass it on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.databases import RunDatabases
from spftsql_jax.pipeline.evaluation import Evaluator
from spftsql_jax.pipeline.fine_tuning import Trainer
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.training_units import UnitMaker


@dataclasses.dataclass(frozen=True)
class Workbench:
  """The tools of a run; they stay the same through all stages.

  Attributes:
    config: of the run.
    journal: what is done.
    databases: with the instances that queries are judged on.
    units: makes examples into units to train on.
    evaluator: answers questions with a version.
    trainer: fine-tunes a version.
    models: versions of the text-to-SQL model.
    writers: versions of the SQL-to-text model.
    say: prints a line.
  """

  config: RunConfig
  journal: Journal
  databases: RunDatabases
  units: UnitMaker
  evaluator: Evaluator
  trainer: Trainer
  models: ModelBase
  writers: ModelBase
  say: Callable[[str], None]

  def load(self, version: str) -> Params:
    """The tree of a version of the text-to-SQL model."""
    return self.models.load(version, self.evaluator.trainable.layout)

  def load_writer(self, version: str) -> Params:
    """The tree of a version of the SQL-to-text model."""
    return self.writers.load(version, self.evaluator.trainable.layout)
