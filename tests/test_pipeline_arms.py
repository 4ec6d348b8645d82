"""The arms of stage 2 beside each other: the same batches, seeds, steps and rates, so that the loss
alone differs.
"""

import collections
import dataclasses
import types

import jax
import numpy as np
import pytest
from tiny_runs import make_demo, quiet, short_tokenizer, tiny_config

from spftsql_jax.pipeline import fine_tuning, run, stage2_config
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.records import BaselineUpdate, Iteration, MainUpdate, Played, Players
from spftsql_jax.pipeline.stage2_config import Drawing, HeadroomConfig
from spftsql_jax.pipeline.stages import baselines
from spftsql_jax.training import trainer
from spftsql_jax.training.step import Objective


@dataclasses.dataclass
class Arm:
  """What the trainer handed to the step, one entry a step, and how `fit` was called."""

  batches: list[bytes] = dataclasses.field(default_factory=list)
  rates: list[float] = dataclasses.field(default_factory=list)
  numbers: list[tuple] = dataclasses.field(default_factory=list)
  dropout: list[tuple[int, int]] = dataclasses.field(default_factory=list)
  evaluates: bool = False
  config: trainer.FitConfig | None = None


def bytes_of(batch) -> bytes:
  leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(batch)]
  return repr([(leaf.shape, str(leaf.dtype)) for leaf in leaves]).encode() + b"".join(
    leaf.tobytes() for leaf in leaves
  )


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
  """(arms by stage, work folder, results) of a run with every baseline and an adapter with
  dropout.
  """
  demo, workdir = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("run")
  make_demo(demo)
  config, replace = tiny_config(str(demo)), dataclasses.replace
  config = replace(
    config,
    # Short rows: which examples share a step is the seed's.
    packing=replace(config.packing, row_tokens=768),
    model=replace(config.model, lora_rank=2, lora_dropout=0.2),
    vbi_ft=replace(config.vbi_ft, rounds=1),
    synthesis=replace(config.synthesis, model_questions=0.0),
    headroom=HeadroomConfig(4, k=2, drawing=Drawing(3), force=True),
    self_play=replace(
      config.self_play,
      questions=24,
      min_executable=0.0,
      training=replace(config.self_play.training, steps=6, evaluate_every=4, patience=9),
      baselines=("spin", "exspin", "dpo", "sft_control"),
      arms=(
        stage2_config.Arm(
          "rft",
          opponent="self",
          positives="gold_and_own",
          weighting="unsolved",
          drawing=Drawing(3),
          restart=True,
          objective=Objective("error_driven", nll_weight=1.0, pair_weight=0.0),
          control=True,
        ),
      ),
    ),
  )
  found: dict[str, Arm] = collections.defaultdict(Arm)
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    real_fit, real_step, stage = trainer.fit, trainer.make_train_step, ""

    def fit(*arguments, **options):
      nonlocal stage
      stage = options["description"]
      found[stage].evaluates, found[stage].config = (
        options["evaluate"] is not None,
        options["config"],
      )
      return real_fit(*arguments, **options)

    def make_train_step(*arguments):
      step = real_step(*arguments)

      def recorded(state, frozen, batch, rate, numbers, seed):
        arm = found[stage]
        arm.batches.append(bytes_of(batch))
        arm.rates.append(rate)
        arm.numbers.append(numbers)
        arm.dropout.append((seed, int(state.step)))
        return step(state, frozen, batch, rate, numbers, seed)

      return recorded

    patch.setattr(fine_tuning, "fit", fit)
    patch.setattr(trainer, "make_train_step", make_train_step)
    results = run.run(config, workdir, say=quiet)
  return found, workdir, results


def iterations(results) -> list[int]:
  return [i["iteration"] for i in results["self_play"]]


def test_the_sft_control_is_given_the_very_batches_of_self_play(arms):
  found, _, results = arms
  assert iterations(results)
  for number in iterations(results):
    played, control = (
      found[f"{stage}/iteration_{number}"] for stage in ("self_play", "sft_control")
    )
    assert len(played.batches) == 6 and len(set(played.batches)) > 1
    assert control.batches == played.batches
    assert control.rates == played.rates and control.dropout == played.dropout
    # The weights of the loss alone differ, and with them nothing of how the runs are watched.
    assert {(n.nll_weight, n.pair_weight) for n in control.numbers} == {(1.0, 0.0)}
    assert {(n.nll_weight, n.pair_weight) for n in played.numbers} == {(0.5, 1.0)}
    assert played.evaluates and control.evaluates
    same = dataclasses.replace(control.config, objective=played.config.objective)
    assert same == played.config


