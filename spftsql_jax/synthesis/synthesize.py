"""New question-SQL examples from databases: draw a template, fill it, check the query, write the
question.

The work is cut into units, a database or a part of its queries, and these into waves (`plan.py`) of
blocks of attempts (`attempts.py`), which depend on nothing but the seed and the waves before.
Examples are accepted in the order of the attempts: the same seed gives the same examples whatever
the number of workers, and whether or not the run was killed and gone on with.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.databases.introspection import tell_left_out
from spftsql_jax.databases.locations import name_of
from spftsql_jax.sql.model_text import read_statement
from spftsql_jax.synthesis import filters, sampler
from spftsql_jax.synthesis.attempts import (
  SyntheticExample,
  Task,
  attempt_block,
  close_all,
  prepare,
  save_task,
)
from spftsql_jax.synthesis.balance import Balance, reach_targets
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.plan import Block, Planner, interleave
from spftsql_jax.synthesis.record import BlockResult, Record, fingerprint_of
from spftsql_jax.synthesis.workers import WorkerPool

_RECORD_FORMAT = 2
DEFAULT_LIMITS = filters.Limits()
NO_BALANCE = Balance()


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """What `synthesize` made.

  Attributes:
    examples: in the order of the databases; within one, those of each template are spread evenly.
    rejections: how many queries were not kept, by reason.
    templates: how many examples each template (id) gave.
    attempts: how many draws were made.
    short: how many examples fewer than its share each database gave.
    seconds: time taken.
    repairs: how many of the examples were repaired, by what was done.
    unit_sizes: how many examples each unit (a database, or a part of its queries) gave, in their
      order.
    left_out: of each database what could not be read or is not taken, a line each
      (`Schema.left_out`).
  """

  examples: list[SyntheticExample]
  rejections: collections.Counter[str]
  templates: collections.Counter[str]
  attempts: int
  short: Mapping[str, int]
  seconds: float
  repairs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
  unit_sizes: tuple[int, ...] = ()
  left_out: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def synthesize(
  databases: Sequence[str | os.PathLike] | str | os.PathLike,
  templates: Sequence[WeightedTemplate],
  num_examples: int,
  seed: int,
  workers: int = 1,
  *,
  exclude: Iterable[str] = (),
  exclude_masked: bool = False,
  instances: int = 2,
  instance_dir: str | os.PathLike | None = None,
  decay: float = sampler.DECAY,
  limits: filters.Limits = DEFAULT_LIMITS,
  wordings: int = 1,
  repair: bool = False,
  balance: Balance = NO_BALANCE,
  hardness_of: Callable[[str], str] | None = None,
  parts: int = 1,
  shard: tuple[int, int] = (0, 1),
  infer_keys: bool = False,
  record: str | os.PathLike | None = None,
  progress: Callable[[int], None] | None = None,
) -> Synthesis:
  """Makes `num_examples` new examples, an equal share on each database.

  Args:
    databases: locations as `open_database` takes them.
    templates: what to draw from, by weight.
    num_examples: in all. Fewer come where the databases have no more to give; `Synthesis.short`
      says where.
    seed: the same seed gives the same examples, whatever the number of workers.
    workers: processes; 1 works in this process.
    exclude: queries that must not be made again (an evaluation set's), compared by normal form.
    exclude_masked: nor queries that differ from these in their values only.
    instances: neighbouring instances of each SQLite database to check on.
    instance_dir: where to keep these; a temporary folder by default.
    decay: see `sampler.fill_template`.
    limits: see `filters.Limits`.
    wordings: how often a query may come, each time with another question. With 1, templates that
      fit a database in few ways come less often than their weight says.
    repair: queries that fail for a reason that can be mended are mended and kept, with the template
      that they then have.
    balance: targets for the shares of templates, tables, columns, operators and hardness.
    hardness_of: the hardness of a query, for targets over it.
    parts: into how many units with no query in common each database is cut, for many hosts on few
      databases.
    shard: (i, n): only every n-th unit, from the i-th. The shards together make what one run makes.
    infer_keys: joins also follow keys that a database does not declare (`databases.key_inference`).
    record: a file that keeps what has been made, until the run is complete; a run that was killed
      goes on from it.
    progress: called with the number of examples just accepted.

  Raises:
    DatabaseError: a database cannot be read.
    ValueError: no databases or no templates, a negative number, or a target that cannot be met.
  """
  locations = (
    [os.fspath(databases)]
    if isinstance(databases, (str, os.PathLike))
    else [os.fspath(item) for item in databases]
  )
  if not locations or not templates:
    raise ValueError("synthesis needs at least one database and one template")
  if num_examples < 0 or workers < 1 or wordings < 1 or parts < 1:
    raise ValueError("num_examples must not be negative; workers, wordings and parts at least 1")
  if not 0 <= shard[0] < shard[1]:
    raise ValueError(f"shard {shard[0]} of {shard[1]}: there is no such shard")
  start = time.perf_counter()
  drawn = tuple(
    reach_targets(templates, balance, hardness_of) if balance != NO_BALANCE else templates
  )
  excluded = frozenset(excluded_forms(exclude))
  masked = frozenset(map(filters.masked, excluded)) if exclude_masked else frozenset()
  units = list(itertools.product(range(len(locations)), range(parts)))
  shares = [
    _share(_share(num_examples, len(locations), place), parts, part) for place, part in units
  ]
  tasks = [
    Task(
      location=locations[place],
      db_id=name_of(locations[place]),
      instances=(),
      templates=drawn,
      exclude=excluded,
      seed=seed,
      decay=decay,
      limits=limits,
      wordings=wordings,
      masked=masked,
      repair=repair,
      share=share,
      aim=balance.aim,
      part=(part, parts),
      infer_keys=infer_keys,
    )
    for (place, part), share in zip(units, shares, strict=True)
  ][shard[0] :: shard[1]]
  fingerprint = _fingerprint(tasks, instances) if record is not None else ""
  with (
    tempfile.TemporaryDirectory(prefix="instances_") as temporary,
    WorkerPool(workers, close_all) as pool,
  ):
    folder = os.fspath(instance_dir or temporary)
    once = {task.location: task for task in tasks}
    prepared = pool.run(prepare, [(task, folder, instances) for task in once.values()])
    ready = {task.location: task for task in prepared}
    left_out = {task.db_id: task.left_out for task in prepared if task.left_out}
    for db_id, texts in left_out.items():
      tell_left_out(db_id, texts)
    tasks = [
      dataclasses.replace(
        ready[task.location],
        share=task.share,
        part=task.part,
        accepted=os.path.join(temporary, f"accepted_{index}"),
      )
      for index, task in enumerate(tasks)
    ]
    with contextlib.ExitStack() as stack:
      written = (
        stack.enter_context(contextlib.closing(Record(record, fingerprint)))
        if record is not None
        else None
      )
      made = _accept(tasks, pool, written, progress)
  examples = [example for task_examples in made.examples for example in task_examples]
  short: collections.Counter[str] = collections.Counter()
  for task, got in zip(tasks, made.examples, strict=True):
    short[task.db_id] += task.share - len(got)
  return Synthesis(
    examples=examples,
    rejections=made.rejections,
    templates=collections.Counter(example.template for example in examples),
    attempts=made.attempts,
    short={db_id: count for db_id, count in short.items() if count > 0},
    seconds=time.perf_counter() - start,
    repairs=collections.Counter(example.repaired for example in examples if example.repaired),
    unit_sizes=tuple(map(len, made.examples)),
    left_out=left_out,
  )


def joined(shards: Sequence[Synthesis]) -> Synthesis:
  """What one call would have made, from what `synthesize` made with shard=(0, n), (1, n), .., (n -
  1, n).
  """
  parts = [iter(made.examples) for made in shards]
  examples: list[SyntheticExample] = []
  for sizes in itertools.zip_longest(*(made.unit_sizes for made in shards), fillvalue=0):
    for part, size in zip(parts, sizes, strict=True):
      examples += itertools.islice(part, size)
  totals = {
    name: sum((collections.Counter(getattr(made, name)) for made in shards), collections.Counter())
    for name in ("rejections", "templates", "short", "repairs")
  }
  return Synthesis(
    examples=examples,
    attempts=sum(made.attempts for made in shards),
    seconds=max(made.seconds for made in shards),
    left_out={db_id: texts for made in shards for db_id, texts in made.left_out.items()},
    unit_sizes=tuple(
      size
      for sizes in itertools.zip_longest(*(made.unit_sizes for made in shards))
      for size in sizes
      if size is not None
    ),
    **totals,
  )


def _share(whole: int, parts: int, index: int) -> int:
  return whole // parts + (index < whole % parts)


def _fingerprint(tasks: Sequence[Task], instances: int) -> str:
  """What a record belongs to: the tasks, the files that they read, and what makes candidates of
  them.
  """
  plain = [
    dataclasses.replace(task, exclude=frozenset(), masked=frozenset(), templates=())
    for task in tasks
  ]  # Sets have no order that lasts, and templates are the same for all.
  return fingerprint_of(
    plain,
    tasks[0].templates if tasks else (),
    sorted(tasks[0].exclude) if tasks else (),
    bool(tasks and tasks[0].masked),
    [identity_of(task.location) for task in tasks],
    instances,
    _RECORD_FORMAT,
  )


def excluded_forms(queries: Iterable[str]) -> Iterator[str]:
  """The normal forms of an evaluation set's queries; one that does not parse stands for itself."""
  for query in map(read_statement, queries):
    try:
      yield filters.normal_form(query)
    except ValueError:
      yield " ".join(query.lower().split())


def reweight(
  templates: Sequence[WeightedTemplate],
  errors: Mapping[str, float],
  cap: float = 3.0,
  strength: float = 1.0,
) -> list[WeightedTemplate]:
  """The next round's templates: those of failed examples weigh more (the templates of y- seed the
  next round).

  A template's weight is multiplied by 1 + strength * errors / mean errors, at most by `cap`; one
  that never failed keeps its weight.

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
    dataclasses.replace(
      item, weight=item.weight * min(cap, 1.0 + strength * errors.get(item.template.id, 0) / mean)
    )
    for item in templates
  ]


@dataclasses.dataclass
class _Made:
  examples: list[list[SyntheticExample]]
  rejections: collections.Counter[str]
  attempts: int


class _Unit:
  """A unit under way: its plan, and what it has given."""

  def __init__(self, index: int, task: Task):
    self.index = index
    self.task = task
    self.path = f"{task.accepted}.task"
    self.examples: list[SyntheticExample] = []
    self.attempts = 0
    self._places = {item.template.id: place for place, item in enumerate(task.templates)}
    self._plan = Planner(
      {place: task.templates[place].weight for place in task.fitting},
      task.share,
      task.stream,
      task.targets,
      drawn=task.aim in ("tables", "columns"),
      repair=task.repair,
      slow=task.large,
    )
    self._seen: dict[str, set[str]] = collections.defaultdict(set)
    self._blocks: collections.deque[Block] = collections.deque()
    self._waiting = 0
    save_task(task, self.path)
    open(task.accepted, "wb").close()

  @property
  def done(self) -> bool:
    return self._plan.done

  def next_block(self) -> Block | None:
    """A block that can be started: the next of the wave, or the first of a new one when all others
    have been taken.
    """
    if not self._blocks and not self._waiting:
      self._blocks.extend(self._plan.wave())
    if self.done or not self._blocks:
      return None
    self._waiting += 1
    return self._blocks.popleft()

  def take(self, block: Block, result: BlockResult) -> collections.Counter[str]:
    """Accepts what is new of a block's candidates; returns why queries were not kept."""
    self._waiting -= 1
    rejections: collections.Counter[str] = collections.Counter()
    accepted: list[SyntheticExample] = []
    for position, found, reasons in result:
      if self.done:
        break
      self.attempts += 1
      rejections.update(reasons)
      example, form = found or (None, "")
      if example is not None and not self._is_new(example, form):
        rejections["duplicate"] += 1
        example = None
      place = self._places.get(example.template) if example is not None else None
      self._plan.take(block.jobs[position], place, None if example is None else example.columns)
      if example is not None:
        accepted.append(example)
    self.examples += accepted
    with open(self.task.accepted, "a", encoding="utf-8") as file:
      file.writelines(json.dumps([example.query, example.question]) + "\n" for example in accepted)
    return rejections

  def _is_new(self, example: SyntheticExample, form: str) -> bool:
    questions = self._seen[form]
    if example.question in questions or len(questions) >= self.task.wordings:
      return False
    questions.add(example.question)
    return True

  def spread_examples(self) -> list[SyntheticExample]:
    """The examples, those of each template spread evenly."""
    order = interleave(
      [example.template for example in self.examples],
      lambda name: random.Random(f"{self.task.stream}/{name}").random(),
    )
    return [self.examples[index] for index in order]


def _accept(
  tasks: Sequence[Task],
  pool: WorkerPool,
  record: Record | None,
  progress: Callable[[int], None] | None,
) -> _Made:
  """Accepts examples in the order of the attempts, keeping the workers a few blocks ahead."""
  made = _Made([[] for _ in tasks], collections.Counter(), 0)
  coming = (_Unit(index, task) for index, task in enumerate(tasks) if task.share > 0)
  units: list[_Unit] = []
  waiting: collections.deque = collections.deque()
  ahead = 2 * pool.workers if pool.workers > 1 else 1
  known = record.blocks if record is not None else {}

  def next_block() -> tuple[_Unit, Block] | None:
    """A block of the first unit that can start one; where all wait for the end of a wave, of a new
    unit.
    """
    for unit in units:
      if (block := unit.next_block()) is not None:
        return unit, block
    for unit in coming:
      units.append(unit)
      if (block := unit.next_block()) is not None:
        return unit, block
    return None

  while True:
    while len(waiting) < ahead and (found := next_block()) is not None:
      unit, block = found
      key = (unit.index, block.first)
      result = (
        (lambda key=key: known[key])
        if key in known
        else pool.submit(attempt_block, unit.path, block)
      )
      waiting.append((unit, block, result))
    if not waiting:
      return made
    unit, block, result = waiting.popleft()
    if not unit.done:
      attempts = result()
      if record is not None:
        record.add(unit.index, block.first, attempts)
      before = len(unit.examples)
      made.rejections.update(unit.take(block, attempts))
      if progress is not None and len(unit.examples) > before:
        progress(len(unit.examples) - before)
    if unit.done and unit in units:
      units.remove(unit)
      made.attempts += unit.attempts
      made.examples[unit.index] = unit.spread_examples()
