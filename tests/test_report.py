"""The report page: what it shows can be read back, it stands alone, and a real browser draws it
without overlap or error.
"""

from __future__ import annotations

import html
import html.parser
import json
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.amounts import rate
from spftsql_jax.pipeline.stages.baselines import BASELINES
from spftsql_jax.pipeline.stages.evaluation import CANDIDATES
from spftsql_jax.report import drawing, rejection_words
from spftsql_jax.report.page import render_report, write_report
from spftsql_jax.report.render import TEMPLATES
from spftsql_jax.report.stage_names import model_name, stage_name
from spftsql_jax.report.terminal import format_table
from spftsql_jax.synthesis import rejections

CHROMIUM = (
  shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
VOID = {"meta", "input", "br", "img", "link", "hr"}
RTL = "\u202eevil\u2067\u05d0\u05d1\u05d2"
LONG = "x" * 3000
HOSTILE = (
  '<script>window.hacked = 1</script><img src=x onerror="window.hacked=1">"\'&\x00\ud800</style>'
)


class Page(html.parser.HTMLParser):
  """Tags, attributes and texts of a page; raises where an element is closed that is not the
  innermost open one.
  """

  def __init__(self, text: str) -> None:
    super().__init__()
    self.open: list[str] = []
    # The attributes of the open elements; and (tag, attributes, those of the element around it).
    self.around: list[dict[str, str | None]] = [{}]
    self.surrounded: list[tuple[str, dict[str, str | None], dict[str, str | None]]] = []
    self.tags: list[tuple[str, dict[str, str | None]]] = []
    self.texts: list[tuple[str, str]] = []
    self.feed(text)
    self.close()
    assert not self.open, f"never closed: {self.open}"

  def handle_starttag(self, tag, attrs):
    names = [name for name, _ in attrs]
    assert len(names) == len(set(names)), f"an attribute given twice in <{tag}>: {names}"
    self.tags.append((tag, dict(attrs)))
    self.surrounded.append((tag, dict(attrs), self.around[-1]))
    if tag not in VOID:
      self.open.append(tag)
      self.around.append(dict(attrs))

  def handle_startendtag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
    self.open.pop()
    self.around.pop()

  def handle_data(self, data):
    self.texts.append((self.open[-1] if self.open else "", data))

  def text(self) -> str:
    return " ".join(data for tag, data in self.texts if tag not in ("style", "script"))


def make_row(
  model: str, stage: str, round_: int, ex: float, selection_ex: float | None, promoted: bool = True
) -> dict:
  half = 1.96 * math.sqrt(ex * (1 - ex) / 200)
  return {
    "model": model,
    "stage": stage,
    "round": round_,
    "ex": ex,
    "ci95": [max(ex - half, 0.0), min(ex + half, 1.0)],
    "n": 200,
    "executable": 0.5 + ex / 2,
    "selection_ex": selection_ex,
    "by_hardness": {"easy": {"ex": ex, "n": 150}, "extra": {"ex": ex / 2, "n": 50}},
    "version": f"v-{stage}-{round_}",
    "promoted": promoted,
    "seconds": 61.0,
  }


def make_results() -> dict:
  table = [
    make_row("Base", "base", 0, 0.005, None),
    make_row("SFT", "sft", 0, 0.35, 0.40),
    make_row("SPIN, iteration 1", "spin", 1, 0.30, 0.33, promoted=False),
    make_row("SPIN, iteration 2", "spin", 2, 0.21, 0.25, promoted=False),
    make_row("VBI-FT, round 1", "vbi_ft", 1, 0.455, 0.52),
    make_row("VBI-FT, round 2", "vbi_ft", 2, 0.50, 0.57),
    make_row("SPFT-SQL, iteration 1", "self_play", 1, 0.51, 0.60),
    make_row("SPFT-SQL, iteration 2", "self_play", 2, 0.515, 0.58, promoted=False),
    make_row("SFT on the same pairs, as many steps", "control", 1, 0.505, 0.55, promoted=False),
  ]
  parents = {
    "sft": "v-base-0",
    "spin": "v-sft-0",
    "vbi_ft": "v-sft-0",
    "self_play": "v-vbi_ft-2",
    "control": "v-vbi_ft-2",
  }
  lineage = [
    {
      "version": row["version"],
      "parent": f"v-{row['stage']}-1" if row["round"] == 2 else parents.get(row["stage"]),
      "opponent": "v-sft-0" if row["stage"] == "self_play" else None,
      "stage": row["stage"],
      "round": row["round"],
      "selection_ex": row["selection_ex"],
    }
    for row in table
  ]
  synthesis = [
    {
      "round": number,
      "accepted": 1000,
      "rejections": {"empty_result": 300 // number, "duplicate": 120, "tie_under_limit": 7},
      "questions": {"rules": 900, "model": 100, "agreement": None if number == 1 else 0.715},
      "template_errors": [
        {"template": f"SELECT <col> WHERE <col> > {i}", "errors": 12 - i, "total": 20}
        for i in range(10)
      ],
    }
    for number in (1, 2)
  ]
  self_play = [
    {
      "iteration": i,
      "main": "v-vbi_ft-2",
      "opponent": "v-sft-0",
      "pairs": 600,
      "reward_rate": 0.612,
      "accepted": i == 1,
      "reason": "selection EX 60.0 against 57.0" if i == 1 else "selection EX fell",
    }
    for i in (1, 2)
  ]
  examples = [
    {
      "db_id": "library",
      "question": f'How many books did O\'Neil "write" in {1990 + i}?',
      "gold": "SELECT COUNT(*) FROM books WHERE author = 'O''Neil' ORDER BY 1",
      "model": "SFT" if i < 6 else "SPFT-SQL, iteration 1",
      "prediction": "SELECT COUNT(*) FROM books" if i % 3 else "SELECT COUNT(* FROM books",
      "correct": i % 3 == 1,
      "status": "ok" if i % 3 else "error",
      "gold_columns": ["COUNT(*)", "a"],
      "gold_rows": [[i, None]] * (i + 1),
      "predicted_columns": ["COUNT(*)"] if i % 3 else None,
      "predicted_rows": [["x" * 120]] if i % 3 else None,
      "message": "" if i % 3 else "syntax error near FROM",
    }
    for i in range(12)
  ]
  contrasts = [
    {
      "first": "self_play-2",
      "second": "control-2",
      "first_model": "SPFT-SQL, iteration 2",
      "second_model": "SFT on the same pairs, iteration 2",
      "primary": True,
      "difference": -0.031,
      "ci95": [-0.055, -0.008],
      "p": 0.01,
      "p_holm": 0.01,
      "only_first": 12,
      "only_second": 22,
      "n": 324,
      "databases": 3,
      "resampled": "questions",
      "power": 0.231,
      "margin": 0.015,
      "equivalent": False,
      "questions_needed": None,
      "said": "",
    }
  ]
  return {
    "title": "A run",
    "data": {"databases": ["clinic", "library"], "seeds": 216, "test": 200, "templates": 359},
    "config": {"seed": 7, "self_play": {"beta": 0.1}},
    "environment": {"jax": "0.10.2"},
    "seconds": 512.3,
    "peak_memory_bytes": 2254857830,
    "table": table,
    "contrasts": contrasts,
    "solve_rates": [
      {
        "version": "v-vbi_ft-2",
        "questions": 40,
        "samples": 8,
        "k": 8,
        "greedy_ex": 0.4,
        "pass_at_k": 0.625,
        "counts": [15, 3, 2, 2, 2, 2, 2, 4, 8],
      }
    ],
    "lineage": lineage,
    "synthesis": synthesis,
    "self_play": self_play,
    "examples": examples,
    "notes": ["The base model is random."],
  }


def make_metrics() -> list[dict]:
  metrics = [
    {"stage": "sft", "step": s, "loss": 3 * 0.99**s + 1e-3, "gradient_norm": 1.0 + (s == 400) * 90}
    for s in range(600)
  ]
  for iteration in (1, 2):
    for s in range(50):
      line = {
        "stage": f"self_play/iteration_{iteration}",
        "step": s,
        "loss": 0.69 - s / 200,
        "gradient_norm": 1.5,
      }
      line |= {
        "log_prob_positive": -9.0 - s / 50,
        "log_prob_negative": -9.5 - s / 60,
        "margin": s / 30,
      }
      metrics.append(line)
  metrics[-1] |= {"margin": math.nan}
  return metrics


@pytest.fixture(scope="module")
def full_page() -> str:
  return render_report(make_results(), make_metrics())


def test_page_is_well_formed_and_holds_every_section(full_page):
  page = Page(full_page)
  sections = [attrs["id"] for tag, attrs in page.tags if tag == "section" and "id" in attrs]
  # The order of the method, and behind it what serves to look things up.
  method = [
    "data",
    "synthesis",
    "vbi-ft",
    "model-base",
    "headroom",
    "self-play",
    "results",
    "contrasts",
    "rounds",
    "hardness",
    "answers",
  ]
  assert sections == [*method, "training", "run"]
  identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
  assert len(identifiers) == len(set(identifiers))
  links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
  assert all(link.startswith("#") and link[1:] in identifiers for link in links)
  text = page.text()
  for expected in (
    "8 min 32 s",
    "2.1 GiB",
    "The base model is random.",
    "71.5",
    "tie under limit",
    "2 more templates",
    "2: clinic, library",
    "22.5",
  ):
    assert expected in text, expected


def test_page_needs_no_network(full_page):
  page = Page(full_page)
  assert not [
    tag
    for tag, attrs in page.tags
    if tag in ("link", "img", "iframe", "object") or {"src", "xlink:href"} & attrs.keys()
  ]
  assert (
    "url(" not in full_page
    and "@import" not in full_page
    and "http" not in full_page.replace("http-equiv", "")
  )


def test_only_the_table_is_needed():
  table = [{"model": "Base", "stage": "base", "round": 0, "ex": 0.25, "ci95": [0.2, 0.3], "n": 40}]
  page = Page(render_report({"table": table}, []))
  assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == ["results"]
  assert "25.0" in page.text()
  Page(render_report({"table": []}, []))
  Page(
    render_report(
      {"table": [{"model": "Base", "stage": "base", "round": 0, "ex": None, "ci95": None, "n": 0}]},
      [{"stage": "s"}],
    )
  )


def test_missing_table_is_named_and_leaves_the_old_page(tmp_path):
  output = tmp_path / "report.html"
  output.write_text("old")
  with pytest.raises(ValueError, match='"table"'):
    write_report({"title": "x"}, [], output)
  assert [path.name for path in tmp_path.iterdir()] == [
    "report.html"
  ] and output.read_text() == "old"


def make_hostile() -> tuple[dict, list[dict]]:
  """Results whose every text is hostile, and metrics of a hostile stage."""

  def poison(value):
    if isinstance(value, dict):
      return {key: poison(item) for key, item in value.items()}
    if isinstance(value, list):
      return [poison(item) for item in value]
    return HOSTILE + value if isinstance(value, str) else value

  results = poison(make_results())
  results["synthesis"][0]["rejections"][HOSTILE] = 1
  results["config"][HOSTILE] = HOSTILE
  results["environment"][HOSTILE] = HOSTILE
  results["table"][0]["by_hardness"][HOSTILE] = {"ex": 0.1, "n": 1}
  return results, poison(make_metrics())


def test_hostile_text_stays_text():
  page = Page(render_report(*make_hostile()))
  assert [tag for tag, _ in page.tags].count("script") == 1
  assert not [tag for tag, _ in page.tags if tag == "img"]
  assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
  assert (
    "<script>window.hacked = 1</script><img src=x "
    'onerror="window.hacked=1">"\'&\ufffd\ufffd</style>'
  ) in page.text()


def refusals(rejections: dict) -> list[tuple[str, str]]:
  """(words, count) of each refusal on a page with these rejections, in their order there."""
  page = render_report(
    {"table": [], "synthesis": [{"round": 1, "accepted": 5, "rejections": rejections}]}, []
  )
  rows = re.findall(
    r'<tr><td><span class="name">(.*?)</span>.*?<td class="number">([\d,]+)</td></tr>',
    page,
    re.DOTALL,
  )
  return [(html.unescape(words), number) for words, number in rows]


def test_refusals_stand_by_their_number_in_plain_words_each_with_an_explanation():
  rejections = {
    "only zero": 3,
    "tie at LIMIT": 624,
    "no question: a derived table": 480,
    "empty": 730,
  }
  rejections |= {"no question: the expression Count": 200, "something_new": 12}
  assert refusals(rejections) == [
    ("No rows", "730"),
    ("No words for it", "680"),
    ("A tie at the end of a top list", "624"),
    ("something new", "12"),
    ("Only zero", "3"),
  ]
  page = render_report(
    {"table": [], "synthesis": [{"round": 1, "accepted": 5, "rejections": rejections}]}, []
  )
  assert (
    "chance decides which are returned" in page
    and "a derived table (480); the expression Count (200)" in page
  )
  # Each round by its own numbers, not by those of all.
  rounds = [
    {"round": 1, "rejections": {"empty": 900, "duplicate": 1}},
    {"round": 2, "rejections": {"empty": 2, "duplicate": 70}},
  ]
  figures = render_report({"table": [], "synthesis": rounds}, []).split("<figure>")[1:]
  orders = [re.findall(r'<span class="name">(.*?)</span>', figure) for figure in figures]
  assert orders == [["No rows", "Made before"], ["Made before", "No rows"]]


def reasons_of_synthesis() -> set[str]:
  """The reasons that synthesis gives."""
  return {*rejections.Rejection, *(f"{cause}: " for cause in rejections.Cause)}


def test_every_reason_of_synthesis_has_words():
  reasons = reasons_of_synthesis()
  assert len(reasons) > 25 and "tie at LIMIT" in reasons and "duplicate" in reasons
  for reason in reasons:
    told = rejection_words.in_words(reason + "x" if reason.endswith(": ") else reason)
    assert told.meaning and told.words != reason, reason


def test_counts_of_rows_are_those_of_the_whole_result():
  def counts(**example):
    page = render_report(
      {"table": [], "examples": [{"question": "?", "gold": "a", "prediction": "b", **example}]}, []
    )
    return re.findall(r'<p class="count muted">(.*?)</p>', page)

  ten, three = [[i] for i in range(10)], [[i] for i in range(3)]
  assert counts(gold_rows=ten, gold_row_count=13, predicted_rows=ten, predicted_row_count=12) == [
    "13 rows, the first 10 shown",
    "12 rows, the first 10 shown",
  ]
  assert counts(gold_rows=ten, gold_row_count=10, predicted_rows=three, predicted_row_count=3) == [
    "10 rows",
    "3 rows",
  ]
  assert counts(
    gold_rows=three[:1], gold_row_count=1, predicted_rows=[], predicted_row_count=0
  ) == ["1 row", "no rows"]
  # Results of before: ten may be all that was kept.
  [gold, predicted] = counts(gold_rows=ten, predicted_rows=three)
  assert "not recorded" in gold and predicted == "3 rows"


@pytest.mark.parametrize(
  ("one", "colour", "says"),
  [
    (
      {"accepted": True, "p": 0.73, "main_ex": 0.5, "selection_ex": 0.52},
      "",
      "p = 0.73, by chance possible",
    ),
    (
      {"accepted": True, "p": 0.05, "main_ex": 0.5, "selection_ex": 0.52},
      "",
      "p = 0.050, by chance possible",
    ),
    ({"accepted": True, "p": 0.049, "main_ex": 0.5, "selection_ex": 0.6}, " correct", "p = 0.049"),
    (
      {"accepted": True, "p": 1e-9, "main_ex": 0.5, "selection_ex": 0.9},
      " correct",
      "p &lt; 0.001",
    ),
    (
      {"accepted": False, "p": 0.73, "main_ex": 0.5, "selection_ex": 0.48},
      "",
      "by chance possible",
    ),
    ({"accepted": False, "p": 0.01, "main_ex": 0.5, "selection_ex": 0.2}, " wrong", "p = 0.010"),
    ({"accepted": True, "reason": "better"}, "", "better"),
  ],
)
def test_promoted_is_green_only_where_chance_would_hardly_do_it(one, colour, says):
  page = render_report({"table": [], "self_play": [{"iteration": 1} | one]}, [])
  told = "promoted" if one["accepted"] else "not promoted"
  assert f'<span class="verdict{colour}">{told}</span>' in page and says in page


@pytest.mark.parametrize(
  ("change", "colour", "says"),
  [
    ({}, " wrong", "−3.1"),
    ({"p_holm": 0.2, "ci95": [-0.05, 0.01], "questions_needed": 5210}, "", "5,210 questions"),
    ({"p_holm": 0.2, "ci95": [-0.01, 0.01], "equivalent": True}, "", "equal within 1.5 points"),
    ({"p_holm": 0.2, "ci95": [-0.05, 0.01]}, "", "seen 1.5 points apart or more"),
  ],
)
def test_a_comparison_says_whether_models_differ_or_are_shown_to_be_equal(change, colour, says):
  [row] = make_results()["contrasts"]
  page = html.unescape(render_report({"table": [], "contrasts": [row | change]}, []))
  assert "primary comparison" in page and says in page
  assert f'<span class="verdict{colour}">p' in page


def test_the_lead_says_where_chance_may_have_done_it():
  results = make_results()
  for p, says in ((0.2, "p = 0.20, by chance possible"), (0.0001, "p < 0.001)")):
    results["table"][6]["p_first"] = p
    assert says in html.unescape(render_report(results, []))


def test_stages_have_one_name_everywhere():
  stages = ["base", "sft", "vbi_ft", "self_play", "spin", "exspin", "dpo", "sft_control"]
  assert set(BASELINES) <= set(stages) and set(CANDIDATES) <= set(stages)
  assert [model_name(stage, 2) for stage in stages] == [
    "base",
    "SFT on seeds",
    "VBI-FT, round 2",
    "SPFT-SQL, iteration 2",
    "SPIN, iteration 2",
    "ExSPIN, iteration 2",
    "DPO, iteration 2",
    "SFT on the same pairs, iteration 2",
  ]
  for stage in stages:
    lineage = [{"version": "v", "parent": None, "opponent": None, "stage": stage, "round": 1}]
    metrics = [{"stage": f"{stage}/iteration_1", "step": s, "loss": 1.0} for s in range(2)]
    text = Page(render_report({"table": [], "lineage": lineage}, metrics)).text()
    heading = stage_name(f"{stage}/iteration_1")
    assert model_name(stage, 1) in text and heading[0].upper() + heading[1:] in text
    assert stage == "base" or stage.replace("_", " ") not in text.replace(stage_name(stage), ""), (
      text
    )
    if stage in BASELINES:
      assert BASELINES[stage].startswith(stage_name(stage))


@pytest.mark.parametrize(
  ("key", "says"),
  [
    ("self_play", "No self-play was run."),
    ("synthesis", "Nothing was synthesized."),
    ("examples", "There are no test questions"),
  ],
)
def test_what_a_run_left_out_is_said(key, says):
  results = make_results() | {key: []}
  page = Page(render_report(results, []))
  assert says in page.text()


def test_a_run_without_labels_test_or_baselines_is_said():
  results = make_results()
  results["data"] |= {"seeds": 0, "test": 0}
  results["table"] = [row for row in results["table"] if row["stage"] not in BASELINES]
  text = Page(render_report(results, [])).text()
  assert (
    "none: everything was synthesized" in text and "No baselines were trained beside it." in text
  )
  assert "none: models are compared" in text
  assert "No model was evaluated." in Page(render_report({"table": []}, [])).text()


def test_rates_are_in_a_unit_that_leaves_a_number():
  assert [rate(r) for r in (1234.5, 12.34, 3.21, 1.0, 0.4, 0.02, 0.0004)] == [
    "1,234 a second",
    "12 a second",
    "3.2 a second",
    "1.0 a second",
    "24 a minute",
    "1.2 a minute",
    "1.4 an hour",
  ]
  assert (
    rate(0.3, "examples") == "18 examples a minute" and rate(None) == "–" and rate(math.inf) == "–"
  )


def test_many_databases_and_very_long_names_stay_readable():
  results = make_results()
  results["data"]["databases"] = [f"database_{i}" for i in range(5_000)]
  page = render_report(results, [])
  assert "5,000: " in page and "and 4,960 more" in page and len(page) < 400_000


def contrast(one: str, other: str) -> float:
  """WCAG 2's contrast of two colours (#rrggbb)."""

  def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

  light, dark = sorted((luminance(one), luminance(other)), reverse=True)
  return (light + 0.05) / (dark + 0.05)


def test_text_has_contrast_in_light_and_dark():
  style = (TEMPLATES / "page.css").read_text()
  blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
  assert len(blocks) == 2
  for block in blocks:
    colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", block))
    for ink in ("ink", "muted", "good", "bad", "accent", "c1", "c2", "c3", "c4", "c5", "c6"):
      assert contrast(colours[ink], colours["paper"]) >= 4.5, ink
    for ink, ground in (("ink", "soft"), ("muted", "soft"), ("ink", "mark"), ("ink", "track")):
      assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["c0"], colours["paper"]) >= 3  # lines and dots


def test_headings_leave_out_no_level_and_boxes_that_scroll_take_the_keyboard(full_page):
  page = Page(full_page)
  levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
  assert levels[0] == 1 and levels.count(1) == 1
  assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
  boxes = [attrs for tag, attrs in page.tags if attrs.get("class") == "scroll"]
  assert boxes and all(
    b["tabindex"] == "0" and b["role"] == "region" and b["aria-label"] for b in boxes
  )
  tables = [
    around
    for tag, attrs, around in page.surrounded
    if tag == "table" and attrs.get("class") != "bars reasons"
  ]
  assert len(tables) > 5 and all(around.get("class") == "scroll" for around in tables)


def test_written_file_is_utf8_whatever_the_texts_hold(tmp_path):
  output = tmp_path / "deep" / "report.html"
  write_report(*make_hostile(), output)
  assert "\ufffd" in output.read_bytes().decode("utf-8")
  assert [path.name for path in output.parent.iterdir()] == ["report.html"]


def test_summary_names_the_model_chosen_on_the_selection_split_and_owns_up_to_a_higher_one(
  full_page,
):
  paragraph = re.search(r'<p class="lead">(.*?)</p>', full_page, re.DOTALL)[1]
  lead = " ".join(html.unescape(re.sub("<[^>]*>", "", paragraph)).split())
  assert lead.startswith("SPFT-SQL, iteration 1 answers 51.0 % of 200 held-out questions")
  assert "50.5 points above Base" in lead
  assert "the highest figure on these questions is 51.5 %, of SPFT-SQL, iteration 2" in lead
  # Without a selection split the highest of the promoted ones.
  table = [row | {"selection_ex": None} for row in make_results()["table"]]
  table[1]["promoted"] = False
  table[1]["ex"] = 0.9
  assert '<p class="lead"><strong>SPFT-SQL, iteration 1</strong>' in render_report(
    {"table": table}, []
  )


def test_dots_of_the_results_table_stand_in_proportion_to_ex(full_page):
  places = [
    float(place) for place in re.findall(r'<circle class="dot[^"]*" cx="([\d.]+)%"', full_page)
  ]
  values = [row["ex"] for row in make_results()["table"]]
  assert len(places) == len(values)
  scale = (places[-1] - places[0]) / (values[-1] - values[0])
  assert places == pytest.approx(
    [places[0] + scale * (value - values[0]) for value in values], abs=0.02
  )


def read_back(svg: str, path: str) -> list[float]:
  """Values of a curve as a reader gets them: from the y positions of its points and the labels of
  the grid lines.
  """
  lines = [float(y) for y in re.findall(r'class="grid"[^>]* y1="([-\d.]+)"', svg)]
  labels = [
    float(text.replace("−", "-")) for text in re.findall(r'text-anchor="end">([−\d.]+)</text>', svg)
  ][: len(lines)]
  slope = (labels[-1] - labels[0]) / (lines[-1] - lines[0])
  return [
    labels[0] + slope * (float(y) - lines[0])
    for _, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)
  ]


