"""Set operations in words: what two halves share is said once, and both are said alike."""

from __future__ import annotations

import random
import re

import pytest
from test_names_in_questions import _key, _table
from test_questions import SHOP

from spftsql_jax.questions.naming import names_of
from spftsql_jax.questions.pairs import noun_pair, verb_pair
from spftsql_jax.questions.plan import Lists, Related, SameRows, Values
from spftsql_jax.questions.plan_sets import plan_set
from spftsql_jax.questions.query_meaning import SetQuery, UnsupportedQuery, read_query
from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Schema

_SEEDS = range(40)
_BOUGHT = (
  "SELECT c.name FROM customer AS c JOIN purchase AS p ON c.id = p.customer_id "
  "JOIN product AS q ON p.product_id = q.id WHERE q.name = '{}'"
)
_MADE = (
  "SELECT q.name FROM product AS q JOIN product_supplier AS l ON q.id = l.product_id "
  "JOIN supplier AS s ON l.supplier_id = s.id WHERE s.country = '{}'"
)


def _questions(sql: str) -> list[str]:
  return [write_question(sql, SHOP, random.Random(seed)) for seed in _SEEDS]


@pytest.mark.parametrize("sql", [_BOUGHT, _MADE])
def test_both_halves_of_an_intersection_are_said_alike(sql: str) -> None:
  """Without their values, nothing but "one", "another" or "others" stands in one half alone."""
  for question in _questions(f"{sql.format('Xa')} INTERSECT {sql.format('Xb')}"):
    assert question.index("Xa") < question.index("Xb"), question
    between = question[question.index("Xa") + 2 : question.index("Xb")]
    said = set(re.findall(r"\w+", question[: question.index("Xa")].lower()))
    new = set(re.findall(r"\w+", between.lower())) - said
    assert new <= {"and", "one", "another", "others", "some", "also"}, question


@pytest.mark.parametrize(
  "sql,never",
  [
    (
      "SELECT category FROM product EXCEPT SELECT category FROM product WHERE price > 50",
      r"categories .* categories|that are not",
    ),
    (
      "SELECT name FROM customer EXCEPT SELECT c.name FROM customer AS c "
      "JOIN purchase AS p ON c.id = p.customer_id",
      r"do(es)?(n't| not) have (any )?(made|at least)|never \w+ at least"
      r"|\ban an?\b|not among those",
    ),
    (
      "SELECT id FROM product WHERE category = 'toys' AND color = 'red' EXCEPT "
      "SELECT id FROM product WHERE price > 50",
      r"(each|every) product (that|which) (has|is)\b.* and (have|are) ",
    ),
  ],
)
def test_what_readers_found_odd_is_not_said(sql: str, never: str) -> None:
  for question in _questions(sql):
    assert not re.search(never, question), question


def test_a_value_of_several_words_is_not_taken_apart() -> None:
  for question in _questions(f"{_BOUGHT.format('Red Chair')} EXCEPT {_BOUGHT.format('Red Sofa')}"):
    assert "Red Chair" in question and "Red Sofa" in question and "\0" not in question


def test_pairs_of_phrases_are_taken_apart() -> None:
  nouns = {"visit", "visits"}
  assert verb_pair("have a visit in May", "have a visit in June", nouns) == (
    {"behind", "one"},
    {"lead": "have", "thing": "a visit", "first": "in May", "second": "in June"},
  )
  assert verb_pair("live in Rome", "live in Oslo", nouns)[1]["lead"] == "live in"
  assert verb_pair("have visits", "live in Oslo", nouns) == (set(), {})
  assert noun_pair("old doctors", "young doctors", "doctors")[0] == {"before"}
  assert noun_pair("doctors over 60", "doctors under 30", "doctors")[1]["second"] == "under 30"


@pytest.mark.parametrize(
  "sql,kind",
  [
    ("SELECT name FROM product UNION SELECT name FROM product WHERE price > 5", SameRows),
    ("SELECT city FROM customer INTERSECT SELECT city FROM customer WHERE gender = 'F'", Values),
    ("SELECT city FROM customer INTERSECT SELECT city FROM store", Values),
    ("SELECT id FROM customer EXCEPT SELECT customer_id FROM purchase", Related),
    ("SELECT customer_id FROM purchase INTERSECT SELECT id FROM customer", Related),
    ("SELECT name FROM customer UNION ALL SELECT name FROM supplier", Lists),
    ("SELECT city FROM customer UNION SELECT country FROM supplier", Lists),
  ],
)
def test_what_is_combined_is_planned_without_words(sql: str, kind: type) -> None:
  query = read_query(sql, SHOP)
  assert isinstance(query, SetQuery)
  assert isinstance(plan_set(query, names_of(SHOP))[0], kind)


def test_a_limit_on_a_set_operation_is_refused_by_the_plan() -> None:
  query = read_query("SELECT name FROM customer UNION SELECT name FROM supplier LIMIT 3", SHOP)
  assert isinstance(query, SetQuery)
  with pytest.raises(UnsupportedQuery, match="LIMIT"):
    plan_set(query, names_of(SHOP))


def test_every_order_of_a_set_operation_is_said() -> None:
  sql = (
    "SELECT name, price FROM product WHERE price > 50 UNION SELECT name, price FROM product "
    "WHERE color = 'red' ORDER BY price, name"
  )
  for question in _questions(sql):
    assert re.search(r"\bby (price|cost)\b.*\bthen by name", question), question


def test_a_join_whose_condition_a_later_one_states_is_worded() -> None:
  sql = (
    "SELECT c.name FROM purchase AS p JOIN customer AS c JOIN product AS q "
    "ON p.customer_id = c.id AND p.product_id = q.id WHERE q.category = 'toys'"
  )
  for question in _questions(sql):
    assert "toys" in question and re.search("customer|client", question, re.I), question


def test_rows_of_two_tables_that_share_a_key_keep_their_names() -> None:
  schema = Schema(
    "accounts",
    "sqlite",
    (
      _table("account: id number, name text"),
      _table("checking: id number, balance number", _key("id", "account")),
      _table("saving: id number, balance number", _key("id", "account")),
    ),
  )
  half = "SELECT a.name FROM account AS a JOIN {} AS b ON a.id = b.id WHERE b.balance {}"
  sql = f"{half.format('checking', '> 9')} INTERSECT {half.format('saving', '< 5')}"
  for seed in _SEEDS:
    assert "saving" in write_question(sql, schema, random.Random(seed))
