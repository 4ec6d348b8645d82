"""Which folder holds the model that a person means: a model folder, or the folder of a run that has
exported one.
"""

from __future__ import annotations

import os
from pathlib import Path

EXPORT = "export"
CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"


def is_adapter(folder: Path) -> bool:
  """Whether a folder holds an adapter in peft's format, and no model."""
  return (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()


def find_model(path: str | os.PathLike, adapters: bool = False) -> Path:
  """The model folder at `path`; of a run's folder, its export. Nothing is loaded.

  Args:
    adapters: whether the folder of an adapter will do.

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
  if is_adapter(folder):
    if adapters:
      return folder
    raise ValueError(
      f"{folder}: an adapter, not a whole model; convert_hf.py --peft_adapter={folder} "
      "--output=DIR merges it into its base"
    )
  if not (folder / CONFIG).is_file():
    if (export / CONFIG).is_file():
      return export
    raise ValueError(
      f"{folder}: no model there (a model folder has a {CONFIG}, weights and a tokenizer)"
    )
  return folder
