"""The model base: every version a run made, with where it came from and how it scored.

    base/
      versions/<version>/lineage.json    immutable: parent, opponent, stage, prompt format, hashes
      versions/<version>/params/         the weights, in Orbax's format
      scores/<version>/<split>.json      written beside, atomically

A version appears whole or not at all: it is written under a temporary name and renamed. The folder
can be copied anywhere; nothing that is read in it is an absolute path.

Which version is the best is one query (`ModelBase.best`), asked by self-play, the export, the
report and the commands alike: among the candidates the highest execution accuracy on a split; of
equals the one whose answers run most often; of these the latest. "Weakest" is the other end of the
same order.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint.experimental.v1 as ocp

from spftsql_jax import hosts
from spftsql_jax.files import sha256, write_json
from spftsql_jax.models.finite import not_finite
from spftsql_jax.pipeline.codec import from_json, record_to_json

# Stages whose versions a run may hand over, in model bases that do not say which do; the others are
# baselines.
_CANDIDATE_STAGES = ("sft", "vbi_ft", "self_play")


class CorruptVersion(RuntimeError):
  """A version whose files are not what was written."""


class BrokenWeights(RuntimeError):
  """Weights that are no finite numbers: no version is made of them."""


@dataclasses.dataclass(frozen=True)
class Lineage:
  """Where a version comes from.

  Attributes:
    stage: "base", "sft", "vbi_ft", "self_play" or a baseline's name.
    round: round or iteration within the stage.
    candidate: whether the run may play, promote and hand over this version; False for what is only
      compared with (baselines, and a starting model that does not play). None in older model bases:
      then the stage decides.
    parent: the version it was trained from, or None.
    opponent: the version it played against, or None.
    base_model: name or folder of the pretrained model.
    prompt_format: fingerprint of the prompt format it was trained with; evaluation refuses another.
    data_hash: hash of the examples it was trained on.
    seed: the run's seed.
    code_revision: of this project, or "".
    fault: why its training ended early, where a number was not finite (`FitResult.fault`), with the
      step whose weights were kept; or "".
  """

  stage: str
  round: int = 0
  parent: str | None = None
  opponent: str | None = None
  base_model: str = ""
  prompt_format: str = ""
  data_hash: str = ""
  seed: int = 0
  code_revision: str = ""
  candidate: bool | None = None
  fault: str = ""


@dataclasses.dataclass(frozen=True)
class _Record:
  """What lineage.json holds: a version's place among all, and the hashes of its files."""

  order: int
  lineage: Lineage
  files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Score:
  """How a version did on a split.

  Attributes:
    execution_accuracy, executable: shares of the answers that are right, and that run.
    outcomes: whether each answer is right, in the order of the questions.
    questions: a hash of the questions, "" where it was not kept. Scores on other questions are
      never compared.
  """

  execution_accuracy: float
  executable: float
  outcomes: tuple[bool, ...]
  questions: str = ""

  @property
  def rank(self) -> tuple[float, float]:
    """What versions are ordered by, higher is better; of equals the later version stands above."""
    return self.execution_accuracy, self.executable


