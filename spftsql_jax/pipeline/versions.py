"""The versions of a run's model base: adding them with their scores, and asking for them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from spftsql_jax import hosts
from spftsql_jax.examples.example import Example
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.evaluation import score
from spftsql_jax.pipeline.headroom import measure_headroom
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import SelectionScore
from spftsql_jax.pipeline.starting_model import base_model_name
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.training.trainer import forget_checkpoints

# Splits that versions have scores on.
SELECTION, TEST = "selection", "test"
# The version that fine-tuning starts from.
BASE = "base"


def add_version(
  bench: Workbench,
  version: str,
  tree: Params,
  lineage: Lineage,
  selection: Sequence[Example],
  stage: str,
) -> Score:
  """Adds a version to the model base with its score on the selection split, and forgets the
  training checkpoints of its stage.
  """
  config = bench.config
  lineage = dataclasses.replace(
    lineage,
    base_model=base_model_name(config),
    prompt_format=config.prompt.fingerprint,
    seed=config.seed,
  )
  bench.models.add(version, tree, lineage)
  result = score(bench.evaluator, tree, selection)
  bench.models.add_score(version, SELECTION, result)
  measure_headroom(bench, version, tree, selection, result, stage)
  forget_checkpoints(bench.trainer.checkpoint_folder(stage))
  return result


def score_base(bench: Workbench, selection: Sequence[Example]) -> None:
  """Scores the starting model on the selection split, where that is not done."""

  def work() -> SelectionScore:
    result = score(bench.evaluator, bench.load(BASE), selection)
    bench.models.add_score(BASE, SELECTION, result)
    measure_headroom(bench, BASE, bench.load(BASE), selection, result, BASE)
    return SelectionScore(result.execution_accuracy)

  bench.journal.step("base/selection", SelectionScore, work)


def selection_score(models: ModelBase, version: str) -> Score:
  """A version's score on the selection split. Raises RuntimeError where it has none."""
  return score_on(models, version, SELECTION)


def score_on(models: ModelBase, version: str, split: str) -> Score:
  """A version's score on a split. Raises RuntimeError where it has none."""
  found = models.score(version, split)
  if found is None:
    raise RuntimeError(
      f"version {version} has no score on the {split} split; start in a new --workdir"
    )
  return found


def parent_of_next(
  bench: Workbench, version: str, before: str, selection: Sequence[Example]
) -> str:
  """Which version the next stage trains further: `version`, or `before`, which it was trained from.

  It is `before` where the training of `version` ended on numbers that are not finite and it answers
  the selection split no better.
  """
  if not bench.models.lineage(version).fault:
    return version
  # the starting model, which is scored where it plays alone
  if bench.models.score(before, SELECTION) is None:
    score_base(bench, selection)
  old, new = (selection_score(bench.models, v).execution_accuracy for v in (before, version))
  chosen = version if new > old else before
  bench.say(
    f"  {chosen} is trained further: selection EX of {before} {old:.1%}, of {version} {new:.1%}"
  )
  return chosen


def chosen_version(bench: Workbench) -> str:
  """The version that a run hands over: the best candidate on the selection split or, with
  `final_step`, self-play's last whose training did not fail.
  """
  if bench.config.self_play.final_step:
    models = bench.models
    played = [v for v in models.versions() if models.lineage(v).stage == "self_play"]
    if sound := [v for v in sound_versions(bench, played) if not models.lineage(v).fault]:
      return sound[-1]
  return bench.models.best(SELECTION)


def sound_versions(bench: Workbench, versions: Sequence[str]) -> list[str]:
  """The versions whose files are those that were written; the others are named and left out."""
  sound = []
  for version in versions:
    if damage := hosts.from_first(functools.partial(bench.models.damage, version)):
      bench.say(f"  version {version} is damaged ({damage}): it is left out")
    else:
      sound.append(version)
  return sound
