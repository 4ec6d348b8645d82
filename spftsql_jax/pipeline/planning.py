"""What a run chooses once, before it trains: lengths, lanes, microbatches, and what the backward
pass computes again.

It is kept in the journal: a run that is gone on with computes as it began, on a machine with
another memory too.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.plan import bucket
from spftsql_jax.models import ModelConfig
from spftsql_jax.models.products import settle
from spftsql_jax.models.sharding import batch_parts
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.lengths import (
  are_open,
  choose_lengths,
  longest_unit,
  measure,
  schema_lengths,
)
from spftsql_jax.pipeline.recipes import count_parameters
from spftsql_jax.pipeline.records import Chosen
from spftsql_jax.pipeline.starting_model import rule_worded_examples
from spftsql_jax.pipeline.trainable import lora_config
from spftsql_jax.training.memory import (
  MIB,
  StepPlan,
  TrainingKind,
  device_memory,
  kind_of,
  plan_step,
  resident_bytes,
)

# Examples by which lengths are measured: the seeds, and rule-worded ones where these are few.
_MEASURED = 400
# Answers at once, the most that is chosen first.
_LANES = (256, 128, 96, 64, 48, 32, 24, 16, 8, 4)
# What decoding takes beside keys, values and the layers once more: its programs while they are
# compiled, and the prompts that are read together.
_DECODING = 400 * MIB
# Where nothing is known of a device's memory, and on a CPU at most.
_USUAL_LANES = 96


def choose(
  config: RunConfig,
  data: RunData,
  databases: dict[str, PromptDatabase],
  tokenizer: Tokenizer,
  source: Path,
  mesh: Mesh | None = None,
  recipe: str = "",
) -> Chosen:
  """Chooses what the config leaves open; what it gives stays.

  Args:
    databases: by db_id.
    source: folder of the starting model.
    mesh: devices that share the work; None for one.
    recipe: what was chosen before, in a line; "" for nothing.
  """
  model = ModelConfig.from_hf(source, dtype=config.model.dtype)
  said = [recipe] if recipe else []
  packing, max_new_tokens = config.packing, config.max_new_tokens
  if are_open(config):
    examples = [*data.seeds, *rule_worded_examples(config, data, databases, _MEASURED)]
    lengths = choose_lengths(
      config, measure(tokenizer, databases, examples), model.longest_sequence
    )
    packing, max_new_tokens = lengths.packing, lengths.max_new_tokens
    said.append(lengths.said)
  kind = kind_of(model, count_parameters(source), lora_config(config))
  there = device_memory(config.host_gb, sharing=1 if mesh is None else len(mesh.local_devices))
  plan = plan_step(
    model,
    _of_device(kind, mesh),
    packing,
    longest_unit(packing),
    there,
    accumulate=config.accumulate,
    remat=config.remat,
    parts=batch_parts(mesh),
  )
  packing = dataclasses.replace(
    packing,
    rows=plan.rows,
    most_row_tokens=packing.most_row_tokens if packing.row_tokens else plan.most_row_tokens,
  )
  lanes = config.lanes or choose_lanes(
    model,
    kind,
    packing,
    max_new_tokens,
    schema_lengths(tokenizer, databases),
    plan.there,
  )
  products = settle(config.products, config.model.dtype, alone=mesh is None)
  said.append(_line(plan, packing, lanes, products))
  return Chosen(
    packing=packing,
    max_new_tokens=max_new_tokens,
    lanes=lanes,
    accumulate=plan.accumulate,
    remat=plan.remat,
    products=products,
    needed_bytes=plan.needed,
    there_bytes=plan.there,
    said=tuple(said),
  )


def settled(config: RunConfig, chosen: Chosen) -> RunConfig:
  """The config with what was chosen."""
  return dataclasses.replace(
    config,
    packing=chosen.packing,
    max_new_tokens=chosen.max_new_tokens,
    lanes=chosen.lanes,
    accumulate=chosen.accumulate,
    remat=chosen.remat,
    products=chosen.products,
  )


def choose_lanes(
  model: ModelConfig,
  kind: TrainingKind,
  packing: Packing,
  max_new_tokens: int,
  schemas: Sequence[int],
  there: int | None,
) -> int:
  """How many answers are decoded at once: the most whose keys and values there is room for, twice
  while they are filled, beside the weights of the layers once more and what training holds.

  Args:
    schemas: tokens of each schema: its keys and values are there once, whoever asks it.
    there: bytes that may be used; None where that is not known.
  """
  if there is None:
    return _USUAL_LANES
  width = jnp.dtype(model.dtype).itemsize
  token = 2 * model.num_hidden_layers * model.num_key_value_heads * model.head_dim * width
  layers = (kind.parameters - model.vocab_size * model.hidden_size) * width
  room = there - resident_bytes(model, kind) - layers - _DECODING
  # Half of a branch at most is a prompt that there is: see `lengths.py`.
  own = packing.longest_branch // 2 + max_new_tokens
  slots = Counter(bucket(min(n, packing.longest_prefix), smallest=128) for n in schemas)

  def taken(lanes: int) -> int:
    # Schemas of a bucket are decoded together, in as many rows as there are lanes.
    rows = [size * min(lanes, _up_to_power_of_four(count)) for size, count in slots.items()]
    return 2 * token * (max(rows, default=0) + lanes * own)

  usual = [n for n in _LANES if n <= _USUAL_LANES or jax.default_backend() != "cpu"]
  return next((lanes for lanes in usual if taken(lanes) <= room), _LANES[-1])


def _up_to_power_of_four(count: int) -> int:
  """The rows that so many schemas are given, see `generation/plan.py`."""
  return 4 ** math.ceil(math.log(count, 4))


def _of_device(kind: TrainingKind, mesh: Mesh | None) -> TrainingKind:
  """What one device holds of the weights that a mesh cuts."""
  parts = 1 if mesh is None else mesh.shape["fsdp"] * mesh.shape["tensor"]
  return dataclasses.replace(
    kind, parameters=-(-kind.parameters // parts), trained=-(-kind.trained // parts)
  )


def _line(plan: StepPlan, packing: Packing, lanes: int, products: str) -> str:
  """The plan in words."""
  again = {
    "none": "nothing computed again",
    "dots": "all but products computed again",
    "full": "layers computed again",
  }[plan.remat]
  there = "unknown" if plan.there is None else f"{plan.there / 1e9:.1f} GB to use"
  short = "" if plan.fits else "; this is more than there is, and no plan takes less"
  length = packing.row_tokens or packing.most_row_tokens
  return (
    f"Memory: a step takes some {plan.needed / 1e9:.1f} GB ({there}): {plan.rows} rows of "
    f"{length:,} tokens at most in {plan.accumulate} parts, {again}; {lanes} answers at "
    f"once{short}" + ("; products of bfloat16 with float32 sums" if products == "rounded" else "")
  )
