"""What the measured processes share: a job to read, and turns that are timed when the benchmark
asks for one.

The benchmark starts `WORKER.py JOB.json` and writes lines to it. For each "go" the worker trains
for one turn and answers with a line of JSON; at "next" it makes ready with the next of the job's
options (a batch size, or an attention). Nothing here imports JAX or torch: each worker runs in its
own virtual environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_job() -> dict[str, Any]:
  """The job named on the command line: model_dir, records, lora, loss ("dpo" or "sft"), options,
  turn_records, threads.
  """
  return json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


def threads_of(job: dict[str, Any]) -> None:
  """Sets the threads of BLAS and OpenMP; call it before anything heavy is imported."""
  for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(job["threads"])
  os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[job["device"]]


def say(**values: Any) -> None:
  """One line of JSON to the benchmark."""
  print("TURN " + json.dumps(values), flush=True)


def wait() -> str:
  """What the benchmark says: "go" for a turn, "next" for the next option, "" when it is done with
  this worker.
  """
  return sys.stdin.readline().strip()


def begin(job: dict[str, Any]) -> None:
  """Behind what needs no device: on a GPU, which one side has at a time, waits until it is this
  one's turn.
  """
  if job["device"] == "gpu":
    say(loaded=True)
    if wait() != "next":
      sys.exit(0)


def serve(turn: Callable[[], dict[str, Any]], **ready: Any) -> bool:
  """Says that the worker is ready, then runs a turn for each "go" and says its wall clock and CPU
  seconds with its result.

  Returns whether the next option is asked for.
  """
  say(ready=True, **ready)
  while (said := wait()) == "go":
    began, cpu = time.perf_counter(), time.process_time()
    result = turn()
    say(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu, **result)
  return said == "next"
