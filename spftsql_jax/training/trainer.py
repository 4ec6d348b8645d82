"""`fit`: a run of training steps over units of examples, with guards, metrics and resumable checkpoints."""

from __future__ import annotations

import dataclasses
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import orbax.checkpoint.experimental.v1 as ocp
from tqdm import tqdm

from spftsql_jax.examples.batches import BatchShape, PrefixBatch, Unit, collate, padding_share, plan_epoch
from spftsql_jax.training.optimizer import OptimizerConfig, learning_rate_schedule
from spftsql_jax.training.step import Objective, init_state, make_train_step, numbers_of, program_of


@dataclasses.dataclass(frozen=True)
class FitConfig:
  """A training run.

  Attributes:
    steps: updates.
    shape: batch shape of one microbatch.
    accumulate: microbatches an update.
    optimizer, objective: what is minimized and how.
    abort_drop: the run ends when the mean log-prob of y+ (nats an answer, over the last 10 steps) falls this far below what it
      was over the first 10; 0 for no such guard. The loss of a collapsing self-play goes *down*, so the loss tells nothing.
    checkpoint_every: steps between checkpoints to resume from; 0 for none.
    seed: of the order of the data.
  """

  steps: int
  shape: BatchShape = BatchShape()
  accumulate: int = 1
  optimizer: OptimizerConfig = OptimizerConfig()
  objective: Objective = Objective()
  abort_drop: float = 0.0
  checkpoint_every: int = 0
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class FitResult:
  """What `fit` returns.

  Attributes:
    trained: the trained tree (params, or the adapter).
    steps: updates made.
    aborted: why the run ended early, or "".
    summary: means over the last tenth of the run, examples a second, padding share and the like.
  """

  trained: Any
  steps: int
  aborted: str
  summary: dict[str, float]


