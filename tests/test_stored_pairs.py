"""Pairs keep the opponent's log-probs with its version and a hash of the data; another opponent's
and changed ones are refused."""

import dataclasses

import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.journal import Journal, data_hash
from spftsql_jax.pipeline.records import Pair, Played
from spftsql_jax.pipeline.stages.play import StalePairs, read_pairs


@pytest.fixture
def stored(tmp_path):
  journal = Journal(tmp_path, {})
  pairs = [
    Pair(Example("shop", f"how many {i}?", "SELECT 1"), "SELECT 2", float(i % 2), (-1.25 * i, -7.5))
    for i in range(3)
  ]
  file = journal.write_records("pairs", pairs)
  yield journal, Played(file, "sft", data_hash(pairs), 3, 0, reward_rate=1 / 3), pairs
  journal.close()


def test_pairs_are_read_as_they_were_scored(stored):
  journal, played, pairs = stored
  assert read_pairs(journal, played, "sft") == pairs


def test_another_opponents_log_probs_are_refused(stored):
  journal, played, _ = stored
  with pytest.raises(StalePairs, match="not those of vbi_ft-1"):
    read_pairs(journal, played, "vbi_ft-1")


def test_changed_pairs_are_refused(stored):
  journal, played, pairs = stored
  changed = [dataclasses.replace(pairs[0], log_probs=(-0.5, -7.5)), *pairs[1:]]
  file = journal.write_records("pairs", changed)
  with pytest.raises(StalePairs, match="on this data"):
    read_pairs(journal, dataclasses.replace(played, file=file), "sft")
