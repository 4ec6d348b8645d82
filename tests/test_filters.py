"""Filters: useless queries are refused by name, good ones pass, both ways to judge agree."""

from __future__ import annotations

import dataclasses
import json
import random
import sqlite3
import types
from collections import Counter

import pytest
import sqlglot
import synthesis_fixtures

from spftsql_jax.columns.roles import Role
from spftsql_jax.databases import make_instances
from spftsql_jax.synthesis import filters, pool, repair
from spftsql_jax.synthesis.check_plan import make_plan
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.normal_form import normal_form
from spftsql_jax.synthesis.notation import Template
from spftsql_jax.synthesis.rejections import Rejection, Repair
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.suitability import suitability


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
  folder = tmp_path_factory.mktemp("filters")
  path = synthesis_fixtures.make_database(folder)
  _, runner, filler = synthesis_fixtures.open_filler(path)
  return (
    runner,
    [Runner(place) for place in make_instances(path, folder / "instances", 3, 0)],
    filler,
  )


REFUSED = [
  ("SELECT title FROM book WHERE", "does not parse"),
  ("DELETE FROM book", "not a SELECT"),
  ("SELECT nothing FROM book", "fails"),
  ("SELECT title FROM book WHERE pages > 100000", "empty"),
  ("SELECT COUNT(*) FROM book WHERE pages > 100000", "only zero"),
  ("SELECT MAX(pages) FROM book WHERE pages > 100000", "only NULL"),
  ("SELECT born, COUNT(*) FROM author GROUP BY born ORDER BY COUNT(*) DESC LIMIT 1", "NULL first"),
  ("SELECT 'book' FROM book", "all rows equal"),
  ("SELECT T1.id FROM copy AS T1 JOIN copy AS T2 ON T1.id <= T2.id", "too many rows"),
  ("SELECT title FROM book ORDER BY random() LIMIT 1", "volatile function"),
  ("SELECT title FROM book WHERE \"first edition\" < date('now')", "volatile function"),
  ("SELECT title FROM book LIMIT 3", "LIMIT without ORDER BY"),
  ("SELECT title FROM book ORDER BY genre DESC LIMIT 3", "tie at LIMIT"),
  ("SELECT name FROM author ORDER BY born LIMIT 2", "NULL at LIMIT"),
  (
    "SELECT DISTINCT genre FROM book ORDER BY pages LIMIT 2",
    "LIMIT with an order that DISTINCT hides",
  ),
  (
    "SELECT condition FROM copy GROUP BY condition ORDER BY COUNT(*) / 1000 LIMIT 1",
    "tie at LIMIT",
  ),
  ("SELECT title, MAX(pages) FROM book", "bare column"),
  ("SELECT genre, title, COUNT(*) FROM book GROUP BY genre", "bare column"),
  ("SELECT title FROM book WHERE title != ''", "redundant condition"),
  ("SELECT title FROM book WHERE genre = 'novel' AND genre != 'crime'", "redundant condition"),
  ("SELECT title FROM book WHERE pages > 400 OR pages > 500", "redundant condition"),
  ("SELECT genre FROM book GROUP BY genre HAVING COUNT(*) > 0", "redundant condition"),
  (
    "SELECT T1.share FROM book_author AS T1 JOIN book AS T2 ON T1.book_id = T2.id",
    "redundant join",
  ),
  (
    "SELECT title FROM book WHERE pages > (SELECT pages FROM book WHERE genre = 'novel')",
    "several rows to compare with",
  ),
  ("SELECT title FROM book UNION SELECT title FROM book", "redundant set operation"),
  ('SELECT title FROM book WHERE genre = "novel"', "quoted string"),
  ("SELECT DISTINCT genre FROM book WHERE genre = 'novel'", "constant"),
  (
    "SELECT T1.title, T1.id, T2.book_id FROM book AS T1 JOIN copy AS T2 ON T1.id = T2.book_id",
    "two columns that are the same",
  ),
]


@pytest.mark.parametrize(("sql", "reason"), REFUSED)
def test_useless_query_is_refused_by_name(sql, reason, shop):
  original, neighbours, _ = shop
  assert filters.check(sql, original, neighbours) == reason


