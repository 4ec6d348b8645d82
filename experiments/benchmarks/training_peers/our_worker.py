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

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.examples.batches import (
  BatchShape,
  Branch,
  Unit,
  choose_shape,
  collate,
  padding_share,
  plan_epoch,
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
  up = lambda lengths: tuple(sorted({-(-n // 16) * 16 for n in lengths}))  # noqa: E731
  names = ("prefix_buckets", "branch_buckets", "answer_buckets")
  return dataclasses.replace(shape, **{name: up(getattr(shape, name)) for name in names})


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
  shape = rounded(
    choose_shape(units, schemas=JOB["schemas"], branches=JOB["branches"], **JOB["buckets"])
  )
  plan = plan_epoch(units, shape, np.random.default_rng(0))
  if dpo:  # the reference is the model at the start: its log-probs once, in the shapes of training
    score = jax.jit(lambda variables, batch: answer_log_probs(model, variables, batch))
    scored: dict[int, tuple[float, float]] = {}
    for groups in plan:
      found = np.asarray(score(variables_of(trainable, frozen), collate(units, groups, shape, 1)))
      for row, group in enumerate(groups):
        scored |= {
          i: (float(found[row, 2 * p]), float(found[row, 2 * p + 1])) for p, i in enumerate(group)
        }
    units = [Unit(u.branches, u.reward, scored[i]) for i, u in enumerate(units)]
  objective, optimizer = Objective(JOB["loss"]), OptimizerConfig()
  state = init_state(optimizer, trainable)
  step, numbers = make_train_step(model, optimizer, program_of(objective)), numbers_of(objective)
  paddings: list[float] = []

  def run() -> dict:
    nonlocal state
    tokens, flops, kept = 0, 0.0, []
    for groups in plan:
      batch = collate(units, groups, shape, 1)
      tokens += batch.prefix.size + batch.branch.size
      flops += step_flops(model.config, batch, model.lora)
      paddings.append(padding_share(batch))
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
    batches=len(plan),
    shape=vars(shape),
    device=jax.devices()[0].device_kind,
    peak_flops=peak_flops(),
    versions={"jax": jax.__version__},
  )


if __name__ == "__main__":
  main()
