"""What a worker does: attempts to make an example on one database.

Attempt i on a database draws from a generator seeded with (seed, database, part, i) and depends on nothing else, so that any
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
import random
import re
from collections.abc import Sequence

import sqlglot

from spftsql_jax.databases import engines, make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.schema import Schema
from spftsql_jax.examples.example import Example
from spftsql_jax.synthesis import filters, repair, sampler
from spftsql_jax.synthesis.balance import column_templates
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.stored import StoredValues

BLOCK = 64  # Attempts given to a worker at once.
_FILLS = 12  # Tries to fill and pass with one template before the attempt is given up.
_REDRAWS = 20  # Templates drawn for an attempt until one fits the schema.
_REPEATED = 4  # Fills whose rows a join repeats after which the same goes for the template.
_REPAIRS = 2  # Failed queries of an attempt that are repaired at most.
_READING_S = 60.0  # For reading the first rows of a table.
_LARGE = 100_000  # Rows that a query may go through in a second, generously.
_GOLDEN = (5**0.5 - 1) / 2
# One in so many attempts is to name a column whose turn it is, or more: each column is to have its turn a few times.
_COVERAGE = 64
_PER_COLUMN = 4
DEFAULT_LIMITS = filters.Limits()
_WORD = re.compile(r"'(?:[^']|'')*'|\w+")
_ALIAS = re.compile(r"t\d+|as")


@dataclasses.dataclass(frozen=True)
class SyntheticExample:
  """A question and its query, with what they were made of.

  `template` is the template's id, `skeleton` its text; `columns` are written "table.column"; `attempt` orders the examples of a
  database; `repaired` says what was done to a query that failed at first, or "".
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
    return Example(self.db_id, self.question, self.query, template=self.template, source=self.source)

  def to_json(self) -> dict[str, object]:
    record = dataclasses.asdict(self)
    record["tables"], record["columns"] = list(self.tables), list(self.columns)
    return record

  @classmethod
  def from_json(cls, record: dict) -> SyntheticExample:
    return cls(**record | {"tables": tuple(record["tables"]), "columns": tuple(record["columns"])})


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to know of a database, or of a part of its queries: where it is, its instances, how to draw from it.

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
    infer_keys: joins also follow keys that the database does not declare (`databases.key_inference`).
    accepted: a file to which the accepted examples are added, or "": workers read it, so that they need not check again what
      another one has made. What they return does not depend on it, but for the time it takes.
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


def prepare(task: Task, folder: str, count: int) -> Task:
  """Makes a database's neighbouring instances; reads its schema first, so that what cannot be read is found out early."""
  schema = schema_of(task.location, task.infer_keys)
  if engines.engine_of(task.location) != "sqlite":
    return task  # Instances can only be made of SQLite files; elsewhere the original alone judges.
  paths = make_instances(task.location, folder, count, task.seed, schema=schema) if count else []
  return dataclasses.replace(task, instances=tuple(os.fspath(path) for path in paths))


def schema_of(location: str, infer_keys: bool) -> Schema:
  """The schema of a database, with the keys that it does not declare where these are asked for. Raises DatabaseError."""
  schema = read_schema(location)
  return infer_foreign_keys(schema, location) if infer_keys else schema


class _Opened:
  """A database in a worker: connections, stored values, and what draws from it."""

  def __init__(self, task: Task):
    # Imported where questions are written: the words of English take seconds to load, and bad input should be told at once.
    from spftsql_jax.synthesis import questions

    self.questions = questions
    self.task = task
    self.schema = schema_of(task.location, task.infer_keys)
    largest = max((table.row_count for table in self.schema.tables), default=0)
    self.original = Runner(task.location, timeout_s=1.0 + largest / _LARGE)
    self.neighbours = [Runner(path) for path in task.instances]
    try:
      stored = StoredValues.read(lambda sql: self.original.rows(sql, timeout_s=_READING_S), self.schema)
    except QueryFailed as error:
      raise engines.DatabaseError(f"{task.location}: its values cannot be read: {error}") from error
    self.filler = sampler.Filler(self.schema, StoredValues(stored.tables, self.original.rows))
    # Queries that this worker has handed over already or that were accepted of others, and their questions: one that has had
    # its wordings is a duplicate for sure when a later attempt makes it again.
    self.made: dict[str, set[str]] = collections.defaultdict(set)
    self._accepted_read = 0
    self.own_templates = {item.template for item in builtin_templates()}
    self.stream = f"{task.seed}/{task.db_id}" + (f"#{task.part[0]}" if task.part[1] > 1 else "")
    start = random.Random(self.stream)
    self.start = start.random()
    self.draw = _Draw(task.templates)
    targets = sorted(self.filler.columns_with_values())
    start.shuffle(targets)
    if task.aim == "tables":
      turns = {}
      for target in targets:
        turns.setdefault(target[0], []).append(target)
      # Table after table, each time with the next of its columns.
      rounds = itertools.zip_longest(*(itertools.islice(itertools.cycle(t), 24) for t in turns.values()))
      targets = [target for round_ in rounds for target in round_ if target is not None]
    self.targets = targets
    few = task.share // max(1, _PER_COLUMN * len(targets)) if task.share else _COVERAGE
    self.period = 1 if task.aim in ("tables", "columns") else max(1, min(_COVERAGE, few))

  def draw_for(self, focus: tuple[str, str] | None, share: float, rng: random.Random) -> Template | None:
    """The template at a share of the weights, or where none of the schema's tables fits it or it has no slot for the column
    `focus`, another drawn by weight; at last, where the task has an aim, a simple one about a column of this kind. None where
    there is nothing that suits.
    """
    for _ in range(_REDRAWS):
      template = self.draw.at(share)
      if self._suits(template, focus):
        return template
      share = rng.random()
    if focus is None or not self.task.aim:
      return None
    own = [item for item in column_templates(self.filler.role(*focus).kind) if self._suits(item.template, focus)]
    return _Draw(own).at(rng.random()) if own else None

  def _suits(self, template: Template, focus: tuple[str, str] | None) -> bool:
    if focus is None:
      return self.filler.leniency(template.text) is not None
    return bool(self.filler.holding(template.text, focus))

  def read_accepted(self) -> None:
    """Takes note of what has been accepted since the last block."""
    if not self.task.accepted:
      return
    with open(self.task.accepted, "rb") as file:
      file.seek(self._accepted_read)
      lines, _, _ = file.read().rpartition(b"\n")
    for line in lines.splitlines():
      query, question = json.loads(line)
      self.made[query].add(question)
    self._accepted_read += len(lines) + 1 if lines else 0

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


