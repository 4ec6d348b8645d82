"""Neighbouring instances of DuckDB files: constraints hold, the original is left alone, near-miss
queries are told apart.
"""

import contextlib
import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from spftsql_jax.databases import Executor, make_instances
from spftsql_jax.databases.engines import duckdb as engine
from spftsql_jax.databases.errors import DatabaseError
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import path_of, stand_in_location, with_schemas
from spftsql_jax.judging.scoring import score_predictions
from spftsql_jax.schema import ForeignKey, Schema
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

LIBRARY = """
CREATE TYPE mood AS ENUM ('sad', 'it''s fine');
CREATE SEQUENCE numbers;
CREATE MACRO doubled(x) AS x * 2;
CREATE SCHEMA "Back office";
CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, born DATE, feels mood,
  boss INTEGER REFERENCES author (id));
CREATE TABLE book (isbn VARCHAR PRIMARY KEY, author INTEGER NOT NULL REFERENCES author (id),
  title VARCHAR DEFAULT ', FOREIGN KEY (x) REFERENCES y(z)', pages INTEGER CHECK (pages > 0),
  price DECIMAL(8, 2), twice INTEGER GENERATED ALWAYS AS (pages * 2), tags VARCHAR[],
  parts STRUCT(a INTEGER, b VARCHAR), codes MAP(VARCHAR, INTEGER), seen TIMESTAMP, key UUID UNIQUE,
  lent INTERVAL, picture BLOB, extra JSON, rare BOOLEAN);
CREATE TABLE "Back office"."Order" ("orderId" INTEGER PRIMARY KEY DEFAULT nextval('numbers'),
  "book isbn" VARCHAR NOT NULL, day DATE, mail VARCHAR NOT NULL);
CREATE TABLE nothing (id INTEGER NOT NULL, day DATE NOT NULL, key UUID PRIMARY KEY,
  feels mood NOT NULL, codes INTEGER[] NOT NULL, extra JSON NOT NULL, lent INTERVAL);
CREATE TABLE note (text VARCHAR, stars INTEGER);
CREATE UNIQUE INDEX once ON "Back office"."Order" (day, "book isbn");
CREATE VIEW long_book AS SELECT isbn, doubled(pages) AS length FROM book WHERE pages > 100;
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
  path = tmp_path_factory.mktemp("library") / "library.duckdb"
  with contextlib.closing(duckdb.connect(str(path))) as c:
    c.execute(LIBRARY)
    # One by one, since each refers to the one before.
    for i in range(40):
      c.execute(
        "INSERT INTO author VALUES (?, ?, DATE '1950-01-01' + ?::INTEGER, ?, ?)",
        [i, f"Author {i % 30}", i * 41, ["sad", "it's fine"][i % 2], i // 2 if i else None],
      )
    c.execute(
      "INSERT INTO book BY NAME SELECT 'B-' || i AS isbn, i * 7 % 40 AS author, "
      "'Title ' || i % 500 AS title, 80 + i % 400 AS pages, (5 + i % 13) / 2 AS price, "
      "['x', 'y, \"z''', NULL] AS tags, {'a': i, 'b': 'q}'} AS parts, MAP {'k=1': i} AS codes, "
      "TIMESTAMP '2024-01-01 10:00:00.25' + INTERVAL (i) HOUR AS seen, uuid() AS key, "
      "INTERVAL (i % 9) DAY AS lent, '\\x00\\xFF'::BLOB AS picture, '{\"a\": [1]}' AS extra, "
      "i % 3 = 0 AS rare FROM range(900) t(i)"
    )
    c.execute(
      "INSERT INTO \"Back office\".\"Order\" SELECT i, 'B-' || i % 90, DATE '2024-01-01' + "
      "(i % 200)::INTEGER, 'secret' || i || '@x' FROM range(1700) t(i) WHERE i % 200 < 90"
    )
    c.execute("INSERT INTO note SELECT 'note ' || i % 9, i % 5 + 1 FROM range(200) t(i)")
  return with_schemas(str(path), ["main", "Back office"])


def rows_of(path, sql):
  with contextlib.closing(duckdb.connect(path_of(os.fspath(path)), read_only=True)) as c:
    return c.execute(sql).fetchall()


def digest(path):
  return hashlib.sha256(Path(path_of(os.fspath(path))).read_bytes()).hexdigest()


def test_instances_keep_the_schema_and_every_constraint(library, tmp_path):
  original, before = read_schema(library), digest(library)
  for path in make_instances(library, tmp_path, 5, seed=3):
    assert Path(path_of(path)).name == "library.duckdb", "a query may write the name of the catalog"
    schema = read_schema(os.fspath(path))
    assert {t.name for t in schema.tables} == {t.name for t in original.tables}
    for table in schema.tables:
      other = original.table(table.name)
      assert (table.primary_key, set(table.unique)) == (other.primary_key, set(other.unique))
      assert [(c.name, c.type, c.nullable) for c in table.columns] == [
        (c.name, c.type, c.nullable) for c in other.columns
      ]
      assert table.row_count > 0, f"{table.name} is empty"
    assert rows_of(path, "SELECT count(*) FROM book WHERE twice <> pages * 2") == [(0,)]
    assert rows_of(
      path, "SELECT count(*) FROM book WHERE author NOT IN (SELECT id FROM author)"
    ) == [(0,)]
    assert rows_of(
      path, "SELECT count(*) FROM author WHERE boss NOT IN (SELECT id FROM author)"
    ) == [(0,)]
    assert rows_of(
      path,
      "SELECT count(DISTINCT tags), any_value(tags), any_value(picture), count(DISTINCT parts) > 9 "
      "FROM book WHERE tags IS NOT NULL",
    ) == [(1, ["x", "y, \"z'", None], b"\x00\xff", True)], "what nothing is known of stays whole"
  assert digest(library) == before
  assert os.listdir(os.path.dirname(path_of(library))) == ["library.duckdb"], (
    "nothing is written beside it"
  )


def test_the_same_seed_gives_the_same_rows_and_another_does_not(library, tmp_path):
  dumps = []
  for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
    paths = make_instances(library, tmp_path / folder, 2, seed=seed)
    dumps.append([rows_of(p, "SELECT * FROM book ORDER BY ALL") for p in paths])
  assert dumps[0] == dumps[1] != dumps[2]
  assert dumps[0][0] != dumps[0][1]


NEAR_MISSES = [
  ("SELECT COUNT(*) FROM book WHERE pages > 333", "SELECT COUNT(*) FROM book WHERE pages >= 333"),
  ("SELECT title FROM book WHERE rare", "SELECT title FROM book WHERE NOT rare IS NULL"),
  (
    "SELECT name FROM author WHERE born < DATE '1952-05-11'",
    "SELECT name FROM author WHERE born <= DATE '1952-05-11'",
  ),
  (
    "SELECT isbn FROM book WHERE seen > TIMESTAMP '2024-01-09 13:00:00'",
    "SELECT isbn FROM book WHERE seen >= TIMESTAMP '2024-01-09 13:00:00'",
  ),
  (
    "SELECT isbn FROM book WHERE price > 7.25 AND title = 'Title 3'",
    "SELECT isbn FROM book WHERE price >= 7.25 AND title = 'Title 3'",
  ),
  (
    "SELECT name FROM author WHERE feels = 'sad'",
    "SELECT name FROM author WHERE feels = 'sad' OR feels IS NULL",
  ),
  ("SELECT name FROM author WHERE boss IS NOT NULL", "SELECT name FROM author"),
  (
    'SELECT o."orderId" FROM "Back office"."Order" AS o WHERE o.day = DATE \'2024-09-09\'',
    'SELECT o."orderId" FROM "Back office"."Order" AS o WHERE o.day = DATE \'2024-09-10\'',
  ),
  (
    "SELECT author FROM book GROUP BY author HAVING COUNT(*) >= 57",
    "SELECT author FROM book GROUP BY author HAVING COUNT(*) > 57",
  ),
]


@pytest.mark.parametrize(("query", "near_miss"), NEAR_MISSES)
def test_near_misses_are_told_apart(library, tmp_path, query, near_miss):
  paths = make_instances(library, tmp_path, 5, seed=1, queries=[query])
  places = [library, *map(os.fspath, paths)]
  with Executor(workers=1) as executor:
    same, other = score_predictions(
      [(query, query + " "), (query, near_miss)], [places] * 2, executor, suite=True
    )
  assert same.suite_correct
  assert other.suite_correct is False


def without(schema: Schema, tables=(), columns=()) -> Schema:
  """The schema without these tables, and these columns of all tables."""
  kept = [
    dataclasses.replace(
      table,
      columns=tuple(column for column in table.columns if column.name not in columns),
    )
    for table in schema.tables
    if table.name not in tables
  ]
  return dataclasses.replace(schema, tables=tuple(kept))


def test_a_column_that_is_left_out_is_not_read_and_a_table_left_out_is_empty(library, tmp_path):
  schema = without(read_schema(library), tables=["author"], columns=["mail", "title"])
  (path,) = make_instances(library, tmp_path, 1, seed=0, schema=schema)
  assert (
    b"secret1" not in Path(path_of(os.fspath(path))).read_bytes()
    and b"secret1" in Path(path_of(library)).read_bytes()
  )
  assert rows_of(path, "SELECT count(*) FROM author") == [(0,)]
  titles = "SELECT count(*) > 500, count(*) FILTER (title LIKE 'Title%') FROM book"
  assert rows_of(path, titles) == [(True, 0)], "what the declaration says by default, if anything"
  ((count, distinct),) = rows_of(path, 'SELECT count(*), count(mail) FROM "Back office"."Order"')
  assert count == distinct > 500


def test_keys_that_nobody_declares_are_kept_or_broken_on_purpose(library, tmp_path):
  schema = read_schema(library)
  key = ForeignKey(("book isbn",), "book", ("isbn",), inferred=True)
  tables = [
    dataclasses.replace(t, foreign_keys=(key,)) if t.base_name == "Order" else t
    for t in schema.tables
  ]
  schema = dataclasses.replace(schema, tables=tuple(tables))
  orphans = (
    'SELECT count(*) FROM "Back office"."Order" WHERE "book isbn" NOT IN (SELECT isbn FROM book)'
  )
  (plain,) = make_instances(library, tmp_path / "a", 1, seed=0, schema=schema)
  assert rows_of(plain, orphans) == [(0,)]
  join = 'SELECT o.day FROM "Back office"."Order" AS o JOIN book AS b ON b.isbn = o."book isbn"'
  made = make_instances(library, tmp_path / "b", 2, seed=0, queries=[join], schema=schema)
  assert rows_of(made[1], orphans) != [(0,)]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's /proc")
def test_a_database_that_is_larger_than_memory_is_sampled(tmp_path):
  """In a process of its own, which may take far less memory than the file is large."""
  path = tmp_path / "big.duckdb"
  with contextlib.closing(duckdb.connect(str(path))) as c:
    c.execute("SET threads = 1; SET memory_limit = '300MB'")
    c.execute(
      "CREATE TABLE customer AS SELECT i AS id, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS name "
      "FROM range(2_000_000) t(i)"
    )
    c.execute(
      "CREATE TABLE sale AS SELECT i AS id, (hash(i) % 2_000_000)::BIGINT AS customer, "
      "md5(i::VARCHAR) || md5((i + 7)::VARCHAR) || md5((i + 8)::VARCHAR) AS note "
      "FROM range(2_000_000) t(i)"
    )
  size = path.stat().st_size
  assert size > 170_000_000
  program = f"""
