"""The language model as pure functions of its params.

model, params = load_hf("folder", dtype="float32")
logits = next_token_logits(model, params, tokens)
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from spftsql_jax.models.adapters import load_adapter, load_merged, save_adapter
from spftsql_jax.models.config import ModelConfig, RopeScaling
from spftsql_jax.models.hf import load_hf, save_hf
from spftsql_jax.models.lora import LoraConfig, init_lora, merge
from spftsql_jax.models.transformer import Decoder, Params, init_params

__all__ = [
  "Decoder",
  "LoraConfig",
  "ModelConfig",
  "RopeScaling",
  "init_lora",
  "init_params",
  "load_adapter",
  "load_hf",
  "load_merged",
  "merge",
  "next_token_logits",
  "save_adapter",
  "save_hf",
]


def next_token_logits(model: Decoder, params: Params, tokens: jax.Array) -> jax.Array:
  """Logits float32 [B, T, V] of the token after each position of int32 tokens [B, T]."""
  return _next_token_logits(model, params, jnp.asarray(tokens, jnp.int32))


@functools.partial(jax.jit, static_argnums=0)
def _next_token_logits(model: Decoder, params: Params, tokens: jax.Array) -> jax.Array:
  logits: Any = model.apply({"params": params}, tokens)
  return logits
