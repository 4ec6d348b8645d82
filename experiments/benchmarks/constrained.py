"""What restricting identifiers to the schema does to a model's answers: execution accuracy, share
that runs, tokens a second.

    python experiments/benchmarks/constrained.py --model=DIR --examples=FILE.json --databases=DIR \
      --output=constrained.json

All questions are answered without and with the restriction, greedily and by one sample at
--temperature (the same randomness in both), executed and judged by the "strict" comparison. Beside
shares with their 95 % intervals stand the questions whose answer runs, or is right, in one of the
two only, with the exact sign test. The first answers of each kind compile.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import launch

# isort: split
from absl import flags
from answers import answers_of, share

from spftsql_jax.answering.exported import ExportedModel, load_exported
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases import Executor
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.judging.statistics import paired_exact_test

_MODEL = flags.DEFINE_string("model", None, "Model folder.", required=True)
_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the questions.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "Of the samples.", lower_bound=0.01)
_SEED = flags.DEFINE_integer("seed", 0, "Of the samples.", lower_bound=0)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers decoded at once.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that execute.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  examples = read_examples(_EXAMPLES.value)
  databases = {
    d: PromptDatabase.read(find_database(_DATABASES.value, d)) for d in database_ids(examples)
  }
  exported = load_exported(_MODEL.value, _LANES.value)
  report: dict[str, Any] = {"questions": len(examples), "seed": _SEED.value, "decoding": {}}
  with Executor(workers=_WORKERS.value) as executor:
    for name, temperature in (
      ("greedy", 0.0),
      (f"temperature {_TEMPERATURE.value}", _TEMPERATURE.value),
    ):
      free, free_numbers = measure(
        exported, databases, examples, executor, temperature, constrain=False
      )
      bound, bound_numbers = measure(
        exported, databases, examples, executor, temperature, constrain=True
      )
      report["decoding"][name] = {
        "free": free_numbers,
        "constrained": bound_numbers,
        "runs": paired([v.status == "ok" for v in free], [v.status == "ok" for v in bound]),
        "right": paired([v.correct for v in free], [v.correct for v in bound]),
        "different_answers": sum(
          a.predicted_sql != b.predicted_sql for a, b in zip(free, bound, strict=True)
        ),
      }
      print(name, json.dumps(report["decoding"][name]), flush=True)
  write_json(_OUTPUT.value, report, end="\n")


def measure(
  exported: ExportedModel,
  databases: dict[str, PromptDatabase],
  examples: list[Example],
  executor: Executor,
  temperature: float,
  constrain: bool,
) -> tuple[list[Verdict], dict[str, Any]]:
  """Verdicts on one kind of decoding, and what it comes to."""
  tokens, began, cpu = (
    exported.generator.statistics.tokens,
    time.perf_counter(),
    time.process_time(),
  )
  answers = answers_of(
    exported,
    databases,
    examples,
    temperature=temperature,
    seed=_SEED.value,
    constrain=constrain,
  )
  seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
  verdicts = score_predictions(
    [(e.query, answer) for e, answer in zip(examples, answers, strict=True)],
    [(databases[e.db_id].location,) for e in examples],
    executor,
  )
  numbers = {
    "execution_accuracy": share([v.correct for v in verdicts]),
    "executable": share([v.status == "ok" for v in verdicts]),
    "tokens": exported.generator.statistics.tokens - tokens,
    "seconds": round(seconds, 2),
    "cpu_seconds": round(cpu, 2),
  }
  return verdicts, numbers


def paired(before: list[bool], after: list[bool]) -> dict[str, Any]:
  """Questions that change sides, and the two-sided exact sign test."""
  gained = sum(b and not a for a, b in zip(before, after, strict=True))
  lost = sum(a and not b for a, b in zip(before, after, strict=True))
  return {"gained": gained, "lost": lost, "p": round(paired_exact_test(before, after), 4)}


if __name__ == "__main__":
  launch(main)
