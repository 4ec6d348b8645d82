"""The same numbers as transformers: logits to 2e-4 and log-probs of 64-token answers to 1e-3, for
every family and option.

`python tests/test_models_parity.py` writes tests/data/hf_logits.npz anew from transformers: what
runs without torch compares with that. SPFTSQL_PARITY_CONFIGS=N draws so many random configs instead
of a few.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

import numpy as np
import pytest
import scipy.special

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hf_checkpoints as checkpoints

from spftsql_jax.examples.batches import Branch
from spftsql_jax.generation import Generator
from spftsql_jax.models import ModelConfig, load_hf, next_token_logits, save_hf
from spftsql_jax.models.attention import rope_frequencies

GOLDEN = pathlib.Path(__file__).parent / "data" / "hf_logits.npz"
# One shape for all fixed configs: each is compiled once. Random configs have random shapes.
SHAPE = (2, 96)
ANSWER = 64
RECORDED = 4
LOGITS, LOG_PROBS = 2e-4, 1e-3
RANDOM_CONFIGS = int(os.environ.get("SPFTSQL_PARITY_CONFIGS", "10"))


@pytest.fixture(autouse=True)
def quiet_transformers():
  checkpoints.quiet_transformers()


def make(tmp_path: pathlib.Path, config: dict) -> pathlib.Path:
  return checkpoints.write_checkpoint(
    tmp_path / "model", config, checkpoints.random_tensors(config)
  )


def answer_log_probs(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
  """Summed log-probs, in float64, of the last ANSWER tokens of each sequence: [B]."""
  rows = scipy.special.log_softmax(logits[:, -ANSWER - 1 : -1].astype(np.float64), axis=-1)
  return np.take_along_axis(rows, tokens[:, -ANSWER:, None], axis=-1).sum(axis=(1, 2))


@pytest.mark.parametrize("name", checkpoints.CONFIGS)
def test_logits_and_log_probs_are_those_recorded_from_transformers(name, tmp_path):
  model, params = load_hf(make(tmp_path, checkpoints.hf_config(name)))
  tokens = checkpoints.random_tokens(SHAPE)
  logits = np.asarray(next_token_logits(model, params, tokens))
  recorded = np.load(GOLDEN)
  assert np.abs(recorded[name]).max() > 1
  np.testing.assert_allclose(logits[:, -RECORDED:], recorded[name], atol=LOGITS)
  np.testing.assert_allclose(
    answer_log_probs(logits, tokens), recorded[f"{name}/log_probs"], atol=LOG_PROBS
  )


@pytest.mark.parametrize("name", checkpoints.ROPE)
def test_rotary_angles_are_those_recorded_from_transformers_at_position_32768(name):
  frequencies, factor = rope_frequencies(ModelConfig.from_hf(checkpoints.rope_config(name)))
  recorded = np.load(GOLDEN)
  np.testing.assert_allclose(frequencies * 32768, recorded[f"rope/{name}"] * 32768, atol=2e-6)
  assert factor == pytest.approx(float(recorded[f"rope/{name}/factor"]), rel=1e-7)


@pytest.mark.parametrize("name", ["llama31", "deepseek_coder"])
def test_logits_of_2000_tokens_are_those_of_transformers(name, tmp_path):
  directory = make(tmp_path, checkpoints.rope_config(name))
  tokens = checkpoints.random_tokens((1, 2000))
  theirs = checkpoints.torch_logits(checkpoints.torch_model(directory), tokens)
  np.testing.assert_allclose(next_token_logits(*load_hf(directory), tokens), theirs, atol=LOGITS)


@pytest.mark.parametrize("name", checkpoints.CONFIGS)
def test_an_export_has_the_logits_and_log_probs_in_transformers(name, tmp_path):
  model, params = load_hf(make(tmp_path, checkpoints.hf_config(name)))
  save_hf(tmp_path / "export", model.config, params, max_shard_bytes=40_000)
  assert len(list((tmp_path / "export").glob("*.safetensors"))) > 1
  tokens = checkpoints.random_tokens(SHAPE)
  ours = np.asarray(next_token_logits(model, params, tokens))
  theirs = checkpoints.torch_logits(checkpoints.torch_model(tmp_path / "export"), tokens)
  np.testing.assert_allclose(ours, theirs, atol=1e-4)
  np.testing.assert_allclose(
    answer_log_probs(ours, tokens), answer_log_probs(theirs, tokens), atol=LOG_PROBS
  )


@pytest.mark.parametrize("name", ["qwen2_windows_in_upper_layers", "qwen3"])
def test_scores_of_branches_over_a_shared_prefix_are_those_of_transformers(name, tmp_path):
  directory = make(tmp_path, checkpoints.hf_config(name))
  model, params = load_hf(directory)
  tokens = checkpoints.random_tokens((3, 120))
  tokens[:, :40] = tokens[0, :40]
  branches = [
    Branch(tuple(row[:40]), tuple(row[40:-ANSWER]), tuple(row[-ANSWER:])) for row in tokens.tolist()
  ]
  ours = Generator(model, lanes=4).score(params, branches)
  theirs = answer_log_probs(
    checkpoints.torch_logits(checkpoints.torch_model(directory), tokens), tokens
  )
  np.testing.assert_allclose(ours, theirs, atol=LOG_PROBS)


@pytest.mark.parametrize("seed", range(RANDOM_CONFIGS))
def test_random_configs_give_the_logits_of_transformers(seed, tmp_path):
  config = checkpoints.random_config(seed)
  rng = np.random.default_rng(seed)
  tokens = checkpoints.random_tokens((int(rng.integers(1, 4)), int(rng.integers(1, 130))), seed)
  directory = make(tmp_path, config)
  model, params = load_hf(directory)
  ours = np.asarray(next_token_logits(model, params, tokens))
  theirs = checkpoints.torch_logits(checkpoints.torch_model(directory), tokens)
  np.testing.assert_allclose(ours, theirs, atol=LOGITS, err_msg=str(config))
  if seed % 2:
    save_hf(tmp_path / "export", model.config, params)
    exported = checkpoints.torch_logits(checkpoints.torch_model(tmp_path / "export"), tokens)
    np.testing.assert_allclose(exported, theirs, atol=1e-6, err_msg=str(config))


def test_a_head_that_a_config_calls_tied_but_is_not_is_kept(tmp_path):
  """transformers does not tie what a checkpoint holds twice with different values."""
  config = checkpoints.hf_config("llama32_tied") | {"num_hidden_layers": 1}
  tensors = checkpoints.random_tensors(config)
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"][::-1].copy()
  directory = checkpoints.write_checkpoint(tmp_path, config, tensors)
  model, params = load_hf(directory)
  assert not model.config.tie_word_embeddings
  tokens = checkpoints.random_tokens((1, 9))
  theirs = checkpoints.torch_logits(checkpoints.torch_model(directory), tokens)
  np.testing.assert_allclose(next_token_logits(model, params, tokens), theirs, atol=LOGITS)


def test_bfloat16_computation_stays_near_float32(tmp_path):
  directory = make(tmp_path, checkpoints.hf_config("qwen2"))
  tokens = checkpoints.random_tokens(SHAPE)
  exact = np.asarray(next_token_logits(*load_hf(directory), tokens))
  rough = np.asarray(next_token_logits(*load_hf(directory, dtype="bfloat16"), tokens))
  assert rough.dtype == np.float32
  assert 0 < np.abs(rough - exact).mean() < 0.02 * np.abs(exact).max()


if __name__ == "__main__":
  checkpoints.quiet_transformers()
  recorded = {}
  for config_name in checkpoints.CONFIGS:
    with tempfile.TemporaryDirectory() as folder:
      reference = checkpoints.torch_model(
        make(pathlib.Path(folder), checkpoints.hf_config(config_name))
      )
    ids = checkpoints.random_tokens(SHAPE)
    logits = checkpoints.torch_logits(reference, ids)
    recorded[config_name] = logits[:, -RECORDED:]
    recorded[f"{config_name}/log_probs"] = answer_log_probs(logits, ids)
  for rope_name in checkpoints.ROPE:
    with tempfile.TemporaryDirectory() as folder:
      reference = checkpoints.torch_model(
        make(pathlib.Path(folder), checkpoints.rope_config(rope_name))
      )
    rotary = reference.model.rotary_emb
    recorded[f"rope/{rope_name}"] = rotary.inv_freq.numpy()
    recorded[f"rope/{rope_name}/factor"] = np.float64(rotary.attention_scaling)
  GOLDEN.parent.mkdir(exist_ok=True)
  np.savez_compressed(GOLDEN, **recorded)
