"""The whole method, stage after stage: prepare, SFT, VBI-FT, self-play, baselines, evaluation,
report.
"""

from __future__ import annotations

import functools
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from spftsql_jax import hosts
from spftsql_jax.amounts import rate
from spftsql_jax.databases import Executor
from spftsql_jax.examples.example import Example
from spftsql_jax.models.sharding import make_mesh
from spftsql_jax.pipeline.config import LOCATIONS, RunConfig, to_record
from spftsql_jax.pipeline.inputs import keep_inputs
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import Lineage, ModelBase
from spftsql_jax.pipeline.prepare import (
  MODEL_BASE,
  QUESTION_WRITERS,
  RunData,
  inputs_of_run,
  open_workbench,
  read_data,
)
from spftsql_jax.pipeline.results import (
  CANDIDATES,
  collect_results,
  evaluate_version,
  write_results,
)
from spftsql_jax.pipeline.stages import self_play, vbi_ft
from spftsql_jax.pipeline.units import sql_units
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  Workbench,
  add_version,
  data_hash,
  device_line,
  fault_line,
  parent_of_next,
  read_examples_of,
  score_base,
  train,
  write_examples,
)
from spftsql_jax.report.terminal import format_table

STAGES = ("prepare", "sft", "vbi_ft", "self_play", "baselines", "evaluation")
# The journal's steps of each stage, by the beginnings of their names, and the stages of the
# versions it adds.
_STEPS = {
  "prepare": ("prepare/",),
  "sft": ("sft", "questions"),
  "vbi_ft": ("vbi_ft/",),
  "self_play": ("base/", "self_play/"),
  "baselines": tuple(f"{name}/" for name in self_play.BASELINES),
  "evaluation": ("evaluation/", "cost"),
}
_VERSIONS = {"prepare": ("base",), "baselines": tuple(self_play.BASELINES)}
# The version of the SQL-to-text model that is trained on the seeds.
FIRST_WRITER = "writer-0"


class LostProcess(RuntimeError):
  """Another process of the run ended, and what all do together cannot be done."""


def run(
  config: RunConfig,
  workdir: str | Path,
  stop_after: str | None = None,
  say: Callable[[str], None] = print,
  start_from: str | None = None,
  mesh: str | None = None,
) -> dict[str, Any]:
  """Runs the method in `workdir`, or goes on where a run of the same config was cut off.

  With several processes, one a host (`jax.distributed`), all call this alike and see the same
  `workdir`: each synthesizes, answers and judges its share, training spans the devices of all, and
  the first writes. A run may be gone on with by another number of processes or devices.

  Args:
    config: of the run.
    workdir: gets journal, data, model base, TensorBoard logs, results.json, report.html and
      export/.
    stop_after: a stage of `STAGES` behind which to stop.
    say: prints a line.
    start_from: a stage of `STAGES` that is done again, with all behind it; what these left in
      `workdir` is forgotten first.
    mesh: how the devices share the work, see `sharding.make_mesh`; None puts each on "data". It
      does not belong to the config.

  Returns:
    The results (results.json), or {} where the run was asked to stop earlier.

  Raises:
    ValueError, FileNotFoundError: bad input. RunInProgress, ConfigChanged, InputsChanged: the
    workdir is another run's, by its config or by what it began with (files and databases, by
    content; both may lie elsewhere now). LostProcess: another process of the run ended.
  """
  for stage, what in ((stop_after, "stop after"), (start_from, "start from")):
    if stage is not None and stage not in STAGES:
      raise ValueError(f"unknown stage {stage!r} to {what}; there are {', '.join(STAGES)}")
  began = time.perf_counter()
  devices = make_mesh(mesh) if mesh or jax.device_count() > 1 else None
  data = read_data(config)
  journal = Journal(workdir, to_record(config), LOCATIONS)
  metrics = MetricsLog(journal.workdir)
  if not hosts.is_first():
    say = _silence
  try:
    hosts.from_first(lambda: keep_inputs(journal.workdir, inputs_of_run(config, data)))
    if start_from is not None:
      _forget(journal, metrics, STAGES[STAGES.index(start_from) :])
    with Executor(workers=2) as executor:
      executor.start()
      return _run_stages(config, journal, data, executor, metrics, stop_after, say, began, devices)
  except jax.errors.JaxRuntimeError as error:
    if hosts.count() == 1:
      raise
    raise LostProcess(
      f"process {hosts.index()} of {hosts.count()} cannot go on, another one seems to be lost "
      f"({str(error).splitlines()[0]}); "
      "start the same command on every host again: the run goes on from its journal"
    ) from error
  finally:
    metrics.close()
    journal.close()


def _silence(*_: Any) -> None:
  """Takes what all processes but the first would say and log."""


