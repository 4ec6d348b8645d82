"""A study: one config run with several seeds, and what its pre-registered contrasts show.

What is compared, and when it ends, is read from a file that is written before the runs
(`experiments/configs/study/preregistration.toml`).
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spftsql_jax.pipeline.codec import from_json, record_to_json
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.contrasts import compare_versions
from spftsql_jax.pipeline.data import located, read_test
from spftsql_jax.pipeline.journal import read_steps
from spftsql_jax.pipeline.model_base import Lineage, ModelBase
from spftsql_jax.pipeline.prepare import MODEL_BASE
from spftsql_jax.pipeline.result_records import ContrastRow
from spftsql_jax.pipeline.specialize.budget import Speed
from spftsql_jax.pipeline.versions import SELECTION, TEST

# A step over pairs has two answers to each prompt.
_PAIR_STEP = 1.5


@dataclasses.dataclass(frozen=True)
class Preregistration:
  """What was said before the runs.

  Attributes:
    question: that the study answers.
    primary: the stages whose last versions the primary contrast compares.
    secondary: those of the other contrasts, corrected together by Holm's method.
    seeds: of the runs; with `least_seeds` of them the study may end early.
    least_seeds: it does where the primary interval lies within the margin of equality; it never
      ends early because a difference was found.
    rules: what else was fixed, in words.
  """

  question: str
  primary: tuple[str, str]
  secondary: tuple[tuple[str, str], ...]
  seeds: tuple[int, ...]
  least_seeds: int
  rules: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Work:
  """What a run computes.

  Attributes:
    examples: synthesized. steps, pair_steps: updates on single answers and on pairs.
    answers: greedy ones. drawn: drawn ones.
  """

  examples: int
  steps: int
  pair_steps: int
  answers: int
  drawn: int

  def seconds(self, speed: Speed) -> float:
    """The time it takes at a machine's speed; evaluation included, SQL not."""
    return (
      speed.opening
      + self.examples * speed.example
      + 2 * speed.compiling
      + (self.steps + _PAIR_STEP * self.pair_steps) * speed.step
      + speed.first_answers
      + (self.answers + self.drawn) * speed.answer
    )


def read_preregistration(path: Path) -> Preregistration:
  """Raises FileNotFoundError, or ValueError naming the file."""
  try:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
  except tomllib.TOMLDecodeError as error:
    raise ValueError(f"{path}: not TOML ({error})") from error
  found = from_json(Preregistration, values, str(path))
  if not found.seeds or len(set(found.seeds)) < len(found.seeds):
    raise ValueError(f"{path}: seeds must be different numbers, one at least")
  return found


def work_of(config: RunConfig, test: int) -> Work:
  """What a run of the config computes, with so many test questions, where nothing ends early."""
  stage1, stage2, made = config.vbi_ft, config.self_play, config.synthesis
  iterations, later = stage2.iterations, stage2.baseline_iterations or stage2.iterations
  # Of every arm: how many iterations, whether it has answers of its own, and draws some.
  arms = [(iterations, True, stage2.draws)]
  arms += [
    (iterations if name == "sft_control" else later, name != "sft_control", False)
    for name in stage2.baselines
  ]
  for arm in stage2.arms:
    arms += [(iterations, True, arm.draws), *([(iterations, False, False)] if arm.control else ())]
  played = stage2.questions + stage2.real_questions // (max(iterations, 1) if stage2.fresh else 1)
  versions = 1 + stage1.rounds + sum(count for count, *_ in arms)
  headroom = config.headroom
  asked = min(headroom.questions, stage1.select) * headroom.drawing.samples
  fresh = stage2.played_iterations if stage2.fresh else 1
  return Work(
    examples=stage1.rounds * (made.examples + stage1.verify)
    + stage1.select
    + stage2.questions * fresh,
    steps=config.sft.steps + stage1.rounds * stage1.training.steps,
    pair_steps=stage2.training.steps * sum(count for count, *_ in arms),
    answers=versions * (stage1.select + test)
    + stage1.rounds * stage1.verify
    + sum(count * played for count, answers, _ in arms if answers),
    drawn=versions * asked
    + sum(count * played * stage2.drawing.samples for count, _, draws in arms if draws),
  )


