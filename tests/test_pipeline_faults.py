"""A run whose stages meet numbers that are not finite: each ends with a clear line, and nothing
broken is trained further.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import make_demo, short_tokenizer, tiny_config

from spftsql_jax.models import load_hf
from spftsql_jax.models.finite import not_finite
from spftsql_jax.pipeline import run
from spftsql_jax.pipeline.model_base import BrokenWeights, Lineage, ModelBase
from spftsql_jax.training.optimizer import OptimizerConfig

TEARING = OptimizerConfig(learning_rate=1e30, schedule="constant", warmup_share=0.0)


def test_stages_that_meet_no_numbers_are_no_parents_and_say_so(tmp_path, monkeypatch):
  """SFT, both rounds of VBI-FT, the question writers and self-play are all torn apart at their
  first step, in bfloat16.
  """
  make_demo(tmp_path / "demo")
  config, replace = tiny_config(str(tmp_path / "demo")), dataclasses.replace
  torn = lambda training: replace(training, optimizer=TEARING)  # noqa: E731
  config = replace(
    config,
    model=replace(config.model, dtype="bfloat16"),
    sft=torn(config.sft),
    vbi_ft=replace(
      config.vbi_ft,
      training=torn(config.vbi_ft.training),
      question_training=torn(config.vbi_ft.question_training),
    ),
    self_play=replace(
      config.self_play, training=torn(config.self_play.training), iterations=1, baselines=()
    ),
  )
  short_tokenizer(monkeypatch)
  lines: list[str] = []
  results = run.run(config, tmp_path / "run", say=lines.append)
  ended = "training ended early: the loss is nan at step 2; the weights it started from are kept"
  stages = (
    "sft",
    "questions/writer-0",
    "vbi_ft/round_1",
    "questions/writer-1",
    "vbi_ft/round_2",
    "self_play/iteration_1",
  )
  assert [
    line
    for line in lines
    if "ended early" in line and line.startswith("  ") and ": training" in line
  ] == [f"  {stage}: {ended}" for stage in stages]
  models = ModelBase(tmp_path / "run" / "model_base")
  lineages = {version: models.lineage(version) for version in models.versions()}
  # Nothing was learned: every round starts from the base again.
  assert {
    v: lineage.parent for v, lineage in lineages.items() if v in ("sft", "vbi_ft-1", "vbi_ft-2")
  } == {
    "sft": "base",
    "vbi_ft-1": "base",
    "vbi_ft-2": "base",
  }
  start = jax.tree.leaves(models.load("base"))
  for version in lineages:
    tree = models.load(version)
    assert not not_finite(tree)
    assert all(np.array_equal(a, b) for a, b in zip(start, jax.tree.leaves(tree), strict=True)), (
      version
    )
  assert all(lineages[v].fault == ended for v in ("sft", "vbi_ft-1", "vbi_ft-2", "self_play-1"))
  for version in ("sft", "vbi_ft-1", "vbi_ft-2", "self_play-1", "SQL-to-text model writer-0"):
    assert f"{version}: {ended}." in results["notes"]
  assert ended in (tmp_path / "run" / "report.html").read_text()
  metrics = [
    json.loads(line)
    for path in (tmp_path / "run" / "metrics").glob("*.jsonl")
    for line in path.open()
  ]
  assert metrics and all(
    np.isfinite(v) for line in metrics for v in line.values() if not isinstance(v, str)
  )
  # The run's own tokenizer goes with the export as it was written, under a name that transformers 4
  # knows too.
  for name in ("tokenizer.json", "tokenizer_config.json"):
    assert (tmp_path / "run/export" / name).read_bytes() == (
      tmp_path / "run/start" / name
    ).read_bytes()
  assert (
    json.loads((tmp_path / "run/export/tokenizer_config.json").read_text())["tokenizer_class"]
    == "PreTrainedTokenizerFast"
  )
  # Trained in float32, exported as the model computes.
  _, params = load_hf(tmp_path / "run" / "export", dtype=None)
  assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"bfloat16"}
  assert {leaf.dtype.name for leaf in jax.tree.leaves(models.load("sft"))} == {"float32"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_without_numbers_are_no_version(tmp_path, value):
  base = ModelBase(tmp_path)
  tree = {
    "layers": {"up": {"kernel": jnp.ones((2, 3)).at[1, 2].set(value)}},
    "embedding": jnp.ones(4),
  }
  with pytest.raises(BrokenWeights, match=r"version sft .* 1 of its arrays .*layers/up/kernel"):
    base.add("sft", tree, Lineage("sft"))
  assert base.versions() == []
