"""Are questions by rule understood as a person's are? A model that never saw them answers both.

    python experiments/benchmarks/round_trip.py --model=DIR --questions=FILE --databases=DIR \
      --output=FILE.json [--every=4] [--seed=0]

Each query of FILE, a benchmark's examples with questions that people wrote, is worded by rule as
well; queries that the rules refuse are left out and counted. The model, one that was trained on
people's questions alone, answers both greedily. Reported are the execution accuracy over both with
its 95 % interval (Wilson), the exact test of the paired differences, and how often the two answers
of a query agree by their results. Where people's questions are understood and the rules' are not,
the rules say something else than people do; the pairs are listed for reading.

Answers are kept in FILE.json.partial, a line a database, and the same command goes on.
"""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import check_output, launch

# isort: split
from absl import flags
from answers import answers_of, are_right, share

from spftsql_jax.answering.exported import ExportedModel, load_exported
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases import Executor
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json
from spftsql_jax.judging.statistics import paired_exact_test
from spftsql_jax.questions.sentences import UnsupportedQuery, write_question

_MODEL = flags.DEFINE_string("model", None, "Folder of the model.", required=True)
_QUESTIONS = flags.DEFINE_string("questions", None, "Example file with gold SQL.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of its databases.", required=True)
_EVERY = flags.DEFINE_integer("every", 1, "Takes each n-th example.", lower_bound=1)
_LANES = flags.DEFINE_integer("lanes", 32, "Answers decoded at once.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the wordings.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


@dataclasses.dataclass(frozen=True)
class Pair:
  """A query as a person asked it and as the rules do, with a model's answers to both."""

  db_id: str
  query: str
  by_person: str
  by_rule: str
  answer_to_person: str
  answer_to_rule: str


def main() -> None:
  check_output(_OUTPUT.value)
  asked = read_examples(_QUESTIONS.value)[:: _EVERY.value]
  exported = load_exported(Path(_MODEL.value), lanes=_LANES.value)
  kept = Path(f"{_OUTPUT.value}.partial")
  pairs, done = _kept(kept)
  with Executor(workers=1) as executor:
    for db_id in database_ids(asked):
      if db_id not in done:
        of_database = [example for example in asked if example.db_id == db_id]
        new = _answered(exported, str(find_database(Path(_DATABASES.value), db_id)), of_database)
        with kept.open("a") as lines:
          lines.write(json.dumps([db_id, [dataclasses.astuple(pair) for pair in new]]) + "\n")
        pairs += new
        print(f"{db_id}: {len(pairs)} pairs", file=sys.stderr, flush=True)
    found = _figures(pairs, executor, len(asked))
  write_json(Path(_OUTPUT.value), found)
  kept.unlink(missing_ok=True)
  print(json.dumps({name: value for name, value in found.items() if name != "misunderstood"}))


def _kept(path: Path) -> tuple[list[Pair], set[str]]:
  """The pairs of databases that are answered, and which these are."""
  lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
  return [Pair(*pair) for _, pairs in lines for pair in pairs], {db_id for db_id, _ in lines}


def _answered(exported: ExportedModel, location: str, asked: Sequence[Example]) -> list[Pair]:
  """Both questions of each query over one database that the rules can word, answered."""
  database = PromptDatabase.read(location)
  worded: list[tuple[Example, str]] = []
  for number, example in enumerate(asked):
    try:
      rng = random.Random(f"{_SEED.value} {example.db_id} {number}")
      worded.append((example, write_question(example.query, database.schema, rng)))
    except UnsupportedQuery:
      continue
  both = [e for e, _ in worded] + [dataclasses.replace(e, question=q) for e, q in worded]
  said = answers_of(exported, {example.db_id: database for example in asked}, both)
  return [
    Pair(example.db_id, example.query, example.question, question, to_person, to_rule)
    for (example, question), to_person, to_rule in zip(
      worded, said[: len(worded)], said[len(worded) :], strict=True
    )
  ]


def _figures(pairs: Sequence[Pair], executor: Executor, asked: int) -> dict[str, Any]:
  databases = Path(_DATABASES.value)
  locations = [str(find_database(databases, pair.db_id)) for pair in pairs]
  queries = (
    [(pair.query, pair.answer_to_person) for pair in pairs],
    [(pair.query, pair.answer_to_rule) for pair in pairs],
    [(pair.answer_to_person, pair.answer_to_rule) for pair in pairs],
  )
  person, rule, agreed = (are_right(each, locations, executor) for each in queries)
  return {
    "queries": asked,
    "not_worded": asked - len(pairs),
    "person": share(person),
    "rule": share(rule),
    "p": paired_exact_test(person, rule),
    "agreement": share(agreed),
    "of_understood": share([r for p, r in zip(person, rule, strict=True) if p]),
    "misunderstood": [
      dataclasses.asdict(pair)
      for pair, by_person, by_rule in zip(pairs, person, rule, strict=True)
      if by_person and not by_rule
    ],
  }


if __name__ == "__main__":
  launch(main)
