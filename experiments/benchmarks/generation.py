"""Times Generator against transformers.generate: the same random weights, the same prompts, the
same run, greedy, float32.

    python experiments/benchmarks/generation.py --output=generation.json

Two cases: all questions over one schema, and a schema for each question. End tokens are off in
both, so that every answer has --answer_tokens tokens. transformers answers in left-padded batches
with its key-value cache at the best of --batch_sizes. The two take turns, --runs times, after a
round that compiles and warms up and is not counted; wall clock and CPU seconds of the process are
medians. Answers are compared token for token.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip
import measuring
import numpy as np

from spftsql_jax.files import write_json
from spftsql_jax.generation import Generator, Request
from spftsql_jax.models import load_hf

_QUESTIONS = flags.DEFINE_integer("questions", 64, "Questions of a case.", lower_bound=1)
_SCHEMA_TOKENS = flags.DEFINE_integer("schema_tokens", 512, "Tokens of a schema.", lower_bound=1)
_QUESTION_TOKENS = flags.DEFINE_list(
  "question_tokens", ["12", "32"], "Fewest and most tokens of a question."
)
_ANSWER_TOKENS = flags.DEFINE_integer("answer_tokens", 64, "Tokens of an answer.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 5, "Times each is timed.", lower_bound=1)
_BATCH_SIZES = flags.DEFINE_list(
  "batch_sizes", ["8", "16", "32", "64"], "Batch sizes tried with transformers."
)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers that Generator decodes at once.", lower_bound=1)
_THREADS = flags.DEFINE_integer(
  "threads", 2, "Threads of torch; JAX takes the cores it may use.", lower_bound=1
)
_CASES = flags.DEFINE_list("cases", ["one_schema", "own_schemas"], "Which cases.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_CONFIG = {
  "hidden_size": 256,
  "num_hidden_layers": 4,
  "num_attention_heads": 8,
  "num_key_value_heads": 2,
  "intermediate_size": 1024,
  "vocab_size": 4096,
  "max_position_embeddings": 2048,
  "tie_word_embeddings": True,
  "bos_token_id": None,
  "eos_token_id": None,
}


def main() -> None:
  try:
    import torch
    import transformers
  except ImportError as error:
    raise InputError(
      f"{error.name} is not installed: it is the peer (tests/requirements-parity.txt)"
    ) from error
  torch.set_num_threads(_THREADS.value)
  torch.manual_seed(0)
  transformers.utils.logging.disable_progress_bar()
  peer = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**_CONFIG)).eval()
  with tempfile.TemporaryDirectory() as folder:
    peer.save_pretrained(folder)
    model, params = load_hf(folder)
  generator = Generator(model, lanes=_LANES.value)
  report = {
    "machine": {"cores": os.cpu_count(), "torch_threads": _THREADS.value},
    "model": _CONFIG,
    "cases": {},
  }
  for case in _CASES.value:
    requests = make_requests(case)

    def ours(requests=requests) -> list[tuple[int, ...]]:
      answers = generator.generate(params, requests, max_new_tokens=_ANSWER_TOKENS.value, eos_id=())
      return [answer.tokens for answer in answers]

    def theirs(batch_size: int, requests=requests) -> list[tuple[int, ...]]:
      return answer_with_transformers(torch, peer, requests, batch_size)

    report["cases"][case] = entry = compare(ours, theirs, [int(b) for b in _BATCH_SIZES.value])
    print(case, json.dumps(entry), flush=True)
  write_json(_OUTPUT.value, report, end="\n")


def make_requests(case: str) -> list[Request]:
  """Random questions of random lengths, over one schema or over one each."""
  rng = np.random.default_rng(0)
  fewest, most = map(int, _QUESTION_TOKENS.value)

  def tokens(count: int) -> tuple[int, ...]:
    return tuple(rng.integers(0, _CONFIG["vocab_size"], count).tolist())

  shared = tokens(_SCHEMA_TOKENS.value)
  return [
    Request(
      shared if case == "one_schema" else tokens(_SCHEMA_TOKENS.value),
      tokens(int(rng.integers(fewest, most + 1))),
    )
    for _ in range(_QUESTIONS.value)
  ]


def answer_with_transformers(
  torch, model, requests: list[Request], batch_size: int
) -> list[tuple[int, ...]]:
  """The answers of `generate`, in batches padded on the left to their longest prompt."""
  answers = []
  for start in range(0, len(requests), batch_size):
    prompts = [request.prefix + request.prompt for request in requests[start : start + batch_size]]
    longest = max(map(len, prompts))
    ids = torch.tensor([(0,) * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
      output = model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=_ANSWER_TOKENS.value,
        do_sample=False,
        use_cache=True,
        pad_token_id=0,
      )
    answers += [tuple(row) for row in output[:, longest:].tolist()]
  return answers


def compare(ours: Callable, theirs: Callable, batch_sizes: list[int]) -> dict:
  """Medians of both, taking turns."""
  tried = {}
  expected = theirs(batch_sizes[0])
  for size in batch_sizes:
    tried[size] = measuring.clock(lambda size=size: theirs(size))[0]
  best = min(tried, key=tried.get)
  got = ours()
  same = sum(a == b for a, b in zip(got, expected, strict=True))
  turns = [
    (measuring.clock(ours), measuring.clock(lambda: theirs(best))) for _ in range(_RUNS.value)
  ]
  sides = {}
  for name, results in zip(("generator", "transformers"), zip(*turns, strict=True), strict=True):
    seconds, cpu = (statistics.median(r[i] for r in results) for i in (0, 1))
    sides[name] = {
      "seconds": round(seconds, 3),
      "cpu_seconds": round(cpu, 3),
      "answers_per_second": round(len(got) / seconds, 2),
      "all_seconds": [round(r[0], 3) for r in results],
    }
  return {
    **sides,
    "speedup": round(statistics.median(b[0] / a[0] for a, b in turns), 2),
    "speedup_of_medians": round(
      sides["transformers"]["seconds"] / sides["generator"]["seconds"], 2
    ),
    "speedup_cpu": round(
      sides["transformers"]["cpu_seconds"] / sides["generator"]["cpu_seconds"], 2
    ),
    "transformers_batch_size": best,
    "transformers_tried_seconds": {size: round(seconds, 3) for size, seconds in tried.items()},
    "identical_answers": same,
    "answers": len(got),
  }


if __name__ == "__main__":
  launch(main)
