"""When a training run must end early: self-play collapses quietly, so the loss is never asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# The mean log-prob of y+ is compared between the first and the latest so many steps.
_WINDOW = 10


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What held-out questions show behind `step` updates.

  Attributes:
    step: updates made.
    execution_accuracy: share of right answers.
    executable: share of answers that run.
  """

  step: int
  execution_accuracy: float
  executable: float


def _not_finite(metrics: dict[str, float]) -> str:
  """What of a step is no finite number, in words; "" where all is."""
  for name, what in (("loss", "the loss"), ("gradient_norm", "the norm of the gradients")):
    if not np.isfinite(value := metrics.get(name, 0.0)):
      return f"{what} is {value}"
  return "" if metrics.get("finite", 1.0) else "weights would no longer be finite numbers"


class Guards:
  """Watches a run; `reason` says why it must end, "" while it need not.

  Attributes:
    abort_drop: ends the run when the mean log-prob of y+ (nats an answer, over the last 10 steps)
      falls so far below what it was over the first 10; 0 for no such guard.
    patience: ends it when so many evaluations in a row are no better than the best; 0 for no such
      guard.
    executable_drop: ends it when the share of answers that run falls so far below that of the first
      evaluation; 0 for none.
    evaluations: so far.
    fault: the reason once more where it is a number that is not finite. This guard is always on.
  """

  def __init__(self, abort_drop: float = 0.0, patience: int = 0, executable_drop: float = 0.0):
    self.abort_drop, self.patience, self.executable_drop = abort_drop, patience, executable_drop
    self.evaluations: list[Evaluation] = []
    self.reason = self.fault = ""
    self._first: list[float] = []
    self._latest: list[float] = []
    self._best_tree: Any = None

  def observe_step(self, step: int, metrics: dict[str, float]) -> None:
    """Takes a step's metrics; of a step whose update was not made, that alone counts."""
    if what := _not_finite(metrics):
      self.reason = self.fault = f"{what} at step {step}"
      return
    value = metrics["log_prob_positive"]
    if len(self._first) < _WINDOW:
      self._first.append(value)
    else:
      self._latest = [*self._latest[-_WINDOW + 1 :], value]
    if self.abort_drop and len(self._latest) == _WINDOW:
      first, last = np.mean(self._first), np.mean(self._latest)
      if first - last > self.abort_drop:
        self.reason = (
          f"mean log-prob of y+ fell from {first:.2f} to {last:.2f} (more than "
          f"{self.abort_drop:g} nats) by step {step}"
        )

  def observe_evaluation(
    self, step: int, execution_accuracy: float, executable: float, tree: Any
  ) -> None:
    """Takes an evaluation of `tree`; with patience, the best tree so far is kept as a copy."""
    best = max((e.execution_accuracy for e in self.evaluations), default=-1.0)
    self.evaluations.append(Evaluation(step, execution_accuracy, executable))
    if execution_accuracy > best and self.patience:
      self._best_tree = jax.tree.map(jnp.copy, tree)  # the step donates its own
    since = len(self.evaluations) - 1 - max(range(len(self.evaluations)), key=self._rank)
    first = self.evaluations[0].executable
    if self.patience and since >= self.patience:
      self.reason = (
        f"execution accuracy has not risen above {best:.1%} in {since} evaluations by step {step}"
      )
    elif self.executable_drop and first - executable > self.executable_drop:
      self.reason = (
        f"the share of answers that run fell from {first:.1%} to {executable:.1%} by step {step}"
      )

  @property
  def best_step(self) -> int:
    """The updates behind the best evaluated tree."""
    return self.evaluations[max(range(len(self.evaluations)), key=self._rank)].step

  def best(self, last: Any) -> Any:
    """The best evaluated tree where one was kept, else `last`."""
    return last if self._best_tree is None else self._best_tree

  def record(self) -> dict[str, Any]:
    """What `restore` needs, as JSON."""
    evaluations = [dataclasses.astuple(e) for e in self.evaluations]
    return {"first": self._first, "latest": self._latest, "evaluations": evaluations}

  def restore(self, record: dict[str, Any], best_tree: Any = None) -> None:
    """Goes on from a record."""
    self._first, self._latest = record["first"], record["latest"]
    self.evaluations = [Evaluation(*e) for e in record["evaluations"]]
    self._best_tree = best_tree

  def _rank(self, index: int) -> tuple[float, int]:
    return self.evaluations[index].execution_accuracy, -index  # of equals the first
