"""Memory of training steps as planned, as XLA allocates it, and as a process has it at most.

    python experiments/benchmarks/step_memory.py --output=step_memory.json

Random weights in two shapes: SmolLM2-135M with an adapter, and a base of 8 million parameters whose
weights are all trained. Each case is a process of its own that makes --steps steps of `fit` over
packed rows, checkpoints off. The peak is that of the whole process, interpreter and libraries
included; the estimate is what a run plans by (`training/memory.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, check_output, launch

from absl import flags  # isort: skip
import measuring
import numpy as np

from spftsql_jax.files import write_json

_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_STEPS = flags.DEFINE_integer("steps", 3, "Steps of each case.", lower_bound=2)
_CASES = flags.DEFINE_list("cases", [], "Cases to run, by their numbers; all by default.")
_CASE = flags.DEFINE_integer("case", None, "Used by the script itself: run this case here.")

# Shapes as in a Hugging Face config.json, and the rank of the adapter (0: all weights).
_SMOLLM2 = {
  "model_type": "llama",
  "vocab_size": 49152,
  "hidden_size": 576,
  "intermediate_size": 1536,
  "num_hidden_layers": 30,
  "num_attention_heads": 9,
  "num_key_value_heads": 3,
  "max_position_embeddings": 8192,
  "tie_word_embeddings": True,
}
_SMALL = {
  "model_type": "qwen2",
  "vocab_size": 8192,
  "hidden_size": 256,
  "intermediate_size": 768,
  "num_hidden_layers": 8,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "max_position_embeddings": 4096,
  "tie_word_embeddings": True,
}
# (shape, rank, rows of an update, T, microbatches, remat)
CASES: tuple[tuple[dict[str, Any], int, int, int, int, Any], ...] = (
  (_SMALL, 0, 1, 2048, 1, "none"),
  (_SMALL, 0, 2, 4096, 1, "none"),
  (_SMALL, 0, 4, 4096, 4, "dots"),
  (_SMOLLM2, 32, 1, 2048, 1, "dots"),
  (_SMOLLM2, 32, 2, 2048, 2, "dots"),
  (_SMOLLM2, 32, 1, 2048, 1, "full"),
  (_SMOLLM2, 32, 1, 4096, 1, "full"),
)
_SCHEMA, _PROMPT, _ANSWER = 500, 50, 25


def main() -> None:
  if _CASE.value is not None:
    print(json.dumps(measured(_CASE.value)))
    return
  if not measuring.can_measure_peaks():
    raise InputError("peak memory is read from /proc, which this system lacks")
  check_output(_OUTPUT.value)
  found = []
  for case in map(int, _CASES.value) if _CASES.value else range(len(CASES)):
    command = [sys.executable, __file__, f"--case={case}", f"--output={_OUTPUT.value}"]
    done = subprocess.run(
      [*command, f"--steps={_STEPS.value}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
      raise RuntimeError(f"case {case}: {done.stderr.strip().splitlines()[-1]}")
    found.append(json.loads(done.stdout.splitlines()[-1]))
    print(json.dumps(found[-1]), flush=True)
  write_json(Path(_OUTPUT.value), {"cases": found}, end="\n")


def measured(case: int) -> dict[str, Any]:
  """Estimate and peak of a case, in GB of 10^9 bytes, and seconds of a step."""
  import jax

  from spftsql_jax.examples.packing import Packing
  from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
  from spftsql_jax.training.memory import kind_of, step_bytes
  from spftsql_jax.training.optimizer import OptimizerConfig
  from spftsql_jax.training.trainer import FitConfig, fit

  shape, rank, rows, tokens, cut, remat = CASES[case]
  config = ModelConfig.from_hf(shape, remat=remat)
  lora = LoraConfig(rank, 2.0 * rank) if rank else None
  params = init_params(config, jax.random.key(0))
  adapter = None if lora is None else init_lora(config, lora, jax.random.key(0))
  kind = kind_of(config, sum(leaf.size for leaf in jax.tree.leaves(params)), lora)
  times: list[float] = []
  fit(
    Decoder(config, lora=lora),
    params,
    random_units(config.vocab_size, rows * tokens * _STEPS.value),
    FitConfig(
      _STEPS.value,
      Packing(rows // cut, tokens, longest_prefix=tokens),
      cut,
      OptimizerConfig(),
    ),
    pad_id=0,
    lora=adapter,
    on_metrics=lambda step, values: times.append(time.perf_counter()),
  )
  gb = lambda size: round(size / 1e9, 2)  # noqa: E731
  return {
    "hidden_size": config.hidden_size,
    "lora_rank": rank,
    "rows": rows,
    "tokens": tokens,
    "microbatches": cut,
    "remat": remat,
    "estimate_gb": gb(step_bytes(config, kind, rows // cut, tokens, remat, cut)),
    "peak_gb": gb(measuring.peak_bytes()),
    "seconds_a_step": round(float(np.median(np.diff(times))), 1),
  }


def random_units(vocabulary: int, tokens: int) -> list[Any]:
  """Units of random ids that fill so many tokens: 16 questions over each schema."""
  from spftsql_jax.examples.batches import Branch, Unit

  rng = np.random.default_rng(0)
  ids = lambda count: tuple(rng.integers(0, vocabulary, count).tolist())  # noqa: E731
  units = []
  for _ in range(-(-tokens // (_SCHEMA + 16 * (_PROMPT + _ANSWER)))):
    schema = ids(_SCHEMA)
    units += [Unit((Branch(schema, ids(_PROMPT), ids(_ANSWER)),)) for _ in range(16)]
  return units


if __name__ == "__main__":
  launch(main)
