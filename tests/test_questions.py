"""The question writer: what a question must mention, on many queries and many seeds."""

from __future__ import annotations

import datetime
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot
from shared_data import SPIDER, needs_spider
from sqlglot import exp

from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.words import split_identifier
from spftsql_jax.questions.naming import Noun, names_of
from spftsql_jax.questions.query_meaning import Query, read_query
from spftsql_jax.questions.sentences import (
  UnsupportedQuery,
  joints,
  strain,
  wordings,
  write_question,
)
from spftsql_jax.questions.syntax import own_columns
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

_SEEDS = range(14)
_MONTHS = [datetime.date(2000, month, 1).strftime("%B") for month in range(1, 13)]
_NUMBERS = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
]


def _columns(text: str) -> tuple[Column, ...]:
  """ "name:text, price:number" with samples where they decide how a column is called."""
  samples = {
    "founded": (1990, 2004),
    "is_active": (0, 1),
    "gender": ("F", "M"),
    "pets_allowed_yn": (0, 1),
    "killed": (3, 7),
    "dose": ("5", "10"),
  }
  samples |= {"discount_pct": (0.1, 0.25), "vat_pct": (5.0, 19.0), "season": (2007, 2010)}
  result = []
  for part in text.split(", "):
    name, kind = part.split(":")
    result.append(Column(name, kind.upper(), kind, samples=samples.get(name, ())))
  return tuple(result)


def _key(column: str, table: str) -> ForeignKey:
  return ForeignKey((column,), table, ("id",))


def _table(
  name: str, columns: str, *keys: ForeignKey, primary_key: tuple[str, ...] = ("id",)
) -> Table:
  return Table(name, _columns(columns), primary_key, keys, row_count=100)


SHOP = Schema(
  "shop",
  "sqlite",
  (
    _table("customer", "id:number, name:text, city:text, gender:text, birth_date:date, email:text"),
    _table(
      "product",
      "id:number, name:text, category:text, price:number, weight_kg:number, is_active:number, "
      "color:text, "
      "discount_pct:number, vat_pct:number",
    ),
    _table(
      "purchase",
      "id:number, customer_id:number, product_id:number, purchase_date:date, quantity:number",
      _key("customer_id", "customer"),
      _key("product_id", "product"),
    ),
    _table("supplier", "id:number, name:text, country:text, founded:number"),
    _table(
      "product_supplier",
      "product_id:number, supplier_id:number",
      _key("product_id", "product"),
      _key("supplier_id", "supplier"),
      primary_key=("product_id", "supplier_id"),
    ),
    _table(
      "store", "id:number, name:text, city:text, opened:date, num_employees:number, budget:number"
    ),
    _table(
      "employee",
      "id:number, first_name:text, last_name:text, salary:number, age:number, hired:date, "
      "store_id:number, manager_id:number",
      _key("store_id", "store"),
      _key("manager_id", "employee"),
    ),
  ),
)

LEAGUE = Schema(
  "league",
  "sqlite",
  (
    _table("club", "id:number, name:text, major:number"),
    _table(
      "stadium", "id:number, name:text, area_km_2:number, club_id:number", _key("club_id", "club")
    ),
    _table(
      "game",
      "id:number, name:text, season:number, competition:text, attendance:number, stadium_id:number",
      _key("stadium_id", "stadium"),
    ),
    _table("trainer", "id:number, name:text, club_id:number", _key("club_id", "club")),
  ),
)

_AVERAGE = "average|mean|on average"
_COUNT = "how many|number|count"
_DISTINCT = "different|distinct|unique"
_MOST = "most|highest|largest|greatest|biggest|max|maximum|top"
_LEAST = "fewest|lowest|smallest|least|min|minimum|cheapest|bottom"
_TOTAL = "total|sum|combined"
_EACH = "each|every|per|by|grouped|broken|split"
_NOT = "not|\\w+n't|no|without|never|except|excluding|other|but|outside|different|neither|none|nor"
_DOWN = "descending|decreasing|highest|largest|most|latest|newest|high|reverse|z to a"

