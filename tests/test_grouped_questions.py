"""Questions over groups: what each kind of group is called, and what a join leaves out."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re

import pytest
from test_questions import LEAGUE, SHOP

from spftsql_jax.questions import english
from spftsql_jax.questions.naming import names_of
from spftsql_jax.questions.plan import MeasureCompare, PartOfDate, PerGroup, RowCount
from spftsql_jax.questions.plan_groups import plan_groups
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery, read_query
from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

_SEEDS = range(40)


def _text(name: str, values: int = 0) -> Column:
  return Column(name, "TEXT", "text", distinct_count=values)


RACES = Schema(
  "races",
  "sqlite",
  (
    Table(
      "race",
      (
        Column("id", "INTEGER", "number"),
        _text("fastest_qualifying"),
        Column("signup_date", "DATE", "date"),
        Column("finish_date", "DATE", "date"),
        Column("driver_id", "INTEGER", "number"),
      ),
      ("id",),
      (ForeignKey(("driver_id",), "driver", ("id",)),),
      row_count=90,
    ),
    # Several drivers share a name.
    Table(
      "driver",
      (Column("id", "INTEGER", "number"), _text("name", 30)),
      ("id",),
      row_count=40,
    ),
  ),
)

_BY_PURCHASE = "FROM customer AS a {} JOIN purchase AS b ON a.id = b.customer_id"
_FINISHED = "STRFTIME('%Y', finish_date)"
_DRIVEN = "FROM driver AS a JOIN race AS b ON a.id = b.driver_id"


def _plan(sql: str, schema: Schema = SHOP) -> PerGroup:
  query = read_query(sql, schema)
  assert isinstance(query, Query)
  return plan_groups(query, names_of(schema))


@pytest.mark.parametrize(
  "schema,sql,said,unsaid",
  [
    # Rows have a name; a name does not have rows.
    (
      SHOP,
      "SELECT name FROM product GROUP BY name HAVING COUNT(*) >= 2",
      "product names? .*(shared by|belong|occur|products have)",
      "with|has|having|names (that )?have",
    ),
    (
      SHOP,
      "SELECT name, SUM(price) FROM product GROUP BY name ORDER BY SUM(price) DESC LIMIT 1",
      "product name",
      "the name",
    ),
    (
      RACES,
      f"SELECT a.name {_DRIVEN} GROUP BY a.name ORDER BY COUNT(*) DESC LIMIT 1",
      "driver name",
      None,
    ),
    # Nobody counts qualifyings.
    (
      RACES,
      "SELECT fastest_qualifying, COUNT(*) FROM race GROUP BY fastest_qualifying",
      "(by|value of) fastest qualifying",
      "(each|every|different) fastest",
    ),
    (
      RACES,
      "SELECT fastest_qualifying FROM race GROUP BY fastest_qualifying HAVING COUNT(*) > 1",
      "values of fastest qualifying",
      "qualifyings",
    ),
    # The year of one date of several.
    (
      RACES,
      f"SELECT {_FINISHED} FROM race GROUP BY {_FINISHED} ORDER BY COUNT(*) DESC LIMIT 1",
      "finish(ing)? year|year of (the )?finish",
      "year of the finish date",
    ),
    # A join leaves out those without any.
    (
      SHOP,
      f"SELECT a.name, COUNT(*) {_BY_PURCHASE.format('')} GROUP BY a.id",
      "purchases",
      "every|all",
    ),
    (
      SHOP,
      f"SELECT a.name {_BY_PURCHASE.format('')} WHERE b.quantity > 5 GROUP BY a.id",
      "5|five",
      None,
    ),
    (
      SHOP,
      f"SELECT a.name {_BY_PURCHASE.format('')} GROUP BY a.id ORDER BY SUM(b.quantity) LIMIT 1",
      "without any",
      None,
    ),
    # So do conditions on the rows.
    (
      SHOP,
      "SELECT category FROM product WHERE price > 20 GROUP BY category HAVING COUNT(*) < 4",
      "at least one but",
      None,
    ),
    # An amount is the most common one; codes and people have rows.
    (
      SHOP,
      "SELECT age FROM employee GROUP BY age ORDER BY COUNT(*) DESC LIMIT 1",
      "most (common|frequent) age|age is the most (common|frequent)",
      "ages? (that )?(has|have|with)",
    ),
    (
      LEAGUE,
      "SELECT major FROM club GROUP BY major HAVING COUNT(*) = 2",
      "majors .*(two|2) clubs",
      None,
    ),
    (
      SHOP,
      "SELECT category FROM product GROUP BY (category) ORDER BY COUNT(*) LIMIT 1",
      "fewest|least|rarest|smallest|lowest",
      None,
    ),
    # What is counted behind another left join.
    (
      SHOP,
      f"SELECT a.name, COUNT(c.id) {_BY_PURCHASE.format('LEFT')} "
      "LEFT JOIN product AS c ON b.product_id = c.id GROUP BY a.id",
      "(with|have) a product",
      None,
    ),
  ],
)
def test_groups_are_called_what_they_are(
  schema: Schema, sql: str, said: str, unsaid: str | None
) -> None:
  for seed in _SEEDS:
    question = write_question(sql, schema, random.Random(seed))
    assert re.search(rf"\b({said})", question, re.I), question
    assert unsaid is None or not re.search(rf"\b({unsaid})\b", question, re.I), question


def test_a_count_that_is_one_for_those_without_any_is_refused() -> None:
  for counted in ("*", "a.id"):
    sql = f"SELECT a.name, COUNT({counted}) {_BY_PURCHASE.format('LEFT')} GROUP BY a.id"
    with pytest.raises(UnsupportedQuery, match="1 for those without any"):
      _plan(sql)


def test_a_plan_says_what_the_groups_are_and_what_is_said_of_them() -> None:
  plan = _plan(
    f"SELECT a.name, COUNT(*) {_BY_PURCHASE.format('')} GROUP BY a.id HAVING COUNT(*) > 2 "
    "ORDER BY COUNT(*) DESC LIMIT 3"
  )
  assert (plan.entity, plan.rows, plan.limit) == ("a", "b", 3)
  assert plan.partial and not plan.optional and not plan.whole
  (having,) = plan.having
  assert isinstance(having, MeasureCompare) and (having.measure, having.operator) == (
    RowCount(),
    ">",
  )
  assert [(order.by, order.descending) for order in plan.order] == [(RowCount(), True)]
  with pytest.raises(dataclasses.FrozenInstanceError):
    plan.limit = None  # type: ignore[misc]


_BOUGHT_FROM = (
  "SELECT b.customer_id, COUNT(*) FROM purchase AS b JOIN product AS c ON b.product_id = c.id "
  "JOIN product_supplier AS d ON d.product_id = c.id JOIN supplier AS e ON d.supplier_id = e.id "
  "WHERE {} GROUP BY b.customer_id"
)


def test_links_to_one_row_multiply_nothing() -> None:
  assert _plan(_BOUGHT_FROM.format("e.name = 'Acme'")).rows == "b"
  for several in ("e.country = 'Chile'", "c.price > 5"):
    with pytest.raises(UnsupportedQuery, match="none is the finest"):
      _plan(_BOUGHT_FROM.format(several))
  for seed in _SEEDS:
    said = write_question(_BOUGHT_FROM.format("e.name = 'Acme'"), SHOP, random.Random(seed))
    assert re.search(r"\bpurchases\b.* products? .*(suppl|vendor).*\bAcme\b", said, re.I), said


def test_a_link_to_one_row_is_no_group_of_pairs() -> None:
  sql = (
    "SELECT c.category, COUNT(*) FROM product_supplier AS d JOIN product AS c ON d.product_id = "
    "c.id JOIN supplier AS e ON d.supplier_id = e.id WHERE e.{} GROUP BY c.category"
  )
  assert _plan(sql.format("name = 'Acme'")).rows == "c"
  assert _plan(sql.format("country = 'Chile'")).rows == "d"


def test_pairs_by_one_end_are_rows_of_the_other() -> None:
  pairs = "FROM product_supplier AS d JOIN product AS c ON d.product_id = c.id"
  sql = f"SELECT d.supplier_id, {{}} {pairs} WHERE c.price > 20 GROUP BY d.supplier_id"
  assert _plan(sql.format("COUNT(*)")).pairs and not _plan(sql.format("AVG(c.price)")).pairs
  for seed in _SEEDS:
    said = write_question(sql.format("COUNT(*)"), SHOP, random.Random(seed))
    assert "supplier id" in said and not re.search("product suppl", said, re.I), said


def test_different_values_are_counted_like_rows() -> None:
  sql = f"SELECT a.name {_BY_PURCHASE.format('')} GROUP BY a.id HAVING COUNT(DISTINCT b.quantity) "
  for seed in _SEEDS:
    said = write_question(f"{sql} > 12", SHOP, random.Random(seed))
    assert re.search(r"\b(12|twelve) (different|distinct|unique) quantities", said), said
    assert "number of" in write_question(f"{sql} < 12", SHOP, random.Random(seed))


def test_a_name_that_rows_share_makes_no_group_of_a_row() -> None:
  assert _plan(f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.name", RACES).entity == ""
  assert _plan(f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.id", RACES).entity == "a"
  (key,) = _plan(f"SELECT COUNT(*) FROM race GROUP BY {_FINISHED}", RACES).keys
  assert isinstance(key, PartOfDate) and key.part == "year"


def test_a_user_s_row_words_groups() -> None:
  row = "[per value: question]\n# Mine.\n9000 | Tally the {rows} by {noun}. | counted\n"
  sql = "SELECT category, COUNT(*) FROM product GROUP BY category"
  said = [write_question(sql, SHOP, random.Random(seed), row) for seed in range(30)]
  assert sum("Tally the products by" in question for question in said) >= 5


_OPERATORS = {"more", "less", "equal", "unequal", "at-least", "at-most", "between"}
_ASKED_FOR = (
  "part of date", "measure", "counted rows", "most rows", "group top", "common", "degree", "zero",
  "or zero", "in group", "each value", "rows of group", "per row: content", "first rows: content",
  "per value: content", "first values: content", "values: content", "first value: content",
)  # fmt: skip


def _comes_up(chosen: set[str], asked: set[str]) -> bool:
  """Whether features go together, as far as guards ask for them."""
  one_operator = len(chosen & _OPERATORS) == 1 or _OPERATORS.isdisjoint(asked)
  one_measure = not {"counted", "measured"} <= chosen
  sorted_by_it = "same" not in chosen or bool(chosen & {"counted", "measured"})
  of_values = not chosen & {"action", "amount"} or chosen & {"values"} == asked & {"values"}
  return one_operator and one_measure and sorted_by_it and of_values


@pytest.mark.parametrize("section", _ASKED_FOR)
def test_whatever_holds_there_is_a_wording(section: str) -> None:
  grammar = english.grammar()
  guards = [either for row in grammar.sections[section] for either in row.guard]
  asked = {feature for either in guards for feature, _ in either}
  for count in range(len(asked) + 1):
    for chosen in map(set, itertools.combinations(sorted(asked), count)):
      assert grammar.has(section, chosen) or not _comes_up(chosen, asked), chosen


@pytest.mark.parametrize(
  "drivers,sql,said",
  [
    (28, f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.id", True),
    (40, f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.id", False),
    (28, f"SELECT a.name, MIN(b.signup_date) {_DRIVEN} GROUP BY a.id", True),
    # Which drivers have such a race, no count of a schema tells.
    (40, f"SELECT a.name, COUNT(*) {_DRIVEN} WHERE b.fastest_qualifying = 'x' GROUP BY a.id", True),
    # Their number says it.
    (28, f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.id HAVING COUNT(*) > 2", False),
    (28, f"SELECT a.name, COUNT(*) {_DRIVEN} GROUP BY a.id ORDER BY COUNT(*) DESC LIMIT 1", False),
  ],
)
def test_each_is_not_said_where_some_rows_have_none(drivers: int, sql: str, said: bool) -> None:
  race, driver = RACES.tables
  driven = dataclasses.replace(race.column("driver_id"), distinct_count=drivers)
  columns = tuple(driven if column.name == "driver_id" else column for column in race.columns)
  schema = dataclasses.replace(RACES, tables=(dataclasses.replace(race, columns=columns), driver))
  told = r"(leaving out|not counting) those without any|(with|having|has|have|had) "
  told += r"(any |at least |a |no fewer|1 or more|one or more|races)"
  for seed in _SEEDS:
    question = write_question(sql, schema, random.Random(seed))
    assert bool(re.search(told, question)) == said, question
