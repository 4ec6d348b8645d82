"""What PostgreSQL is let do with values of owners' types and with large values: columns are read,
values are not made.
"""

import time

import psycopg
import pytest

from spftsql_jax.databases import Executor

SCHEMA = """
CREATE FUNCTION lock(x BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM pg_advisory_lock(x); RETURN true; END$$;
CREATE FUNCTION is_email(x TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_advisory_lock_shared(7); RETURN x LIKE '%@%'; END$$;
CREATE FUNCTION is_zip(x TEXT) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM pg_advisory_lock_shared(7); RETURN x LIKE '1%'; END$$;
CREATE DOMAIN email AS TEXT CHECK (is_email(VALUE));
CREATE DOMAIN zip AS TEXT CHECK (is_zip(VALUE));
CREATE DOMAIN zip_of_town AS zip;
CREATE TABLE customer (id INTEGER PRIMARY KEY, email email, zip zip_of_town, name TEXT, doc JSONB,
  tags TEXT[], page XML);
INSERT INTO customer SELECT i, 'a' || i || '@x', '1' || i, 'n' || i, '{"a": [1, 2, 3]}', '{x,y}',
  '<a/>'
  FROM generate_series(1, 20) AS i;
CREATE TYPE place AS (town TEXT, zip zip);
CREATE TYPE sack AS (amount BIGINT);
CREATE FUNCTION from_sack(sack) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END$$;
CREATE CAST (sack AS BIGINT) WITH FUNCTION from_sack(sack) AS IMPLICIT;
CREATE SCHEMA other;
CREATE FUNCTION other.same(BIGINT, BIGINT) RETURNS BOOLEAN
  LANGUAGE sql IMMUTABLE AS 'SELECT public.lock($1)';
CREATE OPERATOR other.= (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = other.same);
CREATE OPERATOR other.+ (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = other.same);
GRANT USAGE ON SCHEMA other TO reader;
"""

