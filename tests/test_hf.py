"""Hugging Face folders in and out: the same function as in transformers, the same bytes, clear errors.

`python tests/test_hf.py` writes tests/data/hf_logits.npz anew from transformers, for runs without torch.
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

GOLDEN = pathlib.Path(__file__).parent / "data" / "hf_logits.npz"
SHAPES = ((1, 96), (3, 17))
TOLERANCE = 2e-4


@pytest.fixture(autouse=True)
def quiet_transformers():
  """transformers draws progress bars and warns of what we do on purpose."""
  try:
    import transformers
  except ImportError:
    return
  transformers.utils.logging.set_verbosity_error()
  transformers.utils.logging.disable_progress_bar()


def torch_logits(directory: pathlib.Path, tokens: np.ndarray, adapter: pathlib.Path | None = None) -> np.ndarray:
  """Logits of transformers (and peft) in float32 on the CPU."""
  torch = pytest.importorskip("torch", reason="torch is not installed")
  transformers = pytest.importorskip("transformers")
  model, report = transformers.AutoModelForCausalLM.from_pretrained(
    str(directory), dtype=torch.float32, attn_implementation="eager", output_loading_info=True
  )
  assert not report["missing_keys"] and not report["unexpected_keys"]
  if adapter is not None:
    model = pytest.importorskip("peft").PeftModel.from_pretrained(model, str(adapter))
  with torch.no_grad():
    return model.eval()(torch.tensor(tokens)).logits.numpy()


def make(tmp_path: pathlib.Path, name: str, **changes) -> pathlib.Path:
  config = checkpoints.hf_config(name) | changes
  return checkpoints.write_checkpoint(tmp_path / name, config, checkpoints.random_tensors(config))


@pytest.mark.parametrize("name", checkpoints.CONFIGS)
def test_logits_equal_those_recorded_from_transformers(name, tmp_path):
  model, params = load_hf(make(tmp_path, name))
  recorded = np.load(GOLDEN)[name]
  ours = next_token_logits(model, params, checkpoints.random_tokens(SHAPES[0]))[:, -recorded.shape[1] :]
  assert np.abs(recorded).max() > 1
  np.testing.assert_allclose(ours, recorded, atol=TOLERANCE)


@pytest.mark.parametrize("name", checkpoints.CONFIGS)
def test_logits_equal_those_of_transformers_before_and_after_export(name, tmp_path):
  directory = make(tmp_path, name)
  model, params = load_hf(directory)
  save_hf(tmp_path / "export", model.config, params, max_shard_bytes=40_000)
  assert len(list((tmp_path / "export").glob("*.safetensors"))) > 1
  tokens = checkpoints.random_tokens(SHAPES[1])
  ours = np.asarray(next_token_logits(model, params, tokens))
  np.testing.assert_allclose(ours, torch_logits(directory, tokens), atol=TOLERANCE)
  np.testing.assert_allclose(ours, torch_logits(tmp_path / "export", tokens), atol=TOLERANCE)


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


def test_bfloat16_computation_stays_near_float32(tmp_path):
  directory = make(tmp_path, "qwen2")
  tokens = checkpoints.random_tokens((2, 24))
  exact = np.asarray(next_token_logits(*load_hf(directory), tokens))
  rough = np.asarray(next_token_logits(*load_hf(directory, dtype="bfloat16"), tokens))
  assert rough.dtype == np.float32
  assert 0 < np.abs(rough - exact).mean() < 0.02 * np.abs(exact).max()


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
  (directory / "model.safetensors.index.json").write_text('{"weight_map": {"lm_head.weight": "gone.safetensors"}}')
  with pytest.raises(FileNotFoundError, match="gone.safetensors"):
    load_hf(directory)
  (directory / "config.json").unlink()
  with pytest.raises(FileNotFoundError, match="config.json"):
    load_hf(directory)


def random_adapter(config, lora):
  tree = init_lora(config, lora, jax.random.key(0))
  return jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(leaf.size), leaf.shape), tree)


def test_adapter_computes_the_same_in_peft_and_comes_back_unchanged(tmp_path):
  directory = make(tmp_path, "qwen2")
  model, params = load_hf(directory)
  lora = LoraConfig(rank=3, alpha=5.0, modules=("q", "v", "o", "down"))
  tree = random_adapter(model.config, lora)
  save_adapter(tmp_path / "adapter", model.config, lora, tree, base_model="base")
  tokens = checkpoints.random_tokens(SHAPES[1])
  adapted = jax.jit(Decoder(model.config, lora=lora).apply)({"params": params, "lora": tree}, tokens)
  assert np.abs(adapted - next_token_logits(model, params, tokens)).max() > 0.1
  merged = next_token_logits(model, merge(params, tree, lora), tokens)
  np.testing.assert_allclose(adapted, merged, atol=1e-4)
  again, back = load_adapter(tmp_path / "adapter", model.config)
  assert again == lora
  jax.tree.map(np.testing.assert_array_equal, back, tree)
  np.testing.assert_allclose(adapted, torch_logits(directory, tokens, tmp_path / "adapter"), atol=1e-4)


def test_adapters_that_do_not_fit_are_refused(tmp_path):
  model, _ = load_hf(make(tmp_path, "qwen2"))
  lora = LoraConfig(rank=3, modules=("q",))
  save_adapter(tmp_path / "a", model.config, lora, random_adapter(model.config, lora))
  with pytest.raises(ValueError, match="layers.3.self_attn.q_proj.lora_A.weight: missing"):
    load_adapter(tmp_path / "a", model.config.replace(num_hidden_layers=4, windows=()))
  path = tmp_path / "a" / "adapter_config.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"use_dora": True}))
  with pytest.raises(ValueError, match="use_dora"):
    load_adapter(tmp_path / "a", model.config)


if __name__ == "__main__":
  import tempfile

  logits = {}
  for config_name in checkpoints.CONFIGS:
    with tempfile.TemporaryDirectory() as folder:
      made = make(pathlib.Path(folder), config_name)
      logits[config_name] = torch_logits(made, checkpoints.random_tokens(SHAPES[0]))[:, -4:]
  GOLDEN.parent.mkdir(exist_ok=True)
  np.savez_compressed(GOLDEN, **logits)
