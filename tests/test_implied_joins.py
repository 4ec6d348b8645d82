"""Joins that keys imply: what is left out comes back, and what a model forgets or mixes up is told
by the keys.
"""

from __future__ import annotations

import pytest
from small_schemas import foreign_key, table

from spftsql_jax.examples.name_codes import name_codes
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.schema import Schema

# @t1 author: @c1 id, @c2 name. @t2 wrote: @c3 id, @c4 author_id, @c5 book_id.
# @t3 book: @c6 id, @c7 title, @c8 editor_id. @t4 shop: @c9 id, @c10 city.
SCHEMA = Schema(
  "books",
  "sqlite",
  (
    table("author: id text, name text"),
    table(
      "wrote: id text, author_id text, book_id text",
      foreign_key("author_id", "author"),
      foreign_key("book_id", "book"),
    ),
    table("book: id text, title text, editor_id text", foreign_key("editor_id", "editor")),
    table("shop: id text, city text"),
    table("editor: id text, name text"),
  ),
)
CODES = name_codes(SCHEMA, implied_joins=True)
WROTE = "JOIN wrote ON author.id = wrote.author_id"


@pytest.mark.parametrize(
  ("query", "coded"),
  [
    (
      f"SELECT author.name FROM author {WROTE}",
      "SELECT @c2 FROM @t1 JOIN @t2",
    ),
    (  # A table between two others is on the only shortest way.
      f"SELECT author.name, book.title FROM author {WROTE} JOIN book ON wrote.book_id = book.id",
      "SELECT @c2, @c7 FROM @t1 JOIN @t3",
    ),
    (
      f"SELECT author.name, COUNT(wrote.id) FROM author LEFT {WROTE} GROUP BY author.id",
      "SELECT @c2, COUNT( @c3) FROM @t1 LEFT JOIN @t2 GROUP BY @c1",
    ),
    (  # No key says this.
      "SELECT author.name FROM author JOIN shop ON author.name = shop.city",
      "SELECT @c2 FROM @t1 JOIN @t4 ON @c2 = @c10",
    ),
    (  # Nor that there is no condition at all.
      "SELECT COUNT(*) FROM author JOIN wrote",
      None,
    ),
    (  # Each query by itself.
      f"SELECT title FROM book WHERE title IN (SELECT author.name FROM author {WROTE})",
      "SELECT @c7 FROM @t3 WHERE @c7 IN (SELECT @c2 FROM @t1 JOIN @t2)",
    ),
    (
      f"SELECT author.name FROM author {WROTE} UNION SELECT city FROM shop",
      "SELECT @c2 FROM @t1 JOIN @t2 UNION SELECT @c10 FROM @t4",
    ),
    (  # Tables that are read twice keep all that they say.
      "SELECT a.name FROM author AS a JOIN author AS b ON a.id < b.id",
      "SELECT a. @c2 FROM @t1 AS a JOIN @t1 AS b ON a. @c1 < b. @c1",
    ),
    (
      "SELECT n FROM (SELECT COUNT(*) AS n FROM book GROUP BY editor_id)",
      "SELECT n FROM (SELECT COUNT(*) AS n FROM @t3 GROUP BY @c8)",
    ),
  ],
)
def test_what_is_left_out_comes_back(query, coded):
  found = CODES.coded(query)
  assert coded is None or found == coded
  if coded is not None:
    back = CODES.sql(found)
    assert CODES.coded(back) == found
    assert name_codes(SCHEMA).coded(back) == name_codes(SCHEMA).coded(query)


def test_a_join_without_a_condition_is_not_taken_for_one_by_key():
  assert " JOIN @t2" in CODES.coded("SELECT COUNT(*) FROM author JOIN wrote")


@pytest.mark.parametrize(
  ("written", "sql"),
  [
    (  # A table whose columns are read and that no FROM names.
      "SELECT @c2 FROM @t3 WHERE @c7 = 'x'",
      "SELECT author.name FROM book JOIN wrote ON book.id = wrote.book_id "
      "JOIN author ON wrote.author_id = author.id WHERE book.title = 'x'",
    ),
    ("SELECT @c10 FROM @t1", "SELECT city FROM shop"),
    (  # What is counted is said by its FROM alone.
      "SELECT COUNT(*) FROM @t2 WHERE @c2 = 'x'",
      "SELECT COUNT(*) FROM wrote JOIN author ON wrote.author_id = author.id "
      "WHERE author.name = 'x'",
    ),
    (  # Keys that do not belong together.
      "SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c5",
      f"SELECT author.name FROM author {WROTE}",
    ),
    (  # A condition on tables that are not there.
      "SELECT @c2 FROM @t1 JOIN @t2 ON @c6 = @c5",
      f"SELECT author.name FROM author {WROTE}",
    ),
    (  # The same table again, by no name of its own.
      "SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c4 JOIN @t1 ON @c1 = @c4",
      f"SELECT author.name FROM author {WROTE}",
    ),
    (  # A column of the query around it.
      "SELECT @c2 FROM @t1 WHERE EXISTS (SELECT @c3 FROM @t2 WHERE @c4 = @c1)",
      "SELECT author.name FROM author WHERE EXISTS "
      "(SELECT wrote.id FROM wrote WHERE wrote.author_id = author.id)",
    ),
    (
      "SELECT a. @c2 FROM @t1 AS a WHERE EXISTS (SELECT @c3 FROM @t2 WHERE @c4 = a. @c1)",
      "SELECT a.name FROM author AS a WHERE EXISTS "
      "(SELECT wrote.id FROM wrote WHERE wrote.author_id = a.id)",
    ),
    (  # No key leads there: nothing is made up.
      "SELECT @c2, @c10 FROM @t1",
      "SELECT author.name, shop.city FROM author JOIN shop",
    ),
    ("SELECT @c2 FROM @t1 JOIN", "SELECT name FROM author JOIN"),
    ("SELECT @c2 FROM @t1 JOIN @t9", "SELECT name FROM author JOIN @t9"),
    ("SELECT @c2 FROM (", "SELECT name FROM ("),
    ("SELECT 'FROM @t1 JOIN @t2' FROM @t1", "SELECT 'FROM @t1 JOIN @t2' FROM author"),
  ],
)
def test_the_keys_tell_what_a_model_forgets_or_mixes_up(written, sql):
  assert CODES.sql(written) == sql
  assert name_codes(SCHEMA).sql(written) == sql, "whatever format the model writes"


def test_of_two_keys_between_tables_the_other_one_is_said():
  match = Schema(
    "games",
    "sqlite",
    (
      table("team: id text, name text"),
      table(
        "match: id text, home_id text, guest_id text",
        foreign_key("home_id", "team"),
        foreign_key("guest_id", "team"),
      ),
    ),
  )
  codes = name_codes(match, implied_joins=True)
  home = "SELECT team.name FROM team JOIN match ON team.id = match.home_id"
  guest = home.replace("home_id", "guest_id")
  assert codes.coded(home) == "SELECT @c2 FROM @t1 JOIN @t2"
  assert codes.coded(guest) == "SELECT @c2 FROM @t1 JOIN @t2 ON @c1 = @c5"
  assert codes.sql(codes.coded(home)) == home and codes.sql(codes.coded(guest)) == guest


def test_a_format_leaves_joins_out_of_codes_alone():
  with pytest.raises(ValueError, match="set codes as well"):
    PromptFormat(implied_joins=True)
  assert PromptFormat(codes=True).fingerprint == "ddl-v1-c0b8737a"