# Each calls a function of the owner's where nothing guards it.
MAKING = [
  "SELECT 'x@y'::email",
  "SELECT CAST(name || '@' AS email) FROM customer",
  "SELECT email 'x@y'",
  "SELECT email('x@y'::text) FROM customer",
  "SELECT ('x@y'::text).email",
  "SELECT (name).email FROM (SELECT 'x@y'::text AS name) AS n",
  "SELECT x.email FROM lower('X@Y') AS x",
  "SELECT x.email FROM lower('X@Y') x",
  "SELECT lower.email FROM lower('X@Y')",
  "SELECT '{x@y}'::email[]",
  "SELECT '{x@y}'::_email",
  "SELECT '12'::public.zip",
  "SELECT '12'::zip_of_town",
  "SELECT 12::zip_of_town",
  'SELECT * FROM json_to_record(\'{"a": "x@y"}\') AS r(a email)',
  'SELECT * FROM json_to_recordset(\'[{"a": "12", "b": 1}]\') AS (a zip, b int)',
  "SELECT ROW('a', '12')::place",
  "SELECT '(a,12)'::place",
  'SELECT (json_populate_record(NULL::customer, \'{"email": "x@y"}\')).id',
  'SELECT json_populate_record(c, \'{"email": "x@y"}\') FROM customer AS c',
  "SELECT ROW(1, 'x@y', '12', NULL, NULL, NULL, NULL)::customer",
  "SELECT lag(email, 1, 'x@y') OVER (ORDER BY id) FROM customer",
  "SELECT lag(e, 1, 'x@y') OVER () FROM (SELECT email AS e FROM customer) AS s",
  "SELECT array_append(array_agg(email), 'x@y') FROM customer",
  "SELECT ROW(7)::sack::bigint",
  "SELECT 1 + ROW(7)::sack",
  "SELECT 7::bigint OPERATOR(other.=) 8::bigint",
  "SELECT 7::bigint OPERATOR( other . = /**/ ) ANY (ARRAY[8::bigint])",
]
READING = [
  "SELECT * FROM customer",
  "TABLE customer",
  "SELECT email, zip FROM customer WHERE email LIKE 'a1%' AND zip = '11'",
  "SELECT c.email AS email, upper(c.zip) AS zip FROM customer AS c ORDER BY email, zip",
  "SELECT customer.email FROM customer GROUP BY customer.email HAVING count(customer.email) > 0",
  "SELECT s.email FROM (SELECT email FROM customer) AS s",
  "WITH e AS (SELECT email FROM customer) SELECT e.email, count(*) FROM e GROUP BY e.email",
  "SELECT split_part(email, '@', 2) AS email FROM customer",
  "SELECT (SELECT max(name) AS email) FROM customer",
  (
    "SELECT coalesce(email, 'none'), nullif(zip, '1'), CASE WHEN zip > '2' THEN zip ELSE 'none' "
    "END "
    "FROM customer"
  ),
  "SELECT lag(name, 1, 'none') OVER (ORDER BY id), lead(email) OVER (ORDER BY id) FROM customer",
  (
    "SELECT string_agg(DISTINCT email, ', ' ORDER BY email), json_agg(zip), array_agg(email) FROM "
    "customer"
  ),
  "SELECT array_position(tags, 'x'), array_remove(tags, 'y') FROM customer",
  "SELECT to_json(c), row_to_json(c) FROM (SELECT email, zip FROM customer) AS c",
  "SELECT 5 OPERATOR(pg_catalog.+) 3, 5 OPERATOR(pg_catalog.=) 5",
  "SELECT t.xml, t.document FROM (SELECT name AS xml, name AS document FROM customer) AS t",
  "SELECT xmlelement(name a, name), xmlforest(id, name), page::text FROM customer",
  "SELECT jsonb_path_query(doc, '$.a[*] ? (@ > $least)', '{\"least\": 1}') FROM customer",
  "SELECT jsonb_path_query(target => doc, path => '$.a[*]') FROM customer",
  "SELECT name jsonpath, id xml FROM customer",
  "SELECT string_agg(replace(name, zip, ''), ',') FROM customer WHERE name LIKE '%' || id || '%'",
  (
    "SELECT repeat('*', length(name)), position('a' IN string_agg(name, '')) FROM customer GROUP "
    "BY "
    "name"
  ),
  (
    "SELECT a FROM (SELECT string_agg(name, ',') AS a FROM customer) AS s WHERE a LIKE '%n1%' AND "
    "strpos(a, 'n2') > 0"
  ),
  (
    "SELECT split_part(string_agg(name, ','), ',', 2), replace(string_agg(name, ','), ',', '') "
    "FROM "
    "customer"
  ),
]
LONG = "(SELECT 3000000 AS n) AS l"
ATTRIBUTES = (
  "(SELECT string_agg('a' || i || '=\"\"', ' ') AS s FROM generate_series(1, 200000) AS i) AS z"
)
# These run on for minutes where nothing guards.
RUNNING_ON = [
  f"SELECT length(('<r ' || s || '/>')::pg_catalog.xml::text) FROM {ATTRIBUTES}",
  f"SELECT CAST('<r ' || s || '/>' AS pg_catalog.xml) FROM {ATTRIBUTES}",
  f"SELECT ('<r ' || s || '/>').xml FROM {ATTRIBUTES}",
  (
    f"SELECT a FROM {ATTRIBUTES}, json_to_record(json_build_object('a', '<r ' || s || '/>')) AS "
    "x(a "
    "xml)"
  ),
  (
    "SELECT json_populate_record(NULL::customer, json_build_object('page', '<r ' || s || '/>')) "
    f"FROM {ATTRIBUTES}"
  ),
  (
    f"SELECT array_in_rows FROM {ATTRIBUTES}, LATERAL (SELECT ('{{<r ' || s || '/>}}')::_xml AS "
    "array_in_rows) AS y"
  ),
  "SELECT jsonb_path_query(path => '$.**.**', target => '[1]')",
  "SELECT jsonb_path_query(target => '[1]', vars => '{}', path => '$.**')",
  "SELECT jsonb_path_query(\"path\" := '$.**', target := '[1]')",
  "SELECT jsonb_path_query('[1]', '$[*] ? (@ == $x)', jsonb_build_object('x', doc)) FROM customer",
  "SELECT jsonb_path_match('[1]', '$[*] == $x', '{\"x\": [1, 2]}')",
  'SELECT doc @@ x.p FROM customer, json_to_record(\'{"p": "$.** == 1"}\') AS x(p jsonpath)',
  "SELECT doc @@ (SELECT ('{$.**}'::_jsonpath)[1]) FROM customer",
  f"SELECT position('b' || repeat('a', n) IN repeat('a', 2 * n)) FROM {LONG}",
  (
    "SELECT strpos(a, b) FROM (SELECT repeat('a', 2 * n) AS a, 'b' || repeat('a', n) AS b FROM "
    f"{LONG}) AS s"
  ),
  (
    "SELECT replace(string_agg('aaaa', ''), 'b' || string_agg('aa', ''), 'x') FROM "
    "generate_series(1, 1000000)"
  ),
  f"SELECT translate(repeat('a', n), repeat('b', n), '') FROM {LONG}",
  f"SELECT trim(repeat('b', n) || 'a' FROM repeat('a', n)) FROM {LONG}",
  f"SELECT split_part(repeat('a', 2 * n), 'b' || repeat('a', n), 2) FROM {LONG}",
  f"SELECT repeat('a', 2 * n) LIKE '%' || repeat('a', n) || 'b' FROM {LONG}",
  "WITH RECURSIVE d AS (SELECT 1 AS i, 'aa' AS x UNION ALL SELECT i + 1, x || x FROM d WHERE i < "
  "22) "
  "SELECT max(strpos(x || x, 'b' || x)) FROM d",
  "SELECT length(repeat('x', 1000 * 1000 * 1000))",
  "SELECT length(repeat('x', 1e9::int))",
  "SELECT format('%*s', 1000 * 1000 * 1000, 'a')",
  f"SELECT p <-> p FROM (SELECT path(polygon(n, circle '((0,0),1)')) AS p FROM {LONG}) AS x",
]


