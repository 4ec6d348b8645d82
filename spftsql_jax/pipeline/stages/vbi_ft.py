"""Stage 1, verification-based iterative fine-tuning (VBI-FT): arXiv 2509.03937 section 3.1.

A round synthesizes SQL from templates, writes questions, fine-tunes on real and synthetic data,
evaluates on synthesized examples held back from training, and feeds back: right answers train the
SQL-to-text model, the templates of wrong answers weigh more in the next round.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.evaluation import answer_and_judge
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.journal import data_hash
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.queries import hold_back
from spftsql_jax.pipeline.records import (
  QuestionWriter,
  Round,
  Synthesized,
  Trained,
  Verified,
  WrittenQuestions,
)
from spftsql_jax.pipeline.stages.consistency import check_questions
from spftsql_jax.pipeline.stages.question_writer import (
  train_question_writer,
  write_model_questions,
)
from spftsql_jax.pipeline.stages.sft import Starting
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.stages.synthesis import make_examples, reasons
from spftsql_jax.pipeline.stages.templates import error_rates, next_templates
from spftsql_jax.pipeline.training_units import sql_units
from spftsql_jax.pipeline.versions import SELECTION, add_version, parent_of_next
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.report.text import rate
from spftsql_jax.synthesis.notation import WeightedTemplate


@dataclasses.dataclass(frozen=True)
class RoundTask:
  """What a round has to start from.

  Attributes:
    number: of the round, from 1.
    parent: the version that is fine-tuned further.
    writer: the version of the SQL-to-text model that words queries; None while nothing has trained
      one.
    templates: this round's, with their weights.
    earlier: the rounds before. What they trained on is trained on again; what they held back for
      verification never is.
  """

  number: int
  parent: str
  writer: str | None
  templates: tuple[WeightedTemplate, ...]
  earlier: tuple[Round, ...]

  @property
  def name(self) -> str:
    """What the journal's steps of this round begin with."""
    return f"vbi_ft/round_{self.number}"

  @property
  def version(self) -> str:
    """The version that this round makes."""
    return f"vbi_ft-{self.number}"


def run_vbi_ft(bench: Workbench, splits: Splits, starting: Starting) -> tuple[Round, ...]:
  """All rounds. Each goes on from the model and the question writer of the one before."""
  rounds: tuple[Round, ...] = ()
  parent, writer, templates = starting.version, starting.writer, splits.templates.train
  for number in range(1, bench.config.vbi_ft.rounds + 1):
    bench.say(f"VBI-FT, round {number} of {bench.config.vbi_ft.rounds}")
    done = run_round(bench, splits, RoundTask(number, parent, writer, templates, rounds))
    rounds = (*rounds, done)
    parent = parent_of_next(bench, done.version, parent, splits.selection)
    writer = done.writer
    templates = next_templates(bench.config, templates, done.verified.template_errors)
  return rounds


def run_round(bench: Workbench, splits: Splits, task: RoundTask) -> Round:
  """One round. Each step is journaled, so that a run cut off in the middle goes on there."""
  step, name = bench.journal.step, task.name
  made = step(f"{name}/synthesis", Synthesized, lambda: synthesize(bench, splits, task))
  questions = step(
    f"{name}/questions", WrittenQuestions, lambda: write_questions(bench, task, made)
  )
  trained = step(
    f"{name}/training", Trained, lambda: fine_tune(bench, splits, task, made, questions)
  )
  verified = step(f"{name}/verification", Verified, lambda: verify(bench, splits, task, made))
  writer = None
  # The last round's would write nothing.
  if bench.config.synthesis.model_questions and task.number < bench.config.vbi_ft.rounds:
    writer = step(
      f"{name}/question_writer",
      QuestionWriter,
      lambda: feed_back(bench, splits, task, verified),
    ).version
  return Round(task.number, task.version, writer, made, questions, trained, verified)


def synthesize(bench: Workbench, splits: Splits, task: RoundTask) -> Synthesized:
  """New examples: those to train on, and some that are held back for verification."""
  config, db_ids = bench.config, splits.data.seed_databases
  made = make_examples(
    bench,
    task.name,
    task.templates,
    config.synthesis.examples + config.vbi_ft.verify,
    db_ids=db_ids,
    apart=[*splits.held_out, *_read(bench, [done.synthesized.verify for done in task.earlier])],
  )
  examples = [e.example() for e in made.examples]
  if not examples and not splits.data.seeds and not task.earlier:
    raise ValueError(
      f"{task.name}: no example can be synthesized on {', '.join(db_ids)}, and there are no seeds: "
      f"{reasons(made)}"
    )
  trained = [*splits.data.seeds, *_trained_before(bench, task)]
  held, rest = _hold_back(bench, task, examples, trained)
  bench.say(
    f"  synthesized {len(examples):,} examples in {made.seconds:.0f} s from {len(made.templates)} "
    f"templates; {made.rejections.total():,} queries rejected"
  )
  return Synthesized(
    train=bench.journal.write_records(f"round_{task.number}-train", rest),
    verify=bench.journal.write_records(f"round_{task.number}-verify", held),
    accepted=len(examples),
    rejections=dict(sorted(made.rejections.items(), key=lambda item: (-item[1], item[0]))),
    seconds=made.seconds,
  )


