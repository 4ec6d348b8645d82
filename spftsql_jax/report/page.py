"""The report page: its parts in the order of the method, and the file that holds them.

It is made from a run's `results.json` and its metric lines alone, so it can be made again from a
finished run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spftsql_jax.files import write_text
from spftsql_jax.report import lineage, models, stages, training
from spftsql_jax.report.contrasts import contrasts
from spftsql_jax.report.examples import shown_examples
from spftsql_jax.report.render import render
from spftsql_jax.report.solve_rates import headroom

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of the page; the template `<name>.html` shows its content."""

  name: str
  heading: str
  content: object


@dataclasses.dataclass(frozen=True)
class Page:
  """All that the page shows."""

  title: str
  summary: models.Summary | None
  notes: tuple[str, ...]
  sections: tuple[Section, ...]


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
  text = render_report(results, metrics)
  output = Path(output)
  output.parent.mkdir(parents=True, exist_ok=True)
  write_text(output, text)


def render_report(results: Record, metrics: Sequence[Record]) -> str:
  """The page that `write_report` writes, as text. Raises ValueError without a "table"."""
  return render(make_page(results, metrics))


def make_page(results: Record, metrics: Sequence[Record]) -> Page:
  """What the page shows. Raises ValueError where `results` has no "table"."""
  if "table" not in results:
    raise ValueError('results hold no "table"; the report needs at least that key')
  results = models.mark_best(results)
  table, synthesis = results["table"], results.get("synthesis")
  versions = results.get("lineage") or ()
  examples = shown_examples(results["examples"]) if "examples" in results else None
  # In the order of the method; what is behind it serves to look things up.
  sections = (
    Section("data", "Data", stages.data(results.get("data"))),
    Section("synthesis", "Synthesis", stages.synthesis(synthesis)),
    Section("vbi-ft", "VBI-FT rounds", stages.vbi_ft(synthesis, versions, table)),
    Section("model-base", "Model base", lineage.lineage(versions, table)),
    Section("headroom", "Solve rates", headroom(results.get("solve_rates"))),
    Section("self-play", "Self-play", stages.self_play(results.get("self_play"))),
    Section("results", "Results", models.results_table(table)),
    Section("contrasts", "Comparisons", contrasts(results.get("contrasts"))),
    Section("rounds", "Results by round", models.rounds(table)),
    Section("hardness", "Results by hardness", models.hardness(table)),
    Section("answers", "Examples", examples),
    Section("training", "Training curves", training.training(metrics)),
    Section("run", "Run", stages.run(results)),
  )
  return Page(
    str(results.get("title") or "SPFT-SQL run"),
    models.summarize(results),
    tuple(map(str, results.get("notes") or ())),
    tuple(section for section in sections if section.content),
  )