# Query, and regular expressions (whole words) each of which must occur in all its wordings.
CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
  ("SELECT name FROM customer", ("customers?|clients?",)),
  ("SELECT name, price FROM product", ("products?", "prices?|costs?")),
  ("SELECT DISTINCT city FROM customer", (_DISTINCT,)),
  ("SELECT first_name, last_name FROM employee", ("employees?|staff|workers?",)),
  ("SELECT id, name FROM store", ("ids?", "names?")),
  ("SELECT * FROM store WHERE city = 'Boston'", ("all|everything|complete|full", "Boston")),
  ("SELECT name FROM customer WHERE city = 'New York'", ("New York",)),
  ("SELECT name FROM customer WHERE city != 'Boston'", (_NOT, "Boston")),
  (
    "SELECT name FROM product WHERE price > 20",
    ("more|over|above|greater|higher|larger|exceeding|bigger|expensive", "20"),
  ),
  ("SELECT name FROM product WHERE price < 20", ("less|under|below|lower|smaller|cheaper",)),
  ("SELECT name FROM product WHERE price >= 20", ("least|less|below|more|higher|greater",)),
  ("SELECT name FROM product WHERE price BETWEEN 10 AND 25", ("between|from", "10", "25")),
  (
    "SELECT last_name FROM employee WHERE age > 30",
    ("older|more|over|above|greater|higher|larger|exceeding|bigger",),
  ),
  (
    "SELECT name FROM product WHERE name LIKE '%chair%'",
    ("contains?|containing|includes?|including|has|have|in", "chair"),
  ),
  ("SELECT name FROM product WHERE name NOT LIKE '%chair%'", (_NOT, "chair")),
  (
    "SELECT name FROM product WHERE name LIKE 'Red%'",
    ("starts?|starting|begins?|beginning", "Red"),
  ),
  ("SELECT name FROM product WHERE name LIKE '%table'", ("ends?|ending", "table")),
  (
    "SELECT name FROM customer WHERE email IS NULL",
    ("no|missing|unknown|without|not|null|empty|lacks?|\\w+n't", "e-?mails?"),
  ),
  (
    "SELECT name FROM customer WHERE email IS NOT NULL",
    ("has|have|with|known|recorded|not|given|available|\\w+n't", "e-?mails?"),
  ),
  ("SELECT name FROM product WHERE category IN ('toys', 'games')", ("toys", "games", "or|and")),
  ("SELECT name FROM product WHERE category NOT IN ('toys', 'games')", ("toys", "games", _NOT)),
  (
    "SELECT name FROM product WHERE category = 'toys' OR category = 'games'",
    ("toys", "games", "or|and"),
  ),
  ("SELECT name FROM product WHERE category = 'toys' OR price > 20", ("toys", "20", "or")),
  (
    "SELECT name FROM product WHERE category = 'toys' AND (price > 20 OR color = 'red')",
    ("toys", "20", "red", "or", "either"),
  ),
  ("SELECT name FROM product WHERE price < 5 OR price > 90", ("5", "90", "or")),
  ("SELECT name FROM product WHERE is_active = 1", ("active",)),
  ("SELECT name FROM product WHERE is_active = 0", ("active", _NOT)),
  ("SELECT name FROM customer WHERE gender = 'F' AND city = 'Boston'", ("female|F", "Boston")),
  (
    "SELECT name FROM supplier WHERE founded > 1995",
    ("founded|founding", "after|later|recent", "1995"),
  ),
  (
    "SELECT first_name FROM employee WHERE hired < '2015-02-03'",
    ("hired?", "before|earlier|prior", "2015-02-03|February 3, 2015|3 February 2015"),
  ),
  ("SELECT name FROM store WHERE STRFTIME('%Y', opened) = '2012'", ("open(ed|ing)", "2012")),
  ("SELECT COUNT(*) FROM purchase WHERE STRFTIME('%m', purchase_date) = '05'", ("May",)),
  ("SELECT COUNT(*) FROM customer", (_COUNT, "customers|clients")),
  ("SELECT COUNT(*) FROM customer WHERE city = 'Boston'", (_COUNT, "Boston")),
  ("SELECT COUNT(DISTINCT city) FROM customer", (_COUNT, _DISTINCT, "cities|towns")),
  ("SELECT AVG(price) FROM product", (_AVERAGE, "prices?|costs?")),
  ("SELECT MAX(price), MIN(price) FROM product", (_MOST, _LEAST, "prices?|costs?")),
  ("SELECT SUM(quantity) FROM purchase WHERE product_id = 7", (_TOTAL, "7")),
  ("SELECT AVG(salary) FROM employee WHERE age > 40", (_AVERAGE, "40")),
  ("SELECT MIN(opened) FROM store", ("earliest|oldest|first", "opening|opened")),
  ("SELECT COUNT(*), AVG(age) FROM employee", (_COUNT, _AVERAGE, "age")),
  ("SELECT ROUND(AVG(price), 2) FROM product", (_AVERAGE, "rounded", "2")),
  ("SELECT MAX(price) - MIN(price) FROM product", ("difference|minus",)),
  (
    "SELECT category, COUNT(*) FROM product GROUP BY category",
    (_EACH, "categor(y|ies)|types?|kinds?", _COUNT),
  ),
  ("SELECT category, AVG(price) FROM product GROUP BY category", (_EACH, _AVERAGE)),
  ("SELECT category, COUNT(*) FROM product WHERE price > 20 GROUP BY category", ("20", _COUNT)),
  ("SELECT category, MIN(price), MAX(price) FROM product GROUP BY category", (_MOST, _LEAST)),
  (
    "SELECT category FROM product GROUP BY category HAVING COUNT(*) > 3",
    ("more|over|multiple", "3|three"),
  ),
  (
    "SELECT category FROM product GROUP BY category HAVING COUNT(*) >= 2",
    ("least|more|fewer|minimum", "2|two"),
  ),
  ("SELECT category FROM product GROUP BY category HAVING AVG(price) > 30", (_AVERAGE, "30")),
  ("SELECT category FROM product GROUP BY category ORDER BY COUNT(*) DESC LIMIT 1", (_MOST,)),
  (
    "SELECT category FROM product GROUP BY category ORDER BY COUNT(*) LIMIT 1",
    (_LEAST + "|rarest",),
  ),
  ("SELECT category, COUNT(*) FROM product GROUP BY category ORDER BY COUNT(*) DESC", (_DOWN,)),
  (
    "SELECT STRFTIME('%Y', purchase_date), COUNT(*) FROM purchase "
    "GROUP BY STRFTIME('%Y', purchase_date)",
    ("years?", _COUNT),
  ),
  (
    "SELECT name FROM product ORDER BY price",
    ("prices?|costs?", "sorted|order(ed)?|arranged|ranked|from|(lowest|smallest) first"),
  ),
  ("SELECT name FROM product ORDER BY price DESC", (_DOWN,)),
  (
    "SELECT name FROM product ORDER BY name",
    ("sorted|order(ed)?|arranged|ranked|alphabetical(ly)?",),
  ),
  ("SELECT name FROM product ORDER BY price DESC LIMIT 1", (_MOST, "prices?|costs?|expensive")),
  ("SELECT name FROM product ORDER BY price LIMIT 3", (_LEAST, "3|three")),
  ("SELECT name FROM customer ORDER BY birth_date LIMIT 1", ("oldest|earliest|first",)),
  (
    "SELECT name, city FROM store ORDER BY num_employees DESC LIMIT 1",
    ("most|highest|largest|greatest", "employees", "cit(y|ies)|towns?"),
  ),
  (
    "SELECT T1.name, T2.name FROM product AS T1 "
    "JOIN product_supplier AS T3 ON T1.id = T3.product_id "
    "JOIN supplier AS T2 ON T3.supplier_id = T2.id",
    ("products?", "suppliers?|vendors?"),
  ),
  (
    "SELECT T1.first_name, T2.name FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id",
    ("first|given|forenames?", "stores?|shops?"),
  ),
  (
    "SELECT T1.name FROM product AS T1 JOIN product_supplier AS T2 ON T1.id = T2.product_id "
    "JOIN supplier AS T3 ON T2.supplier_id = T3.id "
    "WHERE T3.name = 'Acme Corp'",
    ("Acme Corp", "products?"),
  ),
  (
    "SELECT T1.first_name FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id "
    "WHERE T2.city = 'Boston'",
    ("Boston", "stores?|shops?"),
  ),
  (
    "SELECT DISTINCT T1.name FROM customer AS T1 "
    "JOIN purchase AS T2 ON T1.id = T2.customer_id WHERE T2.quantity > 5",
    ("5", _DISTINCT),
  ),
  (
    "SELECT COUNT(*) FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id "
    "WHERE T2.name = 'Main Street'",
    ("Main Street", _COUNT),
  ),
  (
    "SELECT T2.name, COUNT(*) FROM employee AS T1 "
    "JOIN store AS T2 ON T1.store_id = T2.id GROUP BY T2.id",
    (_EACH, "stores?|shops?"),
  ),
  (
    "SELECT T2.name FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id "
    "GROUP BY T2.id HAVING COUNT(*) > 4",
    ("4|four", "more|over"),
  ),
  (
    "SELECT T2.name FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id "
    "GROUP BY T2.id ORDER BY COUNT(*) DESC LIMIT 1",
    (_MOST,),
  ),
  (
    "SELECT T2.name, AVG(T1.salary) FROM employee AS T1 "
    "JOIN store AS T2 ON T1.store_id = T2.id GROUP BY T2.id",
    (_AVERAGE,),
  ),
  (
    "SELECT T2.name, COUNT(*) FROM employee AS T1 JOIN store AS T2 ON T1.store_id = T2.id "
    "WHERE T1.age > 50 GROUP BY T2.id",
    ("50",),
  ),
  (
    "SELECT T2.first_name FROM employee AS T1 JOIN employee AS T2 ON T1.manager_id = T2.id "
    "WHERE T1.first_name = 'Ann'",
    ("Ann", "managers?"),
  ),
  (
    "SELECT name FROM product WHERE price > (SELECT AVG(price) FROM product)",
    ("above|over|more|higher|greater|bigger|larger|exceeding|expensive", _AVERAGE),
  ),
  ("SELECT name FROM product WHERE price = (SELECT MAX(price) FROM product)", (_MOST,)),
  (
    "SELECT name FROM product WHERE price > (SELECT MAX(price) FROM product "
    "WHERE category = 'toys')",
    ("toys", _MOST),
  ),
  ("SELECT name FROM customer WHERE id NOT IN (SELECT customer_id FROM purchase)", (_NOT,)),
  (
    "SELECT name FROM product WHERE id NOT IN (SELECT product_id FROM purchase WHERE quantity > 5)",
    (_NOT, "5"),
  ),
  (
    "SELECT name FROM customer WHERE id IN (SELECT customer_id FROM purchase WHERE quantity > 5)",
    ("5", "purchases?"),
  ),
  (
    "SELECT name FROM customer AS T1 WHERE NOT EXISTS (SELECT 1 FROM purchase AS T2 "
    "WHERE T2.customer_id = T1.id)",
    (_NOT,),
  ),
  (
    "SELECT T1.name FROM product AS T1 WHERE T1.price > "
    "(SELECT AVG(T2.price) FROM product AS T2 WHERE T2.category = T1.category)",
    (_AVERAGE, "same|their", "categor(y|ies)|types?|kinds?"),
  ),
  (
    "SELECT name FROM customer EXCEPT SELECT T1.name FROM customer AS T1 "
    "JOIN purchase AS T2 ON T1.id = T2.customer_id",
    (_NOT,),
  ),
  (
    "SELECT category FROM product WHERE price > 50 INTERSECT SELECT category FROM product "
    "WHERE price < 10",
    ("50", "10", "both|and|shared|also"),
  ),
  (
    "SELECT name FROM product WHERE price > 50 UNION SELECT name FROM product "
    "WHERE category = 'toys'",
    ("50", "toys", "or|as well"),
  ),
  (
    "SELECT name FROM customer UNION SELECT name FROM supplier",
    ("customers?|clients?", "suppliers?|vendors?"),
  ),
  (
    "SELECT name, CASE WHEN price > 30 THEN 'high' ELSE 'low' END FROM product",
    ("30", "high", "low"),
  ),
  (
    "SELECT name, RANK() OVER (PARTITION BY category ORDER BY price DESC) FROM product",
    ("ranks?", "within|inside|separately"),
  ),
  (
    "SELECT COUNT(*) * 100.0 / (SELECT COUNT(*) FROM product) FROM product WHERE category = 'toys'",
    ("percent(age)?", "toys"),
  ),
  (
    "SELECT SUM(CASE WHEN category = 'toys' THEN 1 ELSE 0 END), COUNT(*) FROM product",
    ("toys", _COUNT),
  ),
  (
    "SELECT T1.name FROM store AS T1 LEFT JOIN employee AS T2 ON T1.id = T2.store_id "
    "WHERE T2.id IS NULL",
    (_NOT,),
  ),
)


