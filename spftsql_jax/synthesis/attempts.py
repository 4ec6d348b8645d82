"""What a worker does: attempts to make an example on one database.

Attempt i on a database draws from a generator seeded with (seed, database, part, i). Beside that it
depends on its job (`plan.py`) and on what was accepted before its wave of attempts, so that any
number of workers, on any machine, makes the same candidates.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import hashlib
import itertools
import json
import os
import pickle
import random
import re
from collections.abc import Sequence

import sqlglot

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.databases.passwords import hide_passwords, without_password
from spftsql_jax.examples.example import Example
from spftsql_jax.schema import Schema, without_twins
from spftsql_jax.synthesis import filters, repair, sampler
from spftsql_jax.synthesis.balance import column_templates
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.plan import Block, Job
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.stored import StoredValues

_FILLS = 12  # Tries to fill and pass with one template before the attempt is given up, ...
_FILLS_LARGE = 4  # ... in a database where a single query may take a second.
_STREAK = 6  # Attempts in a row without a candidate after which a job is given up.
_WORDINGS = 4  # Questions written for a query that has some already, until one is new.
_REDRAWS = 20  # Templates drawn for an attempt until one fits the schema.
# Fills whose rows a join repeats, that list too many, or that cannot be worded, after which the
# same goes for the template.
_REPEATED = 4
_REPEATED_LARGE = 1  # For the rows of a join, where tables are large.
_REPAIRS = 2  # Failed queries of an attempt that are repaired at most.
_CHECKED = 20_000  # Judgements kept.
_READING_S = 60.0  # For reading the first rows of a table.
_LARGE = 100_000  # Rows that a query may go through in a second, generously.
_SLOWEST_S = 30.0  # What takes longer is not asked for, however large the database.
_GOLDEN = (5**0.5 - 1) / 2
# One in so many attempts is to name a column whose turn it is, or more: each column is to have its
# turn a few times.
_COVERAGE = 64
_PER_COLUMN = 4
DEFAULT_LIMITS = filters.Limits()
_WORD = re.compile(r"'(?:[^']|'')*'|\w+")
_ALIAS = re.compile(r"t\d+|as")


@dataclasses.dataclass(frozen=True)
class SyntheticExample:
  """A question and its query, with what they were made of.

  `template` is the template's id, `skeleton` its text; `columns` are written "table.column";
  `attempt` orders the examples of a database; `repaired` says what was done to a query that failed
  at first, or "".
  """

  db_id: str
  question: str
  query: str
  template: str
  skeleton: str
  tables: tuple[str, ...]
  columns: tuple[str, ...]
  source: str = "rules"
  attempt: int = 0
  repaired: str = ""

  def example(self) -> Example:
    return Example(
      self.db_id, self.question, self.query, template=self.template, source=self.source
    )

  def to_json(self) -> dict[str, object]:
    record = dataclasses.asdict(self)
    record["tables"], record["columns"] = list(self.tables), list(self.columns)
    return record

  @classmethod
  def from_json(cls, record: dict) -> SyntheticExample:
    return cls(**record | {"tables": tuple(record["tables"]), "columns": tuple(record["columns"])})


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to know of a database, or of a part of its queries: where it is, its
  instances, how to draw from it.

  Attributes:
    location: as `open_database` takes it.
    db_id: its name.
    instances: paths of its neighbouring instances.
    templates: what to draw from, by weight.
    exclude: normal forms that must not be made.
    seed: of all draws.
    decay: see `sampler.Filler.fill`.
    limits: see `filters.Limits`.
    wordings: how often a query may come, each time with another question.
    masked: masked forms that must not be made.
    repair: queries that fail for a reason that can be mended are mended.
    share: how many examples are wanted.
    aim: see `Balance.aim`.
    part: (i, n): only queries of the i-th of n parts, which have none in common.
    infer_keys: joins also follow keys that the database does not declare
      (`databases.key_inference`).
    accepted: a file with a line for each accepted example, so that workers need not make again what
      another one has made.
    fitting: indexes of the templates that fit the database's schema, without those of ours that
      would give odd queries only.
    targets: the (table, column) pairs, in lower case, that hold anything.
    large: a single query may take a second.
    left_out: what of the database could not be read or is not taken (`Schema.left_out`).
  """

  location: str
  db_id: str
  instances: tuple[str, ...]
  templates: tuple[WeightedTemplate, ...]
  exclude: frozenset[str]
  seed: int
  decay: float
  limits: filters.Limits
  wordings: int
  masked: frozenset[str] = frozenset()
  repair: bool = False
  share: int = 0
  aim: str = ""
  part: tuple[int, int] = (0, 1)
  accepted: str = ""
  infer_keys: bool = False
  fitting: tuple[int, ...] = ()
  targets: tuple[tuple[str, str], ...] = ()
  large: bool = False
  left_out: tuple[str, ...] = ()

  @property
  def stream(self) -> str:
    """Seeds what is left to chance."""
    return f"{self.seed}/{self.db_id}" + (f"#{self.part[0]}" if self.part[1] > 1 else "")


