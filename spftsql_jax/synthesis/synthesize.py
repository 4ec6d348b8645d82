"""New question-SQL examples from databases: draw a template, fill it, check the query, write the question.

Attempt i on a database draws from a generator seeded with (seed, database, i), and examples are accepted in the order of the
attempts: the same seed gives the same examples whatever the number of workers.
"""

from __future__ import annotations

import bisect
import collections
import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from spftsql_jax.databases import engines, make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.example import Example
from spftsql_jax.synthesis import filters, sampler
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.stored import StoredValues

_BLOCK = 64  # Attempts given to a worker at once.
_FILLS = 8  # Tries to fill and pass with one template before the attempt is given up.
# Attempts in a row without a new example after which a database is taken to have no more to give.
_PATIENCE = 1_000
_READING_S = 60.0  # For reading the first rows of a table.
_GOLDEN = (5**0.5 - 1) / 2
DEFAULT_LIMITS = filters.Limits()


@dataclasses.dataclass(frozen=True)
class SyntheticExample:
  """A question and its query, with what they were made of.

  `template` is the template's id, `skeleton` its text; `columns` are written "table.column"; `attempt` orders the examples of a
  database.
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

  def example(self) -> Example:
    return Example(self.db_id, self.question, self.query, template=self.template, source=self.source)

  def to_json(self) -> dict[str, object]:
    record = dataclasses.asdict(self)
    record["tables"], record["columns"] = list(self.tables), list(self.columns)
    return record


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """What `synthesize` made.

  Attributes:
    examples: in the order of the databases, then of the attempts.
    rejections: how many queries were not kept, by reason.
    templates: how many examples each template (id) gave.
    attempts: how many draws were made.
    short: how many examples fewer than its share each database gave.
    seconds: time taken.
  """

  examples: list[SyntheticExample]
  rejections: collections.Counter[str]
  templates: collections.Counter[str]
  attempts: int
  short: Mapping[str, int]
  seconds: float


@dataclasses.dataclass(frozen=True)
class _Task:
  """What a worker needs to know of a database: where it is, its instances, and how to draw from it."""

  location: str
  db_id: str
  instances: tuple[str, ...]
  templates: tuple[WeightedTemplate, ...]
  exclude: frozenset[str]
  seed: int
  decay: float
  limits: filters.Limits
  wordings: int


def synthesize(
  databases: Sequence[str | os.PathLike] | str | os.PathLike,
  templates: Sequence[WeightedTemplate],
  num_examples: int,
  seed: int,
  workers: int = 1,
  *,
  exclude: Iterable[str] = (),
  instances: int = 2,
  instance_dir: str | os.PathLike | None = None,
  decay: float = sampler.DECAY,
  limits: filters.Limits = DEFAULT_LIMITS,
  wordings: int = 1,
  progress: Callable[[int], None] | None = None,
) -> Synthesis:
  """Makes `num_examples` new examples, an equal share on each database.

  Args:
    databases: locations as `open_database` takes them.
    templates: what to draw from, by weight.
    num_examples: in all. Fewer come where the databases have no more to give; `Synthesis.short` says where.
    seed: the same seed gives the same examples, whatever the number of workers.
    workers: processes; 1 works in this process.
    exclude: queries that must not be made again (an evaluation set's), compared by normal form.
    instances: neighbouring instances of each SQLite database to check on.
    instance_dir: where to keep these; a temporary folder by default.
    decay: see `sampler.fill_template`.
    limits: see `filters.Limits`.
    wordings: how often a query may come, each time with another question. With 1, templates that fit a database in few ways
      come less often than their weight says.
    progress: called with the number of examples just accepted.

  Raises:
    DatabaseError: a database cannot be read.
    ValueError: no databases or no templates, or a negative number.
  """
  locations = [os.fspath(databases)] if isinstance(databases, (str, os.PathLike)) else [os.fspath(item) for item in databases]
  if not locations or not templates:
    raise ValueError("synthesis needs at least one database and one template")
  if num_examples < 0 or workers < 1 or wordings < 1:
    raise ValueError("num_examples must not be negative, workers and wordings at least 1")
  start = time.perf_counter()
  excluded = frozenset(excluded_forms(exclude))
  with tempfile.TemporaryDirectory(prefix="instances_") as temporary, _pool(workers) as pool:
    folder = os.fspath(instance_dir or temporary)
    tasks = [
      _Task(location, engines.name_of(location), (), tuple(templates), excluded, seed, decay, limits, wordings)
      for location in locations
    ]
    jobs = [(task, folder, instances) for task in tasks]
    tasks = [task for task in pool.run(_prepare, jobs)]
    shares = [num_examples // len(tasks) + (index < num_examples % len(tasks)) for index in range(len(tasks))]
    made = _accept(tasks, shares, pool, progress)
  examples = [example for task_examples in made.examples for example in task_examples]
  return Synthesis(
    examples=examples,
    rejections=made.rejections,
    templates=collections.Counter(example.template for example in examples),
    attempts=made.attempts,
    short={
      task.db_id: share - len(got) for task, share, got in zip(tasks, shares, made.examples, strict=True) if len(got) < share
    },
    seconds=time.perf_counter() - start,
  )


def excluded_forms(queries: Iterable[str]) -> Iterator[str]:
  """The normal forms of an evaluation set's queries; one that does not parse stands for itself."""
  for query in queries:
    try:
      yield filters.normal_form(query)
    except ValueError:
      yield " ".join(query.lower().split())


def reweight(
  templates: Sequence[WeightedTemplate], errors: Mapping[str, float], cap: float = 3.0, strength: float = 1.0
) -> list[WeightedTemplate]:
  """The next round's templates: those of failed examples weigh more (METHOD 2.6: the templates of y- seed the next round).

  A template's weight is multiplied by 1 + strength * errors / mean errors, at most by `cap`; one that never failed keeps its
  weight.

  Args:
    templates: this round's.
    errors: number of failed examples by template id.
    cap: the largest factor.
    strength: how strongly errors count; 0 changes nothing.
  """
  failed = [count for count in errors.values() if count > 0]
  if not failed:
    return list(templates)
  mean = sum(failed) / len(failed)
  return [
    dataclasses.replace(item, weight=item.weight * min(cap, 1.0 + strength * errors.get(item.template.id, 0) / mean))
    for item in templates
  ]


# Workers.


class _pool:
  """Worker processes, or this process where one worker is wanted."""

  def __init__(self, workers: int):
    self.workers = workers
    self._executor = None
    if workers > 1:
      # Spawned, because the parent may hold JAX and its threads, which do not survive a fork.
      self._executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
      )

  def __enter__(self) -> _pool:
    return self

  def __exit__(self, kind: object, *unused: object) -> None:
    if self._executor is not None:
      self._executor.shutdown(wait=kind is None, cancel_futures=True)
    while _OPEN:
      _OPEN.popitem()[1].close()

  def submit(self, function: Callable, *arguments: object) -> Callable[[], object]:
    """Starts a job; what is returned waits for its result."""
    if self._executor is None:
      return lambda: function(*arguments)
    return self._executor.submit(function, *arguments).result

  def run(self, function: Callable, jobs: Sequence[tuple]) -> list:
    waiting = [self.submit(function, *job) for job in jobs]
    return [wait() for wait in waiting]


