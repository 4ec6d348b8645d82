"""What a run leaves behind: results.json, report.html and the export of its best version with its
model card.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from spftsql_jax import hosts
from spftsql_jax.answering.exported import write_prompt_format
from spftsql_jax.databases.schema_view import write_view
from spftsql_jax.files import write_json
from spftsql_jax.models import save_hf
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.codec import Json, record_to_json
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.model_cards import write_card
from spftsql_jax.pipeline.prompt_example import prompt_example
from spftsql_jax.pipeline.result_records import Results
from spftsql_jax.pipeline.starting_model import start_folder
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.report.page import write_report


def hand_over(bench: Workbench, results: Results, metrics: MetricsLog) -> dict[str, Json]:
  """Writes results, report and export; gives the results as JSON."""
  workdir = bench.journal.workdir
  results_file, report, folder = (
    workdir / name for name in ("results.json", "report.html", "export")
  )
  tree = bench.load(results.best)
  example = prompt_example(bench, tree, results.examples)
  written = record_to_json(dataclasses.replace(results, prompt_example=example))

  def write() -> None:
    write_json(results_file, written)
    write_report(written, metrics.read(), report)

  hosts.from_first(write)
  export(bench, tree, folder)
  config = bench.config
  hosts.from_first(
    lambda: write_card(
      folder,
      written,
      results.best,
      bench.evaluator.trainable.model.config,
      start=config.model.hf_model,
      max_new_tokens=config.max_new_tokens,
    )
  )
  bench.say(f"Results: {results_file}; report: {report}; best model for transformers: {folder}")
  return written


def export(bench: Workbench, tree: Params, folder: Path) -> None:
  """Writes a version's tree as a Hugging Face model folder (an adapter merged), with its prompt
  format beside it.
  """
  params = bench.evaluator.trainable.whole(tree)
  if hosts.count() > 1:
    params = hosts.whole(params)
  hosts.from_first(lambda: _save(bench, params, folder))


def _save(bench: Workbench, params: Params, folder: Path) -> None:
  config, evaluator = bench.config, bench.evaluator
  save_hf(
    folder,
    evaluator.trainable.model.config,
    params,
    start_folder(config, bench.journal.workdir),
    end_ids=evaluator.tokenizer.end_ids,
    pad_id=evaluator.tokenizer.pad_id,
  )
  write_prompt_format(
    folder, config.prompt, config.max_new_tokens, bench.units.schemas.longest_prefix
  )
  write_view(folder, config.data.view)
