"""Generation: the answers of transformers.generate, whatever else is in the batch; samples from the
right distribution.
"""

from __future__ import annotations

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hf_checkpoints as checkpoints
from on_devices import run_on_devices

from spftsql_jax.examples.batches import Branch
from spftsql_jax.generation import Answer, Generator, Request, Sampling
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.generation.sampling import Sampler
from spftsql_jax.models import Decoder, LoraConfig, attention, init_lora, load_hf, merge

LIMIT = 12
STOP = (5, 9, 17, 33, 40, 71)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  """(folder, model, params) of a random model with attention windows."""
  config = checkpoints.hf_config("qwen2_windows_in_upper_layers") | {"num_hidden_layers": 2}
  folder = tmp_path_factory.mktemp("model")
  checkpoints.write_checkpoint(folder, config, checkpoints.random_tensors(config))
  return folder, *load_hf(folder)


@pytest.fixture(scope="module")
def requests():
  """200 questions: many over one schema, some over two others, a few without schema, in mixed
  order.
  """
  rng = np.random.default_rng(0)
  prefixes = [tuple(rng.integers(3, 97, n).tolist()) for n in (70, 31, 100, 0)]
  made = [
    Request(prefixes[which], tuple(rng.integers(3, 97, rng.integers(1, 20)).tolist()))
    for which, count in enumerate((150, 36, 10, 4))
    for _ in range(count)
  ]
  return [made[i] for i in rng.permutation(len(made))]


@pytest.fixture(scope="module")
def greedy(small, requests):
  return Generator(small[1], lanes=8).generate(
    small[2], requests, max_new_tokens=LIMIT, eos_id=STOP
  )


def test_greedy_answers_are_those_of_transformers(small, requests, greedy):
  torch = pytest.importorskip("torch", reason="torch is not installed")
  reference = checkpoints.torch_model(small[0])
  assert len(requests) == 200
  by_length: dict[int, list[int]] = {}
  for i, request in enumerate(requests):
    by_length.setdefault(len(request.prefix + request.prompt), []).append(i)
  for length, same in by_length.items():
    ids = torch.tensor([requests[i].prefix + requests[i].prompt for i in same])
    output = reference.generate(
      ids,
      attention_mask=torch.ones_like(ids),
      max_new_tokens=LIMIT,
      do_sample=False,
      eos_token_id=list(STOP),
      pad_token_id=0,
    )
    for i, row in zip(same, output[:, length:].tolist(), strict=True):
      end = next((place for place, token in enumerate(row) if token in STOP), LIMIT - 1)
      assert tuple(row[: end + 1]) == greedy[i].tokens


def test_answers_end_at_a_stop_token_or_at_the_limit(greedy):
  assert {answer.status for answer in greedy} == {"stop", "length"}
  for answer in greedy:
    ended = [token in STOP for token in answer.tokens]
    assert not any(ended[:-1])
    assert ended[-1] == (answer.status == "stop")
    assert (len(answer.tokens) == LIMIT) or ended[-1]


def test_scores_are_the_log_probs_of_the_plain_forward_and_those_reported(small, requests, greedy):
  _, model, params = small
  branches = [Branch(r.prefix, r.prompt, a.tokens) for r, a in zip(requests, greedy, strict=True)]
  scores = Generator(model, lanes=8).score(params, branches)
  np.testing.assert_allclose(scores, [answer.log_prob for answer in greedy], atol=1e-4)
  sequences = np.zeros((len(branches), 160), np.int32)
  for i, branch in enumerate(branches):
    tokens = branch.prefix + branch.prompt + branch.answer
    sequences[i, : len(tokens)] = tokens
  logits = np.asarray(jax.jit(model.apply)({"params": params}, sequences), np.float64)
  for i, branch in enumerate(branches):
    start = len(branch.prefix) + len(branch.prompt) - 1
    rows = logits[i, start : start + len(branch.answer)]
    expected = rows[np.arange(len(rows)), branch.answer] - np.log(np.exp(rows).sum(axis=-1))
    np.testing.assert_allclose(scores[i], expected.sum(), atol=1e-4)


def test_an_answer_depends_on_its_request_alone(small, requests):
  _, model, params = small
  options = {"max_new_tokens": LIMIT, "eos_id": STOP, "temperature": 1.3, "seed": 4}
  generator, chosen = Generator(model, lanes=8), [r for r in requests if len(r.prefix) == 70][:19]
  together = generator.generate(params, chosen, **options)
  assert len({a.tokens for a in together}) > len(together) // 2
  some = [18, 3, 11, 7]
  apart = generator.generate(
    params, [Request(chosen[i].prefix, chosen[i].prompt, id=i) for i in some], **options
  )
  assert [a.tokens for a in apart] == [together[i].tokens for i in some]
  other = generator.generate(params, chosen, **(options | {"seed": 5}))
  assert [a.tokens for a in other] != [a.tokens for a in together]


