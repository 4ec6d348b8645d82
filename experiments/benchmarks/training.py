"""Times our training steps beside TRL's and tunix's: the same model, the same pairs, the same run,
in turns.

    python experiments/benchmarks/training.py --spider=SPIDER --tokenizer=QWEN2 --output=FILE.json

makes a virtual environment for each peer under --environments (once; pip and PyPI are needed),
writes one random model of the architecture in training_peers/model.json as a Hugging Face folder
that all sides load, and runs three cases, each with LoRA (rank 16 on all linear layers) and with
full fine-tuning, in float32 with AdamW on the CPU:

  a  DPO on pairs of different prompts: 4 at a time, 512 prompt tokens, answers of 64; nothing to
     share but y+ and y-'s prompt
  b  DPO at real lengths: Spider train, plain DDL, Qwen2's tokens folded into the vocabulary; y- is
     another query of the database
  c  SFT on the same: TRL's SFTTrainer with packing

SPIDER holds train_spider.json and database/, QWEN2 the tokenizer's files. Databases of (b) and (c)
are those at --databases even steps of the questions, ordered by the tokens of their schema, with at
most --questions questions each. References are scored before the clock runs on both sides (tunix
cannot; it runs without a reference). Peers run at the best of --batch_sizes, tried once each. Then
all sides take turns, --turns times: a turn of ours is one pass over the records, of a peer's as
many as --peer_records. Our side trains on packed rows, of 4,096 tokens at most on a CPU and 16,384
on a GPU (--form=padded for buckets).
Reported are records a second by wall clock and by CPU time (medians over the turns) and the tokens
computed, which explain them.

With --device=gpu the same cases run on one GPU in bfloat16 with the architecture in
training_peers/model_gpu.json (Qwen2.5-Coder-1.5B), and two more, "b long" and "c long", whose
schemas hold types, keys, descriptions and sample values. With --form=padded the prompt's attention
is einsum or cuDNN, whichever is faster there: --attentions are tried with a case's first tree.
Sides have the GPU one after another, since its memory holds one of them; those to come prepare what
needs none. Reported too: share of the chip's peak (MFU) and the peak of its memory. No comparison
begins behind --budget_s seconds, so that one call stays below eight minutes; most of ours is
compiling, which JAX_COMPILATION_CACHE_DIR keeps for a second call. A peer needs a CUDA build of
torch; give its Python as --trl_python, or leave it out with --peers= to time ours alone.
--comparisons names what is run, in order.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip
import numpy as np

_SPIDER = flags.DEFINE_string(
  "spider", None, "Folder of Spider: train_spider.json and database/ (cases b and c)."
)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Folder of Qwen2's tokenizer (cases b and c).")
_ENVIRONMENTS = flags.DEFINE_string(
  "environments",
  os.path.expanduser("~/.cache/spftsql_jax/benchmark_environments"),
  "Where the peers' environments are made.",
)
_FORM = flags.DEFINE_enum(
  "form",
  "packed",
  ["packed", "padded"],
  "Our batches: packed rows or padded buckets.",
)
_PEERS = flags.DEFINE_list("peers", ["trl", "tunix"], "Which peers.")
_CASES = flags.DEFINE_list("cases", ["a", "b", "c"], "Which cases.")
_TREES = flags.DEFINE_list("trees", ["lora", "full"], "Which of lora and full.")
_DATABASES = flags.DEFINE_integer("databases", 6, "Databases of cases b and c.", lower_bound=1)
_QUESTIONS = flags.DEFINE_integer(
  "questions", 40, "Questions a database at most (Spider's median).", lower_bound=1
)
_PEER_RECORDS = flags.DEFINE_integer(
  "peer_records", 32, "Records of a peer's turn in cases b and c.", lower_bound=1
)
_BATCH_SIZES = flags.DEFINE_list(
  "batch_sizes", ["2", "4", "8"], "Batch sizes tried with a peer in cases b and c."
)
_ATTENTIONS = flags.DEFINE_list("attentions", ["einsum", "cudnn"], "Attentions tried on a GPU.")
_COMPARISONS = flags.DEFINE_list(
  "comparisons", [], 'Comparisons in order, such as "c full,b long lora"; by default all.'
)
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer(
  "threads", 2, "Threads of torch; JAX takes the cores it may use.", lower_bound=1
)
_DEVICE = flags.DEFINE_enum("device", "cpu", ["cpu", "gpu"], "Where all sides run.")
_TRL_PYTHON = flags.DEFINE_string(
  "trl_python", None, "A Python that has TRL, instead of an environment that is made."
)
_BUDGET = flags.DEFINE_float(
  "budget_s", 0, "No comparison begins behind so many seconds; 0 for no limit (GPU: 420)."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_WORKERS = Path(__file__).parent / "training_peers"
# torch's CPU build comes first: it is the one of this version that a plain index may hold, and trl
# then takes it as it is.
_REQUIREMENTS = {
  "trl": (
    ("torch==2.13.0",),
    ("trl==1.16.0", "peft==0.21.2", "datasets==5.2.0", "transformers==5.24.0"),
  ),
  "tunix": (("google-tunix==0.1.7",),),
}
# What each side does in each case: a batch is 4 pairs in case a.
_OUR_CASES = {
  "a": {
    "schemas": 4,
    "branches": 2,
    "buckets": {"prefix_buckets": 1, "branch_buckets": 1, "answer_buckets": 1},
    # 4 pairs: each is its prompt and two answers.
    "packing": {"row_tokens": 4 * (512 + 2 * 64)},
  },
  "b": {
    "schemas": 1,
    "branches": 32,
    "buckets": {"prefix_buckets": 6, "branch_buckets": 4, "branch_counts": 2},
    "packing": {"most_row_tokens": 4096},
  },
  "c": {
    "schemas": 1,
    "branches": 32,
    "buckets": {"prefix_buckets": 6, "branch_buckets": 4, "branch_counts": 2},
    "packing": {"most_row_tokens": 4096},
  },
}
# On a GPU batches are larger and shapes fewer: each of its compilations takes some 20 s.
_OUR_GPU_CASES = {
  "a": _OUR_CASES["a"],
  "b": {
    "schemas": 4,
    "branches": 40,
    "buckets": {"prefix_buckets": 1, "branch_buckets": 2, "answer_buckets": 1},
  },
  "c": {
    "schemas": 2,
    "branches": 40,
    "buckets": {"prefix_buckets": 1, "branch_buckets": 4, "answer_buckets": 1},
  },
  "b long": {
    "schemas": 2,
    "branches": 80,
    "buckets": {"prefix_buckets": 2, "branch_buckets": 4, "answer_buckets": 1},
  },
  "c long": {
    "schemas": 2,
    "branches": 40,
    "buckets": {"prefix_buckets": 2, "branch_buckets": 4, "answer_buckets": 1},
  },
}
_OUR_GPU_FULL = {"b": {"schemas": 2}}  # What differs with full fine-tuning, for 80 GB.
# Batch sizes tried with a peer on a GPU, and the tokens of a packed row, which hold the longest
# record.
_PEER_GPU_SIZES = {"a": [4], "b": [8, 16], "c": [8, 16], "b long": [4, 8], "c long": [2, 4]}
_PACK_TO = {"c": 1024, "c long": 4096}


class Worker:
  """A process that trains for a turn whenever it is asked to."""

  def __init__(self, python: str | Path, script: str, job: dict[str, Any], folder: str):
    self.options = job["options"]
    path = Path(tempfile.mkstemp(suffix=".json", dir=folder)[1])
    path.write_text(json.dumps(job), encoding="utf-8")
    self.errors = path.with_suffix(".log")
    with self.errors.open("w") as errors:
      self.process = subprocess.Popen(
        [str(python), str(_WORKERS / script), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JAX_PLATFORMS")}
        | {"HF_HUB_OFFLINE": "1", "HF_HOME": folder},
      )

  def answer(self) -> dict[str, Any]:
    """What the worker says next."""
    for line in self.process.stdout:
      if line.startswith("TURN "):
        return json.loads(line[5:])
    self.process.wait()
    lines = self.errors.read_text().strip().splitlines()
    told = (
      [line for line in lines if re.match(r"\S*(Error|Exception|Interrupt)\b", line)]
      or lines
      or ["no message"]
    )
    raise RuntimeError(f"a worker ended with code {self.process.returncode}: {told[-1]}")

  def turn(self) -> dict[str, Any]:
    return self._ask("go")

  def next(self) -> dict[str, Any]:
    """Has the worker make ready with the next of its options."""
    return self._ask("next")

  def _ask(self, word: str) -> dict[str, Any]:
    try:
      self.process.stdin.write(f"{word}\n")
      self.process.stdin.flush()
    except BrokenPipeError:
      pass  # it has ended; its answer says why
    return self.answer()

  def close(self) -> None:
    if self.process.poll() is None:
      self.process.stdin.close()
      try:
        self.process.wait(30)
      except subprocess.TimeoutExpired:
        self.process.kill()
        self.process.wait()


def main() -> None:
  if {"b", "c"} & set(_CASES.value) and not (_SPIDER.value and _TOKENIZER.value):
    raise InputError("cases b and c need --spider and --tokenizer")
  if unknown := set(_PEERS.value) - set(_REQUIREMENTS):
    raise InputError(
      f"--peers: no peer {sorted(unknown)[0]!r}; there are {', '.join(_REQUIREMENTS)}"
    )
  gpu, began = _DEVICE.value == "gpu", time.perf_counter()
  budget = _BUDGET.value or (420.0 if gpu else math.inf)
  config = json.loads((_WORKERS / ("model_gpu.json" if gpu else "model.json")).read_text())
  environments = {peer: make_environment(peer) for peer in _PEERS.value}
  report: dict[str, Any] = {
    "machine": {"cores": os.cpu_count(), "threads": _THREADS.value},
    "model": config,
    "cases": {},
  }
  report["peers"] = {
    peer: found if isinstance(found, str) else "installed" for peer, found in environments.items()
  }
  with tempfile.TemporaryDirectory() as folder:
    write_model(folder, config)
    records = {"a": random_records(config["vocab_size"], 12)}
    if {"b", "c"} & set(_CASES.value):
      records["b"] = records["c"] = spider_records(config["vocab_size"])
      report["lengths"] = lengths_of(records["b"])
    cases = list(_CASES.value)
    if gpu and set(cases) > {"a"}:
      records["b long"] = records["c long"] = spider_records(config["vocab_size"], long=True)
      report["lengths of long"] = lengths_of(records["b long"])
      cases += [f"{case} long" for case in cases if case != "a"]
    names = [name.strip() for name in _COMPARISONS.value] or [
      f"{case} {tree}" for case in cases for tree in _TREES.value
    ]
    if unknown := [
      n
      for n in names
      if n.rpartition(" ")[0] not in records or n.split()[-1] not in ("lora", "full")
    ]:
      raise InputError(
        f"--comparisons: no comparison {unknown[0]!r} of {', '.join(records)} with lora or full"
      )
    ahead = start(names[0], records, config, environments, folder) if gpu else {}
    attentions: dict[str, list[str]] = {}
    for name, following in zip(names, [*names[1:], ""], strict=True):
      if time.perf_counter() - began > budget:
        report.setdefault("left out for lack of time", []).append(name)
        continue
      case = name.rpartition(" ")[0]
      if gpu:
        workers = ahead
        ahead = (
          start(following, records, config, environments, folder, attentions.get(case))
          if following
          else {}
        )
        entry = compare_one_after_another(workers, environments)
        attentions[case] = [entry["ours"]["option"]] if "option" in entry["ours"] else None
      else:
        entry = compare(case, name.endswith("lora"), records[case], config, environments, folder)
      report["cases"][name] = entry
      print(f"{time.perf_counter() - began:.0f} s", name, json.dumps(entry), flush=True)
      Path(_OUTPUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for worker in ahead.values():
      worker.close()


def make_environment(peer: str) -> Path | str:
  """The Python of the peer's virtual environment, made if it is not there; or, as text, why it
  cannot be had.
  """
  if peer == "trl" and _TRL_PYTHON.value:
    return Path(_TRL_PYTHON.value)
  folder = Path(_ENVIRONMENTS.value) / peer
  python, done = folder / "bin" / "python", folder / "done.json"
  wanted = json.dumps(_REQUIREMENTS[peer])
  if done.is_file() and done.read_text() == wanted:
    return python
  print(f"making the environment of {peer} in {folder}", flush=True)
  subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
  for step in _REQUIREMENTS[peer]:
    made = subprocess.run(
      [str(python), "-m", "pip", "install", "-q", *step],
      capture_output=True,
      text=True,
      check=False,
    )
    if made.returncode:
      lines = [line for line in made.stderr.strip().splitlines() if "ERROR" in line] or [
        "pip failed"
      ]
      return f"cannot be installed: {lines[-1]}"
  done.write_text(wanted)
  return python


def write_model(folder: str, config: dict[str, Any]) -> None:
  """The same random weights for all sides, as a Hugging Face folder; on a GPU in bfloat16."""
  os.environ["JAX_PLATFORMS"] = "cpu"  # the GPU is the workers'
  import flax.linen as nn
  import jax

  from spftsql_jax.models import ModelConfig, init_params, save_hf
  from spftsql_jax.models.transformer import abstract_params

  ours = ModelConfig.from_hf(config)
  if _DEVICE.value == "cpu":
    save_hf(folder, ours, init_params(ours, jax.random.key(0)))
    return
  # One block of random numbers over and over, of a length that no row is a multiple of: to draw all
  # takes half a minute.
  block = (
    config["initializer_range"] * np.random.default_rng(0).standard_normal(1_000_003)
  ).astype(np.float32)

  def fill(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    fixed = {"scale": 1.0, "bias": 0.0}.get(path[-1].key)
    values = np.resize(
      block.astype("bfloat16") if fixed is None else np.asarray(fixed, "bfloat16"), leaf.shape
    )
    return values

  save_hf(
    folder, ours, jax.tree_util.tree_map_with_path(fill, nn.meta.unbox(abstract_params(ours)))
  )


def random_records(vocab_size: int, count: int) -> list[dict[str, list[int]]]:
  """Pairs of different prompts: 512 prompt tokens, of which the last 16 stand for the question, and
  answers of 64.
  """
  rng = np.random.default_rng(0)
  sizes = {"prefix": 496, "prompt": 16, "chosen": 63, "rejected": 63}

  def one() -> dict[str, list[int]]:
    drawn = {name: rng.integers(2, vocab_size, size).tolist() for name, size in sizes.items()}
    return {name: ids + [0] * (name in ("chosen", "rejected")) for name, ids in drawn.items()}

  return [one() for _ in range(count)]


def spider_records(vocab_size: int, long: bool = False) -> list[dict[str, list[int]]]:
  """Questions of Spider train with their SQL and another query of the same database; `long` schemas
  show values.
  """
  from spftsql_jax.databases.introspection import read_schema
  from spftsql_jax.examples.benchmarks import find_database, read_examples
  from spftsql_jax.examples.prompts import PromptFormat
  from spftsql_jax.examples.tokenizer import load_tokenizer

  root = Path(_SPIDER.value)
  tokenizer = load_tokenizer(
    _TOKENIZER.value, PromptFormat(comments=long, samples=5 if long else 0, matched_values=0)
  )
  by_database: dict[str, list[Any]] = {}
  for example in read_examples(root / "train_spider.json"):
    if (root / "database" / example.db_id / f"{example.db_id}.sqlite").is_file():
      by_database.setdefault(example.db_id, []).append(example)
  schemas = {d: read_schema(str(find_database(root / "database", d))) for d in by_database}
  ordered = sorted(by_database, key=lambda d: (len(tokenizer.prefix(schemas[d])), d))
  places = np.cumsum([len(by_database[d]) for d in ordered]) / sum(map(len, by_database.values()))
  chosen = [
    ordered[int(np.searchsorted(places, (i + 0.5) / _DATABASES.value))]
    for i in range(_DATABASES.value)
  ]
  rng, records = np.random.default_rng(0), []

  def folded(ids: tuple[int, ...]) -> list[int]:
    return [2 + i % (vocab_size - 2) for i in ids]

  for database in dict.fromkeys(chosen):
    examples = by_database[database]
    prefix = folded(tokenizer.prefix(schemas[database]))
    for i in rng.permutation(len(examples))[: _QUESTIONS.value]:
      example = examples[i]
      others = [e.query for e in examples if e.query != example.query]
      answers = (example.query, others[rng.integers(len(others))])
      dialect = schemas[database].dialect
      chosen_ids, rejected_ids = (folded(tokenizer.answer(a, dialect)[:-1]) + [0] for a in answers)
      question = folded(tokenizer.question(example.question))
      records.append(
        {"prefix": prefix, "prompt": question, "chosen": chosen_ids, "rejected": rejected_ids}
      )
  return [records[i] for i in rng.permutation(len(records))]


def lengths_of(records: list[dict[str, list[int]]]) -> dict[str, Any]:
  """What the records are like."""
  return {
    "records": len(records),
    "schemas": len({tuple(r["prefix"]) for r in records}),
    "mean_tokens": {
      n: round(float(np.mean([len(r[n]) for r in records])), 1)
      for n in ("prefix", "prompt", "chosen")
    },
  }


def job_of(
  case: str, lora: bool, records: list, config: dict[str, Any], folder: str
) -> dict[str, Any]:
  """What all sides of a comparison are told."""
  gpu = _DEVICE.value == "gpu"
  job = {
    "model_dir": folder,
    "config": config,
    "records": records,
    "lora": lora,
    "loss": "sft" if case[0] == "c" else "dpo",
  }
  job |= {"threads": _THREADS.value, "pack_to": _PACK_TO.get(case), "device": _DEVICE.value}
  # What decides the form in our worker, whose case holds both.
  job["form"] = _FORM.value
  return job | {
    "dtype": "bfloat16" if gpu else "float32",
    "turn_records": 4 if case == "a" else _PEER_RECORDS.value,
  }


def start(
  name: str,
  records: dict,
  config: dict,
  environments: dict,
  folder: str,
  attentions: list[str] | None = None,
) -> dict[str, Worker]:
  """The workers of a comparison on a GPU; they prepare what needs none."""
  case, _, tree = name.rpartition(" ")
  job = job_of(case, tree == "lora", records[case], config, folder)
  shape = _OUR_GPU_CASES[case] | (_OUR_GPU_FULL.get(case, {}) if tree == "full" else {})
  tried = _ATTENTIONS.value if _FORM.value == "padded" else ["einsum"]
  ours = job | shape | {"options": attentions or tried, "remat": "dots"}
  workers = {"ours": Worker(sys.executable, "our_worker.py", ours, folder)}
  for peer, python in environments.items():
    if isinstance(python, Path) and not (peer == "tunix" and job["loss"] == "sft"):
      workers[peer] = Worker(
        python, f"{peer}_worker.py", job | {"options": _PEER_GPU_SIZES[case]}, folder
      )
  return workers


def compare_one_after_another(
  workers: dict[str, Worker], environments: dict[str, Path | str]
) -> dict[str, Any]:
  """Medians of all sides, each with the GPU for itself and at the best of its options."""
  entry: dict[str, Any] = {
    peer: {"failed": told} for peer, told in environments.items() if isinstance(told, str)
  }
  results: dict[str, list[dict[str, Any]]] = {}
  for name, worker in workers.items():
    tried: dict[str, Any] = {}
    best: list[dict[str, Any]] = []
    entry[name] = {}
    try:
      worker.answer()
      for _ in worker.options:
        ready = worker.next()
        if "failed" in ready:
          tried[str(ready["option"])] = ready["failed"]
          continue
        worker.turn()
        turns = [worker.turn() for _ in range(_TURNS.value)]
        rate = statistics.median(t["records"] / t["seconds"] for t in turns)
        tried[str(ready["option"])] = round(rate, 3)
        if not best or rate > statistics.median(t["records"] / t["seconds"] for t in best):
          best, entry[name] = (
            turns,
            {k: v for k, v in ready.items() if k != "ready"} | medians(turns),
          )
    except RuntimeError as error:
      entry[name]["failed"] = str(error)
    finally:
      worker.close()
    entry[name]["tried_records_a_second"] = tried
    if best:
      results[name] = best
      if name != "ours" and "ours" in results:
        entry[name]["ours_times_its_speed"] = times(entry["ours"], entry[name])
  if "ours" in results and (peak := entry["ours"]["peak_flops"]):
    entry["mfu"] = round(
      statistics.median(t["flops"] / t["seconds"] for t in results["ours"]) / peak, 3
    )
  return entry


def times(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
  """By how much ours is faster."""
  return {
    "wall": round(ours["records_a_second"] / theirs["records_a_second"], 2),
    "cpu": round(theirs["cpu_ms_a_record"] / ours["cpu_ms_a_record"], 2),
    "tokens": round(theirs["tokens_a_record"] / ours["tokens_a_record"], 2),
  }


def compare(
  case: str,
  lora: bool,
  records: list,
  config: dict[str, Any],
  environments: dict[str, Path | str],
  folder: str,
) -> dict[str, Any]:
  """Medians of all sides in one case, taking turns."""
  job = job_of(case, lora, records, config, folder)
  entry: dict[str, Any] = {}
  ours = job | _OUR_CASES[case] | {"options": ["einsum"], "remat": "none"}
  workers = {"ours": Worker(sys.executable, "our_worker.py", ours, folder)}
  readies = {"ours": workers["ours"].answer()}
  try:
    for peer, python in environments.items():
      if peer == "tunix" and job["loss"] == "sft":
        continue  # the comparison is with TRL's packing
      if isinstance(python, str):
        entry[peer] = {"failed": python}
        continue
      try:
        workers[peer], readies[peer], tried = best_worker(peer, python, case, job, folder)
        entry[peer] = {"tried_records_a_second": tried}
      except RuntimeError as error:
        entry[peer] = {"failed": str(error)}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(_TURNS.value):
      for name, worker in workers.items():
        results[name].append(worker.turn())
  finally:
    for worker in workers.values():
      worker.close()
  for name, turns in results.items():
    entry[name] = {
      **entry.get(name, {}),
      **medians(turns),
      **{k: v for k, v in readies[name].items() if k != "ready"},
    }
    if name != "ours":
      entry[name]["ours_times_its_speed"] = times(entry["ours"], entry[name])
  return entry


def best_worker(
  peer: str, python: Path, case: str, job: dict[str, Any], folder: str
) -> tuple[Worker, dict[str, Any], dict[str, float]]:
  """The peer at the best of the batch sizes; each is tried for a turn after one that warms up."""
  if case == "a":
    sizes = [4]
  else:
    # A batch of packed rows holds some 3 records.
    sizes = [int(b) for b in _BATCH_SIZES.value] if case == "b" else [1, 2, 4]
  tried: dict[int, tuple[float, Worker]] = {}
  readies: dict[int, dict[str, Any]] = {}
  for size in sizes:
    worker = Worker(python, f"{peer}_worker.py", job | {"options": [size]}, folder)
    readies[size] = worker.answer()
    worker.turn()
    done = worker.turn()
    tried[size] = (done["records"] / done["cpu_seconds"], worker)
  best = max(tried, key=lambda size: tried[size][0])
  for size, (_, worker) in tried.items():
    if size != best:
      worker.close()
  return (
    tried[best][1],
    readies[best],
    {str(size): round(rate, 2) for size, (rate, _) in tried.items()},
  )


def medians(turns: list[dict[str, Any]]) -> dict[str, Any]:
  rates = [t["records"] / t["seconds"] for t in turns]
  return {
    "records_a_second": round(statistics.median(rates), 3),
    "all_records_a_second": [round(r, 3) for r in rates],
    "cpu_ms_a_record": round(
      1000 * statistics.median(t["cpu_seconds"] / t["records"] for t in turns), 1
    ),
    "tokens_a_record": round(statistics.median(t["tokens"] / t["records"] for t in turns), 1),
    "records_a_turn": turns[0]["records"],
    **(
      {"peak_gib": round(max(t["peak_bytes"] for t in turns) / 2**30, 2)}
      if turns[0].get("peak_bytes")
      else {}
    ),
    "ms_a_thousand_tokens": round(
      1e6 * statistics.median(t["seconds"] / t["tokens"] for t in turns), 1
    ),
  }


if __name__ == "__main__":
  launch(main)
