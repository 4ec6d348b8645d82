"""Measures the value index at many distinct values: time and memory to build it, time to search it
for a question.

    python experiments/benchmarks/values_search.py --values=1000000 --output=values.json

The values are made: names of people, streets with numbers, titles and codes, over 50 columns, their
words drawn by Zipf's law, so that some words stand in tens of thousands of values as they do in
real columns. The questions name a stored value, a part of one, several, or none; half of them are
made of the most frequent words, which is the slow case. Times are CPU seconds of one process.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import measuring
from absl import flags

from spftsql_jax.databases import ValueIndex
from spftsql_jax.files import write_json

_VALUES = flags.DEFINE_integer("values", 1_000_000, "Distinct values to make.", lower_bound=100)
_QUESTIONS = flags.DEFINE_integer("questions", 500, "Questions to ask.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the values and questions.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_VOCABULARY = 60_000
_COLUMNS = 50
_FRAME = (
  "How many of them are called {}?",
  "List the years and prices of {}.",
  "Which people know {} and live near {}?",
)

Triple = tuple[str, str, str]


def main() -> None:
  rng = random.Random(_SEED.value)
  words, weights = _vocabulary(rng)
  values = _make_values(_VALUES.value, words, weights, rng)
  questions = _make_questions(_QUESTIONS.value, values, words, rng)
  before = measuring.resident_bytes()
  start = time.process_time()
  index = ValueIndex(values)
  build_seconds = time.process_time() - start
  memory_mb = (measuring.resident_bytes() - before) / 1e6
  index.search(questions[0][0])
  cpu, found, named = [], 0, 0
  for question, wanted in questions:
    start = time.process_time()
    matches = index.search(question)
    cpu.append(time.process_time() - start)
    named += bool(wanted)
    found += bool(wanted) and any(match.value == wanted for match in matches)
  cpu.sort()
  report = {
    "values": len(index),
    "build_cpu_seconds": round(build_seconds, 2),
    "index_mb": round(memory_mb, 1),
    "questions": len(questions),
    "median_ms": round(1000 * statistics.median(cpu), 2),
    "percentile_95_ms": round(1000 * cpu[int(0.95 * (len(cpu) - 1))], 2),
    "longest_ms": round(1000 * cpu[-1], 2),
    "named_values_found": f"{found} of {named}",
  }
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps(report))


def _vocabulary(rng: random.Random) -> tuple[list[str], list[float]]:
  """Words and their cumulative weights by Zipf's law."""
  syllables = [
    a + b for a in "bdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "in")
  ]
  words = list(
    dict.fromkeys("".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(_VOCABULARY))
  )
  total, weights = 0.0, []
  for rank in range(1, len(words) + 1):
    total += 1 / rank
    weights.append(total)
  return words, weights


def _make_values(
  count: int, words: list[str], weights: list[float], rng: random.Random
) -> list[Triple]:
  """Distinct values of four kinds in turn."""
  made: dict[str, Triple] = {}
  while len(made) < count:
    drawn = rng.choices(words, cum_weights=weights, k=4)
    i = len(made)
    text = (
      f"{drawn[0].title()} {drawn[1].title()}",
      f"{drawn[0].title()} Street {i}",
      f"the {' '.join(drawn[:3])}",
      f"{drawn[0][:3].upper()}-{i:07d}",
    )[i % 4]
    if text in made:
      text = f"{text} {drawn[3]}"
    column = i % _COLUMNS
    made.setdefault(text, (f"table_{column // 5}", f"column_{column}", text))
  return list(made.values())


def _make_questions(
  count: int, values: list[Triple], words: list[str], rng: random.Random
) -> list[tuple[str, str]]:
  """(question, the value it names or "")."""
  questions = []
  for i in range(count):
    frame = rng.choice(_FRAME)
    if i % 2:
      value = rng.choice(values)[2]
      questions.append((frame.format(*(value, rng.choice(values)[2])[: frame.count("{}")]), value))
    else:
      # The commonest words, in an order that no value need have.
      common = [" ".join(rng.choices(words[:30], k=3)) for _ in range(2)]
      questions.append((frame.format(*common[: frame.count("{}")]) + " street the", ""))
  return questions


if __name__ == "__main__":
  launch.launch(main)
