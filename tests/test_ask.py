"""ask.py: an answer with its agreement, and a plain word where the model does not know or is asked
to change data.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from spftsql_jax.answering import known_words
from spftsql_jax.answering.model_folder import find_model
from spftsql_jax.databases import ValueIndex
from spftsql_jax.databases.introspection import read_schema

ASK = Path(__file__).resolve().parents[1] / "experiments" / "ask.py"
TABLES = """
CREATE TABLE members (id INTEGER PRIMARY KEY, firstName TEXT, city TEXT, joined_on DATE,
  update_date DATE);
CREATE TABLE set_list (id INTEGER PRIMARY KEY, title TEXT, dept_name TEXT);
CREATE TABLE Highschooler (id INTEGER PRIMARY KEY, grade INTEGER);
INSERT INTO members VALUES (1, 'Ann', 'New York', '2020-01-01', NULL),
  (2, 'Bo', 'Łódź', '2021-01-01', NULL);
INSERT INTO set_list VALUES (1, 'Encore', 'Sales');
"""
# ask.py with a model that writes the given texts.
DRIVER = f"""
import json, os, runpy, sys, types
sys.path.insert(0, {str(ASK.parent)!r})
import launch
from spftsql_jax.answering import exported, vote
from spftsql_jax.answering.predict import Prediction
from spftsql_jax.answering.schema_choice import SchemaChooser
model = types.SimpleNamespace(generator=None, params=None, tokenizer=None, max_new_tokens=9,
  schemas=SchemaChooser(None, None))
exported.load_exported = lambda *arguments, **named: model
def answer(*arguments, samples, on_question, **named):
  texts = json.loads(os.environ["TEXTS"])
  on_question(0, tuple(Prediction(texts[i % len(texts)], "stop", -1.0 - i) for i in range(samples)))
