"""Packed rows: every unit once in its place, and gradients that are those of plain sequences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from on_devices import TESTS, run_on_devices

from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.packing import (
  Packing,
  RowShape,
  choose_row_shape,
  count_rows,
  fits_row,
  pack,
  places_of,
  plan_rows,
  unit_tokens,
)
from spftsql_jax.generation.engine import Generator
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective, loss_and_gradients
from spftsql_jax.training.trainer import FitConfig, fit

BASE = {
  "model_type": "qwen2",
  "vocab_size": 61,
  "hidden_size": 16,
  "intermediate_size": 24,
  "num_hidden_layers": 1,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "max_position_embeddings": 256,
  "tie_word_embeddings": True,
  "initializer_range": 0.3,
}
VARIANTS = {
  "qwen2": {},
  "qwen3": {"model_type": "qwen3", "head_dim": 8},
  "llama3": {
    "model_type": "llama",
    "rope_scaling": {
      "rope_type": "llama3",
      "factor": 8.0,
      "low_freq_factor": 1.0,
      "high_freq_factor": 4.0,
      "original_max_position_embeddings": 32,
    },
    "tie_word_embeddings": False,
  },
  "window": {"model_type": "mistral", "sliding_window": 7},
  "window in some layers": {
    "use_sliding_window": True,
    "sliding_window": 7,
    "max_window_layers": 1,
    "num_hidden_layers": 2,
  },
}
OBJECTIVES = {
  "sft": Objective("sft"),
  "error_driven": Objective("error_driven", beta=0.3, nll_weight=0.5),
  "drop": Objective("error_driven", beta=0.3, on_correct="drop"),
  "spin": Objective("spin", beta=0.2),
  "floor": Objective("error_driven", beta=0.2, nll_weight=0.5, floor_weight=3.0),
  "dpo": Objective("dpo", beta=0.2, length_normalize=True),
}


def draw_units(seed, per_unit, schemas=(1, 5), a_schema=(1, 9), longest=20):
  """Units of random sizes; the two prompts of a pair differ now and then."""
  rng = np.random.default_rng(seed)
  draw = lambda low, high: tuple(rng.integers(1, 61, rng.integers(low, high + 1)).tolist())  # noqa: E731
  units = []
  for prefix in {draw(1, longest) for _ in range(rng.integers(*schemas))}:
    for _ in range(rng.integers(*a_schema)):
      prompt = draw(1, 6)
      prompts = [prompt, prompt if rng.random() < 0.8 else draw(1, 6)]
      sides = tuple(Branch(prefix, prompts[side], draw(1, 10)) for side in range(per_unit))
      opponent = tuple((-rng.gamma(2, 8, per_unit)).tolist()) if per_unit == 2 else ()
      units.append(Unit(sides, float(rng.integers(2)), opponent))
  return [units[i] for i in rng.permutation(len(units))]


def sequences_of(batch, row):
  """(tokens before the answer, answer) by its place in the row, read from what each token sees."""
  tokens, ends = batch.tokens[row], batch.ends[row]
  out = {}
  for slot, length in enumerate(batch.answer_lengths[row]):
    if length:
      start = batch.answer_start[row, slot]
      seen = [j for j in range(start) if ends[j] > start]
      assert all(ends[j] >= start + length for j in seen)
      np.testing.assert_array_equal(
        batch.positions[row, seen + list(range(start, start + length))],
        np.arange(len(seen) + length),
      )
      own = batch.owners[row] == slot
      assert batch.sources[row, own].tolist() == [seen[-1], *range(start, start + length - 1)]
      out[slot] = (
        tuple(tokens[seen].tolist()),
        tuple(tokens[start : start + length].tolist()),
      )
      assert tuple(batch.targets[row, own].tolist()) == out[slot][1]
  return out


@settings(max_examples=60, deadline=None)
@given(
  seed=st.integers(0, 10_000),
  per_unit=st.integers(1, 2),
  tokens=st.integers(50, 200),
  room=st.integers(0, 40),
)
def test_rows_hold_every_unit_once_and_show_each_answer_its_own_sequence(
  seed, per_unit, tokens, room
):
  units = draw_units(seed, per_unit)
  shape = RowShape(tokens, 2 + room // 4 * 2, 20 + room)
  assert all(fits_row(unit, shape) for unit in units)
  rows = plan_rows(units, shape, np.random.default_rng(seed))
  assert rows == plan_rows(units, shape, np.random.default_rng(seed))
  placed = [i for row in rows for piece in row for i in piece.units]
  assert sorted(placed) == list(range(len(units)))
  batch = pack(units, rows, shape, 0, count=len(rows) + 1)
  found = [sequences_of(batch, row) for row in range(len(rows) + 1)]
  assert not found[-1] and not batch.ends[-1].any()
  for row, first, index in places_of(units, rows):
    for side, branch in enumerate(units[index].branches):
      assert found[row].pop(first + side) == (branch.prefix + branch.prompt, branch.answer)
    if per_unit == 2:
      assert batch.reward[row, first // 2] == units[index].reward
      assert batch.opponent_log_probs[row, first : first + 2].tolist() == pytest.approx(
        units[index].opponent_log_probs, rel=1e-6
      )
  assert not any(found)
  counts = count_rows(batch)
  prefixes = {u.branches[0].prefix for u in units}
  assert counts.real == counts.repeated + sum(map(len, prefixes)) + sum(map(unit_tokens, units))
  assert counts.answers == len(units) * per_unit
  # A segment is a piece's and, in it, a branch's: no token sees one of another piece.
  for row in range(len(rows)):
    for j in np.nonzero(batch.ends[row])[0]:
      assert len(set(batch.schemas[row, j : batch.ends[row, j]])) == 1 and batch.schemas[row, j] > 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), per_unit=st.integers(1, 2))
def test_the_chosen_shape_holds_all_units_with_little_padding(seed, per_unit):
  units = draw_units(seed, per_unit, schemas=(20, 40), a_schema=(5, 60), longest=300)
  shape = choose_row_shape(units)
  rows = plan_rows(units, shape, np.random.default_rng(seed + 1))
  counts = count_rows(pack(units, rows, shape, 0))
  # The last row may be empty but for one unit.
  assert counts.computed - counts.real < 0.06 * counts.computed + shape.tokens


def test_a_unit_that_exceeds_a_row_is_refused_by_the_plan():
  unit = Unit((Branch((1,) * 30, (2,), (3,)),))
  with pytest.raises(ValueError, match="unit 0 exceeds a row"):
    plan_rows([unit], RowShape(31, 2, 8), np.random.default_rng(0))


# Every loss with one model, and every model with one loss: losses read log-probs alone.
@pytest.mark.parametrize(
  ("name", "variant"),
  [(name, "qwen2") for name in OBJECTIVES] + [("sft", v) for v in VARIANTS if v != "qwen2"],
)
def test_loss_and_gradients_are_those_of_plain_sequences(name, variant):
  model, params = made(variant)
  objective = OBJECTIVES[name]
  units = draw_units(len(name), 1 if name == "sft" else 2, schemas=(3, 5))
  if name == "floor":  # pairs that do not count alike, too
    weights = np.random.default_rng(0).uniform(0.2, 2.0, len(units))
    units = [dataclasses.replace(u, weight=float(w)) for u, w in zip(units, weights, strict=True)]
  assert_gradients(model, objective, units, params, None)


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_gradients_of_an_adapter_are_those_of_plain_sequences(name):
  model, params = made("qwen2")
  lora = LoraConfig(rank=2)
  adapter = jax.tree.map(lambda x: x + 0.05, init_lora(model.config, lora, jax.random.key(1)))
  units = draw_units(7, 1 if name == "sft" else 2, schemas=(3, 5))
  assert_gradients(model.clone(lora=lora), OBJECTIVES[name], units, adapter, params)


def made(variant, **changes):
  config = ModelConfig.from_hf(BASE | VARIANTS[variant] | changes)
  return Decoder(config), init_params(config, jax.random.key(0))


def assert_gradients(model, objective, units, trainable, frozen):
  """Loss and gradients of packed rows against those of each sequence by itself."""
  shape = RowShape(128, 8, 64)
  rows = plan_rows(units, shape, np.random.default_rng(0))
  assert len(rows) > 1
  # As microbatches of two rows, the last one with an empty row where the number is odd.
  count = -(-len(rows) // 2)
  batch = pack(units, rows, shape, 0, count=count * 2)
  batch = jax.tree.map(lambda x: x.reshape(count, 2, *x.shape[1:]), batch)
  gradients, metrics = jax.jit(lambda t, f, b: loss_and_gradients(model, objective, t, f, b))(
    trainable, frozen, batch
  )
  loss, expected = plain_gradients(model, objective, units, trainable, frozen)
  np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5, atol=1e-5)
  for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def plain_gradients(model, objective, units, trainable, frozen):
  """The same of right-padded sequences, one a branch, weighed as the equations are written."""
  branches = [b for u in units for b in u.branches]
  tokens = np.zeros((len(branches), 64), np.int32)
  answers = np.zeros((len(branches), 64), np.float32)
  for i, b in enumerate(branches):
    ids = b.prefix + b.prompt + b.answer
    tokens[i, : len(ids)] = ids
    answers[i, len(ids) - len(b.answer) : len(ids)] = 1
  lengths = answers.sum(axis=1)

  def value(tree):
    variables = {"params": tree} if frozen is None else {"params": frozen, "lora": tree}
    log_probs = jax.nn.log_softmax(model.apply(variables, tokens), axis=-1)[:, :-1]
    chosen = jnp.take_along_axis(log_probs, tokens[:, 1:, None], axis=-1)[..., 0]
    found = (chosen * answers[:, 1:]).sum(axis=1)
    if objective.loss == "sft":
      return -found.sum() / lengths.sum()
    scale = lengths if objective.length_normalize else np.ones_like(lengths)
    opponent = np.array([p for u in units for p in u.opponent_log_probs], np.float32)
    ratios = ((found - opponent) / scale).reshape(-1, 2)
    reward = np.array([u.reward for u in units], np.float32)
    reward = reward if objective.loss == "error_driven" else np.ones_like(reward)
    weights = np.array([u.weight for u in units], np.float32)
    kept = weights * ((reward > 0) if objective.on_correct == "drop" else 1)
    fallen = jnp.maximum(-ratios[:, 0], 0)
    margin = objective.beta * (
      ratios[:, 0] - reward * ratios[:, 1] - objective.floor_weight * fallen
    )
    nll = -(weights * found[0::2]).sum() / (weights * lengths[0::2]).sum()
    loss = (kept * jnp.logaddexp(0, -margin)).sum() / max(kept.sum(), 1)
    return loss + objective.nll_weight * nll

  return jax.jit(jax.value_and_grad(value))(trainable)


def test_bfloat16_log_probs_are_near_those_in_float32():
  model, params = made("qwen2")
  units = draw_units(3, 1, schemas=(3, 5))
  shape = RowShape(128, 8, 64)
  batch = pack(units, plan_rows(units, shape, np.random.default_rng(0)), shape, 0)
  wide = jax.jit(lambda p: answer_log_probs(model, {"params": p}, batch))(params)
  narrow = made("qwen2")[0].clone(config=ModelConfig.from_hf(BASE, dtype="bfloat16"))
  found = jax.jit(lambda p: answer_log_probs(narrow, {"params": p}, batch))(params)
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, wide, atol=0.3, rtol=0.03)
  np.testing.assert_array_equal(found == 0, batch.answer_lengths == 0)


def test_fit_on_packed_rows_resumes_to_the_same_params(tmp_path):
  model, params = made("qwen2")
  units = draw_units(5, 1, schemas=(3, 5), a_schema=(6, 9))
  packing = Packing(rows=1, row_tokens=128)
  config = FitConfig(
    8, packing, accumulate=2, optimizer=OptimizerConfig(learning_rate=1e-2), checkpoint_every=3
  )
  seen = []
  whole = fit(
    model, params, units, config, pad_id=0, on_metrics=lambda step, m: seen.append(m["loss"])
  )
  assert len(seen) == 8 and seen[-1] < seen[0]
  assert whole.summary["compiled_shapes"] == 1

  def cut(step, metrics):
    if step == 7:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fit(model, params, units, config, pad_id=0, checkpoints=tmp_path, on_metrics=cut)
  resumed = fit(model, params, units, config, pad_id=0, checkpoints=tmp_path)
  assert resumed.steps == 8
  for a, b in zip(jax.tree.leaves(whole.trained), jax.tree.leaves(resumed.trained), strict=True):
    np.testing.assert_array_equal(a, b)


def test_scores_of_the_generator_are_those_of_plain_sequences():
  model, params = made("qwen2")
  units = draw_units(9, 2, schemas=(3, 4))
  branches = [b for u in units for b in u.branches]
  found = Generator(model, lanes=4).score(params, branches)
  plain = jax.jit(lambda tokens: jax.nn.log_softmax(model.apply({"params": params}, tokens)[0]))
  for score, branch in zip(found, branches, strict=True):
    ids = branch.prefix + branch.prompt + branch.answer
    tokens = np.zeros((1, 64), np.int32)
    tokens[0, : len(ids)] = ids
    log_probs = plain(tokens)
    places = np.arange(len(ids) - len(branch.answer), len(ids))
    expected = np.asarray(log_probs)[places - 1, tokens[0, places]].sum()
    np.testing.assert_allclose(score, expected, rtol=1e-5, atol=1e-4)


_ON_MESHES = """
import sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
import test_packing as t
from spftsql_jax.examples.packing import RowShape, pack, plan_rows
from spftsql_jax.models import sharding
from spftsql_jax.training.step import loss_and_gradients
from jax.sharding import NamedSharding, PartitionSpec
model, params = t.made("qwen2")
objective = t.OBJECTIVES["error_driven"]
units = t.draw_units(12, 2, schemas=(4, 5), a_schema=(5, 9))
shape = RowShape(128, 8, 64)
rows = plan_rows(units, shape, np.random.default_rng(0))
batch = pack(units, rows, shape, 0, count=-(-len(rows) // 4) * 4)
batch = jax.tree.map(lambda x: x[None], batch)
run = jax.jit(lambda p, b: loss_and_gradients(model, objective, p, None, b))
expected = run(params, batch)
for spec in ("data:4", "data:2,tensor:2", "fsdp:4"):
  mesh = sharding.make_mesh(spec)
  lying = sharding.put(batch, NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp"))))
  weights = sharding.put(params, sharding.param_shardings(model.config, mesh))
  with sharding.use_mesh(mesh):
    found = jax.jit(lambda p, b: loss_and_gradients(model, objective, p, None, b))(weights, lying)
  for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)
print("equal")
"""


def test_rows_spread_over_a_mesh_give_the_same_gradients():
  assert run_on_devices(_ON_MESHES, 4, str(TESTS)).endswith("equal\n")