def test_without_room_for_a_second_copy_the_layers_are_read_where_they_are(
  small, requests, greedy, monkeypatch
):
  class Device:
    """One that holds everything, with so much memory left."""

    free = 0
    __hash__ = None

    def __eq__(self, other):
      return True

    def memory_stats(self):
      return {"bytes_limit": 1_000_000 + self.free, "bytes_in_use": 1_000_000}

  made = []
  layers_of = lanes_lib.layers_of
  monkeypatch.setattr(lanes_lib, "layers_of", lambda *args: made.append(args) or layers_of(*args))
  monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
  needed = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(small[2]["layers"]))
  for Device.free, copies in ((needed - 1, 0), (needed, 1)):
    generator = Generator(small[1], lanes=8)
    answers = generator.generate(small[2], requests[:16], max_new_tokens=LIMIT, eos_id=STOP)
    assert [a.tokens for a in answers] == [a.tokens for a in greedy[:16]]
    assert len(made) == copies


def test_adapters_are_switched_without_compiling_again(small, requests, greedy):
  _, model, params = small
  lora = LoraConfig(rank=2, modules=("q", "down"))
  generator = Generator(Decoder(model.config, lora=lora), lanes=8)
  options = {"max_new_tokens": LIMIT, "eos_id": STOP}
  chosen = [r for r in requests if len(r.prefix) == 70][:8]
  zero = init_lora(model.config, lora, jax.random.key(0))
  same = generator.generate(params, chosen, lora=zero, **options)
  assert [a.tokens for a in same] == [
    a.tokens for a, r in zip(greedy, requests, strict=True) if len(r.prefix) == 70
  ][:8]
  before = lanes_lib.advance._cache_size()
  tree = jax.tree.map(lambda leaf: leaf + 0.1, zero)
  adapted = generator.generate(params, chosen, lora=tree, **options)
  assert lanes_lib.advance._cache_size() == before
  merged = Generator(model, lanes=8).generate(merge(params, tree, lora), chosen, **options)
  assert [a.tokens for a in adapted] == [a.tokens for a in merged] != [a.tokens for a in same]


def test_weights_bound_to_a_device_compile_each_program_once(small, requests):
  """Loaded weights are bound to a device, and so are the caches that a program gives back."""
  _, model, params = small
  bound = jax.device_put(params, jax.devices()[0])
  programs = (lanes_lib.place_prefixes, lanes_lib.admit, lanes_lib.advance)
  before = [program._cache_size() for program in programs]
  some = [request for request in requests if request.prefix][:40]
  assert len({request.prefix for request in some}) > 1
  Generator(model, lanes=1).generate(bound, some, max_new_tokens=3, eos_id=STOP)
  assert [p._cache_size() - n for p, n in zip(programs, before, strict=True)] == [1, 1, 1]


def test_what_cannot_be_answered_gets_a_status_and_the_rest_an_answer(small, requests, greedy):
  _, model, params = small
  seen = {}
  mixed = [
    Request((3, 4), ()),
    requests[0],
    Request(tuple([3] * 600), (4,)),
    Request((3, 97), (4,)),
    Request((3,), (4, -1)),
  ]
  answers = Generator(model, lanes=8).generate(
    params,
    mixed,
    max_new_tokens=LIMIT,
    eos_id=STOP,
    on_answer=lambda i, answer: seen.update({i: answer}),
  )
  assert answers[0] == Answer((), 0.0, "empty_prompt")
  assert answers[1].tokens == greedy[0].tokens
  assert answers[2] == Answer((), 0.0, "too_long")
  assert answers[3] == answers[4] == Answer((), 0.0, "unknown_token")
  assert seen == dict(enumerate(answers))
  assert Generator(model).generate(params, [], max_new_tokens=3, eos_id=1) == []


def test_requests_take_any_sequence_and_an_id_in_range(small, requests, greedy):
  lists = Request(np.array(requests[0].prefix, np.int32), list(requests[0].prompt), id=2**32 - 1)
  assert lists.prefix == requests[0].prefix and lists.prompt == requests[0].prompt
  options = {"max_new_tokens": LIMIT, "eos_id": STOP}
  assert (
    Generator(small[1], lanes=8).generate(small[2], [lists], **options)[0].tokens
    == greedy[0].tokens
  )
  for id_ in (-1, 2**32):
    with pytest.raises(ValueError, match="id"):
      Request((3,), (4,), id=id_)