def _forget(journal: Journal, metrics: MetricsLog, stages: Sequence[str]) -> None:
  """Takes back what stages have done: their versions, checkpoints and metrics, and last their steps
  in the journal.
  """
  models = ModelBase(journal.workdir / MODEL_BASE)
  added = {name for stage in stages for name in _VERSIONS.get(stage, (stage,))}
  # Listed by the first alone: another would miss what it has removed already, and both would wait
  # for each other.
  for version in hosts.from_first(
    lambda: [v for v in models.versions() if models.lineage(v).stage in added]
  ):
    models.remove(version)
  writers = ModelBase(journal.workdir / QUESTION_WRITERS)
  for version in hosts.from_first(writers.versions):
    # The first is trained on the seeds, the others on what rounds have verified: without seeds all
    # of them.
    if "sft" in stages or ("vbi_ft" in stages and version != FIRST_WRITER):
      writers.remove(version)
  shutil.rmtree(journal.workdir / "checkpoints", ignore_errors=True)
  prefixes = [prefix for stage in stages for prefix in _STEPS[stage]]
  hosts.from_first(lambda: metrics.forget(prefixes))
  journal.forget(prefixes)


def _sound(bench: Workbench, versions: Sequence[str]) -> list[str]:
  """The versions whose files are those that were written; the others are named and left out."""
  sound = []
  for version in versions:
    if damage := hosts.from_first(lambda v=version: bench.models.damage(v)):
      bench.say(f"  version {version} is damaged ({damage}): it is left out")
    else:
      sound.append(version)
  return sound


def _run_stages(
  config: RunConfig,
  journal: Journal,
  data: RunData,
  executor: Executor,
  metrics: MetricsLog,
  stop_after: str | None,
  say: Callable[[str], None],
  began: float,
  mesh: Mesh | None,
) -> dict[str, Any]:
  say(f"{config.name}: {device_line()}, work folder {journal.workdir}")
  log = metrics.write if hosts.is_first() else _silence
  bench = open_workbench(config, journal, data, executor, log, say, mesh)
  db_ids = list(data.seed_databases)
  schemas = {d: bench.databases[d].schema for d in db_ids}
  splits = vbi_ft.split_templates(bench, data.seeds, schemas)
  held = journal.step("prepare/data", lambda: _held_out_data(bench, splits, data, db_ids))
  selection, played = (
    read_examples_of(bench, held["selection"]),
    read_examples_of(bench, held["self_play"]),
  )
  if stop_after == "prepare":
    return {}

  parent, writer = "base", None
  if data.seeds:
    say("SFT on the seeds")
    journal.step("sft", lambda: _sft(bench, data.seeds, selection))
    parent = parent_of_next(bench, "sft", "base", selection)
    if config.synthesis.model_questions:
      trained = journal.step(
        "questions", lambda: vbi_ft.train_question_writer(bench, FIRST_WRITER, None, data.seeds)
      )
      writer = trained["version"]
  else:
    say("No seeds: the SFT on them is left out, and everything is synthesized")
    journal.step("base/selection", lambda: score_base(bench, selection))
  if stop_after == "sft":
    return {}

  rounds: list[dict[str, Any]] = []
  templates, candidates = list(splits.train), ["sft" if data.seeds else "base"]
  apart = [*data.held_out, *selection, *played]
  for number in range(1, config.vbi_ft.rounds + 1):
    say(f"VBI-FT, round {number} of {config.vbi_ft.rounds}")
    earlier = [file for done in rounds for file in done["files"]]
    held_back = [e for done in rounds for e in read_examples_of(bench, done["verify"])]
    done = vbi_ft.run_round(
      bench,
      number,
      parent,
      writer,
      data.seeds,
      templates,
      db_ids,
      [*apart, *held_back],
      selection,
      earlier,
    )
    rounds.append(done)
    parent, writer = parent_of_next(bench, done["version"], parent, selection), done["writer"]
    templates = vbi_ft.next_templates(bench, templates, rounds[-1])
  if stop_after == "vbi_ft":
    return {}

  candidates += [r["version"] for r in rounds]
  if config.self_play.candidates == "base":
    candidates = ["base"]
    journal.step("base/selection", lambda: score_base(bench, selection))
  start = bench.models.best(SELECTION, _sound(bench, candidates))
  questions = played[: config.self_play.questions]
  if not questions and (config.self_play.iterations or config.self_play.baselines):
    say("Self-play and its baselines are left out: no questions could be synthesized for them")
  iterations: list[dict[str, Any]] = []
  for number in range(1, config.self_play.iterations + 1 if questions else 1):
    say(f"Self-play, iteration {number} of {config.self_play.iterations}")
    iterations.append(
      self_play.run_iteration(bench, number, _sound(bench, candidates), questions, selection)
    )
    candidates.append(iterations[-1]["version"])
    if self_play.collapsed(bench, iterations[-1]):
      say("  self-play does harm: it stops here, and the harmed model is never main")
      break
  if stop_after == "self_play":
    return {}

  for baseline in config.self_play.baselines if questions else ():
    say(f"Baseline: {self_play.BASELINES[baseline]}")
    self_play.run_baseline(bench, baseline, start, iterations, questions, selection)
  if stop_after == "baselines":
    return {}

  say(
    "Evaluation on the held-out test" if data.test else "No test: evaluation on the selection split"
  )
  versions = _sound(bench, bench.models.versions())
  best = bench.models.best(SELECTION)
  superseded = [v for v in versions for w in versions if _supersedes(bench, w, v)]
  versions = [v for v in versions if v not in superseded]
  for version in versions:
    journal.step(
      f"evaluation/{version}", lambda v=version: evaluate_version(bench, v, data.test, selection)
    )
  cost = journal.step("cost", lambda: _cost(began))
  stages = (rounds, iterations, splits.train, cost)
  collect = functools.partial(collect_results, bench, data, selection, versions, best, *stages)
  results = hosts.from_first(collect)
  write_results(bench, results, best, metrics)
  say(format_table(results["table"]))
  for note in results["notes"]:
    say(note)
  return results


