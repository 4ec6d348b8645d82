"""What a base can do before any fine-tuning, in both directions.

    python experiments/benchmarks/base_figures.py --base=DIR --output=FILE.json [--spider=SPIDER]

Question to SQL, greedy: execution accuracy on made-up databases of held-out domains with
synthesized questions, on Spider's dev databases with synthesized questions where Spider is given,
and on the demo databases with the questions written by hand. Each with its 95 % interval
(Wilson), and of databases the mean of their accuracies. SQL to question: how many of the model's
own questions about gold queries lead it back to the same result.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import check_output, launch

from absl import flags  # isort: skip

from demo.make_databases import make_demo

from spftsql_jax.answering.exported import ExportedModel, load_exported
from spftsql_jax.answering.predict import PromptDatabase, answer_questions, query_request
from spftsql_jax.databases import Executor
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json
from spftsql_jax.judging.metrics import wilson_interval
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.pipeline.pretraining.config import CorpusConfig
from spftsql_jax.pipeline.pretraining.corpus import make_held_out
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

_BASE = flags.DEFINE_string("base", None, "Folder of the model.", required=True)
_SPIDER = flags.DEFINE_string("spider", None, "Folder of Spider, of its databases alone.")
_SPIDER_QUESTIONS = flags.DEFINE_integer("spider_questions", 400, "Synthesized.", lower_bound=20)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that synthesize.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_QUESTION_TOKENS = 64


@dataclasses.dataclass(frozen=True)
class Asked:
  """Questions with gold SQL on databases of a folder."""

  name: str
  examples: Sequence[Example]
  databases: Path


def main() -> None:
  check_output(_OUTPUT.value)
  model = load_exported(_BASE.value, lanes=96)
  with tempfile.TemporaryDirectory() as folder:
    found = {asked.name: _measure(model, asked) for asked in _sources(Path(folder))}
  write_json(Path(_OUTPUT.value), found)
  for name, figures in found.items():
    print(name, json.dumps({k: v for k, v in figures.items() if k != "by_database"}))


def _sources(folder: Path) -> list[Asked]:
  made = make_held_out(CorpusConfig(), folder, _WORKERS.value)
  make_demo(folder / "demo")
  sources = [
    Asked("held-out made-up databases", read_examples(made), folder / "held_out"),
    Asked("demo, written by hand", read_examples(folder / "demo/test.json"), folder / "demo"),
  ]
  if _SPIDER.value:
    spider = Path(_SPIDER.value)
    dev = sorted(database_ids(read_examples(spider / "dev.json")))
    options = SynthesisOptions(
      _SPIDER_QUESTIONS.value, seed=0, workers=_WORKERS.value, repair=True, infer_keys=True
    )
    locations = [find_database(spider / "database", db_id) for db_id in dev]
    made_on = synthesize(locations, builtin_templates(), options)
    asked = [e.example() for e in made_on.examples]
    sources.append(Asked("Spider dev, synthesized questions", asked, spider / "database"))
  return sources


def _measure(model: ExportedModel, asked: Asked) -> dict[str, Any]:
  """Both directions over the questions of one source."""
  databases = {
    d: PromptDatabase.read(find_database(asked.databases, d)) for d in database_ids(asked.examples)
  }
  right, run = _answer(model, databases, asked.examples)
  low, high = wilson_interval(int(right.sum()), len(right))
  owners = np.array([e.db_id for e in asked.examples])
  by_database = {d: float(right[owners == d].mean()) for d in databases}
  own = [
    dataclasses.replace(example, question=question)
    for example, question in zip(
      asked.examples, _questions(model, databases, asked.examples), strict=True
    )
  ]
  # An empty question is none that leads back.
  put = [example for example in own if example.question.strip()]
  back, _ = _answer(model, databases, put)
  return {
    "n": len(right),
    "databases": len(databases),
    "ex": float(right.mean()),
    "interval": [low, high],
    "mean_of_databases": float(np.mean(list(by_database.values()))),
    "executable": float(run.mean()),
    "own_questions_lead_back": float(back.sum() / len(right)),
    "by_database": by_database,
  }


def _answer(
  model: ExportedModel, databases: dict[str, PromptDatabase], examples: Sequence[Example]
) -> tuple[np.ndarray, np.ndarray]:
  """(right, executable) of each example's greedy answer."""
  answers = answer_questions(
    model.generator,
    model.params,
    model.tokenizer,
    databases,
    examples,
    max_new_tokens=model.max_new_tokens,
    schemas=model.schemas,
  )
  pairs = [(e.query, found[0].sql) for e, found in zip(examples, answers, strict=True)]
  with Executor(workers=1) as executor:
    places = [[databases[e.db_id].location] for e in examples]
    verdicts = score_predictions(pairs, places, executor)
  return np.array([v.correct for v in verdicts]), np.array([v.status == "ok" for v in verdicts])


def _questions(
  model: ExportedModel, databases: dict[str, PromptDatabase], examples: Sequence[Example]
) -> list[str]:
  """The model's greedy question about each example's gold query."""
  requests = [query_request(model.tokenizer, databases[e.db_id].schema, e.query) for e in examples]
  answers = model.generator.generate(
    model.params,
    requests,
    max_new_tokens=_QUESTION_TOKENS,
    eos_id=model.tokenizer.end_ids,
  )
  return [model.tokenizer.decode(answer.tokens).strip() for answer in answers]


if __name__ == "__main__":
  launch(main)
