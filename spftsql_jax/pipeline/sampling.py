"""Several answers of a version to each question, drawn at a temperature and judged by execution."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from spftsql_jax import hosts
from spftsql_jax.examples.example import Example
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.evaluation import Evaluator, judge
from spftsql_jax.pipeline.stage2_config import Drawing


@dataclasses.dataclass(frozen=True)
class Sample:
  """An answer that was drawn, and whether it gives gold's result on all instances."""

  sql: str
  right: bool


def draw_and_judge(
  evaluator: Evaluator, tree: Params, examples: Sequence[Example], drawing: Drawing, seed: int
) -> list[tuple[Sample, ...]]:
  """A version's answers to each question; every process draws and judges its share.

  Equal answers to a question are executed once.
  """
  if not examples:
    return []
  weights, several = evaluator.weights(tree), drawing.samples > 1

  def part(places: list[int]) -> list[tuple[Sample, ...]]:
    asked = [examples[place] for place in places]
    answers = evaluator.answers(
      weights,
      asked,
      samples=drawing.samples,
      temperature=drawing.temperature if several else 0.0,
      top_p=drawing.top_p if several else 1.0,
      seed=seed % 2**31,
      places=places,
    )
    different = list(
      dict.fromkeys(
        (index, prediction.sql) for index, own in enumerate(answers) for prediction in own
      )
    )
    verdicts = judge(
      evaluator.databases, [asked[i] for i, _ in different], [sql for _, sql in different]
    )
    right = {
      each: bool(verdict.suite_correct) for each, verdict in zip(different, verdicts, strict=True)
    }
    return [
      tuple(Sample(prediction.sql, right[index, prediction.sql]) for prediction in own)
      for index, own in enumerate(answers)
    ]

  return hosts.in_shares([e.db_id for e in examples], part)
