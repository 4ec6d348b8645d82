"""Hugging Face folders in and out: the same bytes, the same adapters as peft, and errors that name
what does not fit.
"""

from __future__ import annotations

import json
import pathlib
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hf_checkpoints as checkpoints

from spftsql_jax.generation import Generator, Request
from spftsql_jax.models import (
  Decoder,
  LoraConfig,
  init_lora,
  load_adapter,
  load_hf,
  merge,
  next_token_logits,
  save_adapter,
  save_hf,
)


@pytest.fixture(autouse=True)
def quiet_transformers():
  """transformers draws progress bars and warns of what we do on purpose."""
  checkpoints.quiet_transformers()


def make(tmp_path: pathlib.Path, name: str, **changes) -> pathlib.Path:
  config = checkpoints.hf_config(name) | changes
  return checkpoints.write_checkpoint(tmp_path / name, config, checkpoints.random_tensors(config))


@pytest.mark.parametrize(
  "name", [name for name in checkpoints.CONFIGS if name != "llama_new_spelling_yarn"]
)
def test_round_trip_keeps_every_byte_and_the_config(name, tmp_path):
  config = checkpoints.hf_config(name)
  tensors = checkpoints.random_tensors(config)
  model, params = load_hf(
    checkpoints.write_checkpoint(tmp_path / "in", config, tensors), dtype=None
  )
  save_hf(tmp_path / "out", model.config, params, max_shard_bytes=20_000)
  written = {}
  for path in (tmp_path / "out").glob("*.safetensors"):
    written |= safetensors.numpy.load_file(path)
  assert written.keys() == tensors.keys()
  for key, value in tensors.items():
    np.testing.assert_array_equal(written[key], value, err_msg=key)
  again, _ = load_hf(tmp_path / "out", dtype=None)
  assert again.config == model.config


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_round_trip_keeps_every_byte(dtype, tmp_path):
  config = checkpoints.hf_config("qwen3") | {"torch_dtype": dtype}
  kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
  tensors = {name: value.astype(kind) for name, value in checkpoints.random_tensors(config).items()}
  directory = checkpoints.write_checkpoint(tmp_path / "in", config, tensors)
  model, params = load_hf(directory, dtype=None)
  assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {kind}
  save_hf(tmp_path / "one", model.config, params)
  save_hf(tmp_path / "many", model.config, params, max_shard_bytes=5_000)
  model, params = load_hf(tmp_path / "many", dtype=None)
  save_hf(tmp_path / "again", model.config, params)
  for folder in ("one", "again"):
    written = safetensors.numpy.load_file(tmp_path / folder / "model.safetensors")
    assert written.keys() == tensors.keys()
    for name, value in tensors.items():
      assert written[name].dtype == kind and written[name].tobytes() == value.tobytes(), name
    exported = json.loads((tmp_path / folder / "config.json").read_text())
    assert exported["torch_dtype"] == dtype
    assert exported.items() >= {k: v for k, v in config.items() if k != "rope_theta"}.items()


def test_export_replaces_an_older_one(tmp_path):
  model, params = load_hf(make(tmp_path, "llama"))
  save_hf(tmp_path / "out", model.config, params, max_shard_bytes=5_000)
  save_hf(tmp_path / "out", model.config, params)
  assert [p.name for p in sorted((tmp_path / "out").glob("model*"))] == ["model.safetensors"]


def test_tied_checkpoint_that_repeats_its_embedding_loads(tmp_path):
  config = checkpoints.hf_config("qwen2_windows_in_upper_layers")
  tensors = checkpoints.random_tensors(config)
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(4, np.float32)
  load_hf(checkpoints.write_checkpoint(tmp_path, config, tensors))


def test_missing_extra_and_misshapen_tensors_are_all_listed(tmp_path):
  config = checkpoints.hf_config("llama")
  tensors = checkpoints.random_tensors(config)
  del tensors["model.layers.1.mlp.up_proj.weight"]
  tensors["model.layers.7.mlp.up_proj.weight"] = np.zeros((48, 32), np.float32)
  tensors["model.norm.weight"] = np.ones(31, np.float32)
  with pytest.raises(ValueError) as error:
    load_hf(checkpoints.write_checkpoint(tmp_path, config, tensors))
  message = str(error.value)
  assert "missing: model.layers.1.mlp.up_proj.weight" in message
  assert "extra: model.layers.7.mlp.up_proj.weight" in message
  assert "model.norm.weight is (31,), expected (32,)" in message


def test_absent_and_broken_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="no model folder"):
    load_hf(tmp_path / "nowhere")
  directory = make(tmp_path, "llama")
  (directory / "model.safetensors").write_bytes(b"\x00" * 5)
  with pytest.raises(ValueError, match="model.safetensors"):
    load_hf(directory)
  (directory / "model.safetensors").unlink()
  with pytest.raises(FileNotFoundError, match="model.safetensors"):
    load_hf(directory)
  (directory / "model.safetensors.index.json").write_text(
    '{"weight_map": {"lm_head.weight": "gone.safetensors"}}'
  )
  with pytest.raises(FileNotFoundError, match="gone.safetensors"):
    load_hf(directory)
  (directory / "config.json").unlink()
  with pytest.raises(FileNotFoundError, match="config.json"):
    load_hf(directory)