def prepare(task: Task, folder: str, count: int) -> Task:
  """Makes a database's neighbouring instances and finds out which templates fit it. Raises
  DatabaseError.
  """
  schema = schema_of(task.location, task.infer_keys)
  paths = []
  if count and engine_of(task.location) == "sqlite":
    # Instances can only be made of SQLite files; elsewhere the original alone judges.
    paths = make_instances(task.location, folder, count, task.seed, schema=schema)
  runner = _runner(task.location, schema)
  filler = sampler.Filler(schema, _stored(runner, schema))
  fitting = fitting_templates(filler, task.templates)
  runner.close()
  return dataclasses.replace(
    task,
    instances=tuple(os.fspath(path) for path in paths),
    fitting=fitting,
    targets=tuple(sorted(filler.columns_with_values())),
    large=_largest(schema) >= _LARGE,
    left_out=schema.left_out,
  )


def fitting_templates(
  filler: sampler.Filler, templates: Sequence[WeightedTemplate]
) -> tuple[int, ...]:
  """The indexes of the templates that a database can fill.

  What people ask now and then only (see `sampler._suitability`) is left to templates that a source
  really has: a template of ours that a database can fill with nothing else does not fit, unless
  none does.
  """
  lenient = [filler.leniency(item.template.text) for item in templates]
  ours = {item.template for item in builtin_templates()}
  kept = (
    i
    for i, item in enumerate(templates)
    if lenient[i] is False or (lenient[i] and item.template not in ours)
  )
  return tuple(kept) or tuple(i for i, found in enumerate(lenient) if found is not None)


def _largest(schema: Schema) -> int:
  """Rows of the largest table."""
  return max((table.row_count for table in schema.tables), default=0)


def _runner(location: str, schema: Schema) -> Runner:
  return Runner(location, timeout_s=min(_SLOWEST_S, 1.0 + _largest(schema) / _LARGE))


def _stored(runner: Runner, schema: Schema) -> StoredValues:
  try:
    stored = StoredValues.read(lambda sql: runner.rows(sql, timeout_s=_READING_S), schema)
  except QueryFailed as error:
    shown, reason = without_password(runner.location), hide_passwords(str(error), runner.location)
    raise DatabaseError(f"{shown}: its values cannot be read: {reason}") from error
  return StoredValues(stored.tables, runner.rows)


def schema_of(location: str, infer_keys: bool) -> Schema:
  """The schema of a database, with the keys that it does not declare where these are asked for.
  Raises DatabaseError.

  Of names that differ in case only the first alone is used: no question can tell one from the
  other.
  """
  schema = without_twins(read_schema(location))
  return infer_foreign_keys(schema, location) if infer_keys else schema


