"""Looks into a model base.

    python experiments/model_base.py list --base=DIR
      versions with stage, parent, opponent and scores
    python experiments/model_base.py show --base=DIR --version=NAME
      one version's lineage and scores, as JSON
    python experiments/model_base.py best --base=DIR [--split=NAME]
      the name of the best version, the one that runs hand over

The best has the highest execution accuracy; of equals its answers run most often; of these it is
the latest. Baselines are only compared with: --all asks among them too.
"""

from __future__ import annotations

from launch import InputError, launch  # First: from here on a signal ends the script with one line.

# isort: split
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from spftsql_jax.report.stage_names import stage_name

if TYPE_CHECKING:
  from spftsql_jax.pipeline.model_base import ModelBase

_BASE = flags.DEFINE_string("base", None, "Folder of the model base.", required=True)
_VERSION = flags.DEFINE_string("version", None, "Version to show.")
_ALL = flags.DEFINE_boolean(
  "all", False, "The best of all versions, baselines too, instead of the candidates alone."
)
_SPLIT = flags.DEFINE_string("split", "selection", "Split whose scores decide.")

_LINE = "{:24}{:24}{:24}{:24}{:>14}{:>8}  {}"


def main() -> None:
  words = flags.FLAGS(sys.argv)[1:]
  if len(words) != 1 or words[0] not in ("list", "show", "best"):
    raise InputError("say what to do: list, show or best (see --help)")
  if not (Path(_BASE.value) / "versions").is_dir():
    raise InputError(f"{_BASE.value}: no model base there (it has a folder named versions)")
  if words[0] == "show" and not _VERSION.value:
    raise InputError("which version? --version=NAME (model_base.py list names them)")
  # Here: it imports JAX, which takes seconds.
  from spftsql_jax.pipeline.model_base import ModelBase

  base = ModelBase(_BASE.value)
  if words[0] == "best":
    print(base.best(_SPLIT.value, base.versions() if _ALL.value else None))
  elif words[0] == "list":
    print(
      _LINE.format("version", "stage", "parent", "opponent", f"{_SPLIT.value} EX", "run", "kind")
    )
    for version in base.versions():
      lineage, score = base.lineage(version), base.score(version, _SPLIT.value)
      ex, run = (
        ("-", "-")
        if score is None
        else (f"{score.execution_accuracy:.1%}", f"{score.executable:.0%}")
      )
      kind = "candidate" if base.is_candidate(version) else "compared with"
      parent, opponent = lineage.parent or "-", lineage.opponent or "-"
      print(_LINE.format(version, stage_name(lineage.stage), parent, opponent, ex, run, kind))
  else:
    print(json.dumps(_show(base, _VERSION.value), indent=1))


def _show(base: ModelBase, version: str) -> dict[str, Any]:
  try:
    lineage = base.lineage(version)
  except KeyError as error:
    raise InputError(error.args[0]) from error
  scores = {}
  for path in sorted((base.directory / "scores" / version).glob("*.json")):
    if score := base.score(version, path.stem):
      scores[path.stem] = {
        "ex": score.execution_accuracy,
        "executable": score.executable,
        "n": len(score.outcomes),
      }
  return {
    "version": version,
    "candidate": base.is_candidate(version),
    "lineage": dataclasses.asdict(lineage),
    "scores": scores,
  }


if __name__ == "__main__":
  launch(main)
