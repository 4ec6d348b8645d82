r"""Makes question-SQL examples from databases, with no labels and no model needed.

    python experiments/synthesize.py --databases=DIR|URL[,..] --num_examples=1000 --seed=0 \
      --output=examples.jsonl

Databases: folders in the layout DIR/<db_id>/<db_id>.sqlite, SQLite or DuckDB files, or URLs; of a
database with several schemas --schemas chooses. Templates come from a built-in pool; with
--seed_examples (a Spider- or BIRD-style JSON or JSON lines file) or --query_log (SQL statements,
each ended by a semicolon or its line, optionally with a TAB and the db_id behind it; a server's
log; or such examples) from these queries instead, or from both. Writes JSON lines with db_id,
query, question, template, tables, columns, or with --format=datasets a folder that
`datasets.load_from_disk` reads; the last line on stdout is a JSON summary.

Killed, the same command goes on where it was and ends with the same bytes (what has been made is
kept beside the output, in OUTPUT.record). On several machines --shard=i/n makes the i-th of n
shards, and the shards together are what one machine makes; --shard=jax takes i and n from
jax.distributed (--coordinator, where processes do not find each other). On a Ray cluster that is
there --engine=ray makes the same file, a unit a task. Few databases are cut finer with --parts.
"""

from __future__ import annotations

import launch  # First: from here on a signal ends the script with one line.

# isort: split
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import database_access
import processes
from absl import flags
from tqdm import tqdm

from spftsql_jax.databases import DatabaseError, search_path
from spftsql_jax.databases.data_dictionary import read_names
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import engine_of, name_of, split_locations, with_schemas
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import WHOLE, SchemaView, seen_through
from spftsql_jax.examples import benchmarks
from spftsql_jax.examples.example import Example
from spftsql_jax.files import json_lines, shard_path, write_text
from spftsql_jax.judging.metrics import hardness
from spftsql_jax.synthesis.balance import AIMS, Balance, read_balance
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.on_ray import NoCluster, shard_records, synthesize_on_ray
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.query_log import read_query_log
from spftsql_jax.synthesis.result import Synthesis
from spftsql_jax.synthesis.synthesize import synthesize
from spftsql_jax.synthesis.synthetic_example import SyntheticExample
from spftsql_jax.synthesis.tasks import schema_of
from spftsql_jax.synthesis.templates import extract_templates, mix_templates

