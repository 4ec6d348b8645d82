"""Pairs keep the opponent's log-probs with its version and a hash of the data; another opponent's
and changed ones are refused."""

import dataclasses
import types

import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.stages.self_play import Pair, StalePairs, read_pairs
from spftsql_jax.pipeline.workbench import data_hash


@pytest.fixture
def stored(tmp_path):
  journal = Journal(tmp_path, {})
  pairs = [
    Pair(Example("shop", f"how many {i}?", "SELECT 1"), "SELECT 2", float(i % 2), (-1.25 * i, -7.5))
    for i in range(3)
  ]
  file = journal.write_jsonl("pairs", map(dataclasses.asdict, pairs))
  yield (
    types.SimpleNamespace(journal=journal),
    {"file": file, "opponent": "sft", "hash": data_hash(pairs)},
    pairs,
  )
  journal.close()


def test_pairs_are_read_as_they_were_scored(stored):
  bench, played, pairs = stored
  assert read_pairs(bench, played, "sft") == pairs


def test_another_opponents_log_probs_are_refused(stored):
  bench, played, _ = stored
  with pytest.raises(StalePairs, match="not those of vbi_ft-1"):
    read_pairs(bench, played, "vbi_ft-1")


def test_changed_pairs_are_refused(stored):
  bench, played, pairs = stored
  changed = [dataclasses.replace(pairs[0], log_probs=(-0.5, -7.5)), *pairs[1:]]
  file = bench.journal.write_jsonl("pairs", map(dataclasses.asdict, changed))
  with pytest.raises(StalePairs, match="on this data"):
    read_pairs(bench, {**played, "file": file}, "sft")
