"""Views of a schema: tables chosen, columns masked, descriptions; and that all readers keep to
them.
"""

import sqlite3

import duckdb
import pytest

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases.schema_view import (
  WHOLE,
  SchemaView,
  read_view,
  seen_through,
  write_view,
)
from spftsql_jax.examples.prompts import PromptFormat, schema_prompt
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

VIEW = SchemaView(
  exclude=("audit*",),
  masked=("customer.TOWN",),
  descriptions=(("customer", "", "who buys"), ("customer", "name", "as on the  bill")),
  names=(("customer", "", "patron"), ("customer", "AGE", "years of age")),
)


@pytest.fixture
def shop(tmp_path):
  path = tmp_path / "shop.sqlite"
  with sqlite3.connect(path) as db:
    db.executescript(
      "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, town TEXT, age INTEGER);"
      "CREATE TABLE audit_log (id INTEGER PRIMARY KEY, "
      "customer_id INTEGER REFERENCES customer (id), said TEXT);"
    )
    rows = [(i, f"Name{i % 9}", f"Secret{i % 4}", 20 + i % 30) for i in range(60)]
    db.executemany("INSERT INTO customer VALUES (?, ?, ?, ?)", rows)
    db.execute("INSERT INTO audit_log VALUES (1, 1, 'nobody should read this')")
  db.close()
  return str(path)


def test_prompts_see_what_the_view_shows(shop):
  seen = PromptDatabase.read(shop, VIEW)
  [customer] = seen.schema.tables
  assert customer.comment == "who buys"
  assert customer.column("name").comment == "as on the bill"
  assert customer.column("town").masked and not customer.column("town").samples
  assert "Secret" not in repr(seen.schema)
  whole = PromptDatabase.read(shop)
  question = "Who is Secret1, and who is Name3?"
  style = PromptFormat(matched_values=5)

  def values(database):
    return {m.value for m in database.mentions(question, style).values}

  assert values(whole) >= {"Secret1", "Name3"}
  assert values(seen) == {"Name3"}


def test_examples_are_made_of_what_the_view_shows(shop):
  def made(view):
    options = SynthesisOptions(200, seed=1, instances=0, wordings=4, view=view)
    found = synthesize([shop], builtin_templates(), options).examples
    return " ".join(f"{e.example().query} {e.example().question}" for e in found).lower()

  assert "secret" in made(WHOLE) and "audit_log" in made(WHOLE)
  text = made(VIEW)
  assert "customer" in text and "secret" not in text and "audit" not in text
  assert "patrons" in text and "years of age" in text


def test_another_name_begins_a_record_anew(shop, tmp_path):
  """The schema does not show in its repr what tables are called."""

  def made(name):
    view = SchemaView(names=(("customer", "", name),))
    options = SynthesisOptions(20, seed=1, instances=0, view=view, record=tmp_path / "record")
    return [e.question for e in synthesize([shop], builtin_templates(), options).examples]

  first = made("patron")
  assert any("patron" in question for question in first)
  assert any("guest" in question for question in made("guest"))


def test_a_name_is_what_a_question_mentions(shop):
  seen = PromptDatabase.read(shop, VIEW)
  style = PromptFormat(matched_names=3)
  found = seen.mentions("Which patrons are there?", style).names
  assert [name.table for name in found] == ["customer"]


def test_a_view_is_stored_beside_a_model(tmp_path):
  write_view(tmp_path, VIEW)
  assert read_view(tmp_path) == VIEW
  write_view(tmp_path, WHOLE)
  assert read_view(tmp_path) == WHOLE and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  "view, message",
  [
    (SchemaView(include=("gone",)), "no table 'gone' to include; there are audit_log"),
    (SchemaView(exclude=("*",)), "no table is left"),
    (SchemaView(masked=("town",)), "no column 'town'; give it as table.column"),
    (SchemaView(descriptions=(("gone", "", "x"),)), "no table 'gone'"),
    (SchemaView(names=(("customer", "gone", "x"),)), "no column 'customer.gone'"),
  ],
)
def test_a_name_that_is_nothings_is_told(shop, view, message):
  schema = PromptDatabase.read(shop).schema
  with pytest.raises(ValueError, match=message.replace("*", "[*]")):
    seen_through(view, schema)


def test_a_masked_enumeration_does_not_list_its_values(tmp_path):
  path = str(tmp_path / "shop.duckdb")
  with duckdb.connect(path) as db:
    db.execute("CREATE TABLE patient (id INTEGER, ill ENUM('flu', 'it''s, a cold'), old ENUM('x'))")
  seen = PromptDatabase.read(path, SchemaView(masked=("patient.ill",)))
  prompts = [schema_prompt(seen.schema, PromptFormat(style)) for style in ("ddl", "compact")]
  assert not [p for p in prompts if "flu" in p or "cold" in p]
  assert "ill ENUM" in prompts[0] and all("'x'" in prompt for prompt in prompts)
