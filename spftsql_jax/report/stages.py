"""The sections of the report page on how the models came about: functions from parts of the results
to HTML.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.report import charts
from spftsql_jax.report.charts import Curve, escape
from spftsql_jax.report.rejection_words import in_words
from spftsql_jax.report.stage_names import stage_name
from spftsql_jax.report.text import (
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

TEMPLATES_SHOWN = 8
DATABASES_SHOWN = 40

# Title, then (metric, name at the curve's end, colour) for each curve of the chart.
_TRAINING_CHARTS = (
  ("Loss", (("loss", "", 1),)),
  ("Log-prob of y+ and y−", (("log_prob_positive", "y+", 1), ("log_prob_negative", "y−", 2))),
  ("Margin", (("margin", "", 1),)),
  ("Gradient norm", (("gradient_norm", "", 1),)),
)


def data(facts: Record | None) -> str:
  """What the run had to start from and to be measured on; "" where it was not recorded."""
  if not facts:
    return ""
  names = facts.get("databases") or ()
  shown = ", ".join(map(str, names[:DATABASES_SHOWN]))
  if len(names) > DATABASES_SHOWN:
    shown += f" and {len(names) - DATABASES_SHOWN:,} more"
  rows = [
    ("Databases", f"{count(len(names))}{': ' if names else ''}{escape(shown)}"),
    (
      "Labelled examples",
      count(facts.get("seeds")) if facts.get("seeds") else "none: everything was synthesized",
    ),
    (
      "Held-out test questions",
      count(facts.get("test"))
      if facts.get("test")
      else "none: models are compared on questions of our own",
    ),
    ("Templates of queries", count(facts.get("templates"))),
  ]
  return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def synthesis(rounds_: Sequence[Record] | None) -> str:
  """What each round of synthesis accepted, why it refused the rest, and its questions; "" where it
  was not recorded.
  """
  if rounds_ is None:
    return ""
  if not rounds_:
    return '<p class="muted">Nothing was synthesized.</p>'
  counted = [_rejections(one.get("rejections") or {}) for one in rounds_]
  largest = max((refused for reasons in counted for *_, refused in reasons), default=0)
  figures = []
  for one, reasons in zip(rounds_, counted, strict=True):
    accepted, refused = one.get("accepted") or 0, sum(number for *_, number in reasons)
    share = f" ({100 * accepted / (accepted + refused):.0f} %)" if accepted + refused else ""
    lines = "".join(
      f'<tr><td><span class="name">{escape(words)}</span>'
      f'<span class="sub">{escape(explanation)}{_forms(forms)}</span></td>'
      f'<td class="range">{charts.bar(number / largest if largest else 0)}</td>'
      f'<td class="number">{count(number)}</td></tr>'
      for words, explanation, forms, number in reasons
    )
    figures.append(
      f"<figure><h3>Round {escape(one.get('round', ''))}</h3><figcaption>{count(accepted)} of "
      f"{count(accepted + refused)} "
      f'candidates accepted{share}</figcaption><table class="bars '
      f'reasons"><tbody>{lines}</tbody></table></figure>'
    )
  about = (
    '<p class="about">Why candidate queries were refused; the bars of all rounds share one '
    "scale.</p>"
  )
  return f'{about}<div class="multiples large">{"".join(figures)}</div>{_questions(rounds_)}'


def _rejections(rejections: Mapping[str, int]) -> list[tuple[str, str, list[tuple[str, int]], int]]:
  """(plain words, explanation, [(form, count)], count) of each reason, the most frequent first."""
  grouped: dict[tuple[str, str], dict[str, int]] = {}
  for reason, number in rejections.items():
    words, explanation, form = in_words(str(reason))
    forms = grouped.setdefault((words, explanation), {})
    forms[form] = forms.get(form, 0) + number
  found = [
    (
      words,
      explanation,
      sorted(((f, n) for f, n in forms.items() if f), key=lambda item: (-item[1], item[0])),
      sum(forms.values()),
    )
    for (words, explanation), forms in grouped.items()
  ]
  return sorted(found, key=lambda item: (-item[3], item[0]))


def _forms(forms: Sequence[tuple[str, int]]) -> str:
  """What a reason met, each with its count: behind a fold, as there may be many."""
  if not forms:
    return ""
  listed = "; ".join(f"{escape(form)} ({count(number)})" for form, number in forms)
  return (
    f"<details><summary>{len(forms):,} "
    f"{'case' if len(forms) == 1 else 'cases'}</summary>{listed}</details>"
  )


def vbi_ft(
  rounds_: Sequence[Record] | None, versions: Sequence[Record], table: Sequence[Record]
) -> str:
  """Each round's model: what it was trained on, how it did on its verification, on the selection
  split and on the test.
  """
  if rounds_ is None:
    return ""
  if not rounds_:
    return '<p class="muted">No round was run.</p>'
  selected = {v.get("round"): v.get("selection_ex") for v in versions if v.get("stage") == "vbi_ft"}
  tested = {row.get("round"): row.get("ex") for row in table if row.get("stage") == "vbi_ft"}
  lines = []
  for one in rounds_:
    number = one.get("round")
    shares = (one.get("verified_ex"), selected.get(number), tested.get(number))
    cells = "".join(f'<td class="number">{percent(share)}</td>' for share in shares)
    lines.append(
      f'<tr><th scope="row">{escape("" if number is None else number)}</th>'
      f'<td class="number">{count(one.get("accepted"))}</td>{cells}</tr>'
    )
  body = "".join(lines)
  head = "".join(
    f'<th class="number">{title}</th>'
    for title in ("Synthesized", "Verification %", "Selection EX %", "Test EX %")
  )
  about = (
    '<p class="about">Verification: share of the examples held back from a round’s training that '
    "its model answers with the "
    "right result.</p>"
  )
  found = f"<table><thead><tr><th>Round</th>{head}</tr></thead><tbody>{body}</tbody></table>"
  return f"{about}{scroll(found, 'Rounds of VBI-FT')}{_template_errors(rounds_)}"


def self_play(iterations: Sequence[Record] | None) -> str:
  """Each self-play iteration: who played whom, how often the opponent erred, and whether the new
  model was taken.
  """
  if iterations is None:
    return ""
  if not iterations:
    return '<p class="muted">No self-play was run.</p>'
  body = "".join(
    f'<tr><th scope="row">{escape(one.get("iteration", ""))}</th><td '
    f'class="reason">{_promotion(one)}</td>'
    f'<td class="nowrap">{escape(one.get("main", ""))}</td><td '
    f'class="nowrap">{escape(one.get("opponent", ""))}</td>'
    f'<td class="number">{count(one.get("pairs"))}</td><td '
    f'class="number">{percent(one.get("reward_rate"))}</td></tr>'
    for one in iterations
  )
  found = (
    "<table><thead><tr><th>Iteration</th><th>New model</th><th>Main</th><th>Opponent</th><th "
    'class="number">Pairs</th>'
    f'<th class="number">Opponent wrong %</th></tr></thead><tbody>{body}</tbody></table>'
  )
  return (
    '<p class="about">Opponent wrong: share of the opponent’s answers whose result differs from '
    "the gold one (the reward). "
    "A new model is promoted by its EX on the selection split. p: how likely a difference as large "
    "comes by chance alone, of "
    f"two equally good models (paired exact test).</p>{scroll(found, 'Iterations of self-play')}"
  )


def _promotion(one: Record) -> str:
  """Whether a new model was promoted: in colour only where chance would hardly do it."""
  accepted, p = bool(one.get("accepted")), one.get("p")
  told = "promoted" if accepted else "not promoted"
  before, after = one.get("main_ex"), one.get("selection_ex")
  colour = ""
  if is_significant(p) and is_number(before) and is_number(after) and before != after:
    colour = " correct" if after > before else " wrong"
  notes = []
  if is_number(p):
    notes.append(chance(p) + ("" if is_significant(p) else ", by chance possible"))
  notes.append(str(one.get("reason", "")))
  lines = "".join(f'<span class="sub">{escape(note)}</span>' for note in notes if note)
  return f'<span class="verdict{colour}">{told}</span>{lines}'


def training(metrics: Sequence[Record]) -> str:
  """For each stage the curves of its loss, log-probs of y+ and y-, margin and gradient norm, where
  they were recorded.
  """
  stages: dict[str, dict[float, Record]] = {}
  for index, line in enumerate(metrics):
    # A step written twice by a run that was resumed counts once, with its last figures.
    step = line["step"] if is_number(line.get("step")) else index
    stages.setdefault(str(line.get("stage", "")), {})[step] = line
  blocks = []
  for stage, by_step in stages.items():
    lines = sorted(by_step.items(), key=lambda item: item[0])
    figures = []
    for title, definitions in _TRAINING_CHARTS:
      curves = [_curve(name, colour, lines, metric) for metric, name, colour in definitions]
      curves = [curve for curve in curves if curve.points]
      if curves:
        gaps = sum(not math.isfinite(y) for curve in curves for _, y in curve.points)
        caption = title + (f' <span class="bad">({gaps} not finite)</span>' if gaps else "")
        figures.append(
          f"<figure><figcaption>{caption}</figcaption>{charts.line_chart(curves, title)}</figure>"
        )
    if figures:
      heading = escape(stage_name(stage))
      heading = heading[:1].upper() + heading[1:]
      blocks.append(
        f'<div class="stage"><h3>{heading}</h3><div '
        f'class="multiples">{"".join(figures)}</div></div>'
      )
  return "".join(blocks)


def run(results: Record) -> str:
  """Environment, cost and the whole configuration."""
  facts = []
  if is_number(results.get("seconds")):
    facts.append(("time", duration(results["seconds"])))
  if is_number(results.get("peak_memory_bytes")):
    facts.append(("peak memory", size(results["peak_memory_bytes"])))
  facts += [
    (
      str(name).replace("_", " "),
      value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False),
    )
    for name, value in (results.get("environment") or {}).items()
  ]
  listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
  config = ""
  if results.get("config"):
    text = json.dumps(results["config"], indent=2, default=str, ensure_ascii=False)
    config = (
      '<details class="more" id="config"><summary>The whole '
      f"configuration</summary><pre>{escape(text)}</pre></details>"
    )
  return (f"<dl>{listed}</dl>" if listed else "") + config


def _questions(rounds_: Sequence[Record]) -> str:
  rows = [(one.get("round", ""), one["questions"]) for one in rounds_ if one.get("questions")]
  if not rows:
    return ""
  body = "".join(
    f'<tr><th scope="row">{escape(number)}</th><td '
    f'class="number">{count(questions.get("rules"))}</td>'
    f'<td class="number">{count(questions.get("model"))}</td><td '
    f'class="number">{percent(questions.get("agreement"))}</td>'
    "<td "
    f'class="range">{_agreement_bar(questions.get("agreement"))}</td><td>{_agreeing(questions)}</td></tr>'
    for number, questions in rows
  )
  return (
    "<h3>Questions</h3>"
    '<p class="about">Who wrote them, and how often sampled answers to them return the result of '
    "their query.</p>"
    + scroll(
      '<table class="bars"><thead><tr><th>Round</th><th class="number">By rules</th>'
      '<th class="number">By the model</th><th class="number">Agreement %</th><th></th>'
      f"<th>Questions by agreeing answers</th></tr></thead><tbody>{body}</tbody></table>",
      "Questions by round",
    )
  )


def _agreeing(questions: Record) -> str:
  """How many questions have 0, 1, ... sampled answers that agree: "0: 12, 1: 3, 2: 40"."""
  counts = (questions.get("consistency") or {}).get("counts") or ()
  return escape(", ".join(f"{number}: {many:,}" for number, many in enumerate(counts)))


def _template_errors(rounds_: Sequence[Record]) -> str:
  blocks = []
  for one in rounds_:
    templates = [entry for entry in one.get("template_errors") or () if entry.get("total")]
    templates.sort(
      key=lambda entry: (
        -entry["errors"],
        -entry["errors"] / entry["total"],
        str(entry.get("template", "")),
      )
    )
    if not templates:
      continue
    body = "".join(
      f'<tr><td class="template"><code>{escape(entry.get("template", ""))}</code></td>'
      f'<td class="range">{charts.bar(entry["errors"] / entry["total"])}</td>'
      f'<td class="number">{count(entry["errors"])} of {count(entry["total"])}</td></tr>'
      for entry in templates[:TEMPLATES_SHOWN]
    )
    rest = templates[TEMPLATES_SHOWN:]
    more = ""
    if rest:
      wrong, total = sum(entry["errors"] for entry in rest), sum(entry["total"] for entry in rest)
      more = (
        f'<p class="muted">{len(rest):,} more templates: {count(wrong)} of {count(total)} '
        "wrong.</p>"
      )
    found = scroll(
      f'<table class="bars"><tbody>{body}</tbody></table>', "Templates with most errors"
    )
    blocks.append(
      f'<details class="more"{" open" if one is rounds_[-1] else ""}><summary>Round '
      f"{escape(one.get('round', ''))}</summary>"
      f"{found}{more}</details>"
    )
  if not blocks:
    return ""
  about = (
    '<p class="about">Wrong answers on the synthesized validation set, by template; these '
    "templates seed the next round.</p>"
  )
  return f"<h3>Templates with most errors</h3>{about}{''.join(blocks)}"


def _agreement_bar(agreement: Any) -> str:
  return charts.bar(agreement, "accent") if is_number(agreement) else ""


def _curve(name: str, colour: int, lines: Sequence[tuple[float, Record]], metric: str) -> Curve:
  recorded = [
    (step, line[metric]) for step, line in lines if isinstance(line.get(metric), (int, float))
  ]
  return Curve(name, colour, tuple((float(step), float(value)) for step, value in recorded))
