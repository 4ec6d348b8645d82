"""Small SVG charts for the report page: pure functions from numbers to markup, without
dependencies.

Colours, type sizes and strokes come from the page's style sheet by class name, so a chart follows
light and dark. Marks in table cells use percent coordinates and stretch with their cell; the others
are drawn near the size at which they show.
"""

from __future__ import annotations

import dataclasses
import html
import math
import re
from collections.abc import Callable, Iterable, Sequence

# Width of one character of chart text (11 px), estimated on the wide side, as no font is measured
# here.
CHARACTER_WIDTH = 6.9
LABEL_GAP = 15.0
POINTS_PER_CURVE = 240

Point = tuple[float, float]
# From a value to a coordinate.
Placement = Callable[[float], float]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclasses.dataclass(frozen=True)
class Curve:
  """One line of a line chart: `points` are (step, value); `colour` is the number of a colour of the
  style sheet, from 1.
  """

  name: str
  colour: int
  points: tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A value with its interval at a place of the x axis; `hollow` marks a model that was not
  promoted.
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


def escape(value: object) -> str:
  """Text for HTML: markup characters escaped, control characters and lone surrogates shown as
  U+FFFD.
  """
  return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def shorten(text: str, length: int) -> str:
  """`text` in at most `length` characters, the last an ellipsis where something was cut."""
  return text if len(text) <= length else text[: max(length - 1, 1)].rstrip() + "…"


def number(value: float) -> str:
  """A value to three significant figures, with a typographic minus; thousands are grouped."""
  if not math.isfinite(value):
    return "–"
  magnitude = abs(value)
  if magnitude >= 1000 and magnitude < 1e6:
    text = f"{value:,.0f}"
  elif magnitude >= 100:
    text = f"{value:.0f}" if magnitude < 1e6 else f"{value:.2g}"
  elif magnitude >= 1e-4 or magnitude == 0:
    text = f"{value:.3g}"
  else:
    text = f"{value:.1e}"
  return text.replace("-", "−")


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
  """About `count` round values whose first is at most `low` and whose last is at least `high`."""
  if not high > low:
    pad = abs(low) * 0.1 or 1.0
    low, high = low - pad, high + pad
  rough = (high - low) / max(count, 1)
  power = 10.0 ** math.floor(math.log10(rough))
  step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
  first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
  return [round(index * step, 12) for index in range(first, last + 1)]


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
  """Moves label positions apart to at least `gap`, keeping their order, and keeps them in [low,
  high] where they fit.
  """
  order = sorted(range(len(positions)), key=lambda index: positions[index])
  placed = [0.0] * len(positions)
  previous = -math.inf
  for index in order:
    previous = placed[index] = max(positions[index], previous + gap, low)
  limit = high
  for index in reversed(order):
    placed[index] = min(placed[index], limit)
    limit = placed[index] - gap
  return placed


def bar(fraction: float, kind: str = "") -> str:
  """A horizontal bar filling `fraction` of its cell. `kind` is an extra class (its colour)."""
  width = 100 * min(max(fraction, 0.0), 1.0)
  return (
    f'<svg class="bar {kind}" aria-hidden="true"><rect class="track" width="100%" height="100%" '
    'rx="2"/>'
    f'<rect class="fill" width="{width:.2f}%" height="100%" rx="2"/></svg>'
  )


def interval(estimate: Estimate, low: float, high: float, best: bool = False) -> str:
  """A dot with its interval on a line from `low` to `high`, as wide as its cell."""

  def place(value: float) -> str:
    # 2 to 98 %, so that a dot at the end of the axis is not cut.
    return f"{2 + 96 * min(max((value - low) / (high - low), 0.0), 1.0):.2f}%"

  classes = "dot" + (" hollow" if estimate.hollow else "") + (" best" if best else "")
  return (
    f'<svg class="interval" role="img"><title>{escape(estimate.title)}</title>'
    f'<line class="rail" x1="0" x2="100%" y1="50%" y2="50%"/>'
    f'<line class="span{" best" if best else ""}" x1="{place(estimate.low)}" '
    f'x2="{place(estimate.high)}" y1="50%" y2="50%"/>'
    f'<circle class="{classes}" cx="{place(estimate.value)}" cy="50%" r="4"/></svg>'
  )


