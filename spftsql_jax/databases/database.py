"""One open database: its schema, read once, and running statements on it."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from spftsql_jax.databases import permissions
from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.databases.foreign_keys import TableKey
from spftsql_jax.databases.locations import engine_of, name_of, with_schemas
from spftsql_jax.schema import Schema


class Database:
  """An open database; see `open_database`. The schema is read when it is first asked for, workers
  start with the first statement.
  """

  def __init__(
    self,
    location: str,
    workers: int = 1,
    executor: Executor | None = None,
    foreign_keys: Sequence[TableKey] = (),
    infer_keys: bool = False,
    allow_superuser: bool | None = None,
  ):
    self.location = location
    self._allow_superuser = allow_superuser
    self._foreign_keys = foreign_keys
    self._infer_keys = infer_keys
    self.name = name_of(location)
    self._executor = executor or Executor(workers=workers, allow_superuser=allow_superuser)
    self._owns_executor = executor is None

  def __enter__(self) -> Database:
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def close(self) -> None:
    """Ends the workers, unless the executor was given."""
    if self._owns_executor:
      self._executor.close()

  @functools.cached_property
  def schema(self) -> Schema:
    """Tables, columns, keys, comments, row counts and sample values.

    Raises DatabaseError, and ValueError where a supplied foreign key does not fit.
    """
    # Imported here: reading a schema needs SQLAlchemy, running statements does not.
    from spftsql_jax.databases.introspection import read_schema, tell_left_out
    from spftsql_jax.databases.key_inference import infer_foreign_keys

    with permissions.allowing(self._allow_superuser):
      schema = read_schema(self.location, self._foreign_keys)
      tell_left_out(schema.name, schema.left_out)
      return infer_foreign_keys(schema, self.location) if self._infer_keys else schema

  def execute(
    self, sql: str, timeout_s: float = 5.0, max_rows: int = 10_000, max_bytes: int = 64_000_000
  ) -> Result:
    """Runs one SELECT in a worker process. Never raises for what the statement does; see
    `Result.status`.
    """
    return self._executor.execute(self.location, sql, timeout_s, max_rows, max_bytes)

  def execute_many(
    self,
    statements: Sequence[str],
    timeout_s: float = 5.0,
    max_rows: int = 10_000,
    max_bytes: int = 64_000_000,
  ) -> list[Result]:
    """Runs statements, on all workers at once, and returns their results in order."""
    return self._executor.execute_many(
      [(self.location, sql) for sql in statements], timeout_s, max_rows, max_bytes
    )


def open_database(
  location: str | os.PathLike,
  workers: int = 1,
  executor: Executor | None = None,
  foreign_keys: Sequence[TableKey] = (),
  infer_keys: bool = False,
  allow_superuser: bool | None = None,
  schemas: Sequence[str] = (),
) -> Database:
  """Opens a database for reading.

  Args:
    location: path of an SQLite or DuckDB file, `sqlite:///path`, `duckdb:///path` or
      `postgresql://user@host:port/name`.
    workers: number of worker processes for its statements.
    executor: a pool to share with other databases, instead of workers of its own.
    foreign_keys: keys that the schema has besides those the database declares
      (`foreign_keys.read_foreign_keys` reads them).
    infer_keys: also look for keys that nothing declares, by name and value (`key_inference`).
    allow_superuser: PostgreSQL may be used as a superuser; by default what `permissions` says for
      the process. An executor that is given has its own answer.
    schemas: the schemas whose tables are taken, of a database that has several; by default those in
      which a query looks by itself, and where nothing stands there, all. What is left out is named
      in `Database.schema.left_out`.

  Raises:
    DatabaseError: it does not exist, cannot be read, or its engine is not supported.
  """
  location = with_schemas(os.fspath(location), schemas)
  with permissions.allowing(allow_superuser):
    engine_module(engine_of(location)).connect(location).close()
  return Database(location, workers, executor, foreign_keys, infer_keys, allow_superuser)
