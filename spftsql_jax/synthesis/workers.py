"""Worker processes of synthesis, which end with their parent."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence


class WorkerPool:
  """Worker processes, or this process where one worker is wanted. `close_all` is called here when it is left."""

  def __init__(self, workers: int, close_all: Callable[[], None]):
    self.workers = workers
    self._close_all = close_all
    self._executor = None
    if workers > 1:
      # Spawned, because the parent may hold JAX and its threads, which do not survive a fork.
      self._executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
      )

  def __enter__(self) -> WorkerPool:
    return self

  def __exit__(self, kind: object, *unused: object) -> None:
    if self._executor is not None:
      self._executor.shutdown(wait=kind is None, cancel_futures=True)
    self._close_all()

  def submit(self, function: Callable, *arguments: object) -> Callable[[], object]:
    """Starts a job; what is returned waits for its result."""
    if self._executor is None:
      return lambda: function(*arguments)
    return self._executor.submit(function, *arguments).result

  def run(self, function: Callable, jobs: Sequence[tuple]) -> list:
    """The results of one function for many arguments, in their order."""
    waiting = [self.submit(function, *job) for job in jobs]
    return [wait() for wait in waiting]


def end_with_parent() -> None:
  """Lets this worker end when its parent is killed: it would wait for the next block for ever."""

  def watch() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=watch, daemon=True).start()
