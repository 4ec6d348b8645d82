"""Another language: the plans in German, and that what a question says is what the query says."""

import pathlib
import random
import re

import pytest
from test_questions import SHOP

from spftsql_jax.questions.german import form, grammar, read_names, write_german
from spftsql_jax.questions.grammar import GrammarError
from spftsql_jax.questions.query_meaning import UnsupportedQuery

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = read_names(pathlib.Path(__file__).with_name("german_shop.txt"))
# Queries that differ from their neighbours in one thing, and words that all their questions hold.
CASES = (
  ("SELECT COUNT(*) FROM product", "Wie viele|Anzahl|Zähle", "Produkte"),
  ("SELECT COUNT(*) FROM customer", "Wie viele|Anzahl|Zähle", "Kunden"),
  ("SELECT COUNT(*) FROM product WHERE price > 20", "über|größer", "20"),
  ("SELECT COUNT(*) FROM product WHERE price >= 20", "mindestens", "20"),
  ("SELECT COUNT(*) FROM product WHERE price < 20", "unter|kleiner", "20"),
  ("SELECT COUNT(*) FROM product WHERE price <= 20", "höchstens", "20"),
  ("SELECT COUNT(*) FROM product WHERE price = 20", "ist", "20"),
  ("SELECT COUNT(*) FROM product WHERE price != 20", "nicht", "20"),
  ("SELECT COUNT(*) FROM product WHERE price > 2.5", "über|größer", "2,5"),
  ("SELECT COUNT(*) FROM product WHERE price BETWEEN 10 AND 25", "zwischen 10 und 25", ""),
  ("SELECT COUNT(*) FROM product WHERE NOT price BETWEEN 10 AND 25", "nicht zwischen", ""),
  ("SELECT COUNT(*) FROM product WHERE price < 5 OR price > 90", "oder", "5.*90"),
  ("SELECT COUNT(DISTINCT category) FROM product", "verschiedene", "Kategorien"),
  ("SELECT COUNT(email) FROM customer", "bekannt", "E-Mail-Adresse"),
  ("SELECT name FROM product", "Produkte", ""),
  ("SELECT name FROM product WHERE name LIKE '%chair%'", "enthält", "chair"),
  ("SELECT name FROM product WHERE name LIKE 'chair%'", "beginnt", "chair"),
  ("SELECT name FROM product WHERE name LIKE '%chair'", "endet", "chair"),
  ("SELECT name FROM product WHERE name NOT LIKE '%chair%'", "nicht enthält", "chair"),
  ("SELECT name FROM product WHERE category IN ('toys', 'games')", "toys“ oder „games", ""),
  ("SELECT name FROM product WHERE category NOT IN ('toys', 'games')", "weder", "noch"),
  ("SELECT name FROM product WHERE is_active = 1", "die aktiv sind", ""),
  ("SELECT name FROM product WHERE is_active = 0", "die nicht aktiv sind", ""),
  ("SELECT name FROM product WHERE category = 'toys' AND price > 20", "toys", "und"),
  ("SELECT name FROM product WHERE category = 'toys' OR price > 20", "toys", "oder"),
  ("SELECT name, price FROM product", "Namen und Preise", ""),
  ("SELECT DISTINCT city FROM customer", "verschiedenen", "Städte"),
  ("SELECT * FROM store WHERE city = 'Boston'", "alle Angaben", "Boston"),
  ("SELECT name FROM customer WHERE city = 'Boston'", "aus|Stadt", "Boston"),
  ("SELECT name FROM customer WHERE city != 'Boston'", "nicht|anders", "Boston"),
  ("SELECT name FROM customer WHERE email IS NULL", "fehlt|nicht bekannt", ""),
  ("SELECT name FROM customer WHERE email IS NOT NULL", "bekannt", ""),
  ("SELECT name FROM customer WHERE birth_date > '1990-02-03'", "nach dem 3.2.1990", ""),
  ("SELECT name FROM store WHERE STRFTIME('%Y', opened) = '2012'", "im Jahr 2012", ""),
  ("SELECT name FROM product ORDER BY price", "sortiert", "aufsteigend"),
  ("SELECT name FROM product ORDER BY price DESC", "sortiert", "absteigend"),
  ("SELECT name FROM product ORDER BY price DESC LIMIT 1", "den höchsten Preis|dem höchsten", ""),
  ("SELECT name FROM product ORDER BY price LIMIT 1", "niedrigsten Preis", ""),
  ("SELECT name FROM product ORDER BY price DESC LIMIT 3", "höchsten Preise", "3"),
  ("SELECT name FROM store ORDER BY opened LIMIT 1", "frühesten? Eröffnungsdatum", "Filiale"),
  ("SELECT name FROM store ORDER BY budget DESC LIMIT 1", "das höchste|dem höchsten", "Budget"),
  ("SELECT first_name, age FROM employee ORDER BY salary DESC LIMIT 1", "Vorname und das A", ""),
  (
    "SELECT name FROM store WHERE city = 'Boston' ORDER BY budget DESC LIMIT 1",
    "unter allen, ",
    "Boston",
  ),
)


