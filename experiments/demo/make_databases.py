"""Makes the demo databases and splits their hand-written questions into seeds and a held-out test.

    python experiments/demo/make_databases.py --output=DIR

Writes DIR/<db_id>/<db_id>.sqlite, DIR/seeds.json and DIR/test.json. Deterministic: the same bytes
every time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import launch

# isort: split
import sqlglot
from sqlglot import exp

from spftsql_jax.files import replacing, write_text

DOMAINS = ("clinic", "library", "festival")
SEED_SHARE = 0.4
_HERE = Path(__file__).resolve().parent


def make_demo(output: Path) -> None:
  """Writes the databases and the two example files into `output`; what is there already is left as
  it is.
  """
  output.mkdir(parents=True, exist_ok=True)
  pairs = []
  for domain in DOMAINS:
    path = output / domain / f"{domain}.sqlite"
    if not path.is_file():
      _make_database(domain, path)
    pairs += json.loads((_HERE / "questions" / f"{domain}.json").read_text(encoding="utf-8"))
  seeds, test = split_by_structure(pairs)
  for name, part in (("seeds", seeds), ("test", test)):
    write_text(output / f"{name}.json", json.dumps(part, indent=1, ensure_ascii=False) + "\n")


def split_by_structure(pairs: list[dict]) -> tuple[list[dict], list[dict]]:
  """(seeds, test): no structure of a query occurs on both sides.

  Groups are dealt largest first to the side that is further below its share, so that both sides
  have common and rare structures alike.
  """
  groups: dict[str, list[dict]] = defaultdict(list)
  for pair in pairs:
    groups[structure(pair["query"])].append(pair)
  seeds: list[dict] = []
  test: list[dict] = []
  for _, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
    # Compare how full each side is, relative to its share.
    side = seeds if len(seeds) / SEED_SHARE <= len(test) / (1 - SEED_SHARE) else test
    side += group
  order = {id(pair): place for place, pair in enumerate(pairs)}
  return sorted(seeds, key=lambda p: order[id(p)]), sorted(test, key=lambda p: order[id(p)])


def structure(query: str) -> str:
  """A query with its columns, tables, aliases and values masked and its joins left out.

  Coarser than a synthesis template (types are masked too), so that nothing of a test query's
  structure is among the seeds.
  """
  tree = sqlglot.parse_one(query, read="sqlite")
  for select in tree.find_all(exp.Select):
    select.set("joins", None)

  def mask(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Column):
      return exp.column("c")
    if isinstance(node, exp.Table):
      return exp.to_table("t")
    if isinstance(node, exp.Alias):
      return node.this
    if isinstance(node, exp.Literal):
      return exp.Literal.string("v")
    return node

  return tree.transform(mask).sql(dialect="sqlite")


def _make_database(domain: str, path: Path) -> None:
  module = importlib.import_module(f"demo.{domain}")
  path.parent.mkdir(parents=True, exist_ok=True)
  with replacing(path) as unfinished, contextlib.closing(sqlite3.connect(unfinished)) as connection:
    connection.executescript(module.SCHEMA)
    connection.execute("PRAGMA foreign_keys = ON")
    for table, rows in module.rows(random.Random(domain)).items():
      marks = ", ".join("?" * len(rows[0]))
      connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    connection.commit()
    connection.execute("VACUUM")


def main() -> None:
  from absl import flags

  make_demo(Path(flags.FLAGS.output))
  print(f"{flags.FLAGS.output}: {', '.join(DOMAINS)}, seeds.json, test.json")


if __name__ == "__main__":
  from absl import flags

  flags.DEFINE_string("output", None, "folder to write into", required=True)
  launch(main)
