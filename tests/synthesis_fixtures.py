"""A small database for the tests of synthesis.

Many-to-many, self-referring and composite keys, dates, NULLs, odd names.
"""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.runner import Runner
from spftsql_jax.synthesis.sampler import Filler
from spftsql_jax.synthesis.stored import StoredValues

SCHEMA = """
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL, continent TEXT);
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE,
  country_code TEXT REFERENCES country (code), mentor_id INTEGER REFERENCES author (id));
CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL, genre TEXT, pages INTEGER,
  price REAL, in_print BOOLEAN, "first edition" DATE);
CREATE TABLE book_author (book_id INTEGER REFERENCES book (id),
  author_id INTEGER REFERENCES author (id), share REAL, PRIMARY KEY (book_id, author_id));
CREATE TABLE shelf (room INTEGER, place INTEGER, label TEXT, PRIMARY KEY (room, place));
CREATE TABLE copy (id INTEGER PRIMARY KEY, book_id INTEGER REFERENCES book (id), room INTEGER,
  place INTEGER, bought DATE, condition TEXT,
  FOREIGN KEY (room, place) REFERENCES shelf (room, place));
CREATE TABLE weather (day DATE, degrees REAL);
"""


def make_database(folder: Path, name: str = "bookshop") -> Path:
  """Writes the database as folder/<name>/<name>.sqlite."""
  rng = random.Random(7)
  path = folder / name / f"{name}.sqlite"
  path.parent.mkdir(parents=True)
  with sqlite3.connect(path) as connection:
    connection.executescript(SCHEMA)
    countries = [
      ("IE", "Ireland", "Europe"),
      ("JP", "Japan", "Asia"),
      ("CL", "Chile", "America"),
      ("FR", "France", "Europe"),
    ]
    connection.executemany("INSERT INTO country VALUES (?, ?, ?)", countries)
    names = [
      "Anne O'Brien",
      "Kenji Mori",
      "Pablo Diaz",
      "Claire Petit",
      "Sean Walsh",
      "Yui Sato",
      "Rosa Vega",
      "Luc Martin",
    ]
    for index in range(24):
      author = (
        index + 1,
        f"{names[index % 8]} {'' if index < 8 else index}".strip(),
        None if index % 7 == 0 else f"{1930 + 2 * index}-{index % 12 + 1:02}-1{index % 9}",
        rng.choice(["IE", "IE", "JP", "CL", "FR", None]),
        rng.randint(1, index) if index and index % 3 else None,
      )
      connection.execute("INSERT INTO author VALUES (?, ?, ?, ?, ?)", author)
    words = ["River", "Night", "Stone", "Garden", "Winter", "Glass", "Harbour", "Letter"]
    for index in range(60):
      book = (
        index + 1,
        (
          f"The {words[index % 8]} {'of' if index % 2 else 'and'} {words[(3 * index + 1) % 8]} "
          f"{index}"
        ),
        rng.choice(["novel", "novel", "poetry", "history", "crime", None]),
        rng.randint(60, 900),
        round(rng.uniform(3, 60), 2),
        rng.randint(0, 1),
        f"{rng.randint(1960, 2023)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
      )
      connection.execute("INSERT INTO book VALUES (?, ?, ?, ?, ?, ?, ?)", book)
      for author_id in sorted(rng.sample(range(1, 21), rng.choice([1, 1, 2]))):
        connection.execute(
          "INSERT INTO book_author VALUES (?, ?, ?)", (index + 1, author_id, round(rng.random(), 2))
        )
    for room in (1, 2, 3):
      for place in range(1, 5):
        connection.execute(
          "INSERT INTO shelf VALUES (?, ?, ?)", (room, place, f"{'ABC'[room - 1]}{place} shelf")
        )
    for index in range(150):
      copy = (
        index + 1,
        rng.randint(1, 50),
        rng.randint(1, 3),
        rng.randint(1, 4),
        f"{rng.randint(2015, 2024)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        rng.choice(["new", "good", "good", "worn"]),
      )
      connection.execute("INSERT INTO copy VALUES (?, ?, ?, ?, ?, ?)", copy)
    for day in range(1, 29):
      connection.execute(
        "INSERT INTO weather VALUES (?, ?)", (f"2024-02-{day:02}", round(rng.uniform(-5, 12), 1))
      )
  connection.close()
  return path


def open_filler(path: Path) -> tuple[Schema, Runner, Filler]:
  """The schema, a runner and a filler of a database."""
  schema = read_schema(str(path))
  runner = Runner(path)
  return schema, runner, Filler(schema, StoredValues.read(runner.rows, schema))
