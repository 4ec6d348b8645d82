"""What an arm makes of answers: its pairs with rewards and weights; and what names it may have."""

import dataclasses
import types

import pytest
from tiny_runs import make_demo, tiny_config

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import RunConfig, SelfPlayConfig, from_dict, to_dict
from spftsql_jax.pipeline.data import read_data, read_test
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.queries import Queries
from spftsql_jax.pipeline.records import Players
from spftsql_jax.pipeline.sampling import Sample
from spftsql_jax.pipeline.stage2_config import Arm, Drawing
from spftsql_jax.pipeline.stages.play import make_pairs
from spftsql_jax.pipeline.stages.self_play import beginning, choose_players
from spftsql_jax.pipeline.stages.splits import by_iteration
from spftsql_jax.pipeline.versions import chosen_version

EXAMPLE = Example("d", "how many?", "SELECT COUNT(*) FROM t")


def drawn(*answers: tuple[str, bool]) -> list[Sample]:
  return [Sample(*answer) for answer in answers]


def test_the_papers_pair_is_gold_and_the_opponents_answer():
  wrong, right = (make_pairs(Arm(), EXAMPLE, "SELECT 1", r, []) for r in (False, True))
  assert [(p.positive, p.answer, p.reward) for p in wrong] == [(None, "SELECT 1", 1.0)]
  assert [p.reward for p in right] == [0.0]
  assert wrong[0].weight is None and wrong[0].solve_rate is None


def test_own_verified_answers_are_positives_once_each():
  samples = drawn(
    ("SELECT COUNT(1) FROM t", True),
    ("select  count(1) from T", True),  # the same query in another spelling
    ("SELECT COUNT(*)  FROM t", True),  # gold itself
    ("SELECT 2", False),
    ("SELECT COUNT(id) FROM t", True),
  )
  arm = Arm("own", positives="gold_and_own")
  pairs = make_pairs(arm, EXAMPLE, "SELECT 9", False, samples)
  assert [p.positive for p in pairs] == [None, "SELECT COUNT(1) FROM t", "SELECT COUNT(id) FROM t"]
  assert {(p.answer, p.reward, p.solve_rate) for p in pairs} == {("SELECT 9", 1.0, 0.8)}


@pytest.mark.parametrize(("right", "reward"), [(0, 0.0), (1, 1.0), (4, 1.0), (7, 1.0), (8, 0.0)])
def test_errors_count_where_the_solve_rate_lies_between_the_bounds(right, reward):
  arm = Arm("middling", solve_rate=(1 / 8, 7 / 8))
  samples = drawn(*((str(i), i < right) for i in range(8)))
  [pair] = make_pairs(arm, EXAMPLE, "SELECT 9", False, samples)
  assert pair.reward == reward and pair.solve_rate == right / 8
  # An answer that is right is never an error.
  assert [p.reward for p in make_pairs(arm, EXAMPLE, "SELECT 9", True, samples)] == [0.0]


def test_rejection_sampling_weighs_a_question_by_what_is_unsolved():
  arm = Arm("rft", opponent="self", positives="gold_and_own", weighting="unsolved")
  pairs = make_pairs(arm, EXAMPLE, "SELECT 9", False, drawn(("a", True), *[("b", False)] * 3))
  assert [(p.positive, p.weight) for p in pairs] == [(None, 0.75), ("a", 0.75)]


@pytest.mark.parametrize(
  ("arm", "message"),
  [
    ({"name": "No Name"}, "small letters"),
    ({"name": "spin"}, "the name 'spin' is taken"),
    ({"name": "a", "solve_rate": (0.9, 0.1)}, "solve_rate must be two shares"),
    ({"name": "a", "positives": "gold_and_own", "drawing": {"samples": 1}}, "need drawing.samples"),
    ({"name": "a", "positives": "own"}, "must be one of 'gold', 'gold_and_own'"),
  ],
)
def test_an_arm_that_cannot_be_is_refused_by_name(arm, message):
  with pytest.raises(ValueError, match=message):
    from_dict(RunConfig, {"name": "x", "data_dir": "", "self_play": {"arms": (arm,)}})


def test_a_config_with_arms_survives_plain_values():
  arms = (Arm("own", positives="gold_and_own", control=True), Arm("rft", drawing=Drawing(4)))
  config = RunConfig("x", "", self_play=SelfPlayConfig(arms=arms))
  assert from_dict(RunConfig, to_dict(config)) == config
  with pytest.raises(ValueError, match="'own_control' is taken"):
    SelfPlayConfig(arms=(*arms, Arm("own_control")))


