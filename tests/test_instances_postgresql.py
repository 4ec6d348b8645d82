"""Neighbouring instances of PostgreSQL databases, in a private server that leaves nothing."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from spftsql_jax.databases import Executor, make_instances, open_database
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.instances import postgresql, private_server
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import is_unchanged_copy, with_schemas
from spftsql_jax.judging.judge import ALONE
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

SCHEMA = """
CREATE SCHEMA sales;
CREATE SCHEMA hidden;
CREATE TYPE mood AS ENUM ('sad', 'it''s fine');
CREATE DOMAIN mail AS VARCHAR(60) CHECK (VALUE LIKE '%@%');
CREATE TYPE sales.size AS (height INT, width INT);
CREATE FUNCTION public.twice(x INT) RETURNS INT LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x';
CREATE TABLE author (id INT PRIMARY KEY, "fullName" VARCHAR(20) NOT NULL, born DATE, feels mood,
  boss INT REFERENCES author (id), mail mail);
CREATE TABLE book (isbn TEXT PRIMARY KEY, author INT NOT NULL REFERENCES author (id),
  title VARCHAR(12), pages INT CHECK (pages > 0), price NUMERIC(8, 2),
  doubled INT GENERATED ALWAYS AS (pages * 2) STORED, tags TEXT[], extra JSONB,
  seen TIMESTAMPTZ, key UUID UNIQUE, lent INTERVAL, size sales.size, rare BOOLEAN);
CREATE TABLE sales."Order" ("orderId" INT PRIMARY KEY, isbn TEXT NOT NULL REFERENCES book (isbn),
  day DATE NOT NULL, secret TEXT NOT NULL);
CREATE TABLE sales.measure (id INT, day DATE, amount NUMERIC(8, 2), PRIMARY KEY (id, day))
  PARTITION BY RANGE (day);
CREATE TABLE sales.measure_1 PARTITION OF sales.measure FOR VALUES
  FROM ('2024-01-01') TO ('2024-04-01');
CREATE TABLE sales.measure_2 PARTITION OF sales.measure FOR VALUES
  FROM ('2024-04-01') TO ('2025-01-01');
CREATE TABLE hidden.note (id INT);
CREATE TABLE nothing (id INT NOT NULL, day DATE NOT NULL, name VARCHAR(3) NOT NULL,
  key UUID PRIMARY KEY, feels mood NOT NULL, codes INT[] NOT NULL, extra JSON NOT NULL);
CREATE TABLE "odd names" ("%s" INT, "select" TEXT);
INSERT INTO "odd names" VALUES (1, '%'), (2, NULL);
CREATE VIEW long_book AS SELECT isbn, twice(pages) AS length FROM book WHERE pages > 100;
CREATE MATERIALIZED VIEW by_author AS SELECT author, count(*) AS books FROM book GROUP BY author;
INSERT INTO author SELECT i, 'Author ' || i % 30, DATE '1950-01-01' + i * 41,
  (ARRAY['sad', 'it''s fine'])[1 + i % 2]::mood, CASE WHEN i > 0 THEN i / 2 END, 'a' || i || '@x'
  FROM generate_series(0, 39) i;
INSERT INTO book (isbn, author, title, pages, price, tags, extra, seen, key, lent, size, rare)
  SELECT 'B-' || i, i * 7 % 40, 'Title ' || i % 500, 80 + i % 400, (5 + i % 13) / 2.0,
  ARRAY['x', 'y, "z''', NULL], '{"a": [1]}', TIMESTAMPTZ '2024-01-01 10:00+00' +
  i * INTERVAL '1 hour', gen_random_uuid(), i % 9 * INTERVAL '1 day', ROW(i, 2)::sales.size,
  i % 3 = 0
  FROM generate_series(0, 899) i;
INSERT INTO sales."Order" SELECT i, 'B-' || i % 90, DATE '2024-01-01' + i % 200, 'secret' || i
  FROM generate_series(1, 1200) i;
INSERT INTO sales.measure SELECT i, DATE '2024-01-01' + i % 300, i / 7.0
  FROM generate_series(1, 9000) i;
