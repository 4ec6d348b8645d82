r"""Measures how well foreign keys are inferred: declared ones are dropped, and inferred again.

    python experiments/benchmarks/inferred_keys.py --databases=database \
      --examples=train_spider.json,dev.json --output=keys.json

Each file of examples names the databases of one group. Precision is the share of the inferred keys
that are declared, recall the share of the declared keys that are inferred, over all databases of a
group. A database that leaves true keys undeclared costs precision, so the inferred keys that are
not declared are listed, to be read.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags

from spftsql_jax.databases import infer_foreign_keys
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples import benchmarks
from spftsql_jax.schema import Schema

_EXAMPLES = flags.DEFINE_list(
  "examples", None, "JSON files of examples, each naming a group of databases.", required=True
)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  groups = {}
  for file in _EXAMPLES.value:
    groups[Path(file).stem] = group = _Group()
    for db_id in benchmarks.database_ids(benchmarks.read_examples(file)):
      try:
        location = str(benchmarks.find_database(_DATABASES.value, db_id))
      except FileNotFoundError:
        group.missing.append(db_id)
        continue
      group.add(read_schema(location), location)
  report = {name: group.summary() for name, group in groups.items()}
  Path(_OUTPUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
  for name, group in report.items():
    shown = {key: value for key, value in group.items() if not isinstance(value, list)}
    print(name, shown)


def _keys(schema: Schema) -> set[str]:
  return {
    (
      f"{schema.name}: {table.name}({', '.join(key.columns)}) to "
      f"{key.referred_table}({', '.join(key.referred_columns)})"
    )
    for table in schema.tables
    for key in table.foreign_keys
  }


class _Group:
  """What was declared and inferred in the databases of one file of examples."""

  def __init__(self):
    self.missing: list[str] = []
    self._databases = 0
    self._declared: set[str] = set()
    self._inferred: set[str] = set()
    self._cpu_seconds: list[float] = []

  def add(self, schema: Schema, location: str) -> None:
    bare = dataclasses.replace(
      schema, tables=tuple(dataclasses.replace(table, foreign_keys=()) for table in schema.tables)
    )
    start = time.process_time()
    inferred = infer_foreign_keys(bare, location)
    self._cpu_seconds.append(time.process_time() - start)
    self._databases += 1
    self._declared |= _keys(schema)
    self._inferred |= _keys(inferred)

  def summary(self) -> dict:
    right = len(self._declared & self._inferred)
    return {
      "databases": self._databases,
      "declared": len(self._declared),
      "inferred": len(self._inferred),
      "precision": round(right / max(1, len(self._inferred)), 4),
      "recall": round(right / max(1, len(self._declared)), 4),
      "cpu_seconds": round(sum(self._cpu_seconds), 3),
      "slowest_cpu_seconds": round(max(self._cpu_seconds, default=0.0), 3),
      "missing": self.missing,
      "not_declared": sorted(self._inferred - self._declared),
      "not_inferred": sorted(self._declared - self._inferred),
    }


if __name__ == "__main__":
  launch.launch(main)
