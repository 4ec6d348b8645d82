"""Operations of a training step, and the peak of known chips: what a step should cost, and the
share of the peak it reaches.
"""

from __future__ import annotations

import jax

from spftsql_jax.examples.packing import PackedBatch, TokenBatch, count_rows
from spftsql_jax.models.chips import chip_of
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig, kernel_shapes


def peak_flops(device: jax.Device | None = None) -> float | None:
  """Peak bfloat16 operations a second of a device (by default the first), or None where the chip is
  not known.
  """
  chip = chip_of((device or jax.devices()[0]).device_kind)
  return None if chip is None else chip.products


def forward_flops(config: ModelConfig, batch: TokenBatch) -> tuple[float, float]:
  """(operations of products with weights, of attention's products) of a forward over a batch: of
  the arrays of a `PrefixBatch`, padding included; of the real tokens of a `PackedBatch`.

  A multiplication and an addition are two. Of causal scores the half below the diagonal counts,
  whatever is computed: that is what the mathematics needs. Leading axes (microbatches) count as
  more schemas.
  """
  if isinstance(batch, PackedBatch):
    return _packed_flops(config, batch)
  schemas = batch.prefix.size // batch.prefix.shape[-1]
  p_size, (k_size, l_size) = batch.prefix.shape[-1], batch.branch.shape[-2:]
  tokens = batch.prefix.size + batch.branch.size
  layer = sum(fan_in * fan_out for fan_in, fan_out in kernel_shapes(config).values())
  logits = schemas * k_size * batch.max_answer * config.vocab_size * config.hidden_size
  products = 2.0 * (tokens * layer * config.num_hidden_layers + logits)
  seen = schemas * (p_size * p_size / 2 + k_size * l_size * (p_size + l_size / 2))
  attention = 4.0 * seen * config.num_attention_heads * config.head_dim * config.num_hidden_layers
  return products, attention


def _packed_flops(config: ModelConfig, batch: PackedBatch) -> tuple[float, float]:
  counts = count_rows(batch)
  layer = sum(fan_in * fan_out for fan_in, fan_out in kernel_shapes(config).values())
  logits = counts.answer_tokens * config.vocab_size * config.hidden_size
  products = 2.0 * (counts.real * layer * config.num_hidden_layers + logits)
  heads = config.num_attention_heads * config.head_dim * config.num_hidden_layers
  return products, 4.0 * counts.seen * heads


def step_flops(config: ModelConfig, batch: TokenBatch, lora: LoraConfig | None = None) -> float:
  """Operations of a training step: the forward, and twice as many backward; the gradients of frozen
  weights are not made, so that with an adapter products with weights count once backward.
  Recomputation (remat) does not count, as is usual for MFU."""
  products, attention = forward_flops(config, batch)
  return products * (3 if lora is None else 2) + attention * 3
