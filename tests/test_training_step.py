"""The training step: shared programs, accumulation, AdamW, `fit` and its plans.

That its gradients are those of separate sequences is shown in test_training_properties.py.
"""

import jax
import numpy as np
import optax
import pytest

from spftsql_jax.examples.batches import (
  BatchShape,
  Branch,
  Unit,
  collate,
  fits,
  padding_share,
  plan_epoch,
)
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training import objective as objective_lib
from spftsql_jax.training.losses import dpo_loss, error_driven_loss, sft_loss, spin_loss
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import (
  Objective,
  init_state,
  loss_and_gradients,
  make_train_step,
  numbers_of,
  program_of,
)
from spftsql_jax.training.trainer import FitConfig, fit

VOCAB = 97
CONFIG = ModelConfig.from_hf(
  {
    "model_type": "qwen2",
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "initializer_range": 0.2,
  }
)
MODEL = Decoder(CONFIG)
OBJECTIVES = {
  "sft": Objective("sft"),
  "error_driven": Objective("error_driven", beta=0.3, nll_weight=0.5),
  "drop": Objective("error_driven", beta=0.3, on_correct="drop"),
  "spin": Objective("spin", beta=0.2),
  "dpo": Objective("dpo", beta=0.2, length_normalize=True),
}


@pytest.fixture(scope="module")
def params():
  return init_params(CONFIG, jax.random.key(0))


def make_units(objective: Objective, count: int, schemas: int = 3, seed: int = 0) -> list[Unit]:
  rng = np.random.default_rng(seed)

  def tokens(low: int, high: int) -> tuple[int, ...]:
    return tuple(int(t) for t in rng.integers(1, VOCAB, rng.integers(low, high + 1)))

  prefixes = [tokens(3, 16) for _ in range(schemas)]
  units = []
  for i in range(count):
    prefix, prompt = prefixes[i % schemas], tokens(1, 8)
    if objective.loss == "sft":
      units.append(Unit((Branch(prefix, prompt, tokens(1, 7)),)))
    else:
      pair = (Branch(prefix, prompt, tokens(1, 7)), Branch(prefix, prompt, tokens(1, 7)))
      units.append(Unit(pair, float(rng.random() < 0.6), tuple(-rng.gamma(2.0, 8.0, 2))))
  return units


def stacked(units: list[Unit], shape: BatchShape, microbatches: int):
  """All units in one batch of `microbatches`."""
  per_group = shape.branches // len(units[0].branches)
  by_prefix: dict = {}
  for i, unit in enumerate(units):
    by_prefix.setdefault(unit.branches[0].prefix, []).append(i)
  groups = [g[i : i + per_group] for g in by_prefix.values() for i in range(0, len(g), per_group)]
  assert len(groups) <= shape.schemas * microbatches
  wide = BatchShape(shape.schemas * microbatches, *list(vars(shape).values())[1:])
  return jax.tree.map(
    lambda x: x.reshape(microbatches, -1, *x.shape[1:]), collate(units, groups, wide, 0)
  )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_shared_program_with_numbers_is_the_objective(params, name):
  objective = OBJECTIVES[name]
  batch = stacked(make_units(objective, 5, schemas=2), BatchShape(3, 8, (20,), (16,), (8,)), 1)
  own = jax.jit(lambda p: loss_and_gradients(MODEL, objective, p, None, batch))(params)
  program, numbers = program_of(objective), numbers_of(objective)
  shared = jax.jit(lambda p: loss_and_gradients(MODEL, program, p, None, batch, numbers))(params)
  for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(shared), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)


