"""Numbers that are not finite end a run of training with the last good weights, whatever made
them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.examples.batches import BatchShape, Branch, Unit
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
from spftsql_jax.models.finite import not_finite
from spftsql_jax.training import trainer
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective, init_state, make_train_step, numbers_of, program_of
from spftsql_jax.training.trainer import FitConfig, fit

CONFIG = ModelConfig("qwen2", 61, 16, 24, 1, 2, 1, 8, initializer_range=0.2)
MODEL = Decoder(CONFIG)
LORA = LoraConfig(rank=2, alpha=4.0)
SHAPE = BatchShape(1, 4, (8,), (8,), (4,))
STEADY = OptimizerConfig(learning_rate=1e-2, schedule="constant", warmup_share=0.0)
# A token that examples do not have, but for one.
RARE = 60
PAIRS = Objective("error_driven", beta=0.3, nll_weight=0.5)


@pytest.fixture(scope="module")
def params():
  return init_params(CONFIG, jax.random.key(0))


def same(a, b) -> bool:
  return all(
    np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


def draws(count: int, objective: Objective = PAIRS) -> list[Unit]:
  rng = np.random.default_rng(0)
  draw = lambda n: tuple(rng.integers(1, RARE, n).tolist())  # noqa: E731
  prefix, sides = draw(7), 1 if objective.loss == "sft" else 2
  units = []
  for _ in range(count):
    prompt = draw(3)
    units.append(
      Unit(tuple(Branch(prefix, prompt, draw(3)) for _ in range(sides)), 1.0, (-9.0, -8.0)[:sides])
    )
  return units


def poisoned(kind: str) -> tuple[list[Unit], Objective]:
  """40 units of which one cannot be learned from."""
  objective = Objective("sft") if kind == "token" else PAIRS
  units = draws(40, objective)
  if kind == "token":
    [branch] = units[23].branches
    units[23] = Unit((dataclasses.replace(branch, prompt=(*branch.prompt[:-1], RARE)),))
  else:
    units[23] = dataclasses.replace(units[23], opponent_log_probs=(-9.0, float(kind)))
  return units, objective


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize(
  ("kind", "trained"),
  [("nan", "all"), ("-inf", "all"), ("nan", "adapter"), ("-inf", "adapter"), ("token", "adapter")],
)
def test_one_bad_example_ends_the_run_with_the_weights_before_it(params, kind, trained, accumulate):
  units, objective = poisoned(kind)
  # The frozen weights under an adapter may be unsound where hardly an example comes.
  weights = (
    params | {"embedding": params["embedding"].at[RARE].set(jnp.nan)} if kind == "token" else params
  )
  model = MODEL if trained == "all" else Decoder(CONFIG, lora=LORA)
  lora = None if trained == "all" else init_lora(CONFIG, LORA, jax.random.key(1))
  config = FitConfig(30, SHAPE, accumulate, STEADY, objective, seed=3)
  seen = []
  result = fit(
    model,
    weights,
    units,
    config,
    pad_id=0,
    lora=lora,
    on_metrics=lambda step, m: seen.append((step, m)),
  )
  assert 0 < result.steps < 29 and result.fault == result.aborted
  assert result.fault.endswith(f"at step {result.steps + 1}") and result.fault.startswith(
    ("the loss is", "the norm of the")
  )
  assert [step for step, _ in seen] == list(range(1, result.steps + 1))
  assert all(
    np.isfinite(value)
    for _, metrics in seen
    for value in (*metrics.values(), *result.summary.values())
  )
  # Steps that were under way when the bad one was seen have changed nothing.
  before = fit(
    model, weights, units, dataclasses.replace(config, steps=result.steps), pad_id=0, lora=lora
  )
  assert (
    not before.fault and same(before.trained, result.trained) and not not_finite(result.trained)
  )


@pytest.mark.parametrize("rate", [1e30, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["adamw", "adafactor", "rmsprop", "muon"])
def test_weights_that_go_astray_are_not_what_is_kept(params, name, rate):
  """The first update is finite and tears the model apart: its loss is none, and so its weights are
  no result.
  """
  optimizer = OptimizerConfig(name, learning_rate=rate, schedule="constant", warmup_share=0.0)
  result = fit(
    MODEL, params, draws(20, Objective("sft")), FitConfig(9, SHAPE, optimizer=optimizer), pad_id=0
  )
  assert result.fault and result.steps == 0 and same(result.trained, params)


def test_weights_that_go_astray_late_are_those_of_the_checkpoint_before(
  params, tmp_path, monkeypatch
):
  units = draws(40, Objective("sft"))
  config = FitConfig(20, SHAPE, optimizer=STEADY, checkpoint_every=3)
  sound = fit(MODEL, params, units, dataclasses.replace(config, steps=6), pad_id=0)
  monkeypatch.setattr(
    trainer, "learning_rate_schedule", lambda optimizer, steps: lambda n: 1e-2 if n < 7 else 1e30
  )
  result = fit(MODEL, params, units, config, pad_id=0, checkpoints=tmp_path)
  assert (
    result.fault == "the loss is nan at step 9"
    and result.steps == 6
    and same(result.trained, sound.trained)
  )
  # The same once more, from the checkpoint: the end of a run is the same however often it is cut.
  again = fit(MODEL, params, units, config, pad_id=0, checkpoints=tmp_path)
  assert (again.fault, again.steps) == (result.fault, 6) and same(again.trained, sound.trained)


def test_a_run_cut_off_before_its_bad_step_ends_as_an_uncut_one(params, tmp_path):
  units, objective = poisoned("nan")
  config = FitConfig(30, SHAPE, optimizer=STEADY, objective=objective, checkpoint_every=2, seed=3)
  whole = fit(MODEL, params, units, config, pad_id=0)

  def cut(step, metrics):
    if step == whole.steps:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fit(MODEL, params, units, config, pad_id=0, checkpoints=tmp_path, on_metrics=cut)
  resumed = fit(MODEL, params, units, config, pad_id=0, checkpoints=tmp_path)
  assert (resumed.fault, resumed.steps) == (whole.fault, whole.steps) and same(
    resumed.trained, whole.trained
  )


def test_a_halted_state_is_neither_evaluated_nor_stored(params, tmp_path):
  units, objective = poisoned("-inf")
  config = FitConfig(
    30, SHAPE, optimizer=STEADY, objective=objective, evaluate_every=1, checkpoint_every=1, seed=3
  )
  result = fit(
    MODEL, params, units, config, pad_id=0, evaluate=lambda tree: (0.5, 1.0), checkpoints=tmp_path
  )
  assert [e.step for e in result.evaluations] == list(range(result.steps + 1))
  assert max(int(path.stem) for path in tmp_path.glob("*.json")) == result.steps


def test_the_best_evaluated_weights_are_kept_with_their_step(params):
  """With patience, also where training ends on a number that is not finite behind them."""
  units, objective = poisoned("-inf")
  config = FitConfig(
    30, SHAPE, optimizer=STEADY, objective=objective, evaluate_every=1, patience=99, seed=3
  )
  seen, figures = [], iter([0.1, 0.2, 0.5] + [0.3] * 30)

  def evaluate(tree):
    seen.append(jax.tree.map(jnp.copy, tree))
    return next(figures), 1.0

  result = fit(MODEL, params, units, config, pad_id=0, evaluate=evaluate)
  assert result.fault and len(result.evaluations) > 3
  assert result.steps == 2 and same(result.trained, seen[2])


def test_a_model_without_numbers_trains_to_nothing_and_says_so(params):
  broken = jax.tree.map(lambda leaf: leaf * jnp.nan, params)
  result = fit(MODEL, broken, draws(8), FitConfig(5, SHAPE, objective=PAIRS), pad_id=0)
  assert (
    result.fault == "the loss is nan at step 1"
    and result.steps == 0
    and "loss" not in result.summary
  )
  assert len(not_finite(broken)) == len(jax.tree.leaves(params)) and not not_finite(params)


def test_a_weight_beyond_its_type_is_not_written(params):
  """float16 ends at 65,504: such an update is finite in float32 only."""
  narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), params)
  units, objective = draws(4, Objective("sft")), Objective("sft")
  batch = jax.tree.map(lambda x: x[None], trainer.collate(units, [[0, 1, 2, 3]], SHAPE, 0))
  step = make_train_step(
    Decoder(CONFIG.replace(dtype="float16", param_dtype="float16")), STEADY, program_of(objective)
  )
  state, metrics = step(init_state(STEADY, narrow), None, batch, 1e6, numbers_of(objective))
  assert (
    np.isfinite(metrics["loss"]) and not metrics["finite"] and state.halted and int(state.step) == 0
  )
  assert not not_finite(state.trainable) and not not_finite(state.master)
