"""The kernel by which answers attend, interpreted: heads are those of a plain softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.models import branch_attention as attention_module
from spftsql_jax.models import branch_flash, packed_flash
from spftsql_jax.models.branch_attention import NEVER, Branches, branch_attention
from spftsql_jax.models.packed_flash import Tile

SMALL = Tile(16, 16)


def made(seed, batch, branches, length, heads, groups, size, prefix, own):
  """Branches of schemas of several lengths, each with as many own tokens as it happens to have."""
  rng = np.random.default_rng(seed)
  query = rng.normal(size=(batch, branches, length, heads, groups, size))
  prefix_kv = rng.normal(size=(2, batch, prefix, heads, size))
  own_kv = rng.normal(size=(2, batch, branches, own, heads, size))
  lengths = rng.integers(1, prefix + 1, batch)
  filled = rng.integers(length, own + 1, (batch, branches, 1))
  places = lengths[:, None, None] + np.arange(own)
  own_positions = np.where(np.arange(own) < filled, places, NEVER)
  # A ring of slots: the newest token may lie in front of others.
  turns = rng.permutation(own)
  positions = lengths[:, None, None] + filled - length + np.arange(length)
  return Branches(
    query, positions, *prefix_kv, lengths, *own_kv[:, :, :, turns], own_positions[..., turns]
  )


def plain(given, window):
  """The softmax over all keys that are seen, in float64."""
  batch, branches, length, heads, groups, size = given.query.shape
  prefix = given.prefix_key.shape[1]
  out = np.zeros(given.query.shape)
  for b, k, i, n, g in np.ndindex(batch, branches, length, heads, groups):
    at = given.positions[b, k, i]
    keys = np.concatenate([given.prefix_key[b, :, n], given.own_key[b, k, :, n]])
    values = np.concatenate([given.prefix_value[b, :, n], given.own_value[b, k, :, n]])
    places = np.where(np.arange(prefix) < given.prefix_lengths[b], np.arange(prefix), NEVER)
    places = np.concatenate([places, given.own_positions[b, k]])
    seen = (places <= at) & (at - places < (window or NEVER))
    scores = keys[seen] @ given.query[b, k, i, n, g] / size**0.5
    weights = np.exp(scores - scores.max())
    out[b, k, i, n, g] = weights / weights.sum() @ values[seen]
  return out


CASES = [
  # A token of each branch: a block has queries of several branches, or of a part of one.
  ((2, 7, 1, 2, 3, 16, 40, 24), None),
  ((1, 3, 1, 1, 20, 16, 9, 5), None),
  # Prompts; an own cache and a prefix that no block divides; windows.
  ((1, 3, 7, 2, 2, 32, 33, 7), None),
  ((2, 4, 1, 1, 6, 16, 20, 40), 9),
  ((2, 2, 5, 1, 1, 16, 50, 30), 12),
]


@pytest.mark.parametrize(("shape", "window"), CASES)
def test_heads_are_those_of_a_plain_softmax(shape, window):
  given = made(len(shape) + shape[1], *shape)
  narrow = Branches(*(jnp.asarray(x, jnp.float32 if x.dtype.kind == "f" else int) for x in given))
  run = jax.jit(
    lambda given: branch_flash.branch_attention(*given, window, tile=SMALL, interpret=True)
  )
  np.testing.assert_allclose(run(narrow), plain(given, window), atol=2e-6)
  # So are those without the kernel.
  other = jax.jit(lambda given: branch_attention(given, window))(narrow)
  np.testing.assert_allclose(other, plain(given, window), atol=2e-6)


def test_blocks_are_small_where_there_are_few_queries():
  assert branch_flash.usual_tile(64 * 12, 128, "bfloat16").queries == 16
  assert branch_flash.usual_tile(1024 * 12 * 4, 128, "bfloat16").queries == 64
  # Of keys as many as fit.
  assert branch_flash.usual_tile(64, 256, "float32").keys == 32


@pytest.mark.parametrize(("length", "size"), [(1, 128), (40, 64)])
def test_the_kernel_is_lowered_for_a_gpu_without_one(length, size):
  if jax.__version_info__ >= (0, 11):
    pytest.skip("this JAX lowers for a GPU only where there is one")
  given = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, "bfloat16" if x.dtype.kind == "f" else "int32"),
    made(0, 1, 6, length, 2, 3, size, 100, 50),
  )
  traced = jax.jit(lambda given: branch_flash.branch_attention(*given, 7)).trace(given)
  assert traced.lower(lowering_platforms=("cuda",)).as_text().count("gpu.triton") == 1


@pytest.fixture
def as_on_a_gpu(monkeypatch):
  """The kernel is chosen as on a GPU, and computed by interpretation."""
  attention_module._kernel_agrees.cache_clear()
  monkeypatch.setattr(packed_flash, "is_ampere_or_newer", lambda: True)

  def use(change):
    kernel = branch_flash.branch_attention
    monkeypatch.setattr(
      attention_module.branch_flash,
      "branch_attention",
      lambda *given, **options: change(kernel(*given, **options, tile=SMALL, interpret=True)),
    )

  yield use
  attention_module._kernel_agrees.cache_clear()


def attended():
  """Heads of a jitted call, and those of the plain way."""
  given = made(3, 2, 4, 1, 2, 3, 16, 40, 24)
  narrow = Branches(*(jnp.asarray(x, "bfloat16" if x.dtype.kind == "f" else int) for x in given))
  plain = lambda given: attention_module._plain(given, None)  # noqa: E731
  runs = [jax.jit(lambda given: branch_attention(given)), jax.jit(plain)]
  return [np.asarray(run(narrow), np.float32) for run in runs]


def test_a_kernel_is_taken_that_agrees(as_on_a_gpu):
  calls = []
  as_on_a_gpu(lambda out: calls.append(1) or out)
  found, expected = attended()
  np.testing.assert_allclose(found, expected, atol=0.03)
  assert len(calls) == 2  # To be compared, then to be used.


def test_the_plain_way_is_taken_where_the_kernel_is_wrong(as_on_a_gpu):
  as_on_a_gpu(lambda out: out * 1.05)
  with pytest.warns(UserWarning, match="the plain way is taken"):
    found, expected = attended()
  np.testing.assert_array_equal(found, expected)
