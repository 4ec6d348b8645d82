"""A database that a worker has open: connections, stored values, and what draws from it."""

from __future__ import annotations

import bisect
import collections
import itertools
import json
import pickle
import random
from collections.abc import Collection, Sequence
from typing import cast

from sqlglot import exp

from spftsql_jax.synthesis import filters
from spftsql_jax.synthesis.balance import column_templates
from spftsql_jax.synthesis.filled import Filled
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.rejections import Rejection
from spftsql_jax.synthesis.runner import Runner
from spftsql_jax.synthesis.sampler import Filler
from spftsql_jax.synthesis.supply import Place
from spftsql_jax.synthesis.tasks import Task, checking_runner, read_values, schema_of

_FILLS = 12  # Tries to fill and pass with one template before an attempt is given up, ...
_FILLS_LARGE = 4  # ... in a database where a single query may take a second.
# Fills whose rows a join repeats after which the same goes for the template.
_REPEATED = 4
_REPEATED_LARGE = 1  # Where tables are large.
_REDRAWS = 20  # Templates drawn for an attempt until one fits the schema.
_CHECKED = 20_000  # Judgements kept.
_OPENED = 8  # Databases that stay open.
# One in so many attempts is to name a column whose turn it is, or more: each column that people ask
# for is to have its turn a few times.
_COVERAGE = 64
_PER_COLUMN = 4
_TURNS = 24  # Of each table's columns, where tables come in turn.


