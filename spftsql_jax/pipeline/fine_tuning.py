"""Fine-tuning a version of the model, resumable, with guards that ask it held-out questions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from jax.sharding import Mesh

from spftsql_jax.examples.batches import Unit
from spftsql_jax.examples.example import Example
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.config import RunConfig, Training, stage_seed
from spftsql_jax.pipeline.evaluation import Evaluator, score
from spftsql_jax.training.step import Objective
from spftsql_jax.training.trainer import FitConfig, FitResult, fit

_SFT = Objective("sft")


@dataclasses.dataclass(frozen=True)
class Trainer:
  """What every training of a run shares.

  Attributes:
    config: of the run.
    evaluator: answers held-out questions while a model trains.
    mesh: the devices of all processes; None for one device.
    checkpoints: the folder of the checkpoints to resume from, by stage.
    metrics: called with (stage, step, values).
    say: prints a line.
  """

  config: RunConfig
  evaluator: Evaluator
  mesh: Mesh | None
  checkpoints: Path
  metrics: Callable[[str, int, dict[str, float]], None]
  say: Callable[[str], None]

  def checkpoint_folder(self, stage: str) -> Path:
    """The checkpoints of one stage."""
    return self.checkpoints / stage.replace("/", "-")


def train(
  trainer: Trainer,
  stage: str,
  tree: Params,
  units: Sequence[Unit],
  training: Training,
  *,
  objective: Objective = _SFT,
  abort_drop: float = 0.0,
  held_out: Sequence[Example] = (),
  seed: int | None = None,
) -> FitResult:
  """Trains a copy of a version's tree, resuming from its checkpoints where the run was cut off.

  Where a number is not finite, training ends, says so, and gives the last good tree (see `fit`).

  Args:
    seed: of the order of the batches and of dropout; the stage's own by default. Stages that are
      compared with each other are given one and the same (`config.pairs_seed`).
    held_out: where `training.evaluate_every` is set, questions that the model answers while it
      trains, verified by execution; the run ends early by their figures (see `guards.Guards`).
  """
  evaluator = trainer.evaluator
  if seed is None:
    seed = stage_seed(trainer.config, stage)

  def evaluate(current: Params) -> tuple[float, float]:
    found = score(evaluator, current, held_out)
    trainer.say(
      f"  {stage}: EX {found.execution_accuracy:.1%} on {len(held_out)} held-out questions, "
      f"{found.executable:.0%} run"
    )
    return found.execution_accuracy, found.executable

  weights = evaluator.trainable.to_train(tree)
  model = evaluator.trainable.model
  result = fit(
    model.rounded() if trainer.config.products == "rounded" else model,
    weights.params,
    units=units,
    config=_fit_config(trainer.config, training, objective, abort_drop, seed),
    pad_id=evaluator.tokenizer.pad_id,
    lora=weights.lora,
    on_metrics=lambda step, values: trainer.metrics(stage, step, values),
    evaluate=evaluate if held_out else None,
    checkpoints=trainer.checkpoint_folder(stage),
    mesh=trainer.mesh,
    description=stage,
  )
  if result.fault:
    trainer.say(f"  {stage}: {fault_line(result)}")
  return result


def _fit_config(
  config: RunConfig, training: Training, objective: Objective, abort_drop: float, seed: int
) -> FitConfig:
  # The config has the rows of an update, `fit` those of a microbatch.
  cut = max(config.accumulate, 1)
  rows = -(-config.packing.rows // cut)
  return FitConfig(
    steps=training.steps,
    shape=dataclasses.replace(config.packing, rows=rows),
    accumulate=cut,
    optimizer=training.optimizer,
    objective=objective,
    abort_drop=abort_drop,
    evaluate_every=training.evaluate_every,
    patience=training.patience,
    executable_drop=training.executable_drop,
    checkpoint_every=config.checkpoint_every,
    seed=seed,
  )


def fault_line(result: FitResult) -> str:
  """Why training ended early on numbers that are not finite, and what was kept; "" where it did
  not.
  """
  if not result.fault:
    return ""
  kept = (
    f"the last good weights, of step {result.steps}, are kept"
    if result.steps
    else "the weights it started from are kept"
  )
  return f"training ended early: {result.fault}; {kept}"
