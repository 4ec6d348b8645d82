"""SQLite's own limits on a statement, its result and the memory of a connection."""

from __future__ import annotations

import sqlite3

MAX_CELL_BYTES = 10_000_000
LIMITS = {
  sqlite3.SQLITE_LIMIT_LENGTH: MAX_CELL_BYTES,
  # Statements are far shorter (`statements.MAX_SQL_BYTES`); the declaration of a wide table, which
  # SQLite reads again, is not.
  sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000_000,
  sqlite3.SQLITE_LIMIT_COLUMN: 2_000,
  sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 500,
  sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
  sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
  sqlite3.SQLITE_LIMIT_ATTACHED: 0,
  sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
  sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
  sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
