"""The splits of published benchmarks by name ("spider:dev"), found in a folder that holds them.

Where each lies, and how many examples it has, is `benchmark_splits.toml`.
"""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spftsql_jax.examples.benchmarks import read_examples


@dataclasses.dataclass(frozen=True)
class Split:
  """A split that was found.

  Attributes:
    name: such as "spider:dev".
    examples: its file.
    databases: folders of its databases; of several that have one the first counts.
    count: examples in it, as published.
  """

  name: str
  examples: Path
  databases: tuple[Path, ...]
  count: int


@functools.cache
def known_splits() -> Mapping[str, Mapping[str, Any]]:
  """What is known of each split, by name."""
  return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def is_split(name: str) -> bool:
  """Whether a text names a split: it looks like no file, and a benchmark of this name is known.

  So a split that is spelled wrongly is told as such (`find_split`).
  """
  benchmark, colon, _ = name.partition(":")
  return bool(colon) and any(known.startswith(f"{benchmark}:") for known in known_splits())


def find_split(name: str, folder: Path) -> Split:
  """A split in a folder, whole.

  Raises:
    ValueError: no such split is known, or the file has another number of examples than was
      published.
    FileNotFoundError: the file or the databases are not there.
  """
  known = known_splits().get(name)
  if known is None:
    raise ValueError(f"no split {name!r}; there are {', '.join(sorted(known_splits()))}")
  files = [path for file in known["files"] if (path := folder / file).is_file()]
  if not files:
    raise FileNotFoundError(f"{folder}: no {name}; looked for {', '.join(known['files'])}")
  databases = tuple(path for part in known["databases"] if (path := folder / part).is_dir())
  if not databases:
    places = ", ".join(known["databases"])
    raise FileNotFoundError(f"{folder}: no databases of {name}; looked for {places}")
  if (count := len(read_examples(files[0]))) != known["count"]:
    raise ValueError(
      f"{files[0]}: {count:,} examples, but {name} was published with {known['count']:,}; give the "
      "file itself instead of the split to take it as it is"
    )
  return Split(name, files[0], databases, known["count"])
