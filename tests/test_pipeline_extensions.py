"""One tiny run with what goes beyond the paper all at once: linked answers, fresh and real
questions, the last step, solve rates, and an arm with positives of its own.
"""

import dataclasses
import json

import pytest
from tiny_runs import journal_of, make_demo, quiet, short_tokenizer, tiny_config

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import run
from spftsql_jax.pipeline.codec import from_json
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.queries import Queries
from spftsql_jax.pipeline.records import Pair
from spftsql_jax.pipeline.stage2_config import Arm, Drawing, HeadroomConfig


@pytest.fixture(scope="module")
def done(tmp_path_factory):
  """(folder of the data, work folder, results)."""
  demo, workdir = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("run")
  make_demo(demo)
  config, replace = tiny_config(str(demo)), dataclasses.replace
  config = replace(
    config,
    prompt=replace(config.prompt, answer_style="linked"),
    data=replace(config.data, seed_limit=30),
    max_new_tokens=24,
    packing=replace(config.packing, longest_branch=256, longest_answer=224),
    vbi_ft=replace(config.vbi_ft, rounds=1),
    synthesis=replace(config.synthesis, model_questions=0.0),
    headroom=HeadroomConfig(2, k=2, drawing=Drawing(2), force=True),
    self_play=replace(
      config.self_play,
      questions=4,
      real_questions=6,
      fresh=True,
      final_step=True,
      min_executable=0.0,
      baselines=("sft_control",),
      arms=(
        Arm(
          "own",
          opponent="mixture",
          reference="main",
          positives="gold_and_own",
          weighting="unsolved",
          drawing=Drawing(2),
          restart=True,
          control=True,
        ),
      ),
    ),
  )
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    results = run.run(config, workdir, say=quiet)
  return demo, workdir, results


def read(workdir, step, kind, field="file") -> list:
  file = workdir / journal_of(workdir)[step][field]
  return [from_json(kind, json.loads(line), "line") for line in file.read_text().splitlines()]


def test_real_questions_are_played_once_and_trained_on_by_nobody(done):
  demo, workdir, results = done
  played = [read(workdir, f"self_play/iteration_{n}/pairs", Pair) for n in (1, 2)]
  asked = [{p.example.question for p in pairs} for pairs in played]
  assert asked[0] and asked[1] and not asked[0] & asked[1]
  real = [p.example for pairs in played for p in pairs if p.example.source == "gold"]
  given = {e.question for e in read_examples(demo / "seeds.json")}
  assert real and {e.question for e in real} <= given
  assert results["data"]["seeds"] + 6 <= 30
  trained = read(workdir, "vbi_ft/round_1/synthesis", Example, "train")
  assert not any(Queries({}).among(trained, real))


def test_the_last_step_is_main_and_is_handed_over(done):
  _, _, results = done
  assert results["best"] == "self_play-2" and results["notes"][0].startswith("The last step")
  assert [row["main"] for row in results["self_play"]] == ["vbi_ft-1", "self_play-1"]


def test_an_arm_begins_anew_on_all_its_pairs_and_is_no_candidate(done):
  _, workdir, _ = done
  models, steps = ModelBase(workdir / "model_base"), journal_of(workdir)
  assert [models.lineage(f"own-{n}").parent for n in (1, 2)] == ["vbi_ft-1"] * 2
  assert [models.lineage(f"own_control-{n}").parent for n in (1, 2)] == ["vbi_ft-1"] * 2
  assert not models.is_candidate("own-1") and models.is_candidate("self_play-1")
  for number in (1, 2):
    played = steps[f"arms/own/iteration_{number}/pairs"]
    assert sum(played["solved"]) == len(read(workdir, "self_play/iteration_1/pairs", Pair))
    for pair in read(workdir, f"arms/own/iteration_{number}/pairs", Pair):
      assert pair.weight == 1 - pair.solve_rate and all(p < 0 for p in pair.log_probs)
  assert (steps["self_play/iteration_1/pairs"].keys() & {"own", "solved"}) == set()


def test_the_export_takes_the_line_off(done):
  _, workdir, _ = done
  exported = load_exported(workdir / "export")
  tokenizer = exported.tokenizer
  assert tokenizer.style.answer_style == "linked"
  assert tokenizer.sql(tokenizer.encode(" book : title\nSQL: SELECT title FROM book")) == (
    "SELECT title FROM book"
  )
