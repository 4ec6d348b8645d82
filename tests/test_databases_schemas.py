"""Tables that cannot be read, several schemas, and what PostgreSQL calls a table."""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import postgresql_server
import psycopg
import pytest

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases import (
  DatabaseError,
  ValueIndex,
  column_kinds,
  introspection,
  open_database,
)
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.key_inference import infer_foreign_keys
from spftsql_jax.databases.locations import with_schemas
from spftsql_jax.examples.prompts import PromptFormat, schema_prompt
from spftsql_jax.examples.subschemas import tables_of
from spftsql_jax.questions import sentences
from spftsql_jax.synthesis import pool, templates
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.synthesize import synthesize

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "synthesize.py"

# Two schemas with a table of the same name, and what real servers hold besides.
SHOP = """
CREATE SCHEMA sales;
CREATE SCHEMA crm;
CREATE SCHEMA audit;
CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s fine');
CREATE DOMAIN mail AS VARCHAR(60) CHECK (VALUE LIKE '%@%');
CREATE DOMAIN feeling AS mood;
CREATE TABLE public.customer (id INT PRIMARY KEY, "fullName" VARCHAR(40), mail mail, feels mood,
  often feeling[],
  tags TEXT[], extra JSONB, score NUMERIC(10,2), seen TIMESTAMP(3));
CREATE TABLE sales.customer (id INT PRIMARY KEY, label TEXT, city TEXT);
CREATE TABLE sales."Order" ("orderId" INT PRIMARY KEY, customer_id INT
  REFERENCES sales.customer(id), "user" TEXT,
  total NUMERIC(10,2), placed DATE);
CREATE TABLE crm.visit (id INT PRIMARY KEY, customer_id INT
  REFERENCES public.customer(id), minutes INT, place TEXT);
CREATE TABLE audit.entry (id INT, what TEXT);
CREATE TABLE public.sale (id INT, day DATE, amount NUMERIC(8,2), PRIMARY KEY (id,
  day)) PARTITION BY RANGE (day);
CREATE TABLE public.sale_2024_q1 PARTITION OF public.sale FOR VALUES
  FROM ('2024-01-01') TO ('2024-04-01');
CREATE TABLE audit.sale_2024_q2 PARTITION OF public.sale FOR VALUES
  FROM ('2024-04-01') TO ('2024-07-01')
  PARTITION BY RANGE (day);
CREATE TABLE audit.sale_2024_q2_april PARTITION OF audit.sale_2024_q2 FOR VALUES
  FROM ('2024-04-01') TO ('2024-05-01');
CREATE TABLE public.measurement (id INT, day DATE, value REAL);
CREATE TABLE public.measurement_2006 (CHECK (day < '2007-01-01')) INHERITS (public.measurement);
CREATE TABLE public.measurement_of_heat (unit TEXT) INHERITS (public.measurement);
CREATE TABLE public.staff (id INT PRIMARY KEY, name TEXT, salary INT);
CREATE TABLE public.vault (id INT PRIMARY KEY, secret TEXT);
CREATE MATERIALIZED VIEW public.totals AS SELECT customer_id, SUM(total) AS total
  FROM sales."Order" GROUP BY 1;
CREATE MATERIALIZED VIEW public.unfilled AS SELECT 1 AS x WITH NO DATA;
CREATE VIEW public.broken AS SELECT 1 / (id - id) AS n FROM public.staff;
COMMENT ON TABLE sales.customer IS 'who buys from us';
COMMENT ON COLUMN sales.customer.city IS 'where the parcel goes';
INSERT INTO public.customer SELECT i, 'Person ' || i, 'p' || i || '@x.org',
  (ARRAY['sad', 'so so', 'it''s fine'])[1 + i % 3]::mood,
  ARRAY['sad']::feeling[], ARRAY['a', 'b'], '{"k": [1]}', i * 1.5, '2024-01-01 10:00'
    FROM generate_series(1, 40) i;
INSERT INTO sales.customer SELECT i, 'Firm ' || i, (ARRAY['Bonn', 'Ulm', 'Jena', 'Kiel'])[1 + i % 4]
  FROM generate_series(1, 30) i;
INSERT INTO sales."Order" SELECT i, 1 + i % 30, (ARRAY['ann', 'bob', 'cy'])[1 + i % 3],
  (i * 37 % 400) / 4.0,
  DATE '2024-01-01' + i % 90 FROM generate_series(1, 200) i;
INSERT INTO crm.visit SELECT i, 1 + i % 40, 5 * (i % 13), (ARRAY['shop', 'fair'])[1 + i % 2]
  FROM generate_series(1, 90) i;
INSERT INTO public.sale SELECT i, DATE '2024-01-01' + i % 120, i FROM generate_series(1, 120) i;
INSERT INTO public.measurement_2006 SELECT i, DATE '2006-01-01' + i, i FROM generate_series(1, 9) i;
INSERT INTO public.staff SELECT i, 'Name ' || i, 1000 + i FROM generate_series(1, 20) i;
INSERT INTO audit.entry SELECT i, 'x' FROM generate_series(1, 3) i;
REFRESH MATERIALIZED VIEW public.totals;
GRANT USAGE ON SCHEMA sales, crm, audit TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA sales, crm, audit TO reader;
"""
AFTER = """
REVOKE ALL ON public.staff, public.vault FROM reader;
GRANT SELECT (id, name) ON public.staff TO reader;
"""


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SHOP) as running:
    with psycopg.connect(running.admin, autocommit=True) as admin:
      admin.execute(AFTER)
    yield running


