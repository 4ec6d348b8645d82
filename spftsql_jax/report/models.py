"""The parts of the report page that compare models, from the results table."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spftsql_jax.amounts import count, duration, is_number, percent, size
from spftsql_jax.report import charts
from spftsql_jax.report.charts import Estimate, EstimateSeries
from spftsql_jax.report.drawing import Drawing, nice_ticks, number
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.report.text import bounds, chance_in_words

Record = Mapping[str, Any]

HARDNESS = ("easy", "medium", "hard", "extra")
COLOURS = 6
BASELINES = ("spin", "exspin", "dpo", "sft_control")


@dataclasses.dataclass(frozen=True)
class Summary:
  """What the run hands over, how good it is, and what it cost.

  Attributes:
    model: the best model's name. ex: its execution accuracy, of `n` questions.
    optimistic: whether it was measured on the questions that it was chosen by.
    interval: 95 %.
    first: the distance to the table's first row, or None where that is the best itself.
    highest: (model, ex) of a higher figure on these questions, or None.
    chosen_by_selection: whether the selection split chose the model.
    cost: parts of a sentence on time and memory.
  """

  model: str
  ex: float
  n: int | None
  optimistic: bool
  interval: tuple[float, float] | None
  first: Distance | None
  highest: tuple[str, float] | None
  chosen_by_selection: bool
  cost: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Distance:
  """How far the best model is from another, in words, and whether chance may have done it."""

  words: str
  model: str
  ex: float
  chance: str


@dataclasses.dataclass(frozen=True)
class Interval:
  """A dot with its interval in a table cell: places in percent of the cell's width."""

  low: float
  value: float
  high: float
  title: str
  hollow: bool
  best: bool


@dataclasses.dataclass(frozen=True)
class ResultRow:
  """A model in the results table; `extras` are the cells of the columns that not every run has."""

  model: str
  subtitle: str
  ex: float | None
  interval: Interval | None
  bounds: tuple[float, float] | None
  n: int | None
  extras: tuple[str, ...]
  best: bool


@dataclasses.dataclass(frozen=True)
class ResultsTable:
  """Every model with its EX, the interval drawn on one axis that runs from `low` to `high`."""

  low: str
  high: str
  extras: tuple[str, ...]
  rows: tuple[ResultRow, ...]
  some_hollow: bool
  some_best: bool
  some_baseline: bool


@dataclasses.dataclass(frozen=True)
class Rounds:
  """EX over rounds and iterations, drawn for wide pages and for narrow ones."""

  wide: Drawing
  narrow: Drawing


@dataclasses.dataclass(frozen=True)
class HardnessCell:
  """EX at one level; `n` where the models answered different questions."""

  ex: float | None
  n: int | None
  n_differs: bool


@dataclasses.dataclass(frozen=True)
class HardnessTable:
  """EX of every model at every level of hardness.

  Attributes:
    levels: (level, its n in words where all models have the same).
    rows: (model, whether it is the best, a cell for each level).
  """

  levels: tuple[tuple[str, str], ...]
  rows: tuple[tuple[str, bool, tuple[HardnessCell, ...]], ...]


def best_row(table: Sequence[Record]) -> Record | None:
  """The model that the run hands over, which the run has marked (`mark_best`).

  A table without a mark: of the promoted ones the highest EX on the selection split, of equals the
  one whose answers run most often, of these the latest; by the test's figures only where the table
  has none of selection, as picking the highest figure on the test questions would flatter it.
  """
  rows = [row for row in table if is_number(row.get("ex"))]
  if marked := [row for row in rows if row.get("best")]:
    return marked[0]
  promoted = [row for row in rows if row.get("promoted") is not False] or rows
  selected = [row for row in promoted if is_number(row.get("selection_ex"))]
  if selected:
    return max(
      reversed(selected),
      key=lambda row: (row["selection_ex"], row.get("selection_executable") or 0.0),
    )
  return max(
    reversed(promoted), key=lambda row: (row["ex"], row.get("executable") or 0.0), default=None
  )


def mark_best(results: Record) -> Record:
  """The results with the row of the version that they name as "best" marked, if they name one."""
  if results.get("best") is None:
    return results
  return {
    **results,
    "table": [{**row, "best": row.get("version") == results["best"]} for row in results["table"]],
  }


def summarize(results: Record) -> Summary | None:
  """The best model, its EX, the distance to the first row, and cost; None without a model."""
  table = results["table"]
  best = best_row(table)
  if best is None:
    return None
  first = table[0]
  highest = max((row for row in table if is_number(row.get("ex"))), key=lambda row: row["ex"])
  cost = [f"took {duration(results['seconds'])}"] if is_number(results.get("seconds")) else []
  if is_number(results.get("peak_memory_bytes")):
    cost.append(f"used at most {size(results['peak_memory_bytes'])} of memory")
  return Summary(
    str(best["model"]),
    best["ex"],
    best.get("n"),
    best.get("split") == "selection",
    bounds(best),
    _distance(best, first) if first is not best and is_number(first.get("ex")) else None,
    (str(highest["model"]), highest["ex"]) if highest["ex"] > best["ex"] else None,
    is_number(best.get("selection_ex")),
    tuple(cost),
  )


def without(table: Sequence[Record]) -> list[str]:
  """The databases that the second figure of a table (`ex_without`) leaves out."""
  return sorted(
    {str(name) for row in table for name in (row.get("ex_without") or {}).get("databases") or ()}
  )