def test_each_calls_a_function_where_nothing_guards(server):
  idle = []
  for sql in MAKING:
    with psycopg.connect(server.reader) as connection:
      connection.read_only = True
      connection.execute(sql.encode()).fetchall()
      if not connection.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
      ).fetchall()[0][0]:
        idle.append(sql)
  assert idle == []


@pytest.mark.parametrize("sql", MAKING)
def test_a_value_of_an_owners_type_is_not_made(executor, server, sql):
  assert executor.execute(server.reader, sql).status == "refused"


def test_columns_of_owners_types_are_read(executor, server):
  """A check that its owner has not marked as IMMUTABLE is run when a row is written, not when it is
  read.
  """
  results = [(sql, executor.execute(server.reader, sql)) for sql in READING]
  assert [(sql, result.message) for sql, result in results if result.status != "ok"] == []


@pytest.mark.parametrize("sql", RUNNING_ON)
def test_what_would_run_on_is_refused(executor, server, sql):
  assert executor.execute(server.reader, sql, timeout_s=2).status in ("refused", "resource")


@pytest.mark.parametrize("setting", ["statement_timeout = 1", "extra_float_digits = -3"])
def test_a_roles_settings_change_no_answer(server, setting):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(f"ALTER ROLE reader SET {setting}")
    try:
      with Executor(workers=1, cache_mb=0) as pool:
        assert pool.execute(server.reader, "SELECT 1.1::float8 + 0.1::float8").rows == (
          (1.2000000000000002,),
        )
    finally:
      admin.execute("ALTER ROLE reader RESET ALL")


def test_a_long_statement_is_judged_at_once(executor, server):
  """The look at each name is no longer than the statement: 1,600 columns, 4,000 patterns."""
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      "CREATE FUNCTION name(ANYELEMENT) RETURNS INTEGER LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"
    )
  try:
    for sql in (
      "SELECT " + ", ".join(["c.name"] * 1600) + " FROM customer AS c",
      "SELECT " + ", ".join(["max(c.id)"] * 1600) + " FROM customer AS c",
      "SELECT repeat(name, id) FROM customer WHERE "
      + " OR ".join(f"name LIKE 'x{i}%'" for i in range(4000)),
    ):
      start = time.monotonic()
      result = executor.execute(server.reader, sql, timeout_s=20)
      assert result.status == "ok", result.message
      assert time.monotonic() - start < 4
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("DROP FUNCTION name(ANYELEMENT)")
