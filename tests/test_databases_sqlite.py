"""SQLite databases: what is read of the schema, and how statements run, each against sqlite3
itself.
"""

import contextlib
import os
import sqlite3
import threading
import time

import pytest
from shared_data import SPIDER, needs_spider

from spftsql_jax.databases import DatabaseError, Executor, make_instances, open_database
from spftsql_jax.databases.catalogs.sqlite_comments import read_comments
from spftsql_jax.databases.introspection import read_schema

SHOP = """
CREATE TABLE customer ( -- people who bought something
  id INTEGER PRIMARY KEY, -- number of the customer
  "full name" TEXT NOT NULL,
  mail TEXT UNIQUE, -- where to write,
                    -- may be missing
  born TEXT,
  active BOOLEAN
);
CREATE TABLE "order" (
  customer INT REFERENCES Customer(ID),
  day DATE,
  line INT,
  phone TEXT,
  price DECIMAL(8, 2), -- in euros
  note,
  PRIMARY KEY (customer, day, line)
);
CREATE TABLE shipment (customer INT, day DATE, line INT, weight REAL,
  FOREIGN KEY (customer, day, line) REFERENCES "order"(customer, day, line));
CREATE TABLE empty_one (a INT, b VARCHAR(3));
CREATE VIEW adults AS SELECT id, "full name" FROM customer WHERE born < '2000-01-01';
CREATE VIEW broken AS SELECT x FROM missing;
INSERT INTO customer VALUES
  (1, 'Ann O''Hara', 'a@x', '1990-02-03', 1),
  (2, 'Bo "B" Li', NULL, '2001-12-31', 0),
  (3, 'Cy', 'c@x', NULL, 1);
INSERT INTO "order" VALUES
  (1, '2024-01-01', 1, '0301234', 9.5, 'x'),
  (1, '2024-01-01', 2, '0305678', 3, 7),
  (2, '2024-02-01', 1, NULL, NULL, NULL);
"""


@pytest.fixture
def shop(tmp_path):
  path = tmp_path / "shop.sqlite"
  connection = sqlite3.connect(path)
  connection.executescript(SHOP)
  connection.close()
  return str(path)


def test_schema_holds_structure_kinds_and_comments(shop):
  schema = read_schema(shop)
  assert (schema.name, schema.dialect) == ("shop", "sqlite")
  assert [t.name for t in schema.tables if not t.is_view] == [
    "customer",
    "empty_one",
    "order",
    "shipment",
  ]
  assert [t.name for t in schema.tables if t.is_view] == ["adults"], "a broken view is left out"
  customer = schema.table("CUSTOMER")
  assert (
    customer.primary_key == ("id",) and customer.unique == (("mail",),) and customer.row_count == 3
  )
  assert customer.comment == "people who bought something"
  assert [c.kind for c in customer.columns] == ["number", "text", "text", "date", "boolean"]
  assert customer.column("id").comment == "number of the customer"
  assert customer.column("mail").comment == "where to write, may be missing"
  assert not customer.column("full name").nullable and customer.column("born").nullable
  assert (
    customer.column("mail").samples == ("a@x", "c@x")
    and customer.column("mail").distinct_count == 2
  )
  order = schema.table("order")
  assert order.primary_key == ("customer", "day", "line")
  assert [(k.columns, k.referred_table, k.referred_columns) for k in order.foreign_keys] == [
    (("customer",), "customer", ("id",))
  ]
  assert order.column("phone").kind == "text", "digits in a text column are not numbers"
  assert order.column("price").kind == "number" and order.column("price").type == "DECIMAL(8, 2)"
  assert order.column("day").kind == "date" and order.column("note").type == ""
  assert schema.table("shipment").foreign_keys[0].referred_columns == ("customer", "day", "line")
  assert [c.kind for c in schema.table("empty_one").columns] == ["number", "text"]


def test_comments_are_read_only_where_they_are():
  text = (
    "CREATE TABLE t (a TEXT DEFAULT 'x -- no', b INT /* two */, -- b\n c INT, d INT -- four\n, "
    "PRIMARY KEY (a) -- key\n)"
  )
  assert read_comments(text) == ("", {"b": "two b", "d": "four"})
  assert read_comments("CREATE TABLE t (a INT)") == ("", {})
  read_comments("CREATE TABLE t (a INT, -- unterminated")
  read_comments("nonsense ) ( ' ")


