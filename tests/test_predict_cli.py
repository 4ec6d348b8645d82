"""predict.py: one line a question in order, goes on where it was killed, refuses another model;
votes and odd answers.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from spftsql_jax.answering.exported import load_exported, write_prompt_format
from spftsql_jax.answering.predict import Prediction, PromptDatabase, answer_questions, predict
from spftsql_jax.answering.vote import predict_by_vote, vote
from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, init_params, save_hf
from spftsql_jax.sql.one_line import one_line

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "predict.py"
QUESTIONS = [f"How many pets are {n} years old?" for n in range(12)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  """A folder with a random model, a database and questions, one of them empty and one too long."""
  folder = tmp_path_factory.mktemp("predict")
  (folder / "db" / "pets").mkdir(parents=True)
  with sqlite3.connect(folder / "db" / "pets" / "pets.sqlite") as connection:
    connection.execute("CREATE TABLE pets (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
    connection.executemany(
      "INSERT INTO pets VALUES (?, ?, ?)", [(i, f"pet {i}", i % 5) for i in range(20)]
    )
  connection.close()
  hf = train_bpe(["SELECT count(*) FROM pets WHERE age = 3 ; pets name", *QUESTIONS], 320)
  config = ModelConfig(
    "qwen2", len(hf), 32, 48, 1, 2, 1, 16, max_position_embeddings=512, initializer_range=0.3
  )
  config = config.replace(attention_bias=True, tie_word_embeddings=True)
  save_hf(folder / "model", config, init_params(config, jax.random.key(0)), hf)
  write_prompt_format(folder / "model", PromptFormat("names", matched_values=0), max_new_tokens=16)
  asked = [*QUESTIONS[:5], " ", *QUESTIONS[5:], "why " * 600]
  records = [{"db_id": "pets", "question": q, "query": "SELECT 1"} for q in asked]
  (folder / "examples.json").write_text(json.dumps(records))
  return folder


def command(files, output, *more):
  return [
    *(
      sys.executable,
      SCRIPT,
      f"--model={files / 'model'}",
      f"--examples={files / 'examples.json'}",
    ),
    *(f"--databases={files / 'db'}", f"--output={output}", "--lanes=2", *more),
  ]


def run(files, output, *more):
  return subprocess.run(
    command(files, output, *more), capture_output=True, text=True, check=False, timeout=300
  )


@pytest.fixture(scope="module")
def whole(files):
  """(the finished process, its output file) of a run to the end."""
  output = files / "whole.sql"
  return run(files, output, f"--details={files / 'details.jsonl'}"), output


def test_there_is_a_line_a_question_and_what_was_not_answered_is_named(files, whole):
  done, output = whole
  assert done.returncode == 0, done.stderr
  lines = output.read_text().split("\n")
  assert len(lines) == 15 and lines[-1] == ""
  assert lines[5] == lines[13] == ""
  assert "the question is empty on 1 blank lines, the first of them [6]" in done.stderr
  assert "exceed the model's positions on 1 blank lines, the first of them [14]" in done.stderr
  details = [json.loads(line) for line in (files / "details.jsonl").read_text().splitlines()]
  assert [one_line(d["sql"]) for d in details] == lines[:-1]
  assert details[5]["status"] == "empty_prompt" and details[13]["status"] == "too_long"
  assert not list(files.glob("whole.sql.*"))


def test_questions_without_sql_or_db_id_are_answered_over_one_file(files, whole, tmp_path):
  """A list of questions is enough where --databases names one database; a .json output is
  BIRD's.
  """
  questions = [json.loads(json.dumps({"question": q})) for q in QUESTIONS[:3]]
  (tmp_path / "asked.jsonl").write_text(
    "\ufeff" + "".join(json.dumps(each) + "\r\n" for each in questions)
  )
  expected = whole[1].read_text().split("\n")[:3]
  file = files / "db" / "pets" / "pets.sqlite"
  for place in (file, f"sqlite:///{file}"):
    options = [f"--examples={tmp_path / 'asked.jsonl'}", f"--databases={place}"]
    done = run(files, tmp_path / "out.json", *options)
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "out.json").read_text())
    assert list(answers) == ["0", "1", "2"]
    assert [
      one_line(a.removesuffix("\t----- bird -----\tpets")) for a in answers.values()
    ] == expected
  done = run(files, tmp_path / "none.sql", f"--examples={tmp_path / 'asked.jsonl'}")
  assert done.returncode == 2 and "asked.jsonl:1: record 0: field db_id is missing" in done.stderr


def test_killed_it_goes_on_and_ends_with_the_same_lines(files, whole):
  output = files / "killed.sql"
  partial = Path(f"{output}.partial")
  process = subprocess.Popen(
    command(files, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  for _ in range(3000):
    if process.poll() is not None or (partial.exists() and partial.read_text().count("\n") > 3):
      break
    time.sleep(0.02)
  process.kill()
  process.wait()
  if not partial.exists():
    pytest.skip("the run ended before it could be killed")
  kept = partial.read_text()
  # A line that was cut off in the middle does no harm, and one that is there is not answered again.
  mark = kept.split("\n")[1]
  index, record = json.loads(mark)
  partial.write_text(
    kept.replace(mark, json.dumps([index, record | {"sql": "KEPT"}])) + '[3, {"sql": "hal'
  )
  assert run(files, output).returncode == 0
  expected = whole[1].read_text().split("\n")
  expected[index] = "KEPT"
  assert output.read_text().split("\n") == expected


def test_another_model_or_other_questions_are_refused(files, tmp_path):
  output = tmp_path / "out.sql"
  partial = Path(f"{output}.partial")
  head = json.dumps({"model": "x", "examples": "y", "databases": "z", "options": "o"}) + "\n"
  partial.write_text(head + json.dumps([0, {"sql": "SELECT 1"}]) + "\n")
  done = run(files, output, "--constrain")
  assert (
    done.returncode == 2
    and "begun with other model and examples and databases and options" in done.stderr
  )
  assert len(done.stderr.splitlines()) == 1 and not output.exists()
  # Where no answer is kept there is nothing to lose.
  for kept in (head, head + '[0, {"sql": "SEL', ""):
    partial.write_text(kept)
    assert run(files, output).returncode == 0 and output.exists() and not partial.exists()
    output.unlink()


@pytest.fixture(scope="module")
def loaded(files):
  database = PromptDatabase.read(files / "db" / "pets" / "pets.sqlite")
  return load_exported(files / "model", lanes=8), {"pets": database}


def test_a_model_folder_without_tokenizer_is_refused_by_name(files, tmp_path):
  for name in ("config.json", "model.safetensors"):
    os.symlink(files / "model" / name, tmp_path / name)
  done = run(files, tmp_path / "x.sql", f"--model={tmp_path}")
  assert done.returncode == 2 and str(tmp_path) in done.stderr and "tokenizer" in done.stderr
  assert len(done.stderr.strip().splitlines()) == 1


def test_votes_are_by_result_ties_by_log_prob_and_failures_have_no_say():
  one, two, bag = (
    Result("ok", ("n",), ((1,),)),
    Result("ok", ("n",), ((2,),)),
    Result("ok", ("n",), ((1,), (2,))),
  )
  turned, failed = Result("ok", ("m",), ((2,), (1,))), Result("error", message="no such table")

  def chosen(results, log_probs):
    samples = [Prediction(f"q{i}", "stop", p) for i, p in enumerate(log_probs)]
    result = vote(samples, results)
    assert result.samples == tuple(samples) and result.results == tuple(results)
    return result.prediction.sql, result.votes

  assert chosen([one, two, two], [-1, -9, -8]) == ("q2", 2)
  assert chosen([one, two, two, one], [-3, -1, -9, -2]) == ("q1", 2)
  assert chosen([failed, failed, failed, two], [-1, -1, -1, -50]) == ("q3", 1)
  assert chosen([failed, failed], [-2, -1]) == ("q1", 0)
  assert chosen([one, bag, turned], [-1, -5, -6]) == ("q1", 2)


def test_samples_are_executed_and_their_majority_is_taken(loaded):
  exported, databases = loaded
  examples = [Example("pets", q, "") for q in QUESTIONS[:6]]
  seen = {}
  with Executor(workers=1) as executor:
    votes = predict_by_vote(
      exported.generator,
      exported.params,
      exported.tokenizer,
      databases,
      examples,
      executor,
      samples=4,
      temperature=1.0,
      seed=3,
      max_new_tokens=8,
      on_vote=lambda index, cast: seen.update({index: cast}),
    )
    again = [
      [executor.execute(databases["pets"].location, s.sql).status for s in v.samples] for v in votes
    ]
  assert seen == dict(enumerate(votes))
  for cast, statuses in zip(votes, again, strict=True):
    assert len({s.sql for s in cast.samples}) > 1 and cast.prediction in cast.samples
    assert [r.status for r in cast.results] == statuses


class Scripted:
  """A generator that writes given texts: for what a model of random weights does not write."""

  def __init__(self, exported, texts):
    self.encode, self.end_id, self.texts = (
      exported.tokenizer.encode,
      exported.tokenizer.end_id,
      texts,
    )
    self.model = exported.generator.model

  def generate(self, params, requests, *, max_new_tokens, eos_id, on_answer=None, **options):
    from spftsql_jax.generation import Answer

    stop, answers = {eos_id} if isinstance(eos_id, int) else set(eos_id), []
    for i, request in enumerate(requests):
      tokens = (*self.encode(self.texts[request.id]), self.end_id)
      # What the prompt holds already of it was written before.
      overlap = next((n for n in range(len(tokens), 0, -1) if request.prompt[-n:] == tokens[:n]), 0)
      rest = tokens[overlap:]
      end = next(j for j, token in enumerate(rest) if token in stop) + 1
      answers.append(Answer(rest[:end], -1.0, "stop"))
      if on_answer is not None:
        on_answer(i, answers[-1])
    return answers


def test_an_answer_ends_at_a_semicolon_outside_literals(loaded):
  exported, databases = loaded
  texts = [
    " SELECT 1; DROP TABLE pets",
    " SELECT 'a;b' ; SELECT 2",
    " SELECT name FROM pets",
    ' SELECT "x;\n\'" FROM pets;',
  ]
  scripted = Scripted(exported, texts)
  arguments = (None, exported.tokenizer, databases, [Example("pets", q, "") for q in QUESTIONS[:4]])
  expected = ["SELECT 1", "SELECT 'a;b'", "SELECT name FROM pets", 'SELECT "x;\n\'" FROM pets']
  seen = {}
  answers = answer_questions(
    scripted,
    *arguments,
    max_new_tokens=64,
    on_question=lambda i, predictions: seen.update({i: predictions}),
  )
  assert [a.sql for (a,) in answers] == expected and seen == dict(enumerate(answers))
  assert predict(scripted, *arguments, max_new_tokens=64) == expected