class _Opened:
  """A database in a worker: connections, stored values, and what draws from it."""

  def __init__(self, task: Task):
    # Imported where questions are written: the words of English take seconds to load, and bad input
    # should be told at once.
    from spftsql_jax.questions import sentences

    self.sentences = sentences
    self.task = task
    self.schema = schema_of(task.location, task.infer_keys)
    self.original = _runner(task.location, self.schema)
    self.fills = _FILLS_LARGE if task.large else _FILLS
    self.repeated = _REPEATED_LARGE if task.large else _REPEATED
    self.neighbours = [Runner(path) for path in task.instances]
    self.filler = sampler.Filler(self.schema, _stored(self.original, self.schema))
    # Queries that have been accepted, and those of the block under way, with their questions.
    self.accepted: dict[str, set[str]] = collections.defaultdict(set)
    self.made: dict[str, set[str]] = collections.defaultdict(set)
    self._accepted_count = self._accepted_read = 0
    self._checked: dict[tuple, str | None] = {}
    self.own_templates = {item.template for item in builtin_templates()}
    self.source = {item.template for item in task.templates}
    self.fitting = {task.templates[index].template for index in task.fitting}
    start = random.Random(task.stream)
    self.start = start.random()
    self.draw = _Draw(task.templates)
    targets = list(task.targets)
    start.shuffle(targets)
    if task.aim == "tables":
      turns = {}
      for target in targets:
        turns.setdefault(target[0], []).append(target)
      # Table after table, each time with the next of its columns.
      rounds = itertools.zip_longest(
        *(itertools.islice(itertools.cycle(t), 24) for t in turns.values())
      )
      targets = [target for round_ in rounds for target in round_ if target is not None]
    self.targets = targets
    few = task.share // max(1, _PER_COLUMN * len(targets)) if task.share else _COVERAGE
    self.period = 1 if task.aim in ("tables", "columns") else max(1, min(_COVERAGE, few))

  def draw_for(
    self, focus: tuple[str, str] | None, share: float, rng: random.Random
  ) -> Template | None:
    """The template at a share of the weights, or where none of the schema's tables fits it or it
    has no slot for the column `focus`, another drawn by weight; at last, where the task has an aim,
    a simple one about a column of this kind. None where there is nothing that suits.
    """
    for _ in range(_REDRAWS):
      template = self.draw.at(share)
      if self._suits(template, focus):
        return template
      share = rng.random()
    if focus is None or not self.task.aim:
      return None
    simple = column_templates(self.filler.role(*focus).kind)
    own = [item for item in simple if self.filler.holding(item.template.text, focus)]
    return _Draw(own).at(rng.random()) if own else None

  def next_suiting(self, template: Template, turn: int) -> tuple[str, str] | None:
    """The column whose turn it is, or the next one after it that the template has a slot for."""
    for step in range(len(self.targets)):
      target = self.targets[(turn + step) % len(self.targets)]
      if self.filler.holding(template.text, target):
        return target
    return None

  def _suits(self, template: Template, focus: tuple[str, str] | None) -> bool:
    return template in self.fitting and (
      focus is None or bool(self.filler.holding(template.text, focus))
    )

  def begin(self, known: int) -> None:
    """Takes note of the first `known` accepted examples, and forgets what the last block has
    made.
    """
    self.made.clear()
    if known == self._accepted_count:
      return
    with open(self.task.accepted, "rb") as file:
      file.seek(self._accepted_read)
      for line in itertools.islice(file, known - self._accepted_count):
        query, question = json.loads(line)
        self.accepted[query].add(question)
        self._accepted_read += len(line)
    self._accepted_count = known

  def check(self, filled: sampler.Filled, template: Template, limits: filters.Limits) -> str | None:
    """`filters.check_filled`, once for each query: where a template has few ways to be filled, the
    same query comes again.
    """
    key = (filled.sql, template.text, limits)
    if key not in self._checked:
      if len(self._checked) >= _CHECKED:
        self._checked.clear()
      self._checked[key] = filters.check_filled(
        filled, template, self.original, self.neighbours, limits
      )
    return self._checked[key]

  def questions_of(self, sql: str) -> set[str]:
    """The questions that a query has already."""
    return self.accepted.get(sql, _NONE) | self.made.get(sql, _NONE)

  def close(self) -> None:
    for runner in (self.original, *self.neighbours):
      runner.close()


