"""Hugging Face checkpoints in and out: safetensors files, configs, tokenizer files, and adapters in peft's format.

The product never imports torch. Weights are read tensor by tensor, and of each tensor only what a device is to hold.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from spftsql_jax.models import lora as lora_lib
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig
from spftsql_jax.models.transformer import Decoder, Params, abstract_params

_LAYER = "model.layers.{}."
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
_HF_PART = {"attention": "self_attn", "mlp": "mlp"}
# Tensors old checkpoints carry that hold no weights.
_IGNORED = re.compile(r".*rotary_emb\.inv_freq$")
_DTYPES = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
_TOKENIZER_FILES = (
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
  "chat_template.jinja",
)


@dataclasses.dataclass(frozen=True)
class _Leaf:
  """A leaf of our params, and the HF tensors it is made of: one, or one a layer, transposed where it is a kernel."""

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
  directory: str | os.PathLike, dtype: str | None = "float32", *, shardings: Any = None, remat: str = "none"
) -> tuple[Decoder, Params]:
  """Reads a Hugging Face model folder: config.json and safetensors, one file or sharded with an index.

  Args:
    directory: the folder.
    dtype: of the params and of the computation, "float32", "bfloat16" or "float16"; None takes the files' own.
    shardings: a tree of shardings like the params (`sharding.param_shardings`); each device gets its part straight from the
      file. None puts all on the default device.
    remat: see `ModelConfig.remat`.

  Returns:
    The model and its params.

  Raises:
    FileNotFoundError: no folder, no config.json, or no weights.
    ValueError: an unsupported option, or tensors that are missing, extra or misshapen (all are listed).
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(f"no model folder {directory}")
  config = ModelConfig.from_hf(directory, remat=remat)
  with _Tensors(directory) as tensors:
    leaves = list(_leaves(config))
    _check_tensors(directory, config, leaves, tensors)
    dtype = dtype or tensors.dtype(leaves[0].names[0])
    config = config.replace(dtype=dtype, param_dtype=dtype)
    params: Params = {}
    for leaf in leaves:
      _put(params, leaf.path, _load_leaf(leaf, tensors, np.dtype(jnp.dtype(dtype)), _get(shardings, leaf.path)))
  return Decoder(config), params


def save_hf(
  directory: str | os.PathLike,
  config: ModelConfig,
  params: Params,
  tokenizer: Any = None,
  *,
  dtype: str | None = None,
  max_shard_bytes: int = 5 * 10**9,
) -> None:
  """Writes a folder that `transformers.AutoModelForCausalLM.from_pretrained` loads.

  Args:
    directory: made if missing; files of these names in it are replaced.
    config: the model's config.
    params: its params (an adapter must be merged first).
    tokenizer: a Hugging Face tokenizer, or a folder whose tokenizer files are copied, or None.
    dtype: of the written tensors; None keeps each param's own.
    max_shard_bytes: weights larger than this are split over files with an index.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  hf_config = config.to_hf() | {"torch_dtype": dtype or str(jnp.dtype(params["embedding"].dtype))}
  _write_weights(directory, _export_tensors(config, params, dtype), max_shard_bytes)
  _write_json(directory / "config.json", hf_config)
  special = {name: hf_config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
  _write_json(directory / "generation_config.json", {k: v for k, v in special.items() if v is not None})
  if isinstance(tokenizer, str | os.PathLike):
    copy_tokenizer(tokenizer, directory)
  elif tokenizer is not None:
    tokenizer.save_pretrained(str(directory))


def copy_tokenizer(source: str | os.PathLike, target: str | os.PathLike) -> list[str]:
  """Copies the tokenizer files of one model folder to another; returns their names."""
  source, target = pathlib.Path(source), pathlib.Path(target)
  names = [name for name in _TOKENIZER_FILES if (source / name).is_file()]
  for name in names:
    if (source / name).resolve() != (target / name).resolve():
      shutil.copyfile(source / name, target / name)
  return names


def save_adapter(
  directory: str | os.PathLike, config: ModelConfig, lora: LoraConfig, lora_params: Params, base_model: str = ""
) -> None:
  """Writes an adapter as `peft.PeftModel.from_pretrained` loads it.

  Args:
    directory: made if missing.
    config: the base model's config.
    lora, lora_params: the adapter.
    base_model: name or folder of the base model, recorded in adapter_config.json.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  tensors = {}
  for part, modules in lora_params["layers"].items():
    for name, arrays in modules.items():
      for i in range(config.num_hidden_layers):
        prefix = f"base_model.model.{_LAYER.format(i)}{_HF_PART[part]}.{name}_proj"
        tensors[f"{prefix}.lora_A.weight"] = np.ascontiguousarray(np.asarray(arrays["a"][i]).T)
        tensors[f"{prefix}.lora_B.weight"] = np.ascontiguousarray(np.asarray(arrays["b"][i]).T)
  safetensors.numpy.save_file(tensors, str(directory / "adapter_model.safetensors"), metadata={"format": "pt"})
  adapter = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": base_model or None,
    "r": lora.rank,
    "lora_alpha": lora.alpha,
    "lora_dropout": lora.dropout,
    "target_modules": [f"{name}_proj" for name in lora.modules],
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
  }
  _write_json(directory / "adapter_config.json", adapter)