KEPT = [
  "SELECT title FROM book",
  "SELECT title FROM book WHERE pages > 300",
  "SELECT title FROM book ORDER BY pages DESC, id LIMIT 3",
  (
    "SELECT T1.name, COUNT(*) FROM author AS T1 JOIN book_author AS T2 ON T1.id = T2.author_id "
    "GROUP "
    "BY T1.id"
  ),
  "SELECT genre, COUNT(*) FROM book GROUP BY genre HAVING COUNT(*) > 12",
  "SELECT DISTINCT T1.title FROM book AS T1 JOIN copy AS T2 ON T1.id = T2.book_id",
  "SELECT title FROM book WHERE id NOT IN (SELECT book_id FROM copy)",
  "SELECT COUNT(*) FROM book WHERE genre = 'novel'",
  (
    "SELECT title FROM book AS T1 WHERE pages > (SELECT AVG(pages) FROM book AS T2 WHERE T2.genre "
    "= "
    "T1.genre)"
  ),
  "SELECT title, RANK() OVER (ORDER BY pages DESC) FROM book",
  'SELECT "first edition" FROM book WHERE pages > 300',
]


@pytest.mark.parametrize("sql", KEPT)
def test_good_query_is_kept(sql, shop):
  original, neighbours, _ = shop
  assert filters.check(sql, original, neighbours) is None


@pytest.mark.parametrize(
  ("dialect", "sql", "reason"),
  [
    ("duckdb", "SELECT a FROM t USING SAMPLE 10 ROWS", "sample"),
    ("duckdb", "SELECT COUNT(*) FROM (SELECT a FROM t TABLESAMPLE 10%) AS u", "sample"),
    ("postgres", "SELECT a FROM t TABLESAMPLE BERNOULLI (10)", "sample"),
    ("postgres", "SELECT a FROM t WHERE b > 0 ORDER BY RANDOM()", "volatile function"),
    ("postgres", "SELECT GEN_RANDOM_UUID()", "volatile function"),
    ("postgres", "SELECT a FROM t WHERE d < 'today'::date", "volatile function"),
    ("postgres", "SELECT AGE(d) FROM t", "volatile function"),
    ("duckdb", "SELECT a FROM t WHERE d < TODAY()", "volatile function"),
    ("duckdb", "SELECT UUID(), CURRENT_LOCALTIME()", "volatile function"),
    ("sqlite", "SELECT HEX(RANDOMBLOB(4))", "volatile function"),
    ("sqlite", "SELECT JULIANDAY() - JULIANDAY(d) FROM t", "volatile function"),
    ("sqlite", "SELECT a FROM t WHERE d < DATE()", "volatile function"),
    ("sqlite", "SELECT a FROM t WHERE d < DATE(e) AND b = 'today'", None),
    ("postgres", "SELECT AGE(d, e), sample FROM t", None),
    ("duckdb", "SELECT sample, d FROM t WHERE b = 'yesterday'", None),
  ],
)
def test_luck_and_the_clock_are_refused_in_every_dialect(dialect, sql, reason):
  assert make_plan(sqlglot.parse_one(sql, read=dialect)).refusal == reason


def test_neighbours_show_what_one_database_hides(shop):
  original, neighbours, _ = shop
  # No novel of the original is cheaper than its cheapest novel; on a neighbour one may be.
  rows = original.rows("SELECT MIN(price) FROM book WHERE genre = 'novel'")
  sql = f"SELECT title FROM book WHERE genre = 'novel' AND price >= {rows[0][0]}"
  assert filters.check(sql, original) == "redundant condition"
  assert filters.check(sql, original, neighbours) is None


def test_a_query_of_a_template_is_judged_as_its_text_is(shop):
  original, neighbours, filler = shop
  rng, compared = random.Random(1), 0
  for item in pool.builtin_templates():
    try:
      filled = filler.fill(item.template, rng)
    except CannotFill:
      continue
    quick = filters.check_filled(
      filled, item.template, original, neighbours, filters.DEFAULT_LIMITS
    )
    assert quick == filters.check(filled.sql, original, neighbours), filled.sql
    compared += 1
  assert compared > 250


