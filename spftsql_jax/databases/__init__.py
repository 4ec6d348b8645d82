"""Databases: schema, values, running SQL on them safely, neighbouring instances.

    from spftsql_jax.databases import open_database

    # Or "duckdb:///shop.duckdb", "postgresql://reader@host/shop".
    with open_database("shop.sqlite") as db:
      for table in db.schema.tables:
        print(table.name, table.row_count, [(c.name, c.kind, c.samples) for c in table.columns])
      result = db.execute("SELECT COUNT(*) FROM customers", timeout_s=5.0, max_rows=10_000)
      if result.ok:
        print(result.rows)
      else:
        print(result.status, result.message)  # error | timeout | refused | resource

Only a single SELECT is run (WITH allowed), read-only, in a worker process with limits on time,
memory, rows and bytes. For many databases at once use one `Executor` for all:

    with Executor(workers=2) as executor:
      jobs = [("a.sqlite", "SELECT 1"), ("b.sqlite", "SELECT 2")]
      results = executor.execute_many(jobs, timeout_s=5.0)

Foreign keys that a database does not declare can be supplied (`foreign_keys=`, `read_foreign_keys`)
or looked for (`infer_keys=True`); they are marked `inferred`.

`make_instances` makes neighbouring databases that tell near-miss queries apart, and
`ValueIndex` finds the stored values that a question mentions.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # As in typing, which a worker process would load for nothing else.
if TYPE_CHECKING:
  from spftsql_jax.databases.database import Database, open_database
  from spftsql_jax.databases.errors import DatabaseError
  from spftsql_jax.databases.execution.executor import Executor
  from spftsql_jax.databases.execution.results import Result
  from spftsql_jax.databases.foreign_keys import read_foreign_keys
  from spftsql_jax.databases.instances.make import instances_kept, make_instances
  from spftsql_jax.databases.key_inference import infer_foreign_keys
  from spftsql_jax.databases.values import ValueIndex, ValueMatch

# Loaded when first used: a worker process imports this package and needs none of them.
_EXPORTS = {
  "Database": "database",
  "open_database": "database",
  "DatabaseError": "errors",
  "Executor": "execution.executor",
  "Result": "execution.results",
  "infer_foreign_keys": "key_inference",
  "instances_kept": "instances.make",
  "make_instances": "instances.make",
  "read_foreign_keys": "foreign_keys",
  "ValueIndex": "values",
  "ValueMatch": "values",
}
__all__ = [
  "Database",
  "DatabaseError",
  "Executor",
  "Result",
  "ValueIndex",
  "ValueMatch",
  "infer_foreign_keys",
  "instances_kept",
  "make_instances",
  "open_database",
  "read_foreign_keys",
]


def __getattr__(name: str) -> object:
  if name not in _EXPORTS:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  value = getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
  globals()[name] = value
  return value