def draw_losses(losses) -> str:
  """The page's chart of a stage with these losses, or what stands in its place."""
  metrics = [{"stage": "s", "step": step, "loss": loss} for step, loss in enumerate(losses)]
  page = render_report({"table": []}, metrics)
  return re.search(r"<figure>.*?</figcaption>(.*?)</figure>", page, re.DOTALL)[1]


def test_values_can_be_read_back_from_a_line_chart():
  values = [3.2, 1.1, -0.4, 2.5, 0.0]
  svg = draw_losses(values)
  path = re.search(r'<path class="curve c1" d="([^"]*)"', svg)[1]
  assert read_back(svg, path) == pytest.approx(values, abs=0.03)


def test_a_gap_in_a_curve_stays_a_gap_and_a_spike_stays_visible():
  with_gap = draw_losses([1.0, 2.0, math.nan, 1.0, 2.0])
  assert re.search(r'<path class="curve c1" d="([^"]*)"', with_gap)[1].count("M") == 2
  losses = [1.0] * 5000
  losses[2500] = 50.0
  thinned = draw_losses(losses)
  band = re.search(r'<path class="band c1" d="([^"]*)"', thinned)[1]
  assert max(read_back(thinned, band)) == pytest.approx(50, abs=0.5)
  assert len(thinned) < 30_000
  assert "no finite value" in draw_losses([math.inf])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_ticks_are_even_and_enclose_the_values(low, length, wanted):
  high = low + length
  ticks = drawing.nice_ticks(low, high, wanted)
  step = ticks[1] - ticks[0]
  slack = 1e-6 * max(abs(low), abs(high), step)
  assert ticks[0] <= low + slack and ticks[-1] >= high - slack
  assert all(
    math.isclose(after - before, step, abs_tol=slack)
    for before, after in zip(ticks, ticks[1:], strict=False)
  )
  assert len(ticks) <= wanted + 3


