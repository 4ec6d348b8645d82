"""The base in the box: it is small, comes with its card, reads schemas that it has never seen, and
is the same model in transformers.
"""

from __future__ import annotations

import numpy as np
import pytest

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.answering.predict import PromptDatabase, answer_questions, question_request
from spftsql_jax.base import base_in_the_box
from spftsql_jax.databases import Executor
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.pipeline.pretraining.config import CorpusConfig
from spftsql_jax.pipeline.pretraining.corpus import make_held_out

SMALL = CorpusConfig(held_out=6, held_out_examples=12)
LARGEST = 20e6


@pytest.fixture(scope="module")
def model():
  return load_exported(base_in_the_box(), lanes=32)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
  """(databases, examples) of domains that nothing was trained on."""
  folder = tmp_path_factory.mktemp("held_out")
  examples = read_examples(make_held_out(SMALL, folder, workers=2))
  places = {e.db_id: folder / f"held_out/{e.db_id}/{e.db_id}.sqlite" for e in examples}
  return {d: PromptDatabase.read(place) for d, place in places.items()}, examples


def answers(model, databases, examples):
  return answer_questions(
    model.generator,
    model.params,
    model.tokenizer,
    databases,
    examples,
    max_new_tokens=model.max_new_tokens,
    schemas=model.schemas,
  )


def test_it_is_small_and_has_its_card():
  folder = base_in_the_box()
  assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= LARGEST
  card = (folder / "README.md").read_text(encoding="utf-8")
  assert card.startswith("---\nlicense: apache-2.0\n")
  assert "pretrain_small.py" in card and "nats" in card


def test_it_answers_over_schemas_it_has_never_seen(model, asked):
  databases, examples = asked
  pairs = [
    (e.query, found[0].sql)
    for e, found in zip(examples, answers(model, databases, examples), strict=True)
  ]
  with Executor(workers=1) as executor:
    verdicts = score_predictions(pairs, [[databases[e.db_id].location] for e in examples], executor)
  # A measured share is in its card; so few questions scatter by some 12 points.
  assert np.mean([v.correct for v in verdicts]) >= 0.25
  assert np.mean([v.status == "ok" for v in verdicts]) >= 0.6


def test_transformers_writes_the_same_sql(model, asked):
  pytest.importorskip("torch", reason="torch is not installed: see tests/requirements-parity.txt")
  import torch
  import transformers

  databases, examples = asked
  examples = examples[::9]
  theirs = transformers.AutoModelForCausalLM.from_pretrained(
    str(base_in_the_box()), dtype=torch.float32
  )
  read = transformers.AutoTokenizer.from_pretrained(str(base_in_the_box()))
  for example, found in zip(examples, answers(model, databases, examples), strict=True):
    request = question_request(model.tokenizer, databases[example.db_id], example.question)
    ids = [*request.prefix, *request.prompt]
    written = theirs.generate(
      torch.tensor([ids]), max_new_tokens=model.max_new_tokens, do_sample=False
    )[0, len(ids) :]
    assert read.decode(written, skip_special_tokens=True).strip() == found[0].sql
