"""The databases of a run: as prompts see them, with the instances that queries are judged on."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from spftsql_jax import hosts
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases import Executor, make_instances, search_path
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.data import RunData, data_dir
from spftsql_jax.pipeline.queries import Queries


@dataclasses.dataclass(frozen=True)
class RunDatabases:
  """The databases of the seeds and of the test, by db_id.

  Attributes:
    prompts: their schemas and values.
    instances: the locations of each database and of its neighbouring instances.
    instance_dir: the folder that holds these instances.
    queries: tells which examples ask the same query.
    executor: runs SQL on them.
  """

  prompts: Mapping[str, PromptDatabase]
  instances: Mapping[str, tuple[str, ...]]
  instance_dir: Path
  queries: Queries
  executor: Executor


def open_databases(
  config: RunConfig,
  data: RunData,
  workdir: Path,
  executor: Executor,
  say: Callable[[str], None],
) -> RunDatabases:
  """Reads the databases, and makes the neighbouring instances of those that examples are
  synthesized on, or finds them where the run has made them before."""
  ids = list(data.locations)
  given = search_path.database_places(config.data.databases, data_dir(config))
  for line in search_path.shadowed(given, ids):
    say(f"  {line}")
  bar = tqdm(ids, desc="databases", disable=None, leave=False)
  prompts = {d: PromptDatabase.read(data.locations[d], config.data.view) for d in bar}
  folder = workdir / "instances"

  # Files are every host's; a private server is its own host's alone.
  on_servers = [d for d in data.seed_databases if engine_of(prompts[d].location) == "postgresql"]
  in_files = [d for d in data.seed_databases if d not in on_servers]

  def neighbours(indices: list[int]) -> list[tuple[str, ...]]:
    return [_neighbours(config, prompts[in_files[index]], folder) for index in indices]

  made = hosts.in_shares(in_files, neighbours)
  beside = dict(zip(in_files, made, strict=True))
  beside |= {d: _neighbours(config, prompts[d], folder) for d in on_servers}
  return RunDatabases(
    prompts=prompts,
    instances={d: (prompts[d].location, *beside.get(d, ())) for d in ids},
    instance_dir=folder,
    queries=Queries(data.locations, {d: prompts[d].schema.dialect for d in ids}),
    executor=executor,
  )


def _neighbours(config: RunConfig, database: PromptDatabase, folder: Path) -> tuple[str, ...]:
  """The neighbouring instances of a database: of what the prompts show of it, no more."""
  count = config.synthesis.instances
  made = make_instances(database.location, folder, count, config.seed, schema=database.schema)
  return tuple(os.fspath(place) for place in made)