def _values(sql: str) -> list[tuple[str, ...]]:
  """For every literal that a question must show: the spellings that count."""
  found = []
  for literal in sqlglot.parse_one(sql, dialect="sqlite").find_all(exp.Literal):
    parent, text = literal.parent, literal.this
    if isinstance(parent, (exp.TimeToStr, exp.Round, exp.If, exp.Mul, exp.Select)) or (
      literal.find_ancestor(exp.Limit) and text == "1"
    ):
      continue
    forms = {text, text.strip("%")}
    if text.isdigit():
      forms.add(f"{int(text):,}")
      forms |= {_NUMBERS[int(text)]} if int(text) < 13 else set()
      forms |= {_MONTHS[int(text) - 1]} if len(text) == 2 and 1 <= int(text) <= 12 else set()
    date = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text)
    if date and 1 <= int(date[2]) <= 12:
      month = _MONTHS[int(date[2]) - 1]
      forms |= {f"{month} {int(date[3])}, {date[1]}", f"{int(date[3])} {month} {date[1]}"}
    if text.lower() in ("0", "1", "y", "n", "yes", "no", "t", "f", "m", "true", "false"):
      continue
    found.append(tuple(forms))
  return found


def _spoken(question: str, form: str) -> bool:
  """Whether a value stands in a question, not as a part of another word or number."""
  return bool(re.search(rf"(?<![\w.]){re.escape(form)}(?!\w)", question, re.IGNORECASE)) or (
    not form[:1].isalnum() and form in question
  )


def _missing_columns(sql: str, schema: Schema, question: str) -> list[str]:
  """Returned columns of which neither the name, nor a listed synonym, nor what stands for them
  occurs.
  """
  query = read_query(sql, schema)
  while not isinstance(query, Query):
    query = query.left
  names, lowered, missing = names_of(schema), question.lower(), []
  for item in query.items:
    for column in own_columns(item):
      ref = query.ref(column)
      if isinstance(item, exp.Sum) and item.find(exp.Case):
        continue
      name, table = names.column(ref.table, ref.column), names.table(ref.table)
      nouns = {n for noun in name.nouns + name.short for n in (noun.singular, noun.plural)}
      if name.names_entity or item.find(exp.Count):
        nouns |= {n for noun in table.nouns for n in (noun.singular, noun.plural)}
        nouns |= {
          n.singular
          for k in ref.table.foreign_keys
          for n in names.table(schema.table(k.referred_table)).nouns
        }
      asked = {
        "age": "how old",
        "pay": "earn",
        "price": "how much",
        "height": "how tall",
        "duration": "how long",
        "date": "year",
        "name": "full name",
      }
      nouns |= (
        {words for tag, words in asked.items() if tag in name.tags} | {"month"}
        if "date" in name.tags
        else nouns
      )
      nouns |= {words for tag, words in asked.items() if tag in name.tags}
      # Two name columns side by side are one phrase: "first and last names". An edge of a role is
      # spoken by the role.
      nouns |= {"first and last"} if "name" in name.tags else set()
      nouns |= (
        {"managers", "manager"}
        if any(e.parent == ref.alias and "manager_id" in e.columns for e in query.edges)
        else set()
      )
      if not any(n.lower() in lowered for n in nouns):
        missing.append(column.name)
  return missing