def test_a_rejection_is_a_string_that_knows_its_repairs():
  assert json.loads(json.dumps({Rejection.TIE_AT_LIMIT: 1})) == {"tie at LIMIT": 1}
  assert Counter([Rejection.EMPTY, "empty"]) == {"empty": 2}
  assert Rejection.EMPTY.repairs == () and Rejection("bare column").repairs == (Repair.MORE_GROUPS,)
  assert Rejection.NULL_AT_LIMIT.repairs[0] is Repair.OTHER_LIMIT
  # Each repair is of some use, and each changes some template of the pool or its limit.
  used = {each for reason in Rejection for each in reason.repairs}
  assert used == set(Repair)
  texts = [item.template.text for item in pool.builtin_templates()]
  texts.append("SELECT DISTINCT a.cat1 ORDER BY a.num2 DESC LIMIT 1")
  changed = {
    done
    for text in texts
    for reason in Rejection
    for done, _ in repair.changed_templates(text, reason)
  }
  assert changed == set(Repair) - {Repair.OTHER_LIMIT}


REPAIRED = [
  (
    "SELECT a.name1, a.cat2 ORDER BY a.bool3 DESC LIMIT 1",
    "tie at LIMIT",
    "added a tie-breaking sort key",
  ),
  (
    "SELECT a.name1 GROUP BY a.key2 ORDER BY COUNT(b.*) DESC LIMIT :limit",
    "tie at LIMIT",
    "another LIMIT",
  ),
  (
    "SELECT a.name1 ORDER BY a.date2 LIMIT 1",
    "NULL at LIMIT",
    "left out rows without the sort key",
  ),
  ("SELECT a.name1 LIMIT 3", "LIMIT without ORDER BY", "added a tie-breaking sort key"),
  (
    "SELECT DISTINCT a.cat1 ORDER BY a.num2 DESC LIMIT 1",
    "LIMIT with an order that DISTINCT hides",
    "dropped DISTINCT before LIMIT",
  ),
  ("SELECT a.cat1, COUNT(a.*)", "bare column", "grouped by a bare column"),
  ("SELECT a.num1 WHERE LINKED(b)", "redundant join", "dropped a redundant join"),
  (
    "SELECT a.name1 WHERE a.num2 > :num2 AND a.num2 > :num2_2",
    "redundant condition",
    "dropped a redundant condition",
  ),
]


@pytest.mark.parametrize(("text", "reason", "what"), REPAIRED)
def test_repairable_query_is_mended_and_says_so(text, reason, what, shop):
  original, neighbours, filler = shop
  template, found = Template.parse(text), []
  for seed in range(150):
    try:
      filled = filler.fill(template, random.Random(seed))
    except CannotFill:
      continue
    if (
      filters.check_filled(filled, template, original, neighbours, filters.DEFAULT_LIMITS) != reason
    ):
      continue
    mended = repair.repair(
      filled, template, Rejection(reason), original, neighbours, filters.DEFAULT_LIMITS
    )
    if mended is not None:
      found.append(mended)
      if mended.repair == what:
        break
  assert what in {mended.repair for mended in found}
  query, mended_template = found[-1].filled, found[-1].template
  assert filters.check(query.sql, original, neighbours) is None, (
    "the mended query passes as text, too"
  )
  assert Template.parse(mended_template.text) == mended_template


@pytest.mark.parametrize(
  ("left", "right", "same"),
  [
    ("SELECT title FROM book", "select  Book.Title from BOOK", True),
    (
      "SELECT T1.title FROM book AS T1 WHERE T1.pages > 3",
      "SELECT title FROM book WHERE pages > 3",
      True,
    ),
    (
      "SELECT title FROM book WHERE pages > 3 AND price < 4",
      "SELECT title FROM book WHERE price < 4 AND pages > 3",
      True,
    ),
    ("SELECT COUNT(*) AS n FROM book", "SELECT count(*) FROM book", True),
    (
      "SELECT a.name FROM author a JOIN country c ON a.country_code = c.code",
      "SELECT T1.name FROM author AS T1 JOIN country AS T2 ON T1.country_code = T2.code",
      True,
    ),
    (
      "SELECT title FROM book WHERE genre = 'novel'",
      "SELECT title FROM book WHERE genre = 'Novel'",
      False,
    ),
    ("SELECT title FROM book WHERE pages > 3", "SELECT title FROM book WHERE pages >= 3", False),
    ("SELECT title, pages FROM book", "SELECT pages, title FROM book", False),
    ("SELECT DISTINCT title FROM book", "SELECT title FROM book", False),
    (
      "SELECT a.name FROM author a JOIN author b ON a.mentor_id = b.id",
      "SELECT b.name FROM author a JOIN author b ON a.mentor_id = b.id",
      False,
    ),
  ],
)
def test_normal_form_sees_through_spelling_only(left, right, same):
  assert (normal_form(left) == normal_form(right)) is same


