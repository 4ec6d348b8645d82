"""How much of what a version can answer it does not answer first: pass@k beside greedy EX.

A stage that ranks a model's own answers anew (self-play, DPO) has no more to gain than that gap.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.examples.example import Example
from spftsql_jax.judging.statistics import pass_at_k
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.model_base import Score
from spftsql_jax.pipeline.records import SolveRates
from spftsql_jax.pipeline.sampling import draw_and_judge
from spftsql_jax.pipeline.stage2_config import HeadroomConfig
from spftsql_jax.pipeline.workbench import Workbench

# What the journal's steps that hold solve rates end with.
_STEP = "/samples"


def measure_headroom(
  bench: Workbench,
  version: str,
  tree: Params,
  selection: Sequence[Example],
  greedy: Score,
  stage: str,
) -> None:
  """Draws a version's answers to some questions of the selection split; journaled.

  All versions are asked the same questions, with the same randomness. Nothing is done where the
  config asks for no questions.

  Args:
    greedy: the version's score on the selection split.
    stage: what the journal's step begins with.
  """
  config = bench.config.headroom
  if not config.questions:
    return
  count = min(config.questions, len(selection))
  places = [i * len(selection) // count for i in range(count)]  # evenly spaced

  def work() -> SolveRates:
    asked = [selection[place] for place in places]
    seed = stage_seed(bench.config, "headroom")
    drawn = draw_and_judge(bench.evaluator, tree, asked, config.drawing, seed)
    right = [sum(sample.right for sample in own) for own in drawn]
    samples, k = config.drawing.samples, config.k
    return SolveRates(
      version=version,
      questions=count,
      samples=samples,
      k=k,
      greedy_ex=sum(greedy.outcomes[place] for place in places) / count,
      pass_at_k=sum(pass_at_k(samples, each, k) for each in right) / count,
      counts=tuple(right.count(number) for number in range(samples + 1)),
    )

  found = bench.journal.step(f"{stage}{_STEP}", SolveRates, work)
  bench.say(f"  {version}: {in_words(found)}")


def in_words(found: SolveRates) -> str:
  """pass@k beside greedy EX."""
  return (
    f"pass@{found.k} {found.pass_at_k:.1%}, greedy EX {found.greedy_ex:.1%} on "
    f"{found.questions} questions of the selection split"
  )


def solve_rates(bench: Workbench) -> tuple[SolveRates, ...]:
  """What was measured, in the order in which it was."""
  names = [name for name in bench.journal.names() if name.endswith(_STEP)]
  return tuple(bench.journal.done(name, SolveRates) for name in names)


def has_headroom(bench: Workbench, version: str) -> bool:
  """Whether stage 2 is worth its while from `version`, which is said where it is not.

  It is where nothing was measured, and where the config forces it.
  """
  config = bench.config.headroom
  found = next((each for each in solve_rates(bench) if each.version == version), None)
  # Shares of whole questions: a gap that is the bound but for rounding suffices.
  if found is None or found.pass_at_k - found.greedy_ex > config.least_gap - 1e-9:
    return True
  bench.say(_too_little(config, version, found))
  return config.force


def _too_little(config: HeadroomConfig, version: str, found: SolveRates) -> str:
  what = (
    f"{version}: {in_words(found)}; the gap is less than {100 * config.least_gap:g} points, which "
    "is all that self-play could gain"
  )
  if config.force:
    return f"{what}; stage 2 is done all the same (headroom.force)"
  return f"Stage 2 and its baselines are skipped. {what} (--config.headroom.force does them)"
