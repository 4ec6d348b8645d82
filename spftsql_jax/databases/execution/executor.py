"""Running many statements over many databases in a pool of worker processes that can be killed.

    with Executor(workers=2) as executor:
      results = executor.execute_many([("shop.sqlite", "SELECT COUNT(*) FROM customers"), ...])

Every statement gets exactly one `Result`, in order. One that runs over its time or memory, or
crashes its worker, costs that worker and nothing else: the jobs behind it are given to the next.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence

from spftsql_jax.databases import permissions
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.execution import protocol
from spftsql_jax.databases.execution.process import Waiting, WorkerProcess
from spftsql_jax.databases.execution.result_cache import ResultCache
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.databases.locations import absolute_location
from spftsql_jax.sql import statements

_LARGEST_BATCH = 32


class ExecutorError(RuntimeError):
  """The pool itself cannot work: a worker process does not start."""


class Executor:
  """A pool of worker processes with a cache of results.

  Args:
    workers: number of processes, started when there is work for them.
    memory_mb: memory a statement may take in its worker.
    cache_mb: memory for results that are kept, the least recently used leaving first; 0 keeps none.
    allow_superuser: PostgreSQL may be used as a superuser; by default what `permissions` says for
      the process.
    allow_functions: PostgreSQL functions that may be called though they did not come with the
      server; as above.

  What another run may answer otherwise is not kept: a timeout, and results that are `transient`. A
  (location, statement, limits) triple is answered once as long as the file behind the location is
  unchanged. Locations of servers are cached as well: open a new executor to see new data. Safe to
  call from several threads, which then take turns.
  """

  def __init__(
    self,
    workers: int = 2,
    memory_mb: int = 512,
    cache_mb: int = 256,
    allow_superuser: bool | None = None,
    allow_functions: Sequence[str] | None = None,
  ):
    if workers < 1:
      raise ValueError(f"workers must be at least 1, not {workers}")
    self._size = workers
    self._memory_bytes = memory_mb * 1_000_000
    self._environment = permissions.environment(allow_superuser, allow_functions)
    self._cache = ResultCache(cache_mb * 1_000_000)
    self._workers: list[WorkerProcess] = []
    self._lock = threading.Lock()
    self._closed = False

  def __enter__(self) -> Executor:
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def start(self) -> None:
    """Starts all workers now, so that they are ready when the first work comes; else they start
    with it.
    """
    with self._lock:
      while len(self._workers) < self._size:
        self._workers.append(WorkerProcess(self._memory_bytes, self._environment))

  def worker_pids(self) -> list[int]:
    """The process ids of the workers that are started, for measuring."""
    return [each.pid for each in self._workers]

  def close(self) -> None:
    """Ends the workers. The executor cannot be used afterwards."""
    self._closed = True
    workers, self._workers = self._workers, []
    for each in workers:
      each.stop()

  def execute(
    self,
    location: str,
    sql: str,
    timeout_s: float = 5.0,
    max_rows: int = 10_000,
    max_bytes: int = 64_000_000,
  ) -> Result:
    """Runs one statement; see `execute_many`."""
    return self.execute_many([(location, sql)], timeout_s, max_rows, max_bytes)[0]

  def execute_many(
    self,
    jobs: Sequence[tuple[str, str]],
    timeout_s: float = 5.0,
    max_rows: int = 10_000,
    max_bytes: int = 64_000_000,
    progress: Callable[[int], None] | None = None,
  ) -> list[Result]:
    """Runs (database location, SQL) pairs and returns their results in order.

    Args:
      jobs: what to run. A location that cannot be opened gives results of status "error".
      timeout_s: time limit of each statement in seconds, ended at the latest half a second later.
      max_rows: a result with more rows has status "resource".
      max_bytes: a result that is larger has status "resource".
      progress: called with the number of jobs that have been answered since the last call.

    Raises:
      ExecutorError: a worker process does not start.
      KeyboardInterrupt: passed on after the workers that were busy have been killed.
    """
    if self._closed:
      raise ExecutorError("the executor is closed")
    with self._lock:
      return self._execute_many(jobs, timeout_s, max_rows, max_bytes, progress)

  def run_jobs(
    self, jobs: Sequence[protocol.Job], progress: Callable[[int], None] | None = None
  ) -> list[object]:
    """Gives jobs that call functions (see `protocol`) to the workers as they are, in this order.

    Nothing is looked up in the cache or kept there.

    Returns:
      What the functions returned; None for a job that a worker died of. Raises as `execute_many`.
    """
    if self._closed:
      raise ExecutorError("the executor is closed")
    answers: dict[Hashable, object] = {}
    with self._lock:
      self._run(deque(enumerate(jobs)), answers, progress, largest_batch=1)
    return [None if isinstance(answers[i], Result) else answers[i] for i in range(len(jobs))]

  def _execute_many(
    self,
    jobs: Sequence[tuple[str, str]],
    timeout_s: float,
    max_rows: int,
    max_bytes: int,
    progress: Callable[[int], None] | None,
  ) -> list[Result]:
    limits = (float(timeout_s), int(max_rows), int(max_bytes))
    identities: dict[str, tuple] = {}
    absolute: dict[str, str] = {}
    answers: dict[Hashable, object] = {}
    waiting: dict[Hashable, protocol.Job] = {}
    keys: list[tuple] = []
    for location, sql in jobs:
      location = os.fspath(location)
      if location not in identities:
        try:
          identities[location] = identity_of(location)
          absolute[location] = absolute_location(location)
        except DatabaseError as error:
          identities[location] = (location, None)
          answers[(location, None)] = Result("error", message=str(error))
      identity = identities[location]
      if identity == (location, None):
        keys.append((location, None))
        continue
      key = (identity, sql, limits)
      keys.append(key)
      if key in answers or key in waiting:
        continue
      cached = self._cache.get(key)
      if cached is not None:
        answers[key] = cached
      elif (refused := statements.refusal(sql)) is not None:
        answers[key] = Result(refused[0], message=refused[1])
      else:
        arguments = (absolute[location], identity, sql, *limits[1:])
        waiting[key] = (protocol.STATEMENT, limits[0], arguments)
    if progress is not None and len(jobs) > len(waiting):
      progress(len(jobs) - len(waiting))
    if waiting:
      self._run(deque(sorted(waiting.items(), key=_order)), answers, progress)
    return [_as_result(answers[key]) for key in keys]

  def _run(
    self,
    queue: deque[Waiting],
    answers: dict[Hashable, object],
    progress: Callable[[int], None] | None,
    largest_batch: int = _LARGEST_BATCH,
  ) -> None:
    """Works off the queue; each answer goes to `answers` and the cache."""
    with selectors.DefaultSelector() as selector:
      busy: list[WorkerProcess] = []
      try:
        while queue or busy:
          while queue and (idle := self._idle_worker(busy)) is not None:
            count = max(1, min(largest_batch, len(queue) // (2 * self._size)))
            if idle.send([queue.popleft() for _ in range(min(count, len(queue)))]):
              busy.append(idle)
              selector.register(idle.reader, selectors.EVENT_READ, idle)
            else:
              # It died while it was idle; its jobs go back.
              queue.extendleft(reversed(idle.pending))
              self._discard(idle)
          wait = min(each.deadline for each in busy) - time.monotonic()
          for key, _ in selector.select(max(0.0, wait)):
            each = key.data
            done = each.receive()
            for job_key, result, size in done:
              answers[job_key] = result
              self._keep(job_key, result, size)
            if progress is not None and done:
              progress(len(done))
            if each.dead:
              selector.unregister(each.reader)
              busy.remove(each)
              self._bury(each, queue, answers, progress)
            elif not each.pending and not each.retired:
              selector.unregister(each.reader)
              busy.remove(each)
          late = [each for each in busy if time.monotonic() > each.deadline]
          if late:
            # On a busy machine it may be this process that was late, and the answers are there.
            answered = [key.data for key, _ in selector.select(0)]
            for each in late:
              if each not in answered:
                each.kill()  # its reader reports the end in the next turn
      except BaseException:
        for each in busy:
          self._discard(each)
        raise

  def _keep(self, key: Hashable, result: object, size: int) -> None:
    """Keeps a result if it is a property of the statement."""
    if isinstance(result, Result) and result.status != "timeout" and not result.transient:
      self._cache.put(key, result, size)

  def _bury(
    self,
    dead: WorkerProcess,
    queue: deque[Waiting],
    answers: dict[Hashable, object],
    progress: Callable[[int], None] | None,
  ) -> None:
    """The job that a worker died of gets a result, those behind it go back to the queue."""
    self._discard(dead)
    if not dead.started:
      raise ExecutorError(
        f"a worker process of {sys.executable} does not start (exit status {dead.exit_status})"
      )
    if dead.pending and not dead.retired:
      answer = dead.obituary()
      key, _ = dead.pending.popleft()
      answers[key] = answer
      if progress is not None:
        progress(1)
    queue.extendleft(reversed(dead.pending))

  def _idle_worker(self, busy: list[WorkerProcess]) -> WorkerProcess | None:
    for each in self._workers:
      if each not in busy:
        return each
    if len(self._workers) < self._size:
      self._workers.append(WorkerProcess(self._memory_bytes, self._environment))
      return self._workers[-1]
    return None

  def _discard(self, each: WorkerProcess) -> None:
    each.kill()
    each.stop()
    if each in self._workers:
      self._workers.remove(each)


def _order(item: Waiting) -> tuple[int, str]:
  """Where a statement stands in the queue.

  Statements of one database in a row: its connection and cached pages serve them all. Large
  databases first, so that at the end no worker sits on the slow ones while the others have nothing
  left to do.
  """
  _, (_, _, (location, identity, *_)) = item
  return -(identity[1] if len(identity) > 1 else 0), location


def _as_result(answer: object) -> Result:
  assert isinstance(answer, Result)
  return answer
