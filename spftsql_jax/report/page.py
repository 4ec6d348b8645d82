"""What a run found, for people: one HTML page without network (`write_report`) and a table for the
terminal (`format_table`).

The page is made from the run's `results.json` and its metric lines alone, so it can be made again
from a finished run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spftsql_jax.files import write_text
from spftsql_jax.report import models as report_models
from spftsql_jax.report import stages as report_stages
from spftsql_jax.report.charts import escape
from spftsql_jax.report.examples import render_examples
from spftsql_jax.report.style import SCRIPT, STYLE
from spftsql_jax.report.text import bounds, count, percent

Record = Mapping[str, Any]


def write_report(results: Record, metrics: Sequence[Record], output: Path) -> None:
  """Writes the report page: one HTML file that needs nothing else.

  Args:
    results: what `results.json` holds. Only "table" must be there (may be empty); sections whose
      key is absent are left out.
    metrics: one dict a logged training step, with "stage", "step" and any of "loss",
      "log_prob_positive", "log_prob_negative", "margin", "gradient_norm".
    output: the file to write; it is replaced as a whole, so a reader never sees half a page.

  Raises:
    ValueError: `results` has no "table".
    OSError: the file cannot be written.
  """
  page = render_report(results, metrics)
  output = Path(output)
  output.parent.mkdir(parents=True, exist_ok=True)
  write_text(output, page)


def render_report(results: Record, metrics: Sequence[Record]) -> str:
  """The page that `write_report` writes, as text. Raises ValueError where `results` has no
  "table".
  """
  if "table" not in results:
    raise ValueError('results hold no "table"; the report needs at least that key')
  results = report_models.mark_best(results)
  table = results["table"]
  title = escape(results.get("title") or "SPFT-SQL run")
  synthesis, lineage = results.get("synthesis"), results.get("lineage") or ()
  # In the order of the method; what is behind it serves to look things up.
  parts = [
    ("data", "Data", report_stages.data(results.get("data"))),
    ("synthesis", "Synthesis", report_stages.synthesis(synthesis)),
    ("vbi-ft", "VBI-FT rounds", report_stages.vbi_ft(synthesis, lineage, table)),
    ("model-base", "Model base", report_models.lineage(lineage, table)),
    ("self-play", "Self-play", report_stages.self_play(results.get("self_play"))),
    ("results", "Results", report_models.results_table(table)),
    ("rounds", "Results by round", report_models.rounds(table)),
    ("hardness", "Results by hardness", report_models.hardness(table)),
    ("answers", "Examples", render_examples(results["examples"]) if "examples" in results else ""),
    ("training", "Training curves", report_stages.training(metrics)),
    ("run", "Run", report_stages.run(results)),
  ]
  parts = [part for part in parts if part[2]]
  links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, _ in parts)
  body = "".join(
    f'<section id="{name}"><h2>{heading}</h2>{content}</section>'
    for name, heading, content in parts
  )
  notes = "".join(f"<li>{escape(note)}</li>" for note in results.get("notes") or ())
  notes = notes and f'<ul class="notes">{notes}</ul>'
  # Nothing is loaded from anywhere, and no script runs but the page's own: a second wall behind the
  # escaping of all text.
  digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
  policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
  return (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>{title}</title><style>{STYLE}</style></head>\n<body><main><header><h1>{title}</h1>{report_models.summary(results)}"
    f"{notes}<nav>{links}</nav></header>\n{body}</main>"
    f"<script>{SCRIPT}</script></body></html>\n"
  )


def format_table(table: Sequence[Record]) -> str:
  """The results as aligned plain text for the terminal, without a newline at the end.

  Columns: model, round, EX %, 95 % CI, n, executable %; and EX %, CI and n once more where
  databases are left out. Figures of the selection split, where the run had no test, are called so.
  """
  apart = report_models.without(table)
  on = " on selection" if any(row.get("split") == "selection" for row in table) else ""
  lines = [["model", "round", f"EX %{on}", "95 % CI", "n", "executable %"]]
  if apart:
    lines[0] += [escape_terminal(f"without {', '.join(apart)}: EX %"), "95 % CI", "n"]
  for row in table:
    name = " ".join(escape_terminal(row.get("model", "")).split())
    lines.append(
      [name, count(row.get("round")), *_estimate_cells(row), percent(row.get("executable"))]
    )
    if apart:
      lines[-1] += _estimate_cells(row.get("ex_without") or {})
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  aligned = [
    "  ".join(
      cell.ljust(width) if column == 0 else cell.rjust(width)
      for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    for line in lines
  ]
  return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])


def _estimate_cells(row: Record) -> list[str]:
  interval = bounds(row)
  return [
    percent(row.get("ex")),
    f"{percent(interval[0])} to {percent(interval[1])}" if interval else "–",
    count(row.get("n")),
  ]


def escape_terminal(text: object) -> str:
  """Text for a terminal: characters that would move the cursor or change colours are shown as
  U+FFFD.
  """
  return "".join(character if character.isprintable() else "\ufffd" for character in str(text))
