"""A question of the run with its whole prompt, as the model card shows it.

A card may be published. So it shows what the schema says and nothing of the rows: a question whose
prompt has no value of the database, over the schema without its sample values.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from spftsql_jax.answering.predict import PromptDatabase, answer_questions
from spftsql_jax.examples.example import Example
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.result_records import PromptExample, ShownExample
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.schema import Schema

# A literal, or the value of one in words.
_VALUE = re.compile(r"""['"\d]""")


def prompt_example(
  bench: Workbench, tree: Params, shown: Sequence[ShownExample]
) -> PromptExample | None:
  """A question without values that the model of `tree` answers, rightly if there is one; None where
  there is none. Every process calls this alike, and gets the same.

  Args:
    shown: answers of that model to choose from.
  """
  prompts = bench.databases.prompts
  bare = {
    name: PromptDatabase(of.location, _without_samples(of.schema), of.values)
    for name, of in prompts.items()
  }
  found = (each for each in _candidates(shown, prompts) if not _mentions_data(bare, *each))
  if (chosen := next(found, None)) is None:
    return None
  db_id, question = chosen
  evaluator, database = bench.evaluator, bare[db_id]
  weights = evaluator.weights(tree)
  [[answer]] = answer_questions(
    evaluator.generator,
    weights.params,
    evaluator.tokenizer,
    bare,
    [Example(db_id, question, "")],
    max_new_tokens=evaluator.max_new_tokens,
    lora=weights.lora,
    schemas=evaluator.schemas,
  )
  schemas = evaluator.schemas
  schema = database.schema if schemas is None else schemas.choose(database, question)
  mentions = database.mentions(question, bench.config.prompt, schema)
  codes = evaluator.tokenizer.codes(schema)
  return PromptExample(
    db_id,
    question,
    *evaluator.tokenizer.prompt_texts(schema, question, mentions),
    sql=answer.sql,
    codes=None if codes is None else dict(codes.written),
    links=None if codes is None or not codes.implied_joins else dict(codes.links),
  )


def _mentions_data(databases: Mapping[str, PromptDatabase], db_id: str, question: str) -> bool:
  return bool(databases[db_id].values.search(question, limit=1))


def _candidates(
  shown: Sequence[ShownExample], prompts: Mapping[str, PromptDatabase]
) -> Iterator[tuple[str, str]]:
  """(db_id, question) to choose from, the best first."""
  plain = [e for e in shown if not any(map(_VALUE.search, (e.question, e.gold, e.prediction)))]
  for example in sorted(plain, key=lambda e: (not e.correct, e.status != "ok")):
    yield example.db_id, example.question
  for db_id, database in prompts.items():
    for table in database.schema.tables:
      yield db_id, f"How many rows does {table.base_name} have?"


def _without_samples(schema: Schema) -> Schema:
  return dataclasses.replace(
    schema,
    tables=tuple(
      dataclasses.replace(
        table, columns=tuple(dataclasses.replace(c, samples=()) for c in table.columns)
      )
      for table in schema.tables
    ),
  )
