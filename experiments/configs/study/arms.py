"""The arms of the study: each changes one thing of the paper's self-play, and is named as an
extension where it goes beyond it (`stage2_config.Arm`).
"""

from __future__ import annotations

from spftsql_jax.pipeline.stage2_config import Arm
from spftsql_jax.training.step import Objective

# Extension: y+ is gold and, beside it, every different answer that main draws and that executes to
# gold's result (Eq. 1 of arXiv 2509.03937 allows it). Its control learns from the same y+.
OWN_POSITIVES = Arm("own_positives", positives="gold_and_own", control=True)

# Extension: an answer is an error (R = 1) only where main solves the question now and then.
MIDDLING = Arm("middling", solve_rate=(1 / 8, 7 / 8))

# Extension: the reference is main as the iteration begins; a mixture of candidates supplies y-.
MAIN_REFERENCE = Arm("main_reference", opponent="mixture", reference="main")

# Extension: DPOP's floor on log p(y+) (arXiv 2402.13228), with the weight of its authors.
FLOOR = Arm(
  "floor", objective=Objective("error_driven", beta=0.1, nll_weight=0.5, floor_weight=50.0)
)

# Extension: the pairwise term weighs a fifth beside the NLL of y+.
SMALL_PAIR_WEIGHT = Arm(
  "small_pair_weight",
  objective=Objective("error_driven", beta=0.1, nll_weight=1.0, pair_weight=0.2),
)

# Not the paper's: rejection-sampling fine-tuning. Positives alone, gold and main's own verified
# answers, weighted by what is unsolved of their question, from the start of stage 2 each iteration.
RFT = Arm(
  "rft",
  opponent="self",
  positives="gold_and_own",
  weighting="unsolved",
  restart=True,
  objective=Objective("error_driven", nll_weight=1.0, pair_weight=0.0),
)

# The control of RFT: gold alone, all questions alike, from the start of stage 2 each iteration.
RFT_CONTROL = Arm(
  "rft_control",
  opponent="self",
  restart=True,
  objective=Objective("error_driven", nll_weight=1.0, pair_weight=0.0),
)

ARMS = (OWN_POSITIVES, MIDDLING, MAIN_REFERENCE, FLOOR, SMALL_PAIR_WEIGHT, RFT, RFT_CONTROL)
