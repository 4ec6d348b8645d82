"""A pool of query templates of our own (`pool.txt`), for databases without SQL to take any from."""

from __future__ import annotations

import functools
from pathlib import Path

from spftsql_jax.synthesis.notation import Template, WeightedTemplate

_POOL = Path(__file__).with_name("pool.txt")


def pool_lines() -> list[tuple[float, str]]:
  """The pool as (weight, template text), in the order of the file."""
  lines = _POOL.read_text(encoding="utf-8").splitlines()
  kept = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
  return [(float(weight), text) for weight, text in kept]


@functools.lru_cache(maxsize=1)
def builtin_templates() -> tuple[WeightedTemplate, ...]:
  """The pool, each template once, with the weight of its line.

  The lines are canonical as they stand.
  """
  return tuple(WeightedTemplate(Template(text), weight) for weight, text in pool_lines())
