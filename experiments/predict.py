"""Writes a model's SQL for the questions of an example file, one line each, in order.

    python experiments/predict.py --model=DIR --examples=FILE.json --databases=DIR --output=FILE.sql

The examples need no SQL: JSON or JSON lines with `question` and `db_id` (no db_id where --databases
names one file or URL). Databases lie in DIR/<db_id>/<db_id>.sqlite, in the first of the folders
--databases=A,B that has it.

A line holds no comments, and a line break or TAB inside a literal is written as an expression with
the same value, ('a' || char(10) || 'b'). An --output that ends in .json is written in BIRD's
format, {"0": "SQL<TAB>----- bird -----<TAB>db_id"}, with the line breaks and comments of the model.

A question over a schema that is too long for the prompt is put over a part of it, which is chosen
by what the question mentions; how many are is said.

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
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import database_access
from absl import flags
from tqdm import tqdm

from spftsql_jax.amounts import rate
from spftsql_jax.answering import answer_file
from spftsql_jax.answering.model_folder import find_model
from spftsql_jax.databases import Executor, search_path
from spftsql_jax.databases.locations import with_schemas
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import read_view
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.files import write_text

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


def main() -> None:
  output = Path(_OUTPUT.value)
  for path in (output, Path(_DETAILS.value or output)):
    check_output(path)
  model = find_model(_MODEL.value, adapters=True)
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
  try:
    done = answer_file.resume(partial, _depends_on(model))
  except answer_file.OtherAnswersError as error:
    raise InputError(str(error)) from error
  mesh = make_mesh(_MESH.value) if _MESH.value else None
  exported = load_exported(model, _LANES.value, _DTYPE.value, mesh)
  if not exported.tokenizer.encode("SELECT"):
    raise InputError(
      f"{_MODEL.value}: no tokenizer there (tokenizer.json); copy the tokenizer files of the "
      "model "
      "to it"
    )
  if split := exported.schemas.describe(databases, examples, "questions"):
    print(f"{output}: {split}", file=sys.stderr)
  missing = [i for i in range(len(examples)) if i not in done]
  with (
    partial.open("a") as file,
    tqdm(total=len(examples), initial=len(done), desc="answers", disable=None) as bar,
  ):

    def keep(place: int, prediction: Prediction, **more: Any) -> None:
      done[missing[place]] = dataclasses.asdict(prediction) | more
      answer_file.add(file, missing[place], done[missing[place]])
      bar.set_postfix_str(
        rate(exported.generator.statistics.tokens_per_second, "tokens"), refresh=False
      )
      bar.update()

    # What both ways of answering take.
    model_of = (exported.generator, exported.params, exported.tokenizer)
    asked = [examples[i] for i in missing]
    if _SAMPLES.value == 1:
      answer_questions(
        *model_of,
        databases,
        asked,
        max_new_tokens=exported.max_new_tokens,
        constrain=_CONSTRAIN.value,
        schemas=exported.schemas,
        places=missing,
        on_question=lambda place, answers: keep(place, answers[0]),
      )
    else:
      with Executor(workers=_WORKERS.value) as executor:
        predict_by_vote(
          *model_of,
          databases,
          asked,
          executor,
          max_new_tokens=exported.max_new_tokens,
          constrain=_CONSTRAIN.value,
          schemas=exported.schemas,
          places=missing,
          samples=_SAMPLES.value,
          temperature=_TEMPERATURE.value,
          top_p=_TOP_P.value,
          top_k=_TOP_K.value,
          seed=_SEED.value,
          timeout_s=_TIMEOUT_S.value,
          on_vote=lambda place, vote: keep(
            place, vote.prediction, votes=vote.votes, samples=len(vote.samples)
          ),
        )
  if _DETAILS.value:
    _write(
      Path(_DETAILS.value), (json.dumps({"index": i, **done[i]}) for i in range(len(examples)))
    )
  answers = [done[i]["sql"] for i in range(len(examples))]
  if output.suffix == ".json":
    write_text(output, answer_file.bird_text(answers, [e.db_id for e in examples]) + "\n")
  else:
    dialects = [databases[e.db_id].schema.dialect for e in examples]
    lines, failed = answer_file.one_line_each(answers, dialects)
    if failed:
      print(
        f"{output}: {failed[0]} ({len(failed)} in all; --output=FILE.json keeps line breaks)",
        file=sys.stderr,
      )
    _write(output, lines)
  partial.unlink()
  for line in answer_file.unanswered(done[i]["status"] for i in range(len(examples))):
    print(f"{output}: {line}", file=sys.stderr)
  speed = exported.generator.statistics.tokens_per_second
  told = f", {rate(speed, 'tokens')}" if missing else " (all were there already)"
  print(f"{output}: {len(examples)} predictions{told}", file=sys.stderr)


def _write(path: Path, lines: Iterable[str]) -> None:
  write_text(path, "".join(line + "\n" for line in lines))


def _depends_on(model: Path) -> dict[str, str]:
  """What the answers depend on: a partial file of another model, other questions or options is not
  gone on with.
  """
  drawn = [_TEMPERATURE.value, _TOP_P.value, _TOP_K.value, _SEED.value]
  sampling = [_SAMPLES.value, *drawn, _TIMEOUT_S.value] if _SAMPLES.value > 1 else []
  return answer_file.fingerprint(
    {
      "model": [str(model.resolve()), *answer_file.folder_state(model)],
      "examples": answer_file.content_hash(Path(_EXAMPLES.value)),
      "databases": [*map(_place, search_path.database_places(_DATABASES.value)), *_SCHEMAS.value],
      "options": [_DTYPE.value, _CONSTRAIN.value, *sampling],
    }
  )


def _place(value: str) -> str:
  """A place of databases, wherever the script is started; another password does not make it
  another.
  """
  return str(Path(value).resolve()) if os.path.exists(value) else without_password(value)


if __name__ == "__main__":
  launch(main, when_interrupted=GOES_ON)
