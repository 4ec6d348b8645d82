"""The whole method, stage after stage: prepare, SFT, VBI-FT, self-play, baselines, evaluation,
report.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Collection
from pathlib import Path

import jax

from spftsql_jax import hosts
from spftsql_jax.databases import Executor
from spftsql_jax.models.sharding import make_mesh
from spftsql_jax.pipeline.codec import Json, record_to_json
from spftsql_jax.pipeline.config import LOCATIONS, RunConfig, to_record
from spftsql_jax.pipeline.data import RunData, inputs_of_run, located, read_data
from spftsql_jax.pipeline.handover import hand_over
from spftsql_jax.pipeline.headroom import has_headroom
from spftsql_jax.pipeline.inputs import check_inputs, keep_inputs
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.prepare import open_workbench
from spftsql_jax.pipeline.recipes import resolve
from spftsql_jax.pipeline.records import Cost
from spftsql_jax.pipeline.restart import STAGES, forget_from
from spftsql_jax.pipeline.result_records import Results
from spftsql_jax.pipeline.results import collect_results, device_line
from spftsql_jax.pipeline.stages.baselines import run_baselines
from spftsql_jax.pipeline.stages.evaluation import run_evaluation
from spftsql_jax.pipeline.stages.self_play import first_candidates, run_self_play
from spftsql_jax.pipeline.stages.sft import run_sft
from spftsql_jax.pipeline.stages.splits import make_splits
from spftsql_jax.pipeline.stages.vbi_ft import run_vbi_ft
from spftsql_jax.pipeline.versions import SELECTION, sound_versions
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.report.terminal import format_table


class LostProcess(RuntimeError):
  """Another process of the run ended, and what all do together cannot be done."""


def run_method(
  bench: Workbench, data: RunData, stop_after: str | None, began: float
) -> Results | None:
  """The method, stage after stage; None where it stops behind the stage `stop_after`.

  Args:
    began: when the run was called (`time.perf_counter`).
  """
  splits = make_splits(bench, data)
  if stop_after == "prepare":
    return None

  starting = run_sft(bench, splits)
  if stop_after == "sft":
    return None

  rounds = run_vbi_ft(bench, splits, starting)
  if stop_after == "vbi_ft":
    return None

  candidates = first_candidates(bench, splits, starting, rounds)
  sound = sound_versions(bench, candidates)
  final_step = bench.config.self_play.final_step
  start = sound[-1] if final_step else bench.models.best(SELECTION, sound)
  worthwhile = has_headroom(bench, start)
  iterations = run_self_play(bench, splits, candidates) if worthwhile else ()
  if stop_after == "self_play":
    return None

  if worthwhile:
    run_baselines(bench, splits, start, candidates, iterations)
  if stop_after == "baselines":
    return None

  evaluated = run_evaluation(bench, splits)
  cost = bench.journal.step("cost", Cost, lambda: _cost(began))
  return hosts.from_first(
    lambda: collect_results(bench, splits, rounds, iterations, evaluated, cost)
  )


def run(
  config: RunConfig,
  workdir: str | Path,
  stop_after: str | None = None,
  say: Callable[[str], None] = print,
  start_from: str | None = None,
  mesh: str | None = None,
  given: Collection[str] = (),
) -> dict[str, Json]:
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
    given: fields of the config that were set by flag: no recipe changes them (see
      `recipes.resolve`).

  Returns:
    The results (results.json), or {} where the run was asked to stop earlier.

  Raises:
    ValueError, FileNotFoundError: bad input. RunInProgress, ConfigChanged, InputsChanged: the
    workdir is another run's, by its config or by what it began with (files and databases, by
    content; both may lie elsewhere now). OtherForm: another version of this program wrote it.
    LostProcess: another process of the run ended.
  """
  began = time.perf_counter()
  for stage, what in ((stop_after, "stop after"), (start_from, "start from")):
    if stage is not None and stage not in STAGES:
      raise ValueError(f"unknown stage {stage!r} to {what}; there are {', '.join(STAGES)}")
  devices = make_mesh(mesh) if mesh or jax.device_count() > 1 else None
  config = located(config)
  data = read_data(config)
  hosts.from_first(lambda: check_inputs(Path(workdir), inputs_of_run(config, data)))
  resolved = resolve(config, given)
  config = resolved.config
  journal = Journal(workdir, to_record(config), LOCATIONS)
  metrics = MetricsLog(journal.workdir)
  if not hosts.is_first():
    say = _say_nothing
  try:
    hosts.from_first(lambda: keep_inputs(journal.workdir, inputs_of_run(config, data)))
    if start_from is not None:
      forget_from(start_from, journal, metrics)
    with Executor(workers=2) as executor:
      executor.start()
      say(f"{config.name}: {device_line()}, work folder {journal.workdir}")
      log = metrics.write if hosts.is_first() else _log_nothing
      bench = open_workbench(
        config, journal, data, executor, log, say, devices, recipe=resolved.said
      )
      results = run_method(bench, data, stop_after, began)
      return {} if results is None else _tell(bench, results, metrics)
  except jax.errors.JaxRuntimeError as error:
    if hosts.count() == 1:
      raise
    raise LostProcess(
      f"process {hosts.index()} of {hosts.count()} cannot go on, another one seems to be lost "
      f"({str(error).splitlines()[0]}); start the same command on every host again: the run goes "
      "on from its journal"
    ) from error
  finally:
    metrics.close()
    journal.close()


def _tell(bench: Workbench, results: Results, metrics: MetricsLog) -> dict[str, Json]:
  """Writes what the run leaves behind, and prints the table."""
  written = hand_over(bench, results, metrics)
  bench.say(format_table([record_to_json(row) for row in results.table]))
  for note in results.notes:
    bench.say(note)
  return written


def _cost(began: float) -> Cost:
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return Cost(time.perf_counter() - began, peak)


def _say_nothing(line: str) -> None:
  """What all processes but the first would say is left unsaid."""


def _log_nothing(stage: str, step: int, values: dict[str, float]) -> None:
  """What all processes but the first would log is logged by the first."""
