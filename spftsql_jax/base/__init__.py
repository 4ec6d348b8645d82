"""The base in the box: a small pretrained model to start from. README.md beside it is its card."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def base_in_the_box() -> Path | None:
  """The Hugging Face folder of the model that comes with the package; None where none does."""
  return FOLDER if (FOLDER / "config.json").is_file() else None
