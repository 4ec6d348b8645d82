"""The sections of the report page that compare models: functions from the results table to HTML, ""
for nothing to show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.report import charts
from spftsql_jax.report.charts import Estimate, EstimateSeries, escape
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.report.text import (
  bounds,
  chance,
  count,
  duration,
  is_number,
  is_significant,
  percent,
  scroll,
  size,
)

Record = Mapping[str, Any]

HARDNESS = ("easy", "medium", "hard", "extra")
LINEAGE_ROW_HEIGHT = 48
COLOURS = 6
BASELINES = ("spin", "exspin", "dpo", "sft_control")


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
  """The results with the row of the version that they name as "best" marked; as they are where they
  name none.
  """
  if results.get("best") is None:
    return results
  return {
    **results,
    "table": [{**row, "best": row.get("version") == results["best"]} for row in results["table"]],
  }


def summary(results: Record) -> str:
  """One paragraph: the best model, its EX with interval and n, the distance to the first row, time
  and memory.
  """
  table = results["table"]
  best = best_row(table)
  if best is None:
    return '<p class="lead">No model was evaluated.</p>'
  interval = bounds(best)
  text = (
    f"<strong>{escape(best['model'])}</strong> answers "
    f"<strong>{percent(best['ex'])}\u00a0%</strong> of "
  )
  optimistic = best.get("split") == "selection"
  what = (
    "synthesized questions of the selection split, on which it was chosen too (optimistic)"
    if optimistic
    else "held-out questions"
  )
  text += f"{count(best.get('n'))} {what} with the right result"
  if interval:
    text += f" (95\u00a0% interval {percent(interval[0])} to {percent(interval[1])})"
  first = table[0]
  if first is not best and is_number(first.get("ex")):
    points = 100 * (best["ex"] - first["ex"])
    distance = (
      f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"
      if abs(points) >= 0.05
      else "level with"
    )
    text += f", {distance} {escape(first['model'])} ({percent(first['ex'])}\u00a0%"
    if p := chance(best.get("p_first")):
      text += f"; {p}" + ("" if is_significant(best.get("p_first")) else ", by chance possible")
    text += ")"
  text += "."
  highest = max((row for row in table if is_number(row.get("ex"))), key=lambda row: row["ex"])
  if highest["ex"] > best["ex"]:
    how = (
      "It was chosen on the selection split"
      if is_number(best.get("selection_ex"))
      else "It is the best promoted model"
    )
    text += (
      f" {how}; the highest figure on these questions is {percent(highest['ex'])}\u00a0%, of "
      f"{escape(highest['model'])}."
    )
  cost = [f"took {duration(results['seconds'])}"] if is_number(results.get("seconds")) else []
  if is_number(results.get("peak_memory_bytes")):
    cost.append(f"used at most {size(results['peak_memory_bytes'])} of memory")
  if cost:
    text += f" The run {' and '.join(cost)}."
  return f'<p class="lead">{text}</p>'


def without(table: Sequence[Record]) -> list[str]:
  """The databases that the second figure of a table (`ex_without`) leaves out."""
  return sorted(
    {str(name) for row in table for name in (row.get("ex_without") or {}).get("databases") or ()}
  )


def results_table(table: Sequence[Record]) -> str:
  """Every model with its EX, the interval drawn on one common axis, and what else was recorded."""
  if not table:
    return '<p class="muted">No model was evaluated.</p>'
  drawn = [_estimate(row) for row in table if is_number(row.get("ex"))]
  ticks = charts.nice_ticks(
    min((e.low for e in drawn), default=0.0), max((e.high for e in drawn), default=100.0), 4
  )
  low, high = max(ticks[0], 0.0), min(ticks[-1], 100.0)
  names = ", ".join(without(table))
  columns = (
    (f"EX % without {escape(names)}", percent, lambda row: (row.get("ex_without") or {}).get("ex")),
    ("Executable %", percent, lambda row: row.get("executable")),
    ("Selection EX %", percent, lambda row: row.get("selection_ex")),
    ("Time", duration, lambda row: row.get("seconds")),
  )
  extras = [
    (title, show, value)
    for title, show, value in columns
    if any(is_number(value(row)) for row in table)
  ]
  head = (
    '<th>Model</th><th class="number">EX %</th>'
    "<th><span "
    f'class="scale"><span>{charts.number(low)}</span><span>{charts.number(high)}</span></span></th>'
    '<th class="number">95 % interval</th><th class="number">n</th>'
    + "".join(f'<th class="number">{title}</th>' for title, *_ in extras)
  )
  best = best_row(table)
  body = []
  for row in table:
    interval = bounds(row)
    is_best = row is best
    mark = charts.interval(_estimate(row), low, high, is_best) if is_number(row.get("ex")) else ""
    body.append(
      f'<tr{" class=best" if is_best else ""}><th scope="row"><span '
      f'class="name">{escape(row.get("model", ""))}</span>'
      f'<span class="sub">{_subtitle(row)}</span></th><td '
      f'class="number">{percent(row.get("ex"))}</td>'
      f'<td class="range">{mark}</td><td '
      f'class="number">{"–".join(map(percent, interval)) if interval else "–"}</td>'
      f'<td class="number">{count(row.get("n"))}</td>'
      + "".join(f'<td class="number">{show(value(row))}</td>' for _, show, value in extras)
      + "</tr>"
    )
  about = (
    "EX: share of questions whose predicted SQL returns the gold query's result. Lines are 95 % "
    "intervals."
  )
  if any(row.get("promoted") is False for row in table):
    about += " A hollow dot marks a model that was not promoted."
  if best is not None:
    about += " Bold: the model the run hands over."
  if not any(row.get("stage") in BASELINES for row in table):
    about += " No baselines were trained beside it."
  return f'<p class="about">{about}</p>' + scroll(
    f'<table class="results"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>',
    "Results by model",
  )


def rounds(table: Sequence[Record]) -> str:
  """EX over rounds and iterations, one line for each sequence of models; "" where no model has a
  second round.
  """
  grouped: dict[tuple[str, str], list[Record]] = {}
  for row in table:
    if is_number(row.get("ex")) and is_number(row.get("round")):
      grouped.setdefault((str(row.get("stage", "")), _without_round(row)), []).append(row)
  if len({row["round"] for rows in grouped.values() for row in rows}) < 2:
    return ""
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
  return (
    (
      '<p class="about">Execution accuracy in percent with 95 % intervals. Dotted lines carry the '
      "last value on.</p>"
    )
    + charts.rounds_chart(series, label, 950, 30, "rounds wide")
    + charts.rounds_chart(series, label, 368, 15, "rounds narrow")
  )


def lineage(versions: Sequence[Record], table: Sequence[Record]) -> str:
  """Which version came from which, and against which opponent it was trained."""
  if not versions:
    return ""
  ordered = _parents_first(versions)
  rows = {str(version.get("version")): row for row, version in enumerate(ordered)}
  test_ex = {str(row["version"]): row.get("ex") for row in table if row.get("version") is not None}
  parents = [rows.get(str(version.get("parent"))) for version in ordered]
  parents = [
    parent if parent is not None and parent < row else None for row, parent in enumerate(parents)
  ]
  opponents = [rows.get(str(version.get("opponent"))) for version in ordered]
  best = (best_row(table) or {}).get("version")
  items = []
  for version in ordered:
    name = str(version.get("version", ""))
    origin = [escape(model_name(version.get("stage", ""), version.get("round")))]
    origin += [f"from {escape(version['parent'])}"] if version.get("parent") is not None else []
    origin += (
      [f"against {escape(version['opponent'])}"] if version.get("opponent") is not None else []
    )
    items.append(
      f"<li{' class=best' if name == str(best) else ''}><span>{escape(name)}</span>"
      f'<span class="score">{percent(version.get("selection_ex"))}</span>'
      f'<span class="score">{percent(test_ex.get(name))}</span>'
      f'<span class="from">{", ".join(part for part in origin if part)}</span></li>'
    )
  key = '<span class="key"></span> trained from'
  if any(opponent is not None for opponent in opponents):
    key += ' &emsp;<span class="key dashed"></span> played against'
  graph = charts.lineage_graph(parents, opponents, LINEAGE_ROW_HEIGHT, rows.get(str(best)))
  head = (
    '<div class="head"><span>Version</span><span class="score">Selection</span><span '
    'class="score">Test</span></div>'
  )
  return (
    f'<p class="about">{key}. EX in percent on the selection split and on the test questions.</p>'
    + scroll(
      f'<div class="lineage">{graph}<div>{head}<ol>{"".join(items)}</ol></div></div>',
      "Versions of the model",
    )
  )


def hardness(table: Sequence[Record]) -> str:
  """EX of every model at every level of hardness."""
  rows = [row for row in table if row.get("by_hardness")]
  if not rows:
    return ""
  found = dict.fromkeys(str(level) for row in rows for level in row["by_hardness"])
  levels = [level for level in HARDNESS if level in found] + [
    level for level in found if level not in HARDNESS
  ]
  # n stands in the head where all models answered the same questions, in the cells where they did
  # not.
  common = {level: {row["by_hardness"].get(level, {}).get("n") for row in rows} for level in levels}
  head = "".join(
    (
      f'<th class="number">{escape(level)}<span '
      f'class="sub">{_common_count(common[level])}</span></th>'
    )
    for level in levels
  )
  best = best_row(table)
  body = []
  for row in rows:
    cells = []
    for level in levels:
      cell = row["by_hardness"].get(level) or {}
      note = f'<span class="sub">n {count(cell.get("n"))}</span>' if len(common[level]) > 1 else ""
      share = cell["ex"] if is_number(cell.get("ex")) else 0.0
      mark = charts.bar(share, "accent" if row is best else "")
      cells.append(f'<td class="number">{percent(cell.get("ex"))}{mark}{note}</td>')
    name = f'<th scope="row"><span class="name">{escape(row.get("model", ""))}</span></th>'
    body.append(f"<tr{' class=best' if row is best else ''}>{name}{''.join(cells)}</tr>")
  return (
    '<p class="about">Execution accuracy in percent by hardness of the gold query; bars run from 0 '
    "to 100.</p>"
  ) + scroll(
    (
      "<table "
      f'class="hardness"><thead><tr><th>Model</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    ),
    "Accuracy by hardness",
  )


def _estimate(row: Record) -> Estimate:
  low, high = bounds(row) or (row["ex"], row["ex"])
  title = (
    f"{row.get('model', '')}: {percent(row['ex'])} % ({percent(low)} to {percent(high)}), n = "
    f"{count(row.get('n'))}"
  )
  hollow = row.get("promoted") is False
  return Estimate(row.get("round") or 0, 100 * row["ex"], 100 * low, 100 * high, title, hollow)


def _subtitle(row: Record) -> str:
  # The stage is said only where the model's name does not say it already.
  name, place = str(row.get("model", "")), model_name(row.get("stage", ""), row.get("round"))
  parts = [place if place.lower() != name.lower() else "", str(row.get("version") or "")]
  return " · ".join(escape(part) for part in parts if part and part != name)


def _without_round(row: Record) -> str:
  """The model's name without the number of its round at the end: what the models of one sequence
  share.
  """
  name = str(row.get("model", ""))
  pattern = rf"[\s,_·:/(-]*\b(?:round|iteration|iter|r)?[\s_-]*0*{int(row['round'])}\)?$"
  return re.sub(pattern, "", name, flags=re.IGNORECASE) or name


def _parents_first(versions: Sequence[Record]) -> list[Record]:
  """The versions in their order, each moved behind its parent where it stood before it; a circle is
  cut where it is met.
  """
  waiting, ordered, placed = list(versions), [], set()
  names = {str(version.get("version")) for version in versions}
  while waiting:
    ready = next(
      (v for v in waiting if str(v.get("parent")) not in names or str(v.get("parent")) in placed),
      waiting[0],
    )
    waiting.remove(ready)
    ordered.append(ready)
    placed.add(str(ready.get("version")))
  return ordered


def _common_count(counts: set[Any]) -> str:
  return f"n {count(next(iter(counts)))}" if len(counts) == 1 else "&nbsp;"