flags.adopt_module_key_flags(database_access)
_DATABASES = flags.DEFINE_multi_string(
  "databases",
  None,
  "Folders DIR/<db_id>/<db_id>.sqlite, database files or URLs, with commas between them; may be "
  "repeated. A comma inside a URL "
  "belongs to it, unless another URL or a path follows.",
  required=True,
)
_SCHEMAS = flags.DEFINE_list(
  "schemas",
  [],
  (
    "Schemas whose tables are taken; by default those on the search path, and where nothing stands "
    "there, all."
  ),
)
_SEED_EXAMPLES = flags.DEFINE_string(
  "seed_examples", None, "JSON file of examples whose queries give the templates."
)
_QUERY_LOG = flags.DEFINE_string(
  "query_log", None, "File of SQL statements (TAB db_id) whose queries give the templates."
)
_TEMPLATES = flags.DEFINE_enum(
  "templates",
  "auto",
  ["auto", "builtin", "seeds", "both"],
  "Where templates come from; auto: seeds where given, else builtin.",
)
_EXCLUDE = flags.DEFINE_list(
  "exclude", [], "JSON files of examples whose queries must not be made (evaluation sets)."
)
_NUM_EXAMPLES = flags.DEFINE_integer(
  "num_examples", 1000, "How many examples, in all.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
  "seed", 0, "Seed; the same seed gives the same examples whatever the number of workers."
)
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "Worker processes.", lower_bound=1)
_INSTANCES = flags.DEFINE_integer(
  "instances",
  SynthesisOptions.instances,
  "Neighbouring instances of each database to check on.",
  lower_bound=0,
)
_WORDINGS = flags.DEFINE_integer(
  "wordings",
  SynthesisOptions.wordings,
  "How often a query may come, each time with another question.",
  lower_bound=1,
)
_PHRASES = flags.DEFINE_string(
  "phrases", None, "File of more wordings of questions, a row a phrase (docs: Another language)."
)
_NAMES = flags.DEFINE_string(
  "names",
  None,
  "What people call tables and columns of the one database: CSV of table, column, name (singular).",
)
_REPAIR = flags.DEFINE_boolean(
  "repair", True, "Mend and keep queries that fail for a reason that can be mended."
)
_BALANCE = flags.DEFINE_list(
  "balance",
  [],
  f"What comes equally often, of {', '.join(AIMS)} (operators: each in a tenth of the queries or "
  "more); a share can be set for "
  "an operator or a hardness, as in join=0.5,easy=0.2.",
)
_EXCLUDE_MASKED = flags.DEFINE_boolean(
  "exclude_masked",
  True,
  "Nor make queries that differ from those of --exclude in their values only.",
)
_PARTS = flags.DEFINE_integer(
  "parts",
  SynthesisOptions.parts,
  "Units, without a query in common, that each database is cut into.",
  lower_bound=1,
)
_SHARD = flags.DEFINE_string(
  "shard",
  "0/1",
  "i/n: make only the i-th of n shards; jax: as jax.distributed numbers the processes.",
)
_ENGINE = flags.DEFINE_enum(
  "engine",
  "local",
  ["local", "ray"],
  "local: processes of this machine; ray: tasks of a Ray cluster, of --workers cores each (of one "
  "unless given). Its nodes need this package, and the databases under the same paths or URLs.",
)
_RAY_ADDRESS = flags.DEFINE_string(
  "ray_address",
  "auto",
  "Of the Ray cluster; auto: the one that this machine belongs to; local: one of this machine.",
)
_INFER_KEYS = flags.DEFINE_boolean(
  "infer_keys", True, "Join along keys that the database does not declare, too."
)
_DECAY = flags.DEFINE_float(
  "decay",
  SynthesisOptions.decay,
  "How much less likely a table is for every key farther away.",
  0.0,
  1.0,
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "JSON lines file to write, or a folder with --format=datasets.", required=True
)
_FORMAT = flags.DEFINE_enum(
  "format",
  "auto",
  ["auto", "jsonl", "datasets"],
  "auto: a datasets folder where the output's name has no ending, else JSON lines.",
)


def main() -> None:
  shard = _shard(_SHARD.value)
  if _ENGINE.value == "ray" and shard != (0, 1):
    raise launch.InputError("--engine=ray makes all shards; leave --shard out")
  output = _of_shard(Path(_OUTPUT.value), shard)
  if _as_datasets(output) and output.is_dir() and output.resolve().parent.is_dir():
    pass  # An older one, which is replaced.
  else:
    launch.check_output(output)
  locations = [with_schemas(location, _SCHEMAS.value) for location in _locations(_DATABASES.value)]
  view = _view(locations)
  excluded = [example.query for path in _EXCLUDE.value for example in _read_excluded(path)]
  record = output.with_name(output.name + ".record")
  try:
    weighted, reasons = _templates(locations)
    with tqdm(total=_NUM_EXAMPLES.value, desc="examples", disable=not sys.stderr.isatty()) as bar:
      made = _make(
        locations, weighted, _options(weighted, excluded, shard, record, view), bar.update
      )
  except DatabaseError as error:
    raise launch.InputError(str(error)) from error
  if not made.examples:
    reasons = ", ".join(
      f"{reason} ({count:,} times)" for reason, count in made.rejections.most_common(3)
    )
    raise RuntimeError(
      f"no examples could be made of {', '.join(made.short) or 'these databases'}: {reasons}"
    )
  _write(made.examples, output)
  for file in (record, *shard_records(record, len(locations) * _PARTS.value)):
    file.unlink(missing_ok=True)
  summary = {
    "output": os.fspath(output),
    "examples": len(made.examples),
    "asked_for": _NUM_EXAMPLES.value,
    "shard": f"{shard[0]}/{shard[1]}",
    "databases": len(locations),
    "templates": len(weighted),
    "templates_used": len(made.templates),
    "queries_without_template": reasons,
    "attempts": made.attempts,
    "rejections": dict(made.rejections.most_common()),
    "repaired": dict(made.repairs.most_common()),
    "short": dict(made.short),
    "left_out": {db_id: list(texts) for db_id, texts in made.left_out.items()},
    "seconds": round(made.seconds, 2),
    "examples_per_second": round(len(made.examples) / max(made.seconds, 1e-9), 1),
  }
  print(json.dumps(summary, ensure_ascii=False))


