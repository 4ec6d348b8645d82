"""The results of a run, collected from its model base and its records (results.json)."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from spftsql_jax import hosts
from spftsql_jax.databases.masking import may_show_masked
from spftsql_jax.judging.metrics import hardness
from spftsql_jax.judging.statistics import paired_exact_test, wilson_interval
from spftsql_jax.pipeline.config import stage_seed, to_record
from spftsql_jax.pipeline.contrasts import compare_versions, contrasts_of
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.headroom import solve_rates
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.records import Chosen, Cost, Iteration, JudgedAnswer, Round
from spftsql_jax.pipeline.result_records import (
  Cell,
  ContrastRow,
  DataCounts,
  Environment,
  LineageRow,
  Promotion,
  QuestionCounts,
  Results,
  SelfPlayRow,
  Share,
  ShareWithout,
  ShownExample,
  SynthesisRow,
  TableRow,
)
from spftsql_jax.pipeline.stages.evaluation import Evaluated, judge_test
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.versions import SELECTION, TEST, score_on
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.schema import Schema

_NO_TEST = (
  "No test was given. The figures are those of the selection split: synthesized questions, on "
  "which the models were chosen too. They are optimistic."
)
# Templates with the most errors that are shown of a round.
_SHOWN_TEMPLATES = 40
# Answers of the best model that the report shows with both results, and rows of each result.
_SHOWN_EXAMPLES = 400
_SHOWN_ROWS = 10
# In the place of rows and of what an engine said.
_NOT_SHOWN = "not shown: it may hold values of masked columns"


def collect_results(
  bench: Workbench,
  splits: Splits,
  rounds: Sequence[Round],
  iterations: Sequence[Iteration],
  evaluated: Evaluated,
  cost: Cost,
) -> Results:
  """The table of the evaluated versions, lineage, synthesis, self-play, examples, config and
  environment.
  """
  data, templates = splits.data, splits.templates.train
  table, contrasts = _table(bench, evaluated, iterations), _contrasts(bench, evaluated)
  [final] = [row for row in table if row.version == evaluated.best]
  names = {item.template.id: item.template.text for item in templates}
  return Results(
    title=bench.config.name,
    best=evaluated.best,
    evaluated_on=evaluated.split,
    seeds_left_out=data.leaked,
    config=to_record(bench.config),
    chosen=bench.journal.done("prepare/chosen", Chosen),
    environment=_environment(),
    cost=cost,
    data=DataCounts(
      databases=tuple(sorted(bench.databases.prompts)),
      seeds=len(data.seeds),
      test=len(data.test),
      templates=len(templates),
    ),
    table=table,
    solve_rates=solve_rates(bench),
    contrasts=contrasts,
    lineage=tuple(_lineage_row(bench.models, v) for v in bench.models.versions()),
    synthesis=tuple(_synthesis_row(done, names) for done in rounds),
    self_play=tuple(_self_play_row(bench.models, done) for done in iterations),
    examples=_shown_examples(bench, evaluated),
    notes=(*_notes(bench, data, final), *(c.said for c in contrasts if c.primary), *_faults(bench)),
  )


def device_line() -> str:
  """The devices in words."""
  devices = jax.devices()
  of = f" of {hosts.count()} processes" if hosts.count() > 1 else ""
  return (
    f"{len(devices)} {devices[0].device_kind or devices[0].platform} "
    f"device{'s' if len(devices) > 1 else ''}{of}"
  )


def _environment() -> Environment:
  return Environment(
    python=sys.version.split()[0],
    jax=jax.__version__,
    devices=device_line(),
    cores=os.cpu_count(),
    processes=hosts.count(),
  )


def _table(
  bench: Workbench, evaluated: Evaluated, iterations: Sequence[Iteration]
) -> tuple[TableRow, ...]:
  levels = [hardness(e.query) for e in evaluated.questions]
  accepted = {done.version: done.updated.accepted for done in iterations}
  return tuple(
    _row(bench, evaluated, version, levels, accepted.get(version, True))
    for version in evaluated.versions
  )


def _row(
  bench: Workbench, evaluated: Evaluated, version: str, levels: Sequence[str], accepted: bool
) -> TableRow:
  models, split = bench.models, evaluated.split
  lineage, score = models.lineage(version), score_on(models, version, split)
  # Of the same questions, answered by the first model of the table and by this one.
  first = score_on(models, evaluated.versions[0], split)
  selection, outcomes = models.score(version, SELECTION), score.outcomes
  return TableRow(
    model=model_name(lineage.stage, lineage.round),
    stage=lineage.stage,
    round=lineage.round,
    ex=score.execution_accuracy,
    ci95=wilson_interval(sum(outcomes), len(outcomes)),
    n=len(outcomes),
    split=split,
    executable=score.executable,
    selection_ex=None if selection is None else selection.execution_accuracy,
    selection_executable=None if selection is None else selection.executable,
    by_hardness=_by_hardness(outcomes, levels),
    version=version,
    promoted=models.is_candidate(version) and accepted,
    ex_without=_ex_without(evaluated, outcomes, bench.config.data.apart),
    p_first=paired_exact_test(first.outcomes, outcomes),
  )


def _contrasts(bench: Workbench, evaluated: Evaluated) -> tuple[ContrastRow, ...]:
  lineages = {version: bench.models.lineage(version) for version in evaluated.versions}
  outcomes = {v: [score_on(bench.models, v, evaluated.split).outcomes] for v in lineages}
  databases = [example.db_id for example in evaluated.questions]
  seed = stage_seed(bench.config, "contrasts")
  return compare_versions(contrasts_of(lineages), lineages, outcomes, databases, seed)


def _by_hardness(outcomes: Sequence[bool], levels: Sequence[str]) -> dict[str, Share]:
  parts = {
    level: [o for o, l in zip(outcomes, levels, strict=True) if l == level]
    for level in ("easy", "medium", "hard", "extra")
  }
  return {level: Share(float(np.mean(part)), len(part)) for level, part in parts.items() if part}


def _ex_without(
  evaluated: Evaluated, outcomes: Sequence[bool], apart: Sequence[str]
) -> ShareWithout | None:
  if not apart:
    return None
  kept = [o for o, e in zip(outcomes, evaluated.questions, strict=True) if e.db_id not in apart]
  interval = wilson_interval(sum(kept), len(kept))
  return ShareWithout(tuple(apart), float(np.mean(kept)), len(kept), interval)


def _lineage_row(models: ModelBase, version: str) -> LineageRow:
  lineage, score = models.lineage(version), models.score(version, SELECTION)
  return LineageRow(
    version,
    lineage.parent,
    lineage.opponent,
    lineage.stage,
    lineage.round,
    None if score is None else score.execution_accuracy,
  )


def _synthesis_row(done: Round, names: Mapping[str, str]) -> SynthesisRow:
  made, questions, verified = done.synthesized, done.questions, done.verified
  return SynthesisRow(
    round=done.number,
    accepted=made.accepted,
    rejections=made.rejections,
    questions=QuestionCounts(
      made.accepted, questions.written, questions.agreement, questions.consistency
    ),
    verified_ex=verified.verified_ex,
    template_errors=tuple(
      dataclasses.replace(row, template=names.get(row.template, row.template))
      for row in verified.template_errors[:_SHOWN_TEMPLATES]
    ),
  )


def _self_play_row(models: ModelBase, done: Iteration) -> SelfPlayRow:
  played, updated = done.played, done.updated
  return SelfPlayRow(
    iteration=done.number,
    main=done.players.main,
    opponent=done.players.opponent,
    pairs=played.pairs,
    left_out=played.left_out,
    reward_rate=played.reward_rate,
    accepted=updated.accepted,
    reason=updated.reason,
    promotion=_promotion(models, done),
  )


def _promotion(models: ModelBase, done: Iteration) -> Promotion | None:
  before = models.score(done.players.main, SELECTION)
  after = models.score(done.version, SELECTION)
  if before is None or after is None:
    return None
  same = len(before.outcomes) == len(after.outcomes)
  p = paired_exact_test(before.outcomes, after.outcomes) if same else None
  return Promotion(before.execution_accuracy, after.execution_accuracy, p, len(after.outcomes))


def _shown_examples(bench: Workbench, evaluated: Evaluated) -> tuple[ShownExample, ...]:
  """Answers of the best version, executed once more for the rows of both results."""
  answers = bench.journal.read_records(evaluated.files[evaluated.best], JudgedAnswer)
  answers, asked = answers[:_SHOWN_EXAMPLES], evaluated.questions[:_SHOWN_EXAMPLES]
  predictions = [a.prediction for a in answers]
  verdicts = judge_test(bench.config, bench.databases, asked, predictions, keep_rows=True)
  return tuple(
    _without_masked_values(
      ShownExample(
        db_id=example.db_id,
        question=example.question,
        gold=example.query,
        model=evaluated.best,
        prediction=answer.prediction,
        correct=verdict.correct if evaluated.split == TEST else answer.correct,
        status=verdict.status,
        message=verdict.message,
        gold_columns=tuple(verdict.gold.columns),
        gold_rows=_rows(verdict.gold.rows),
        gold_row_count=len(verdict.gold.rows),
        predicted_columns=tuple(verdict.predicted.columns),
        predicted_rows=_rows(verdict.predicted.rows),
        predicted_row_count=len(verdict.predicted.rows),
      ),
      bench.databases.prompts[example.db_id].schema,
    )
    for example, answer, verdict in zip(asked, answers, verdicts, strict=True)
  )


def _without_masked_values(shown: ShownExample, schema: Schema) -> ShownExample:
  """The example without rows and messages that may hold them: a model knows the names of masked
  columns, and may ask for what is in them.
  """
  if may_show_masked(shown.gold, schema):
    shown = dataclasses.replace(shown, gold_rows=(), message=_NOT_SHOWN)
  if may_show_masked(shown.prediction, schema):
    shown = dataclasses.replace(shown, predicted_rows=(), message=_NOT_SHOWN)
  return shown


def _rows(rows: Sequence[tuple]) -> tuple[tuple[Cell, ...], ...]:
  return tuple(tuple(map(_shown, row)) for row in rows[:_SHOWN_ROWS])


def _shown(cell: object) -> Cell:
  """A cell as JSON has it; what JSON has no value for (NaN, dates, bytes) as text."""
  if cell is None or isinstance(cell, str | int):
    return cell
  return cell if isinstance(cell, float) and math.isfinite(cell) else str(cell)


def _notes(bench: Workbench, data: RunData, final: TableRow) -> list[str]:
  last = bench.config.self_play.final_step and final.stage == "self_play"
  how = "The last step, taken without selection" if last else "Best on the selection split"
  chosen = f"{how}: {final.model} ({final.version})."
  leaked = f"{data.leaked:,} seeds ask a query of the test, and were left out."
  return [
    f"{chosen} Test questions were not used to choose it." if data.test else f"{chosen} {_NO_TEST}",
    *([leaked] if data.leaked else ()),
    "Intervals are Wilson's, 95 %; single-run differences within them say nothing.",
  ]


def _faults(bench: Workbench) -> list[str]:
  """The versions of both models whose training ended on numbers that are not finite."""
  found = []
  for models, what in ((bench.models, ""), (bench.writers, "SQL-to-text model ")):
    found += [
      f"{what}{v}: {fault}." for v in models.versions() if (fault := models.lineage(v).fault)
    ]
  return found
