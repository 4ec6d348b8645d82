"""Wordings as data: rows with weights and guards, slots, and what is refused in a user's file."""

import pathlib
import random
import re

import pytest
from test_questions import SHOP

import spftsql_jax
from spftsql_jax.questions.grammar import (
  FOLDER,
  Context,
  Grammar,
  GrammarError,
  read_folder,
  read_row,
  read_rows,
)
from spftsql_jax.questions.sentences import write_question

CONDITION = "SELECT name FROM product WHERE price > 20"
LANGUAGES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
FILES = sorted(FOLDER.glob("*/*.txt"))


def upper(value, form):
  return f"{value}".upper() if form == "loud" else f"{value}"


def grammar(*lines, **sections):
  rows = {name: tuple(map(read_row, said)) for name, said in sections.items()}
  return Grammar({"x": tuple(map(read_row, lines)), **rows}, upper)


def test_rows_are_drawn_by_weight_among_those_whose_guards_hold():
  words = grammar("1 | a | p", "3 | b", "7 | c | !p q/r", "9 | d | p !p")
  drawn = [words.say("x", Context({"p"}, {}), random.Random(seed)) for seed in range(4000)]
  assert set(drawn) == {"a", "b"} and abs(drawn.count("b") / 4000 - 0.75) < 0.03
  assert {words.say("x", Context({"r"}, {}), random.Random(s)) for s in range(60)} == {"b", "c"}
  assert {words.say("x", Context({}, {}), random.Random(s)) for s in range(60)} == {"b"}


def test_a_slot_is_what_the_writer_knows_or_another_construct():
  words = grammar("1 | {noun:loud} {verb}, {noun}", verb=["1 | fall | !one", "1 | falls | one"])
  calls = []
  noun = lambda: calls.append(1) or "leaf"  # noqa: E731
  assert words.say("x", Context({"one"}, {"noun": noun}), random.Random(0)) == "LEAF falls, leaf"
  assert calls == [1]  # The same is said the same, and made once.


def test_what_no_row_allows_and_no_one_knows_is_an_error():
  words = grammar("1 | {nothing} | p")
  for features in ((), ("p",)):
    with pytest.raises(GrammarError):
      words.say("x", Context(features, {}), random.Random(0))
  assert not words.has("x", ()) and words.has("x", ("p",))


@pytest.mark.parametrize(
  "line",
  ["many: like", "x | a", "0 | a", "-1 | a", "1", "1 | a {b", "1 | a | b | c | d"],
)
def test_a_line_that_is_no_row_is_refused_with_its_file(tmp_path, line):
  path = tmp_path / "mine.txt"
  path.write_text(f"[x]\n{line}\n", encoding="utf-8")
  with pytest.raises(GrammarError, match=r"mine\.txt: \[x\]: "):
    read_rows(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-2]}/{path.stem}")
def test_each_construct_says_what_it_is_for_and_fits_the_page(path):
  lines = path.read_text(encoding="utf-8").splitlines()
  for line, following in zip(lines, [*lines[1:], ""], strict=True):
    assert line == line.strip() and len(line) <= 100, line
    if line.startswith("["):
      assert line.endswith("]") and following.startswith("# "), line
  for name, rows in read_rows(path).items():
    assert rows, name


@pytest.mark.parametrize("folder", LANGUAGES, ids=lambda path: path.name)
def test_every_construct_is_used(folder):
  """By the writer or by another row: what nobody asks for would be a wording that never comes."""
  package = pathlib.Path(spftsql_jax.__file__).parent / "questions"
  sources = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
  sections = read_folder(folder)
  slots = {p.name for rows in sections.values() for r in rows for p in r.pieces if p != str(p)}
  asked = set(re.findall(r"""(?=["']([^"'\n]+)["'])""", sources)) | slots
  # "compare: verb" is asked for as a condition ("compare") in a form ("verb").
  parted = {name for name in sections if ": " in name and set(name.split(": ")) <= asked}
  assert sections.keys() - asked - parted == set()


def test_a_user_s_row_is_drawn_beside_those_of_the_grammar():
  mine = "[compare: post]\n# Mine.\n9000 | north of {value} | cost\n"
  said = [write_question(CONDITION, SHOP, random.Random(seed), mine) for seed in range(60)]
  assert sum("north of 20" in question for question in said) >= 5
  assert not any("north" in write_question(CONDITION, SHOP, random.Random(s)) for s in range(60))


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    ("[nowhere]\n1 | a\n", "no construct is called 'nowhere'"),
    ("[compared]\n1 | like {volume}\n", "'compared' knows nothing of {volume}"),
    ("1 | a\n", "line 1: an entry before the first section"),
  ],
)
def test_rows_that_the_grammar_cannot_take_are_refused(rows, message):
  with pytest.raises(GrammarError, match=message):
    write_question(CONDITION, SHOP, random.Random(0), rows)
