"""Writes a model's SQL for the questions of a benchmark file, one line each, in order.

    python experiments/predict.py --model=DIR --examples=FILE.json --databases=DIR --output=FILE.sql

The model is a folder as a run exports it (Hugging Face files and prompt_format.json). Answers are kept in FILE.sql.partial as
they come; the same command goes on where it was cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from launch import InputError, launch

from absl import flags  # isort: skip
from tqdm import tqdm

from spftsql_jax.evaluation.exported import load_exported
from spftsql_jax.evaluation.predict import PromptDatabase, predict
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples

_MODEL = flags.DEFINE_string("model", None, "Model folder.", required=True)
_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the questions.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases, DIR/<db_id>/<db_id>.sqlite.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers decoded at once.", lower_bound=1)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of weights and computation.")


def main() -> None:
  output = Path(_OUTPUT.value)
  if not output.resolve().parent.is_dir():
    raise InputError(f"{output.parent}: no such folder for --output")
  examples = read_examples(_EXAMPLES.value)
  databases = {d: PromptDatabase.read(find_database(_DATABASES.value, d)) for d in database_ids(examples)}
  exported = load_exported(_MODEL.value, _LANES.value, _DTYPE.value)
  partial = output.with_name(output.name + ".partial")
  done = _resume(partial, _fingerprint(len(examples)))
  missing = [i for i in range(len(examples)) if i not in done]
  with partial.open("a") as file, tqdm(total=len(examples), initial=len(done), desc="answers", disable=None) as bar:

    def keep(place: int, sql: str) -> None:
      done[missing[place]] = sql
      file.write(json.dumps([missing[place], sql]) + "\n")
      file.flush()
      bar.update()

    predict(
      exported.generator,
      exported.params,
      exported.tokenizer,
      databases,
      [examples[i] for i in missing],
      max_new_tokens=exported.max_new_tokens,
      on_answer=keep,
    )
  unfinished = output.with_name(output.name + ".unfinished")
  unfinished.write_text("".join(done[i] + "\n" for i in range(len(examples))))
  os.replace(unfinished, output)
  partial.unlink()
  print(f"{output}: {len(examples)} predictions", file=sys.stderr)


def _fingerprint(count: int) -> str:
  """Of what the answers depend on: a partial file of another model or other questions is not gone on with."""
  model = Path(_MODEL.value)
  parts = [str(model.resolve()), *(f"{p.name}{p.stat().st_size}{p.stat().st_mtime_ns}" for p in sorted(model.iterdir()))]
  parts.append(hashlib.sha256(Path(_EXAMPLES.value).read_bytes()).hexdigest())
  return hashlib.sha256("\n".join([*parts, str(count), _DTYPE.value]).encode()).hexdigest()


def _resume(partial: Path, fingerprint: str) -> dict[int, str]:
  """The answers that are there already; starts the file where there is none, or one of something else."""
  lines = partial.read_text().split("\n") if partial.is_file() else []
  if not lines or lines[0] != json.dumps(fingerprint):
    partial.write_text(json.dumps(fingerprint) + "\n")
    return {}
  whole = lines[1:-1]  # the last one is empty, or was cut off
  partial.write_text("\n".join([lines[0], *whole]) + "\n")
  return dict(json.loads(line) for line in whole)


if __name__ == "__main__":
  launch(main)