def _word(text: str) -> str:
  return rf"(?<!\w)(?:{text})(?!\w)"


@pytest.mark.parametrize("sql,required", CASES, ids=lambda v: v[:60] if isinstance(v, str) else "")
def test_every_wording_mentions_every_value_and_column_and_the_words_of_its_constructs(
  sql: str, required: tuple[str, ...]
) -> None:
  for seed in _SEEDS:
    question = write_question(sql, SHOP, random.Random(seed))
    for forms in _values(sql):
      assert any(_spoken(question, f) for f in forms), (question, forms)
    assert not _missing_columns(sql, SHOP, question), question
    for pattern in required:
      assert re.search(_word(pattern), question, re.IGNORECASE), (pattern, question)


@pytest.mark.parametrize(
  "sql,never",
  [
    ("SELECT name FROM game WHERE season = 2007", "an? season (of|equal)"),
    ("SELECT name FROM game WHERE season > 2007", "more|greater|higher|larger|over|above"),
    ("SELECT name FROM game WHERE season IN (2007, 2010)", "an? season of"),
    ("SELECT name FROM game WHERE competition = 'Cup'", "a competition of"),
    ("SELECT name FROM game WHERE attendance >= 500", "attendance (at least|no less|500)"),
    ("SELECT name FROM game WHERE attendance > 500", "is exceeding"),
    ("SELECT name FROM club WHERE major = 540", "exactly|equal to|an? major"),
    ("SELECT name FROM stadium WHERE area_km_2 > 5", "km 2"),
    (
      "SELECT COUNT(*) FROM game AS a JOIN stadium AS b ON a.stadium_id = b.id "
      "WHERE b.area_km_2 > 5",
      "are of",
    ),
    (
      "SELECT b.name, COUNT(*) FROM game AS a JOIN stadium AS b ON a.stadium_id = b.id "
      "WHERE a.competition = 'Cup' GROUP BY b.id",
      "of (each|every) stadium",
    ),
    ("SELECT COUNT(DISTINCT competition) FROM game WHERE attendance > 500", "there of"),
    ("SELECT name FROM game GROUP BY name HAVING COUNT(*) > 2", "(the|what|which) names?"),
    ("SELECT COUNT(*) FROM club", "^(list|show|give|tell|find)( me)? (number|count|total)"),
  ],
)
def test_what_readers_found_odd_is_not_said(sql: str, never: str) -> None:
  for seed in _SEEDS:
    question = write_question(sql, LEAGUE, random.Random(seed))
    assert not re.search(rf"\b({never})\b" if never[0] != "^" else never, question, re.I), question


DELIVERIES = Schema(
  "deliveries",
  "sqlite",
  (
    _table("department_stores", "id:number, department_store_name:text, email:text"),
    _table("customers", "id:number, customer_name:text, customer_phone:text"),
    _table("product", "id:number, name:text"),
    _table(
      "supplier",
      "id:number, fastest_loading:text, product_id:number",
      _key("product_id", "product"),
    ),
    _table("addresses", "id:number, city:text"),
    _table(
      "stop",
      "id:number, code:text, pickup_address_id:number",
      _key("pickup_address_id", "addresses"),
    ),
    _table("employees", "id:number, name:text"),
    _table(
      "delivery",
      "id:number, driver_employee_id:number, product_id:number",
      _key("driver_employee_id", "employees"),
      _key("product_id", "product"),
    ),
    _table("follows", "f1:number, f2:number", _key("f1", "customers"), _key("f2", "customers")),
    _table(
      "trip",
      "id:number, code:text, speed_knots:number, from_year:number, day_or_night:text, "
      "src_stop_id:number, dst_stop_id:number, reported_by_employee_id:number, "
      "closed_by_employee_id:number",
      _key("src_stop_id", "stop"),
      _key("dst_stop_id", "stop"),
      _key("reported_by_employee_id", "employees"),
      _key("closed_by_employee_id", "employees"),
    ),
  ),
)


@pytest.mark.parametrize(
  "sql,never",
  [
    ("SELECT department_store_name, email FROM department_stores", "shop|store names? of"),
    ("SELECT customer_name, customer_phone FROM customers", "(?=.*client).*customer"),
    (
      "SELECT COUNT(*) FROM supplier AS a JOIN product AS b ON a.product_id = b.id "
      "WHERE b.name = 'blue jeans'",
      "belong|(?<!the )product .?blue",
    ),
    ("SELECT fastest_loading FROM supplier", "loadings"),
    (
      "SELECT b.city, a.code FROM stop AS a JOIN addresses AS b ON a.pickup_address_id = b.id",
      "address (city|cities)",
    ),
    (
      "SELECT b.name, COUNT(*) FROM delivery AS a JOIN employees AS b "
      "ON a.driver_employee_id = b.id GROUP BY b.id",
      "driver employees?",
    ),
    (
      "SELECT b.code, COUNT(*) FROM trip AS a JOIN stop AS b ON a.src_stop_id = b.id GROUP BY b.id",
      "(?<!source )stops?",
    ),
    ("SELECT AVG(speed_knots) FROM trip", "speed knots|number"),
    ("SELECT from_year FROM trip", "from year"),
    ("SELECT day_or_night FROM trip", "night(?! type)|days"),
    (
      "SELECT a.name, c.name FROM employees AS a JOIN delivery AS b ON b.driver_employee_id = a.id "
      "JOIN product AS c ON b.product_id = c.id WHERE c.name = 'Tea'",
      "their",
    ),
    (
      "SELECT b.name FROM supplier AS a JOIN product AS b ON a.product_id = b.id GROUP BY b.id "
      "HAVING COUNT(*) < 2",
      "fewer|less|at least",
    ),
  ],
)
def test_names_are_not_piled_up(sql: str, never: str) -> None:
  for seed in range(60):
    question = write_question(sql, DELIVERIES, random.Random(seed))
    assert not re.search(rf"\b({never})\b", question, re.I), question


@pytest.mark.parametrize(
  "sql",
  [
    "SELECT b.customer_name FROM follows AS a JOIN customers AS b ON a.f1 = b.id",
    "SELECT a.code FROM trip AS a JOIN employees AS b ON a.reported_by_employee_id = b.id "
    "WHERE b.name = 'Ann'",
  ],
)
def test_keys_whose_names_do_not_tell_them_apart_are_not_asked_about(sql: str) -> None:
  with pytest.raises(UnsupportedQuery, match="names tell nothing"):
    write_question(sql, DELIVERIES, random.Random(0))


