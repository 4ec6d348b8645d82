"""The one reader of names: their words in any writing, what these make a column, the lists."""

import dataclasses
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spftsql_jax
from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.roles import column_roles
from spftsql_jax.columns.splitting import split_name
from spftsql_jax.columns.word_lists import by_word, read_lists, tuples_by_word, weighted
from spftsql_jax.questions.agreement import agree, conjugate, plural_verb
from spftsql_jax.schema import Column, Schema, Table

LISTS = sorted(pathlib.Path(spftsql_jax.__file__).parent.glob("*/lists/*.txt"))


@pytest.mark.parametrize(
  ("name", "words"),
  [
    ("home_team_id", "home team id"),
    ("homeTeamID", "home team id"),
    ("Home team Id", "home team id"),
    ("HTTPServer", "http server"),
    ("StuID", "stu id"),
    ("Driver's_ID", "drivers id"),
    ("T1", "t 1"),
    ("line2b", "line 2 b"),
    ("Vote_1.5", "vote 1.5"),
    ("%_Change", "% change"),
    ("diskKiB", "disk kib"),
    ("power_kWh", "power kwh"),
    ("größe", "größe"),
    ("GRÖSSE", "grösse"),
    ("ÄrzteID2", "ärzte id 2"),
    ("ИмяКлиента", "имя клиента"),
    ("ИМЯ_клиента", "имя клиента"),
    ("日本T1", "日本 t 1"),
    ("gro\u0308ße", "gro\u0308ße"),
    ("हिन्दी_नाम", "हिन्दी नाम"),
    ("سنة٢٠٢٤", "سنة ٢٠٢٤"),
    ("lastname", "lastname"),
  ],
)
def test_a_name_in_any_writing_has_the_same_words(name, words):
  assert split_name(name) == tuple(words.split())


@pytest.mark.parametrize("name", ["", "_", "--", "#", "☃"])
def test_a_name_without_letters_and_digits_has_no_words(name):
  assert split_name(name) == ()


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9), min_size=1))
def test_words_do_not_depend_on_how_they_are_put_together(words):
  camel = words[0] + "".join(word.capitalize() for word in words[1:])
  for name in ("_".join(words), " ".join(words), "_".join(words).upper(), camel):
    assert split_name(name) == tuple(words)


@pytest.mark.parametrize(
  ("name", "words"),
  [
    ("lastname", "last name"),
    ("customerid", "customer id"),
    ("dateofbirth", "date of birth"),
    ("birth", "birth"),
    ("paid", "paid"),
    ("xyzzyname", "xyzzyname"),
  ],
)
def test_glued_words_are_taken_apart_where_a_lexicon_has_all_of_them(name, words):
  assert split_name(name, vocabulary.LEXICON) == tuple(words.split())


@pytest.mark.parametrize(
  ("name", "identifies"),
  [
    ("id", True),
    ("singer_id", True),
    ("stuid", True),
    ("SingerGUID", True),
    ("amount_paid", False),
    ("grid", False),
    ("identity", False),
    ("name", False),
    ("_", False),
  ],
)
def test_an_identifier_is_told_from_words_that_end_alike(name, identifies):
  assert kinds.identifies(split_name(name)) is identifies


def test_yes_and_no_are_the_values_of_one_pair():
  assert kinds.holds_yes_no(["Y", "n"]) and kinds.holds_yes_no([1]) and kinds.holds_yes_no(["True"])
  assert not kinds.holds_yes_no([]) and not kinds.holds_yes_no(["y", "0"])
  assert [kinds.yes_or_no(value) for value in ("yes", "0", "maybe")] == [True, False, None]


def test_roles_are_read_in_names_of_any_alphabet():
  columns = (
    Column("ÄRZTE_ID", "int", "number", distinct_count=3),
    Column("NAÏVE_NAME", "text", "text", samples=("a", "b"), distinct_count=3),
    Column("Birthday", "text", "text", samples=("1 May", "2 May"), distinct_count=2),
  )
  table = Table("ÄRZTE", columns, row_count=3)
  roles = column_roles(Schema("x", "sqlite", (table,)))
  assert roles["ärzte", "ärzte_id"].kind == "key"
  assert roles["ärzte", "naïve_name"].name_score > 0.3
  assert roles["ärzte", "birthday"].time


def test_days_that_are_numbers_are_ordered_and_never_summed():
  columns = (
    Column("created_date", "int", "number", samples=(7, 12), distinct_count=2),
    Column("lap_time", "int", "number", samples=(7, 12), distinct_count=2),
  )
  roles = column_roles(Schema("x", "sqlite", (Table("claim", columns, row_count=9),)))
  assert not roles["claim", "created_date"].measure and roles["claim", "lap_time"].measure


