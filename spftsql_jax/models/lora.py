"""Low-rank adapters (LoRA, arXiv 2106.09685): a second tree beside frozen params.

The tree mirrors the params: {"layers": {"attention": {"q": {"a": [layers, in, rank], "b": [layers,
rank, out]}}}}. A kernel's effective value is kernel + alpha / rank * a @ b; b starts at zero, so an
adapter changes nothing before it is trained.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from spftsql_jax.models.config import ModelConfig

# Our module names and the part of the layer that owns them.
MODULES = {
  "q": "attention",
  "k": "attention",
  "v": "attention",
  "o": "attention",
  "gate": "mlp",
  "up": "mlp",
  "down": "mlp",
}


@dataclasses.dataclass(frozen=True)
class LoraConfig:
  """Which kernels get an adapter, and how large.

  Attributes:
    rank: inner size of the update.
    alpha: the update is scaled by alpha / rank.
    modules: of q, k, v, o, gate, up, down.
    dropout: probability on the adapter's input, active where `apply` is given rngs={"dropout":
      key}.
  """

  rank: int = 16
  alpha: float = 32.0
  modules: tuple[str, ...] = ("q", "k", "v", "o", "gate", "up", "down")
  dropout: float = 0.0

  def __post_init__(self) -> None:
    unknown = [name for name in self.modules if name not in MODULES]
    if unknown or not self.modules:
      raise ValueError(f"LoRA: no module {', '.join(unknown) or '()'}; known: {', '.join(MODULES)}")
    if self.rank < 1:
      raise ValueError(f"LoRA: rank must be positive, is {self.rank}")
    if not 0 <= self.dropout < 1:
      raise ValueError(f"LoRA: dropout must be in [0, 1), is {self.dropout}")

  @property
  def scale(self) -> float:
    """The factor on a @ b."""
    return self.alpha / self.rank


def kernel_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
  """(in, out) of each module's kernel in one layer."""
  queries, keys = (
    config.num_attention_heads * config.head_dim,
    config.num_key_value_heads * config.head_dim,
  )
  hidden, inner = config.hidden_size, config.intermediate_size
  return {
    "q": (hidden, queries),
    "k": (hidden, keys),
    "v": (hidden, keys),
    "o": (queries, hidden),
    "gate": (hidden, inner),
    "up": (hidden, inner),
    "down": (inner, hidden),
  }


def init_lora(
  config: ModelConfig, lora: LoraConfig, rng: jax.Array, dtype: str = "float32"
) -> dict[str, Any]:
  """An adapter tree with zero effect: a uniform in +-1/sqrt(in) (as peft does), b zero."""
  layers: dict[str, Any] = {}
  for index, (name, (fan_in, fan_out)) in enumerate(kernel_shapes(config).items()):
    if name not in lora.modules:
      continue
    bound = fan_in**-0.5
    key = jax.random.fold_in(rng, index)
    a = jax.random.uniform(
      key, (config.num_hidden_layers, fan_in, lora.rank), jnp.float32, -bound, bound
    )
    b = jnp.zeros((config.num_hidden_layers, lora.rank, fan_out), dtype)
    layers.setdefault(MODULES[name], {})[name] = {"a": a.astype(dtype), "b": b}
  return {"layers": layers}


def merge(params: dict[str, Any], lora_params: dict[str, Any], lora: LoraConfig) -> dict[str, Any]:
  """Params with the adapter added into the kernels: the same function without the second tree. The
  sum is made in float32.
  """
  layers = {part: dict(modules) for part, modules in params["layers"].items()}
  for part, modules in lora_params["layers"].items():
    for name, low_rank in modules.items():
      kernel = layers[part][name]["kernel"]
      a, b = low_rank["a"].astype(jnp.float32), low_rank["b"].astype(jnp.float32)
      merged = kernel.astype(jnp.float32) + lora.scale * jnp.einsum("lir,lro->lio", a, b)
      layers[part][name] = {**layers[part][name], "kernel": merged.astype(kernel.dtype)}
  return {**params, "layers": layers}
