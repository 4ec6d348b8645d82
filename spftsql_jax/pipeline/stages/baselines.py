"""The baselines of stage 2: SPIN, ExSPIN, DPO and the SFT control, on the budget of self-play.

What is equal between the arms: the questions with their y+, the number of steps, optimizer,
schedule and warm-up, and in each iteration the seed of batches and dropout. In the first iteration
SPIN and ExSPIN have the same pairs too, the answers of the model that stage 2 starts from, so their
batches are equal (a pair that ExSPIN drops stands in its batch with weight 0). Later each has its
own model's answers. DPO's are those of SPIN's first iteration less the ones that are right, so its
batches are others.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

from spftsql_jax.pipeline.config import pairs_seed
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.records import BaselineUpdate, Iteration, Pair, Played, Players
from spftsql_jax.pipeline.stage2_config import Arm, SelfPlayConfig
from spftsql_jax.pipeline.stages.play import play, read_pairs
from spftsql_jax.pipeline.stages.self_play import beginning, pairs_of, run_arm
from spftsql_jax.pipeline.stages.splits import Splits
from spftsql_jax.pipeline.training_units import pair_units
from spftsql_jax.pipeline.versions import add_version
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.training.step import Objective

# In words.
BASELINES = {
  "spin": "SPIN on the same questions and steps",
  "exspin": "ExSPIN (SPIN on the opponent's errors alone), same questions and steps",
  "dpo": "DPO on the errors of the model that stage 2 starts from, same steps",
  "sft_control": "SFT on the same pairs and steps",
}


@dataclasses.dataclass(frozen=True)
class BaselineTask:
  """An iteration of a baseline.

  Attributes:
    baseline: one of `BASELINES`.
    number: of the iteration, from 1.
    parent: the version that is trained further.
    played: the pairs that it is trained on.
    objective: its loss.
    pairs: reads the pairs.
    guarded: whether it ends early by the rules of self-play.
    folder: what the journal's steps begin with, before its name.
  """

  baseline: str
  number: int
  parent: str
  played: Played
  objective: Objective
  pairs: Callable[[], list[Pair]]
  guarded: bool = False
  folder: str = ""

  @property
  def name(self) -> str:
    """What the journal's steps of this iteration begin with."""
    return f"{self.folder}{self.baseline}/iteration_{self.number}"

  @property
  def version(self) -> str:
    """The version that it makes."""
    return f"{self.baseline}-{self.number}"


def run_baselines(
  bench: Workbench,
  splits: Splits,
  start: str,
  candidates: Sequence[str],
  iterations: Sequence[Iteration],
) -> None:
  """Trains the baselines and the further arms of the config.

  Args:
    start: the best version of stage 1, that all of them begin with.
    candidates: who may play in an arm's first iteration.
    iterations: of self-play.
  """
  config = bench.config.self_play
  for baseline in config.baselines if splits.played else ():
    bench.say(f"Baseline: {BASELINES[baseline]}")
    if baseline == "sft_control":
      run_sft_control(bench, splits, config, iterations)
    elif baseline == "dpo":
      run_dpo(bench, splits, start)
    else:
      run_spin(bench, splits, start, baseline)
  for arm in config.arms if splits.played else ():
    bench.say(f"Arm: {arm.name.replace('_', ' ')}, on the questions and steps of self-play")
    done = run_arm(bench, splits, arm, candidates)
    if arm.control:
      run_sft_control(bench, splits, arm, done)


def run_spin(bench: Workbench, splits: Splits, start: str, baseline: str) -> None:
  """SPIN (arXiv 2401.01335), as published: no guard, the newest model always goes on.

  It plays its own predecessor and takes every answer for a negative; ExSPIN takes only those that
  execute to something else.
  """
  config, current = bench.config.self_play, start
  objective = config.exspin_objective if baseline == "exspin" else config.spin_objective
  for number in range(1, _iterations(config) + 1):
    played = _play(bench, splits, f"{baseline}/iteration_{number}", current, number)
    task = BaselineTask(baseline, number, current, played, objective, _reader(bench, played))
    train_baseline(bench, splits, task)
    current = task.version


