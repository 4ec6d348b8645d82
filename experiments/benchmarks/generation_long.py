"""A long run of Generator with execution beside it: memory, compilations, and how long the
accelerator had nothing to do.

    python experiments/benchmarks/generation_long.py --output=generation_long.json

A small random model samples --answers answers over --schemas schemas in one call; they end at
random (one token in --end_every ends them) or at the limit. Each answer chooses a statement that
worker processes execute while others are decoded. Resident memory is read at every tenth of the
answers; compilations are those that JAX reports, before and after the first tenth; idle time is an
upper bound (see generation.Statistics).
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import launch

from absl import flags  # isort: skip
import jax
import numpy as np
from tqdm import tqdm

from spftsql_jax.databases import Executor
from spftsql_jax.files import write_json
from spftsql_jax.generation import Answer, Generator, Request
from spftsql_jax.models import Decoder, ModelConfig, init_params

_ANSWERS = flags.DEFINE_integer("answers", 50_000, "Answers to generate.", lower_bound=100)
_SCHEMAS = flags.DEFINE_integer("schemas", 8, "Schemas they are spread over.", lower_bound=1)
_SCHEMA_TOKENS = flags.DEFINE_integer("schema_tokens", 256, "Tokens of a schema.", lower_bound=1)
_ANSWER_TOKENS = flags.DEFINE_integer("answer_tokens", 32, "Length limit.", lower_bound=1)
_END_EVERY = flags.DEFINE_integer(
  "end_every", 24, "One token in so many ends an answer.", lower_bound=1
)
_HIDDEN = flags.DEFINE_integer("hidden", 128, "Width of the model.", lower_bound=32)
_LAYERS = flags.DEFINE_integer("layers", 2, "Layers of the model.", lower_bound=1)
_LANES = flags.DEFINE_integer("lanes", 128, "Answers decoded at once.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes that execute.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_VOCABULARY = 1024
_STATEMENTS = 500


def main() -> None:
  width = _HIDDEN.value
  config = ModelConfig(
    "qwen2",
    _VOCABULARY,
    width,
    4 * width,
    _LAYERS.value,
    width // 32,
    1,
    32,
    tie_word_embeddings=True,
  )
  generator = Generator(Decoder(config), lanes=_LANES.value)
  params = init_params(config, jax.random.key(0))
  compilations: list[str] = []
  jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: (
      compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
  )
  with (
    tempfile.TemporaryDirectory() as folder,
    Executor(workers=_WORKERS.value, cache_mb=0) as executor,
  ):
    database = make_database(Path(folder) / "numbers.sqlite")
    executor.start()
    report = run(generator, params, database, executor, compilations)
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps(report))


def run(
  generator: Generator, params: dict, database: str, executor: Executor, compilations: list[str]
) -> dict:
  """Generates and executes everything; what was measured."""
  tenth = max(_ANSWERS.value // 10, 1)
  finished: list[concurrent.futures.Future[int]] = []
  waiting: list[str] = []
  memory, compiled = [], []
  ran = 0
  with (
    concurrent.futures.ThreadPoolExecutor(1) as thread,
    tqdm(total=_ANSWERS.value, disable=None) as bar,
  ):

    def execute(statements: list[str]) -> int:
      return sum(
        result.ok for result in executor.execute_many([(database, sql) for sql in statements])
      )

    def done(_: int, answer: Answer) -> None:
      nonlocal ran
      waiting.append(
        f"SELECT COUNT(*), SUM(n) FROM numbers WHERE n % {_STATEMENTS} = "
        f"{sum(answer.tokens) % _STATEMENTS}"
      )
      bar.update()
      if bar.total and generator.statistics.answers % tenth == 0:
        memory.append(resident_mb())
        compiled.append(len(compilations))
      if len(waiting) == 64:
        # Batches that are through are forgotten: nothing may grow with the number of answers but
        # the answers.
        while finished and finished[0].done():
          ran += finished.pop(0).result()
        finished.append(thread.submit(execute, waiting.copy()))
        waiting.clear()

    began, cpu = time.perf_counter(), time.process_time()
    generator.generate(
      params,
      make_requests(),
      max_new_tokens=_ANSWER_TOKENS.value,
      eos_id=tuple(range(0, _VOCABULARY, _END_EVERY.value)),
      temperature=1.0,
      on_answer=done,
    )
    decoded = time.perf_counter() - began
    ran += execute(waiting) + sum(batch.result() for batch in finished)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
  statistics = generator.statistics
  return {
    "answers": statistics.answers,
    "tokens": statistics.tokens,
    "executed": ran,
    "seconds": round(seconds, 1),
    "cpu_seconds_without_workers": round(cpu_seconds, 1),
    "tokens_per_second": round(statistics.tokens / decoded),
    "answers_per_second": round(statistics.answers / decoded, 1),
    "seconds_of_execution_behind_decoding": round(seconds - decoded, 2),
    "idle_share_at_most": round(statistics.idle_seconds / decoded, 4),
    "busy_lanes_share": round(
      (statistics.tokens - statistics.answers) / max(statistics.lane_steps, 1), 3
    ),
    "resident_mb_by_tenth": memory,
    "compilations_before_and_after_the_first_tenth": [compiled[0], len(compilations) - compiled[0]],
  }


def make_requests() -> list[Request]:
  """Random questions over random schemas, in turn."""
  rng = np.random.default_rng(0)
  schemas = [
    tuple(rng.integers(0, _VOCABULARY, _SCHEMA_TOKENS.value).tolist())
    for _ in range(_SCHEMAS.value)
  ]
  lengths = rng.integers(8, 32, _ANSWERS.value)
  return [
    Request(schemas[i % len(schemas)], tuple(rng.integers(0, _VOCABULARY, n).tolist()))
    for i, n in enumerate(lengths)
  ]


def make_database(path: Path) -> str:
  """A table of a few thousand numbers."""
  with sqlite3.connect(path) as connection:
    connection.execute("CREATE TABLE numbers (n INTEGER)")
    connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(5000)])
  connection.close()
  return str(path)


def resident_mb() -> float:
  """Resident memory of this process."""
  pages = int(Path("/proc/self/statm").read_text().split()[1])
  return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
  launch(main)