def _make(
  locations: list[str],
  weighted: Sequence[WeightedTemplate],
  options: SynthesisOptions,
  progress: Callable[[int], None],
) -> Synthesis:
  """The examples, made here or on a cluster. Raises InputError where there is none."""
  if _ENGINE.value == "local":
    return synthesize(locations, weighted, options, progress)
  if not flags.FLAGS["workers"].present:
    options = dataclasses.replace(options, workers=1)
  try:
    return synthesize_on_ray(locations, weighted, options, _RAY_ADDRESS.value, progress)
  except NoCluster as error:
    raise launch.InputError(f"--engine=ray: {error}") from error


def _options(
  weighted: Sequence[WeightedTemplate],
  excluded: list[str],
  shard: tuple[int, int],
  record: Path,
  view: SchemaView,
) -> SynthesisOptions:
  """What the flags ask for. Raises InputError."""
  return SynthesisOptions(
    num_examples=_NUM_EXAMPLES.value,
    seed=_SEED.value,
    workers=_WORKERS.value,
    exclude=tuple(excluded),
    exclude_masked=_EXCLUDE_MASKED.value,
    instances=_INSTANCES.value,
    decay=_DECAY.value,
    wordings=_WORDINGS.value,
    repair=_REPAIR.value,
    balance=_balance(_BALANCE.value, weighted),
    hardness_of=hardness,
    parts=_PARTS.value,
    shard=shard,
    infer_keys=_INFER_KEYS.value,
    phrases=_read_phrases(_PHRASES.value) if _PHRASES.value else "",
    view=view,
    record=record,
  )


def _view(locations: Sequence[str]) -> SchemaView:
  """With the names of --names, which must fit the one database. Raises InputError."""
  if not _NAMES.value:
    return WHOLE
  if len(locations) != 1:
    raise launch.InputError(f"--names is for one database, these are {len(locations)}")
  view = SchemaView(names=read_names(_NAMES.value))
  seen_through(view, read_schema(locations[0]))  # Told at once, if it does not fit.
  return view


def _read_phrases(path: str) -> str:
  # The words of English take a while to load, and most runs have no phrases of their own.
  from spftsql_jax.questions.english import read_phrases

  return read_phrases(path)


def _read_excluded(path: str) -> list[Example]:
  # Of these the queries alone count.
  return benchmarks.read_examples(path, db_id="any", question=False)


def _write(examples: Sequence[SyntheticExample], output: Path) -> None:
  """Writes beside and moves, so that what stands under this name is always whole."""
  records = [example.to_json() for example in examples]
  if not _as_datasets(output):
    write_text(output, json_lines(records))
    return
  # Imported here: it takes a second, and JSON lines need none of it.
  import datasets

  unfinished = output.with_name(output.name + ".unfinished")
  datasets.disable_progress_bars()
  shutil.rmtree(unfinished, ignore_errors=True)
  datasets.Dataset.from_list(records).save_to_disk(os.fspath(unfinished))
  if output.is_dir():
    shutil.rmtree(output)
  unfinished.replace(output)


def _as_datasets(output: Path) -> bool:
  return _FORMAT.value == "datasets" or (_FORMAT.value == "auto" and not output.suffix)


