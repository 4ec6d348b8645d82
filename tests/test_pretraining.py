"""Synthetic databases: valid, never the same twice, and nobody's benchmark."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from shared_data import SPIDER

from spftsql_jax.databases import open_database
from spftsql_jax.pretraining import values
from spftsql_jax.pretraining.build import make_database
from spftsql_jax.pretraining.design import draw_design
from spftsql_jax.pretraining.domains import domains_of, parse_domains, read_domains

ROOT = Path(__file__).parents[1]
MANY = 300


def designs(count):
  return [draw_design(read_domains(), random.Random(f"0:{number}")) for number in range(count)]


def test_every_domain_is_read_and_every_kind_has_values():
  domains = read_domains()
  assert len(domains) >= 70 and len({domain.name for domain in domains}) == len(domains)
  rng = random.Random(0)
  for domain in domains:
    for entity in domain.entities:
      for attribute in entity.attributes:
        assert values.draw_value(attribute, values.Notation(), rng) is not None


@pytest.mark.parametrize(
  ("text", "told"),
  [
    ("entity\n", "d.txt:1: an entity before the first domain"),
    ("domain d\n  name: person\n", "d.txt:2: an attribute before the first entity"),
    ("domain d\ne\n  name person\n", "d.txt:3: `words: kind arguments` is needed"),
    ("domain d\ne\n  > f\n", "refers to 'f', which the domain has 0 times"),
  ],
)
def test_a_domain_that_cannot_be_read_is_named_with_its_line(text, told):
  with pytest.raises(ValueError, match=re.escape(told)):
    parse_domains(text, "d.txt")


def test_databases_hold_what_they_declare(tmp_path):
  for number in range(40):
    path = tmp_path / f"{number}.sqlite"
    design = make_database(path, number)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for table in design.tables:
      (rows,) = connection.execute(f'SELECT COUNT(*) FROM "{table.name}"').fetchone()
      assert rows >= 2, (number, table.name)
    connection.close()


def test_a_schema_is_read_back_with_its_keys_and_comments(tmp_path):
  path = tmp_path / "made.sqlite"
  design = make_database(path, 3)
  with open_database(str(path)) as database:
    tables = {table.name: table for table in database.schema.tables}
  assert set(tables) == {table.name for table in design.tables}
  for table in design.tables:
    read = tables[table.name]
    assert [column.name for column in read.columns] == [column.name for column in table.columns]
    assert len(read.foreign_keys) == len(table.foreign_keys)
    for column, found in zip(table.columns, read.columns, strict=True):
      assert found.comment == (column.words if column.commented else "")


def test_the_same_number_gives_the_same_database_and_others_differ(tmp_path):
  made = []
  for name, number, seed in (("a", 5, 0), ("b", 5, 0), ("c", 6, 0), ("d", 5, 1)):
    make_database(tmp_path / name, number, seed)
    connection = sqlite3.connect(tmp_path / name)
    made.append("\n".join(connection.iterdump()))
    connection.close()
  assert made[0] == made[1]
  assert len(set(made)) == 3


def test_schemas_vary_in_size_in_names_and_in_keys():
  drawn = designs(MANY)
  sizes = Counter(len(design.tables) for design in drawn)
  assert min(sizes) <= 2 and max(sizes) >= 10
  assert len({design.style.case for design in drawn}) >= 5
  tables = [table for design in drawn for table in design.tables]
  assert any(len(table.primary_key) > 1 for table in tables)
  assert any(key.table == table.name for table in tables for key in table.foreign_keys)
  assert any(
    Counter(key.table for key in table.foreign_keys).most_common(1)[0][1] > 1
    for table in tables
    if table.foreign_keys
  )
  # Small schemas of numbered names alone may be the same twice.
  spoken = [design for design in drawn if not design.style.cryptic]
  shapes = {
    tuple((t.name, tuple(c.name for c in t.columns)) for t in design.tables) for design in spoken
  }
  assert len(shapes) == len(spoken) > MANY / 2


def test_keys_refer_to_whole_keys():
  """Of 3,000 databases one had a table that referred to itself by a part of its key."""
  for number in (*range(60), 2665):
    design = draw_design(domains_of(False), random.Random(f"0:{number}"))
    keys = {table.name: table.primary_key for table in design.tables}
    for table in design.tables:
      for key in table.foreign_keys:
        assert len(key.columns) == len(keys[key.table]), (number, table.name)


def words(name):
  return re.sub(r"[\W_]", "", name).lower()


def schema_of(tables):
  return frozenset(map(words, tables))


def test_no_schema_is_that_of_the_demo_databases_or_of_spider():
  made = {schema_of(table.name for table in design.tables) for design in designs(MANY)}
  made = {tables for tables in made if len(tables) > 1}
  sources = list((ROOT / "experiments/demo").glob("*.py"))
  demo = {
    schema_of(re.findall(r"CREATE TABLE (\w+)", path.read_text(encoding="utf-8")))
    for path in sources
  }
  assert len([tables for tables in demo if tables]) == 6
  assert not made & demo
  domains = {domain.name for domain in read_domains()}
  assert not domains & {path.stem.replace("_", " ") for path in sources}
  listed = SPIDER / "tables.json"
  if not listed.is_file():
    pytest.skip("Spider's tables.json is not there")
  spider = {schema_of(db["table_names_original"]) for db in json.loads(listed.read_text())}
  assert not made & spider


def test_the_script_goes_on_where_it_was_cut_off(tmp_path):
  script = [sys.executable, str(ROOT / "experiments/synthetic_databases.py")]
  command = [*script, "--count=3", f"--output={tmp_path}"]
  first = subprocess.run(command, capture_output=True, text=True, check=True)
  assert json.loads(first.stdout)["made"] == 3
  (tmp_path / "synthetic_1/synthetic_1.sqlite").unlink()
  again = subprocess.run(command, capture_output=True, text=True, check=True)
  assert json.loads(again.stdout)["made"] == 1
