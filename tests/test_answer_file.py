"""Files of answers: what is kept is gone on with, and nothing of other answers."""

from __future__ import annotations

import json

import pytest

from spftsql_jax.answering import answer_file


def test_what_was_written_whole_is_gone_on_with(tmp_path):
  partial = tmp_path / "out.sql.partial"
  mark = answer_file.fingerprint({"model": ["a"], "options": [1, True]})
  assert answer_file.resume(partial, mark) == {}
  with partial.open("a") as file:
    answer_file.add(file, 4, {"sql": "SELECT 1"})
    answer_file.add(file, 0, {"sql": "SELECT '\n'"})
    file.write('[2, {"sql": "SEL')
  kept = {4: {"sql": "SELECT 1"}, 0: {"sql": "SELECT '\n'"}}
  assert answer_file.resume(partial, mark) == kept
  assert answer_file.resume(partial, mark) == kept  # the line that was cut off is gone


def test_answers_that_depend_on_something_else_are_refused_by_its_name(tmp_path):
  partial = tmp_path / "out.sql.partial"
  parts = {"model": "a", "examples": "b", "options": [0.8]}
  answer_file.resume(partial, answer_file.fingerprint(parts))
  other = answer_file.fingerprint(parts | {"model": "c", "options": [0.7]})
  assert answer_file.resume(partial, other) == {}  # without an answer nothing is lost
  with partial.open("a") as file:
    answer_file.add(file, 0, {"sql": ""})
  with pytest.raises(answer_file.OtherAnswersError, match=r"other model and options; .*delete it"):
    answer_file.resume(partial, answer_file.fingerprint(parts))


def test_the_hash_of_a_folder_is_of_what_its_files_hold(tmp_path):
  (tmp_path / "b.json").write_text("2")
  (tmp_path / "a.json").write_text("1")
  before = answer_file.content_hash(tmp_path)
  assert before == answer_file.content_hash(tmp_path)
  (tmp_path / "a.json").write_text("3")
  assert answer_file.content_hash(tmp_path) != before
  assert answer_file.content_hash(tmp_path / "a.json") != answer_file.content_hash(
    tmp_path / "b.json"
  )


def test_an_answer_takes_one_line_and_keeps_its_value():
  lines, failed = answer_file.one_line_each(["SELECT 1 -- one\n, 2", ""], ["sqlite", "sqlite"])
  assert len(lines) == 2 and "\n" not in lines[0] and lines[1] == "" and not failed
  assert json.loads(answer_file.bird_text(["SELECT\n1"], ["pets"])) == {
    "0": "SELECT\n1\t----- bird -----\tpets"
  }


def test_blank_lines_are_counted_by_their_reason():
  told = answer_file.unanswered(["stop", "too_long", "empty_prompt", *["too_long"] * 6])
  assert told == [
    "the question is empty on 1 blank lines, the first of them [3]",
    "prompt and answer exceed the model's positions on 7 blank lines, the first of them "
    "[2, 4, 5, 6, 7]",
  ]
  assert answer_file.unanswered(["stop", "length"]) == []
