"""The forwards of the decoder agree: prefix-branch and cached ones with the plain causal one,
adapters with merged params.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.generation import streams
from spftsql_jax.models import (
  Decoder,
  LoraConfig,
  ModelConfig,
  init_lora,
  init_params,
  merge,
  transformer,
)
from spftsql_jax.models.caches import PrefixRows, Prompts

SMALL = {
  "vocab_size": 61,
  "hidden_size": 32,
  "intermediate_size": 48,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "head_dim": 8,
  "initializer_range": 0.3,
}
# Compiling is most of the time of these tests.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
CONFIGS = {
  "llama": ModelConfig(
    "llama", **(SMALL | {"num_key_value_heads": 4}), attention_bias=True, attention_output_bias=True
  ),
  "qwen2_windows": ModelConfig(
    "qwen2", **SMALL, attention_bias=True, tie_word_embeddings=True, windows=(None, 6), remat="full"
  ),
  "qwen3": ModelConfig(
    "qwen3", **(SMALL | {"num_key_value_heads": 1, "head_dim": 12}), qk_norm=True, remat="dots"
  ),
  "mistral": ModelConfig("mistral", **SMALL, windows=(9, 9)),
}
# B, K, P, L and the prefix lengths: full, part, one and none.
SHAPES = ((3, 2, 14, 7, (14, 5, 0)), (1, 5, 9, 3, (1,)))


def make_batch(shape, seed=0):
  """Random prefix, lengths, branches, and a weight for each branch token (0 for some: padding)."""
  b, k, p, l, lengths = shape
  rng = np.random.default_rng(seed)
  prefix, branch = rng.integers(0, 61, (b, p)), rng.integers(0, 61, (b, k, l))
  weights = rng.normal(size=(b, k, l - 1)) * (rng.random((b, k, l - 1)) < 0.8)
  return prefix, np.array(lengths), branch, weights.astype(np.float32)


def log_probs(logits, targets):
  return jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), targets[..., None], axis=-1)[
    ..., 0
  ]


def branch_loss(variables, model, batch):
  """Weighted log-probs of the branches' own tokens through the prefix-branch forward."""
  prefix, lengths, branch, weights = batch
  hidden = model.apply(variables, prefix, lengths, branch, method="branch_hidden")
  chosen = log_probs(model.apply(variables, hidden[..., :-1, :], method="logits"), branch[..., 1:])
  return jnp.sum(chosen * weights)


def plain_loss(variables, model, batch):
  """The same, each branch as a sequence of its own behind a copy of its prefix."""
  prefix, lengths, branch, weights = batch
  b, k, l = branch.shape
  sequences = np.zeros((b * k, prefix.shape[1] + l), np.int64)
  places = np.zeros((b * k, l), np.int64)
  for i in range(b):
    for j in range(k):
      n = lengths[i]
      sequences[i * k + j, : n + l] = np.concatenate([prefix[i, :n], branch[i, j]])
      places[i * k + j] = n + np.arange(l)
  logits = model.apply(variables, sequences)
  logits = jnp.take_along_axis(logits, places[..., None], axis=1)[:, :-1]
  return jnp.sum(log_probs(logits, branch.reshape(b * k, l)[:, 1:]) * weights.reshape(b * k, -1))


def assert_close_trees(a, b, tolerance):
  scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(b))
  assert scale > 0.1
  for path, leaf in jax.tree_util.tree_leaves_with_path(a):
    other = b
    for key in path:
      other = other[key.key]
    np.testing.assert_allclose(
      leaf, other, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path)
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_prefix_branch_loss_equals_that_of_separate_sequences(name):
  config = CONFIGS[name].replace(remat="none")
  model, params = Decoder(config), init_params(config, jax.random.key(0))
  for shape in SHAPES:
    batch = make_batch(shape)
    value = compiled(lambda p: branch_loss({"params": p}, model, batch))(params)  # noqa: B023
    expected = compiled(lambda p: plain_loss({"params": p}, model, batch))(params)  # noqa: B023
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["qwen2_windows", "qwen3"])
def test_prefix_branch_loss_and_gradients_equal_those_of_separate_sequences(name):
  model, params = Decoder(CONFIGS[name]), init_params(CONFIGS[name], jax.random.key(0))
  batch = make_batch(SHAPES[0])
  value, gradient = compiled(
    jax.value_and_grad(lambda p: branch_loss({"params": p}, model, batch))
  )(params)
  expected, expected_gradient = compiled(
    jax.value_and_grad(lambda p: plain_loss({"params": p}, model, batch))
  )(params)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert_close_trees(gradient, expected_gradient, 1e-5)


