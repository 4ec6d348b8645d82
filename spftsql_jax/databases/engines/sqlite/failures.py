"""What a failed statement of SQLite says: of the statement, or of the file, the disk or another
process.
"""

from __future__ import annotations

import sqlite3

# Codes that say something of the file, the disk or another process, and nothing of the statement.
_TRANSIENT = frozenset(
  {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
  }
)
# SQLite would first have to put back what a process left that was killed, or is about to commit.
_WANTS_TO_MEND = frozenset(
  {
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_READONLY_RECOVERY,
    sqlite3.SQLITE_READONLY_CANTINIT,
  }
)


def status_of(error: Exception) -> str:
  """The status of a failed statement, from SQLite's error code."""
  code = getattr(error, "sqlite_errorcode", None)
  text = str(error)
  if code is not None:
    code &= 0xFF
  if code == sqlite3.SQLITE_INTERRUPT:
    return "timeout"
  if (
    code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
    or "one statement at a time" in text
  ):
    return "refused"
  # The authorizer refuses functions by a plain error with this text.
  if "not authorized" in text or "prohibited" in text:
    return "refused"
  if code in (
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
  ):
    return "resource"
  if any(
    mark in text
    for mark in (
      "too many",
      "too big",
      "too large",
      "too complex",
      "too deep",
      "stack overflow",
      "maximum depth",
    )
  ):
    return "resource"
  return "error"


def is_transient(error: Exception) -> bool:
  """Whether a failure is no property of the statement."""
  code = getattr(error, "sqlite_errorcode", 0)
  return code & 0xFF in _TRANSIENT or code in _WANTS_TO_MEND