def test_codes_glued_to_abbreviations_and_parts_of_keys_are_no_amounts():
  columns = tuple(
    Column(name, "int", "number", samples=(3, 14, 29), distinct_count=3)
    for name in ("essn", "deptno", "hours_per_week", "piano")
  )
  table = Table("works", columns, primary_key=("essn", "deptno"), row_count=9)
  roles = column_roles(Schema("x", "sqlite", (dataclasses.replace(table, primary_key=()),)))
  assert roles["works", "deptno"].coded and roles["works", "essn"].measure
  assert roles["works", "hours_per_week"].measure
  keyed = column_roles(Schema("x", "sqlite", (table,)))
  assert keyed["works", "essn"].coded and keyed["works", "hours_per_week"].measure


def test_amounts_are_groups_only_where_many_rows_share_each():
  samples = tuple(range(17, 27))

  def category(rows: int, kind: str = "number") -> float:
    values = samples if kind == "number" else tuple(map(str, samples))
    column = Column("age", "", kind, samples=values, distinct_count=10)
    table = Table("pupil", (column,), row_count=rows)
    return column_roles(Schema("x", "sqlite", (table,)))["pupil", "age"].category_score

  assert 0 < category(14) < 0.05 and category(60) == 0.5
  assert 0 < category(14, "text") < 0.05


def test_parts_of_names_and_what_nobody_asks_for_are_told_by_their_words():
  columns = tuple(
    Column(name, "text", "text", samples=("Ann", "Bo"), distinct_count=9)
    for name in ("Lname", "Fname", "middle_name", "email_address", "photo_url", "Address")
  )
  roles = column_roles(Schema("x", "sqlite", (Table("Visitor", columns, row_count=9),)))
  last, first, middle, mail, photo, address = (
    roles["visitor", column.name.lower()] for column in columns
  )
  assert (last.part, first.part, middle.part) == ("last", "first", "")
  called = [role.name_score * role.calls for role in (last, address, first, mail)]
  assert called[0] == pytest.approx(0.4) and called[0] > 2 * max(called[1:]) and min(called) > 0
  assert 0 < middle.asked < 0.3 and 0 < photo.asked < 0.3 and address.asked == 1


@pytest.mark.parametrize("path", LISTS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_each_list_says_what_it_is_for_and_has_clean_entries(path):
  lines = path.read_text(encoding="utf-8").splitlines()
  for line, following in zip(lines, lines[1:], strict=False):
    assert line == line.strip() and len(line) <= 100, line
    if line.startswith("["):
      assert line.endswith("]") and following.startswith("# "), line
  for name, entries in read_lists(path).items():
    assert entries, name
    if path.parts[-3] == "columns":  # A wording may be drawn twice as often, a word says it once.
      words = [entry.partition(":")[0] for entry in entries]
      assert len(set(words)) == len(words), name


def test_every_list_is_read_by_some_module():
  sources = "".join(
    path.read_text(encoding="utf-8")
    for path in pathlib.Path(spftsql_jax.__file__).parent.glob("*/*.py")
  )
  unread = [
    f"{path.stem}: {name}"
    for path in LISTS
    for name in read_lists(path)
    if f'"{name}"' not in sources
  ]
  assert unread == []


def test_entries_are_read_as_their_list_means_them(tmp_path):
  path = tmp_path / "lists.txt"
  path.write_text(
    "# Head.\n\n[a]\n# For a.\nft: feet\nx: y, z\n\n[b]\n# For b.\n8: more: than\n2:\n"
  )
  lists = read_lists(path)
  assert list(lists) == ["a", "b"]
  assert by_word(lists["a"]) == {"ft": "feet", "x": "y, z"}
  assert tuples_by_word(lists["a"]) == {"ft": ("feet",), "x": ("y", "z")}
  assert weighted(lists["b"]) == (("more: than", 8), ("", 2))


@pytest.mark.parametrize(
  ("text", "message"),
  [("word\n[a]\n", "line 1: an entry before"), ("[a]\nx\n[a]\n", "line 3: a second section 'a'")],
)
def test_a_malformed_file_of_lists_is_refused_with_its_line(tmp_path, text, message):
  path = tmp_path / "lists.txt"
  path.write_text(text)
  with pytest.raises(ValueError, match=f"lists.txt: {message}"):
    read_lists(path)


@pytest.mark.parametrize(
  ("several", "one"),
  [
    ("are older than 30", "is older than 30"),
    ("aren't active", "isn't active"),
    ("were never paid", "was never paid"),
    ("have no visits", "has no visits"),
    ("do not have a visit", "does not have a visit"),
    ("don't have any visits", "doesn't have any visits"),
    ("match the pattern", "matches the pattern"),
    ("cost 5", "costs 5"),
    ("borrowed a book", "borrowed a book"),
    ("never borrowed any book", "never borrowed any book"),
    ("cannot fly", "cannot fly"),
    ("took place in 2020", "took place in 2020"),
    ("have", "has"),
  ],
)
def test_a_verb_agrees_with_its_subject(several, one):
  assert agree(several, plural=False) == one and agree(several, plural=True) == several
  assert conjugate(several) == (several, one)
  assert plural_verb(one) == several and plural_verb(several) == several


def test_the_verbs_of_lists_agree_too():
  for _, past in vocabulary.EVENTS_OF_COLUMNS.values():
    one = agree(past, plural=False)
    assert one == (past.replace("were ", "was ", 1) if past.startswith("were ") else past)
