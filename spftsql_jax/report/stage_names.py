"""The names of a run's stages and of the models they make: one table for results, report and
terminal.
"""

from __future__ import annotations

from typing import Any

# For each stage its name, and what its repetitions are called.
_STAGES = {
  "base": ("base", ""),
  "sft": ("SFT on seeds", ""),
  "vbi_ft": ("VBI-FT", "round"),
  "self_play": ("SPFT-SQL", "iteration"),
  "spin": ("SPIN", "iteration"),
  "exspin": ("ExSPIN", "iteration"),
  "dpo": ("DPO", "iteration"),
  "sft_control": ("SFT on the same pairs", "iteration"),
  "questions": ("question writer", ""),
}


def stage_name(stage: Any) -> str:
  """A stage's identifier, or the path of one of its parts, as text: "vbi_ft/round_1" becomes
  "VBI-FT, round 1".
  """
  return ", ".join(
    _STAGES.get(part, (part.replace("_", " "),))[0] for part in str(stage).split("/")
  )


def model_name(stage: Any, number: Any) -> str:
  """The model that a stage's round or iteration made: "VBI-FT, round 1", "SFT on seeds"."""
  name, repetition = _STAGES.get(str(stage), (stage_name(stage), "round"))
  if not repetition or not isinstance(number, int) or isinstance(number, bool) or number == 0:
    return name
  return f"{name}{', ' if name else ''}{repetition} {number}"
