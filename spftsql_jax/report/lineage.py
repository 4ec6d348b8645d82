"""The part of the report page on the model base: which version came from which."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.report.drawing import Drawing
from spftsql_jax.report.models import best_row
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.report.version_graph import version_graph

Record = Mapping[str, Any]

# In pixels, as the style sheet has it.
ROW_HEIGHT = 48


@dataclasses.dataclass(frozen=True)
class Version:
  """A version with its scores and its origin in words."""

  name: str
  selection_ex: float | None
  test_ex: float | None
  origin: str
  best: bool


@dataclasses.dataclass(frozen=True)
class Lineage:
  """The versions, each below its parent, with the graph that joins them."""

  versions: tuple[Version, ...]
  graph: Drawing
  some_opponent: bool


def lineage(versions: Sequence[Record], table: Sequence[Record]) -> Lineage | None:
  """Which version came from which, and against which opponent it was trained; None without any."""
  if not versions:
    return None
  ordered = _parents_first(versions)
  rows = {str(version.get("version")): row for row, version in enumerate(ordered)}
  test_ex = {str(row["version"]): row.get("ex") for row in table if row.get("version") is not None}
  found = [rows.get(str(version.get("parent"))) for version in ordered]
  parents = [p if p is not None and p < row else None for row, p in enumerate(found)]
  opponents = [rows.get(str(version.get("opponent"))) for version in ordered]
  best = str((best_row(table) or {}).get("version"))
  names = [str(version.get("version", "")) for version in ordered]
  return Lineage(
    tuple(
      Version(name, v.get("selection_ex"), test_ex.get(name), _origin(v), name == best)
      for name, v in zip(names, ordered, strict=True)
    ),
    version_graph(parents, opponents, ROW_HEIGHT, rows.get(best)),
    any(opponent is not None for opponent in opponents),
  )


def _origin(version: Record) -> str:
  parts = [model_name(version.get("stage", ""), version.get("round"))]
  if version.get("parent") is not None:
    parts.append(f"from {version['parent']}")
  if version.get("opponent") is not None:
    parts.append(f"against {version['opponent']}")
  return ", ".join(part for part in parts if part)


def _parents_first(versions: Sequence[Record]) -> list[Record]:
  """The versions in their order, each moved behind its parent where it stood before it.

  A circle is cut where it is met.
  """
  waiting, ordered = list(versions), []
  listed: set[str] = set()
  names = {str(version.get("version")) for version in versions}
  while waiting:
    ready = next(
      (v for v in waiting if str(v.get("parent")) not in names or str(v.get("parent")) in listed),
      waiting[0],
    )
    waiting.remove(ready)
    ordered.append(ready)
    listed.add(str(ready.get("version")))
  return ordered
