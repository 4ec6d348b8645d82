"""The rules by which mutants.py calls a mutant equivalent: they apply where they should, and SQLite
agrees.
"""

import contextlib
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments" / "benchmarks"))

import equivalence

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.introspection import read_schema

SHOP = """
CREATE TABLE town (id INTEGER PRIMARY KEY, name TEXT NOT NULL, people INT);
CREATE TABLE shop (id INTEGER PRIMARY KEY, town INT REFERENCES town(id), name TEXT,
  code TEXT UNIQUE, sales INT);
INSERT INTO town VALUES (1, 'Ulm', 5), (2, 'Bonn', NULL), (3, 'Trier', 7);
INSERT INTO shop VALUES (1, 1, 'A', 'x', 3), (2, 1, 'A', 'y', 4), (3, 2, 'B', NULL, 4),
  (4, NULL, 'C', NULL, NULL);
"""
JOIN = "FROM shop s JOIN town t ON s.town = t.id"
LEFT = "FROM shop s LEFT JOIN town t ON s.town = t.id"

EQUAL = [
  ("SELECT COUNT(*) FROM shop", "SELECT COUNT(id) FROM shop"),
  ("SELECT COUNT(*) FROM shop WHERE sales > 3", "SELECT COUNT(sales) FROM shop WHERE sales > 3"),
  ("SELECT COUNT(*) FROM town", "SELECT COUNT(name) FROM town"),
  ("SELECT COUNT(id) FROM shop", "SELECT COUNT(DISTINCT id) FROM shop"),
  ("SELECT id, name FROM shop", "SELECT DISTINCT id, name FROM shop"),
  ("SELECT name FROM shop WHERE id = 3", "SELECT DISTINCT name FROM shop WHERE id = 3"),
  (f"SELECT s.id, t.name {JOIN}", f"SELECT DISTINCT s.id, t.name {JOIN}"),
  (
    "SELECT name FROM shop UNION SELECT name FROM town",
    "SELECT name FROM shop UNION SELECT DISTINCT name FROM town",
  ),
  (f"SELECT s.name {JOIN} WHERE t.people > 1", f"SELECT s.name {LEFT} WHERE t.people > 1"),
  (f"SELECT MAX(t.people) {JOIN}", f"SELECT MAX(t.people) {LEFT}"),
  (
    f"SELECT s.id {JOIN} GROUP BY s.id HAVING COUNT(*) > 1",
    f"SELECT s.id {LEFT} GROUP BY s.id HAVING COUNT(*) > 1",
  ),
  (
    "SELECT name FROM shop WHERE sales = (SELECT 4 LIMIT 1)",
    "SELECT name FROM shop WHERE sales = (SELECT 4 LIMIT 2)",
  ),
  ("SELECT MAX(sales) FROM shop LIMIT 1", "SELECT MAX(sales) FROM shop LIMIT 2"),
]
DIFFERENT = [
  ("SELECT COUNT(*) FROM shop", "SELECT COUNT(sales) FROM shop"),
  (
    "SELECT COUNT(*) FROM shop WHERE sales > 3 OR name = 'A'",
    "SELECT COUNT(sales) FROM shop WHERE sales > 3 OR name = 'A'",
  ),
  (f"SELECT COUNT(*) {LEFT}", f"SELECT COUNT(t.id) {LEFT}"),
  ("SELECT COUNT(sales) FROM shop", "SELECT COUNT(DISTINCT sales) FROM shop"),
  ("SELECT name, sales FROM shop", "SELECT DISTINCT name, sales FROM shop"),
  # A unique column may hold NULL more than once.
  ("SELECT code FROM shop", "SELECT DISTINCT code FROM shop"),
  (
    "SELECT t.name FROM town t JOIN shop s ON s.town = t.id",
    "SELECT DISTINCT t.name FROM town t JOIN shop s ON s.town = t.id",
  ),
  (
    "SELECT name FROM shop ORDER BY sales LIMIT 1",
    "SELECT DISTINCT name FROM shop ORDER BY sales LIMIT 1",
  ),
  (f"SELECT s.name {JOIN}", f"SELECT s.name {LEFT}"),
  (
    f"SELECT s.name {JOIN} WHERE t.people > 1 OR s.sales > 1",
    f"SELECT s.name {LEFT} WHERE t.people > 1 OR s.sales > 1",
  ),
  (f"SELECT COUNT(*) {JOIN}", f"SELECT COUNT(*) {LEFT}"),
  (
    f"SELECT s.id {JOIN} GROUP BY s.id HAVING COUNT(*) > 0",
    f"SELECT s.id {LEFT} GROUP BY s.id HAVING COUNT(*) > 0",
  ),
  (
    "SELECT name FROM shop WHERE sales IN (SELECT 4 LIMIT 1)",
    "SELECT name FROM shop WHERE sales IN (SELECT 4 LIMIT 2)",
  ),
  ("SELECT name FROM shop WHERE sales > 3", "SELECT name FROM shop WHERE sales >= 3"),
]


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
  """The original and instances of it that know all the queries."""
  folder = tmp_path_factory.mktemp("shops")
  with contextlib.closing(sqlite3.connect(folder / "shops.sqlite")) as connection:
    connection.executescript(SHOP)
  return [
    folder / "shops.sqlite",
    *make_instances(folder / "shops.sqlite", folder / "made", 10, 0, [q for q, _ in EQUAL]),
  ]


@pytest.mark.parametrize(("gold", "mutant"), EQUAL)
def test_what_a_rule_calls_equal_gives_the_same_rows_everywhere(shops, gold, mutant):
  assert equivalence.reason(gold, mutant, read_schema(str(shops[0])))
  for place in shops:
    with contextlib.closing(sqlite3.connect(place)) as connection:
      assert Counter(connection.execute(gold)) == Counter(connection.execute(mutant)), place


@pytest.mark.parametrize(("gold", "mutant"), DIFFERENT)
def test_no_rule_calls_different_queries_equal(shops, gold, mutant):
  assert equivalence.reason(gold, mutant, read_schema(str(shops[0]))) is None
