"""What a run's folder says of its versions to whoever takes one out: prompt format, dtype, view of
the databases, and the model that it started from.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spftsql_jax.answering.exported import StoredPrompt
from spftsql_jax.databases.schema_view import WHOLE, SchemaView
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.pipeline.config import from_dict
from spftsql_jax.pipeline.journal import read_steps
from spftsql_jax.pipeline.model_base import ModelBase


@dataclasses.dataclass(frozen=True)
class FinishedRun:
  """The folder of a run, ended or not; or a model base without one, of which nothing is known."""

  folder: Path

  @functools.cached_property
  def _config(self) -> Mapping[str, Any]:
    path = self.folder / "config.json"
    return json.loads(path.read_text()) if path.is_file() else {}

  @property
  def _model(self) -> Mapping[str, Any]:
    return self._config.get("model", {})

  @property
  def dtype(self) -> str | None:
    """What the run computes with; None where there is no run."""
    return self._model.get("dtype")

  @property
  def started_from(self) -> str:
    """The folder of the model that it started from; "" for random weights."""
    return self._model.get("hf_model", "")

  @property
  def view(self) -> SchemaView:
    """What the run sees of its databases."""
    record = self._config.get("data", {}).get("view")
    if record is None:
      return WHOLE
    return from_dict(SchemaView, record, f"{self.folder / 'config.json'}: data.view")

  def prompt(self, fingerprint: str) -> StoredPrompt | None:
    """How a version is asked that was trained with a format of this fingerprint; None where there
    is no run. Raises ValueError where it is not the run's.
    """
    path = self.folder / "config.json"
    if "prompt" not in self._config:
      return None
    style = from_dict(PromptFormat, self._config["prompt"], f"{path}: prompt")
    if style.fingerprint != fingerprint:
      raise ValueError(
        f"{path} has the prompt format {style.fingerprint}, the version was trained with "
        f"{fingerprint}"
      )
    # What a run has chosen where its config leaves it open.
    chosen: Any = read_steps(self.folder).get("prepare/chosen", {})
    longest_answer = self._config["max_new_tokens"] or chosen["max_new_tokens"]
    if self._config.get("long_schemas") != "split":
      return StoredPrompt(style, longest_answer)
    longest_prefix = (
      self._config["packing"]["longest_prefix"] or chosen["packing"]["longest_prefix"]
    )
    return StoredPrompt(style, longest_answer, longest_prefix)

  def find_start(self, base_model: str) -> Path:
    """The Hugging Face folder with config and tokenizer that the run started from: where its config
    says that it lies, or where it lay when the version was made. Raises ValueError.
    """
    places = [self.started_from, base_model]
    own = (self.folder / "start", self.folder.parent / "start")
    for candidate in (*own, *map(Path, filter(None, places))):
      if (candidate / "config.json").is_file():
        return candidate
    raise ValueError(
      f"{self.folder}: neither {self.folder / 'start'} nor {base_model!r} holds the config.json of "
      "the model it started from; where that folder was moved, start the run again with "
      "--config.model.hf_model=FOLDER, and it notes the new place"
    )


def find_version(folder: Path, version: str | None) -> tuple[ModelBase, str]:
  """The model base of a run folder (or the folder itself), and the version asked for, or the best
  candidate. Raises ValueError.
  """
  directory = folder / "model_base" if (folder / "model_base").is_dir() else folder
  base = ModelBase(directory)
  versions = base.versions()
  if not versions:
    raise ValueError(f"{folder} holds no model base")
  if version is None:
    scored = any(base.score(v, "selection") is not None for v in base.candidates())
    return base, base.best("selection") if scored else (base.candidates() or versions)[-1]
  if version not in versions:
    raise ValueError(f"{folder}: no version {version!r}; there are {', '.join(versions)}")
  return base, version
