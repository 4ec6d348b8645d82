"""The labelled examples and the databases of a run, read and checked before anything is done."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spftsql_jax.answering.model_folder import find_model, is_adapter
from spftsql_jax.databases import search_path
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import engine_of, split_locations, with_schemas
from spftsql_jax.databases.masking import uses_masked
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import seen_through
from spftsql_jax.examples.benchmark_splits import find_split, is_split
from spftsql_jax.examples.benchmarks import database_ids, is_dataset, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.inputs import Parts, inputs_of
from spftsql_jax.pipeline.queries import Queries, hold_back
from spftsql_jax.synthesis.query_log import read_query_log

_KINDS = {"seeds": "examples", "test": "examples", "query_log": "queries"}


@dataclasses.dataclass(frozen=True)
class RunData:
  """The labelled examples of a run: what it starts from and what it is measured on.

  Attributes:
    seeds, test: the examples; none where the run has no labels, or no test.
    held_out: all examples of the test file, those beyond `test_limit` too, and those held back for
      self-play: none of their queries is synthesized.
    seed_databases: what examples are synthesized on: the databases of the seeds, else of the test,
      else all there are.
    locations: of these and of the test's databases, by db_id.
    leaked: how many seeds ask a query of the test, and are left out.
    played: labelled examples that are held back for self-play (`SelfPlayConfig.real_questions`).
    files: of the examples and the query log, by the name of their config field; None for none.
    logged: (db_id, SQL) of the query log, without queries of the test.
    masked: how many labelled examples and logged queries name a masked column, whose values they
      may hold, and are left out.
  """

  seeds: tuple[Example, ...]
  test: tuple[Example, ...]
  held_out: tuple[Example, ...]
  seed_databases: tuple[str, ...]
  locations: Mapping[str, str]
  leaked: int
  files: Mapping[str, Path | None]
  played: tuple[Example, ...] = ()
  logged: tuple[tuple[str, str], ...] = ()
  masked: int = 0


def located(config: RunConfig) -> RunConfig:
  """The config with the files and databases of the splits that it names ("spider:dev").

  Raises FileNotFoundError or ValueError naming the split.
  """
  named = {
    name: value.strip()
    for name in ("seeds", "test")
    if is_split(value := getattr(config.data, name))
  }
  if not named:
    return config
  root = data_dir(config)
  changes, folders = dict[str, Any](), dict[str, None]()
  for name, value in named.items():
    try:
      split = find_split(value, root)
    except (FileNotFoundError, ValueError) as error:
      raise type(error)(f"{error} (--config.data.{name})") from error
    changes[name] = str(split.examples.relative_to(root))
    folders |= dict.fromkeys(str(path.relative_to(root)) for path in split.databases)
  if not config.data.databases.strip():
    changes["databases"] = ",".join(folders)
  return dataclasses.replace(config, data=dataclasses.replace(config.data, **changes))


def read_data(config: RunConfig) -> RunData:
  """Reads and limits the examples, and finds the databases.

  Raises FileNotFoundError or ValueError naming file and record.
  """
  files = _example_files(config)
  given = search_path.database_places(config.data.databases, data_dir(config))
  shown = without_password(config.data.databases)
  found, held_out = _labelled(config, files, given)
  present = database_ids(found)
  queries = Queries({d: search_path.find_database(given, d) for d in present})
  apart = queries.apart(found, held_out)
  if found and not apart:
    raise ValueError(
      f"{files['seeds']}: every seed asks a query of the test {files['test']}; give other seeds, "
      "or none"
    )
  seeds, played = _held_back(config, queries, _drawn(apart, config.data.seed_limit, config.seed))
  test = _evenly_spaced(held_out, config.data.test_limit)
  sources = tuple(database_ids(seeds) or database_ids(test) or search_path.all_databases(given))
  if not sources:
    raise FileNotFoundError(f"{shown}: no database is there ({search_path.LAYOUT})")
  locations = {
    d: with_schemas(search_path.find_database(given, d), config.data.schemas)
    for d in dict.fromkeys([*sources, *database_ids(test)])
  }
  log_places = {d: locations[d] for d in sources}
  logged = _logged(files["query_log"], log_places, [*held_out, *played])
  parts = (seeds, played, logged)
  seeds, played, logged = _without_masked_values(config, locations, *parts)
  return RunData(
    seeds=tuple(seeds),
    test=tuple(test),
    held_out=(*held_out, *played),
    seed_databases=sources,
    locations=locations,
    leaked=len(found) - len(apart),
    files={f"data.{name}": path for name, path in files.items()},
    played=tuple(played),
    logged=tuple((e.db_id, e.query) for e in logged),
    masked=sum(map(len, parts)) - len(seeds) - len(played) - len(logged),
  )


def read_test(config: RunConfig) -> list[Example]:
  """The test questions of a run, in order; none without a test. Raises as `read_data`."""
  given = search_path.database_places(config.data.databases, data_dir(config))
  _, held_out = _labelled(config, _example_files(config), given)
  return list(_evenly_spaced(held_out, config.data.test_limit))


def _example_files(config: RunConfig) -> dict[str, Path | None]:
  root = data_dir(config)
  return {
    name: _examples_file(root, name, getattr(config.data, name))
    for name in ("seeds", "test", "query_log")
  }


def _labelled(
  config: RunConfig, files: Mapping[str, Path | None], given: Sequence[str]
) -> tuple[list[Example], list[Example]]:
  """(seeds, test), as they are given but for `DataConfig.held_out_databases`.

  Raises ValueError or FileNotFoundError.
  """
  seeds, test = (_read_examples(files[name], name) for name in ("seeds", "test"))
  # Databases that a benchmark lacks are left out of the seeds; of the test they are an error.
  present = {d for d in database_ids(seeds) if search_path.has_database(given, d)}
  if seeds and not present:
    shown = without_password(config.data.databases)
    raise FileNotFoundError(
      f"{shown}: none of the seeds' databases is there ({search_path.LAYOUT})"
    )
  count = config.data.held_out_databases
  if not 0 <= count < max(len(present), 1):
    raise ValueError(
      f"of the {len(present)} databases of the seeds {count} cannot be held out for the test "
      "(--config.data.held_out_databases)"
    )
  # By no seed of the run: runs with several seeds have the same test.
  moved = set(random.Random("databases held out").sample(sorted(present), count))
  test += [e for e in seeds if e.db_id in moved]
  return [e for e in seeds if e.db_id in present - moved], test


def _held_back(
  config: RunConfig, queries: Queries, seeds: Sequence[Example]
) -> tuple[list[Example], list[Example]]:
  """(the seeds that are trained on, those that self-play asks). No query is on both sides.

  Raises ValueError where none would be left to train on.
  """
  wanted = config.self_play.real_questions
  if not wanted:
    return list(seeds), []
  rng = random.Random(f"{config.seed}/real questions")
  held, rest = hold_back(queries.groups(seeds), wanted, rng)
  if not rest or not held:
    raise ValueError(
      f"of {len(seeds):,} seeds {wanted:,} cannot be held back for self-play: none would be left "
      "to train on (--config.self_play.real_questions)"
    )
  return [seeds[i] for i in rest], [seeds[i] for i in held]


def _logged(
  path: Path | None, locations: Mapping[str, str], held_out: Sequence[Example]
) -> list[Example]:
  """The queries of a log, without questions, apart from those of the test.

  Args:
    locations: of the databases that examples are made on.
  """
  if path is None:
    return []
  engines = {d: engine_of(place) for d, place in locations.items()}
  found = [Example(d, "", sql) for d, sql in read_query_log(path, engines).queries]
  if others := sorted({e.db_id for e in found} - locations.keys()):
    raise ValueError(
      f"{path}: queries of databases that examples are not made on: {', '.join(others[:5])}"
    )
  return Queries(locations).apart(found, held_out) if held_out else found


def _without_masked_values(
  config: RunConfig, locations: Mapping[str, str], *parts: Sequence[Example]
) -> list[list[Example]]:
  """The parts without examples that name a masked column: they may hold one of its values."""
  view = config.data.view
  if not view.masked:
    return [list(part) for part in parts]
  ids = database_ids([e for part in parts for e in part])
  schemas = {d: seen_through(view, read_schema(locations[d])) for d in ids}
  return [[e for e in part if not uses_masked(e.query, schemas[e.db_id])] for part in parts]


def _drawn(examples: list[Example], limit: int, seed: int) -> list[Example]:
  """So many examples at most, drawn by the seed, in their order; 0 for all."""
  if not limit or len(examples) <= limit:
    return examples
  chosen = random.Random(seed).sample(range(len(examples)), limit)
  return [examples[i] for i in sorted(chosen)]


def _evenly_spaced(examples: Sequence[Example], limit: int) -> Sequence[Example]:
  """So many examples at most, evenly spaced; 0 for all."""
  if not limit or len(examples) <= limit:
    return examples
  return [examples[i * len(examples) // limit] for i in range(limit)]


def inputs_of_run(config: RunConfig, data: RunData) -> dict[str, Parts]:
  """What the run reads from outside its folder, see `inputs.inputs_of`.

  Raises FileNotFoundError.
  """
  hf_model = Path(config.model.hf_model) if config.model.hf_model else None
  if hf_model is not None and not hf_model.is_dir():
    raise FileNotFoundError(f"{hf_model}: no such model folder (--config.model.hf_model)")
  if hf_model is not None and is_adapter(hf_model):
    find_model(hf_model)  # Says what to do.
  return inputs_of(data.files, data.locations, hf_model)


def data_dir(config: RunConfig) -> Path:
  """The folder that the config's paths are relative to.

  Raises FileNotFoundError, or ValueError where the config gives none.
  """
  if not config.data_dir:
    databases = split_locations([config.data.databases])
    on_servers = bool(databases) and all("://" in each for each in databases)
    asked = (config.data.seeds, config.data.test, config.data.query_log)
    if on_servers and not any(each.strip() for each in asked):
      return Path()  # Nothing lies in a folder.
    raise ValueError("no data folder; give one with --config.data_dir=DIR")
  root = Path(config.data_dir)
  if not root.is_dir():
    raise FileNotFoundError(f"{root}: no such data folder (--config.data_dir)")
  return root


def _examples_file(root: Path, name: str, given: str) -> Path | None:
  """The path of a file of examples; None where the config names none."""
  if not given.strip():
    return None
  path = root / given
  if not path.is_file() and not is_dataset(path):
    what = "is a folder, not a file" if path.is_dir() else "no such file"
    raise FileNotFoundError(
      f"{path}: {what} of {_KINDS[name]} (--config.data.{name}; leave it empty for none)"
    )
  return path


def _read_examples(path: Path | None, name: str) -> list[Example]:
  if path is None:
    return []
  try:
    return read_examples(path)
  except ValueError as error:
    raise ValueError(f"{error} (--config.data.{name}; leave it empty for none)") from error
