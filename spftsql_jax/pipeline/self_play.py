"""Stage 2, self-play: METHOD 3, Algorithm 1 of arXiv 2509.03937; with SPIN and the SFT control on the same budget.

An iteration: main = the best candidate, opponent = the weakest; the opponent answers the questions; each answer is executed
and rewarded (R = 1 for an error); the opponent's log-probs are scored once; main is updated with the error-driven loss and
joins the candidates. A new model becomes main only by being better on the selection split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from spftsql_jax.evaluation.metrics import paired_exact_test
from spftsql_jax.examples.batches import Branch, Unit, fits
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.model_base import Lineage, Score
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  Workbench,
  add_version,
  answer_and_judge,
  data_hash,
  pair_branches,
  train,
)
from spftsql_jax.training.step import Objective


@dataclasses.dataclass(frozen=True)
class Pair:
  """A question with its gold query y+ and the opponent's answer y-.

  Attributes:
    reward: R of Eq. 2: 1.0 where y- gives another result than y+ on some instance, 0.0 where the opponent was right.
    log_probs: (y+, y-) summed, under the opponent; scored once, when the pair is made.
  """

  example: Example
  answer: str
  reward: float
  log_probs: tuple[float, float]


class StalePairs(RuntimeError):
  """Pairs whose log-probs belong to another opponent or other data."""


def play(bench: Workbench, name: str, opponent: str, examples: Sequence[Example]) -> dict[str, Any]:
  """The opponent answers; its answers are executed and scored; the pairs are written with its version and a hash.

  Returns:
    file, opponent, hash, number of pairs, and the share of errors.
  """
  tree = bench.load(opponent)
  answers, verdicts = answer_and_judge(bench, tree, examples)
  branches: list[Branch] = []
  kept: list[tuple[Example, str, float]] = []
  for example, text, verdict in zip(examples, answers, verdicts, strict=True):
    pair = pair_branches(bench, example, text)
    if fits(Unit(pair), bench.config.shape):
      branches += pair
      kept.append((example, text, float(not verdict.suite_correct)))
  weights = bench.weights(tree)
  scores = bench.generator.score(weights["params"], branches, lora=weights["lora"])
  pairs = [Pair(*k, (float(scores[2 * i]), float(scores[2 * i + 1]))) for i, k in enumerate(kept)]
  rate = sum(p.reward for p in pairs) / max(len(pairs), 1)
  bench.say(f"  {opponent} answered {len(examples):,} questions, {rate:.0%} wrongly; its log-probs are stored with the pairs")
  return {
    "file": bench.journal.write_jsonl(name.replace("/", "-"), map(dataclasses.asdict, pairs)),
    "opponent": opponent,
    "hash": data_hash(pairs),
    "pairs": len(pairs),
    "left_out": len(examples) - len(pairs),
    "reward_rate": rate,
  }


def read_pairs(bench: Workbench, played: dict[str, Any], opponent: str) -> list[Pair]:
  """Pairs that `play` wrote. Raises StalePairs where they are another opponent's or have been changed."""
  pairs = [
    Pair(Example(**r["example"]), r["answer"], r["reward"], tuple(r["log_probs"]))
    for r in bench.journal.read_jsonl(played["file"])
  ]
  if played["opponent"] != opponent or data_hash(pairs) != played["hash"]:
    raise StalePairs(
      f"{played['file']}: the stored log-probs are not those of {opponent} on this data; start in a new --workdir"
    )
  return pairs


def pair_units(bench: Workbench, pairs: Sequence[Pair]) -> list[Unit]:
  """Units of y+ and y- with reward and the opponent's log-probs."""
  return [Unit(pair_branches(bench, p.example, p.answer), p.reward, p.log_probs) for p in pairs]


def choose_players(bench: Workbench, candidates: Sequence[str]) -> tuple[str, str]:
  """(main, opponent): the best and the weakest candidate on the selection split (Algorithm 1).

  A candidate whose answers hardly run teaches nothing (METHOD 5: the very weak opponent did worst), so the weakest is taken
  among those that run often enough.
  """
  main = bench.models.best(SELECTION, list(candidates))
  others = [c for c in candidates if c != main] or [main]
  return main, bench.models.weakest(SELECTION, others, bench.config.self_play.min_executable)


