"""Small GGUF files for tests, written by the `gguf` package as llama.cpp's converter writes
them.
"""

from __future__ import annotations

import pathlib
from typing import Any

import gguf
import numpy as np

_PARTS = {
  "input_layernorm": "attn_norm",
  "post_attention_layernorm": "ffn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
}
_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name: str) -> str:
  """llama.cpp's name of a Hugging Face tensor."""
  stem, _, kind = name.rpartition(".")
  if stem in _TOP:
    return f"{_TOP[stem]}.{kind}"
  _, _, layer, part = stem.split(".", 3)
  return f"blk.{layer}.{_PARTS[part]}.{kind}"


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
  """Rows of a query or key product as llama.cpp orders them for Llama: rotary pairs side by
  side.
  """
  halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
  return halves.swapaxes(1, 2).reshape(values.shape)


def write_gguf(
  path: pathlib.Path,
  config: dict[str, Any],
  tensors: dict[str, np.ndarray],
  tokenizer: Any = None,
  kind: str = "F32",
  extra: dict[str, np.ndarray] | None = None,
) -> pathlib.Path:
  """A file of that config.json and those Hugging Face tensors, matrices stored as `kind`; returns
  its path.
  """
  architecture = {"mistral": "llama"}.get(config["model_type"], config["model_type"])
  writer = gguf.GGUFWriter(str(path), architecture)
  writer.add_block_count(config["num_hidden_layers"])
  writer.add_context_length(config["max_position_embeddings"])
  writer.add_embedding_length(config["hidden_size"])
  writer.add_feed_forward_length(config["intermediate_size"])
  writer.add_head_count(config["num_attention_heads"])
  writer.add_head_count_kv(config["num_key_value_heads"])
  writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
  writer.add_rope_freq_base(config.get("rope_theta", 10_000.0))
  head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
  writer.add_key_length(head_dim)
  writer.add_value_length(head_dim)
  writer.add_rope_dimension_count(head_dim)
  if tokenizer is not None:
    _add_tokenizer(writer, tokenizer)
  heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
  for name, values in tensors.items():
    part = name.split(".")[-2]
    if architecture == "llama" and part in heads:
      values = interleaved(values, heads[part])
    _add(writer, gguf_name(name), values, kind if values.ndim > 1 else "F32")
  for name, values in (extra or {}).items():
    writer.add_tensor(name, values)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def _add(writer: gguf.GGUFWriter, name: str, values: np.ndarray, kind: str) -> None:
  if kind == "F32":
    writer.add_tensor(name, values)
  elif kind == "F16":
    writer.add_tensor(name, values.astype(np.float16))
  else:
    stored = gguf.GGMLQuantizationType[kind]
    try:
      blocks = gguf.quants.quantize(values, stored)
    except NotImplementedError:
      # The package reads these kinds but does not write them: bytes at random are a tensor too.
      shape = gguf.quant_shape_to_byte_shape(values.shape, stored)
      blocks = np.random.default_rng(values.size).integers(0, 60, shape).astype(np.uint8)
    writer.add_tensor(name, blocks, raw_dtype=stored)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
  import json

  record = json.loads(tokenizer.backend_tokenizer.to_str())
  tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
  special = set(tokenizer.all_special_tokens)
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre("qwen2")
  writer.add_token_list(tokens)
  writer.add_token_types([3 if token in special else 1 for token in tokens])
  writer.add_token_merges([" ".join(merge) for merge in record["model"]["merges"]])
  writer.add_eos_token_id(tokenizer.eos_token_id)
  writer.add_pad_token_id(tokenizer.pad_token_id)
  if tokenizer.chat_template:
    writer.add_chat_template(tokenizer.chat_template)
