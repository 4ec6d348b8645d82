"""Checkpoints of a training run, written by Orbax while training goes on.

The newest complete one is resumed from.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import orbax.checkpoint.experimental.v1 as ocp

from spftsql_jax import hosts
from spftsql_jax.training.guards import Guards


class Recorded(Protocol):
  """What goes on from a record of its own (JSON) when a run is resumed."""

  def record(self) -> dict[str, Any]: ...

  def restore(self, record: dict[str, Any]) -> None: ...


class Checkpoints:
  """The checkpoints in a folder, or none where the folder is None.

  As a context: leaving waits for the one being written.
  """

  def __init__(self, folder: Path | None):
    self._folder = folder
    self._writing: tuple[int, Any] | None = None

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
    # otherwise another process may be gone, which would be waited for
    if kind is None or hosts.count() == 1:
      self.finish()

  def resume(self, state: Any, guards: Guards, meter: Recorded) -> tuple[Any, int]:
    """(state, its step) of the newest complete checkpoint; else the state given, and 0.

    The records of guards and meter are restored with it.
    """
    if self._folder is None:
      return state, 0
    for step, record in hosts.from_first(self._complete):
      try:
        best = {"best": state.weights} if record["best"] else {}
        kept = ocp.load_pytree(self._path(step), _changing(state) | best)
      except (ValueError, OSError, KeyError):
        continue  # cut off while it was written: the one before it serves
      guards.restore(record["guards"], kept.pop("best", None))
      meter.restore(record["meter"])
      return state.replace(**kept), step
    return state, 0

  def weights(self, state: Any, before: int) -> tuple[Any, int] | None:
    """(trained weights, their step) of the newest complete checkpoint before `before`, or None.

    The state gives shapes and shardings; its arrays are deleted, for two states may not fit in
    memory.
    """
    if self._folder is None:
      return None
    shapes = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), _changing(state)
    )
    jax.tree.map(lambda x: x.delete(), state)
    name = "trainable" if state.master is None else "master"
    for step, record in hosts.from_first(self._complete):
      with contextlib.suppress(ValueError, OSError, KeyError):
        if step < before:
          best = {"best": shapes[name]} if record["best"] else {}
          return ocp.load_pytree(self._path(step), shapes | best)[name], step
    return None

  def _complete(self) -> list[tuple[int, dict[str, Any]]]:
    """(step, record) of the checkpoints, newest first."""
    found = []
    files = self._root.iterdir() if self._root.is_dir() else ()
    for step in sorted((int(p.name) for p in files if p.name.isdigit()), reverse=True):
      # A record that cannot be read was cut off while it was written.
      with contextlib.suppress(ValueError, OSError):
        found.append((step, json.loads(self._record(step).read_text(encoding="utf-8"))))
    return found

  def save(self, state: Any, guards: Guards, meter: Recorded, step: int) -> None:
    """Starts writing a checkpoint, once the one before it is complete; older ones go when it is."""
    if self._folder is None:
      return
    self.finish()
    best = guards.best(None)
    tree = _changing(state) | ({} if best is None else {"best": best})
    if jax.default_backend() == "cpu":
      # there the host reads the arrays themselves, which the next step overwrites
      tree = jax.tree.map(jnp.copy, tree)
    record = {"guards": guards.record(), "meter": meter.record(), "best": best is not None}
    hosts.from_first(lambda: self._write_record(step, record))
    self._writing = step, ocp.save_pytree_async(self._path(step), tree, overwrite=True)

  def finish(self) -> None:
    """Waits until what is being written is complete."""
    if self._writing is None:
      return
    (step, response), self._writing = self._writing, None
    response.result()
    hosts.from_first(lambda: self._forget_before(step))

  def _forget_before(self, step: int) -> None:
    for old in self._root.iterdir():
      name = old.name.removesuffix(".json")
      if name.isdigit() and int(name) < step:
        shutil.rmtree(old) if old.is_dir() else old.unlink()

  def _write_record(self, step: int, record: dict[str, Any]) -> None:
    self._root.mkdir(parents=True, exist_ok=True)
    self._record(step).write_text(json.dumps(record), encoding="utf-8")

  @property
  def _root(self) -> Path:
    assert self._folder is not None  # nothing is written or read without one
    return self._folder

  def _path(self, step: int) -> Path:
    return (self._root / str(step)).resolve()

  def _record(self, step: int) -> Path:
    return self._root / f"{step}.json"


def forget_checkpoints(folder: Path) -> None:
  """Removes a finished run's checkpoints; call it once the result is stored elsewhere."""
  hosts.from_first(lambda: shutil.rmtree(folder, ignore_errors=True))


def _changing(state: Any) -> dict[str, Any]:
  # A halted state is never kept: its run has ended.
  tree = {"step": state.step, "trainable": state.trainable, "optimizer": state.optimizer}
  return tree if state.master is None else tree | {"master": state.master}