@given(st.lists(st.floats(0, 100), min_size=1, max_size=10))
@settings(max_examples=200, deadline=None)
def test_labels_are_moved_apart_in_order_and_stay_inside(positions):
  placed = drawing.spread(positions, 10.0, 0.0, 100.0)
  ordered = [
    placed[index] for index in sorted(range(len(positions)), key=lambda index: positions[index])
  ]
  assert all(
    after - before >= 10 - 1e-9 for before, after in zip(ordered, ordered[1:], strict=False)
  )
  assert ordered[0] >= -1e-9 and ordered[-1] <= 100 + 1e-9


def test_no_line_of_the_lineage_runs_through_a_version_it_does_not_join():
  rng = random.Random(0)
  for _ in range(200):
    size = rng.randint(1, 14)
    parents = [
      None if row == 0 or rng.random() < 0.1 else rng.randrange(row) for row in range(size)
    ]
    versions = [
      {"version": f"v{row}", "parent": None if parent is None else f"v{parent}", "stage": "s"}
      for row, parent in enumerate(parents)
    ]
    svg = render_report({"table": [], "lineage": versions}, [])
    nodes = [
      (float(x), float(y))
      for x, y in re.findall(r'<circle class="version" cx="([\d.]+)" cy="([\d.]+)"', svg)
    ]
    edges = re.findall(
      r'<path class="descent" d="M([\d.]+) ([\d.]+)(?:C[^V]*? ([\d.]+) [\d.]+)?V([\d.]+)"', svg
    )
    joined = [(row, parent) for row, parent in enumerate(parents) if parent is not None]
    assert len(nodes) == size and len(edges) == len(joined)
    for (row, parent), (x, y, turned, end) in zip(joined, edges, strict=True):
      assert (float(x), float(y)) == nodes[parent]
      assert (float(turned or x), float(end)) == nodes[row]
      assert all(nodes[between][0] != nodes[row][0] for between in range(parent + 1, row))


