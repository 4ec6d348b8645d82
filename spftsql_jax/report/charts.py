"""The charts of the report page: pure functions from numbers to drawings.

They are drawn near the size at which they show.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

from spftsql_jax.report import drawing
from spftsql_jax.report.drawing import Drawing, Placement, Shape, nice_ticks, number, spread
from spftsql_jax.report.text import shorten_middle

# Width of one character of chart text (11 px), estimated on the wide side: no font is measured.
CHARACTER_WIDTH = 6.9
LABEL_GAP = 15.0
POINTS_PER_CURVE = 240

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Curve:
  """One line of a line chart.

  Attributes:
    colour: number of a colour of the style sheet, from 1.
    points: (step, value).
  """

  name: str
  colour: int
  points: tuple[Point, ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A value with its interval at a place of the x axis.

  Attributes:
    title: what its tooltip says.
    hollow: marks a model that was not promoted.
  """

  x: float
  value: float
  low: float
  high: float
  title: str
  hollow: bool = False


@dataclasses.dataclass(frozen=True)
class EstimateSeries:
  """Estimates that belong together, joined by a line. `colour` 0 is the neutral one."""

  name: str
  colour: int
  estimates: tuple[Estimate, ...]


def line_chart(
  curves: Sequence[Curve], label: str, width: int = 224, height: int = 140
) -> Drawing | None:
  """Curves over training steps, each named at its end with its last value; None without a value.

  Gaps stand where a value is not finite. A long curve is drawn as means of neighbouring steps,
  over a band from their least to their greatest value.
  """
  values = [y for curve in curves for _, y in curve.points if math.isfinite(y)]
  steps = [x for curve in curves for x, _ in curve.points]
  if not values:
    return None
  ticks = nice_ticks(min(values), max(values), 3)
  tick_labels = [number(tick) for tick in ticks]
  ends = [_last_finite(curve) for curve in curves]
  end_labels = [f"{c.name} {number(end)}".strip() for c, end in zip(curves, ends, strict=True)]
  left = 8 + CHARACTER_WIDTH * max(map(len, tick_labels))
  right = width - 10 - CHARACTER_WIDTH * max(map(len, end_labels))
  top, bottom = 10.0, height - 22.0
  first, last = min(steps), max(steps)

  def place_x(x: float) -> float:
    return left + (right - left) * ((x - first) / (last - first) if last > first else 0.5)

  def place_y(y: float) -> float:
    return bottom - (bottom - top) * (y - ticks[0]) / (ticks[-1] - ticks[0])

  shapes = [*drawing.y_axis(ticks, tick_labels, place_y, left, right)]
  shapes.append(drawing.text(left, height - 6, number(first), "start"))
  if last > first:
    shapes.append(drawing.text(right, height - 6, f"step {number(last)}", "end"))
  end_ys = [place_y(end) if math.isfinite(end) else bottom for end in ends]
  label_ys = spread(end_ys, LABEL_GAP, top, bottom)
  for curve, words, label_y in zip(curves, end_labels, label_ys, strict=True):
    shapes += _curve_shapes(curve, place_x, place_y)
    shapes.append(drawing.text(right + 6, label_y + 4, words, "start", f"t{curve.colour}"))
  told = f"{label}: last value {', '.join(end_labels)}"
  return Drawing(width, height, told, "chart", tuple(shapes))


