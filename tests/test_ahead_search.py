"""The cheapest slice and mesh that fit: what a search finds, and that it compiles no more than it
must; and the script, on devices of this machine.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from spftsql_jax.ahead.of_a_model import Programs
from spftsql_jax.ahead.programs import Workload
from spftsql_jax.ahead.search import Candidate, Measured, cheapest, meshes_of
from spftsql_jax.models import ModelConfig
from spftsql_jax.models.chips import Chip, read_chips
from spftsql_jax.training.optimizer import OptimizerConfig

ROOT = Path(__file__).resolve().parents[1]
MODEL = {
  "model_type": "qwen2",
  "hidden_size": 32,
  "intermediate_size": 64,
  "num_hidden_layers": 2,
  "num_attention_heads": 2,
  "num_key_value_heads": 2,
  "vocab_size": 4096,
  "max_position_embeddings": 512,
}
FREE = Chip("cpu", 1, 1e12, 1e12, 1e9, usd_an_hour=0)


def test_meshes_cut_whole_heads_and_no_chip_is_left_over():
  assert meshes_of(1, 2) == ["data:1,fsdp:1,tensor:1"]
  assert meshes_of(4, 2) == [
    "data:1,fsdp:4,tensor:1",
    "data:4,fsdp:1,tensor:1",
    "data:1,fsdp:2,tensor:2",
    "data:2,fsdp:1,tensor:2",
  ]
  assert "data:1,fsdp:2,tensor:8" in meshes_of(16, 8) and "tensor:16" not in str(meshes_of(16, 32))


@pytest.mark.parametrize("seed", range(30))
def test_a_search_finds_what_compiling_all_would(seed):
  random = np.random.default_rng(seed)
  candidates = [Candidate(f"v5e:{n}", "", n) for n in range(12)]
  steps = ("sft", "decode")[: random.integers(1, 3)]
  costs, floors, fits = {}, {}, {}
  for key in itertools.product(candidates, steps):
    floors[key] = None if random.random() < 0.2 else float(random.integers(1, 9))
    costs[key] = (floors[key] or 0.0) + float(random.integers(0, 5))
    fits[key] = floors[key] is not None and random.random() < 0.6
  asked = []

  def measure(candidate, step):
    asked.append((candidate, step))
    return Measured(fits[candidate, step], costs[candidate, step])

  found = cheapest(candidates, steps, lambda *key: floors[key], measure)
  sound = [c for c in candidates if all(fits[c, s] for s in steps)]
  total = {c: sum(costs[c, s] for s in steps) for c in sound}
  assert (found.candidate is None) == (not sound) and not found.ended
  assert not sound or total[found.candidate] == found.usd == min(total.values())
  # Nothing is compiled that was known to be too large, or too dear.
  assert len(set(asked)) == len(asked)
  assert all(floors[key] is not None for key in asked)
  assert found.tried + found.too_large + found.dearer == len(candidates)
  for candidate, _ in asked:
    assert sum(floors[candidate, s] for s in steps) <= found.usd


def test_a_search_that_may_compile_no_more_says_so():
  candidates = [Candidate("v5e:2x2", mesh, 4) for mesh in "abc"]
  left = iter([Measured(True, 5.0), None])
  found = cheapest(candidates, ("sft",), lambda *_: 1.0, lambda *_: next(left))
  assert found.ended and found.candidate == candidates[0] and found.tried == 1


@pytest.mark.parametrize(
  "text, told",
  [
    ("[[chip", "not TOML"),
    ("[[chips]]\n", "not chips as"),
    ("[[chip]]\nkind='x'\ncolour=1\n", "colour"),
    ("[[chip]]\nkind='x'\n", "memory_gib"),
  ],
)
def test_a_table_of_chips_that_is_none_is_refused(text, told, tmp_path):
  (tmp_path / "chips.toml").write_text(text)
  with pytest.raises(ValueError, match=told):
    read_chips(tmp_path / "chips.toml")


@pytest.mark.parametrize("chips, told", [([], "nothing is known"), ([FREE], "has no price of a")])
def test_a_search_needs_prices(chips, told):
  programs = Programs(
    ModelConfig.from_hf(MODEL),
    Workload(prefix=32),
    None,
    OptimizerConfig(),
    lambda _: jax.devices()[:1],
    chips,
  )
  with pytest.raises(ValueError, match=told):
    programs.least_usd(Candidate("cpu:1", "data:1", 1), "prefill")


CHIPS = """[[chip]]
kind = "cpu"
memory_gib = {gib}
products = 1e12
memory = 1e11
links = 1e10
usd_an_hour = 1
"""
SIZES = [
  "--prefix=32",
  "--prompt=8",
  "--answer=8",
  "--row_tokens=128",
  "--lanes=4",
  "--lora_rank=2",
]


def run(folder, *arguments, gib=1.0):
  """The script's result on devices of this machine: (exit code, last line as JSON, stderr)."""
  (folder / "config.json").write_text(json.dumps(MODEL))
  (folder / "chips.toml").write_text(CHIPS.format(gib=gib))
  command = [sys.executable, "experiments/compile_ahead.py", f"--chips={folder}/chips.toml"]
  command += [f"--model_config={folder}/config.json", *SIZES, *arguments]
  environment = os.environ | {"XLA_FLAGS": ""}
  done = subprocess.run(
    command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
  )
  told = json.loads(done.stdout.splitlines()[-1]) if done.stdout else None
  return done.returncode, told, done.stderr


def test_the_script_finds_the_cheapest_and_keeps_what_it_compiled(tmp_path):
  common = ["--search", "--topology=cpu:1,cpu:2", "--step=prefill", f"--kept={tmp_path}/kept"]
  code, found, errors = run(tmp_path, *common)
  assert code == 0, errors
  best = found["cheapest"]["prefill"]
  # One chip reads the weights once, two read them twice or wait for each other.
  assert best["topology"] == "cpu:1" and best["usd_for_1000_examples_at_least"] > 0
  kept = sorted((tmp_path / "kept").iterdir())
  assert best["tried"] == len(kept) and best["tried"] + best["cannot_be_cheaper"] == 4
  # A table of chips too small for anything: nothing is compiled.
  code, found, errors = run(tmp_path, *common, gib=1e-6)
  assert code == 1 and "no slice fits prefill" in errors.splitlines()[-1]
  assert found["cheapest"]["prefill"]["too_large"] == 4
  assert sorted((tmp_path / "kept").iterdir()) == kept


def test_the_script_fails_where_the_vocabulary_costs_much(tmp_path):
  # Each chip gathers its half of the embedding for every token.
  arguments = ["--topology=cpu:2", "--mesh=fsdp:2", "--step=decode", f"--kept={tmp_path}/kept"]
  code, found, errors = run(tmp_path, *arguments)
  assert code == 0 and found["fits"], errors
  code, found, errors = run(tmp_path, *arguments, "--check")
  assert code == 1 and "the vocabulary is" in errors.splitlines()[-1], (found, errors)