REFRESH MATERIALIZED VIEW by_author;
GRANT USAGE ON SCHEMA sales TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;
"""

needs_programs = pytest.mark.skipif(
  private_server.server_binaries() is None and not os.environ.get("SPFTSQL_REQUIRE_POSTGRESQL"),
  reason="no PostgreSQL server programs",
)


@pytest.fixture(scope="module")
def shop(server):
  return with_schemas(server.reader, ["public", "sales"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Where the instances of this module are."""
  place = tmp_path_factory.mktemp("instances")
  yield place
  private_server.stop_server(place)


def rows_of(location, sql):
  with open_database(location) as database:
    result = database.execute(sql)
  assert result.ok, result.message
  return list(result.rows)


def content(admin):
  """All that the original holds, and how often its tables were written to."""
  with psycopg.connect(admin) as connection:
    tables = ["author", "book", 'sales."Order"', "sales.measure"]
    rows = [connection.execute(f"SELECT * FROM {t} ORDER BY 1, 3").fetchall() for t in tables]
    declared = connection.execute(
      "SELECT relname, relkind, relfilenode, relacl::text FROM pg_class ORDER BY oid"
    ).fetchall()
    databases = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
  return rows, declared, databases


@needs_programs
def test_instances_keep_the_schema_and_every_constraint(server, shop, folder):
  original, before = read_schema(shop), content(server.admin)
  places = make_instances(shop, folder, 3, seed=3)
  assert content(server.admin) == before, "a role that may only SELECT was enough"
  for place in places:
    schema = read_schema(place)
    assert {t.name for t in schema.tables} == {t.name for t in original.tables}
    for table in schema.tables:
      other = original.table(table.name)
      assert (table.primary_key, table.foreign_keys, set(table.unique)) == (
        other.primary_key,
        other.foreign_keys,
        set(other.unique),
      )
      assert [(c.name, c.type, c.nullable) for c in table.columns] == [
        (c.name, c.type, c.nullable) for c in other.columns
      ]
      assert table.row_count > 0, f"{table.name} is empty"
    assert rows_of(place, "SELECT count(*) FROM book WHERE doubled <> pages * 2") == [(0,)]
    assert rows_of(place, "SELECT tags, extra::text FROM book WHERE tags IS NOT NULL LIMIT 1") == [
      (("x", "y, \"z'", None), '{"a": [1]}')
    ]
    assert rows_of(place, "SELECT count(DISTINCT size) > 9 FROM book") == [(True,)]
    assert rows_of(place, "SELECT max(length) > 200 FROM long_book") == [(True,)]
  assert len({str(rows_of(p, "SELECT isbn, pages FROM book ORDER BY 1")) for p in places}) == 3


@needs_programs
def test_the_same_arguments_give_the_same_instances_and_do_not_make_them_again(
  shop, folder, tmp_path
):
  query = "SELECT * FROM book ORDER BY isbn, title, pages, seen"
  first, again = (make_instances(shop, folder, 1, seed=5) for _ in range(2))
  assert first == again
  try:
    (elsewhere,) = make_instances(shop, tmp_path, 1, seed=5)
    assert rows_of(first[0], query) == rows_of(elsewhere, query)
  finally:
    private_server.stop_server(tmp_path)
  (other,) = make_instances(shop, folder, 1, seed=6)
  assert rows_of(first[0], query) != rows_of(other, query)


NEAR_MISSES = [
  ("SELECT count(*) FROM book WHERE pages > 333", "SELECT count(*) FROM book WHERE pages >= 333"),
  (
    """SELECT "fullName" FROM author WHERE born < DATE '1952-05-11'""",
    """SELECT "fullName" FROM author WHERE born <= DATE '1952-05-11'""",
  ),
  (
    """SELECT "fullName" FROM author WHERE feels = 'sad'""",
    """SELECT "fullName" FROM author WHERE feels = 'sad' OR feels IS NULL""",
  ),
  (
    """SELECT o."orderId" FROM sales."Order" AS o WHERE o.day = '2024-09-09'""",
    """SELECT o."orderId" FROM sales."Order" AS o WHERE o.day = '2024-09-10'""",
  ),
  (
    "SELECT author FROM book GROUP BY author HAVING COUNT(*) >= 57",
    "SELECT author FROM book GROUP BY author HAVING COUNT(*) > 57",
  ),
]