def _hold_back(
  bench: Workbench, task: RoundTask, examples: Sequence[Example], trained: Sequence[Example]
) -> tuple[list[Example], list[Example]]:
  """(what is held back for verification, what is trained on).

  Held back are whole queries with all their wordings, an even draw over the databases, of the same
  templates as what is trained on, but no query that was ever trained on.
  """
  queries = bench.databases.queries
  groups = queries.groups(examples)
  known = zip(groups, queries.among(examples, trained), strict=True)
  barred = frozenset(group for group, found in known if found)
  wanted = min(bench.config.vbi_ft.verify, len(examples) // 4)
  rng = random.Random(stage_seed(bench.config, f"{task.name}/held back"))
  held, rest = hold_back(groups, wanted, rng, barred)
  if len(held) < wanted:
    bench.say(
      f"  {len(held)} of {wanted} examples are held back for verification: all other queries are "
      "trained on already"
    )
  return [examples[i] for i in held], [examples[i] for i in rest]


def write_questions(bench: Workbench, task: RoundTask, made: Synthesized) -> WrittenQuestions:
  """A second wording of some queries by the SQL-to-text model, kept where `parent` finds the query
  again.
  """
  config, file = bench.config.synthesis, f"round_{task.number}-model"
  # The check needs a model that answers something: with none that does, nothing would be kept.
  checker = bench.models.score(task.parent, SELECTION)
  if task.writer is None or checker is None or not any(checker.outcomes):
    return WrittenQuestions(bench.journal.write_records(file, []), 0, None, None)
  worded_by_rules = _read(bench, [made.train])
  rng = random.Random(stage_seed(bench.config, f"{task.name}/questions"))
  chosen = rng.sample(worded_by_rules, round(len(worded_by_rules) * config.model_questions))
  written = write_model_questions(bench, task.writer, chosen)
  checked = check_questions(bench, task.parent, written, config.check_samples)
  agreement = checked.agreement()
  bench.say(
    f"  the SQL-to-text model worded {len(written):,} of {len(chosen):,} queries again; "
    f"{len(checked.kept):,} of these agree with an answer out of {config.check_samples}, "
    f"{checked.counts[-1]:,} with all"
  )
  kept = bench.journal.write_records(file, checked.kept)
  return WrittenQuestions(kept, len(written), agreement.kept, agreement)


def fine_tune(
  bench: Workbench,
  splits: Splits,
  task: RoundTask,
  made: Synthesized,
  questions: WrittenQuestions,
) -> Trained:
  """The text-to-SQL model, on the seeds and on what all rounds so far have synthesized."""
  config, seeds = bench.config, splits.data.seeds
  synthetic = [*_trained_before(bench, task), *_read(bench, [made.train, questions.model])]
  examples = list(seeds) * config.seed_repeats + synthetic
  # Each seed is tokenized once.
  units = sql_units(bench.units, seeds) * config.seed_repeats + sql_units(bench.units, synthetic)
  result = train(
    bench.trainer,
    task.name,
    bench.load(task.parent),
    units,
    config.vbi_ft.training,
    held_out=splits.selection,
  )
  lineage = Lineage(
    "vbi_ft",
    task.number,
    task.parent,
    data_hash=data_hash(examples),
    candidate=config.self_play.candidates == "fine_tuned",
    fault=fault_line(result),
  )
  score = add_version(bench, task.version, result.trained, lineage, splits.selection, task.name)
  bench.say(
    f"  {task.version}: trained on {len(examples):,} examples at "
    f"{rate(result.summary['examples_per_second'])}; "
    f"selection EX {score.execution_accuracy:.1%}, {score.executable:.0%} run"
  )
  return Trained(score.execution_accuracy, result.summary)


def verify(bench: Workbench, splits: Splits, task: RoundTask, made: Synthesized) -> Verified:
  """Eq. 1: y+ are the answers that execute to gold's result, y- the others."""
  held = splits.selection if bench.config.paper_splits else _read(bench, [made.verify])
  predictions, verdicts = answer_and_judge(bench.evaluator, bench.load(task.version), held)
  right = [bool(v.suite_correct) for v in verdicts]
  positive = [
    dataclasses.replace(e, query=p) for e, p, r in zip(held, predictions, right, strict=True) if r
  ]
  bench.say(f"  verification: {sum(right)} of {len(right)} held-back examples answered rightly")
  return Verified(
    positive=bench.journal.write_records(f"round_{task.number}-positive", positive),
    template_errors=error_rates(held, [not r for r in right]),
    verified_ex=sum(right) / max(len(right), 1),
  )


def feed_back(
  bench: Workbench, splits: Splits, task: RoundTask, verified: Verified
) -> QuestionWriter:
  """The next round's question writer, trained on the seeds and on y+."""
  examples = [*splits.data.seeds, *_read(bench, [verified.positive])]
  return train_question_writer(bench, f"writer-{task.number}", task.writer, examples)


def _trained_before(bench: Workbench, task: RoundTask) -> list[Example]:
  """What earlier rounds have synthesized to train on."""
  return _read(bench, [file for done in task.earlier for file in done.files])


def _read(bench: Workbench, files: Sequence[str]) -> list[Example]:
  return [e for file in files for e in bench.journal.read_records(file, Example)]