def test_runner_stops_a_query_that_takes_too_long_and_reads_odd_text(tmp_path):
  path = synthesis_fixtures.make_database(tmp_path)
  runner = Runner(path, timeout_s=0.2)
  with pytest.raises(QueryFailed) as failure:
    runner.rows(
      "SELECT COUNT(*) FROM copy a, copy b, copy c, copy d, copy e WHERE a.id + b.id + c.id + "
      "d.id "
      "+ e.id = 7"
    )
  assert failure.value.status == "timeout"
  assert runner.rows("SELECT CAST(x'41ff42' AS TEXT)") == [("A\ufffdB",)], (
    "so that no literal is made of it"
  )
  assert runner.rows("SELECT COUNT(*) FROM copy") == [(150,)]


def test_a_list_that_a_join_repeats_gets_distinct(shop):
  original, neighbours, filler = shop
  template, limits = (
    Template.parse("SELECT a.name1 WHERE b.cat2 = :cat2"),
    filters.Limits(loose_joins=False),
  )
  reasons, mended = set(), []
  for seed in range(60):
    filled = filler.fill(template, random.Random(seed))
    reason = filters.check_filled(filled, template, original, neighbours, limits)
    reasons.add(reason)
    if reason is None:
      rows = original.rows(filled.sql)
      assert not filled.repeats or len(rows) == len(set(rows)), filled.sql
    elif reason == Rejection.REPEATED:
      rows = original.rows(filled.sql)
      assert len(rows) > len(set(rows))
      assert (
        filters.check_filled(filled, template, original, neighbours, filters.DEFAULT_LIMITS)
        != reason
      )
      mended.append(repair.repair(filled, template, reason, original, neighbours, limits))
  assert {None, Rejection.REPEATED} <= reasons
  done = [found for found in mended if found is not None]
  assert done and all(
    found.repair == "added DISTINCT" and found.filled.sql.startswith("SELECT DISTINCT ")
    for found in done
  )


def test_a_list_that_is_long_because_a_join_repeats_it_gets_distinct_too(shop):
  original, neighbours, filler = shop
  template, limits = (
    Template.parse("SELECT a.name1 WHERE b.cat2 = :cat2"),
    filters.Limits(max_rows=5, loose_joins=False),
  )
  seen = set()
  for seed in range(60):
    filled = filler.fill(template, random.Random(seed))
    rows = original.rows(filled.sql)
    if len(rows) > 5 and not filled.circular:
      repeated = filled.repeats and len(rows) > len(set(rows))
      reason = filters.check_filled(filled, template, original, neighbours, limits)
      assert reason == (Rejection.REPEATED if repeated else Rejection.TOO_MANY), filled.sql
      seen.add(reason)
  assert seen == {Rejection.REPEATED, Rejection.TOO_MANY}


def test_a_join_that_ends_in_a_row_of_which_nothing_is_said_is_refused(shop):
  """ "How many copies has this shelf?" counts no book.

  "Which authors have a book" says something of each author.
  """
  original, neighbours, filler = shop
  limits = filters.Limits(loose_joins=False)
  idle = set()
  for seed in range(80):
    filled = filler.fill(
      Template.parse("SELECT COUNT(a.*) WHERE b.text1 = :text1"), random.Random(seed)
    )
    root = filled.tables[0]
    # The first table is what is counted; where the join leads from it to its children, it is but
    # the row that they refer to.
    joined = {
      (key.referred_table)
      for table in filled.tables[1:2]
      for key in filler.schema.table(table).foreign_keys
    }
    assert filled.idle == (root in joined), filled.sql
    if filled.idle:
      assert filters.check_filled(
        filled,
        Template.parse("SELECT COUNT(a.*) WHERE b.text1 = :text1"),
        original,
        neighbours,
        limits,
      ) == ("redundant join")
    idle.add(filled.idle)
  assert idle == {True, False}
  assert not any(
    filler.fill(Template.parse("SELECT a.name1 WHERE b.cat2 = :cat2"), random.Random(s)).idle
    for s in range(40)
  )