def random_adapter(config, lora):
  tree = init_lora(config, lora, jax.random.key(0))
  return jax.tree.map(
    lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(leaf.size), leaf.shape), tree
  )


@pytest.mark.parametrize("name", ["qwen2", "mistral_window"])
def test_adapter_computes_the_same_in_peft_and_merged_in_transformers(name, tmp_path):
  """Logits to 1e-4 and 64 greedy tokens (many windows long), of the adapter beside its base and of
  the merged export.
  """
  directory = make(tmp_path, name, num_hidden_layers=2)
  base, params = load_hf(directory)
  lora = LoraConfig(rank=3, alpha=5.0, modules=("q", "v", "o", "down"))
  tree = random_adapter(base.config, lora)
  model = Decoder(base.config, lora=lora)
  save_adapter(tmp_path / "adapter", base.config, lora, tree, base_model="base")
  save_hf(tmp_path / "merged", base.config, merge(params, tree, lora))
  again, back = load_adapter(tmp_path / "adapter", base.config)
  assert again == lora
  jax.tree.map(np.testing.assert_array_equal, back, tree)

  tokens = checkpoints.random_tokens((3, 17))
  adapted = jax.jit(model.apply)({"params": params, "lora": tree}, tokens)
  assert np.abs(adapted - next_token_logits(base, params, tokens)).max() > 0.1
  np.testing.assert_allclose(
    next_token_logits(base, merge(params, tree, lora), tokens), adapted, atol=1e-4
  )
  beside = checkpoints.torch_model(directory, tmp_path / "adapter")
  merged = checkpoints.torch_model(tmp_path / "merged")
  np.testing.assert_allclose(adapted, checkpoints.torch_logits(beside, tokens), atol=1e-4)
  np.testing.assert_allclose(adapted, checkpoints.torch_logits(merged, tokens), atol=1e-4)

  rows = checkpoints.random_tokens((3, 20), seed=5).tolist()
  requests = [Request(tuple(row[:12]), tuple(row[12:])) for row in rows]
  answers = Generator(model, lanes=4).generate(
    params, requests, max_new_tokens=64, eos_id=0, lora=tree
  )
  assert len({token for answer in answers for token in answer.tokens}) > 10
  for row, answer in zip(rows, answers, strict=True):
    for reference in (beside, merged):
      assert checkpoints.torch_greedy(reference, row, 64, eos=0) == list(answer.tokens)


def test_an_adapter_that_peft_wrote_computes_the_same(tmp_path):
  torch = pytest.importorskip("torch", reason="torch is not installed")
  peft = pytest.importorskip("peft")
  directory = make(tmp_path, "qwen3", num_hidden_layers=2)
  options = peft.LoraConfig(
    r=4, lora_alpha=6, target_modules=["q_proj", "o_proj", "gate_proj"], task_type="CAUSAL_LM"
  )
  theirs = peft.get_peft_model(checkpoints.torch_model(directory), options).eval()
  torch.manual_seed(0)
  for key, value in theirs.named_parameters():
    if "lora_B" in key:
      value.data.normal_(std=0.2)
  theirs.save_pretrained(str(tmp_path / "adapter"))
  base, params = load_hf(directory)
  lora, tree = load_adapter(tmp_path / "adapter", base.config)
  assert lora == LoraConfig(rank=4, alpha=6.0, modules=("q", "o", "gate"))
  tokens = checkpoints.random_tokens((2, 17))
  ours = jax.jit(Decoder(base.config, lora=lora).apply)({"params": params, "lora": tree}, tokens)
  np.testing.assert_allclose(ours, checkpoints.torch_logits(theirs, tokens), atol=1e-4)
  assert np.abs(ours - next_token_logits(base, params, tokens)).max() > 0.1


def test_adapters_that_do_not_fit_are_refused(tmp_path):
  model, _ = load_hf(make(tmp_path, "qwen2"))
  lora = LoraConfig(rank=3, modules=("q",))
  save_adapter(tmp_path / "a", model.config, lora, random_adapter(model.config, lora))
  with pytest.raises(ValueError, match="layers.3.self_attn.q_proj.lora_A.weight: missing"):
    load_adapter(tmp_path / "a", model.config.replace(num_hidden_layers=4, windows=()))
  path = tmp_path / "a" / "adapter_config.json"
  written = json.loads(path.read_text())
  for change in (
    {"use_dora": True},
    {"init_lora_weights": "pissa"},
    {"alora_invocation_tokens": [3]},
    {"target_modules": "all-linear"},
  ):
    path.write_text(json.dumps(written | change))
    with pytest.raises(ValueError, match=next(iter(change))):
      load_adapter(tmp_path / "a", model.config)
