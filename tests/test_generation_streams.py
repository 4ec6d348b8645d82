"""Prefixes and prompts end to end: nothing is lost, and little is padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.generation.engine import Generator, Request
from spftsql_jax.generation.streams import (
  RowSize,
  fill_rows,
  prefix_rows,
  prefix_sizes,
  prompt_rows,
  prompt_tokens,
)
from spftsql_jax.models import Decoder, ModelConfig, init_params


def drawn(seed, count, longest):
  rng = np.random.default_rng(seed)
  return [tuple(rng.integers(5, 90, n).tolist()) for n in rng.integers(1, longest + 1, count)]


@pytest.mark.parametrize("rows", [1, 3])
def test_prefixes_are_read_in_as_few_rows_as_hold_them(rows):
  lengths = [300, 20, 250, 40, 128, 90, 60, 10]
  one, several = prefix_sizes(lengths, 4)
  assert one == RowSize(384, 1) and several.prefixes == 8 and several.tokens <= 4 * 384
  chosen = fill_rows(lengths, rows, RowSize(384, 3))
  assert len(chosen) == rows and all(len(row) <= 3 for row in chosen)
  assert all(sum(lengths[i] for i in row) <= 384 for row in chosen)
  # The longest are in, and every row has one.
  assert 0 in chosen[0] and all(chosen)


def test_rows_of_prefixes_hold_each_as_it_is():
  prefixes = drawn(0, 5, 30)
  rows = prefix_rows([prefixes[:3], prefixes[3:]], RowSize(96, 4), 32, pad_id=0)
  for row, own in enumerate([prefixes[:3], prefixes[3:]]):
    for place, prefix in enumerate(own):
      start, length = rows.starts[row, place], rows.lengths[row, place]
      part = slice(start, start + length)
      assert tuple(rows.tokens[row, part]) == prefix
      assert rows.positions[row, part].tolist() == list(range(length))
      assert set(rows.ends[row, part]) == {start + length}
  assert rows.lengths[0, 3] == rows.lengths[1, 2] == rows.lengths[1, 3] == 0
  # Padding is seen by none.
  assert (rows.ends == 0).sum() == rows.tokens.size - sum(map(len, prefixes))
  apart = rows.apart(jnp.asarray(rows.tokens)[..., None])
  assert apart.shape == (8, 32, 1)
  for row, prefix in zip((0, 1, 2, 4, 5), prefixes, strict=True):
    assert tuple(apart[row, : len(prefix), 0].tolist()) == prefix


def test_prompts_are_apart_and_together_again():
  prompts = [drawn(seed, count, 12) for seed, count in enumerate((3, 0, 1, 2))]
  packed = prompt_rows(prompts, 2, 40, 3, 12, pad_id=0)
  assert packed.tokens.shape == (2, 40) and packed.starts.shape == (4, 3)
  apart = packed.apart(jnp.asarray(packed.tokens))
  for schema, own in enumerate(prompts):
    for branch, prompt in enumerate(own):
      assert tuple(apart[schema, branch, : len(prompt)].tolist()) == prompt
      last = packed.last(jnp.asarray(packed.tokens)[..., None])
      assert int(last[schema, branch, 0]) == prompt[-1]
  again = np.asarray(packed.together(apart))
  for row, own in enumerate((prompts[:2], prompts[2:])):
    held = sum(len(prompt) for part in own for prompt in part)
    np.testing.assert_array_equal(again[row, :held], packed.tokens[row, :held])
  with pytest.raises(ValueError, match="a row of 8 tokens does not hold"):
    prompt_rows([[range(5), range(5)]], 1, 8, 2, 6, pad_id=0)


def test_rows_of_prompts_hold_the_longest_and_no_more_than_all_slots():
  assert prompt_tokens([3] * 99 + [48], branches=2, slots=48) == 48
  assert prompt_tokens([48] * 9, branches=4, slots=48) == 4 * 48
  assert prompt_tokens([20] * 99, branches=64, slots=48) == 1408 < 64 * 48


def test_what_is_read_is_little_more_than_what_there_is():
  config = ModelConfig("llama", 96, 16, 16, 1, 2, 2, 8)
  generator = Generator(Decoder(config), lanes=16)
  params = init_params(config, jax.random.key(0))
  rng = np.random.default_rng(0)
  requests = [
    Request(prefix, tuple(rng.integers(5, 90, rng.integers(9, 33)).tolist()))
    for prefix in drawn(1, 24, 130)
    for _ in range(16)
  ]
  answers = generator.generate(params, requests, max_new_tokens=2, eos_id=1)
  assert len(answers) == len(requests)
  found = generator.statistics
  held = sum(len(r.prompt) for r in requests) + sum(map(len, {r.prefix for r in requests}))
  assert found.prefill_tokens == held
  # 1.9 where each prefix and prompt is padded by itself.
  assert found.prefill_computed < 1.45 * held


def test_requests_without_a_prefix_are_answered():
  config = ModelConfig("llama", 96, 16, 16, 1, 2, 2, 8)
  params = init_params(config, jax.random.key(0))
  requests = [Request((), (5, 6, 7)), Request((8, 9), (5, 6)), Request((), (7,))]
  together = Generator(Decoder(config), lanes=4)
  answers = together.generate(params, requests, max_new_tokens=3, eos_id=1)
  for request, answer in zip(requests, answers, strict=True):
    alone = Generator(Decoder(config), lanes=4)
    assert alone.generate(params, [request], max_new_tokens=3, eos_id=1)[0].tokens == answer.tokens
