"""Play: opponents answer questions, the answers are executed and rewarded, and the pairs are kept
with the opponents' log-probs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from spftsql_jax import hosts
from spftsql_jax.examples.batches import Branch
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.evaluation import Evaluator, answer_and_judge
from spftsql_jax.pipeline.journal import Journal, data_hash
from spftsql_jax.pipeline.records import Pair, Played, Players
from spftsql_jax.pipeline.trainable import Weights
from spftsql_jax.pipeline.training_units import pair_branches
from spftsql_jax.pipeline.workbench import Workbench


class StalePairs(RuntimeError):
  """Pairs whose log-probs belong to another opponent or other data."""


def play(bench: Workbench, name: str, players: Players, questions: Sequence[Example]) -> Played:
  """Opponents answer; the answers are executed and scored; the pairs are written with the
  opponents' names and a hash. Each question is answered by an opponent drawn for it.
  """
  rng = random.Random(stage_seed(bench.config, f"{name}/opponents"))
  drawn = [rng.choice(players.opponents) for _ in questions]
  if text := bench.evaluator.describe_split(questions):
    bench.say(f"  {text}")
  pairs: dict[int, Pair] = {}
  for opponent in players.opponents:
    asked = {i: q for i, q in enumerate(questions) if drawn[i] == opponent}
    pairs |= _answered(bench, opponent, asked)
  kept = [pairs[i] for i in sorted(pairs)]
  rate = sum(p.reward for p in kept) / max(len(kept), 1)
  bench.say(
    f"  {players.opponent} answered {len(questions):,} questions, {rate:.0%} wrongly; log-probs "
    "are stored with the pairs"
  )
  return Played(
    file=bench.journal.write_records(name.replace("/", "-"), kept),
    opponent=players.opponent,
    hash=data_hash(kept),
    pairs=len(kept),
    left_out=len(questions) - len(kept),
    reward_rate=rate,
  )


def _answered(bench: Workbench, opponent: str, questions: Mapping[int, Example]) -> dict[int, Pair]:
  """The pairs of one opponent, by number of the question; those that are too long are
  left out, and said.
  """
  tree, numbers, gold = bench.load(opponent), list(questions), list(questions.values())
  answers, verdicts = answer_and_judge(bench.evaluator, tree, gold)
  made = pair_branches(bench.units, gold, answers)
  if text := made.fitted.describe("pairs"):
    bench.say(f"  {text}")
  if made.endless:
    bench.say(
      f"  {made.endless} of {len(gold)} answers do not end within the longest branch: they are y- "
      "as far as they go"
    )
  db_ids = [gold[i].db_id for i in made.branches]
  weights = bench.evaluator.weights(tree)
  scores = _log_probs(bench.evaluator, weights, db_ids, list(made.branches.values()))
  return {
    numbers[i]: Pair(gold[i], answers[i], float(not verdicts[i].suite_correct), log_probs)
    for i, log_probs in zip(made.branches, scores, strict=True)
  }


def _log_probs(
  evaluator: Evaluator,
  weights: Weights,
  db_ids: Sequence[str],
  pairs: Sequence[tuple[Branch, Branch]],
) -> list[tuple[float, float]]:
  """(log p(y+ | x), log p(y- | x)) of each pair under a version; every process scores its share."""

  def part(places: list[int]) -> list[tuple[float, float]]:
    flat = [branch for place in places for branch in pairs[place]]
    if not flat:
      return []
    scores = evaluator.generator.score(weights.params, flat, lora=weights.lora)
    return [(float(scores[i]), float(scores[i + 1])) for i in range(0, len(flat), 2)]

  return hosts.in_shares(db_ids, part)


def read_pairs(journal: Journal, played: Played, opponent: str) -> list[Pair]:
  """Pairs that `play` wrote.

  Raises StalePairs where they are another opponent's or have been changed.
  """
  pairs = journal.read_records(played.file, Pair)
  if played.opponent != opponent or data_hash(pairs) != played.hash:
    raise StalePairs(
      f"{played.file}: the stored log-probs are not those of {opponent} on this data; start in a "
      "new --workdir"
    )
  return pairs