@pytest.fixture(scope="module")
def schema(server):
  return read_schema(server.reader)


def names(schema):
  return [table.name for table in schema.tables]


def test_postgresql_tables_are_those_that_people_see(schema):
  assert set(names(schema)) == {
    "customer",
    "sale",
    "measurement",
    "measurement_of_heat",
    "staff",
    "totals",
  }
  assert schema.table("sale").row_count == 120 and not schema.table("sale").is_view
  assert schema.table("measurement").row_count == 9
  assert schema.table("totals").is_view


def test_what_is_left_out_is_named_with_the_reason(schema):
  text = "; ".join(schema.left_out)
  for word in (
    "audit (1), crm (1), sales (2)",
    "--schemas=public,audit",
    "public.vault",
    "GRANT SELECT ON public.vault TO reader",
    "staff",
    "salary",
    "view broken cannot be read (division by zero",
    "view unfilled cannot be read",
  ):
    assert word in text, (word, text)
  assert [c.name for c in schema.table("staff").columns] == ["id", "name"]
  assert schema.table("staff").row_count == 20 and schema.table("staff").column("name").samples


def test_types_are_written_as_the_server_writes_them(schema):
  types = {column.name: column.type for column in schema.table("customer").columns}
  assert types == {
    "id": "integer", "fullName": "character varying(40)", "mail": "mail", "feels": "mood",
    "often": "feeling[]",
    "tags": "text[]", "extra": "jsonb", "score": "numeric(10,2)",
    "seen": "timestamp(3) without time zone",
  }  # fmt: skip
  assert schema.table("customer").column("feels").allowed == ("sad", "so so", "it's fine")
  assert schema.table("customer").column("often").allowed == ("sad", "so so", "it's fine")
  assert [schema.table("customer").column(n).kind for n in ("mail", "feels", "score")] == [
    "text",
    "text",
    "number",
  ]
  for style in ("ddl", "compact"):
    prompt = schema_prompt(schema, PromptFormat(style))
    assert "one of 'sad', 'so so', 'it''s fine'" in prompt
  for word in ("DOMAIN", "ARRAY", "NULL"):
    assert f" {word}" not in schema_prompt(schema, PromptFormat("ddl"))


def test_an_empty_domain_column_is_of_the_kind_of_its_base_type(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      "CREATE DOMAIN euros AS NUMERIC(9,2); CREATE DOMAIN cents AS euros; CREATE TABLE bare (a "
      "cents, b mood)"
    )
    admin.execute("GRANT SELECT ON bare TO reader")
    try:
      bare = read_schema(server.reader).table("bare")
    finally:
      admin.execute("DROP TABLE bare; DROP DOMAIN cents; DROP DOMAIN euros")
  assert [(c.type, c.kind) for c in bare.columns] == [("cents", "number"), ("mood", "text")]


