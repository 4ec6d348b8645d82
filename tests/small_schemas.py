"""Small schemas for tests of questions, written in a line a table, and what is asked over them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

SEEDS = range(25)


def table(
  text: str, *keys: ForeignKey, samples: Mapping[str, tuple] | None = None, own_key: int = 1
) -> Table:
  """ "pet: id number, name text". The first columns, as many as `own_key`, are the key."""
  name, _, said = text.partition(": ")
  pairs = [column.split() for column in said.split(", ")]
  columns = tuple(Column(c, k.upper(), k, samples=(samples or {}).get(c, ())) for c, k in pairs)
  own = tuple(column for column, _ in pairs[:own_key])
  return Table(name, columns, own, keys, row_count=100)


def foreign_key(column: str, referred_table: str, referred: str = "id") -> ForeignKey:
  return ForeignKey((column,), referred_table, (referred,))


def questions(sql: str, schema: Schema) -> set[str]:
  """The query asked with each of `SEEDS`."""
  return {write_question(sql, schema, random.Random(seed)) for seed in SEEDS}
