"""The part of the report page on training: curves of what each stage's steps logged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.amounts import is_number
from spftsql_jax.report.charts import Curve, line_chart
from spftsql_jax.report.drawing import Drawing
from spftsql_jax.report.stage_names import stage_name

Record = Mapping[str, Any]

# Title, then (metric, name at the curve's end, colour) for each curve of the chart.
_CHARTS = (
  ("Loss", (("loss", "", 1),)),
  ("Log-prob of y+ and y−", (("log_prob_positive", "y+", 1), ("log_prob_negative", "y−", 2))),
  ("Margin", (("margin", "", 1),)),
  ("Gradient norm", (("gradient_norm", "", 1),)),
)


@dataclasses.dataclass(frozen=True)
class TrainingChart:
  """One chart; `gaps` counts values that are not finite, `drawing` is None without another."""

  title: str
  gaps: int
  drawing: Drawing | None


@dataclasses.dataclass(frozen=True)
class TrainingStage:
  """The charts of one stage."""

  name: str
  charts: tuple[TrainingChart, ...]


def training(metrics: Sequence[Record]) -> tuple[TrainingStage, ...]:
  """For each stage the curves of loss, log-probs of y+ and y-, margin and gradient norm."""
  stages: dict[str, dict[float, Record]] = {}
  for index, line in enumerate(metrics):
    # A step written twice by a run that was resumed counts once, with its last figures.
    step = line["step"] if is_number(line.get("step")) else index
    stages.setdefault(str(line.get("stage", "")), {})[step] = line
  found = []
  for stage, by_step in stages.items():
    lines = sorted(by_step.items(), key=lambda item: item[0])
    charts = []
    for title, definitions in _CHARTS:
      curves = [_curve(name, colour, lines, metric) for metric, name, colour in definitions]
      curves = [curve for curve in curves if curve.points]
      if curves:
        gaps = sum(not math.isfinite(y) for curve in curves for _, y in curve.points)
        charts.append(TrainingChart(title, gaps, line_chart(curves, title)))
    if charts:
      name = stage_name(stage)
      found.append(TrainingStage(name[:1].upper() + name[1:], tuple(charts)))
  return tuple(found)


def _curve(name: str, colour: int, lines: Sequence[tuple[float, Record]], metric: str) -> Curve:
  recorded = [
    (step, line[metric]) for step, line in lines if isinstance(line.get(metric), (int, float))
  ]
  return Curve(name, colour, tuple((float(step), float(value)) for step, value in recorded))