@needs_spider
def test_schema_of_every_spider_database_agrees_with_pragmas():
  for path in sorted(SPIDER.glob("database/*/*.sqlite"))[::6]:
    schema = read_schema(str(path))
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    names = {
      n
      for (n,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'"
      )
    }
    assert {t.name for t in schema.tables if not t.is_view} == names
    for table in schema.tables:
      info = connection.execute(
        "SELECT name, type, pk FROM pragma_table_info(?)", (table.name,)
      ).fetchall()
      assert [(c.name, c.type) for c in table.columns] == [(n, t) for n, t, _ in info]
      assert set(table.primary_key) == {n for n, _, pk in info if pk}
      quoted = table.name.replace('"', '""')
      assert table.row_count == connection.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchone()[0]
      keys = connection.execute(
        'SELECT DISTINCT lower("table") FROM pragma_foreign_key_list(?)', (table.name,)
      ).fetchall()
      assert {k.referred_table.lower() for k in table.foreign_keys} <= {k for (k,) in keys}
    connection.close()


def test_reading_a_spider_size_schema_is_fast(shop):
  read_schema(shop)
  start = time.process_time()
  read_schema(shop)
  assert time.process_time() - start < 0.1


def test_statements_give_what_sqlite_gives(shop):
  queries = [
    "SELECT * FROM customer",
    'SELECT "full name", born FROM customer ORDER BY id DESC;',
    "WITH a AS (SELECT 1 AS x UNION ALL SELECT 2) SELECT x, 1.5, NULL, x'00ff', 'ü' FROM a",
    'SELECT note FROM "order" WHERE note = "x"',
    (
      'SELECT customer, COUNT(*), RANK() OVER (ORDER BY COUNT(*)) FROM "order" GROUP BY customer '
      "-- "
      "; DELETE"
    ),
    "SELECT COUNT(*) FROM empty_one",
    "SELECT 'insert into; delete' AS \"update\", replace('aa', 'a', 'b')",
  ]
  connection = sqlite3.connect(shop)
  with open_database(shop) as database:
    for sql, result in zip(queries, database.execute_many(queries), strict=True):
      cursor = connection.execute(sql)
      assert result.status == "ok", result
      assert list(result.rows) == cursor.fetchall()
      assert result.columns == tuple(c[0] for c in cursor.description)
  connection.close()


def test_text_that_is_not_utf8_is_decoded_leniently(tmp_path):
  path = tmp_path / "latin.sqlite"
  connection = sqlite3.connect(path)
  connection.execute("CREATE TABLE t (a TEXT)")
  connection.execute("INSERT INTO t VALUES (CAST(x'41e34d' AS TEXT))")
  connection.commit()
  connection.close()
  with open_database(path) as database:
    assert database.execute("SELECT a FROM t").rows == (("AM",),)
    assert database.schema.table("t").column("a").samples == (), "no query could compare with it"


@pytest.mark.parametrize(
  ("sql", "status"),
  [
    ("SELECT nope FROM customer", "error"),
    ("SELECT", "error"),
    ("", "refused"),
    ("DELETE FROM customer", "refused"),
    ("SELECT 1; SELECT 2", "refused"),
    ("PRAGMA table_info(customer)", "refused"),
    ("SELECT * FROM pragma_table_info('customer')", "refused"),
    ("SELECT random()", "refused"),
    (
      "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r",
      "timeout",
    ),
    ("SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')", "timeout"),
    ("WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r", "resource"),
    ("SELECT replace(hex(zeroblob(4000000)), '0', '0000')", "resource"),
  ],
)
def test_each_status(shop, sql, status):
  with open_database(shop) as database:
    start = time.perf_counter()
    result = database.execute(sql, timeout_s=0.5, max_rows=1000)
    assert result.status == status and result.message and result.rows == ()
    assert time.perf_counter() - start < 5.0
    assert database.execute("SELECT COUNT(*) FROM customer").rows == ((3,),), "the pool is alive"