@needs_programs
@pytest.mark.parametrize(("query", "near_miss"), NEAR_MISSES)
def test_near_misses_are_told_apart(shop, folder, query, near_miss):
  places = [shop, *make_instances(shop, folder, 5, seed=1, queries=[query])]
  with Executor(workers=1) as executor:
    same, other = score_predictions(
      [(query, query + " "), (query, near_miss)], [places] * 2, executor, suite=True
    )
  assert same.suite_correct
  assert other.suite_correct is False


@needs_programs
def test_an_instance_on_which_the_gold_query_fails_says_nothing(shop, folder):
  """The nested query gives one row in the original, and several in an instance."""
  gold = (
    "SELECT isbn FROM book WHERE pages = (SELECT 2 * count(*) FROM author GROUP BY born IS NULL)"
  )
  places = [shop, *make_instances(shop, folder, 2, seed=1)]
  with Executor(workers=1) as executor:
    assert not all(executor.execute(place, gold).ok for place in places[1:])
    equal, other = score_predictions(
      [(gold, gold.replace("2 * count(*)", "count(*) * 2")), (gold, "SELECT isbn FROM book")],
      [places] * 2,
      executor,
      suite=True,
    )
  assert equal.suite_correct
  assert other.suite_correct is False


@needs_programs
def test_a_column_that_is_left_out_is_not_read_and_a_table_left_out_is_empty(shop, folder):
  schema = read_schema(shop)
  tables = [
    dataclasses.replace(
      table, columns=tuple(c for c in table.columns if c.name not in ("secret", "title"))
    )
    for table in schema.tables
    if table.name != "author"
  ]
  schema = dataclasses.replace(schema, tables=tuple(tables))
  (place,) = make_instances(shop, folder, 1, seed=0, schema=schema)
  assert rows_of(place, "SELECT count(*) FROM author") == [(0,)]
  assert rows_of(place, "SELECT count(*) > 500, count(title) FROM book") == [(True, 0)]
  assert rows_of(
    place,
    "SELECT count(*) > 500, count(secret) = count(*), max(secret) < 'y' FROM sales.\"Order\" ",
  ) == [(True, True, True)]
  assert rows_of(place, "SELECT count(*) FROM sales.\"Order\" WHERE secret LIKE 'secret%'") == [
    (0,)
  ]


@needs_programs
def test_an_instance_is_guarded_as_the_original_is(shop, folder):
  (place,) = make_instances(shop, folder, 1, seed=0)
  with Executor(workers=1) as executor:
    for sql in (
      "DELETE FROM book",
      "CREATE TEMP TABLE t (i INT)",
      "SELECT pg_read_file('/etc/hostname')",
      "SELECT random()",
      "SELECT * FROM pg_authid",
    ):
      assert executor.execute(place, sql).status in ("refused", "error"), sql
    endless = executor.execute(
      place, "SELECT count(*) FROM generate_series(1, 1000000000)", timeout_s=0.3
    )
    assert endless.status == "timeout"
  server = private_server.server_in(folder)
  with (
    pytest.raises(psycopg.Error, match="permission|privilege"),
    psycopg.connect(server.url("postgres")),
  ):
    pass
  with server.admin() as connection:
    assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert connection.execute("SHOW unix_socket_permissions").fetchone() == ("0700",)


@needs_programs
def test_synthesis_makes_instances_for_all_its_workers_and_leaves_no_server(shop, tmp_path):
  options = SynthesisOptions(12, seed=1, instances=2, instance_dir=tmp_path, workers=2)
  made = synthesize([shop], builtin_templates(), options)
  assert len(made.examples) == 12
  assert [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


OWNER = """
import sys, time
from spftsql_jax.databases.instances import private_server
server = private_server.server_in(sys.argv[1])
print(server.socket, flush=True)
if sys.argv[2] == "wait":
  time.sleep(60)
"""


def start_owner(folder, what):
  """A process that has a private server, and the server's number."""
  owner = subprocess.Popen(
    [sys.executable, "-c", OWNER, folder, what], stdout=subprocess.PIPE, text=True
  )
  socket = owner.stdout.readline().strip()
  assert socket
  (place,) = Path(folder).glob(".postgresql_*")
  return owner, place


def wait_until(is_so):
  end = time.monotonic() + 20
  while not is_so():
    assert time.monotonic() < end, "still there"
    time.sleep(0.05)


def is_running(pid):
  """Whether a process runs; one that nobody has asked for is no longer."""
  try:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
  except FileNotFoundError:
    return False


@needs_programs
@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_the_server_ends_with_the_process_that_started_it(tmp_path, end):
  owner, place = start_owner(tmp_path, "wait" if end == "killed" else "end")
  if end == "killed":
    server = int((place / "data" / "postmaster.pid").read_text().split()[0])
    assert is_running(server)
    owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(server))
  owner.wait()
  wait_until(lambda: not place.exists())


