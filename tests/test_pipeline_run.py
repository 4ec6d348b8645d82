"""A very small run of the whole method: its outputs, going on after a cut, and its export in
transformers.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_runs
from configs.baselines import BASELINES  # of experiments/, which tiny_runs puts on the path
from configs.baselines import get_config as get_baseline
from demo.make_databases import structure
from tiny_runs import journal_of, quiet, short_tokenizer, tiny_config

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.answering.predict import PromptDatabase, predict
from spftsql_jax.examples.benchmarks import find_database, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import run
from spftsql_jax.pipeline.config import RunConfig, from_dict, to_dict
from spftsql_jax.pipeline.journal import ConfigChanged, Journal
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.stages import vbi_ft
from spftsql_jax.sql.model_text import read_statement
from spftsql_jax.training.optimizer import OptimizerConfig

demo = tiny_runs.demo  # a fixture


@pytest.fixture(scope="module")
def finished(demo, tmp_path_factory):
  """(work folder, config, results, the lines it printed) of a run that was cut off twice and gone
  on with.
  """
  workdir = tmp_path_factory.mktemp("run")
  config = tiny_config(str(demo))
  lines: list[str] = []
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    assert run.run(config, workdir, stop_after="sft", say=lines.append) == {}
    assert ModelBase(workdir / "model_base").versions() == ["base", "sft"]
    real, calls = vbi_ft.answer_and_judge, []

    def interrupted(*arguments):
      calls.append(1)
      if len(calls) == 2:
        raise KeyboardInterrupt
      return real(*arguments)

    patch.setattr(vbi_ft, "answer_and_judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
      run.run(config, workdir, say=lines.append)
    results = run.run(config, workdir, say=lines.append)
  return workdir, config, results, lines


def test_the_table_has_every_stage(finished):
  workdir, _, results, _ = finished
  stages = [(row["stage"], row["round"]) for row in results["table"]]
  assert stages[:4] == [("base", 0), ("sft", 0), ("vbi_ft", 1), ("vbi_ft", 2)]
  # Of a baseline only the last iteration is evaluated; self-play may stop after its first.
  assert ("self_play", 1) in stages and ("spin", 2) in stages and ("spin", 1) not in stages
  assert "sft_control" in dict(stages)
  for row in results["table"]:
    assert row["n"] == 8 and 0 <= row["ci95"][0] <= row["ex"] <= row["ci95"][1] <= 1
  assert json.loads((workdir / "results.json").read_text())["table"] == json.loads(
    json.dumps(results["table"])
  )


def test_steps_are_done_once_although_the_run_was_cut_off(finished):
  workdir, _, _, _ = finished
  assert len((workdir / "journal.jsonl").read_text().splitlines()) == len(journal_of(workdir))
  assert not (workdir / "checkpoints").exists() or not list((workdir / "checkpoints").iterdir())


def test_a_finished_run_says_its_results_again(finished):
  workdir, config, results, _ = finished
  before = (workdir / "journal.jsonl").read_text()
  again = run.run(config, workdir, say=quiet)
  assert again["table"] == results["table"] and (workdir / "journal.jsonl").read_text() == before


def test_a_stage_is_done_again_with_all_behind_it(finished, tmp_path):
  workdir, config, results, _ = finished
  again, lines = shutil.copytree(workdir, tmp_path / "again"), []
  redone = run.run(config, again, say=lines.append, start_from="baselines")
  assert redone["table"] == results["table"] and any(
    line.startswith("Baseline: SPIN") for line in lines
  )
  journals = [journal_of(w) for w in (workdir, again)]
  kept = [
    [(name, out) for name, out in journal.items() if name.startswith(("vbi_ft", "self_play"))]
    for journal in journals
  ]
  assert kept[0] == kept[1] and len(journals[0]) == len(journals[1])
  first, second = (
    jax.tree.leaves(ModelBase(w / "model_base").load("spin-2")) for w in (workdir, again)
  )
  assert len(first) > 5 and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_damaged_version_is_named_and_left_out(finished, tmp_path):
  workdir, config, _, _ = finished
  copy, lines = shutil.copytree(workdir, tmp_path / "copy"), []
  broken = max(
    (copy / "model_base/versions/vbi_ft-1/params").rglob("*"),
    key=lambda p: p.stat().st_size * p.is_file(),
  )
  data = bytearray(broken.read_bytes())
  data[len(data) // 2] ^= 1
  broken.write_bytes(data)
  said = (
    "version vbi_ft-1 is damaged "
    f"({broken.relative_to(copy / 'model_base/versions/vbi_ft-1/params')} has changed)"
  )
  results = run.run(config, copy, say=lines.append, start_from="self_play")
  assert any(said in line for line in lines)
  assert "vbi_ft-1" not in {row["version"] for row in results["table"]}
  assert all("vbi_ft-1" not in (i["main"], i["opponent"]) for i in results["self_play"])


def test_another_config_is_refused(finished):
  workdir, config, _, _ = finished
  with pytest.raises(ConfigChanged, match="seed: 0 there, 1 now"):
    run.run(dataclasses.replace(config, seed=1), workdir)


def test_the_export_has_a_card_without_data(finished):
  workdir, config, results, _ = finished
  card = (workdir / "export" / "README.md").read_text()
  best = next(row for row in results["table"] if row["version"] == results["best"])
  assert best["model"] in card and f"{100 * best['ci95'][1]:.1f}" in card
  shown = results["prompt_example"]
  assert shown["db_id"] in results["data"]["databases"] and shown["question"] in card
  for line in shown["question_text"].splitlines(keepends=True):
    assert repr(line)[:-1] in card
  database = PromptDatabase.read(find_database(config.data_dir, shown["db_id"]))
  assert not database.values.search(shown["question"])


def test_unknown_stage_is_refused(demo, tmp_path):
  for option in ("stop_after", "start_from"):
    with pytest.raises(ValueError, match="unknown stage 'sfd'"):
      run.run(tiny_config(str(demo)), tmp_path, **{option: "sfd"})


def test_report_logs_and_lineage_are_there(finished):
  workdir, _, results, _ = finished
  assert "SPFT-SQL" in (workdir / "report.html").read_text()
  assert list((workdir / "tensorboard").rglob("events*"))
  parents = {row["version"]: row["parent"] for row in results["lineage"]}
  assert (
    parents["sft"] == "base" and parents["vbi_ft-1"] == "sft" and parents["vbi_ft-2"] == "vbi_ft-1"
  )


def test_nothing_synthesized_is_a_test_query_and_the_splits_share_no_template(finished):
  workdir, config, _, _ = finished
  test = {e.query.lower() for e in read_examples(Path(config.data_dir) / "test.json")}
  parts = {name: [] for name in ("selection", "self_play", "round_1-train", "round_2-train")}
  for name in parts:
    for path in (workdir / "data").glob(f"{name}-{'[0-9a-f]' * 12}.jsonl"):
      parts[name] += [json.loads(line) for line in path.read_text().splitlines()]
  assert all(parts.values())
  assert not test & {r["query"].lower() for records in parts.values() for r in records}
  templates = {name: {r["template"] for r in records} for name, records in parts.items()}
  trained = templates["round_1-train"] | templates["round_2-train"]
  assert not templates["selection"] & templates["self_play"]
  assert not trained & (templates["selection"] | templates["self_play"])


def test_the_export_gives_the_same_greedy_sql_in_transformers(finished):
  torch = pytest.importorskip(
    "torch", reason="torch is not installed: see tests/requirements-parity.txt"
  )
  import transformers

  workdir, config, results, _ = finished
  exported = load_exported(workdir / "export")
  examples = read_examples(Path(config.data_dir) / "test.json")[:6]
  databases = {
    d: PromptDatabase.read(Path(config.data_dir) / d / f"{d}.sqlite")
    for d in {e.db_id for e in examples}
  }
  ours = predict(
    exported.generator,
    exported.params,
    exported.tokenizer,
    databases,
    examples,
    max_new_tokens=exported.max_new_tokens,
  )
  model = transformers.AutoModelForCausalLM.from_pretrained(workdir / "export", dtype=torch.float32)
  tokenizer = transformers.AutoTokenizer.from_pretrained(workdir / "export")
  for example, sql in zip(examples, ours, strict=True):
    database = databases[example.db_id]
    mentions = database.mentions(example.question, exported.tokenizer.style)
    ids = [
      *exported.tokenizer.prefix(database.schema),
      *exported.tokenizer.question(example.question, mentions),
    ]
    out = model.generate(
      torch.tensor([ids]), max_new_tokens=exported.max_new_tokens, do_sample=False
    )
    assert read_statement(tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)) == sql


def test_a_destructive_learning_rate_is_caught_and_its_model_is_never_main(
  demo, tmp_path, monkeypatch
):
  """A model that knows its few seeds by heart, asked them on the selection split too, and then torn
  apart by self-play.
  """
  data = shutil.copytree(demo, tmp_path / "data")
  seeds = sorted(
    json.loads((demo / "seeds.json").read_text()), key=lambda seed: len(seed["query"])
  )[:4]
  (data / "seeds.json").write_text(json.dumps(seeds))
  config, replace = tiny_config(str(data)), dataclasses.replace
  tear = replace(
    config.self_play.training,
    steps=24,
    optimizer=OptimizerConfig(learning_rate=1.0, schedule="constant"),
  )
  config = replace(
    config,
    model=replace(
      config.model, hf_config=config.model.hf_config | {"hidden_size": 64, "intermediate_size": 128}
    ),
    sft=replace(config.sft, steps=100, optimizer=replace(config.sft.optimizer, learning_rate=2e-2)),
    vbi_ft=replace(config.vbi_ft, rounds=0),
    synthesis=replace(config.synthesis, model_questions=0.0),
    self_play=replace(config.self_play, baselines=(), training=tear),
    max_new_tokens=32,
  )
  short_tokenizer(monkeypatch)
  # The selection and self-play examples; pairs and answers are read as they are.
  read_records = Journal.read_records
  monkeypatch.setattr(
    Journal,
    "read_records",
    lambda journal, file, kind: (
      read_examples(data / "seeds.json") if kind is Example else read_records(journal, file, kind)
    ),
  )
  lines: list[str] = []
  results = run.run(config, tmp_path / "run", say=lines.append)
  models = ModelBase(tmp_path / "run" / "model_base")
  main, torn = (models.score(version, "selection") for version in ("sft", "self_play-1"))
  assert main.execution_accuracy >= 0.5 and torn.execution_accuracy < main.execution_accuracy
  [iteration] = results["self_play"]  # There is no second one.
  # Which guard is first depends on the data: the log-prob of y+ that falls, or answers that no
  # longer run.
  assert not iteration["accepted"] and re.search(
    "mean log-prob of y\\+ fell|collapsed: 0% of its answers run", iteration["reason"]
  )
  assert any(
    "self-play does harm: it stops here, and the harmed model is never main" in line
    for line in lines
  )
  assert results["best"] == "sft"


def test_every_baseline_is_a_config_of_its_own(demo):
  configs = {name: change(tiny_config(str(demo))) for name, change in BASELINES.items()}
  assert len({repr(config) for config in configs.values()}) == len(configs)
  for name, config in configs.items():
    assert from_dict(RunConfig, to_dict(config)) == config, name
    assert from_dict(RunConfig, get_baseline(name).to_dict()).name.endswith(name.replace("_", " "))
  with pytest.raises(ValueError, match="unknown baseline 'sfd'; there are sft, spin"):
    get_baseline("sfd")


def test_paper_splits_mixed_opponents_and_other_losses_run_to_the_end(demo, tmp_path, monkeypatch):
  short_tokenizer(monkeypatch)
  config = dataclasses.replace(tiny_config(str(demo)), paper_splits=True)
  play = dataclasses.replace(
    config.self_play, opponent="mixture", min_executable=0.0, baselines=("exspin", "dpo")
  )
  config = dataclasses.replace(
    config, self_play=play, vbi_ft=dataclasses.replace(config.vbi_ft, rounds=1)
  )
  results = run.run(config, tmp_path, say=quiet)
  stages = {row["stage"] for row in results["table"]}
  assert stages == {"base", "sft", "vbi_ft", "self_play", "exspin", "dpo"}
  first = results["self_play"][0]
  # Two candidates: main is one of them, so the other answers all; later iterations have two to draw
  # from.
  assert {first["main"], first["opponent"]} == {"sft", "vbi_ft-1"}
  if len(results["self_play"]) > 1:
    assert " + " in results["self_play"][1]["opponent"]
  journal = journal_of(tmp_path)
  data = journal["prepare/data"]
  assert data["selection"] == data["self_play"]
  # DPO keeps its pairs: they are made once. ExSPIN's opponent is its predecessor.
  assert "dpo/pairs" in journal and "dpo/iteration_1/pairs" not in journal
  assert journal["exspin/iteration_2/pairs"]["opponent"] == "exspin-1"


def test_spin_alone_trains_its_iterations_and_never_plays_itself(demo, tmp_path, monkeypatch):
  short_tokenizer(monkeypatch)
  results = run.run(BASELINES["spin"](tiny_config(str(demo))), tmp_path, say=quiet)
  assert [(row["stage"], row["round"]) for row in results["table"]] == [
    ("base", 0),
    ("sft", 0),
    ("spin", 2),
  ]
  assert ModelBase(tmp_path / "model_base").lineage("spin-2").parent == "spin-1"


def test_self_play_from_the_base_plays_versions_of_the_base_alone(demo, tmp_path, monkeypatch):
  short_tokenizer(monkeypatch)
  config = BASELINES["self_play_from_base"](tiny_config(str(demo)))
  config = dataclasses.replace(
    config, self_play=dataclasses.replace(config.self_play, opponent="previous", iterations=1)
  )
  results = run.run(config, tmp_path, say=quiet)
  assert [row["stage"] for row in results["table"]] == ["base", "sft", "self_play"]
  assert results["self_play"][0]["main"] == results["self_play"][0]["opponent"] == "base"
  assert results["best"] in ("base", "self_play-1")


def test_demo_split_shares_no_structure(demo):
  seeds, test = (read_examples(demo / f"{name}.json") for name in ("seeds", "test"))
  assert len(seeds) + len(test) >= 3 * 80 and min(len(seeds), len(test)) >= 150
  assert not {structure(e.query) for e in seeds} & {structure(e.query) for e in test}


def test_demo_databases_are_the_same_bytes_every_time(demo, tmp_path):
  tiny_runs.make_demo(tmp_path)
  for path in demo.rglob("*.sqlite"):
    assert path.read_bytes() == (tmp_path / path.relative_to(demo)).read_bytes()
