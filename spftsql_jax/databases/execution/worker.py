"""The process that runs statements: reads jobs from standard input, writes one answer each to
standard output (`protocol`).

It is a plain subprocess (never a fork: the parent may have JAX and its threads loaded), imports as
little as it can, and starts in some 50 ms.
"""

from __future__ import annotations

import functools
import importlib
import marshal
import os
import resource
import signal

from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.execution.protocol import (
  CALLED,
  LENGTH_BYTES,
  READY,
  RETIRED,
  STATEMENT,
  frame,
  length_of,
)
from spftsql_jax.databases.execution.session import Session
from spftsql_jax.databases.locations import engine_of

TYPE_CHECKING = False  # As in typing, which takes as long to import as half of the rest.
if TYPE_CHECKING:
  from collections.abc import Callable


def main(memory_bytes: int) -> None:
  """Serves jobs until standard input ends."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGALRM, signal.SIG_DFL)
  source, sink = 0, os.dup(1)
  # Whatever prints goes to stderr, never into the protocol.
  os.dup2(2, 1)
  _limit_files()
  session = Session(memory_bytes, sink)
  session.tell(READY)
  while True:
    try:
      length = length_of(_read_exactly(source, LENGTH_BYTES))
      jobs = marshal.loads(_read_exactly(source, length))
      for number, job in enumerate(jobs, start=1):
        if not _answer(session, job, is_last=number == len(jobs)):
          return
    except (EOFError, BrokenPipeError):
      return


def _answer(session: Session, job: tuple, is_last: bool) -> bool:
  """Does a job and sends its answer; False where a fresh process has to take the rest."""
  function, timeout_s, arguments = job
  if function != STATEMENT:
    session.start()
    answer = frame((CALLED, _imported(function)(session, *arguments)))
    if is_last:
      session.rest()
    session.send(answer)
    return True
  location, identity, sql, max_rows, max_bytes = arguments
  outcome = session.run(location, identity, sql, timeout_s, max_rows, max_bytes)
  try:
    answer = frame(outcome)
  except MemoryError:
    answer = frame(("resource", (), [], outcome[3], "out of memory", False))
  if is_last:
    session.rest()
  session.send(answer)
  # Not every engine is to be trusted after it ran into a limit.
  if (
    outcome[0] in ("resource", "timeout") and not engine_module(engine_of(location)).SURVIVES_LIMITS
  ):
    session.tell(RETIRED)
    return False
  return True


@functools.cache
def _imported(function: str) -> Callable:
  """The function that "package.module:name" names."""
  module, _, name = function.partition(":")
  return getattr(importlib.import_module(module), name)


def _limit_files() -> None:
  """No core files, and no file written: a write fails, it does not kill."""
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  # The hard limit stays: a database with a journal to be rolled back is copied before its
  # statements run.
  resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _read_exactly(descriptor: int, size: int) -> bytes:
  pieces = []
  while size:
    piece = os.read(descriptor, min(size, 1 << 20))
    if not piece:
      raise EOFError
    pieces.append(piece)
    size -= len(piece)
  return b"".join(pieces)