def _held_out_data(
  bench: Workbench, splits: vbi_ft.TemplateSplits, data: RunData, db_ids: Sequence[str]
) -> dict[str, Any]:
  """The selection and self-play examples: synthesized once, from templates that no round trains
  on.
  """
  config = bench.config
  wordings = config.synthesis.wordings
  # The seeds are trained on. Their templates are none of these splits', so few of their queries can
  # come.
  make = functools.partial(
    vbi_ft.make_examples, db_ids=db_ids, wordings=wordings, also_apart=data.seeds
  )
  selection = make(bench, "selection", splits.selection, config.vbi_ft.select, data.held_out)
  chosen = [e.example() for e in selection.examples]
  if not chosen:
    reasons = ", ".join(f"{r} ({n:,} times)" for r, n in selection.rejections.most_common(3))
    raise ValueError(
      f"no example of the selection split can be made on {', '.join(db_ids)}, so no model could be "
      "chosen: "
      f"{reasons or 'none is asked for'} (--config.vbi_ft.select, --config.synthesis.holdout)"
    )
  if config.paper_splits:
    file = write_examples(bench, "selection", chosen)
    bench.say(
      f"  {len(splits.train)} templates; one validation set of {len(chosen)} examples, as in the "
      "paper"
    )
    return {"selection": file, "self_play": file}
  played = make(
    bench, "self_play", splits.self_play, config.self_play.questions, [*data.held_out, *chosen]
  )
  bench.say(
    f"  templates: {len(splits.train)} to train on, {len(splits.self_play)} for self-play, "
    f"{len(splits.selection)} for "
    f"selection ({len(chosen)} examples)"
  )
  return {
    "selection": write_examples(bench, "selection", chosen),
    "self_play": write_examples(
      bench, "self_play", _mixed([e.example() for e in played.examples], config.seed)
    ),
  }


def _mixed(examples: list[Example], seed: int) -> list[Example]:
  """In random order, so that a cut takes of every database."""
  return [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]


def _sft(
  bench: Workbench, seeds: Sequence[Example], selection: Sequence[Example]
) -> dict[str, Any]:
  result = train(
    bench, "sft", bench.load("base"), sql_units(bench, seeds), bench.config.sft, held_out=selection
  )
  candidate = bench.config.self_play.candidates == "fine_tuned"
  lineage = Lineage(
    "sft", 0, "base", data_hash=data_hash(seeds), candidate=candidate, fault=fault_line(result)
  )
  score = add_version(bench, "sft", result.trained, lineage, selection, "sft")
  bench.say(
    f"  sft: {result.steps} steps on {len(seeds):,} seeds at "
    f"{rate(result.summary['examples_per_second'], 'examples')}, "
    f"loss {result.summary.get('loss', float('nan')):.3f}; selection EX "
    f"{score.execution_accuracy:.1%}"
  )
  return {"selection_ex": score.execution_accuracy, **result.summary}


def _supersedes(bench: Workbench, version: str, other: str) -> bool:
  """Whether `version` is a later iteration of the same baseline: only the last one is evaluated."""
  a, b = bench.models.lineage(version), bench.models.lineage(other)
  return a.stage == b.stage and a.stage not in CANDIDATES and a.round > b.round


def _cost(began: float) -> dict[str, Any]:
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return {"seconds": time.perf_counter() - began, "peak_memory_bytes": peak}
