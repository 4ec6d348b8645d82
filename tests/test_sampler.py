"""Filling templates.

Every query runs, roles and keys are respected, near tables come more often.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter

import pytest
import sqlglot
import synthesis_fixtures
from sqlglot import exp

from spftsql_jax.columns import roles
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.synthesis import joins, pool, sampler
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template
from spftsql_jax.synthesis.sampler import fill_template
from spftsql_jax.synthesis.stored import StoredValues, TableRows, round_number
from spftsql_jax.synthesis.table_choice import TableChoice
from spftsql_jax.synthesis.tasks import fitting_templates
from spftsql_jax.synthesis.templates import Extractor


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
  path = synthesis_fixtures.make_database(tmp_path_factory.mktemp("sampler"))
  schema, runner, filler = synthesis_fixtures.open_filler(path)
  return path, schema, runner, filler


def fills(shop, text, count, **options):
  _, schema, _, filler = shop
  queries = []
  for seed in range(count):
    try:
      queries.append(
        fill_template(Template.parse(text), schema, filler.values, random.Random(seed), **options)
      )
    except CannotFill:
      continue
  return queries


def test_every_template_of_the_pool_fills_into_queries_that_sqlite_runs(shop):
  path = shop[0]
  connection = sqlite3.connect(path)
  never, empty, total = [], 0, 0
  for item in pool.builtin_templates():
    queries = fills(shop, item.template.text, 6)
    if not queries:
      never.append(item.template.text)
    for query in queries:
      total += 1
      empty += not connection.execute(query).fetchmany(1)
  assert not never
  assert empty < 0.1 * total


def test_same_state_of_the_generator_gives_the_same_query(shop):
  for item in pool.builtin_templates()[::10]:
    assert fills(shop, item.template.text, 3) == fills(shop, item.template.text, 3)


def test_refilled_template_is_extracted_again_as_it_was(shop):
  _, schema, _, _ = shop
  extractor = Extractor(schema)
  texts = [
    "SELECT a.text1 WHERE a.num2 > :num2",
    "SELECT a.text1, b.text2",
    "SELECT a.text1, COUNT(b.*) GROUP BY a.key2 HAVING COUNT(b.*) > :count",
    "SELECT a.text1 WHERE a.key2 NOT IN (SELECT b.ref3_key2)",
    "SELECT a.text1 WHERE NOT EXISTS (SELECT 1 WHERE b.ref2_key3 = a_outer.key3)",
    "SELECT a.text1 GROUP BY b.ref2_a ORDER BY COUNT(*) DESC LIMIT 1",
    "SELECT a.text1, a2.text1",
    "SELECT a.text1 WHERE b.key2 IS NULL AND OPTIONAL(b)",
    "SELECT a.text1 WHERE a.text2 = :text2 INTERSECT SELECT a.text1 WHERE a.num3 < :num3",
    "SELECT a.text1 WHERE a.num2 > (SELECT AVG(a.num2) WHERE a.text3 = a_outer.text3)",
    "SELECT DISTINCT a.text1 WHERE LINKED(b)",
  ]
  for text in texts:
    queries = fills(shop, text, 8)
    assert queries, text
    assert {extractor.extract(query).text for query in queries} == {text}


def test_keys_are_not_averaged_and_numbers_not_matched_by_like(shop):
  identifiers = {"id", "author_id", "book_id", "mentor_id"}
  for text in (
    "SELECT AVG(a.num1)",
    "SELECT SUM(a.num1) WHERE a.cat2 = :cat2",
    "SELECT a.name1, a.any2",
  ):
    for query in fills(shop, text, 30):
      columns = {
        column.name for column in sqlglot.parse_one(query, read="sqlite").find_all(exp.Column)
      }
      assert not columns & identifiers, query
  for query in fills(shop, "SELECT a.any1 WHERE a.any2 LIKE :any2", 30):
    column = sqlglot.parse_one(query, read="sqlite").find(exp.Like).this.name
    assert column not in {"pages", "price", "share", "degrees", "born", "bought", "in_print"}, query


def test_groups_are_categories_and_names_name_their_row(shop):
  grouped = Counter(
    sqlglot.parse_one(query, read="sqlite").args["group"].expressions[0].name
    for query in fills(shop, "SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1", 60)
  )
  assert set(grouped) <= {
    "continent",
    "genre",
    "condition",
    "in_print",
    "room",
    "place",
    "country_code",
  }, grouped
  named = {query.split()[1] for query in fills(shop, "SELECT a.name1", 60)}
  assert named == {"name", "title", "label"}


def test_near_tables_are_chosen_more_often_with_a_small_decay(shop):
  _, schema, _, _ = shop
  graph = joins.JoinGraph(schema)

  def mean_distance(decay: float) -> float:
    distances = []
    for query in fills(shop, "SELECT a.any1, b.any2", 200, decay=decay):
      aliases = {
        t.alias: t.name for t in sqlglot.parse_one(query, read="sqlite").find_all(exp.Table)
      }
      first, second = (aliases[alias] for alias in re.findall(r"(T\d+)\.", query)[:2])
      distances.append(graph.distance(first, second))
    return sum(distances) / len(distances)

  assert mean_distance(0.05) < mean_distance(1.0) - 0.3


def test_joins_follow_composite_self_and_many_to_many_keys(shop):
  _, schema, _, _ = shop
  graph = joins.JoinGraph(schema)
  rng = random.Random(0)
  (step,) = graph.join([("a", "copy"), ("b", "shelf")], rng).steps
  assert step.edge.columns == ("room", "place") and step.upwards
  many = graph.join([("a", "author"), ("b", "book")], rng)
  assert list(many.tables().values()) == ["author", "book_author", "book"]
  (self_join,) = graph.join([("a", "author"), ("a2", "author")], rng).steps
  assert self_join.edge.columns == ("mentor_id",) and self_join.edge.referred_columns == ("id",)
  assert graph.distance("country", "copy") == 4
  with pytest.raises(joins.CannotJoin, match="weather"):
    graph.join([("a", "book"), ("b", "weather")], rng)


def test_one_table_has_no_alias_and_joins_are_written_as_people_do(shop):
  for query in fills(shop, "SELECT a.name1 WHERE a.num2 > :num2", 5):
    assert re.fullmatch(r"SELECT \w+ FROM \w+ WHERE \w+ > [\d.-]+", query), query
  for query in fills(shop, "SELECT a.name1, b.name2", 20):
    assert re.match(
      r"SELECT T1\.\w+, T\d\.\w+ FROM \w+ AS T1 JOIN \w+ AS T2 ON T1\.\w+ = T2\.\w+( AND| JOIN|$)",
      query,
    ), query


def test_identifiers_with_spaces_are_quoted_and_quotes_in_values_doubled(shop):
  assert any(
    '"first edition"' in query for query in fills(shop, "SELECT a.name1 ORDER BY a.date2", 40)
  )
  queries = fills(shop, "SELECT a.date1 WHERE a.name2 = :name2", 60)
  assert any("'Anne O''Brien" in query for query in queries)


def test_conditions_select_something_but_not_everything(shop):
  connection = sqlite3.connect(shop[0])
  kept = []
  for text in (
    "SELECT COUNT(a.*) WHERE a.num1 > :num1",
    "SELECT COUNT(a.*) WHERE a.date1 < :date1",
  ):
    for query in fills(shop, text, 60):
      (found,), (every,) = (
        connection.execute(query).fetchone(),
        connection.execute(query.split(" WHERE ")[0]).fetchone(),
      )
      kept.append(0 < found < every)
  assert sum(kept) > 0.95 * len(kept)


def test_a_schema_without_the_types_is_refused(shop):
  _, schema, _, filler = shop
  with pytest.raises(CannotFill):
    fill_template(
      Template.parse("SELECT a.bool1, a.bool2"), schema, filler.values, random.Random(0)
    )


def test_without_a_database_at_hand_groups_are_compared_with_small_numbers(shop):
  _, schema, _, filler = shop
  values = StoredValues(filler.values.tables)
  sql = fill_template(
    Template.parse("SELECT a.cat1 GROUP BY a.cat1 HAVING COUNT(a.*) > :count"),
    schema,
    values,
    random.Random(0),
  )
  assert re.search(r"HAVING COUNT\(\*\) > \d+$", sql)


@pytest.mark.parametrize("operator", [">", "<=", ">=", "<"])
def test_no_bound_parts_a_day_from_its_moments_where_the_question_counts_it_in(tmp_path, operator):
  path = tmp_path / "staff.sqlite"
  with sqlite3.connect(path) as connection:
    connection.execute("CREATE TABLE staff (name TEXT, hired DATE)")
    days = [f"2002-{month:02}-01 00:00:00" for month in range(1, 13)]
    connection.executemany("INSERT INTO staff VALUES (?, ?)", [(f"P{d}", d) for d in days])
  connection.close()
  _, runner, filler = synthesis_fixtures.open_filler(path)
  template = Template.parse(f"SELECT a.name1 WHERE a.date2 {operator} :date2")
  bounds = {filler.fill(template, random.Random(seed)).sql.split("'")[1] for seed in range(40)}
  # A day, or a moment of it that is there: behind ">" and "<=" no day that one begins.
  begun = [bound for bound in bounds if any(day.startswith(f"{bound} ") for day in days)]
  assert bool(begun) == (operator in (">=", "<"))
  assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", bound) or bound in days for bound in bounds)
  assert len(bounds) > 5
  runner.close()


@pytest.mark.parametrize(
  ("low", "high"), [(3, 4), (137, 812), (0.31, 0.32), (-40, 12), (1_234, 9_876_543)]
)
def test_round_number_stays_in_its_interval(low, high):
  for seed in range(20):
    number = round_number(low, high, random.Random(seed))
    assert number is not None and low <= number < high
  assert round_number(5, 5, random.Random(0)) is None


def test_flags_are_no_numbers_and_words_that_end_in_id_no_keys(tmp_path):
  path = tmp_path / "loans.sqlite"
  with sqlite3.connect(path) as connection:
    connection.execute(
      "CREATE TABLE loan (id INTEGER PRIMARY KEY, late INTEGER, sealed TEXT, amount_paid REAL, "
      "rooms TEXT, phone TEXT)"
    )
    rows = [(i, i % 2, "10"[i % 2], 10.5 + i, str(i % 7), str(555000 + i)) for i in range(40)]
    connection.executemany("INSERT INTO loan VALUES (?, ?, ?, ?, ?, ?)", rows)
  connection.close()
  schema, runner, filler = synthesis_fixtures.open_filler(path)
  found = Counter()
  for text in (
    "SELECT AVG(a.num1)",
    "SELECT SUM(a.text1)",
    "SELECT MAX(a.bool1)",
    "SELECT COUNT(a.*) WHERE a.num1 > :num1",
  ):
    for seed in range(20):
      try:
        query = filler.fill(Template.parse(text), random.Random(seed)).sql
      except CannotFill:
        continue
      found.update(
        (text, column.name)
        for column in sqlglot.parse_one(query, read="sqlite").find_all(exp.Column)
      )
  assert set(found) == {
    ("SELECT AVG(a.num1)", "amount_paid"),
    ("SELECT SUM(a.text1)", "rooms"),
    ("SELECT COUNT(a.*) WHERE a.num1 > :num1", "amount_paid"),
  }
  runner.close()


@pytest.fixture(scope="module")
def cafes(tmp_path_factory):
  """Rows without a name, people with two, and amounts that nobody knows exactly."""
  path = tmp_path_factory.mktemp("cafes") / "cafes.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE cafe (cafe_id INTEGER PRIMARY KEY, address TEXT, staff_count TEXT, "
      "phone TEXT, district TEXT, turnover INTEGER);"
      "CREATE TABLE guest (guest_id INTEGER PRIMARY KEY, first_name TEXT, middle_name TEXT, "
      "last_name TEXT, birth_year INTEGER, spent REAL, cafe_id INTEGER REFERENCES cafe (cafe_id))"
    )
    cafes = [
      (i, f"{i + 3} Elm Street", str(11 + i), f"555-0{100 + i}", "ABC"[i % 3], 18137 + 1379 * i)
      for i in range(20)
    ]
    names = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ivy", "Jo"]
    guests = [
      (i, names[i], names[-i], f"{names[i]}son", 1950 + i, 100.37 + 91.73 * i, i) for i in range(10)
    ]
    connection.executemany("INSERT INTO cafe VALUES (?, ?, ?, ?, ?, ?)", cafes)
    connection.executemany("INSERT INTO guest VALUES (?, ?, ?, ?, ?, ?, ?)", guests)
  connection.close()
  schema, runner, filler = synthesis_fixtures.open_filler(path)
  yield path, schema, runner, filler
  runner.close()


def test_rows_without_a_name_are_not_called_by_an_amount_nor_people_by_a_part(cafes):
  named = Counter(query.split()[1] for query in fills(cafes, "SELECT a.name1", 60))
  assert set(named) <= {"address", "last_name", "district"} and named["last_name"] > 30
  pair = "SELECT a.name1, a.any2"
  pairs = Counter(re.findall(r"SELECT (.*) FROM guest", "\n".join(fills(cafes, pair, 80))))
  assert pairs["first_name, last_name"] > 10 and "last_name, first_name" not in pairs


def test_keys_are_shown_of_what_has_no_name(cafes):
  shown = Counter(query.split()[1] for query in fills(cafes, "SELECT a.key1", 60))
  assert shown["cafe_id"] > 2 * shown["guest_id"] > 0


def test_thresholds_are_round_and_ranges_hold_a_share_of_the_values(cafes):
  path = cafes[0]
  connection = sqlite3.connect(path)
  for operator in (">", ">=", "<", "<="):
    for query in fills(cafes, f"SELECT COUNT(a.*) WHERE a.num1 {operator} :num1", 30):
      number = query.split()[-1]
      assert "year" in query or len(number.strip("0").replace(".", "")) <= 2, query
      (count,) = connection.execute(query).fetchone()
      assert 0 < count < (10 if "guest" in query else 20), query
  for query in fills(cafes, "SELECT COUNT(a.*) WHERE a.num1 BETWEEN :num1 AND :num1_2", 30):
    (count,) = connection.execute(query).fetchone()
    assert count >= 3, query
  connection.close()


def test_a_text_of_digits_that_refers_to_a_row_says_nothing_itself():
  def role(samples: tuple[str, ...]) -> roles.Role:
    maker = Column("country", "TEXT", "text", samples=samples, distinct_count=3)
    key = ForeignKey(("country",), "countries", ("id",))
    schema = Schema(
      "cars",
      "sqlite",
      (
        Table("makers", (maker,), (), (key,), row_count=30),
        Table("countries", (), ("id",), (), row_count=9),
      ),
    )
    return roles.column_roles(schema)["makers", "country"]

  assert role(("FR", "IT", "DE")).natural and not role(("7", "3", "2")).natural


def test_one_table_is_not_grouped_by_what_is_unique(shop):
  grouped = Counter(
    sqlglot.parse_one(query, read="sqlite").args["group"].expressions[0].name
    for query in fills(shop, "SELECT a.text1, COUNT(a.*) GROUP BY a.text1", 80)
  )
  assert grouped and not {"title", "name", "label", "code"} & set(grouped), grouped
  assert not fills(shop, "SELECT a.key1, COUNT(a.*) GROUP BY a.key1", 10)
  assert fills(shop, "SELECT a.key1, COUNT(b.*) GROUP BY a.key1", 10), (
    "the rows of another table are counted"
  )


def test_columns_that_are_compared_have_values_in_common(shop):
  for query in fills(shop, "SELECT a.text1 INTERSECT SELECT b.text2", 40):
    assert sqlite3.connect(shop[0]).execute(query.replace("INTERSECT", "UNION ALL")).fetchall()
    left, right = (
      set(sqlite3.connect(shop[0]).execute(side).fetchall()) for side in query.split(" INTERSECT ")
    )
    assert left & right, query


def test_a_column_in_focus_is_named_in_the_query(shop):
  _, _, _, filler = shop
  named = 0
  for item in pool.builtin_templates()[::6]:
    if filler.holding(item.template.text, ("book", "price")):
      try:
        query = filler.fill(item.template, random.Random(1), focus=("book", "price")).sql
      except CannotFill:
        continue  # Beside this column nothing fits the other tables.
      assert "price" in query, query
      named += 1
  assert named > 10


def test_what_a_join_repeats_is_not_added_up(shop):
  connection = sqlite3.connect(shop[0])
  for query in fills(shop, "SELECT SUM(a.num1) WHERE b.cat2 = :cat2", 40):
    alias = re.match(r"SELECT SUM\((T\d)\.", query)[1]
    table = re.search(rf"(\w+) AS {alias}\b", query)[1]
    counted = query.replace(
      query.split(" FROM ")[0], f"SELECT COUNT(*), COUNT(DISTINCT {alias}.rowid)"
    )
    rows, distinct = connection.execute(counted).fetchone()
    assert rows == distinct, f"{query}: rows of {table} come more than once"


def test_days_and_persons_as_numbers_are_not_summed_and_parents_not_counted(tmp_path):
  path = tmp_path / "club.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT, founded_on INTEGER, seen_at INTEGER, "
      "advisor INTEGER,"
      " points INTEGER);"
      "CREATE TABLE player (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), nick "
      "TEXT, role TEXT, phone TEXT);"
    )
    for i in range(30):
      team = (i, f"Team {i}", 19900101 + 10000 * (i % 9), 1600000000 + 5000 * i, 7 * i % 11, i * i)
      connection.execute("INSERT INTO team VALUES (?, ?, ?, ?, ?, ?)", team)
      player = (i, i % 7, f"Nick {i}", "ABC"[i % 3], f"0{i % 20}")
      connection.execute("INSERT INTO player VALUES (?, ?, ?, ?, ?)", player)
  connection.close()
  club = (path, *synthesis_fixtures.open_filler(path))
  for text in (
    "SELECT SUM(a.num1)",
    "SELECT AVG(a.num1)",
    "SELECT a.name1 WHERE a.num2 > (SELECT AVG(a.num2))",
  ):
    queries = " ".join(fills(club, text, 30))
    assert "points" in queries and not re.search("founded_on|seen_at|advisor", queries), queries
  grouped = " ".join(fills(club, "SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1", 30))
  assert "role" in grouped and "phone" not in grouped
  counts = fills(club, "SELECT COUNT(a.*) WHERE b.name1 = :name1", 30)
  assert counts and all("WHERE T1.name" in query or "WHERE T2.name" in query for query in counts), (
    "players of a team"
  )


def test_a_column_is_only_asked_of_templates_that_its_table_can_fill(tmp_path):
  # A table without keys has none to be joined with.
  path = tmp_path / "apart.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE city (city_id INTEGER PRIMARY KEY, name TEXT);"
      "CREATE TABLE shop (shop_id INTEGER PRIMARY KEY, name TEXT, city_id INTEGER"
      " REFERENCES city (city_id));"
      "CREATE TABLE poem (poem_id INTEGER PRIMARY KEY, name TEXT);"
    )
    for i in range(20):
      connection.execute("INSERT INTO city VALUES (?, ?)", (i, f"City {i}"))
      connection.execute("INSERT INTO shop VALUES (?, ?, ?)", (i, f"Shop {i}", i % 5))
      connection.execute("INSERT INTO poem VALUES (?, ?)", (i, f"Poem {i}"))
  connection.close()
  _, _, filler = synthesis_fixtures.open_filler(path)
  joined = "SELECT a.name1, b.name2"
  assert filler.holding(joined, ("shop", "name"))
  assert not filler.holding(joined, ("poem", "name"))
  assert filler.holding("SELECT a.name1", ("poem", "name"))


def test_hundreds_of_tables_are_not_looked_at_in_pairs(monkeypatch):
  def table(i, *keys):
    columns = (
      Column("id", "INT", "number", distinct_count=9),
      Column("ref", "INT", "number", distinct_count=9),
    )
    texts = (
      Column("name", "TEXT", "text", distinct_count=9),
      Column("day", "DATE", "date", distinct_count=9),
    )
    return Table(f"t{i}", (*columns, *texts), ("id",), keys, row_count=9)

  # Alone, but for two that have a key between them and one more beside the same table.
  tables = [table(i) for i in range(120)]
  tables[70], tables[90] = (table(i, ForeignKey(("ref",), "t50", ("id",))) for i in (70, 90))
  names = [column.name for column in tables[0].columns]
  rows = [(i, i, f"n{i}", f"2024-01-0{i}") for i in range(1, 10)]
  schema = Schema("s", "sqlite", tuple(tables))
  filler = sampler.Filler(schema, StoredValues({t.name: TableRows(names, rows) for t in tables}))
  judged, nearness = [], TableChoice._nearness

  def counted(self, letter, table, chosen):
    judged.append((table, *chosen.values()))
    return nearness(self, letter, table, chosen)

  monkeypatch.setattr(TableChoice, "_nearness", counted)
  fitting = fitting_templates(filler, pool.builtin_templates())
  joined = [i for i in fitting if re.search(r"\bb\.", pool.builtin_templates()[i].template.text)]
  # Of some 14,000 pairs for each of a hundred templates; those left are what templates without a
  # key between may take.
  assert len(joined) > 20 and len(judged) < 20_000


@pytest.mark.parametrize(
  "text, seldom",
  [
    ("SELECT COUNT(a.*)", True),
    ("SELECT AVG(a.num1)", True),
    ("SELECT b.name2, a.num1", False),
    ("SELECT MAX(a.num1) WHERE b.name2 = :name2", True),
    ("SELECT COUNT(a.*) WHERE b.name1 = :name1", True),
    ("SELECT a.name1, COUNT(b.*) GROUP BY a.key2", False),
  ],
)
def test_a_table_that_only_connects_others_is_seldom_what_is_asked_about(shop, text, seldom):
  _, schema, _, filler = shop
  connecting = sampler.Filler(schema, filler.values, ["book_author"])

  def share(of):
    made = [of.fill(Template.parse(text), random.Random(seed)).tables for seed in range(200)]
    # What is asked about comes first.
    return sum("book_author" in (tables[:1] if seldom else tables) for tables in made) / len(made)

  assert share(filler) > 0.08
  assert share(connecting) < 0.03 if seldom else share(connecting) == share(filler)


@pytest.mark.parametrize(
  "text, said",
  [
    ("SELECT a.key1 WHERE b.num2 > :num2", False),
    ("SELECT a.name1, MAX(b.num2) GROUP BY a.key3", False),
    ("SELECT a.name1, b.any2", True),
  ],
)
def test_what_only_connecting_rows_hold_is_listed_and_no_condition(shop, text, said):
  _, schema, _, filler = shop
  connecting = sampler.Filler(schema, filler.values, ["book_author"])
  for of, expected in ((filler, True), (connecting, said)):
    made = [of.fill(Template.parse(text), random.Random(seed)) for seed in range(200)]
    assert any("book_author.share" in each.columns for each in made) == expected


def test_a_column_that_is_no_noun_is_a_condition(shop):
  _, schema, _, filler = shop
  awkward = sampler.Filler(schema, filler.values, (), [("book", "genre")])

  def share(of, text):
    made = [of.fill(Template.parse(text), random.Random(seed)) for seed in range(200)]
    return sum("book.genre" in each.columns for each in made) / len(made)

  shown, condition = (
    "SELECT a.any1, COUNT(a.*) GROUP BY a.any1",
    "SELECT a.name1 WHERE a.any2 = :any2",
  )
  assert share(filler, shown) > 0.1 and share(awkward, shown) < 0.03
  assert share(awkward, condition) == share(filler, condition) > 0.05
  assert awkward.seldom_asked(("book", "genre")) and not filler.seldom_asked(("book", "genre"))
  assert filler.seldom_asked(("book", "in_print")) and filler.seldom_asked(("copy", "book_id"))


def test_flags_are_neither_listed_nor_grouped_by(shop):
  for text in ("SELECT a.name1, a.any2", "SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1"):
    assert not any("in_print" in query for query in fills(shop, text, 200))
  assert any(
    "in_print" in query for query in fills(shop, "SELECT a.name1 WHERE a.any2 = :any2", 200)
  )


def test_rows_without_any_are_counted_over_links_alone(shop):
  made = fills(shop, "SELECT a.name1, COUNT(b.key2) WHERE OPTIONAL(b) GROUP BY a.key3", 200)
  far = [query for query in made if query.count("LEFT JOIN") > 1]
  assert far and all("book_author" in query for query in far)


def test_only_names_are_united_with_those_of_another_table(tmp_path):
  path = tmp_path / "fair.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE guest (id INTEGER PRIMARY KEY, name TEXT);"
      "CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT);"
      "CREATE TABLE service (id INTEGER PRIMARY KEY, sort TEXT);"
    )
    for table in ("guest", "host", "service"):
      rows = [(i, f"{table} {i}") for i in range(9)]
      connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
  connection.close()
  _, runner, filler = synthesis_fixtures.open_filler(path)
  template = Template.parse("SELECT a.name1 UNION SELECT b.name2")
  tables = {filler.fill(template, random.Random(seed)).tables for seed in range(40)}
  assert tables == {("guest", "host"), ("host", "guest")}
  # Sorts that two sets of services share are no services.
  template = Template.parse("SELECT a.name1 EXCEPT SELECT a.name1 WHERE a.key2 = :key2")
  tables = {filler.fill(template, random.Random(seed)).tables for seed in range(40)}
  assert tables == {("guest",), ("host",)}
  runner.close()


@pytest.mark.parametrize(
  "text",
  [
    "SELECT COUNT(DISTINCT a.cat1)",
    "SELECT COUNT(a.*) * 100.0 / (SELECT COUNT(a.*)) WHERE a.cat1 = :cat1",
    "SELECT SUM(CASE WHEN a.cat1 = :cat1 THEN 1 ELSE 0 END), COUNT(a.*)",
  ],
)
def test_neither_amounts_nor_the_share_of_one_amount_are_counted(tmp_path, text):
  path = tmp_path / "tracks.sqlite"
  with sqlite3.connect(path) as connection:
    connection.execute(
      "CREATE TABLE track (id INTEGER PRIMARY KEY, genre TEXT, length INTEGER, age INTEGER)"
    )
    rows = [(i, f"g {i % 5}", 240_000 + i % 60, 9 + i % 6) for i in range(240)]
    connection.executemany("INSERT INTO track VALUES (?, ?, ?, ?)", rows)
  connection.close()
  _, runner, filler = synthesis_fixtures.open_filler(path)
  found = {filler.fill(Template.parse(text), random.Random(seed)).columns for seed in range(300)}
  assert found == {("track.genre",), ("track.age",)}
  runner.close()


def test_figures_of_another_table_s_rows_are_asked_for_but_not_counted_or_listed(tmp_path):
  """Fees of each campus and year: "the average fee", seldom "how many fees are there"."""
  path = tmp_path / "campus.sqlite"
  with sqlite3.connect(path) as connection:
    connection.executescript(
      "CREATE TABLE campus (id INTEGER PRIMARY KEY, name TEXT, county TEXT);"
      "CREATE TABLE fee (campus INTEGER REFERENCES campus (id), year INTEGER, amount INTEGER,"
      " PRIMARY KEY (campus, year));"
      "CREATE TABLE visit (id INTEGER PRIMARY KEY, campus INTEGER REFERENCES campus (id),"
      " guests INTEGER);"
    )
    connection.executemany(
      "INSERT INTO campus VALUES (?, ?, ?)", [(n, f"Ann {n}", "ABC"[n % 3]) for n in range(20)]
    )
    rows = [(n, year, 700 + n * 31 + year % 7) for n in range(20) for year in range(1996, 2006)]
    connection.executemany("INSERT INTO fee VALUES (?, ?, ?)", rows)
    connection.executemany(
      "INSERT INTO visit VALUES (?, ?, ?)", [(n, n % 20, n % 9) for n in range(200)]
    )
  connection.close()
  _, runner, filler = synthesis_fixtures.open_filler(path)

  def tables(text):
    template = Template.parse(text)
    return Counter(filler.fill(template, random.Random(seed)).tables[-1] for seed in range(120))

  for text in ("SELECT COUNT(a.*)", "SELECT a.name1, COUNT(b.*) GROUP BY a.key2"):
    counted = tables(text)
    assert counted["fee"] <= 12 < counted["visit"], (text, counted)
  assert tables("SELECT AVG(a.num1)")["fee"] > 30
  runner.close()
