"""What can be asked of a synthesis."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from spftsql_jax.databases.schema_view import WHOLE, SchemaView
from spftsql_jax.synthesis.balance import Balance
from spftsql_jax.synthesis.filters import DEFAULT_LIMITS, Limits
from spftsql_jax.synthesis.sampler import DECAY


@dataclasses.dataclass(frozen=True)
class SynthesisOptions:
  """How many examples `synthesize` makes, and how.

  A run's `pipeline.config.SynthesisConfig` says what a round asks for; the stages make these
  options of it for each call, adding what a run knows: seed, shard, what to exclude, and its
  choices (mended queries, inferred keys). The defaults here are for calls by hand.

  Attributes:
    num_examples: in all, an equal share on each database. Fewer come where the databases have no
      more to give; `Synthesis.short` says where.
    seed: the same seed gives the same examples, whatever the number of workers.
    workers: processes; 1 works in this process.
    exclude: queries that must not be made again (an evaluation set's), compared by normal form.
    exclude_masked: nor queries that differ from these in their values only.
    instances: neighbouring instances of each SQLite database to check on.
    instance_dir: where to keep these; a temporary folder by default.
    decay: see `sampler.fill_template`.
    limits: see `filters.Limits`.
    wordings: how often a query may come, each time with another question. With 1, templates that
      fit a database in few ways come less often than their weight says.
    repair: queries that fail for a reason that can be mended are mended and kept, with the template
      that they then have.
    balance: targets for the shares of templates, tables, columns, operators and hardness.
    hardness_of: the hardness of a query, for targets over it.
    parts: into how many units with no query in common each database is cut, for many hosts on few
      databases.
    shard: (i, n): only every n-th unit, from the i-th. The shards together make what one run makes.
    phrases: rows of more wordings of questions (`questions.grammar`).
    infer_keys: joins also follow keys that a database does not declare (`databases.key_inference`).
    view: what of the databases there is to make examples of.
    record: a file that keeps what has been made, until the run is complete; a run that was killed
      goes on from it.

  Raises:
    ValueError: a number is out of its range, or there is no such shard.
  """

  num_examples: int
  seed: int
  workers: int = 1
  exclude: tuple[str, ...] = ()
  exclude_masked: bool = False
  instances: int = 2
  instance_dir: str | os.PathLike[str] | None = None
  decay: float = DECAY
  limits: Limits = DEFAULT_LIMITS
  wordings: int = 1
  repair: bool = False
  balance: Balance = Balance()
  hardness_of: Callable[[str], str] | None = None
  parts: int = 1
  shard: tuple[int, int] = (0, 1)
  phrases: str = ""
  infer_keys: bool = False
  view: SchemaView = WHOLE
  record: str | os.PathLike[str] | None = None

  def __post_init__(self) -> None:
    if self.num_examples < 0 or self.instances < 0:
      raise ValueError("num_examples and instances must not be negative")
    if min(self.workers, self.wordings, self.parts) < 1:
      raise ValueError("workers, wordings and parts must be at least 1")
    if not 0 <= self.shard[0] < self.shard[1]:
      raise ValueError(f"shard {self.shard[0]} of {self.shard[1]}: there is no such shard")
