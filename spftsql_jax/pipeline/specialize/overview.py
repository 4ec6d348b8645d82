"""What was found in a database, and what is going to be done, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.locations import engine_of, schemas_of
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.specialize.budget import Speed, expected_seconds
from spftsql_jax.schema import Schema

_TABLES_SHOWN = 12


def found_lines(location: str, schema: Schema) -> Iterator[str]:
  """What was found: engine, schemas, tables, rows, keys declared and inferred, masked columns."""
  columns = [column for table in schema.tables for column in table.columns]
  rows = sum(table.row_count for table in schema.tables)
  keyed = infer_foreign_keys(schema, location)
  keys = [key for table in keyed.tables for key in table.foreign_keys]
  inferred = sum(key.inferred for key in keys)
  views = sum(table.is_view for table in schema.tables)
  yield f"Found: {without_password(location)} ({engine_of(location)})"
  searched = tuple(dict.fromkeys(t.schema for t in schema.tables if t.schema))
  if places := schemas_of(location) or searched:
    yield f"  schemas: {', '.join(places)}"
  yield (
    f"  {len(schema.tables)} tables ({views} of them views), {len(columns)} columns, {rows:,} rows"
  )
  for table in schema.tables[:_TABLES_SHOWN]:
    yield f"    {table.name}: {len(table.columns)} columns, {table.row_count:,} rows"
  if len(schema.tables) > _TABLES_SHOWN:
    yield f"    ... and {len(schema.tables) - _TABLES_SHOWN} more"
  yield f"  foreign keys: {len(keys) - inferred} declared, {inferred} inferred"
  described = sum(bool(column.comment) for column in columns)
  masked = sum(column.masked for column in columns)
  yield f"  {described} columns are described, of {masked} the values are masked"
  for line in schema.left_out:
    yield f"  left out: {line}"


def speed_line(config: RunConfig, speed: Speed) -> str:
  """How fast the machine is, and how long a run of this config takes by that."""
  return (
    f"  {1 / speed.step:.1f} training steps and {1 / speed.answer:.0f} answers a second: by that "
    f"some {expected_seconds(config, speed) / 60:.0f} minutes"
  )


def plan_lines(config: RunConfig) -> Iterator[str]:
  """What is going to be done."""
  synthesis, stage1, stage2 = config.synthesis, config.vbi_ft, config.self_play
  start = config.model.hf_model or "random weights, as no base model comes along or is given"
  yield f"Plan: start from {start}, seed {config.seed}"
  yield (
    f"  {stage1.rounds} rounds of {synthesis.examples:,} synthetic examples and "
    f"{stage1.training.steps} steps"
  )
  if stage2.iterations:
    yield (
      f"  {stage2.iterations} iterations of self-play with {stage2.questions:,} questions and "
      f"{stage2.training.steps} steps"
    )
