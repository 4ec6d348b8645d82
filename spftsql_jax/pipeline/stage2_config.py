"""The configuration of stage 2: self-play, the arms beside it, and whether it is worth its while.

What of an arm is the paper's (arXiv 2509.03937) and what an extension is said field by field.
"""

from __future__ import annotations

import dataclasses
import re
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
class Arm:
  """How a model is trained on answers to questions; the paper's self-play by default.

  Attributes:
    name: of the arm's versions.
    opponent: whose answers are y-: the "weakest" candidate's (the paper's), those of the version
      played "previous" to main (its parent), of a "mixture": each question is answered by a
      candidate drawn for it, or of main it"self" (SPIN's).
    min_executable: of the candidates only those whose answers run at least this often are
      opponents; 0 for all of them.
    reference: under whom log p of y+ and y- stand in the loss: the "opponent" that answered (the
      paper's), or "main" as the iteration begins, so that opponents supply y- alone (an extension).
    positives: y+ is "gold" (the paper's); or "gold_and_own": beside it each different answer that
      main draws and that executes to gold's result (Eq. 1 allows it; an extension).
    solve_rate: R = 1 only where the share of main's drawn answers that are right lies within these
      bounds, else 0; (0, 1) for no bounds (the paper's). Others are an extension.
    weighting: pairs count "even" (the paper's), or "unsolved", by 1 - that share (an extension, as
      in rejection-sampling fine-tuning, RFT).
    drawing: of main's answers, where the three fields above need them.
    restart: whether each iteration trains the version that stage 2 starts from anew, on the pairs
      of all iterations so far (RFT's); else it trains main further (the paper's).
    objective: the loss; with `pair_weight` 0 positives alone are learned from (RFT).
    control: whether SFT on y+ of the very same batches and steps is trained beside it.
  """

  name: str = "self_play"
  opponent: Literal["weakest", "previous", "mixture", "self"] = "weakest"
  min_executable: float = 0.3
  reference: Literal["opponent", "main"] = "opponent"
  positives: Literal["gold", "gold_and_own"] = "gold"
  solve_rate: tuple[float, float] = (0.0, 1.0)
  weighting: Literal["even", "unsolved"] = "even"
  drawing: Drawing = Drawing()
  restart: bool = False
  objective: Objective = Objective("error_driven", beta=0.1, nll_weight=0.5)
  control: bool = False

  def __post_init__(self) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
      raise ValueError(
        f"arm {self.name!r}: a name is made of small letters, digits and underscores"
      )
    low, high = self.solve_rate
    if not 0 <= low <= high <= 1:
      raise ValueError(f"arm {self.name}: solve_rate must be two shares, the lower first")
    if self.draws and self.drawing.samples < 2:
      raise ValueError(f"arm {self.name}: solve rates need drawing.samples of 2 or more")

  @property
  def draws(self) -> bool:
    """Whether main's own answers are drawn."""
    return (
      self.positives != "gold" or self.weighting != "even" or tuple(self.solve_rate) != (0.0, 1.0)
    )


@dataclasses.dataclass(frozen=True)
class SelfPlayConfig(Arm):
  """Stage 2: the arm whose versions a run hands over, and what is trained beside it.

  Attributes:
    candidates: who may play: "fine_tuned", the versions of stage 1 and their successors; or "base",
      the starting model and its successors alone (self-play without stage 1). Without seeds the
      starting model stands for the SFT among the "fine_tuned".
    iterations: of play and training, of every arm.
    questions: synthesized questions that are answered in an iteration.
    real_questions: so many labelled examples, all wordings of their queries, are held back from the
      SFT and from stage 1, and are played beside those (an extension).
    fresh: whether each iteration has questions of its own: `questions` new ones, and its part of
      the real ones; else all iterations play the same (an extension: the paper does not say).
    final_step: the last step is taken: main is the last version before, the run hands over the last
      iteration's, and nothing is ended by the selection split, whose figures tell little on fewer
      than 500 questions (an extension). Only who is the weakest opponent is still asked of it.
    training: of every arm's model, each iteration.
    abort_drop: see `FitConfig.abort_drop`.
    spin_objective, exspin_objective, dpo_objective: of the baselines with these names.
    baselines: what is trained on the same budget beside it: "spin" (arXiv 2401.01335), "exspin"
      (SPIN on the opponent's errors alone), "dpo" (arXiv 2305.18290; pairs and reference fixed at
      the start of stage 2), "sft_control" (the same pairs and steps without negatives).
    baseline_iterations: of "spin", "exspin" and "dpo"; 0 for as many as `iterations`.
    arms: further arms, on the same questions, steps, rates and seeds; compared with alone.
  """

  candidates: Literal["fine_tuned", "base"] = "fine_tuned"
  iterations: int = 2
  questions: int = 1000
  real_questions: int = 0
  fresh: bool = False
  final_step: bool = False
  training: Training = Training(60)
  abort_drop: float = 20.0
  spin_objective: Objective = Objective("spin", beta=0.1)
  exspin_objective: Objective = Objective("error_driven", beta=0.1, on_correct="drop")
  dpo_objective: Objective = Objective("dpo", beta=0.1)
  baselines: tuple[Literal["spin", "exspin", "dpo", "sft_control"], ...] = ("spin", "sft_control")
  baseline_iterations: int = 0
  arms: tuple[Arm, ...] = ()

  def __post_init__(self) -> None:
    super().__post_init__()
    names = [self.name, *(arm.name for arm in self.arms)]
    names += [f"{arm.name}_control" for arm in self.arms if arm.control]
    taken = ("base", "sft", "vbi_ft", "spin", "exspin", "dpo", "sft_control")
    if self.name != "self_play" or self.control:
      raise ValueError("self_play.name and .control stay as they are; its control is a baseline")
    if twice := sorted({n for n in names if names.count(n) > 1 or n in taken}):
      raise ValueError(f"self_play.arms: the name {twice[0]!r} is taken; give each arm its own")

  @property
  def played_iterations(self) -> int:
    """The most iterations of any arm."""
    return max(self.iterations, self.baseline_iterations)
