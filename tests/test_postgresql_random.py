"""Random statements over functions, operators, casts, domains and views that act: one that acts
where nothing guards it is refused. Each takes an advisory lock, which a plain connection shows and
the guard must not let happen.
"""

import random

import postgresql_server
import psycopg
import pytest
from test_postgresql_guard import SCHEMA

from spftsql_jax.databases.engines import postgresql
from spftsql_jax.sql import statements

FUNCTIONS = (
  "grab", "pg_advisory_lock", "calm", "owned", "of_row", "later", "many", "anything",
  "pg_try_advisory_lock_shared", "Grab It",
  "GRAB", "user", "select",
)  # fmt: skip
SPACES = ("", " ", "\n", "/**/", "/* ' */", "--x\n", "\t", ' /* /* */ " */ ')
ALIASES = ("t", "x", "named", "has_column", "wide", "current_schema", "s", "o")
RELATIONS = (
  "t", "public.t", "has_column", "wide", "named", "bags", "generate_series(1, 2)",
  "(SELECT 7::bigint AS a)",
  "unnest(ARRAY(SELECT t FROM t))", "current_user", "(VALUES (7::bigint))", '"current_schema"',
  "current_schema", "t *",
  "ONLY t",
  "ONLY (t)", "(t CROSS JOIN has_column)", "LATERAL (SELECT * FROM t)",
  "ROWS FROM (generate_series(1, 2))",
  "generate_series(1, 2) WITH ORDINALITY", "cte", "hiding", "guarded",
)  # fmt: skip
VALUES = (
  "7::bigint", "(7::bigint)", "a", "t", "x", "named", "o", "s", "(t)", "(named)", "(x)", "(x.a)",
  "(t.a)", "(wide.c)",
  "(ARRAY[7::bigint])[1]", "(SELECT 7::bigint)", "(ROW(7::bigint, 'a')::t)", "current_schema",
  '"current_schema"', "has_column",
  "wide", "(a)", "b",
)  # fmt: skip
SIGNS = ("<#>", "OPERATOR(public.<#>)", "+", "-", "*", "=", "OPERATOR(pg_catalog.+)")
CASTS = (
  "{}::checked", "CAST({} AS checked)", "checked '7'", "{}::money_of", "({}::money_of).amount",
  "'(7)'::bag::bigint",
  "ARRAY[{}]::checked[]", "{}::_checked", '{}::public."checked"',
)  # fmt: skip
AROUND = (
  "({})", "CASE WHEN true THEN {} END", "coalesce({})", "(SELECT {})", "ARRAY[{}]", "ROW({})",
  "({})::text", "1 IN ({})",
  "EXISTS (SELECT {})", "'a' || ({})::text",
)  # fmt: skip
PLAIN = ("1", "a", "E'a\\'' ", "$$ ' $$", "'x'", "x.a", "E'a'\n'\\''")
COMMON = (
  "", "", "", "WITH cte AS (SELECT * FROM t) ", "WITH cte(a, b) AS (SELECT 7::bigint, t FROM t) ",
  "WITH named AS (SELECT t FROM t), cte AS (SELECT 1) ", "WITH t AS (SELECT 7::bigint AS a) ",
)  # fmt: skip


def a_name(rng):
  name, draw = rng.choice(FUNCTIONS), rng.random()
  if name in ("Grab It", "GRAB") or draw < 0.2:
    return f'"{name}"'
  if draw < 0.35:
    return name.upper()
  return ("pg_catalog." if name.startswith("pg_") else "public.") + name if draw < 0.4 else name


def an_expression(rng, depth=0):
  draw, value, space = rng.random(), rng.choice(VALUES), rng.choice(SPACES)
  if draw < 0.35:
    return f"{value}{space}.{rng.choice(SPACES)}{a_name(rng)}"
  if draw < 0.6:
    before = rng.choice(("x => ", "VARIADIC ARRAY[")) if rng.random() < 0.15 else ""
    return f"{a_name(rng)}{space}({before}{value}{']' if before.endswith('[') else ''})"
  if draw < 0.66:
    return f"{value} {rng.choice(SIGNS)}{space}{rng.choice(VALUES)}"
  if draw < 0.7:
    return f"@+@-{space}{value}"
  if draw < 0.78:
    return rng.choice(CASTS).format(value)
  if draw < 0.82:
    return f"hoard({value})"
  return (
    rng.choice(AROUND).format(an_expression(rng, depth + 1))
    if draw < 0.92 and depth < 2
    else rng.choice(PLAIN)
  )


def a_table(rng):
  alias = rng.choice(ALIASES)
  return rng.choice(RELATIONS) + rng.choice(
    ("", "", f" {alias}", f" AS {alias}", f" AS {alias}(a)", f" {alias}(a, b)")
  )


def a_statement(rng):
  sql = f"{rng.choice(COMMON)}SELECT {an_expression(rng)}"
  if rng.random() < 0.85:
    sql += " FROM " + rng.choice((", ", " CROSS JOIN ")).join(
      a_table(rng) for _ in range(rng.choice((1, 1, 1, 2)))
    )
  for clause in (" WHERE ({}) IS NOT NULL", " ORDER BY {}", " LIMIT ({})::int"):
    if rng.random() < 0.1:
      sql += clause.format(an_expression(rng))
  return sql


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SCHEMA) as running:
    yield running


def test_no_random_statement_acts_that_is_let_through(server):
  rng = random.Random(0)
  guarded = postgresql.Connection(server.reader, 200_000_000)
  acting, ran, holes = 0, 0, []
  held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
  with psycopg.connect(server.reader) as plain:
    plain.execute("SET statement_timeout = 2000")
    plain.commit()
    plain.read_only = True
    for _ in range(1_500):
      sql = a_statement(rng)
      failed = False
      try:
        plain.execute(sql.encode()).fetchall()
      except psycopg.Error:
        failed = True
      plain.rollback()
      acts = plain.execute(held).fetchall() != [(0,)]
      if acts:
        plain.execute("SELECT pg_advisory_unlock_all()")
      plain.rollback()
      refused = statements.refusal(sql) or guarded._fence.refusal(sql)
      guarded._connection.rollback()
      acting += acts
      ran += not (failed or refused)
      if acts and not refused:
        holes.append(sql)
  guarded.close()
  assert holes == []
  assert acting > 50 and ran > 20, "what is made at random is worth making"
