"""The model that specialising starts from where none is given."""

from __future__ import annotations

from pathlib import Path

import spftsql_jax

FOLDER = Path(spftsql_jax.__file__).parent / "base"


def base_in_the_box() -> Path:
  """The folder of the model that comes with the package. Raises FileNotFoundError."""
  if not (FOLDER / "config.json").is_file():
    raise FileNotFoundError(
      f"{FOLDER}: this installation has no base model; give one with --base_model=DIR, a Hugging "
      "Face folder"
    )
  return FOLDER
