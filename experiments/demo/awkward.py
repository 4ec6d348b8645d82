"""Makes three awkward demo databases, to try `specialize.py` on: a web shop in SQLite, the star
schema of a bakery chain in DuckDB, and a bike hire in PostgreSQL with two schemas.

    python experiments/demo/awkward.py --output=DIR [--postgresql=URL]

Writes DIR/tea_shop.sqlite and DIR/bakery.duckdb, and DIR/tea_shop.json and DIR/bakery.json:
questions that people might ask, each with its SQL. With --postgresql, the URL of an empty database
in which you may create schemas and roles, it is filled, DIR/bike_share.json is written, and a role
bike_reader is made that may only SELECT. Deterministic: the same rows every time.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

# isort: split
from spftsql_jax.databases.passwords import hide_passwords
from spftsql_jax.files import replacing

_HERE = Path(__file__).resolve().parent
QUESTIONS = _HERE / "questions"


def make_tea_shop(path: Path) -> None:
  """Writes the SQLite database."""
  from demo import tea_shop

  with replacing(path) as unfinished, contextlib.closing(sqlite3.connect(unfinished)) as connection:
    connection.executescript(tea_shop.SCHEMA)
    connection.execute("PRAGMA foreign_keys = ON")
    for table, rows in tea_shop.rows(random.Random("tea_shop")).items():
      marks = ", ".join("?" * len(rows[0]))
      connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
    connection.commit()


def make_bakery(path: Path) -> None:
  """Writes the DuckDB database."""
  import duckdb
  from demo import bakery

  # Its name is a name that queries may write: it is made under it, in a folder of its own.
  unfinished = path.parent / ".unfinished" / path.name
  unfinished.parent.mkdir(exist_ok=True)
  unfinished.unlink(missing_ok=True)
  try:
    with contextlib.closing(duckdb.connect(str(unfinished))) as connection:
      connection.execute(bakery.SCHEMA)
      for table, rows in bakery.rows(random.Random("bakery")).items():
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    unfinished.replace(path)
  finally:
    shutil.rmtree(unfinished.parent, ignore_errors=True)


def make_bike_share(url: str) -> None:
  """Fills an empty PostgreSQL database, and makes the role that may only read it.

  Raises InputError: it cannot be reached, or is not empty.
  """
  import psycopg
  from demo import bike_share

  try:
    with psycopg.connect(url) as connection:
      # All of it or nothing.
      connection.execute(bike_share.SCHEMA.encode())
      for table, rows in bike_share.rows(random.Random("bike_share")).items():
        generated = ", minutes" if table == "bike.ride" else ""
        cursor = connection.execute(f"SELECT * FROM {table} LIMIT 0".encode())
        names = [each.name for each in cursor.description or ()]
        written = ", ".join(f'"{name}"' for name in names if f", {name}" != generated)
        with connection.cursor().copy(f"COPY {table} ({written}) FROM STDIN".encode()) as copy:
          for row in rows:
            copy.write_row(row)
      role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [bike_share.READER])
      if role.fetchone() is None:
        connection.execute(f"CREATE ROLE {bike_share.READER} LOGIN".encode())
      for schema in ("bike", '"Workshop"'):
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {bike_share.READER}".encode())
        grant = f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {bike_share.READER}"
        connection.execute(grant.encode())
      connection.commit()
      connection.autocommit = True
      connection.execute("ANALYZE")
  except psycopg.Error as error:
    raise InputError(
      f"--postgresql: {hide_passwords(' '.join(str(error).split()), url)}"
    ) from error


def make_awkward(output: Path, postgresql: str = "") -> list[Path]:
  """Writes databases and questions into a folder; databases that are there are left as they are.

  Returns:
    The files with questions.
  """
  output.mkdir(parents=True, exist_ok=True)
  makers: dict[str, Callable[[Path], None]] = {
    "tea_shop.sqlite": make_tea_shop,
    "bakery.duckdb": make_bakery,
  }
  for name, make in makers.items():
    if not (output / name).is_file():
      make(output / name)
  if postgresql:
    make_bike_share(postgresql)
  names = ["tea_shop", "bakery", *(["bike_share"] if postgresql else [])]
  return [
    Path(shutil.copyfile(QUESTIONS / f"{name}.json", output / f"{name}.json")) for name in names
  ]


def main() -> None:
  from absl import flags

  questions = make_awkward(Path(flags.FLAGS.output), flags.FLAGS.postgresql or "")
  print(f"{flags.FLAGS.output}: {', '.join(path.stem for path in questions)}, with questions")


if __name__ == "__main__":
  from absl import flags

  flags.DEFINE_string("output", None, "Folder to write into.", required=True)
  flags.DEFINE_string("postgresql", None, "URL of an empty PostgreSQL database to fill.")
  launch(main)
