"""Why synthesis did not keep a query, in plain words.

What is said of each reason that synthesis counts stands in `rejection_words.toml`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path

_WORDS: Mapping[str, Mapping[str, Mapping[str, str]]] = tomllib.loads(
  Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)


@dataclasses.dataclass(frozen=True)
class Reason:
  """A reason in plain words, what it means, and what tells it from others of its family."""

  words: str
  meaning: str = ""
  form: str = ""


def in_words(reason: str) -> Reason:
  """The words of a reason as synthesis counts it; one that is unknown stands for itself."""
  if known := _WORDS["reasons"].get(reason):
    return Reason(**known)
  name, colon, form = reason.partition(": ")
  if colon and (family := _WORDS["families"].get(name)):
    return Reason(**family, form=form)
  return Reason(reason.replace("_", " "))