def test_a_lineage_out_of_order_with_unknown_parents_or_a_circle_is_still_drawn():
  versions = [("c", "b"), ("b", "a"), ("a", "lost"), ("x", "y"), ("y", "x"), ("self", "self")]
  lineage = [
    {"version": name, "parent": parent, "opponent": "nowhere", "stage": "s", "round": 1}
    for name, parent in versions
  ]
  page = Page(render_report({"table": make_results()["table"], "lineage": lineage}, []))
  assert [tag for tag, attrs in page.tags if tag == "circle" and "version" in attrs["class"]] == [
    "circle"
  ] * 6


def show_sql(sql: str, other: str) -> str:
  """How the page shows a gold query beside a wrong prediction."""
  example = {"question": "?", "gold": sql, "prediction": other, "correct": False}
  page = render_report({"table": [], "examples": [example]}, [])
  return re.search("<h3>Gold</h3>(.*?</p?(?:re)?>)", page, re.DOTALL)[1]


@pytest.mark.parametrize(
  ("sql", "other", "marked"),
  [
    ("SELECT a FROM t WHERE b > 1", "select A from t where b >= 1", [">"]),
    ("SELECT 'x  from  y'  FROM t", "SELECT 'X  FROM  y' FROM t", ["'x  from  y'"]),
    ("SELECT a FROM t ORDER BY a", "SELECT a FROM t", ["ORDER BY a"]),
    ("SELECT a<b FROM t", "SELECT a<b FROM t", []),
    ("", "SELECT 1", []),
    ("SELECT 'open", "SELECT 1", ["'open"]),
  ],
)
def test_sql_is_shown_whole_with_its_differences_marked(sql, other, marked):
  shown = show_sql(sql, other)
  text = html.unescape(re.sub("<[^>]*>", "", shown))
  assert text.split() == (sql.split() or ["empty"])
  assert [html.unescape(mark) for mark in re.findall("<mark>(.*?)</mark>", shown)] == marked
  for literal in re.findall("'[^']*'", sql):
    assert literal in text


