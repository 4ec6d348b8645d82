"""Config, journal, model base and the guards of self-play, each by itself."""

import dataclasses
import datetime
import decimal
import functools
import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import evaluation, headroom, results, sampling
from spftsql_jax.pipeline.config import RunConfig, SynthesisConfig, from_dict, to_dict
from spftsql_jax.pipeline.journal import ConfigChanged, Journal, OtherForm, RunInProgress
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import CorruptVersion, Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import DataFile, Players, SelectionScore, SolveRates
from spftsql_jax.pipeline.stage2_config import HeadroomConfig
from spftsql_jax.pipeline.stages import consistency
from spftsql_jax.pipeline.stages.self_play import verdict_on
from spftsql_jax.pipeline.trainable import Weights

CONFIGS = pathlib.Path(__file__).parents[1] / "experiments" / "configs"


def test_config_survives_its_dictionary():
  config = RunConfig("a", "b", synthesis=SynthesisConfig(holdout=(0.2, 0.3)))
  assert from_dict(RunConfig, to_dict(config)) == config
  # Lists are what a config file or flags may give for tuples.
  assert from_dict(RunConfig, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_config_files_are_runs(path, monkeypatch):
  monkeypatch.syspath_prepend(str(CONFIGS.parent))
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  assert f"experiments/configs/{path.name}" in module.__doc__ or path.stem in (
    "quickstart",
    "paper",
  )
  if hasattr(module, "get_config"):
    config = from_dict(RunConfig, module.get_config().to_dict())
    assert config.packing.rows > 0 and config.name
  else:
    assert path.stem == "paper"


def test_the_paper_s_models_have_a_config_for_each_benchmark():
  models = (
    "qwen2_5_coder_1_5b",
    "qwen2_5_coder_7b",
    "qwen2_5_coder_14b",
    "qwen2_5_coder_32b",
    "llama_3_8b",
    "deepseek_coder_7b",
  )
  assert all(
    (CONFIGS / f"{model}_{benchmark}.py").is_file()
    for model in models
    for benchmark in ("spider", "bird")
  )


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sead": 1}, "config has no field 'sead'"),
    ({"sft": {"steps": "many"}}, "config.sft.steps must be int"),
    ({"data": {"comparison": "exact"}}, "config.data.comparison must be one of"),
    ({"synthesis": {"holdout": (0.1,)}}, "config.synthesis.holdout must have 2 values"),
  ],
)
def test_config_names_what_is_wrong(change, message):
  with pytest.raises(ValueError, match=message):
    from_dict(RunConfig, {"name": "a", "data_dir": "b", **change})


def test_journal_does_each_step_once(tmp_path):
  journal = Journal(tmp_path, {"a": 1})
  players = Players("sft", ("base", "vbi_ft-1"))
  assert journal.step("one", Players, lambda: players) == players
  journal.close()
  again = Journal(tmp_path, {"a": 1})
  assert again.step("one", Players, lambda: pytest.fail("done already")) == players


def test_metrics_of_steps_that_are_done_again_are_those_of_the_second_time(tmp_path):
  def write(steps, value):
    log = MetricsLog(tmp_path)
    for step in steps:
      log.write("vbi_ft/1", step, {"loss": value})
    log.close()

  write(range(1, 8), 0.5)
  file = tmp_path / "metrics" / "vbi_ft-1.jsonl"
  file.write_text(file.read_text() + '{"stage": "vbi_ft/1", "st')  # a line that was cut off
  write(range(5, 7), 0.25)  # resumed from the checkpoint at step 4
  assert [(line["step"], line["loss"]) for line in MetricsLog(tmp_path).read()] == [
    (n, 0.5 if n < 5 else 0.25) for n in range(1, 7)
  ]
  write([1], 1.0)
  assert [(line["step"], line["loss"]) for line in MetricsLog(tmp_path).read()] == [(1, 1.0)]


