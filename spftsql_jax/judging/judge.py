"""The order of steps by which pairs of a gold and a predicted statement are judged, wherever they
run.

On the first instance of the database both statements run and their results are compared. Those that
agree are run on the next instance, until their results differ. Nothing is run that cannot tell
more: the same text is one statement, and so are two texts that the engine compiles to the same
program (`programs`). Such a pair agrees on every instance if it agrees on one.

Where the statements run is a `Place`: inside a worker process (`in_worker`), which is where nearly
all pairs are judged, or in the workers of a pool that bring the rows back (`brought_back`), for
rows that do not fit and engines other than SQLite.
"""
# Imports little: workers judge too, and are to start at once.

from __future__ import annotations

import itertools
from collections.abc import Sequence

from spftsql_jax.databases.locations import is_unchanged_copy, may_fail_by_data

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from typing import Protocol, TypeVar

  class Ran(Protocol):
    """A result, in whatever form a place has it; the attributes are those of `Result`."""

    @property
    def ok(self) -> bool: ...

    @property
    def seconds(self) -> float: ...

    @property
    def message(self) -> str: ...

  Outcome = TypeVar("Outcome", bound=Ran)
  # What running a pair has shown: the results on the first instance, the first instance on which
  # they differ or one fails (-1 where they agree on all), and what failed there, if it is a later
  # one. See `verdicts.Judgement`.
  Found = tuple[Outcome, Outcome, int, str]

  class Place(Protocol[Outcome]):
    """Where statements run and their results are compared.

    `run` and `agree` raise NotHere where the pair is to be judged elsewhere.
    """

    def begin(self, instance: int, pairs: Sequence[Pair]) -> None:
      """Announces what may be run next: these pairs on the instance of this number."""
      ...

    def run(self, location: str, sql: str) -> Outcome:
      """The result of a statement."""
      ...

    def agree(self, gold: Outcome, predicted: Outcome, ordered: bool) -> bool:
      """Whether two results of status "ok" are the same."""
      ...

    def same_program(self, pair: Pair) -> bool:
      """Whether the engine does the same for both statements, on all instances of the pair."""
      ...


# Statements that take longer are compared as programs before the second runs; the others only where
# that saves runs on further instances.
_SLOW_S = 0.002
# What is said of a pair whose further instances cannot judge it.
ALONE = "judged on the original alone: another engine, which stands in for it, gives other results"


class Pair:
  """A gold and a predicted statement as they are run. Equal where all attributes are.

  Attributes:
    gold, predicted: SQL.
    locations: the instances of their database.
    ordered: whether the order of the rows counts.
  """

  __slots__ = ("gold", "locations", "ordered", "predicted")

  def __init__(self, gold: str, predicted: str, locations: tuple[str, ...], ordered: bool = False):
    self.gold, self.predicted = gold, predicted
    self.locations, self.ordered = locations, ordered

  def _key(self) -> tuple:
    return self.gold, self.predicted, self.locations, self.ordered

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Pair) and self._key() == other._key()

  def __hash__(self) -> int:
    return hash(self._key())

  def __repr__(self) -> str:
    return f"Pair{self._key()}"


class NotHere(Exception):
  """A pair cannot be judged in this place."""


def judge_pairs(pairs: Sequence[Pair], place: Place[Outcome]) -> list[Found[Outcome] | None]:
  """Judges pairs in a place; None for those that cannot be judged there."""
  judged: list[Found[Outcome] | None] = [None] * len(pairs)
  left = list(range(len(pairs)))
  for instance in itertools.count():
    left = [i for i in left if instance < len(pairs[i].locations)]
    if not left:
      return judged
    place.begin(instance, [pairs[i] for i in left])
    agreeing = []
    for i in left:
      found = judged[i]
      try:
        if found is None:
          judged[i], settled = _judge_first(pairs[i], place)
        else:
          judged[i] = _judge_further(pairs[i], instance, found, place)
          settled = judged[i] is not found
      except NotHere:
        judged[i], settled = None, True
      if not settled:
        agreeing.append(i)
    left = agreeing
  raise AssertionError("unreachable")


def _judge_first(pair: Pair, place: Place[Outcome]) -> tuple[Found[Outcome], bool]:
  """What the first instance shows, and whether it holds for all of them."""
  location = pair.locations[0]
  gold = place.run(location, pair.gold)
  one_statement = pair.gold == pair.predicted or (
    gold.ok and gold.seconds > _SLOW_S and place.same_program(pair)
  )
  predicted = gold if one_statement else place.run(location, pair.predicted)
  agree = gold.ok and predicted.ok and (one_statement or place.agree(gold, predicted, pair.ordered))
  settled = not agree or one_statement or len(pair.locations) == 1 or place.same_program(pair)
  return (gold, predicted, -1 if agree else 0, ""), settled


def _judge_further(
  pair: Pair, instance: int, found: Found[Outcome], place: Place[Outcome]
) -> Found[Outcome]:
  """The same that was found where the pair agrees on a further instance too.

  An instance on which the gold query fails says nothing where its engine fails by the data. Where
  another engine stands in for the original's, no further instance is asked unless both queries give
  the original's results on its unchanged copy.
  """
  location = pair.locations[instance]
  gold, predicted = place.run(location, pair.gold), place.run(location, pair.predicted)
  if is_unchanged_copy(location):
    same = (
      gold.ok
      and predicted.ok
      and place.agree(found[0], gold, pair.ordered)
      and place.agree(found[1], predicted, pair.ordered)
    )
    return found if same else (found[0], found[1], -1, ALONE)
  if not gold.ok and may_fail_by_data(location):
    return found
  if gold.ok and predicted.ok and place.agree(gold, predicted, pair.ordered):
    return found
  return found[0], found[1], instance, predicted.message or gold.message
