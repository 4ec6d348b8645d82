"""log p of tokens: the mathematics in float64, and what the programs hold, multiply and send."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from on_devices import TESTS, run_on_devices

from spftsql_jax.models import token_log_probs as module
from spftsql_jax.models.token_log_probs import token_log_probs

ROWS, WIDTH, HIDDEN, VOCAB = 4, 21, 16, 48


def drawn(dtype="float32"):
  rng = np.random.default_rng(0)
  hidden, head = rng.normal(size=(ROWS, WIDTH, HIDDEN)), rng.normal(size=(VOCAB, HIDDEN))
  weights = jnp.asarray(rng.normal(size=(ROWS, WIDTH)), jnp.float32)
  targets = jnp.asarray(rng.integers(0, VOCAB, (ROWS, WIDTH)), jnp.int32)
  return jnp.asarray(hidden, dtype), jnp.asarray(head, dtype), targets, weights


def value(hidden, head, targets, weights):
  return jnp.sum(token_log_probs(hidden, head, targets) * weights)


def expected(hidden, head, targets, weights):
  """Log-probs, and the gradients of their weighted sum, in float64."""
  hidden, head, weights = (np.asarray(x, np.float64) for x in (hidden, head, weights))
  logits = hidden @ head.T
  logits -= logits.max(axis=-1, keepdims=True)
  probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
  chosen = np.asarray(targets)[..., None] == np.arange(VOCAB)
  to_logits = (chosen - probs) * weights[..., None]
  return (
    np.log(probs)[chosen].reshape(ROWS, WIDTH),
    to_logits @ head,
    gradient_of_head(to_logits, hidden),
  )


def gradient_of_head(to_logits, hidden):
  return np.einsum("rwv,rwd->vd", to_logits, hidden)


# All at once, in slices that do not divide the positions, and position by position.
@pytest.mark.parametrize("at_once", [1 << 26, ROWS * VOCAB * 4, 1])
@pytest.mark.parametrize("dtype,near", [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_values_and_gradients_are_those_of_a_softmax(monkeypatch, at_once, dtype, near):
  monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
  hidden, head, targets, weights = drawn(dtype)
  found = jax.jit(lambda *given: token_log_probs(*given))(hidden, head, targets)
  gradients = jax.jit(jax.grad(value, (0, 1)))(hidden, head, targets, weights)
  assert found.dtype == jnp.float32 and {g.dtype for g in gradients} == {jnp.dtype(dtype)}
  for one, other in zip((found, *gradients), expected(hidden, head, targets, weights), strict=True):
    np.testing.assert_allclose(
      np.asarray(one, np.float32), other, rtol=near, atol=near * np.abs(other).max()
    )


def lowered(dtype, learned=(0, 1)):
  """The program of the gradients, as it is handed to the compiler."""
  given = drawn(dtype)
  return jax.jit(jax.grad(value, learned)).lower(*given).as_text()


def test_products_are_of_the_model_s_dtype_with_float32_sums(monkeypatch):
  monkeypatch.setattr(module, "LOGITS_AT_ONCE", ROWS * VOCAB * 4)
  products = re.findall(r"dot_general.*: \(tensor<\S*x(\w+)>, tensor<\S*x(\w+)>\) -> .*x(\w+)>",
                        lowered("bfloat16"))  # fmt: skip
  # Forward, again, and the gradients of hidden states and head.
  assert products == [("bf16", "bf16", "f32")] * 4


def test_all_logits_are_nowhere_at_once(monkeypatch):
  everything = ROWS * WIDTH * VOCAB

  def largest(at_once):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    compiled = jax.jit(jax.grad(value, (0, 1))).lower(*drawn()).compile()
    shapes = re.findall(r"= f32\[([\d,]+)\]", compiled.as_text())
    return max(int(np.prod([int(n) for n in shape.split(",")])) for shape in shapes)

  assert largest(everything) >= everything  # or nothing is tested here
  assert largest(ROWS * VOCAB * 4) < everything / 2


def test_the_gradient_of_a_frozen_head_is_not_made(monkeypatch):
  for at_once in (1 << 26, ROWS * VOCAB * 4):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    learned, frozen = (lowered("float32", which).count("dot_general") for which in ((0, 1), (0,)))
    assert learned == frozen + 1


_ON_A_MESH = """
import sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
import test_token_log_probs as t
from jax.sharding import NamedSharding, PartitionSpec as P
from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.work import count_work
from spftsql_jax.models import sharding
from spftsql_jax.models import token_log_probs as module
given = t.drawn()
wanted = jax.jit(jax.value_and_grad(t.value, (0, 1)))(*given)
# Of the logits that a device has: rows and vocabulary are spread.
module.LOGITS_AT_ONCE = t.ROWS * t.VOCAB // 4 * 7
rows, whole = P(("data", "fsdp")), t.VOCAB * t.HIDDEN * 4
for spec, vocab in (("fsdp:4", None), ("data:2,tensor:2", "tensor"), ("fsdp:2,tensor:2", "tensor")):
  mesh = sharding.make_mesh(spec)
  places = [NamedSharding(mesh, p) for p in (rows, P(vocab, "fsdp"), rows, rows)]
  with sharding.use_mesh(mesh):
    run = jax.jit(jax.value_and_grad(t.value, (0, 1)), out_shardings=(None, tuple(places[:2])))
    run = run.lower(*map(jax.device_put, given, places)).compile()
    found = run(*map(jax.device_put, given, places))
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-5)
  work = count_work(read_program(run.as_text()))
  loops = [p.times for p in work.products]
  assert max(loops) == 3, loops
  # Whatever is as large as a device's part of the head goes over the mesh once in each direction.
  heads = [c for c in work.collectives if c.bytes * mesh.size >= whole]
  print(spec, [(c.kind, c.bytes, c.times) for c in heads])
  assert {c.times for c in heads} == {1}, heads
  assert sum(c.kind == "all-gather" for c in heads) == (mesh.shape["fsdp"] > 1), heads
print("once")
"""


def test_on_a_mesh_the_head_is_gathered_once_and_its_gradient_sent_once():
  assert run_on_devices(_ON_A_MESH, 4, str(TESTS)).endswith("once\n")
