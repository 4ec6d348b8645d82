"""The examples that a run synthesized, as a `datasets.DatasetDict`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spftsql_jax.examples.benchmarks import read_dataset
from spftsql_jax.pipeline.journal import read_steps

# Files of examples by the split that they are; rounds are one split behind the other.
_SPLITS = {
  "train": re.compile(r"round_\d+-train-"),
  "verify": re.compile(r"round_\d+-verify-"),
  "selection": re.compile(r"selection-"),
  "self_play": re.compile(r"self_play-[0-9a-f]+\."),
}


def write_run_dataset(workdir: str | Path, folder: str | Path) -> dict[str, int]:
  """Writes the synthesized examples of a run so that `datasets.load_from_disk` reads them: what it
  trained on, verified each round by, chose versions by and played on.

  Returns:
    The number of examples of each split.

  Raises:
    FileNotFoundError: the run has not made any.
  """
  # Imported here: it takes a second, and a run needs none of it.
  import datasets

  workdir, folder = Path(workdir), Path(folder)
  names = [Path(name) for name in dict.fromkeys(_files(read_steps(workdir)))]
  found: dict[str, Any] = {}
  for split, pattern in _SPLITS.items():
    files = [workdir / name for name in names if pattern.match(name.name)]
    # An earlier stage may have written no example.
    parts = [read_dataset(file) for file in files if file.is_file() and file.stat().st_size]
    if parts:
      found[split] = datasets.concatenate_datasets(parts)
  if not found:
    raise FileNotFoundError(f"{workdir}: the run has made no examples yet")
  datasets.disable_progress_bars()
  unfinished = folder.with_name(folder.name + ".unfinished")
  shutil.rmtree(unfinished, ignore_errors=True)
  datasets.DatasetDict(found).save_to_disk(str(unfinished))
  shutil.rmtree(folder, ignore_errors=True)
  unfinished.replace(folder)
  return {split: len(examples) for split, examples in found.items()}


def _files(value: Any) -> Iterator[str]:
  """The names of data files in the outputs of a run's steps."""
  if isinstance(value, str):
    if value.endswith(".jsonl"):
      yield value
  elif isinstance(value, dict):
    for part in value.values():
      yield from _files(part)
  elif isinstance(value, list):
    for part in value:
      yield from _files(part)
