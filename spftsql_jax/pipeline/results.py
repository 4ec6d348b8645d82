"""The evaluation of a run's versions on the held-out test, and what the run leaves behind: results,
report, export.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spftsql_jax import hosts
from spftsql_jax.answering.exported import write_prompt_format
from spftsql_jax.examples.example import Example
from spftsql_jax.judging.metrics import hardness, paired_exact_test, wilson_interval
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.models import merge, save_hf
from spftsql_jax.pipeline.config import to_record
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import write_json
from spftsql_jax.pipeline.prepare import RunData
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  TEST,
  Workbench,
  answer_and_judge,
  device_line,
  judge,
  score_of,
)
from spftsql_jax.report.page import write_report
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.synthesis.notation import WeightedTemplate

CANDIDATES = ("sft", "vbi_ft", "self_play")
_NO_TEST = (
  "No test was given. The figures are those of the selection split: synthesized questions, on "
  "which the models were chosen "
  "too. They are optimistic."
)
# What the results tell of an iteration of self-play.
_PLAYED = (
  "iteration",
  "main",
  "opponent",
  "pairs",
  "left_out",
  "reward_rate",
  "accepted",
  "reason",
)
# Answers of the best model that the report shows with both results.
_SHOWN_EXAMPLES = 400
_SHOWN_ROWS = 10


def evaluate_version(
  bench: Workbench, version: str, test: Sequence[Example], selection: Sequence[Example]
) -> dict[str, Any]:
  """Answers the test with a version and judges as the benchmark does; without a test the selection
  split, judged as there.
  """
  questions, split = (test, TEST) if test else (selection, SELECTION)
  predictions, verdicts = answer_and_judge(
    bench, bench.load(version), questions, _judge_test if test else judge
  )
  right = [v.correct if test else bool(v.suite_correct) for v in verdicts]
  # By its score on the selection split a version was chosen: it stays as it was.
  result = None if test else bench.models.score(version, split)
  if result is None:
    result = score_of(questions, right, verdicts)
    bench.models.add_score(version, split, result)
  bench.say(f"  {version}: EX {result.execution_accuracy:.1%}, {result.executable:.0%} run")
  records = [{"prediction": p, "correct": r} for p, r in zip(predictions, right, strict=True)]
  return {"file": bench.journal.write_jsonl(f"test-{version}", records)}


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


def collect_results(
  bench: Workbench,
  data: RunData,
  selection: Sequence[Example],
  versions: Sequence[str],
  best: str,
  rounds: Sequence[dict[str, Any]],
  iterations: Sequence[dict[str, Any]],
  templates: Sequence[WeightedTemplate],
  cost: dict[str, Any],
) -> dict[str, Any]:
  """What results.json holds: the table of `versions`, lineage, synthesis, self-play, examples,
  config and environment.
  """
  questions = data.test or selection
  levels = [hardness(e.query) for e in questions]
  accepted = {i["version"]: i["accepted"] for i in iterations}
  split = TEST if data.test else SELECTION
  table = [_row(bench, version, split, questions, levels, accepted) for version in versions]
  first = bench.models.score(versions[0], split) if versions else None
  for row, version in zip(table, versions, strict=True):
    # Of the same questions, answered by the first model of the table and by this one.
    row["p_first"] = paired_exact_test(first.outcomes, bench.models.score(version, split).outcomes)
  final = next(row for row in table if row["version"] == best)
  names = {item.template.id: item.template.text for item in templates}
  return {
    "title": bench.config.name,
    "best": best,
    "evaluated_on": split,
    "seeds_left_out": data.leaked,
    "config": to_record(bench.config),
    "environment": {
      "python": sys.version.split()[0],
      "jax": jax.__version__,
      "devices": device_line(),
      "cores": os.cpu_count(),
      "processes": hosts.count(),
    },
    **cost,
    "data": {
      "databases": sorted(bench.databases),
      "seeds": len(data.seeds),
      "test": len(data.test),
      "templates": len(templates),
    },
    "table": table,
    "lineage": [_lineage_row(bench, v) for v in bench.models.versions()],
    "synthesis": [
      {
        "round": r["number"],
        "accepted": r["accepted"],
        "rejections": r["rejections"],
        "questions": {
          "rules": r["accepted"],
          "model": r["model_questions"],
          "agreement": r["agreement"],
        }
        | ({"consistency": r["consistency"]} if r["consistency"] else {}),
        "verified_ex": r["verified_ex"],
        "template_errors": [
          t | {"template": names.get(t["template"], t["template"])}
          for t in r["template_errors"][:40]
        ],
      }
      for r in rounds
    ],
    "self_play": [{k: i[k] for k in _PLAYED} | _promotion(bench, i) for i in iterations],
    "examples": _shown_examples(bench, data, questions, best),
    "notes": [*_notes(data, final, best), *_faults(bench)],
  }


def _promotion(bench: Workbench, iteration: dict[str, Any]) -> dict[str, Any]:
  """What decided on an iteration's model: its EX and main's on the selection split, and how likely
  chance alone does it.
  """
  before, after = (bench.models.score(iteration[name], SELECTION) for name in ("main", "version"))
  if before is None or after is None:
    return {}
  p = (
    paired_exact_test(before.outcomes, after.outcomes)
    if len(before.outcomes) == len(after.outcomes)
    else None
  )
  return {
    "main_ex": before.execution_accuracy,
    "selection_ex": after.execution_accuracy,
    "p": p,
    "n": len(after.outcomes),
  }


def _lineage_row(bench: Workbench, version: str) -> dict[str, Any]:
  lineage = bench.models.lineage(version)
  row = {name: getattr(lineage, name) for name in ("parent", "opponent", "stage", "round")}
  return {"version": version, **row, "selection_ex": _ex(bench, version, SELECTION)}


def _row(
  bench: Workbench,
  version: str,
  split: str,
  questions: Sequence[Example],
  levels: Sequence[str],
  accepted: dict[str, bool],
) -> dict[str, Any]:
  lineage, score = bench.models.lineage(version), bench.models.score(version, split)
  outcomes = score.outcomes
  row = {
    "model": model_name(lineage.stage, lineage.round),
    "stage": lineage.stage,
    "round": lineage.round,
    "ex": score.execution_accuracy,
    "ci95": list(wilson_interval(sum(outcomes), len(outcomes))),
    "n": len(outcomes),
    "split": split,
    "executable": score.executable,
    "selection_ex": _ex(bench, version, SELECTION),
    "selection_executable": getattr(bench.models.score(version, SELECTION), "executable", None),
    "by_hardness": {
      level: {"ex": float(np.mean(part)), "n": len(part)}
      for level in ("easy", "medium", "hard", "extra")
      if (part := [o for o, l in zip(outcomes, levels, strict=True) if l == level])
    },
    "version": version,
    "promoted": bench.models.is_candidate(version) and accepted.get(version, True),
  }
  if apart := bench.config.data.apart:
    kept = [o for o, e in zip(outcomes, questions, strict=True) if e.db_id not in apart]
    row["ex_without"] = {"databases": list(apart), "ex": float(np.mean(kept)), "n": len(kept)}
    row["ex_without"]["ci95"] = list(wilson_interval(sum(kept), len(kept)))
  return row


def _ex(bench: Workbench, version: str, split: str) -> float | None:
  score = bench.models.score(version, split)
  return None if score is None else score.execution_accuracy


def _shown_examples(
  bench: Workbench, data: RunData, questions: Sequence[Example], best: str
) -> list[dict[str, Any]]:
  file = bench.journal.step(f"evaluation/{best}", dict)["file"]
  records = list(bench.journal.read_jsonl(file))[:_SHOWN_EXAMPLES]
  chosen = list(zip(questions[:_SHOWN_EXAMPLES], [r["prediction"] for r in records], strict=True))
  verdicts = _judge_test(bench, [e for e, _ in chosen], [p for _, p in chosen], keep_rows=True)
  return [
    {
      "db_id": e.db_id,
      "question": e.question,
      "gold": e.query,
      "model": best,
      "prediction": p,
      "correct": v.correct if data.test else right["correct"],
      "status": v.status,
      "message": v.message,
      "gold_columns": list(v.gold.columns),
      "gold_rows": _rows(v.gold.rows),
      "gold_row_count": len(v.gold.rows),
      "predicted_columns": list(v.predicted.columns),
      "predicted_rows": _rows(v.predicted.rows),
      "predicted_row_count": len(v.predicted.rows),
    }
    for (e, p), v, right in zip(chosen, verdicts, records, strict=True)
  ]


def _rows(rows: Sequence[tuple]) -> list[list[Any]]:
  return [[_shown(cell) for cell in row] for row in rows[:_SHOWN_ROWS]]


def _shown(cell: Any) -> Any:
  """A cell as JSON has it; what JSON has no value for (NaN, dates, bytes) as text."""
  plain = isinstance(cell, str | int | None) or (isinstance(cell, float) and math.isfinite(cell))
  return cell if plain else repr(cell)


def _notes(data: RunData, final: dict[str, Any], best: str) -> list[str]:
  chosen = f"Best on the selection split: {final['model']} ({best})."
  leaked = f"{data.leaked:,} seeds ask a query of the test, and were left out."
  return [
    f"{chosen} Test questions were not used to choose it." if data.test else f"{chosen} {_NO_TEST}",
    *([leaked] if data.leaked else ()),
    "Intervals are Wilson's, 95 %; single-run differences within them say nothing.",
  ]


def _faults(bench: Workbench) -> list[str]:
  """The versions of both models whose training ended on numbers that are not finite."""
  found = []
  for models, what in ((bench.models, ""), (bench.writers, "SQL-to-text model ")):
    found += [
      f"{what}{v}: {fault}." for v in models.versions() if (fault := models.lineage(v).fault)
    ]
  return found


def write_results(
  bench: Workbench, results: dict[str, Any], best: str, metrics: MetricsLog
) -> None:
  """Writes results.json, report.html and the export of the best version."""
  workdir = bench.journal.workdir
  path = workdir / "results.json"

  def write() -> None:
    write_json(path, results)
    write_report(results, metrics.read(), workdir / "report.html")

  hosts.from_first(write)
  export(bench, best, workdir / "export")
  bench.say(
    f"Results: {path}; report: {workdir / 'report.html'}; best model for transformers: "
    f"{workdir / 'export'}"
  )


def export(bench: Workbench, version: str, folder: Path) -> None:
  """Writes a version as a Hugging Face model folder (an adapter merged), with its prompt format
  beside it.
  """
  params = bench.rounded(bench.load(version))
  if bench.model.lora is not None:
    params = merge(bench.start, params, bench.model.lora)
  if hosts.count() > 1:
    params = hosts.whole(params)
  hosts.from_first(lambda: _save(bench, params, folder))


def _save(bench: Workbench, params: Any, folder: Path) -> None:
  ends = {"end_ids": bench.tokenizer.end_ids, "pad_id": bench.tokenizer.pad_id}
  save_hf(folder, bench.model.config, params, bench.start_folder, **ends)
  write_prompt_format(folder, bench.config.prompt, bench.config.max_new_tokens)