class _Draw:
  """Templates drawn by their weights."""

  def __init__(self, items: Sequence[WeightedTemplate]):
    self.items = list(items)
    self._cumulative = list(itertools.accumulate(item.weight for item in self.items))

  def at(self, share: float) -> Template:
    """The template at a share in [0, 1) of the total weight."""
    position = bisect.bisect(self._cumulative, share * self._cumulative[-1], hi=len(self.items) - 1)
    return self.items[position].template


_OPEN: collections.OrderedDict[str, _Opened] = collections.OrderedDict()
_NONE: frozenset[str] = frozenset()


def save_task(task: Task, path: str) -> None:
  """Writes a task where workers find it: with its templates it is too large to be sent along with
  every block.
  """
  with open(path, "wb") as file:
    pickle.dump(task, file)


def _opened(path: str) -> _Opened:
  if path not in _OPEN:
    with open(path, "rb") as file:
      _OPEN[path] = _Opened(pickle.load(file))
    if len(_OPEN) > 8:
      _, oldest = _OPEN.popitem(last=False)
      oldest.close()
  _OPEN.move_to_end(path)
  return _OPEN[path]


def close_all() -> None:
  """Closes the databases that attempts in this process have opened."""
  while _OPEN:
    _OPEN.popitem()[1].close()


Candidate = tuple[SyntheticExample, str]  # An example and its normal form.
# The position of the attempt's job in its block, the candidate, and why queries were not kept.
Attempt = tuple[int, Candidate | None, collections.Counter[str]]


def attempt_block(path: str, block: Block) -> list[Attempt]:
  """The attempts of a block at the task that `save_task` wrote to `path`. Raises DatabaseError."""
  opened = _opened(path)
  opened.begin(block.known)
  attempts: list[Attempt] = []
  for position, job in enumerate(block.jobs):
    found = streak = 0
    for number in range(job.first, job.first + job.tries):
      if found == job.wanted or streak == _STREAK and job.template is not None:
        break
      reasons: collections.Counter[str] = collections.Counter()
      candidate = _attempt(opened, job, number, reasons)
      found, streak = (found, streak + 1) if candidate is None else (found + 1, 0)
      attempts.append((position, candidate, reasons))
  return attempts


def _attempt(
  opened: _Opened, job: Job, number: int, reasons: collections.Counter[str]
) -> Candidate | None:
  task = opened.task
  rng = random.Random(f"{task.stream}/{number}")
  template, focus = _choose(opened, job, number, rng)
  if template is None:
    reasons["no table fits the templates" if opened.targets else "no table has rows"] += 1
    return None
  limits = task.limits
  if template in opened.own_templates:
    # Templates of others keep the habits of their source.
    limits = dataclasses.replace(limits, repeated_rows=False)
  broken: list[tuple[sampler.Filled, str]] = []
  refused = filters.template_plan(template.text).refusal is not None  # Whatever it is filled with.
  fills = opened.fills
  tries = left = fills * task.part[1]
  while left and fills:
    left -= 1
    if left == tries // 2 and job.template is not None:
      focus = None  # The template may suit another column.
    try:
      # Of fewer rows a join repeats none, perhaps.
      tight = bool(reasons[filters.REPEATED] or reasons[filters.TOO_MANY])
      filled = opened.filler.fill(template, rng, task.decay, focus, tight)
    except CannotFill as error:
      reasons[f"cannot fill: {_reason(error)}"] += 1
      continue
    except QueryFailed as error:
      reasons[f"a probe fails: {error.status}"] += 1
      continue
    if part_of(filled.sql, task.part[1]) != task.part[0]:
      continue
    fills -= 1
    questions = opened.questions_of(filled.sql)
    if len(questions) >= task.wordings:
      reasons["duplicate"] += 1
      continue
    # What has been accepted once need not be judged again.
    reason = None if questions else opened.check(filled, template, limits)
    if reason is not None:
      reasons[reason] += 1
      if len(broken) < _REPAIRS:
        broken.append((filled, reason))
      often = {filters.REPEATED: opened.repeated, filters.TOO_MANY: _REPEATED}.get(reason)
      if refused or (often and reasons[reason] >= often):
        break  # The schema has no other way to fill it, or seldom.
      continue
    if found := _candidate(opened, filled, template, rng, number, reasons):
      return found
    if (
      sum(count for reason, count in reasons.items() if reason.startswith("no question"))
      >= _REPEATED
    ):
      break
  for filled, reason in broken if task.repair and job.repair else ():
    mended = repair.repair(filled, template, reason, opened.original, opened.neighbours, limits)
    if mended is None or (job.repair == "source" and mended[1] not in opened.source):
      continue
    if part_of(mended[0].sql, task.part[1]) != task.part[0]:
      continue
    if len(opened.questions_of(mended[0].sql)) >= task.wordings:
      reasons["duplicate"] += 1
    elif found := _candidate(opened, mended[0], mended[1], rng, number, reasons, mended[2]):
      return found
  return None