_OPEN: collections.OrderedDict[tuple, _Opened] = collections.OrderedDict()


def _opened(task: Task) -> _Opened:
  key = (task.location, task.seed, task.instances, task.part)
  if key not in _OPEN or _OPEN[key].task != task:
    if key in _OPEN:
      _OPEN.pop(key).close()
    _OPEN[key] = _Opened(task)
    if len(_OPEN) > 8:
      _, oldest = _OPEN.popitem(last=False)
      oldest.close()
  return _OPEN[key]


def close_all() -> None:
  """Closes the databases that attempts in this process have opened."""
  while _OPEN:
    _OPEN.popitem()[1].close()


Candidate = tuple[SyntheticExample, str]  # An example and its normal form.


def attempt_block(task: Task, first: int) -> tuple[list[Candidate | None], list[collections.Counter[str]]]:
  """The candidates of `BLOCK` attempts, and why queries were not kept, attempt by attempt. Raises DatabaseError."""
  opened = _opened(task)
  opened.read_accepted()
  candidates, rejections = [], []
  for number in range(first, first + BLOCK):
    reasons: collections.Counter[str] = collections.Counter()
    candidates.append(_attempt(opened, number, reasons))
    rejections.append(reasons)
  return candidates, rejections


def _attempt(opened: _Opened, number: int, reasons: collections.Counter[str]) -> Candidate | None:
  task = opened.task
  rng = random.Random(f"{opened.stream}/{number}")
  # Steps of the golden ratio instead of independent draws: every template comes as often as its weight says, not by luck.
  share = (opened.start + number * _GOLDEN) % 1.0
  focus = None
  if opened.targets and number % opened.period == opened.period - 1:
    focus = opened.targets[number // opened.period % len(opened.targets)]
  template = opened.draw_for(focus, share, rng)
  if template is None and focus is not None:
    focus, template = None, opened.draw_for(None, share, rng)
  if template is None:
    reasons["no table fits the templates" if opened.targets else "no table has rows"] += 1
    return None
  limits = task.limits
  if template in opened.own_templates:
    limits = dataclasses.replace(limits, repeated_rows=False)  # Templates of others keep the habits of their source.
  broken: list[tuple[sampler.Filled, str]] = []
  for _ in range(_FILLS):
    try:
      filled = opened.filler.fill(template, rng, task.decay, focus)
    except CannotFill as error:
      reasons[f"cannot fill: {_reason(error)}"] += 1
      continue
    except QueryFailed as error:
      reasons[f"a probe fails: {error.status}"] += 1
      continue
    if part_of(filled.sql, task.part[1]) != task.part[0]:
      continue
    if len(opened.made.get(filled.sql, ())) >= task.wordings:
      reasons["duplicate"] += 1
      return None
    reason = filters.check_filled(filled, template, opened.original, opened.neighbours, limits)
    if reason is not None:
      reasons[reason] += 1
      if len(broken) < _REPAIRS:
        broken.append((filled, reason))
      if reasons[reason] >= _REPEATED and reason == filters.REPEATED:
        break  # The schema has no other way to fill it, or seldom.
      continue
    if found := _candidate(opened, filled, template, rng, number, reasons):
      return found
  for filled, reason in broken if task.repair else ():
    mended = repair.repair(filled, template, reason, opened.original, opened.neighbours, limits)
    if mended is not None and part_of(mended[0].sql, task.part[1]) == task.part[0]:
      if len(opened.made.get(mended[0].sql, ())) >= task.wordings:
        reasons["duplicate"] += 1
      elif found := _candidate(opened, mended[0], mended[1], rng, number, reasons, mended[2]):
        return found
  return None


def _candidate(opened: _Opened, filled, template, rng, number, reasons, repaired: str = "") -> Candidate | None:
  """The example of a query that the filters have passed, if it is new and can be worded."""
  task = opened.task
  # Parsed once for both: the question reads the tree, the normal form changes it.
  tree = sqlglot.parse_one(filled.sql, read=opened.schema.dialect)
  try:
    question = opened.questions.write_question(tree, opened.schema, rng)
  except opened.questions.UnsupportedQuery as error:
    reasons[f"no question: {_reason(error)}"] += 1
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
  """The part that a query belongs to: by its words, whatever their order, so that two spellings of a query are in one part."""
  if parts == 1:
    return 0
  words = sorted(word for word in _WORD.findall(sql.lower()) if not _ALIAS.fullmatch(word))
  return int.from_bytes(hashlib.blake2s(" ".join(words).encode(), digest_size=8).digest(), "big") % parts


def _reason(error: Exception) -> str:
  """An error's message without what is particular to the query, so that reasons can be counted."""
  text = re.sub(r"'[^']*'|\"[^\"]*\"|\b\S*[._]\S*\b|\d+", "...", str(error).split("\n")[0])
  return " ".join(text.split()[:8])
