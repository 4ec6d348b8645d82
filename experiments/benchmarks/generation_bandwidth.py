"""Tokens a second of decoding on an accelerator, as a share of what its memory bandwidth allows,
and beside transformers.

    python experiments/benchmarks/generation_bandwidth.py --output=bandwidth.json \
      --bandwidth_gb_s=4800

Random bfloat16 weights in the shapes of --shapes (or of a config.json given there), --branches
answers at once over one schema of --schema_tokens, end tokens off. A decoding step must read all
weights once, the schema's cache once and each branch's own cache; the bound is the bytes of these
by the bandwidth: that of the data sheet, or with --bandwidth_gb_s=0 that of a measured copy. Only
the time behind the prefill counts; the first call of each size compiles and does not count. Medians
of --runs. Reported beside it: the share of the chip's peak in products with weights, which many
branches are bound by instead.

The ratio to transformers.generate is that of answers a second, prefill included, at the numbers in
--peer_branches: the same shapes, prompts and dtype on the same device, in batches of the best of
--peer_batch_sizes (one that does not fit into memory is left out). Where JAX has a GPU and torch
has none the ratio is left out, and the report says so.

The shapes need a GPU or TPU of 16 GiB (1.5b) and 40 GiB (7b), and twice that with the peer; with
--shapes=tiny the script runs anywhere, which only shows that it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch shares the device

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.files import write_json
from spftsql_jax.generation import Generator, Request
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.models import Decoder, ModelConfig
from spftsql_jax.models.flops import peak_flops
from spftsql_jax.models.lora import kernel_shapes
from spftsql_jax.models.transformer import abstract_params

_SHAPES = flags.DEFINE_list(
  "shapes", ["qwen2.5-coder-1.5b", "qwen2.5-coder-7b"], "Shapes by name, or config.json files."
)
_BRANCHES = flags.DEFINE_list("branches", ["16", "64", "256", "1024"], "Answers decoded at once.")
_SCHEMA_TOKENS = flags.DEFINE_integer("schema_tokens", 1024, "Tokens of the schema.", lower_bound=1)
_QUESTION_TOKENS = flags.DEFINE_integer(
  "question_tokens", 32, "Tokens of a question.", lower_bound=1
)
_ANSWER_TOKENS = flags.DEFINE_integer("answer_tokens", 64, "Tokens of an answer.", lower_bound=2)
_BANDWIDTH = flags.DEFINE_float(
  "bandwidth_gb_s", 0.0, "Of the device's memory; 0 measures a copy.", lower_bound=0.0
)
_PEER_BRANCHES = flags.DEFINE_list(
  "peer_branches", ["256"], "At which of --branches transformers is timed; empty for none."
)
_PEER_BATCH_SIZES = flags.DEFINE_list(
  "peer_batch_sizes", ["64", "128", "256"], "Batch sizes tried with transformers."
)
_RUNS = flags.DEFINE_integer("runs", 3, "Times each is timed.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

# As published in the models' config.json.
_PUBLISHED = {
  "qwen2.5-coder-1.5b": (1536, 8960, 28, 12, 2, 151936, True),
  "qwen2.5-coder-7b": (3584, 18944, 28, 28, 4, 152064, False),
  "tiny": (64, 128, 2, 4, 2, 512, True),
}
# Of a length that no row is a multiple of.
_BLOCK = (0.02 * np.random.default_rng(0).standard_normal(1_000_003)).astype(np.float32)


def main() -> None:
  bandwidth = _BANDWIDTH.value or measured_bandwidth()
  device = jax.devices()[0]
  report = {
    "device": device.device_kind or device.platform,
    "bandwidth_gb_s": round(bandwidth, 1),
    "results": [],
  }
  for name in _SHAPES.value:
    config = read_shape(name)
    params = random_params(config)
    results = []
    for branches in map(int, _BRANCHES.value):
      results.append({"model": name, **measure(config, params, branches, bandwidth)})
      print(json.dumps(results[-1]), flush=True)
      report["results"].append(results[-1])
      # Written each time: what was measured stays where a later size does not fit.
      write_json(_OUTPUT.value, report, end="\n")
    del params
    timed = [r for r in results if str(r["branches"]) in _PEER_BRANCHES.value]
    for result, theirs in zip(
      timed, measure_transformers(config, [r["branches"] for r in timed]), strict=True
    ):
      result["transformers"] = theirs
      if "answers_per_second" in theirs:
        result["ratio_to_transformers"] = round(
          result["answers_per_second_with_prefill"] / theirs["answers_per_second"], 2
        )
      print(json.dumps(result), flush=True)
      write_json(_OUTPUT.value, report, end="\n")


def read_shape(name: str) -> ModelConfig:
  """A model's config in bfloat16."""
  if name not in _PUBLISHED:
    if not Path(name).is_file():
      raise InputError(f"{name}: no such shape ({', '.join(_PUBLISHED)}), and no such config.json")
    return ModelConfig.from_hf(name, dtype="bfloat16")
  hidden, inner, layers, heads, kv_heads, vocabulary, tied = _PUBLISHED[name]
  config = ModelConfig(
    "qwen2",
    vocabulary,
    hidden,
    inner,
    layers,
    heads,
    kv_heads,
    hidden // heads,
    rope_theta=1e6,
    tie_word_embeddings=tied,
  )
  return config.replace(attention_bias=True, dtype="bfloat16", param_dtype="bfloat16")


