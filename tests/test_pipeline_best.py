"""Which version is the best, and which the weakest: one order, whoever asks."""

import json
from pathlib import Path

import jax.numpy as jnp
import pytest
from script_values import script_values

from spftsql_jax.pipeline.config import SelfPlayConfig
from spftsql_jax.pipeline.finished_run import find_version
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.records import Players
from spftsql_jax.pipeline.stages.self_play import choose_players, verdict_on
from spftsql_jax.report.models import best_row, mark_best

STAGES = {
  "sft": "sft",
  "vbi_ft-1": "vbi_ft",
  "vbi_ft-2": "vbi_ft",
  "self_play-1": "self_play",
  "spin-1": "spin",
}
# (EX in eighths, share of the answers that run) of sft, vbi_ft-1, vbi_ft-2, self_play-1, spin-1;
# then best, weakest of the others, best of all with the baseline.
CASES = {
  "the highest EX": (
    ((1, 1.0), (3, 0.2), (2, 1.0), (2, 1.0), (0, 0.1)),
    "vbi_ft-1",
    "sft",
    "vbi_ft-1",
  ),
  "all at zero: what runs": (
    ((0, 0.2), (0, 0.9), (0, 0.1), (0, 0.0), (0, 0.5)),
    "vbi_ft-1",
    "self_play-1",
    "vbi_ft-1",
  ),
  "all at zero and none runs: the later": (((0, 0.0),) * 5, "self_play-1", "sft", "spin-1"),
  "equal EX: what runs": (
    ((4, 0.5), (4, 0.75), (4, 0.75), (4, 0.5), (1, 1.0)),
    "vbi_ft-2",
    "sft",
    "vbi_ft-2",
  ),
  "all equal: the later": (((4, 1.0),) * 5, "self_play-1", "sft", "spin-1"),
  "a baseline that is better": (
    ((2, 1.0), (3, 1.0), (3, 0.9), (1, 1.0), (8, 1.0)),
    "vbi_ft-1",
    "self_play-1",
    "spin-1",
  ),
}


def make_base(folder: Path, scores, with_flag: bool) -> ModelBase:
  base = ModelBase(folder / "model_base")
  for (version, stage), (right, executable) in zip(STAGES.items(), scores, strict=True):
    candidate = stage != "spin" if with_flag else None
    base.add(version, {"w": jnp.zeros(2)}, Lineage(stage, 1, candidate=candidate))
    outcomes = tuple(i < right for i in range(8))
    base.add_score(version, "selection", Score(right / 8, executable, outcomes, "q"))
  return base


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
  """By (case, with the lineage's flag): the base, and what `find_version`, `best` and `best --all`
  name.
  """
  root = tmp_path_factory.mktemp("bases")
  kinds = [(case, flag) for case in CASES for flag in (True, False)]
  bases = [make_base(root / str(i), CASES[case][0], flag) for i, (case, flag) in enumerate(kinds)]
  folders = [str(base.directory) for base in bases]
  converted = [find_version(base.directory, None)[1] for base in bases]
  best = script_values("model_base", [f"printed('best', '--base={f}')" for f in folders])
  best_of_all = script_values(
    "model_base", [f"printed('best', '--base={f}', '--all')" for f in folders]
  )
  return dict(zip(kinds, zip(bases, converted, best, best_of_all, strict=True), strict=True))


@pytest.mark.parametrize("with_flag", [True, False], ids=["new base", "older base"])
@pytest.mark.parametrize("case", CASES)
def test_all_readers_name_the_same_version(readers, case, with_flag):
  scores, best, weakest, best_of_all = CASES[case]
  base, converted, said, said_of_all = readers[case, with_flag]
  # Self-play: main, and its opponent.
  config = SelfPlayConfig(min_executable=0.0)
  assert choose_players(base, config, base.candidates()) == Players(best, (weakest,))
  # The results and the export ask the base itself; the commands do too.
  assert base.best("selection") == converted == said == best
  assert said_of_all == best_of_all
  # The report, from results that name it, and from a table alone.
  table = [
    {
      "model": v,
      "version": v,
      "ex": 1 - score[0] / 8,
      "selection_ex": score[0] / 8,
      "selection_executable": score[1],
    }
    | {"promoted": base.is_candidate(v)}
    for v, score in zip(STAGES, scores, strict=True)
  ]
  assert best_row(mark_best({"best": best, "table": table})["table"])["version"] == best
  assert best_row(table)["version"] == best