def test_very_long_sql_is_cut_with_its_length_said():
  shown = show_sql("SELECT " + "x," * 50_000, "SELECT 1")
  assert len(shown) < 6_000 and "more characters" in shown


def test_format_table_aligns_columns_and_hides_no_control_character():
  table = make_results()["table"]
  table[0]["model"] = "Base\x1b[31m\nred"
  lines = format_table(table).split("\n")
  assert len(lines) == len(table) + 2
  assert len({len(line) for line in lines}) == 1
  assert all(line.isprintable() for line in lines)
  row = next(line for line in lines if line.startswith("VBI-FT, round 1"))
  assert re.split(" {2,}", row) == ["VBI-FT, round 1", "1", "45.5", "38.6 to 52.4", "200", "72.8"]
  assert "–" in format_table(
    [{"model": "Base", "stage": "base", "round": 0, "ex": None, "ci95": None, "n": 0}]
  )


def test_table_shows_the_figure_without_the_databases_left_out():
  table = make_results()["table"]
  table[1]["ex_without"] = {"databases": ["wta_1"], "ex": 0.123, "ci95": [0.1, 0.15], "n": 972}
  head, _, *rows = format_table(table).split("\n")
  assert head.rstrip().endswith("n") and "without wta_1: EX %" in head
  assert re.split(" {2,}", rows[1])[-3:] == ["12.3", "10.0 to 15.0", "972"]
  page = Page(render_report({"table": table}, [])).text()
  assert "EX % without wta_1" in page and "12.3" in page
  assert "without" not in Page(render_report({"table": make_results()["table"]}, [])).text()


