"""Answering questions with a version and judging the answers by execution."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from spftsql_jax import hosts
from spftsql_jax.answering.predict import Prediction, answer_questions
from spftsql_jax.answering.schema_choice import SchemaChooser
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.engine import Generator
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.databases import RunDatabases
from spftsql_jax.pipeline.journal import data_hash
from spftsql_jax.pipeline.model_base import Score
from spftsql_jax.pipeline.trainable import Trainable, Weights

# Gives the verdicts on predictions for examples.
Judge: TypeAlias = Callable[[RunDatabases, Sequence[Example], Sequence[str]], list[Verdict]]

_TIMEOUT_S = 5.0
# Answers that are handed to the workers together.
_JUDGED_AT_ONCE = 128


@dataclasses.dataclass(frozen=True)
class Evaluator:
  """What answering with a version takes.

  Attributes:
    trainable: makes a model of a version's tree.
    generator: works on this process's part of the devices.
    tokenizer: of prompts and answers.
    max_new_tokens: longest answer.
    databases: that the questions are asked of.
    schemas: chooses the part of too long a schema that a question is put over, as in training.
  """

  trainable: Trainable
  generator: Generator
  tokenizer: Tokenizer
  max_new_tokens: int
  databases: RunDatabases
  schemas: SchemaChooser | None = None

  def describe_split(self, examples: Sequence[Example]) -> str:
    """How many of the questions are put over parts of a schema, and how many of these parts have
    the tables of the gold query; "" where none is.
    """
    if self.schemas is None:
      return ""
    prompts = self.databases.prompts
    if not (told := self.schemas.describe(prompts, examples, "questions")):
      return ""
    coverage = self.schemas.coverage(prompts, examples)
    if not coverage.questions:
      return told
    found = f"{coverage.covered} of {coverage.questions}"
    return f"{told}; {found} have all tables of their gold query there"

  def answers(
    self, weights: Weights, examples: Sequence[Example], **drawn: Any
  ) -> list[tuple[Prediction, ...]]:
    """The answers to each question, in this process; greedy, or `drawn` as `answer_questions` has
    it.
    """
    return answer_questions(
      self.generator,
      weights.params,
      self.tokenizer,
      self.databases.prompts,
      examples,
      max_new_tokens=self.max_new_tokens,
      lora=weights.lora,
      schemas=self.schemas,
      **drawn,
    )

  def weights(self, tree: Params) -> Weights:
    """A version's tree as the generator takes it."""
    return self.trainable.to_compute(tree).on(self.generator.mesh)


def judge(
  databases: RunDatabases, examples: Sequence[Example], predictions: Sequence[str]
) -> list[Verdict]:
  """Whether each prediction gives the gold result on the database and on its neighbouring instances
  (`Verdict.suite_correct`).
  """
  return score_predictions(
    [(e.query, p) for e, p in zip(examples, predictions, strict=True)],
    [databases.instances[e.db_id] for e in examples],
    databases.executor,
    comparison="strict",
    timeout_s=_TIMEOUT_S,
    suite=True,
  )


def answer_and_judge(
  evaluator: Evaluator, tree: Params, examples: Sequence[Example], judged_by: Judge = judge
) -> tuple[list[str], list[Verdict]]:
  """A version's greedy SQL for each question, and its verdicts.

  The workers execute what is answered while the accelerator decodes the rest. Every process answers
  and judges its share.
  """
  weights = evaluator.weights(tree)

  def part(places: list[int]) -> list[tuple[str, Verdict]]:
    own = [examples[place] for place in places]
    return _answer_and_judge(evaluator, weights, own, judged_by)

  found = hosts.in_shares([e.db_id for e in examples], part)
  return [answer for answer, _ in found], [verdict for _, verdict in found]


def _answer_and_judge(
  evaluator: Evaluator, weights: Weights, examples: Sequence[Example], judged_by: Judge
) -> list[tuple[str, Verdict]]:
  """(answer, verdict) of each example, in this process."""
  with concurrent.futures.ThreadPoolExecutor(1) as thread:
    judging = _Judging(evaluator.databases, examples, judged_by, thread)
    evaluator.answers(weights, examples, on_question=judging.take)
    return judging.finish()


class _Judging:
  """Judges answers beside the decoding of others, some at a time, on a thread of its own."""

  def __init__(
    self,
    databases: RunDatabases,
    examples: Sequence[Example],
    judged_by: Judge,
    thread: concurrent.futures.Executor,
  ):
    self._databases, self._examples, self._judged_by = databases, examples, judged_by
    self._thread = thread
    self._answers = [""] * len(examples)
    self._verdicts: dict[int, Verdict] = {}
    self._waiting: list[int] = []
    self._parts: list[concurrent.futures.Future[None]] = []

  def take(self, index: int, predictions: tuple[Prediction, ...]) -> None:
    """Takes the answer to a question."""
    self._answers[index] = predictions[0].sql
    self._waiting.append(index)
    if len(self._waiting) == _JUDGED_AT_ONCE:
      self._hand_over()

  def finish(self) -> list[tuple[str, Verdict]]:
    """(answer, verdict) of each example, when all are judged."""
    if self._waiting:
      self._hand_over()
    for part in self._parts:
      part.result()
    return [(answer, self._verdicts[i]) for i, answer in enumerate(self._answers)]

  def _hand_over(self) -> None:
    self._parts.append(self._thread.submit(self._judge, tuple(self._waiting)))
    self._waiting.clear()

  def _judge(self, indices: tuple[int, ...]) -> None:
    examples = [self._examples[i] for i in indices]
    found = self._judged_by(self._databases, examples, [self._answers[i] for i in indices])
    self._verdicts.update(zip(indices, found, strict=True))


def score(evaluator: Evaluator, tree: Params, examples: Sequence[Example]) -> Score:
  """A version's score on synthesized examples, verified on all instances."""
  _, verdicts = answer_and_judge(evaluator, tree, examples)
  return score_of(examples, [bool(v.suite_correct) for v in verdicts], verdicts)


def score_of(
  examples: Sequence[Example], outcomes: Sequence[bool], verdicts: Sequence[Verdict]
) -> Score:
  """The score of outcomes, with the share of answers that ran."""
  count = max(len(outcomes), 1)
  ran = sum(v.status == "ok" for v in verdicts)
  return Score(sum(outcomes) / count, ran / count, tuple(outcomes), data_hash(examples))
