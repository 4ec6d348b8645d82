"""The configuration of stage 2: self-play, the arms beside it, and whether it is worth its while.

What of an arm is the paper's (arXiv 2509.03937) and what an extension is said field by field.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective


@dataclasses.dataclass(frozen=True)
class Training:
  """One kind of training in a run.

  Attributes:
    steps, optimizer: see `FitConfig`.
    evaluate_every: steps between evaluations by execution on the selection split, by which the run
      ends early; 0 for none.
    patience, executable_drop: see `guards.Guards`. With patience the best evaluated model is kept,
      not the last.
  """

  steps: int
  optimizer: OptimizerConfig = OptimizerConfig()
  evaluate_every: int = 0
  patience: int = 0
  executable_drop: float = 0.0


@dataclasses.dataclass(frozen=True)
class Drawing:
  """How several answers to a question are drawn.

  Attributes:
    samples: answers to each question; a single one is greedy.
    temperature, top_p: see `generation.sampling.Sampling`.
  """

  samples: int = 8
  temperature: float = 0.7
  top_p: float = 0.95


@dataclasses.dataclass(frozen=True)
class HeadroomConfig:
  """How much of what a version can answer it does not answer first: pass@k beside greedy EX.

  Attributes:
    questions: of the selection split, that every version is asked; 0 for none.
    k: of pass@k, at most the samples that are drawn.
    drawing: of the answers.
    least_gap: with a smaller gap (a share) between pass@k and greedy EX of the version that it
      would begin with, stage 2 is skipped; an extension.
    force: it is done all the same.
  """

  questions: int = 0
  k: int = 8
  drawing: Drawing = Drawing()
  least_gap: float = 0.1
  force: bool = False

  def __post_init__(self) -> None:
    if self.questions and not 1 <= self.k <= self.drawing.samples:
      raise ValueError(
        f"headroom: pass@{self.k} of {self.drawing.samples} samples; k must be 1 to "
        "headroom.drawing.samples"
      )


@dataclasses.dataclass(frozen=True)
class SelfPlayConfig:
  """Stage 2.

  Attributes:
    candidates: who may play: "fine_tuned", the versions of stage 1 and their successors; or "base",
      the starting model and its successors alone (self-play without stage 1). Without seeds the
      starting model stands for the SFT among the "fine_tuned".
    opponent: "weakest" candidate (the paper's), the version played "previous" to main (its parent),
      or a "mixture": each question is answered by a candidate drawn for it.
    min_executable: of the candidates only those whose answers run at least this often are
      opponents; 0 for all of them.
    iterations: of play and training.
    questions: the opponent answers this many an iteration.
    training: of the main model, each iteration.
    objective: the error-driven loss and its guards.
    abort_drop: see `FitConfig.abort_drop`.
    spin_objective, exspin_objective, dpo_objective: of the baselines with these names.
    baselines: what is trained on the same budget beside it: "spin" (arXiv 2401.01335), "exspin"
      (SPIN on the opponent's errors alone), "dpo" (arXiv 2305.18290; pairs and reference fixed at
      the start of stage 2), "sft_control" (the same pairs and steps without negatives).
    baseline_iterations: of "spin", "exspin" and "dpo"; 0 for as many as `iterations`.
  """

  candidates: Literal["fine_tuned", "base"] = "fine_tuned"
  opponent: Literal["weakest", "previous", "mixture"] = "weakest"
  min_executable: float = 0.3
  iterations: int = 2
  questions: int = 1000
  training: Training = Training(60)
  objective: Objective = Objective("error_driven", beta=0.1, nll_weight=0.5)
  abort_drop: float = 20.0
  spin_objective: Objective = Objective("spin", beta=0.1)
  exspin_objective: Objective = Objective("error_driven", beta=0.1, on_correct="drop")
  dpo_objective: Objective = Objective("dpo", beta=0.1)
  baselines: tuple[Literal["spin", "exspin", "dpo", "sft_control"], ...] = ("spin", "sft_control")
  baseline_iterations: int = 0
