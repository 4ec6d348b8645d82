"""How many examples each template of a unit is to give, and which attempts are made for them.

Attempts come in waves. The first gives every template its due; the next ones, planned when the last
is over, make up for what did not come, and hand on the share of templates that a database has no
more queries for. A wave depends on nothing but the seed and what was accepted before it, so that
the same seed gives the same examples whatever the number of workers.
"""

from __future__ import annotations

import collections
import dataclasses
import heapq
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

_BLOCK = 64  # Examples wanted of a worker at once, ...
_BLOCK_SLOW = 8  # ... where each takes seconds.
_DRAWN_BLOCKS = 8  # Blocks of a wave of attempts whose templates are drawn.
# Attempts at a template beyond what is wanted of it, in the first wave and in each later one.
_SPARE = (1, 3)
# Attempts in a row without a new example after which a template has no more to give.
_EXHAUSTED = 6
# One example of so many may have a template that is not the source's, which mending has made.
_OUTSIDE = 256
_WAVES = 40  # After these the rest is drawn.
_FOCUS_WAVES = 3  # Waves in which columns that no query names are asked for.
_FOCUS_TRIES = 3
# Of a template that is due less than this, leaving it out changes the frequencies less than letting
# it come once.
_LEAST_DUE = 0.3
# Attempts in a row without a new example after which a database is taken to have no more to give.
PATIENCE = 1_000


Counts = Mapping[int, int] | collections.Counter[int | None]


@dataclasses.dataclass(frozen=True)
class Job:
  """Attempts for one purpose.

  Attributes:
    template: index of the template among the task's; None: drawn for each attempt.
    first: number of the first attempt; the others follow.
    tries: attempts at most.
    wanted: it ends when it has this many candidates.
    focus: a (table, column) that every query is to name, or None.
    repair: whether queries that fail are mended: "" not, "source" where that gives another template
      of the source, "any".
  """

  template: int | None
  first: int
  tries: int
  wanted: int
  focus: tuple[str, str] | None = None
  repair: str = ""


@dataclasses.dataclass(frozen=True)
class Block:
  """The work given to a worker at once.

  `known` is how many examples had been accepted when its wave began.
  """

  jobs: tuple[Job, ...]
  known: int = 0

  @property
  def first(self) -> int:
    """The number of its first attempt, which tells the blocks of a unit apart."""
    return self.jobs[0].first


def apportion(
  weights: Mapping[int, float],
  count: int,
  made: Counts,
  chance: Callable[[int], float],
  closed: frozenset[int] | set[int] = frozenset(),
) -> dict[int, int]:
  """How many of `count` examples each template is to give, at least as many as it has `made`.

  Where every template is due at least about a third of an example, the numbers are those whose
  frequencies have the smallest Jensen-Shannon distance from the weights' (its divergence is a sum
  of one convex function for each template, so that giving one example after the other to where it
  helps most is optimal). Where there is no room for the rare ones, a template's share is rounded by
  chance, as in systematic sampling, so that over many databases and seeds each comes as often as it
  should.

  Args:
    weights: positive, by template.
    count: examples in all.
    made: what has been made already, by template.
    chance: of a template, a number in [0, 1) drawn once.
    closed: templates that give no more than they have.
  """
  whole = sum(weights.values())
  numbers = {name: made.get(name, 0) for name in weights}
  if not weights or count <= 0:
    return numbers
  if min(weights.values()) * count >= _LEAST_DUE * whole:

    def urgency(name: int, have: int) -> float:
      due = weights[name] * count / whole
      return _divergence(have + 1, due) - _divergence(have, due)
  else:

    def urgency(name: int, have: int) -> float:
      return (have + 1 - chance(name)) / weights[name]

  heap = [(urgency(name, have), name) for name, have in numbers.items() if name not in closed]
  heapq.heapify(heap)
  for _ in range(count - sum(numbers.values())):
    if not heap:
      break
    name = heap[0][1]
    numbers[name] += 1
    heapq.heapreplace(heap, (urgency(name, numbers[name]), name))
  return numbers


def _divergence(have: float, due: float) -> float:
  """A template's part of the Jensen-Shannon divergence (times the number of examples)."""
  middle = (have + due) / 2
  return sum(0.5 * value * math.log2(value / middle) for value in (have, due) if value > 0)