def line_chart(curves: Sequence[Curve], label: str, width: int = 224, height: int = 140) -> str:
  """Curves over training steps, each named at its end with its last value; gaps where a value is
  not finite.

  A long curve is drawn as means of neighbouring steps, over a band from their least to their
  greatest value.
  """
  values = [y for curve in curves for _, y in curve.points if math.isfinite(y)]
  steps = [x for curve in curves for x, _ in curve.points]
  if not values:
    return f'<p class="muted">{escape(label)}: no finite value</p>'
  ticks = nice_ticks(min(values), max(values), 3)
  tick_labels = [number(tick) for tick in ticks]
  ends = [
    next((y for _, y in reversed(curve.points) if math.isfinite(y)), math.nan) for curve in curves
  ]
  end_labels = [
    f"{curve.name} {number(end)}".strip() for curve, end in zip(curves, ends, strict=True)
  ]
  left = 8 + CHARACTER_WIDTH * max(map(len, tick_labels))
  right = width - 10 - CHARACTER_WIDTH * max(map(len, end_labels))
  top, bottom = 10.0, height - 22.0
  first, last = min(steps), max(steps)

  def place_x(x: float) -> float:
    return left + (right - left) * ((x - first) / (last - first) if last > first else 0.5)

  def place_y(y: float) -> float:
    return bottom - (bottom - top) * (y - ticks[0]) / (ticks[-1] - ticks[0])

  parts = [_open_svg(width, height, f"{label}: last value {', '.join(end_labels)}")]
  parts += _y_axis(ticks, tick_labels, place_y, left, right)
  parts.append(_text(left, height - 6, number(first), "start"))
  if last > first:
    parts.append(_text(right, height - 6, f"step {number(last)}", "end"))
  label_ys = spread(
    [place_y(end) if math.isfinite(end) else bottom for end in ends], LABEL_GAP, top, bottom
  )
  for curve, text, label_y in zip(curves, end_labels, label_ys, strict=True):
    mean, least, greatest = _thin(curve.points)
    if least is not greatest:
      parts += [
        f'<path class="band c{curve.colour}" d="{area}"/>'
        for area in _areas(least, greatest, place_x, place_y)
      ]
    parts.append(f'<path class="curve c{curve.colour}" d="{_path(mean, place_x, place_y)}"/>')
    if len(curve.points) == 1 and math.isfinite(curve.points[0][1]):
      parts.append(
        f'<circle class="point c{curve.colour}" cx="{place_x(first):.1f}" '
        f'cy="{place_y(curve.points[0][1]):.1f}" r="3"/>'
      )
    parts.append(_text(right + 6, label_y + 4, text, "start", f"t{curve.colour}"))
  return "".join(parts) + "</svg>"


