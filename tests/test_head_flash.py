"""Kernels that make no logits, interpreted: log-probs and gradients are those of a softmax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_token_log_probs as plain
from on_devices import TESTS, run_on_devices

from spftsql_jax.models import head_flash
from spftsql_jax.models import token_log_probs as module
from spftsql_jax.models.head_flash import Tile

SMALL = Tile(16, 16, 16, 4, 2)


def drawn(positions=37, width=32, vocab=77):
  rng = np.random.default_rng(0)
  hidden, head = rng.normal(size=(positions, width)), rng.normal(size=(vocab, width))
  # Some targets are tokens of another part of the vocabulary.
  return hidden, head, rng.integers(-9, vocab + 9, positions), rng.normal(size=positions)


@pytest.mark.parametrize("tile", [SMALL, Tile(16, 32, 32, 4, 2), None])
def test_parts_and_gradients_are_those_of_the_logits(tile):
  hidden, head, targets, weights = drawn()
  logits = hidden @ head.T
  log_sums = np.log(np.exp(logits).sum(axis=1))
  chosen = targets[:, None] == np.arange(len(head))
  given = [jnp.asarray(x, jnp.float32) for x in (hidden, head)] + [jnp.asarray(targets)]
  options = dict(tile=tile, interpret=True)
  parts = jax.jit(functools.partial(head_flash.log_sum_parts, **options))(*given)
  np.testing.assert_allclose(parts.most, logits.max(axis=1), rtol=1e-5)
  np.testing.assert_allclose(parts.most + np.log(parts.total), log_sums, rtol=1e-5)
  np.testing.assert_allclose(parts.chosen, np.where(chosen, logits, 0).sum(axis=1), atol=1e-5)
  found = jax.jit(functools.partial(head_flash.gradient_of_logits, **options))(
    *given, jnp.asarray(log_sums, jnp.float32), jnp.asarray(weights, jnp.float32)
  )
  expected = (chosen - np.exp(logits - log_sums[:, None])) * weights[:, None]
  assert found.shape == logits.shape
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_kernels_are_lowered_for_a_gpu_without_one():
  if jax.__version_info__ >= (0, 11):
    pytest.skip("this JAX lowers for a GPU only where there is one")
  hidden, head = (jax.ShapeDtypeStruct(s, "bfloat16") for s in ((200, 576), (1000, 576)))
  targets, numbers = (jax.ShapeDtypeStruct((200,), d) for d in ("int32", "float32"))

  def both(hidden, head, targets, log_sums):
    parts = head_flash.log_sum_parts(hidden, head, targets)
    return parts, head_flash.gradient_of_logits(hidden, head, targets, log_sums, log_sums)

  traced = jax.jit(both).trace(hidden, head, targets, numbers)
  assert traced.lower(lowering_platforms=("cuda",)).as_text().count("gpu.triton") == 2


def interpret(factor=1.0):
  """Kernels are chosen as on a GPU, and computed by interpretation; their gradients are off by a
  factor.
  """
  module._kernel_agrees.cache_clear()
  head_flash.has_kernel = lambda hidden, head: True
  parts, gradient = head_flash.log_sum_parts, head_flash.gradient_of_logits
  options = dict(tile=SMALL, interpret=True)
  head_flash.log_sum_parts = functools.partial(parts, **options)
  head_flash.gradient_of_logits = lambda *given: gradient(*given, **options) * factor


@pytest.fixture
def as_on_a_gpu(monkeypatch):
  for name in ("has_kernel", "log_sum_parts", "gradient_of_logits"):
    monkeypatch.setattr(head_flash, name, getattr(head_flash, name))
  yield interpret
  module._kernel_agrees.cache_clear()


def test_kernels_are_taken_that_agree_and_write_no_logits(as_on_a_gpu, monkeypatch):
  as_on_a_gpu()
  given = plain.drawn("bfloat16")
  value, gradients = jax.jit(jax.value_and_grad(plain.value, (0, 1)))(*given)
  log_probs, *expected = plain.expected(*given)
  np.testing.assert_allclose(value, (log_probs * np.asarray(given[3])).sum(), rtol=0.02)
  for one, other in zip(gradients, expected, strict=True):
    np.testing.assert_allclose(
      np.asarray(one, np.float32), other, rtol=0.02, atol=0.02 * np.abs(other).max()
    )
  # Nothing of the size of all logits is float32 but what is interpreted block by block.
  monkeypatch.setattr(module, "LOGITS_AT_ONCE", plain.ROWS * plain.VOCAB * 4)
  sliced, again = jax.jit(jax.value_and_grad(plain.value, (0, 1)))(*given)
  np.testing.assert_allclose(sliced, value, rtol=1e-6)
  for one, other in zip(again, gradients, strict=True):
    np.testing.assert_allclose(
      np.asarray(one, np.float32), np.asarray(other, np.float32), atol=0.02, rtol=0.02
    )


def test_plain_jax_is_taken_where_the_kernels_are_wrong(as_on_a_gpu):
  given = plain.drawn("bfloat16")
  expected = jax.jit(jax.grad(plain.value, (0, 1)))(*given)
  as_on_a_gpu(1.05)
  with pytest.warns(UserWarning, match="plain JAX is taken"):
    found = jax.jit(jax.grad(lambda *given: plain.value(*given), (0, 1)))(*given)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_array_equal(np.asarray(one, np.float32), np.asarray(other, np.float32))


_ON_A_MESH = """
import sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
import test_head_flash, test_token_log_probs as t
from jax.sharding import NamedSharding, PartitionSpec as P
from spftsql_jax.models import sharding
given = t.drawn()
wanted = jax.jit(jax.value_and_grad(t.value, (0, 1)))(*given)
test_head_flash.interpret()
rows = P(("data", "fsdp"))
for spec, vocab in (("fsdp:4", None), ("data:2,tensor:2", "tensor")):
  mesh = sharding.make_mesh(spec)
  places = [NamedSharding(mesh, p) for p in (rows, P(vocab, "fsdp"), rows, rows)]
  with sharding.use_mesh(mesh):
    run = jax.jit(jax.value_and_grad(t.value, (0, 1)), out_shardings=(None, tuple(places[:2])))
    found = run(*map(jax.device_put, given, places))
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-5)
print("as one")
"""


def test_parts_of_the_vocabulary_on_a_mesh_give_what_one_device_gives():
  assert "as one" in run_on_devices(_ON_A_MESH, 4, str(TESTS))
