"""What goes wrong with a database that is no fault of a statement."""

from __future__ import annotations


class DatabaseError(Exception):
  """A database cannot be opened or read; the message says which one and why."""


class CannotCopyError(DatabaseError):
  """No instance can hold what a database holds; the message says why. The database itself can be
  read.
  """


class TransientError(DatabaseError):
  """A statement did not run for a reason that is no property of it: a lock, a lost connection, a
  full disk.

  Attributes:
    status: as in `Result`.
    lost: the connection is of no more use, another may be.
    seconds: how long it took.
  """

  def __init__(self, message: str, status: str = "error", lost: bool = False, seconds: float = 0.0):
    super().__init__(message)
    self.status = status
    self.lost = lost
    self.seconds = seconds
