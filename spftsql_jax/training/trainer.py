"""`fit`: a run of training steps, with guards, metrics, evaluations and checkpoints to resume."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from spftsql_jax import hosts
from spftsql_jax.examples.batches import (
  BatchShape,
  PrefixBatch,
  Unit,
  collate,
  plan_epoch,
)
from spftsql_jax.examples.packing import (
  Packing,
  TokenBatch,
  shape_of_rows,
)
from spftsql_jax.models import sharding
from spftsql_jax.training.checkpoints import Checkpoints, forget_checkpoints
from spftsql_jax.training.feed import packed_updates, plan_updates
from spftsql_jax.training.guards import Evaluation, Guards
from spftsql_jax.training.meter import Meter
from spftsql_jax.training.optimizer import OptimizerConfig, learning_rate_schedule
from spftsql_jax.training.step import (
  Objective,
  TrainState,
  init_state,
  make_train_step,
  numbers_of,
  program_of,
  state_shardings,
)

__all__ = ["Evaluation", "FitConfig", "FitResult", "Preempted", "fit", "forget_checkpoints"]

# Steps that may be under way while the host goes on: a metric is fetched when so many newer steps
# have been started.
_IN_FLIGHT = 2


@dataclasses.dataclass(frozen=True)
class FitConfig:
  """A training run.

  Attributes:
    steps: updates.
    shape: batch shape of one microbatch, or how examples are packed into its rows.
    accumulate: microbatches an update.
    optimizer, objective: what is minimized and how.
    abort_drop, evaluate_every, patience, executable_drop: see `guards.Guards`; evaluations are
      `fit`'s `evaluate` every so many steps, before the first and behind the last; 0 for none.
    checkpoint_every: steps between checkpoints to resume from; 0 for none.
    seed: of the order of the data and of dropout.
  """

  steps: int
  shape: BatchShape | Packing = BatchShape()
  accumulate: int = 1
  optimizer: OptimizerConfig = OptimizerConfig()
  objective: Objective = Objective()
  abort_drop: float = 0.0
  evaluate_every: int = 0
  patience: int = 0
  executable_drop: float = 0.0
  checkpoint_every: int = 0
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class FitResult:
  """What `fit` returns.

  Attributes:
    trained: the trained tree (params, or the adapter): the best evaluated one where the run had
      patience, else the last good one (see `fit`). In float32, also where the model computes with
      less: what rounding would take from it is a small stage's whole work.
    steps: updates made; where numbers were not finite, those behind the tree that is kept.
    aborted: why the run ended early, or "".
    fault: the same where a loss, a gradient or an update was no finite number, else "".
    summary: means over the last tenth of the run's steps, examples a second, padding share,
      compiled shapes and the like.
    evaluations: what was evaluated, in order.
  """

  trained: Any
  steps: int
  aborted: str
  summary: dict[str, float]
  evaluations: tuple[Evaluation, ...] = ()
  fault: str = ""


class Preempted(RuntimeError):
  """SIGTERM came.

  Attributes:
    kept: the state is in a checkpoint, and the same call goes on from there.
  """

  def __init__(self, message: str, kept: bool):
    super().__init__(message)
    self.kept = kept


def fit(
  model: nn.Module,
  params: Any,
  units: Sequence[Unit],
  config: FitConfig,
  *,
  pad_id: int,
  lora: Any = None,
  on_metrics: Callable[[int, dict[str, float]], None] = lambda step, metrics: None,
  evaluate: Callable[[Any], tuple[float, float]] | None = None,
  checkpoints: Path | None = None,
  mesh: Mesh | None = None,
  description: str = "training",
) -> FitResult:
  """Trains `lora` over frozen `params` where an adapter is given, else `params`; the trees given
  are left as they are.

  Metrics are fetched two steps late, so that the device never waits for the host.

  A loss, a gradient or an update that is no finite number ends the run, and the update is not made.
  The tree from before it is what was trained, if its loss on the batch before is a number. Where it
  is not, the weights themselves have gone astray: the newest checkpoint's that has been trained on
  without fault are taken, else those that the run started from.

  Args:
    units: what is learned from; every one must fit `config.shape` (see `batches.fits`;
      rows are as long as the longest unit needs).
    on_metrics: called with (step, metrics) of every update made, in order: loss, gradient norm,
      mean log-prob of y+ (and of y-, margin and reward rate for pairs), examples and tokens a
      second, padding share, and mfu where the chip is known.
    evaluate: (execution accuracy, share of answers that run) of a tree, on held-out questions.
    checkpoints: folder of this run's checkpoints, written while training goes on; a run found there
      is resumed, in the middle of an epoch too. `forget_checkpoints` removes it once the result is
      stored elsewhere.
    mesh: devices that share the work, of all processes; the trees given lie on it. Every process is
      given the same units. Which examples a step sees does not depend on the mesh: batches are
      padded to a row for each of its parts.

  Raises:
    ValueError: no units. Preempted: SIGTERM came; with `checkpoints` the state is stored there
      first.
  """
  if not units:
    raise ValueError(f"{description}: no examples to train on")
  rate = learning_rate_schedule(config.optimizer, config.steps)
  trainable, frozen = (params, None) if lora is None else (lora, params)
  store = Checkpoints(checkpoints)
  guards = Guards(config.abort_drop, config.patience, config.executable_drop)
  meter = Meter(model, tail=max(1, config.steps // 10))
  dtype = model.config.param_dtype if lora is None else None
  state, start = store.resume(init_state(config.optimizer, trainable, dtype), guards, meter)
  # Without rate and schedule, so that runs which differ in these alone share one compiled step.
  kind = dataclasses.replace(
    config.optimizer, learning_rate=0.0, schedule="constant", warmup_share=0.0
  )
  pinned = None if mesh is None else state_shardings(config.optimizer, trainable, dtype)
  step_fn = _on_mesh(make_train_step(model, kind, program_of(config.objective), pinned), mesh)
  numbers = numbers_of(config.objective)
  batches_from = _batches_of(units, config, pad_id, sharding.batch_parts(mesh))
  evaluator = evaluate if config.evaluate_every else None
  pending: collections.deque[tuple[int, dict[str, jax.Array], dict[str, float]]] = (
    collections.deque()
  )
  fetched = start

  def fetch(keep: int) -> None:
    """Fetches the metrics of all but the `keep` newest steps."""
    nonlocal fetched
    while len(pending) > keep and not guards.reason:
      step, metrics, counts = pending.popleft()
      values = {name: float(value) for name, value in metrics.items()}
      guards.observe_step(step, values)
      if guards.fault:
        return
      del values["finite"]
      fetched = step
      on_metrics(step, meter.finish_step(values, counts))
      bar.update()
      bar.set_postfix(loss=f"{values['loss']:.3f}")

  def last_good(state: TrainState) -> tuple[Any, int]:
    """(tree, its step) after a fault behind step `fetched`.

    The state has halted: another step only measures it.
    """
    again = batches_from(fetched - 1) if fetched else iter(())
    for _, batch in itertools.islice(again, 1):
      state, metrics = step_fn(
        state, frozen, to_devices(batch, mesh), 0.0, numbers, config.seed % 2**31
      )
      if all(np.isfinite(float(metrics[name])) for name in ("loss", "gradient_norm")):
        return state.weights, fetched
    # A checkpoint's weights are known to be good where an update has been made from them.
    return store.weights(state, before=fetched) or (
      jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), trainable),
      0,
    )

  with (
    _sigterm() as terminated,
    store,
    tqdm(
      total=config.steps, initial=start, desc=description, unit="step", disable=None, leave=False
    ) as bar,
  ):
    if evaluator is not None and not guards.evaluations:
      guards.observe_evaluation(0, *evaluator(state.trainable), state.weights)
    for step, batch in _prefetch(batches_from(start)):
      state, metrics = step_fn(
        state, frozen, to_devices(batch, mesh), float(rate(step - 1)), numbers, config.seed % 2**31
      )
      pending.append((step, metrics, meter.start_step(batch)))
      due = bool(evaluator) and (step % config.evaluate_every == 0 or step == config.steps)
      kept = (
        bool(config.checkpoint_every)
        and step % config.checkpoint_every == 0
        and step < config.steps
      )
      ended = terminated.is_set() or hosts.preempted(step)
      # All metrics before an evaluation or a checkpoint, so that neither is of a state that has
      # halted.
      fetch(0 if due or kept or ended else _IN_FLIGHT)
      if evaluator is not None and due and not guards.reason:
        meter.pause()
        guards.observe_evaluation(step, *evaluator(state.trainable), state.weights)
        meter.resume()
      if guards.reason:
        break
      if ended:
        what = (
          f"its state at step {step} is kept, the same command goes on from there"
          if checkpoints
          else "nothing is kept"
        )
        store.save(state, guards, meter, step)
        store.finish()
        raise Preempted(f"{description} was ended by SIGTERM; {what}", bool(checkpoints))
      if kept:
        store.save(state, guards, meter, step)
    fetch(0)
    jax.block_until_ready(state.trainable)
    last = state.weights
    if guards.fault:
      store.finish()
      last, fetched = last_good(state)
  trained = guards.best(last)
  if guards.fault and trained is not last:
    fetched = guards.best_step
  return FitResult(
    trained, fetched, guards.reason, meter.summary(), tuple(guards.evaluations), guards.fault
  )


class _sigterm:
  """Within, SIGTERM sets the event it gives instead of ending the process.

  Elsewhere than in the main thread it does nothing; nor with several processes, which must end at
  the same step: there JAX takes the signal (`hosts.preempted`).
  """

  def __enter__(self) -> threading.Event:
    event = threading.Event()
    self._main = threading.current_thread() is threading.main_thread() and hosts.count() == 1
    if self._main:
      self._before = signal.signal(signal.SIGTERM, lambda number, frame: event.set())
    return event

  def __exit__(self, *_: Any) -> None:
    if self._main:
      signal.signal(signal.SIGTERM, self._before)


def _on_mesh(step_fn: Callable, mesh: Mesh | None) -> Callable:
  """The step as it is called on a mesh."""
  if mesh is None:
    return step_fn

  def call(*arguments: Any) -> Any:
    with sharding.use_mesh(mesh):
      return step_fn(*arguments)

  return call


def to_devices(batch: TokenBatch, mesh: Mesh | None) -> TokenBatch:
  """Puts microbatches [M, B, ...] or [M, R, ...] on the devices."""
  if mesh is None:
    return jax.device_put(batch)
  return sharding.put(batch, NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp"))))


def _batches_of(
  units: Sequence[Unit], config: FitConfig, pad_id: int, parts: int
) -> Callable[[int], Iterator[tuple[int, TokenBatch]]]:
  """What gives (step, batch) of all steps behind one: packed rows, or padded batches."""
  if isinstance(config.shape, Packing):
    packing, shape = config.shape, shape_of_rows(units, config.shape)
    plan = functools.partial(
      plan_updates, units, shape, packing.rows * config.accumulate, config.steps, config.seed
    )
    return lambda start: packed_updates(
      units,
      plan(start),
      shape,
      packing,
      pad_id,
      accumulate=config.accumulate,
      parts=parts,
      start=start,
    )
  padded = config.shape
  batches = _plan(units, config, padded)
  return lambda start: _batches(units, batches, config, padded, pad_id, start, parts)


def _plan(units: Sequence[Unit], config: FitConfig, shape: BatchShape) -> list[list[list[int]]]:
  """The groups of units of every step, by the seed alone: a resumed run sees the same batches."""
  wide = dataclasses.replace(shape, schemas=shape.schemas * config.accumulate)
  plan: list[list[list[int]]] = []
  epoch = 0
  while len(plan) < config.steps:
    plan += plan_epoch(units, wide, np.random.default_rng([config.seed, epoch]))
    epoch += 1
  return plan[: config.steps]


def _batches(
  units: Sequence[Unit],
  plan: list[list[list[int]]],
  config: FitConfig,
  shape: BatchShape,
  pad_id: int,
  start: int,
  parts: int,
) -> Iterator[tuple[int, PrefixBatch]]:
  """(step, its microbatches [M, B, ...]) from step `start` + 1 on; B is a multiple of `parts`."""
  rows = -(-shape.schemas // parts) * parts
  wide = dataclasses.replace(shape, schemas=rows * config.accumulate)
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
