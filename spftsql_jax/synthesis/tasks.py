"""Tasks: what a worker needs to know of a database to make examples on it."""

from __future__ import annotations

import dataclasses
import os
import pickle
from collections.abc import Sequence

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.passwords import hide_passwords, without_password
from spftsql_jax.databases.schema_view import WHOLE, SchemaView, seen_through
from spftsql_jax.schema import Schema, without_twins
from spftsql_jax.synthesis.filters import Limits
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.sampler import Filler
from spftsql_jax.synthesis.stored import StoredValues

_READING_S = 60.0  # For reading the first rows of a table.
_LARGE = 100_000  # Rows that a query may go through in a second, generously.
_SLOWEST_S = 30.0  # What takes longer is not asked for, however large the database.


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to know of a database, or of a part of its queries.

  Attributes:
    location: as `open_database` takes it.
    db_id: its name.
    instances: where its neighbouring instances are.
    templates: what to draw from, by weight.
    exclude: normal forms that must not be made.
    seed: of all draws.
    decay: see `Filler.fill`.
    limits: see `Limits`.
    wordings: how often a query may come, each time with another question.
    phrases: rows of more wordings (`questions.grammar`).
    masked: masked forms that must not be made.
    repair: queries that fail for a reason that can be mended are mended.
    share: how many examples are wanted.
    aim: see `Balance.aim`.
    part: (i, n): only queries of the i-th of n parts, which have none in common.
    infer_keys: joins also follow keys that the database does not declare
      (`databases.key_inference`).
    view: what of the database there is to make examples of.
    accepted: a file with a line for each accepted example, so that workers need not make again what
      another one has made.
    fitting: indexes of the templates that fit the database's schema, without those of ours that
      would give odd queries only.
    targets: the (table, column) pairs, in lower case, that hold anything.
    large: a single query may take a second.
    left_out: what of the database could not be read or is not taken (`Schema.left_out`).
  """

  location: str
  db_id: str
  instances: tuple[str, ...]
  templates: tuple[WeightedTemplate, ...]
  exclude: frozenset[str]
  seed: int
  decay: float
  limits: Limits
  wordings: int
  masked: frozenset[str] = frozenset()
  repair: bool = False
  share: int = 0
  aim: str = ""
  part: tuple[int, int] = (0, 1)
  accepted: str = ""
  infer_keys: bool = False
  phrases: str = ""
  view: SchemaView = WHOLE
  fitting: tuple[int, ...] = ()
  targets: tuple[tuple[str, str], ...] = ()
  large: bool = False
  left_out: tuple[str, ...] = ()

  @property
  def stream(self) -> str:
    """Seeds what is left to chance."""
    return f"{self.seed}/{self.db_id}" + (f"#{self.part[0]}" if self.part[1] > 1 else "")


def prepare(task: Task, folder: str, count: int) -> Task:
  """Makes a database's neighbouring instances and finds the templates that fit it.

  Raises DatabaseError.
  """
  schema = schema_of(task.location, task.infer_keys, task.view)
  paths = make_instances(task.location, folder, count, task.seed, schema=schema)
  runner = checking_runner(task.location, schema)
  filler = Filler(schema, read_values(runner, schema))
  fitting = fitting_templates(filler, task.templates)
  runner.close()
  return dataclasses.replace(
    task,
    instances=tuple(os.fspath(path) for path in paths),
    fitting=fitting,
    targets=tuple(sorted(filler.columns_with_values())),
    large=_largest(schema) >= _LARGE,
    left_out=schema.left_out,
  )


def fitting_templates(filler: Filler, templates: Sequence[WeightedTemplate]) -> tuple[int, ...]:
  """The indexes of the templates that a database can fill.

  What people ask now and then only (see `suitability`) is left to templates that a source
  really has: a template of ours that a database can fill with nothing else does not fit, unless
  none does.
  """
  lenient = [filler.leniency(item.template.text) for item in templates]
  ours = {item.template for item in builtin_templates()}
  kept = (
    i
    for i, item in enumerate(templates)
    if lenient[i] is False or (lenient[i] and item.template not in ours)
  )
  return tuple(kept) or tuple(i for i, found in enumerate(lenient) if found is not None)


def _largest(schema: Schema) -> int:
  """Rows of the largest table."""
  return max((table.row_count for table in schema.tables), default=0)


def checking_runner(location: str, schema: Schema) -> Runner:
  """Runs queries with a limit on time that grows with the database."""
  return Runner(location, timeout_s=min(_SLOWEST_S, 1.0 + _largest(schema) / _LARGE))


def read_values(runner: Runner, schema: Schema) -> StoredValues:
  """The stored values of a database. Raises DatabaseError."""
  try:
    stored = StoredValues.read(lambda sql: runner.rows(sql, timeout_s=_READING_S), schema)
  except QueryFailed as error:
    shown, reason = without_password(runner.location), hide_passwords(str(error), runner.location)
    raise DatabaseError(f"{shown}: its values cannot be read: {reason}") from error
  return StoredValues(stored.tables, runner.rows)


def schema_of(location: str, infer_keys: bool, view: SchemaView = WHOLE) -> Schema:
  """The schema of a database, with the keys that it does not declare where these are asked for.
  Raises DatabaseError.

  Of names that differ in case only the first alone is used: no question can tell one from the
  other.
  """
  schema = without_twins(seen_through(view, read_schema(location)))
  return infer_foreign_keys(schema, location) if infer_keys else schema


def save_task(task: Task, path: str) -> None:
  """Writes a task where workers find it.

  With its templates it is too large to be sent along with every block.
  """
  with open(path, "wb") as file:
    pickle.dump(task, file)