def test_the_rows_under_a_limit_are_taken_from_the_query_that_looks_for_ties(shop, monkeypatch):
  original, neighbours, _ = shop
  for sql in (
    "SELECT * FROM book ORDER BY pages DESC, id LIMIT 3",
    "SELECT DISTINCT genre FROM book ORDER BY genre DESC LIMIT 2",
    "SELECT genre, COUNT(*) AS n FROM book GROUP BY genre ORDER BY n DESC, genre LIMIT 2",
    "SELECT name FROM country UNION SELECT genre FROM book ORDER BY name DESC LIMIT 4",
  ):
    ran, judged = [], []
    recording = types.SimpleNamespace(
      rows=lambda text, ran=ran: ran.append(text) or original.rows(text)
    )
    monkeypatch.setattr(
      filters, "_poor_result", lambda _, rows, __, judged=judged: judged.append(list(rows))
    )
    assert filters.check(sql, recording, neighbours) is None and sql not in ran
    assert judged == [list(original.rows(sql))], sql
  # The sort key stands behind all columns of the row.
  assert (
    filters.check("SELECT * FROM book ORDER BY genre DESC LIMIT 3", original, neighbours)
    == "tie at LIMIT"
  )


def test_a_limit_that_cuts_nothing_is_refused(shop):
  original, neighbours, _ = shop
  sql = "SELECT name FROM country ORDER BY name LIMIT {}"
  assert filters.check(sql.format(3), original, neighbours) is None
  assert filters.check(sql.format(5), original) == "redundant LIMIT"
  # Though some neighbouring instance has more rows, a question of this database would be odd.
  assert any(len(each.rows("SELECT code FROM country")) > 4 for each in neighbours)
  assert filters.check(sql.format(4), original, neighbours) == "redundant LIMIT"


# Joins by their tables, first that of the template's first slot. A list of columns of the first and
# the last lacks rows of what it is about, ...
_LACKING_ROWS = {
  ("author", "country"),
  ("country", "author"),  # It is about authors.
  ("book", "copy", "shelf"),
  ("book", "book_author", "author", "country"),
  ("author", "book_author", "book"),
}
# ... or has all.
_WHOLE = {
  ("shelf", "copy", "book"),
  ("book", "copy"),
  ("copy", "book"),
  ("book", "book_author", "author"),
  ("book", "book_author"),
  ("author", "book_author"),
}
# The first book by pages may have no copy, but it has an author.
_LACKING_FIRST = {("copy", "book"), ("shelf", "copy", "book")}


@pytest.mark.parametrize(
  "text,lacking",
  [
    ("SELECT a.name1, b.name2", _LACKING_ROWS),
    ("SELECT a.name1, b.name2 ORDER BY a.num3 DESC LIMIT 1", _LACKING_ROWS),
    # A condition on a row says that there is one.
    ("SELECT a.any1, b.name2 WHERE a.cat3 = :cat3", _LACKING_ROWS - {("country", "author")}),
    ("SELECT a.name1, b.name2 WHERE b.cat3 = :cat3", {("country", "author")}),
    ("SELECT a.name1, b.name2 ORDER BY b.num3 DESC LIMIT 1", _LACKING_FIRST),
    ("SELECT a.any1 ORDER BY b.num2 DESC LIMIT 1", _LACKING_FIRST),
    ("SELECT a.name1 ORDER BY b.num2 LIMIT 1", _LACKING_FIRST),
    ("SELECT a.name1 WHERE b.cat2 = :cat2", set()),
    ("SELECT DISTINCT a.name1 WHERE LINKED(b)", set()),
  ],
)
def test_a_list_that_lacks_rows_without_a_partner_is_refused(shop, text, lacking):
  """ "Each author and the titles of their books": there are authors without any."""
  original, neighbours, filler = shop
  template, strict = Template.parse(text), filters.Limits(loose_joins=False)
  seen = set()
  for seed in range(60):
    filled = filler.fill(template, random.Random(seed))
    if filled.tables in _LACKING_ROWS | _WHOLE:
      assert filled.drops == (filled.tables in lacking), filled.sql
      seen.add(filled.drops)
    if filled.drops:
      reason = filters.check_filled(filled, template, original, neighbours, strict)
      assert reason == Rejection.DROPPED, filled.sql
  assert seen == ({True, False} if lacking else {False})


