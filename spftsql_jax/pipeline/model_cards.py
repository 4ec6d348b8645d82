"""Model cards of what a run hands over: the facts of a version, for `report.model_card`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from spftsql_jax.models import ModelConfig
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.pipeline.codec import record_to_json
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.pipeline.result_records import LineageRow
from spftsql_jax.report.model_card import CardModel, write_model_card


def write_card(
  folder: Path,
  results: Mapping[str, Any],
  version: str,
  config: ModelConfig,
  *,
  start: str,
  max_new_tokens: int,
  adapter: bool = False,
  gguf: bool = False,
) -> None:
  """Writes the card of a version into the folder that it was exported to.

  Args:
    results: of the run, as JSON (`results_so_far`).
    config: of the model.
    start, max_new_tokens, adapter, gguf: see `CardModel`.
  """
  written = folder / "config.json"
  dtype = json.loads(written.read_text())["dtype"] if written.is_file() else "float32"
  shapes = jax.tree.leaves(nn.meta.unbox(abstract_params(config)))
  parameters = sum(math.prod(leaf.shape) for leaf in shapes)
  model = CardModel(version, parameters, config.family, dtype, start, max_new_tokens, adapter, gguf)
  write_model_card(folder, results, model)


def results_so_far(workdir: Path, models: ModelBase) -> Mapping[str, Any]:
  """What results.json of a run holds; of a run that has not ended, its title and lineage."""
  path = workdir / "results.json"
  if path.is_file():
    found: dict[str, Any] = json.loads(path.read_text())
    return found
  title = json.loads((workdir / "config.json").read_text()).get("name", "SPFT-SQL run")
  lineage = []
  for version in models.versions():
    of, score = models.lineage(version), models.score(version, "selection")
    ex = None if score is None else score.execution_accuracy
    row = LineageRow(version, of.parent, of.opponent, of.stage, of.round, ex)
    lineage.append(record_to_json(row))
  return {"title": title, "lineage": lineage}
