"""The corpus: shards of made-up databases, and examples synthesized on them.

A shard depends on its number and the seed alone. What is made already is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spftsql_jax.files import json_lines, write_text
from spftsql_jax.pipeline.pretraining.config import CorpusConfig
from spftsql_jax.pretraining.build import make_databases
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

# The held-out databases are drawn with another seed than any shard's examples.
_HELD_OUT_SEED = 7


def make_shard(config: CorpusConfig, number: int, folder: Path, workers: int) -> Path:
  """Makes shard `number`; gives the file of its examples.

  Its databases lie in `folder`/databases/<number>.
  """
  databases = range(number * config.databases, (number + 1) * config.databases)
  return _make(
    folder / f"examples_{number}.jsonl",
    make_databases(folder / "databases" / str(number), databases, config.seed),
    SynthesisOptions(
      config.databases * config.examples,
      seed=config.seed + number,
      workers=workers,
      instances=config.instances,
      repair=True,
      infer_keys=True,
    ),
  )


def make_held_out(config: CorpusConfig, folder: Path, workers: int) -> Path:
  """Makes databases of the domains held out, and examples on them; gives the examples' file."""
  numbers = range(config.held_out)
  return _make(
    folder / "held_out.jsonl",
    make_databases(folder / "held_out", numbers, _HELD_OUT_SEED, held_out=True),
    SynthesisOptions(
      config.held_out * config.held_out_examples,
      seed=_HELD_OUT_SEED,
      workers=workers,
      repair=True,
      infer_keys=True,
    ),
  )


def _make(path: Path, databases: Iterable[tuple[Path, bool]], options: SynthesisOptions) -> Path:
  # In the order of their names, as a folder of databases is read.
  locations = sorted(str(file) for file, _ in databases)
  if not path.is_file():
    made = synthesize(locations, builtin_templates(), options)
    write_text(path, json_lines(example.to_json() for example in made.examples))
  return path
