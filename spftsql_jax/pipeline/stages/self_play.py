"""Stage 2, self-play: Algorithm 1 of arXiv 2509.03937.

An iteration: main = the best candidate, opponent = the weakest; the opponent answers the questions;
each answer is executed and rewarded (R = 1 for an error); the opponent's log-probs are scored once;
main is updated with the error-driven loss and joins the candidates. It becomes main where it is the
best of them on the selection split, by the one order of `ModelBase.best`: EX, then the share of
answers that run, then the later. With `final_step` the last one is taken instead.

The arms of a config go through the same steps as the paper's; what they change of them is said by
`stage2_config.Arm`.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.judging.statistics import paired_exact_test
from spftsql_jax.pipeline.config import pairs_seed
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import Iteration, MainUpdate, Pair, Played, Players, Round
from spftsql_jax.pipeline.stage2_config import Arm, SelfPlayConfig
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

# On fewer questions of the selection split versions that are alike change places by chance.
_TELLING = 500


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
  """The iterations of self-play, whose versions a run may hand over."""
  config = bench.config.self_play
  if not splits.self_play and (config.iterations or config.baselines or config.arms):
    bench.say(
      "Self-play and its baselines are left out: no questions could be synthesized for them"
    )
  selection = len(splits.selection)
  if splits.played and config.iterations and not config.final_step and selection < _TELLING:
    bench.say(
      f"  versions are chosen on {selection} questions, where chance decides between like ones; "
      f"take {_TELLING} (vbi_ft.select) or the last step (self_play.final_step) to compare methods"
    )
  return run_arm(bench, splits, config, candidates)


def run_arm(
  bench: Workbench, splits: Splits, arm: Arm, candidates: Sequence[str]
) -> tuple[Iteration, ...]:
  """All iterations of an arm, or as many as do no harm; each adds a candidate.

  Args:
    candidates: who may play in the first.
  """
  config, done = bench.config.self_play, list[Iteration]()
  called = arm.name.replace("_", " ") if arm.name != "self_play" else "self-play"
  for number in range(1, config.iterations + 1 if splits.played else 1):
    bench.say(f"{called.capitalize()}, iteration {number} of {config.iterations}")
    playing = sound_versions(bench, [*candidates, *(each.version for each in done)])
    done.append(run_iteration(bench, splits, arm, number, playing, done))
    if not config.final_step and collapsed(bench.models, done[-1]):
      bench.say(f"  {called} does harm: it stops here, and the harmed model is never main")
      break
  return tuple(done)


def run_iteration(
  bench: Workbench,
  splits: Splits,
  arm: Arm,
  number: int,
  candidates: Sequence[str],
  earlier: Sequence[Iteration],
) -> Iteration:
  """One iteration, journaled step by step."""
  step, name = bench.journal.step, f"{folder_of(arm)}/iteration_{number}"
  # Journaled, so that a run which is gone on with finds the same players although a version was
  # damaged meanwhile.
  latest = last_step(candidates, earlier) if bench.config.self_play.final_step else None
  players = step(
    f"{name}/players", Players, lambda: choose_players(bench.models, arm, candidates, latest)
  )
  played = step(
    f"{name}/pairs",
    Played,
    lambda: play(bench, name, players, splits.questions(number), arm),
  )
  updated = step(
    f"{name}/training",
    MainUpdate,
    lambda: update_main(bench, splits, arm, number, players, played, earlier),
  )
  return Iteration(number, version_of(arm, number), players, played, updated)


def last_step(candidates: Sequence[str], earlier: Sequence[Iteration]) -> str:
  """The last version whose training did not fail: of the iterations, else of stage 1."""
  made = {done.version for done in earlier}
  first = [candidate for candidate in candidates if candidate not in made]
  return [*first, *(done.version for done in earlier if done.updated.accepted)][-1]


def folder_of(arm: Arm) -> str:
  """What the journal's steps of an arm begin with."""
  return arm.name if isinstance(arm, SelfPlayConfig) else f"arms/{arm.name}"


def version_of(arm: Arm, number: int) -> str:
  """The version that an iteration makes."""
  return f"{arm.name}-{number}"


def pairs_of(
  bench: Workbench, arm: Arm, played: Played, opponent: str, earlier: Sequence[Iteration]
) -> list[Pair]:
  """What an iteration trains on: its pairs and, with `restart`, those of the iterations before."""
  again = [(done.played, done.players.opponent) for done in earlier] if arm.restart else []
  files = [*again, (played, opponent)]
  return [pair for one, who in files for pair in read_pairs(bench.journal, one, who)]


def choose_players(
  models: ModelBase, arm: Arm, candidates: Sequence[str], latest: str | None = None
) -> Players:
  """Main, and whom it plays by `Arm.opponent`.

  Main is the best candidate on the selection split, or `latest`. A candidate whose answers hardly
  run teaches nothing (in an earlier toy the weakest opponent did worst), so opponents are taken
  among those that run often enough.
  """
  main = latest or models.best(SELECTION, list(candidates))
  if arm.opponent == "self":
    return Players(main, (main,))
  if arm.opponent == "previous":
    parent = models.lineage(main).parent
    return Players(main, (parent if parent in candidates and parent is not None else main,))
  others = [c for c in candidates if c != main] or [main]
  if arm.opponent == "weakest":
    return Players(main, (models.weakest(SELECTION, others, arm.min_executable),))
  able = [c for c in others if selection_score(models, c).executable >= arm.min_executable]
  return Players(main, tuple(able or others))


def update_main(
  bench: Workbench,
  splits: Splits,
  arm: Arm,
  number: int,
  players: Players,
  played: Played,
  earlier: Sequence[Iteration],
) -> MainUpdate:
  """Trains main on the pairs with the arm's loss (Eq. 3), and tells whether it is better."""
  config, name = bench.config.self_play, f"{folder_of(arm)}/iteration_{number}"
  version = version_of(arm, number)
  main = players.main
  parent = beginning(bench.models, arm, main) if arm.restart else main
  result = train(
    bench.trainer,
    name,
    bench.load(parent),
    pair_units(bench.units, pairs_of(bench, arm, played, players.opponent, earlier)),
    config.training,
    objective=arm.objective,
    abort_drop=config.abort_drop,
    held_out=() if config.final_step else splits.selection,
    seed=pairs_seed(bench.config, number),
  )
  lineage = Lineage(
    arm.name,
    number,
    parent,
    players.opponent,
    data_hash=played.hash,
    candidate=isinstance(arm, SelfPlayConfig),
    fault=fault_line(result),
  )
  before = selection_score(bench.models, main)
  after = add_version(bench, version, result.trained, lineage, splits.selection, name)
  accepted, reason = verdict_on(before, after, result.aborted)
  if config.final_step:
    accepted, reason = (
      not result.fault,
      f"the last step is taken, whatever selection says: {reason}",
    )
  bench.say(
    f"  {version}: {main} against {players.opponent}; selection EX "
    f"{after.execution_accuracy:.1%}; {reason}"
  )
  return MainUpdate(accepted, reason, result.steps, after.execution_accuracy, result.summary)


def beginning(models: ModelBase, arm: Arm, version: str) -> str:
  """The version that an arm began with: the first ancestor that it has not made itself."""
  while (lineage := models.lineage(version)).stage == arm.name and lineage.parent:
    version = lineage.parent
  return version


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
