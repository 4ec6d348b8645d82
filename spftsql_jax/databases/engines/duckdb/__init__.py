"""DuckDB, through its own client."""

from __future__ import annotations

import duckdb

from spftsql_jax.databases.engines.duckdb.connection import Connection as Connection
from spftsql_jax.databases.engines.duckdb.connection import connect as connect
from spftsql_jax.databases.engines.duckdb.connection import mark_undecodable as mark_undecodable
from spftsql_jax.databases.engines.duckdb.fence import refusal_of as refusal_of
from spftsql_jax.databases.engines.duckdb.values import fetch_rows as fetch_rows

DIALECT = "duckdb"
ERRORS = (duckdb.Error,)
# Whether a column holds values of its declared type only.
TYPES_ARE_KEPT = True
# Memory that a worker may take beyond the engine's own limit (stacks of threads, what the allocator
# keeps), and whether a connection is as good as new after it ran into one.
MEMORY_SLACK = 128_000_000
SURVIVES_LIMITS = False
