"""Gradients of the training step: over random shapes, paddings, K and accumulation splits; on
meshes of 1 to 8 devices.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from on_devices import TESTS, run_on_devices

from spftsql_jax.examples.batches import (
  BatchShape,
  Branch,
  Unit,
  choose_buckets,
  choose_shape,
  collate,
  plan_epoch,
)
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
from spftsql_jax.models.attention import causal_attention, flash_attention, visible
from spftsql_jax.models.products import product
from spftsql_jax.training.step import Objective, loss_and_gradients

CONFIG = ModelConfig(
  "qwen2",
  61,
  16,
  24,
  1,
  4,
  2,
  8,
  attention_bias=True,
  tie_word_embeddings=True,
  initializer_range=0.3,
)
MODEL = Decoder(CONFIG)
LONGEST = 48


@pytest.fixture(scope="module")
def params():
  return init_params(CONFIG, jax.random.key(0))


@jax.jit
def sequence(params, tokens, start, length):
  """log p of tokens[start:length] of one plain padded sequence, and its gradient."""

  def log_prob(params):
    log_probs = jax.nn.log_softmax(MODEL.apply({"params": params}, tokens[None])[0], axis=-1)
    chosen = jnp.take_along_axis(log_probs[:-1], tokens[1:, None], axis=-1)[:, 0]
    places = jnp.arange(1, LONGEST)
    return jnp.sum(jnp.where((places >= start) & (places < length), chosen, 0.0))

  return jax.value_and_grad(log_prob)(params)


def plain(params, branch: Branch):
  ids = branch.prefix + branch.prompt + branch.answer
  tokens = jnp.array(ids + (0,) * (LONGEST - len(ids)))
  return sequence(params, tokens, len(ids) - len(branch.answer), len(ids))


def weigh(units, values, objective):
  """(loss, its derivative by each log-prob [N, branches a unit]) in float64, written from the
  equations.
  """
  lengths = np.array([[len(b.answer) for b in u.branches] for u in units], float)
  if objective.loss == "sft":
    return -values.sum() / lengths.sum(), np.full(values.shape, -1 / lengths.sum())
  scale = lengths if objective.length_normalize else np.ones_like(lengths)
  reward = (
    np.array([u.reward for u in units]) if objective.loss == "error_driven" else np.ones(len(units))
  )
  kept = (
    np.ones(len(units)) if objective.on_correct == "positive_only" else (reward > 0).astype(float)
  )
  ratios = (values - np.array([u.opponent_log_probs for u in units])) / scale
  margin = objective.beta * (ratios[:, 0] - reward * ratios[:, 1])
  count, tokens = max(kept.sum(), 1), lengths[:, 0].sum()
  loss = (kept * np.logaddexp(0, -margin)).sum() / count - objective.nll_weight * values[
    :, 0
  ].sum() / tokens
  slope = -kept / (1 + np.exp(margin)) / count * objective.beta
  by = np.stack(
    [slope / scale[:, 0] - objective.nll_weight / tokens, -slope * reward / scale[:, 1]], axis=1
  )
  return loss, by


def random_case(rng, kind=0):
  """(units, objective of the kind, batch of [M, B, ...]) of random sizes."""
  loss = ("sft", "error_driven", "error_driven", "spin", "dpo")[kind % 5]
  objective = Objective(loss, float(rng.uniform(0.05, 1)), length_normalize=bool(rng.integers(2)))
  if loss == "error_driven":
    objective = Objective(
      loss, objective.beta, ("positive_only", "drop")[kind % 5 - 1], nll_weight=0.5
    )
  per_unit = 1 if loss == "sft" else 2
  draw = lambda low, high: tuple(rng.integers(1, 61, rng.integers(low, high + 1)).tolist())  # noqa: E731
  units = []
  for prefix in [draw(1, 20) for _ in range(rng.integers(1, 4))]:
    for _ in range(rng.integers(1, 6)):
      prompt = draw(1, 6)
      sides = tuple(Branch(prefix, prompt, draw(1, 10)) for _ in range(per_unit))
      units.append(
        Unit(sides, float(rng.integers(2)), tuple((-rng.gamma(2, 8, per_unit)).tolist()))
      )
  branches = per_unit * int(rng.integers(1, 4))
  shape = BatchShape(
    1,
    branches,
    (int(rng.integers(20, 25)),),
    (int(rng.integers(16, 20)),),
    (int(rng.integers(10, 13)),),
  )
  groups = [g for batch in plan_epoch(units, shape, rng) for g in batch]
  microbatches = int(rng.integers(1, 4))
  schemas = -(-len(groups) // microbatches)
  wide = BatchShape(schemas * microbatches, *list(vars(shape).values())[1:])
  batch = collate(units, groups, wide, 0)
  return (
    units,
    objective,
    jax.tree.map(lambda x: x.reshape(microbatches, schemas, *x.shape[1:]), batch),
  )


@pytest.mark.parametrize("seed", range(8))
def test_loss_and_gradients_are_those_of_plain_sequences(params, seed):
  units, objective, batch = random_case(np.random.default_rng(seed), seed)
  found = [[plain(params, b) for b in u.branches] for u in units]
  loss, by = weigh(units, np.array([[float(v) for v, _ in row] for row in found]), objective)
  trees = [
    (gradient, by[i, j]) for i, row in enumerate(found) for j, (_, gradient) in enumerate(row)
  ]
  expected = jax.tree.map(
    lambda *leaves: sum(np.float64(x) * w for x, (_, w) in zip(leaves, trees, strict=True)),
    *(t for t, _ in trees),
  )
  gradients, metrics = jax.jit(lambda p, b: loss_and_gradients(MODEL, objective, p, None, b))(
    params, batch
  )
  np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5, atol=1e-6)
  for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def test_attention_in_blocks_is_attention():
  rng = np.random.default_rng(0)
  query, key, value = (
    jnp.asarray(rng.normal(size=s), jnp.float32)
    for s in ((2, 11, 2, 3, 4), (2, 11, 2, 4), (2, 11, 2, 4))
  )
  places = jnp.arange(11)[None]
  weights = jnp.asarray(rng.normal(size=query.shape), jnp.float32)

  def plain(query, key, value):
    logits = jnp.einsum("btngh,bsnh->bngts", query, key) / 2
    logits = jnp.where(visible(places, places, 5)[:, None, None], logits, -jnp.inf)
    return (jnp.einsum("bngts,bsnh->btngh", jax.nn.softmax(logits), value) * weights).sum()

  expected = jax.jit(jax.grad(plain, (0, 1, 2)))(query, key, value)
  found = jax.grad(lambda *qkv: (flash_attention(*qkv, "xla") * weights).sum(), (0, 1, 2))(
    query, key, value
  )
  whole = jax.grad(
    lambda *qkv: (causal_attention(*qkv, visible(places, places, None)) * weights).sum(), (0, 1, 2)
  )
  for a, b in zip(found, whole(query, key, value), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)
  for blocks in (1, 3):

    def ours(query, key, value, blocks=blocks):
      return (
        causal_attention(query, key, value, visible(places, places, 5), blocks) * weights
      ).sum()

    found = jax.jit(jax.grad(ours, (0, 1, 2)))(query, key, value)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(5, 9), (9, 5)])
def test_a_products_gradients_are_jaxs_own(sizes):
  rng = np.random.default_rng(0)
  x, kernel, weights = (
    jnp.asarray(rng.normal(size=s), jnp.float32)
    for s in ((2, 3, sizes[0]), sizes, (2, 3, sizes[1]))
  )
  ours = jax.grad(lambda x, k: (product(x, k) * weights).sum(), (0, 1))(x, kernel)
  theirs = jax.grad(lambda x, k: ((x @ k) * weights).sum(), (0, 1))(x, kernel)
  for a, b in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)


def test_dropout_of_the_adapter_is_drawn_by_key_and_leaves_the_weights():
  lora = LoraConfig(rank=2, dropout=0.5)
  model, params = Decoder(CONFIG, lora=lora), init_params(CONFIG, jax.random.key(0))
  adapter = jax.tree.map(lambda x: x + 0.1, init_lora(CONFIG, lora, jax.random.key(1)))
  _, objective, batch = random_case(np.random.default_rng(3))
  batch = jax.tree.map(lambda x: x[:1], batch)
  run = jax.jit(
    lambda key: loss_and_gradients(model, objective, adapter, params, batch, dropout_key=key)[1][
      "loss"
    ]
  )
  first, again, other, none = (
    run(jax.random.key(0)),
    run(jax.random.key(0)),
    run(jax.random.key(1)),
    run(None),
  )
  assert first == again and len({float(first), float(other), float(none)}) == 3


def test_chosen_buckets_pad_least():
  rng = np.random.default_rng(0)
  for _ in range(20):
    lengths = rng.integers(1, 12, 9).tolist()
    buckets = choose_buckets(lengths, 3)
    cost = lambda found, lengths=lengths: sum(min(b for b in found if b >= n) for n in lengths)  # noqa: E731
    tops = [(a, b, max(lengths)) for a in set(lengths) for b in set(lengths)]
    assert (
      buckets[-1] == max(lengths) and len(buckets) <= 3 and cost(buckets) == min(map(cost, tops))
    )


def test_a_chosen_shape_holds_all_units_with_smaller_batches_for_small_groups():
  units, _, _ = random_case(np.random.default_rng(5))
  units *= 4
  shape = choose_shape(units, 1, 12, prefix_buckets=2, branch_buckets=2, branch_counts=2)
  plan = plan_epoch(units, shape, np.random.default_rng(0))
  assert sorted(i for groups in plan for group in groups for i in group) == list(range(len(units)))
  assert {collate(units, groups, shape, 0).branch.shape[1] for groups in plan} <= set(shape.counts)


_ON_MESHES = """
import pathlib, sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
import test_training_properties as t
from jax.sharding import NamedSharding, PartitionSpec
from spftsql_jax.models import sharding
from spftsql_jax.models import Decoder, init_params
from spftsql_jax.training.checkpoints import Checkpoints
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective, init_state, make_train_step, numbers_of, program_of
rng = np.random.default_rng(0)
params = init_params(t.CONFIG, jax.random.key(0))
objective = Objective("error_driven", 0.3, nll_weight=0.5)
units = []
for s in range(8):
  draw = lambda n: tuple(rng.integers(1, 61, n).tolist())
  prefix = draw(5 + s)
  for _ in range(2):
    pair = (t.Branch(prefix, draw(3), draw(4)), t.Branch(prefix, draw(3), draw(2 + s)))
    units.append(t.Unit(pair, float(s % 2), (-9.0, -11.0)))