def rounds_chart(
  series: Sequence[EstimateSeries], label: str, width: int, name_length: int, css_class: str
) -> str:
  """Estimates with intervals over rounds: one line a series, its last value named and carried on to
  the right.

  Args:
    series: values in percent; an estimate's `x` is its round.
    label: what the chart shows, for readers who do not see it.
    width: of the coordinate system; the height follows from the number of series.
    name_length: longer names lose their middle, down to this many characters (the full name stays
      in the tooltips).
    css_class: of the svg element.
  """
  estimates = [estimate for one in series for estimate in one.estimates]
  rounds = sorted({estimate.x for estimate in estimates})
  ticks = nice_ticks(
    min(estimate.low for estimate in estimates), max(estimate.high for estimate in estimates), 5
  )
  end_labels = [
    f"{_shorten_middle(one.name, name_length)} {one.estimates[-1].value:.1f}" for one in series
  ]
  left, right = 40.0, width - 22 - CHARACTER_WIDTH * max(map(len, end_labels))
  height = max(270.0, LABEL_GAP * (len(series) + 3))
  top, bottom = 12.0, height - 40
  slot = (right - left) / len(rounds)

  def place_y(y: float) -> float:
    return bottom - (bottom - top) * (y - ticks[0]) / (ticks[-1] - ticks[0])

  parts = [_open_svg(width, height, f"{label}: {'; '.join(end_labels)}", css_class)]
  parts += _y_axis(ticks, [number(tick) for tick in ticks], place_y, left, right)
  for index, name in enumerate(rounds):
    parts.append(_text(left + slot * (index + 0.5), bottom + 18, number(name), "middle"))
  parts.append(_text((left + right) / 2, height - 4, "round or iteration", "middle", "axis-name"))
  # Series that meet in a round stand side by side, so that their intervals do not cover each other.
  present = {
    name: [one for one in series if any(estimate.x == name for estimate in one.estimates)]
    for name in rounds
  }
  label_ys = spread([place_y(one.estimates[-1].value) for one in series], LABEL_GAP, top, bottom)
  lines, marks = [], []
  for one, text, label_y in zip(series, end_labels, label_ys, strict=True):
    places = []
    for estimate in one.estimates:
      others = present[estimate.x]
      step = min(14.0, slot * 0.8 / len(others))
      x = (
        left
        + slot * (rounds.index(estimate.x) + 0.5)
        + step * (others.index(one) - (len(others) - 1) / 2)
      )
      places.append((x, place_y(estimate.value)))
      marks.append(
        f"<g><title>{escape(estimate.title)}</title>"
        f'<line class="whisker c{one.colour}" x1="{x:.1f}" x2="{x:.1f}" '
        f'y1="{place_y(estimate.low):.1f}" y2="{place_y(estimate.high):.1f}"/>'
        f'<circle class="point c{one.colour}{" hollow" if estimate.hollow else ""}" cx="{x:.1f}" '
        f'cy="{places[-1][1]:.1f}" r="4"/></g>'
      )
    (x, y), edge = places[-1], right + 14
    lines.append(
      f'<path class="carry c{one.colour}" d="M{x:.1f} {y:.1f}H{right:.1f}L{edge - 2:.1f} '
      f'{label_y:.1f}"/>'
    )
    if len(places) > 1:
      lines.append(
        f'<path class="curve c{one.colour}" '
        f'd="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
      )
    marks.append(_text(edge + 2, label_y + 4, text, "start", f"t{one.colour}"))
  return "".join(parts + lines + marks) + "</svg>"


