"""The estimate of a training step's memory beside what XLA allocates, and the plans made by it."""

from __future__ import annotations

import dataclasses
import functools
import os

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from spftsql_jax.examples.packing import PackedBatch, Packing
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.training import memory
from spftsql_jax.training.memory import (
  TrainingKind,
  kind_of,
  plan_step,
  resident_bytes,
  step_bytes,
)
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import (
  Objective,
  init_state,
  make_train_step,
  numbers_of,
  program_of,
)

# Shapes alone: no array of these sizes is made.
SIZES = {
  "small": ModelConfig.from_hf(
    {
      "model_type": "qwen2",
      "vocab_size": 8192,
      "hidden_size": 256,
      "intermediate_size": 768,
      "num_hidden_layers": 8,
      "num_attention_heads": 4,
      "num_key_value_heads": 2,
      "tie_word_embeddings": True,
    }
  ),
  "large": ModelConfig.from_hf(
    {
      "model_type": "llama",
      "vocab_size": 32000,
      "hidden_size": 576,
      "intermediate_size": 1536,
      "num_hidden_layers": 16,
      "num_attention_heads": 9,
      "num_key_value_heads": 3,
      "tie_word_embeddings": True,
    }
  ),
}
LORA = LoraConfig(16, 32.0)


def parameters_of(config):
  return sum(leaf.size for leaf in jax.tree.leaves(nn.meta.unbox(abstract_params(config))))


