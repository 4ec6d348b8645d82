"""What is measured of a base."""

from __future__ import annotations

import dataclasses

from spftsql_jax.training.trainer import Evaluation


@dataclasses.dataclass(frozen=True)
class HeldOut:
  """What a model makes of questions on held-out databases.

  Attributes:
    ex: share of right answers. executable: share that run.
    gold_nll: see `run.Asked.gold_nll`.
  """

  ex: float
  executable: float
  gold_nll: float


@dataclasses.dataclass(frozen=True)
class PhaseDone:
  """What a phase of training came to.

  Attributes:
    units: branches of a pass. tokens: computed, without padding.
    steps: updates.
    seconds: since it was last gone on with.
    evaluations: by updates of the phase.
  """

  units: int
  tokens: int
  steps: int
  seconds: float
  evaluations: tuple[Evaluation, ...]


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """What was measured of a base: while it was trained, and at the end."""

  phases: tuple[PhaseDone, ...]
  held_out: HeldOut
