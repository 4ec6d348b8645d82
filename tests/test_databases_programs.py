"""Statements that are one program: what is said to be the same must give the same rows in the same
order, everywhere.
"""

import contextlib
import itertools
import json
import random
import sqlite3

import pytest
from shared_data import SHARED, SPIDER, needs_spider

from spftsql_jax.databases import Executor
from spftsql_jax.databases.engines import sqlite
from spftsql_jax.databases.instances.make import make_instances
from spftsql_jax.judging.programs import Programs, same_program
from spftsql_jax.judging.scoring import score_predictions

SCHEMA = """
  CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT, born INT);
  CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INT
    REFERENCES author(id), title TEXT, price REAL, pages INT);
  CREATE TABLE loan (book_id INT REFERENCES book(id), day TEXT, days INT);
  CREATE INDEX by_author ON book (author_id);
"""


def fill(path, seed):
  rng = random.Random(seed)
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript(SCHEMA)
    word = lambda: rng.choice(("ash", "birch", "cedar", None))  # noqa: E731
    connection.executemany(
      "INSERT INTO author VALUES (?, ?, ?)", [(i, word(), rng.randint(1, 5)) for i in range(6)]
    )
    books = [
      (i, rng.randrange(7), word(), rng.choice((0.5, 1.0, 2.5)), rng.randint(1, 4))
      for i in range(20)
    ]
    connection.executemany("INSERT INTO book VALUES (?, ?, ?, ?, ?)", books)
    loans = [
      (rng.randrange(20), rng.choice(("2020-01-01", "2021-05-05")), rng.randint(1, 3))
      for _ in range(30)
    ]
    connection.executemany("INSERT INTO loan VALUES (?, ?, ?)", loans)
    connection.commit()
  return path


@pytest.fixture(scope="module")
def instances(tmp_path_factory):
  folder = tmp_path_factory.mktemp("programs")
  connections = [
    sqlite.Connection(str(fill(folder / f"{seed}.sqlite", seed)), 10**9) for seed in range(3)
  ]
  yield connections
  for each in connections:
    each.close()


def programs(connections):
  return Programs(len(connections), connections.__getitem__)


def test_names_aliases_spelling_and_the_order_in_from_do_not_matter(instances):
  gold = (
    "SELECT T1.name, count(*) FROM author AS T1 JOIN book AS T2 ON T1.id = T2.author_id WHERE "
    "T2.pages > 1 GROUP BY T1.id"
  )
  for same in (
    (
      "select author.name , COUNT( * ) from author join book on author.id = book.author_id where "
      "pages > 1 group by author.id"
    ),
    (
      "SELECT a.name AS n, count(*) AS c FROM book b JOIN author a ON a.id = b.author_id WHERE "
      "b.pages > 1 GROUP BY a.id"
    ),
  ):
    assert programs(instances).agree(gold, same, 5.0), same


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT name FROM author WHERE born > 1", "SELECT name FROM author WHERE born > 2"),
    ("SELECT name FROM author WHERE name = 'ash'", "SELECT name FROM author WHERE name = 'Ash'"),
    (
      "SELECT price FROM book WHERE price > 0.1",
      "SELECT price FROM book WHERE price > 0.10000000000000002",
    ),
    (
      "SELECT price FROM book WHERE price > 1e-1",
      "SELECT price FROM book WHERE price > 1.0000000000000002e-1",
    ),
    ("SELECT id + 9223372036854775808 FROM book", "SELECT id + 9223372036854778000 FROM book"),
    ("SELECT x'00' FROM book", "SELECT x'01' FROM book"),
    ("SELECT name FROM author ORDER BY born", "SELECT name FROM author ORDER BY born DESC"),
    ("SELECT id FROM author", "SELECT id FROM book"),
    (
      "SELECT a.name FROM author a JOIN author b ON a.id = b.born",
      "SELECT b.name FROM author a JOIN author b ON a.id = b.born",
    ),
    ("SELECT name, born FROM author", "SELECT born, name FROM author"),
    ("SELECT name FROM author", "SELECT nothing FROM author"),
    ("SELECT name FROM author", "SELECT name FROM author; SELECT 1"),
    ("SELECT name FROM author", "DELETE FROM author"),
  ],
)
def test_what_differs_is_not_the_same_program(instances, one, other):
  assert not programs(instances).agree(one, other, 5.0)


