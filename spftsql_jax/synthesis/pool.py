"""A pool of query templates of our own (`pool.txt`), for databases without SQL to take any from."""

from __future__ import annotations

import functools
from pathlib import Path

from spftsql_jax.synthesis.balance import Balance, reach_targets
from spftsql_jax.synthesis.notation import Template, WeightedTemplate

# The lines' weights would give three in ten, where people ask of several tables in 44 % of Spider's
# queries. A database whose tables are linked is asked about its links: this share gives half of
# what comes out there, since fewer of such queries pass the filters.
_BALANCE = Balance(operators={"several tables": 0.55})
_POOL = Path(__file__).with_name("pool.txt")


def pool_lines() -> list[tuple[float, str]]:
  """The pool as (weight, template text), in the order of the file."""
  lines = _POOL.read_text(encoding="utf-8").splitlines()
  kept = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
  return [(float(weight), text) for weight, text in kept]


@functools.lru_cache(maxsize=1)
def builtin_templates() -> tuple[WeightedTemplate, ...]:
  """The pool, each template once.

  Templates over several tables and the others have the shares above, and among themselves the
  weights of their lines, which are canonical as they stand.
  """
  weighted = [WeightedTemplate(Template(text), weight) for weight, text in pool_lines()]
  return tuple(reach_targets(weighted, _BALANCE))