def run_dpo(bench: Workbench, splits: Splits, start: str) -> None:
  """DPO (arXiv 2305.18290), as published: no guard; pairs and reference are those of its start.

  Where each iteration has questions of its own, the start answers these.
  """
  config, current = bench.config.self_play, start
  for number in range(1, _iterations(config) + 1):
    name = f"dpo/iteration_{number}" if config.fresh else "dpo"
    played = _play(bench, splits, name, start, number)
    if not played.reward_rate:
      bench.say(f"  {start} makes no errors: there is nothing for DPO to learn from")
      break
    # A preference needs one answer that is wrong.
    task = BaselineTask(
      "dpo",
      number,
      current,
      played,
      config.dpo_objective,
      functools.partial(_errors, bench, played),
    )
    train_baseline(bench, splits, task)
    current = task.version


def _iterations(config: SelfPlayConfig) -> int:
  return config.baseline_iterations or config.iterations


def _errors(bench: Workbench, played: Played) -> list[Pair]:
  """The pairs whose y- is wrong."""
  return [pair for pair in _reader(bench, played)() if pair.reward]


def _reader(bench: Workbench, played: Played) -> Callable[[], list[Pair]]:
  return functools.partial(read_pairs, bench.journal, played, played.opponent)


def _play(bench: Workbench, splits: Splits, name: str, opponent: str, number: int) -> Played:
  players = Players(opponent, (opponent,))
  work = functools.partial(play, bench, name, players, splits.questions(number))
  return bench.journal.step(f"{name}/pairs", Played, work)


def run_sft_control(
  bench: Workbench, splits: Splits, arm: Arm, iterations: Sequence[Iteration]
) -> None:
  """SFT on the y+ of the very batches and steps of an arm's iterations, without negatives.

  It runs the arm's step with the pairwise term weighted 0, so nothing but the loss differs, nor is
  anything compiled: batches, dropout, schedule and guards are those of the arm. An iteration goes
  on from the counterpart of what the arm went on from: from the common start again, where the arm's
  last version was not promoted, or where it always does.
  """
  is_main = isinstance(arm, SelfPlayConfig)
  objective = dataclasses.replace(arm.objective, pair_weight=0.0, nll_weight=1.0)
  counterpart: dict[str, str] = {}
  for place, done in enumerate(iterations):
    trained = done.players.main
    if arm.restart:
      trained = beginning(bench.models, arm, trained)
    parent = counterpart.get(trained, trained)
    opponent, earlier = done.players.opponent, iterations[:place]
    task = BaselineTask(
      "sft_control" if is_main else f"{arm.name}_control",
      done.number,
      parent,
      done.played,
      objective,
      functools.partial(pairs_of, bench, arm, done.played, opponent, earlier),
      guarded=True,
      folder="" if is_main else "arms/",
    )
    made = train_baseline(bench, splits, task)
    counterpart[done.version] = task.version
    if made.steps != done.updated.steps:
      bench.say(
        f"  {task.version} was trained for {made.steps} steps, {done.version} for "
        f"{done.updated.steps}: guards ended one"
      )


def train_baseline(bench: Workbench, splits: Splits, task: BaselineTask) -> BaselineUpdate:
  """Trains an iteration of a baseline, and adds its version; journaled."""
  return bench.journal.step(
    f"{task.name}/training", BaselineUpdate, functools.partial(_update, bench, splits, task)
  )


def _update(bench: Workbench, splits: Splits, task: BaselineTask) -> BaselineUpdate:
  config, played = bench.config.self_play, task.played
  result = train(
    bench.trainer,
    task.name,
    bench.load(task.parent),
    pair_units(bench.units, task.pairs()),
    config.training,
    objective=task.objective,
    abort_drop=config.abort_drop if task.guarded else 0.0,
    held_out=splits.selection if task.guarded and not config.final_step else (),
    seed=pairs_seed(bench.config, task.number),
  )
  lineage = Lineage(
    task.baseline,
    task.number,
    task.parent,
    played.opponent if task.objective.pair_weight else None,
    data_hash=played.hash,
    candidate=False,
    fault=fault_line(result),
  )
  after = add_version(bench, task.version, result.trained, lineage, splits.selection, task.name)
  bench.say(
    f"  {task.version}: from {task.parent}; selection EX {after.execution_accuracy:.1%}, "
    f"{after.executable:.0%} run"
  )
  return BaselineUpdate(after.execution_accuracy, result.steps, result.summary)
