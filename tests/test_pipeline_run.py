"""A very small run of the whole method: its outputs, going on after a cut, and its export in transformers."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from spftsql_jax.evaluation.exported import load_exported
from spftsql_jax.evaluation.predict import PromptDatabase, predict
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.pipeline import prepare, run, vbi_ft
from spftsql_jax.pipeline.journal import ConfigChanged
from spftsql_jax.pipeline.model_base import ModelBase

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

from configs.quickstart import quickstart
from demo.make_databases import make_demo, structure


def tiny_config(data_dir):
  """The quickstart, cut down until nothing is learned."""
  config, replace = quickstart(), dataclasses.replace
  small = config.model.hf_config | {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
  return replace(
    config,
    data_dir=str(data_dir),
    data=replace(config.data, test_limit=8, seed_limit=40),
    model=replace(config.model, hf_config=small, vocab_size=600),
    shape=replace(config.shape, branches=8, prefix_buckets=(512,), branch_buckets=(160,), answer_buckets=(128,)),
    sft=replace(config.sft, steps=3),
    synthesis=replace(config.synthesis, examples=60, wordings=2, workers=1),
    vbi_ft=replace(
      config.vbi_ft,
      rounds=2,
      training=replace(config.vbi_ft.training, steps=3),
      question_training=replace(config.vbi_ft.question_training, steps=2),
      verify=8,
      select=8,
    ),
    self_play=replace(config.self_play, iterations=2, questions=12, training=replace(config.self_play.training, steps=2)),
    max_new_tokens=12,
    lanes=8,
    checkpoint_every=2,
  )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
  folder = tmp_path_factory.mktemp("demo")
  make_demo(folder)
  return folder


@pytest.fixture(scope="module")
def finished(demo, tmp_path_factory):
  """(work folder, config, results, the lines it printed) of a run that was cut off twice and gone on with."""
  workdir = tmp_path_factory.mktemp("run")
  config = tiny_config(demo)
  lines: list[str] = []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(prepare, "_TOKENIZER_SENTENCES", 100)
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
  assert json.loads((workdir / "results.json").read_text())["table"] == json.loads(json.dumps(results["table"]))


def test_steps_are_done_once_although_the_run_was_cut_off(finished):
  workdir, _, _, _ = finished
  steps = [json.loads(line)["step"] for line in (workdir / "journal.jsonl").read_text().splitlines()]
  assert len(steps) == len(set(steps))
  assert not (workdir / "checkpoints").exists() or not list((workdir / "checkpoints").iterdir())


def test_a_finished_run_says_its_results_again(finished):
  workdir, config, results, _ = finished
  before = (workdir / "journal.jsonl").read_text()
  again = run.run(config, workdir, say=lambda line: None)
  assert again["table"] == results["table"] and (workdir / "journal.jsonl").read_text() == before


def test_another_config_is_refused(finished):
  workdir, config, _, _ = finished
  with pytest.raises(ConfigChanged, match="seed: 0 there, 1 now"):
    run.run(dataclasses.replace(config, seed=1), workdir)


def test_unknown_stage_is_refused(demo, tmp_path):
  with pytest.raises(ValueError, match="unknown stage 'sfd'"):
    run.run(tiny_config(demo), tmp_path, stop_after="sfd")


def test_report_logs_and_lineage_are_there(finished):
  workdir, _, results, _ = finished
  assert "SPFT-SQL" in (workdir / "report.html").read_text()
  assert list((workdir / "tensorboard").rglob("events*"))
  parents = {row["version"]: row["parent"] for row in results["lineage"]}
  assert parents["sft"] == "base" and parents["vbi_ft-1"] == "sft" and parents["vbi_ft-2"] == "vbi_ft-1"


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
  torch = pytest.importorskip("torch", reason="torch is not installed: see tests/requirements-parity.txt")
  import transformers

  workdir, config, results, _ = finished
  exported = load_exported(workdir / "export")
  examples = read_examples(Path(config.data_dir) / "test.json")[:6]
  databases = {d: PromptDatabase.read(Path(config.data_dir) / d / f"{d}.sqlite") for d in {e.db_id for e in examples}}
  ours = predict(
    exported.generator, exported.params, exported.tokenizer, databases, examples, max_new_tokens=exported.max_new_tokens
  )
  model = transformers.AutoModelForCausalLM.from_pretrained(workdir / "export", dtype=torch.float32)
  tokenizer = transformers.AutoTokenizer.from_pretrained(workdir / "export")
  for example, sql in zip(examples, ours, strict=True):
    database = databases[example.db_id]
    matched = database.matched(example.question, exported.tokenizer.style.matched_values)
    ids = [*exported.tokenizer.prefix(database.schema), *exported.tokenizer.question(example.question, matched)]
    out = model.generate(torch.tensor([ids]), max_new_tokens=exported.max_new_tokens, do_sample=False)
    assert " ".join(tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True).strip().split("\n")) == sql


def test_demo_split_shares_no_structure(demo):
  seeds, test = (read_examples(demo / f"{name}.json") for name in ("seeds", "test"))
  assert len(seeds) + len(test) >= 3 * 80 and min(len(seeds), len(test)) >= 150
  assert not {structure(e.query) for e in seeds} & {structure(e.query) for e in test}


def test_demo_databases_are_the_same_bytes_every_time(demo, tmp_path):
  make_demo(tmp_path)
  for path in demo.rglob("*.sqlite"):
    assert path.read_bytes() == (tmp_path / path.relative_to(demo)).read_bytes()
