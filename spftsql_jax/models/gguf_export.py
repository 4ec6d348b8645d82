"""Hugging Face model folders to GGUF files, as llama.cpp and what is built on it load them."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from spftsql_jax.examples.special_ids import joined_ids, read_end_ids
from spftsql_jax.files import replacing
from spftsql_jax.models.attention import rope_frequencies
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.gguf import REORDERED, ROPE_DIVISORS, GgufError, gguf_name
from spftsql_jax.models.tensor_files import TensorFiles

Kind = Literal["F32", "F16", "Q8_0"]
KINDS: tuple[Kind, ...] = ("F32", "F16", "Q8_0")
# What llama.cpp calls a mixture that is mostly of a kind.
_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}
_BLOCK = 32  # values that share a scale in Q8_0
# Kinds of tokens in llama.cpp.
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
# Names of llama.cpp's ways of cutting text, where several stand for the same one.
_PREFERRED_CUTS = ("qwen2", "llama-bpe", "tekken", "gpt-4o")


def export_gguf(folder: str | os.PathLike, path: str | os.PathLike, kind: Kind = "F16") -> None:
  """Writes a Hugging Face model folder as one GGUF file, with tokenizer and chat template.

  Args:
    folder: config.json, safetensors and tokenizer files; weights are read a tensor at a time.
    path: the file; replaced when it is complete.
    kind: of the matrices; norms and biases stay float32. Rows that are no multiple of 32 long stay
      float16 under Q8_0, as llama.cpp has it.

  Raises:
    FileNotFoundError: the folder lacks something.
    GgufError: llama.cpp cannot compute the model, or cannot cut text as its tokenizer does.
    ValueError: the folder's config is not supported.
  """
  from gguf import GGUFWriter

  folder, path = pathlib.Path(folder), pathlib.Path(path)
  config = ModelConfig.from_hf(folder)
  if set(config.windows) != {None}:
    raise GgufError(f"{folder}: llama.cpp computes no sliding windows for a {config.family} model")
  if config.family == "qwen3" and config.attention_bias:
    raise GgufError(
      f"{folder}: llama.cpp has no place for the biases of attention in a qwen3 model"
    )
  with replacing(path) as part:
    writer = GGUFWriter(str(part), "llama" if config.family in REORDERED else config.family)
    _add_config(writer, folder, config, kind)
    _add_tokenizer(writer, folder, config)
    with TensorFiles.of_model(folder) as tensors:
      _write_tensors(writer, config, tensors, kind)
    writer.close()


def _add_config(writer: Any, folder: pathlib.Path, config: ModelConfig, kind: Kind) -> None:
  writer.add_name(folder.resolve().name)
  writer.add_file_type(_FILE_TYPES[kind])
  writer.add_block_count(config.num_hidden_layers)
  writer.add_context_length(config.max_position_embeddings)
  writer.add_embedding_length(config.hidden_size)
  writer.add_feed_forward_length(config.intermediate_size)
  writer.add_head_count(config.num_attention_heads)
  writer.add_head_count_kv(config.num_key_value_heads)
  writer.add_key_length(config.head_dim)
  writer.add_value_length(config.head_dim)
  writer.add_layer_norm_rms_eps(config.rms_norm_eps)
  writer.add_rope_freq_base(config.rope_theta)
  writer.add_rope_dimension_count(config.head_dim)
  writer.add_vocab_size(config.vocab_size)
  scaling = config.rope_scaling
  if scaling is not None and scaling.kind != "llama3":
    from gguf import RopeScalingType

    writer.add_rope_scaling_type(RopeScalingType(scaling.kind))
    writer.add_rope_scaling_factor(scaling.factor)
    if scaling.original_max_position_embeddings:
      writer.add_rope_scaling_orig_ctx_len(scaling.original_max_position_embeddings)


def _add_tokenizer(writer: Any, folder: pathlib.Path, config: ModelConfig) -> None:
  from transformers import AutoTokenizer

  try:
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    record = json.loads(tokenizer.backend_tokenizer.to_str())
  except (OSError, ValueError, KeyError, AttributeError) as error:
    raise GgufError(
      f"{folder}: no fast tokenizer can be read there ({str(error).splitlines()[0]})"
    ) from error
  if record["model"]["type"] != "BPE" or record["model"].get("byte_fallback"):
    raise GgufError(f"{folder}: only byte-level BPE tokenizers are written to GGUF")
  by_id = {place: token for token, place in tokenizer.get_vocab().items()}
  added = {
    place: _CONTROL if t.special else _USER_DEFINED
    for place, t in tokenizer.added_tokens_decoder.items()
  }
  places = range(max(config.vocab_size, max(by_id) + 1))
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre(_name_of_cut(folder, record["pre_tokenizer"]))
  writer.add_token_list([by_id.get(place, f"[PAD{place}]") for place in places])
  writer.add_token_types([added.get(p, _NORMAL) if p in by_id else _UNUSED for p in places])
  merges = record["model"]["merges"]
  writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
  # What training ended answers with stands first in an export's generation config. llama.cpp stops
  # at each of these three.
  ends = read_end_ids(folder) or joined_ids(tokenizer.eos_token_id)
  for add, place in zip(
    (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), ends, strict=False
  ):
    add(place)
  if tokenizer.bos_token_id is not None:
    writer.add_bos_token_id(tokenizer.bos_token_id)
  if tokenizer.pad_token_id is not None:
    writer.add_pad_token_id(tokenizer.pad_token_id)
  # Prompts are complete as they are written; a token in front would make others of them.
  writer.add_add_bos_token(False)
  writer.add_add_space_prefix(False)
  if tokenizer.chat_template:
    writer.add_chat_template(tokenizer.chat_template)


def _name_of_cut(folder: pathlib.Path, record: dict[str, Any] | None) -> str:
  """llama.cpp's name of a byte-level tokenizer's way of cutting text before merges."""
  from transformers.integrations.gguf import gguf_tokenizer_mapping as mapping

  steps = (record or {}).get("pretokenizers", [record or {}])
  kinds = [step.get("type") for step in steps]
  splits = [step["pattern"].get("Regex") for step in steps if step.get("type") == "Split"]
  if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
    return "gpt-2"
  if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"]:
    return "smollm"
  if kinds == ["Split", "ByteLevel"]:
    for name in (*_PREFERRED_CUTS, *mapping.GGUF_PRE_TOKENIZER_SPLITS):
      if mapping.GGUF_PRE_TOKENIZER_SPLITS.get(name) == splits[0]:
        return name
  raise GgufError(f"{folder}: llama.cpp has no name for the way its tokenizer cuts text ({record})")


def _write_tensors(writer: Any, config: ModelConfig, tensors: TensorFiles, kind: Kind) -> None:
  """Declares all tensors, then writes them one at a time."""
  plans = list(_plans(config, tensors, kind))
  for name, shape, stored, _ in plans:
    _declare(writer, name, shape, stored)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_ti_data_to_file()
  for _, _, stored, make in plans:
    writer.write_tensor_data(_stored(make(), stored))


def _plans(
  config: ModelConfig, tensors: TensorFiles, kind: Kind
) -> Iterator[tuple[str, tuple[int, ...], str, Any]]:
  """(llama.cpp's name, shape, stored kind, what makes the float32 array) of each tensor."""
  heads = {}
  if config.family in REORDERED:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
  for name in sorted(tensors.names()):
    if name == "lm_head.weight" and config.tie_word_embeddings:
      continue
    shape = tensors.shape(name)
    stored = "F32" if len(shape) == 1 else kind
    if stored == "Q8_0" and shape[-1] % _BLOCK:
      stored = "F16"
    count = heads.get(name.split(".")[-2], 0)

    def make(name: str = name, count: int = count) -> np.ndarray:
      values = tensors.read_whole(name).astype(np.float32)
      if not count:
        return values
      # Rotary pairs side by side, where Hugging Face has one half behind the other.
      halves = values.reshape(count, 2, len(values) // count // 2, *values.shape[1:])
      return halves.swapaxes(1, 2).reshape(values.shape)

    yield gguf_name(name), shape, stored, make
  if config.rope_scaling is not None and config.rope_scaling.kind == "llama3":
    plain, _ = rope_frequencies(config.replace(rope_scaling=None))
    stretched, _ = rope_frequencies(config)
    divisors = (plain / stretched).astype(np.float32)
    yield ROPE_DIVISORS, divisors.shape, "F32", lambda: divisors


def _declare(writer: Any, name: str, shape: tuple[int, ...], stored: str) -> None:
  import gguf

  kind = gguf.GGMLQuantizationType[stored]
  size = int(np.prod(gguf.quant_shape_to_byte_shape(shape, kind)))
  if stored == "Q8_0":
    blocks = gguf.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, blocks, np.dtype(np.uint8), size, raw_dtype=kind)
  else:
    dtype = np.dtype(np.float32 if stored == "F32" else np.float16)
    writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)


def _stored(values: np.ndarray, stored: str) -> np.ndarray:
  import gguf

  if stored == "Q8_0":
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
  return values.astype(np.float32 if stored == "F32" else np.float16)