class OpenedDatabase:
  """A database in a worker, and what has been made on it.

  Attributes:
    task: what is to be made.
    schema: of the database.
    original: runs queries on it.
    neighbours: run queries on its neighbouring instances.
    filler: fills templates.
    fills: tries with one template before an attempt is given up.
    repeated: fills whose rows a join repeats after which a template is given up.
    own_templates: those of the built-in pool.
    source: the task's.
    start: where the steps of `attempts` begin.
    targets: the columns, in the order of their turns.
    period: every so many attempts a column has its turn.
  """

  def __init__(self, task: Task):
    # Imported where questions are written: the words of English take seconds to load, and bad input
    # should be told at once.
    from spftsql_jax.questions import naming, sentences

    self._sentences = sentences
    self.task = task
    self.schema = schema_of(task.location, task.infer_keys, task.view)
    self.original = checking_runner(task.location, self.schema)
    self.neighbours = [Runner(path) for path in task.instances]
    names = naming.names_of(self.schema)
    connecting = [t.name.lower() for t in self.schema.tables if not names.asked_alone(t)]
    awkward = [
      (t.name.lower(), c.name.lower())
      for t in self.schema.tables
      for c in t.columns
      if not names.is_noun(t, c)
    ]
    values = read_values(self.original, self.schema)
    self.filler = Filler(self.schema, values, connecting, awkward)
    self.fills = _FILLS_LARGE if task.large else _FILLS
    self.repeated = _REPEATED_LARGE if task.large else _REPEATED
    # Queries that have been accepted, and those of the block under way, with their questions.
    self._accepted: dict[str, set[str]] = collections.defaultdict(set)
    self._made: dict[str, set[str]] = collections.defaultdict(set)
    self._accepted_count = self._accepted_read = 0
    self._checked: dict[tuple[str, str, filters.Limits], Rejection | None] = {}
    self.own_templates = {item.template for item in builtin_templates()}
    self.source = {item.template for item in task.templates}
    self._fitting = {task.templates[index].template for index in task.fitting}
    self._draw = _Draw(task.templates)
    chance = random.Random(task.stream)
    self.start = chance.random()
    seldom = {place for place in task.targets if self.filler.seldom_asked(place)}
    self.targets = _turns(task, seldom, chance)
    few = task.share // max(1, len(self.targets)) if task.share else _COVERAGE
    self.period = 1 if task.aim in ("tables", "columns") else max(1, min(_COVERAGE, few))

  def draw_for(self, focus: Place | None, share: float, rng: random.Random) -> Template | None:
    """The template of an attempt, drawn by weight; None where nothing suits.

    The one at a `share` of the weights. Where none of the schema's tables fits it, or it has no
    slot for the column `focus`, another one. At last, where the task has an aim, a simple one about
    a column of this kind.
    """
    for _ in range(_REDRAWS):
      template = self._draw.at(share)
      if self._suits(template, focus):
        return template
      share = rng.random()
    if focus is None or not self.task.aim:
      return None
    simple = column_templates(self.filler.role(*focus).kind)
    own = [item for item in simple if self.filler.holding(item.template.text, focus)]
    return _Draw(own).at(rng.random()) if own else None

  def next_suiting(self, template: Template, turn: int) -> Place | None:
    """The column whose turn it is, or the next one after it that the template has a slot for."""
    for step in range(len(self.targets)):
      target = self.targets[(turn + step) % len(self.targets)]
      if self.filler.holding(template.text, target):
        return target
    return None

  def _suits(self, template: Template, focus: Place | None) -> bool:
    if template not in self._fitting:
      return False
    return focus is None or bool(self.filler.holding(template.text, focus))

  def begin(self, known: int) -> None:
    """Takes note of the first `known` accepted examples, and forgets the last block's."""
    self._made.clear()
    if known == self._accepted_count:
      return
    with open(self.task.accepted, "rb") as file:
      file.seek(self._accepted_read)
      for line in itertools.islice(file, known - self._accepted_count):
        query, question = json.loads(line)
        self._accepted[query].add(question)
        self._accepted_read += len(line)
    self._accepted_count = known

  def check(self, filled: Filled, template: Template, limits: filters.Limits) -> Rejection | None:
    """`filters.check_filled`, once for each query.

    Where a template has few ways to be filled, the same query comes again.
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
    return self._accepted.get(sql, set()) | self._made.get(sql, set())

  def note(self, sql: str, question: str) -> None:
    """Takes note of an example that the block under way has made."""
    self._made[sql].add(question)

  def write_question(self, tree: exp.Expr, rng: random.Random) -> str:
    """A question of a query. Raises `CannotWord`."""
    try:
      # What sqlglot parses is always an `Expression`, though its types say less.
      return self._sentences.write_question(
        cast(exp.Expression, tree), self.schema, rng, self.task.phrases
      )
    except self._sentences.UnsupportedQuery as error:
      raise CannotWord(str(error)) from error

  def joints(self, question: str) -> int:
    """How many parts of a question hang on others."""
    return self._sentences.joints(question)

  def strain(self, question: str) -> int:
    """How hard a question is to read."""
    return self._sentences.strain(question)

  def close(self) -> None:
    for runner in (self.original, *self.neighbours):
      runner.close()


class CannotWord(ValueError):
  """The rules that write questions have no wording for a query; the message says why."""


def _turns(task: Task, seldom: Collection[Place], chance: random.Random) -> list[Place]:
  """The columns that hold anything, in the order of their turns; those that people `seldom` ask for
  have fewer.
  """
  targets = list(task.targets)
  chance.shuffle(targets)
  if task.aim != "tables":
    if task.aim == "columns":
      return targets
    return targets + [place for place in targets if place not in seldom] * (_PER_COLUMN - 1)
  of_table: dict[str, list[Place]] = {}
  for target in targets:
    of_table.setdefault(target[0], []).append(target)
  # Table after table, each time with the next of its columns.
  turns = (itertools.islice(itertools.cycle(columns), _TURNS) for columns in of_table.values())
  rounds = itertools.zip_longest(*turns)
  return [target for each in rounds for target in each if target is not None]


class _Draw:
  """Templates drawn by their weights."""

  def __init__(self, items: Sequence[WeightedTemplate]):
    self._items = list(items)
    self._cumulative = list(itertools.accumulate(item.weight for item in self._items))

  def at(self, share: float) -> Template:
    """The template at a share in [0, 1) of the total weight."""
    whole, last = self._cumulative[-1], len(self._items) - 1
    return self._items[bisect.bisect(self._cumulative, share * whole, hi=last)].template


_OPEN: collections.OrderedDict[str, OpenedDatabase] = collections.OrderedDict()


def opened(path: str) -> OpenedDatabase:
  """The database of the task that `save_task` wrote, opened once. Raises DatabaseError."""
  if path not in _OPEN:
    with open(path, "rb") as file:
      _OPEN[path] = OpenedDatabase(pickle.load(file))
    if len(_OPEN) > _OPENED:
      _, oldest = _OPEN.popitem(last=False)
      oldest.close()
  _OPEN.move_to_end(path)
  return _OPEN[path]


def close_all() -> None:
  """Closes the databases that this process has opened."""
  while _OPEN:
    _OPEN.popitem()[1].close()
