"""The names of a run's stages and of the models they make: one table for results, report, terminal.

The table is `stage_names.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STAGES: Mapping[str, Mapping[str, str]] = tomllib.loads(
  Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)


def stage_name(stage: Any) -> str:
  """A stage's identifier, or the path of one of its parts, as text.

  "vbi_ft/round_1" becomes "VBI-FT, round 1".
  """
  return ", ".join(
    _STAGES[part]["name"] if part in _STAGES else part.replace("_", " ")
    for part in str(stage).split("/")
  )


def model_name(stage: Any, number: Any) -> str:
  """The model that a stage's round or iteration made: "VBI-FT, round 1", "SFT on seeds"."""
  name = stage_name(stage)
  known = _STAGES.get(str(stage))
  repetition = "round" if known is None else known.get("repetition", "")
  if not repetition or not isinstance(number, int) or isinstance(number, bool) or number == 0:
    return name
  return f"{name}{', ' if name else ''}{repetition} {number}"
