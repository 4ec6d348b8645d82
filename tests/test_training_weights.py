"""Weights as training multiplies them: those of one input side by side, and rounded once."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh

from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.packing import RowShape, pack, plan_rows
from spftsql_jax.models import (
  Decoder,
  LoraConfig,
  ModelConfig,
  init_params,
  packed_attention,
  platforms,
  sharding,
)
from spftsql_jax.training import step

KINDS = {
  "qwen2": {"attention_bias": True},
  "qwen3": {"qk_norm": True},
  "llama with biases": {"mlp_bias": True},
}


def made(remat="none", **more):
  config = ModelConfig("qwen2", 64, 32, 48, 2, 4, 2, 8, initializer_range=0.3, remat=remat, **more)
  return Decoder(config), init_params(config, jax.random.key(0))


def gradients_of(model):
  rng = np.random.default_rng(1)
  tokens = jnp.asarray(rng.integers(0, 64, (1, 96)), jnp.int32)
  weights = jnp.asarray(rng.normal(size=(1, 96, 32)), jnp.float32)

  def value(params):
    rows = (tokens, jnp.arange(96)[None], jnp.full((1, 96), 96))
    return jnp.sum(model.apply({"params": params}, *rows, method="packed_hidden") * weights)

  return jax.jit(jax.value_and_grad(value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unroll,remat", [(True, "none"), (False, "dots")])
def test_values_and_gradients_are_those_of_products_apart(kind, unroll, remat):
  model, params = made(remat, **KINDS[kind])
  # Biases that are no zeros.
  params = jax.tree.map(lambda x: x + 0.1 * jnp.arange(x.shape[-1]) / x.shape[-1], params)
  apart = gradients_of(model.clone(unroll=unroll))(params)
  as_one = gradients_of(model.clone(unroll=unroll, fuse=True))(params)
  assert jax.tree.structure(apart) == jax.tree.structure(as_one)
  for one, other in zip(jax.tree.leaves(as_one), jax.tree.leaves(apart), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_three_products_of_seven_fall_away():
  model, params = made()

  def of_weights(model):
    """Products over one axis of each side, in a loop over layers: forward, and back to inputs."""
    text = gradients_of(model).lower(params).as_text()
    return len(re.findall(r"dot_general.*contracting_dims = \[\d\] x \[\d\]", text))

  apart, as_one = of_weights(model), of_weights(model.clone(fuse=True))
  assert apart - as_one == 2 * 3, (apart, as_one)


def test_not_under_an_adapter_nor_where_a_mesh_cuts_the_outputs(monkeypatch):
  model, _ = made()
  assert not step._fuses(model)  # on a CPU, where it costs
  monkeypatch.setattr(platforms, "platform", lambda: "gpu")
  assert step._fuses(model)
  assert not step._fuses(model.clone(lora=LoraConfig(4, 8.0)))
  whole = sharding.make_mesh(devices=jax.devices()[:1])
  cut = jax.sharding.AbstractMesh(
    (1, 1, 2), sharding.MESH_AXES, axis_types=(jax.sharding.AxisType.Auto,) * 3
  )
  with sharding.use_mesh(whole):
    assert step._fuses(model)
  with jax.sharding.use_abstract_mesh(cut):
    assert not step._fuses(model)


def test_float32_weights_are_rounded_once_a_step():
  """However many layers and microbatches read them, and although layers are computed again."""
  config = ModelConfig("qwen2", 80, 32, 48, 9, 4, 2, 8, dtype="bfloat16", remat="full")
  model, params = Decoder(config), init_params(config, jax.random.key(0))
  units = [Unit((Branch((i, 2, 3), (4, i), (5, 6, 1)),)) for i in range(40)]
  shape = RowShape(64, 8, 40)
  rows = plan_rows(units, shape, np.random.default_rng(0))[:3]
  batch = jax.tree.map(lambda x: x[:, None], pack(units, rows, shape, 0))
  run = jax.jit(lambda p: step.loss_and_gradients(model, step.Objective("sft"), p, None, batch)[0])
  text = run.lower(params).as_text()
  found = re.findall(r"convert .*\(tensor<([\dx]+)xf32>\) -> tensor<\S*bf16>", text)
  leaves = jax.tree_util.tree_leaves_with_path(params)
  weights = sorted(x.shape for path, x in leaves if path[-1].key != "scale")
  shapes = [tuple(map(int, each.split("x"))) for each in found]
  # No shape of an activation ends as one of a weight does.
  ends = {shape[-2:] for shape in weights}
  found = sorted(shape for shape in shapes if shape[-2:] in ends)
  # Beside the weights the gradient of the head, which is summed in float32.
  assert found == sorted([*weights, (80, 32)])


def test_what_is_compiled_ahead_has_the_form_of_its_devices():
  queries = lambda: packed_attention._tile(4096).queries  # noqa: E731
  there = AbstractMesh((1,), ("data",), abstract_device=AbstractDevice("TPU v5", 1, "tpu"))
  assert platforms.platform() == jax.default_backend() == "cpu" and queries() == 64
  with jax.sharding.use_abstract_mesh(there):
    assert platforms.platform() == "tpu" and queries() == 512
  assert queries() == 64
