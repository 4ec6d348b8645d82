"""What PostgreSQL is not let run, by what its own catalog says: functions under every notation that
calls one, and what owners have built into operators, casts, domains, aggregates and views. Each
attack takes an advisory lock, which outlives a rollback.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import legitimate_statements
import postgresql_server
import psycopg
import pytest

from spftsql_jax.databases import DatabaseError, Executor, open_database, permissions
from spftsql_jax.databases.engines import postgresql
from spftsql_jax.databases.engines.postgresql import paths as postgresql_paths
from spftsql_jax.databases.engines.postgresql.tokens import UnreadableError, read_tokens

LONG = "a" * 60 + "bcd"

EVIL = f"""
CREATE FUNCTION grab(x BIGINT) RETURNS BIGINT LANGUAGE plpgsql
  AS $$BEGIN PERFORM pg_advisory_lock(x); RETURN x; END$$;
CREATE FUNCTION calm(x BIGINT) RETURNS BIGINT LANGUAGE plpgsql STABLE AS
  $$BEGIN PERFORM pg_advisory_lock(x); RETURN x; END$$;
CREATE FUNCTION owned(x BIGINT) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS
  $$BEGIN PERFORM pg_advisory_lock(x); RETURN x; END$$;
CREATE FUNCTION later(x BIGINT, y BIGINT DEFAULT 3) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE FUNCTION many(VARIADIC x BIGINT[]) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x[1])';
CREATE FUNCTION rows(x BIGINT) RETURNS SETOF BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE FUNCTION "Grab It"(x BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE FUNCTION "GRAB"(x BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE FUNCTION "Größe"(x BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE FUNCTION {LONG}efg(x BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(x)';
CREATE TABLE t (a BIGINT, b TEXT);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 5) AS i;
CREATE FUNCTION of_row(t) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($1.a)';
CREATE FUNCTION b(pg_catalog.pg_class) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(1)';
CREATE TABLE has_column (of_row BIGINT);
INSERT INTO has_column VALUES (1);
CREATE TABLE "wide" (a BIGINT, c t);
INSERT INTO "wide" VALUES (1, (1, 'x'));
CREATE AGGREGATE hoard(BIGINT) (SFUNC = add_and_grab, STYPE = BIGINT, INITCOND = '0');
CREATE OPERATOR <#> (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = grab_two);
CREATE OPERATOR @+@- (RIGHTARG = BIGINT, FUNCTION = grab);
CREATE OPERATOR + (LEFTARG = t, RIGHTARG = BIGINT, FUNCTION = grab_row);
CREATE TYPE money_of AS (amount BIGINT);
CREATE FUNCTION to_money(BIGINT) RETURNS money_of LANGUAGE sql AS 'SELECT ROW(grab($1))::money_of';
CREATE CAST (BIGINT AS money_of) WITH FUNCTION to_money(BIGINT);
CREATE TYPE bag AS (amount BIGINT);
CREATE FUNCTION from_bag(bag) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($1.amount)';
CREATE CAST (bag AS BIGINT) WITH FUNCTION from_bag(bag) AS IMPLICIT;
CREATE TABLE bags (x bag);
INSERT INTO bags VALUES (ROW(5));
CREATE DOMAIN checked AS BIGINT CHECK (grab(VALUE) > 0);
CREATE VIEW hiding AS SELECT grab(a) AS a FROM t;
CREATE VIEW hiding_deeper AS SELECT a AS x FROM (SELECT a FROM hiding) AS h;
CREATE VIEW hiding_builtin AS SELECT pg_advisory_lock(a)::TEXT FROM t;
CREATE VIEW hiding_operator AS SELECT a <#> a AS a FROM t;
CREATE VIEW hiding_aggregate AS SELECT hoard(a) AS a FROM t;
CREATE TABLE guarded (a BIGINT);
INSERT INTO guarded VALUES (1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR SELECT USING (grab(a) > 0);
CREATE FUNCTION "user"(t) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($1.a)';
CREATE FUNCTION "select"(BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($1)';
CREATE VIEW "table" AS SELECT grab(a) AS a FROM t;
CREATE FUNCTION anything(ANYELEMENT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab(7)';
CREATE TABLE named (anything BIGINT);
CREATE TABLE "current_schema" (anything BIGINT);
CREATE SCHEMA other;
CREATE FUNCTION other.abs(x BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT public.grab(x)';
CREATE FUNCTION other.lower(x TEXT, y INTEGER) RETURNS BIGINT
  LANGUAGE sql AS 'SELECT public.grab(y)';
GRANT USAGE ON SCHEMA other TO reader;
"""
FIRST = """
CREATE FUNCTION grab_two(x BIGINT, y BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_advisory_lock(x); RETURN x; END$$;
CREATE FUNCTION add_and_grab(x BIGINT, y BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_advisory_lock(y); RETURN x + y; END$$;
"""
SCHEMA = FIRST + EVIL.replace(
  "CREATE OPERATOR + ",
  (
    "CREATE FUNCTION grab_row(t, BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($2)';\nCREATE "
    "OPERATOR + "
  ),
)

# Each takes a lock where nothing guards it.
ATTACKS = [
  "SELECT pg_advisory_lock(7)",
  "SELECT pg_catalog.pg_advisory_lock(7)",
  'SELECT "pg_advisory_lock"(7)',
  'SELECT pg_catalog . "pg_advisory_lock" /* a */ -- b\n (7)',
  "SELECT PG_Advisory_LOCK(7)",
  "SELECT (7::bigint).pg_advisory_lock",
  "SELECT ((7::bigint)).pg_advisory_lock",
  "SELECT (7::bigint) . /* a /* b */ */ pg_advisory_lock",
  'SELECT (7::bigint)."pg_advisory_lock"',
  "SELECT (ARRAY[7::bigint])[1].pg_advisory_lock",
  "SELECT ((ARRAY[7::bigint])[1]).pg_advisory_lock",
  "SELECT (x.a).pg_advisory_lock FROM t AS x",
  "SELECT (t.a).grab FROM t",
  "SELECT (a).grab FROM t",
  "SELECT t.of_row FROM t",
  "SELECT (t).of_row FROM t",
  "SELECT x.of_row FROM t AS x",
  "SELECT x.of_row FROM public.t x",
  "SELECT public.t.of_row FROM public.t",
  "SELECT (w.c).of_row FROM wide AS w",
  "SELECT (wide.c).of_row FROM wide",
  "SELECT (c).of_row FROM wide",
  "SELECT t.of_row FROM t WHERE EXISTS (SELECT 1 FROM has_column)",
  "SELECT has_column.of_row FROM t AS has_column",
  (
    "SELECT h.of_row FROM has_column LEFT JOIN t AS h ON true WHERE false UNION ALL SELECT "
    "h.of_row "
    "FROM t AS h"
  ),
  "WITH has_column AS (SELECT t FROM t) SELECT (has_column.t).of_row FROM has_column",
  "WITH has_column AS MATERIALIZED (SELECT * FROM t) SELECT (h::t).of_row FROM has_column AS h",
  "SELECT (SELECT (7::bigint).pg_advisory_lock)",
  "SELECT t.user FROM t",
  'SELECT t."user" FROM t',
  "SELECT (7::bigint).select",
  "SELECT public.select(7)",
  "SELECT * FROM public.table",
  "SELECT named.anything FROM generate_series(1, 2) WITH ORDINALITY named",
  "SELECT named.anything FROM current_user named",
  "SELECT named.anything FROM current_user AS named",
  "SELECT named.anything FROM generate_series(1, 2) named",
  "SELECT named.anything FROM (SELECT 1 AS x) named",
  "SELECT named.anything FROM (t CROSS JOIN has_column) AS named",
  "SELECT named.anything FROM t CROSS JOIN LATERAL (VALUES (1)) AS named",
  "SELECT named.anything FROM t * named",
  "SELECT named.anything FROM ONLY (t) named",
  "SELECT named.anything FROM (t JOIN has_column ON true) named",
  "SELECT named.anything FROM t AS x JOIN t AS y USING (a) AS named",
  "SELECT named.anything FROM named AS named(x) UNION ALL SELECT x.anything FROM t AS x",
  'SELECT "current_schema".anything FROM current_schema',
  "SELECT 1 FROM t WHERE (a).grab > 0",
  "SELECT 1 FROM t ORDER BY (a).grab",
  "SELECT 1 FROM t LIMIT (7::bigint).grab",
  "SELECT 1 FROM t OFFSET (SELECT (7::bigint).grab)",
  "SELECT sum(a) OVER (ORDER BY a ROWS (7::bigint).grab PRECEDING) FROM t",
  "SELECT sum((a).grab) FILTER (WHERE a > 0) FROM t",
  "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (a).grab) FROM t",
  "SELECT CASE WHEN (7::bigint).grab > 0 THEN 1 END",
  "SELECT * FROM t JOIN t AS u ON (t.a).grab = u.a",
  "SELECT * FROM grab(7)",
  "SELECT * FROM grab(7) AS g(x)",
  "SELECT * FROM t, LATERAL grab(t.a)",
  "SELECT * FROM t CROSS JOIN LATERAL (SELECT grab(t.a)) AS s",
  "SELECT * FROM ROWS FROM (rows(7), generate_series(1, 2)) AS r(x, y)",
  "SELECT * FROM t, grab(7) AS t2(x)",
  "SELECT rows(7)",
  "SELECT later(7)",
  "SELECT (7::bigint).later",
  "SELECT later(y => 1, x => 7)",
  "SELECT many(7, 8)",
  "SELECT many(VARIADIC ARRAY[7::bigint])",
  'SELECT "Grab It"(7)',
  'SELECT (7::bigint)."Grab It"',
  'SELECT "GRAB"(7)',
  'SELECT "Größe"(7)',
  f"SELECT {LONG}(7)",
  f"SELECT {LONG}efg(7)",
  f"SELECT {LONG}xyz(7)",
  f"SELECT (7::bigint).{LONG.upper()}XYZ",
  f'SELECT "{LONG}xyz"(7)',
  "SELECT calm(7)",
  "SELECT owned(7)",
  "SELECT (7::bigint).owned",
  "SELECT other.abs(7)",
  "SELECT (SELECT other.lower('a', 7))",
  "SELECT hoard(a) FROM t",
  "SELECT hoard(a) OVER () FROM t",
  "SELECT 7::bigint <#> 8::bigint",
  "SELECT 7::bigint OPERATOR(public.<#>) 8",
  "SELECT 7::bigint<#> -8::bigint",
  "SELECT @+@-7::bigint",
  "SELECT @+@-/**/7::bigint",
  "SELECT t + a FROM t",
  "SELECT x + 7::bigint FROM t AS x",
  "SELECT 7::bigint::money_of",
  "SELECT CAST(7::bigint AS public.money_of)",
  "SELECT x + 1::bigint FROM bags",
  "SELECT ROW(7)::bag + 1::bigint",
  "SELECT x::bigint FROM bags",
  "SELECT sum(x) FROM bags",
  "SELECT abs(b.x) FROM bags AS b",
  "SELECT 7::checked",
  "SELECT '7'::checked",
  "SELECT checked '7'",
  "SELECT CAST('{7}' AS checked[])",
  "SELECT x FROM jsonb_to_record('{\"x\": 7}') AS r(x checked)",
  "SELECT domain_in('7', (SELECT oid FROM pg_type WHERE typname = 'checked'), -1)",
  "SELECT array_in('{7}', (SELECT oid FROM pg_type WHERE typname = 'checked'), -1)",
  "SELECT * FROM hiding",
  "SELECT count(a) FROM public.hiding",
  "SELECT * FROM hiding_deeper",
  "SELECT * FROM hiding_builtin",
  "SELECT * FROM hiding_operator",
  "SELECT * FROM hiding_aggregate",
  "SELECT * FROM guarded",
  "SELECT E'a\\'' || pg_advisory_lock(7)::text || ''",
  "SELECT E'a'\n'\\'', pg_advisory_lock(7) --'",
  "SELECT /* /* */ ' */ pg_advisory_lock(7) --'",
  "SELECT 1 --\r, pg_advisory_lock(7)",
  "SELECT $a$ ' $a$, pg_advisory_lock(7) --'",
  "SELECT U&'\\\\' || pg_advisory_lock(7)::text || ''",
  'SELECT U&"pg_advisory\\005flock"(7)',
  'SELECT 1 AS a, pg_advisory_lock(7) AS "AS"',
  "WITH x(a) AS (SELECT 7), y AS (SELECT grab(a) FROM x) SELECT * FROM y",
  "SELECT query_to_xml('SELECT pg_advisory_lock(7)', true, true, '')",
  "SELECT ('SELECT grab(7)::text::tsvector'::text).ts_stat",
  "SELECT * FROM ts_stat('SELECT grab(7)::text::tsvector')",
  "SELECT ts_rewrite('a'::tsquery, 'SELECT grab(7)::text::tsquery, $$b$$::tsquery')",
  "SELECT pg_try_advisory_lock(7)",
  "SELECT (7::bigint).pg_try_advisory_lock_shared",
]
# Nothing to be seen on a lock: they act on the server, tell about it, or are a matter of luck.
REFUSED = [
  "SELECT pg_notify('a', 'b')",
  "SELECT pg_export_snapshot()",
  "SELECT txid_current()",
  "SELECT pg_current_xact_id()",
  "SELECT set_config('a.b', 'c', false)",
  "SELECT current_setting('data_directory')",
  "SELECT ('data_directory'::text).current_setting",
  "SELECT lo_create(0)",
  "SELECT (0::oid).lo_unlink",
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
  "SELECT (a.pid).pg_cancel_backend FROM pg_stat_activity AS a",
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT ('/etc/passwd'::text).pg_read_file",
  "SELECT ('.'::text).pg_ls_dir",
  "SELECT * FROM pg_hba_file_rules",
  "SELECT * FROM pg_catalog.pg_file_settings",
  'SELECT * FROM "pg_settings"',
  "SELECT * FROM pg_shadow",
  "SELECT * FROM pg_authid",
  "SELECT * FROM pg_user_mappings",
  "SELECT * FROM pg_config",
  "SELECT query FROM pg_stat_activity",
  "SELECT pg_stat_get_activity(NULL)",
  "SELECT (1).pg_stat_get_backend_activity",
  "SELECT prosrc FROM pg_proc",
  "SELECT pg_get_functiondef(1)",
  "SELECT table_to_xml('t', true, true, '')",
  "SELECT cursor_to_xml('answer', 1, true, true, '')",
  "SELECT xpath('//a', '<a/>')",
  "SELECT '<a/>'::xml",
  "SELECT XMLPARSE(DOCUMENT '<a/>')",
  "SELECT XMLEXISTS('//a' PASSING BY VALUE b) FROM t",
  "SELECT * FROM XMLTABLE('//a' PASSING NULL COLUMNS x TEXT)",
  "SELECT b IS DOCUMENT FROM t",
  "SELECT * FROM t TABLESAMPLE SYSTEM (50)",
  "SELECT jsonb_path_query('[]', b::jsonpath) FROM t",
  "SELECT jsonb_path_query('[]', ('$' || b)::jsonpath) FROM t",
  "SELECT '[]'::jsonb @? ('$' || '.a')::jsonpath",
  "SELECT jsonb_path_query('[]', '$.**.**')",
  "SELECT '[]'::jsonb @@ '$[*] ? ($[*] < 0)'",
  "SELECT '[]'::jsonb OPERATOR(pg_catalog.@?) '$.**'",
  "SELECT '[]'::jsonb @? ANY ('{$.**}')",
  "SELECT '[]'::jsonb @? ('$.**')",
  "SELECT '[]'::jsonb @? '$.*'\n'*'",
  "SELECT jsonb_path_query('[]', '$.**'::pg_catalog.jsonpath)",
  "SELECT jsonb_path_query('[]', CAST('$.**' AS jsonpath))",
  "SELECT jsonb_path_exists('[]', '$ ? (@ like_regex \"(a*)*b\")')",
]


def locks(server):
  with psycopg.connect(server.admin, autocommit=True) as connection:
    return connection.execute(
      "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    ).fetchall()[0][0]


def test_every_attack_acts_where_nothing_guards(server):
  idle = []
  for sql in ATTACKS:
    with psycopg.connect(server.reader) as connection, contextlib.suppress(psycopg.Error):
      connection.read_only = True
      connection.execute(sql.encode()).fetchall()
    # The lock goes with the connection, so one is kept open to look.
    with psycopg.connect(server.reader) as connection:
      connection.read_only = True
      with contextlib.suppress(psycopg.Error):
        connection.execute(sql.encode()).fetchall()
      connection.rollback()
      if not locks(server):
        idle.append(sql)
  assert not idle, idle


@pytest.mark.parametrize("sql", ATTACKS + REFUSED)
def test_it_is_refused(executor, server, sql):
  result = executor.execute(server.reader, sql)
  assert result.status == "refused" and result.message, result
  assert locks(server) == 0


def test_what_is_created_later_is_seen(executor, server):
  assert executor.execute(server.reader, "SELECT abs(1), lower('A') FROM t").status == "ok"
  assert executor.execute(server.reader, "SELECT fresh(7)").status == "error"
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE FUNCTION fresh(BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT grab($1)'")
    admin.execute("CREATE VIEW fresh_view AS SELECT a FROM t")
    admin.execute("GRANT SELECT ON fresh_view TO reader")
    try:
      assert executor.execute(server.reader, "SELECT fresh(7)").status == "refused"
      assert executor.execute(server.reader, "SELECT (7::bigint).fresh").status == "refused"
      assert executor.execute(server.reader, "SELECT * FROM fresh_view").status == "ok"
      admin.execute("CREATE OR REPLACE VIEW fresh_view AS SELECT fresh(a) AS a FROM t")
      assert executor.execute(server.reader, "SELECT * FROM fresh_view").status == "refused"
      admin.execute("ALTER FUNCTION fresh(BIGINT) IMMUTABLE")
      assert executor.execute(server.reader, "SELECT fresh(7)").status == "refused", (
        "it did not come with the server"
      )
    finally:
      admin.execute("DROP VIEW fresh_view; DROP FUNCTION fresh(BIGINT)")
  assert locks(server) == 0


def test_what_stands_in_the_search_path_is_not_taken_for_the_servers_own(server):
  """A schema before pg_catalog may hold an operator or a relation by the name of one that the
  look-up uses.
  """
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute("CREATE SCHEMA front")
    admin.execute("GRANT USAGE ON SCHEMA front TO reader")
    for relation in (
      "pg_proc",
      "pg_class",
      "pg_operator",
      "pg_cast",
      "pg_constraint",
      "pg_depend",
      "pg_namespace",
    ):
      admin.execute(f"CREATE TABLE front.{relation} AS SELECT * FROM pg_catalog.{relation} LIMIT 0")
    admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA front TO reader")
    for kind in ("name", "oid", '"char"', "int4"):
      admin.execute(
        f"CREATE FUNCTION front.never({kind}, {kind}) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS "
        "'SELECT false'"
      )
      for sign in ("=", ">=", "<>"):
        admin.execute(
          f"CREATE OPERATOR front.{sign} (LEFTARG = {kind}, RIGHTARG = {kind}, FUNCTION = "
          "front.never)"
        )
    admin.execute("ALTER ROLE reader SET search_path = front, public, pg_catalog")
  try:
    with Executor(workers=1, cache_mb=0) as pool:
      for sql in ("SELECT pg_catalog.pg_advisory_lock(7)", "SELECT (7::bigint).grab",
                  "SELECT 7::bigint <#> 8::bigint",
                  "SELECT * FROM hiding", "SELECT '7'::checked"):  # fmt: skip
        assert pool.execute(server.reader, sql).status == "refused", sql
      assert pool.execute(server.reader, "SELECT a FROM public.t LIMIT 1").status == "ok"
  finally:
    with psycopg.connect(server.admin, autocommit=True) as admin:
      admin.execute("ALTER ROLE reader RESET search_path")
      admin.execute("DROP SCHEMA front CASCADE")
  assert locks(server) == 0


def test_a_function_allowed_by_name_is_run(server):
  with Executor(workers=1, allow_functions=("calm",)) as pool:
    assert pool.execute(server.reader, "SELECT calm(9)").rows == ((9,),)
    assert pool.execute(server.reader, "SELECT grab(9)").status == "refused"


def test_legitimate_statements_are_run():
  with (
    postgresql_server.running_server(legitimate_statements.POSTGRESQL_SCHEMA) as shop,
    Executor(workers=1, cache_mb=0) as pool,
  ):
    wrong = []
    for sql, reason in legitimate_statements.POSTGRESQL:
      result = pool.execute(shop.reader, sql)
      if result.status != ("refused" if reason else "ok"):
        wrong.append((sql, result.status, result.message))
  assert wrong == []
  assert len(legitimate_statements.POSTGRESQL) >= 60
  assert sum(bool(reason) for _, reason in legitimate_statements.POSTGRESQL) <= 5


@pytest.mark.parametrize(
  "grant", ["SUPERUSER", "pg_read_server_files", "pg_execute_server_program", "admin"]
)
def test_a_role_with_rights_on_the_server_is_turned_away(server, grant):
  with psycopg.connect(server.admin, autocommit=True) as admin:
    admin.execute(
      "CREATE ROLE strong LOGIN" + (" SUPERUSER" if grant == "SUPERUSER" else " NOINHERIT")
    )
    if grant != "SUPERUSER":
      admin.execute(f"GRANT {grant} TO strong")
    location = server.admin.replace("admin@", "strong:secret@")
    try:
      with pytest.raises(DatabaseError) as caught:
        open_database(location)
      message = str(caught.value)
      assert "\n" not in message and "secret" not in message and "--allow_superuser" in message
      for words in (
        "CREATE ROLE reader LOGIN",
        "GRANT CONNECT ON DATABASE shop",
        "GRANT SELECT ON ALL TABLES",
      ):
        assert words in message
      with Executor(workers=1) as pool:
        assert pool.execute(location, "SELECT 1").status == "error"
      with open_database(location, allow_superuser=True) as database:
        assert database.execute("SELECT 1").rows == ((1,),)
        assert database.execute("SELECT (7::bigint).pg_advisory_lock").status == "refused"
        assert grant != "SUPERUSER" or database.schema.table("t").row_count == 5
    finally:
      admin.execute("DROP ROLE strong")


@pytest.mark.parametrize(
  ("sql", "status"),
  [
    ("SELECT length(repeat('ab', 100000))", "ok"),
    (
      (
        "SELECT length(lpad('1', 20, '0')), format('%-10s %2$20s', 'a', 'b'), a * 5000000 FROM t "
        "LIMIT 1"
      ),
      "ok",
    ),
    ("SELECT length(repeat('x', 100001))", "resource"),
    ("SELECT length(pg_catalog.\"repeat\"('x', 99999999999999999999))", "resource"),
    ("SELECT length(rpad('x', 2000000))", "resource"),
    ("SELECT length(format('%1$-1000000s', 'x'))", "resource"),
    ("SELECT array_fill(1, ARRAY[10, 10000000])", "resource"),
    ("SELECT polygon(5000, circle '((0,0),1)')", "resource"),
  ],
)
def test_values_that_no_answer_needs_are_not_made(executor, server, sql, status):
  assert executor.execute(server.reader, sql).status == status


def test_any_name_can_be_asked_for(executor, server):
  for name in ("a'b", 'a""b', "a\\b", "{a}", "a,b", "NULL", "''; SELECT 1", "%s"):
    assert executor.execute(server.reader, f'SELECT 1 AS "{name}"').rows == ((1,),), name
    refused = executor.execute(server.reader, f'SELECT 1 AS "{name}", pg_sleep(0)')
    assert refused.status == "refused", name


def names(sql):
  return [token.text for token in read_tokens(sql) if token.is_name]


def test_names_are_read_as_the_server_reads_them(server):
  """The server's own answer: what a text is called as the name of a column."""
  spellings = [
    "Abc", '"Abc"', '"a""b"', "a$1", "_x", "größe", "GRÖSSE", '"GRÖSSE"', "x" * 70,
    '"' + "X" * 70 + '"', "ü" * 40,
    '"' + "a" + "ü" * 40 + '"', '"' + "日" * 30 + '"', "Ǆ", "a\u00a0b", '" "', '"a.b"', "İ", '"--"',
    '"/*"', '"$$"', "q",
  ]  # fmt: skip
  with psycopg.connect(server.reader) as connection:
    for spelling in spellings:
      [column] = connection.execute(f"SELECT 1 AS {spelling}").description
      assert names(f"SELECT 1 AS {spelling}")[-1] == column.name, spelling


@pytest.mark.parametrize(
  "sql",
  [
    'SELECT U&"a"',
    "SELECT 1e5$$",
    "SELECT 1and",
    "SELECT 1.pg_sleep",
    "SELECT E'a'\n'b'",
    "SELECT E'' -- x\n ''",
  ],
)
def test_what_depends_on_the_server_is_not_read(sql):
  with pytest.raises(UnreadableError):
    read_tokens(sql)


def test_operators_are_the_longest_run_as_in_the_server():
  def signs(sql):
    return [token.text for token in read_tokens(sql) if token.kind == "operator"]

  assert (
    signs("a @>- b") == ["@>-"]
    and signs("a >- b") == [">", "-"]
    and signs("a<#>-/**/b") == ["<#>-"]
  )
  assert (
    signs("a*-1") == ["*", "-"] and signs("a +--x\n b") == ["+"] and signs("a ->> 'b'") == ["->>"]
  )


@pytest.mark.parametrize(
  ("path", "runs"),
  [
    ("$", True),
    ("$.items[*].price", True),
    ('$.items[*] ? (@.price > 3 && @.name == "a*b").name', True),
    ("$.items[0 to 3, last].a.size()", True),
    ("$.items[*] ? (@.price >= $min)", True),
    ('$.a ? (@ starts with "$[*]")', True),
    ("strict $.a.b", True),
    ("$.a > 3 && $.b == 1", True),
    ("$.**", False),
    ("$.* *", False),
    ("$.a.**{1 to 3}", False),
    ("$[*] ? ($[*] < 0)", False),
    ("$[*] ? (exists(@[*] ? (@ > 1)))", False),
    ("$[*] ? (@.a == @.b)", False),
    ("$.a == $.b", False),
    ("$[$.n]", False),
    ('$ ? (@ like_regex "a")', False),
    ("$[*][*][*][*][*][*]", False),
    ('$."a', False),
    ("$ /* $ */", False),
    ("$" + ".a" * 600, False),
  ],
)
def test_paths_that_grow_no_faster_than_the_document(path, runs):
  assert (postgresql_paths.path_refusal(path) == "") == runs


def test_a_frozen_server_costs_no_more_than_the_limits(server):
  """The client comes back in time whatever the server does, and what it gave up ends when the
  server can.
  """
  with (
    psycopg.connect(server.admin, autocommit=True) as admin,
    Executor(workers=1, cache_mb=0) as pool,
  ):
    pool.execute(server.reader, "SELECT 1")
    readers = (
      "SELECT pid FROM pg_stat_activity WHERE usename = 'reader' ORDER BY backend_start DESC"
    )
    pid = admin.execute(readers).fetchall()[0][0]
    freezing = threading.Timer(0.2, os.kill, [pid, signal.SIGSTOP])
    freezing.start()
    begin = time.perf_counter()
    result = pool.execute(
      server.reader, "SELECT count(*) FROM generate_series(1, 1000000000) AS s(i)", timeout_s=0.5
    )
    seconds = time.perf_counter() - begin
    os.kill(pid, signal.SIGCONT)
    freezing.join()
    assert result.status == "timeout" and seconds < 2.5, (result, seconds)
    end = time.perf_counter() + 5
    while admin.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall()[
      0
    ][0]:
      assert time.perf_counter() < end, "the server goes on"
      time.sleep(0.05)


def test_the_session_has_its_limits(server):
  with permissions.allowing(True):
    sessions = [
      postgresql.Connection(location, 200_000_000) for location in (server.reader, server.admin)
    ]
  for session in sessions:
    session.run("SELECT 1", 1.5, 10, 1000, lambda rows: b"")
    shown = {
      name: session._connection.execute(f"SHOW {name}").fetchall()[0][0]
      for name in ("work_mem", "statement_timeout", "lock_timeout", "jit", "hash_mem_multiplier",
                   "transaction_read_only",
                   "client_connection_check_interval", "max_parallel_workers_per_gather",
                   "temp_file_limit")
    }  # fmt: skip
    limit = shown.pop("temp_file_limit")
    # The role may not set it: it is the server's own (of the test's).
    assert limit == ("200MB" if session is sessions[0] else "200000kB")
    assert shown == {
      "work_mem": "25MB", "statement_timeout": "1500ms", "lock_timeout": "2s", "jit": "off",
      "hash_mem_multiplier": "1",
      "transaction_read_only": "on", "client_connection_check_interval": "1s",
      "max_parallel_workers_per_gather": "0",
    }  # fmt: skip
    session.close()


def test_launch_scripts_take_the_flag(server, tmp_path):
  script = pathlib.Path(__file__).parents[1] / "experiments" / "synthesize.py"
  command = [
    sys.executable,
    str(script),
    f"--databases={server.admin}",
    "--num_examples=1",
    "--workers=1",
  ]
  command.append(f"--output={tmp_path}/made.jsonl")
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert (
    done.returncode == 2 and done.stderr.count("\n") == 1 and "admin is a superuser" in done.stderr
  ), done.stderr
  done = subprocess.run(
    [*command, "--allow_superuser"], capture_output=True, text=True, check=False
  )
  assert "superuser" not in done.stderr, done.stderr