@pytest.mark.parametrize(
  "name, said",
  [
    ("date_from", "start date"),
    ("date_supplied_to", "end date"),
    ("date_address_to", "address end date"),
    ("date_became_customer", "date of becoming a customer"),
    ("date_claim_made", "claim date"),
    ("date_claim_settled", "claim settlement date"),
    ("amount_payment", "payment amount"),
    ("amount_paid", "amount paid"),
    ("year_entered_competition", "year of entering the competition"),
    ("percent_change_2007", "percentage change in 2007"),
  ],
)
def test_a_name_becomes_a_noun_phrase(name: str, said: str) -> None:
  table = _table("member", f"id:number, {name}:{'number' if name[-1] == '7' else 'date'}")
  found = names_of(Schema("club", "sqlite", (table,)))
  assert found.column(table, table.columns[1]).short[0].singular == said


@pytest.mark.parametrize(
  "values, called",
  [
    (("Mrs. Hanna Willms", "Lauriane Ferry PhD", "Ona Klein"), True),
    (("owes us a letter", "moved in 2016", "none"), False),
  ],
)
def test_details_that_hold_names_name_their_rows(values: tuple[str, ...], called: bool) -> None:
  details = Column("customer_details", "TEXT", "text", samples=values, distinct_count=50)
  columns = (*_columns("id:number, city:text"), details)
  schema = Schema("club", "sqlite", (Table("customers", columns, ("id",), row_count=50),))
  asked = {
    write_question("SELECT customer_details FROM customers", schema, random.Random(seed))
    for seed in range(20)
  }
  assert any("details" in question for question in asked) is not called
  assert any(re.search("customers|clients|names", question) for question in asked)


def test_rows_that_share_a_parent_with_a_group_are_not_its_own() -> None:
  sql = (
    "SELECT t.name, MAX(s.area_km_2) FROM trainer AS t JOIN club AS c ON t.club_id = c.id "
    "JOIN stadium AS s ON s.club_id = c.id GROUP BY t.id"
  )
  for seed in range(8):
    with pytest.raises(UnsupportedQuery, match="the same parent"):
      write_question(sql, LEAGUE, random.Random(seed))


@pytest.mark.parametrize("sql", [c[0] for c in CASES[:90:7]])
def test_the_same_seed_gives_the_same_question_and_seeds_vary(sql: str) -> None:
  first = [write_question(sql, SHOP, random.Random(seed)) for seed in _SEEDS]
  again = [write_question(sql, SHOP, random.Random(seed)) for seed in _SEEDS]
  assert first == again
  assert len(set(first)) >= 10


@pytest.mark.parametrize("sql", [c[0] for c in CASES])
def test_a_query_that_is_worded_stays_as_it_is(sql: str) -> None:
  tree = sqlglot.parse_one(sql, read=SHOP.dialect)
  for seed in range(4):
    write_question(tree, SHOP, random.Random(seed))
  assert tree == sqlglot.parse_one(sql, read=SHOP.dialect)
  # Equal trees may still have parts that take another one for their parent.
  parents = [(node, child) for node in tree.walk() for child in node.iter_expressions()]
  assert [child for node, child in parents if child.parent is not node] == []


def test_questions_do_not_depend_on_hash_randomization() -> None:
  program = (
    "import random, sys; sys.path.insert(0, 'tests'); from test_questions import CASES, SHOP; "
    "from spftsql_jax.questions.sentences import write_question; "
    "print([write_question(sql, SHOP, random.Random(3)) for sql, _ in CASES])"
  )
  outputs = set()
  for value in ("1", "2"):
    environment = {**os.environ, "PYTHONHASHSEED": value, "PYTHONPATH": "."}
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
      [sys.executable, "-c", program],
      env=environment,
      cwd=root,
      capture_output=True,
      text=True,
      check=True,
    )
    outputs.add(done.stdout)
  assert len(outputs) == 1


def test_wordings_are_distinct_and_as_many_as_asked_for() -> None:
  found = wordings(
    "SELECT name FROM product WHERE price > 20 AND category = 'toys'", SHOP, 40, seed=1
  )
  assert len(found) == len(set(found)) == 40
  assert wordings("SELECT COUNT(*) FROM customer", SHOP, 15, seed=1) == wordings(
    "SELECT COUNT(*) FROM customer", SHOP, 15, seed=1
  )


@pytest.mark.parametrize(
  "sql,reason",
  [
    ("SELECT name FROM nowhere", "no table"),
    ("SELECT nothing FROM product", "unknown column"),
    ("SELECT name FROM product, store", "join without a condition"),
    ("SELECT name FROM product LIMIT 3 OFFSET 2", "OFFSET"),
    ("WITH p AS (SELECT * FROM product) SELECT * FROM p", "WITH"),
    ("DELETE FROM product", "DELETE"),
    ("SELECT name, COUNT(*) FROM product", "without GROUP BY"),
    ("SELECT name, COUNT(*) FROM product GROUP BY category", "neither grouped"),
    ("SELECT FROM WHERE", "does not parse"),
    ("SELECT name, price, price FROM product", "returned twice"),
    ("SELECT price + weight_kg FROM product", "unlike things"),
    ("SELECT name FROM product WHERE price < 5 OR price > 5", "the same value"),
    ("SELECT num_employees FROM store GROUP BY num_employees HAVING COUNT(*) > 1", "which amounts"),
    (
      "SELECT is_active FROM product GROUP BY is_active HAVING COUNT(*) > 1",
      "those with and those without",
    ),
  ],
)
def test_what_cannot_be_worded_raises_with_a_reason(sql: str, reason: str) -> None:
  with pytest.raises(UnsupportedQuery, match=reason):
    write_question(sql, SHOP, random.Random(0))


_OF_BOTH = (
  "FROM product AS a JOIN product_supplier AS b ON b.product_id = a.id JOIN supplier AS c ON "
  "b.supplier_id = c.id JOIN product_supplier AS d ON d.product_id = a.id JOIN supplier AS e ON "
  "d.supplier_id = e.id WHERE e.name = 'Acme'"
)


def test_two_uses_of_a_table_are_told_apart_by_a_name() -> None:
  for seed in range(40):
    said = write_question(
      f"SELECT a.price {_OF_BOTH} AND c.name = 'Bolt'", SHOP, random.Random(seed)
    )
    assert {"Acme", "Bolt"} <= set(re.findall(r"\w+", said)), said
    said = write_question(f"SELECT c.country {_OF_BOTH}", SHOP, random.Random(seed))
    assert re.search(r"(suppliers?|vendors?) .*products? .*\bAcme\b", said, re.I), said
  with pytest.raises(UnsupportedQuery, match="two uses of table supplier"):
    sql = f"SELECT a.price {_OF_BOTH} AND c.country = 'Chile'".replace("e.name", "e.country")
    write_question(sql, SHOP, random.Random(0))