def test_finished_lanes_are_filled_again(small, requests):
  """With eight lanes and 19 questions of one schema, lanes are filled as they end: fewer steps than
  three full rounds.
  """
  generator = Generator(small[1], lanes=8)
  chosen = [r for r in requests if len(r.prefix) == 70][:19]
  answers = generator.generate(small[2], chosen, max_new_tokens=LIMIT, eos_id=STOP)
  assert generator.statistics.tokens == sum(len(a.tokens) for a in answers)
  assert generator.statistics.prefill_tokens == 70 + sum(len(r.prompt) for r in chosen)
  assert generator.statistics.lane_steps <= 3 * 8 * (LIMIT - 1)


def sampled_counts(logits, draws, **options):
  sampler = Sampler.of(Sampling(**options))
  tokens, log_probs = jax.jit(sampler.choose)(
    jnp.broadcast_to(logits, (draws, len(logits))),
    jnp.arange(draws, dtype=jnp.uint32),
    jnp.zeros(draws, jnp.int32),
  )
  expected = jax.nn.log_softmax(logits)[tokens]
  np.testing.assert_allclose(log_probs, expected, atol=1e-5)
  return np.bincount(tokens, minlength=len(logits))


@pytest.mark.parametrize(
  "options",
  [{"temperature": 1.0}, {"temperature": 0.6, "top_k": 4}, {"temperature": 1.5, "top_p": 0.9}],
  ids=["plain", "top_k", "top_p"],
)
def test_samples_follow_the_distribution(options):
  logits = np.random.default_rng(3).normal(size=11).astype(np.float32) * 1.5
  # The distribution, by definition, in float64.
  scaled = logits.astype(np.float64) / options["temperature"]
  order = np.argsort(-scaled)
  if "top_k" in options:
    scaled[order[options["top_k"] :]] = -np.inf
  probabilities = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
  if "top_p" in options:
    before = np.cumsum(probabilities[order]) - probabilities[order]
    probabilities[order[before >= options["top_p"]]] = 0
    probabilities /= probabilities.sum()
  counts = sampled_counts(jnp.asarray(logits), 20_000, seed=7, **options)
  possible = probabilities > 0
  assert possible.sum() > 2 and counts[~possible].sum() == 0
  assert (
    scipy.stats.chisquare(counts[possible], probabilities[possible] * counts.sum()).pvalue > 1e-3
  )


def test_sampled_answers_follow_the_model_s_distribution(small):
  """Two tokens of 1,500 answers to one prompt, lanes filled again and again, against the plain
  forward in float64.
  """
  _, model, params = small
  request, count = Request((3, 4, 5), (6, 7)), 1500
  options = {"max_new_tokens": 2, "eos_id": 0, "temperature": 0.7, "top_k": 5}
  answers = Generator(model, lanes=8).generate(params, [request] * count, **options)
  forward = jax.jit(lambda tokens: model.apply({"params": params}, tokens)[:, -1])

  def distribution(tokens):
    logits = (
      np.asarray(forward(np.array([tokens], np.int32)), np.float64)[0] / options["temperature"]
    )
    logits[logits < np.sort(logits)[-options["top_k"]]] = -np.inf
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

  prompt, expected = [3, 4, 5, 6, 7], {}
  for first in np.flatnonzero(start := distribution(prompt)):
    second = distribution([*prompt, first])
    if first == 0:
      expected[(0,)] = start[0]
    else:
      expected |= {(first, token): start[first] * second[token] for token in np.flatnonzero(second)}
  seen = {
    tokens: sum(a.tokens == tokens for a in answers) for tokens in {a.tokens for a in answers}
  }
  assert seen.keys() <= expected.keys()
  # Rare answers are counted together: the test wants about five of each.
  common = [tokens for tokens, p in expected.items() if p * count >= 5]
  observed = np.array([seen.get(tokens, 0) for tokens in common])
  wanted = np.array([expected[tokens] * count for tokens in common])
  if len(common) < len(expected):
    observed, wanted = (
      np.append(observed, count - observed.sum()),
      np.append(wanted, count - wanted.sum()),
    )
  assert len(common) > 8 and observed.sum() == count
  assert scipy.stats.chisquare(observed, wanted, sum_check=False).pvalue > 1e-3


def test_tokens_without_mass_are_never_sampled():
  logits = jnp.where(jnp.arange(1000) % 37 == 5, 0.0, -jnp.inf)
  counts = sampled_counts(jnp.where(jnp.isinf(logits), -1e9, logits), 5_000, temperature=1.0)
  assert set(np.flatnonzero(counts)) == set(range(5, 1000, 37))


