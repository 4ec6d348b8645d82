"""Stage 2, self-play: Algorithm 1 of arXiv 2509.03937; with SPIN and the SFT control on the same
budget.

An iteration: main = the best candidate, opponent = the weakest; the opponent answers the questions;
each answer is executed and rewarded (R = 1 for an error); the opponent's log-probs are scored once;
main is updated with the error-driven loss and joins the candidates. It becomes main where it is the
best of them on the selection split, by the one order of `ModelBase.best`: EX, then the share of
answers that run, then the later.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from spftsql_jax import hosts
from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.example import Example
from spftsql_jax.judging.metrics import paired_exact_test
from spftsql_jax.pipeline.model_base import Lineage, Score
from spftsql_jax.pipeline.units import describe, pair_branches
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  Workbench,
  add_version,
  answer_and_judge,
  data_hash,
  fault_line,
  pairs_seed,
  stage_seed,
  train,
)
from spftsql_jax.training.step import Objective


@dataclasses.dataclass(frozen=True)
class Pair:
  """A question with its gold query y+ and the opponent's answer y-.

  Attributes:
    reward: R of Eq. 2: 1.0 where y- gives another result than y+ on some instance, 0.0 where the
      opponent was right.
    log_probs: (y+, y-) summed, under the opponent; scored once, when the pair is made.
  """

  example: Example
  answer: str
  reward: float
  log_probs: tuple[float, float]


class StalePairs(RuntimeError):
  """Pairs whose log-probs belong to another opponent or other data."""


def play(
  bench: Workbench, name: str, opponents: Sequence[str], examples: Sequence[Example]
) -> dict[str, Any]:
  """Opponents answer; the answers are executed and scored; the pairs are written with the
  opponents' names and a hash.

  Args:
    opponents: each question is answered by one of them, drawn for it where there are several.

  Returns:
    file, opponent, hash, number of pairs, and the share of errors.
  """
  rng = random.Random(stage_seed(bench, f"{name}/opponents"))
  drawn = [rng.choice(opponents) for _ in examples]
  pairs: dict[int, Pair] = {}
  for opponent in opponents:
    indices = [i for i, each in enumerate(drawn) if each == opponent]
    pairs |= _answered(bench, opponent, {i: examples[i] for i in indices})
  kept = [pairs[i] for i in sorted(pairs)]
  rate = sum(p.reward for p in kept) / max(len(kept), 1)
  label = _label(opponents)
  bench.say(
    f"  {label} answered {len(examples):,} questions, {rate:.0%} wrongly; log-probs are stored "
    "with the pairs"
  )
  return {
    "file": bench.journal.write_jsonl(name.replace("/", "-"), map(dataclasses.asdict, kept)),
    "opponent": label,
    "hash": data_hash(kept),
    "pairs": len(kept),
    "left_out": len(examples) - len(kept),
    "reward_rate": rate,
  }


def _label(opponents: Sequence[str]) -> str:
  return " + ".join(opponents)


def _answered(bench: Workbench, opponent: str, examples: dict[int, Example]) -> dict[int, Pair]:
  """The pairs of one opponent, by number of the question; those that exceed the largest bucket are
  left out, and said.
  """
  tree, numbers, gold = bench.load(opponent), list(examples), list(examples.values())
  answers, verdicts = answer_and_judge(bench, tree, gold)
  branches, found, endless = pair_branches(bench, gold, answers)
  if text := describe(found, len(gold), "pairs"):
    bench.say(f"  {text}")
  if endless:
    bench.say(
      f"  {endless} of {len(gold)} answers do not end within the largest bucket: they are y- as "
      "far as they go"
    )
  scores = _log_probs(bench, tree, [gold[i].db_id for i in branches], list(branches.values()))
  return {
    numbers[i]: Pair(gold[i], answers[i], float(not verdicts[i].suite_correct), log_probs)
    for i, log_probs in zip(branches, scores, strict=True)
  }


def _log_probs(
  bench: Workbench, tree: Any, db_ids: Sequence[str], pairs: Sequence[tuple[Branch, Branch]]
) -> list[tuple[float, float]]:
  """(log p(y+ | x), log p(y- | x)) of each pair under a version; every process scores its share."""
  weights = bench.local_weights(tree)

  def part(places: list[int]) -> list[tuple[float, float]]:
    flat = [branch for place in places for branch in pairs[place]]
    scores = bench.generator.score(weights["params"], flat, lora=weights["lora"]) if flat else ()
    return [(float(scores[i]), float(scores[i + 1])) for i in range(0, len(flat), 2)]

  return hosts.in_shares(db_ids, part)


def read_pairs(bench: Workbench, played: dict[str, Any], opponent: str) -> list[Pair]:
  """Pairs that `play` wrote. Raises StalePairs where they are another opponent's or have been
  changed.
  """
  pairs = [
    Pair(Example(**r["example"]), r["answer"], r["reward"], tuple(r["log_probs"]))
    for r in bench.journal.read_jsonl(played["file"])
  ]
  if played["opponent"] != opponent or data_hash(pairs) != played["hash"]:
    raise StalePairs(
      f"{played['file']}: the stored log-probs are not those of {opponent} on this data; start "
      "in "
      "a new --workdir"
    )
  return pairs


def pair_units(bench: Workbench, pairs: Sequence[Pair]) -> list[Unit]:
  """Units of y+ and y- with reward and the opponent's log-probs."""
  branches, _, _ = pair_branches(bench, [p.example for p in pairs], [p.answer for p in pairs])
  return [Unit(branches[i], p.reward, p.log_probs) for i, p in enumerate(pairs)]