def fit(
  model: nn.Module,
  params: Any,
  units: Sequence[Unit],
  config: FitConfig,
  *,
  pad_id: int,
  lora: Any = None,
  on_metrics: Callable[[int, dict[str, float]], None] = lambda step, metrics: None,
  checkpoints: Path | None = None,
  place: Callable[[PrefixBatch], PrefixBatch] = jax.device_put,
  description: str = "training",
) -> FitResult:
  """Trains `lora` over frozen `params` where an adapter is given, else `params`; the trees given are left as they are.

  Args:
    units: what is learned from; every one must fit `config.shape` (see `batches.fits`).
    on_metrics: called with (step, metrics) after every step.
    checkpoints: folder of this run's checkpoints; a run found there is resumed, and the folder is removed at the end.
    place: puts a batch on the devices (a mesh's batch sharding).

  Raises:
    ValueError: no units.
  """
  if not units:
    raise ValueError(f"{description}: no examples to train on")
  rate = learning_rate_schedule(config.optimizer, config.steps)
  trainable, frozen = (params, None) if lora is None else (lora, params)
  state, start = _resume(init_state(config.optimizer, trainable), checkpoints)
  # Without rate and schedule, so that runs which differ in these alone share one compiled step.
  kind = dataclasses.replace(config.optimizer, learning_rate=0.0, schedule="constant", warmup_share=0.0)
  step_fn = make_train_step(model, kind, program_of(config.objective))
  numbers = numbers_of(config.objective)
  plan = _plan(units, config)
  history: list[dict[str, float]] = []
  aborted, began, examples, tokens, padding = "", time.perf_counter(), 0, 0, []
  bar = tqdm(total=config.steps, initial=start, desc=description, unit="step", disable=None, leave=False)
  for step, batch in _prefetch(_collated(units, plan, config, pad_id, start)):
    examples += int((batch.answer_lengths > 0).sum())
    tokens += batch.prefix.size + batch.branch.size
    padding.append(padding_share(batch))
    state, metrics = step_fn(state, frozen, place(batch), float(rate(step - 1)), numbers)
    metrics = {name: float(value) for name, value in metrics.items()}
    history.append(metrics)
    on_metrics(step, metrics)
    bar.update()
    bar.set_postfix(loss=f"{metrics['loss']:.3f}")
    aborted = _abort_reason(history, config.abort_drop)
    if aborted or not np.isfinite(metrics["loss"]):
      aborted = aborted or f"the loss is {metrics['loss']} at step {step}"
      break
    if checkpoints and config.checkpoint_every and step % config.checkpoint_every == 0 and step < config.steps:
      _save(state, checkpoints, step)
  bar.close()
  jax.block_until_ready(state.trainable)
  seconds = time.perf_counter() - began
  tail = history[-max(1, len(history) // 10) :]
  summary = {name: float(np.mean([m[name] for m in tail])) for name in (tail[0] if tail else {})}
  summary |= {
    "examples_per_second": examples / seconds,
    "tokens_per_second": tokens / seconds,
    "padding_share": float(np.mean(padding)) if padding else 0.0,
    "seconds": seconds,
  }
  return FitResult(state.trainable, start + len(history), aborted, summary)


def forget_checkpoints(checkpoints: Path) -> None:
  """Removes a finished run's checkpoints; call it once the result is stored elsewhere."""
  shutil.rmtree(checkpoints, ignore_errors=True)


def _plan(units: Sequence[Unit], config: FitConfig) -> list[list[list[int]]]:
  """The groups of every step, a function of the seed alone, so that a resumed run sees the batches it would have seen."""
  wide = dataclasses.replace(config.shape, schemas=config.shape.schemas * config.accumulate)
  plan: list[list[list[int]]] = []
  epoch = 0
  while len(plan) < config.steps:
    plan += plan_epoch(units, wide, np.random.default_rng([config.seed, epoch]))
    epoch += 1
  return plan[: config.steps]


def _collated(
  units: Sequence[Unit], plan: list[list[list[int]]], config: FitConfig, pad_id: int, start: int
) -> Iterator[tuple[int, PrefixBatch]]:
  wide = dataclasses.replace(config.shape, schemas=config.shape.schemas * config.accumulate)
  for step in range(start, len(plan)):
    batch = collate(units, plan[step], wide, pad_id)
    yield step + 1, jax.tree.map(lambda x: x.reshape(config.accumulate, -1, *x.shape[1:]), batch)


def _prefetch(items: Iterator[Any], depth: int = 2) -> Iterator[Any]:
  """The same items, made ahead on another thread; an exception there is raised here."""
  ready: queue.Queue = queue.Queue(depth)
  stop = threading.Event()
  end = object()

  def put(item: Any) -> bool:
    while not stop.is_set():
      try:
        ready.put(item, timeout=0.1)
        return True
      except queue.Full:
        continue
    return False

  def work() -> None:
    try:
      for item in items:
        if not put((item, None)):
          return
      put((end, None))
    except BaseException as error:  # handed to the consumer, which raises it
      put((end, error))

  threading.Thread(target=work, daemon=True).start()
  try:
    while True:
      item, error = ready.get()
      if error is not None:
        raise error
      if item is end:
        return
      yield item
  finally:
    stop.set()


def _abort_reason(history: list[dict[str, float]], drop: float) -> str:
  if not drop or len(history) < 20:
    return ""
  first = np.mean([m["log_prob_positive"] for m in history[:10]])
  last = np.mean([m["log_prob_positive"] for m in history[-10:]])
  if first - last <= drop:
    return ""
  return f"mean log-prob of y+ fell from {first:.2f} to {last:.2f} (more than {drop:g} nats) by step {len(history)}"


def _resume(state: Any, checkpoints: Path | None) -> tuple[Any, int]:
  steps = sorted(int(p.name) for p in checkpoints.iterdir() if p.name.isdigit()) if checkpoints and checkpoints.is_dir() else []
  for step in reversed(steps):
    try:
      kept = ocp.load_pytree((checkpoints / str(step)).resolve(), _changing(state))
    except (ValueError, OSError, KeyError):
      continue  # cut off while it was written: the one before it serves
    return state.replace(**kept), step
  return state, 0


def _changing(state: Any) -> dict[str, Any]:
  return {"step": state.step, "trainable": state.trainable, "optimizer": state.optimizer}


def _save(state: Any, checkpoints: Path, step: int) -> None:
  checkpoints.mkdir(parents=True, exist_ok=True)
  ocp.save_pytree((checkpoints / str(step)).resolve(), _changing(state), overwrite=True)
  for old in checkpoints.iterdir():
    if old.name.isdigit() and int(old.name) < step:
      shutil.rmtree(old, ignore_errors=True)
