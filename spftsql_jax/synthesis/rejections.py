"""Why a query is not kept, and what may mend it.

Members are strings: what stands in records, summaries and reports.
"""

from __future__ import annotations

import enum
from typing import Self


class Repair(enum.StrEnum):
  """What was done to a query that failed at first; `repair.py` does it."""

  OTHER_LIMIT = "another LIMIT"
  TIE_BREAKER = "added a tie-breaking sort key"
  WITHOUT_NULL = "left out rows without the sort key"
  WITHOUT_DISTINCT = "dropped DISTINCT before LIMIT"
  WITH_DISTINCT = "added DISTINCT"
  MORE_GROUPS = "grouped by a bare column"
  WITHOUT_LINK = "dropped a redundant join"
  WITHOUT_CONDITION = "dropped a redundant condition"
  WITHOUT_SIDE = "dropped a redundant side of a set operation"


class Rejection(enum.StrEnum):
  """Why a query is not kept. `repairs` are tried on it, in this order; with none it is given up."""

  repairs: tuple[Repair, ...]

  def __new__(cls, text: str, *repairs: Repair) -> Self:
    member = str.__new__(cls, text)
    member._value_ = text
    member.repairs = repairs
    return member

  # Whatever the data.
  NOT_PARSED = "does not parse"
  NO_SELECT = "not a SELECT"
  VOLATILE = "volatile function"
  SAMPLE = "sample"
  QUOTED_STRING = "quoted string"
  NO_ORDER = "LIMIT without ORDER BY", Repair.TIE_BREAKER
  HIDDEN_ORDER = "LIMIT with an order that DISTINCT hides", Repair.WITHOUT_DISTINCT
  CORRELATED_LIMIT = "LIMIT in a correlated query"
  UNUSUAL_LIMIT = "unusual LIMIT"
  # It cannot be run.
  FAILS = "fails"
  TIMEOUT = "timeout"
  CHECK_FAILS = "a check fails"
  CHECK_TIMEOUT = "timeout in a check"
  # Its result says nothing.
  EMPTY = "empty"
  EMPTY_ELSEWHERE = "empty on neighbours"
  ONLY_NULL = "only NULL"
  NULL_FIRST = "NULL first"
  ONLY_ZERO = "only zero"
  ALL_EQUAL = "all rows equal"
  CONSTANT = "constant"
  SAME_COLUMNS = "two columns that are the same"
  TOO_MANY = "too many rows"
  REPEATED = "rows repeated by a join", Repair.WITH_DISTINCT
  DROPPED = "rows left out by a join"
  ONE_GROUP = "groups of which there is one"
  # Its result is chance.
  TIE_AT_LIMIT = "tie at LIMIT", Repair.OTHER_LIMIT, Repair.TIE_BREAKER
  NULL_AT_LIMIT = "NULL at LIMIT", Repair.OTHER_LIMIT, Repair.WITHOUT_NULL
  BARE_COLUMN = "bare column", Repair.MORE_GROUPS
  SEVERAL_ROWS = "several rows to compare with"
  # A part of it changes nothing.
  REDUNDANT_LIMIT = "redundant LIMIT"
  REDUNDANT_CONDITION = "redundant condition", Repair.WITHOUT_CONDITION
  TAUTOLOGY = "tautological condition"
  CIRCULAR = "condition on the key of a join"
  REDUNDANT_JOIN = "redundant join", Repair.WITHOUT_LINK
  REDUNDANT_SET_OPERATION = "redundant set operation", Repair.WITHOUT_SIDE
  # It must not come, or cannot be made.
  DUPLICATE = "duplicate"
  EXCLUDED = "in the evaluation set"
  NO_FITTING_TABLE = "no table fits the templates"
  NO_ROWS = "no table has rows"


class Cause(enum.StrEnum):
  """Reasons that go on behind a colon with what went wrong."""

  CANNOT_FILL = "cannot fill"
  PROBE_FAILS = "a probe fails"
  NO_QUESTION = "no question"

  def told(self, what: str) -> str:
    """The reason in full."""
    return f"{self}: {what}"