def lineage_graph(
  parents: Sequence[int | None],
  opponents: Sequence[int | None],
  row_height: float,
  best: int | None,
) -> str:
  """The lines of a version list, one row a version, as `git log --graph` draws them; opponents by
  dashed arcs on the left.

  Args:
    parents: for each row the row of its parent, or None. A parent stands above its child.
    opponents: for each row the row of the opponent it played, or None.
    row_height: in pixels.
    best: the row to fill, or None.
  """
  # The child with most descendants goes on straight below its parent; the others turn off into
  # lanes of their own.
  descendants = [1] * len(parents)
  heirs: dict[int, int] = {}
  for row in range(len(parents) - 1, -1, -1):
    parent = parents[row]
    if parent is not None:
      descendants[parent] += descendants[row]
      if parent not in heirs or descendants[row] >= descendants[heirs[parent]]:
        heirs[parent] = row
  occupied: list[list[tuple[int, int]]] = []
  lanes: list[int] = []
  for row, parent in enumerate(parents):
    if parent is not None and heirs[parent] == row:
      lanes.append(lanes[parent])
      continue
    # An heir's lane is taken as soon as its line begins, so a lane is free where no line passes the
    # rows of this one's.
    start, end = row if parent is None else parent + 1, row
    heir = row
    while heir in heirs:
      heir = end = heirs[heir]
    lane = next(
      lane
      for lane, taken in enumerate([*occupied, []])
      if all(b < start or a > end for a, b in taken)
    )
    if lane == len(occupied):
      occupied.append([])
    occupied[lane].append((start, end))
    lanes.append(lane)
  arcs = [
    (row, opponent)
    for row, opponent in enumerate(opponents)
    if opponent is not None and opponent != row
  ]
  reach = min(16 + 7 * max((abs(row - opponent) for row, opponent in arcs), default=-2), 64)
  pitch = 18
  width = reach + pitch * (max(lanes, default=0) + 1)

  def place(row: int) -> tuple[float, float]:
    return reach + pitch * (lanes[row] + 0.5), row_height * (row + 0.5)

  parts = [_open_svg(width, row_height * len(parents), "", "lineage-graph", fixed=True)]
  for row, opponent in arcs:
    (x1, y1), (x2, y2) = place(opponent), place(row)
    bend = min(x1, x2) - min(12 + 7 * abs(row - opponent), reach) * 1.15
    parts.append(
      f'<path class="played" d="M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} '
      f'{x2:.1f} {y2:.1f}"/>'
    )
  for row, parent in enumerate(parents):
    if parent is None:
      continue
    (x1, y1), (x2, y2) = place(parent), place(row)
    turn = (
      f"C{x1:.1f} {y1 + row_height * 0.6:.1f} {x2:.1f} {y1 + row_height * 0.4:.1f} {x2:.1f} "
      f"{y1 + row_height:.1f}"
    )
    parts.append(
      f'<path class="descent" d="M{x1:.1f} {y1:.1f}{turn if x1 != x2 else ""}V{y2:.1f}"/>'
    )
  for row in range(len(parents)):
    x, y = place(row)
    parts.append(
      f'<circle class="version{" best" if row == best else ""}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    )
  return "".join(parts) + "</svg>"


def _shorten_middle(text: str, length: int) -> str:
  """`text` in at most `length` characters; both ends stay, as either may be what tells two models
  apart.
  """
  if len(text) <= length:
    return text
  tail = (length - 1) // 2
  return f"{text[: length - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"


def _open_svg(
  width: float, height: float, label: str, css_class: str = "chart", fixed: bool = False
) -> str:
  size = f'width="{width:.0f}" height="{height:.0f}" ' if fixed else ""
  role = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
  return f'<svg class="{css_class}" {size}viewBox="0 0 {width:.0f} {height:.0f}" {role}>'


def _text(x: float, y: float, text: str, anchor: str, css_class: str = "") -> str:
  return (
    f'<text class="{css_class}" x="{x:.1f}" y="{y:.1f}" '
    f'text-anchor="{anchor}">{escape(text)}</text>'
  )


def _y_axis(
  ticks: Sequence[float], labels: Sequence[str], place_y: Placement, left: float, right: float
) -> Iterable[str]:
  for tick, text in zip(ticks, labels, strict=True):
    y = place_y(tick)
    yield f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    yield _text(left - 6, y + 4, text, "end")


def _thin(points: Sequence[Point]) -> tuple[list[Point], list[Point], list[Point]]:
  """Mean, least and greatest values of at most POINTS_PER_CURVE groups of neighbours; one list
  thrice where none is needed.
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
    for line, value in zip(
      thinned, (sum(values) / len(values), min(values), max(values)), strict=True
    ):
      line.append((x, value))
  return thinned


def _areas(
  least: Sequence[Point], greatest: Sequence[Point], place_x: Placement, place_y: Placement
) -> Iterable[str]:
  """A closed path for each stretch of finite values, along the greatest values and back along the
  least.
  """
  stretch: list[tuple[Point, Point]] = []
  for low, high in [*zip(least, greatest, strict=True), ((0.0, math.nan), (0.0, math.nan))]:
    if math.isfinite(low[1]):
      stretch.append((low, high))
    elif stretch:
      outline = [high for _, high in stretch] + [low for low, _ in reversed(stretch)]
      yield _path(outline, place_x, place_y) + "Z"
      stretch = []


def _path(points: Iterable[tuple[float, float]], place_x: Placement, place_y: Placement) -> str:
  commands, pen_down = [], False
  for x, y in points:
    if math.isfinite(y):
      commands.append(f"{'L' if pen_down else 'M'}{place_x(x):.1f} {place_y(y):.1f}")
    pen_down = math.isfinite(y)
  return "".join(commands)
