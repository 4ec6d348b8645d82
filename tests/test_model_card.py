"""The model card: filled from a run's results, readable by model hubs, and without data."""

from __future__ import annotations

import json

import huggingface_hub
import pytest
from model_cards import block

from spftsql_jax.examples.name_codes import name_codes
from spftsql_jax.pipeline.prompt_example import _candidates
from spftsql_jax.pipeline.result_records import ShownExample
from spftsql_jax.report.model_card import CardModel, model_card
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

SCHEMA = Schema(
  "shop",
  "sqlite",
  (
    Table("customer", (Column("id", "INTEGER", "number"), Column("name", "TEXT", "text"))),
    Table(
      "sale",
      (Column("id", "INTEGER", "number"), Column("customer_id", "INTEGER", "number")),
      foreign_keys=(ForeignKey(("customer_id",), "customer", ("id",)),),
    ),
    Table(
      "refund",
      (Column("id", "INTEGER", "number"), Column("sale_id", "INTEGER", "number")),
      foreign_keys=(ForeignKey(("sale_id",), "sale", ("id",)),),
    ),
  ),
)
MODEL = CardModel("vbi_ft-1", 1_234_567, "qwen2", "bfloat16", "", 64)


def lineage(version, parent, stage, number, opponent=None):
  row = {"version": version, "parent": parent, "opponent": opponent}
  return row | {"stage": stage, "round": number, "selection_ex": 0.5}


def table_row(version, model, ex):
  row = {"version": version, "model": model, "ex": ex, "ci95": [ex - 0.05, ex + 0.05], "n": 324}
  return row | {"split": "test", "executable": 0.9}


@pytest.fixture
def results():
  return {
    "title": 'A "quoted": run',
    "best": "vbi_ft-1",
    "config": {"seed": 7, "data": {"view": {"masked": ["customer.name"]}}},
    "environment": {"python": "3.11", "jax": "0.10.2", "devices": "1 cpu device"},
    "seconds": 360.0,
    "data": {"databases": ["shop", "a`b"], "seeds": 216, "test": 324, "templates": 300},
    "lineage": [
      lineage("base", None, "base", 0),
      lineage("sft", "base", "sft", 0),
      lineage("vbi_ft-1", "sft", "vbi_ft", 1),
      lineage("vbi_ft-2", "vbi_ft-1", "vbi_ft", 2),
      lineage("self_play-1", "vbi_ft-2", "self_play", 1, "vbi_ft-1"),
    ],
    "synthesis": [{"round": 1, "accepted": 3726}, {"round": 2, "accepted": 4000}],
    "table": [
      table_row("base", "base", 0.051),
      table_row("vbi_ft-1", "VBI-FT, round 1", 0.412),
    ],
    "notes": ["Intervals are Wilson's, 95 %."],
  }


def test_it_says_data_stages_and_scores(results):
  card = model_card(results, MODEL)
  assert "216 labelled examples" in card and "round 1: 3,726 examples" in card
  assert "4,000" not in card, "a round that came later"
  assert "1. SFT on seeds\n2. VBI-FT, round 1\n" in card
  assert "| VBI-FT, round 1 | 324 (test) | 41.2 | 36.2 to 46.2 | 90.0 |" in card
  assert "| base | 324 (test) | 5.1 | 0.1 to 10.1 |" in card
  assert "values of 1 columns were masked" in card and "customer.name" not in card
  assert "``a`b``" in card, "no name is Markdown"


def test_hubs_can_read_its_header(results):
  model = CardModel(
    "vbi_ft-1", 1, "qwen2", "bfloat16", "/home/ann/hub/models--Qwen--Qwen2.5/snapshots/x", 64
  )
  text = model_card(results, model)
  data = huggingface_hub.ModelCard(text).data
  assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
  assert data.base_model == "Qwen/Qwen2.5" and "/home/ann" not in text
  [score] = data.eval_results
  assert (score.metric_type, score.metric_value) == ("execution_accuracy", 41.2)
  assert data.model_name == 'A "quoted": run'


def test_of_an_unfinished_run_it_says_what_there_is(results):
  card = model_card({"title": "A run", "lineage": results["lineage"]}, MODEL)
  assert "1. SFT on seeds\n2. VBI-FT, round 1\n" in card and "the run has not ended" in card


def example(question, gold, *, correct=True):
  return ShownExample(
    db_id="shop",
    question=question,
    gold=gold,
    model="vbi_ft-1",
    prediction=gold,
    correct=correct,
    status="ok",
    message="",
    gold_columns=(),
    gold_rows=(),
    gold_row_count=0,
    predicted_columns=(),
    predicted_rows=(),
    predicted_row_count=0,
  )


def test_no_question_with_a_value_is_shown():
  shown = [
    example("Sales of Ann?", "SELECT count(*) FROM sale WHERE name = 'Ann'"),
    example("The first 3 sales", "SELECT id FROM sale LIMIT 3"),
    example("Wrong", "SELECT name FROM sale", correct=False),
    example("All names", "SELECT name FROM customer"),
  ]
  asked = [question for _, question in _candidates(shown, {})]
  assert asked == ["All names", "Wrong"]


@pytest.mark.parametrize(
  "query",
  [
    "SELECT name FROM customer",
    "SELECT count(id) FROM sale",
    "SELECT customer.name FROM customer JOIN sale ON customer.id = sale.customer_id",
    "SELECT name FROM customer WHERE id IN (SELECT customer_id FROM sale)",
    "SELECT customer.name, refund.id FROM customer JOIN sale ON customer.id = sale.customer_id "
    "JOIN refund ON sale.id = refund.sale_id WHERE refund.id > 3",
    "SELECT customer.id, COUNT(sale.id) FROM customer LEFT JOIN sale "
    "ON customer.id = sale.customer_id GROUP BY customer.id",
    "SELECT sale.id FROM sale JOIN customer ON sale.customer_id = customer.id "
    "JOIN refund ON sale.id = refund.sale_id",
    "SELECT sale.id FROM sale JOIN refund ON sale.id = refund.id",
  ],
)
@pytest.mark.parametrize("implied", [False, True])
def test_codes_are_read_as_the_package_reads_them(results, query, implied):
  codes = name_codes(SCHEMA, implied_joins=implied)
  shown = {"db_id": "shop", "question": "?", "schema_text": "x\n", "question_text": "?", "sql": ""}
  written = {code: list(place) for code, place in codes.written.items()}
  links = {"links": dict(codes.links)} if implied else {}
  card = model_card(results | {"prompt_example": shown | {"codes": written} | links}, MODEL)
  code = block(card, "def read_sql")
  names: dict = {}
  exec(code[code.index("import re") :], names)
  assert names["read_sql"](" " + codes.coded(query)) == codes.sql(codes.coded(query))


def test_texts_of_any_kind_stand_in_it_as_they_are(results):
  text = "a \"quote\" '''\n```\n{{ x }}\\ \u2028 end"
  shown = {"db_id": "shop", "question": "a\n# b", "schema_text": text, "question_text": "?"}
  card = model_card(results | {"prompt_example": shown | {"sql": "SELECT 1"}}, MODEL)
  start = card.index("parts = [")
  names: dict = {}
  exec(card[start : card.index("]\n", start) + 2], names)
  assert names["parts"] == [text, "?"] and json.dumps(text)
  assert "# a # b\n" in card
