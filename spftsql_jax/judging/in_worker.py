"""Judging pairs inside a worker process, where their statements run.

Rows need not be sent to another process then, and those of two statements that agree are mostly
equal byte for byte, so they are not even unpacked. The pool sends `judge` as a job (`pool`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.execution.protocol import unpack_rows
from spftsql_jax.judging.comparison import results_agree
from spftsql_jax.judging.judge import NotHere, Pair, judge_pairs
from spftsql_jax.judging.programs import Programs

TYPE_CHECKING = False  # As in typing: a worker imports neither it nor dataclasses.
if TYPE_CHECKING:
  from typing import Any

  from spftsql_jax.databases.cells import Rows
  from spftsql_jax.databases.engines.sqlite import Connection
  from spftsql_jax.databases.execution.protocol import Outcome
  from spftsql_jax.databases.execution.session import Session
  from spftsql_jax.judging.comparison import Comparison

  # What `judge` returns for a pair, as `marshal` takes it: (status, columns, seconds, message) of
  # both results, and the rest of a `Judgement`.
  Told = tuple[tuple, tuple, int, str]


class _PackedResult:
  """A result whose rows are still packed; the other attributes are those of `Result`."""

  __slots__ = ("columns", "message", "pieces", "seconds", "status", "transient")

  def __init__(self, outcome: Outcome):
    self.status, self.columns, self.pieces, self.seconds, self.message, self.transient = outcome

  @property
  def ok(self) -> bool:
    return self.status == "ok"

  @property
  def rows(self) -> Rows:
    """The rows, unpacked anew."""
    return unpack_rows(self.pieces)

  def told(self) -> tuple:
    """What the parent is told of it."""
    return self.status, tuple(self.columns), self.seconds, self.message


def judge(
  session: Session,
  locations: tuple[str, ...],
  identities: tuple[tuple, ...],
  texts: Sequence[tuple[str, str, bool]],
  timeout_s: float,
  max_rows: int,
  max_bytes: int,
  comparison: Comparison,
) -> list[Told | None]:
  """Judges pairs on the instances of one database.

  Args:
    session: of the worker.
    locations: the instances.
    identities: what is at each (see `file_state.identity_of`).
    texts: gold SQL, predicted SQL, and whether the order of the rows counts.
    timeout_s, max_rows, max_bytes: limits of each statement.
    comparison: how results are compared.

  Returns:
    For each pair what its judgement is made of; None for a pair that cannot be judged
    here: a statement ran into a limit on memory, rows or bytes, or did not run for a reason that is
    no property of it.
  """
  pairs = [Pair(gold, predicted, locations, ordered) for gold, predicted, ordered in texts]
  limits = timeout_s, max_rows, max_bytes
  place = _Worker(session, dict(zip(locations, identities, strict=True)), pairs, limits, comparison)
  judged = judge_pairs(pairs, place)
  session.finish()
  return [found and (found[0].told(), found[1].told(), found[2], found[3]) for found in judged]


class _Worker:
  """The place where this worker runs statements (`judge.Place`).

  Args:
    identities: by location.
    pairs: all that will be judged, to know which results are wanted again.
    limits: timeout_s, max_rows and max_bytes of each statement.
  """

  def __init__(
    self,
    session: Session,
    identities: dict[str, tuple],
    pairs: Sequence[Pair],
    limits: tuple[float, int, int],
    comparison: Comparison,
  ):
    self._session = session
    self._identities = identities
    self._limits = limits
    self._comparison = comparison
    self._uses = Counter(text for pair in pairs for text in {pair.gold, pair.predicted})
    self._kept: dict[str, _PackedResult] = {}
    instances = list(identities.items())

    def connect(i: int) -> Connection:
      # Only SQLite files are judged in workers.
      connection: Any = session.connection(*instances[i])
      return connection

    self._programs = Programs(len(instances), connect)

  def begin(self, instance: int, pairs: Sequence[Pair]) -> None:
    """Forgets the results on the instance before."""
    del instance, pairs
    self._kept = {}

  def run(self, location: str, sql: str) -> _PackedResult:
    """The result of a statement, kept where it is wanted again on this instance."""
    result = self._kept.get(sql)
    if result is None:
      identity = self._identities[location]
      outcome = self._session.run_next(location, identity, sql, *self._limits)
      result = _PackedResult(outcome)
      if self._uses[sql] > 1:
        self._kept[sql] = result
    if result.status == "resource" or result.transient:
      raise NotHere
    return result

  def agree(self, gold: _PackedResult, predicted: _PackedResult, ordered: bool) -> bool:
    """Whether two results are the same; equal bytes are equal rows."""
    if gold.pieces == predicted.pieces and len(gold.columns) == len(predicted.columns):
      return True
    try:
      with self._session.alarm(self._limits[0]):
        return results_agree(gold, predicted, self._comparison, ordered)
    except MemoryError:
      raise NotHere from None

  def same_program(self, pair: Pair) -> bool:
    """Whether SQLite compiles both to the same program (`programs`)."""
    timeout_s = self._limits[0]
    any_order = self._comparison == "spider" and not pair.ordered
    try:
      with self._session.alarm(timeout_s):
        return self._programs.agree(pair.gold, pair.predicted, timeout_s, any_order)
    except (DatabaseError, MemoryError):
      return False