def test_groups_by_a_value_that_a_join_takes_away_are_refused(shop):
  original, neighbours, filler = shop
  template, strict = (
    Template.parse("SELECT a.cat1, COUNT(b.*) GROUP BY a.cat1"),
    filters.Limits(loose_joins=False),
  )
  filled = filler.fill(template, random.Random(0))
  (place,) = filled.columns
  table, column = place.split(".")
  assert filled.groups == filler.schema.table(table).column(column).distinct_count
  fewer = dataclasses.replace(filled, groups=len(original.rows(filled.sql)) + 1)
  for one, reason in ((filled, None), (fewer, Rejection.DROPPED)):
    assert filters.check_filled(one, template, original, neighbours, strict) == reason
  assert filters.check_filled(fewer, template, original, neighbours, filters.DEFAULT_LIMITS) is None


def test_a_condition_on_the_key_that_a_join_is_made_by_is_refused(tmp_path):
  """ "The roles that have employees with the role code HR" are told by their code."""
  path = tmp_path / "staff.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE role (role_code TEXT PRIMARY KEY, role_name TEXT);"
      "CREATE TABLE employee (id INTEGER PRIMARY KEY, employee_name TEXT, city TEXT,"
      " role_code TEXT REFERENCES role (role_code));"
    )
    roles = [(code, f"{code} manager") for code in ("HR", "ED", "PR", "MG")]
    connection.executemany("INSERT INTO role VALUES (?, ?)", roles)
    people = [(n, f"Ann {n}", "ABC"[n % 3], roles[n % 4][0]) for n in range(60)]
    connection.executemany("INSERT INTO employee VALUES (?, ?, ?, ?)", people)
  _, original, filler = synthesis_fixtures.open_filler(path)
  template = Template.parse("SELECT a.name1 WHERE b.cat2 = :cat2")
  strict, seen = filters.Limits(loose_joins=False), set()
  for seed in range(60):
    filled = filler.fill(template, random.Random(seed))
    reason = filters.check_filled(filled, template, original, [], strict)
    circular = "T2.role_code = '" in filled.sql
    assert (reason == Rejection.CIRCULAR) == circular, filled.sql
    seen.add(circular)
  assert seen == {True, False}


@pytest.mark.parametrize(
  "text, reason, refused, kept",
  [
    # Not every bank has a visit, but every stamp.
    ("SELECT a.ref1, COUNT(a.*) GROUP BY a.ref1", Rejection.DROPPED, "bank_id", "stamp_id"),
    # A city is in one state, but has banks of several grades.
    (
      "SELECT a.cat1, COUNT(a.*) WHERE a.cat2 = :cat2 GROUP BY a.cat1",
      Rejection.ONE_GROUP,
      "state, COUNT(*) FROM bank WHERE city",
      "grade, COUNT(*) FROM bank WHERE city",
    ),
  ],
)
def test_groups_that_are_fewer_than_the_question_says_are_refused(
  tmp_path, text, reason, refused, kept
):
  path = tmp_path / "banks.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE bank (id INTEGER PRIMARY KEY, city TEXT, state TEXT, grade TEXT);"
      "CREATE TABLE stamp (id INTEGER PRIMARY KEY, colour TEXT);"
      "CREATE TABLE visit (id INTEGER PRIMARY KEY, bank_id INTEGER REFERENCES bank (id),"
      " stamp_id INTEGER REFERENCES stamp (id));"
    )
    banks = [(i, f"city {i % 8}", f"state {i % 4}", f"grade {i % 3}") for i in range(48)]
    connection.executemany("INSERT INTO bank VALUES (?, ?, ?, ?)", banks)
    connection.executemany("INSERT INTO stamp VALUES (?, ?)", [(i, f"c {i}") for i in range(5)])
    visits = [(i, i % 9, i % 5) for i in range(60)]
    connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", visits)
  connection.close()
  _, original, filler = synthesis_fixtures.open_filler(path)
  template, strict = Template.parse(text), filters.Limits(loose_joins=False)
  seen = set()
  for seed in range(40):
    filled = filler.fill(template, random.Random(seed))
    for part, expected in ((refused, reason), (kept, None)):
      if f"SELECT {part}" in filled.sql:
        assert filters.check_filled(filled, template, original, (), strict) == expected, filled.sql
        seen.add(part)
  assert seen == {refused, kept}
  original.close()


def test_rows_are_told_apart_in_set_operations_by_names_that_no_two_share():
  """Customers without payments are not those whose surname nobody has who paid."""
  uses = frozenset({"select", "combined"})
  for unique in (True, False):
    name = Role("text", unique=unique, name_score=1.0)
    assert (suitability(name, "name", uses) > 0) == unique
    assert suitability(name, "name", frozenset({"select"})) > 0
