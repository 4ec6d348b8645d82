"""Training metrics of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorboardX


class MetricsLog:
  """A file and a TensorBoard log for each stage. A stage that is resumed goes on behind its last line."""

  def __init__(self, workdir: Path):
    self._folder = workdir / "metrics"
    self._tensorboard = workdir / "tensorboard"
    self._open: dict[str, tuple[Any, tensorboardX.SummaryWriter]] = {}

  def write(self, stage: str, step: int, values: dict[str, float]) -> None:
    """Adds the values of one step."""
    if stage not in self._open:
      name = stage.replace("/", "-")
      self._folder.mkdir(parents=True, exist_ok=True)
      file = (self._folder / f"{name}.jsonl").open("a", buffering=1)
      self._open[stage] = file, tensorboardX.SummaryWriter(str(self._tensorboard / name))
    file, board = self._open[stage]
    file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
    for name, value in values.items():
      board.add_scalar(name, value, step)

  def read(self) -> list[dict[str, Any]]:
    """All lines; of a step that was done twice (before and after a cut), the report takes the last."""
    return [json.loads(line) for path in sorted(self._folder.glob("*.jsonl")) for line in path.read_text().splitlines()]

  def forget(self, prefixes: Sequence[str]) -> None:
    """Deletes the metrics of all stages whose names begin with one of `prefixes`."""
    beginnings = tuple(prefix.replace("/", "-") for prefix in prefixes)
    for path in (*self._folder.glob("*.jsonl"), *self._tensorboard.glob("*")):
      if path.name.startswith(beginnings):
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)

  def close(self) -> None:
    """Closes all files."""
    for file, board in self._open.values():
      file.close()
      board.close()
