"""PostgreSQL, through psycopg."""

from __future__ import annotations

import psycopg

from spftsql_jax.databases.engines.postgresql.connection import Connection as Connection
from spftsql_jax.databases.engines.postgresql.connection import connect as connect
from spftsql_jax.databases.engines.postgresql.connection import fetch_rows as fetch_rows
from spftsql_jax.databases.engines.postgresql.fence import refusal_of as refusal_of
from spftsql_jax.databases.engines.postgresql.values import mark_undecodable as mark_undecodable

DIALECT = "postgres"
ERRORS = (psycopg.Error,)
# Whether a column holds values of its declared type only.
TYPES_ARE_KEPT = True
# Address space that a worker may take beyond the engine's own limit, and whether a connection is as
# good as new after it ran into one.
MEMORY_SLACK = 512_000_000
SURVIVES_LIMITS = True
