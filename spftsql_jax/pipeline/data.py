"""The labelled examples and the databases of a run, read and checked before anything is done."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from spftsql_jax.answering.model_folder import find_model, is_adapter
from spftsql_jax.databases import search_path
from spftsql_jax.databases.locations import split_locations, with_schemas
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.examples.benchmarks import database_ids, is_dataset, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.inputs import Parts, inputs_of
from spftsql_jax.pipeline.queries import Queries


@dataclasses.dataclass(frozen=True)
class RunData:
  """The labelled examples of a run: what it starts from and what it is measured on.

  Attributes:
    seeds, test: the examples; none where the run has no labels, or no test.
    held_out: all examples of the test file, those beyond `test_limit` too: none of their queries is
      ever trained on.
    seed_databases: what examples are synthesized on: the databases of the seeds, else of the test,
      else all there are.
    locations: of these and of the test's databases, by db_id.
    leaked: how many seeds ask a query of the test, and are left out.
    files: of the examples, by the name of their config field; None for none.
  """

  seeds: tuple[Example, ...]
  test: tuple[Example, ...]
  held_out: tuple[Example, ...]
  seed_databases: tuple[str, ...]
  locations: Mapping[str, str]
  leaked: int
  files: Mapping[str, Path | None]


def read_data(config: RunConfig) -> RunData:
  """Reads and limits the examples, and finds the databases.

  Raises FileNotFoundError or ValueError naming file and record.
  """
  root = data_dir(config)
  files = {
    name: _examples_file(root, name, getattr(config.data, name)) for name in ("seeds", "test")
  }
  given_seeds, held_out = (_read_examples(files[name], name) for name in ("seeds", "test"))
  given = search_path.database_places(config.data.databases, root)
  shown = without_password(config.data.databases)
  # Databases that a benchmark lacks are left out of the seeds; of the test they are an error.
  present = {d for d in database_ids(given_seeds) if search_path.has_database(given, d)}
  if given_seeds and not present:
    raise FileNotFoundError(
      f"{shown}: none of the seeds' databases is there ({search_path.LAYOUT})"
    )
  found = [e for e in given_seeds if e.db_id in present]
  apart = Queries({d: search_path.find_database(given, d) for d in present}).apart(found, held_out)
  if found and not apart:
    raise ValueError(
      f"{files['seeds']}: every seed asks a query of the test {files['test']}; give other seeds, "
      "or none"
    )
  seeds = _drawn(apart, config.data.seed_limit, config.seed)
  test = _evenly_spaced(held_out, config.data.test_limit)
  sources = tuple(database_ids(seeds) or database_ids(test) or search_path.all_databases(given))
  if not sources:
    raise FileNotFoundError(f"{shown}: no database is there ({search_path.LAYOUT})")
  locations = {
    d: with_schemas(search_path.find_database(given, d), config.data.schemas)
    for d in dict.fromkeys([*sources, *database_ids(test)])
  }
  return RunData(
    seeds=tuple(seeds),
    test=tuple(test),
    held_out=tuple(held_out),
    seed_databases=sources,
    locations=locations,
    leaked=len(found) - len(apart),
    files={f"data.{name}": path for name, path in files.items()},
  )


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
    if on_servers and not (config.data.seeds.strip() or config.data.test.strip()):
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
      f"{path}: {what} of examples (--config.data.{name}; leave it empty for none)"
    )
  return path


def _read_examples(path: Path | None, name: str) -> list[Example]:
  if path is None:
    return []
  try:
    return read_examples(path)
  except ValueError as error:
    raise ValueError(f"{error} (--config.data.{name}; leave it empty for none)") from error