@pytest.mark.parametrize("case", CASES)
def test_a_version_is_promoted_where_the_query_names_it(case, tmp_path):
  """The guard of self-play and the query are one order: main and newcomer in either role."""
  scores, *_ = CASES[case]
  base = make_base(tmp_path, scores, with_flag=True)
  candidates = base.candidates()
  for i, main in enumerate(candidates):
    for new in candidates[i + 1 :]:
      accepted, reason = verdict_on(base.score(main, "selection"), base.score(new, "selection"), "")
      assert accepted == (base.best("selection", [main, new]) == new), (main, new, reason)


def test_scores_of_other_questions_are_never_compared(tmp_path):
  base = make_base(tmp_path, CASES["the highest EX"][0], with_flag=True)
  base.add_score("vbi_ft-2", "selection", Score(1.0, 1.0, (True,) * 7, "q"))
  with pytest.raises(
    ValueError, match=r"different questions \(.*vbi_ft-2 7.*\) and cannot be compared"
  ):
    base.best("selection")
  with pytest.raises(ValueError, match="different questions"):
    base.weakest("selection")
  base.add_score("vbi_ft-2", "selection", Score(1.0, 1.0, (True,) * 8, "others"))
  with pytest.raises(ValueError, match="different questions"):
    base.best("selection")
  # A baseline's do not matter while it does not compete.
  base.add_score("vbi_ft-2", "selection", Score(1.0, 1.0, (True,) * 8, "q"))
  base.add_score("spin-1", "selection", Score(1.0, 1.0, (True,) * 3, "q"))
  assert base.best("selection") == "vbi_ft-2"
  with pytest.raises(ValueError, match="different questions"):
    base.best("selection", base.versions())


def test_a_damaged_version_is_passed_over(tmp_path):
  base = make_base(tmp_path, CASES["the highest EX"][0], with_flag=True)
  for path in (base.directory / "versions" / "vbi_ft-1" / "params").rglob("*"):
    if path.is_file():
      path.write_bytes(b"")
  assert base.best("selection") == "self_play-1"


def test_the_starting_model_is_no_candidate_unless_it_plays(tmp_path):
  base = ModelBase(tmp_path)
  for version, candidate in (("base", False), ("sft", True)):
    base.add(version, {"w": jnp.zeros(2)}, Lineage(version, candidate=candidate))
    base.add_score(
      version, "selection", Score(0.5 if version == "sft" else 1.0, 1.0, (True, False))
    )
  assert base.candidates() == ["sft"] and base.best("selection") == "sft"
  base.add("base-2", {"w": jnp.zeros(2)}, Lineage("base", candidate=True))
  assert base.candidates() == ["sft", "base-2"]


def test_the_list_tells_candidates_from_baselines(tmp_path):
  base = make_base(tmp_path, CASES["a baseline that is better"][0], with_flag=True)
  folder = f"--base={base.directory}"
  listed, shown = script_values(
    "model_base",
    [f"printed('list', {folder!r})", f"printed('show', {folder!r}, '--version=spin-1')"],
  )
  kinds = {line.split()[0]: line.split("%")[-1].strip() for line in listed.splitlines()[1:]}
  assert kinds["spin-1"] == "compared with" and kinds["vbi_ft-1"] == "candidate" and len(kinds) == 5
  shown = json.loads(shown)
  assert shown["candidate"] is False and shown["scores"]["selection"]["ex"] == 1.0
