"""A study: what it counts before, what its contrasts are, and what they show of several runs."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.judging.statistics import holm, paired_difference
from spftsql_jax.pipeline import study
from spftsql_jax.pipeline.codec import record_to_json
from spftsql_jax.pipeline.config import DataConfig, RunConfig, to_dict
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import HeldOutFiles

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

from configs.demo_tiny import tiny_config  # noqa: E402
from configs.study import demo, spider  # noqa: E402
from configs.study.arms import ARMS  # noqa: E402

REGISTERED = EXPERIMENTS / "configs" / "study" / "preregistration.toml"


def test_every_registered_contrast_is_of_stages_that_the_configs_have():
  registered = study.read_preregistration(REGISTERED)
  assert registered.primary == ("self_play", "sft_control") and len(registered.seeds) >= 3
  for config in (demo.study(), spider.study()):
    stages = {"base", "sft", "vbi_ft", "self_play", *config.self_play.baselines}
    stages |= {arm.name for arm in ARMS}
    stages |= {f"{arm.name}_control" for arm in ARMS if arm.control}
    assert {stage for pair in registered.secondary for stage in pair} <= stages
    assert config.self_play.arms == ARMS and config.self_play.final_step
    assert config.vbi_ft.select >= 500 and config.headroom.k == 8
    assert json.loads(json.dumps(to_dict(config)))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("primary = 1", "lacks the field|must be several values"),
    ("not toml", "not TOML"),
    ("prmary = ['a', 'b']", "no field 'prmary'; did you mean primary"),
  ],
)
def test_a_preregistration_that_cannot_be_read_is_named(tmp_path, text, message):
  path = tmp_path / "registered.toml"
  path.write_text(text)
  with pytest.raises(ValueError, match=message) as caught:
    study.read_preregistration(path)
  assert "registered.toml" in str(caught.value)


def test_the_work_of_a_run_is_counted_as_its_stages_do_it():
  config, replace = tiny_config(""), dataclasses.replace
  config = replace(
    config,
    headroom=replace(config.headroom, questions=4),
    self_play=replace(
      config.self_play,
      baselines=("sft_control", "spin"),
      arms=(dataclasses.replace(ARMS[0], name="own"),),  # with a control, and drawn answers
    ),
  )
  work = study.work_of(config, test=8)
  # SFT; two rounds; two iterations each of self-play, its control, SPIN, the arm, its control.
  assert work.steps == 3 + 2 * 3 and work.pair_steps == 5 * 2 * 2
  versions = 1 + 2 + 5 * 2
  # Controls play nothing.
  assert work.answers == versions * (8 + 8) + 2 * 8 + 3 * 2 * 12
  assert work.drawn == versions * 4 * 8 + 2 * 12 * 8
  assert work.examples == 2 * (60 + 8) + 8 + 12
  alone = replace(config, self_play=replace(config.self_play, iterations=0, arms=(), baselines=()))
  assert study.work_of(alone, 8).pair_steps == 0


def write_run(
  folder: Path, outcomes: dict[str, tuple[list[bool], list[bool]]], selection: list[str]
):
  """A finished run: (test, selection) outcomes by version, the databases of its selection split."""
  models = ModelBase(folder / "model_base")
  for version, (test, chosen) in outcomes.items():
    stage, _, number = version.partition("-")
    models.add(version, {"w": 1.0}, Lineage(stage, int(number)))
    models.add_score(version, "selection", Score(float(np.mean(chosen)), 1.0, tuple(chosen)))
    if test:  # of a baseline's earlier iterations there is none
      models.add_score(version, "test", Score(float(np.mean(test)), 1.0, tuple(test)))
  journal = Journal(folder, {})
  examples = [Example(name, "?", "SELECT 1") for name in selection]
  file = journal.write_records("selection", examples)
  journal.step("prepare/data", HeldOutFiles, lambda: HeldOutFiles(file, file))
  journal.close()
  results = {"best": "x", "solve_rates": [], "contrasts": [], "seconds": 1.0}
  (folder / "results.json").write_text(json.dumps(results | {"peak_memory_bytes": 1}))


def test_contrasts_are_paired_over_seeds_on_the_test_and_stand_beside_each_other_on_selection(
  tmp_path,
):
  rng = np.random.default_rng(0)
  test = [Example(f"d{i % 12}", "?", "SELECT 1") for i in range(120)]
  (tmp_path / "test.json").write_text(json.dumps([record_to_json(e) for e in test]))
  config = RunConfig("x", str(tmp_path), data=DataConfig(seeds="", test="test.json"))
  versions = ("vbi_ft-1", "self_play-1", "self_play-2", "sft_control-1", "sft_control-2")
  drawn: dict[int, dict] = {}
  selections: dict[int, list[str]] = {}
  for seed in (3, 5):
    drawn[seed] = {
      v: (
        [] if v == "sft_control-1" else (rng.random(120) < 0.6).tolist(),
        (rng.random(40) < 0.5).tolist(),
      )
      for v in versions
    }
    selections[seed] = [f"s{i % (10 + seed)}" for i in range(40)]
    write_run(tmp_path / f"seed_{seed}", drawn[seed], selections[seed])
  runs = {seed: tmp_path / f"seed_{seed}" for seed in (3, 5)}
  secondary = (("sft_control", "vbi_ft"), ("self_play", "vbi_ft"), ("rft", "vbi_ft"))
  registered = study.Preregistration(
    "?", ("self_play", "sft_control"), secondary, (3, 5), 2, rules=()
  )
  found = study.summarize(config, runs, registered)
  # The last versions count; a contrast of a stage that is not there is left out.
  primary, *others = found.contrasts["test"]
  assert primary.primary and [row.second for row in others] == ["vbi_ft", "vbi_ft"]
  of = lambda version, split: [drawn[seed][version][split] for seed in (3, 5)]  # noqa: E731
  expected = paired_difference(
    of("self_play-2", 0), of("sft_control-2", 0), [e.db_id for e in test]
  )
  assert (primary.difference, primary.ci95) == (expected.difference, expected.interval)
  assert (primary.p, primary.resampled) == (expected.p, "databases")
  assert [row.p_holm for row in others] == list(holm([row.p for row in others]))
  assert found.ex["test"]["self_play"] == pytest.approx([np.mean(o) for o in of("self_play-2", 0)])
  row = found.primary("selection")
  a, b = (np.concatenate(of(v, 1)).tolist() for v in ("self_play-2", "sft_control-2"))
  expected = paired_difference([a], [b], [*selections[3], *selections[5]])
  assert (row.n, row.p, row.difference) == (80, expected.p, expected.difference)
  assert json.loads(json.dumps(found.to_json()))["seeds"] == [3, 5]