def test_adapter_gradients_through_prefix_and_branches_equal_those_of_separate_sequences():
  config, lora = (
    CONFIGS["qwen2_windows"],
    LoraConfig(rank=3, alpha=7.0, modules=("q", "k", "o", "up")),
  )
  model, params = Decoder(config, lora=lora), init_params(config, jax.random.key(0))
  tree = jax.tree.map(lambda leaf: leaf + 0.2, init_lora(config, lora, jax.random.key(1)))
  batch = make_batch(SHAPES[0])
  gradient = compiled(jax.grad(lambda t: branch_loss({"params": params, "lora": t}, model, batch)))(
    tree
  )
  expected = compiled(jax.grad(lambda t: plain_loss({"params": params, "lora": t}, model, batch)))(
    tree
  )
  assert_close_trees(gradient, expected, 1e-5)


def test_a_branch_reads_neither_other_branches_nor_padding():
  model, params = Decoder(CONFIGS["qwen3"]), init_params(CONFIGS["qwen3"], jax.random.key(0))
  run = compiled(lambda *arrays: model.apply({"params": params}, *arrays, method="branch_hidden"))
  prefix, lengths, branch, _ = make_batch(SHAPES[0])
  before = run(prefix, lengths, branch)
  changed_prefix, changed_branch = prefix.copy(), branch.copy()
  changed_prefix[1, lengths[1] :] = 60 - prefix[1, lengths[1] :]
  changed_branch[:, 1] = 60 - branch[:, 1]
  changed_branch[:, 0, 4:] = 60 - branch[:, 0, 4:]
  after = run(changed_prefix, lengths, changed_branch)
  np.testing.assert_array_equal(before[:, 0, :4], after[:, 0, :4])
  assert np.abs(before[:, 0, 4:] - after[:, 0, 4:]).min(axis=(1, 2)).max() > 0
  assert np.abs(before[:, 1] - after[:, 1]).max() > 0.1


def test_plain_forward_ignores_what_follows_the_lengths():
  model, params = Decoder(CONFIGS["llama"]), init_params(CONFIGS["llama"], jax.random.key(0))
  run = compiled(lambda tokens, lengths: model.apply({"params": params}, tokens, lengths))
  tokens, lengths = np.random.default_rng(0).integers(0, 61, (2, 10)), np.array([10, 4])
  changed = tokens.copy()
  changed[1, 4:] = 60 - tokens[1, 4:]
  before, after = run(tokens, lengths), run(changed, lengths)
  np.testing.assert_array_equal(before[0], after[0])
  np.testing.assert_array_equal(before[1, :4], after[1, :4])


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", ["qwen2_windows", "qwen3"])
def test_cached_decoding_gives_the_logits_of_the_plain_forward(name, together):
  config = CONFIGS[name]
  model, params = Decoder(config), init_params(config, jax.random.key(0))
  variables = {"params": params}
  prefix, lengths, branch, _ = make_batch(SHAPES[0])
  steps, slots = 4, 5
  prompt_lengths = np.array([[3, 1], [2, 3], [1, 2]])
  new = np.random.default_rng(1).integers(0, 61, (3, 2, steps))

  # A row for each, or all of them end to end.
  read, asked = PrefixRows.padded(prefix, lengths), Prompts.padded(branch[:, :, :3], prompt_lengths)
  if together:
    prefixes = [row[:length] for row, length in zip(prefix, lengths, strict=True)]
    prompts = [
      [row[:length] for row, length in zip(*own, strict=True)]
      for own in zip(branch, prompt_lengths, strict=True)
    ]
    read = streams.prefix_rows([prefixes], streams.RowSize(48, 3), prefix.shape[1], 7)
    asked = streams.prompt_rows(prompts, 1, 16, 2, 3, 7)

  @compiled
  def decode(variables):
    cache = model.apply(variables, read, method="prefill")
    arguments = (cache, lengths, asked, slots)
    logits, branches = model.apply(variables, *arguments, method="prefill_branches")
    collected = [logits]
    for step in range(steps):
      arguments = (cache, lengths, branches, new[:, :, step], step)
      logits, branches = model.apply(variables, *arguments, method="decode_step")
      collected.append(logits)
    return jnp.stack(collected, axis=2)

  ours = decode(variables)
  plain = compiled(lambda tokens: model.apply(variables, tokens))
  for i in range(3):
    for j in range(2):
      own = np.concatenate([branch[i, j, : prompt_lengths[i, j]], new[i, j]])
      sequence = np.zeros((1, 24), np.int64)
      sequence[0, : lengths[i] + len(own)] = np.concatenate([prefix[i, : lengths[i]], own])
      first = lengths[i] + prompt_lengths[i, j] - 1
      np.testing.assert_allclose(
        ours[i, j], plain(sequence)[0, first : first + steps + 1], atol=2e-5
      )


