"""The arms of stage 2 from play to versions, with answers and training made up: who plays whom,
what is trained on, from what, and what becomes of it.
"""

import dataclasses
import types
from collections import Counter

import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import RunConfig, SelfPlayConfig
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.sampling import Sample
from spftsql_jax.pipeline.stage2_config import Arm, Drawing
from spftsql_jax.pipeline.stages import baselines, play, self_play
from spftsql_jax.pipeline.stages.splits import by_iteration
from spftsql_jax.pipeline.training_units import FittedUnits, PairBranches

QUESTIONS = [Example("d", f"question {i}", f"SELECT {i}") for i in range(12)]
# Execution accuracy of the versions that there are, and of those that are trained.
SCORES = {"sft": 0.3, "vbi_ft-1": 0.5, "self_play-1": 0.2, "self_play-2": 0.6}


class Run:
  """A bench whose versions answer question i rightly where i is even, and what was trained."""

  def __init__(self, folder, config: SelfPlayConfig, patch: pytest.MonkeyPatch):
    self.trained: dict[str, types.SimpleNamespace] = {}
    self.models = ModelBase(folder / "models")
    self.bench = types.SimpleNamespace(
      config=RunConfig("x", "", self_play=config),
      journal=Journal(folder, {}),
      models=self.models,
      say=lambda line: None,
      load=str,
      trainer=None,
      units=None,
      evaluator=types.SimpleNamespace(describe_split=lambda _: "", weights=str),
    )
    self.splits = types.SimpleNamespace(
      selection=QUESTIONS[:4], self_play=QUESTIONS, played=by_iteration(config, QUESTIONS)
    )
    self.splits.questions = lambda number: self.splits.played[number - 1]
    for version, parent in (("sft", None), ("vbi_ft-1", "sft")):
      stage, _, number = version.partition("-")
      self.add(version, Lineage(stage, int(number or 0), parent))
    self.patch(patch)

  def add(self, version: str, lineage: Lineage) -> Score:
    score = Score(SCORES.get(version, 0.5), 1.0, (True, False))
    self.models.add(version, {"w": 1.0}, lineage)
    self.models.add_score(version, "selection", score)
    return score

  def patch(self, patch: pytest.MonkeyPatch) -> None:
    def answer_and_judge(evaluator, tree, examples):
      right = [int(e.question.split()[1]) % 2 == 0 for e in examples]
      return [f"{tree} says" for _ in examples], [
        types.SimpleNamespace(suite_correct=each) for each in right
      ]

    def draw_and_judge(evaluator, tree, examples, drawing, seed):
      answers = (Sample(f"own of {tree}", True), Sample("wrong", False))
      return [answers for _ in examples]

    def pair_branches(units, pairs):
      branches = {i: ((), ()) for i in range(len(pairs))}
      return PairBranches(branches, FittedUnits({}, Counter(), Counter()), endless=0)

    def train(trainer, stage, tree, units, training, **options):
      self.trained[stage] = types.SimpleNamespace(tree=tree, pairs=units, **options)
      return types.SimpleNamespace(trained=None, aborted="", steps=3, summary={}, fault="")

    def log_probs(evaluator, weights, db_ids, pairs):
      self.references.append(weights)
      return [(-1.0, -2.0)] * len(pairs)

    self.references: list[str] = []
    patch.setattr(play, "answer_and_judge", answer_and_judge)
    patch.setattr(play, "draw_and_judge", draw_and_judge)
    patch.setattr(play, "pair_branches", pair_branches)
    patch.setattr(play, "_log_probs", log_probs)
    for module in (self_play, baselines):
      patch.setattr(module, "train", train)
      patch.setattr(module, "pair_units", lambda units, pairs: list(pairs))
      patch.setattr(
        module, "add_version", lambda bench, version, tree, lineage, *_: self.add(version, lineage)
      )

  def go(self) -> list[str]:
    """Stage 2; the versions that it made."""
    candidates = ["sft", "vbi_ft-1"]
    done = self_play.run_self_play(self.bench, self.splits, candidates)
    baselines.run_baselines(self.bench, self.splits, "vbi_ft-1", candidates, done)
    self.bench.journal.close()
    return [v for v in self.models.versions() if v not in candidates]


