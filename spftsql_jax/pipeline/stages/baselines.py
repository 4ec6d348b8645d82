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
from collections.abc import Sequence

from spftsql_jax.pipeline.config import SelfPlayConfig, pairs_seed
from spftsql_jax.pipeline.fine_tuning import fault_line, train
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.records import BaselineUpdate, Iteration, Played, Players
from spftsql_jax.pipeline.stages.play import play, read_pairs
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
    guarded: whether it ends early by the rules of self-play.
  """

  baseline: str
  number: int
  parent: str
  played: Played
  objective: Objective
  guarded: bool = False

  @property
  def name(self) -> str:
    """What the journal's steps of this iteration begin with."""
    return f"{self.baseline}/iteration_{self.number}"

  @property
  def version(self) -> str:
    """The version that it makes."""
    return f"{self.baseline}-{self.number}"


def run_baselines(
  bench: Workbench, splits: Splits, start: str, iterations: Sequence[Iteration]
) -> None:
  """Trains the baselines of the config, all from `start`, the best version of stage 1."""
  for baseline in bench.config.self_play.baselines if splits.questions else ():
    bench.say(f"Baseline: {BASELINES[baseline]}")
    if baseline == "sft_control":
      run_sft_control(bench, splits, iterations)
    elif baseline == "dpo":
      run_dpo(bench, splits, start)
    else:
      run_spin(bench, splits, start, baseline)


def run_spin(bench: Workbench, splits: Splits, start: str, baseline: str) -> None:
  """SPIN (arXiv 2401.01335), as published: no guard, the newest model always goes on.

  It plays its own predecessor and takes every answer for a negative; ExSPIN takes only those that
  execute to something else.
  """
  config, current = bench.config.self_play, start
  objective = config.exspin_objective if baseline == "exspin" else config.spin_objective
  for number in range(1, _iterations(config) + 1):
    played = _play(bench, splits, f"{baseline}/iteration_{number}", current)
    task = BaselineTask(baseline, number, current, played, objective)
    train_baseline(bench, splits, task)
    current = task.version


def run_dpo(bench: Workbench, splits: Splits, start: str) -> None:
  """DPO (arXiv 2305.18290), as published: no guard; pairs and reference are those of its start."""
  config, current = bench.config.self_play, start
  for number in range(1, _iterations(config) + 1):
    played = _play(bench, splits, "dpo", start)
    if not played.reward_rate:
      bench.say(f"  {start} makes no errors: there is nothing for DPO to learn from")
      break
    task = BaselineTask("dpo", number, current, played, config.dpo_objective)
    train_baseline(bench, splits, task)
    current = task.version


def _iterations(config: SelfPlayConfig) -> int:
  return config.baseline_iterations or config.iterations


def _play(bench: Workbench, splits: Splits, name: str, opponent: str) -> Played:
  players = Players(opponent, (opponent,))
  work = functools.partial(play, bench, name, players, splits.questions)
  return bench.journal.step(f"{name}/pairs", Played, work)


def run_sft_control(bench: Workbench, splits: Splits, iterations: Sequence[Iteration]) -> None:
  """SFT on the y+ of the very batches and steps of the self-play iterations, without negatives.

  It runs the self-play step with the pairwise term weighted 0, so nothing but the loss differs, nor
  is anything compiled: batches, dropout, schedule and guards are those of self-play. An iteration
  goes on from the counterpart of what self-play went on from: from the common start again, where
  self-play's last version was not promoted.
  """
  objective = dataclasses.replace(bench.config.self_play.objective, pair_weight=0.0, nll_weight=1.0)
  counterpart: dict[str, str] = {}
  for done in iterations:
    parent = counterpart.get(done.players.main, done.players.main)
    task = BaselineTask("sft_control", done.number, parent, done.played, objective, guarded=True)
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
  pairs = read_pairs(bench.journal, played, played.opponent)
  if task.objective.loss == "dpo":
    pairs = [p for p in pairs if p.reward]  # A preference needs one answer that is wrong.
  result = train(
    bench.trainer,
    task.name,
    bench.load(task.parent),
    pair_units(bench.units, pairs),
    config.training,
    objective=task.objective,
    abort_drop=config.abort_drop if task.guarded else 0.0,
    held_out=splits.selection if task.guarded else (),
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
