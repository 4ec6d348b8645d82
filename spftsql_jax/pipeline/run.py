"""The whole method, stage after stage: prepare, SFT, VBI-FT, self-play, baselines, evaluation, report."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spftsql_jax.databases import Executor
from spftsql_jax.evaluation.report import format_table
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import self_play, vbi_ft
from spftsql_jax.pipeline.config import RunConfig, to_dict
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.prepare import RunData, open_workbench, read_data
from spftsql_jax.pipeline.results import CANDIDATES, collect_results, evaluate_version, write_results
from spftsql_jax.pipeline.units import sql_units
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  Workbench,
  add_version,
  data_hash,
  device_line,
  read_examples_of,
  train,
  write_examples,
)

STAGES = ("prepare", "sft", "vbi_ft", "self_play", "baselines", "evaluation")


def run(
  config: RunConfig, workdir: str | Path, stop_after: str | None = None, say: Callable[[str], None] = print
) -> dict[str, Any]:
  """Runs the method in `workdir`, or goes on where a run of the same config was cut off.

  Args:
    config: of the run.
    workdir: gets journal, data, model base, TensorBoard logs, results.json, report.html and export/.
    stop_after: a stage of `STAGES` behind which to stop.
    say: prints a line.

  Returns:
    The results (results.json), or {} where the run was asked to stop earlier.

  Raises:
    ValueError, FileNotFoundError: bad input. RunInProgress, ConfigChanged: the workdir is another run's.
  """
  if stop_after is not None and stop_after not in STAGES:
    raise ValueError(f"unknown stage {stop_after!r} to stop after; there are {', '.join(STAGES)}")
  began = time.perf_counter()
  data = read_data(config)
  journal = Journal(workdir, to_dict(config))
  metrics = MetricsLog(journal.workdir)
  try:
    with Executor(workers=2) as executor:
      executor.start()
      return _run_stages(config, journal, data, executor, metrics, stop_after, say, began)
  finally:
    metrics.close()
    journal.close()


def _run_stages(
  config: RunConfig,
  journal: Journal,
  data: RunData,
  executor: Executor,
  metrics: MetricsLog,
  stop_after: str | None,
  say: Callable[[str], None],
  began: float,
) -> dict[str, Any]:
  say(f"{config.name}: {device_line()}, work folder {journal.workdir}")
  bench = open_workbench(config, journal, data, executor, metrics.write, say)
  db_ids = data.seed_databases
  schemas = {d: bench.databases[d].schema for d in db_ids}
  splits = vbi_ft.split_templates(bench, data.seeds, schemas)
  held = journal.step("prepare/data", lambda: _held_out_data(bench, splits, data, db_ids))
  selection, played = read_examples_of(bench, held["selection"]), read_examples_of(bench, held["self_play"])
  if stop_after == "prepare":
    return {}

  say("SFT on the seeds")
  journal.step("sft", lambda: _sft(bench, data.seeds, selection))
  if config.synthesis.model_questions:
    journal.step("questions", lambda: vbi_ft.train_question_writer(bench, "writer-0", None, data.seeds))
  if stop_after == "sft":
    return {}

  rounds: list[dict[str, Any]] = []
  templates, parent = list(splits.train), "sft"
  exclude = [*data.held_out, *(e.query for e in (*selection, *played))]
  for number in range(1, config.vbi_ft.rounds + 1):
    say(f"VBI-FT, round {number} of {config.vbi_ft.rounds}")
    earlier = [file for done in rounds for file in done["files"]]
    rounds.append(vbi_ft.run_round(bench, number, parent, data.seeds, templates, db_ids, exclude, selection, earlier))
    parent = rounds[-1]["version"]
    templates = vbi_ft.next_templates(bench, templates, rounds[-1])
  if stop_after == "vbi_ft":
    return {}

  candidates = ["sft", *(r["version"] for r in rounds)]
  start = bench.models.best(SELECTION, candidates)
  questions = played + (read_examples_of(bench, rounds[-1]["verify"]) if rounds else [])
  questions = questions[: config.self_play.questions]
  iterations: list[dict[str, Any]] = []
  for number in range(1, config.self_play.iterations + 1):
    say(f"Self-play, iteration {number} of {config.self_play.iterations}")
    iterations.append(self_play.run_iteration(bench, number, candidates, questions, selection))
    candidates.append(iterations[-1]["version"])
    if self_play.collapsed(bench, iterations[-1]):
      say("  self-play does harm: it stops here, and the harmed model is never main")
      break
  if stop_after == "self_play":
    return {}

  if "spin" in config.self_play.baselines:
    say("Baseline: SPIN on the same questions and steps")
    self_play.run_spin(bench, start, questions, selection)
  if "sft_control" in config.self_play.baselines:
    say("Baseline: SFT on the same pairs and steps")
    self_play.run_sft_control(bench, start, iterations, selection)
  if stop_after == "baselines":
    return {}

  say("Evaluation on the held-out test")
  best = bench.models.best(SELECTION, candidates)
  versions = bench.models.versions()
  superseded = [v for v in versions for w in versions if _supersedes(bench, w, v)]
  versions = [v for v in versions if v not in superseded]
  for version in versions:
    journal.step(f"evaluation/{version}", lambda v=version: evaluate_version(bench, v, data.test))
  cost = journal.step("cost", lambda: _cost(began))
  results = collect_results(bench, data, versions, best, rounds, iterations, splits.train, cost)
  write_results(bench, results, best, metrics)
  say(format_table(results["table"]))
  for note in results["notes"]:
    say(note)
  return results


def _held_out_data(bench: Workbench, splits: vbi_ft.TemplateSplits, data: RunData, db_ids: Sequence[str]) -> dict[str, Any]:
  """The selection and self-play examples: synthesized once, from templates that no round trains on."""
  config = bench.config
  test_queries, wordings = list(data.held_out), config.synthesis.wordings
  selection = vbi_ft.make_examples(bench, "selection", splits.selection, config.vbi_ft.select, test_queries, db_ids, wordings)
  chosen = [e.example() for e in selection.examples]
  exclude = test_queries + [e.query for e in chosen]
  played = vbi_ft.make_examples(bench, "self_play", splits.self_play, config.self_play.questions, exclude, db_ids, wordings)
  bench.say(
    f"  templates: {len(splits.train)} to train on, {len(splits.self_play)} for self-play, {len(splits.selection)} for "
    f"selection ({len(chosen)} examples)"
  )
  return {
    "selection": write_examples(bench, "selection", chosen),
    "self_play": write_examples(bench, "self_play", _mixed([e.example() for e in played.examples], config.seed)),
  }


def _mixed(examples: list[Example], seed: int) -> list[Example]:
  """In random order, so that a cut takes of every database."""
  return [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]


def _sft(bench: Workbench, seeds: Sequence[Example], selection: Sequence[Example]) -> dict[str, Any]:
  if not seeds:  # No labels: the next stage starts from the base.
    score = add_version(bench, "sft", bench.load("base"), Lineage("sft", 0, "base"), selection)
    return {"selection_ex": score.execution_accuracy}
  result = train(bench, "sft", bench.load("base"), sql_units(bench, seeds), bench.config.sft, held_out=selection)
  lineage = Lineage("sft", 0, "base", data_hash=data_hash(seeds))
  score = add_version(bench, "sft", result.trained, lineage, selection, "sft")
  bench.say(
    f"  sft: {result.steps} steps on {len(seeds):,} seeds at {result.summary['examples_per_second']:.0f} examples a second, "
    f"loss {result.summary['loss']:.3f}; selection EX {score.execution_accuracy:.1%}"
  )
  return {"selection_ex": score.execution_accuracy, **result.summary}


def _supersedes(bench: Workbench, version: str, other: str) -> bool:
  """Whether `version` is a later iteration of the same baseline: only the last one is evaluated."""
  a, b = bench.models.lineage(version), bench.models.lineage(other)
  return a.stage == b.stage and a.stage not in CANDIDATES and a.round > b.round


def _cost(began: float) -> dict[str, Any]:
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return {"seconds": time.perf_counter() - began, "peak_memory_bytes": peak}
