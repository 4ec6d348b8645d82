"""One question to one database: the answer that most samples give, or why there is none.

with Executor(workers=2) as executor:
  answered = answer_one(exported, PromptDatabase.read("shop.sqlite"), question, executor)
if answered.doubts:
  print("the model does not know:", "; ".join(answered.doubts))
"""

from __future__ import annotations

import dataclasses

from spftsql_jax.answering import known_words
from spftsql_jax.answering.exported import ExportedModel
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.answering.vote import Vote, predict_by_vote
from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.examples.example import Example
from spftsql_jax.schema import Schema


@dataclasses.dataclass(frozen=True)
class Asking:
  """How a question is answered.

  Attributes:
    samples: answers to compare; 1 takes the likeliest (greedy), unchecked.
    temperature, seed: of the samples.
    min_agreement: share of the samples that must give the same result; with 0 nothing is doubted.
    timeout_s: limit of a query in seconds.
    max_rows: of a result; one with more has no say.
  """

  samples: int = 8
  temperature: float = 0.8
  seed: int = 0
  min_agreement: float = 0.75
  timeout_s: float = 30.0
  max_rows: int = 100_000


@dataclasses.dataclass(frozen=True)
class Answered:
  """What came of a question.

  Attributes:
    vote: the samples and their results.
    words: of the question, which of them the database knows.
    doubts: why the answer is not to be trusted; empty where nothing speaks against it, and where it
      was not checked.
    split: where the schema is too long for the prompt, which of its tables were shown, in words; ""
      where it is shown whole.
  """

  vote: Vote
  words: known_words.KnownWords
  doubts: tuple[str, ...]
  split: str = ""

  @property
  def sql(self) -> str:
    """The chosen answer."""
    return self.vote.prediction.sql

  @property
  def result(self) -> Result:
    """What the chosen answer gave."""
    return self.vote.result

  @property
  def missing(self) -> str:
    """The words of the question that were not found, in a sentence; "" where all were."""
    missing = ", ".join(self.words.missing)
    return f"not found in the database: {missing}" if missing else ""


_DEFAULT = Asking()


def answer_one(
  exported: ExportedModel,
  database: PromptDatabase,
  question: str,
  executor: Executor,
  asking: Asking = _DEFAULT,
) -> Answered:
  """Answers a question by the vote of several samples.

  Args:
    exported: the model. database: what is asked. executor: runs the answers' queries.
    asking: how.

  Raises:
    ChangeAskedError: the question asks to change data.
  """
  known_words.check_changes_nothing(question, database.schema)
  words = known_words.look_up(question, database.schema, database.values)
  asked = Example("", question, "")
  [vote] = predict_by_vote(
    exported.generator,
    exported.params,
    exported.tokenizer,
    {"": database},
    [asked],
    executor,
    samples=asking.samples,
    temperature=asking.temperature if asking.samples > 1 else 0.0,
    seed=asking.seed,
    timeout_s=asking.timeout_s,
    max_rows=asking.max_rows,
    max_new_tokens=exported.max_new_tokens,
    schemas=exported.schemas,
  )
  doubts = doubts_of(vote, words, asking.min_agreement) if asking.samples > 1 else ()
  shown = exported.schemas.choose(database, question)
  return Answered(vote, words, doubts, _split(shown, database.schema))


def _split(shown: Schema, whole: Schema) -> str:
  if shown is whole:
    return ""
  names = ", ".join(table.name for table in shown.tables)
  return (
    f"the schema is too long for the prompt; {len(shown.tables)} of {len(whole.tables)} tables "
    f"were shown ({names})"
  )


def doubts_of(vote: Vote, words: known_words.KnownWords, min_agreement: float) -> tuple[str, ...]:
  """Why an answer is not to be trusted, with what is known about the reason; empty where it is."""
  if not min_agreement:
    return ()
  reasons: list[str] = []
  if not vote.votes:
    failed = vote.result
    reasons.append(f"none of {len(vote.samples)} answers ran ({failed.status}: {failed.message})")
  elif vote.agreement < min_agreement:
    reasons.append(f"only {vote.votes} of {len(vote.samples)} answers give the same result")
  if words.nothing_found:
    reasons.append(f"nothing in the database is called {' or '.join(map(repr, words.missing))}")
  elif reasons and words.missing:
    reasons.append(f"not found in the database: {', '.join(words.missing)}")
  return tuple(reasons)