def random_params(config: ModelConfig) -> dict:
  """Params made on the device of one block of random numbers over and over: equal ones would be
  multiplied faster.
  """
  boxed = jax.tree.map(
    lambda leaf: leaf.value, abstract_params(config), is_leaf=lambda leaf: hasattr(leaf, "names")
  )
  block = jnp.asarray(_BLOCK, config.param_dtype)
  return jax.tree.map(lambda leaf: jnp.resize(block, leaf.shape), boxed)


def make_requests(config: ModelConfig, branches: int) -> list[Request]:
  """Random questions over one random schema."""
  rng = np.random.default_rng(0)
  draw = lambda count: tuple(rng.integers(0, config.vocab_size, count).tolist())  # noqa: E731
  schema = draw(_SCHEMA_TOKENS.value)
  return [Request(schema, draw(_QUESTION_TOKENS.value)) for _ in range(branches)]


def measure(config: ModelConfig, params: dict, branches: int, bandwidth: float) -> dict:
  """Tokens a second of one size, and the share of the bandwidth that this is."""
  requests = make_requests(config, branches)
  generator = Generator(Decoder(config), lanes=branches)

  def clock() -> float:
    began = time.perf_counter()
    generator.generate(params, requests, max_new_tokens=_ANSWER_TOKENS.value, eos_id=())
    return time.perf_counter() - began

  began = time.perf_counter()
  clock()
  first = time.perf_counter() - began
  whole = statistics.median(clock() for _ in range(_RUNS.value))
  with timed_decoding() as spent:
    for _ in range(_RUNS.value):
      clock()
  steps = _ANSWER_TOKENS.value - 1  # the prompt's pass gives the first token
  step = statistics.median(spent) / steps
  weights = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
  if not config.tie_word_embeddings:
    weights -= params["embedding"].nbytes  # Only rows of it are read.
  token_bytes = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
  own = _QUESTION_TOKENS.value + _ANSWER_TOKENS.value / 2
  layer = sum(fan_in * fan_out for fan_in, fan_out in kernel_shapes(config).values())
  operations = (
    2 * branches * (config.num_hidden_layers * layer + config.vocab_size * config.hidden_size)
  )
  peak = peak_flops()
  needed = weights + token_bytes * (_SCHEMA_TOKENS.value + branches * own)
  return {
    "branches": branches,
    "tokens_per_second": round(branches / step),
    "answers_per_second_with_prefill": round(branches / whole, 2),
    "prefill_seconds": round(whole - steps * step, 4),
    "step_ms": round(1e3 * step, 3),
    "bytes_needed_gb": round(needed / 1e9, 3),
    "share_of_bandwidth": round(needed / 1e9 / bandwidth / step, 3),
    **({"share_of_peak": round(operations / peak / step, 3)} if peak else {}),
    "first_call_seconds": round(first, 1),
  }


