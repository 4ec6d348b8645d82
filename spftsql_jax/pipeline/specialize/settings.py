"""The config of a run that specialises a model on one database."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from spftsql_jax.databases.locations import absolute_location
from spftsql_jax.databases.schema_view import WHOLE, SchemaView
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.pipeline.config import (
  DataConfig,
  ModelSource,
  RunConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
)
from spftsql_jax.pipeline.small_start import GENTLE, SCRATCH, SMALL_MODEL, SMALL_PROMPT


@dataclasses.dataclass(frozen=True)
class Settings:
  """What is asked for.

  Attributes:
    location: of the database, with the schemas that are taken.
    base_model: folder of the model to start from; "" for a small one from random weights.
    view: what of the database is seen.
    examples: file of a few labelled examples; "" for none.
    query_log: file of SQL that has been asked of the database; "" for none.
    phrases: rows of more wordings of questions.
    synthetic: examples a round. rounds, steps: of stage 1. iterations: of stage 2, of which nothing
      has been shown to gain from small models (docs/results.md).
    select: questions that versions are compared on; 0 for a share of the synthetic examples.
    seed: of everything random.
  """

  location: str
  base_model: str = ""
  view: SchemaView = WHOLE
  examples: str = ""
  synthetic: int = 2400
  rounds: int = 2
  steps: int = 280
  iterations: int = 0
  select: int = 0
  seed: int = 0
  query_log: str = ""
  phrases: str = ""


def held_back(settings: Settings) -> int:
  """Questions that versions are compared on, and that a round is verified on."""
  return settings.select or max(32, min(128, settings.synthetic // 16))


def make_config(settings: Settings) -> RunConfig:
  """The run of these settings: without a test, and without seeds where no examples are given."""
  few = max(1, settings.steps // 10)
  given = bool(settings.base_model)
  asked = held_back(settings)
  return RunConfig(
    name="SPFT-SQL on a database",
    data_dir=os.curdir,
    seed=settings.seed,
    data=DataConfig(
      databases=absolute_location(settings.location),
      seeds=str(Path(settings.examples).absolute()) if settings.examples else "",
      test="",
      query_log=str(Path(settings.query_log).absolute()) if settings.query_log else "",
      view=settings.view,
    ),
    model=ModelSource(hf_model=str(Path(settings.base_model).absolute())) if given else SMALL_MODEL,
    prompt=PromptFormat() if given else SMALL_PROMPT,
    # Prompts and rates are those of the model, lengths those of the database.
    recipe="model" if given else "own",
    packing=Packing(row_tokens=0, longest_prefix=0, longest_branch=0, longest_answer=0),
    max_new_tokens=0,
    lanes=0,
    # A model's recipe takes the place of these optimizers.
    sft=Training(few, SCRATCH),
    synthesis=SynthesisConfig(
      examples=settings.synthetic, wordings=8, model_questions=0.02, phrases=settings.phrases
    ),
    vbi_ft=VbiFtConfig(
      rounds=settings.rounds,
      training=Training(settings.steps, SCRATCH),
      question_training=Training(few, SCRATCH),
      verify=asked,
      select=asked,
    ),
    self_play=SelfPlayConfig(
      iterations=settings.iterations,
      questions=2 * asked,
      training=Training(few, GENTLE),
      baselines=(),
    ),
  )
