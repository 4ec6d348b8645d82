"""`fit`: guards, evaluations, SIGTERM, checkpoints that are resumed; optimizers with less state."""

import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spftsql_jax.examples.batches import BatchShape, Branch, Unit
from spftsql_jax.models import Decoder, ModelConfig, init_params
from spftsql_jax.models.flops import forward_flops, peak_flops, step_flops
from spftsql_jax.models.lora import LoraConfig
from spftsql_jax.training.guards import Guards
from spftsql_jax.training.optimizer import OptimizerConfig, make_optimizer
from spftsql_jax.training.trainer import FitConfig, Preempted, fit

CONFIG = ModelConfig("qwen2", 61, 16, 24, 1, 2, 1, 8, initializer_range=0.2)
MODEL = Decoder(CONFIG)
SHAPE = BatchShape(1, 4, (8,), (8,), (4,))


@pytest.fixture(scope="module")
def params():
  return init_params(CONFIG, jax.random.key(0))


@pytest.fixture(scope="module")
def units():
  rng = np.random.default_rng(0)
  draw = lambda n: tuple(rng.integers(1, 61, n).tolist())  # noqa: E731
  prefix = draw(7)
  return [Unit((Branch(prefix, draw(3), draw(3)),)) for _ in range(40)]


def config(steps: int, **values) -> FitConfig:
  return FitConfig(steps, SHAPE, optimizer=OptimizerConfig(learning_rate=1e-2), **values)