def test_an_order_direction_is_never_lost() -> None:
  for seed in range(60):
    up = write_question("SELECT name FROM store ORDER BY budget LIMIT 1", SHOP, random.Random(seed))
    down = write_question(
      "SELECT name FROM store ORDER BY budget DESC LIMIT 1", SHOP, random.Random(seed)
    )
    assert re.search(_word("lowest|smallest"), up, re.IGNORECASE), up
    assert re.search(_word("highest|largest|biggest"), down, re.IGNORECASE), down


@pytest.mark.parametrize(
  "identifier,words",
  [
    ("customer_id", ("customer", "id")),
    ("InvoiceDate", ("invoice", "date")),
    ("lastname", ("last", "name")),
    ("GDPTotal", ("gdp", "total")),
  ],
)
def test_identifiers_are_split_into_words(identifier: str, words: tuple[str, ...]) -> None:
  from spftsql_jax.columns.vocabulary import LEXICON

  assert split_identifier(identifier, LEXICON) == words


def test_plural_and_singular_of_phrases() -> None:
  assert plural_of("date of birth") == "dates of birth"
  assert plural_of("home city") == "home cities"
  assert plural_of("staff") == "staff"
  assert plural_of("date sold") == "dates sold"
  assert plural_of("boys or girls") == "boys or girls"
  singular = {
    "companies": "company",
    "addresses": "address",
    "status": "status",
    "people": "person",
    "lens": "lens",
    "products for hire": "product for hire",
    "functional areas": "functional area",
    "gas": "gas",
    "boys or girls": "boys or girls",
  }
  assert {word: singular_of(word) for word in singular} == singular


def test_columns_get_the_names_that_people_use() -> None:
  names = names_of(SHOP)

  def short(table: str, column: str) -> str:
    return names.column(SHOP.table(table), SHOP.table(table).column(column)).short[0].singular

  assert short("store", "num_employees") == "number of employees"
  assert short("product", "weight_kg") == "weight in kg"
  assert short("supplier", "founded") == "founding year"
  assert short("purchase", "purchase_date") == "date"
  assert (
    names.column(SHOP.table("product"), SHOP.table("product").column("is_active")).property
    == "active"
  )


def described(name: str, comment: str, *columns: tuple[str, str]) -> Table:
  return Table(
    name, tuple(Column(c, "TEXT", "text", comment=said) for c, said in columns), comment=comment
  )


def test_a_name_that_says_nothing_gives_way_to_its_comment() -> None:
  coded = described(
    "T04",
    "time entry",
    ("C01", "id"),
    ("KNR", "customer number, as in the ledger"),
    ("hired", "first day at the firm"),
    ("C07", ""),
    ("city", "where it was written"),
  )
  schema = Schema("firm", "sqlite", (coded,))
  names = names_of(schema)
  assert names.table(coded).nouns[0] == Noun("time entry", "time entries")
  said = [names.column(coded, column).nouns[0].singular for column in coded.columns]
  assert said == ["id", "customer number", "hired", "c 07", "city"]


@pytest.mark.parametrize(
  "names, said",
  [
    (("app_users", "app_orders", "app_order_items"), ["users", "orders", "order items"]),
    # Two may both be about it, and a table that is called by the word alone is.
    (("order_items", "order_notes"), ["order items", "order notes"]),
    (("order", "order_items", "order_notes"), ["orders", "order items", "order notes"]),
  ],
)
def test_a_word_that_all_tables_begin_with_is_not_said(names, said) -> None:
  tables = tuple(described(name, "", ("id", "")) for name in names)
  found = names_of(Schema("shop", "sqlite", tables))
  assert [found.table(table).nouns[0].plural for table in tables] == said


def test_names_written_as_one_word_or_with_the_table_s_own_are_said_as_people_do() -> None:
  odd = Schema(
    "odd",
    "sqlite",
    (
      _table(
        "country",
        "id:number, GNPOld:number, IndepYear:number, zip_postcode:text, "
        "other_country_details:text, bytes:number",
      ),
      _table("countrylanguage", "id:number, Language:text", _key("id", "country")),
      _table(
        "Treatments",
        "id:number, cost_of_treatment:number, date_of_treatment:date, date_first_registered:date",
      ),
      _table(
        "Prices",
        "id:number, price:number, amount_of_price:number, cost:number, number_of_prices:number",
      ),
      _table("model_list", "id:number, Model:text"),
    ),
  )
  names = names_of(odd)
  assert [names.table(table).nouns[0].plural for table in odd.tables] == [
    "countries", "country languages", "treatments", "prices", "models"]  # fmt: skip

  def short(table: str) -> list[str]:
    return [
      names.column(odd.table(table), column).short[0].singular
      for column in odd.table(table).columns[1:]
    ]

  assert short("country") == [
    "old GNP",
    "independence year",
    "zip code",
    "other information",
    "size in bytes",
  ]
  assert short("Treatments") == ["cost", "date", "first registration date"]
  assert short("model_list") == ["name"]
  assert short("Prices")[1:] == ["amount", "cost", "number of prices"]