def load_adapter(directory: str | os.PathLike, config: ModelConfig, dtype: str = "float32") -> tuple[LoraConfig, Params]:
  """Reads a LoRA adapter in peft's format for a base model of `config`.

  Raises:
    FileNotFoundError: no adapter there.
    ValueError: a kind of adapter this package does not compute, or tensors missing, extra or misshapen.
  """
  directory = pathlib.Path(directory)
  path = directory / "adapter_config.json"
  if not path.is_file():
    raise FileNotFoundError(f"no adapter: {path} is missing")
  raw = json.loads(path.read_text(encoding="utf-8"))
  for option, plain in (("peft_type", "LORA"), ("use_rslora", False), ("use_dora", False), ("bias", "none")):
    if raw.get(option, plain) != plain:
      raise ValueError(f"{path}: {option}={raw[option]!r} is not supported")
  for option in ("rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform"):
    if raw.get(option):
      raise ValueError(f"{path}: {option} is not supported")
  targets = raw.get("target_modules") or []
  modules = tuple(name for name in lora_lib.MODULES if f"{name}_proj" in targets)
  if isinstance(targets, str) or len(modules) != len(targets):
    raise ValueError(f"{path}: target_modules {targets!r} must be a list of {[f'{m}_proj' for m in lora_lib.MODULES]}")
  lora = LoraConfig(int(raw["r"]), float(raw["lora_alpha"]), modules, float(raw.get("lora_dropout", 0.0)))
  tensors = safetensors.numpy.load_file(str(directory / "adapter_model.safetensors"))
  params: Params = {"layers": {}}
  wrong = []
  for name in modules:
    fan_in, fan_out = lora_lib.kernel_shapes(config)[name]
    part = lora_lib.MODULES[name]
    arrays: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    for i in range(config.num_hidden_layers):
      for side, letter, shape in (("a", "A", (lora.rank, fan_in)), ("b", "B", (fan_out, lora.rank))):
        key = f"base_model.model.{_LAYER.format(i)}{_HF_PART[part]}.{name}_proj.lora_{letter}.weight"
        tensor = tensors.pop(key, None)
        if tensor is None or tensor.shape != shape:
          wrong.append(f"{key}: {'missing' if tensor is None else f'{tensor.shape}, expected {shape}'}")
        else:
          arrays[side].append(tensor.T)
    if not wrong:
      stacked = {side: jnp.asarray(np.stack(items), dtype) for side, items in arrays.items()}
      params["layers"].setdefault(part, {})[name] = stacked
  wrong += [f"{key}: extra" for key in tensors]
  if wrong:
    raise ValueError(f"{directory}: adapter does not fit the model: {_shorten(wrong)}")
  return lora, params


class _Tensors:
  """The tensors of a folder's safetensors files by name; a context manager that keeps the files open."""

  def __init__(self, directory: pathlib.Path):
    index, single = directory / "model.safetensors.index.json", directory / "model.safetensors"
    if single.is_file():
      names = [single.name]
    elif index.is_file():
      names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
      raise FileNotFoundError(f"{directory} holds neither {single.name} nor {index.name}")
    absent = [name for name in names if not (directory / name).is_file()]
    if absent:
      raise FileNotFoundError(f"{directory}: weight files missing: {', '.join(absent)}")
    self._paths = [directory / name for name in names]
    self._files: list[Any] = []
    self._by_name: dict[str, Any] = {}

  def __enter__(self) -> _Tensors:
    for path in self._paths:
      try:
        file = safetensors.safe_open(str(path), framework="np").__enter__()
      except safetensors.SafetensorError as error:
        self.__exit__(None, None, None)
        raise ValueError(f"{path} cannot be read: {error}") from error
      self._files.append(file)
      self._by_name.update((name, file) for name in file.keys())  # noqa: SIM118 (not a dict)
    return self

  def __exit__(self, *exception) -> None:
    for file in self._files:
      file.__exit__(*exception)

  def names(self) -> set[str]:
    return set(self._by_name)

  def slice(self, name: str) -> Any:
    return self._by_name[name].get_slice(name)

  def shape(self, name: str) -> tuple[int, ...]:
    return tuple(self.slice(name).get_shape())

  def dtype(self, name: str) -> str:
    kind = self.slice(name).get_dtype()
    if kind not in _DTYPES:
      raise ValueError(f"tensor {name} has dtype {kind}; supported: {', '.join(_DTYPES)}")
    return np.dtype(_DTYPES[kind]).name