def test_many_statements_over_many_databases_keep_their_order(tmp_path):
  paths = []
  for i in range(5):
    path = str(tmp_path / f"d{i}.sqlite")
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE t AS SELECT {i} AS x")
    connection.commit()
    connection.close()
    paths.append(path)
  jobs = [(paths[i % 5], f"SELECT x * 1000 + {i} FROM t") for i in range(500)]
  slow = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r"
  stuck = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')"
  jobs[100] = (paths[0], slow)
  jobs[200] = (paths[1], stuck)
  jobs[300] = (str(tmp_path / "absent.sqlite"), "SELECT 1")
  counted = []
  with Executor(workers=2) as executor:
    results = executor.execute_many(jobs, timeout_s=0.4, progress=counted.append)
    for i, result in enumerate(results):
      if i in (100, 200):
        assert result.status == "timeout", result
      elif i == 300:
        assert result.status == "error" and "no such database file" in result.message
      else:
        assert result.rows == (((i % 5) * 1000 + i,),)
    assert sum(counted) == len(jobs)


def test_a_repeated_statement_is_answered_once_until_the_file_changes(shop):
  with open_database(shop) as database:
    first = database.execute("SELECT COUNT(*) FROM customer")
    assert database.execute("SELECT COUNT(*) FROM customer") is first
    connection = sqlite3.connect(shop)
    connection.execute("INSERT INTO customer VALUES (4, 'Di', NULL, NULL, NULL)")
    connection.commit()
    connection.close()
    os.utime(shop, ns=(1, 1))
    assert database.execute("SELECT COUNT(*) FROM customer").rows == ((4,),)


def test_threads_may_share_an_executor(shop):
  wrong = []
  with Executor(workers=2) as executor:

    def work(offset):
      for i in range(20):
        if executor.execute(shop, f"SELECT {offset} + {i}").rows != ((offset + i,),):
          wrong.append((offset, i))

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
  assert not wrong


@pytest.mark.parametrize(
  ("location", "message"),
  [
    ("absent.sqlite", "no such database file"),
    ("mysql://host/x", "not supported"),
    (__file__, "cannot be read as an SQLite database"),
  ],
)
def test_what_cannot_be_opened_is_said_in_one_line(location, message):
  with pytest.raises(DatabaseError, match=message) as caught:
    open_database(location)
  assert "\n" not in str(caught.value)


def test_a_database_with_a_write_ahead_log_is_read_without_new_files(tmp_path):
  path = tmp_path / "wal.sqlite"
  connection = sqlite3.connect(path)
  connection.execute("PRAGMA journal_mode = WAL")
  connection.execute("CREATE TABLE t AS SELECT 1 AS x")
  connection.commit()
  connection.close()
  before = sorted(os.listdir(tmp_path))
  with open_database(path) as database:
    assert database.execute("SELECT x FROM t").rows == ((1,),)
    assert sorted(os.listdir(tmp_path)) == before


def test_odd_but_legal_schemas_are_read_and_queried(tmp_path):
  path = tmp_path / "odd.sqlite"
  wide = ", ".join(f"c{i} INT" for i in range(500))
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute(
      'CREATE TABLE "select" ("from" INT, "two words" TEXT, "quo""te" TEXT, [brackets] BLOB, "ä" '
      "DOUBLE)"
    )
    connection.execute("INSERT INTO \"select\" VALUES (1, 'a', NULL, x'00', 1.5)")
    connection.execute(f"CREATE TABLE wide ({wide})")
    connection.execute("CREATE TABLE keyless (a INT, a2 REFERENCES missing(x))")
    connection.execute(
      "CREATE TABLE t (x INTEGER PRIMARY KEY, y GENERATED ALWAYS AS (x + 1)) WITHOUT ROWID"
    )
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
    connection.execute("CREATE UNIQUE INDEX half ON keyless (a) WHERE a > 1")
    connection.commit()
  with open_database(path) as database:
    odd = database.schema.table("SELECT")
    assert [c.name for c in odd.columns] == ["from", "two words", 'quo"te', "brackets", "ä"]
    assert [c.kind for c in odd.columns] == ["number", "text", "text", "other", "number"]
    assert len(database.schema.table("wide").columns) == 500
    assert (
      database.schema.table("keyless").foreign_keys == ()
      and database.schema.table("keyless").unique == ()
    )
    assert database.execute('SELECT "from", "TWO WORDS", "quo""te" FROM "SELECT"').rows == (
      (1, "a", None),
    )
    assert database.execute(f"SELECT {', '.join(f'c{i}' for i in range(500))} FROM wide").rows == ()
  assert len(make_instances(path, tmp_path / "made", 2, seed=0)) == 2
