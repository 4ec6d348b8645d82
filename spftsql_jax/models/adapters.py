"""LoRA adapters in peft's format, in and out."""

from __future__ import annotations

import functools
import json
import math
import os
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from spftsql_jax.models import lora as lora_lib
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.hf import LAYER, PARTS, load_hf, shorten
from spftsql_jax.models.lora import LoraConfig
from spftsql_jax.models.tensor_files import Source, TensorFiles, write_hf_json, write_tensors
from spftsql_jax.models.transformer import Decoder, Params

# Options of peft whose other values change the function in ways that are not computed here.
_PLAIN_OPTIONS = {
  "peft_type": "LORA",
  "use_dora": False,
  "bias": "none",
  "lora_bias": False,
  "fan_in_fan_out": False,
  "rank_pattern": {},
  "alpha_pattern": {},
  "modules_to_save": [],
  "layers_to_transform": [],
  "layer_replication": [],
  "target_parameters": [],
  "trainable_token_indices": [],
  "exclude_modules": [],
  "use_qalora": False,
  "use_bdlora": None,
  "alora_invocation_tokens": [],
  "arrow_config": None,
  "kasa_config": None,
  "monteclora_config": None,
}
# Starts of an adapter that leave the base weights as they are; others (PiSSA, OLoRA, CorDA, LoftQ)
# change them.
_PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def save_adapter(
  directory: str | os.PathLike,
  config: ModelConfig,
  lora: LoraConfig,
  lora_params: Params,
  base_model: str = "",
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
  sources = []
  for part, modules in lora_params["layers"].items():
    for name, arrays in modules.items():
      host = {side: np.asarray(array) for side, array in arrays.items()}
      for i in range(config.num_hidden_layers):
        for side, letter in (("a", "A"), ("b", "B")):
          tensor = host[side][i].T
          key = f"base_model.model.{LAYER.format(i)}{PARTS[part]}.{name}_proj.lora_{letter}.weight"
          make = functools.partial(np.asarray, tensor)
          sources.append(Source(key, tensor.shape, tensor.dtype, make))
  write_tensors(directory / _WEIGHTS, sources)
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
  write_hf_json(directory / _CONFIG, adapter)


def load_merged(
  directory: str | os.PathLike,
  base: str | os.PathLike | None = None,
  dtype: str | None = "float32",
  shardings: Any = None,
) -> tuple[Decoder, Params]:
  """The model that an adapter in peft's format makes of its base: the adapter is added into the
  kernels.

  Args:
    directory: of the adapter.
    base: folder of the base model; by default the one that the adapter names.
    dtype, shardings: see `load_hf`.

  Raises:
    FileNotFoundError, ValueError: as `base_folder`, `load_adapter` and `load_hf` do.
  """
  base = base_folder(directory) if base is None else base
  model, params = load_hf(base, dtype, shardings=shardings)
  lora, adapter = load_adapter(directory, model.config)
  return model, lora_lib.merge(params, adapter, lora)


def base_folder(directory: str | os.PathLike) -> pathlib.Path:
  """The folder of the base model that an adapter names. Raises ValueError where there is none."""
  directory = pathlib.Path(directory)
  name = _read_config(directory).get("base_model_name_or_path") or ""
  for place in (pathlib.Path(name), directory / name):
    if name and (place / "config.json").is_file():
      return place
  raise ValueError(
    f"{directory}: its base model {name!r} is no model folder here; fetch it, and say where it is "
    f"with convert_hf.py --peft_adapter={directory} --hf_model=FOLDER --output=DIR"
  )


def load_adapter(
  directory: str | os.PathLike, config: ModelConfig, dtype: str = "float32"
) -> tuple[LoraConfig, Params]:
  """Reads a LoRA adapter in peft's format for a base model of `config`.

  Raises:
    FileNotFoundError: no adapter there.
    ValueError: a kind of adapter this package does not compute, or tensors missing, extra or
      misshapen.
  """
  directory = pathlib.Path(directory)
  path, raw = directory / _CONFIG, _read_config(directory)
  for option, plain in _PLAIN_OPTIONS.items():
    if raw.get(option, plain) not in (plain, None):
      raise ValueError(f"{path}: {option}={raw[option]!r} is not supported")
  if raw.get("init_lora_weights") not in _PLAIN_STARTS:
    raise ValueError(
      f"{path}: init_lora_weights={raw['init_lora_weights']!r} changes the base weights and is "
      "not supported"
    )
  if not (directory / _WEIGHTS).is_file():
    pickled = (directory / "adapter_model.bin").is_file()
    hint = "; adapter_model.bin is no safetensors file and is not read" if pickled else ""
    raise FileNotFoundError(f"no adapter: {directory / _WEIGHTS} is missing{hint}")
  targets = raw.get("target_modules") or []
  modules = tuple(name for name in lora_lib.MODULES if f"{name}_proj" in targets)
  if isinstance(targets, str) or len(modules) != len(targets) or not modules:
    raise ValueError(
      f"{path}: target_modules {targets!r} must be a list of "
      f"{[f'{m}_proj' for m in lora_lib.MODULES]}"
    )
  rank, alpha = int(raw["r"]), float(raw["lora_alpha"])
  if raw.get("use_rslora"):  # alpha / sqrt(rank), arXiv 2312.03732, where ours is alpha / rank
    alpha *= math.sqrt(rank)
  lora = LoraConfig(rank, alpha, modules, float(raw.get("lora_dropout", 0.0)))
  shapes = lora_lib.kernel_shapes(config)
  layers: Params = {}
  wrong = []
  with TensorFiles([directory / _WEIGHTS]) as tensors:
    unread = tensors.names()
    for name in modules:
      fan_in, fan_out = shapes[name]
      part = lora_lib.MODULES[name]
      for side, letter, shape in (
        ("a", "A", (lora.rank, fan_in)),
        ("b", "B", (fan_out, lora.rank)),
      ):
        prefix = f"base_model.model.{LAYER}{PARTS[part]}.{name}_proj.lora_{letter}.weight"
        names = [prefix.format(i) for i in range(config.num_hidden_layers)]
        wrong += [f"{key}: missing" for key in names if key not in unread]
        present = [key for key in names if key in unread]
        wrong += [
          f"{key}: {tensors.shape(key)}, expected {shape}"
          for key in present
          if tensors.shape(key) != shape
        ]
        unread.difference_update(names)
        if not wrong:
          stacked = np.stack([tensors.read_whole(key).T for key in names])
          layers.setdefault(part, {}).setdefault(name, {})[side] = jnp.asarray(stacked, dtype)
  wrong += [f"{key}: extra" for key in sorted(unread)]
  if wrong:
    raise ValueError(f"{directory}: adapter does not fit the model: {shorten(wrong)}")
  return lora, {"layers": layers}


def _read_config(directory: pathlib.Path) -> dict[str, Any]:
  """What adapter_config.json holds. Raises FileNotFoundError or ValueError."""
  path = directory / _CONFIG
  if not path.is_file():
    raise FileNotFoundError(f"no adapter: {path} is missing")
  try:
    raw = json.loads(path.read_text(encoding="utf-8"))
  except json.JSONDecodeError as error:
    raise ValueError(f"{path} is not JSON: {error}") from error
  if not isinstance(raw, dict):
    raise ValueError(f"{path}: expected an object, found {type(raw).__name__}")
  return raw
