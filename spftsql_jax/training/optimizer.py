"""Optimizers and schedules, from optax."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import optax
import optax.contrib


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """How parameters are updated.

  Attributes:
    name: "adamw"; "adafactor" for less state (factored second moments, no first); "rmsprop" as SPIN
      used; "muon" for training from scratch (arXiv 2502.16982: the momentum of matrices is
      orthogonalized and scaled to AdamW's size, so that AdamW's rates serve; the rest is AdamW).
    learning_rate: the peak.
    adam_share: of muon's rate, for what it gives to AdamW: embeddings, head, biases and scales.
    schedule: behind the warm-up: "constant", "linear" to 0 or "cosine" to a tenth of the peak.
    warmup_share: share of the steps over which the rate rises from 0.
    clip: gradients are scaled to at most this global norm; 0 for none.
    weight_decay: decoupled, on matrices only.
    b1, b2: Adam's decay rates.
    state_dtype: of the first moment ("bfloat16" halves it). Second moments stay in float32: in
      bfloat16 (1 - b2) of a square is lost beside the sum it is added to.
  """

  name: Literal["adamw", "adafactor", "rmsprop", "muon"] = "adamw"
  learning_rate: float = 1e-5
  adam_share: float = 1.0
  schedule: Literal["constant", "linear", "cosine"] = "cosine"
  warmup_share: float = 0.05
  clip: float = 1.0
  weight_decay: float = 0.0
  b1: float = 0.9
  b2: float = 0.98
  state_dtype: Literal["float32", "bfloat16"] = "float32"


def learning_rate_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
  """The learning rate by step."""
  warmup = (
    min(max(1, round(num_steps * config.warmup_share)), max(num_steps - 1, 1))
    if config.warmup_share
    else 0
  )
  rest = max(num_steps - warmup, 1)
  after = {
    "constant": optax.constant_schedule(config.learning_rate),
    "linear": optax.linear_schedule(config.learning_rate, 0.0, rest),
    "cosine": optax.cosine_decay_schedule(config.learning_rate, rest, alpha=0.1),
  }[config.schedule]
  return (
    optax.join_schedules(
      [optax.linear_schedule(0.0, config.learning_rate, warmup), after], [warmup]
    )
    if warmup
    else after
  )


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
  """Clipping, then the optimizer of that name with a learning rate of 1: the step scales its
  updates by the rate it is given.

  The rate stays out of the compiled program, so that runs which differ in rate or length share one.
  Raises ValueError for an unknown name.
  """

  def matrices(params: Any) -> Any:
    # By name and not by rank: layers are stacked, so the norms' scales are two-dimensional as well.
    return jax.tree_util.tree_map_with_path(
      lambda path, _: path[-1].key in ("kernel", "embedding", "lm_head", "a", "b"), params
    )

  moment = None if config.state_dtype == "float32" else config.state_dtype
  if config.name == "adamw":
    inner = optax.adamw(
      1.0,
      b1=config.b1,
      b2=config.b2,
      weight_decay=config.weight_decay,
      mask=matrices,
      mu_dtype=moment,
    )
  elif config.name == "adafactor":
    inner = optax.adafactor(
      1.0, multiply_by_parameter_scale=False, weight_decay_rate=config.weight_decay or None
    )
  elif config.name == "rmsprop":
    inner = optax.rmsprop(1.0)
  elif config.name == "muon":
    inner = optax.contrib.muon(
      1.0,
      weight_decay=config.weight_decay,
      adam_b1=config.b1,
      adam_b2=config.b2,
      adam_learning_rate=config.adam_share,
      mu_dtype=moment,
      muon_weight_dimension_numbers=_layer_matrices,
      consistent_rms=0.2,
    )
  else:
    raise ValueError(
      f"unknown optimizer {config.name!r}; there are adamw, adafactor, rmsprop and muon"
    )
  return optax.chain(optax.clip_by_global_norm(config.clip), inner) if config.clip else inner


def _layer_matrices(params: Any) -> Any:
  """Which leaves are matrices [layers, in, out] to orthogonalize one by one; None for all
  others.
  """
  numbers = optax.contrib.MuonDimensionNumbers(1, 2)
  return jax.tree_util.tree_map_with_path(
    lambda path, _: numbers if path[-1].key == "kernel" else None, params
  )