def choose_players(bench: Workbench, candidates: Sequence[str]) -> tuple[str, list[str]]:
  """(main, opponents): the best candidate on the selection split, and whom it plays by
  `SelfPlayConfig.opponent`.

  A candidate whose answers hardly run teaches nothing (in an earlier toy the weakest opponent did
  worst), so opponents are taken among those that run often enough.
  """
  config = bench.config.self_play
  main = bench.models.best(SELECTION, list(candidates))
  others = [c for c in candidates if c != main] or [main]
  if config.opponent == "previous":
    parent = bench.models.lineage(main).parent
    return main, [parent if parent in candidates else main]
  if config.opponent == "mixture":
    return main, [
      c for c in others if _score(bench, c).executable >= config.min_executable
    ] or others
  return main, [bench.models.weakest(SELECTION, others, config.min_executable)]


def run_iteration(
  bench: Workbench,
  number: int,
  candidates: Sequence[str],
  questions: Sequence[Example],
  selection: Sequence[Example],
) -> dict[str, Any]:
  """One iteration of self-play, journaled step by step.

  Returns:
    version, main, opponent, whether the new version beats main (accepted) and why, and the figures.
  """
  config, name = bench.config.self_play, f"self_play/iteration_{number}"
  version = f"self_play-{number}"

  def choose() -> dict[str, Any]:
    main, opponents = choose_players(bench, candidates)
    return {"main": main, "opponents": opponents}

  # Journaled, so that a run which is gone on with finds the same players although a version was
  # damaged meanwhile.
  players = bench.journal.step(f"{name}/players", choose)
  main, opponents, opponent = players["main"], players["opponents"], _label(players["opponents"])
  played = bench.journal.step(f"{name}/pairs", lambda: play(bench, name, opponents, questions))

  def update() -> dict[str, Any]:
    units = pair_units(bench, read_pairs(bench, played, opponent))
    seed = pairs_seed(bench, number)
    result = train(
      bench,
      name,
      bench.load(main),
      units,
      config.training,
      config.objective,
      config.abort_drop,
      selection,
      seed,
    )
    lineage = Lineage(
      "self_play",
      number,
      main,
      opponent,
      data_hash=played["hash"],
      candidate=True,
      fault=fault_line(result),
    )
    before = _score(bench, main)
    after = add_version(bench, version, result.trained, lineage, selection, name)
    accepted, reason = verdict_on(before, after, result.aborted)
    bench.say(
      f"  {version}: {main} against {opponent}; selection EX {after.execution_accuracy:.1%}; "
      f"{reason}"
    )
    scores = {"selection_ex": after.execution_accuracy, **result.summary}
    return {"accepted": accepted, "reason": reason, "steps": result.steps, **scores}

  updated = bench.journal.step(f"{name}/training", update)
  return {
    "version": version,
    "iteration": number,
    "main": main,
    "opponent": opponent,
    **played,
    **updated,
  }


def verdict_on(before: Score, after: Score, aborted: str) -> tuple[bool, str]:
  """Whether a new model becomes main, and why, in words: if `ModelBase.best` names it before main
  on the selection split.
  """
  p = paired_exact_test(before.outcomes, after.outcomes)
  change = f"{before.execution_accuracy:.1%} to {after.execution_accuracy:.1%}, p = {p:.2f}"
  accepted = after.rank >= before.rank
  if aborted:
    return accepted, f"stopped early: {aborted} ({change})"
  if after.execution_accuracy > before.execution_accuracy:
    return True, f"better than main ({change})"
  if after.rank > before.rank:
    return (
      True,
      (
        f"as good as main, and more of its answers run ({before.executable:.0%} to "
        f"{after.executable:.0%}; {change})"
      ),
    )
  if accepted:
    return True, f"as good as main, and the later of the two ({change})"
  if after.executable < 0.8 * before.executable:
    return (
      False,
      (
        f"collapsed: {after.executable:.0%} of its answers run, {before.executable:.0%} of main's "
        f"({change})"
      ),
    )
  if after.execution_accuracy == before.execution_accuracy:
    return (
      False,
      (
        f"as good as main, but fewer of its answers run ({before.executable:.0%} to "
        f"{after.executable:.0%}; {change})"
      ),
    )
  return False, f"not as good as main ({change})"


def collapsed(bench: Workbench, done: dict[str, Any]) -> bool:
  """Whether an iteration did such harm that the next would only repeat it: EX fell by more than a
  tenth of main's.
  """
  before, after = _score(bench, done["main"]), _score(bench, done["version"])
  return after.execution_accuracy < 0.9 * before.execution_accuracy