def results_table(table: Sequence[Record]) -> ResultsTable:
  """Every model with its EX and interval, and what else was recorded."""
  drawn = [_estimate(row) for row in table if is_number(row.get("ex"))]
  ticks = nice_ticks(
    min((e.low for e in drawn), default=0.0), max((e.high for e in drawn), default=100.0), 4
  )
  low, high = max(ticks[0], 0.0), min(ticks[-1], 100.0)
  left_out = ", ".join(without(table))
  columns: tuple[tuple[str, Callable[[Any], str], Callable[[Record], Any]], ...] = (
    (f"EX % without {left_out}", percent, lambda row: (row.get("ex_without") or {}).get("ex")),
    ("Executable %", percent, lambda row: row.get("executable")),
    ("Selection EX %", percent, lambda row: row.get("selection_ex")),
    ("Time", duration, lambda row: row.get("seconds")),
  )
  extras = [each for each in columns if any(is_number(each[2](row)) for row in table)]
  best = best_row(table)
  rows = tuple(
    ResultRow(
      str(row.get("model", "")),
      _subtitle(row),
      row.get("ex"),
      _interval(_estimate(row), low, high, row is best) if is_number(row.get("ex")) else None,
      bounds(row),
      row.get("n"),
      tuple(show(value(row)) for _, show, value in extras),
      row is best,
    )
    for row in table
  )
  return ResultsTable(
    number(low),
    number(high),
    tuple(title for title, *_ in extras),
    rows,
    some_hollow=any(row.get("promoted") is False for row in table),
    some_best=best is not None,
    some_baseline=any(row.get("stage") in BASELINES for row in table),
  )


def rounds(table: Sequence[Record]) -> Rounds | None:
  """One line for each sequence of models; None where no model has a second round."""
  grouped: dict[tuple[str, str], list[Record]] = {}
  for row in table:
    if is_number(row.get("ex")) and is_number(row.get("round")):
      grouped.setdefault((str(row.get("stage", "")), _without_round(row)), []).append(row)
  if len({row["round"] for rows in grouped.values() for row in rows}) < 2:
    return None
  # The first colour is that of the best model throughout the page; single models stay neutral.
  best, series, colour = best_row(table), [], 1
  for (_, name), rows in grouped.items():
    is_best = any(row is best for row in rows)
    colour += len(rows) > 1 and not is_best
    series.append(
      EstimateSeries(
        name=name if len(rows) > 1 else str(rows[0].get("model", "")),
        colour=1 if is_best else (colour - 2) % (COLOURS - 1) + 2 if len(rows) > 1 else 0,
        estimates=tuple(_estimate(row) for row in sorted(rows, key=lambda row: row["round"])),
      )
    )
  label = "Execution accuracy in percent by round"
  return Rounds(
    charts.rounds_chart(series, label, 950, 30, "rounds wide"),
    charts.rounds_chart(series, label, 368, 15, "rounds narrow"),
  )


def hardness(table: Sequence[Record]) -> HardnessTable | None:
  """EX by hardness of the gold query; None where it was not recorded."""
  rows = [row for row in table if row.get("by_hardness")]
  if not rows:
    return None
  found = dict.fromkeys(str(level) for row in rows for level in row["by_hardness"])
  levels = [level for level in HARDNESS if level in found] + [
    level for level in found if level not in HARDNESS
  ]
  # n stands in the head where all models answered the same questions, else in the cells.
  counts = {level: {row["by_hardness"].get(level, {}).get("n") for row in rows} for level in levels}
  best = best_row(table)

  def cell(row: Record, level: str) -> HardnessCell:
    recorded = row["by_hardness"].get(level) or {}
    return HardnessCell(recorded.get("ex"), recorded.get("n"), len(counts[level]) > 1)

  return HardnessTable(
    tuple((level, f"n {count(*n)}" if len(n) == 1 else "\u00a0") for level, n in counts.items()),
    tuple(
      (str(row.get("model", "")), row is best, tuple(cell(row, level) for level in levels))
      for row in rows
    ),
  )


def _distance(best: Record, first: Record) -> Distance:
  points = 100 * (best["ex"] - first["ex"])
  words = f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"
  return Distance(
    words if abs(points) >= 0.05 else "level with",
    str(first["model"]),
    first["ex"],
    chance_in_words(best.get("p_first")),
  )


def _estimate(row: Record) -> Estimate:
  low, high = bounds(row) or (row["ex"], row["ex"])
  title = (
    f"{row.get('model', '')}: {percent(row['ex'])} % ({percent(low)} to {percent(high)}), n = "
    f"{count(row.get('n'))}"
  )
  hollow = row.get("promoted") is False
  return Estimate(row.get("round") or 0, 100 * row["ex"], 100 * low, 100 * high, title, hollow)


def _interval(estimate: Estimate, low: float, high: float, best: bool) -> Interval:
  def place(value: float) -> float:
    # 2 to 98 %, so that a dot at the end of the axis is not cut.
    return 2 + 96 * min(max((value - low) / (high - low), 0.0), 1.0)

  places = (place(estimate.low), place(estimate.value), place(estimate.high))
  return Interval(*places, estimate.title, estimate.hollow, best)


def _subtitle(row: Record) -> str:
  # The stage is said only where the model's name does not say it already.
  name, place = str(row.get("model", "")), model_name(row.get("stage", ""), row.get("round"))
  parts = [place if place.lower() != name.lower() else "", str(row.get("version") or "")]
  return " · ".join(part for part in parts if part and part != name)


def _without_round(row: Record) -> str:
  """The model's name without its round at the end: what the models of one sequence share."""
  name = str(row.get("model", ""))
  pattern = rf"[\s,_·:/(-]*\b(?:round|iteration|iter|r)?[\s_-]*0*{int(row['round'])}\)?$"
  return re.sub(pattern, "", name, flags=re.IGNORECASE) or name
