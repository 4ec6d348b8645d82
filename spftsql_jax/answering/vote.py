"""Self-consistency (Wang et al., 2022, arXiv 2203.11171): of several sampled answers the one whose
result most of them give.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spftsql_jax.answering.predict import Prediction, PromptDatabase, answer_questions
from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.engine import Generator
from spftsql_jax.judging.comparison import results_match


@dataclasses.dataclass(frozen=True)
class Vote:
  """The outcome for one question.

  Attributes:
    prediction: the chosen answer.
    votes: samples with its result; 0 where no sample ran.
    samples: all answers. results: what each gave, in the same order.
  """

  prediction: Prediction
  votes: int
  samples: tuple[Prediction, ...]
  results: tuple[Result, ...]

  @property
  def agreement(self) -> float:
    """The share of the samples that give the chosen answer's result; a sample that did not run
    gives none.
    """
    return self.votes / len(self.samples)

  @property
  def result(self) -> Result:
    """What the chosen answer gave."""
    return self.results[self.samples.index(self.prediction)]


def vote(samples: Sequence[Prediction], results: Sequence[Result]) -> Vote:
  """The likeliest of the answers that share the result which most answers give.

  Results are the same in the sense of the "strict" comparison; answers that did not run have no
  say. Of results with equally many answers the one with the likeliest answer is taken; where
  nothing ran, the likeliest answer.
  """
  groups: list[list[int]] = []
  likeliest_first = sorted(range(len(samples)), key=lambda i: -samples[i].log_prob)
  for i in likeliest_first:
    if not results[i].ok:
      continue
    for group in groups:
      if results_match(results[group[0]], results[i], samples[group[0]].sql, "strict"):
        group.append(i)
        break
    else:
      groups.append([i])
  # `max` takes the first of equals, and groups stand in the order of their likeliest answers.
  winner = max(groups, key=len, default=[])
  chosen = winner[0] if winner else likeliest_first[0]
  return Vote(samples[chosen], len(winner), tuple(samples), tuple(results))


def predict_by_vote(
  generator: Generator,
  params: Any,
  tokenizer: Tokenizer,
  databases: Mapping[str, PromptDatabase],
  examples: Sequence[Example],
  executor: Executor,
  *,
  samples: int,
  temperature: float = 0.8,
  timeout_s: float = 5.0,
  max_rows: int = 10_000,
  on_vote: Callable[[int, Vote], None] | None = None,
  **options: Any,
) -> list[Vote]:
  """Answers each question `samples` times and votes by execution result.

  A question's answers are executed by the executor's workers as soon as they are complete, while
  the device decodes others.

  Args:
    timeout_s: time limit of each statement.
    max_rows: an answer with more rows has no say.
    on_vote: called with (index, vote), from another thread, as votes are cast.
    options: see `answer_questions`.
  """
  votes: dict[int, Vote] = {}

  def cast(index: int, answers: tuple[Prediction, ...]) -> None:
    location = databases[examples[index].db_id].location
    results = executor.execute_many([(location, a.sql) for a in answers], timeout_s, max_rows)
    votes[index] = vote(answers, results)
    if on_vote is not None:
      on_vote(index, votes[index])

  with concurrent.futures.ThreadPoolExecutor(1) as thread:
    pending = []
    answer_questions(
      generator,
      params,
      tokenizer,
      databases,
      examples,
      samples=samples,
      temperature=temperature,
      on_question=lambda index, answers: pending.append(thread.submit(cast, index, answers)),
      **options,
    )
    for each in pending:
      each.result()
  return [votes[index] for index in range(len(examples))]
