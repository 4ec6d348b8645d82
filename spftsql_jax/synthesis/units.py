"""Accepting examples, unit by unit: a unit is a database, or a part of its queries."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import random
from collections.abc import Callable, Sequence

from spftsql_jax.synthesis.attempts import attempt_block
from spftsql_jax.synthesis.plan import Block, Planner, interleave
from spftsql_jax.synthesis.record import BlockResult, Record
from spftsql_jax.synthesis.rejections import Rejection
from spftsql_jax.synthesis.synthetic_example import SyntheticExample
from spftsql_jax.synthesis.tasks import Task, save_task
from spftsql_jax.synthesis.workers import WorkerPool


@dataclasses.dataclass
class Accepted:
  """What has been accepted.

  Attributes:
    examples: of each unit.
    rejections: how many queries were not kept, by reason.
    attempts: how many draws were made.
  """

  examples: list[list[SyntheticExample]]
  rejections: collections.Counter[str]
  attempts: int


class Unit:
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
    """A block that can be started.

    The next of the wave, or the first of a new one when all others have been taken.
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
        rejections[Rejection.DUPLICATE] += 1
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
    names = [example.template for example in self.examples]
    order = interleave(names, lambda name: random.Random(f"{self.task.stream}/{name}").random())
    return [self.examples[index] for index in order]


def accept_examples(
  tasks: Sequence[Task],
  pool: WorkerPool,
  record: Record | None,
  progress: Callable[[int], None] | None,
) -> Accepted:
  """Accepts examples in the order of the attempts, keeping the workers a few blocks ahead."""
  made = Accepted([[] for _ in tasks], collections.Counter(), 0)
  units = _UnitsUnderWay(tasks)
  waiting: collections.deque[tuple[Unit, Block, Callable[[], BlockResult]]] = collections.deque()
  ahead = 2 * pool.workers if pool.workers > 1 else 1
  while True:
    while len(waiting) < ahead and (found := units.next_block()) is not None:
      unit, block = found
      known = record.blocks.get((unit.index, block.first)) if record is not None else None
      if known is not None:
        waiting.append((unit, block, functools.partial(_itself, known)))
      else:
        waiting.append((unit, block, pool.submit(attempt_block, unit.path, block)))
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
    if unit.done and unit in units.started:
      units.started.remove(unit)
      made.attempts += unit.attempts
      made.examples[unit.index] = unit.spread_examples()


def _itself(result: BlockResult) -> BlockResult:
  return result


class _UnitsUnderWay:
  """The units that have been started, and those that will be."""

  def __init__(self, tasks: Sequence[Task]):
    self.started: list[Unit] = []
    self._coming = (Unit(index, task) for index, task in enumerate(tasks) if task.share > 0)

  def next_block(self) -> tuple[Unit, Block] | None:
    """A block of the first unit that can start one.

    Where all wait for the end of a wave, of a new unit.
    """
    for unit in self.started:
      if (block := unit.next_block()) is not None:
        return unit, block
    for unit in self._coming:
      self.started.append(unit)
      if (block := unit.next_block()) is not None:
        return unit, block
    return None
