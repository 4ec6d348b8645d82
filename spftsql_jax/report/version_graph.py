"""The lines beside the list of versions, as `git log --graph` draws them."""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.report import drawing
from spftsql_jax.report.drawing import Drawing

_PITCH = 18


def version_graph(
  parents: Sequence[int | None],
  opponents: Sequence[int | None],
  row_height: float,
  best: int | None,
) -> Drawing:
  """Versions one below the other, joined to their parents; opponents by dashed arcs on the left.

  Args:
    parents: for each row the row of its parent, or None. A parent stands above its child.
    opponents: for each row the row of the opponent it played, or None.
    row_height: in pixels.
    best: the row to fill, or None.
  """
  lanes = _lanes(parents)
  arcs = [(row, o) for row, o in enumerate(opponents) if o is not None and o != row]
  reach = min(16 + 7 * max((abs(row - opponent) for row, opponent in arcs), default=-2), 64)
  width = reach + _PITCH * (max(lanes, default=0) + 1)

  def place(row: int) -> tuple[float, float]:
    return reach + _PITCH * (lanes[row] + 0.5), row_height * (row + 0.5)

  shapes = []
  for row, opponent in arcs:
    (x1, y1), (x2, y2) = place(opponent), place(row)
    bend = min(x1, x2) - min(12 + 7 * abs(row - opponent), reach) * 1.15
    arc = f"M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    shapes.append(drawing.path("played", arc))
  for row, parent in enumerate(parents):
    if parent is None:
      continue
    (x1, y1), (x2, y2) = place(parent), place(row)
    turn = (
      f"C{x1:.1f} {y1 + row_height * 0.6:.1f} {x2:.1f} {y1 + row_height * 0.4:.1f} "
      f"{x2:.1f} {y1 + row_height:.1f}"
    )
    descent = f"M{x1:.1f} {y1:.1f}{turn if x1 != x2 else ''}V{y2:.1f}"
    shapes.append(drawing.path("descent", descent))
  for row in range(len(parents)):
    shapes.append(drawing.circle("version best" if row == best else "version", *place(row), 4.5))
  height = row_height * len(parents)
  return Drawing(width, height, "", "lineage-graph", tuple(shapes), fixed=True)


def _lanes(parents: Sequence[int | None]) -> list[int]:
  """The lane of each row, from the left, so that no line runs through a version it does not join.

  The child with most descendants goes on straight below its parent; the others turn off into
  lanes of their own.
  """
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
  return lanes
