"""Synthesis on a Ray cluster that is there already: a task a unit, together what one machine makes.

Every node needs this package, and the databases under the same paths or URLs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spftsql_jax.files import shard_path
from spftsql_jax.synthesis.notation import WeightedTemplate
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.result import Synthesis, merge_shards
from spftsql_jax.synthesis.synthesize import synthesize


class NoCluster(RuntimeError):
  """Ray is not installed, or no cluster answers."""


def synthesize_on_ray(
  databases: Sequence[str],
  templates: Sequence[WeightedTemplate],
  options: SynthesisOptions,
  address: str = "auto",
  progress: Callable[[int], None] | None = None,
) -> Synthesis:
  """As `synthesize`, each unit (a database, or a part of its queries) as a task of its own.

  A task whose node is lost is done again elsewhere. Where `options.record` lies on a disk that all
  nodes share, it goes on from what was kept, and so does the same call after a kill.

  Args:
    options: `workers` is how many cores a task takes; `shard` must be the whole.
    address: of the cluster; "auto" finds the one that this machine belongs to, "local" starts one
      of this machine alone.

  Raises:
    NoCluster: see there. DatabaseError, ValueError: as of `synthesize`.
  """
  if options.shard != (0, 1):
    raise ValueError("a cluster makes all shards")
  ray = _connected(address)
  count = len(databases) * options.parts
  task = ray.remote(num_cpus=options.workers, max_retries=3)(synthesize)
  shards = [
    task.remote(list(databases), list(templates), _of_shard(options, index, count))
    for index in range(count)
  ]
  waiting = list(shards)
  while waiting:
    done, waiting = ray.wait(waiting)
    for made in ray.get(done):  # Raises what a task has raised.
      if progress is not None:
        progress(len(made.examples))
  return merge_shards(ray.get(shards))


def shard_records(record: Path, count: int) -> list[Path]:
  """The records of the shards of a synthesis that is kept in `record`."""
  return [shard_path(record, index, count) for index in range(count)]


def _connected(address: str) -> Any:
  try:
    import ray
  except ImportError as error:
    raise NoCluster("Ray is not installed: pip install ray, in the cluster's version") from error
  try:
    ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level="error")
  except (ConnectionError, RuntimeError, ValueError) as error:
    told = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise NoCluster(f"no Ray cluster at {address}: {told}") from error
  return ray


def _of_shard(options: SynthesisOptions, index: int, count: int) -> SynthesisOptions:
  record = None if options.record is None else shard_path(options.record, index, count)
  return dataclasses.replace(options, shard=(index, count), record=record)
