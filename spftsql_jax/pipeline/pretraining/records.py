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
class Pretrained:
  """What was measured of a base.

  Attributes:
    units: branches of a pass over the corpus. tokens: computed in all, without padding.
    steps: updates.
    seconds, cpu_seconds: of training since it was last gone on with.
    held_out: of the base.
    evaluations: while it was trained.
  """

  units: int
  tokens: int
  steps: int
  seconds: float
  cpu_seconds: float
  held_out: HeldOut
  evaluations: tuple[Evaluation, ...]