def test_names_that_shorten_or_glue_what_they_are_about_are_said_in_full() -> None:
  odd = Schema(
    "odd",
    "sqlite",
    (
      _table("useracct", "id:number, uLogin:text"),
      _table("Customers_Cards", "id:number, date_valid_to:date, town_city:text, gender_mf:text"),
      _table("Student_Tests_Taken", "id:number, line_1:text, date_became_student:date"),
      _table(
        "COURSE", "CRS_CODE:text, CRS_CREDIT:number, CRS_NOTE:text", primary_key=("CRS_CODE",)
      ),
      _table(
        "Video_Games",
        "id:number, GName:text, Hours_Played:number, bikes_available:number, RAM_MiB:number",
      ),
      _table(
        "Plays_Games",
        "id:number, weeks_on_top:number, killed:number, budgeted:number, born_state:text, x:number",
      ),
      _table(
        "camera_lens",
        "id:number, Incorporated_in:text, Number_in_season:number, Level_of_membership:number",
      ),
      _table(
        "All_Staff", "id:number, staff_name:text, 18_49_share:number, datetime_shift_end:date"
      ),
      _table(
        "trust",
        "source_u_id:number, trust:number",
        _key("source_u_id", "useracct"),
        primary_key=("source_u_id",),
      ),
      _table("Member_of_club", "id:number, mID:number", _key("mID", "useracct")),
      _table("course_arrange", "id:number, bronze:number, order_status:text"),
      _table(
        "weekly_weather", "id:number, Asian:number, If_full_time:boolean, pets_allowed_yn:boolean"
      ),
    ),
  )
  names = names_of(odd)
  assert [names.table(table).nouns[0] for table in odd.tables] == [
    Noun("user account", "user accounts"), Noun("customer card", "customer cards"),
    Noun("student test taken", "student tests taken"), Noun("course", "courses"),
    Noun("video game", "video games"), Noun("game play", "game plays"),
    Noun("camera lens", "camera lenses"), Noun("staff member", "staff"), Noun("trust", "trusts"),
    Noun("club member", "club members"), Noun("course arrangement", "course arrangements"),
    Noun("weekly weather record", "weekly weather records"),
  ]  # fmt: skip

  def short(table: str) -> list[str]:
    columns = [column for column in odd.table(table).columns if column.name != "id"]
    return [names.column(odd.table(table), column).short[0].singular for column in columns]

  assert short("Customers_Cards") == ["end date", "city", "gender"]
  assert short("Student_Tests_Taken")[0] == "first address line"
  assert short("COURSE") == ["code", "credit", "note"]
  assert short("Video_Games") == [
    "name",
    "number of hours played",
    "number of bikes available",
    "RAM in MiB",
  ]
  assert short("Plays_Games") == [
    # fmt: skip
    "number of weeks on top",
    "number killed",
    "budgeted amount",
    "state of birth",
    "x coordinate",
  ]
  assert short("camera_lens") == [
    "place of incorporation",
    "number in season",
    "level of membership",
  ]
  assert short("All_Staff") == ["name", "18-49 share", "shift end time"]
  assert short("trust")[1] == "trust value" and short("Member_of_club") == ["user account id"]
  assert short("course_arrange") == ["number of bronze medals", "order status"]
  assert short("weekly_weather")[0] == "asian figure"
  record = odd.table("weekly_weather")
  stated = {"If_full_time": "full time", "pets_allowed_yn": "has pets allowed"}
  assert {name: names.column(record, record.column(name)).property for name in stated} == stated
  # One of a table's own columns has to be named for its dates in the plural.
  assert plural_of("date became student") == "dates became student"
  assert (
    plural_of("dog breed") == "dog breeds" and plural_of("document mailed") == "documents mailed"
  )
  assert (
    plural_of("mailed to address id") == "mailed to address ids"
    and plural_of("invested") == "invested"
  )
  assert plural_of("course author and tutor") == "course authors and tutors"


def test_the_writer_needs_no_jax() -> None:
  program = "import sys, spftsql_jax.questions.sentences; sys.exit('jax' in sys.modules)"
  root = Path(__file__).resolve().parents[1]
  assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


@needs_spider
def test_spider_train_queries_are_worded_with_their_values() -> None:
  from spftsql_jax.databases import open_database

  lines = [
    line.rstrip("\n").split("\t")
    for line in (SPIDER / "train_gold.sql").read_text("utf-8").splitlines()
    if line.strip()
  ]
  chosen = random.Random(5).sample(
    [pair for pair in lines if (SPIDER / "database" / pair[1]).is_dir()], 400
  )
  schemas, worded, faithful = {}, 0, 0
  for i, (sql, db_id) in enumerate(chosen):
    if db_id not in schemas:
      with open_database(SPIDER / "database" / db_id / f"{db_id}.sqlite") as database:
        schemas[db_id] = database.schema
    try:
      question = write_question(sql, schemas[db_id], random.Random(i))
    except UnsupportedQuery:
      continue
    worded += 1
    faithful += all(any(_spoken(question, f) for f in forms) for forms in _values(sql))
  assert worded >= 0.95 * len(chosen)
  assert faithful >= 0.99 * worded


@pytest.mark.parametrize(
  "sql,said,unsaid",
  [
    # What a left join leaves out, and what an inner join leaves out of "the fewest".
    ("SELECT T1.name FROM customer AS T1 LEFT JOIN purchase AS T2 ON T1.id = T2.customer_id "
     "WHERE T2.id IS NULL",
     r"\b(no|without|never|not)\b|n't\b", None),
    ("SELECT T1.name FROM customer AS T1 JOIN purchase AS T2 ON T1.id = T2.customer_id "
     "GROUP BY T1.id "
     "ORDER BY COUNT(*) LIMIT 1", r"at least one|without any", None),
    ("SELECT T1.name FROM customer AS T1 JOIN purchase AS T2 ON T1.id = T2.customer_id "
     "GROUP BY T1.id HAVING COUNT(*) < 4",
     r"at least one", None),
    ("SELECT CAST(SUM(CASE WHEN category = 'toys' THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(*) "
     "FROM product",
     r"percent.*toys", None),
    ("SELECT category, MIN(price), MAX(price) FROM product GROUP BY category", r"categor|kind|type",
     r"(?<!together )(?<!along )\bwith the\b"),
    ("SELECT name FROM product WHERE weight_kg > 4", r"\b4 kg\b|in kg", None),
    ("SELECT name FROM product WHERE weight_kg > 4 AND weight_kg < 9",
     r"4( kg)? and [a-z ]+ 9\b", r"weight.*weight"),
    ("SELECT name FROM store WHERE num_employees > 1", r"1\b|one\b", r"than (1|one) employees"),
    ("SELECT name FROM product WHERE discount_pct > 0.2", r"0\.2\b", r"0\.2 ?%|in percent"),
    ("SELECT name FROM product WHERE vat_pct > 7", r"7 ?%|in percent", None),
    ("SELECT name FROM supplier WHERE founded > 1995 OR founded < 1991", r"1995.*1991", None),
    ("SELECT name, birth_date FROM customer WHERE city = 'Rome'",
     r"Rome", r"^what (are|is) (the |all |all the )?customers"),
  ],
)  # fmt: skip
def test_what_a_query_leaves_out_is_said(sql: str, said: str, unsaid: str | None) -> None:
  for seed in range(60):
    question = write_question(sql, SHOP, random.Random(seed))
    assert re.search(said, question, re.IGNORECASE), question
    assert unsaid is None or not re.search(unsaid, question, re.IGNORECASE), question


PLACES_AND_TIMES = Schema(
  "places_and_times",
  "sqlite",
  (
    _table("happy_hour", "id:number, month:text, seats:number"),
    _table("performance", "id:number, date:text, location:text, host:text"),
    _table("campus", "id:number, name:text, location:text, county:text"),
    _table("address", "id:number, line_1:text, city:text, state:text"),
    _table("nurse", "id:number, name:text, position:text, nationality:text"),
    _table("accelerator", "id:number, name:text, connection:text, client:text"),
    _table("flight", "id:number, destination:text, city_name:text"),
    _table("film", "id:number, title:text, country:text"),
    _table("prescription", "id:number, dose:text"),
  ),
)


