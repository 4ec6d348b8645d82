r"""What synthesis costs on a schema of many tables and on a table of many rows.

Both databases are made here, from a seed.

    python experiments/benchmarks/synthesis_scale.py --tables=100 --rows=10000000 \
      --output=scale.json

The wide database has tables of 50 to 300 rows, each with keys to one to three earlier ones. The
tall one is a shop: customers, products, and an order table of --rows rows with indexes on its keys.
Reported: the file's size, seconds to read the schema, to make the neighbouring instances, until the
first example and for all, CPU seconds, attempts and why queries were not kept.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import measuring
import numpy as np
from absl import flags

from spftsql_jax.databases import make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.files import replacing
from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.balance import Balance
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.synthesize import synthesize

_TABLES = flags.DEFINE_integer(
  "tables", 100, "Tables of the wide database; 0 leaves it out.", lower_bound=0
)
_ROWS = flags.DEFINE_integer(
  "rows", 10_000_000, "Rows of the tall database's largest table; 0 leaves it out.", lower_bound=0
)
_NUM_EXAMPLES = flags.DEFINE_integer("num_examples", 300, "Examples on each.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "Worker processes.", lower_bound=1)
_FOLDER = flags.DEFINE_string(
  "folder", None, "Where the databases are made, or are found from an earlier run."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_CHUNK = 200_000  # Rows drawn at once.


def main() -> None:
  report = {}
  with tempfile.TemporaryDirectory() as temporary:
    folder = Path(_FOLDER.value or temporary)
    for name, size, make in (("wide", _TABLES.value, make_wide), ("tall", _ROWS.value, make_tall)):
      if not size:
        continue
      path = folder / f"{name}_{size}.sqlite"
      if not path.is_file():
        with replacing(path) as unfinished:
          with sqlite3.connect(unfinished) as connection:
            make(connection, size)
          connection.close()
      report[path.stem] = measure(path, folder)
      print(json.dumps({path.stem: report[path.stem]}), flush=True)
  Path(_OUTPUT.value).write_text(json.dumps(report, indent=1), encoding="utf-8")


def measure(path: Path, folder: Path) -> dict[str, object]:
  start = time.perf_counter()
  schema = read_schema(str(path))
  read = time.perf_counter()
  make_instances(path, folder / "instances", 2, 0)
  instances = time.perf_counter()
  before = measuring.cpu_seconds()
  first: list[float] = []
  made = synthesize(
    path,
    pool.builtin_templates(),
    SynthesisOptions(
      _NUM_EXAMPLES.value, seed=0, workers=_WORKERS.value, repair=True, balance=Balance(aim="reach")
    ),
    progress=lambda _: first.append(time.perf_counter() - instances),
  )
  columns = {
    f"{table.name}.{column.name}"
    for table in schema.tables
    for column in table.columns
    if column.distinct_count
  }
  return {
    "megabytes": round(path.stat().st_size / 1e6, 1),
    "tables": len(schema.tables),
    "rows": sum(table.row_count for table in schema.tables),
    "schema_seconds": round(read - start, 2),
    "instances_seconds": round(instances - read, 2),
    "first_examples_seconds": round(first[0], 2) if first else None,
    "seconds": round(made.seconds, 2),
    "cpu_seconds": round(measuring.cpu_seconds() - before, 2),
    "examples": len(made.examples),
    "attempts": made.attempts,
    "columns": len(columns),
    "columns_missed": len(
      columns - {column for example in made.examples for column in example.columns}
    ),
    "rejections": dict(made.rejections.most_common(8)),
  }


def make_wide(connection: sqlite3.Connection, tables: int) -> None:
  """Tables named after things and numbered.

  Each has a name, a category, a number, a date and keys to earlier tables.
  """
  rng = random.Random(0)
  things = [
    "plant",
    "depot",
    "crate",
    "truck",
    "route",
    "driver",
    "order",
    "client",
    "invoice",
    "claim",
  ]
  sizes: list[int] = []
  for index in range(tables):
    parents = sorted(rng.sample(range(index), min(index, rng.choice((1, 1, 2, 3)))))
    names = [
      f"{things[number % len(things)]}_{number // len(things)}" for number in (index, *parents)
    ]
    keys = "".join(f", {name}_id INTEGER REFERENCES {name} (id)" for name in names[1:])
    connection.execute(
      f"CREATE TABLE {names[0]} "
      "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT, amount REAL, size INTEGER, since "
      f"DATE{keys})"
    )
    sizes.append(rng.randint(50, 300))
    for row in range(sizes[-1]):
      values = [
        row + 1,
        f"{names[0]} {row}",
        rng.choice("ABCDE"),
        round(rng.uniform(1, 900), 2),
        rng.randint(1, 80),
      ]
      values += [f"{rng.randint(1990, 2024)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"]
      values += [rng.randint(1, sizes[parent]) for parent in parents]
      connection.execute(f"INSERT INTO {names[0]} VALUES ({', '.join('?' * len(values))})", values)


def make_tall(connection: sqlite3.Connection, rows: int) -> None:
  """A shop with `rows` orders."""
  connection.executescript("""
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, joined DATE);
    CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT NOT NULL, category TEXT, price REAL);
    CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id),
      product_id INTEGER REFERENCES product (id), quantity INTEGER, paid REAL, sold_on DATE,
      channel TEXT);
  """)
  rng = random.Random(0)
  cities = ["Graz", "Lyon", "Porto", "Gdansk", "Turku", "Ghent"]
  customers, products = max(10, rows // 1000), max(10, rows // 20_000)
  connection.executemany(
    "INSERT INTO customer VALUES (?, ?, ?, ?)",
    (
      (
        i + 1,
        f"Customer {i}",
        rng.choice(cities),
        f"20{rng.randint(10, 24)}-0{rng.randint(1, 9)}-11",
      )
      for i in range(customers)
    ),
  )
  connection.executemany(
    "INSERT INTO product VALUES (?, ?, ?, ?)",
    (
      (i + 1, f"Product {i}", rng.choice(["toys", "books", "tools"]), round(rng.uniform(1, 90), 2))
      for i in range(products)
    ),
  )
  draws = np.random.default_rng(0)
  days = np.datetime_as_string(np.datetime64("2020-01-01") + np.arange(1800)).tolist()
  for first in range(0, rows, _CHUNK):
    count = min(_CHUNK, rows - first)
    columns = (
      np.arange(first + 1, first + count + 1),
      1 + (draws.random(count) ** 2 * customers).astype(int),  # Some buy much more than others, ...
      # ... and some things sell much better.
      1 + (draws.random(count) ** 3 * products).astype(int),
      1 + draws.geometric(0.4, count),
      np.round(draws.gamma(2.0, 40.0, count), 2),
      [days[i] for i in draws.integers(len(days), size=count)],
      [("web", "shop", "phone")[i] for i in draws.choice(3, count, p=(0.6, 0.3, 0.1))],
    )
    cells = zip(
      *(column if isinstance(column, list) else column.tolist() for column in columns), strict=True
    )
    connection.executemany("INSERT INTO sale VALUES (?, ?, ?, ?, ?, ?, ?)", cells)
  connection.execute("CREATE INDEX sale_customer ON sale (customer_id)")
  connection.execute("CREATE INDEX sale_product ON sale (product_id)")


if __name__ == "__main__":
  launch.launch(main)