def _leaves(config: ModelConfig) -> Iterator[_Leaf]:
  """Every leaf of the params with the HF tensors it comes from; a leaf at a time is all that loading holds in host memory."""
  shapes = jax.tree_util.tree_leaves_with_path(_unboxed_shapes(config))
  for key_path, abstract in shapes:
    path = tuple(key.key for key in key_path)
    if path[0] != "layers":
      yield _Leaf(path, abstract.shape, (_TOP["/".join(path)],), False, False)
      continue
    inner = "/".join(path[1:])
    if inner in _IN_LAYER:
      name = _IN_LAYER[inner]
    else:
      part, module, kind = path[1:]
      name = f"{_HF_PART[part]}.{module}_proj.{'weight' if kind == 'kernel' else 'bias'}"
    names = tuple(_LAYER.format(i) + name for i in range(config.num_hidden_layers))
    yield _Leaf(path, abstract.shape, names, True, path[-1] == "kernel")


def _unboxed_shapes(config: ModelConfig) -> Params:
  boxed = abstract_params(config)
  is_boxed = lambda leaf: hasattr(leaf, "unbox")  # noqa: E731
  return jax.tree.map(lambda leaf: leaf.value, boxed, is_leaf=is_boxed)


def _check_tensors(directory: pathlib.Path, config: ModelConfig, leaves: list[_Leaf], tensors: _Tensors) -> None:
  expected = {name: leaf.tensor_shape for leaf in leaves for name in leaf.names}
  found = {name for name in tensors.names() if not _IGNORED.match(name)}
  if config.tie_word_embeddings:
    found.discard(_TOP["lm_head"])
  missing, extra = sorted(expected.keys() - found), sorted(found - expected.keys())
  misshapen = [
    f"{name} is {tensors.shape(name)}, expected {shape}"
    for name, shape in expected.items()
    if name in found and tensors.shape(name) != shape
  ]
  for name in expected.keys() & found:
    tensors.dtype(name)
  kinds = (("missing", missing), ("extra", extra), ("misshapen", misshapen))
  problems = [f"{kind}: {_shorten(names)}" for kind, names in kinds if names]
  if problems:
    raise ValueError(f"{directory}: weights do not fit config.json; {'; '.join(problems)}")


def _shorten(names: list[str], limit: int = 20) -> str:
  return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _load_leaf(leaf: _Leaf, tensors: _Tensors, dtype: np.dtype, sharding: Any) -> jax.Array:
  def read(index: tuple[slice, ...]) -> np.ndarray:
    shape = tuple(len(range(*s.indices(n))) for s, n in zip(index, leaf.shape, strict=True))
    out = np.empty(shape, dtype)
    inner = index[1:] if leaf.stacked else index
    inner = inner[::-1] if leaf.transposed else inner
    layers = range(*index[0].indices(leaf.shape[0])) if leaf.stacked else (0,)
    for place, layer in enumerate(layers):
      part = tensors.slice(leaf.names[layer])[inner]
      target = out[place] if leaf.stacked else out
      target[...] = part.T if leaf.transposed else part
    return out

  if sharding is None:
    return jnp.asarray(read(tuple(slice(None) for _ in leaf.shape)))
  return jax.make_array_from_callback(leaf.shape, sharding, read)


def _export_tensors(config: ModelConfig, params: Params, dtype: str | None) -> Iterator[tuple[str, np.ndarray]]:
  """(name, array) of every HF tensor, one at a time."""
  for leaf in _leaves(config):
    array = _get(params, leaf.path)
    if array.shape != leaf.shape:
      raise ValueError(f"param {'/'.join(leaf.path)} is {array.shape}, the config says {leaf.shape}")
    for i, name in enumerate(leaf.names):
      tensor = np.asarray(array[i] if leaf.stacked else array)
      tensor = tensor.T if leaf.transposed else tensor
      yield name, np.ascontiguousarray(tensor if dtype is None else tensor.astype(jnp.dtype(dtype)))


def _write_weights(directory: pathlib.Path, tensors: Iterator[tuple[str, np.ndarray]], max_shard_bytes: int) -> None:
  """Writes shards as they fill, then gives them their final names, so that at most one shard is held in memory."""
  shards: list[list[str]] = []
  pending: dict[str, np.ndarray] = {}
  total = size = 0

  def flush() -> None:
    path = directory / f"model.safetensors.part{len(shards)}"
    safetensors.numpy.save_file(pending, str(path), metadata={"format": "pt"})
    shards.append(list(pending))
    pending.clear()

  for name, tensor in tensors:
    if pending and size + tensor.nbytes > max_shard_bytes:
      flush()
      size = 0
    pending[name] = tensor
    size += tensor.nbytes
    total += tensor.nbytes
  flush()
  for old in directory.glob("model*.safetensors"):
    old.unlink()
  index_path = directory / "model.safetensors.index.json"
  index_path.unlink(missing_ok=True)
  if len(shards) == 1:
    os.replace(directory / "model.safetensors.part0", directory / "model.safetensors")
    return
  weight_map = {}
  for i, names in enumerate(shards):
    file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
    os.replace(directory / f"model.safetensors.part{i}", directory / file)
    weight_map |= dict.fromkeys(names, file)
  _write_json(index_path, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _write_json(path: pathlib.Path, value: Any) -> None:
  path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


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
