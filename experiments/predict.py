"""Writes a model's SQL for the questions of an example file, one line each, in order.

    python experiments/predict.py --model=DIR --examples=FILE.json --databases=DIR --output=FILE.sql

The examples need no SQL: JSON or JSON lines with `question` and `db_id` (no db_id where --databases
names one file or URL). Databases lie in DIR/<db_id>/<db_id>.sqlite, in the first of the folders
--databases=A,B that has it.

A line holds no comments, and a line break or TAB inside a literal is written as an expression with
the same value, ('a' || char(10) || 'b'). An --output that ends in .json is written in BIRD's
format, {"0": "SQL<TAB>----- bird -----<TAB>db_id"}, with the line breaks and comments of the model.

The model is a folder as a run exports it (Hugging Face files and prompt_format.json). Answers are
kept in FILE.sql.partial as they come; the same command goes on where it was cut off. A question
that cannot be answered (an empty one, a prompt that is too long) gets a blank line and is named at
the end.

--samples=K answers each question K times and takes the result that most answers give
(self-consistency): answers are executed while others are written. --constrain restricts identifiers
to those of the database's schema.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import GOES_ON, InputError, check_output, launch

# isort: split
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import database_access
from absl import flags
from tqdm import tqdm

from spftsql_jax.amounts import rate
from spftsql_jax.answering.model_folder import find_model
from spftsql_jax.databases import Executor, search_path
from spftsql_jax.databases.locations import with_schemas
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import read_view
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.files import write_text
from spftsql_jax.sql.one_line import one_line

if TYPE_CHECKING:
  from spftsql_jax.answering.predict import Prediction

flags.adopt_module_key_flags(database_access)
_MODEL = flags.DEFINE_string(
  "model", None, "Model folder, or the folder of a run, whose export is taken.", required=True
)
_EXAMPLES = flags.DEFINE_string(
  "examples", None, "JSON or JSON lines file of the questions.", required=True
)
_DATABASES = flags.DEFINE_string(
  "databases",
  None,
  "Folders A,B of the databases, DIR/<db_id>/<db_id>.sqlite; or one file or URL.",
  required=True,
)
_SCHEMAS = flags.DEFINE_list(
  "schemas", [], "Schemas whose tables are taken; by default those on the search path."
)
_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers decoded at once.", lower_bound=1)
_DTYPE = flags.DEFINE_enum(
  "dtype", "float32", ["float32", "bfloat16"], "Of weights and computation."
)
_SAMPLES = flags.DEFINE_integer(
  "samples", 1, "Answers a question; with more than one the majority by result.", lower_bound=1
)
_TEMPERATURE = flags.DEFINE_float(
  "temperature", 0.8, "Of the samples; a single answer is greedy.", lower_bound=0.01
)
_TOP_P = flags.DEFINE_float(
  "top_p",
  1.0,
  "Samples are of the likeliest tokens with this mass.",
  lower_bound=0.001,
  upper_bound=1.0,
)
_TOP_K = flags.DEFINE_integer(
  "top_k", 0, "Samples are of the k likeliest tokens; 0 for all.", lower_bound=0
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the samples.", lower_bound=0)
_CONSTRAIN = flags.DEFINE_bool("constrain", False, "Restrict identifiers to those of the schema.")
_MESH = flags.DEFINE_string(
  "mesh", None, "Devices that share the work, as in data:1,fsdp:2,tensor:4; by default one."
)
_WORKERS = flags.DEFINE_integer(
  "workers", min(8, os.cpu_count() or 1), "Processes that execute samples.", lower_bound=1
)
_TIMEOUT_S = flags.DEFINE_float(
  "timeout_s", 5.0, "Time limit of a sample's execution in seconds.", lower_bound=0.01
)
_DETAILS = flags.DEFINE_string(
  "details", None, "JSON lines to write: status, log-prob and votes of each answer."
)

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
  view = read_view(model)
  given = search_path.database_places(_DATABASES.value)
  examples = read_examples(_EXAMPLES.value, gold=False, db_id=search_path.only_database(given))
  found = {d: search_path.find_database(given, d) for d in database_ids(examples)}
  for line in search_path.shadowed(given, found):
    print(f"predict.py: {line}", file=sys.stderr)

  # Here and not above: they import JAX, which takes seconds that bad input need not wait for.
  from spftsql_jax.answering.exported import load_exported
  from spftsql_jax.answering.predict import PromptDatabase, answer_questions
  from spftsql_jax.answering.vote import predict_by_vote
  from spftsql_jax.models.sharding import make_mesh

  databases = {
    d: PromptDatabase.read(with_schemas(location, _SCHEMAS.value), view)
    for d, location in found.items()
  }
  partial = output.with_name(output.name + ".partial")
  done = _resume(partial, _fingerprint(model))
  mesh = make_mesh(_MESH.value) if _MESH.value else None
  exported = load_exported(model, _LANES.value, _DTYPE.value, mesh)
  if not exported.tokenizer.encode("SELECT"):
    raise InputError(
      f"{_MODEL.value}: no tokenizer there (tokenizer.json); copy the tokenizer files of the "
      "model "
      "to it"
    )
  missing = [i for i in range(len(examples)) if i not in done]
  with (
    partial.open("a") as file,
    tqdm(total=len(examples), initial=len(done), desc="answers", disable=None) as bar,
  ):

    def keep(place: int, prediction: Prediction, **more: Any) -> None:
      done[missing[place]] = dataclasses.asdict(prediction) | more
      file.write(json.dumps([missing[place], done[missing[place]]]) + "\n")
      file.flush()
      bar.set_postfix_str(
        rate(exported.generator.statistics.tokens_per_second, "tokens"), refresh=False
      )
      bar.update()

    arguments = (
      exported.generator,
      exported.params,
      exported.tokenizer,
      databases,
      [examples[i] for i in missing],
    )
    options = {
      "max_new_tokens": exported.max_new_tokens,
      "constrain": _CONSTRAIN.value,
      "places": missing,
    }
    if _SAMPLES.value == 1:
      answer_questions(
        *arguments, on_question=lambda place, answers: keep(place, answers[0]), **options
      )
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
          on_vote=lambda place, vote: keep(
            place, vote.prediction, votes=vote.votes, samples=len(vote.samples)
          ),
          **options,
        )
  if _DETAILS.value:
    _write(
      Path(_DETAILS.value), (json.dumps({"index": i, **done[i]}) for i in range(len(examples)))
    )
  answers = [done[i]["sql"] for i in range(len(examples))]
  if output.suffix == ".json":
    numbered = {
      str(i): f"{sql}\t----- bird -----\t{examples[i].db_id}" for i, sql in enumerate(answers)
    }
    _write(output, [json.dumps(numbered, indent=1, ensure_ascii=False)])
  else:
    _write(output, _lines(answers, [databases[e.db_id].schema.dialect for e in examples]))
  partial.unlink()
  for status, reason in _REASONS.items():
    if lines := [i + 1 for i in range(len(examples)) if done[i]["status"] == status]:
      print(
        f"{output}: {reason} on {len(lines)} blank lines, the first of them {lines[:5]}",
        file=sys.stderr,
      )
  speed = exported.generator.statistics.tokens_per_second
  told = f", {rate(speed, 'tokens')}" if missing else " (all were there already)"
  print(f"{output}: {len(examples)} predictions{told}", file=sys.stderr)


def _lines(answers: Sequence[str], dialects: Sequence[str]) -> list[str]:
  """Each answer on one line; blank, and named, where it has a line break that a line cannot
  hold.
  """
  lines, failed = [], []
  for number, (sql, dialect) in enumerate(zip(answers, dialects, strict=True), start=1):
    try:
      lines.append(one_line(sql, dialect))
    except ValueError as error:
      lines.append("")
      failed.append(f"line {number} is blank: {error}")
  if failed:
    print(
      f"{_OUTPUT.value}: {failed[0]} ({len(failed)} in all; --output=FILE.json keeps line breaks)",
      file=sys.stderr,
    )
  return lines


def _write(path: Path, lines: Any) -> None:
  write_text(path, "".join(line + "\n" for line in lines))


def _fingerprint(model: Path) -> dict[str, str]:
  """What the answers depend on: a partial file of another model, other questions or options is not
  gone on with.
  """
  files = [f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in sorted(model.iterdir())]
  drawn = [_TEMPERATURE.value, _TOP_P.value, _TOP_K.value, _SEED.value]
  sampling = [_SAMPLES.value, *drawn, _TIMEOUT_S.value] if _SAMPLES.value > 1 else []
  parts = {
    "model": [str(model.resolve()), *files],
    "examples": hashlib.sha256(
      b"".join(map(Path.read_bytes, _files(Path(_EXAMPLES.value))))
    ).hexdigest(),
    "databases": [*map(_place, search_path.database_places(_DATABASES.value)), *_SCHEMAS.value],
    "options": [_DTYPE.value, _CONSTRAIN.value, *sampling],
  }
  return {
    name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for name, part in parts.items()
  }


def _place(value: str) -> str:
  """A place of databases, wherever the script is started; another password does not make it
  another.
  """
  return str(Path(value).resolve()) if os.path.exists(value) else without_password(value)


def _files(path: Path) -> list[Path]:
  """The file, or those of a folder."""
  return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]


def _resume(partial: Path, fingerprint: dict[str, str]) -> dict[int, dict[str, Any]]:
  """The answers that are there already; starts the file where there is none. Raises InputError
  where they are of others.
  """
  lines = partial.read_text().split("\n") if partial.is_file() else []
  if len(lines) < 3:  # Not one answer was written whole: there is nothing to go on with.
    partial.write_text(json.dumps(fingerprint) + "\n")
    return {}
  before = json.loads(lines[0])
  if changed := [name for name in fingerprint if before.get(name) != fingerprint[name]]:
    raise InputError(
      f"{partial}: begun with other {' and '.join(changed)}; give the same again, or delete it "
      "to "
      "start anew"
    )
  whole = lines[1:-1]  # the last one is empty, or was cut off
  partial.write_text("\n".join([lines[0], *whole]) + "\n")
  return dict(json.loads(line) for line in whole)


if __name__ == "__main__":
  launch(main, when_interrupted=GOES_ON)
