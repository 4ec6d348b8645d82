"""What the steps of a run hand on: frozen records, which the journal writes and reads.

Names of data files are relative to the work folder. `ex` is execution accuracy, a share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import Packing
from spftsql_jax.models.products import Settled
from spftsql_jax.pipeline.codec import beside, optional
from spftsql_jax.training.memory import Remat

# The figures of a training by name (`FitResult.summary`); counts stay whole numbers.
Summary: TypeAlias = Mapping[str, int | float]

# ---- Preparation ----


@dataclasses.dataclass(frozen=True)
class StartingModel:
  """What fine-tuning starts from: a folder that was given, or random weights with a vocabulary of
  the run's own; the other one is None."""

  hf_model: str | None = optional()
  vocab_size: int | None = optional()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
  """What a run chose before it trained, of what its config leaves open.

  Attributes:
    packing, max_new_tokens, lanes, accumulate, remat, products: see `RunConfig`.
    needed_bytes: memory of a device that a training step takes by estimate.
    there_bytes: what it may take; None where that is not known.
    said: the same in words, a line each.
  """

  packing: Packing
  max_new_tokens: int
  lanes: int
  accumulate: int
  remat: Remat
  products: Settled
  needed_bytes: int
  there_bytes: int | None
  said: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class AddedVersion:
  """A version that was added to the model base."""

  version: str


@dataclasses.dataclass(frozen=True)
class DataFile:
  """A data file that was written."""

  file: str


@dataclasses.dataclass(frozen=True)
class SplitTemplate:
  """A template with the split that it belongs to; a line of the templates' data file."""

  split: str
  text: str
  weight: float


@dataclasses.dataclass(frozen=True)
class HeldOutFiles:
  """The data files of the examples that no round trains on."""

  selection: str
  self_play: str


@dataclasses.dataclass(frozen=True)
class SelectionScore:
  """The starting model's execution accuracy on the selection split."""

  selection_ex: float


# ---- Training ----


@dataclasses.dataclass(frozen=True)
class Trained:
  """A version that was fine-tuned: its execution accuracy on the selection split, and figures."""

  selection_ex: float
  summary: Summary = beside()


@dataclasses.dataclass(frozen=True)
class QuestionWriter:
  """An SQL-to-text model that was fine-tuned.

  Attributes:
    version: in the model base of question writers; None while nothing could be trained.
    examples: how many it was trained on.
  """

  version: str | None
  examples: int
  summary: Summary = beside()


@dataclasses.dataclass(frozen=True)
class SolveRates:
  """How often a version's drawn answers are right, on some questions of the selection split.

  Attributes:
    questions, samples: how many questions, and answers to each.
    k: see `statistics.pass_at_k`; pass_at_k is its mean.
    greedy_ex: execution accuracy of the greedy answers to the same questions.
    counts: to how many questions 0, 1, ..., all answers are right.
  """

  version: str
  questions: int
  samples: int
  k: int
  greedy_ex: float
  pass_at_k: float
  counts: tuple[int, ...]


# ---- Stage 1: a round of VBI-FT ----


@dataclasses.dataclass(frozen=True)
class Synthesized:
  """What a round synthesized.

  Attributes:
    train, verify: data files of what is trained on, and of what is held back for verification.
    accepted: number of examples, of both.
    rejections: how many queries were not kept, by reason; the most frequent first.
    seconds: time taken.
  """

  train: str
  verify: str
  accepted: int
  rejections: Mapping[str, int]
  seconds: float


@dataclasses.dataclass(frozen=True)
class Agreement:
  """How often a model's answers to questions agree with the queries that these were written for.

  Attributes:
    samples: answers to each question.
    checked: number of questions.
    counts: to how many questions 0, 1, ..., all answers agree.
    kept, trivial: shares of the questions to which one answer, and all answers, agree.
    answers: share of the answers that agree. All shares are None without questions.
  """

  samples: int
  checked: int
  counts: tuple[int, ...]
  kept: float | None
  trivial: float | None
  answers: float | None


@dataclasses.dataclass(frozen=True)
class WrittenQuestions:
  """Questions that the SQL-to-text model wrote in a round.

  Attributes:
    model: data file of the examples that passed the check.
    written: number of questions before it.
    agreement: share that was kept; None where nothing was checked.
    consistency: all that the check found; None where there was none.
  """

  model: str
  written: int
  agreement: float | None
  consistency: Agreement | None


