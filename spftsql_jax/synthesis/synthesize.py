"""New question-SQL examples from databases.

Draw a template, fill it, check the query, write the question.

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
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from spftsql_jax.databases import instances_kept
from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.databases.introspection import tell_left_out
from spftsql_jax.databases.locations import name_of
from spftsql_jax.sql.model_text import read_statement
from spftsql_jax.synthesis.balance import Balance, reach_targets
from spftsql_jax.synthesis.normal_form import masked, normal_form
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.opened_database import close_all
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.record import Record, fingerprint_of
from spftsql_jax.synthesis.result import Synthesis
from spftsql_jax.synthesis.tasks import Task, prepare
from spftsql_jax.synthesis.units import Accepted, accept_examples
from spftsql_jax.synthesis.workers import WorkerPool

_RECORD_FORMAT = 2


def synthesize(
  databases: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
  templates: Sequence[WeightedTemplate],
  options: SynthesisOptions,
  progress: Callable[[int], None] | None = None,
) -> Synthesis:
  """Makes new examples, an equal share on each database.

  Args:
    databases: locations as `open_database` takes them.
    templates: what to draw from, by weight.
    options: how many, and how.
    progress: called with the number of examples just accepted.

  Raises:
    DatabaseError: a database cannot be read.
    ValueError: no databases or no templates, or a target that cannot be met.
  """
  if isinstance(databases, (str, os.PathLike)):
    databases = [databases]
  locations = [os.fspath(location) for location in databases]
  if not locations or not templates:
    raise ValueError("synthesis needs at least one database and one template")
  start = time.perf_counter()
  tasks = _tasks(locations, templates, options)
  fingerprint = _fingerprint(tasks, options.instances) if options.record is not None else ""
  with (
    tempfile.TemporaryDirectory(prefix="instances_") as temporary,
    instances_kept(options.instance_dir or temporary, locations, options.instances),
    WorkerPool(options.workers, close_all) as pool,
    contextlib.ExitStack() as stack,
  ):
    tasks = _prepare_all(tasks, pool, options, temporary)
    record = None
    if options.record is not None:
      record = stack.enter_context(contextlib.closing(Record(options.record, fingerprint)))
    made = accept_examples(tasks, pool, record, progress)
  return _summed_up(tasks, made, time.perf_counter() - start)


def _tasks(
  locations: Sequence[str], templates: Sequence[WeightedTemplate], options: SynthesisOptions
) -> list[Task]:
  """The tasks of this shard: one for each unit."""
  if options.balance != Balance():
    templates = reach_targets(templates, options.balance, options.hardness_of)
  excluded = frozenset(excluded_forms(options.exclude))
  whole = Task(
    location="",
    db_id="",
    instances=(),
    templates=tuple(templates),
    exclude=excluded,
    seed=options.seed,
    decay=options.decay,
    limits=options.limits,
    wordings=options.wordings,
    masked=frozenset(map(masked, excluded)) if options.exclude_masked else frozenset(),
    repair=options.repair,
    aim=options.balance.aim,
    infer_keys=options.infer_keys,
    phrases=options.phrases,
    view=options.view,
  )
  parts = options.parts
  tasks = []
  for (place, location), part in itertools.product(enumerate(locations), range(parts)):
    of_database = _share(options.num_examples, len(locations), place)
    tasks.append(
      dataclasses.replace(
        whole,
        location=location,
        db_id=name_of(location),
        share=_share(of_database, parts, part),
        part=(part, parts),
      )
    )
  return tasks[options.shard[0] :: options.shard[1]]


def _prepare_all(
  tasks: Sequence[Task], pool: WorkerPool, options: SynthesisOptions, temporary: str
) -> list[Task]:
  """The tasks with what `prepare` finds out of each database, once, and files of their own."""
  folder = os.fspath(options.instance_dir or temporary)
  once = {task.location: task for task in tasks}
  prepared = pool.run(prepare, [(task, folder, options.instances) for task in once.values()])
  for db_id, texts in {task.db_id: task.left_out for task in prepared if task.left_out}.items():
    tell_left_out(db_id, texts)
  ready = {task.location: task for task in prepared}
  return [
    dataclasses.replace(
      ready[task.location],
      share=task.share,
      part=task.part,
      accepted=os.path.join(temporary, f"accepted_{index}"),
    )
    for index, task in enumerate(tasks)
  ]


def _summed_up(tasks: Sequence[Task], made: Accepted, seconds: float) -> Synthesis:
  examples = [example for of_unit in made.examples for example in of_unit]
  short: collections.Counter[str] = collections.Counter()
  for task, got in zip(tasks, made.examples, strict=True):
    short[task.db_id] += task.share - len(got)
  return Synthesis(
    examples=examples,
    rejections=made.rejections,
    templates=collections.Counter(example.template for example in examples),
    attempts=made.attempts,
    short={db_id: count for db_id, count in short.items() if count > 0},
    seconds=seconds,
    repairs=collections.Counter(example.repaired for example in examples if example.repaired),
    unit_sizes=tuple(map(len, made.examples)),
    left_out={task.db_id: task.left_out for task in tasks if task.left_out},
  )


def _share(whole: int, parts: int, index: int) -> int:
  return whole // parts + (index < whole % parts)


def _fingerprint(tasks: Sequence[Task], instances: int) -> str:
  """What a record belongs to.

  The tasks, the files that they read, and what makes candidates of them.
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
      yield normal_form(query)
    except ValueError:
      yield " ".join(query.lower().split())


def reweight(
  templates: Sequence[WeightedTemplate],
  errors: Mapping[str, float],
  cap: float = 3.0,
  strength: float = 1.0,
) -> list[WeightedTemplate]:
  """The next round's templates: those of failed examples weigh more.

  The templates of y- seed the next round.

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