def test_schemas_are_chosen_and_the_same_name_in_both_is_qualified(server):
  schema = read_schema(with_schemas(server.reader, ["public", "sales", "crm"]))
  assert {"public.customer", "sales.customer", "sales.Order", "crm.visit", "sale"} <= set(
    names(schema)
  )
  assert schema.table("sales.customer").comment == "who buys from us"
  assert schema.table("sales.customer").column("city").comment == "where the parcel goes"
  assert schema.table("sales.order").parts == ("sales", "Order")
  [key] = schema.table("crm.visit").foreign_keys
  assert key.referred_table == "public.customer"
  [key] = schema.table("sales.Order").foreign_keys
  assert key.referred_table == "sales.customer"
  assert "audit" in "; ".join(schema.left_out) or "audit" not in schema.left_out
  # Names as a query writes them.
  assert schema.table("customer", "sales").name == "sales.customer"
  assert (
    schema.table("customer", "public").name == schema.table("customer").name == "public.customer"
  )
  assert schema.table("sale", "public").name == "sale"
  with pytest.raises(KeyError):
    schema.table("sale", "crm")
  assert tables_of('SELECT * FROM sales."Order" AS o JOIN customer ON true', schema) == {
    "sales.Order",
    "public.customer",
  }


def test_a_schema_alone_is_qualified_though_nothing_is_ambiguous(server):
  with open_database(server.reader, schemas=["sales"]) as database:
    assert names(database.schema) == ["sales.customer", "sales.Order"]
    prompt = schema_prompt(database.schema, PromptFormat("ddl"))
    assert 'CREATE TABLE sales."Order" (' in prompt and "REFERENCES sales.customer (id)" in prompt
    assert '"orderId" integer PRIMARY KEY' in prompt and '"user" text' in prompt
    assert database.execute('SELECT COUNT(*) FROM sales."Order"').rows == ((200,),)


def test_a_schema_that_is_not_there_is_an_error_that_names_those_that_are(server):
  with pytest.raises(DatabaseError, match=r"no schema 'nope'.*audit, crm, public, sales"):
    read_schema(with_schemas(server.reader, ["sales", "nope"]))