@pytest.mark.parametrize(
  "rows,always,never",
  [
    ("happy_hour WHERE month = 'April'", r"\b(in|month is) .?April", "(have|with) .*month"),
    ("happy_hour WHERE month IN ('May', 'June')", r"\bM.* or .?June", "(have|with) .*month"),
    ("happy_hour WHERE month = 'spring'", r"month (is )?.?spring", r"\bin .?spring"),
    ("performance WHERE date = 'February 5'", r"\b(on|of|date is) .?February", "(have|with) "),
    ("performance WHERE date = 'spring'", r"date .*spring", r"\bon .?spring"),
    ("performance WHERE location = 'TD Garden'", r"\b(at|location is) .?TD", "(have|with) "),
    ("performance WHERE location = 'Houston'", r"\b(in|location is) .?Houston", "(have|with) "),
    ("campus WHERE location = 'Chico'", r"location .*Chico", r"\b(in|at) .?Chico"),
    ("address WHERE state = 'Idaho'", r"\b(in|of|state is) .?Idaho", "(have|with) "),
    ("flight WHERE destination = 'Rome'", r"(\bto|destination( is)?) .?Rome", "that ha"),
    ("flight WHERE city_name = 'Rome'", r"\b(in|name is) .?Rome", "(have|with) "),
    ("film WHERE country = 'USA'", r"\b(from the|(country|nation) is) .?USA", "located"),
    ("nurse WHERE nationality = 'Uruguay'", r"(from|ity|ship|is) .?Uruguay", "(who|that) have"),
    ("nurse WHERE nationality = 'French'", "French", r"from .?French"),
    ("nurse WHERE position = 'Head Nurse'", "(as|position( is| of)?) .?Head", "(who|that) ha"),
    ("prescription WHERE dose = '5'", "dose (of|is|equal|.?5)", "the dose .?5"),
  ],
)
def test_a_value_is_said_as_its_kind_of_column_is(rows: str, always: str, never: str) -> None:
  for seed in range(60):
    said = write_question(f"SELECT max(id) FROM {rows}", PLACES_AND_TIMES, random.Random(seed))
    assert re.search(always, said), said
    assert not re.search(never, said), said


def test_two_values_of_a_row_share_a_construction() -> None:
  sql = "SELECT name FROM accelerator WHERE connection = 'Any' AND client = 'user/ISP'"
  for seed in range(60):
    said = write_question(sql, PLACES_AND_TIMES, random.Random(seed))
    assert not re.search(r"\b(having|with .* and with|(that|which) ha.* and ha)\b", said), said
    assert not (re.search(r"\bwith\b", said) and "whose" in said), said


_OF_STORES = "FROM employee AS a JOIN store AS b ON a.store_id = b.id"


@pytest.mark.parametrize(
  "schema, sql, said, never",
  [
    # Lists are asked for in the plural, and sorted in the words that people use.
    (
      SHOP,
      "SELECT city FROM customer ORDER BY birth_date",
      "(cities|towns) of",
      "each|every|sorted on|arranged by|ranked by|from low to high",
    ),
    (SHOP, "SELECT city FROM store ORDER BY city", "in alphabetical order$", "from A to Z"),
    (SHOP, "SELECT name, country FROM supplier", "and", "as well as|together with"),
    (SHOP, "SELECT * FROM supplier", "", "(what is|what's) (all|everything|full)"),
    # Columns of the rows that belong to others, and of those that they belong to.
    (
      SHOP,
      f"SELECT b.name, a.salary {_OF_STORES} WHERE a.age > 50",
      "names of .*50.* and .*(salaries|pay|wages) of those employees",
      "(store|shop) names?",
    ),
    (
      SHOP,
      f"SELECT b.name, a.salary {_OF_STORES}",
      "names of (all |the |all the )?(stores|shops) (and|along with) the .* of their employees",
      "each|every|(store|shop) names?",
    ),
    (SHOP, f"SELECT a.salary, b.name {_OF_STORES}", "names of their (stores|shops)", "their store"),
    (
      SHOP,
      f"SELECT b.name, a.salary {_OF_STORES} ORDER BY a.salary DESC LIMIT 1",
      "name of the (store|shop) (and|along with) the",
      "(store|shop) name",
    ),
    # One name in two columns is one thing.
    (
      SHOP,
      "SELECT b.first_name, b.last_name FROM employee AS a JOIN employee AS b "
      "ON a.manager_id = b.id GROUP BY b.id ORDER BY COUNT(*) DESC LIMIT 1",
      "what is the full name|what's the full name",
      "are the full name",
    ),
    (SHOP, "SELECT SUM(budget) FROM store", "total budget", "sum of|combined"),
    (
      SHOP,
      f"SELECT b.name, COUNT(*) {_OF_STORES} GROUP BY b.id ORDER BY COUNT(*) DESC",
      "by number of employees",
      "order of number",
    ),
    (
      SHOP,
      "SELECT category, COUNT(*) FROM product GROUP BY category",
      "for each (different )?(category|type|kind)",
      "broken down",
    ),
    (SHOP, f"SELECT a.first_name {_OF_STORES} WHERE b.name = 'Hall'", "", "(?<!the )store Hall"),
    (
      SHOP,
      "SELECT COUNT(*) FROM purchase AS a JOIN customer AS b ON a.customer_id = b.id "
      "WHERE b.name = 'Ann'",
      "Ann",
      "have (the )?(customer|client)",
    ),
  ],
)
def test_questions_are_framed_as_people_frame_them(
  schema: Schema, sql: str, said: str, never: str
) -> None:
  questions = [write_question(sql, schema, random.Random(seed)).strip("?.") for seed in range(80)]
  assert any(re.search(said, question, re.I) for question in questions), questions
  for question in questions:
    assert not re.search(rf"\b({never})\b", question, re.I), question


def test_several_columns_are_seldom_asked_for_row_by_row() -> None:
  said = [
    write_question("SELECT name, city FROM store", SHOP, random.Random(s)) for s in range(200)
  ]
  assert sum(bool(re.search("each|every", question)) for question in said) < 30


def test_joints_are_what_parts_of_a_question_hang_on() -> None:
  assert joints("Which are the names of singers with concerts?") == 2
  assert joints("Who sang 'Lord of the Rings, which'?") == 0
  assert joints("What's the age of Bob's dog, whose name isn't 'of with'?") == 2


def test_a_question_is_the_harder_the_more_it_says_again() -> None:
  assert strain("Which singers have a concert?") == 0
  assert strain("What channel has the broadcast share with the lowest share?") == 2
  assert (
    strain("Show those who have more than what they have with more of 'a share of a share'.") == 3
  )