def test_fresh_iterations_share_no_question_and_leave_none_out():
  config = SelfPlayConfig(iterations=3, questions=10, real_questions=4, fresh=True)
  parts = by_iteration(config, list(range(34)))
  assert [len(part) for part in parts] == [11, 11, 12]
  assert [q for part in parts for q in part] == list(range(34))
  same = by_iteration(dataclasses.replace(config, fresh=False), list(range(34)))
  assert same == (list(range(14)),) * 3
  assert by_iteration(config, []) == ()


def test_real_questions_are_held_back_with_all_wordings_of_their_queries(tmp_path):
  make_demo(tmp_path)
  config = tiny_config(str(tmp_path))
  config = dataclasses.replace(config, data=dataclasses.replace(config.data, seed_limit=0))
  whole = read_data(config)
  more = dataclasses.replace(config.self_play, real_questions=20)
  data = read_data(dataclasses.replace(config, self_play=more))
  assert len(data.played) == 20 and not whole.played
  assert {*data.seeds, *data.played} <= set(whole.seeds) and len(data.seeds) >= len(
    whole.seeds
  ) - 40
  queries = Queries(data.locations)
  assert not any(queries.among(data.seeds, data.played))
  # What is synthesized keeps away from them.
  assert set(data.played) <= set(data.held_out) and not set(data.played) & set(whole.held_out)
  most = dataclasses.replace(config.self_play, real_questions=10_000)
  with pytest.raises(ValueError, match="cannot be held back for self-play.*real_questions"):
    read_data(dataclasses.replace(config, self_play=most))


def test_databases_are_held_out_whole_whatever_the_seed(tmp_path):
  make_demo(tmp_path)
  config = tiny_config(str(tmp_path))
  config = dataclasses.replace(
    config, data=dataclasses.replace(config.data, seed_limit=0, test_limit=0)
  )
  whole = read_data(config)
  held = dataclasses.replace(config.data, held_out_databases=1)
  data, again = (
    read_data(dataclasses.replace(config, data=held, seed=seed)) for seed in (config.seed, 9)
  )
  moved = {e.db_id for e in whole.seeds} - {e.db_id for e in data.seeds}
  assert len(moved) == 1 and {e.db_id for e in data.test} > moved
  assert data.test[: len(whole.test)] == whole.test and data.test == again.test
  assert tuple(read_test(dataclasses.replace(config, data=held))) == data.test
  many = dataclasses.replace(config.data, held_out_databases=99)
  with pytest.raises(ValueError, match="99 cannot be held out.*held_out_databases"):
    read_data(dataclasses.replace(config, data=many))


@pytest.fixture
def models(tmp_path):
  base = ModelBase(tmp_path)
  scores = {"sft": 0.5, "vbi_ft-1": 0.7, "own-1": 0.4, "self_play-1": 0.6, "self_play-2": 0.2}
  parents = {"vbi_ft-1": "sft", "own-1": "vbi_ft-1", "self_play-1": "vbi_ft-1"}
  for version, ex in scores.items():
    stage, _, number = version.partition("-")
    fault = "training ended early" if version == "self_play-2" else ""
    base.add(
      version, {"w": 1.0}, Lineage(stage, int(number or 0), parents.get(version), fault=fault)
    )
    base.add_score(version, "selection", Score(ex, 1.0, (True,) * 4))
  return base


def test_an_arm_may_play_itself_and_begin_anew(models):
  arm = Arm("own", opponent="self", restart=True)
  assert choose_players(models, arm, ["sft", "vbi_ft-1"]) == Players("vbi_ft-1", ("vbi_ft-1",))
  assert choose_players(models, arm, ["sft", "vbi_ft-1"], "own-1") == Players("own-1", ("own-1",))
  assert beginning(models, arm, "own-1") == "vbi_ft-1" == beginning(models, arm, "vbi_ft-1")


def test_the_last_sound_step_is_handed_over_where_nothing_is_selected(models):
  bench = types.SimpleNamespace(models=models, say=str)
  for final_step, version in ((False, "vbi_ft-1"), (True, "self_play-1")):
    bench.config = RunConfig("x", "", self_play=SelfPlayConfig(final_step=final_step))
    assert chosen_version(bench) == version