def run_iteration(
  bench: Workbench, number: int, candidates: Sequence[str], questions: Sequence[Example], selection: Sequence[Example]
) -> dict[str, Any]:
  """One iteration of self-play, journaled step by step.

  Returns:
    version, main, opponent, whether the new version beats main (accepted) and why, and the figures.
  """
  config, name = bench.config.self_play, f"self_play/iteration_{number}"
  version = f"self_play-{number}"
  main, opponent = choose_players(bench, candidates)
  played = bench.journal.step(f"{name}/pairs", lambda: play(bench, name, opponent, questions))

  def update() -> dict[str, Any]:
    units = pair_units(bench, read_pairs(bench, played, opponent))
    result = train(bench, name, bench.load(main), units, config.training, config.objective, config.abort_drop)
    lineage = Lineage("self_play", number, main, opponent, data_hash=played["hash"])
    before = _score(bench, main)
    after = add_version(bench, version, result.trained, lineage, selection, name)
    accepted, reason = verdict_on(before, after, result.aborted)
    bench.say(f"  {version}: {main} against {opponent}; selection EX {after.execution_accuracy:.1%}; {reason}")
    return {"accepted": accepted, "reason": reason, "selection_ex": after.execution_accuracy, **result.summary}

  updated = bench.journal.step(f"{name}/training", update)
  return {"version": version, "iteration": number, "main": main, "opponent": opponent, **played, **updated}


def verdict_on(before: Score, after: Score, aborted: str) -> tuple[bool, str]:
  """Whether a new model becomes main: only if it is better on the selection split. And why, in words."""
  p = paired_exact_test(before.outcomes, after.outcomes)
  change = f"{before.execution_accuracy:.1%} to {after.execution_accuracy:.1%}, p = {p:.2f}"
  if aborted:
    return after.execution_accuracy > before.execution_accuracy, f"stopped early: {aborted} ({change})"
  if after.execution_accuracy > before.execution_accuracy:
    return True, f"better than main ({change})"
  if after.executable < 0.8 * before.executable:
    return False, f"collapsed: {after.executable:.0%} of its answers run, {before.executable:.0%} of main's ({change})"
  return False, f"not better than main ({change})"


def collapsed(bench: Workbench, done: dict[str, Any]) -> bool:
  """Whether an iteration did such harm that the next would only repeat it: EX fell by more than a tenth of main's."""
  before, after = _score(bench, done["main"]), _score(bench, done["version"])
  return after.execution_accuracy < 0.9 * before.execution_accuracy


def run_spin(bench: Workbench, start: str, questions: Sequence[Example], selection: Sequence[Example]) -> list[dict[str, Any]]:
  """SPIN (arXiv 2401.01335) from `start`: each iteration the model plays its own predecessor, every answer a negative.

  As published: no execution, no guard, the newest model always goes on.
  """
  config, current, done = bench.config.self_play, start, []
  for number in range(1, config.iterations + 1):
    name, version, opponent = f"spin/iteration_{number}", f"spin-{number}", current
    played = bench.journal.step(f"{name}/pairs", lambda n=name, o=opponent: play(bench, n, o, questions))
    done.append(_baseline(bench, name, version, "spin", number, opponent, played, config.spin_objective, selection))
    current = version
  return done


def run_sft_control(
  bench: Workbench, start: str, iterations: Sequence[dict[str, Any]], selection: Sequence[Example]
) -> list[dict[str, Any]]:
  """SFT on the y+ of the very batches and steps of the self-play iterations, without negatives (the control of METHOD 5).

  It runs the self-play step with the pairwise term weighted 0, so nothing but the negatives differs, nor is anything compiled.
  """
  current, done = start, []
  objective = dataclasses.replace(bench.config.self_play.objective, pair_weight=0.0, nll_weight=1.0)
  for played in iterations:
    number = played["iteration"]
    name, version = f"sft_control/iteration_{number}", f"sft_control-{number}"
    done.append(_baseline(bench, name, version, "sft_control", number, current, played, objective, selection))
    current = version
  return done


def _baseline(
  bench: Workbench,
  name: str,
  version: str,
  stage: str,
  number: int,
  parent: str,
  played: dict[str, Any],
  objective: Objective,
  selection: Sequence[Example],
) -> dict[str, Any]:
  def update() -> dict[str, Any]:
    pairs = read_pairs(bench, played, played["opponent"])
    result = train(bench, name, bench.load(parent), pair_units(bench, pairs), bench.config.self_play.training, objective)
    opponent = played["opponent"] if objective.pair_weight else None
    lineage = Lineage(stage, number, parent, opponent, data_hash=played["hash"])
    after = add_version(bench, version, result.trained, lineage, selection, name)
    bench.say(f"  {version}: from {parent}; selection EX {after.execution_accuracy:.1%}, {after.executable:.0%} run")
    return {"selection_ex": after.execution_accuracy, **result.summary}

  return {"version": version, "number": number, **bench.journal.step(f"{name}/training", update)}


def _score(bench: Workbench, version: str) -> Score:
  score = bench.models.score(version, SELECTION)
  if score is None:
    raise RuntimeError(f"version {version} has no score on the selection split; start in a new --workdir")
  return score
