"""Worker processes of synthesis, which end with their parent."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Worker(SpawnProcess):
  """A process that Ctrl-C in the terminal does not reach, not even while it starts.

  Its parent alone is interrupted.
  """

  def start(self) -> None:
    # A blocked signal stays blocked in what is started; here it is kept until then, not lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
      super().start()
    finally:
      signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
  """Spawned, because the parent may hold JAX and its threads, which do not survive a fork.
  `started`: the processes.
  """

  def __init__(self) -> None:
    super().__init__()
    self.started: list[_Worker] = []

  # `SpawnContext.Process` is a class; what is called as it is may as well be a method.
  def Process(self, *arguments: Any, **named: Any) -> _Worker:  # type: ignore[override]
    self.started.append(_Worker(*arguments, **named))
    return self.started[-1]


class WorkerPool:
  """Worker processes, or this process where one worker is wanted.

  `close_all` is called here when it is left.

  Left by an exception, the workers are killed: what they were doing is for nobody.
  """

  def __init__(self, workers: int, close_all: Callable[[], None]):
    self.workers = workers
    self._close_all = close_all
    self._executor = None
    if workers > 1:
      self._context = _Context()
      self._executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=self._context, initializer=end_with_parent
      )

  def __enter__(self) -> WorkerPool:
    return self

  def __exit__(self, kind: object, *unused: object) -> None:
    if self._executor is not None:
      if kind is not None:
        for worker in self._context.started:
          if worker.pid is not None:
            worker.kill()
      self._executor.shutdown(wait=True, cancel_futures=True)
    self._close_all()

  def submit(self, function: Callable[..., Result], *arguments: object) -> Callable[[], Result]:
    """Starts a job; what is returned waits for its result."""
    if self._executor is None:
      return lambda: function(*arguments)
    return self._executor.submit(function, *arguments).result

  def run(self, function: Callable[..., Result], jobs: Sequence[tuple]) -> list[Result]:
    """The results of one function for many arguments, in their order."""
    waiting = [self.submit(function, *job) for job in jobs]
    return [wait() for wait in waiting]


def end_with_parent() -> None:
  """Lets this worker end when its parent is killed: it would wait for the next block for ever."""

  parent = multiprocessing.parent_process()
  if parent is None:
    return

  def watch() -> None:
    parent.join()
    os._exit(1)

  threading.Thread(target=watch, daemon=True).start()