def published_loss(name: str, params, batch):
  """The loss of losses.py for an objective, over a whole batch [1, B, ...] without its padding."""
  batch = jax.tree.map(lambda x: x[0], batch)
  log_probs = answer_log_probs(MODEL, {"params": params}, batch)
  lengths = batch.answer_lengths
  if name == "sft":
    return sft_loss(log_probs, lengths)
  present = lengths[:, 0::2] > 0
  if OBJECTIVES[name].length_normalize:
    log_probs = log_probs / np.maximum(lengths, 1)
    batch = batch.replace(opponent_log_probs=batch.opponent_log_probs / np.maximum(lengths, 1))
  columns = [
    values[:, side::2][present]
    for values in (log_probs, batch.opponent_log_probs)
    for side in (0, 1)
  ]
  reward, beta = batch.reward[present], OBJECTIVES[name].beta
  if name == "error_driven":
    nll = sft_loss(columns[0], lengths[:, 0::2][present])
    return error_driven_loss(*columns, reward, beta) + OBJECTIVES[name].nll_weight * nll
  if name == "drop":
    return error_driven_loss(*columns, reward, beta, "drop")
  return {"spin": spin_loss, "dpo": dpo_loss}[name](*columns, beta)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_step_minimizes_the_published_loss(params, name):
  objective = OBJECTIVES[name]
  batch = stacked(make_units(objective, 7, schemas=3), BatchShape(4, 8, (20,), (16,), (8,)), 1)
  loss, expected = jax.jit(jax.value_and_grad(lambda p: published_loss(name, p, batch)))(params)
  gradients, metrics = jax.jit(
    lambda p, numbers: loss_and_gradients(MODEL, program_of(objective), p, None, batch, numbers)
  )(params, numbers_of(objective))
  np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
  for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(
  ("name", "function"),
  [
    ("sft", "sft_loss"),
    ("error_driven", "error_driven_loss"),
    ("error_driven", "sft_loss"),
    ("spin", "error_driven_loss"),
    ("dpo", "error_driven_loss"),
  ],
)
def test_the_step_calls_the_loss_that_a_reader_opens(params, name, function, monkeypatch):
  objective = OBJECTIVES[name]
  batch = stacked(make_units(objective, 5, schemas=2), BatchShape(3, 8, (20,), (16,), (8,)), 1)

  def gradient_norm() -> float:
    run = jax.jit(lambda p: loss_and_gradients(MODEL, objective, p, None, batch)[0])
    return float(optax.global_norm(run(params)))

  before, published = gradient_norm(), getattr(objective_lib, function)
  monkeypatch.setattr(objective_lib, function, lambda *a, **b: 3 * published(*a, **b))
  after = gradient_norm()
  if name == "error_driven":  # a sum of both functions
    assert abs(after - before) > 0.01 * before
  else:
    assert after == pytest.approx(3 * before, rel=1e-5)


def test_pairs_without_their_pairwise_term_are_sft_on_the_right_answers(params):
  control = Objective("error_driven", nll_weight=1.0, pair_weight=0.0)
  pairs, shape = make_units(control, 5, schemas=2), BatchShape(3, 8, (20,), (16,), (8,))
  right = [Unit(u.branches[:1]) for u in pairs]

  def run(objective, batch):
    return jax.jit(lambda p: loss_and_gradients(MODEL, objective, p, None, batch))(params)

  gradients, metrics = run(control, stacked(pairs, shape, 1))
  expected, sft_metrics = run(OBJECTIVES["sft"], stacked(right, shape, 1))
  np.testing.assert_allclose(metrics["loss"], sft_metrics["loss"], rtol=1e-6)
  for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("name", "microbatches"), [("sft", 4), ("error_driven", 2), ("drop", 4)])
