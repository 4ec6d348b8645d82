"""DuckDB and PostgreSQL behind the same `open_database`: schema, answers against the driver itself,
limits.
"""

import contextlib
import datetime
import socket
import threading
import time
from decimal import Decimal

import duckdb
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import DatabaseError, Executor, ValueIndex, open_database
from spftsql_jax.judging.comparison import results_match

SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, "full name" VARCHAR(40) NOT NULL,
  mail VARCHAR UNIQUE, born DATE,
  active BOOLEAN);
CREATE TABLE "order" (customer INTEGER
  REFERENCES customer(id), day DATE, line INTEGER, price DECIMAL(8, 2), tags VARCHAR[],
  PRIMARY KEY (customer, day, line));
CREATE TABLE shipment (customer INTEGER, day DATE, line INTEGER, sent TIMESTAMP,
  FOREIGN KEY (customer, day, line) REFERENCES "order"(customer, day, line));
CREATE VIEW adults AS SELECT id, "full name" FROM customer WHERE born < DATE '2000-01-01';
COMMENT ON TABLE customer IS 'people who bought something';
COMMENT ON COLUMN customer.mail IS 'where to write';
INSERT INTO customer
  VALUES (1, 'Ann O''Hara', 'a@x', DATE '1990-02-03', true), (2, 'Bo Li', NULL, DATE '2001-12-31',
  false);
INSERT INTO "order"
  VALUES (1, DATE '2024-01-01', 1, 9.50, NULL), (1, DATE '2024-01-01', 2, 3, ARRAY['a', 'b']);
INSERT INTO shipment VALUES (1, DATE '2024-01-01', 2, TIMESTAMP '2024-01-02 03:04:05');
"""


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SCHEMA) as running:
    yield running


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory):
  path = tmp_path_factory.mktemp("duckdb") / "shop.duckdb"
  with duckdb.connect(str(path)) as connection:
    connection.execute(SCHEMA)
  return path


@pytest.fixture(params=["duckdb", "postgresql"])
def location(request):
  if request.param == "duckdb":
    return f"duckdb:///{request.getfixturevalue('duckdb_file')}"
  return request.getfixturevalue("server").reader


def driver_answer(location, sql):
  if location.startswith("duckdb"):
    with duckdb.connect(location.removeprefix("duckdb:///"), read_only=True) as connection:
      return connection.execute(sql).fetchall()
  with psycopg.connect(location) as connection:
    return connection.execute(sql).fetchall()


def test_the_schema_is_the_same_on_every_engine(location):
  with open_database(location) as database:
    schema = database.schema
  assert schema.name == "shop" and schema.dialect in ("duckdb", "postgres")
  assert sorted(t.name for t in schema.tables if not t.is_view) == ["customer", "order", "shipment"]
  assert [t.name for t in schema.tables if t.is_view] == ["adults"]
  customer = schema.table("customer")
  assert (
    customer.primary_key == ("id",) and customer.unique == (("mail",),) and customer.row_count == 2
  )
  assert (
    customer.comment == "people who bought something"
    and customer.column("mail").comment == "where to write"
  )
  assert [c.kind for c in customer.columns] == ["number", "text", "text", "date", "boolean"]
  assert not customer.column("full name").nullable and customer.column("born").nullable
  order = schema.table("order")
  assert (
    order.primary_key == ("customer", "day", "line")
    and order.foreign_keys[0].referred_table == "customer"
  )
  assert order.column("price").kind == "number" and order.column("tags").kind == "other"
  assert schema.table("shipment").foreign_keys[0].referred_columns == ("customer", "day", "line")
  assert schema.table("shipment").column("sent").kind == "date"


def test_statements_give_what_the_driver_gives(location):
  queries = [
    "SELECT * FROM customer ORDER BY id",
    'SELECT "full name", price FROM customer JOIN "order" ON id = customer ORDER BY line;',
    "WITH a AS (SELECT 1 AS x UNION ALL SELECT 2) SELECT x, x / 2.0, NULL FROM a ORDER BY 1",
    "SELECT sent, sent::date FROM shipment",
    "SELECT 'insert into; %s' AS \"update\", COUNT(*) FROM adults",
  ]
  with open_database(location) as database:
    for sql, result in zip(queries, database.execute_many(queries), strict=True):
      assert result.status == "ok", result
      assert list(result.rows) == driver_answer(location, sql)
    dates = database.execute("SELECT born FROM customer WHERE id = 1")
    assert dates.rows == ((datetime.date(1990, 2, 3),),) and dates.columns == ("born",)
    assert database.execute('SELECT price FROM "order" WHERE line = 1').rows == (
      (Decimal("9.50"),),
    )
    lists = database.execute('SELECT tags FROM "order" WHERE line = 2')
    assert lists.rows == ((("a", "b"),),) and results_match(lists, lists, "", "spider")


@pytest.mark.parametrize(
  ("sql", "statuses"),
  [
    ("SELECT nope FROM customer", {"error"}),
    ("DELETE FROM customer", {"refused"}),
    ("SELECT 1; SELECT 2", {"refused"}),
    ("SELECT random()", {"refused"}),
    (
      "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 - 1 FROM r) SELECT COUNT(*) FROM r",
      {"timeout"},
    ),
    ("SELECT * FROM generate_series(1, 100000000) AS s(i)", {"resource", "timeout"}),
  ],
)
def test_each_status(location, sql, statuses):
  with open_database(location) as database:
    start = time.perf_counter()
    result = database.execute(sql, timeout_s=1.0, max_rows=1000)
    assert result.status in statuses and result.message and result.rows == ()
    assert time.perf_counter() - start < 8.0
    assert database.execute("SELECT COUNT(*) FROM customer").rows == ((2,),), "the pool is alive"


def test_values_are_indexed_on_every_engine(location):
  assert [match.value for match in ValueIndex.build(location).search("what did bo li buy?")] == [
    "Bo Li"
  ]


def test_a_reader_that_may_write_still_cannot(server):
  with open_database(server.admin, allow_superuser=True) as database:
    writes = "WITH gone AS (DELETE FROM shipment RETURNING *) SELECT * FROM gone"
    assert database.execute(writes).status == "refused"
    assert (
      database.execute("SELECT set_config('transaction_read_only', 'off', false)").status
      == "refused"
    )
    assert database.execute("SELECT COUNT(*) FROM shipment").rows == ((1,),)


def test_opening_is_no_part_of_a_statements_time():
  """A server that takes longer to turn a connection away than the statement may take is not the
  statement's fault.
  """
  with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.settimeout(30)

    def turn_away():
      with contextlib.suppress(TimeoutError):
        connection, _ = listener.accept()
        time.sleep(1.5)
        connection.close()

    turning = threading.Thread(target=turn_away)
    turning.start()
    with Executor(workers=1) as executor:
      result = executor.execute(
        f"postgresql://reader@127.0.0.1:{listener.getsockname()[1]}/shop", "SELECT 1", timeout_s=0.1
      )
    turning.join()
  assert result.status == "error" and "cannot be opened" in result.message


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path):
  broken = tmp_path / "broken.duckdb"
  broken.write_text("no database at all, only text" * 1000)
  for location in (
    f"duckdb:///{tmp_path}/absent.duckdb",
    f"duckdb:///{broken}",
    "postgresql://reader:secret@127.0.0.1:1/shop",
  ):
    with pytest.raises(DatabaseError) as caught:
      open_database(location)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
