"""Stage 2, self-play: Algorithm 1 of arXiv 2509.03937.

An iteration: main = the best candidate, opponent = the weakest; the opponent answers the questions;
each answer is executed and rewarded (R = 1 for an error); the opponent's log-probs are scored once;
main is updated with the error-driven loss and joins the candidates. It becomes main where it is the
best of them on the selection split, by the one order of `ModelBase.best`: EX, then the share of
answers that run, then the later.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.judging.statistics import paired_exact_test
from spftsql_jax.pipeline.config import SelfPlayConfig, pairs_seed
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import Iteration, MainUpdate, Played, Players, Round
from spftsql_jax.pipeline.stages.play import play, read_pairs
from spftsql_jax.pipeline.stages.sft import Starting
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.training_units import pair_units
from spftsql_jax.pipeline.versions import (
  BASE,
  SELECTION,
  add_version,
  score_base,
  selection_score,
  sound_versions,
)
from spftsql_jax.pipeline.workbench import Workbench


def first_candidates(
  bench: Workbench, splits: Splits, starting: Starting, rounds: Sequence[Round]
) -> list[str]:
  """Who may play in the first iteration, by `SelfPlayConfig.candidates`."""
  if bench.config.self_play.candidates == "base":
    score_base(bench, splits.selection)
    return [BASE]
  return [starting.candidate, *(done.version for done in rounds)]


def run_self_play(
  bench: Workbench, splits: Splits, candidates: Sequence[str]
) -> tuple[Iteration, ...]:
  """All iterations, or as many as do no harm; each adds a candidate."""
  config, done = bench.config.self_play, list[Iteration]()
  if not splits.questions and (config.iterations or config.baselines):
    bench.say(
      "Self-play and its baselines are left out: no questions could be synthesized for them"
    )
  for number in range(1, config.iterations + 1 if splits.questions else 1):
    bench.say(f"Self-play, iteration {number} of {config.iterations}")
    playing = sound_versions(bench, [*candidates, *(each.version for each in done)])
    done.append(run_iteration(bench, splits, number, playing))
    if collapsed(bench.models, done[-1]):
      bench.say("  self-play does harm: it stops here, and the harmed model is never main")
      break
  return tuple(done)


def run_iteration(
  bench: Workbench, splits: Splits, number: int, candidates: Sequence[str]
) -> Iteration:
  """One iteration of self-play, journaled step by step."""
  step, name = bench.journal.step, f"self_play/iteration_{number}"
  # Journaled, so that a run which is gone on with finds the same players although a version was
  # damaged meanwhile.
  players = step(
    f"{name}/players",
    Players,
    lambda: choose_players(bench.models, bench.config.self_play, candidates),
  )
  played = step(f"{name}/pairs", Played, lambda: play(bench, name, players, splits.questions))
  updated = step(
    f"{name}/training", MainUpdate, lambda: update_main(bench, splits, number, players, played)
  )
  return Iteration(number, version_of(number), players, played, updated)


def version_of(number: int) -> str:
  """The version that an iteration makes."""
  return f"self_play-{number}"


def choose_players(models: ModelBase, config: SelfPlayConfig, candidates: Sequence[str]) -> Players:
  """Main, the best candidate on the selection split, and whom it plays by
  `SelfPlayConfig.opponent`.

  A candidate whose answers hardly run teaches nothing (in an earlier toy the weakest opponent did
  worst), so opponents are taken among those that run often enough.
  """
  main = models.best(SELECTION, list(candidates))
  if config.opponent == "previous":
    parent = models.lineage(main).parent
    return Players(main, (parent if parent in candidates and parent is not None else main,))
  others = [c for c in candidates if c != main] or [main]
  if config.opponent == "weakest":
    return Players(main, (models.weakest(SELECTION, others, config.min_executable),))
  able = [c for c in others if selection_score(models, c).executable >= config.min_executable]
  return Players(main, tuple(able or others))


def update_main(
  bench: Workbench, splits: Splits, number: int, players: Players, played: Played
) -> MainUpdate:
  """Trains main on the pairs with the error-driven loss (Eq. 3), and tells whether it is better."""
  config, name = bench.config.self_play, f"self_play/iteration_{number}"
  main, version = players.main, version_of(number)
  result = train(
    bench.trainer,
    name,
    bench.load(main),
    pair_units(bench.units, read_pairs(bench.journal, played, players.opponent)),
    config.training,
    objective=config.objective,
    abort_drop=config.abort_drop,
    held_out=splits.selection,
    seed=pairs_seed(bench.config, number),
  )
  lineage = Lineage(
    "self_play",
    number,
    main,
    players.opponent,
    data_hash=played.hash,
    candidate=True,
    fault=fault_line(result),
  )
  before = selection_score(bench.models, main)
  after = add_version(bench, version, result.trained, lineage, splits.selection, name)
  accepted, reason = verdict_on(before, after, result.aborted)
  bench.say(
    f"  {version}: {main} against {players.opponent}; selection EX "
    f"{after.execution_accuracy:.1%}; {reason}"
  )
  return MainUpdate(accepted, reason, result.steps, after.execution_accuracy, result.summary)


def verdict_on(before: Score, after: Score, aborted: str) -> tuple[bool, str]:
  """Whether a new model becomes main, and why, in words.

  It does where `ModelBase.best` names it before main on the selection split.
  """
  p = paired_exact_test(before.outcomes, after.outcomes)
  change = f"{before.execution_accuracy:.1%} to {after.execution_accuracy:.1%}, p = {p:.2f}"
  run = f"{before.executable:.0%} to {after.executable:.0%}"
  accepted = after.rank >= before.rank
  if aborted:
    return accepted, f"stopped early: {aborted} ({change})"
  if after.execution_accuracy > before.execution_accuracy:
    return True, f"better than main ({change})"
  if after.rank > before.rank:
    return True, f"as good as main, and more of its answers run ({run}; {change})"
  if accepted:
    return True, f"as good as main, and the later of the two ({change})"
  if after.executable < 0.8 * before.executable:
    share = f"{after.executable:.0%} of its answers run, {before.executable:.0%} of main's"
    return False, f"collapsed: {share} ({change})"
  if after.execution_accuracy == before.execution_accuracy:
    return False, f"as good as main, but fewer of its answers run ({run}; {change})"
  return False, f"not as good as main ({change})"


def collapsed(models: ModelBase, done: Iteration) -> bool:
  """Whether an iteration did such harm that the next would only repeat it.

  It did where EX fell by more than a tenth of main's.
  """
  before, after = (selection_score(models, v) for v in (done.players.main, done.version))
  return after.execution_accuracy < 0.9 * before.execution_accuracy
