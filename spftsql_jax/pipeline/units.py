"""Examples as units to train on: over their schema, or over a part of it where the whole exceeds
the largest bucket.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

from spftsql_jax.examples.batches import Branch, Unit, fits
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.subschemas import SubSchemas, tables_of
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.schema import Schema

_DATABASES_NAMED = 5


def sql_units(bench: Workbench, examples: Sequence[Example]) -> list[Unit]:
  """Units that teach the SQL of each question; what exceeds the largest bucket is moved or left
  out, and said (`placed`).
  """
  return _said(
    bench,
    placed(bench, examples, lambda e, schema: (_sql_branch(bench, e, e.query, schema),)),
    "question-SQL pairs",
  )


def question_units(bench: Workbench, examples: Sequence[Example]) -> list[Unit]:
  """Units that teach the question of each SQL query."""

  def branches(example: Example, schema: Schema) -> tuple[Branch, ...]:
    return (bench.tokenizer.sql_to_text(schema, example.query, example.question),)

  return _said(bench, placed(bench, examples, branches), "SQL-question pairs")


@dataclasses.dataclass(frozen=True)
class Placed:
  """Examples as units.

  Attributes:
    units: by the index of the example; those left out are missing.
    moved: examples put over a sub-schema, by db_id. left_out: examples that are too long all the
      same, by db_id.
  """

  units: dict[int, Unit]
  moved: Counter[str]
  left_out: Counter[str]


def placed(
  bench: Workbench,
  examples: Sequence[Example],
  branches_of: Callable[[Example, Schema], tuple[Branch, ...]],
) -> Placed:
  """The unit of each example over its schema, or, where that exceeds the largest prefix bucket,
  over a sub-schema that covers the tables of its query (`RunConfig.long_schemas` "drop" leaves it
  out)."""
  out = Placed({}, Counter(), Counter())
  for index, example in enumerate(examples):
    schema = prompt_schema(bench, example)
    unit, moved = (
      Unit(branches_of(example, schema)),
      schema is not bench.databases[example.db_id].schema,
    )
    if fits(unit, bench.config.shape):
      out.units[index] = unit
      out.moved[example.db_id] += moved
    else:
      out.left_out[example.db_id] += 1
  return out


def prompt_schema(bench: Workbench, example: Example) -> Schema:
  """The schema over which an example is learned, and its query is put to the SQL-to-text model: the
  whole one, or the sub-schema that covers the tables of its query where the whole exceeds the
  largest prefix bucket and is to be split."""
  schema = bench.databases[example.db_id].schema
  if bench.config.long_schemas != "split" or _prefix_fits(bench, schema):
    return schema
  tables = tables_of(example.query, schema)
  part = None if tables is None else _sub_schemas(bench, example.db_id).covering(tables)
  return schema if part is None else part


def describe(placed: Placed, count: int, what: str) -> str:
  """What was moved or left out, in words with its databases; "" where nothing was."""
  parts = [
    (
      f"{sum(found.values())} of {count} {what} exceed the largest bucket and are {how} "
      f"({_by_database(found)})"
    )
    for found, how in ((+placed.moved, "put over sub-schemas"), (placed.left_out, "left out"))
    if found
  ]
  return "; ".join(parts)


def pair_branches(
  bench: Workbench, examples: Sequence[Example], answers: Sequence[str]
) -> tuple[dict[int, tuple[Branch, Branch]], Placed, int]:
  """(y+, y-) for each question, by its index: the gold query and an opponent's answer behind the
  same prompt.

  An answer that does not end within the largest bucket is y- as far as it goes, without an end
  token: it is what a weak model does most, and its log-prob is that of this beginning. A gold query
  is never cut.

  Returns:
    The branches, what was moved or left out, and the number of answers that do not end.
  """
  shape, endless = bench.config.shape, set()

  def branches(example: Example, schema: Schema) -> tuple[Branch, ...]:
    gold, answer = (
      _sql_branch(bench, example, q, schema) for q in (example.query, answers[places[id(example)]])
    )
    room = min(shape.answer_buckets[-1], shape.branch_buckets[-1] - len(answer.prompt))
    if len(answer.answer) > room:
      endless.add(places[id(example)])
      answer = dataclasses.replace(answer, answer=answer.answer[: max(room, 0)])
    return gold, answer

  # An example may occur twice: each occurrence is an object of its own here.
  own = [dataclasses.replace(e) for e in examples]
  places = {id(e): place for place, e in enumerate(own)}
  out = placed(bench, own, branches)
  return (
    {i: (u.branches[0], u.branches[1]) for i, u in out.units.items()},
    out,
    len(endless & out.units.keys()),
  )


def _sql_branch(bench: Workbench, example: Example, query: str, schema: Schema) -> Branch:
  database = bench.databases[example.db_id]
  matched = database.matched(example.question, bench.tokenizer.style.matched_values)
  return bench.tokenizer.text_to_sql(schema, example.question, query, matched, example.evidence)


def _prefix_fits(bench: Workbench, schema: Schema) -> bool:
  return len(bench.tokenizer.prefix(schema)) <= bench.config.shape.prefix_buckets[-1]


def _sub_schemas(bench: Workbench, db_id: str) -> SubSchemas:
  if db_id not in bench.sub_schemas:
    limit = bench.config.shape.prefix_buckets[-1]
    schema = bench.databases[db_id].schema
    bench.sub_schemas[db_id] = SubSchemas(
      schema, lambda part: bench.tokenizer.prefix_length(part) <= limit
    )
  return bench.sub_schemas[db_id]


def _said(bench: Workbench, placed: Placed, what: str) -> list[Unit]:
  count = len(placed.units) + sum(placed.left_out.values())
  if text := describe(placed, count, what):
    bench.say(f"  {text}")
  return list(placed.units.values())


def _by_database(found: Counter[str]) -> str:
  """The databases with most of them, and how many others there are: Spider has 140, and every stage
  tells.
  """
  ranked = sorted(found.items(), key=lambda i: (-i[1], i[0]))
  named = ", ".join(f"{db_id} {count}" for db_id, count in ranked[:_DATABASES_NAMED])
  others = ranked[_DATABASES_NAMED:]
  return (
    f"{named}, and {sum(count for _, count in others)} of {len(others)} other databases"
    if others
    else named
  )
