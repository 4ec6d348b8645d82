"""Before stage 1: supervised fine-tuning on the seeds, of the text-to-SQL model and of the question
writer.
"""

from __future__ import annotations

import dataclasses

from spftsql_jax.amounts import rate
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.journal import data_hash
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.records import QuestionWriter, Trained
from spftsql_jax.pipeline.stages.question_writer import FIRST_WRITER, train_question_writer
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.starting_model import is_pretrained
from spftsql_jax.pipeline.training_units import sql_units
from spftsql_jax.pipeline.versions import BASE, add_version, parent_of_next, score_base
from spftsql_jax.pipeline.workbench import Workbench


@dataclasses.dataclass(frozen=True)
class Starting:
  """What stage 1 starts from.

  Attributes:
    candidate: the first version that may play.
    version: the text-to-SQL model to train further: the same, unless its training failed.
    writer: the SQL-to-text model; None while nothing has trained one.
  """

  candidate: str
  version: str
  writer: str | None


def run_sft(bench: Workbench, splits: Splits) -> Starting:
  """Fine-tunes both models on the seeds; without seeds the starting model stands for the SFT."""
  if not splits.data.seeds:
    bench.say("No seeds: the SFT on them is left out, and everything is synthesized")
    score_base(bench, splits.selection)
    return Starting(BASE, BASE, None)
  if is_pretrained(bench.config):
    score_base(bench, splits.selection)
  bench.say("SFT on the seeds")
  bench.journal.step("sft", Trained, lambda: _fine_tune(bench, splits))
  version = parent_of_next(bench, "sft", BASE, splits.selection)
  if not bench.config.synthesis.model_questions:
    return Starting("sft", version, None)
  writer = bench.journal.step(
    "questions",
    QuestionWriter,
    lambda: train_question_writer(bench, FIRST_WRITER, None, splits.data.seeds),
  )
  return Starting("sft", version, writer.version)


def _fine_tune(bench: Workbench, splits: Splits) -> Trained:
  config, seeds = bench.config, splits.data.seeds
  result = train(
    bench.trainer,
    "sft",
    bench.load(BASE),
    sql_units(bench.units, seeds),
    config.sft,
    held_out=splits.selection,
  )
  lineage = Lineage(
    "sft",
    parent=BASE,
    data_hash=data_hash(seeds),
    candidate=config.self_play.candidates == "fine_tuned",
    fault=fault_line(result),
  )
  score = add_version(bench, "sft", result.trained, lineage, splits.selection, "sft")
  bench.say(
    f"  sft: {result.steps} steps on {len(seeds):,} seeds at "
    f"{rate(result.summary['examples_per_second'], 'examples')}, "
    f"loss {result.summary.get('loss', float('nan')):.3f}; "
    f"selection EX {score.execution_accuracy:.1%}"
  )
  return Trained(score.execution_accuracy, result.summary)