def test_training_and_prefill_attend_by_one_function(monkeypatch):
  model, params = Decoder(CONFIGS["llama"]), init_params(CONFIGS["llama"], jax.random.key(0))
  prefix, lengths, *_ = make_batch(SHAPES[0])
  rows = PrefixRows.padded(prefix, lengths)
  calls = []
  attend = transformer.packed_attention
  monkeypatch.setattr(
    transformer, "packed_attention", lambda *a: calls.append(a[0].shape) or attend(*a)
  )
  for arguments, method in (
    ((rows.tokens, rows.positions, rows.ends), "packed_hidden"),
    ((rows,), "prefill"),
  ):
    calls.clear()
    jax.eval_shape(functools.partial(model.apply, method=method), {"params": params}, *arguments)
    assert calls and set(calls) == {(3, 14, 4, 1, 8)}


def test_prefill_computes_nothing_behind_the_last_keys():
  # Unrolled: of a loop XLA counts the operations of one round.
  model = Decoder(CONFIGS["llama"], unroll=True)
  params = init_params(CONFIGS["llama"], jax.random.key(0))
  prefix, lengths, *_ = make_batch(SHAPES[0])
  rows = PrefixRows.padded(prefix, lengths)

  def flops(*arguments: Any, method: str) -> float:
    run = compiled(lambda p: model.apply({"params": p}, *arguments, method=method))
    return run.lower(params).compile().cost_analysis()["flops"]

  # Of the last of two layers the three products with the input alone are left.
  whole = flops(rows.tokens, rows.positions, rows.ends, method="packed_hidden")
  assert flops(rows, method="prefill") < 0.75 * whole


def test_fresh_adapter_changes_nothing_and_a_merged_one_computes_the_same():
  config, lora = CONFIGS["llama"], LoraConfig(rank=2, alpha=6.0)
  model, params = Decoder(config, lora=lora), init_params(config, jax.random.key(0))
  tree = init_lora(config, lora, jax.random.key(1))
  tokens = np.random.default_rng(0).integers(0, 61, (2, 9))
  run = compiled(model.apply)
  plain = run({"params": params}, tokens)
  np.testing.assert_array_equal(run({"params": params, "lora": tree}, tokens), plain)
  tree = jax.tree.map(lambda leaf: leaf + 0.1, tree)
  adapted = run({"params": params, "lora": tree}, tokens)
  assert np.abs(adapted - plain).max() > 0.1
  np.testing.assert_allclose(run({"params": merge(params, tree, lora)}, tokens), adapted, atol=1e-4)


def test_adapter_dropout_acts_only_where_a_key_is_given():
  config, lora = CONFIGS["qwen2_windows"], LoraConfig(rank=2, dropout=0.5)
  model, params = Decoder(config, lora=lora), init_params(config, jax.random.key(0))
  tree = jax.tree.map(lambda leaf: leaf + 0.1, init_lora(config, lora, jax.random.key(1)))
  variables, tokens = {"params": params, "lora": tree}, np.arange(8)[None]
  run = compiled(
    lambda key: model.apply(variables, tokens, rngs=None if key is None else {"dropout": key})
  )
  quiet = run(None)
  merged = compiled(Decoder(config).apply)({"params": merge(params, tree, lora)}, tokens)
  np.testing.assert_allclose(quiet, merged, atol=1e-4)
  assert np.abs(run(jax.random.key(0)) - quiet).max() > 1e-3


def test_an_adapter_without_its_config_is_refused():
  config, lora = CONFIGS["llama"], LoraConfig(rank=2)
  variables = {
    "params": init_params(config, jax.random.key(0)),
    "lora": init_lora(config, lora, jax.random.key(1)),
  }
  with pytest.raises(ValueError, match="LoraConfig"):
    Decoder(config).apply(variables, np.zeros((1, 2), np.int32))
