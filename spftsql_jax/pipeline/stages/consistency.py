"""The check of questions that a model wrote: does the text-to-SQL model find their query again?

A base SQL-to-text model is wrong nearly half the time. k answers are sampled to each question; what
is counted is how many of them give the query's own result on the database and on all neighbouring
instances. A question to which none agrees is not kept. One to which all agree is kept, and counted
apart: it teaches the text-to-SQL model little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.records import Agreement
from spftsql_jax.pipeline.sampling import draw_and_judge
from spftsql_jax.pipeline.stage2_config import Drawing
from spftsql_jax.pipeline.workbench import Workbench


@dataclasses.dataclass(frozen=True)
class Consistency:
  """What the check found.

  Attributes:
    kept: the examples with at least one agreeing answer.
    counts: of how many examples 0, 1, ..., k answers agree.
  """

  kept: tuple[Example, ...]
  counts: tuple[int, ...]

  def agreement(self) -> Agreement:
    """The rates for journal and report."""
    checked, samples = sum(self.counts), len(self.counts) - 1
    answers = sum(agreeing * count for agreeing, count in enumerate(self.counts))
    return Agreement(
      samples,
      checked,
      self.counts,
      kept=sum(self.counts[1:]) / checked if checked else None,
      trivial=self.counts[-1] / checked if checked else None,
      answers=answers / (samples * checked) if checked else None,
    )


def check_questions(
  bench: Workbench, version: str, examples: Sequence[Example], samples: int
) -> Consistency:
  """Asks `version` each question `samples` times (greedily, where once) and counts the answers with
  the query's result.
  """
  if not examples:
    return Consistency((), (0,) * (samples + 1))
  seed = stage_seed(bench.config, f"{version}/consistency")
  tree = bench.load(version)
  drawn = draw_and_judge(bench.evaluator, tree, examples, Drawing(samples), seed)
  agreeing = [sum(sample.right for sample in own) for own in drawn]
  kept = tuple(example for example, count in zip(examples, agreeing, strict=True) if count)
  return Consistency(kept, tuple(agreeing.count(number) for number in range(samples + 1)))
