"""What a decoder is made of: one frozen config for all supported families, read from and written to
HF's `config.json`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

Family = Literal["llama", "qwen2", "qwen3", "mistral"]
FAMILIES: tuple[str, ...] = ("llama", "qwen2", "qwen3", "mistral")
ACTIVATIONS: tuple[str, ...] = (
  "silu",
  "swish",
  "gelu",
  "gelu_new",
  "gelu_fast",
  "gelu_pytorch_tanh",
  "quick_gelu",
  "relu",
  "relu2",
)
ROPE_KINDS: tuple[str, ...] = ("default", "linear", "llama3", "yarn")
REMAT_POLICIES: tuple[str, ...] = ("none", "full", "dots")
DTYPES: tuple[str, ...] = ("float32", "bfloat16", "float16")

_ARCHITECTURES = {
  "llama": "LlamaForCausalLM",
  "qwen2": "Qwen2ForCausalLM",
  "qwen3": "Qwen3ForCausalLM",
  "mistral": "MistralForCausalLM",
}
# What `transformers` takes where config.json is silent and the families differ.
_DEFAULT_KV_HEADS = {"llama": None, "qwen2": 32, "qwen3": 32, "mistral": 8}
_DEFAULT_POSITIONS = {"llama": 2048, "qwen2": 32768, "qwen3": 32768, "mistral": 131072}
# Options of relatives of these families that would change the function, by the name they have in
# config.json.
_OTHER_FUNCTIONS = {
  "quantization_config": "quantized weights",
  "num_experts": "mixtures of experts",
  "num_local_experts": "mixtures of experts",
  "n_routed_experts": "mixtures of experts",
  "attn_logit_softcapping": "capped attention logits",
  "final_logit_softcapping": "capped logits",
  "attention_sinks": "attention sinks",
  "use_attention_sinks": "attention sinks",
  "no_rope_layers": "layers without rotary positions",
  "alibi": "ALiBi positions",
  "clip_qkv": "clipped queries, keys and values",
  "use_mrope": "positions of several axes",
  "embedding_multiplier": "scaled embeddings",
  "residual_multiplier": "scaled residuals",
  "logits_scaling": "scaled logits",
}
_REQUIRED = (
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
)


@dataclasses.dataclass(frozen=True)
class RopeScaling:
  """How rotary frequencies are stretched beyond the length of pretraining.

  Attributes:
    kind: "linear" (positions divided by `factor`), "llama3" (low frequencies divided, high ones
      kept, those between blended) or "yarn" (arXiv 2309.00071).
    factor: the stretch.
    original_max_position_embeddings: length of pretraining in tokens (llama3, yarn).
    low_freq_factor, high_freq_factor: bounds of the blend, in periods per pretraining length
    (llama3). beta_fast, beta_slow, truncate, attention_factor, mscale, mscale_all_dim: as in the
    yarn paper and `transformers`.
  """

  kind: Literal["linear", "llama3", "yarn"]
  factor: float
  original_max_position_embeddings: int = 0
  low_freq_factor: float = 1.0
  high_freq_factor: float = 4.0
  beta_fast: float = 32.0
  beta_slow: float = 1.0
  truncate: bool = True
  attention_factor: float | None = None
  mscale: float | None = None
  mscale_all_dim: float | None = None


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """A decoder-only transformer of the Llama, Qwen2, Qwen3 or Mistral family. Names as in Hugging
  Face configs.

  Attributes:
    family: decides the HF tensor and class names; what changes numbers is spelled out in the fields
      below.
    attention_bias: bias on the q, k and v projections.
    attention_output_bias: bias on the o projection.
    qk_norm: RMSNorm over head_dim on queries and keys (Qwen3).
    windows: for each layer the number of latest positions a query sees (itself included), or None
      for all.
    dtype: dtype of activations and matrix products; norms, softmax and logits are float32 always.
    param_dtype: dtype of the params that `init_params` makes.
    product_dtype: what the operands of products with weights are rounded to ("bfloat16"); "" for
      `dtype`. The sums, and all else, stay in `dtype` (see `products.product`).
    remat: what the backward pass recomputes in each layer: "none", "full" (all but the layer's
      input), or "dots" (all but the outputs of the weight products).
  """

  family: Family
  vocab_size: int
  hidden_size: int
  intermediate_size: int
  num_hidden_layers: int
  num_attention_heads: int
  num_key_value_heads: int
  head_dim: int
  max_position_embeddings: int = 32768
  rms_norm_eps: float = 1e-6
  hidden_act: str = "silu"
  rope_theta: float = 10_000.0
  rope_scaling: RopeScaling | None = None
  attention_bias: bool = False
  attention_output_bias: bool = False
  mlp_bias: bool = False
  qk_norm: bool = False
  tie_word_embeddings: bool = False
  windows: tuple[int | None, ...] = ()
  initializer_range: float = 0.02
  bos_token_id: int | None = None
  eos_token_id: int | tuple[int, ...] | None = None
  pad_token_id: int | None = None
  dtype: str = "float32"
  param_dtype: str = "float32"
  product_dtype: str = ""
  remat: str = "none"

  def __post_init__(self) -> None:
    if not self.windows:
      object.__setattr__(self, "windows", (None,) * self.num_hidden_layers)
    for name in (
      "vocab_size",
      "hidden_size",
      "intermediate_size",
      "num_hidden_layers",
      "num_attention_heads",
    ):
      if getattr(self, name) < 1:
        raise ValueError(f"model config: {name} must be positive, is {getattr(self, name)}")
    if self.num_attention_heads % self.num_key_value_heads:
      raise ValueError(
        f"model config: num_attention_heads ({self.num_attention_heads}) is not a multiple of "
        f"num_key_value_heads ({self.num_key_value_heads})"
      )
    if self.head_dim % 2:
      raise ValueError(f"model config: rotary embeddings need an even head_dim, is {self.head_dim}")
    if len(self.windows) != self.num_hidden_layers:
      raise ValueError(
        f"model config: {len(self.windows)} attention windows for {self.num_hidden_layers} layers"
      )
    for name, value, known in (
      ("family", self.family, FAMILIES),
      ("hidden_act", self.hidden_act, ACTIVATIONS),
      ("dtype", self.dtype, DTYPES),
      ("param_dtype", self.param_dtype, DTYPES),
      ("product_dtype", self.product_dtype, ("", "bfloat16")),
      ("remat", self.remat, REMAT_POLICIES),
    ):
      if value not in known:
        raise ValueError(
          f"model config: {name} {value!r} is not supported; supported: {', '.join(known)}"
        )

  @property
  def eos_token_ids(self) -> tuple[int, ...]:
    """The token ids that end an answer."""
    if self.eos_token_id is None:
      return ()
    return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

  @property
  def longest_sequence(self) -> int:
    """Tokens that positions are made for: configs with yarn often keep the length of pretraining as
    their own.
    """
    scaling = self.rope_scaling
    if scaling is None or scaling.kind != "yarn":
      return self.max_position_embeddings
    return max(
      self.max_position_embeddings, int(scaling.factor * scaling.original_max_position_embeddings)
    )

  def replace(self, **changes: Any) -> ModelConfig:
    """A copy with the given fields changed."""
    return dataclasses.replace(self, **changes)

  @classmethod
  def from_hf(
    cls,
    source: Mapping[str, Any] | str | os.PathLike,
    *,
    dtype: str = "float32",
    remat: str = "none",
  ) -> ModelConfig:
    """Reads a Hugging Face config: a dict, a config.json, or the folder that holds one.

    Keys that are absent take the value that `transformers` takes for the family.

    Raises:
      ValueError: a required key is missing, or an option is one whose function this package does
        not compute (named).
      FileNotFoundError: no such file.
    """
    raw = dict(source) if isinstance(source, Mapping) else _read_json(source)
    family = raw.get("model_type")
    if family not in FAMILIES:
      raise ValueError(
        f"model config: model_type {family!r} is not supported; supported: {', '.join(FAMILIES)}"
      )
    _refuse_other_functions(raw)
    missing = [name for name in _REQUIRED if raw.get(name) is None]
    if missing:
      raise ValueError(f"model config: missing {', '.join(missing)}")
    heads = raw["num_attention_heads"]
    head_dim = raw.get("head_dim")
    if head_dim is None:
      head_dim = 128 if family == "qwen3" and "head_dim" not in raw else raw["hidden_size"] // heads
    kv_heads = raw.get("num_key_value_heads", _DEFAULT_KV_HEADS[family])
    positions = raw.get("max_position_embeddings", _DEFAULT_POSITIONS[family])
    rope_theta, rope_scaling = _read_rope(raw, positions)
    bias = bool(raw.get("attention_bias", False)) and family in ("llama", "qwen3")
    eos = raw.get("eos_token_id")
    return cls(
      family=family,
      **{name: int(raw[name]) for name in _REQUIRED},
      num_key_value_heads=int(kv_heads if kv_heads is not None else heads),
      head_dim=int(head_dim),
      max_position_embeddings=int(positions),
      rms_norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
      hidden_act=raw.get("hidden_act", "silu"),
      rope_theta=rope_theta,
      rope_scaling=rope_scaling,
      # Qwen2 has biases on q, k, v and none on o, whatever its config says; Mistral has none.
      attention_bias=bias or family == "qwen2",
      attention_output_bias=bias,
      mlp_bias=bool(raw.get("mlp_bias", False)) and family == "llama",
      qk_norm=family == "qwen3",
      tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
      windows=_read_windows(raw, family),
      initializer_range=float(raw.get("initializer_range", 0.02)),
      bos_token_id=raw.get("bos_token_id"),
      eos_token_id=tuple(eos) if isinstance(eos, list | tuple) else eos,
      pad_token_id=raw.get("pad_token_id"),
      dtype=dtype,
      param_dtype=dtype,
      product_dtype="",
      remat=remat,
    )

  def to_hf(self) -> dict[str, Any]:
    """The Hugging Face config of the same function, in the spelling that transformers 4 and 5 both
    read.

    Raises ValueError where the family has no way to say it (e.g. an MLP bias in Qwen2).
    """
    self._check_family_can_say()
    config: dict[str, Any] = {
      "architectures": [_ARCHITECTURES[self.family]],
      "model_type": self.family,
      "vocab_size": self.vocab_size,
      "hidden_size": self.hidden_size,
      "intermediate_size": self.intermediate_size,
      "num_hidden_layers": self.num_hidden_layers,
      "num_attention_heads": self.num_attention_heads,
      "num_key_value_heads": self.num_key_value_heads,
      "head_dim": self.head_dim,
      "hidden_act": self.hidden_act,
      "max_position_embeddings": self.max_position_embeddings,
      "initializer_range": self.initializer_range,
      "rms_norm_eps": self.rms_norm_eps,
      "rope_theta": self.rope_theta,
      "rope_scaling": _write_rope_scaling(self.rope_scaling),
      "tie_word_embeddings": self.tie_word_embeddings,
      "attention_dropout": 0.0,
      "use_cache": True,
      "bos_token_id": self.bos_token_id,
      "eos_token_id": list(self.eos_token_id)
      if isinstance(self.eos_token_id, tuple)
      else self.eos_token_id,
      "pad_token_id": self.pad_token_id,
      "torch_dtype": self.param_dtype,
    }
    if self.family in ("llama", "qwen3"):
      config["attention_bias"] = self.attention_bias
    if self.family == "llama":
      config["mlp_bias"] = self.mlp_bias
    window = next((w for w in self.windows if w is not None), None)
    if self.family == "mistral":
      config["sliding_window"] = window
    if self.family in ("qwen2", "qwen3"):
      config["use_sliding_window"] = window is not None
      config["sliding_window"] = window
      full = [i for i, w in enumerate(self.windows) if w is None]
      config["max_window_layers"] = max(full) + 1 if full else 0
      config["layer_types"] = [
        "full_attention" if w is None else "sliding_attention" for w in self.windows
      ]
    return config

  def _check_family_can_say(self) -> None:
    wrong = []
    if self.qk_norm != (self.family == "qwen3"):
      wrong.append(f"qk_norm={self.qk_norm}")
    if self.mlp_bias and self.family != "llama":
      wrong.append("mlp_bias=True")
    expected_bias = {"qwen2": (True, False), "mistral": (False, False)}.get(
      self.family, (self.attention_bias,) * 2
    )
    if (self.attention_bias, self.attention_output_bias) != expected_bias:
      wrong.append(
        f"attention_bias={self.attention_bias}, attention_output_bias={self.attention_output_bias}"
      )
    windows = set(self.windows)
    if (
      self.family == "llama"
      and windows != {None}
      or self.family == "mistral"
      and len(windows) > 1
      or len(windows - {None}) > 1
    ):
      wrong.append(f"windows={self.windows}")
    if wrong:
      raise ValueError(
        f"model config: a Hugging Face {self.family} config cannot express {'; '.join(wrong)}"
      )


def _read_json(source: str | os.PathLike) -> dict[str, Any]:
  path = pathlib.Path(source)
  if path.is_dir():
    path = path / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"model config: no file {path}")
  try:
    raw = json.loads(path.read_text(encoding="utf-8"))
  except json.JSONDecodeError as error:
    raise ValueError(f"model config: {path} is not JSON: {error}") from error
  if not isinstance(raw, dict):
    raise ValueError(f"model config: {path} holds no JSON object")
  return raw


def _refuse_other_functions(raw: Mapping[str, Any]) -> None:
  for name, what in _OTHER_FUNCTIONS.items():
    if raw.get(name):
      raise ValueError(f"model config: {what} ({name}={raw[name]!r}) are not supported")
  if raw.get("is_causal") is False:
    raise ValueError(
      "model config: attention in both directions (is_causal=false) is not supported"
    )
  architectures = raw.get("architectures") or []
  if architectures and not any(str(name).endswith("ForCausalLM") for name in architectures):
    raise ValueError(
      f"model config: architectures {architectures!r} name no causal language model "
      "(...ForCausalLM)"
    )


def _read_rope(raw: Mapping[str, Any], positions: int) -> tuple[float, RopeScaling | None]:
  """rope_theta and scaling from either spelling: rope_theta + rope_scaling (transformers 4) or
  rope_parameters (5).
  """
  scaling = raw.get("rope_scaling") or raw.get("rope_parameters") or {}
  if not isinstance(scaling, Mapping):
    raise ValueError(f"model config: rope_scaling must be an object, is {scaling!r}")
  if any(isinstance(value, Mapping) for value in scaling.values()):
    raise ValueError(
      "model config: rope parameters that differ between layer types are not supported"
    )
  theta = scaling.get("rope_theta")
  if theta is None:
    theta = raw.get("rope_theta")
  theta = float(theta) if theta is not None else 10_000.0
  partial = scaling.get("partial_rotary_factor", raw.get("partial_rotary_factor"))
  if partial not in (None, 1, 1.0):
    raise ValueError(f"model config: partial_rotary_factor {partial} is not supported")
  if scaling.get("mrope_section"):
    raise ValueError("model config: positions of several axes (mrope_section) are not supported")
  kind = scaling.get("rope_type", scaling.get("type", "default"))
  if kind not in ROPE_KINDS:
    raise ValueError(
      f"model config: rope scaling {kind!r} is not supported; supported: {', '.join(ROPE_KINDS)}"
    )
  if kind == "default":
    return theta, None
  original = (
    raw.get("original_max_position_embeddings")
    or scaling.get("original_max_position_embeddings")
    or positions
  )
  factor: Any = scaling.get("factor")
  if factor is None and kind == "yarn":
    factor = positions / original
  required = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": (),
  }[kind]
  missing = [name for name in required if scaling.get(name) is None]
  if missing:
    raise ValueError(f"model config: rope scaling {kind!r} lacks {', '.join(missing)}")
  if kind == "linear":
    return theta, RopeScaling("linear", float(factor))
  if kind == "llama3":
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    return theta, RopeScaling(
      "llama3", float(factor), int(original), low_freq_factor=low, high_freq_factor=high
    )
  return theta, RopeScaling(
    "yarn",
    float(factor),
    int(original),
    beta_fast=float(scaling.get("beta_fast") or 32),
    beta_slow=float(scaling.get("beta_slow") or 1),
    truncate=bool(scaling.get("truncate", True)),
    attention_factor=scaling.get("attention_factor"),
    mscale=scaling.get("mscale"),
    mscale_all_dim=scaling.get("mscale_all_dim"),
  )


def _write_rope_scaling(scaling: RopeScaling | None) -> dict[str, Any] | None:
  if scaling is None:
    return None
  names = {
    "linear": (),
    "llama3": ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
    "yarn": (
      "original_max_position_embeddings",
      "beta_fast",
      "beta_slow",
      "truncate",
      "attention_factor",
      "mscale",
      "mscale_all_dim",
    ),
  }[scaling.kind]
  values = {name: getattr(scaling, name) for name in names}
  return {"rope_type": scaling.kind, "factor": scaling.factor} | {
    k: v for k, v in values.items() if v is not None
  }


def _read_windows(raw: Mapping[str, Any], family: str) -> tuple[int | None, ...]:
  """The attention window of each layer, by the family's own rule."""
  layers = raw["num_hidden_layers"]
  if family == "llama":
    return (None,) * layers
  window = raw.get("sliding_window", 4096)
  if family == "mistral":
    if set(raw.get("layer_types") or ()) - {
      "full_attention" if window is None else "sliding_attention"
    }:
      raise ValueError(
        f"model config: mistral with sliding_window={window} and layer_types "
        f"{raw['layer_types']} "
        "is not supported"
      )
    return (window,) * layers
  if not raw.get("use_sliding_window", False):
    window = None
  types = raw.get("layer_types")
  if types is None:
    first = raw.get("max_window_layers", 28)
    return tuple(window if i >= first else None for i in range(layers))
  unknown = sorted(set(types) - {"full_attention", "sliding_attention"})
  if unknown or len(types) != layers:
    raise ValueError(
      f"model config: layer_types must name full_attention or sliding_attention for {layers} "
      f"layers: {types}"
    )
  if "sliding_attention" in types and window is None:
    raise ValueError("model config: layer_types has sliding_attention, but sliding_window is off")
  return tuple(window if kind == "sliding_attention" else None for kind in types)
