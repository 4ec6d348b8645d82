"""A run's query log: read with its databases, apart from the test and from masked columns, and its
templates trained on; `specialize` says what it gives.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3

import pytest
import tiny_runs

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases.schema_view import WHOLE, SchemaView
from spftsql_jax.pipeline import starting_model
from spftsql_jax.pipeline.data import read_data
from spftsql_jax.pipeline.specialize.overview import log_lines
from spftsql_jax.pipeline.specialize.settings import Settings, make_config
from spftsql_jax.pipeline.stages.templates import deal_templates, logged_queries
from spftsql_jax.synthesis.synthesize import synthesize

demo = tiny_runs.demo  # a fixture
LOG = """
-- asked last week
SELECT c.name, COUNT(*) FROM purchase p
  JOIN customer c ON p.customer_id = c.id GROUP BY c.name HAVING COUNT(*) > 2;
SELECT name FROM customer WHERE town = 'Delft' AND phone = '06-123';
SELECT name FROM customer WHERE phone = '06-123';
UPDATE customer SET town = 'Gent';
SELECT name FROM customer WHERE town LIKE 'D%' OR town = 'Gent' ORDER BY name LIMIT 3;
"""
MASKED = SchemaView(masked=("customer.phone",))


@pytest.fixture
def shop(tmp_path):
  path = tmp_path / "shop.sqlite"
  with sqlite3.connect(path) as db:
    # The key is not declared: it is inferred.
    db.executescript(
      "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, town TEXT, phone TEXT);"
      "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer_id INTEGER, amount REAL);"
    )
    customers = [(i, f"Ada {i}", ("Delft", "Gent")[i % 2], f"06-{i}") for i in range(40)]
    db.executemany("INSERT INTO customer VALUES (?, ?, ?, ?)", customers)
    db.executemany("INSERT INTO purchase VALUES (?, ?, ?)", [(i, i % 40, i) for i in range(200)])
  db.close()
  (tmp_path / "log.sql").write_text(LOG)
  return path


def test_its_templates_are_half_of_what_is_trained_on(shop):
  settings = Settings(str(shop), view=MASKED, query_log=str(shop.parent / "log.sql"))
  config = make_config(settings)
  data = read_data(config)
  assert len(data.logged) == 2 and data.masked == 2
  assert data.files["data.query_log"] == shop.parent / "log.sql"
  queries = logged_queries(config, data)
  dealt = deal_templates(config, queries)
  own = deal_templates(config, ())
  pool = {item.template for item in (*own.train, *own.self_play, *own.selection)}
  added = [item for item in dealt.train if item.template not in pool]
  assert len(added) == 2 and sum(item.weight for item in added) == pytest.approx(0.5)
  assert not {item.template for item in added} & {
    item.template for item in (*dealt.self_play, *dealt.selection)
  }
  assert "06-123" not in " ".join(item.template.text for item in dealt.train)


def test_specialize_says_what_it_gives(shop):
  said = "\n".join(log_lines(str(shop.parent / "log.sql"), str(shop), MASKED, 0.5))
  assert "2 of 4 queries give 2 templates, by which 50% of the examples are made" in said
  assert "left out, as they name a masked column: 2" in said and "UPDATE 1" in said
  everything = next(iter(log_lines(str(shop.parent / "log.sql"), str(shop), WHOLE, 0.5)))
  assert "4 of 4 queries" in everything


def test_a_log_without_a_template_is_an_error(shop):
  log = shop.parent / "other.sql"
  log.write_text("SELECT gone FROM nowhere;\n")
  with pytest.raises(ValueError, match="none of its 1 queries gives a template"):
    list(log_lines(str(log), str(shop), WHOLE, 0.5))
  log.write_text("SELECT phone FROM customer;\n")
  with pytest.raises(ValueError, match="each names a masked column"):
    list(log_lines(str(log), str(shop), MASKED, 0.5))


def test_rule_worded_examples_are_made_once(shop, monkeypatch):
  config = make_config(Settings(str(shop)))
  data = read_data(config)
  prompts = {"shop": PromptDatabase.read(data.locations["shop"])}
  calls = []

  def counted(*arguments):
    calls.append(arguments)
    return synthesize(*arguments)

  monkeypatch.setattr(starting_model, "synthesize", counted)
  first = starting_model.rule_worded_examples(config, data, prompts, 20)
  assert starting_model.rule_worded_examples(config, data, prompts, 20) == first
  assert len(first) == 20 and len(calls) == 1
  with sqlite3.connect(shop) as db:
    db.execute("UPDATE customer SET town = 'Lyon'")
  db.close()
  assert starting_model.rule_worded_examples(config, data, prompts, 20) != first


def test_a_logged_query_of_the_test_gives_nothing(demo, tmp_path):
  test = json.loads((demo / "test.json").read_text())
  log = tmp_path / "log.json"
  log.write_text(json.dumps([test[0], {**test[1], "query": "SELECT count(*) FROM loan"}]))
  config = tiny_runs.tiny_config(str(demo))
  config = dataclasses.replace(
    config, data=dataclasses.replace(config.data, seeds="", query_log=str(log))
  )
  assert [sql for _, sql in read_data(config).logged] == ["SELECT count(*) FROM loan"]