@dataclasses.dataclass(frozen=True)
class TemplateErrors:
  """How many of a template's examples were answered wrongly."""

  template: str
  errors: int
  total: int


@dataclasses.dataclass(frozen=True)
class Verified:
  """A round's version, asked the examples held back for verification.

  Attributes:
    positive: data file of y+, the questions with the answers that execute to gold's result.
    template_errors: by template, most errors first.
    verified_ex: execution accuracy.
  """

  positive: str
  template_errors: tuple[TemplateErrors, ...]
  verified_ex: float


@dataclasses.dataclass(frozen=True)
class Round:
  """A round of VBI-FT.

  Attributes:
    number: from 1.
    version: the model that it fine-tuned.
    writer: the question writer for the next round; None for none.
  """

  number: int
  version: str
  writer: str | None
  synthesized: Synthesized
  questions: WrittenQuestions
  trained: Trained
  verified: Verified

  @property
  def files(self) -> tuple[str, str]:
    """The data files that this round and all behind it train on."""
    return self.synthesized.train, self.questions.model


# ---- Stage 2: self-play and its baselines ----


@dataclasses.dataclass(frozen=True)
class Players:
  """Main, and the opponents that answer for it to learn from."""

  main: str
  opponents: tuple[str, ...]

  @property
  def opponent(self) -> str:
    """The opponents in words."""
    return " + ".join(self.opponents)


@dataclasses.dataclass(frozen=True)
class Pair:
  """A question with its gold query y+ and the opponent's answer y-.

  Attributes:
    reward: R of Eq. 2: 1.0 where y- gives another result than y+ on some instance, 0.0 where the
      opponent was right.
    log_probs: (y+, y-) summed, under the opponent, or under main where that is the reference;
      scored once, when the pair is made.
    positive: y+ where it is an answer of main's own; None for gold.
    solve_rate: share of main's drawn answers to the question that are right; None where none were.
    weight: how much the pair counts; None for 1.
  """

  example: Example
  answer: str
  reward: float
  log_probs: tuple[float, float]
  positive: str | None = optional()
  solve_rate: float | None = optional()
  weight: float | None = optional()


@dataclasses.dataclass(frozen=True)
class Played:
  """Pairs that were made by play.

  Attributes:
    file: data file of the pairs.
    opponent: who answered, in words.
    hash: of the pairs (`data_hash`).
    pairs, left_out: number of questions with a pair, and of those that are too long.
    reward_rate: share of the pairs with R = 1: the answers that are wrong, as far as the arm takes
      them for errors.
    own: how many pairs have an answer of main's own for y+; None where none was drawn.
    solved: to how many questions 0, 1, ..., all of main's drawn answers are right; likewise.
  """

  file: str
  opponent: str
  hash: str
  pairs: int
  left_out: int
  reward_rate: float
  own: int | None = optional()
  solved: tuple[int, ...] | None = optional()


@dataclasses.dataclass(frozen=True)
class MainUpdate:
  """The main model, trained on an iteration's pairs.

  Attributes:
    accepted: whether the new version becomes main; reason says why, in words.
    steps: updates made.
  """

  accepted: bool
  reason: str
  steps: int
  selection_ex: float
  summary: Summary = beside()


@dataclasses.dataclass(frozen=True)
class Iteration:
  """An iteration of self-play; number is from 1, version the model that it trained."""

  number: int
  version: str
  players: Players
  played: Played
  updated: MainUpdate


@dataclasses.dataclass(frozen=True)
class BaselineUpdate:
  """A baseline's model, trained for one iteration: EX on the selection split, steps, figures."""

  selection_ex: float
  steps: int
  summary: Summary = beside()


# ---- Evaluation ----


@dataclasses.dataclass(frozen=True)
class JudgedAnswer:
  """A version's answer to a test question; a line of its data file."""

  prediction: str
  correct: bool


@dataclasses.dataclass(frozen=True)
class Cost:
  """What the last call of the run took; the memory is that of this process."""

  seconds: float
  peak_memory_bytes: int
