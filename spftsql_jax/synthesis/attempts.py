"""What a worker does: attempts to make an example on one database.

Attempt i on a database draws from a generator seeded with (seed, database, part, i). Beside that it
depends on its job (`plan.py`) and on what was accepted before its wave of attempts, so that any
number of workers, on any machine, makes the same candidates.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import random
import re
from collections.abc import Collection

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis import repair
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.filters import Limits, template_plan
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.normal_form import masked, normal_form
from spftsql_jax.synthesis.notation import Template
from spftsql_jax.synthesis.opened_database import CannotWord, OpenedDatabase, opened
from spftsql_jax.synthesis.plan import Block, Job
from spftsql_jax.synthesis.rejections import Cause, Rejection
from spftsql_jax.synthesis.runner import QueryFailed
from spftsql_jax.synthesis.supply import Place
from spftsql_jax.synthesis.synthetic_example import SyntheticExample

_STREAK = 6  # Attempts in a row without a candidate after which a job is given up.
# Questions written for a query, until one is new and reads easily.
_WORDINGS = 4
_EASY = 2
# More joints than people's questions have, or more strain, are not asked.
_MOST_JOINTS = 3
_MOST_STRAIN = 4
# How many of the questions that do not read easily are asked. Of people's on Spider's train split
# 24 % do not, of ours 37 % did.
_HARD = 0.5
# Fills that list too many rows or too few, or that cannot be worded, after which the same goes for
# the template.
_OFTEN = 4
_REPAIRS = 2  # Failed queries of an attempt that are repaired at most.
_GOLDEN = (5**0.5 - 1) / 2
_WORD = re.compile(r"'(?:[^']|'')*'|\w+")
_ALIAS = re.compile(r"t\d+|as")

Candidate = tuple[SyntheticExample, str]  # An example and its normal form.
# The position of the attempt's job in its block, the candidate, and why queries were not kept.
Attempt = tuple[int, Candidate | None, collections.Counter[str]]


def attempt_block(path: str, block: Block) -> list[Attempt]:
  """The attempts of a block at the task that `save_task` wrote to `path`. Raises DatabaseError."""
  database = opened(path)
  database.begin(block.known)
  made: list[Attempt] = []
  for position, job in enumerate(block.jobs):
    found = streak = 0
    for number in range(job.first, job.first + job.tries):
      if found == job.wanted or streak == _STREAK and job.template is not None:
        break
      attempt = _Attempt(database, job, number)
      candidate = attempt.make()
      found, streak = (found, streak + 1) if candidate is None else (found + 1, 0)
      made.append((position, candidate, attempt.reasons))
  return made


class _Attempt:
  """One attempt.

  Attributes:
    reasons: why queries were not kept.
  """

  def __init__(self, database: OpenedDatabase, job: Job, number: int):
    self._database = database
    self._task = database.task
    self._job = job
    self._number = number
    self._rng = random.Random(f"{self._task.stream}/{number}")
    self.reasons: collections.Counter[str] = collections.Counter()

  def make(self) -> Candidate | None:
    """The first candidate: a query that passes the filters, or one that was mended."""
    template, focus = self._choose()
    if template is None:
      rows = bool(self._database.targets)
      self.reasons[Rejection.NO_FITTING_TABLE if rows else Rejection.NO_ROWS] += 1
      return None
    limits = self._task.limits
    if template in self._database.own_templates:
      # Templates of others keep the habits of their source.
      limits = dataclasses.replace(limits, loose_joins=False)
    failed: list[tuple[Filled, Rejection]] = []
    found = self._first_passing(template, focus, limits, failed)
    if found is None and self._task.repair and self._job.repair:
      return self._first_mended(template, limits, failed[:_REPAIRS])
    return found

  def _choose(self) -> tuple[Template | None, Place | None]:
    """The template of an attempt, and the column that its query is to name, if any."""
    database, job, number = self._database, self._job, self._number
    # Steps of the golden ratio instead of independent draws: every template comes as often as its
    # weight says, not by luck.
    share = (database.start + number * _GOLDEN) % 1.0
    if job.focus is not None:
      return database.draw_for(job.focus, self._rng.random(), self._rng), job.focus
    has_turn = database.targets and number % database.period == database.period - 1
    turn = number // database.period if has_turn else None
    if job.template is not None:
      template = self._task.templates[job.template].template
      return template, None if turn is None else database.next_suiting(template, turn)
    focus = None if turn is None else database.targets[turn % len(database.targets)]
    drawn = database.draw_for(focus, share, self._rng)
    if drawn is None and focus is not None:
      return database.draw_for(None, share, self._rng), None
    return drawn, focus

  def _first_passing(
    self,
    template: Template,
    focus: Place | None,
    limits: Limits,
    failed: list[tuple[Filled, Rejection]],
  ) -> Candidate | None:
    """Fills the template until a query passes; those that do not are added to `failed`."""
    database, reasons = self._database, self.reasons
    part, parts = self._task.part
    hopeless = template_plan(template.text).refusal is not None  # Whatever it is filled with.
    fills = database.fills
    tries = left = fills * parts
    while left and fills:
      left -= 1
      if left == tries // 2 and self._job.template is not None:
        focus = None  # The template may suit another column.
      filled = self._fill(template, focus)
      if filled is None or part_of(filled.sql, parts) != part:
        continue
      fills -= 1
      questions = database.questions_of(filled.sql)
      if len(questions) >= self._task.wordings:
        reasons[Rejection.DUPLICATE] += 1
        continue
      # What has been accepted once need not be judged again.
      reason = None if questions else database.check(filled, template, limits)
      if reason is not None:
        reasons[reason] += 1
        failed.append((filled, reason))
        if hopeless or self._is_enough(reason):
          return None  # The schema has no other way to fill it, or seldom.
        continue
      if found := self._candidate(filled, template):
        return found
      unworded = (count for why, count in reasons.items() if why.startswith(Cause.NO_QUESTION))
      if sum(unworded) >= _OFTEN:
        return None
    return None

  def _fill(self, template: Template, focus: Place | None) -> Filled | None:
    """The template filled; None, and why, where that cannot be done."""
    # Of fewer rows a join repeats none, perhaps.
    tight = bool(self.reasons[Rejection.REPEATED] or self.reasons[Rejection.TOO_MANY])
    try:
      return self._database.filler.fill(template, self._rng, self._task.decay, focus, tight)
    except CannotFill as error:
      self.reasons[Cause.CANNOT_FILL.told(_in_general(error))] += 1
    except QueryFailed as error:
      self.reasons[Cause.PROBE_FAILS.told(error.status)] += 1
    return None

  def _is_enough(self, reason: Rejection) -> bool:
    """Whether a template's queries have failed for this reason so often that they mostly will."""
    repeated = self._database.repeated
    seldom = {Rejection.REPEATED: repeated, Rejection.TOO_MANY: _OFTEN, Rejection.DROPPED: _OFTEN}
    often = seldom.get(reason)
    return often is not None and self.reasons[reason] >= often

  def _first_mended(
    self, template: Template, limits: Limits, failed: list[tuple[Filled, Rejection]]
  ) -> Candidate | None:
    database, (part, parts) = self._database, self._task.part
    runners = database.original, database.neighbours
    for filled, reason in failed:
      mended = repair.repair(filled, template, reason, *runners, limits)
      if mended is None:
        continue
      if self._job.repair == "source" and mended.template not in database.source:
        continue
      sql = mended.filled.sql
      if part_of(sql, parts) != part:
        continue
      if len(database.questions_of(sql)) >= self._task.wordings:
        self.reasons[Rejection.DUPLICATE] += 1
      elif found := self._candidate(mended.filled, mended.template, mended.repair.value):
        return found
    return None

  def _candidate(self, filled: Filled, template: Template, repaired: str = "") -> Candidate | None:
    """The example of a query that the filters have passed, if it is new and can be worded."""
    database, task = self._database, self._task
    dialect = database.schema.dialect
    # Parsed once for both: the question reads the tree, the normal form changes it.
    try:
      tree = sqlglot.parse_one(filled.sql, read=dialect)
    except sqlglot.errors.SqlglotError:
      # The engine ran it: it may take a name that the parser takes for a keyword.
      self.reasons[Rejection.NOT_PARSED] += 1
      return None
    try:
      found = self._question(tree, database.questions_of(filled.sql))
    except CannotWord as error:
      self.reasons[Cause.NO_QUESTION.told(_in_general(error))] += 1
      return None
    if found is None:
      self.reasons[Rejection.DUPLICATE] += 1
      return None
    strain, question = found
    if template in database.own_templates and not self._reads_well(strain, question):
      # Templates of others are asked all the same.
      self.reasons[Cause.NO_QUESTION.told("too many clauses")] += 1
      return None
    form = normal_form(tree, dialect)
    if form in task.exclude or (task.masked and masked(form) in task.masked):
      self.reasons[Rejection.EXCLUDED] += 1
      return None
    example = SyntheticExample(
      task.db_id,
      question,
      filled.sql,
      template.id,
      template.text,
      filled.tables,
      filled.columns,
      attempt=self._number,
      repaired=repaired,
    )
    database.note(filled.sql, question)
    return example, form

  def _reads_well(self, strain: int, question: str) -> bool:
    """Whether a question is one that people ask, by its length."""
    if strain > _MOST_STRAIN or self._database.joints(question) > _MOST_JOINTS:
      return False
    return strain <= _EASY or self._rng.random() < _HARD

  def _question(self, tree: exp.Expr, known: Collection[str]) -> tuple[int, str] | None:
    """(strain, a question) of a query, none of the `known` and one that reads easily if there is
    one; None where all are known. Raises `CannotWord`.
    """
    best: tuple[int, str] | None = None
    for _ in range(_WORDINGS):
      question = self._database.write_question(tree, self._rng)
      strain = self._database.strain(question)
      if question not in known and (best is None or strain < best[0]):
        best = strain, question
      if best is not None and best[0] <= _EASY:
        break
    return best


def part_of(sql: str, parts: int) -> int:
  """The part that a query belongs to.

  It goes by the words of the query, whatever their order, so that two spellings of a query are in
  one part.
  """
  if parts == 1:
    return 0
  words = sorted(word for word in _WORD.findall(sql.lower()) if not _ALIAS.fullmatch(word))
  digest = hashlib.blake2s(" ".join(words).encode(), digest_size=8).digest()
  return int.from_bytes(digest, "big") % parts


def _in_general(error: Exception) -> str:
  """An error's message without what is particular to the query, so that reasons can be counted."""
  text = re.sub(r"'[^']*'|\"[^\"]*\"|\b\S*[._]\S*\b|\d+", "...", str(error).split("\n")[0])
  return " ".join(text.split())
