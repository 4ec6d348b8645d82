"""The whole method, stage after stage: prepare, SFT, VBI-FT, self-play, baselines, evaluation, report."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorboardX

from spftsql_jax.databases import Executor
from spftsql_jax.evaluation.exported import write_prompt_format
from spftsql_jax.evaluation.metrics import hardness, wilson_interval
from spftsql_jax.evaluation.report import format_table, write_report
from spftsql_jax.evaluation.scoring import Verdict, score_predictions
from spftsql_jax.examples.example import Example
from spftsql_jax.models import merge, save_hf
from spftsql_jax.pipeline import self_play, vbi_ft
from spftsql_jax.pipeline.config import RunConfig, to_dict
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.prepare import RunData, open_workbench, read_data
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  TEST,
  Workbench,
  add_version,
  answer,
  data_hash,
  device_line,
  read_examples_of,
  score_of,
  sql_units,
  train,
  write_examples,
)
from spftsql_jax.synthesis.notation import WeightedTemplate

STAGES = ("prepare", "sft", "vbi_ft", "self_play", "baselines", "evaluation")
# Names in the table. A baseline's last version stands for it.
_LABELS = {
  "base": "base",
  "sft": "SFT on seeds",
  "vbi_ft": "VBI-FT, round {}",
  "self_play": "SPFT-SQL, iteration {}",
  "spin": "SPIN, iteration {}",
  "sft_control": "SFT on the same pairs, iteration {}",
}
_CANDIDATES = ("sft", "vbi_ft", "self_play")
# What the results tell of an iteration of self-play.
_PLAYED = ("iteration", "main", "opponent", "pairs", "left_out", "reward_rate", "accepted", "reason")
# Answers of the best model that the report shows with both results.
_SHOWN_EXAMPLES = 400
_SHOWN_ROWS = 10


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
  metrics = _Metrics(journal.workdir)
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
  metrics: _Metrics,
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
  exclude = [e.query for e in (*data.test, *selection, *played)]
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
    journal.step(f"evaluation/{version}", lambda v=version: _evaluate(bench, v, data.test))
  cost = journal.step("cost", lambda: _cost(began))
  results = _results(bench, data, versions, best, rounds, iterations, splits.train, cost)
  _write_results(bench, results, best, metrics)
  say(format_table(results["table"]))
  for note in results["notes"]:
    say(note)
  return results


def _held_out_data(bench: Workbench, splits: vbi_ft.TemplateSplits, data: RunData, db_ids: Sequence[str]) -> dict[str, Any]:
  """The selection and self-play examples: synthesized once, from templates that no round trains on."""
  config = bench.config
  test_queries, wordings = [e.query for e in data.test], config.synthesis.wordings
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
  result = train(bench, "sft", bench.load("base"), sql_units(bench, seeds), bench.config.sft)
  lineage = Lineage("sft", 0, "base", data_hash=data_hash(seeds))
  score = add_version(bench, "sft", result.trained, lineage, selection, "sft")
  bench.say(
    f"  sft: {result.steps} steps on {len(seeds):,} seeds at {result.summary['examples_per_second']:.0f} examples a second, "
    f"loss {result.summary['loss']:.3f}; selection EX {score.execution_accuracy:.1%}"
  )
  return {"selection_ex": score.execution_accuracy, **result.summary}


def _evaluate(bench: Workbench, version: str, test: Sequence[Example]) -> dict[str, Any]:
  """Answers the test with a version and judges as the benchmark does."""
  predictions = answer(bench, bench.load(version), test)
  verdicts = _judge_test(bench, test, predictions)
  result = score_of([v.correct for v in verdicts], verdicts)
  bench.models.add_score(version, TEST, result)
  bench.say(f"  {version}: EX {result.execution_accuracy:.1%}, {result.executable:.0%} run")
  records = [{"prediction": p, "correct": v.correct} for p, v in zip(predictions, verdicts, strict=True)]
  return {"file": bench.journal.write_jsonl(f"test-{version}", records)}


def _supersedes(bench: Workbench, version: str, other: str) -> bool:
  """Whether `version` is a later iteration of the same baseline: only the last one is evaluated."""
  a, b = bench.models.lineage(version), bench.models.lineage(other)
  return a.stage == b.stage and a.stage not in _CANDIDATES and a.round > b.round


def _judge_test(
  bench: Workbench, test: Sequence[Example], predictions: Sequence[str], keep_rows: bool = False
) -> list[Verdict]:
  return score_predictions(
    [(e.query, p) for e, p in zip(test, predictions, strict=True)],
    [bench.instances[e.db_id][:1] for e in test],
    bench.executor,
    comparison=bench.config.data.comparison,
    timeout_s=10.0,
    keep_rows=keep_rows,
  )


def _results(
  bench: Workbench,
  data: RunData,
  versions: Sequence[str],
  best: str,
  rounds: Sequence[dict[str, Any]],
  iterations: Sequence[dict[str, Any]],
  templates: Sequence[WeightedTemplate],
  cost: dict[str, Any],
) -> dict[str, Any]:
  levels = [hardness(e.query) for e in data.test]
  accepted = {i["version"]: i["accepted"] for i in iterations}
  table = [_row(bench, version, data.test, levels, accepted) for version in versions]
  final = next(row for row in table if row["version"] == best)
  names = {item.template.id: item.template.text for item in templates}
  return {
    "title": bench.config.name,
    "best": best,
    "config": to_dict(bench.config),
    "environment": {
      "python": sys.version.split()[0],
      "jax": jax.__version__,
      "devices": device_line(),
      "cores": os.cpu_count(),
    },
    **cost,
    "table": table,
    "lineage": [_lineage_row(bench, v) for v in versions],
    "synthesis": [
      {
        "round": r["number"],
        "accepted": r["accepted"],
        "rejections": r["rejections"],
        "questions": {"rules": r["accepted"], "model": r["model_questions"], "agreement": r["agreement"]},
        "verified_ex": r["verified_ex"],
        "template_errors": [t | {"template": names.get(t["template"], t["template"])} for t in r["template_errors"][:40]],
      }
      for r in rounds
    ],
    "self_play": [{k: i[k] for k in _PLAYED} for i in iterations],
    "examples": _shown_examples(bench, data.test, best),
    "notes": _notes(bench, final, best),
  }


def _lineage_row(bench: Workbench, version: str) -> dict[str, Any]:
  lineage = bench.models.lineage(version)
  row = {name: getattr(lineage, name) for name in ("parent", "opponent", "stage", "round")}
  return {"version": version, **row, "selection_ex": _ex(bench, version, SELECTION)}


def _row(
  bench: Workbench, version: str, test: Sequence[Example], levels: Sequence[str], accepted: dict[str, bool]
) -> dict[str, Any]:
  lineage, score = bench.models.lineage(version), bench.models.score(version, TEST)
  outcomes = score.outcomes
  row = {
    "model": _LABELS[lineage.stage].format(lineage.round),
    "stage": lineage.stage,
    "round": lineage.round,
    "ex": score.execution_accuracy,
    "ci95": list(wilson_interval(sum(outcomes), len(outcomes))),
    "n": len(outcomes),
    "executable": score.executable,
    "selection_ex": _ex(bench, version, SELECTION),
    "by_hardness": {
      level: {"ex": float(np.mean(part)), "n": len(part)}
      for level in ("easy", "medium", "hard", "extra")
      if (part := [o for o, l in zip(outcomes, levels, strict=True) if l == level])
    },
    "version": version,
    "promoted": lineage.stage in _CANDIDATES and accepted.get(version, True),
  }
  if apart := bench.config.data.apart:
    kept = [o for o, e in zip(outcomes, test, strict=True) if e.db_id not in apart]
    row["ex_without"] = {"databases": list(apart), "ex": float(np.mean(kept)), "n": len(kept)}
    row["ex_without"]["ci95"] = list(wilson_interval(sum(kept), len(kept)))
  return row


def _ex(bench: Workbench, version: str, split: str) -> float | None:
  score = bench.models.score(version, split)
  return None if score is None else score.execution_accuracy


def _shown_examples(bench: Workbench, test: Sequence[Example], best: str) -> list[dict[str, Any]]:
  file = bench.journal.step(f"evaluation/{best}", dict)["file"]
  chosen = list(zip(test, [r["prediction"] for r in bench.journal.read_jsonl(file)], strict=True))[:_SHOWN_EXAMPLES]
  verdicts = _judge_test(bench, [e for e, _ in chosen], [p for _, p in chosen], keep_rows=True)
  return [
    {
      "db_id": e.db_id,
      "question": e.question,
      "gold": e.query,
      "model": best,
      "prediction": p,
      "correct": v.correct,
      "status": v.status,
      "message": v.message,
      "gold_columns": list(v.gold.columns),
      "gold_rows": _rows(v.gold.rows),
      "predicted_columns": list(v.predicted.columns),
      "predicted_rows": _rows(v.predicted.rows),
    }
    for (e, p), v in zip(chosen, verdicts, strict=True)
  ]


def _rows(rows: Sequence[tuple]) -> list[list[Any]]:
  return [[c if isinstance(c, str | int | float | None) else repr(c) for c in row] for row in rows[:_SHOWN_ROWS]]


def _notes(bench: Workbench, final: dict[str, Any], best: str) -> list[str]:
  notes = [
    f"Best on the selection split: {final['model']} ({best}). Test questions were not used to choose it.",
    "Intervals are Wilson's, 95 %; single-run differences within them say nothing.",
  ]
  if apart := final.get("ex_without"):
    low, high = apart["ci95"]
    names = ", ".join(apart["databases"])
    notes.append(f"Without {names}: EX {apart['ex']:.1%} ({low:.1%} to {high:.1%}, n = {apart['n']:,}) for {final['model']}.")
  return notes


def _cost(began: float) -> dict[str, Any]:
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return {"seconds": time.perf_counter() - began, "peak_memory_bytes": peak}


def _write_results(bench: Workbench, results: dict[str, Any], best: str, metrics: _Metrics) -> None:
  workdir = bench.journal.workdir
  path = workdir / "results.json"
  unfinished = path.with_name(".results.json")
  unfinished.write_text(json.dumps(results, indent=1))
  os.replace(unfinished, path)
  write_report(results, metrics.read(), workdir / "report.html")
  export(bench, best, workdir / "export")
  bench.say(f"Results: {path}; report: {workdir / 'report.html'}; best model for transformers: {workdir / 'export'}")


def export(bench: Workbench, version: str, folder: Path) -> None:
  """Writes a version as a Hugging Face model folder (an adapter merged), with its prompt format beside it."""
  params = bench.load(version)
  if bench.model.lora is not None:
    params = merge(bench.start, params, bench.model.lora)
  save_hf(folder, bench.model.config, params, bench.tokenizer.hf)
  write_prompt_format(folder, bench.config.prompt, bench.config.max_new_tokens)


class _Metrics:
  """Training metrics, by stage, as JSON lines and for TensorBoard. A stage that is resumed goes on behind its last line."""

  def __init__(self, workdir: Path):
    self._folder = workdir / "metrics"
    self._tensorboard = workdir / "tensorboard"
    self._open: dict[str, tuple[Any, tensorboardX.SummaryWriter]] = {}

  def write(self, stage: str, step: int, values: dict[str, float]) -> None:
    if stage not in self._open:
      name = stage.replace("/", "-")
      self._folder.mkdir(parents=True, exist_ok=True)
      file = (self._folder / f"{name}.jsonl").open("a", buffering=1)
      self._open[stage] = file, tensorboardX.SummaryWriter(str(self._tensorboard / name))
    file, board = self._open[stage]
    file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
    for name, value in values.items():
      board.add_scalar(name, value, step)

  def read(self) -> list[dict[str, Any]]:
    """All lines; of a step that was done twice (before and after a cut), the report takes the last."""
    return [json.loads(line) for path in sorted(self._folder.glob("*.jsonl")) for line in path.read_text().splitlines()]

  def close(self) -> None:
    for file, board in self._open.values():
      file.close()
      board.close()