def test_the_first_comparison_is_self_play_against_its_control(arms):
  _, _, results = arms
  first, *others = results["contrasts"]
  last = iterations(results)[-1]
  assert (first["first"], first["second"]) == (f"self_play-{last}", f"sft_control-{last}")
  assert first["primary"] and not any(other["primary"] for other in others)
  compared = {other["second"] for other in others}
  assert {"spin-2", "exspin-2", "vbi_ft-1"} <= compared and first["said"] in results["notes"]


def test_spin_and_exspin_are_given_the_same_batches_while_they_play_the_same_opponent(arms):
  found, workdir, _ = arms
  spin, exspin, dpo = (found[f"{stage}/iteration_1"] for stage in ("spin", "exspin", "dpo"))
  assert spin.batches == exspin.batches and spin.dropout == exspin.dropout == dpo.dropout
  # DPO leaves out the pairs without an error; steps, rates and seed are those of the others.
  assert spin.rates == exspin.rates == dpo.rates == found["self_play/iteration_1"].rates
  # From the second iteration on each has its own model's answers: what is equal then is said by the
  # seed.
  assert found["spin/iteration_2"].dropout == found["exspin/iteration_2"].dropout != spin.dropout
  models = ModelBase(workdir / "model_base")
  assert models.lineage("spin-1").data_hash == models.lineage("exspin-1").data_hash


def test_an_arm_of_the_config_and_its_control_share_batches_and_begin_anew(arms):
  found, workdir, results = arms
  models = ModelBase(workdir / "model_base")
  numbers = [n for n in (1, 2) if f"arms/rft/iteration_{n}" in found]
  assert numbers
  for number in numbers:
    arm, control = (found[f"arms/{name}/iteration_{number}"] for name in ("rft", "rft_control"))
    assert arm.batches == control.batches and arm.dropout == control.dropout
    # Seeds and rates are those of all arms.
    assert arm.dropout == found[f"self_play/iteration_{number}"].dropout
    assert arm.rates == found[f"self_play/iteration_{number}"].rates
    assert {models.lineage(f"{name}-{number}").parent for name in ("rft", "rft_control")} == {
      results["self_play"][0]["main"]
    }
  assert not models.is_candidate("rft-1")
  compared = [
    (row["first"].split("-")[0], row["second"].split("-")[0]) for row in results["contrasts"]
  ]
  assert ("rft", "rft_control") in compared and ("self_play", "rft") in compared


def test_every_version_is_measured_on_the_same_questions(arms):
  _, workdir, results = arms
  measured = results["solve_rates"]
  tuned = [row["version"] for row in results["lineage"] if row["version"] != "base"]
  assert [one["version"] for one in measured] == tuned
  assert {(one["questions"], one["samples"], sum(one["counts"])) for one in measured} == {(4, 3, 4)}
  assert all(0 <= one["greedy_ex"] <= 1 and 0 <= one["pass_at_k"] <= 1 for one in measured)
  assert "Solve rates" in (workdir / "report.html").read_text()


def test_every_iteration_has_an_order_of_its_own(arms):
  found, _, _ = arms
  assert found["dpo/iteration_1"].batches != found["dpo/iteration_2"].batches
  assert sorted(found["dpo/iteration_1"].rates) == sorted(found["dpo/iteration_2"].rates)


def test_the_control_goes_on_from_the_counterpart_of_what_self_play_went_on_from(monkeypatch):
  """Where self-play's version is not promoted the next begins at the common start again, and so
  does the control's.
  """
  parents = {}

  def train_baseline(bench, splits, task):
    parents[task.version] = task.parent
    return BaselineUpdate(0.0, steps=5, summary={})

  monkeypatch.setattr(baselines, "train_baseline", train_baseline)
  config = tiny_config("")
  bench = types.SimpleNamespace(config=config, say=None)
  played = Played("pairs.jsonl", "sft", "", pairs=1, left_out=0, reward_rate=1.0)
  updated = MainUpdate(False, "", steps=5, selection_ex=0.0, summary={})
  done = [
    Iteration(number, f"self_play-{number}", Players(main, ("sft",)), played, updated)
    for number, main in enumerate(["vbi_ft-2", "vbi_ft-2", "self_play-2"], start=1)
  ]
  baselines.run_sft_control(bench, None, config.self_play, done)
  assert parents == {
    "sft_control-1": "vbi_ft-2",
    "sft_control-2": "vbi_ft-2",
    "sft_control-3": "sft_control-2",
  }
