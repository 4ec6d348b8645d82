"""Running many statements over many databases in a pool of worker processes that can be killed.

    with Executor(workers=2) as executor:
      results = executor.execute_many([("concert_singer.sqlite", "SELECT COUNT(*) FROM singer"), ...])

Every statement gets exactly one `Result`, in order. One that runs over its time or memory, or
crashes its worker, costs that worker and nothing else: the jobs behind it are given to the next.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import spftsql_jax
from spftsql_jax.databases import permissions
from spftsql_jax.databases.engines import DatabaseError, absolute_location, identity_of
from spftsql_jax.databases.execution import worker
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.sql import statements

_LARGEST_BATCH = 32
# The worker's own alarm comes first; this is for a worker that cannot run it (stopped, or stuck in
# the kernel).
_KILL_AFTER_S = 2 * worker.GRACE_S
_START_LIMIT_S = 30.0


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
    self._cache = _ResultCache(cache_mb * 1_000_000)
    self._workers: list[_Worker] = []
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
        self._workers.append(_Worker(self._memory_bytes, self._environment))

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

  def run_jobs(self, jobs: Sequence[tuple], progress: Callable[[int], None] | None = None) -> list:
    """Gives jobs to the workers as they are, in this order; returns their answers, None for a job
    that a worker died of.

    Nothing is looked up in the cache or kept there. `worker.run_judge_job` tells the form of a job;
    raises as `execute_many`.
    """
    if self._closed:
      raise ExecutorError("the executor is closed")
    answers: dict[int, object] = {}
    with self._lock:
      self._run(deque(enumerate(jobs)), answers, progress, largest_batch=1)
    return [None if isinstance(answers[i], Result) else answers[i] for i in range(len(jobs))]

  def _execute_many(self, jobs, timeout_s, max_rows, max_bytes, progress) -> list[Result]:
    limits = (float(timeout_s), int(max_rows), int(max_bytes))
    identities: dict[str, tuple] = {}
    absolute: dict[str, str] = {}
    answers: dict[tuple, Result] = {}
    waiting: dict[tuple, tuple] = {}  # cache key -> job for the worker
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
        waiting[key] = (absolute[location], identity, sql, *limits)
    if progress is not None and len(jobs) > len(waiting):
      progress(len(jobs) - len(waiting))
    if waiting:
      # Statements of one database in a row: its connection and cached pages serve them all. Large
      # databases first, so that at the end no worker sits on the slow ones while the others have
      # nothing left to do.
      queue = deque(sorted(waiting.items(), key=lambda item: (-_file_size(item[1][1]), item[1][0])))
      self._run(queue, answers, progress)
    return [answers[key] for key in keys]

  def _run(
    self,
    queue: deque,
    answers: dict,
    progress: Callable[[int], None] | None,
    largest_batch: int = _LARGEST_BATCH,
  ) -> None:
    """Works off the queue; each answer goes to `answers` and the cache."""
    with selectors.DefaultSelector() as selector:
      busy: list[_Worker] = []
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

  def _keep(self, key: tuple, result: object, size: int) -> None:
    """Keeps a result if it is a property of the statement."""
    if isinstance(result, Result) and result.status != "timeout" and not result.transient:
      self._cache.put(key, result, size)

  def _bury(self, dead: _Worker, queue: deque, answers: dict[tuple, Result], progress) -> None:
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

  def _idle_worker(self, busy: list[_Worker]) -> _Worker | None:
    for each in self._workers:
      if each not in busy:
        return each
    if len(self._workers) < self._size:
      self._workers.append(_Worker(self._memory_bytes, self._environment))
      return self._workers[-1]
    return None

  def _discard(self, each: _Worker) -> None:
    each.kill()
    each.stop()
    if each in self._workers:
      self._workers.remove(each)


def _file_size(identity: tuple) -> int:
  return identity[1] if len(identity) > 1 else 0


class _Worker:
  """The parent's end of one worker process."""

  def __init__(self, memory_bytes: int, environment: dict[str, str]):
    root = os.path.dirname(os.path.dirname(os.path.abspath(spftsql_jax.__file__)))
    code = (
      f"import sys; sys.path.insert(0, {root!r}); from spftsql_jax.databases.execution import "
      f"worker; worker.main({memory_bytes})"
    )
    # A session of its own: Ctrl-C in the terminal reaches the parent alone.
    self._process = subprocess.Popen(
      [sys.executable, "-I", "-c", code],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
      cwd="/",
      env=environment,
    )
    assert self._process.stdin is not None and self._process.stdout is not None
    self._writer = self._process.stdin
    self.reader = self._process.stdout
    os.set_blocking(self.reader.fileno(), False)
    self._buffer = bytearray()
    self.pending: deque = deque()
    self.started = False
    self.dead = False
    self.retired = False
    self._killed = False
    self._since = 0.0
    self.deadline = time.monotonic() + _START_LIMIT_S

  @property
  def pid(self) -> int:
    return self._process.pid

  @property
  def exit_status(self) -> int | None:
    return self._process.returncode

  def send(self, batch: list[tuple[tuple, tuple]]) -> bool:
    """Gives the worker a batch of (key, job). False where it is dead; `pending` then holds the
    batch.
    """
    self.pending = deque(batch)
    data = worker.frame([job for _, job in batch])
    try:
      # A worker reads a whole batch before it answers, so this cannot block for long.
      view = memoryview(data)
      descriptor = self._writer.fileno()
      while view:
        view = view[os.write(descriptor, view) :]
    except OSError:
      return False
    self._start_clock()
    return True

  def _start_clock(self) -> None:
    self._since = time.monotonic()
    limit = self.pending[0][1][3] + _KILL_AFTER_S if self.pending else _KILL_AFTER_S
    self.deadline = self._since + limit + (0.0 if self.started else _START_LIMIT_S)

  def receive(self) -> list[tuple[tuple, Result, int]]:
    """The (key, result, size) triples that have come in; sets `dead` at the end of the stream."""
    while True:
      try:
        data = os.read(self.reader.fileno(), 1 << 18)
      except BlockingIOError:
        break
      if not data:
        self.dead = True
        break
      self._buffer += data
      if len(data) < 1 << 16:
        break
    done = []
    for value in worker.unframe(self._buffer):
      if value == worker.READY:
        self.started = True
        continue
      if value == worker.RETIRED:
        self.retired = True
        continue
      if value == worker.WORKING:
        self._start_clock()
        continue
      if value == worker.OPENING:
        self.deadline = time.monotonic() + worker.OPEN_LIMIT_S + _KILL_AFTER_S
        continue
      if value[0] == worker.JUDGED:
        # Verdicts are not kept.
        done.append((self.pending.popleft()[0], value[1], sys.maxsize))
        continue
      status, columns, pieces, seconds, message, transient = value
      key, _ = self.pending.popleft()
      size = 300 + len(key[1]) + len(message) + 4 * sum(map(len, pieces))
      done.append(
        (
          key,
          Result(status, tuple(columns), worker.unpack_rows(pieces), seconds, message, transient),
          size,
        )
      )
    if done or not self._since:
      self._start_clock()
    return done

  def obituary(self) -> Result:
    """The result of the job that was running when the worker ended."""
    seconds = time.monotonic() - self._since
    timeout_s = self.pending[0][1][3] if self.pending else 0.0
    status = self.exit_status
    if self._killed or status == -14 or seconds > timeout_s > 0:
      return Result(
        "timeout",
        seconds=seconds,
        message=f"killed: it ran longer than {timeout_s:g} s and did not stop when told to",
      )
    reason = f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"
    # It may have been killed for another's sake.
    return Result(
      "resource",
      seconds=seconds,
      message=f"the worker process died of it ({reason})",
      transient=True,
    )

  def kill(self) -> None:
    if self._process.poll() is None:
      self._killed = self._killed or not self.dead
      self._process.kill()

  def stop(self) -> None:
    """Ends the process, which holds nothing that is worth saving, and closes the pipes."""
    if self._process.poll() is None:
      self._process.kill()
    for pipe in (self._writer, self.reader):
      try:
        pipe.close()
      except OSError:
        pass
    self._process.wait()


class _ResultCache:
  """Results by key, bounded by their estimated bytes, least recently used first out."""

  def __init__(self, max_bytes: int):
    self._max_bytes = max_bytes
    self._bytes = 0
    self._entries: OrderedDict[tuple, tuple[Result, int]] = OrderedDict()

  def get(self, key: tuple) -> Result | None:
    entry = self._entries.get(key)
    if entry is None:
      return None
    self._entries.move_to_end(key)
    return entry[0]

  def put(self, key: tuple, result: Result, size: int) -> None:
    if size > self._max_bytes // 4 or key in self._entries:
      return
    self._entries[key] = (result, size)
    self._bytes += size
    while self._bytes > self._max_bytes:
      _, (_, dropped) = self._entries.popitem(last=False)
      self._bytes -= dropped