def test_accumulation_changes_nothing(params, name, microbatches):
  objective = OBJECTIVES[name]
  units = make_units(objective, 13, schemas=4, seed=1)
  buckets = ((20,), (16,), (8,))
  f = jax.jit(lambda p, b: loss_and_gradients(MODEL, objective, p, None, b))
  whole, metrics = f(params, stacked(units, BatchShape(8, 4, *buckets), 1))
  parts, part_metrics = f(
    params, stacked(units, BatchShape(8 // microbatches, 4, *buckets), microbatches)
  )
  for key in metrics:
    np.testing.assert_allclose(metrics[key], part_metrics[key], rtol=2e-5, atol=1e-6)
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


def test_a_step_is_optax_adamw_at_the_given_rate(params):
  units = make_units(OBJECTIVES["sft"], 6)
  batch = stacked(units, BatchShape(3, 4, (20,), (16,), (8,)), 1)
  config = OptimizerConfig(weight_decay=0.1, clip=1.0)
  state, metrics = make_train_step(MODEL, config, program_of(OBJECTIVES["sft"]))(
    init_state(config, params), None, batch, 0.01, numbers_of(OBJECTIVES["sft"])
  )
  gradients, _ = jax.jit(lambda p: loss_and_gradients(MODEL, OBJECTIVES["sft"], p, None, batch))(
    params
  )
  np.testing.assert_allclose(metrics["gradient_norm"], optax.global_norm(gradients), rtol=1e-4)
  decayed = {"kernel", "embedding"}
  mask = jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key in decayed, params)
  adamw = optax.adamw(0.01, b1=config.b1, b2=config.b2, weight_decay=0.1, mask=mask)
  reference = optax.chain(optax.clip_by_global_norm(1.0), adamw)
  updates, _ = reference.update(gradients, reference.init(params), params)
  expected = optax.apply_updates(params, updates)
  for a, b in zip(jax.tree.leaves(state.trainable), jax.tree.leaves(expected), strict=True):
    # Adam's first step is the sign of the gradient: where that is rounding noise, so is the step.
    assert np.mean(np.abs(a - b) > 1e-4) < 0.01
  assert int(state.step) == 1


@pytest.mark.parametrize("bound", [True, False])
def test_weights_bound_to_a_device_or_not_have_one_program(params, bound):
  """Loaded weights are bound to a device, and so is what a step returns of them."""
  if bound:
    params = jax.device_put(params, jax.devices()[0])
  batch = stacked(make_units(OBJECTIVES["sft"], 6), BatchShape(3, 4, (20,), (16,), (8,)), 1)
  config = OptimizerConfig(b1=0.8 if bound else 0.7)
  step = make_train_step(MODEL, config, program_of(OBJECTIVES["sft"]))
  state = init_state(config, params)
  for _ in range(2):
    state, _ = step(state, None, batch, 0.01, numbers_of(OBJECTIVES["sft"]))
  assert step._cache_size() == 1 and state.step.committed == bound


def test_fit_resumes_to_the_same_params(tmp_path, params):
  units = make_units(OBJECTIVES["sft"], 24)
  shape = BatchShape(2, 4, (20,), (16,), (8,))
  config = FitConfig(12, shape, optimizer=OptimizerConfig(learning_rate=1e-3), checkpoint_every=4)
  whole = fit(MODEL, params, units, config, pad_id=0)

  def cut(step, metrics):
    if step == 10:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fit(MODEL, params, units, config, pad_id=0, checkpoints=tmp_path, on_metrics=cut)
  seen = []
  resumed = fit(
    MODEL,
    params,
    units,
    config,
    pad_id=0,
    checkpoints=tmp_path,
    on_metrics=lambda step, m: seen.append(step),
  )
  assert seen[0] == 9 and resumed.steps == 12
  for a, b in zip(jax.tree.leaves(whole.trained), jax.tree.leaves(resumed.trained), strict=True):
    np.testing.assert_array_equal(a, b)


def test_fit_trains_an_adapter_and_leaves_the_weights(params):
  lora = LoraConfig(rank=4, alpha=8.0)
  model = Decoder(CONFIG, lora=lora)
  adapter = init_lora(CONFIG, lora, jax.random.key(1))
  units = make_units(OBJECTIVES["sft"], 12)
  before = jax.tree.map(np.array, params)
  config = FitConfig(
    8,
    BatchShape(3, 4, (20,), (16,), (8,)),
    optimizer=OptimizerConfig(learning_rate=1e-2, schedule="constant"),
  )
  losses = []
  result = fit(
    model,
    params,
    units,
    config,
    pad_id=0,
    lora=adapter,
    on_metrics=lambda s, m: losses.append(m["loss"]),
  )
  assert losses[-1] < losses[0]
  assert jax.tree.structure(result.trained) == jax.tree.structure(adapter)
  for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(params), strict=True):
    np.testing.assert_array_equal(a, b)


def test_fit_aborts_when_the_log_prob_of_right_answers_falls(params):
  objective = Objective("spin", beta=5.0)
  units = make_units(objective, 12)
  optimizer = OptimizerConfig(learning_rate=0.05, schedule="constant", warmup_share=0.0)
  config = FitConfig(
    200,
    BatchShape(3, 8, (20,), (16,), (8,)),
    optimizer=optimizer,
    objective=objective,
    abort_drop=5.0,
  )
  result = fit(MODEL, params, units, config, pad_id=0)
  assert result.steps < 200 and "log-prob of y+" in result.aborted


@pytest.mark.parametrize("objective", [OBJECTIVES["sft"], OBJECTIVES["spin"]])
def test_plan_holds_every_unit_once(objective):
  units = make_units(objective, 57, schemas=5)
  shape = BatchShape(2, 6, (8, 20), (8, 16), (8,))
  assert all(fits(u, shape) for u in units)
  plan = plan_epoch(units, shape, np.random.default_rng(0))
  assert sorted(i for groups in plan for group in groups for i in group) == list(range(57))
  for groups in plan:
    assert len(groups) <= 2
    for group in groups:
      assert len({units[i].branches[0].prefix for i in group}) == 1
    batch = collate(units, groups, shape, 0)
    assert batch.prefix.shape[1] in (8, 20) and batch.branch.shape[2] in (8, 16)
    assert 0 <= padding_share(batch) < 1


def test_a_unit_that_fits_no_bucket_is_refused_by_the_plan():
  unit = Unit((Branch((1,) * 30, (2,), (3,)),))
  with pytest.raises(ValueError, match="largest bucket"):
    plan_epoch([unit], BatchShape(1, 2, (20,), (16,), (8,)), np.random.default_rng(0))
