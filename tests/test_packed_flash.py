"""Kernels for packed rows, interpreted: heads and gradients are those of a plain softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_cases import heads_and_gradients, made, plain, random_row

from spftsql_jax.models import packed_attention as attention_module
from spftsql_jax.models import packed_flash
from spftsql_jax.models.packed_attention import packed_attention
from spftsql_jax.models.packed_flash import Tile, Tiles

SMALL = Tiles(Tile(32, 16), Tile(16, 32), Tile(16, 32))


@pytest.mark.parametrize(
  ("shape", "window", "few"),
  [
    ((3, 100, 2, 1, 16), None, 512),
    ((2, 128, 1, 3, 32), None, 512),
    ((2, 90, 2, 3, 16), None, 0),
    ((2, 75, 1, 2, 16), 9, 512),
  ],
)
def test_heads_and_gradients_are_those_of_a_plain_softmax(shape, window, few, monkeypatch):
  monkeypatch.setattr(packed_flash, "_FEW_PROGRAMS", few)
  arrays, ends, positions = made(len(shape) + shape[1], *shape)

  @jax.jit
  def kernel(query, key, value):
    return packed_flash.flash_attention(
      query, key, value, jnp.asarray(ends), positions, window, tiles=SMALL, interpret=True
    )

  found = heads_and_gradients(kernel, arrays, jnp.float32)
  with jax.enable_x64(True):
    expected = heads_and_gradients(
      lambda *x: plain(*x, ends, positions, window), arrays, jnp.float64
    )
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5, rtol=2e-5)
  assert (found[0][-1] == 0).all()


def test_the_usual_tiles_compute_what_the_loop_does_in_bfloat16():
  arrays, ends, _ = made(5, 2, 200, 1, 2, 32)

  @jax.jit
  def kernel(query, key, value):
    return packed_flash.flash_attention(query, key, value, jnp.asarray(ends), interpret=True)

  def loop(query, key, value):
    return packed_attention(query, key, value, jnp.asarray(ends), implementation="loop")

  found = heads_and_gradients(kernel, arrays, jnp.bfloat16)
  for a, b in zip(found, heads_and_gradients(loop, arrays, jnp.bfloat16), strict=True):
    np.testing.assert_allclose(a, b, atol=0.05, rtol=0.05)


def test_every_block_that_is_seen_is_walked_and_no_other():
  ends = jnp.asarray(np.stack([random_row(np.random.default_rng(i), 128)[0] for i in range(4)]))
  tokens = np.arange(128)
  mask = (tokens[None] <= tokens[:, None]) & (tokens[:, None] < np.asarray(ends)[:, None])
  seen = mask.reshape(4, 4, 32, 8, 16).any(axis=(2, 4))
  for of_keys, expected in ((False, seen), (True, seen.swapaxes(1, 2))):
    blocks, counts = packed_flash._walk(ends, Tile(32, 16), of_keys)
    for row, block in np.ndindex(counts.shape):
      walked = blocks[row, block, : counts[row, block]]
      # What is walked may hold a block of which no pair is seen, but none is left out.
      assert set(np.flatnonzero(expected[row, block])) <= set(walked.tolist())
      assert (np.diff(walked) > 0).all()


@pytest.mark.parametrize(("size", "dtype"), [(32, "float32"), (64, "bfloat16"), (128, "float32")])
def test_kernels_are_lowered_for_a_gpu_without_one(size, dtype):
  if jax.__version_info__ >= (0, 11):
    pytest.skip("this JAX lowers for a GPU only where there is one")
  head = jax.ShapeDtypeStruct((1, 300, 2, size), dtype)
  query = jax.ShapeDtypeStruct((1, 300, 2, 3, size), dtype)
  sight = jax.ShapeDtypeStruct((1, 300), "int32")

  def loss(query, key, value, ends, positions, window):
    with_window = packed_flash.flash_attention(query, key, value, ends, positions, window)
    return (with_window + packed_flash.flash_attention(query, key, value, ends)).sum()

  traced = jax.jit(jax.grad(loss, (0, 1, 2))).trace(query, head, head, sight, sight, 5)
  assert traced.lower(lowering_platforms=("cuda",)).as_text().count("gpu.triton") == 6


@pytest.fixture
def as_on_a_gpu(monkeypatch):
  """Kernels are chosen as on a GPU, and computed by interpretation."""
  attention_module._kernel_agrees.cache_clear()
  monkeypatch.setattr(packed_flash, "is_ampere_or_newer", lambda: True)

  def use(kernel):
    monkeypatch.setattr(attention_module, "_rows_kernel", kernel)

  yield use
  attention_module._kernel_agrees.cache_clear()


def interpreted(query, key, value, sight):
  return packed_flash.flash_attention(query, key, value, *sight, tiles=SMALL, interpret=True)


def attended():
  """Heads of a jitted call with "auto", and those of the loop."""
  (query, key, value, _), ends, _ = made(5, 1, 64, 1, 2, 16)
  arrays = [jnp.asarray(x, jnp.float32) for x in (query, key, value)]
  auto = jax.jit(lambda *a: packed_attention(*a, jnp.asarray(ends)))(*arrays)
  return auto, packed_attention(*arrays, jnp.asarray(ends), implementation="loop")


def test_a_kernel_is_taken_that_agrees_with_the_loop(as_on_a_gpu):
  calls = []
  as_on_a_gpu(lambda *arguments: calls.append(1) or interpreted(*arguments))
  auto, loop = attended()
  assert len(calls) == 2  # To be compared, then to be used.
  np.testing.assert_allclose(auto, loop, atol=1e-5)


@pytest.mark.parametrize("fault", ["off", "raises"])
def test_the_loop_is_taken_where_the_kernel_is_wrong(as_on_a_gpu, fault):
  def kernel(query, key, value, sight):
    if fault == "raises":
      raise RuntimeError("no such target")
    return interpreted(query, key, value, sight) * 1.05

  as_on_a_gpu(kernel)
  with pytest.warns(UserWarning, match="the loop is taken"):
    auto, loop = attended()
  np.testing.assert_array_equal(auto, loop)
