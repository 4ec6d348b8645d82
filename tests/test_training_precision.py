"""Weights in bfloat16 are trained behind float32 ones: small updates add up, second moments lose
nothing, cuts are exact.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jax.sharding import AbstractMesh, AxisType

from spftsql_jax.examples.batches import BatchShape, Branch, Unit
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params, save_hf
from spftsql_jax.models.sharding import MESH_AXES, param_shardings
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.pipeline.model_base import Lineage, ModelBase
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective, init_state, loss_and_gradients, state_shardings
from spftsql_jax.training.trainer import FitConfig, collate, fit

CONFIG = ModelConfig("llama", 61, 16, 24, 1, 2, 1, 8, initializer_range=0.2)
NARROW = CONFIG.replace(dtype="bfloat16", param_dtype="bfloat16")
SHAPE = BatchShape(1, 4, (8,), (8,), (4,))
OPTIMIZERS = ("adamw", "adafactor", "rmsprop", "muon")


def run(steps: int, name: str = "adamw", **values) -> FitConfig:
  optimizer = OptimizerConfig(name, learning_rate=1e-5, schedule="constant", warmup_share=0.0)
  return FitConfig(steps, SHAPE, optimizer=optimizer, **values)


@pytest.fixture(scope="module")
def start():
  """Weights that bfloat16 holds exactly."""
  return jax.tree.map(lambda x: x.astype(jnp.bfloat16), init_params(CONFIG, jax.random.key(0)))


@pytest.fixture(scope="module")
def units():
  rng = np.random.default_rng(0)
  draw = lambda n: tuple(rng.integers(1, 61, n).tolist())  # noqa: E731
  prefix = draw(7)
  return [Unit((Branch(prefix, draw(3), draw(3)),)) for _ in range(80)]


def wide(tree):
  return jax.tree.map(lambda x: x.astype(jnp.float32), tree)


def flat(tree) -> np.ndarray:
  return np.concatenate([np.ravel(np.asarray(x, np.float32)) for x in jax.tree.leaves(tree)])


def kinds(tree) -> set[str]:
  return {x.dtype.name for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_small_updates_move_bfloat16_weights_as_they_move_float32_ones(start, units, name):
  reference = fit(Decoder(CONFIG), wide(start), units, run(20, name), pad_id=0)
  result = fit(Decoder(NARROW), start, units, run(20, name), pad_id=0)
  expected, found = (flat(r.trained) - flat(start) for r in (reference, result))
  assert kinds(result.trained) == {"float32"} and np.mean(found != 0) > 0.95
  # What is left between them is the rounding of activations and gradients.
  assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)
  assert result.steps == 20 and not result.aborted


def test_two_stages_of_small_updates_are_as_long_as_one(start, units, tmp_path):
  """A version is stored with all that was trained: rounded between stages, most of the first one's
  work would be lost.
  """
  model, base = Decoder(NARROW), ModelBase(tmp_path)
  first = fit(model, start, units, run(10), pad_id=0)
  base.add("first", first.trained, Lineage("sft"))
  base.add("base", start, Lineage("base"))
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float32, sharding=x.sharding), start
  )
  kept = base.load("first", shapes)
  np.testing.assert_array_equal(flat(kept), flat(first.trained))
  np.testing.assert_array_equal(flat(base.load("base", shapes)), flat(start))
  second = fit(model, kept, units, run(10), pad_id=0)
  moved = flat(second.trained) - flat(first.trained)
  assert np.mean(moved != 0) > 0.95 and np.abs(moved).max() < 1.1e-4
  # The export has all of it, or what it rounds to.
  save_hf(tmp_path / "whole", NARROW, second.trained)
  save_hf(tmp_path / "half", NARROW, second.trained, dtype="bfloat16")
  name, leaf = (
    "model.layers.0.mlp.up_proj.weight",
    second.trained["layers"]["mlp"]["up"]["kernel"][0].T,
  )
  np.testing.assert_array_equal(
    safetensors.numpy.load_file(tmp_path / "whole" / "model.safetensors")[name], leaf
  )
  half = safetensors.numpy.load_file(tmp_path / "half" / "model.safetensors")[name]
  np.testing.assert_array_equal(half, leaf.astype(jnp.bfloat16))


@pytest.mark.parametrize("first_moment", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("trained", ["all", "adapter"])
def test_second_moments_and_master_weights_are_float32_always(start, name, first_moment, trained):
  tree = (
    start
    if trained == "all"
    else init_lora(CONFIG, LoraConfig(rank=2), jax.random.key(0), "bfloat16")
  )
  state = init_state(OptimizerConfig(name, state_dtype=first_moment), tree)
  assert kinds(state.trainable) == {"bfloat16"} and kinds(state.master) == {"float32"}
  found = {
    (jax.tree_util.keystr(path), leaf.dtype.name)
    for path, leaf in jax.tree.leaves_with_path(state.optimizer)
    if jnp.issubdtype(leaf.dtype, jnp.floating)
  }
  narrow = {path for path, kind in found if kind != "float32"}
  assert all(".mu" in path for path in narrow)
  assert bool(narrow) == (first_moment == "bfloat16" and name in ("adamw", "muon"))
  # Without narrower weights there is nothing more than before; a LoRA adapter is float32 by itself.
  assert init_state(OptimizerConfig(name), wide(tree)).master is None
  assert kinds(init_lora(NARROW, LoraConfig(rank=2), jax.random.key(0))) == {"float32"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_cut_run_goes_on_to_the_same_weights(start, units, tmp_path, name):
  config, model = run(9, name, checkpoint_every=2), Decoder(NARROW)
  whole = fit(model, start, units, config, pad_id=0)

  def cut(step, metrics):
    if step == 6:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fit(model, start, units, config, pad_id=0, checkpoints=tmp_path, on_metrics=cut)
  resumed = fit(model, start, units, config, pad_id=0, checkpoints=tmp_path)
  np.testing.assert_array_equal(flat(resumed.trained), flat(whole.trained))


def test_what_is_evaluated_is_rounded_and_what_is_kept_is_not(start, units):
  seen = []

  def evaluate(tree):
    seen.append(tree_kinds := kinds(tree))
    return float(len(seen) == 2), float(bool(tree_kinds))

  config = run(6, evaluate_every=2, patience=2)
  result = fit(Decoder(NARROW), start, units, config, pad_id=0, evaluate=evaluate)
  two = fit(
    Decoder(NARROW), start, units, dataclasses.replace(config, steps=2, evaluate_every=0), pad_id=0
  )
  assert seen == [{"bfloat16"}] * 4
  np.testing.assert_array_equal(flat(result.trained), flat(two.trained))


def test_gradients_of_microbatches_are_added_in_float32(start, units):
  """In bfloat16 each sum would be rounded to its 8 bits."""
  groups = [[4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3] for i in range(16)]
  batch = collate(units, groups, dataclasses.replace(SHAPE, schemas=16), 0)
  batch = jax.tree.map(lambda x: x.reshape(16, 1, *x.shape[1:]), batch)
  gradients, _ = jax.jit(
    lambda p: loss_and_gradients(Decoder(NARROW), Objective("sft"), p, None, batch)
  )(start)
  exact, _ = jax.jit(
    lambda p: loss_and_gradients(Decoder(CONFIG), Objective("sft"), p, None, batch)
  )(wide(start))
  assert kinds(gradients) == {"float32"}
  assert np.linalg.norm(flat(gradients) - flat(exact)) < 0.01 * np.linalg.norm(flat(exact))
  assert (
    np.mean(flat(gradients) != flat(jax.tree.map(lambda x: x.astype(jnp.bfloat16), gradients)))
    > 0.5
  )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_master_weights_lie_as_the_weights_do(name):
  mesh = AbstractMesh((1, 4, 2), MESH_AXES, axis_types=(AxisType.Auto,) * 3)
  config = NARROW.replace(vocab_size=64, hidden_size=32, intermediate_size=48)
  place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
  shapes = nn.unbox(abstract_params(config))
  placed = jax.tree.map(place, shapes, param_shardings(config, mesh))
  found = state_shardings(OptimizerConfig(name), placed)
  state = jax.eval_shape(
    lambda: init_state(
      OptimizerConfig(name), jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    )
  )
  assert jax.tree.structure(found) == jax.tree.structure(state)
  assert found.master == found.trainable == param_shardings(config, mesh)
  # What `compile_ahead.py` counts: 2 bytes and 4 a weight, and the moments in float32.
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  size = lambda tree: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))  # noqa: E731
  assert size(state.trainable) == 2 * count and size(state.master) == 4 * count
  if name == "adamw":
    assert 8 * count <= size(state.optimizer) <= 8 * count + 16