def rounds_chart(
  series: Sequence[EstimateSeries], label: str, width: int, name_length: int, css_class: str
) -> Drawing:
  """Estimates with intervals over rounds, one line a series, its last value named on the right.

  Args:
    series: values in percent; an estimate's `x` is its round.
    label: what the chart shows, for readers who do not see it.
    width: of the coordinate system; the height follows from the number of series.
    name_length: longer names lose their middle, down to this many characters (the full name stays
      in the tooltips).
    css_class: of the drawing.
  """
  estimates = [estimate for one in series for estimate in one.estimates]
  rounds = sorted({estimate.x for estimate in estimates})
  ticks = nice_ticks(min(e.low for e in estimates), max(e.high for e in estimates), 5)
  end_labels = [
    f"{shorten_middle(one.name, name_length)} {one.estimates[-1].value:.1f}" for one in series
  ]
  left, right = 40.0, width - 22 - CHARACTER_WIDTH * max(map(len, end_labels))
  height = max(270.0, LABEL_GAP * (len(series) + 3))
  top, bottom = 12.0, height - 40
  slot = (right - left) / len(rounds)

  def place_y(y: float) -> float:
    return bottom - (bottom - top) * (y - ticks[0]) / (ticks[-1] - ticks[0])

  axes = [*drawing.y_axis(ticks, [number(tick) for tick in ticks], place_y, left, right)]
  for index, name in enumerate(rounds):
    x = left + slot * (index + 0.5)
    axes.append(drawing.text(x, bottom + 18, number(name), "middle"))
  middle = (left + right) / 2
  axes.append(drawing.text(middle, height - 4, "round or iteration", "middle", "axis-name"))
  # Series that meet in a round stand side by side, so that their intervals do not cover each other.
  present = {x: [one for one in series if any(e.x == x for e in one.estimates)] for x in rounds}

  def place_x(one: EstimateSeries, x: float) -> float:
    others = present[x]
    step = min(14.0, slot * 0.8 / len(others))
    aside = step * (others.index(one) - (len(others) - 1) / 2)
    return left + slot * (rounds.index(x) + 0.5) + aside

  label_ys = spread([place_y(one.estimates[-1].value) for one in series], LABEL_GAP, top, bottom)
  lines: list[Shape] = []
  marks: list[Shape] = []
  for one, words, label_y in zip(series, end_labels, label_ys, strict=True):
    places = [(place_x(one, e.x), place_y(e.value)) for e in one.estimates]
    for estimate, (x, _) in zip(one.estimates, places, strict=True):
      marks.append(_mark(estimate, one.colour, x, place_y))
    (x, y), edge = places[-1], right + 14
    carried = f"M{x:.1f} {y:.1f}H{right:.1f}L{edge - 2:.1f} {label_y:.1f}"
    lines.append(drawing.path(f"carry c{one.colour}", carried))
    if len(places) > 1:
      joined = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
      lines.append(drawing.path(f"curve c{one.colour}", joined))
    marks.append(drawing.text(edge + 2, label_y + 4, words, "start", f"t{one.colour}"))
  told = f"{label}: {'; '.join(end_labels)}"
  return Drawing(width, height, told, css_class, (*axes, *lines, *marks))


def _mark(estimate: Estimate, colour: int, x: float, place_y: Placement) -> Shape:
  """A dot with its interval and tooltip."""
  low, high = place_y(estimate.low), place_y(estimate.high)
  hollow = " hollow" if estimate.hollow else ""
  parts = (
    drawing.line(f"whisker c{colour}", x, x, low, high),
    drawing.circle(f"point c{colour}{hollow}", x, place_y(estimate.value), 4),
  )
  return Shape("g", title=estimate.title, parts=parts)


def _last_finite(curve: Curve) -> float:
  return next((y for _, y in reversed(curve.points) if math.isfinite(y)), math.nan)


def _curve_shapes(curve: Curve, place_x: Placement, place_y: Placement) -> Iterator[Shape]:
  mean, least, greatest = _thin(curve.points)
  if least is not greatest:
    for area in _areas(least, greatest, place_x, place_y):
      yield drawing.path(f"band c{curve.colour}", area)
  yield drawing.path(f"curve c{curve.colour}", _path(mean, place_x, place_y))
  if len(curve.points) == 1 and math.isfinite(curve.points[0][1]):
    x, y = curve.points[0]
    yield drawing.circle(f"point c{curve.colour}", place_x(x), place_y(y), 3)


def _thin(points: Sequence[Point]) -> tuple[list[Point], list[Point], list[Point]]:
  """Mean, least and greatest values of at most POINTS_PER_CURVE groups of neighbours.

  One list thrice where none is needed.
  """
  size = math.ceil(len(points) / POINTS_PER_CURVE)
  if size <= 1:
    same = list(points)
    return same, same, same
  thinned: tuple[list[Point], list[Point], list[Point]] = ([], [], [])
  for start in range(0, len(points), size):
    group = points[start : start + size]
    # A group without a finite value stays a gap.
    values = [y for _, y in group if math.isfinite(y)] or [math.nan]
    x = sum(x for x, _ in group) / len(group)
    found = (sum(values) / len(values), min(values), max(values))
    for kept, value in zip(thinned, found, strict=True):
      kept.append((x, value))
  return thinned


def _areas(
  least: Sequence[Point], greatest: Sequence[Point], place_x: Placement, place_y: Placement
) -> Iterator[str]:
  """A closed path for each stretch of finite values: along the greatest, back along the least."""
  stretch: list[tuple[Point, Point]] = []
  for low, high in [*zip(least, greatest, strict=True), ((0.0, math.nan), (0.0, math.nan))]:
    if math.isfinite(low[1]):
      stretch.append((low, high))
    elif stretch:
      outline = [high for _, high in stretch] + [low for low, _ in reversed(stretch)]
      yield _path(outline, place_x, place_y) + "Z"
      stretch = []


def _path(points: Iterable[Point], place_x: Placement, place_y: Placement) -> str:
  commands, pen_down = [], False
  for x, y in points:
    if math.isfinite(y):
      commands.append(f"{'L' if pen_down else 'M'}{place_x(x):.1f} {place_y(y):.1f}")
    pen_down = math.isfinite(y)
  return "".join(commands)