def _choose(
  opened: _Opened, job: Job, number: int, rng: random.Random
) -> tuple[Template | None, tuple[str, str] | None]:
  """The template of an attempt, and the column that its query is to name, if any."""
  # Steps of the golden ratio instead of independent draws: every template comes as often as its
  # weight says, not by luck.
  share = (opened.start + number * _GOLDEN) % 1.0
  if job.focus is not None:
    return opened.draw_for(job.focus, rng.random(), rng), job.focus
  turn = (
    number // opened.period
    if opened.targets and number % opened.period == opened.period - 1
    else None
  )
  if job.template is not None:
    template = opened.task.templates[job.template].template
    return template, None if turn is None else opened.next_suiting(template, turn)
  focus = None if turn is None else opened.targets[turn % len(opened.targets)]
  template = opened.draw_for(focus, share, rng)
  if template is None and focus is not None:
    focus, template = None, opened.draw_for(None, share, rng)
  return template, focus


def _candidate(
  opened: _Opened, filled, template, rng, number, reasons, repaired: str = ""
) -> Candidate | None:
  """The example of a query that the filters have passed, if it is new and can be worded."""
  task = opened.task
  # Parsed once for both: the question reads the tree, the normal form changes it.
  tree = sqlglot.parse_one(filled.sql, read=opened.schema.dialect)
  known = opened.questions_of(filled.sql)
  try:
    question = opened.sentences.write_question(tree, opened.schema, rng)
    for _ in range(_WORDINGS if question in known else 0):
      if question in known:
        question = opened.sentences.write_question(tree, opened.schema, rng)
  except opened.sentences.UnsupportedQuery as error:
    reasons[f"no question: {_reason(error)}"] += 1
    return None
  if question in known:
    reasons["duplicate"] += 1
    return None
  form = filters.normal_form(tree, opened.schema.dialect)
  if form in task.exclude or (task.masked and filters.masked(form) in task.masked):
    reasons["in the evaluation set"] += 1
    return None
  example = SyntheticExample(
    task.db_id,
    question,
    filled.sql,
    template.id,
    template.text,
    filled.tables,
    filled.columns,
    attempt=number,
    repaired=repaired,
  )
  opened.made[filled.sql].add(question)
  return example, form


def part_of(sql: str, parts: int) -> int:
  """The part that a query belongs to: by its words, whatever their order, so that two spellings of
  a query are in one part.
  """
  if parts == 1:
    return 0
  words = sorted(word for word in _WORD.findall(sql.lower()) if not _ALIAS.fullmatch(word))
  return (
    int.from_bytes(hashlib.blake2s(" ".join(words).encode(), digest_size=8).digest(), "big") % parts
  )


def _reason(error: Exception) -> str:
  """An error's message without what is particular to the query, so that reasons can be counted."""
  text = re.sub(r"'[^']*'|\"[^\"]*\"|\b\S*[._]\S*\b|\d+", "...", str(error).split("\n")[0])
  return " ".join(text.split())
