"""Examples as the units that a training batch is made of (`batches.Unit`).

A unit stands over the schema of its database. Where that exceeds the longest prefix, it
stands over a sub-schema that covers the tables of its query, or is left out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from spftsql_jax.amounts import by_database
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.answering.schema_choice import SchemaChooser
from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import Packing, within
from spftsql_jax.examples.subschemas import tables_of
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.pipeline.records import Pair
from spftsql_jax.schema import Schema


@dataclasses.dataclass(frozen=True)
class UnitMaker:
  """What making units takes.

  Attributes:
    tokenizer: writes prompts and answers as ids.
    databases: by db_id.
    packing: whose longest prefix, branch and answer a unit must not exceed.
    split_schemas: whether examples over too long a schema are put over a part of it; else they are
      left out.
    say: prints a line.
  """

  tokenizer: Tokenizer
  databases: Mapping[str, PromptDatabase]
  packing: Packing
  split_schemas: bool
  say: Callable[[str], None]

  @functools.cached_property
  def schemas(self) -> SchemaChooser:
    """What splits schemas too long, and chooses the part for a question without a query."""
    return SchemaChooser(
      self.tokenizer, self.packing.longest_prefix if self.split_schemas else None
    )

  def prompt_schema(self, example: Example) -> Schema:
    """The schema over which an example is learned, and its query put to the SQL-to-text model.

    The whole one, or the sub-schema that covers the tables of its query where the whole exceeds the
    longest prefix and is to be split.
    """
    schema = self.databases[example.db_id].schema
    parts = self.schemas.parts(schema)
    if parts is None:
      return schema
    tables = tables_of(example.query, schema)
    part = None if tables is None else parts.covering(tables)
    return schema if part is None else part

  def sql_branch(self, example: Example, query: str, schema: Schema) -> Branch:
    """The branch with `query` as the answer to the example's question."""
    database, style = self.databases[example.db_id], self.tokenizer.style
    mentions = database.mentions(example.question, style, schema)
    return self.tokenizer.text_to_sql(schema, example.question, query, mentions, example.evidence)


@dataclasses.dataclass(frozen=True)
class FittedUnits:
  """Units that are not too long, and what became of the others.

  Attributes:
    units: by the index of the example; those left out are missing.
    moved: number of examples put over a sub-schema, by db_id.
    left_out: number of examples that are too long all the same, by db_id.
  """

  units: dict[int, Unit]
  moved: Counter[str]
  left_out: Counter[str]

  def describe(self, what: str) -> str:
    """What was moved or left out, in words with its databases; "" where nothing was."""
    count = len(self.units) + self.left_out.total()
    parts = [
      f"{found.total()} of {count} {what} are too long for training and are {how} "
      f"({by_database(found)})"
      for found, how in ((+self.moved, "put over sub-schemas"), (self.left_out, "left out"))
      if found
    ]
    return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class PairBranches:
  """(y+, y-) of each question as branches behind the same prompt.

  Attributes:
    branches: by the index of the question; those left out are missing.
    fitted: what was moved or left out.
    endless: number of answers that do not end within the longest branch.
  """

  branches: dict[int, tuple[Branch, Branch]]
  fitted: FittedUnits
  endless: int


def sql_units(maker: UnitMaker, examples: Sequence[Example]) -> list[Unit]:
  """Units that teach the SQL of each question. What is moved or left out is said."""
  branches = [(maker.sql_branch(e, e.query, maker.prompt_schema(e)),) for e in examples]
  return _said(maker, fit_units(maker, examples, branches), "question-SQL pairs")


def question_units(maker: UnitMaker, examples: Sequence[Example]) -> list[Unit]:
  """Units that teach the question of each SQL query. What is moved or left out is said."""
  to_text = maker.tokenizer.sql_to_text
  branches = [(to_text(maker.prompt_schema(e), e.query, e.question),) for e in examples]
  return _said(maker, fit_units(maker, examples, branches), "SQL-question pairs")


def pair_units(maker: UnitMaker, pairs: Sequence[Pair]) -> list[Unit]:
  """Units of y+ and y- with reward and the opponent's log-probs.

  Every pair must fit: `pair_branches` left the others out when they were made.
  """
  made = pair_branches(maker, pairs)
  return [
    Unit(made.branches[i], p.reward, p.log_probs, 1.0 if p.weight is None else p.weight)
    for i, p in enumerate(pairs)
  ]


def pair_branches(maker: UnitMaker, pairs: Sequence[Pair]) -> PairBranches:
  """(y+, y-) of each pair behind the same prompt; their log-probs do not matter.

  An answer that does not end within the longest branch is y- as far as it goes, without an end
  token: it is what a weak model does most, and its log-prob is that of this beginning. y+ is never
  cut.
  """
  whole = [_branches(maker, pair) for pair in pairs]
  cut = [(positive, _cut(maker.packing, answer)) for positive, answer in whole]
  fitted = fit_units(maker, [pair.example for pair in pairs], cut)
  return PairBranches(
    branches={i: cut[i] for i in fitted.units},
    fitted=fitted,
    endless=sum(cut[i][1] is not whole[i][1] for i in fitted.units),
  )


def _branches(maker: UnitMaker, pair: Pair) -> tuple[Branch, Branch]:
  example, positive = pair.example, pair.positive
  schema = maker.prompt_schema(example)
  return (
    maker.sql_branch(example, example.query if positive is None else positive, schema),
    maker.sql_branch(example, pair.answer, schema),
  )


def _cut(packing: Packing, branch: Branch) -> Branch:
  """A branch with as much of its answer as is trained on; the same one where all does."""
  room = min(packing.longest_answer, packing.longest_branch - len(branch.prompt))
  if len(branch.answer) <= room:
    return branch
  return dataclasses.replace(branch, answer=branch.answer[: max(room, 0)])


def fit_units(
  maker: UnitMaker, examples: Sequence[Example], branches: Sequence[tuple[Branch, ...]]
) -> FittedUnits:
  """The examples' branches, over their `UnitMaker.prompt_schema`, as units; without those that
  are too long.
  """
  out = FittedUnits({}, Counter(), Counter())
  for index, (example, own) in enumerate(zip(examples, branches, strict=True)):
    unit = Unit(own)
    if within(unit, maker.packing):
      whole = maker.tokenizer.prefix(maker.databases[example.db_id].schema)
      out.units[index] = unit
      out.moved[example.db_id] += own[0].prefix != whole
    else:
      out.left_out[example.db_id] += 1
  return out


def _said(maker: UnitMaker, fitted: FittedUnits, what: str) -> list[Unit]:
  if text := fitted.describe(what):
    maker.say(f"  {text}")
  return list(fitted.units.values())
