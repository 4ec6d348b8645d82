"""Times the forward against transformers: the same random weights, the same tokens, the same run,
float32 on the CPU.

    python experiments/benchmarks/forward.py --output=forward.json

Two cases. `plain`: logits of --sequences sequences of --schema_tokens tokens. `branches`: log-probs
of --questions answers over one schema of --schema_tokens tokens; transformers gets them as
sequences of their own (in batches of the best of --batch_sizes, with logits at the answers alone),
ours is the prefix-branch forward. The two take turns, --runs times, after a round that compiles and
warms up and is not counted; wall clock and CPU seconds of the process are medians. Peak memory is
that of a fresh process for each side and case, above what it holds with its model loaded,
compilation included. Results are compared: the largest difference is reported.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip
import measuring
import numpy as np

from spftsql_jax.files import write_json

_SEQUENCES = flags.DEFINE_integer("sequences", 4, "Sequences of the plain case.", lower_bound=1)
_QUESTIONS = flags.DEFINE_integer("questions", 32, "Questions over the schema.", lower_bound=1)
_SCHEMA_TOKENS = flags.DEFINE_integer("schema_tokens", 512, "Tokens of a schema.", lower_bound=1)
_QUESTION_TOKENS = flags.DEFINE_integer(
  "question_tokens", 32, "Tokens of a question.", lower_bound=1
)
_ANSWER_TOKENS = flags.DEFINE_integer("answer_tokens", 64, "Tokens of an answer.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 5, "Times each is timed.", lower_bound=1)
_BATCH_SIZES = flags.DEFINE_list(
  "batch_sizes", ["4", "8", "32"], "Batch sizes tried with transformers."
)
_THREADS = flags.DEFINE_integer(
  "threads", 2, "Threads of torch; JAX takes the cores it may use.", lower_bound=1
)
_CASES = flags.DEFINE_list("cases", ["plain", "branches"], "Which cases.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_MEMORY_OF = flags.DEFINE_list(
  "memory_of", None, "Used by the script itself: FOLDER,SIDE,CASE,BATCH whose peak is measured."
)

_CONFIG = {
  "hidden_size": 512,
  "num_hidden_layers": 6,
  "num_attention_heads": 8,
  "num_key_value_heads": 2,
  "intermediate_size": 2048,
  "vocab_size": 8192,
  "max_position_embeddings": 2048,
  "tie_word_embeddings": True,
  "bos_token_id": None,
  "eos_token_id": None,
}
Forward = Callable[[], np.ndarray]


def main() -> None:
  try:
    import torch
    import transformers
  except ImportError as error:
    raise InputError(
      f"{error.name} is not installed: it is the peer (tests/requirements-parity.txt)"
    ) from error
  if _MEMORY_OF.value:
    folder, side, case, batch = _MEMORY_OF.value
    print(json.dumps(peak(sides(folder)[side](case, int(batch)))))
    return
  torch.manual_seed(0)
  transformers.utils.logging.disable_progress_bar()
  report: dict[str, Any] = {
    "machine": {"cores": os.cpu_count(), "torch_threads": _THREADS.value},
    "model": _CONFIG,
    "cases": {},
  }
  with tempfile.TemporaryDirectory() as folder:
    transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**_CONFIG)).save_pretrained(folder)
    forwards = sides(folder)
    for case in _CASES.value:
      report["cases"][case] = entry = compare(folder, case, forwards)
      print(case, json.dumps(entry), flush=True)
  write_json(_OUTPUT.value, report, end="\n")


def tokens(case: str) -> np.ndarray:
  """int [B, T]: sequences that share nothing, or that share the schema."""
  rng = np.random.default_rng(0)
  if case == "plain":
    return rng.integers(0, _CONFIG["vocab_size"], (_SEQUENCES.value, _SCHEMA_TOKENS.value))
  length = _SCHEMA_TOKENS.value + _QUESTION_TOKENS.value + _ANSWER_TOKENS.value
  ids = rng.integers(0, _CONFIG["vocab_size"], (_QUESTIONS.value, length))
  ids[:, : _SCHEMA_TOKENS.value] = ids[0, : _SCHEMA_TOKENS.value]
  return ids


def sides(folder: str) -> dict[str, Callable[[str, int], Forward]]:
  """For each side a function that gives the forward of (case, batch size); models are loaded when
  first asked for.
  """

  @functools.cache
  def our_model() -> Any:
    from spftsql_jax.models import load_hf

    return load_hf(folder)

  @functools.cache
  def their_model() -> Any:
    import torch
    import transformers

    torch.set_num_threads(_THREADS.value)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

  def ours(case: str, _: int) -> Forward:
    return our_forward(*our_model(), case)

  def theirs(case: str, batch: int) -> Forward:
    return their_forward(their_model(), case, batch)

  return {"ours": ours, "transformers": theirs}


def our_forward(model: Any, params: Any, case: str) -> Forward:
  """Logits [B, T, V] of the plain case, log-probs [B] of the answers of the other."""
  import jax

  from spftsql_jax.examples.batches import PrefixBatch
  from spftsql_jax.models import next_token_logits
  from spftsql_jax.models.log_probs import answer_log_probs

  ids = tokens(case).astype(np.int32)
  if case == "plain":
    return lambda: np.asarray(next_token_logits(model, params, ids))
  schema, branch = ids[:1, : _SCHEMA_TOKENS.value], ids[None, :, _SCHEMA_TOKENS.value :]
  counts = {"answer_start": _QUESTION_TOKENS.value, "answer_lengths": _ANSWER_TOKENS.value}
  lengths = {name: np.full(branch.shape[:2], count, np.int32) for name, count in counts.items()}
  prefix_lengths = np.array([schema.shape[1]], np.int32)
  batch = PrefixBatch(schema, prefix_lengths, branch, **lengths, max_answer=_ANSWER_TOKENS.value)
  run = jax.jit(lambda params, batch: answer_log_probs(model, {"params": params}, batch))
  return lambda: np.asarray(run(params, batch))[0]


def their_forward(model: Any, case: str, batch: int) -> Forward:
  """The same by transformers, `batch` sequences at a time."""
  import torch

  ids = torch.tensor(tokens(case))
  answer = _ANSWER_TOKENS.value

  def log_probs(part: Any) -> Any:
    logits = model(part, use_cache=False, logits_to_keep=answer + 1).logits[:, :-1]
    return torch.log_softmax(logits, dim=-1).gather(-1, part[:, -answer:, None]).sum(dim=(1, 2))

  def run() -> np.ndarray:
    with torch.inference_mode():
      parts = ids.split(batch)
      made = [model(p, use_cache=False).logits if case == "plain" else log_probs(p) for p in parts]
      return torch.cat(made).numpy()

  return run


def compare(
  folder: str, case: str, forwards: dict[str, Callable[[str, int], Forward]]
) -> dict[str, Any]:
  """Medians of both sides, taking turns, their peak memory and the largest difference of their
  results.
  """
  sizes = [int(b) for b in _BATCH_SIZES.value] if case == "branches" else [_SEQUENCES.value]
  ours = forwards["ours"](case, 0)
  tried = {}
  for size in sizes:
    theirs = forwards["transformers"](case, size)
    theirs()
    tried[size] = measuring.clock(theirs)[0]
  best = min(tried, key=tried.get)
  theirs = forwards["transformers"](case, best)
  difference = float(np.abs(ours() - theirs()).max())
  turns = [(measuring.clock(ours), measuring.clock(theirs)) for _ in range(_RUNS.value)]
  entry: dict[str, Any] = {}
  for name, results in zip(("ours", "transformers"), zip(*turns, strict=True), strict=True):
    entry[name] = {
      "seconds": round(statistics.median(r[0] for r in results), 3),
      "cpu_seconds": round(statistics.median(r[1] for r in results), 3),
      "all_seconds": [round(r[0], 3) for r in results],
      "peak_mib": round(_peak_elsewhere(folder, name, case, best) / 2**20, 1),
    }
  return {
    **entry,
    "speedup": round(statistics.median(b[0] / a[0] for a, b in turns), 2),
    "speedup_cpu": round(entry["transformers"]["cpu_seconds"] / entry["ours"]["cpu_seconds"], 2),
    "transformers_batch_size": best,
    "transformers_tried_seconds": {size: round(seconds, 3) for size, seconds in tried.items()},
    "largest_difference": difference,
  }


def peak(run: Forward) -> int:
  """Bytes by which the process grows at most in two calls, the first of which compiles."""
  before = measuring.resident_bytes()
  measuring.forget_peak()
  run()
  run()
  return measuring.peak_bytes() - before


def _peak_elsewhere(folder: str, side: str, case: str, batch: int) -> int:
  passed = [
    f"--{name}={flags.FLAGS[name].value}"
    for name in ("sequences", "questions", "schema_tokens", "question_tokens")
  ]
  passed += [
    f"--answer_tokens={_ANSWER_TOKENS.value}",
    f"--threads={_THREADS.value}",
    f"--output={_OUTPUT.value}",
  ]
  command = [sys.executable, __file__, *passed, f"--memory_of={folder},{side},{case},{batch}"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(
      f"the measured process failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    )
  return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
  launch(main)