def test_report_imports_neither_arrays_nor_sql():
  code = (
    "import sys, spftsql_jax.report.page; print(sorted({'jax', 'numpy', 'sqlglot', 'torch'} & "
    "set(sys.modules)))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    text=True,
    cwd=Path(__file__).parent.parent,
    check=True,
  )
  assert done.stdout.strip() == "[]"


# A page that shows the report in a frame, works its filter, measures it, and leaves what it found
# as JSON in its own text.
HARNESS = (Path(__file__).parent / "data" / "report_harness.html").read_text(encoding="utf-8")


def open_in_browser(tmp_path: Path, width: int, dark: bool = False) -> tuple[dict, list[str]]:
  """What the harness found about tmp_path/report.html, and the messages of the console but the
  harness' own.
  """
  harness = tmp_path / "harness.html"
  harness.write_text(HARNESS.replace("WIDTH", str(width)), encoding="utf-8")
  flags = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update"
  )
  flags += (
    " --disable-sync --allow-file-access-from-files --enable-logging=stderr "
    "--virtual-time-budget=3000 --dump-dom"
  )
  flags += " --window-size=1300,1000" + (" --blink-settings=preferredColorScheme=0" if dark else "")
  command = [
    str(CHROMIUM),
    *flags.split(),
    f"--user-data-dir={tmp_path / f'profile-{width}-{dark}'}",
    harness.as_uri(),
  ]
  done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
  result = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
  assert result, done.stdout[-2000:] + done.stderr[-2000:]
  messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
  assert [line for line in messages if "the harness runs" in line], "the console is not being read"
  return json.loads(html.unescape(result[1])), [
    line for line in messages if "the harness runs" not in line
  ]