import dataclasses
from spftsql_jax.databases.instances import duckdb as store
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases import make_instances
from spftsql_jax.schema import ForeignKey
store._MEMORY_BYTES = 40_000_000
schema = read_schema({str(path)!r})
key = ForeignKey(("customer",), "customer", ("id",), inferred=True)
tables = [dataclasses.replace(t, foreign_keys=(key,)) if t.name == "sale" else t
          for t in schema.tables]
schema = dataclasses.replace(schema, tables=tuple(tables))
make_instances({str(path)!r}, {str(tmp_path)!r}, 1, 0, schema=schema)
status = open("/proc/self/status").read()
print(1024 * int(status.split("VmHWM:")[1].split()[0]))
"""
  done = subprocess.run(
    [sys.executable, "-c", program], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert int(done.stdout) < min(size, 170_000_000)
  made = tmp_path / "big_0" / "big.duckdb"
  assert rows_of(made, "SELECT count(*) > 900 FROM sale") == [(True,)]
  assert rows_of(
    made, "SELECT count(*) FROM sale WHERE customer NOT IN (SELECT id FROM customer)"
  ) == [(0,)]
  spread = "SELECT count(DISTINCT id // 20_000) > 8 FROM sale"
  assert rows_of(made, spread) == [(True,)], "from everywhere in the table"


def test_an_instance_is_guarded_as_the_original_is(library, tmp_path):
  (path,) = make_instances(library, tmp_path, 1, seed=0)
  before = digest(path)
  with Executor(workers=1) as executor:
    for sql in (
      "DELETE FROM note",
      "ATTACH '/tmp/x.duckdb'",
      "SELECT * FROM read_text('/etc/hostname')",
      "SELECT random()",
    ):
      result: Result = executor.execute(os.fspath(path), sql)
      assert result.status in ("refused", "error"), sql
    endless = executor.execute(
      os.fspath(path), "SELECT count(*) FROM range(1e12::BIGINT)", timeout_s=0.3
    )
    assert endless.status == "timeout"
  assert digest(path) == before


def test_a_row_limit_on_reading_is_no_error_where_rows_were_deleted(tmp_path):
  path = tmp_path / "holes.duckdb"
  with contextlib.closing(duckdb.connect(str(path))) as c:
    c.execute("CREATE TABLE t AS SELECT i FROM range(200_000) t(i)")
    c.execute("DELETE FROM t WHERE i % 40 <> 0")
  (made,) = make_instances(path, tmp_path, 1, seed=0)
  assert rows_of(made, "SELECT count(*) > 300 FROM t") == [(True,)]


def test_what_is_no_duckdb_file_is_a_clear_error(tmp_path):
  path = tmp_path / "x.duckdb"
  path.write_bytes(b"nothing of the kind")
  with pytest.raises(DatabaseError, match="x.duckdb"):
    make_instances(path, tmp_path / "out", 1, seed=0)


def test_the_sampling_connection_cannot_write(library):
  with (
    contextlib.closing(engine.connect(library)) as connection,
    pytest.raises(duckdb.Error, match="read-only"),
  ):
    connection.execute("INSERT INTO note VALUES ('x', 1)")


def test_synthesis_checks_on_the_instances(library, tmp_path):
  """What is refused is not what the original alone would refuse."""
  made = {}
  for instances in (0, 2):
    options = SynthesisOptions(
      60, seed=1, instances=instances, instance_dir=tmp_path / str(instances), workers=1
    )
    made[instances] = synthesize([library], builtin_templates(), options)
  assert len(made[2].examples) == 60
  assert made[0].rejections != made[2].rejections
  assert (tmp_path / "2" / "library_1" / "library.duckdb").is_file()


def test_what_stands_in_is_no_database_to_give(library):
  with pytest.raises(DatabaseError, match="give the DuckDB file by its path"):
    read_schema(stand_in_location(path_of(library)))