@functools.cache
def allocated(size, adapter, rows, tokens, cut, remat) -> int:
  """Bytes that XLA allocates for a step beside its arguments."""
  config = SIZES[size].replace(remat=remat)
  lora = LORA if adapter else None
  params = nn.meta.unbox(abstract_params(config))
  trained, frozen = params, None
  if lora is not None:
    trained = jax.eval_shape(lambda key: init_lora(config, lora, key), jax.random.key(0))
    frozen = params
  optimizer = OptimizerConfig(learning_rate=0.0, schedule="constant", warmup_share=0.0)
  state = jax.eval_shape(lambda tree: init_state(optimizer, tree), trained)
  numbers = lambda *shape: jax.ShapeDtypeStruct((cut, rows, *shape), jnp.int32)  # noqa: E731
  batch = PackedBatch(
    *[numbers(tokens)] * 5, *[numbers(64)] * 2, *[numbers(tokens // 4)] * 3, None, None
  )
  objective = Objective("sft")
  step = make_train_step(Decoder(config, lora=lora), optimizer, program_of(objective))
  lowered = step.lower(state, frozen, batch, 0.0, numbers_of(objective))
  return lowered.compile().memory_analysis().temp_size_in_bytes


def estimated(size, adapter, rows, tokens, cut, remat) -> int:
  """The part of the estimate that is the step's own."""
  config = SIZES[size]
  kind = kind_of(config, parameters_of(config), LORA if adapter else None)
  return step_bytes(config, kind, rows, tokens, remat, cut) - resident_bytes(config, kind)


@pytest.mark.parametrize("remat", ["none", "dots", "full"])
@pytest.mark.parametrize(
  ("size", "adapter", "rows", "tokens"),
  [("small", False, 1, 2048), ("large", True, 1, 1024), ("large", True, 2, 2048)],
)
def test_the_estimate_is_near_what_xla_allocates(size, adapter, rows, tokens, remat):
  case = (size, adapter, rows, tokens, 1, remat)
  # Ample rather than short: a run that is killed is worse than one that computes a layer again.
  assert 0.9 < estimated(*case) / allocated(*case) < 1.45


def test_microbatches_take_the_memory_of_one():
  one, four = (allocated("large", True, 1, 1024, cut, "dots") for cut in (1, 4))
  assert four < 1.1 * one
  assert allocated("large", True, 4, 1024, 1, "dots") > 3 * one


def test_an_adapter_has_as_many_weights_as_are_counted():
  config = SIZES["large"]
  made = jax.eval_shape(lambda key: init_lora(config, LORA, key), jax.random.key(0))
  count = sum(leaf.size for leaf in jax.tree.leaves(made))
  assert kind_of(config, 10**8, LORA).trained == count


def plan(there, **options):
  config = SIZES["large"]
  packing = Packing(rows=2, most_row_tokens=4096)
  kind = kind_of(config, parameters_of(config), LORA)
  return plan_step(config, kind, packing, 1500, there, **options)


def test_with_less_memory_a_plan_cuts_first_then_shortens_then_computes_again():
  sizes = [None, *(int(gb * 1e9) for gb in (30, 7, 4.5, 3.0, 2.2, 0.5))]
  plans = [plan(there) for there in sizes]
  told = [(p.rows, p.most_row_tokens, p.accumulate, p.remat) for p in plans]
  assert told[:2] == [(2, 4096, 1, "none")] * 2
  assert told[2] == (2, 4096, 2, "none")
  assert told[3][1:] == (2048, 4, "none")
  assert told[4][3] == "dots" and told[5][3] == "full"
  assert all(p.fits for p in plans[:-1]) and not plans[-1].fits
  # As many tokens an update whatever the plan.
  assert {p.rows * p.most_row_tokens for p in plans} == {2 * 4096}
  assert [p.needed for p in plans] == sorted((p.needed for p in plans), reverse=True)


def test_what_is_given_stays_in_a_plan():
  tight = plan(10**9, accumulate=1, remat="none")
  assert (tight.accumulate, tight.remat) == (1, "none") and not tight.fits
  config = SIZES["large"]
  kind = kind_of(config, parameters_of(config), LORA)
  packing = Packing(rows=4, row_tokens=1024)
  found = plan_step(config, kind, packing, 500, 10**9)
  assert (found.rows, found.most_row_tokens) == (4, 1024) and found.accumulate == 4


def test_a_model_of_135_million_parameters_fits_small_machines(monkeypatch):
  """SmolLM2-135M under an adapter, with schemas as long as Spider's longest: in 4 GB of a CPU's
  memory, and on a GPU of 16 GB, of which JAX takes three quarters.
  """
  config = SIZES["large"].replace(vocab_size=49152, num_hidden_layers=30, windows=())
  kind = kind_of(config, parameters_of(config), LoraConfig(32, 64.0))
  on_cpu = plan_step(config, kind, Packing(most_row_tokens=4096), 1900, 4 * 10**9)
  assert on_cpu.fits and on_cpu.needed < 4 * 10**9
  monkeypatch.setattr(memory.jax, "default_backend", lambda: "gpu")
  narrow = config.replace(dtype="bfloat16", param_dtype="bfloat16")
  on_gpu = plan_step(narrow, kind, Packing(most_row_tokens=4096), 1900, 12 * 10**9)
  # 30 layers are a loop, in which what is kept costs more than what is computed again.
  assert on_gpu.fits and (on_gpu.remat, on_gpu.most_row_tokens) == ("dots", 4096)
  shallow = narrow.replace(num_hidden_layers=8, windows=())
  assert plan_step(shallow, kind, Packing(most_row_tokens=4096), 1900, 12 * 10**9).remat == "none"


def test_rows_are_as_long_as_the_device_and_an_update_allow(monkeypatch):
  config = SIZES["large"]
  kind = kind_of(config, parameters_of(config), LORA)
  free = Packing(rows=4, most_row_tokens=0)

  def found(there, packing=free, **options):
    plan = plan_step(config, kind, packing, 1500, there, **options)
    assert plan.rows * plan.most_row_tokens == 4 * 4096
    return plan.most_row_tokens, plan.accumulate, plan.remat

  # A CPU has small blocks of attention whatever a row's length, and its caches are small.
  assert found(100 * 10**9) == (4096, 1, "none")
  monkeypatch.setattr(memory.jax, "default_backend", lambda: "gpu")
  assert found(100 * 10**9) == (16384, 1, "dots")
  assert found(100 * 10**9, parts=2)[0] == 8192  # each half of a mesh has a row
  length, cut, remat = found(7 * 10**9)
  assert length < 16384 and cut > 1 and remat == "dots"
  # What is not known is not used up, and what is given stays.
  assert found(None)[0] == 4096
  assert found(100 * 10**9, dataclasses.replace(free, most_row_tokens=4096))[0] == 4096


def write(root, files):
  for name, text in files.items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


FREE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n", "proc/self/statm": "9 2 1"}


@pytest.mark.parametrize(
  ("files", "free"),
  [
    ({}, 8_192_000),
    (
      {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/memory.max": "5000000\n",
        "sys/fs/cgroup/a/memory.current": "3000000\n",
        "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 500000\n",
      },
      2_500_000,
    ),
    (
      {
        "proc/self/cgroup": "5:cpu:/\n4:memory:/elsewhere\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000000\n",
      },
      3_000_000,
    ),
    (
      {
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      },
      8_192_000,
    ),
  ],
  ids=["machine", "version 2", "version 1, in a container", "no limit"],
)
def test_the_host_s_memory_is_what_machine_and_control_group_leave(tmp_path, files, free):
  write(tmp_path, FREE | files)
  own = 2 * os.sysconf("SC_PAGE_SIZE")
  assert memory.host_memory(tmp_path) == free + own


def test_a_run_takes_no_more_than_it_is_told(monkeypatch):
  monkeypatch.setattr(memory, "host_memory", lambda: 6 * 10**9)
  assert memory.device_memory() == 6 * 10**9
  assert memory.device_memory(host_gb=4) == 4 * 10**9
  assert memory.device_memory(host_gb=9) == 6 * 10**9


def test_devices_of_a_cpu_share_its_memory_and_hold_the_process_once(monkeypatch):
  monkeypatch.setattr(memory, "host_memory", lambda: 6 * 10**9)
  process = resident_bytes(SIZES["large"], TrainingKind(0, 0))
  for devices in (1, 2, 4):
    each = memory.device_memory(sharing=devices)
    assert 0 <= 6 * 10**9 - (process + devices * (each - process)) < devices