def test_a_select_list_in_another_order_is_the_same_where_order_does_not_count(instances):
  gold = (
    "SELECT count(*) , T1.name FROM author AS T1 JOIN book AS T2 ON T1.id = T2.author_id GROUP "
    "BY T1.id"
  )
  for same in (
    "SELECT name, COUNT(*) FROM author JOIN book ON author.id = book.author_id GROUP BY author.id",
    (
      "SELECT a.name AS who, count(*) AS books FROM book b JOIN author a ON a.id = b.author_id "
      "GROUP "
      "BY a.id;"
    ),
  ):
    assert programs(instances).agree(gold, same, 5.0, any_order=True), same
    assert not programs(instances).agree(gold, same, 5.0)


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT born, name FROM author", "SELECT name, name FROM author"),
    ("SELECT born, name FROM author", "SELECT name, id FROM author"),
    # Each of these would be compiled to the program of the first if its list were put in that
    # order.
    ("SELECT pages, count(*), title FROM book GROUP BY 1",
    "SELECT title, count(*), pages FROM book GROUP BY 1"),
    ("SELECT pages, count(*), title FROM book GROUP BY (1)",
    "SELECT title, count(*), pages FROM book GROUP BY (1)"),
    ("SELECT pages AS x, title AS x FROM book GROUP BY x",
    "SELECT title AS x, pages AS x FROM book GROUP BY x"),
    ("SELECT pages x, title x FROM book GROUP BY x",
    "SELECT title x, pages x FROM book GROUP BY x"),
    ("SELECT max(pages), min(price), title FROM book",
    "SELECT min(price), max(pages), title FROM book"),
    ("SELECT title, pages FROM book UNION SELECT name, born FROM author",
     "SELECT pages, title FROM book UNION SELECT name, born FROM author"),
    ("SELECT title, pages FROM book LIMIT 3", "SELECT pages, title FROM book LIMIT 3"),
    ("SELECT name, born FROM author ORDER BY 1 LIMIT 1",
    "SELECT born, name FROM author ORDER BY 1 LIMIT 1"),
  ],
)  # fmt: skip
def test_where_the_order_of_the_select_list_may_matter_it_is_kept(instances, one, other):
  assert not programs(instances).agree(one, other, 5.0, any_order=True)


def test_random_select_lists_in_another_order_hold_the_same_rows_on_every_instance(instances):
  rng = random.Random(1)
  items = (
    "b.title",
    "b.pages",
    "price",
    "count(*)",
    "max(b.price)",
    "avg(pages) AS p",
    "a.name n",
    "length(a.name)",
    "born + 1",
  )
  tails = (
    "",
    "WHERE b.pages > 1",
    "GROUP BY a.id",
    "GROUP BY n",
    "GROUP BY p",
    "GROUP BY 1",
    "GROUP BY b.title HAVING count(*) > 1",
  )
  run = lambda connection, sql: connection.run(sql, 5.0, 10**6, 10**9, list)  # noqa: E731
  agreed = 0
  for _ in range(400):
    chosen = rng.sample(items, rng.randint(2, 4))
    joined = rng.choice(
      ("author a JOIN book b ON a.id = b.author_id", "book b JOIN author a ON a.id = b.author_id")
    )
    tail, distinct = rng.choice(tails), rng.choice(("", "", "DISTINCT "))
    order = rng.sample(range(len(chosen)), len(chosen))
    one = f"SELECT {distinct}{', '.join(chosen)} FROM {joined} {tail}"
    other = f"SELECT {distinct}{', '.join(chosen[i] for i in order)} FROM {joined} {tail}"
    if one != other and programs(instances).agree(one, other, 5.0, any_order=True):
      agreed += 1
      for connection in instances:
        first, second = run(connection, one), run(connection, other)
        rows = [[tuple(row[i] for i in order) for row in piece] for piece in first[2]]
        assert first[0] == second[0] == "ok" and rows == second[2], (one, other)
  assert agreed > 150


