"""What results.json holds, as records. The report draws from it, and outside checks read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from spftsql_jax.pipeline.codec import beside, optional
from spftsql_jax.pipeline.records import Agreement, Chosen, Cost, SolveRates, TemplateErrors

# A cell of a result as JSON has it.
Cell: TypeAlias = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Environment:
  """Versions of Python and JAX, the devices in words, CPU cores and processes."""

  python: str
  jax: str
  devices: str
  cores: int | None
  processes: int


@dataclasses.dataclass(frozen=True)
class DataCounts:
  """The databases, and numbers of seeds, test questions and templates to train on."""

  databases: tuple[str, ...]
  seeds: int
  test: int
  templates: int


@dataclasses.dataclass(frozen=True)
class Share:
  """Execution accuracy on a part of n questions."""

  ex: float
  n: int


@dataclasses.dataclass(frozen=True)
class ShareWithout:
  """Execution accuracy without the questions of some databases, with Wilson's 95 % interval."""

  databases: tuple[str, ...]
  ex: float
  n: int
  ci95: tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableRow:
  """A version's row of the table.

  Attributes:
    model: its name in words.
    ex, ci95, n: execution accuracy on the split, Wilson's 95 % interval, number of questions.
    executable: share of the answers that run.
    selection_ex, selection_executable: the same on the selection split; None without a score.
    by_hardness: by Spider's level.
    promoted: whether the run may hand it over.
    ex_without: without the databases of `DataConfig.apart`; None where there are none.
    p_first: how likely chance alone makes the difference to the first row.
  """

  model: str
  stage: str
  round: int
  ex: float
  ci95: tuple[float, float]
  n: int
  split: str
  executable: float
  selection_ex: float | None
  selection_executable: float | None
  by_hardness: Mapping[str, Share]
  version: str
  promoted: bool
  ex_without: ShareWithout | None = optional()
  p_first: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastRow:
  """Two versions compared on the questions of the table, see `statistics.PairedDifference`.

  Attributes:
    first, second: the versions; the difference is first less second.
    first_model, second_model: their names in words.
    primary: whether this is what the run was made to show: self-play against its SFT control.
    difference, ci95, p: with the 95 % interval, and how likely chance alone makes it.
    p_holm: corrected for there being several contrasts; the primary one stands alone.
    only_first, only_second: questions that one alone answers rightly.
    n, databases, resampled: questions, their databases, and which of them the bootstrap draws.
    power: how likely so many questions show 2 points, at the discordance seen.
    equivalent: whether the interval lies within `margin` of 0.
    questions_needed: with so many it would; None where the difference is no smaller than that.
    said: all of it in a sentence.
  """

  first: str
  second: str
  first_model: str
  second_model: str
  primary: bool
  difference: float
  ci95: tuple[float, float]
  p: float
  p_holm: float
  only_first: int
  only_second: int
  n: int
  databases: int
  resampled: str
  power: float
  margin: float
  equivalent: bool
  questions_needed: int | None
  said: str


@dataclasses.dataclass(frozen=True)
class LineageRow:
  """Where a version comes from, see `model_base.Lineage`."""

  version: str
  parent: str | None
  opponent: str | None
  stage: str
  round: int
  selection_ex: float | None


@dataclasses.dataclass(frozen=True)
class QuestionCounts:
  """A round's questions: numbers worded by rules and by the model, and what the check kept."""

  rules: int
  model: int
  agreement: float | None
  consistency: Agreement | None = optional()


@dataclasses.dataclass(frozen=True)
class SynthesisRow:
  """A round of VBI-FT; in `template_errors` templates are written out."""

  round: int
  accepted: int
  rejections: Mapping[str, int]
  questions: QuestionCounts
  verified_ex: float
  template_errors: tuple[TemplateErrors, ...]


@dataclasses.dataclass(frozen=True)
class Promotion:
  """What decided on an iteration's model: main's EX and its own on the selection split, how likely
  chance alone makes the difference (None where it is not known), and the number of questions."""

  main_ex: float
  selection_ex: float
  p: float | None
  n: int


@dataclasses.dataclass(frozen=True)
class SelfPlayRow:
  """An iteration of self-play, see `records.Iteration`."""

  iteration: int
  main: str
  opponent: str
  pairs: int
  left_out: int
  reward_rate: float
  accepted: bool
  reason: str
  promotion: Promotion | None = beside()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShownExample:
  """An answer of the best model beside gold, with the first rows of both results."""

  db_id: str
  question: str
  gold: str
  model: str
  prediction: str
  correct: bool
  status: str
  message: str
  gold_columns: tuple[str, ...]
  gold_rows: tuple[tuple[Cell, ...], ...]
  gold_row_count: int
  predicted_columns: tuple[str, ...]
  predicted_rows: tuple[tuple[Cell, ...], ...]
  predicted_row_count: int


@dataclasses.dataclass(frozen=True)
class PromptExample:
  """A prompt of the run, and what the best model answers, for the model card.

  Attributes:
    db_id: the database asked. question: as a person puts it.
    schema_text, question_text: the prompt's two parts, tokenized apart.
    sql: the answer as SQL.
    codes: of a format with codes for names, what each stands for: table and column as SQL writes
      them ("" for a table).
    links: of a format that leaves joins out, what two tables are joined on: "@t1 @t2", "@c1 = @c7".
  """

  db_id: str
  question: str
  schema_text: str
  question_text: str
  sql: str
  codes: Mapping[str, tuple[str, str]] | None = optional()
  links: Mapping[str, str] | None = optional()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
  """What results.json holds.

  Attributes:
    title: the run's name.
    best: the version that is handed over.
    evaluated_on: the split that the table is of: "test" or "selection".
    seeds_left_out: how many seeds ask a query of the test.
    config: of the run, whole.
    chosen: what of it the run chose itself, and in words why.
    table: a row for each version.
    solve_rates: pass@k of each version beside greedy EX, where it was measured.
    contrasts: pairs of versions compared; the primary one first.
    notes: sentences that belong beside the table.
    prompt_example: None where no question could be shown without showing data.
  """

  title: str
  best: str
  evaluated_on: str
  seeds_left_out: int
  config: Mapping[str, object]
  chosen: Chosen
  environment: Environment
  cost: Cost = beside()
  data: DataCounts
  table: tuple[TableRow, ...]
  solve_rates: tuple[SolveRates, ...]
  contrasts: tuple[ContrastRow, ...]
  lineage: tuple[LineageRow, ...]
  synthesis: tuple[SynthesisRow, ...]
  self_play: tuple[SelfPlayRow, ...]
  examples: tuple[ShownExample, ...]
  notes: tuple[str, ...]
  prompt_example: PromptExample | None = optional()