def _end_with_parent() -> None:
  """Lets this worker end when its parent is killed: it would wait for the next block for ever."""

  def watch() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=watch, daemon=True).start()


def _prepare(task: _Task, folder: str, count: int) -> _Task:
  """Makes a database's neighbouring instances; reads its schema first, so that what cannot be read is found out early."""
  if engines.engine_of(task.location) != "sqlite":
    # Instances can only be made of SQLite files; elsewhere the original alone judges.
    read_schema(task.location)
    return task
  paths = make_instances(task.location, folder, count, task.seed) if count else []
  return dataclasses.replace(task, instances=tuple(os.fspath(path) for path in paths))


class _Opened:
  """A database in a worker: connections, stored values, and what draws from it."""

  def __init__(self, task: _Task):
    # Imported where questions are written: the words of English take seconds to load, and bad input should be told at once.
    from spftsql_jax.synthesis import questions

    self.questions = questions
    self.task = task
    self.schema = read_schema(task.location)
    self.original = Runner(task.location)
    self.neighbours = [Runner(path) for path in task.instances]
    try:
      stored = StoredValues.read(lambda sql: self.original.rows(sql, timeout_s=_READING_S), self.schema)
    except QueryFailed as error:
      raise engines.DatabaseError(f"{task.location}: its values cannot be read: {error}") from error
    self.filler = sampler.Filler(self.schema, StoredValues(stored.tables, self.original.rows))
    # Queries that this worker has handed over already, and their questions: one that has had its wordings is a duplicate for
    # sure when a later attempt makes it again.
    self.made: dict[str, set[str]] = collections.defaultdict(set)
    self.start = random.Random(f"{task.seed}/{task.db_id}").random()
    self.cumulative = list(itertools.accumulate(item.weight for item in task.templates))

  def close(self) -> None:
    for runner in (self.original, *self.neighbours):
      runner.close()


_OPEN: collections.OrderedDict[tuple, _Opened] = collections.OrderedDict()


def _opened(task: _Task) -> _Opened:
  key = (task.location, task.seed, task.instances)
  if key not in _OPEN or _OPEN[key].task != task:
    _OPEN[key] = _Opened(task)
    if len(_OPEN) > 8:
      _, oldest = _OPEN.popitem(last=False)
      oldest.close()
  return _OPEN[key]


