"""The awkward demo databases in files: the same rows every time, and the questions' SQL finds
something. The one in PostgreSQL is test_specialize_engines'.
"""

import json
import sys

import pytest
from tiny_runs import EXPERIMENTS

from spftsql_jax.databases import open_database

sys.path.insert(0, str(EXPERIMENTS))

from demo import awkward


def contents(location):
  with open_database(location) as database:
    tables = [(table.name, table.row_count) for table in database.schema.tables]
    samples = [column.samples for table in database.schema.tables for column in table.columns]
    return tables, samples


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  folder = tmp_path_factory.mktemp("awkward")
  assert [path.stem for path in awkward.make_awkward(folder)] == ["tea_shop", "bakery"]
  return folder


def test_the_rows_are_the_same_every_time(made, tmp_path):
  awkward.make_awkward(tmp_path)
  for name in ("tea_shop.sqlite", "bakery.duckdb"):
    assert contents(str(made / name)) == contents(str(tmp_path / name))
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    "bakery.duckdb",
    "bakery.json",
    "tea_shop.json",
    "tea_shop.sqlite",
  ]


@pytest.mark.parametrize("name", ["tea_shop.sqlite", "bakery.duckdb"])
def test_each_question_has_an_answer(made, name):
  examples = json.loads((made / name).with_suffix(".json").read_text())
  assert len(examples) >= 40
  assert len({example["question"] for example in examples}) == len(examples)
  with open_database(str(made / name)) as database:
    results = database.execute_many([example["query"] for example in examples])
  assert [
    (e["query"], r.message) for e, r in zip(examples, results, strict=True) if not (r.ok and r.rows)
  ] == []
