"""Conditions that hold a query: their plans, and what their questions say."""

from __future__ import annotations

import random
import re

import pytest
from test_questions import SHOP, _key, _table

from spftsql_jax.questions.naming import names_of
from spftsql_jax.questions.plan import Against, Alike, Both, Member
from spftsql_jax.questions.plan_conditions import plan_condition
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery, read_query
from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Schema

_SEEDS = range(40)
_COURSES = Schema(
  "courses",
  "sqlite",
  (
    _table("course", "id:number, name:text, credits:number"),
    _table(
      "prereq",
      "course_id:number, prerequisite_id:number",
      _key("course_id", "course"),
      _key("prerequisite_id", "course"),
      primary_key=("course_id", "prerequisite_id"),
    ),
  ),
)


def _questions(sql: str, schema: Schema = SHOP) -> list[str]:
  return [write_question(sql, schema, random.Random(seed)) for seed in _SEEDS]


@pytest.mark.parametrize(
  "where,kind,how",
  [
    ("id IN (SELECT product_id FROM purchase)", Member, "referred"),
    (
      "id IN (SELECT product_id FROM purchase GROUP BY product_id HAVING COUNT(*) > 2)",
      Member,
      "counted",
    ),
    ("id IN (SELECT id FROM product WHERE price > 5)", Member, "rows"),
    ("name IN (SELECT name FROM supplier)", Member, "values"),
    ("price > (SELECT AVG(price) FROM product)", Against, "all"),
    ("price > (SELECT AVG(price) FROM product WHERE color = 'red')", Against, "rows"),
    ("price = (SELECT MIN(DISTINCT price) FROM product)", Against, "all"),
    ("category = (SELECT category FROM product WHERE name = 'x')", Against, "same"),
    ("category IN (SELECT category FROM product ORDER BY price LIMIT 1)", Against, "same"),
    ("price > (SELECT budget FROM store WHERE id = 1)", Against, "value"),
    ("price BETWEEN (SELECT MIN(price) FROM product) AND 9", Both, None),
    (
      "id IN (SELECT product_id FROM purchase INTERSECT SELECT product_id FROM product_supplier)",
      Both,
      None,
    ),
  ],
)
def test_nested_queries_are_planned_without_words(where: str, kind: type, how: str | None) -> None:
  query = read_query(f"SELECT name FROM product WHERE {where}", SHOP)
  assert isinstance(query, Query)
  plan = plan_condition(query, query.conditions[0], "product", names_of(SHOP))
  assert isinstance(plan, kind)
  assert how is None or (isinstance(plan, Member | Against) and plan.how == how)


def test_a_correlated_equality_is_planned_as_such() -> None:
  sql = (
    "SELECT name FROM product AS a WHERE price > (SELECT AVG(price) FROM product AS b "
    "WHERE b.category = a.category AND b.color = 'red')"
  )
  query = read_query(sql, SHOP)
  assert isinstance(query, Query)
  plan = plan_condition(query, query.conditions[0], "a", names_of(SHOP))
  assert isinstance(plan, Against) and plan.how == "value"
  inner = plan.others
  first = plan_condition(inner, inner.conditions[0], "b", names_of(SHOP))
  assert isinstance(first, Alike)


@pytest.mark.parametrize(
  "where,reason",
  [
    ("EXISTS (SELECT 1 FROM purchase)", "refer to the outer query"),
    ("price > (SELECT price FROM product UNION SELECT budget FROM store)", "set operation"),
    ("LOWER(name) IN (SELECT name FROM supplier)", "IN with an expression"),
    ("price NOT BETWEEN (SELECT MIN(price) FROM product) AND 9", "NOT BETWEEN"),
  ],
)
def test_the_plan_refuses_what_has_no_words(where: str, reason: str) -> None:
  query = read_query(f"SELECT name FROM product WHERE {where}", SHOP)
  assert isinstance(query, Query)
  with pytest.raises(UnsupportedQuery, match=reason):
    plan_condition(query, query.conditions[0], "product", names_of(SHOP))


@pytest.mark.parametrize("negated", [False, True])
def test_rows_that_others_call_by_a_role_are_said_to_be_in_it(negated: bool) -> None:
  sql = (
    f"SELECT name FROM course WHERE id {'NOT ' if negated else ''}IN "
    "(SELECT p.prerequisite_id FROM prereq AS p "
    "JOIN course AS c ON p.course_id = c.id WHERE c.name = 'Algebra')"
  )
  for question in _questions(sql, _COURSES):
    assert re.search(r"prerequisites? of the course ['\"]?Algebra", question), question
    assert bool(re.search(r"\bnot |n't ", question)) == negated, question


@pytest.mark.parametrize(
  "sql,said",
  [
    (
      "SELECT name FROM product WHERE color = (SELECT color FROM product WHERE id = 7)",
      r"(same colou?r as|colou?r is the same as that of) the product",
    ),
    (
      "SELECT first_name FROM employee WHERE store_id = "
      "(SELECT id FROM store ORDER BY budget DESC LIMIT 1)",
      r"(in|at|to|of|for) the (store|shop) (with|having|that has|which has|whose)",
    ),
    (
      "SELECT first_name FROM employee WHERE salary >= (SELECT AVG(salary) FROM employee)",
      r"(at least|less than|equal to|below) the (average|mean)",
    ),
  ],
)
def test_what_is_compared_with_a_query_is_said_shortly(sql: str, said: str) -> None:
  for question in _questions(sql):
    assert re.search(said, question), question


def test_membership_in_a_set_operation_is_said_of_the_rows() -> None:
  sql = (
    "SELECT name FROM product WHERE id IN (SELECT product_id FROM purchase WHERE quantity > 5 "
    "EXCEPT SELECT product_id FROM product_supplier)"
  )
  for question in _questions(sql):
    assert not re.search(r"\bids?\b|both they", question), question
    assert re.search(r"\bno\b|\bnot\b|n't|without", question), question


def test_an_extreme_among_the_same_rows_is_said_of_such_rows_and_last() -> None:
  sql = (
    "SELECT name FROM product WHERE price = (SELECT MAX(price) FROM product AS p "
    "WHERE p.category = 'toys') AND category = 'toys'"
  )
  for question in _questions(sql):
    assert question.count("toys") == 1, question
    assert question.index("toys") < question.index("such products"), question


_ARCHIVE = Schema(
  "archive",
  "sqlite",
  (
    _table("employee", "id:number, name:text"),
    _table(
      "record",
      "id:number, title:text, destroyed_by_employee_id:number, seen_by_employee_id:number",
      _key("destroyed_by_employee_id", "employee"),
      _key("seen_by_employee_id", "employee"),
    ),
  ),
)


@pytest.mark.parametrize("how", ["IN", "NOT IN"])
def test_membership_by_one_of_several_keys_that_cannot_be_told_is_refused(how: str) -> None:
  """Neither "employees with records" says which."""
  sql = f"SELECT name FROM employee WHERE id {how} (SELECT destroyed_by_employee_id FROM record)"
  with pytest.raises(UnsupportedQuery, match="several keys"):
    _questions(sql, _ARCHIVE)
