"""The question writer: the SQL-to-text model, which words queries.

It is trained on pairs the other way round, and asked over the schema that it was taught.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from spftsql_jax import hosts
from spftsql_jax.answering.predict import query_request
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.journal import data_hash
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.records import QuestionWriter
from spftsql_jax.pipeline.training_units import question_units
from spftsql_jax.pipeline.versions import BASE
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.training.trainer import forget_checkpoints

# The version that is trained on the seeds.
FIRST_WRITER = "writer-0"

_TEMPERATURE, _TOP_P = 0.7, 0.95


def train_question_writer(
  bench: Workbench, version: str, parent: str | None, examples: Sequence[Example]
) -> QuestionWriter:
  """Fine-tunes the SQL-to-text model and adds it to `Workbench.writers`.

  Args:
    parent: what is trained further; None for the starting model.
    examples: without any, the parent stays.
  """
  if not examples:
    bench.say(
      "  there is no example yet to train the SQL-to-text model on: all questions are worded by "
      "rules"
    )
    return QuestionWriter(parent, 0, {})
  stage = f"questions/{version}"
  tree = bench.load_writer(parent) if parent else bench.load(BASE)
  units = question_units(bench.units, examples)
  result = train(bench.trainer, stage, tree, units, bench.config.vbi_ft.question_training)
  lineage = Lineage(
    "questions",
    parent=parent,
    data_hash=data_hash(examples),
    seed=bench.config.seed,
    fault=fault_line(result),
  )
  bench.writers.add(version, result.trained, lineage)
  forget_checkpoints(bench.trainer.checkpoint_folder(stage))
  return QuestionWriter(version, len(examples), result.summary)


def write_model_questions(
  bench: Workbench, version: str, queries: Sequence[Example]
) -> list[Example]:
  """The SQL-to-text model's wording of each query; queries for which it writes nothing are left
  out.
  """
  evaluator = bench.evaluator
  tokenizer, weights = evaluator.tokenizer, evaluator.weights(bench.load_writer(version))

  def write(places: list[int]) -> list[str]:
    """The questions of this process's share; "" where none comes to its end."""
    asked = [queries[place] for place in places]
    requests = [query_request(tokenizer, bench.units.prompt_schema(e), e.query) for e in asked]
    answers = evaluator.generator.generate(
      weights.params,
      [dataclasses.replace(r, id=place) for r, place in zip(requests, places, strict=True)],
      max_new_tokens=evaluator.max_new_tokens,
      eos_id=tokenizer.end_ids,
      temperature=_TEMPERATURE,
      top_p=_TOP_P,
      seed=stage_seed(bench.config, version) % 2**31,
      lora=weights.lora,
    )
    return [tokenizer.decode(a.tokens) if a.status == "stop" else "" for a in answers]

  texts = hosts.in_shares([e.db_id for e in queries], write)
  return [
    dataclasses.replace(example, question=text, source="model")
    for example, text in zip(queries, texts, strict=True)
    if text
  ]
