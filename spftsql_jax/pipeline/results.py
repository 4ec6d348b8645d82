"""The evaluation of a run's versions on the held-out test, and what the run leaves behind: results, report, export."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spftsql_jax.evaluation.exported import write_prompt_format
from spftsql_jax.evaluation.metrics import hardness, paired_exact_test, wilson_interval
from spftsql_jax.evaluation.report import write_report
from spftsql_jax.evaluation.scoring import Verdict, score_predictions
from spftsql_jax.evaluation.stage_names import model_name
from spftsql_jax.examples.example import Example
from spftsql_jax.models import hosts, merge, save_hf
from spftsql_jax.pipeline.config import to_dict
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_base import write_json
from spftsql_jax.pipeline.prepare import RunData
from spftsql_jax.pipeline.workbench import SELECTION, TEST, Workbench, answer_and_judge, device_line, score_of
from spftsql_jax.synthesis.notation import WeightedTemplate

CANDIDATES = ("sft", "vbi_ft", "self_play")
# What the results tell of an iteration of self-play.
_PLAYED = ("iteration", "main", "opponent", "pairs", "left_out", "reward_rate", "accepted", "reason")
# Answers of the best model that the report shows with both results.
_SHOWN_EXAMPLES = 400
_SHOWN_ROWS = 10


def evaluate_version(bench: Workbench, version: str, test: Sequence[Example]) -> dict[str, Any]:
  """Answers the test with a version and judges as the benchmark does."""
  predictions, verdicts = answer_and_judge(bench, bench.load(version), test, _judge_test)
  result = score_of([v.correct for v in verdicts], verdicts)
  bench.models.add_score(version, TEST, result)
  bench.say(f"  {version}: EX {result.execution_accuracy:.1%}, {result.executable:.0%} run")
  records = [{"prediction": p, "correct": v.correct} for p, v in zip(predictions, verdicts, strict=True)]
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
  versions: Sequence[str],
  best: str,
  rounds: Sequence[dict[str, Any]],
  iterations: Sequence[dict[str, Any]],
  templates: Sequence[WeightedTemplate],
  cost: dict[str, Any],
) -> dict[str, Any]:
  """What results.json holds: the table of `versions`, lineage, synthesis, self-play, examples, config and environment."""
  levels = [hardness(e.query) for e in data.test]
  accepted = {i["version"]: i["accepted"] for i in iterations}
  table = [_row(bench, version, data.test, levels, accepted) for version in versions]
  first = bench.models.score(versions[0], TEST) if versions else None
  for row, version in zip(table, versions, strict=True):
    # Of the same questions, answered by the first model of the table and by this one.
    row["p_first"] = paired_exact_test(first.outcomes, bench.models.score(version, TEST).outcomes)
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
        "questions": {"rules": r["accepted"], "model": r["model_questions"], "agreement": r["agreement"]}
        | ({"consistency": r["consistency"]} if r["consistency"] else {}),
        "verified_ex": r["verified_ex"],
        "template_errors": [t | {"template": names.get(t["template"], t["template"])} for t in r["template_errors"][:40]],
      }
      for r in rounds
    ],
    "self_play": [{k: i[k] for k in _PLAYED} | _promotion(bench, i) for i in iterations],
    "examples": _shown_examples(bench, data.test, best),
    "notes": _notes(final, best),
  }


def _promotion(bench: Workbench, iteration: dict[str, Any]) -> dict[str, Any]:
  """What decided on an iteration's model: its EX and main's on the selection split, and how likely chance alone does it."""
  before, after = (bench.models.score(iteration[name], SELECTION) for name in ("main", "version"))
  if before is None or after is None:
    return {}
  p = paired_exact_test(before.outcomes, after.outcomes) if len(before.outcomes) == len(after.outcomes) else None
  return {"main_ex": before.execution_accuracy, "selection_ex": after.execution_accuracy, "p": p, "n": len(after.outcomes)}


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
    "model": model_name(lineage.stage, lineage.round),
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
    "promoted": lineage.stage in CANDIDATES and accepted.get(version, True),
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
      "gold_row_count": len(v.gold.rows),
      "predicted_columns": list(v.predicted.columns),
      "predicted_rows": _rows(v.predicted.rows),
      "predicted_row_count": len(v.predicted.rows),
    }
    for (e, p), v in zip(chosen, verdicts, strict=True)
  ]


def _rows(rows: Sequence[tuple]) -> list[list[Any]]:
  return [[c if isinstance(c, str | int | float | None) else repr(c) for c in row] for row in rows[:_SHOWN_ROWS]]


def _notes(final: dict[str, Any], best: str) -> list[str]:
  return [
    f"Best on the selection split: {final['model']} ({best}). Test questions were not used to choose it.",
    "Intervals are Wilson's, 95 %; single-run differences within them say nothing.",
  ]


def write_results(bench: Workbench, results: dict[str, Any], best: str, metrics: MetricsLog) -> None:
  """Writes results.json, report.html and the export of the best version."""
  workdir = bench.journal.workdir
  path = workdir / "results.json"

  def write() -> None:
    write_json(path, results)
    write_report(results, metrics.read(), workdir / "report.html")

  hosts.from_first(write)
  export(bench, best, workdir / "export")
  bench.say(f"Results: {path}; report: {workdir / 'report.html'}; best model for transformers: {workdir / 'export'}")


def export(bench: Workbench, version: str, folder: Path) -> None:
  """Writes a version as a Hugging Face model folder (an adapter merged), with its prompt format beside it."""
  params = bench.load(version)
  if bench.model.lora is not None:
    params = merge(bench.start, params, bench.model.lora)
  if hosts.count() > 1:
    params = hosts.whole(params)
  hosts.from_first(lambda: _save(bench, params, folder))


def _save(bench: Workbench, params: Any, folder: Path) -> None:
  save_hf(folder, bench.model.config, params, bench.tokenizer.hf)
  write_prompt_format(folder, bench.config.prompt, bench.config.max_new_tokens)
