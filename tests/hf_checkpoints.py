"""Small random Hugging Face checkpoints for tests, written with NumPy alone: names and shapes as
the format has them.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

VOCABULARY = 97

_SIZES = {
  "vocab_size": VOCABULARY,
  "hidden_size": 32,
  "intermediate_size": 48,
  "num_hidden_layers": 3,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "max_position_embeddings": 512,
  "rms_norm_eps": 1e-6,
  "hidden_act": "silu",
  "bos_token_id": 1,
  "eos_token_id": 2,
  "tie_word_embeddings": False,
}
_LLAMA3 = {
  "factor": 8.0,
  "low_freq_factor": 1.0,
  "high_freq_factor": 4.0,
  "original_max_position_embeddings": 32,
}
# One config for each option that changes numbers.
CONFIGS: dict[str, dict[str, Any]] = {
  "llama": {"model_type": "llama", "rope_theta": 500000.0},
  "llama_biases_llama3_rope": {
    "model_type": "llama",
    "attention_bias": True,
    "mlp_bias": True,
    "num_key_value_heads": 1,
    "rope_scaling": {"rope_type": "llama3", **_LLAMA3},
  },
  "deepseek_linear_rope": {
    "model_type": "llama",
    "num_key_value_heads": 4,
    "head_dim": 16,
    "rope_theta": 100000.0,
    "rope_scaling": {"type": "linear", "factor": 4.0},
  },
  "llama_new_spelling_yarn": {
    "model_type": "llama",
    "rope_parameters": {
      "rope_type": "yarn",
      "factor": 16.0,
      "original_max_position_embeddings": 32,
      "rope_theta": 20000.0,
    },
  },
  "qwen2": {
    "model_type": "qwen2",
    "rope_theta": 1000000.0,
    "sliding_window": 8,
    "use_sliding_window": False,
  },
  "qwen2_windows_in_upper_layers": {
    "model_type": "qwen2",
    "use_sliding_window": True,
    "sliding_window": 5,
    "max_window_layers": 1,
    "tie_word_embeddings": True,
  },
  "qwen3": {"model_type": "qwen3", "head_dim": 24, "rms_norm_eps": 1e-3, "attention_bias": True},
  "codellama_padded_vocabulary": {
    "model_type": "llama",
    "num_key_value_heads": 4,
    "rope_theta": 1e6,
    "vocab_size": 104,
  },
  "llama32_tied": {
    "model_type": "llama",
    "tie_word_embeddings": True,
    "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "llama3", **_LLAMA3, "factor": 32.0},
  },
  "qwen2_yarn": {
    "model_type": "qwen2",
    "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
  },
  "qwen3_layer_types": {
    "model_type": "qwen3",
    "head_dim": 12,
    "tie_word_embeddings": True,
    "use_sliding_window": True,
    "sliding_window": 9,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
  },
  "mistral_head_dim": {
    "model_type": "mistral",
    "sliding_window": None,
    "head_dim": 20,
    "num_key_value_heads": 1,
  },
  "mistral_window": {
    "model_type": "mistral",
    "sliding_window": 7,
    "hidden_act": "gelu",
    "rms_norm_eps": 1e-5,
  },
}


# Rotary positions as published models have them: head size, theta and scaling.
_LLAMA31 = {**_LLAMA3, "rope_type": "llama3", "original_max_position_embeddings": 8192}
ROPE: dict[str, tuple[int, float, dict[str, Any] | None]] = {
  "llama2": (128, 1e4, None),
  "llama3": (128, 5e5, None),
  "llama31": (128, 5e5, _LLAMA31),
  "llama32": (64, 5e5, {**_LLAMA31, "factor": 32.0}),
  "deepseek_coder": (128, 1e5, {"rope_type": "linear", "factor": 4.0}),
  "codellama": (128, 1e6, None),
  "qwen2_half_b": (64, 1e6, None),
  "qwen2_yarn": (
    128,
    1e6,
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
  ),
}


def rope_config(name: str, length: int = 32768) -> dict[str, Any]:
  """The config.json of a small Llama with one of the `ROPE`."""
  head_dim, theta, scaling = ROPE[name]
  more = {
    "head_dim": head_dim,
    "rope_theta": theta,
    "rope_scaling": scaling,
    "max_position_embeddings": length,
  }
  return {**_SIZES, "model_type": "llama", "num_hidden_layers": 2, **more}


def hf_config(name: str) -> dict[str, Any]:
  """The config.json of one of `CONFIGS`."""
  return {**_SIZES, **CONFIGS[name]}


def random_config(seed: int) -> dict[str, Any]:
  """A config.json drawn from all families and options, small in every size."""
  rng = np.random.default_rng(seed)
  pick = lambda *values: values[rng.integers(len(values))]  # noqa: E731
  family = pick("llama", "qwen2", "qwen3", "mistral")
  kv_heads = pick(1, 2, 3)
  heads = kv_heads * pick(1, 2, 3)
  layers = pick(1, 2, 3)
  hidden = heads * pick(4, 8, 10)
  config = {
    **_SIZES,
    "model_type": family,
    "vocab_size": pick(97, 101, 128),
    "hidden_size": hidden,
    "intermediate_size": pick(8, 24, 40),
    "num_hidden_layers": layers,
    "num_attention_heads": heads,
    "num_key_value_heads": kv_heads,
    "rms_norm_eps": pick(1e-6, 1e-5, 1e-2),
    "hidden_act": pick(
      "silu",
      "silu",
      "gelu",
      "gelu_new",
      "gelu_fast",
      "gelu_pytorch_tanh",
      "quick_gelu",
      "relu",
      "relu2",
    ),
    "tie_word_embeddings": pick(True, False),
    "max_position_embeddings": 256,
  }
  if family == "qwen3" or pick(True, False):
    config["head_dim"] = pick(6, 8, 16)
  if family in ("llama", "qwen3"):
    config["attention_bias"] = pick(True, False)
  if family == "llama":
    config["mlp_bias"] = pick(True, False)
  theta = float(pick(500, 10_000, 1_000_000))
  scaling = pick(
    None,
    {"type": "linear", "factor": pick(1.5, 4.0)},
    {
      "rope_type": "llama3",
      **_LLAMA3,
      "factor": pick(2.0, 32.0),
      "high_freq_factor": pick(2.0, 4.0),
    },
    {
      "rope_type": "yarn",
      "factor": pick(2.0, 8.0),
      "original_max_position_embeddings": pick(16, 64),
    },
    {
      "type": "yarn",
      "factor": 4.0,
      "beta_fast": 16,
      "beta_slow": 2,
      "truncate": pick(True, False),
      "attention_factor": 1.2,
    },
    {
      "rope_type": "yarn",
      "factor": 4.0,
      "mscale": 0.7,
      "mscale_all_dim": 1.0,
      "original_max_position_embeddings": 32,
    },
  )
  if pick(True, False):
    config |= {"rope_theta": theta, "rope_scaling": scaling}
  else:
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": theta, **(scaling or {})}
    if "type" in config["rope_parameters"]:
      config["rope_parameters"]["rope_type"] = config["rope_parameters"].pop("type")
  if family == "mistral":
    config["sliding_window"] = pick(None, 1, 5, 40)
  if family in ("qwen2", "qwen3"):
    config |= {
      "use_sliding_window": pick(True, True, False),
      "sliding_window": pick(1, 6, 30),
      "max_window_layers": pick(0, 1, 5),
    }
    if config["use_sliding_window"] and pick(True, False):
      config["layer_types"] = [pick("full_attention", "sliding_attention") for _ in range(layers)]
  return config


def random_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
  """Every tensor of a checkpoint of that config, float32.

  Weights are large, so that every option shows in the logits, but no layer triples its input:
  beyond that, rounding alone takes the float32 logits of transformers further from its float64 ones
  than the tests allow.
  """
  scale = min(0.3, 1.7 * config["hidden_size"] ** -0.5)
  rng = np.random.default_rng(seed)
  hidden, inner, family = config["hidden_size"], config["intermediate_size"], config["model_type"]
  head_dim = config.get("head_dim") or hidden // config["num_attention_heads"]
  queries, keys = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
  attention_bias = family == "qwen2" or config.get("attention_bias", False)
  shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
  for i in range(config["num_hidden_layers"]):
    layer = f"model.layers.{i}."
    kernels = {
      "self_attn.q_proj": (queries, hidden),
      "self_attn.k_proj": (keys, hidden),
      "self_attn.v_proj": (keys, hidden),
      "self_attn.o_proj": (hidden, queries),
      "mlp.gate_proj": (inner, hidden),
      "mlp.up_proj": (inner, hidden),
      "mlp.down_proj": (hidden, inner),
    }
    for name, shape in kernels.items():
      shapes[f"{layer}{name}.weight"] = shape
      has_bias = config.get("mlp_bias", False) if name.startswith("mlp") else attention_bias
      if has_bias and not (family == "qwen2" and name.endswith("o_proj")):
        shapes[f"{layer}{name}.bias"] = shape[:1]
    shapes[f"{layer}input_layernorm.weight"] = shapes[f"{layer}post_attention_layernorm.weight"] = (
      hidden,
    )
    if family == "qwen3":
      shapes[f"{layer}self_attn.q_norm.weight"] = shapes[f"{layer}self_attn.k_norm.weight"] = (
        head_dim,
      )
  shapes["model.norm.weight"] = (hidden,)
  if not config["tie_word_embeddings"]:
    shapes["lm_head.weight"] = (config["vocab_size"], hidden)
  tensors = {}
  for name, shape in shapes.items():
    values = rng.normal(size=shape) * scale
    tensors[name] = (values + 1 if "norm" in name else values).astype(np.float32)
  return tensors


def write_checkpoint(
  directory: pathlib.Path, config: dict[str, Any], tensors: dict[str, np.ndarray]
) -> pathlib.Path:
  """config.json and model.safetensors; returns the folder."""
  directory.mkdir(parents=True, exist_ok=True)
  (directory / "config.json").write_text(json.dumps(config))
  safetensors.numpy.save_file(
    tensors, str(directory / "model.safetensors"), metadata={"format": "pt"}
  )
  return directory


def random_tokens(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
  """int32 tokens, none of them special."""
  return np.random.default_rng(seed).integers(3, VOCABULARY, shape).astype(np.int32)


def quiet_transformers() -> None:
  """No progress bars, and no warnings of what the tests do on purpose."""
  try:
    import transformers
  except ImportError:
    return
  transformers.utils.logging.set_verbosity_error()
  transformers.utils.logging.disable_progress_bar()


def torch_model(directory: pathlib.Path, adapter: pathlib.Path | None = None) -> Any:
  """The model as transformers (and peft) load it, float32 on the CPU; skips the test where they are
  not installed.
  """
  torch = pytest.importorskip("torch", reason="torch is not installed")
  transformers = pytest.importorskip("transformers")
  # so small a model gains nothing by more, and loses much on a busy machine
  torch.set_num_threads(1)
  model, report = transformers.AutoModelForCausalLM.from_pretrained(
    str(directory), dtype=torch.float32, attn_implementation="eager", output_loading_info=True
  )
  assert (
    not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
  )
  if adapter is not None:
    model = pytest.importorskip("peft").PeftModel.from_pretrained(model, str(adapter))
  return model.eval()


def torch_logits(model: Any, tokens: np.ndarray) -> np.ndarray:
  """Logits [B, T, V] of a `torch_model`."""
  import torch

  with torch.no_grad():
    return model(torch.tensor(tokens)).logits.numpy()


def torch_greedy(model: Any, tokens: list[int], count: int, eos: int) -> list[int]:
  """The greedy continuation of one sequence by a `torch_model`."""
  import torch

  ids = torch.tensor([tokens])
  options = {"max_new_tokens": count, "do_sample": False, "eos_token_id": eos, "pad_token_id": eos}
  return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)[
    0, len(tokens) :
  ].tolist()
