"""Play: opponents answer questions, the answers are executed and rewarded, and the pairs are kept
with the log-probs of their reference. What an arm asks for decides (`stage2_config.Arm`).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence

from spftsql_jax import hosts
from spftsql_jax.examples.batches import Branch
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import stage_seed
from spftsql_jax.pipeline.evaluation import Evaluator, answer_and_judge
from spftsql_jax.pipeline.journal import Journal, data_hash
from spftsql_jax.pipeline.records import Pair, Played, Players
from spftsql_jax.pipeline.sampling import Sample, draw_and_judge
from spftsql_jax.pipeline.stage2_config import Arm
from spftsql_jax.pipeline.trainable import Weights
from spftsql_jax.pipeline.training_units import pair_branches
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.sql.statements import same_text_key

_PAPERS = Arm()


class StalePairs(RuntimeError):
  """Pairs whose log-probs belong to another opponent or other data."""


def play(
  bench: Workbench,
  name: str,
  players: Players,
  questions: Sequence[Example],
  arm: Arm = _PAPERS,
) -> Played:
  """Opponents answer; the answers are executed and scored; the pairs are written with the
  opponents' names and a hash. Each question is answered by an opponent drawn for it.
  """
  rng = random.Random(stage_seed(bench.config, f"{name}/opponents"))
  drawn = [rng.choice(players.opponents) for _ in questions]
  if text := bench.evaluator.describe_split(questions):
    bench.say(f"  {text}")
  samples = _main_answers(bench, name, players.main, questions, arm)
  pairs: dict[int, list[Pair]] = {}
  made = 0
  for opponent in players.opponents:
    asked = {i: q for i, q in enumerate(questions) if drawn[i] == opponent}
    drafts = _answered(bench, opponent, asked, samples, arm)
    made += len(drafts)
    reference = opponent if arm.reference == "opponent" else players.main
    for index, pair in _scored(bench, reference, drafts):
      pairs.setdefault(index, []).append(pair)
  kept = [pair for index in sorted(pairs) for pair in pairs[index]]
  rate = sum(p.reward for p in kept) / max(len(kept), 1)
  own = sum(p.positive is not None for p in kept)
  more = f"; {own:,} pairs have an answer of main's own for y+" if arm.positives != "gold" else ""
  bench.say(
    f"  {players.opponent} answered {len(questions):,} questions, {rate:.0%} wrongly{more}; "
    "log-probs are stored with the pairs"
  )
  right = [sum(sample.right for sample in own) for own in samples]
  return Played(
    file=bench.journal.write_records(name.replace("/", "-"), kept),
    opponent=players.opponent,
    hash=data_hash(kept),
    pairs=len(kept),
    left_out=made - len(kept),
    reward_rate=rate,
    own=own if arm.draws else None,
    solved=tuple(right.count(n) for n in range(arm.drawing.samples + 1)) if arm.draws else None,
  )


def _main_answers(
  bench: Workbench, name: str, main: str, questions: Sequence[Example], arm: Arm
) -> Sequence[tuple[Sample, ...]]:
  """Main's drawn answers to each question; none where the arm needs none."""
  if not arm.draws:
    return ((),) * len(questions)
  seed = stage_seed(bench.config, f"{name}/main")
  return draw_and_judge(bench.evaluator, bench.load(main), questions, arm.drawing, seed)


def _answered(
  bench: Workbench,
  opponent: str,
  questions: Mapping[int, Example],
  samples: Sequence[tuple[Sample, ...]],
  arm: Arm,
) -> list[tuple[int, Pair]]:
  """(number of the question, pair without log-probs) of one opponent's answers."""
  gold = list(questions.values())
  answers, verdicts = answer_and_judge(bench.evaluator, bench.load(opponent), gold)
  return [
    (number, pair)
    for number, example, answer, verdict in zip(questions, gold, answers, verdicts, strict=True)
    for pair in make_pairs(arm, example, answer, bool(verdict.suite_correct), samples[number])
  ]


def make_pairs(
  arm: Arm, example: Example, answer: str, right: bool, samples: Sequence[Sample]
) -> list[Pair]:
  """The pairs of a question as the arm wants them, without log-probs: gold for y+ first.

  Args:
    answer: the opponent's; right: whether it executes to gold's result.
    samples: main's drawn answers; none where the arm draws none.
  """
  rate = sum(s.right for s in samples) / len(samples) if samples else None
  low, high = arm.solve_rate
  reward = float(not right and (rate is None or low <= rate <= high))
  weight = None if arm.weighting == "even" or rate is None else 1.0 - rate
  pair = Pair(example, answer, reward, (0.0, 0.0), solve_rate=rate, weight=weight)
  if arm.positives == "gold":
    return [pair]
  different = {same_text_key(example.query): pair}
  for sample in samples:
    if sample.right:
      own = dataclasses.replace(pair, positive=sample.sql)
      different.setdefault(same_text_key(sample.sql), own)
  return list(different.values())


def _scored(
  bench: Workbench, reference: str, drafts: Sequence[tuple[int, Pair]]
) -> list[tuple[int, Pair]]:
  """The pairs with the log-probs of their reference; those that are too long are left out, and
  said.
  """
  made = pair_branches(bench.units, [pair for _, pair in drafts])
  if text := made.fitted.describe("pairs"):
    bench.say(f"  {text}")
  if made.endless:
    bench.say(
      f"  {made.endless} of {len(drafts)} answers do not end within the longest branch: they are "
      "y- as far as they go"
    )
  db_ids = [drafts[i][1].example.db_id for i in made.branches]
  weights = bench.evaluator.weights(bench.load(reference))
  scores = _log_probs(bench.evaluator, weights, db_ids, list(made.branches.values()))
  return [
    (drafts[i][0], dataclasses.replace(drafts[i][1], log_probs=log_probs))
    for i, log_probs in zip(made.branches, scores, strict=True)
  ]


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
