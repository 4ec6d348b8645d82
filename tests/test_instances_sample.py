"""A sample that keeps the keys: against SQL on the whole, for schemas and rows drawn at random."""

import contextlib
import dataclasses
import random

import duckdb
import pytest

from spftsql_jax.databases.instances import keyed_sample, typed_cells
from spftsql_jax.databases.instances.duckdb import Store
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Column, ForeignKey


@pytest.mark.parametrize("seed", range(4))
def test_what_a_sampled_row_refers_to_is_sampled(tmp_path, monkeypatch, seed):
  monkeypatch.setattr(keyed_sample, "SAMPLE_ROWS", 60)
  rng = random.Random(seed)
  tables = [f"t{i}" for i in range(4)]
  path = tmp_path / "random.duckdb"
  keys = {}
  with contextlib.closing(duckdb.connect(str(path))) as c:
    for i, table in enumerate(tables):
      rows = rng.choice((20, 500, 5_000))
      c.execute(
        f"CREATE TABLE {table} (id INTEGER, part VARCHAR, a INTEGER, b VARCHAR, c INTEGER, "
        "PRIMARY KEY (id, part))"
      )
      below = rng.randrange(i) if i else i
      size = c.execute(f"SELECT count(*) FROM {tables[below]}").fetchall()[0][0] or rows
      c.execute(
        f"INSERT INTO {table} SELECT i, 'p' || i % 7, x, "
        "CASE WHEN i % 5 > 0 THEN 'p' || x % 7 END, "
        f"i FROM (SELECT i, (hash(i) % {size})::INTEGER AS x FROM range({rows}) t(i))"
      )
      keys[table] = ForeignKey(("a", "b"), tables[below], ("id", "part"), inferred=True)
  schema = read_schema(str(path))
  schema = dataclasses.replace(
    schema,
    tables=tuple(dataclasses.replace(t, foreign_keys=(keys[t.name],)) for t in schema.tables),
  )
  monkeypatch.setattr("spftsql_jax.databases.instances.duckdb.SAMPLE_ROWS", 60)
  monkeypatch.setattr("spftsql_jax.databases.instances.duckdb._BLOCK_ROWS", 5)
  stored = Store(str(path), str(tmp_path), schema, seed).stored
  for table in schema.tables:
    there = {tuple(row[:2]) for row in stored[keys[table.name].referred_table]}
    wanted = {tuple(row[2:4]) for row in stored[table.name] if None not in row[2:4]}
    assert stored[table.name] and wanted <= there
    assert len(stored[table.name]) <= max(60, min(table.row_count, 60 * 5)), (
      "no more than is needed"
    )
    with contextlib.closing(duckdb.connect(str(path), read_only=True)) as c:
      every = set(c.execute(f"SELECT * FROM {table.name}").fetchall())
    assert {tuple(row) for row in stored[table.name]} <= every, "rows of the original, unchanged"


@pytest.mark.parametrize(
  ("value", "kind", "allowed", "expected"),
  [
    ("x", "UUID", (), False),
    ("00000000-0000-0000-0000-000000000001", "uuid", (), True),
    ("sad", "mood", ("sad", "glad"), True),
    ("saD", "mood", ("sad", "glad"), False),
    ("2024-02-30", "DATE", (), False),
    ("2024-02-29", "date", (), True),
    ("2024-02-29s", "timestamp without time zone", (), False),
    ("abcd", "character varying(3)", (), False),
    ("abc", "VARCHAR(3)", (), True),
    ("abcd", "VARCHAR", (), True),
    ("7x", "INTEGER", (), False),
    (True, "BOOLEAN", (), True),
    ("maybe", "boolean", (), False),
    (None, "date", (), True),
  ],
)
def test_a_made_value_is_one_of_its_type(value, kind, allowed, expected):
  column = Column("c", kind, "text", allowed=allowed)
  assert typed_cells.fits(value, column) is expected
