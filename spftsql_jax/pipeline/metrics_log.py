"""Training metrics of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, cast

from spftsql_jax.files import write_text

if TYPE_CHECKING:
  import tensorboardX

# Stage and step, then the figures by name.
MetricsLine: TypeAlias = dict[str, str | float]


class MetricsLog:
  """A file and a TensorBoard log for each stage.

  A stage that is resumed goes on where it does: what a cut run has written of the steps that are
  done again is dropped, so that the files are those of a run without a cut.
  """

  def __init__(self, workdir: Path):
    self._folder = workdir / "metrics"
    self._tensorboard = workdir / "tensorboard"
    self._open: dict[str, tuple[TextIO, tensorboardX.SummaryWriter]] = {}

  def write(self, stage: str, step: int, values: dict[str, float]) -> None:
    """Adds the values of one step."""
    if stage not in self._open:
      name = stage.replace("/", "-")
      self._folder.mkdir(parents=True, exist_ok=True)
      path = self._folder / f"{name}.jsonl"
      _keep_before(path, step)
      board = _tensorboard().SummaryWriter(
        str(self._tensorboard / name), purge_step=step if step > 1 else None
      )
      self._open[stage] = path.open("a", buffering=1), board
    file, board = self._open[stage]
    file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
    for name, value in values.items():
      board.add_scalar(name, value, step)

  def read(self) -> list[MetricsLine]:
    """All lines."""
    return [line for path in sorted(self._folder.glob("*.jsonl")) for line in _read(path)]

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


@functools.cache
def _tensorboard() -> Any:
  """tensorboardX, which would import torch where that is installed: seconds, for what is not used
  here.
  """
  absent = "torch" not in sys.modules
  if absent:
    sys.modules["torch"] = None  # type: ignore[assignment]
  try:
    import tensorboardX
  finally:
    if absent:
      del sys.modules["torch"]
  return tensorboardX


def _read(path: Path) -> list[MetricsLine]:
  """The lines of a file; one that was cut off while it was written is none."""
  lines = []
  for line in path.read_text(encoding="utf-8").splitlines():
    with contextlib.suppress(json.JSONDecodeError):
      lines.append(json.loads(line))
  return lines


def _keep_before(path: Path, step: int) -> None:
  """Drops the lines of `step` and of those behind it."""
  if not path.exists():
    return
  kept = [line for line in _read(path) if cast(int, line["step"]) < step]
  write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
