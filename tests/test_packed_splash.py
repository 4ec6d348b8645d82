"""Splash attention for packed rows, interpreted: heads and gradients are a plain softmax's."""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh
from packed_cases import heads_and_gradients, made, plain

from spftsql_jax.models import packed_attention as attention_module
from spftsql_jax.models import packed_splash, platforms
from spftsql_jax.models.packed_attention import packed_attention
from spftsql_jax.models.sharding import MESH_AXES


@pytest.mark.parametrize(
  ("shape", "window"),
  [
    ((3, 100, 2, 1, 16), None),
    ((1, 384, 1, 3, 64), None),
    ((2, 300, 2, 2, 16), 9),
    ((1, 1024, 1, 1, 16), None),
  ],
)
def test_heads_and_gradients_are_those_of_a_plain_softmax(shape, window):
  arrays, ends, positions = made(len(shape) + shape[1], *shape)
  if len(ends) == 1:
    ends[-1, :90], positions[-1, :90] = 90, np.arange(90)

  @jax.jit
  def kernel(query, key, value):
    return packed_splash.splash_attention(
      query, key, value, jnp.asarray(ends), jnp.asarray(positions), window, interpret=True
    )

  found = heads_and_gradients(kernel, arrays, jnp.float32)
  with jax.enable_x64(True):
    expected = heads_and_gradients(
      lambda *x: plain(*x, ends, positions, window), arrays, jnp.float64
    )
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5, rtol=2e-5)
  assert (found[0][ends == 0] == 0).all() and (found[0][ends > 0] != 0).any()


@pytest.mark.parametrize(("size", "dtype"), [(64, "bfloat16"), (128, "float32")])
def test_kernels_are_lowered_for_a_tpu_without_one(size, dtype):
  head = jax.ShapeDtypeStruct((1, 300, 2, size), dtype)
  query = jax.ShapeDtypeStruct((1, 300, 2, 3, size), dtype)
  sight = jax.ShapeDtypeStruct((1, 300), "int32")

  def loss(query, key, value, ends, positions, window):
    return packed_splash.splash_attention(query, key, value, ends, positions, window).sum()

  traced = jax.jit(jax.grad(loss, (0, 1, 2))).trace(query, head, head, sight, sight, 5)
  assert traced.lower(lowering_platforms=("tpu",)).as_text().count("@tpu_custom_call") == 3


def test_they_are_for_programs_that_are_made_for_a_tpu(monkeypatch):
  array = jnp.zeros((1, 8, 1, 64), jnp.bfloat16)
  assert not packed_splash.has_kernel(array, array, array)  # this machine's CPU
  monkeypatch.setattr(platforms, "platform", lambda: "tpu")
  assert packed_splash.has_kernel(array, array, array)
  assert not packed_splash.has_kernel(array[..., :16], array[..., :16], array[..., :16])
  assert not packed_splash.has_kernel(array, array, array.astype(jnp.float32))


@pytest.mark.parametrize("fault", [None, "off"])
def test_on_a_tpu_they_are_taken_where_they_agree_with_the_loop(fault, monkeypatch):
  monkeypatch.setattr(platforms, "platform", lambda: "tpu")
  monkeypatch.setattr(platforms, "is_here", lambda: True)
  (query, key, value, _), ends, _ = made(5, 1, 64, 1, 2, 64)
  ends[0, :60] = 60
  arrays = [jnp.asarray(x, jnp.float32) for x in (query, key, value)]
  calls = []

  def kernel(query, key, value, sight):
    calls.append(query.shape)
    found = packed_splash.splash_attention(query, key, value, *sight, interpret=True)
    return found * 1.05 if fault else found

  monkeypatch.setattr(attention_module, "_rows_kernel", kernel)
  attention_module._kernel_agrees.cache_clear()
  told = pytest.warns(UserWarning, match="the loop is taken") if fault else nullcontext()
  with told:
    auto = jax.jit(lambda *a: packed_attention(*a, jnp.asarray(ends)))(*arrays)
  attention_module._kernel_agrees.cache_clear()
  assert len(calls) == (1 if fault else 2)  # To be compared, then to be used.
  loop = packed_attention(*arrays, jnp.asarray(ends), implementation="loop")
  np.testing.assert_allclose(auto, loop, atol=1e-5)


def test_a_program_is_made_for_the_devices_of_the_mesh_in_use():
  assert platforms.platform() == jax.default_backend() and platforms.is_here()
  there = AbstractMesh((1, 1, 1), MESH_AXES, abstract_device=AbstractDevice("TPU v5", 1, "tpu"))
  with jax.sharding.use_abstract_mesh(there):
    assert platforms.platform() == "tpu" and not platforms.is_here()
