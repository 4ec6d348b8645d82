"""Doing stages again: what they have left in a work folder is forgotten first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from spftsql_jax import hosts
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.prepare import CHECKPOINTS, MODEL_BASE, QUESTION_WRITERS
from spftsql_jax.pipeline.stages.baselines import BASELINES
from spftsql_jax.pipeline.stages.evaluation import CANDIDATES
from spftsql_jax.pipeline.stages.question_writer import FIRST_WRITER

STAGES = ("prepare", "sft", "vbi_ft", "self_play", "baselines", "evaluation")
# The journal's steps of each stage, by the beginnings of their names, and the stages of the
# versions it adds.
_STEPS = {
  "prepare": ("prepare/",),
  "sft": ("sft", "questions"),
  "vbi_ft": ("vbi_ft/",),
  "self_play": ("base/", "self_play/"),
  "baselines": (*(f"{name}/" for name in BASELINES), "arms/"),
  "evaluation": ("evaluation/", "cost"),
}
_VERSIONS = {"prepare": ("base",), "evaluation": ()}


def forget_from(start_from: str, journal: Journal, metrics: MetricsLog) -> None:
  """Takes back what a stage of `STAGES` and all behind it have done: their versions, checkpoints
  and metrics, and last their steps in the journal.
  """
  stages = STAGES[STAGES.index(start_from) :]
  _forget_models(ModelBase(journal.workdir / MODEL_BASE), stages)
  _forget_writers(ModelBase(journal.workdir / QUESTION_WRITERS), stages)
  shutil.rmtree(journal.workdir / CHECKPOINTS, ignore_errors=True)
  prefixes = [prefix for stage in stages for prefix in _STEPS[stage]]
  hosts.from_first(lambda: metrics.forget(prefixes))
  journal.forget(prefixes)


def _forget_models(models: ModelBase, stages: Sequence[str]) -> None:
  added = {name for stage in stages for name in _VERSIONS.get(stage, (stage,))}
  known = {"base", *CANDIDATES}  # All others are baselines and arms, which a config may name.
  # Listed by the first alone: another would miss what it has removed already, and both would wait
  # for each other.
  for version in hosts.from_first(
    lambda: [
      name
      for name in models.versions()
      if (stage := models.lineage(name).stage) in added
      or ("baselines" in stages and stage not in known)
    ]
  ):
    models.remove(version)


def _forget_writers(writers: ModelBase, stages: Sequence[str]) -> None:
  for version in hosts.from_first(writers.versions):
    # The first is trained on the seeds, the others on what rounds have verified: without seeds all
    # of them.
    if "sft" in stages or ("vbi_ft" in stages and version != FIRST_WRITER):
      writers.remove(version)
