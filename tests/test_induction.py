"""Random weights that copy before any training (`models.induction`)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.models import ModelConfig, init_params
from spftsql_jax.models.induction import induction_params
from spftsql_jax.models.transformer import Decoder
from spftsql_jax.pipeline.pretraining.copying import copying_units

CONFIG = ModelConfig.from_hf(
  {
    "model_type": "qwen2",
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
    "initializer_range": 0.04,
  }
)


def copied(params, length: int, lead: int = 0) -> float:
  """Share of the tokens of a random sequence's second coming that are among the two likeliest."""
  rng = np.random.default_rng(0)
  once = rng.integers(2, CONFIG.vocab_size, (4, length))
  tokens = np.concatenate([rng.integers(2, CONFIG.vocab_size, (4, lead)), once, once], axis=1)
  logits = Decoder(CONFIG).apply({"params": params}, jnp.asarray(tokens))
  likeliest = np.argsort(np.asarray(logits), axis=-1)[..., -2:]
  told = likeliest[:, lead + length : -1]
  return float((told == tokens[:, lead + length + 1 :, None]).any(-1).mean())


@pytest.mark.parametrize(("length", "lead"), [(24, 0), (60, 300)])
def test_a_sequence_that_comes_again_is_copied_before_any_training(length, lead):
  assert copied(induction_params(CONFIG, jax.random.key(0)), length, lead) > 0.4
  assert copied(init_params(CONFIG, jax.random.key(0)), length, lead) < 0.1


@pytest.mark.parametrize(
  "changed",
  [
    {"family": "llama", "attention_bias": False},
    {"tie_word_embeddings": True},
    {"num_hidden_layers": 1, "windows": (None,)},
    {"rope_theta": 10.0},
  ],
)
def test_a_model_without_room_for_the_heads_is_told(changed):
  with pytest.raises(ValueError, match="rope_theta far above"):
    induction_params(dataclasses.replace(CONFIG, **changed), jax.random.key(0))


def test_copying_units_are_runs_of_their_prefix():
  for unit in copying_units(20, range(2, 1000), 0, seed=3):
    branch = unit.branches[0]
    *said, end = branch.prompt + branch.answer
    assert end == 0
    assert set(said) <= set(branch.prefix)
    # Every place but a run's last goes on as the prefix does.
    pairs = set(zip(branch.prefix, branch.prefix[1:], strict=False))
    kept = sum(pair in pairs for pair in zip(said, said[1:], strict=False))
    assert kept >= len(said) / 2
