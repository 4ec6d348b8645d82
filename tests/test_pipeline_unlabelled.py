"""Runs without seeds, without a test, and without both: from databases alone to an exported
model.
"""

import dataclasses
import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny_runs
from tiny_runs import EXPERIMENTS, quiet, short_tokenizer, tiny_config

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.models import load_hf
from spftsql_jax.pipeline import run
from spftsql_jax.pipeline.data import read_data
from spftsql_jax.pipeline.finished_run import find_version
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.report.models import best_row, mark_best

demo = tiny_runs.demo  # a fixture


def without(config, *fields):
  return dataclasses.replace(
    config, data=dataclasses.replace(config.data, **dict.fromkeys(fields, ""))
  )


@pytest.fixture(scope="module")
def unlabelled(demo, tmp_path_factory):
  """(work folder, results, lines) of a run on one database with neither seeds nor test, and every
  baseline.
  """
  root = tmp_path_factory.mktemp("unlabelled")
  shutil.copytree(demo / "library", root / "data" / "library")
  config = without(tiny_config(str(root / "data")), "seeds", "test")
  play = dataclasses.replace(
    config.self_play, baselines=("spin", "exspin", "dpo", "sft_control"), iterations=1
  )
  config, lines = dataclasses.replace(config, self_play=play), []
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    results = run.run(config, root / "run", say=lines.append)
  return root / "run", results, lines


def test_a_run_with_neither_seeds_nor_test_goes_to_its_end(unlabelled):
  workdir, results, lines = unlabelled
  stages = [(row["stage"], row["round"]) for row in results["table"]]
  # Nothing is fine-tuned on seeds: the starting model comes first.
  assert stages[:4] == [("base", 0), ("vbi_ft", 1), ("vbi_ft", 2), ("self_play", 1)]
  assert {stage for stage, _ in stages[4:]} == {"spin", "exspin", "dpo", "sft_control"}
  assert any("No seeds: the SFT on them is left out" in line for line in lines)
  assert any("No test" in line for line in lines)
  models = ModelBase(workdir / "model_base")
  assert models.lineage("vbi_ft-1").parent == "base" and "sft" not in models.versions()
  assert models.candidates() == ["base", "vbi_ft-1", "vbi_ft-2", "self_play-1"]


def test_without_a_test_the_table_is_the_selection_split_s_and_says_so(unlabelled):
  workdir, results, lines = unlabelled
  models = ModelBase(workdir / "model_base")
  assert results["evaluated_on"] == "selection"
  for row in results["table"]:
    score = models.score(row["version"], "selection")
    assert row["n"] == len(score.outcomes) == 8 and row["split"] == "selection"
    assert (
      row["ex"] == row["selection_ex"] == score.execution_accuracy
      and row["executable"] == score.executable
    )
    assert models.score(row["version"], "test") is None
  assert any("optimistic" in note for note in results["notes"])
  assert any("EX % on selection" in line for line in lines) and any(
    "optimistic" in line for line in lines
  )
  assert not any("Test questions were not used" in note for note in results["notes"])
  page = (workdir / "report.html").read_text()
  assert "optimistic" in page and "held-out questions" not in page
  assert len(results["examples"]) == 8 and {e["model"] for e in results["examples"]} == {
    results["best"]
  }
  stored = json.loads((workdir / "results.json").read_text())
  assert stored["table"] == json.loads(json.dumps(results["table"]))


def test_results_report_export_and_both_commands_name_one_version(unlabelled, tmp_path):
  workdir, results, _ = unlabelled
  base = ModelBase(workdir / "model_base")
  command = [
    sys.executable,
    str(EXPERIMENTS / "model_base.py"),
    "best",
    f"--base={workdir / 'model_base'}",
  ]
  said = subprocess.run(
    command, capture_output=True, text=True, timeout=300, check=True
  ).stdout.strip()
  assert said == results["best"] == base.best("selection")
  assert find_version(workdir, None)[1] == said
  assert (
    best_row(mark_best(json.loads((workdir / "results.json").read_text()))["table"])["version"]
    == said
  )
  load_exported(workdir / "export")  # what predict.py and ask.py read
  exported = jax.tree.leaves(load_hf(workdir / "export", "float32")[1])
  assert all(
    np.array_equal(a, b) for a, b in zip(exported, jax.tree.leaves(base.load(said)), strict=True)
  )