def same(a, b) -> bool:
  return all(
    np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


def steady(summary: dict) -> dict:
  """Without times and rates."""
  return {name: value for name, value in summary.items() if "second" not in name}


def test_sigterm_leaves_a_checkpoint_and_the_same_call_goes_on(tmp_path, params, units):
  whole = fit(MODEL, params, units, config(14), pad_id=0)

  def terminate(step, metrics):
    if step == 7:
      os.kill(os.getpid(), signal.SIGTERM)

  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(Preempted, match="the same command goes on") as ended:
    fit(MODEL, params, units, config(14), pad_id=0, checkpoints=tmp_path, on_metrics=terminate)
  assert ended.value.kept
  assert signal.getsignal(signal.SIGTERM) is before
  seen = []
  resumed = fit(
    MODEL,
    params,
    units,
    config(14),
    pad_id=0,
    checkpoints=tmp_path,
    on_metrics=lambda s, m: seen.append(s),
  )
  # in the middle of the second epoch of ten steps
  assert 8 <= seen[0] <= 11 and seen == list(range(seen[0], 15))
  assert same(whole.trained, resumed.trained)
  assert steady(resumed.summary) == steady(whole.summary)


def test_the_summary_of_a_resumed_run_is_that_of_the_whole(tmp_path, params):
  rng = np.random.default_rng(1)
  draw = lambda n: tuple(rng.integers(1, 61, n).tolist())  # noqa: E731
  # The first epoch's shapes of prefixes do not come again, and the last tenth begins before the
  # cut.
  units = [Unit((Branch(draw(7 if i % 3 else 3), draw(3), draw(i % 3 + 1)),)) for i in range(40)]
  run = dataclasses.replace(
    config(30, checkpoint_every=28), shape=BatchShape(1, 4, (4, 8), (8,), (4,))
  )
  whole = fit(MODEL, params, units, run, pad_id=0)

  def cut(step, metrics):
    if step == 29:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fit(MODEL, params, units, run, pad_id=0, checkpoints=tmp_path, on_metrics=cut)
  resumed = fit(MODEL, params, units, run, pad_id=0, checkpoints=tmp_path)
  assert steady(resumed.summary) == steady(whole.summary) and whole.summary["compiled_shapes"] > 1


def test_metrics_come_for_every_step_in_order(params, units):
  seen = []
  result = fit(
    MODEL,
    params,
    units,
    config(6, accumulate=2),
    pad_id=0,
    on_metrics=lambda s, m: seen.append((s, m)),
  )
  assert [s for s, _ in seen] == list(range(1, 7)) and result.steps == 6
  wanted = {
    "loss",
    "gradient_norm",
    "log_prob_positive",
    "examples_per_second",
    "tokens_per_second",
    "padding_share",
  }
  assert wanted <= set(seen[0][1]) and result.summary["compiled_shapes"] == 1


def test_the_best_evaluated_model_is_kept_and_patience_ends_the_run(params, units):
  trees, scores = [], iter([0.1, 0.5, 0.4, 0.5, 0.9])

  def evaluate(tree):
    trees.append(jax.tree.map(np.array, tree))
    return next(scores), 0.8

  result = fit(
    MODEL, params, units, config(20, evaluate_every=2, patience=2), pad_id=0, evaluate=evaluate
  )
  assert [e.step for e in result.evaluations] == [0, 2, 4, 6] and result.steps == 6
  assert "has not risen above 50.0%" in result.aborted
  assert same(trees[0], params) and same(result.trained, trees[1])


def test_evaluations_and_the_best_model_survive_a_cut(tmp_path, params, units):
  run = config(12, evaluate_every=2, patience=4, checkpoint_every=4)
  scores = {0: 0.1, 2: 0.6, 4: 0.2, 6: 0.3, 8: 0.2, 10: 0.1}

  def evaluated(stop_at, folder):
    steps = iter(range(stop_at[0], 99, 2))
    return fit(
      MODEL,
      params,
      units,
      run,
      pad_id=0,
      checkpoints=folder,
      evaluate=lambda _: (scores[next(steps)], 1.0),
    )

  whole = evaluated((0,), None)
  calls = []

  def cut(_):
    calls.append(1)
    if len(calls) == 4:
      raise KeyboardInterrupt
    return scores[2 * (len(calls) - 1)], 1.0

  with pytest.raises(KeyboardInterrupt):
    fit(MODEL, params, units, run, pad_id=0, checkpoints=tmp_path, evaluate=cut)
  resumed = evaluated((6,), tmp_path)
  assert resumed.evaluations == whole.evaluations and resumed.aborted == whole.aborted != ""
  assert same(resumed.trained, whole.trained)
  assert steady(resumed.summary) == steady(whole.summary)


def test_guards_end_a_run_whose_answers_run_less_often_or_whose_loss_is_not_a_number():
  guards = Guards(executable_drop=0.2)
  guards.observe_evaluation(0, 0.3, 0.9, None)
  guards.observe_evaluation(5, 0.4, 0.75, None)
  assert not guards.reason
  guards.observe_evaluation(10, 0.4, 0.65, None)
  assert "fell from 90.0% to 65.0%" in guards.reason
  guards = Guards()
  guards.observe_step(3, {"loss": float("nan"), "log_prob_positive": -1.0})
  assert guards.reason == "the loss is nan at step 3"


def test_adafactor_is_optax_adafactor_with_less_state():
  weights = {"kernel": jnp.ones((2, 128, 256))}
  ours, reference = (
    make_optimizer(OptimizerConfig("adafactor", clip=0.0)),
    optax.adafactor(0.1, multiply_by_parameter_scale=False),
  )
  gradients = {"kernel": jax.random.normal(jax.random.key(0), (2, 128, 256))}
  state, expected = ours.init(weights), reference.init(weights)
  updates, _ = ours.update(gradients, state, weights)
  wanted, _ = reference.update(gradients, expected, weights)
  np.testing.assert_allclose(0.1 * updates["kernel"], wanted["kernel"], rtol=1e-5)
  size = sum(x.size for x in jax.tree.leaves(state))
  assert size < 0.02 * sum(
    x.size for x in jax.tree.leaves(make_optimizer(OptimizerConfig()).init(weights))
  )


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_first_moment_may_be_bfloat16(name):
  state = make_optimizer(OptimizerConfig(name, state_dtype="bfloat16")).init(
    {"kernel": jnp.ones((1, 4, 4)), "bias": jnp.ones(4)}
  )
  kinds = {x.dtype.name for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)}
  assert "bfloat16" in kinds and kinds <= {"bfloat16", "float32"}


def test_operations_of_a_step():
  from spftsql_jax.examples.batches import PrefixBatch

  ids = lambda *shape: np.zeros(shape, np.int32)  # noqa: E731
  batch = PrefixBatch(ids(2, 8), ids(2), ids(2, 4, 6), ids(2, 4), ids(2, 4), max_answer=3)
  products, attention = forward_flops(CONFIG, batch)
  layer = 16 * 16 + 2 * 16 * 8 + 16 * 16 + 3 * 16 * 24
  assert products == 2 * (2 * (8 + 24) * layer + 2 * 4 * 3 * 61 * 16)
  assert attention == 4 * 16 * 2 * (8 * 8 / 2 + 4 * 6 * (8 + 3))
  assert step_flops(CONFIG, batch) == 3 * (products + attention)
  assert step_flops(CONFIG, batch, LoraConfig(4)) == 2 * products + 3 * attention
  assert peak_flops() is None  # a CPU is not a known chip
