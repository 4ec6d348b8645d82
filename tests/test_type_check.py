"""The rules of the type check; mypy itself runs in `make check`."""

from __future__ import annotations

import tomllib

import type_check


def found(**counts: int) -> dict[str, list[str]]:
  return {room: [f"{room}.py:1: error: x"] * count for room, count in counts.items()}


def test_errors_belong_to_the_room_of_their_file():
  lines = [
    "spftsql_jax/pipeline/stages/vbi_ft.py:3: error: x  [misc]",
    "spftsql_jax/pipeline/stages/vbi_ft.py:3: note: y",
    "spftsql_jax/hosts.py:9: error: x  [misc]",
    "experiments/benchmarks/forward.py:9: error: x  [misc]",
    "experiments/ask.py:9: error: x  [misc]",
  ]
  assert type_check.errors_by_room(lines) == {
    "pipeline": lines[:1],
    "hosts": lines[2:3],
    "experiments/benchmarks": lines[3:4],
    "experiments": lines[4:],
  }


def test_as_many_errors_as_are_listed_pass():
  assert not type_check.complaints(found(questions=2), {"questions": 2})


def test_one_more_fails_and_is_shown():
  wrong = type_check.complaints(found(questions=3), {"questions": 2})
  assert wrong[0] == "questions.py:1: error: x"
  assert wrong[-1] == "questions: 3 type errors, where 2 are allowed"


def test_a_count_that_has_fallen_must_be_lowered():
  assert 'write "questions": 1' in type_check.complaints(found(questions=1), {"questions": 2})[0]
  assert 'take out "questions"' in type_check.complaints({}, {"questions": 2})[0]
  assert type_check.lowered(found(questions=1), {"questions": 2, "sql": 4}) == {"questions": 1}


def test_a_count_is_never_raised():
  assert type_check.lowered(found(questions=5, sql=1), {"questions": 2}) == {"questions": 2}


def test_a_strict_room_has_no_count():
  assert type_check.complaints(found(models=1), {"models": 1})
  assert type_check.lowered(found(models=1), {"models": 1}) == {}


def test_a_comment_that_hides_everything_is_an_error_of_a_strict_room(tmp_path):
  folder = tmp_path / "spftsql_jax" / "models"
  folder.mkdir(parents=True)
  (folder / "lora.py").write_text(
    "# mypy: ignore-errors\nx = 1  # type: ignore\ny = 2  # type: ignore[misc] (why)\n"
  )
  wrong = type_check.blanket_ignores(tmp_path)
  assert [line.split(": ")[0] for line in wrong] == [
    "spftsql_jax/models/lora.py:1",
    "spftsql_jax/models/lora.py:2",
  ]
  assert list(type_check.errors_by_room(wrong)) == ["models"]


def test_the_settings_hide_no_errors_of_ours():
  settings = tomllib.loads((type_check.ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
  parts = [settings, *settings["overrides"]]
  hiding = ("ignore_errors", "disable_error_code", "exclude")
  assert not [name for part in parts for name in hiding if name in part]
  for part in settings["overrides"]:
    assert not [name for name in part["module"] if name.startswith(("spftsql_jax", "*"))]