vote.answer_questions = answer
sys.argv[0] = {str(ASK)!r}
runpy.run_path({str(ASK)!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("ask")
  connection = sqlite3.connect(folder / "club.sqlite")
  connection.executescript(TABLES)
  connection.close()
  (folder / "run" / "export").mkdir(parents=True)
  (folder / "run" / "journal.jsonl").touch()
  (folder / "run" / "config.json").write_text("{}")
  (folder / "run" / "export" / "config.json").write_text("{}")
  return folder


@pytest.fixture(scope="module")
def database(folder):
  path = str(folder / "club.sqlite")
  return read_schema(path), ValueIndex.build(path)


def ask(folder, question, texts, *flags):
  command = [
    sys.executable,
    "-c",
    DRIVER,
    f"--model={folder / 'run'}",
    f"--database={folder / 'club.sqlite'}",
  ]
  return subprocess.run(
    [*command, *flags, question],
    capture_output=True,
    text=True,
    timeout=120,
    env=os.environ | {"TEXTS": json.dumps(texts)},
  )


COUNT, OTHER, BROKEN = (
  "SELECT COUNT(*) FROM members",
  "SELECT COUNT(*) + 1 FROM members",
  "SELECT nope FROM members",
)


def test_an_answer_comes_with_how_many_agree(folder):
  done = ask(folder, "How many members are there?", [COUNT, COUNT, "SELECT 1 + 1", OTHER])
  assert (done.returncode, done.stdout) == (0, f"{COUNT}\nCOUNT(*)\n2\n")
  assert done.stderr == "6 of 8 answers give this result\n"


@pytest.mark.parametrize(
  ("question", "texts", "says"),
  [
    (
      "How many members?",
      [COUNT, OTHER, BROKEN, "SELECT 77"],
      "only 2 of 8 answers give the same result",
    ),
    (
      "How many zebras and members?",
      [COUNT, OTHER],
      "only 4 of 8 answers give the same result; not found in the database: zebras",
    ),
    ("How many members?", [BROKEN], "none of 8 answers ran (error: no such column: nope)"),
    ("How many members?", [COUNT, "DELETE FROM members"], "only 4 of 8"),
    ("asdf qwer", [COUNT], "nothing in the database is called 'asdf' or 'qwer'"),
    ("asdf qwer", [COUNT, OTHER, OTHER], "nothing in the database is called"),
  ],
)
def test_a_model_that_does_not_know_says_so_and_why(folder, question, texts, says):
  done = ask(folder, question, texts)
  assert (done.returncode, done.stdout) == (1, "")
  assert done.stderr.startswith("ask.py: the model does not know: ") and says in done.stderr
  assert len(done.stderr.splitlines()) == 1


def test_the_least_agreement_can_be_set_and_switched_off(folder):
  texts = [COUNT, OTHER]
  assert ask(folder, "How many members?", texts, "--min_agreement=0.5").returncode == 0
  assert ask(folder, "How many members?", texts, "--min_agreement=0.6").returncode == 1
  done = ask(folder, "asdf qwer", texts, "--min_agreement=0")
  assert done.returncode == 0 and "not found in the database: asdf, qwer" in done.stderr
  alone = ask(folder, "asdf qwer", texts, "--samples=1")
  assert (alone.returncode, alone.stderr) == (0, "") and alone.stdout.startswith(COUNT)


def test_a_request_to_change_data_is_refused_before_anything_is_loaded(folder):
  done = ask(folder, "Delete all members", [COUNT])
  assert (done.returncode, done.stdout) == (2, "")
  assert done.stderr == (
    "ask.py: only questions are answered, nothing is changed in a database ('delete' asks for a "
    "change)\n"
  )


@pytest.mark.parametrize(
  "request_",
  [
    "Delete all members",
    "please remove Ann from the members",
    "Can you update the city of Bo to Paris?",
    "DROP TABLE members; --",
    "insert into members values (3)",
    "Set the city of every member to Rome",
    "I want you to rename the table members",
    "hey, could you please wipe everything",
    "Now truncate members",
    "You must add a new member",
    "Let's increase the grade of all highschoolers by 1",
    "Update members",
    "Count the members; then delete them",
    "How many members are there? Please also delete all of them.",
    "x'; DROP TABLE members; --",
    "Create a table of dogs",
  ],
)
def test_requests_to_change_are_told(database, request_):
  assert known_words.asks_for_change(request_, database[0])


@pytest.mark.parametrize(
  "question",
  [
    "How many members were deleted?",
    "Which members did we remove in 2020?",
    "Show the members to delete",
    "Update dates of all members",
    "Set lists with the title Encore",
    "Members: who was added last?",
    "What changes the grade?",
    "Add up the grades of all highschoolers",
    "List all members who updated their city",
    "Can you show me who joined?",
    "Create a list of all members",
    "Change in grade per year?",
    "",
    "42?",
  ],
)
def test_questions_are_not_taken_for_requests(database, question):
  assert not known_words.asks_for_change(question, database[0])


@pytest.mark.parametrize(
  ("question", "found", "missing"),
  [
    ("How many members are there?", ("members",), ()),
    ("What is each member's first name?", ("member",), ()),
    ("When did the member join?", ("member", "join"), ()),
    ("Which member lives in New York?", ("member", "york"), ("lives",)),
    ("WHO LIVES IN ŁÓDŹ", ("łódź",), ("lives",)),
    ("How many high schoolers?", ("schoolers",), ()),
    ("Cities of departments", ("cities", "departments"), ()),
    ("Which towns are there?", ("towns",), ()),
    ("asdf qwer", (), ("asdf", "qwer")),
    ("How many are there in 2020?", (), ()),
    ("", (), ()),
    ("members members zebra zebra", ("members",), ("zebra",)),
    ("会员 members", ("members",), ("会员",)),
  ],
)
def test_words_are_looked_up_in_names_and_values(database, question, found, missing):
  looked = known_words.look_up(question, *database)
  assert (looked.found, looked.missing) == (found, missing)
  assert looked.nothing_found == (bool(missing) and not found)


def test_a_runs_folder_stands_for_its_export(folder, tmp_path):
  assert find_model(folder / "run") == folder / "run" / "export"
  assert find_model(folder / "run" / "export") == folder / "run" / "export"
  (tmp_path / "model_base" / "versions").mkdir(parents=True)
  for place, says in (
    ("", "without an export"),
    ("model_base", "a model base"),
    ("gone", "no model folder there"),
  ):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
      find_model(tmp_path / place)