groups, shape = [[2 * i, 2 * i + 1] for i in range(8)], t.BatchShape(8, 4, (16,), (16,), (12,))
batch = t.collate(units, groups, shape, 0)
batch = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), batch)
config = OptimizerConfig(clip=0.0)
results, states = {}, {}
for spec in sys.argv[3:]:
  count = int(np.prod([int(part.split(":")[1]) for part in spec.split(",")]))
  mesh = sharding.make_mesh(spec, jax.devices()[:count])
  model = Decoder(t.CONFIG)
  with sharding.use_mesh(mesh):
    placed = jax.device_put(params, sharding.param_shardings(t.CONFIG, mesh))
    rows = jax.device_put(batch, NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp"))))
    step = make_train_step(model, config, program_of(objective))
    step.clear_cache()
    state, metrics = step(init_state(config, placed), None, rows, 1e-3, numbers_of(objective))
  kernel = state.trainable["layers"]["mlp"]["up"]["kernel"]
  assert len(kernel.sharding.device_set) == count, spec
  # After one step from zeros Adam's first moment is (1 - b1) times the gradient.
  is_adam = lambda s: hasattr(s, "mu")
  moments = next(s.mu for s in jax.tree.leaves(state.optimizer, is_leaf=is_adam) if is_adam(s))
  flat = [np.ravel(x) / (1 - config.b1) for x in jax.tree.leaves(moments)]
  results[spec] = np.concatenate([*flat, [metrics["loss"], metrics["gradient_norm"]]])
  states[spec] = state
np.savez(sys.argv[2], **results)

# What one mesh has saved, each of the others restores, exactly and in its own places.
class Nothing:
  def best(self, _): return None
  def record(self): return {}
  def restore(self, *_): pass
saved, folder = states[spec], pathlib.Path(sys.argv[2]).parent / "checkpoints"
with Checkpoints(folder) as checkpoints:
  checkpoints.save(saved, Nothing(), Nothing(), 1)
for spec, own in states.items():
  restored, step = Checkpoints(folder).resume(own, Nothing(), Nothing())
  assert step == 1
  triples = zip(*map(jax.tree.leaves, (saved, restored, own)), strict=True)
  for kept, found, place in triples:
    assert found.sharding.is_equivalent_to(place.sharding, place.ndim), spec
    np.testing.assert_array_equal(found, kept, err_msg=spec)
"""
_MESHES = ("data:1", "fsdp:2", "data:2,tensor:2", "fsdp:4,tensor:2", "data:2,fsdp:2,tensor:2")


def test_gradients_and_checkpoints_are_the_same_on_meshes_of_one_to_eight_devices(tmp_path):
  run_on_devices(_ON_MESHES, 8, str(TESTS), str(tmp_path / "out.npz"), *_MESHES)
  with np.load(tmp_path / "out.npz") as found:
    for spec in _MESHES[1:]:
      np.testing.assert_allclose(found[spec], found["data:1"], atol=1e-5, rtol=1e-5, err_msg=spec)