_Candidate = tuple[SyntheticExample, str]  # An example and its normal form.


def _attempt_block(task: _Task, first: int) -> tuple[list[_Candidate | None], list[collections.Counter[str]]]:
  """The candidates of `_BLOCK` attempts, and why queries were not kept, attempt by attempt."""
  opened = _opened(task)
  candidates, rejections = [], []
  for attempt in range(first, first + _BLOCK):
    reasons: collections.Counter[str] = collections.Counter()
    candidates.append(_attempt(opened, attempt, reasons))
    rejections.append(reasons)
  return candidates, rejections


def _attempt(opened: _Opened, attempt: int, reasons: collections.Counter[str]) -> _Candidate | None:
  task = opened.task
  rng = random.Random(f"{task.seed}/{task.db_id}/{attempt}")
  # Steps of the golden ratio instead of independent draws: every template comes as often as its weight says, not by luck.
  share = (opened.start + attempt * _GOLDEN) % 1.0
  position = bisect.bisect(opened.cumulative, share * opened.cumulative[-1], hi=len(opened.cumulative) - 1)
  template = task.templates[position].template
  for _ in range(_FILLS):
    try:
      filled = opened.filler.fill(template, rng, task.decay)
    except CannotFill as error:
      reasons[f"cannot fill: {_reason(error)}"] += 1
      if "no table fits" in str(error):
        return None
      continue
    except QueryFailed as error:
      reasons[f"a probe fails: {error.status}"] += 1
      continue
    if len(opened.made.get(filled.sql, ())) >= task.wordings:
      reasons["duplicate"] += 1
      return None
    reason = filters.check_filled(filled, template, opened.original, opened.neighbours, task.limits)
    form = filters.normal_form(filled.sql, opened.schema.dialect) if reason is None else ""
    if form in task.exclude:
      reason = "in the evaluation set"
    if reason is not None:
      reasons[reason] += 1
      continue
    try:
      question = opened.questions.write_question(filled.sql, opened.schema, rng)
    except opened.questions.UnsupportedQuery as error:
      reasons[f"no question: {_reason(error)}"] += 1
      continue
    example = SyntheticExample(
      task.db_id, question, filled.sql, template.id, template.text, filled.tables, filled.columns, attempt=attempt
    )
    opened.made[filled.sql].add(question)
    return example, form
  return None


def _reason(error: Exception) -> str:
  """An error's message without what is particular to the query, so that reasons can be counted."""
  text = re.sub(r"'[^']*'|\"[^\"]*\"|\b\S*[._]\S*\b|\d+", "...", str(error).split("\n")[0])
  return " ".join(text.split()[:8])


@dataclasses.dataclass
class _Made:
  examples: list[list[SyntheticExample]]
  done: list[bool]
  rejections: collections.Counter[str]
  attempts: int


def _accept(tasks: Sequence[_Task], shares: Sequence[int], pool: _pool, progress: Callable[[int], None] | None) -> _Made:
  """Accepts examples in the order of the attempts, keeping the workers a few blocks ahead."""
  made = _Made([[] for _ in tasks], [share <= 0 for share in shares], collections.Counter(), 0)
  blocks = _blocks(made)
  waiting: collections.deque = collections.deque()
  seen: list[dict[str, set[str]]] = [collections.defaultdict(set) for _ in tasks]
  fruitless = [0] * len(tasks)
  ahead = 2 * pool.workers if pool.workers > 1 else 1
  while True:
    while len(waiting) < ahead and (block := next(blocks, None)) is not None:
      index, first = block
      waiting.append((index, pool.submit(_attempt_block, tasks[index], first)))
    if not waiting:
      return made
    index, result = waiting.popleft()
    if made.done[index]:
      continue
    candidates, rejections = result()
    accepted = 0
    for found, reasons in zip(candidates, rejections, strict=True):
      made.done[index] = len(made.examples[index]) >= shares[index] or fruitless[index] >= _PATIENCE
      if made.done[index]:
        break
      made.attempts += 1
      fruitless[index] += 1
      made.rejections.update(reasons)
      if found is None:
        continue
      example, form = found
      questions = seen[index][form]
      if example.question in questions or len(questions) >= tasks[index].wordings:
        made.rejections["duplicate"] += 1
        continue
      questions.add(example.question)
      made.examples[index].append(example)
      accepted += 1
      fruitless[index] = 0
    made.done[index] = made.done[index] or len(made.examples[index]) >= shares[index]
    if progress is not None and accepted:
      progress(accepted)


def _blocks(made: _Made) -> Iterator[tuple[int, int]]:
  """Blocks of attempts, database after database, each until it is done."""
  for index in range(len(made.done)):
    for first in itertools.count(0, _BLOCK):
      if made.done[index]:
        break
      yield index, first
