"""Drawings as data: shapes with their coordinates, which a template writes as SVG.

Colours, type sizes and strokes come from the page's style sheet by class name, so a drawing
follows light and dark.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

# From a value to a coordinate.
Placement = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Shape:
  """One SVG element.

  Attributes:
    element: "line", "path", "circle", "text" or, with `parts`, "g".
    css_class: what the style sheet knows it by.
    attributes: (name, value) of its coordinates.
    text: what a text says. title: what a group's tooltip says.
  """

  element: str
  css_class: str = ""
  attributes: tuple[tuple[str, str], ...] = ()
  text: str = ""
  title: str = ""
  parts: tuple[Shape, ...] = ()


@dataclasses.dataclass(frozen=True)
class Drawing:
  """Shapes in a coordinate system of `width` by `height`.

  Attributes:
    label: what it shows, for readers who do not see it; "" hides it from them.
    fixed: whether it has its own size in pixels rather than that of its place.
  """

  width: float
  height: float
  label: str
  css_class: str
  shapes: tuple[Shape, ...]
  fixed: bool = False


def line(css_class: str, x1: float, x2: float, y1: float, y2: float) -> Shape:
  """A straight line."""
  return Shape("line", css_class, _coordinates(x1=x1, x2=x2, y1=y1, y2=y2))


def path(css_class: str, commands: str) -> Shape:
  """A line or area along SVG path commands."""
  return Shape("path", css_class, (("d", commands),))


def circle(css_class: str, x: float, y: float, radius: float) -> Shape:
  """A dot."""
  return Shape("circle", css_class, (*_coordinates(cx=x, cy=y), ("r", f"{radius:g}")))


def text(x: float, y: float, words: str, anchor: str, css_class: str = "") -> Shape:
  """Words on one line; `anchor` is "start", "middle" or "end"."""
  return Shape("text", css_class, (*_coordinates(x=x, y=y), ("text-anchor", anchor)), words)


def y_axis(
  ticks: Sequence[float], labels: Sequence[str], place_y: Placement, left: float, right: float
) -> Iterator[Shape]:
  """A line across and its label for each tick."""
  for tick, label in zip(ticks, labels, strict=True):
    y = place_y(tick)
    yield line("grid", left, right, y, y)
    yield text(left - 6, y + 4, label, "end")


def number(value: float) -> str:
  """A value to three significant figures, with a typographic minus; thousands are grouped."""
  if not math.isfinite(value):
    return "–"
  magnitude = abs(value)
  if magnitude >= 1000 and magnitude < 1e6:
    written = f"{value:,.0f}"
  elif magnitude >= 100:
    written = f"{value:.0f}" if magnitude < 1e6 else f"{value:.2g}"
  elif magnitude >= 1e-4 or magnitude == 0:
    written = f"{value:.3g}"
  else:
    written = f"{value:.1e}"
  return written.replace("-", "−")


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
  """Label positions moved apart to at least `gap`, in their order, inside [low, high].

  Where they do not fit in there, those at the low end stand before it.
  """
  order = sorted(range(len(positions)), key=lambda index: positions[index])
  moved = [0.0] * len(positions)
  previous = -math.inf
  for index in order:
    previous = moved[index] = max(positions[index], previous + gap, low)
  limit = high
  for index in reversed(order):
    moved[index] = min(moved[index], limit)
    limit = moved[index] - gap
  return moved


def _coordinates(**values: float) -> tuple[tuple[str, str], ...]:
  return tuple((name, f"{value:.1f}") for name, value in values.items())