@contextlib.contextmanager
def timed_decoding() -> Iterator[list[float]]:
  """Within, the seconds of each stretch of decoding steps are collected."""
  advance, spent = lanes_lib.advance, []

  def timed(*arguments: Any) -> lanes_lib.Lanes:
    jax.block_until_ready(arguments)
    began = time.perf_counter()
    result = jax.block_until_ready(advance(*arguments))
    spent.append(time.perf_counter() - began)
    return result

  lanes_lib.advance = timed
  try:
    yield spent
  finally:
    lanes_lib.advance = advance


def measure_transformers(config: ModelConfig, sizes: list[int]) -> list[dict[str, Any]]:
  """Answers a second of transformers.generate at each number of branches, in batches of the best
  size.
  """
  if not sizes:
    return []
  try:
    import torch
    import transformers
  except ImportError as error:
    return [{"left_out": f"{error.name} is not installed"}] * len(sizes)
  if jax.default_backend() != "cpu" and not torch.cuda.is_available():
    return [{"left_out": f"JAX runs on {jax.default_backend()}, torch has no GPU"}] * len(sizes)
  device = "cuda" if torch.cuda.is_available() and jax.default_backend() != "cpu" else "cpu"
  made = transformers.AutoConfig.for_model(
    **config.to_hf() | {"eos_token_id": None, "bos_token_id": None}
  )
  with torch.device(device):
    model = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()
  block = torch.from_numpy(_BLOCK).to(device, torch.bfloat16)
  for value in model.parameters():
    value.data.copy_(block.repeat(-(-value.numel() // len(block)))[: value.numel()].view_as(value))

  def answer(requests: list[Request], batch_size: int) -> None:
    with torch.inference_mode():
      for start in range(0, len(requests), batch_size):
        ids = torch.tensor(
          [r.prefix + r.prompt for r in requests[start : start + batch_size]], device=device
        )
        count = _ANSWER_TOKENS.value
        options = {
          "max_new_tokens": count,
          "min_new_tokens": count,
          "do_sample": False,
          "pad_token_id": 0,
        }
        output = model.generate(ids, attention_mask=torch.ones_like(ids), **options)
        if output.shape[1] - ids.shape[1] != count:
          raise RuntimeError(
            f"transformers wrote {output.shape[1] - ids.shape[1]} tokens instead of {count}"
          )
    if device == "cuda":
      torch.cuda.synchronize()

  def clock(requests: list[Request], batch_size: int) -> float:
    began = time.perf_counter()
    answer(requests, batch_size)
    return time.perf_counter() - began

  results: list[dict[str, Any]] = []
  for branches in sizes:
    requests, tried = make_requests(config, branches), {}
    for size in sorted({min(int(b), branches) for b in _PEER_BATCH_SIZES.value}):
      try:
        clock(requests[:size], size)
        tried[size] = clock(requests, size)
      except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    if not tried:
      results.append({"left_out": "no batch size fits into memory"})
      continue
    best = min(tried, key=tried.get)
    seconds = statistics.median(clock(requests, best) for _ in range(_RUNS.value))
    results.append(
      {
        "answers_per_second": round(branches / seconds, 2),
        "batch_size": best,
        "tried_seconds": {size: round(value, 3) for size, value in tried.items()},
      }
    )
  return results


def measured_bandwidth() -> float:
  """GB/s of reading and writing a large array."""
  array = jnp.zeros(1 << (28 if jax.default_backend() != "cpu" else 25), jnp.float32)
  add = jax.jit(lambda x: x + 1, donate_argnums=0)
  array = jax.block_until_ready(add(array))
  best = float("inf")
  for _ in range(5):
    began = time.perf_counter()
    array = jax.block_until_ready(add(array))
    best = min(best, time.perf_counter() - began)
  return 2 * array.nbytes / best / 1e9


if __name__ == "__main__":
  launch(main)
