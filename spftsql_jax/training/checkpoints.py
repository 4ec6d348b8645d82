"""Checkpoints of a training run, written by Orbax while training goes on; the newest complete one is resumed from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint.experimental.v1 as ocp

from spftsql_jax.training.guards import Guards


class Checkpoints:
  """The checkpoints in a folder, or none where the folder is None. As a context: leaving waits for the one being written."""

  def __init__(self, folder: Path | None):
    self._folder = folder
    self._writing: tuple[int, Any] | None = None

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, *_: Any) -> None:
    self._finish()

  def resume(self, state: Any, guards: Guards) -> tuple[Any, int]:
    """(state, its step) of the newest complete checkpoint, with the guards' record restored; else the state given, and 0."""
    if self._folder is None or not self._folder.is_dir():
      return state, 0
    steps = sorted((int(p.name) for p in self._folder.iterdir() if p.name.isdigit()), reverse=True)
    for step in steps:
      try:
        record = json.loads(self._record(step).read_text(encoding="utf-8"))
        like = _changing(state) | ({"best": state.trainable} if record["best"] else {})
        kept = ocp.load_pytree(self._path(step), like)
      except (ValueError, OSError, KeyError):
        continue  # cut off while it was written: the one before it serves
      guards.restore(record, kept.pop("best", None))
      return state.replace(**kept), step
    return state, 0

  def save(self, state: Any, guards: Guards, step: int) -> None:
    """Starts writing a checkpoint, once the one before it is complete; older ones go when it is."""
    if self._folder is None:
      return
    self._finish()
    self._folder.mkdir(parents=True, exist_ok=True)
    best = guards.best(None)
    tree = _changing(state) | ({} if best is None else {"best": best})
    if jax.default_backend() == "cpu":
      tree = jax.tree.map(jnp.copy, tree)  # there the host reads the arrays themselves, which the next step overwrites
    record = guards.record() | {"best": best is not None}
    self._record(step).write_text(json.dumps(record), encoding="utf-8")
    self._writing = step, ocp.save_pytree_async(self._path(step), tree, overwrite=True)

  def _finish(self) -> None:
    if self._writing is None:
      return
    (step, response), self._writing = self._writing, None
    response.result()
    for old in self._folder.iterdir():
      name = old.name.removesuffix(".json")
      if name.isdigit() and int(name) < step:
        shutil.rmtree(old) if old.is_dir() else old.unlink()

  def _path(self, step: int) -> Path:
    return (self._folder / str(step)).resolve()

  def _record(self, step: int) -> Path:
    return self._folder / f"{step}.json"


def forget_checkpoints(folder: Path) -> None:
  """Removes a finished run's checkpoints; call it once the result is stored elsewhere."""
  shutil.rmtree(folder, ignore_errors=True)


def _changing(state: Any) -> dict[str, Any]:
  return {"step": state.step, "trainable": state.trainable, "optimizer": state.optimizer}