def test_where_nothing_stands_on_the_search_path_all_schemas_are_taken(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE elsewhere")
  location = server.admin.replace("/shop", "/elsewhere")
  with psycopg.connect(location, autocommit=True) as admin:
    admin.execute(
      "CREATE SCHEMA a; CREATE TABLE a.thing (id INT PRIMARY KEY, name TEXT); INSERT INTO "
      "a.thing "
      "VALUES (1, 'x')"
    )
    admin.execute(
      "GRANT USAGE ON SCHEMA a TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA a TO reader"
    )
  schema = read_schema(server.reader.replace("/shop", "/elsewhere"))
  assert names(schema) == ["a.thing"] and schema.left_out == ()


def test_a_role_without_rights_is_told_the_grant_to_run(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE ROLE nobody_yet LOGIN")
  with pytest.raises(DatabaseError) as caught:
    read_schema(server.reader.replace("reader@", "nobody_yet@"))
  text = str(caught.value)
  assert "\n" not in text and "role nobody_yet may read none of" in text
  grants = [
    part.strip() for part in text.partition("as their owner: ")[2].split(";") if part.strip()
  ]
  with psycopg.connect(server.admin, autocommit=True) as admin:
    for grant in grants:
      admin.execute(grant)
  assert "public.customer" in names(
    read_schema(with_schemas(server.reader.replace("reader@", "nobody_yet@"), ["public", "sales"]))
  )


def test_a_foreign_table_is_a_table_and_one_whose_server_is_away_is_left_out(server):
  port = psycopg.conninfo.conninfo_to_dict(server.admin)["port"]
  with psycopg.connect(server.admin, autocommit=True) as admin:
    try:
      admin.execute("CREATE EXTENSION postgres_fdw")
    except psycopg.Error as error:
      pytest.skip(f"no postgres_fdw: {error}")
    for name, at in (("near", port), ("away", "1")):
      admin.execute(
        f"CREATE SERVER {name} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port "
        f"'{at}', dbname 'shop')"
      )
      admin.execute(
        f"CREATE USER MAPPING FOR PUBLIC SERVER {name} OPTIONS (user 'admin', password_required "
        "'false')"
      )
      admin.execute(
        f"CREATE FOREIGN TABLE entry_{name} (id INT, what TEXT) SERVER {name} OPTIONS "
        "(schema_name "
        "'audit', table_name 'entry')"
      )
      admin.execute(f"GRANT SELECT ON entry_{name} TO reader")
    try:
      schema = read_schema(server.reader)
    finally:
      admin.execute("DROP EXTENSION postgres_fdw CASCADE")
  assert schema.table("entry_near").row_count == 3 and not schema.table("entry_near").is_view
  assert "entry_away" not in names(schema) and "customer" in names(schema)
  assert any(
    "table entry_away cannot be read (could not connect" in text for text in schema.left_out
  ), schema.left_out


def test_names_that_differ_in_case_only(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      'CREATE TABLE "Staff" (id INT, "ID" INT, other INT); INSERT INTO "Staff" VALUES (1, 2, 3)'
    )
    admin.execute('GRANT SELECT ON "Staff" TO reader')
    try:
      schema = read_schema(server.reader)
    finally:
      admin.execute('DROP TABLE "Staff"')
  assert {"public.staff", "public.Staff"} <= set(names(schema)) or {"public.Staff", "staff"} <= set(
    names(schema)
  )


def test_what_is_synthesized_over_schemas_runs_as_it_is(server):
  location = with_schemas(server.reader, ["public", "sales", "crm"])
  made = synthesize(
    [location],
    pool.builtin_templates(),
    SynthesisOptions(120, seed=3, instances=0, infer_keys=True),
  )
  assert len(made.examples) == 120 and "shop" in made.left_out
  read = {table for example in made.examples for table in example.tables}
  assert {"public.customer", "sales.customer", "sales.Order", "crm.visit"} <= read
  assert not any("2024" in table for table in read)
  schema = read_schema(location)
  # Without the schemas: the query says all that is needed.
  with open_database(server.reader) as database:
    results = database.execute_many([example.query for example in made.examples])
  assert [r.message for r in results if not r.ok] == []
  both = [
    e.question
    for e in made.examples
    if "sales.customer" in e.tables and "public.customer" not in e.tables
  ]
  assert any("sale" in question.lower() for question in both), "the two customers are told apart"
  for example in made.examples:
    assert tables_of(example.query, schema) == set(example.tables)
  extracted, reasons = templates.extract_templates(
    [(example.query, schema) for example in made.examples[:40]]
  )
  assert sum(reasons.values()) == 0 and extracted
  assert sentences.write_question(made.examples[0].query, schema, random.Random(0))


AWFUL = """
CREATE SCHEMA "Order Dept"; CREATE SCHEMA "user";
CREATE TABLE "Order Dept"."User" ("Id" INT PRIMARY KEY, "group" TEXT, "firstName" TEXT);
CREATE TABLE "user".log (id INT, day DATE, who INT
  REFERENCES "Order Dept"."User", n INT, PRIMARY KEY (id, day))
  PARTITION BY RANGE (day);
CREATE TABLE "user".log_rest PARTITION OF "user".log DEFAULT;
CREATE TABLE "user".note (id INT PRIMARY KEY, log INT, day DATE, txt TEXT, FOREIGN KEY (log, day)
  REFERENCES "user".log);
CREATE TABLE "user"."a.b" (id INT PRIMARY KEY, x TEXT);
CREATE TABLE "user".secret (id INT) PARTITION BY LIST (id);
CREATE TABLE "user".open_part PARTITION OF "user".secret FOR VALUES IN (1);
INSERT INTO "Order Dept"."User" SELECT i, (ARRAY['x', 'y'])[1 + i % 2], 'N' || i
  FROM generate_series(1, 30) i;
INSERT INTO "user".log SELECT i, DATE '2024-01-01' + i % 20, 1 + i % 30, i * 3 % 17
  FROM generate_series(1, 90) i;
INSERT INTO "user".note SELECT i, i, DATE '2024-01-01' + i % 20, 'T' || i
  FROM generate_series(1, 50) i;
INSERT INTO "user"."a.b" SELECT i, 'T' || i FROM generate_series(1, 50) i;
GRANT USAGE ON SCHEMA "Order Dept", "user" TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA "Order Dept", "user" TO reader;
REVOKE ALL ON "user".secret FROM reader;
"""


def test_schemas_with_awful_names_and_nothing_on_the_search_path(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE DATABASE awful")
  with psycopg.connect(server.admin.replace("/shop", "/awful"), autocommit=True) as admin:
    admin.execute(AWFUL)
  location = server.reader.replace("/shop", "/awful")
  schema = read_schema(location)
  # A partition is a table to who may not read the whole.
  assert names(schema) == ["Order Dept.User", "user.log", "user.note", "user.a.b", "user.open_part"]
  assert schema.table("user.log").row_count == 90
  [key] = schema.table("user.note").foreign_keys
  assert (key.columns, key.referred_table, key.referred_columns) == (
    ("log", "day"),
    "user.log",
    ("id", "day"),
  )
  assert schema.left_out == (
    (
      'what role reader may not read: user.secret (as its owner: GRANT SELECT ON "user".secret TO '
      "reader)"
    ),
  )
  made = synthesize([location], pool.builtin_templates(), SynthesisOptions(60, seed=1, instances=0))
  with open_database(location) as database:
    results = database.execute_many([example.query for example in made.examples])
  assert len(results) == 60 and [r.message for r in results if not r.ok] == []
  assert {'"Order Dept"."User"', '"user".log', '"user"."a.b"'} <= {
    name
    for name in ('"Order Dept"."User"', '"user".log', '"user"."a.b"')
    for e in made.examples
    if name in e.query
  }


def test_values_are_found_and_named_as_a_query_must_name_them(server):
  style = PromptFormat(matched_values=1)
  database = PromptDatabase.read(with_schemas(server.reader, ["sales"]))
  found = database.mentions("Which firms are from Jena?", style).values
  assert [(m.table, m.column, m.value) for m in found] == [("sales.customer", "city", "Jena")]
  found = database.mentions("orders of ann", style).values
  assert [(m.table, m.column, m.value) for m in found] == [('sales."Order"', '"user"', "ann")]


def test_keys_are_inferred_across_qualified_names(server):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      "CREATE TABLE crm.call AS SELECT i AS id, 1 + i % 200 AS order_id FROM generate_series(1, "
      "50) i"
    )
    admin.execute("GRANT SELECT ON crm.call TO reader")
    try:
      location = with_schemas(server.reader, ["sales", "crm"])
      schema = infer_foreign_keys(read_schema(location), location)
    finally:
      admin.execute("DROP TABLE crm.call")
  assert [(k.columns, k.referred_table) for k in schema.table("crm.call").foreign_keys] == [
    (("order_id",), "sales.Order")
  ]


def test_the_script_takes_schemas_and_tells_what_is_left_out(server, tmp_path):
  output = tmp_path / "out.jsonl"
  done = subprocess.run(
    [sys.executable, SCRIPT, f"--databases={server.reader}", "--schemas=sales", "--num_examples=8",
     "--workers=1",
     f"--output={output}"],
    capture_output=True, text=True, timeout=170, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  records = [json.loads(line) for line in output.read_text().splitlines()]
  assert records and all("sales." in record["query"] for record in records)
  summary = json.loads(done.stdout.splitlines()[-1])
  assert summary["left_out"] == {}
  done = subprocess.run(
    [sys.executable, SCRIPT, f"--databases={server.reader}", "--num_examples=4", "--workers=2",
     f"--output={output}"],
    capture_output=True, text=True, timeout=170, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert len([line for line in done.stderr.splitlines() if "left out" in line]) == 1, done.stderr
  assert "public.vault" in "; ".join(json.loads(done.stdout.splitlines()[-1])["left_out"]["shop"])


# DuckDB.


@pytest.fixture
def warehouse(tmp_path):
  """A file whose name is that of one of its schemas."""
  path = tmp_path / "sales.duckdb"
  with duckdb.connect(str(path)) as connection:
    connection.execute("""
      CREATE TABLE region (id INTEGER PRIMARY KEY, name VARCHAR);
      CREATE SCHEMA sales.sales; CREATE SCHEMA crm;
      CREATE TABLE sales.sales.customer (id INTEGER PRIMARY KEY, city VARCHAR, kind ENUM('firm',
        'person'));
      CREATE TABLE sales.sales."Order" (id INTEGER PRIMARY KEY, customer INTEGER
        REFERENCES sales.sales.customer(id), "select" VARCHAR);
      CREATE TABLE crm.customer (id INTEGER PRIMARY KEY, mail VARCHAR);
      COMMENT ON TABLE crm.customer IS 'people we write to';
      INSERT INTO region VALUES (1, 'north'), (2, 'south');
      INSERT INTO sales.sales.customer SELECT i, ['Bonn', 'Ulm'][1 + i % 2], ['firm',
        'person'][1 + i % 2] FROM range(20) r(i);
      INSERT INTO sales.sales."Order" SELECT i, i % 20, ['a', 'b', 'c'][1 + i % 3]
        FROM range(60) r(i);
      INSERT INTO crm.customer SELECT i, 'm' || i FROM range(9) r(i);
    """)
  return path


def test_duckdb_schemas_beside_main_are_named_and_chosen(warehouse):
  schema = read_schema(str(warehouse))
  assert names(schema) == ["region"]
  assert "crm (1), sales (2)" in schema.left_out[0] and "--schemas=main,crm" in schema.left_out[0]
  with open_database(warehouse, schemas=["main", "sales", "crm"]) as database:
    schema = database.schema
    assert [t.parts for t in schema.tables] == [
      ("region",), ("sales", "sales", "customer"), ("sales", "sales", "Order"), ("crm", "customer"),
    ]  # fmt: skip
    assert schema.table("customer", "crm").comment == "people we write to"
    [key] = schema.table("Order", "sales").foreign_keys
    assert key.referred_table == "sales.sales.customer"
    assert "one of 'firm', 'person'" in schema_prompt(schema, PromptFormat("compact"))
    assert "one of" not in schema_prompt(schema, PromptFormat("ddl")), "the type says it"
    assert len(ValueIndex.build(database)) == 2 + 2 + 2 + 9 + 3
  made = synthesize(
    [with_schemas(str(warehouse), ["main", "sales", "crm"])],
    pool.builtin_templates(),
    SynthesisOptions(40, seed=1, instances=0),
  )
  with open_database(warehouse) as database:
    results = database.execute_many([example.query for example in made.examples])
  assert len(results) == 40 and [r.message for r in results if not r.ok] == []
  assert {"sales.sales.customer", "sales.sales.Order"} <= {
    t for e in made.examples for t in e.tables
  }


# One table that cannot be read.


def test_sqlite_without_a_module_or_with_views_over_nothing(tmp_path):
  path = tmp_path / "shop.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript("""
      CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);
      INSERT INTO item VALUES (1, 'cup'), (2, 'jug');
      CREATE INDEX by_name ON item (name);
      CREATE VIEW lost AS SELECT * FROM gone;
      CREATE VIEW wrong AS SELECT no_such_function(name) AS n FROM item;
      CREATE VIEW fine AS SELECT name FROM item;
      PRAGMA writable_schema = ON;
      INSERT INTO sqlite_master
        VALUES ('table', 'place', 'place', 0,
        'CREATE VIRTUAL TABLE place USING spatial_index(a, b)');
    """)
    connection.commit()
  schema = read_schema(str(path))
  assert names(schema) == ["item", "fine"]
  assert [text.split(" (")[0] for text in schema.left_out] == [
    "table place cannot be read", "view lost cannot be read", "view wrong cannot be read",
  ]  # fmt: skip
  assert "no such module: spatial_index" in schema.left_out[0] and "gone" in schema.left_out[1]
  made = synthesize([str(path)], pool.builtin_templates(), SynthesisOptions(5, seed=0, instances=2))
  assert made.examples and made.left_out == {"shop": schema.left_out}
  with open_database(path) as database:
    assert database.execute("SELECT COUNT(*) FROM item").rows == ((2,),)


def test_sqlite_with_a_damaged_page_in_one_table(tmp_path):
  path = tmp_path / "shop.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE good (id INTEGER PRIMARY KEY, name TEXT)")
    connection.execute("CREATE TABLE bad (id INTEGER PRIMARY KEY, name TEXT)")
    connection.execute("INSERT INTO good VALUES (1, 'x')")
    connection.executemany("INSERT INTO bad VALUES (?, ?)", [(i, "y" * 300) for i in range(500)])
    connection.commit()
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bad'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
  with open(path, "r+b") as file:
    file.seek((root - 1) * size)
    file.write(b"\xff" * size)
  schema = read_schema(str(path))
  assert (
    names(schema) == ["good"]
    and "table bad cannot be read (database disk image is malformed" in schema.left_out[0]
  )
  assert len(ValueIndex.build(str(path))) == 1


def test_where_nothing_can_be_read_the_error_says_why(tmp_path):
  path = tmp_path / "shop.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript("CREATE VIEW a AS SELECT * FROM gone")
  with pytest.raises(
    DatabaseError, match="none of its tables can be read: view a .*no such table: main.gone"
  ):
    read_schema(str(path))


def test_duckdb_views_over_what_is_gone(tmp_path):
  path = tmp_path / "shop.duckdb"
  with duckdb.connect(str(path)) as connection:
    connection.execute("""
      CREATE TABLE item (id INTEGER, name VARCHAR); INSERT INTO item VALUES (1, 'cup');
      CREATE TABLE gone (x INTEGER); CREATE VIEW lost AS SELECT * FROM gone; DROP TABLE gone;
      CREATE VIEW outside AS SELECT * FROM (SELECT 1 AS x) WHERE error('away') IS NULL;
    """)
  schema = read_schema(str(path))
  assert names(schema) == ["item"]
  assert [text.split(" (")[0] for text in schema.left_out] == [
    "view lost cannot be read",
    "view outside cannot be read",
  ]


def test_it_is_said_once(tmp_path, caplog):
  path = tmp_path / f"shop_{time.monotonic_ns()}.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.executescript("CREATE TABLE t (a); CREATE VIEW lost AS SELECT * FROM gone")
  for _ in range(2):
    with open_database(path) as database:
      assert names(database.schema) == ["t"]
    PromptDatabase.read(path)
  lines = [
    record.getMessage() for record in caplog.records if record.name == introspection.__name__
  ]
  assert len(lines) == 1 and "view lost" in lines[0] and "\n" not in lines[0]


# The engine of a file.


def test_the_engine_is_told_by_what_the_file_begins_with_where_its_name_does_not(tmp_path):
  ducks, lites = tmp_path / "a.db", tmp_path / "b"
  with duckdb.connect(str(ducks)) as connection:
    connection.execute("CREATE TABLE t AS SELECT 7 AS x")
  with contextlib.closing(sqlite3.connect(lites)) as connection:
    connection.executescript("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (7)")
  for path, dialect in ((ducks, "duckdb"), (lites, "sqlite")):
    with open_database(path) as database:
      assert database.schema.dialect == dialect
      assert database.execute("SELECT x FROM t").rows == ((7,),)
  relative = Path("a.db")
  with contextlib.chdir(tmp_path), open_database(relative) as database:
    assert database.schema.dialect == "duckdb"


@pytest.mark.parametrize(
  "begin", [b"PK\x03\x04 a spreadsheet", b"id,name\n1,x\n", b"\x9f" * 64, b"x"]
)
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path, begin):
  path = tmp_path / "shop.db"
  path.write_bytes(begin)
  with pytest.raises(DatabaseError) as caught:
    open_database(path)
  text = str(caught.value)
  assert str(path) in text and "SQLite" in text and "DuckDB" in text and "\n" not in text


VIEWS_OF_LUCK = (
  "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)",
  "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'a'), (4, 'c'), (5, 'b'), (6, 'd')",
  "CREATE VIEW fair AS SELECT id, upper(n) AS n FROM t",
  "CREATE VIEW luck AS SELECT id, random() AS r FROM t",
  "CREATE VIEW over_luck AS SELECT * FROM luck",
)


def check_that_views_of_luck_are_left_out(location, more=()):
  """What the executor refuses whatever is asked about it is no part of the schema, and keeps nobody
  from the rest.
  """
  refused = {"luck", "over_luck", *more}
  with open_database(location) as database:
    schema = database.schema
    assert set(names(schema)) == {"t", "fair"}, schema.left_out
    for name in refused:
      assert not database.execute(f"SELECT * FROM {name}").ok
      assert any(text.startswith(f"view {name} cannot be read (") for text in schema.left_out), name
    assert database.execute("SELECT n FROM fair WHERE id = 1").rows == (("A",),)
  made = synthesize([location], pool.builtin_templates(), SynthesisOptions(10, seed=1, instances=0))
  assert len(made.examples) == 10 and set(made.left_out.values()) == {schema.left_out}


def test_views_that_no_query_may_read_on_sqlite(tmp_path):
  path = tmp_path / "luck.sqlite"
  with contextlib.closing(sqlite3.connect(path)) as connection:
    for statement in (
      *VIEWS_OF_LUCK,
      "CREATE VIRTUAL TABLE words USING fts5(w)",
      "CREATE VIEW over_words AS SELECT * FROM words",
      "CREATE VIEW pragmas AS SELECT name FROM pragma_table_info('t')",
      "CREATE VIEW numbers AS SELECT value FROM json_each('[1, 2]')",
    ):
      connection.execute(statement)
    connection.commit()
    tables = {table.name for table in read_schema(str(path)).tables}
    assert tables == {"t", "fair", "words", "numbers"}
    connection.execute("DROP VIEW numbers")
    connection.execute("DROP TABLE words")
    connection.commit()
  check_that_views_of_luck_are_left_out(str(path), ("over_words", "pragmas"))


def test_views_that_no_query_may_read_on_duckdb(tmp_path):
  with duckdb.connect(str(tmp_path / "luck.duckdb")) as connection:
    for statement in (
      *VIEWS_OF_LUCK,
      "CREATE MACRO dice() AS random()",
      "CREATE VIEW dices AS SELECT dice() AS d FROM t",
      "CREATE VIEW sampled AS SELECT * FROM t USING SAMPLE 2",
    ):
      connection.execute(statement)
  check_that_views_of_luck_are_left_out(str(tmp_path / "luck.duckdb"), ("dices", "sampled"))


def test_views_that_no_query_may_read_on_postgresql():
  views = [
    "CREATE VIEW sleeps AS SELECT pg_sleep(0)::text AS s FROM t",
    "CREATE VIEW settings AS SELECT * FROM pg_settings",
  ]
  with postgresql_server.running_server("; ".join([*VIEWS_OF_LUCK, *views])) as running:
    check_that_views_of_luck_are_left_out(running.reader, ("sleeps", "settings"))


def test_samples_are_values_as_the_database_writes_them(tmp_path):
  with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
    connection.execute(
      "CREATE TABLE t AS SELECT [1, 2] AS li, {'a': 1} AS st, MAP {'k': 1} AS ma, 'ab'::BLOB AS "
      "bl, '101'::BIT AS bi, 'x' AS s"
    )
    connection.execute("CREATE VIEW empties AS SELECT [] AS a, [[]] AS b, NULL AS c, 1 AS d")
  schema = read_schema(str(tmp_path / "x.duckdb"))
  assert {c.name: c.samples for c in schema.table("t").columns} == {
    "li": (), "st": (), "ma": (), "bl": (), "bi": ("101",), "s": ("x",)
  }  # fmt: skip
  for style in ("ddl", "compact", "names"):
    assert "NULL" not in schema_prompt(schema, PromptFormat(style, samples=3))


@pytest.mark.parametrize("values", [[], ["101", "000"], ["1", "0"]])
def test_bits_are_truth_values_only_where_types_are_not_kept(values):
  assert column_kinds.kind_of("BIT", values, types_are_kept=True) == "other"
  assert column_kinds.kind_of("bit(4)", values, types_are_kept=True) == "other"
  assert column_kinds.kind_of("BIT", [0, 1, 1]) == column_kinds.kind_of("BIT", []) == "boolean"


@pytest.mark.parametrize(
  "declared",
  ["INTEGER[]", "VARCHAR[3]", "STRUCT(a INTEGER, b VARCHAR)", "MAP(VARCHAR, INTEGER)",
   "UNION(n INTEGER, s VARCHAR)",
   "INTERVAL", "int4range", "point", "daterange", "text[]", "timestamp without time zone[]"],
)  # fmt: skip
def test_a_compound_type_is_no_number_date_or_text_whether_or_not_there_are_rows(declared):
  assert column_kinds.kind_of(declared, [], types_are_kept=True) == "other"
  assert column_kinds.kind_of(declared, [1, 2, 3], types_are_kept=True) == "other"
