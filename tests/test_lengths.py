"""Lengths, lanes and microbatches that a run chooses, once, by what it has at hand."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from tiny_runs import EXPERIMENTS, demo, journal_of, quiet, short_tokenizer, tiny_config  # noqa: F401

from spftsql_jax.examples.packing import Packing, fits_row, shape_of_rows, within
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import load_tokenizer
from spftsql_jax.pipeline import planning, run
from spftsql_jax.pipeline.codec import from_json
from spftsql_jax.pipeline.config import RunConfig, Training
from spftsql_jax.pipeline.data import read_data
from spftsql_jax.pipeline.databases import PromptDatabase
from spftsql_jax.pipeline.fine_tuning import _fit_config
from spftsql_jax.pipeline.lengths import (
  Measured,
  are_open,
  choose_lengths,
  longest_unit,
  measure,
)
from spftsql_jax.pipeline.records import Chosen
from spftsql_jax.pipeline.training_units import UnitMaker, sql_units
from spftsql_jax.training.step import Objective

OPEN = Packing(most_row_tokens=2048, longest_prefix=0, longest_branch=0, longest_answer=0)
MEASURED = Measured(schemas=(300, 410, 90), branch=120, answer=70, usual_answer=60)


def config_of(packing=OPEN, **changes) -> RunConfig:
  return RunConfig("a", "b", packing=packing, **({"max_new_tokens": 0} | changes))


def test_what_is_at_hand_fits_and_longer_examples_to_come_do_too():
  found = choose_lengths(config_of(), MEASURED, 8192)
  packing = found.packing
  assert 410 <= packing.longest_prefix < 430
  assert packing.longest_branch >= 2 * 120 and packing.longest_answer >= 2 * 70
  assert 70 < found.max_new_tokens <= 80
  assert longest_unit(packing) <= 2048
  assert "schema 416 at most" in found.said and "longer" not in found.said


def test_schemas_that_leave_no_room_for_a_question_are_to_be_split():
  found = choose_lengths(config_of(), Measured((300, 9000, 4000), 120, 70, 60), 8192)
  packing = found.packing
  assert longest_unit(packing) <= 2048 and packing.longest_prefix > 1500
  assert "(2 of 3 are longer)" in found.said
  # A model of few positions reads no more.
  short = choose_lengths(config_of(), Measured((300, 9000), 120, 70, 60), 512)
  assert longest_unit(short.packing) <= 512 and short.packing.longest_prefix > 0


def test_what_is_given_stays():
  given = Packing(longest_prefix=112, longest_branch=104, longest_answer=64)
  found = choose_lengths(config_of(given, max_new_tokens=50), MEASURED, 8192)
  assert (found.packing, found.max_new_tokens, found.said) == (given, 50, "")
  assert not are_open(config_of(given, max_new_tokens=50)) and are_open(config_of(given))
  partly = choose_lengths(
    config_of(dataclasses.replace(OPEN, longest_prefix=111), max_new_tokens=50), MEASURED, 8192
  )
  assert partly.packing.longest_prefix == 111 and partly.max_new_tokens == 50
  assert partly.packing.longest_answer >= 140


def test_without_examples_there_is_room_all_the_same():
  found = choose_lengths(config_of(), Measured((300,), 0, 0, 0), 8192)
  assert found.max_new_tokens == 32 and found.packing.longest_branch >= 64


@pytest.fixture(scope="module")
def begun(demo, tmp_path_factory):  # noqa: F811
  """(config, work folder) of a run that leaves all open, stopped before it trains."""
  config = tiny_config(str(demo))
  packing = dataclasses.replace(OPEN, most_row_tokens=4096)
  config = dataclasses.replace(config, packing=packing, max_new_tokens=0, lanes=0)
  workdir = tmp_path_factory.mktemp("lengths") / "run"
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    run.run(config, workdir, stop_after="prepare", say=quiet)
  return config, workdir


def test_every_seed_fits_the_lengths_that_its_run_chose(begun):
  config, workdir = begun
  chosen = journal_of(workdir)["prepare/chosen"]
  packing = Packing(**chosen["packing"])
  data = read_data(config)
  databases = {d: PromptDatabase.read(location) for d, location in data.locations.items()}
  tokenizer = load_tokenizer(workdir / "start", config.prompt)
  said: list[str] = []
  maker = UnitMaker(tokenizer, databases, packing, split_schemas=True, say=said.append)
  units = sql_units(maker, data.seeds)
  assert len(units) == len(data.seeds) and not said
  shape = shape_of_rows(units, packing)
  assert all(within(unit, packing) and fits_row(unit, shape) for unit in units)
  answers = sorted(len(u.branches[0].answer) for u in units)
  assert chosen["max_new_tokens"] >= answers[-1]  # of so few examples all count
  found = measure(tokenizer, databases, data.seeds)
  assert max(found.schemas) == max(len(u.branches[0].prefix) for u in units)
  # Nothing is measured by one tokenizer for all: in a wordier format all is longer.
  wordy = load_tokenizer(workdir / "start", PromptFormat("ddl", matched_values=5))
  assert max(measure(wordy, databases, data.seeds).schemas) > max(found.schemas)


def test_a_run_that_is_gone_on_with_keeps_what_it_chose(begun, monkeypatch):
  config, workdir = begun
  before = journal_of(workdir)["prepare/chosen"]
  assert before["remat"] == "none" and before["accumulate"] == 1
  monkeypatch.setattr(planning, "device_memory", lambda host_gb, sharing: 10**6)
  said: list[str] = []
  run.run(config, workdir, stop_after="prepare", say=said.append)
  assert journal_of(workdir)["prepare/chosen"] == before
  assert all(any(line in each for each in said) for line in before["said"])
  # Begun there, it had chosen otherwise.
  other = workdir.parent / "other"
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    run.run(config, other, stop_after="prepare", say=said.append)
  tight = journal_of(other)["prepare/chosen"]
  assert tight["remat"] == "full" and tight["lanes"] == 4
  assert "this is more than there is" in said[-4] + said[-3]


def test_a_run_s_config_says_what_was_chosen(begun):
  """What is stored stays the config that was given; the tools of the run have the numbers."""
  config, workdir = begun
  kept = json.loads((workdir / "config.json").read_text())
  assert kept["packing"]["longest_prefix"] == 0 and kept["lanes"] == 0
  record = from_json(Chosen, journal_of(workdir)["prepare/chosen"], "chosen")
  chosen = planning.settled(config, record)
  assert chosen.lanes == 96 and chosen.packing.longest_prefix > 0 and chosen.max_new_tokens > 0


def test_microbatches_leave_an_update_s_rows_as_they_are():
  packing, training = Packing(rows=6, row_tokens=256), Training(1)
  for cut, rows in ((1, 6), (3, 2), (6, 1)):
    config = RunConfig("a", "b", packing=packing, accumulate=cut)
    fitted = _fit_config(config, training, Objective("sft"), 0.0, 0)
    assert (fitted.shape.rows, fitted.accumulate) == (rows, cut)
    assert fitted.shape.row_tokens == packing.row_tokens


def script(name: str, *arguments: object) -> None:
  done = subprocess.run(
    [sys.executable, EXPERIMENTS / name, *map(str, arguments)], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr


def test_a_version_of_the_run_is_written_with_the_longest_answer_that_it_chose(begun, tmp_path):
  _, workdir = begun
  script("convert_hf.py", f"--checkpoint={workdir}:base", f"--output={tmp_path / 'base'}")
  written = json.loads((tmp_path / "base" / "prompt_format.json").read_text())
  assert written["max_new_tokens"] == journal_of(workdir)["prepare/chosen"]["max_new_tokens"]


def test_a_model_given_by_flag_alone_brings_its_recipe(begun, tmp_path):
  config, workdir = begun
  arguments = (
    f"--config={EXPERIMENTS}/configs/demo_tiny.py",
    f"--config.data_dir={config.data_dir}",
    f"--config.model.hf_model={workdir / 'start'}",
    "--config.sft.optimizer.learning_rate=0.002",
    f"--workdir={tmp_path / 'run'}",
    "--stop_after=prepare",
  )
  script("spft.py", *arguments)
  kept = json.loads((tmp_path / "run" / "config.json").read_text())
  rates = [each["optimizer"]["learning_rate"] for each in (kept["sft"], kept["vbi_ft"]["training"])]
  assert rates == [0.002, 0.001] and kept["lanes"] == 0
  chosen = journal_of(tmp_path / "run")["prepare/chosen"]
  assert "set by flag: sft.optimizer.learning_rate" in chosen["said"][0]
  assert chosen["packing"]["longest_prefix"] > 0
  script("spft.py", *arguments)  # it goes on
