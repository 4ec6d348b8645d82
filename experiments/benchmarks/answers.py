"""What benchmarks of a model's answers share: asking it, judging it, and shares with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.answering.exported import ExportedModel
from spftsql_jax.answering.predict import PromptDatabase, answer_questions
from spftsql_jax.databases import Executor
from spftsql_jax.examples.example import Example
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.judging.statistics import wilson_interval


def answers_of(
  exported: ExportedModel,
  databases: Mapping[str, PromptDatabase],
  examples: Sequence[Example],
  **decoding: Any,
) -> list[str]:
  """The SQL of one answer a question; greedy but for what `decoding` gives `answer_questions`."""
  answers = answer_questions(
    exported.generator,
    exported.params,
    exported.tokenizer,
    databases,
    examples,
    max_new_tokens=exported.max_new_tokens,
    schemas=exported.schemas,
    **decoding,
  )
  return [answer.sql for (answer,) in answers]


def are_right(
  queries: Sequence[tuple[str, str]], locations: Sequence[str], executor: Executor
) -> list[bool]:
  """Whether each (gold, predicted) pair gives one result, by the "strict" comparison."""
  databases = [(location,) for location in locations]
  verdicts = score_predictions(queries, databases, executor, comparison="strict")
  return [verdict.correct for verdict in verdicts]


def share(outcomes: Sequence[bool]) -> dict[str, Any]:
  """A share with its 95 % interval (Wilson)."""
  interval = wilson_interval(sum(outcomes), len(outcomes))
  return {
    "share": round(sum(outcomes) / len(outcomes), 4),
    "ci95": [round(end, 4) for end in interval],
  }