@needs_programs
def test_what_a_killed_keeper_leaves_is_removed_by_the_next(tmp_path):
  owner, place = start_owner(tmp_path, "wait")
  try:
    server = int((place / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(int((place / "keeper.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not is_running(server))
    assert place.exists()
    private_server.server_in(tmp_path)
    assert not place.exists()
  finally:
    owner.kill()
    owner.wait()
    private_server.stop_server(tmp_path)
  assert not list(tmp_path.glob(".postgresql_*"))


@needs_programs
def test_a_folder_with_a_long_name_has_its_socket_elsewhere(tmp_path):
  folder = tmp_path / ("long" * 20)
  with contextlib.closing(contextlib.ExitStack()) as stack:
    stack.callback(private_server.stop_server, folder)
    server = private_server.server_in(folder)
    with server.admin() as connection:
      assert connection.execute("SELECT 1").fetchone() == (1,)
  assert not os.path.exists(server.socket)


@pytest.fixture
def without_programs(monkeypatch):
  monkeypatch.setattr(private_server, "server_binaries", lambda: None)
  monkeypatch.setattr(postgresql, "_said", set())


def test_without_server_programs_duckdb_stands_in_where_it_gives_the_same(
  shop, tmp_path, without_programs, caplog
):
  golds = {query: near_miss for query, near_miss in NEAR_MISSES if "orderId" not in query}
  places = [shop, *make_instances(shop, tmp_path, 5, seed=1, queries=golds)]
  assert "DuckDB stands in" in caplog.text and "no PostgreSQL server programs" in caplog.text
  assert [is_unchanged_copy(place) for place in places] == [False, True] + [False] * 5
  pairs = [(gold, gold + " ") for gold in golds] + list(golds.items())
  with Executor(workers=1) as executor:
    verdicts = score_predictions(pairs, [places] * len(pairs), executor, suite=True)
    # A view is not copied, a function not translated, a list not the same value.
    for alone in (
      "SELECT isbn FROM long_book WHERE length > 900",
      "SELECT array_to_tsvector(ARRAY[isbn]) FROM book",
      "SELECT tags FROM book",
    ):
      (verdict,) = score_predictions(
        [(alone, f"SELECT * FROM ({alone}) AS t")], [places], executor, suite=True
      )
      assert verdict.suite_correct and verdict.message == ALONE
      (verdict,) = score_predictions(
        [(alone, "SELECT isbn FROM book")], [places], executor, suite=True
      )
      assert not verdict.suite_correct and verdict.message != ALONE
  assert [v.suite_correct for v in verdicts] == [True] * len(golds) + [False] * len(golds)
  assert not any(v.message == ALONE for v in verdicts)
  assert "1 of 1 right answers judged on the original alone" in caplog.text


def test_synthesis_takes_the_stand_in_too(shop, tmp_path, without_programs):
  options = SynthesisOptions(60, seed=1, instances=2, instance_dir=tmp_path)
  made = synthesize([shop], builtin_templates(), options)
  assert len(made.examples) == 60
  alone = SynthesisOptions(60, seed=1, instances=0)
  assert synthesize([shop], builtin_templates(), alone).rejections != made.rejections


def test_the_stand_in_is_guarded_as_duckdb_is(shop, tmp_path, without_programs):
  copy, place = make_instances(shop, tmp_path, 1, seed=0)
  with Executor(workers=1) as executor:
    for sql in ("DELETE FROM book", "SELECT read_text('/etc/hostname')", "SELECT random()"):
      assert executor.execute(place, sql).status in ("refused", "error"), sql
    assert executor.execute(copy, "SELECT count(*) FROM public.book").rows == ((900,),)


def test_a_database_that_is_not_there_is_a_clear_error(server, tmp_path):
  with pytest.raises(DatabaseError, match="nobody"):
    make_instances(server.reader.replace("/shop", "/nobody"), tmp_path, 1, seed=0)
