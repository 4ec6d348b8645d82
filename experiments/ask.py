"""Asks a database a question: prints the model's SQL and its result.

    python experiments/ask.py --model=DIR --database=PATH|URL "How many students are signed up?"

The model is a model folder, or the folder of a run, whose export is taken. The question is answered
--samples times; the SQL whose result most of the answers give is printed with that result, and how
many agree on stderr. Where fewer than --min_agreement agree, or nothing that the question names is
in the database, no result is printed: the model does not know, and the line on stderr says why
(exit code 1). Requests to change data are refused. --samples=1 gives the likeliest answer,
unchecked.

    python experiments/ask.py --model=DIR --database=PATH|URL --serve

opens a local page instead: questions and their history, the tables, results that can be sorted,
drawn and exported, the SQL to edit and run again. Other machines reach it with --host and --token.
"""

from __future__ import annotations

from launch import InputError, launch  # First: from here on a signal ends the script with one line.

# isort: split
import sys
from typing import TYPE_CHECKING

import database_access
from absl import flags

from spftsql_jax.answering import known_words
from spftsql_jax.answering.model_folder import find_model
from spftsql_jax.databases import Executor, ValueIndex
from spftsql_jax.databases.introspection import read_schema, tell_left_out
from spftsql_jax.databases.locations import with_schemas
from spftsql_jax.databases.schema_view import read_view, seen_through

if TYPE_CHECKING:
  from pathlib import Path

  from spftsql_jax.answering.one_question import Asking
  from spftsql_jax.answering.web.address import Address
  from spftsql_jax.databases.execution.results import Result
  from spftsql_jax.schema import Schema

flags.adopt_module_key_flags(database_access)
_MODEL = flags.DEFINE_string("model", None, "Model folder, or a run's folder.", required=True)
_DATABASE = flags.DEFINE_string(
  "database", None, "SQLite or DuckDB file, or URL of a database.", required=True
)
_SCHEMAS = flags.DEFINE_list(
  "schemas", [], "Schemas whose tables are taken; by default those on the search path."
)
_MAX_ROWS = flags.DEFINE_integer("max_rows", 20, "Rows to print.", lower_bound=1)
_TIMEOUT_S = flags.DEFINE_float(
  "timeout_s", 30.0, "Time limit of the query in seconds.", lower_bound=0.01
)
_SAMPLES = flags.DEFINE_integer(
  "samples", 8, "Answers to compare; 1 for the likeliest alone.", lower_bound=1
)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "Of the samples.", lower_bound=0.01)
_SEED = flags.DEFINE_integer("seed", 0, "Of the samples.", lower_bound=0)
_MIN_AGREEMENT = flags.DEFINE_float(
  "min_agreement",
  # On the demo's questions a model that is right on 34 % of them is right on 65 % of those with 6
  # of 8 or more alike, and on 48 % at 6; of questions that mean nothing there, 3 of 60 get so far
  # (4 of 8: 53 %, 35 % and 29 of 60).
  0.75,
  (
    "Share of the answers that must give the same result; 0 prints the most frequent one whatever "
    "the question."
  ),
  0.0,
  1.0,
)

_SERVE = flags.DEFINE_bool("serve", False, "Serve a page to ask on, instead of one question.")
_HOST = flags.DEFINE_string(
  "host", "127.0.0.1", "Name or address to serve at; any but this machine's own needs --token."
)
_PORT = flags.DEFINE_integer(
  "port", 8000, "Port to serve at; 0 for a free one.", lower_bound=0, upper_bound=65535
)
_TOKEN = flags.DEFINE_string("token", "", "What a visitor of the page has to know.")

_FETCHED_ROWS = 100_000


def main() -> None:
  question = " ".join(flags.FLAGS(sys.argv)[1:]).strip()
  address = _address(question) if _SERVE.value else None
  if not address and not any(map(str.isalnum, question)):
    raise InputError(
      'no question; give it behind the flags: ask.py --model=DIR --database=PATH "How many ...?"'
    )
  folder = find_model(_MODEL.value, adapters=True)
  location = with_schemas(_DATABASE.value, _SCHEMAS.value)
  schema = seen_through(read_view(folder), read_schema(location))
  tell_left_out(schema.name, schema.left_out)
  try:
    known_words.check_changes_nothing(question, schema)
  except known_words.ChangeAskedError as error:
    raise InputError(str(error)) from error
  values = ValueIndex.build(location, schema)
  if address:
    return _serve(address, folder, location, schema, values)

  # Here and not above: they import JAX, which takes seconds that bad input need not wait for.
  from spftsql_jax.answering.exported import load_exported
  from spftsql_jax.answering.one_question import answer_one
  from spftsql_jax.answering.predict import PromptDatabase

  exported = load_exported(folder, lanes=_SAMPLES.value)
  with Executor(workers=min(2, _SAMPLES.value)) as executor:
    answered = answer_one(
      exported,
      PromptDatabase(location, schema, values),
      question,
      executor,
      _asking(),
    )
  if answered.split:
    print(f"ask.py: {answered.split}", file=sys.stderr)
  if answered.doubts:
    raise RuntimeError(
      f"the model does not know: {'; '.join(answered.doubts)} (--min_agreement=0 prints the "
      "likeliest answer all the same)"
    )
  print(answered.sql)
  _print_rows(answered.result)
  if _SAMPLES.value > 1:
    missing = f"; {answered.missing}" if answered.missing else ""
    print(
      f"{answered.vote.votes} of {len(answered.vote.samples)} answers give this result{missing}",
      file=sys.stderr,
    )


def _address(question: str) -> Address:
  """Where the page is served. Raises InputError."""
  from spftsql_jax.answering.web.address import Address  # A question alone needs no server.

  if question:
    raise InputError(f"--serve takes no question, it is asked on the page: {question}")
  return Address(_HOST.value, _PORT.value, _TOKEN.value)


def _serve(
  address: Address, folder: Path, location: str, schema: Schema, values: ValueIndex
) -> None:
  """Serves the page until the script is told to end."""
  from spftsql_jax.answering.web.address import listen

  listening = listen(address)  # Before JAX and the model are read, which takes long.

  from spftsql_jax.answering.exported import load_exported
  from spftsql_jax.answering.predict import PromptDatabase
  from spftsql_jax.answering.web.model_answerer import serve_model

  serve_model(
    load_exported(folder, lanes=_SAMPLES.value),
    PromptDatabase(location, schema, values),
    address,
    listening,
    _asking(),
  )


def _asking() -> Asking:
  """How questions are answered, by the flags."""
  from spftsql_jax.answering.one_question import Asking  # It imports JAX.

  return Asking(
    samples=_SAMPLES.value,
    temperature=_TEMPERATURE.value,
    seed=_SEED.value,
    min_agreement=_MIN_AGREEMENT.value,
    timeout_s=_TIMEOUT_S.value,
    max_rows=_FETCHED_ROWS,
  )


def _print_rows(result: Result) -> None:
  if not result.ok:
    raise RuntimeError(f"the query did not run ({result.status}): {result.message}")
  print("\t".join(result.columns))
  for row in result.rows[: _MAX_ROWS.value]:
    print("\t".join("NULL" if cell is None else str(cell) for cell in row))
  if len(result.rows) > _MAX_ROWS.value:
    print(f"... {len(result.rows) - _MAX_ROWS.value:,} more rows (--max_rows)")


if __name__ == "__main__":
  launch(main)