PAPER = SelfPlayConfig(questions=12, baselines=("sft_control",), min_executable=0.0)


def test_the_papers_arm_stops_where_it_does_harm_and_its_control_has_its_pairs(
  tmp_path, monkeypatch
):
  run = Run(tmp_path, PAPER, monkeypatch)
  assert run.go() == ["self_play-1", "sft_control-1"]
  played, control = (run.trained[f"{s}/iteration_1"] for s in ("self_play", "sft_control"))
  assert played.tree == control.tree == "vbi_ft-1" and run.references == ["sft"]
  assert played.pairs == control.pairs and {p.answer for p in played.pairs} == {"sft says"}
  assert [p.reward for p in played.pairs] == [0.0, 1.0] * 6
  assert control.objective == dataclasses.replace(played.objective, pair_weight=0.0, nll_weight=1.0)
  assert played.held_out == control.held_out == QUESTIONS[:4]


def test_the_last_step_goes_on_whatever_selection_says_on_questions_of_its_own(
  tmp_path, monkeypatch
):
  config = dataclasses.replace(PAPER, final_step=True, fresh=True, baselines=("dpo", "sft_control"))
  run = Run(tmp_path, config, monkeypatch)
  assert run.go() == [f"{s}-{n}" for s in ("self_play", "dpo", "sft_control") for n in (1, 2)]
  first, second = (run.trained[f"self_play/iteration_{n}"] for n in (1, 2))
  assert second.tree == "self_play-1" and not first.held_out and not second.held_out
  assert run.trained["sft_control/iteration_2"].tree == "sft_control-1"
  asked = [{p.example.question for p in one.pairs} for one in (first, second)]
  assert len(asked[0]) == len(asked[1]) == 6 and not asked[0] & asked[1]
  # DPO learns from the errors of the start, on the same fresh questions.
  for number, questions in ((1, asked[0]), (2, asked[1])):
    dpo = run.trained[f"dpo/iteration_{number}"]
    assert {p.answer for p in dpo.pairs} == {"vbi_ft-1 says"} and all(p.reward for p in dpo.pairs)
    assert {p.example.question for p in dpo.pairs} < questions


def test_an_arm_of_positives_begins_anew_on_all_its_pairs_beside_its_control(tmp_path, monkeypatch):
  arm = Arm(
    "own",
    opponent="mixture",
    reference="main",
    positives="gold_and_own",
    weighting="unsolved",
    drawing=Drawing(2),
    restart=True,
    min_executable=0.0,
    control=True,
  )
  config = dataclasses.replace(PAPER, final_step=True, fresh=True, baselines=(), arms=(arm,))
  run = Run(tmp_path, config, monkeypatch)
  made = run.go()
  assert made[2:] == ["own-1", "own-2", "own_control-1", "own_control-2"]
  assert not any(run.models.is_candidate(v) for v in made[2:])
  assert all(run.models.is_candidate(v) for v in made[:2])
  first, second = (run.trained[f"arms/own/iteration_{n}"] for n in (1, 2))
  assert first.tree == second.tree == "vbi_ft-1"
  # Gold and main's own answer for each question; the second iteration has those of the first too.
  assert len(first.pairs) == 12 and second.pairs[:12] == first.pairs and len(second.pairs) == 24
  assert {p.positive for p in first.pairs} == {None, "own of vbi_ft-1"}
  assert {p.positive for p in second.pairs[12:]} == {None, "own of own-1"}
  assert {(p.weight, p.solve_rate) for p in first.pairs} == {(0.5, 0.5)}
  # Opponents supply y- alone: both have main's log-probs.
  assert run.references[-3:] == ["vbi_ft-1", "own-1", "own-1"]
  for number, one in ((1, first), (2, second)):
    control = run.trained[f"arms/own_control/iteration_{number}"]
    assert (control.tree, control.pairs, control.seed) == ("vbi_ft-1", one.pairs, one.seed)
    assert control.seed == run.trained[f"self_play/iteration_{number}"].seed