class Planner:
  """The waves of one unit, and what they have given so far."""

  def __init__(
    self,
    weights: Mapping[int, float],
    share: int,
    stream: str,
    columns: Sequence[tuple[str, str]] = (),
    drawn: bool = False,
    repair: bool = False,
    slow: bool = False,
  ):
    """Plans for one unit.

    Args:
      weights: of the templates that fit the database, by their index among the task's.
      share: examples wanted.
      stream: seeds what is left to chance.
      columns: each is to be named by some query, as (table, column) in lower case.
      drawn: all templates are drawn attempt by attempt, because they depend on the columns whose
        turn it is.
      repair: templates that give nothing may have their failing queries mended.
      slow: each attempt takes long, so that small blocks keep all workers busy.
    """
    self._weights = dict(weights)
    self._share = share
    self._stream = stream
    self._columns = list(columns)
    self._drawn = drawn or not weights
    self._repair = repair
    self._block = _BLOCK_SLOW if slow else _BLOCK
    self._next = 0  # The number of the next attempt.
    self._wave = 0
    # By template; None: not one of the source, or drawn for each attempt.
    self._made: collections.Counter[int | None] = collections.Counter()
    self._fruitless: collections.Counter[int | None] = collections.Counter()
    self._fruitless_draws = 0
    self._named: set[str] = set()
    self._chances: dict[int, float] = {}
    self.accepted = 0

  @property
  def done(self) -> bool:
    return self.accepted >= self._share or self._fruitless_draws >= PATIENCE

  def wave(self) -> list[Block]:
    """The next wave's blocks; none when the unit is done."""
    if self.done:
      return []
    jobs = [] if self._drawn else list(self._focus_jobs())
    jobs += [] if self._drawn else self._template_jobs(len(jobs))
    self._wave += 1
    if not jobs or self._wave > _WAVES:
      self._drawn = True
      jobs = list(self._drawn_jobs())
    return [Block(block, self.accepted) for block in _cut(jobs, self._block)]

  def take(self, job: Job, template: int | None, columns: Sequence[str] | None) -> None:
    """Takes note of an attempt.

    Args:
      job: what it was made for.
      template: the index of the template that the example's query has; None where it is not the
        source's.
      columns: that the query names, as "table.column"; None where there is no new example.
    """
    if columns is None:
      self._fruitless[job.template] += 1
      self._fruitless_draws += self._drawn
      return
    self.accepted += 1
    self._fruitless_draws = 0
    # One mended query is what a template gives that gives nothing else.
    self._fruitless[job.template] = 0 if job.template in (None, template) else _EXHAUSTED
    self._made[template] += 1
    self._named.update(name.lower() for name in columns)

  def _focus_jobs(self) -> Iterator[Job]:
    if not 1 <= self._wave <= _FOCUS_WAVES:
      return
    missed = [column for column in self._columns if f"{column[0]}.{column[1]}" not in self._named]
    for column in missed[: self._share - self.accepted]:
      yield self._job(None, _FOCUS_TRIES, 1, column)

  def _template_jobs(self, elsewhere: int) -> Iterator[Job]:
    # A few places are kept for columns that the first wave does not happen to name.
    kept = min(len(self._columns), self._share // 20) if self._wave == 0 else elsewhere
    closed = {name for name in self._weights if self._fruitless[name] >= _EXHAUSTED}
    outside = self._made[None]
    aim = apportion(self._weights, self._share - kept - outside, self._made, self._chance, closed)
    spare = _SPARE[min(self._wave, 1)]
    for name, number in aim.items():
      wanted = number - self._made[name]
      if wanted and self._repair and not self._made[name] and self._fruitless[name]:
        yield self._job(
          name, 1 + spare, 1, repair="any" if outside < self._share // _OUTSIDE else "source"
        )
        outside += 1
      elif wanted:
        yield self._job(name, wanted + spare, wanted)

  def _drawn_jobs(self) -> Iterator[Job]:
    missing = self._share - self.accepted
    for _ in range(min(_DRAWN_BLOCKS, -(-5 * missing // (4 * self._block)))):
      yield self._job(None, self._block, self._block, repair="any" if self._repair else "")

  def _job(
    self,
    template: int | None,
    tries: int,
    wanted: int,
    focus: tuple[str, str] | None = None,
    repair: str = "",
  ) -> Job:
    job = Job(template, self._next, tries, wanted, focus, repair)
    self._next += tries
    return job

  def _chance(self, name: int) -> float:
    if name not in self._chances:
      self._chances[name] = random.Random(f"{self._stream}/chance/{name}").random()
    return self._chances[name]


def _cut(jobs: Sequence[Job], size: int) -> Iterator[tuple[Job, ...]]:
  """Jobs in blocks that want `size` examples each, large jobs in several.

  The tries go with what is wanted.
  """
  block: list[Job] = []
  room = size
  for job in jobs:
    while job.wanted > room:
      if room:
        block.append(dataclasses.replace(job, tries=room, wanted=room))
        job = dataclasses.replace(
          job, first=job.first + room, tries=job.tries - room, wanted=job.wanted - room
        )
      yield tuple(block)
      block, room = [], size
    block.append(job)
    room -= job.wanted
  if block:
    yield tuple(block)


def interleave(names: Sequence[object], chance: Callable[[object], float]) -> list[int]:
  """An order of items in which those of each name are spread evenly.

  So every part of it is balanced as the whole is.
  """
  counts = collections.Counter(names)
  seen: collections.Counter = collections.Counter()
  keys = []
  for index, name in enumerate(names):
    keys.append(((seen[name] + chance(name)) / counts[name], index))
    seen[name] += 1
  return [index for _, index in sorted(keys)]
