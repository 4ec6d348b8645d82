"""SQLite, through Python's own sqlite3."""

from __future__ import annotations

import sqlite3

from spftsql_jax.databases.engines.sqlite.connection import NOT_UTF8 as NOT_UTF8
from spftsql_jax.databases.engines.sqlite.connection import Connection as Connection
from spftsql_jax.databases.engines.sqlite.connection import connect as connect
from spftsql_jax.databases.engines.sqlite.connection import fetch_rows as fetch_rows
from spftsql_jax.databases.engines.sqlite.connection import lenient_text as lenient_text
from spftsql_jax.databases.engines.sqlite.connection import mark_undecodable as mark_undecodable
from spftsql_jax.databases.engines.sqlite.fence import refusal_of as refusal_of

DIALECT = "sqlite"
ERRORS = (sqlite3.Error,)
# Whether a column holds values of its declared type only.
TYPES_ARE_KEPT = False
# Memory that a worker may take beyond the engine's own limit, and whether a connection is as good
# as new after it ran into one.
MEMORY_SLACK = 64_000_000
SURVIVES_LIMITS = True
