"""Writes a model's SQL for the questions of a benchmark file, one line each, in order.

    python experiments/predict.py --model=DIR --examples=FILE.json --databases=DIR --output=FILE.sql

The model is a folder as a run exports it (Hugging Face files and prompt_format.json). Answers are kept in FILE.sql.partial as
they come; the same command goes on where it was cut off. A question that cannot be answered (an empty one, a prompt that is too
long) gets a blank line and is named at the end.

--samples=K answers each question K times and takes the result that most answers give (self-consistency): answers are executed
while others are written. --constrain restricts identifiers to those of the database's schema.
"""

from __future__ import annotations

from launch import GOES_ON, InputError, check_output, launch  # First: from here on a signal ends the script with one line.

# isort: split
import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from tqdm import tqdm

from spftsql_jax.databases import Executor
from spftsql_jax.evaluation.model_folder import find_model
from spftsql_jax.evaluation.report_text import rate
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples

if TYPE_CHECKING:
  from spftsql_jax.evaluation.predict import Prediction

_MODEL = flags.DEFINE_string("model", None, "Model folder, or the folder of a run, whose export is taken.", required=True)
_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the questions.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases, DIR/<db_id>/<db_id>.sqlite.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers decoded at once.", lower_bound=1)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of weights and computation.")
_SAMPLES = flags.DEFINE_integer("samples", 1, "Answers a question; with more than one the majority by result.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "Of the samples; a single answer is greedy.", lower_bound=0.01)
_TOP_P = flags.DEFINE_float(
  "top_p", 1.0, "Samples are of the likeliest tokens with this mass.", lower_bound=0.001, upper_bound=1.0
)
_TOP_K = flags.DEFINE_integer("top_k", 0, "Samples are of the k likeliest tokens; 0 for all.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the samples.", lower_bound=0)
_CONSTRAIN = flags.DEFINE_bool("constrain", False, "Restrict identifiers to those of the schema.")
_MESH = flags.DEFINE_string("mesh", None, "Devices that share the work, as in data:1,fsdp:2,tensor:4; by default one.")
_WORKERS = flags.DEFINE_integer("workers", min(8, os.cpu_count() or 1), "Processes that execute samples.", lower_bound=1)
_TIMEOUT_S = flags.DEFINE_float("timeout_s", 5.0, "Time limit of a sample's execution in seconds.", lower_bound=0.01)
_DETAILS = flags.DEFINE_string("details", None, "JSON lines to write: status, log-prob and votes of each answer.")

_REASONS = {
  "empty_prompt": "the question is empty",
  "too_long": "prompt and answer exceed the model's positions",
  "unknown_token": "the tokenizer gives ids that the model does not have",
}


def main() -> None:
  output = Path(_OUTPUT.value)
  for path in (output, Path(_DETAILS.value or output)):
    check_output(path)
  model = find_model(_MODEL.value)
  examples = read_examples(_EXAMPLES.value)
  places = {d: find_database(_DATABASES.value, d) for d in database_ids(examples)}

  # Here and not above: they import JAX, which takes seconds that bad input need not wait for.
  from spftsql_jax.evaluation.exported import load_exported
  from spftsql_jax.evaluation.predict import PromptDatabase, answer_questions
  from spftsql_jax.evaluation.self_consistency import predict_by_vote
  from spftsql_jax.models.sharding import make_mesh

  databases = {db_id: PromptDatabase.read(place) for db_id, place in places.items()}
  partial = output.with_name(output.name + ".partial")
  done = _resume(partial, _fingerprint(model))
  mesh = make_mesh(_MESH.value) if _MESH.value else None
  exported = load_exported(model, _LANES.value, _DTYPE.value, mesh)
  if not exported.tokenizer.encode("SELECT"):
    raise InputError(f"{_MODEL.value}: no tokenizer there (tokenizer.json); copy the tokenizer files of the model to it")
  missing = [i for i in range(len(examples)) if i not in done]
  with partial.open("a") as file, tqdm(total=len(examples), initial=len(done), desc="answers", disable=None) as bar:

    def keep(place: int, prediction: Prediction, **more: Any) -> None:
      done[missing[place]] = dataclasses.asdict(prediction) | more
      file.write(json.dumps([missing[place], done[missing[place]]]) + "\n")
      file.flush()
      bar.set_postfix_str(rate(exported.generator.statistics.tokens_per_second, "tokens"), refresh=False)
      bar.update()

    arguments = (exported.generator, exported.params, exported.tokenizer, databases, [examples[i] for i in missing])
    options = {"max_new_tokens": exported.max_new_tokens, "constrain": _CONSTRAIN.value, "places": missing}
    if _SAMPLES.value == 1:
      answer_questions(*arguments, on_question=lambda place, answers: keep(place, answers[0]), **options)
    else:
      with Executor(workers=_WORKERS.value) as executor:
        predict_by_vote(
          *arguments,
          executor,
          samples=_SAMPLES.value,
          temperature=_TEMPERATURE.value,
          top_p=_TOP_P.value,
          top_k=_TOP_K.value,
          seed=_SEED.value,
          timeout_s=_TIMEOUT_S.value,
          on_vote=lambda place, vote: keep(place, vote.prediction, votes=vote.votes, samples=len(vote.samples)),
          **options,
        )
  if _DETAILS.value:
    _write(Path(_DETAILS.value), (json.dumps({"index": i, **done[i]}) for i in range(len(examples))))
  _write(output, (done[i]["sql"] for i in range(len(examples))))
  partial.unlink()
  for status, reason in _REASONS.items():
    if lines := [i + 1 for i in range(len(examples)) if done[i]["status"] == status]:
      print(f"{output}: {reason} on {len(lines)} blank lines, the first of them {lines[:5]}", file=sys.stderr)
  speed = exported.generator.statistics.tokens_per_second
  told = f", {rate(speed, 'tokens')}" if missing else " (all were there already)"
  print(f"{output}: {len(examples)} predictions{told}", file=sys.stderr)


def _write(path: Path, lines: Any) -> None:
  unfinished = path.with_name(path.name + ".unfinished")
  unfinished.write_text("".join(line + "\n" for line in lines))
  os.replace(unfinished, path)


def _fingerprint(model: Path) -> dict[str, str]:
  """What the answers depend on: a partial file of another model, other questions or options is not gone on with."""
  files = [f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in sorted(model.iterdir())]
  drawn = [_TEMPERATURE.value, _TOP_P.value, _TOP_K.value, _SEED.value]
  sampling = [_SAMPLES.value, *drawn, _TIMEOUT_S.value] if _SAMPLES.value > 1 else []
  parts = {
    "model": [str(model.resolve()), *files],
    "examples": hashlib.sha256(Path(_EXAMPLES.value).read_bytes()).hexdigest(),
    "databases": str(Path(_DATABASES.value).resolve()),
    "options": [_DTYPE.value, _CONSTRAIN.value, *sampling],
  }
  return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for name, part in parts.items()}


def _resume(partial: Path, fingerprint: dict[str, str]) -> dict[int, dict[str, Any]]:
  """The answers that are there already; starts the file where there is none. Raises InputError where they are of others."""
  lines = partial.read_text().split("\n") if partial.is_file() else []
  if len(lines) < 2:  # not even the first line was written whole
    partial.write_text(json.dumps(fingerprint) + "\n")
    return {}
  before = json.loads(lines[0])
  if changed := [name for name in fingerprint if before.get(name) != fingerprint[name]]:
    raise InputError(f"{partial}: begun with other {' and '.join(changed)}; give the same again, or delete it to start anew")
  whole = lines[1:-1]  # the last one is empty, or was cut off
  partial.write_text("\n".join([lines[0], *whole]) + "\n")
  return dict(json.loads(line) for line in whole)


if __name__ == "__main__":
  launch(main, when_interrupted=GOES_ON)
