"""Which folder holds the model that a person means: a model folder, or the folder of a run that has
exported one.
"""

from __future__ import annotations

import os
from pathlib import Path

EXPORT = "export"
CONFIG = "config.json"


def find_model(path: str | os.PathLike) -> Path:
  """The model folder at `path`; of a run's folder, its export. Nothing is loaded.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: there is something else; the message says what, and what to do.
  """
  folder = Path(path)
  if not folder.exists():
    raise FileNotFoundError(f"{folder}: no model folder there")
  if not folder.is_dir():
    raise ValueError(
      f"{folder}: a file; a model is a folder with config.json, weights and tokenizer"
    )
  export = folder / EXPORT
  # A run keeps a config.json too, but it is the run's.
  if (folder / "journal.jsonl").is_file() or (folder / "model_base").is_dir():
    if (export / CONFIG).is_file():
      return export
    raise ValueError(
      f"{folder}: a run's folder without an export, because the run has not ended; the same "
      "command goes on with it, or "
      f"convert_hf.py --checkpoint={folder} --output=DIR writes its best model so far"
    )
  if (folder / "versions").is_dir():
    raise ValueError(
      f"{folder}: a model base; convert_hf.py --checkpoint={folder} --output=DIR writes a "
      "version "
      "of it as a model folder"
    )
  if not (folder / CONFIG).is_file():
    if (export / CONFIG).is_file():
      return export
    raise ValueError(
      f"{folder}: no model there (a model folder has a {CONFIG}, weights and a tokenizer)"
    )
  return folder