def _shard(value: str) -> tuple[int, int]:
  """(i, n) of --shard. Raises InputError."""
  if value == "jax":
    processes.join(always=True)
    import jax  # Only here: synthesis itself needs no JAX.

    return jax.process_index(), jax.process_count()
  index, slash, count = value.partition("/")
  if not slash or not index.isdigit() or not count.isdigit() or not int(index) < int(count):
    raise launch.InputError(
      f"--shard={value}: expected i/n with i from 0 to n - 1, such as 0/4, or jax"
    )
  return int(index), int(count)


def _of_shard(output: Path, shard: tuple[int, int]) -> Path:
  """The output's own name, or with several shards out-00001-of-00004.jsonl."""
  index, count = shard
  return output if count == 1 else shard_path(output, index, count)


def _balance(values: list[str], weighted: Sequence[WeightedTemplate]) -> Balance:
  """The targets that --balance names. Raises InputError."""
  try:
    return read_balance(values, weighted, hardness)
  except ValueError as error:
    raise launch.InputError(f"--balance={error}") from error


def _locations(values: list[str]) -> list[str]:
  """The databases that the flag names, each once. Raises InputError for what is not there."""
  found: dict[str, str] = {}
  folder_of: dict[str, bool] = {}  # Whether it was found in a folder of databases.
  for value in split_locations(values):
    path = Path(value)
    if "://" in value:
      candidates = [value]
    elif path.is_dir():
      candidates = search_path.databases_in(path)
      if not candidates:
        raise launch.InputError(f"{value}: no databases in it ({search_path.LAYOUT})")
    elif path.is_file():
      candidates = [value]
    else:
      raise launch.InputError(f"{without_password(value)}: no such database or folder")
    for candidate in candidates:
      try:
        name = name_of(candidate)
      except DatabaseError as error:
        raise launch.InputError(str(error)) from error
      in_folder = path.is_dir()
      if found.setdefault(name, candidate) == candidate:
        folder_of[name] = in_folder
      elif in_folder and folder_of[name]:
        print(
          (
            f"synthesize.py: {name}: {found[name]} is used, the first of several; not used: "
            f"{candidate}"
          ),
          file=sys.stderr,
        )
      else:
        raise launch.InputError(
          f"{without_password(candidate)}: a second database named {name}; the first is "
          f"{without_password(found[name])}"
        )
  return list(found.values())


def _templates(locations: list[str]) -> tuple[list[WeightedTemplate], dict[str, int]]:
  """The templates to draw from, and how many queries gave none, by reason."""
  only = name_of(locations[0]) if len(locations) == 1 else ""
  queries = (
    [
      (example.db_id, example.query)
      for example in benchmarks.read_examples(_SEED_EXAMPLES.value, db_id=only, question=False)
    ]
    if _SEED_EXAMPLES.value
    else []
  )
  if _QUERY_LOG.value:
    log = read_query_log(
      _QUERY_LOG.value, {name_of(location): engine_of(location) for location in locations}
    )
    queries += log.queries
    if log.others:
      print(f"synthesize.py: {log.describe()}", file=sys.stderr)
  source = _TEMPLATES.value
  if source == "auto":
    source = "seeds" if queries else "builtin"
  if source in ("seeds", "both") and not queries:
    raise launch.InputError(f"--templates={source} needs --seed_examples or --query_log")
  if source == "builtin":
    return list(builtin_templates()), {}
  places = {name_of(location): location for location in locations}
  unknown = sorted({db_id for db_id, _ in queries} - set(places))
  if unknown:
    raise launch.InputError(
      f"the queries are of databases that --databases does not have: {', '.join(unknown[:5])}"
    )
  schemas = {
    db_id: schema_of(places[db_id], _INFER_KEYS.value)
    for db_id in dict.fromkeys(db_id for db_id, _ in queries)
  }
  extracted, reasons = extract_templates([(query, schemas[db_id]) for db_id, query in queries])
  if source == "both":
    extracted = mix_templates([extracted, builtin_templates()])
  if not extracted:
    raise launch.InputError(f"none of the {len(queries)} queries gives a template: {reasons}")
  return extracted, reasons


if __name__ == "__main__":
  launch.launch(main, when_interrupted=launch.GOES_ON)
