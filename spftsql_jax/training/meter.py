"""The speed of a training run, and the means of its last metrics."""

from __future__ import annotations

import collections
import time
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from spftsql_jax.examples.batches import padding_share
from spftsql_jax.examples.packing import PackedBatch, TokenBatch, count_rows
from spftsql_jax.models.flops import peak_flops, step_flops


class Meter:
  """What a run has done, and how fast: its last metrics, examples, tokens, padding and shapes.

  Times and rates are those of this process; the rest is that of the whole run, however often it was
  cut and resumed.
  """

  def __init__(self, model: nn.Module, tail: int):
    self._model, self._peak = model, peak_flops()
    self._began = self._last = time.perf_counter()
    self._stopped = 0.0
    self._totals: collections.Counter[str] = collections.Counter()
    self._tail: collections.deque[dict[str, float]] = collections.deque(maxlen=tail)
    self._steps, self._padding = 0, 0.0
    self._shapes: set[tuple[tuple[int, ...], tuple[int, ...], int]] = set()

  def start_step(self, batch: TokenBatch) -> dict[str, float]:
    """What a batch holds; called when its step is started. Tokens of packed rows are real ones."""
    counts: dict[str, float] = {"examples": int((batch.answer_lengths > 0).sum())}
    if isinstance(batch, PackedBatch):
      held = count_rows(batch)
      counts["tokens"], padding = held.real, held.padding_share
      self._shapes.add((batch.tokens.shape, batch.answer_lengths.shape, batch.targets.shape[-1]))
    else:
      counts["tokens"] = batch.prefix.size + batch.branch.size
      padding = padding_share(batch)
      self._shapes.add((batch.prefix.shape, batch.branch.shape, batch.max_answer))
    self._totals.update(counts)
    self._steps, self._padding = self._steps + 1, self._padding + padding
    if self._peak:
      counts["flops"] = step_flops(self._model.config, batch, self._model.lora)
    return counts | {"padding_share": padding}

  def finish_step(self, values: dict[str, float], counts: dict[str, float]) -> dict[str, float]:
    """A step's metrics with its rates, by the time since the step before.

    Args:
      values: the step's metrics, once they have come.
      counts: what `start_step` gave for it.
    """
    now = time.perf_counter()
    seconds, self._last = max(now - self._last, 1e-9), now
    rates = {"padding_share": counts["padding_share"]}
    rates |= {f"{name}_per_second": counts[name] / seconds for name in ("examples", "tokens")}
    if self._peak and "flops" in counts:
      rates["mfu"] = counts["flops"] / seconds / self._peak / jax.device_count()
    self._tail.append(values | rates)
    return self._tail[-1]

  def pause(self) -> None:
    """An evaluation begins: its time is none of training's."""
    self._paused = time.perf_counter()

  def resume(self) -> None:
    """The evaluation has ended."""
    self._last = time.perf_counter()
    self._stopped += self._last - self._paused

  def summary(self) -> dict[str, float]:
    """Means of the last steps' metrics, and rates and padding of the whole run."""
    seconds = time.perf_counter() - self._began - self._stopped
    means = {
      name: float(np.mean([m[name] for m in self._tail]))
      for name in (self._tail[0] if self._tail else {})
    }
    return means | {
      "examples_per_second": self._totals["examples"] / seconds,
      "tokens_per_second": self._totals["tokens"] / seconds,
      "padding_share": self._padding / max(self._steps, 1),
      "compiled_shapes": len(self._shapes),
      "seconds": seconds,
    }

  def record(self) -> dict[str, Any]:
    """What `restore` needs, as JSON."""
    return {
      "tail": list(self._tail),
      "steps": self._steps,
      "padding": self._padding,
      "shapes": sorted(self._shapes),
    }

  def restore(self, record: dict[str, Any]) -> None:
    """Goes on from a record."""
    self._tail.extend(record["tail"])
    self._steps, self._padding = record["steps"], record["padding"]
    self._shapes = {
      (tuple(prefix), tuple(branch), answer) for prefix, branch, answer in record["shapes"]
    }
