"""The sections of the report page on how the models came about: functions from parts of the results to HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.evaluation import charts
from spftsql_jax.evaluation.charts import Curve, escape
from spftsql_jax.evaluation.report_text import count, duration, is_number, percent, size, stage_name

Record = Mapping[str, Any]

TEMPLATES_SHOWN = 8

# Title, then (metric, name at the curve's end, colour) for each curve of the chart.
_TRAINING_CHARTS = (
  ("Loss", (("loss", "", 1),)),
  ("Log-prob of y+ and y−", (("log_prob_positive", "y+", 1), ("log_prob_negative", "y−", 2))),
  ("Margin", (("margin", "", 1),)),
  ("Gradient norm", (("gradient_norm", "", 1),)),
)


def synthesis(rounds_: Sequence[Record]) -> str:
  """What each round of synthesis accepted and why it refused the rest, its questions, and the templates with most errors."""
  if not rounds_:
    return ""
  totals: dict[str, float] = {}
  for one in rounds_:
    for reason, refused in (one.get("rejections") or {}).items():
      totals[reason] = totals.get(reason, 0) + refused
  reasons = sorted(totals, key=lambda reason: (-totals[reason], str(reason)))
  largest = max((refused for one in rounds_ for refused in (one.get("rejections") or {}).values()), default=0)
  figures = []
  for one in rounds_:
    rejections = one.get("rejections") or {}
    accepted, refused = one.get("accepted") or 0, sum(rejections.values())
    share = f" ({100 * accepted / (accepted + refused):.0f} %)" if accepted + refused else ""
    lines = "".join(
      f"<tr><td>{escape(str(reason).replace('_', ' '))}</td>"
      f'<td class="range">{charts.bar(rejections.get(reason, 0) / largest if largest else 0)}</td>'
      f'<td class="number">{count(rejections.get(reason, 0))}</td></tr>'
      for reason in reasons
    )
    figures.append(
      f"<figure><h3>Round {escape(one.get('round', ''))}</h3><figcaption>{count(accepted)} of {count(accepted + refused)} "
      f'candidates accepted{share}</figcaption><table class="bars"><tbody>{lines}</tbody></table></figure>'
    )
  about = '<p class="about">Why candidate queries were refused; the bars of all rounds share one scale.</p>'
  return f'{about}<div class="multiples large">{"".join(figures)}</div>{_questions(rounds_)}{_template_errors(rounds_)}'


def self_play(iterations: Sequence[Record]) -> str:
  """Each self-play iteration: who played whom, how often the opponent erred, and whether the new model was taken."""
  if not iterations:
    return ""
  body = "".join(
    f'<tr><th scope="row">{escape(one.get("iteration", ""))}</th><td>{escape(one.get("main", ""))}</td>'
    f'<td>{escape(one.get("opponent", ""))}</td><td class="number">{count(one.get("pairs"))}</td>'
    f'<td class="number">{percent(one.get("reward_rate"))}</td><td class="reason">'
    f'<span class="verdict {"correct" if one.get("accepted") else "wrong"}">'
    f"{'promoted' if one.get('accepted') else 'not promoted'}</span>"
    f'<span class="sub">{escape(one.get("reason", ""))}</span></td></tr>'
    for one in iterations
  )
  return (
    '<p class="about">Opponent wrong: share of the opponent’s answers whose result differs from the gold one (the reward). '
    "A new model is promoted only by its EX on the selection split.</p>"
    '<div class="scroll"><table><thead><tr><th>Iteration</th><th>Main</th><th>Opponent</th><th class="number">Pairs</th>'
    f'<th class="number">Opponent wrong %</th><th>New model</th></tr></thead><tbody>{body}</tbody></table></div>'
  )


def training(metrics: Sequence[Record]) -> str:
  """For each stage the curves of its loss, log-probs of y+ and y-, margin and gradient norm, where they were recorded."""
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
        figures.append(f"<figure><figcaption>{caption}</figcaption>{charts.line_chart(curves, title)}</figure>")
    if figures:
      heading = escape(stage_name(stage))
      heading = heading[:1].upper() + heading[1:]
      blocks.append(f'<div class="stage"><h3>{heading}</h3><div class="multiples">{"".join(figures)}</div></div>')
  return "".join(blocks)


def run(results: Record) -> str:
  """Environment, cost and the whole configuration."""
  facts = []
  if is_number(results.get("seconds")):
    facts.append(("time", duration(results["seconds"])))
  if is_number(results.get("peak_memory_bytes")):
    facts.append(("peak memory", size(results["peak_memory_bytes"])))
  facts += [
    (str(name).replace("_", " "), value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))
    for name, value in (results.get("environment") or {}).items()
  ]
  listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
  config = ""
  if results.get("config"):
    text = json.dumps(results["config"], indent=2, default=str, ensure_ascii=False)
    config = f'<details class="more" id="config"><summary>The whole configuration</summary><pre>{escape(text)}</pre></details>'
  return (f"<dl>{listed}</dl>" if listed else "") + config


def _questions(rounds_: Sequence[Record]) -> str:
  rows = [(one.get("round", ""), one["questions"]) for one in rounds_ if one.get("questions")]
  if not rows:
    return ""
  body = "".join(
    f'<tr><th scope="row">{escape(number)}</th><td class="number">{count(questions.get("rules"))}</td>'
    f'<td class="number">{count(questions.get("model"))}</td><td class="number">{percent(questions.get("agreement"))}</td>'
    f'<td class="range">{_agreement_bar(questions.get("agreement"))}</td><td>{_agreeing(questions)}</td></tr>'
    for number, questions in rows
  )
  return (
    "<h3>Questions</h3>"
    '<p class="about">Who wrote them, and how often sampled answers to them return the result of their query.</p>'
    '<div class="scroll"><table class="bars"><thead><tr><th>Round</th><th class="number">By rules</th>'
    f'<th class="number">By the model</th><th class="number">Agreement %</th><th></th>'
    "<th>Questions by agreeing answers</th></tr></thead>"
    f"<tbody>{body}</tbody></table></div>"
  )


def _agreeing(questions: Record) -> str:
  """How many questions have 0, 1, ... sampled answers that agree: "0: 12, 1: 3, 2: 40"."""
  counts = (questions.get("consistency") or {}).get("counts") or ()
  return escape(", ".join(f"{number}: {many:,}" for number, many in enumerate(counts)))


def _template_errors(rounds_: Sequence[Record]) -> str:
  blocks = []
  for one in rounds_:
    templates = [entry for entry in one.get("template_errors") or () if entry.get("total")]
    templates.sort(key=lambda entry: (-entry["errors"], -entry["errors"] / entry["total"], str(entry.get("template", ""))))
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
      more = f'<p class="muted">{len(rest):,} more templates: {count(wrong)} of {count(total)} wrong.</p>'
    blocks.append(
      f'<details class="more"{" open" if one is rounds_[-1] else ""}><summary>Round {escape(one.get("round", ""))}</summary>'
      f'<div class="scroll"><table class="bars"><tbody>{body}</tbody></table></div>{more}</details>'
    )
  if not blocks:
    return ""
  about = (
    '<p class="about">Wrong answers on the synthesized validation set, by template; these templates seed the next round.</p>'
  )
  return f"<h3>Templates with most errors</h3>{about}{''.join(blocks)}"


def _agreement_bar(agreement: Any) -> str:
  return charts.bar(agreement, "accent") if is_number(agreement) else ""


def _curve(name: str, colour: int, lines: Sequence[tuple[float, Record]], metric: str) -> Curve:
  recorded = [(step, line[metric]) for step, line in lines if isinstance(line.get(metric), (int, float))]
  return Curve(name, colour, tuple((float(step), float(value)) for step, value in recorded))
