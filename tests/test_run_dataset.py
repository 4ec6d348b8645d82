"""What a run synthesized, as `datasets` reads it."""

from __future__ import annotations

import json

import pytest

from spftsql_jax.pipeline.run_dataset import write_run_dataset

datasets = pytest.importorskip("datasets")


def example(number):
  return {"db_id": "d", "question": f"q{number}?", "query": f"SELECT {number}", "template": "t"}


def test_a_run_is_written_as_it_was_trained(tmp_path):
  files = {
    "data/round_1-train-aa.jsonl": [1, 2],
    "data/round_2-train-bb.jsonl": [3],
    "data/selection-cc.jsonl": [4],
    "data/round_1-train-old.jsonl": [9],  # Of a stage that was done again: no step names it.
    "data/self_play-iteration_1-dd.jsonl": [8],
  }
  run = tmp_path / "run"
  (run / "data").mkdir(parents=True)
  for name, numbers in files.items():
    (run / name).write_text("".join(json.dumps(example(n)) + "\n" for n in numbers))
  steps = [
    {"step": "data", "output": {"selection": "data/selection-cc.jsonl"}},
    {"step": "one", "output": {"parts": [{"file": "data/round_1-train-aa.jsonl"}]}},
    {"step": "two", "output": {"file": "data/round_2-train-bb.jsonl"}},
    {"step": "pairs", "output": {"file": "data/self_play-iteration_1-dd.jsonl"}},
  ]
  (run / "journal.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
  for _ in range(2):  # It takes the place of an older one.
    assert write_run_dataset(run, tmp_path / "set") == {"train": 3, "selection": 1}
  found = datasets.load_from_disk(str(tmp_path / "set"))
  assert found["train"]["question"][:] == ["q1?", "q2?", "q3?"]
