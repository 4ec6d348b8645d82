"""Hugging Face model folders in and out: config, weights in safetensors files, tokenizer files.

The product never imports torch. Weights are read tensor by tensor, and of each tensor only what a
device is to hold.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.examples.special_ids import (
  GENERATION_CONFIG,
  SPECIAL_IDS,
  joined_ids,
  read_special_ids,
)
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.sharding import param_shardings
from spftsql_jax.models.tensor_files import Source, TensorFiles, write_hf_json, write_model
from spftsql_jax.models.transformer import Decoder, Params, abstract_params

LAYER = "model.layers.{}."
PARTS = {"attention": "self_attn", "mlp": "mlp"}
# Our path of a leaf and its tensor's name; names in a layer are relative to it.
_TOP = {
  "embedding": "model.embed_tokens.weight",
  "final_norm/scale": "model.norm.weight",
  "lm_head": "lm_head.weight",
}
_IN_LAYER = {
  "attention_norm/scale": "input_layernorm.weight",
  "mlp_norm/scale": "post_attention_layernorm.weight",
  "attention/q_norm/scale": "self_attn.q_norm.weight",
  "attention/k_norm/scale": "self_attn.k_norm.weight",
}
# Tensors old checkpoints carry that hold no weights.
_IGNORED = re.compile(r".*rotary_emb\.inv_freq$")
# bytes; a host array that starts at a multiple of it becomes a JAX array on the CPU without a copy
_ALIGNMENT = 64
# What tokenizers of all kinds keep in a model's folder: their own files, vocabularies (BPE,
# sentencepiece, tiktoken), chat templates, and code where a tokenizer brings it.
_TOKENIZER_FILES = (
  "tokenizer*",
  "tokenization_*.py",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab*",
  "merges*",
  "*.model",
  "*.tiktoken",
  "tekken.json",
  "chat_template*",
  "additional_chat_templates/*",
)
_WRITTEN_BY_TRANSFORMERS = (
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
)


@dataclasses.dataclass(frozen=True)
class _Leaf:
  """A leaf of our params, and the HF tensors it is made of: one, or one a layer, transposed where
  it is a kernel.
  """

  path: tuple[str, ...]
  shape: tuple[int, ...]
  names: tuple[str, ...]
  stacked: bool
  transposed: bool

  @property
  def tensor_shape(self) -> tuple[int, ...]:
    shape = self.shape[1:] if self.stacked else self.shape
    return shape[::-1] if self.transposed else shape


def load_hf(
  directory: str | os.PathLike,
  dtype: str | None = "float32",
  *,
  shardings: Any = None,
  remat: str = "none",
) -> tuple[Decoder, Params]:
  """Reads a Hugging Face model folder: config.json and safetensors, one file or sharded with an
  index.

  Args:
    directory: the folder.
    dtype: of the params and of the computation, "float32", "bfloat16" or "float16"; None takes the
      files' own.
    shardings: a tree of shardings like the params, or a mesh for those of
      `sharding.param_shardings`; each device gets its part straight from the file. None puts all on
      the default device.
    remat: see `ModelConfig.remat`.

  Returns:
    The model and its params.

  Raises:
    FileNotFoundError: no folder, no config.json, or no weights.
    ValueError: an unsupported option, or tensors that are missing, extra or misshapen (all are
      listed).
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(f"no model folder {directory}")
  config = ModelConfig.from_hf(directory, remat=remat)
  with TensorFiles.of_model(directory) as tensors:
    if config.tie_word_embeddings and not _really_tied(tensors):
      config = config.replace(tie_word_embeddings=False)
    leaves = _leaves(config)
    _check_tensors(directory, config, tensors)
    if isinstance(shardings, jax.sharding.Mesh):
      shardings = param_shardings(config, shardings)
    own = tensors.dtype(leaves[0].names[0]).name
    config = config.replace(dtype=dtype or own, param_dtype=dtype or own)
    params: Params = {}
    for leaf in leaves:
      kind = (
        jnp.dtype(dtype)
        if dtype
        else jnp.result_type(*{tensors.dtype(name) for name in leaf.names})
      )
      _put(params, leaf.path, _load_leaf(leaf, tensors, kind, _get(shardings, leaf.path)))
  return Decoder(config), params


