"""What the page asks: an answerer of questions, and statements that can be stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from typing import Protocol

from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution.results import Result

_KILL_EVERY_S = 0.05


class NotAnsweredError(Exception):
  """A question that is not answered at all; the message says why."""


class StoppedError(Exception):
  """The work was ended because nobody waits for it any more."""


@dataclasses.dataclass(frozen=True)
class Answered:
  """What is known about a question.

  Attributes:
    sql: the likeliest statement.
    result: what it gave; None where the model does not know (`doubts`).
    votes: answers with that result. samples: answers in all.
    doubts: why the model does not know; empty where it does.
    missing: words of the question that no table, column or value has.
  """

  sql: str
  result: Result | None
  votes: int
  samples: int
  doubts: tuple[str, ...] = ()
  missing: tuple[str, ...] = ()

  @property
  def agreement(self) -> float | None:
    """The share of the answers that agree; None where there is but one, which nothing checks."""
    return self.votes / self.samples if self.samples > 1 else None


class Answerer(Protocol):
  """Whatever answers questions; called from one thread at a time."""

  def answer(self, question: str, stop: threading.Event) -> Answered:
    """Answers a question; returns soon after `stop` is set, with whatever then is there.

    Raises:
      NotAnsweredError: the question is refused. StoppedError: `stop` was set.
    """
    ...


@dataclasses.dataclass(frozen=True)
class Statements:
  """Runs SQL on one database: read-only, one statement, within the limits.

  Attributes:
    location: of the database. executor: with one worker or more.
    timeout_s: in seconds. max_rows: a larger result has status "resource".
  """

  location: str
  executor: Executor
  timeout_s: float
  max_rows: int

  def run(self, sql: str, stop: threading.Event) -> Result:
    """Runs a statement. Raises StoppedError."""
    with killed_when(stop, self.executor):
      result = self.executor.execute(self.location, sql, self.timeout_s, self.max_rows)
    if stop.is_set():
      raise StoppedError
    return result


@contextlib.contextmanager
def killed_when(stop: threading.Event, executor: Executor) -> Iterator[None]:
  """Kills the executor's workers from when `stop` is set until the work inside has ended.

  Raises StoppedError where the work failed because of that.
  """
  done = threading.Event()

  def watch() -> None:
    while not done.is_set():
      if stop.wait(_KILL_EVERY_S):
        for pid in executor.worker_pids():
          with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        done.wait(_KILL_EVERY_S)

  thread = threading.Thread(target=watch, name="stop of a query", daemon=True)
  thread.start()
  try:
    yield
  except Exception as error:
    if stop.is_set():
      raise StoppedError from error
    raise
  finally:
    done.set()
    thread.join()