class ModelBase:
  """A folder of versions. Readers may work while one writer adds.

  With several processes, one a host, all call `add`, `load`, `remove` and `add_score` together:
  each writes and reads its part of the weights, the first all else.
  """

  def __init__(self, directory: str | Path):
    self.directory = Path(directory)

  def versions(self) -> list[str]:
    """Names of the complete versions, in the order they were added."""
    folder = self.directory / "versions"
    names = (
      [p.name for p in folder.iterdir() if (p / "lineage.json").is_file()]
      if folder.is_dir()
      else []
    )
    return sorted(
      (n for n in names if not n.startswith(".")), key=lambda n: (self._record(n).order, n)
    )

  def add(self, version: str, params: Any, lineage: Lineage) -> None:
    """Writes a version. Adding one that is there already does nothing: a run that resumes makes the
    same again.

    Raises BrokenWeights where a weight is no finite number.
    """
    final = self._version(version)
    if hosts.from_first((final / "lineage.json").is_file):
      return
    if broken := not_finite(params):
      raise BrokenWeights(
        f"version {version} is not added to {self.directory}: {len(broken)} of its arrays hold "
        f"numbers that are not finite ({', '.join(broken[:3])})"
      )

    def begin() -> Path:
      temporary = final.with_name(f".{version}-{uuid.uuid4().hex[:8]}")
      temporary.parent.mkdir(parents=True, exist_ok=True)
      return temporary

    def complete() -> None:
      record = _Record(len(self.versions()), lineage, _digests(temporary / "params"))
      write_json(temporary / "lineage.json", record_to_json(record))
      shutil.rmtree(final, ignore_errors=True)
      os.replace(temporary, final)

    temporary = hosts.from_first(begin)
    try:
      ocp.save_pytree((temporary / "params").resolve(), params)
      hosts.from_first(complete)
    finally:
      shutil.rmtree(temporary, ignore_errors=True)

  def load(self, version: str, layout: Any = None) -> Any:
    """The params of a version.

    Args:
      layout: a tree of arrays or ShapeDtypeStructs with the shapes, dtypes and shardings to restore
        to; None restores to one device, on whatever devices of whatever hosts it was saved.

    Raises:
      KeyError: no such version. CorruptVersion: its files are not those that were written.
    """
    folder = (self._version(version) / "params").resolve()
    if broken := hosts.from_first(lambda: self.damage(version)):
      raise CorruptVersion(
        f"version {version} in {self.directory} is damaged ({broken}); restore it from a copy or "
        "delete it"
      )
    if layout is None:
      here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
      layout = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
        ocp.metadata(folder).metadata,
      )
    return ocp.load_pytree(folder, layout)

  def damage(self, version: str) -> str:
    """What is wrong with a version's files, "" where they are those that were written. Raises
    KeyError.
    """
    return _differences(self._record(version).files, self._version(version) / "params")

  def remove(self, version: str) -> None:
    """Deletes a version and its scores; one that is not there is no error."""

    def delete() -> None:
      # The lineage first: a version without one does not count.
      (self._version(version) / "lineage.json").unlink(missing_ok=True)
      for folder in (self._version(version), self.directory / "scores" / version):
        shutil.rmtree(folder, ignore_errors=True)

    hosts.from_first(delete)

  def lineage(self, version: str) -> Lineage:
    """Where a version comes from. Raises KeyError."""
    return self._record(version).lineage

  def add_score(self, version: str, split: str, score: Score) -> None:
    """Writes a version's score on a split, replacing an older one."""
    self._record(version)
    path = self.directory / "scores" / version / f"{split}.json"

    def write() -> None:
      path.parent.mkdir(parents=True, exist_ok=True)
      write_json(
        path, dataclasses.asdict(score) | {"outcomes": "".join("01"[o] for o in score.outcomes)}
      )

    hosts.from_first(write)

  def score(self, version: str, split: str) -> Score | None:
    """A version's score on a split, or None."""
    path = self.directory / "scores" / version / f"{split}.json"
    if not path.is_file():
      return None
    record = json.loads(path.read_text())
    outcomes = tuple(c == "1" for c in record["outcomes"])
    return Score(
      record["execution_accuracy"], record["executable"], outcomes, record.get("questions", "")
    )

  def candidates(self) -> list[str]:
    """The versions that a run may hand over, in the order they were added: all but baselines."""
    return [v for v in self.versions() if self.is_candidate(v)]

  def is_candidate(self, version: str) -> bool:
    """Whether a version is more than a baseline. Raises KeyError."""
    lineage = self.lineage(version)
    return lineage.stage in _CANDIDATE_STAGES if lineage.candidate is None else lineage.candidate

  def best(self, split: str, among: Sequence[str] | None = None) -> str:
    """The version of highest execution accuracy on a split; of equals the one whose answers run
    most often; of these the latest. Damaged versions are passed over.

    Args:
      among: the versions that compete; by default the candidates, so that no baseline is ever
        handed over.

    Raises:
      ValueError: none has a score on the split, or their scores are of different questions.
    """
    ranked = self._ranked(split, among)
    sound = hosts.from_first(
      lambda: next((v for v, _ in reversed(ranked) if not self.damage(v)), None)
    )
    if sound is None:
      raise ValueError(
        f"{self.directory}: every version with a score on {split!r} is damaged; restore one from a "
        "copy"
      )
    return sound

  def weakest(
    self, split: str, among: Sequence[str] | None = None, min_executable: float = 0.0
  ) -> str:
    """The other end of the order of `best`: lowest execution accuracy, then lowest share of answers
    that run, then the earliest; of those alone whose answers run at least `min_executable` often,
    where there are any. Raises ValueError."""
    ranked = self._ranked(split, among)
    return next((v for v, s in ranked if s.executable >= min_executable), ranked[0][0])

  def _ranked(self, split: str, among: Sequence[str] | None) -> list[tuple[str, Score]]:
    """The versions with a score on the split, the worst first."""
    names = self.candidates() if among is None else [v for v in self.versions() if v in among]
    scored = [(v, s) for v in names if (s := self.score(v, split)) is not None]
    if not scored:
      raise ValueError(f"{self.directory}: no version has a score on {split!r}")
    sizes = {len(s.outcomes): v for v, s in scored}
    questions = {s.questions: v for v, s in scored if s.questions}
    if len(sizes) > 1 or len(questions) > 1:
      answered = (
        ", ".join(f"{v} {n}" for n, v in sizes.items())
        if len(sizes) > 1
        else ", ".join(questions.values())
      )
      raise ValueError(
        f"{self.directory}: scores on {split!r} are of different questions ({answered}) and cannot "
        "be compared; do the stages that scored them again (--start_from)"
      )
    return sorted(scored, key=lambda s: s[1].rank)  # stable: of equals the later stands higher

  def _version(self, version: str) -> Path:
    return self.directory / "versions" / version

  def _record(self, version: str) -> _Record:
    path = self._version(version) / "lineage.json"
    if not path.is_file():
      raise KeyError(f"no version {version!r} in {self.directory}")
    return from_json(_Record, json.loads(path.read_text()), str(path))


def _digests(folder: Path) -> dict[str, str]:
  return {str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def _differences(files: Mapping[str, str], folder: Path) -> str:
  for name, digest in files.items():
    path = folder / name
    if not path.is_file():
      return f"{name} is missing"
    if sha256(path) != digest:
      return f"{name} has changed"
  return ""