def questions(sql, seeds=range(40)):
  return {write_german(sql, SHOP, NAMES, random.Random(seed)) for seed in seeds}


@pytest.mark.parametrize("sql,first,second", CASES, ids=lambda v: v[:70])
def test_every_german_question_says_what_the_query_says(sql, first, second):
  for question in questions(sql):
    assert re.search(first, question) and re.search(second, question), question
    assert re.fullmatch(r"[A-ZÄÖÜ].*[.?]", question) and "  " not in question, question


def test_no_german_question_is_that_of_another_query():
  """So each can be read back to its query: of these, exactly one gives it."""
  asked = {}
  for sql, _, _ in CASES:
    for question in questions(sql):
      assert asked.setdefault(question, sql) == sql, question


def test_every_german_row_comes_up():
  """A row that no query reaches would be a guard that nobody computes."""
  rows = {id(row) for section in grammar().sections.values() for row in section}
  taken = set()
  pick = grammar().pick

  def watched(section, context, rng):
    row = pick(section, context, rng)
    taken.add(id(row))
    return row

  grammar().pick = watched
  try:
    for sql, _, _ in CASES + OTHERS:
      questions(sql, range(60))
  finally:
    del grammar().pick
  left = [
    row for section in grammar().sections.values() for row in section if id(row) in rows - taken
  ]
  assert not left


# For rows that the cases do not reach.
OTHERS = tuple(
  (f"SELECT {what}", "", "")
  for what in (
    "name FROM customer WHERE birth_date < '1990-02-03'",
    "name FROM customer WHERE birth_date >= '1990-02-03'",
    "name FROM customer WHERE birth_date <= '1990-02-03'",
    "name FROM product WHERE name NOT LIKE 'a%'",
    "name FROM product WHERE name NOT LIKE '%a'",
    "name FROM product WHERE name LIKE 'a%b'",
    "name FROM product WHERE name NOT LIKE 'a%b'",
    "name FROM product WHERE name = 'Stuhl'",
    "name FROM store ORDER BY opened DESC LIMIT 1",
    *(f"name FROM store WHERE STRFTIME('%Y', opened) {op} '2012'" for op in ("!=", "<", ">")),
    *(f"name FROM store WHERE STRFTIME('%Y', opened) {op} '2012'" for op in ("<=", ">=")),
    "name, price FROM product ORDER BY price DESC, name",
    "name, price FROM product ORDER BY price, name",
    "price FROM product ORDER BY price DESC LIMIT 1",
  )
)


@pytest.mark.parametrize(
  "sql,reason",
  [
    ("SELECT category, COUNT(*) FROM product GROUP BY category", "groups"),
    ("SELECT AVG(price) FROM product", "aggregates"),
    ("SELECT weight_kg FROM product", "no noun for product.weight_kg"),
    ("SELECT name FROM product WHERE price > (SELECT AVG(price) FROM product)", "a query"),
    (
      "SELECT T1.name FROM store AS T1 JOIN employee AS T2 ON T1.id = T2.store_id",
      "more than one table",
    ),
    ("SELECT name FROM product LIMIT 3 OFFSET 2", "OFFSET"),
  ],
)
def test_what_german_has_no_words_for_is_refused_with_a_reason(sql, reason):
  with pytest.raises(UnsupportedQuery, match=reason):
    write_german(sql, SHOP, NAMES, random.Random(0))


@pytest.mark.parametrize("line", ["a: Arzt, Ärzte", "a: Arzt, Ärzte, x", "a: , Ärzte, m", "a:"])
def test_a_line_that_is_no_noun_is_refused(tmp_path, line):
  path = tmp_path / "nouns.txt"
  path.write_text(f"[tables]\n{line}\n", encoding="utf-8")
  with pytest.raises(GrammarError, match=r"nouns\.txt: a: "):
    read_names(path)


def test_a_form_that_german_lacks_is_an_error():
  with pytest.raises(GrammarError):
    form("Haus", "a")


def test_the_table_of_the_page_holds_what_the_writer_writes():
  page = (ROOT / "docs" / "extending" / "language.md").read_text(encoding="utf-8")
  rows = re.findall(r"^\* - `(SELECT [^`]+)`\n  - (.+(?:\n    .+)*)", page, re.MULTILINE)
  assert len(rows) >= 15
  for sql, question in rows:
    assert " ".join(question.split()) in questions(sql, range(80)), sql