needs_browser = pytest.mark.skipif(
  CHROMIUM is None, reason="no chromium here to draw the page with"
)


@needs_browser
@pytest.mark.parametrize(
  ("width", "dark"), [(1280, False), (1100, False), (400, True), (390, False), (320, False)]
)
def test_browser_draws_the_page_without_error_overlap_or_overflow(tmp_path, width, dark):
  write_report(make_results(), make_metrics(), tmp_path / "report.html")
  found, messages = open_in_browser(tmp_path, width, dark)
  assert messages == []
  assert found["overflow"] <= 0 and found["cut"] == []
  assert (found["scrolling"] > 0) == (width < 1000)
  assert found["charts"] == 11 and found["clashes"] == []
  assert found["lineage"] < 1.5
  background, ink = (
    sum(map(int, re.findall(r"\d+", found[name])[:3])) for name in ("background", "ink")
  )
  assert (background < ink) == dark
  # The filter: 12 examples, 8 of them wrong, 4 of those of the model SFT, one of them asks for
  # 1993.
  assert found["form"] is True
  assert found["all"] == [12, "12 of 12"]
  assert found["wrong"] == [8, "8 of 12"]
  assert found["wrong_sft"] == [4, "4 of 12"]
  assert found["words"] == [1, "1 of 12"]
  assert found["nothing"] == [0, "0 of 12"]


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_browser_cuts_nothing_of_long_tokens_and_text_from_right_to_left(tmp_path, width):
  results = make_results()
  for example in results["examples"]:
    example["question"] += RTL + LONG
    example["gold"] += f" -- {RTL}{LONG}"
    example["db_id"] = LONG[:300]
  results["table"][2]["model"] += LONG[:200]
  results["synthesis"][0]["rejections"][f"no question: {LONG}"] = 5
  results["synthesis"][0]["rejections"][LONG] = 5
  results["self_play"][0]["reason"] = LONG
  results["data"]["databases"] = [LONG, RTL]
  results["notes"] = [LONG, RTL]
  write_report(results, make_metrics(), tmp_path / "report.html")
  found, messages = open_in_browser(tmp_path, width)
  assert messages == [] and found["overflow"] <= 0 and found["cut"] == []


@needs_browser
def test_browser_runs_nothing_of_a_hostile_page(tmp_path):
  write_report(*make_hostile(), tmp_path / "report.html")
  found, messages = open_in_browser(tmp_path, 400)
  assert messages == []
  assert found["hacked"] == 0 and found["images"] == 0
  assert found["overflow"] <= 0 and found["clashes"] == [] and found["cut"] == []
