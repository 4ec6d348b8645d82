"""The base in the box: a small pretrained model to start from. README.md here is its card."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def base_in_the_box() -> Path:
  """The Hugging Face folder of the model that comes with the package. Raises FileNotFoundError."""
  if not (FOLDER / "config.json").is_file():
    raise FileNotFoundError(
      f"{FOLDER}: this installation has no base model; give one as a Hugging Face folder, or make "
      "one with experiments/pretrain_small.py"
    )
  return FOLDER
