"""Products with weights and their gradients, exact and of operands rounded to bfloat16."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from spftsql_jax.models import ModelConfig, init_params
from spftsql_jax.models.products import (
  has_fast_bfloat16,
  head_product,
  product,
  scaled,
  settle,
)
from spftsql_jax.models.transformer import Decoder

needs_units = pytest.mark.skipif(
  not has_fast_bfloat16(), reason="a CPU without fast products of bfloat16"
)
SHAPES = [((1, 4096, 256), 640), ((3, 7, 16), 5), ((1, 1), 1), ((64, 640), 256), ((2, 3, 33), 130)]


def drawn(*shapes):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def rounded(x):
  return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float64)


@needs_units
@pytest.mark.parametrize("shape,features", SHAPES)
def test_rounded_products_are_those_of_rounded_operands(shape, features):
  x, kernel, to_y = drawn(shape, (shape[-1], features), (*shape[:-1], features))
  y, gradients = jax.jit(lambda *a: _with_gradients(lambda x, k: product(x, k, "bfloat16"), *a))(
    x, kernel, to_y
  )
  rows, narrow = rounded(x).reshape(-1, shape[-1]), rounded(to_y).reshape(-1, features)
  near(y, rounded(x) @ rounded(kernel))
  near(gradients[0], rounded(to_y) @ rounded(kernel).T)
  near(gradients[1], rows.T @ narrow)
  assert {a.dtype.name for a in (y, *gradients)} == {"float32"}


@needs_units
def test_rounded_logits_and_their_gradients():
  hidden, head, to_y = drawn((2, 5, 24), (96, 24), (2, 5, 96))
  y, gradients = jax.jit(
    lambda *a: _with_gradients(lambda h, w: head_product(h, w, "bfloat16"), *a)
  )(hidden, head, to_y)
  near(y, rounded(hidden) @ rounded(head).T)
  near(gradients[0], rounded(to_y) @ rounded(head))
  near(gradients[1], rounded(to_y).reshape(-1, 96).T @ rounded(hidden).reshape(-1, 24))


def test_a_scale_has_the_gradients_of_a_product():
  x, scale, to_y = drawn((2, 33, 8), (8,), (2, 33, 8))
  y, gradients = _with_gradients(scaled, x, scale, to_y)
  wide = [np.asarray(a, np.float64) for a in (x, scale, to_y)]
  near(y, wide[0] * wide[1])
  near(gradients[0], wide[2] * wide[1])
  near(gradients[1], (wide[2] * wide[0]).sum((0, 1)))


@needs_units
@pytest.mark.parametrize("remat", ["none", "full", "dots"])
def test_a_model_with_rounded_products_learns_nearly_the_same(remat):
  """Packed rows through all layers, compiled as a loop."""
  config = ModelConfig(
    "qwen2", 64, 32, 48, 3, 4, 2, 8, attention_bias=True, initializer_range=0.3, remat=remat
  )
  params = init_params(config, jax.random.key(0))
  rng = np.random.default_rng(1)
  tokens = jnp.asarray(rng.integers(0, 64, (1, 128)), jnp.int32)
  positions, ends = jnp.arange(128)[None], jnp.full((1, 128), 128)

  def gradient(model):
    def value(params):
      hidden = model.apply({"params": params}, tokens, positions, ends, method="packed_hidden")
      logits = model.apply({"params": params}, hidden, method="logits")
      chosen = jnp.take_along_axis(logits[:, :-1], tokens[:, 1:, None], axis=-1)[..., 0]
      return jnp.mean(jax.nn.logsumexp(logits[:, :-1], axis=-1) - chosen)

    loss, found = jax.jit(jax.value_and_grad(value))(params)
    return float(loss), np.concatenate([np.ravel(x) for x in jax.tree.leaves(found)])

  exact, plain = gradient(Decoder(config))
  near_by, narrow = gradient(Decoder(config).rounded())
  assert exact != near_by and abs(exact - near_by) < 0.02
  assert plain @ narrow / np.linalg.norm(plain) / np.linalg.norm(narrow) > 0.995


def test_what_auto_stands_for():
  assert settle("exact", "float32") == "exact" and settle("rounded", "bfloat16") == "rounded"
  assert settle("auto", "float32") == ("rounded" if has_fast_bfloat16() else "exact")
  assert settle("auto", "bfloat16") == settle("auto", "float32", alone=False) == "exact"


def test_an_unknown_product_dtype_is_refused():
  with pytest.raises(ValueError, match="product_dtype 'float8'"):
    ModelConfig("qwen2", 64, 32, 48, 1, 4, 2, 8, product_dtype="float8")


def _with_gradients(function, x, kernel, to_y):
  y, back = jax.vjp(function, x, kernel)
  return y, back(to_y)


def near(found, expected):
  np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