def test_the_smallest_sizes_run_to_the_end(demo, tmp_path, monkeypatch):
  short_tokenizer(monkeypatch, 20)
  config, replace = without(tiny_config(str(demo)), "seeds"), dataclasses.replace
  one = replace(config.sft, steps=1)
  config = replace(
    config,
    data=replace(config.data, test_limit=1),
    synthesis=replace(config.synthesis, examples=1, wordings=1, instances=0),
    vbi_ft=replace(
      config.vbi_ft, rounds=2, verify=1, select=1, training=one, question_training=one
    ),
    self_play=replace(
      config.self_play, iterations=1, questions=1, training=one, baselines=("spin", "sft_control")
    ),
  )
  lines = []
  results = run.run(config, tmp_path / "run", say=lines.append)
  assert results["evaluated_on"] == "test" and all(row["n"] == 1 for row in results["table"])
  assert results["table"][0]["stage"] == "base" and any("No seeds" in line for line in lines)
  assert not any("optimistic" in note for note in results["notes"])


def test_seeds_without_a_test_are_trained_on_and_selection_is_shown(demo, tmp_path, monkeypatch):
  short_tokenizer(monkeypatch, 20)
  config, replace = without(tiny_config(str(demo)), "test"), dataclasses.replace
  config = replace(
    config,
    vbi_ft=replace(config.vbi_ft, rounds=0, select=4),
    self_play=replace(config.self_play, iterations=0, baselines=()),
  )
  results = run.run(config, tmp_path / "run", say=quiet)
  assert [(row["stage"], row["n"], row["split"]) for row in results["table"]] == [
    ("base", 4, "selection"),
    ("sft", 4, "selection"),
  ]
  assert results["best"] == "sft"


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    (
      {"seeds": "clinic"},
      (
        r"clinic: is a folder, not a file of examples \(--config\.data\.seeds; leave it empty for "
        r"none\)"
      ),
    ),
    ({"test": "clinic"}, r"clinic: is a folder, not a file of examples \(--config\.data\.test"),
    (
      {"test": "none.json"},
      r"none\.json: no such file of examples \(--config\.data\.test; leave it empty for none\)",
    ),
    ({"seeds": "empty.json"}, r"empty\.json: there are no examples in it \(--config\.data\.seeds"),
    ({"databases": "test.json"}, r"test\.json: none of the seeds' databases is there"),
    ({"databases": "nowhere"}, r"nowhere: no such database or folder"),
    (
      {"databases": "no_databases", "seeds": "", "test": ""},
      r"no_databases: no database is there \(expected DIR/<db_id>/<db_id>\.sqlite or \.duckdb\)",
    ),
  ],
)
def test_files_that_are_folders_or_missing_are_said_in_one_line(demo, fields, message):
  (demo / "empty.json").write_text("[]")
  (demo / "no_databases").mkdir(exist_ok=True)
  config = tiny_config(str(demo))
  config = dataclasses.replace(config, data=dataclasses.replace(config.data, **fields))
  with pytest.raises((FileNotFoundError, ValueError), match=message):
    read_data(config)


def test_the_command_takes_the_empty_words_for_none_and_exits_2_on_a_folder(demo, tmp_path):
  def launch(*more):
    command = [
      sys.executable,
      str(EXPERIMENTS / "spft.py"),
      f"--config={EXPERIMENTS}/configs/demo_tiny.py",
    ]
    command += [
      f"--config.data_dir={demo}",
      f"--workdir={tmp_path / 'run'}",
      "--stop_after=prepare",
      *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, [
      line for line in done.stderr.splitlines() if line.startswith("spft.py: ")
    ]

  code, said = launch("--config.data.test=clinic")
  assert code == 2 and len(said) == 1 and "is a folder, not a file of examples" in said[0]
  assert launch("--config.data.seeds=", "--config.data.test=") == (0, [])