def test_journal_forgets_a_line_that_was_cut_off(tmp_path):
  journal = Journal(tmp_path, {})
  journal.step("one", DataFile, lambda: DataFile("1"))
  journal.step("two", DataFile, lambda: DataFile("2"))
  journal.close()
  path = tmp_path / "journal.jsonl"
  path.write_text(path.read_text()[:-9])
  again = Journal(tmp_path, {})
  assert again.is_done("one") and not again.is_done("two")
  again.step("two", DataFile, lambda: DataFile("3"))
  lines = [json.loads(line) for line in path.read_text().splitlines()]
  assert [line["output"]["file"] for line in lines] == ["1", "3"]


def test_metrics_are_written_without_torch(tmp_path):
  """TensorBoard's writer would import it where it is installed: seconds of each run's start."""
  code = (
    "import sys; from pathlib import Path; from spftsql_jax.pipeline.metrics_log import MetricsLog;"
    f"log = MetricsLog(Path({str(tmp_path)!r})); log.write('sft', 1, {{'loss': 1.0}}); log.close();"
    "assert 'torch' not in sys.modules"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert list(tmp_path.rglob("events*"))


def test_journal_refuses_another_config_and_names_the_difference(tmp_path):
  Journal(tmp_path, {"seed": 1, "sft": {"steps": 5}}).close()
  with pytest.raises(ConfigChanged, match=r"sft\.steps: 5 there, 6 now"):
    Journal(tmp_path, {"seed": 1, "sft": {"steps": 6}})


def test_two_runs_in_one_folder_are_refused(tmp_path):
  journal = Journal(tmp_path, {})
  code = f"from spftsql_jax.pipeline.journal import Journal; Journal({str(tmp_path)!r}, {{}})"
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert "another run is at work here" in done.stderr
  with pytest.raises(RunInProgress):
    Journal(tmp_path, {})
  journal.close()


def test_journal_says_when_a_data_file_is_gone(tmp_path):
  journal = Journal(tmp_path, {})
  records = [DataFile("1"), DataFile("2")]
  name = journal.write_records("part", records)
  assert journal.read_records(name, DataFile) == records
  assert journal.write_records("part", records) == name
  with pytest.raises(OtherForm, match=rf"{tmp_path / name}.* has no field 'file'.*--start_from"):
    journal.read_records(name, SelectionScore)
  (tmp_path / name).unlink()
  with pytest.raises(RuntimeError, match="gone"):
    journal.read_records(name, DataFile)


@pytest.fixture
def base(tmp_path):
  base = ModelBase(tmp_path / "base")
  scores = [("a", 0.5, 1.0), ("b", 0.7, 1.0), ("c", 0.1, 0.05), ("d", 0.7, 0.9)]
  for i, (version, ex, executable) in enumerate(scores):
    base.add(
      version, {"w": jnp.full((3, 2), i)}, Lineage("sft", i, parent="a" if i else None, seed=7)
    )
    base.add_score(version, "selection", Score(ex, executable, (True, False)))
  return base


def test_model_base_gives_back_what_was_added(base):
  assert base.versions() == ["a", "b", "c", "d"]
  np.testing.assert_array_equal(base.load("b")["w"], np.full((3, 2), 1))
  assert base.lineage("b") == Lineage("sft", 1, parent="a", seed=7)
  assert base.score("b", "selection") == Score(0.7, 1.0, (True, False))
  assert base.score("b", "test") is None
  with pytest.raises(KeyError, match="no version 'x'"):
    base.load("x")


def test_best_goes_by_what_runs_among_equals_and_weakest_must_be_able_to_write_sql(base):
  assert base.best("selection") == "b"
  assert base.weakest("selection") == "c"
  assert base.weakest("selection", min_executable=0.3) == "a"
  assert base.best("selection", ["a", "c"]) == "a"
  with pytest.raises(ValueError, match="no version has a score on 'test'"):
    base.best("test")


def test_a_version_that_is_damaged_is_named_and_not_used(base):
  [path] = [
    p
    for p in (base.directory / "versions" / "b" / "params").rglob("*")
    if p.is_file() and p.stat().st_size > 200
  ][:1]
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(CorruptVersion, match="version b"):
    base.load("b")


def test_half_a_version_is_none(base):
  folder = base.directory / "versions" / "e"
  folder.mkdir()
  (folder / "params").mkdir()
  assert "e" not in base.versions()
  base.add("e", {"w": jnp.zeros(1)}, Lineage("sft"))
  assert base.versions()[-1] == "e"


def test_a_collapsed_model_is_not_accepted():
  def score(right: int, executable: float) -> Score:
    return Score(right / 20, executable, tuple(i < right for i in range(20)))

  main = score(10, 0.9)
  assert verdict_on(main, score(12, 0.9), "") == (
    True,
    "better than main (50.0% to 60.0%, p = 0.50)",
  )
  assert verdict_on(main, score(10, 0.9), "") == (
    True,
    "as good as main, and the later of the two (50.0% to 50.0%, p = 1.00)",
  )
  assert verdict_on(main, score(10, 0.95), "")[0] and not verdict_on(main, score(10, 0.85), "")[0]
  assert not verdict_on(main, score(9, 1.0), "")[0]
  accepted, reason = verdict_on(main, score(1, 0.1), "")
  assert not accepted and reason.startswith("collapsed: 10% of its answers run")
  accepted, reason = verdict_on(main, score(1, 0.1), "mean log-prob of y+ fell")
  assert not accepted and "stopped early" in reason


def test_config_fields_are_all_plain():
  """The journal and results.json keep the config as JSON."""
  config = to_dict(RunConfig("a", "b"))
  assert json.loads(json.dumps(config)) is not None
  assert set(config) == {f.name for f in dataclasses.fields(RunConfig)}


def test_model_written_questions_are_kept_by_agreement_and_counted(monkeypatch):
  """Of three questions the answers agree never, once and always; k answers stand beside each other
  in order.
  """
  examples = [Example("d", f"question {i}", f"SELECT {i}") for i in range(3)]
  answers = [("SELECT 9", "", "SELECT 8"), ("SELECT 1", "SELECT 7", ""), ("SELECT 2",) * 3]
  asked = {}

  def answer_questions(generator, params, tokenizer, databases, examples, **options):
    asked.update(options)
    return [tuple(types.SimpleNamespace(sql=sql) for sql in found) for found in answers]

  def judge(databases, repeated, predictions):
    return [
      types.SimpleNamespace(suite_correct=e.query == p)
      for e, p in zip(repeated, predictions, strict=True)
    ]

  monkeypatch.setattr(evaluation, "answer_questions", answer_questions)
  monkeypatch.setattr(sampling, "judge", judge)
  evaluator = types.SimpleNamespace(
    generator=None,
    tokenizer=None,
    max_new_tokens=9,
    schemas=None,
    weights=lambda tree: Weights(tree),
    databases=types.SimpleNamespace(prompts={}),
  )
  evaluator.answers = functools.partial(evaluation.Evaluator.answers, evaluator)
  bench = types.SimpleNamespace(
    config=RunConfig("a", "b"),
    databases=types.SimpleNamespace(prompts={}),
    evaluator=evaluator,
    load=str,
  )
  found = consistency.check_questions(bench, "v", examples, 3)
  assert found.kept == (examples[1], examples[2]) and found.counts == (1, 1, 0, 1)
  assert asked["samples"] == 3 and asked["temperature"] > 0
  rates = found.agreement()
  assert rates.kept == pytest.approx(2 / 3) and rates.trivial == pytest.approx(1 / 3)
  assert rates.answers == pytest.approx(4 / 9) and rates.checked == 3
  assert consistency.check_questions(bench, "v", [], 3).agreement().kept is None


def headroom_bench(tmp_path, said, **options):
  """A bench whose version "v" has been measured: 60 % of pass@4 beside 55 %."""
  config = RunConfig("a", "b", headroom=HeadroomConfig(4, k=4, **options))
  bench = types.SimpleNamespace(config=config, journal=Journal(tmp_path, {}), say=said.append)
  found = SolveRates(
    "v", 4, 8, 4, greedy_ex=0.55, pass_at_k=0.6, counts=(1, 0, 0, 0, 0, 0, 0, 0, 3)
  )
  bench.journal.step("vbi_ft/round_1/samples", SolveRates, lambda: found)
  return bench


def test_stage_2_is_skipped_where_a_model_answers_first_what_it_can_answer(tmp_path):
  said = []
  bench = headroom_bench(tmp_path, said)
  assert not headroom.has_headroom(bench, "v") and "less than 10 points" in said[0]
  assert "pass@4 60.0%, greedy EX 55.0% on 4 questions" in said[0] and "headroom.force" in said[0]
  # What was not measured decides nothing.
  assert headroom.has_headroom(bench, "other") and len(said) == 1
  assert headroom.solve_rates(bench)[0].version == "v"
  bench.journal.close()


@pytest.mark.parametrize("options", [{"force": True}, {"least_gap": 0.05}])
def test_stage_2_is_done_where_it_is_forced_or_the_gap_suffices(tmp_path, options):
  bench = headroom_bench(tmp_path, [], **options)
  assert headroom.has_headroom(bench, "v")
  bench.journal.close()


def test_solve_rates_count_the_right_answers_to_the_questions_that_were_drawn(
  tmp_path, monkeypatch
):
  """Of ten questions five are asked, evenly spaced; question i is answered rightly i times of 8."""
  asked = []

  def draw_and_judge(evaluator, tree, examples, drawing, seed):
    asked.append((drawing.samples, seed))
    right = [int(e.question) for e in examples]
    return [[sampling.Sample("", i < each) for i in range(drawing.samples)] for each in right]

  monkeypatch.setattr(headroom, "draw_and_judge", draw_and_judge)
  config = RunConfig("a", "b", headroom=HeadroomConfig(5, k=2))
  bench = types.SimpleNamespace(
    config=config, journal=Journal(tmp_path, {}), say=str, evaluator=None
  )
  selection = [Example("d", str(i), "SELECT 1") for i in range(10)]
  greedy = Score(0.5, 1.0, (True, False) * 5)
  for version in ("one", "two"):
    headroom.measure_headroom(bench, version, None, selection, greedy, f"vbi_ft/{version}")
  one, two = headroom.solve_rates(bench)
  assert one.counts == (1, 0, 1, 0, 1, 0, 1, 0, 1) and one.greedy_ex == 1.0
  # Of all pairs of a question's 8 answers, the share with a right one.
  shares = [
    np.mean([i < right or j < right for i in range(8) for j in range(i)])
    for right in (0, 2, 4, 6, 8)
  ]
  assert one.pass_at_k == pytest.approx(np.mean(shares))
  # All versions are asked with the same randomness.
  assert asked[0] == asked[1] and dataclasses.replace(two, version="one") == one
  bench.journal.close()


def test_pass_at_k_needs_as_many_samples():
  with pytest.raises(ValueError, match="pass@8 of 4 samples"):
    from_dict(
      RunConfig,
      {
        "name": "a",
        "data_dir": "b",
        "headroom": {"questions": 1, "drawing": {"samples": 4}},
      },
    )


def test_a_run_of_an_old_config_is_told_what_replaced_its_buckets():
  old = {"name": "old", "data_dir": "", "shape": {"schemas": 2, "prefix_buckets": (256,)}}
  with pytest.raises(ValueError, match="config.shape .* was replaced by config.packing"):
    from_dict(RunConfig, old)


@pytest.mark.parametrize(
  ("cell", "shown"),
  [
    (datetime.date(2024, 5, 17), "2024-05-17"),
    (decimal.Decimal("1.50"), "1.50"),
    (float("nan"), "nan"),
    (2.5, 2.5),
    (None, None),
  ],
)
def test_a_cell_is_shown_as_its_engine_writes_it(cell, shown):
  assert results._rows([(cell,)]) == ((shown,),)