# The baselines on the budget of self-play, in words.
BASELINES = {
  "spin": "SPIN on the same questions and steps",
  "exspin": "ExSPIN (SPIN on the opponent's errors alone), same questions and steps",
  "dpo": "DPO on the errors of the model that stage 2 starts from, same steps",
  "sft_control": "SFT on the same pairs and steps",
}


def run_baseline(
  bench: Workbench,
  baseline: str,
  start: str,
  iterations: Sequence[dict[str, Any]],
  questions: Sequence[Example],
  selection: Sequence[Example],
) -> list[dict[str, Any]]:
  """Trains one of `BASELINES` from `start`, as published: no guard, the newest model always goes
  on.

  SPIN (arXiv 2401.01335) plays its own predecessor and takes every answer for a negative; ExSPIN
  only those that execute to something else; DPO (arXiv 2305.18290) keeps the pairs and the
  reference of its start.

  What is equal between the arms: the questions with their y+, the number of steps, optimizer,
  schedule and warm-up, and in each iteration the seed of batches and dropout. In the first
  iteration SPIN and ExSPIN have the same pairs too, the answers of `start`, so their batches are
  equal (a pair that ExSPIN drops stands in its batch with weight 0). Later each has its own model's
  answers. DPO's are those of SPIN's first iteration less the ones that are right, so its batches
  are others.
  """
  if baseline == "sft_control":
    return run_sft_control(bench, iterations, selection)
  config, current, done = bench.config.self_play, start, []
  objective = {
    "spin": config.spin_objective,
    "exspin": config.exspin_objective,
    "dpo": config.dpo_objective,
  }[baseline]
  for number in range(1, (config.baseline_iterations or config.iterations) + 1):
    name, version = f"{baseline}/iteration_{number}", f"{baseline}-{number}"
    opponent, source = (start, "dpo") if baseline == "dpo" else (current, name)
    played = bench.journal.step(
      f"{source}/pairs", lambda s=source, o=opponent: play(bench, s, [o], questions)
    )
    if baseline == "dpo" and not played["reward_rate"]:
      bench.say(f"  {start} makes no errors: there is nothing for DPO to learn from")
      break
    done.append(
      _baseline(bench, name, version, baseline, number, current, played, objective, selection)
    )
    current = version
  return done


def run_sft_control(
  bench: Workbench, iterations: Sequence[dict[str, Any]], selection: Sequence[Example]
) -> list[dict[str, Any]]:
  """SFT on the y+ of the very batches and steps of the self-play iterations, without negatives.

  It runs the self-play step with the pairwise term weighted 0, so nothing but the loss differs, nor
  is anything compiled: batches, dropout, schedule and guards are those of self-play. An iteration
  goes on from the counterpart of what self-play went on from: from the common start again, where
  self-play's last version was not promoted.
  """
  done: list[dict[str, Any]] = []
  counterpart: dict[str, str] = {}
  objective = dataclasses.replace(bench.config.self_play.objective, pair_weight=0.0, nll_weight=1.0)
  for played in iterations:
    number = played["iteration"]
    name, version = f"sft_control/iteration_{number}", f"sft_control-{number}"
    parent = counterpart.get(played["main"], played["main"])
    made = _baseline(
      bench,
      name,
      version,
      "sft_control",
      number,
      parent,
      played,
      objective,
      selection,
      guarded=True,
    )
    counterpart[played["version"]] = version
    if made["steps"] != played["steps"]:
      bench.say(
        f"  {version} was trained for {made['steps']} steps, {played['version']} for "
        f"{played['steps']}: guards ended one"
      )
    done.append(made)
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
  guarded: bool = False,
) -> dict[str, Any]:
  """An iteration of a baseline; with `guarded` it ends early by the rules of self-play."""
  config = bench.config.self_play
  guards = {"abort_drop": config.abort_drop, "held_out": selection} if guarded else {}

  def update() -> dict[str, Any]:
    pairs = read_pairs(bench, played, played["opponent"])
    if objective.loss == "dpo":
      pairs = [p for p in pairs if p.reward]  # A preference needs one answer that is wrong.
    units, seed = pair_units(bench, pairs), pairs_seed(bench, number)
    result = train(
      bench, name, bench.load(parent), units, config.training, objective, seed=seed, **guards
    )
    opponent = played["opponent"] if objective.pair_weight else None
    lineage = Lineage(
      stage,
      number,
      parent,
      opponent,
      data_hash=played["hash"],
      candidate=False,
      fault=fault_line(result),
    )
    after = add_version(bench, version, result.trained, lineage, selection, name)
    bench.say(
      f"  {version}: from {parent}; selection EX {after.execution_accuracy:.1%}, "
      f"{after.executable:.0%} run"
    )
    return {"selection_ex": after.execution_accuracy, "steps": result.steps, **result.summary}

  return {"version": version, "number": number, **bench.journal.step(f"{name}/training", update)}


def _score(bench: Workbench, version: str) -> Score:
  score = bench.models.score(version, SELECTION)
  if score is None:
    raise RuntimeError(
      f"version {version} has no score on the selection split; start in a new --workdir"
    )
  return score