def random_query(rng):
  tables = [("author", "a"), ("book", "b"), ("loan", "l")][: rng.randint(1, 3)]
  joins = ["a.id = b.author_id", "b.id = l.book_id"][: len(tables) - 1]
  rng.shuffle(tables)
  columns = {
    "a": ("a.name", "a.born"),
    "b": ("b.title", "b.price", "b.pages"),
    "l": ("l.day", "l.days"),
  }
  names = [name for _, alias in tables for name in columns[alias]]
  conditions = [
    *joins,
    *([rng.choice(("a.born > 2", "a.name = 'ash'"))] if rng.random() < 0.5 else []),
  ]
  rng.shuffle(conditions)
  select = rng.choice((names[0], f"{rng.choice(names)}, count(*)", f"max({rng.choice(names)})"))
  where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
  group = f" GROUP BY {rng.choice(names)}" if "count" in select else ""
  order = f" ORDER BY {rng.choice(names)}" if rng.random() < 0.3 else ""
  return (
    f"SELECT {select} FROM "
    f"{', '.join(f'{table} {alias}' for table, alias in tables)}{where}{group}{order}"
  )


def test_random_queries_that_are_one_program_give_the_same_rows_on_every_instance(instances):
  rng = random.Random(0)
  compiled = {}
  for sql in {random_query(rng) for _ in range(700)}:
    program = instances[0].program(sql, 5.0)
    if program is not None:
      compiled[sql] = program
  run = lambda connection, sql: connection.run(sql, 5.0, 10**6, 10**9, tuple)[:3]  # noqa: E731
  same = renamed = 0
  for (one, first), (other, second) in itertools.combinations(sorted(compiled.items()), 2):
    if same_program(first, second):
      same, renamed = same + 1, renamed + (first != second)
      for connection in instances:
        a, b = run(connection, one), run(connection, other)
        assert a[0] == "ok" and a[2] == b[2], (one, other)
  assert len(compiled) > 100 and same > 100 and renamed > 30


def test_statistics_and_other_schemas_are_never_trusted(tmp_path):
  paths = [fill(tmp_path / f"{i}.sqlite", i) for i in range(2)]
  one, other = "SELECT a.name FROM author a", "SELECT name FROM author"

  def agree():
    connections = [sqlite.Connection(str(path), 10**9) for path in paths]
    result = programs(connections).agree(one, other, 5.0)
    for each in connections:
      each.close()
    return result

  assert agree()
  with contextlib.closing(sqlite3.connect(paths[1])) as connection:
    connection.execute("CREATE INDEX more ON author (born)")
  assert not agree()
  with contextlib.closing(sqlite3.connect(paths[0])) as connection:
    connection.execute("CREATE INDEX more ON author (born)")
  assert agree()
  for path in paths:
    with contextlib.closing(sqlite3.connect(path)) as connection:
      connection.execute("ANALYZE")
  assert not agree()


def test_who_judges_leaves_no_lock_behind(tmp_path):
  paths = [str(fill(tmp_path / f"{i}.sqlite", i)) for i in range(2)]
  with Executor(workers=1) as executor:
    pairs = [
      ("SELECT name FROM author", "SELECT name FROM author ORDER BY name"),
      ("SELECT id FROM book", "SELECT 1"),
    ]
    verdicts = score_predictions(pairs, [paths] * 2, executor, "strict", suite=True)
    assert [v.correct for v in verdicts] == [True, False]
    for path in paths:
      with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("UPDATE author SET born = born + 1")
        connection.commit()


@needs_spider
def test_recorded_predictions_that_are_one_program_give_the_gold_rows(tmp_path):
  folder = SHARED / "predictions" / "spider-dev"
  examples = json.loads((SPIDER / "dev.json").read_text())
  found = 0
  for db_id in ("concert_singer", "pets_1", "car_1", "world_1"):
    source = SPIDER / "database" / db_id / f"{db_id}.sqlite"
    places = [source, *make_instances(source, tmp_path / db_id, 2, seed=0)]
    connections = [sqlite.Connection(str(place), 10**9) for place in places]
    for file in sorted(folder.glob("*.txt")):
      for example, line in zip(examples, file.read_text().split("\n"), strict=False):
        gold, predicted = example["query"], line.split("\t")[0]
        if (
          example["db_id"] == db_id
          and gold != predicted
          and programs(connections).agree(gold, predicted, 5.0)
        ):
          found += 1
          for each in connections:
            rows = [each.run(sql, 5.0, 10**6, 10**9, list)[2] for sql in (gold, predicted)]
            assert rows[0] == rows[1], (gold, predicted)
    for each in connections:
      each.close()
  assert found > 50