@pytest.mark.parametrize(
  "options", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}]
)
def test_sampling_options_out_of_range_are_refused(options):
  with pytest.raises(ValueError, match=next(iter(options))):
    Sampling(**options)


def test_scoring_refuses_empty_parts(small):
  with pytest.raises(ValueError, match="branch 1 has an empty answer"):
    Generator(small[1]).score(small[2], [Branch((3,), (4,), (5,)), Branch((3,), (4,), ())])


@pytest.mark.parametrize(("slots", "window"), [(70, None), (600, None), (256, 40)])
def test_attention_in_blocks_is_causal_attention(slots, window):
  rng = np.random.default_rng(slots)
  query, key, value = (
    jnp.asarray(rng.normal(size=(2, slots, 2, *more, 4)), jnp.float32) for more in ((3,), (), ())
  )
  lengths = np.array([[slots], [slots // 2]])
  keys = np.where(np.arange(slots) < lengths, np.arange(slots), 2**30)
  mask = attention.visible(jnp.arange(slots), jnp.asarray(keys), window)
  attend = jax.jit(attention.causal_attention, static_argnums=4)
  expected, actual = (attend(query, key, value, mask, blocks) for blocks in (1, 4))
  # Padding further from its prefix than the window sees nothing; what comes out there means
  # nothing.
  seen = np.asarray(mask).any(axis=-1)
  assert seen[0].all() and seen[1, : slots // 2].all()
  np.testing.assert_allclose(np.asarray(actual)[seen], np.asarray(expected)[seen], atol=2e-6)


def test_answers_are_handed_over_while_the_device_decodes(small, requests, monkeypatch):
  """Of a run with several stretches of decoding, none but the last stretch's answers wait until
  nothing is left to do.
  """
  _, model, params = small
  order = []
  advance = lanes_lib.advance
  monkeypatch.setattr(
    lanes_lib, "advance", lambda *arguments: order.append("decode") or advance(*arguments)
  )
  chosen = [r for r in requests if len(r.prefix) == 70][:19]
  options = {"max_new_tokens": LIMIT, "eos_id": STOP, "on_answer": lambda i, _: order.append(i)}
  generator = Generator(model, lanes=8)
  generator.generate(params, chosen, **options)
  assert sorted(o for o in order if o != "decode") == list(range(19))
  last = len(order) - order[::-1].index("decode")
  # Answers of the stretch before the last are handed over behind the start of the last: nothing
  # stands between two starts that could have been done during the later one.
  first = order.index("decode")
  assert order[first + 1] == "decode" and len(order[last:]) < 19
  assert 0 < generator.statistics.idle_seconds < generator.statistics.seconds


_ON_A_MESH = """
import sys
import jax, numpy as np
from spftsql_jax.generation import Generator, Request
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.models import load_hf, sharding
mesh = sharding.make_mesh("data:1,fsdp:2,tensor:2")
model, params = load_hf(sys.argv[1])
_, params_on_mesh = load_hf(sys.argv[1], shardings=mesh)
assert params_on_mesh["layers"]["mlp"]["up"]["kernel"].sharding.num_devices == 4
requests = [Request((3, 4, 5) * (1 + i % 2), tuple(range(6, 8 + i % 5)), id=i) for i in range(10)]
options = dict(max_new_tokens=6, eos_id=(9, 17), temperature=1.0, seed=1)
alone = Generator(model, lanes=4).generate(params, requests, **options)
generator = Generator(model, lanes=4, mesh=mesh)
assert generator.generate(params_on_mesh, requests, **options)[0].tokens == alone[0].tokens
programs = (lanes_lib.advance, lanes_lib.admit, lanes_lib.place_prefixes)
compiled = [program._cache_size() for program in programs]
shared = generator.generate(params_on_mesh, requests, **options)
assert [a.tokens for a in shared] == [a.tokens for a in alone]
assert compiled == [program._cache_size() for program in programs]
empty = lanes_lib.empty_rows(model, 1, 8), lanes_lib.empty_lanes(model, 1, 4, 8, 8)
rows, lanes = lanes_lib.place_on_mesh(*empty, mesh)
shard = rows.key[0].addressable_shards[0].data
assert shard.shape == (1, 1, 16 // 2, 8), shard.shape
assert lanes.cache.key[0].addressable_shards[0].data.shape[:2] == (1, 2)
"""


def test_answers_on_four_devices_are_those_of_one(small):
  run_on_devices(_ON_A_MESH, 4, str(small[0]))
