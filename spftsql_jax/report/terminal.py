"""The results as aligned plain text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.amounts import UNKNOWN, count, percent
from spftsql_jax.report.models import without
from spftsql_jax.report.text import bounds

Record = Mapping[str, Any]


def format_table(table: Sequence[Record]) -> str:
  """The results as a table, without a newline at the end.

  Columns: model, round, EX %, 95 % CI, n, executable %; and EX %, CI and n once more where
  databases are left out. Figures of the selection split, where the run had no test, are called so.
  """
  apart = without(table)
  on = " on selection" if any(row.get("split") == "selection" for row in table) else ""
  lines = [["model", "round", f"EX %{on}", "95 % CI", "n", "executable %"]]
  if apart:
    lines[0] += [escape_terminal(f"without {', '.join(apart)}: EX %"), "95 % CI", "n"]
  for row in table:
    name = " ".join(escape_terminal(row.get("model", "")).split())
    cells = [name, count(row.get("round")), *_estimate_cells(row), percent(row.get("executable"))]
    lines.append(cells + (_estimate_cells(row.get("ex_without") or {}) if apart else []))
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  aligned = [
    "  ".join(
      cell.ljust(width) if column == 0 else cell.rjust(width)
      for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    for line in lines
  ]
  return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])


def escape_terminal(text: object) -> str:
  """Text in which what would move the cursor or change colours is shown as U+FFFD."""
  return "".join(character if character.isprintable() else "\ufffd" for character in str(text))


def _estimate_cells(row: Record) -> list[str]:
  interval = bounds(row)
  return [
    percent(row.get("ex")),
    f"{percent(interval[0])} to {percent(interval[1])}" if interval else UNKNOWN,
    count(row.get("n")),
  ]
