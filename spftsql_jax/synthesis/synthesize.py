"""New question-SQL examples from databases: draw a template, fill it, check the query, write the question.

The work is cut into units, a database or a part of its queries, and these into blocks of attempts (`attempts.py`), which depend
on nothing but the seed. Examples are accepted in the order of the attempts: the same seed gives the same examples whatever the
number of workers, and whether or not the run was killed and gone on with.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from spftsql_jax.databases import engines
from spftsql_jax.synthesis import filters, sampler
from spftsql_jax.synthesis.attempts import BLOCK, SyntheticExample, Task, attempt_block, close_all, prepare
from spftsql_jax.synthesis.balance import Balance, reach_targets
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.record import Record, fingerprint_of
from spftsql_jax.synthesis.workers import WorkerPool

# Attempts in a row without a new example after which a database is taken to have no more to give.
_PATIENCE = 1_000
DEFAULT_LIMITS = filters.Limits()
NO_BALANCE = Balance()


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
    repairs: how many of the examples were repaired, by what was done.
    unit_sizes: how many examples each unit (a database, or a part of its queries) gave, in their order.
  """

  examples: list[SyntheticExample]
  rejections: collections.Counter[str]
  templates: collections.Counter[str]
  attempts: int
  short: Mapping[str, int]
  seconds: float
  repairs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
  unit_sizes: tuple[int, ...] = ()


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
    num_examples: in all. Fewer come where the databases have no more to give; `Synthesis.short` says where.
    seed: the same seed gives the same examples, whatever the number of workers.
    workers: processes; 1 works in this process.
    exclude: queries that must not be made again (an evaluation set's), compared by normal form.
    exclude_masked: nor queries that differ from these in their values only.
    instances: neighbouring instances of each SQLite database to check on.
    instance_dir: where to keep these; a temporary folder by default.
    decay: see `sampler.fill_template`.
    limits: see `filters.Limits`.
    wordings: how often a query may come, each time with another question. With 1, templates that fit a database in few ways
      come less often than their weight says.
    repair: queries that fail for a reason that can be mended are mended and kept, with the template that they then have.
    balance: targets for the shares of templates, tables, columns, operators and hardness.
    hardness_of: the hardness of a query, for targets over it.
    parts: into how many units with no query in common each database is cut, for many hosts on few databases.
    shard: (i, n): only every n-th unit, from the i-th. The shards together make what one run makes.
    infer_keys: joins also follow keys that a database does not declare (`databases.key_inference`).
    record: a file that keeps what has been made, until the run is complete; a run that was killed goes on from it.
    progress: called with the number of examples just accepted.

  Raises:
    DatabaseError: a database cannot be read.
    ValueError: no databases or no templates, a negative number, or a target that cannot be met.
  """
  locations = [os.fspath(databases)] if isinstance(databases, (str, os.PathLike)) else [os.fspath(item) for item in databases]
  if not locations or not templates:
    raise ValueError("synthesis needs at least one database and one template")
  if num_examples < 0 or workers < 1 or wordings < 1 or parts < 1:
    raise ValueError("num_examples must not be negative; workers, wordings and parts at least 1")
  if not 0 <= shard[0] < shard[1]:
    raise ValueError(f"shard {shard[0]} of {shard[1]}: there is no such shard")
  start = time.perf_counter()
  drawn = tuple(reach_targets(templates, balance, hardness_of) if balance != NO_BALANCE else templates)
  excluded = frozenset(excluded_forms(exclude))
  masked = frozenset(map(filters.masked, excluded)) if exclude_masked else frozenset()
  units = list(itertools.product(range(len(locations)), range(parts)))
  shares = [_share(_share(num_examples, len(locations), place), parts, part) for place, part in units]
  tasks = [
    Task(
      location=locations[place],
      db_id=engines.name_of(locations[place]),
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
  with tempfile.TemporaryDirectory(prefix="instances_") as temporary, WorkerPool(workers, close_all) as pool:
    folder = os.fspath(instance_dir or temporary)
    once = {task.location: task for task in tasks}
    prepared = pool.run(prepare, [(task, folder, instances) for task in once.values()])
    paths = {task.location: task.instances for task in prepared}
    tasks = [
      dataclasses.replace(task, instances=paths[task.location], accepted=os.path.join(temporary, f"accepted_{index}"))
      for index, task in enumerate(tasks)
    ]
    with contextlib.ExitStack() as stack:
      written = stack.enter_context(contextlib.closing(Record(record, fingerprint))) if record is not None else None
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
  )


def joined(shards: Sequence[Synthesis]) -> Synthesis:
  """What one call would have made, from what `synthesize` made with shard=(0, n), (1, n), .., (n - 1, n)."""
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
    unit_sizes=tuple(
      size for sizes in itertools.zip_longest(*(made.unit_sizes for made in shards)) for size in sizes if size is not None
    ),
    **totals,
  )


def _share(whole: int, parts: int, index: int) -> int:
  return whole // parts + (index < whole % parts)


def _fingerprint(tasks: Sequence[Task], instances: int) -> str:
  """What a record belongs to: the tasks, the files that they read, and what makes candidates of them."""
  plain = [
    dataclasses.replace(task, exclude=frozenset(), masked=frozenset(), templates=()) for task in tasks
  ]  # Sets have no order that lasts, and templates are the same for all.
  return fingerprint_of(
    plain,
    tasks[0].templates if tasks else (),
    sorted(tasks[0].exclude) if tasks else (),
    bool(tasks and tasks[0].masked),
    [engines.identity_of(task.location) for task in tasks],
    instances,
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
  """The next round's templates: those of failed examples weigh more (the templates of y- seed the next round).

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


@dataclasses.dataclass
class _Made:
  examples: list[list[SyntheticExample]]
  done: list[bool]
  rejections: collections.Counter[str]
  attempts: int


def _accept(tasks: Sequence[Task], pool: WorkerPool, record: Record | None, progress: Callable[[int], None] | None) -> _Made:
  """Accepts examples in the order of the attempts, keeping the workers a few blocks ahead."""
  made = _Made([[] for _ in tasks], [task.share <= 0 for task in tasks], collections.Counter(), 0)
  blocks = _blocks(made)
  waiting: collections.deque = collections.deque()
  seen: list[dict[str, set[str]]] = [collections.defaultdict(set) for _ in tasks]
  fruitless = [0] * len(tasks)
  ahead = 2 * pool.workers if pool.workers > 1 else 1
  known = record.blocks if record is not None else {}
  for task in tasks:
    open(task.accepted, "wb").close()
  while True:
    while len(waiting) < ahead and (block := next(blocks, None)) is not None:
      index, first = block
      result = (lambda block=block: known[block]) if block in known else pool.submit(attempt_block, tasks[index], first)
      waiting.append((index, first, result))
    if not waiting:
      return made
    index, first, result = waiting.popleft()
    if made.done[index]:
      continue
    found_block = result()
    if record is not None:
      record.add(index, first, found_block)
    accepted: list[SyntheticExample] = []
    for found, reasons in zip(*found_block, strict=True):
      made.done[index] = len(made.examples[index]) >= tasks[index].share or fruitless[index] >= _PATIENCE
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
      accepted.append(example)
      made.examples[index].append(example)
      fruitless[index] = 0
    made.done[index] = made.done[index] or len(made.examples[index]) >= tasks[index].share
    if pool.workers > 1:
      with open(tasks[index].accepted, "a", encoding="utf-8") as file:
        file.writelines(json.dumps([example.query, example.question]) + "\n" for example in accepted)
    if progress is not None and accepted:
      progress(len(accepted))


def _blocks(made: _Made) -> Iterator[tuple[int, int]]:
  """Blocks of attempts, unit after unit, each until it is done."""
  for index in range(len(made.done)):
    for first in itertools.count(0, BLOCK):
      if made.done[index]:
        break
      yield index, first
