"""The last stage: versions answer the held-out test, which judges as the benchmark does.

Without a test they answer the selection split, judged as there.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from spftsql_jax.examples.example import Example
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.databases import RunDatabases
from spftsql_jax.pipeline.evaluation import answer_and_judge, judge, score_of
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.records import DataFile, JudgedAnswer
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.versions import SELECTION, TEST, chosen_version, sound_versions
from spftsql_jax.pipeline.workbench import Workbench

# Stages whose versions a run hands over; the others are baselines.
CANDIDATES = ("sft", "vbi_ft", "self_play")

_TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """What was evaluated.

  Attributes:
    best: the version that is handed over (`chosen_version`).
    split: the name of the split that was answered.
    questions: of it.
    files: the data file of each version's answers, in the order of the versions.
  """

  best: str
  split: str
  questions: Sequence[Example]
  files: Mapping[str, str]

  @property
  def versions(self) -> tuple[str, ...]:
    """The versions that were evaluated."""
    return tuple(self.files)


def run_evaluation(bench: Workbench, splits: Splits) -> Evaluated:
  """Evaluates every version but those of a baseline that it has gone on from."""
  has_test = bool(splits.data.test)
  bench.say(
    "Evaluation on the held-out test" if has_test else "No test: evaluation on the selection split"
  )
  versions = sound_versions(bench, bench.models.versions())
  best = chosen_version(bench)
  superseded = {v for v in versions for w in versions if _supersedes(bench.models, w, v)}
  if text := bench.evaluator.describe_split(splits.data.test or splits.selection):
    bench.say(f"  {text}")
  files = {}
  for version in versions:
    if version not in superseded:
      work = functools.partial(evaluate_version, bench, splits, version)
      files[version] = bench.journal.step(f"evaluation/{version}", DataFile, work).file
  return Evaluated(
    best=best,
    split=TEST if has_test else SELECTION,
    questions=splits.data.test or splits.selection,
    files=files,
  )


def _supersedes(models: ModelBase, version: str, other: str) -> bool:
  """Whether `version` is a later iteration of the same baseline: only the last one is evaluated."""
  a, b = models.lineage(version), models.lineage(other)
  return a.stage == b.stage and a.stage not in CANDIDATES and a.round > b.round


def evaluate_version(bench: Workbench, splits: Splits, version: str) -> DataFile:
  """Answers the questions with a version, adds its score, and writes its answers."""
  tree, has_test = bench.load(version), bool(splits.data.test)
  if has_test:
    questions, split = splits.data.test, TEST
    judged_by = functools.partial(judge_test, bench.config)
    predictions, verdicts = answer_and_judge(bench.evaluator, tree, questions, judged_by)
    right = [v.correct for v in verdicts]
  else:
    questions, split = tuple(splits.selection), SELECTION
    predictions, verdicts = answer_and_judge(bench.evaluator, tree, questions, judge)
    right = [bool(v.suite_correct) for v in verdicts]
  # By its score on the selection split a version was chosen: it stays as it was.
  result = None if has_test else bench.models.score(version, split)
  if result is None:
    result = score_of(questions, right, verdicts)
    bench.models.add_score(version, split, result)
  bench.say(f"  {version}: EX {result.execution_accuracy:.1%}, {result.executable:.0%} run")
  answers = map(JudgedAnswer, predictions, right)
  return DataFile(bench.journal.write_records(f"test-{version}", answers))


def judge_test(
  config: RunConfig,
  databases: RunDatabases,
  test: Sequence[Example],
  predictions: Sequence[str],
  keep_rows: bool = False,
) -> list[Verdict]:
  """Whether each prediction gives the gold result as the benchmark compares, on the database alone.

  Args:
    keep_rows: whether the verdicts hold both results.
  """
  return score_predictions(
    [(e.query, p) for e, p in zip(test, predictions, strict=True)],
    [databases.instances[e.db_id][:1] for e in test],
    databases.executor,
    comparison=config.data.comparison,
    timeout_s=_TIMEOUT_S,
    keep_rows=keep_rows,
  )