def save_hf(
  directory: str | os.PathLike,
  config: ModelConfig,
  params: Params,
  tokenizer: Any = None,
  *,
  dtype: str | None = None,
  max_shard_bytes: int = 5 * 10**9,
  end_ids: Sequence[int] = (),
  pad_id: int | None = None,
) -> None:
  """Writes a folder that `transformers.AutoModelForCausalLM.from_pretrained` loads.

  Args:
    directory: made if missing; files of these names in it are replaced.
    config: the model's config.
    params: its params (an adapter must be merged first).
    tokenizer: a folder whose tokenizer files are copied byte for byte, or a Hugging Face tokenizer
      of our own, or None.
    dtype: of the written tensors; None keeps each param's own.
    max_shard_bytes: weights larger than this are split over files with an index.
    end_ids: tokens that end an answer (`Tokenizer.end_ids`), named in config.json and
      generation_config.json beside the model's own: one that was trained to end on another token
      than its base would never stop.
    pad_id: of padding, where the model names none.
  """
  save_sources(
    directory,
    config,
    _sources(config, params, dtype),
    tokenizer,
    max_shard_bytes=max_shard_bytes,
    end_ids=end_ids,
    pad_id=pad_id,
  )


def save_sources(
  directory: str | os.PathLike,
  config: ModelConfig,
  sources: Iterable[Source],
  tokenizer: Any = None,
  *,
  max_shard_bytes: int = 5 * 10**9,
  end_ids: Sequence[int] = (),
  pad_id: int | None = None,
) -> None:
  """As `save_hf`, of tensors that are made one at a time. Raises ValueError where they are not
  those of the config.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  sources = list(sources)
  expected, found = tensor_shapes(config), {source.name: source.shape for source in sources}
  if expected != found:
    wrong = sorted(
      name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    raise ValueError(f"{directory}: tensors do not fit the config: {shorten(wrong)}")
  kind = str(next(source.dtype for source in sources if source.name == _TOP["embedding"]))
  # as transformers 4 and 5 call it
  hf_config = config.to_hf() | {"torch_dtype": kind, "dtype": kind}
  write_model(directory, sources, max_shard_bytes)
  own = hf_config["eos_token_id"]
  if not set(end_ids) <= set(joined_ids(own)):
    hf_config["eos_token_id"] = _one_or_list(joined_ids(end_ids, own))
  if hf_config["pad_token_id"] is None:
    hf_config["pad_token_id"] = pad_id
  write_hf_json(directory / "config.json", hf_config)
  source = tokenizer if isinstance(tokenizer, str | os.PathLike) else None
  write_generation_config(directory, config, source, end_ids, pad_id)
  if source is not None:
    copy_tokenizer(source, directory)
  elif tokenizer is not None:
    write_tokenizer(tokenizer, directory)


def write_generation_config(
  directory: str | os.PathLike,
  config: ModelConfig,
  source: str | os.PathLike | None = None,
  end_ids: Sequence[int] = (),
  pad_id: int | None = None,
) -> None:
  """Writes what `generate` of transformers starts, stops and pads with: greedily, on `end_ids` and
  the model's own ends.

  Sampling defaults of the model it came from are left out: what was measured is greedy decoding,
  without penalties.

  Args:
    directory: of the file.
    config: of the model.
    source: the folder it came from, whose generation_config.json goes before the config.
    end_ids, pad_id: see `save_hf`.
  """
  own = {name: getattr(config, name) for name in SPECIAL_IDS}
  special = own | ({} if source is None else read_special_ids(source))
  special["eos_token_id"] = _one_or_list(
    joined_ids(end_ids, special["eos_token_id"], own["eos_token_id"])
  )
  if special["pad_token_id"] is None:
    special["pad_token_id"] = pad_id
  kept = {name: value for name, value in special.items() if value is not None}
  write_hf_json(pathlib.Path(directory) / GENERATION_CONFIG, kept | {"do_sample": False})


def _one_or_list(ids: Sequence[int]) -> int | list[int] | None:
  """As configs have it."""
  return list(ids) if len(ids) > 1 else ids[0] if ids else None


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
  """Name and shape of every tensor of a checkpoint of this config."""
  return {name: leaf.tensor_shape for leaf in _leaves(config) for name in leaf.names}


def copy_tokenizer(source: str | os.PathLike, target: str | os.PathLike) -> list[str]:
  """Copies the tokenizer files of one model folder to another, byte for byte; returns their names.

  Files of another tokenizer that an earlier export left in the target are removed.
  """
  source, target = pathlib.Path(source), pathlib.Path(target)
  names = _tokenizer_files(source)
  if source.resolve() != target.resolve():
    for name in set(_WRITTEN_BY_TRANSFORMERS) - set(names):
      (target / name).unlink(missing_ok=True)
    for name in names:
      (target / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copyfile(source / name, target / name)
  return names


def has_tokenizer(folder: str | os.PathLike) -> bool:
  """Whether a folder holds files of a tokenizer."""
  return bool(_tokenizer_files(pathlib.Path(folder)))


def _tokenizer_files(folder: pathlib.Path) -> list[str]:
  found = {
    path.relative_to(folder).as_posix()
    for pattern in _TOKENIZER_FILES
    for path in folder.glob(pattern)
    if path.is_file()
  }
  return sorted(found)


def write_tokenizer(tokenizer: Any, directory: str | os.PathLike) -> None:
  """Writes a Hugging Face tokenizer so that transformers 4 reads it as well as 5.

  transformers 5 names the class of a plain fast tokenizer, and special tokens without a name of
  their own, as 4 does not know them; it reads the names that 4 writes.
  """
  tokenizer.save_pretrained(str(directory))
  path = pathlib.Path(directory) / "tokenizer_config.json"
  record = json.loads(path.read_text(encoding="utf-8"))
  if record.get("tokenizer_class") == "TokenizersBackend":
    record["tokenizer_class"] = "PreTrainedTokenizerFast"
  if isinstance(record.get("extra_special_tokens"), list):
    record["additional_special_tokens"] = record.pop("extra_special_tokens")
  write_hf_json(path, record)


def _leaves(config: ModelConfig) -> tuple[_Leaf, ...]:
  """Every leaf of the params with the HF tensors it comes from; a leaf at a time is all that
  loading holds in host memory.
  """
  # Names and shapes are found by tracing the model, once for all dtypes.
  return _traced_leaves(config.replace(dtype="float32", param_dtype="float32"))


@functools.lru_cache(maxsize=8)
def _traced_leaves(config: ModelConfig) -> tuple[_Leaf, ...]:
  leaves = []
  for key_path, abstract in jax.tree_util.tree_leaves_with_path(
    nn.meta.unbox(abstract_params(config))
  ):
    path = tuple(key.key for key in key_path)
    if path[0] != "layers":
      leaves.append(_Leaf(path, abstract.shape, (_TOP["/".join(path)],), False, False))
      continue
    inner = "/".join(path[1:])
    if inner in _IN_LAYER:
      name = _IN_LAYER[inner]
    else:
      part, module, kind = path[1:]
      name = f"{PARTS[part]}.{module}_proj.{'weight' if kind == 'kernel' else 'bias'}"
    names = tuple(LAYER.format(i) + name for i in range(config.num_hidden_layers))
    leaves.append(_Leaf(path, abstract.shape, names, True, path[-1] == "kernel"))
  return tuple(leaves)


def _really_tied(tensors: TensorFiles) -> bool:
  """Whether a head beside the embedding, where a folder that calls them tied has one, is the same;
  transformers asks alike.
  """
  embedding, head = _TOP["embedding"], _TOP["lm_head"]
  return not {embedding, head} <= tensors.names() or tensors.same(embedding, head)


def _check_tensors(directory: pathlib.Path, config: ModelConfig, tensors: TensorFiles) -> None:
  expected = tensor_shapes(config)
  found = {name for name in tensors.names() if not _IGNORED.match(name)}
  if config.tie_word_embeddings:
    found.discard(_TOP["lm_head"])
  misshapen = [
    f"{name} is {tensors.shape(name)}, expected {shape}"
    for name, shape in expected.items()
    if name in found and tensors.shape(name) != shape
  ]
  for name in sorted(expected.keys() & found):
    tensors.dtype(name)
  kinds = (
    ("missing", sorted(expected.keys() - found)),
    ("extra", sorted(found - expected.keys())),
    ("misshapen", misshapen),
  )
  problems = [f"{kind}: {shorten(names)}" for kind, names in kinds if names]
  if problems:
    raise ValueError(f"{directory}: weights do not fit config.json; {'; '.join(problems)}")


def shorten(names: list[str], limit: int = 20) -> str:
  """A list in words, cut where it is long."""
  return ", ".join(names[:limit]) + (
    f" and {len(names) - limit} more" if len(names) > limit else ""
  )


def _load_leaf(leaf: _Leaf, tensors: TensorFiles, dtype: np.dtype, sharding: Any) -> jax.Array:
  def read(part: tuple[slice, ...] | None) -> np.ndarray:
    index = part or tuple(slice(None) for _ in leaf.shape)
    out = _aligned(
      tuple(len(range(*s.indices(n))) for s, n in zip(index, leaf.shape, strict=True)), dtype
    )
    inner = index[1:] if leaf.stacked else index
    inner = inner[::-1] if leaf.transposed else inner
    layers = range(*index[0].indices(leaf.shape[0])) if leaf.stacked else (0,)
    for place, layer in enumerate(layers):
      target = out[place] if leaf.stacked else out
      tensors.read(leaf.names[layer], inner, target.T if leaf.transposed else target)
    return out

  if sharding is None:
    return jax.device_put(read(None))
  return jax.make_array_from_callback(leaf.shape, sharding, read)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
  size = math.prod(shape) * dtype.itemsize
  raw = np.empty(size + _ALIGNMENT, np.uint8)
  start = -raw.ctypes.data % _ALIGNMENT
  return raw[start : start + size].view(dtype).reshape(shape)


def _sources(config: ModelConfig, params: Params, dtype: str | None) -> Iterator[Source]:
  """Every HF tensor in the order of our params."""
  for leaf in _leaves(config):
    array = _get(params, leaf.path)
    if array.shape != leaf.shape:
      raise ValueError(
        f"param {'/'.join(leaf.path)} is {array.shape}, the config says {leaf.shape}"
      )
    kind = jnp.dtype(dtype) if dtype else np.dtype(array.dtype)
    for i, name in enumerate(leaf.names):
      yield Source(name, leaf.tensor_shape, kind, _maker(leaf, array, i, kind))


def _maker(leaf: _Leaf, array: jax.Array, i: int, dtype: np.dtype) -> Callable[[], np.ndarray]:
  def make() -> np.ndarray:
    # On the CPU the host sees the whole leaf without a copy; from other devices one layer at a time
    # comes over.
    on_host = isinstance(array, np.ndarray) or all(
      device.platform == "cpu" for device in array.devices()
    )
    host = np.asarray(array) if on_host else array
    tensor = np.asarray(host[i] if leaf.stacked else host)
    return (tensor.T if leaf.transposed else tensor).astype(dtype, copy=False)

  return make


def _get(tree: Any, path: tuple[str, ...]) -> Any:
  for key in path:
    if tree is None:
      return None
    tree = tree[key]
  return tree


def _put(tree: Params, path: tuple[str, ...], value: Any) -> None:
  for key in path[:-1]:
    tree = tree.setdefault(key, {})
  tree[path[-1]] = value
