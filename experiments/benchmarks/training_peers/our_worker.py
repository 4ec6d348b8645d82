"""Our training step on the job's records: batches are planned, collated, placed and trained on as
`trainer.fit` does it.
"""

# Threads are set before the libraries that read them are imported.
# ruff: noqa: E402

from __future__ import annotations

import turns

JOB = turns.read_job()
turns.threads_of(JOB)

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.examples.batches import (
  BatchShape,
  Branch,
  PrefixBatch,
  Unit,
  choose_shape,
  collate,
  padding_share,
  plan_epoch,
)
from spftsql_jax.examples.packing import (
  PackedBatch,
  Packing,
  count_rows,
  pack,
  places_of,
  plan_rows,
  shape_of_rows,
)
from spftsql_jax.models import Decoder, LoraConfig, init_lora, load_hf
from spftsql_jax.models.flops import peak_flops, step_flops
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import (
  Objective,
  init_state,
  make_train_step,
  numbers_of,
  program_of,
  variables_of,
)


def units_of(records: list[dict], dpo: bool) -> list[Unit]:
  sides = ("chosen", "rejected") if dpo else ("chosen",)
  return [
    Unit(tuple(Branch(tuple(r["prefix"]), tuple(r["prompt"]), tuple(r[s])) for s in sides), 1.0)
    for r in records
  ]


def rounded(shape: BatchShape) -> BatchShape:
  """On a GPU lengths are multiples of 16: its kernels want aligned rows."""
  if JOB["device"] == "cpu":
    return shape

  def up(lengths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({-(-n // 16) * 16 for n in lengths}))

  return dataclasses.replace(
    shape,
    prefix_buckets=up(shape.prefix_buckets),
    branch_buckets=up(shape.branch_buckets),
    answer_buckets=up(shape.answer_buckets),
  )


class Padded:
  """An epoch in batches of the padded form."""

  def __init__(self, units: list[Unit]):
    self.shape = rounded(
      choose_shape(units, schemas=JOB["schemas"], branches=JOB["branches"], **JOB["buckets"])
    )
    self.plan = plan_epoch(units, self.shape, np.random.default_rng(0))

  def batch(self, units: list[Unit], groups: list[list[int]]) -> PrefixBatch:
    return collate(units, groups, self.shape, 1)

  def places(self, units: list[Unit], groups: list[list[int]]) -> list[tuple[int, int, int]]:
    """(row, place of y+, unit) of each pair."""
    return [(row, 2 * p, i) for row, group in enumerate(groups) for p, i in enumerate(group)]

  def held(self, batch: PrefixBatch) -> tuple[int, float]:
    """(tokens computed, share of them that is padding)."""
    return batch.prefix.size + batch.branch.size, padding_share(batch)


class Packed:
  """An epoch in packed rows, one a step."""

  def __init__(self, units: list[Unit]):
    self.shape = shape_of_rows(units, Packing(**JOB.get("packing", {"most_row_tokens": 16384})))
    rows = plan_rows(units, self.shape, np.random.default_rng(0))
    self.plan = [[row] for row in rows]

  def batch(self, units: list[Unit], rows: list) -> PackedBatch:
    return pack(units, rows, self.shape, 1)

  def places(self, units: list[Unit], rows: list) -> list[tuple[int, int, int]]:
    """(row, place of y+, unit) of each pair."""
    return list(places_of(units, rows))

  def held(self, batch: PackedBatch) -> tuple[int, float]:
    """(tokens computed, share of them that is padding)."""
    counts = count_rows(batch)
    return counts.computed, counts.padding_share


def main() -> None:
  turns.begin(JOB)
  # Frozen weights are kept in the dtype of the computation, trained ones in float32.
  model, params = load_hf(JOB["model_dir"], JOB["dtype"] if JOB["lora"] else "float32")
  config = dataclasses.replace(model.config, dtype=JOB["dtype"], remat=JOB["remat"])
  for attention in JOB["options"]:
    if not measure(Decoder(config, prompt_attention=attention), params, attention):
      break


def measure(model: Decoder, params: dict, attention: str) -> bool:
  """Serves turns with one attention; returns whether the next is asked for."""
  dpo = JOB["loss"] == "dpo"
  # The step takes its state for itself: what a further option needs is copied.
  trainable, frozen = (
    params if JOB["lora"] or len(JOB["options"]) == 1 else jax.tree.map(jnp.copy, params),
    None,
  )
  if JOB["lora"]:
    lora = LoraConfig(16, 32.0)
    model = model.clone(lora=lora)
    trainable, frozen = init_lora(model.config, lora, jax.random.key(0)), params
  units = units_of(JOB["records"], dpo)
  epoch: Any = Packed(units) if JOB["form"] == "packed" else Padded(units)
  if dpo:  # the reference is the model at the start: its log-probs once, in the shapes of training
    score = jax.jit(lambda variables, batch: answer_log_probs(model, variables, batch))
    scored: dict[int, tuple[float, float]] = {}
    for part in epoch.plan:
      found = np.asarray(score(variables_of(trainable, frozen), epoch.batch(units, part)))
      for row, place, i in epoch.places(units, part):
        scored[i] = (float(found[row, place]), float(found[row, place + 1]))
    units = [Unit(u.branches, u.reward, scored[i]) for i, u in enumerate(units)]
  objective, optimizer = Objective(JOB["loss"]), OptimizerConfig()
  state = init_state(optimizer, trainable)
  step, numbers = make_train_step(model, optimizer, program_of(objective)), numbers_of(objective)
  paddings: list[float] = []

  def run() -> dict:
    nonlocal state
    tokens, flops, kept = 0, 0.0, []
    for part in epoch.plan:
      batch = epoch.batch(units, part)
      computed, padding = epoch.held(batch)
      tokens += computed
      flops += step_flops(model.config, batch, model.lora)
      paddings.append(padding)
      batch = jax.device_put(jax.tree.map(lambda x: x[None], batch))
      state, metrics = step(state, frozen, batch, 1e-6, numbers)
      kept.append(metrics)
    losses = [float(m["loss"]) for m in kept]
    jax.block_until_ready(state)
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    return {
      "tokens": tokens,
      "records": len(units),
      "loss": float(np.mean(losses)),
      "flops": flops,
      "peak_bytes": peak,
    }

  began = time.perf_counter()
  first = run()
  compiled = time.perf_counter() - began
  return turns.serve(
    run,
    option=attention,
    compiled_in_s=round(compiled, 1),
    shapes=step._cache_size(),
    padding_share=round(float(np.mean(paddings)), 3),
    first_loss=first["loss"],
    batches=len(epoch.plan),
    shape=vars(epoch.shape),
    device=jax.devices()[0].device_kind,
    peak_flops=peak_flops(),
    versions={"jax": jax.__version__},
  )


if __name__ == "__main__":
  main()