@dataclasses.dataclass(frozen=True)
class Summary:
  """What the runs of a study show.

  Attributes:
    seeds: of the runs.
    ex: execution accuracy by split, stage and seed, of each stage's last version.
    contrasts: by split.
    runs: of each seed, as its results.json and journal have it: solve rates, the figures of every
      training (log p(y+), margin, tokens), seconds.
  """

  seeds: tuple[int, ...]
  ex: Mapping[str, Mapping[str, tuple[float, ...]]]
  contrasts: Mapping[str, tuple[ContrastRow, ...]]
  runs: tuple[Mapping[str, Any], ...]

  def primary(self, split: str) -> ContrastRow | None:
    """The primary contrast on a split; None where the runs do not have it."""
    return next((row for row in self.contrasts.get(split, ()) if row.primary), None)

  def to_json(self) -> dict[str, Any]:
    """As JSON holds it."""
    rows = {name: [record_to_json(row) for row in own] for name, own in self.contrasts.items()}
    return {"seeds": self.seeds, "ex": self.ex, "contrasts": rows, "runs": self.runs}


def summarize(config: RunConfig, runs: Mapping[int, Path], registered: Preregistration) -> Summary:
  """What finished runs show, whose work folders are given by seed.

  The test's questions are the same in all runs: differences are paired over seeds. The selection
  split's are synthesized by each run's seed: they stand beside each other as more questions. It is
  a test where nothing was selected (`SelfPlayConfig.final_step`).
  """
  found = [_outcomes(workdir) for workdir in runs.values()]
  databases = {
    TEST: [e.db_id for e in read_test(located(config))],
    SELECTION: [name for workdir in runs.values() for name in _selection_databases(workdir)],
  }
  ex: dict[str, dict[str, tuple[float, ...]]] = {}
  contrasts: dict[str, tuple[ContrastRow, ...]] = {}
  for split in (TEST, SELECTION):
    stages = [stage for stage, splits in found[0].items() if split in splits]
    rows: dict[str, list[Sequence[bool]]] = {
      stage: [one[stage][split] for one in found]
      for stage in stages
      if all(split in one.get(stage, {}) for one in found)
    }
    if not rows:
      continue
    ex[split] = {stage: tuple(sum(o) / len(o) for o in own) for stage, own in rows.items()}
    if split == SELECTION:
      rows = {stage: [[o for one in own for o in one]] for stage, own in rows.items()}
    pairs = [p for p in (registered.primary, *registered.secondary) if set(p) <= rows.keys()]
    lineages = {stage: Lineage(stage) for stage in rows}
    compared = compare_versions(pairs, lineages, rows, databases[split], 0, registered.primary)
    contrasts[split] = compared
  return Summary(tuple(runs), ex, contrasts, tuple(map(_figures, runs.values())))


def _outcomes(workdir: Path) -> dict[str, dict[str, tuple[bool, ...]]]:
  """The outcomes of each stage's last version, by split."""
  models = ModelBase(workdir / MODEL_BASE)
  found: dict[str, dict[str, tuple[bool, ...]]] = {}
  for version in models.versions():
    scores = {split: models.score(version, split) for split in (TEST, SELECTION)}
    found[models.lineage(version).stage] = {
      split: score.outcomes for split, score in scores.items() if score is not None
    }
  return found


def _selection_databases(workdir: Path) -> list[str]:
  """The database of each question of a run's selection split."""
  files: Any = read_steps(workdir)["prepare/data"]
  lines = (workdir / files["selection"]).read_text(encoding="utf-8").splitlines()
  return [json.loads(line)["db_id"] for line in lines]


def _figures(workdir: Path) -> dict[str, Any]:
  results = json.loads((workdir / "results.json").read_text(encoding="utf-8"))
  trained = {
    name: output for name, output in read_steps(workdir).items() if name.endswith("/training")
  }
  kept = ("best", "solve_rates", "contrasts", "seconds", "peak_memory_bytes")
  return {name: results[name] for name in kept} | {"trainings": trained}
