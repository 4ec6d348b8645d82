r"""Many examples on each of several databases, checked by sqlite3 itself and by means of their own.

    python experiments/benchmarks/synthesis_ten.py --databases=A.sqlite,B.sqlite,.. \
      --seed_examples=train_spider.json --seed_databases=DIR --exclude=dev.json --output=ten.json

Templates come from --seed_examples over --seed_databases, or from the built-in pool without them.
For each database: how many examples came, how many run and give rows, duplicates, how many are
among the excluded queries, the Jensen-Shannon distance (base 2: the square root of the divergence)
of the template frequencies from the source's, the columns with values that no query names, and
examples and CPU seconds.

The distance is given from the whole source, from its templates that the schema and its statistics
can fill ("fitting", see `tasks.fitting_templates`), and from those of them that the data can
express as well: a query that passes the filters was found, in the run or in --fills further ones.
The share of the fitting templates' weight that is expressible bounds the first two from below.
"""

from __future__ import annotations

import collections
import json
import math
import os
import random
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
import measuring
from absl import flags

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import name_of
from spftsql_jax.examples import benchmarks
from spftsql_jax.questions import sentences
from spftsql_jax.synthesis import filters, pool
from spftsql_jax.synthesis.balance import Balance
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.result import Synthesis
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.sampler import Filler
from spftsql_jax.synthesis.stored import StoredValues
from spftsql_jax.synthesis.synthesize import synthesize
from spftsql_jax.synthesis.tasks import fitting_templates
from spftsql_jax.synthesis.templates import extract_templates

_DATABASES = flags.DEFINE_list("databases", None, "SQLite files.", required=True)
_SEED_EXAMPLES = flags.DEFINE_string(
  "seed_examples", None, "JSON file of examples that give the templates."
)
_SEED_DATABASES = flags.DEFINE_string("seed_databases", None, "Folder of their databases.")
_EXCLUDE = flags.DEFINE_list("exclude", [], "JSON files of examples that must not be made again.")
_NUM_EXAMPLES = flags.DEFINE_integer(
  "num_examples", 3000, "Examples on each database.", lower_bound=1
)
_WORDINGS = flags.DEFINE_integer("wordings", 1, "How often a query may come.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed.")
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "Worker processes.", lower_bound=1)
_REPAIR = flags.DEFINE_boolean("repair", True, "Mend queries.")
_FILLS = flags.DEFINE_integer(
  "fills", 300, "Fills of a template that gave no example before it counts as inexpressible."
)
_AIM = flags.DEFINE_enum(
  "aim", "reach", ["", "reach", "columns", "tables"], "See `Balance.aim`; empty for unbalanced."
)
_EXAMPLES_DIR = flags.DEFINE_string(
  "examples_dir", None, "Folder for the examples of each database as JSON lines."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  source = _source()
  excluded = [
    example.query for path in _EXCLUDE.value for example in benchmarks.read_examples(path)
  ]
  report = []
  for location in _DATABASES.value:
    before = measuring.cpu_seconds()
    made = synthesize(
      location,
      source,
      SynthesisOptions(
        _NUM_EXAMPLES.value,
        seed=_SEED.value,
        workers=_WORKERS.value,
        exclude=tuple(excluded),
        exclude_masked=True,
        wordings=_WORDINGS.value,
        repair=_REPAIR.value,
        balance=Balance(aim=_AIM.value),
      ),
    )
    used = round(measuring.cpu_seconds() - before, 1)
    entry = judge(location, made, source, excluded) | {"cpu_seconds": used}
    report.append(entry)
    print(json.dumps(entry, ensure_ascii=False), flush=True)
    if _EXAMPLES_DIR.value:
      lines = [
        json.dumps(example.to_json(), ensure_ascii=False) + "\n" for example in made.examples
      ]
      (Path(_EXAMPLES_DIR.value) / f"{entry['database']}.jsonl").write_text(
        "".join(lines), encoding="utf-8"
      )
    Path(_OUTPUT.value).write_text(
      json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8"
    )


def _source() -> list[WeightedTemplate]:
  if not _SEED_EXAMPLES.value:
    return list(pool.builtin_templates())
  examples = benchmarks.read_examples(_SEED_EXAMPLES.value)
  schemas = {}
  for db_id in benchmarks.database_ids(examples):
    path = Path(_SEED_DATABASES.value or ".") / db_id / f"{db_id}.sqlite"
    if path.is_file():
      schemas[db_id] = read_schema(str(path))
  extracted, _ = extract_templates(
    [(e.query, schemas[e.db_id]) for e in examples if e.db_id in schemas]
  )
  return extracted


def judge(location: str, made: Synthesis, source, excluded: list[str]) -> dict[str, object]:
  """The figures of one database."""
  connection = sqlite3.connect(f"file:{location}?mode=ro", uri=True)
  connection.text_factory = lambda text: text.decode(errors="ignore")
  runs = rows = 0
  for example in made.examples:
    try:
      found = connection.execute(example.query).fetchone()
    except sqlite3.Error as error:
      print(f"{location}: {error}: {example.query}", file=sys.stderr)
      continue
    runs += 1
    rows += found is not None
  connection.close()
  plain = collections.Counter(_plain(example.query) for example in made.examples)
  pairs = collections.Counter(
    (_plain(example.query), example.question) for example in made.examples
  )
  forbidden = {_plain(query) for query in excluded}
  schema = read_schema(location)
  named = {column.lower() for example in made.examples for column in example.columns}
  columns = [
    f"{table.name}.{column.name}"
    for table in schema.tables
    for column in table.columns
    if table.row_count and column.distinct_count
  ]
  runner = Runner(location)
  filler = Filler(schema, StoredValues.read(runner.rows, schema))
  weights = {item.template.id: item.weight for item in source}
  fitting = {
    source[index].template.id: source[index].weight for index in fitting_templates(filler, source)
  }
  expressible = {
    item.template.id: item.weight
    for item in source
    if item.template.id in fitting
    and (item.template.id in made.templates or _expressible(item.template, filler, runner))
  }
  runner.close()
  return {
    "database": name_of(location),
    "examples": len(made.examples),
    "run": runs,
    "with_rows": rows,
    "duplicate_queries": sum(count - 1 for count in plain.values()),
    "duplicate_pairs": sum(count - 1 for count in pairs.values()),
    "excluded_made": sum(query in forbidden for query in plain),
    "distance_all": round(distance(made.templates, weights), 4),
    "distance_fitting": round(distance(made.templates, fitting), 4),
    "distance_expressible": round(distance(made.templates, expressible), 4),
    "share_expressible": round(sum(expressible.values()) / sum(fitting.values()), 4),
    "distance_of_a_fair_draw": round(_fair(fitting, len(made.examples)), 4),
    "templates": len(weights),
    "templates_fitting": len(fitting),
    "templates_expressible": len(expressible),
    "templates_used": len(made.templates),
    "columns": len(columns),
    "columns_missed": sorted(column for column in columns if column.lower() not in named),
    "attempts": made.attempts,
    "repaired": dict(made.repairs),
    "rejections": dict(made.rejections.most_common(12)),
    "seconds": round(made.seconds, 1),
  }


def _expressible(template: Template, filler: Filler, runner: Runner) -> bool:
  """Whether a query of the template can be found that passes the filters on the database itself."""
  rng = random.Random(template.id)
  limits = filters.Limits(loose_joins=bool(_SEED_EXAMPLES.value))
  for number in range(_FILLS.value):
    try:
      filled = filler.fill(template, rng, tight=number % 3 == 2)
    except (CannotFill, QueryFailed):
      continue
    if filters.check_filled(filled, template, runner, (), limits) is not None:
      continue
    try:
      sentences.write_question(filled.sql, filler.schema, rng)
    except sentences.UnsupportedQuery:
      continue
    return True
  return False


def _plain(query: str) -> str:
  return " ".join(query.lower().split()).rstrip("; ")


def _fair(weights: dict[str, float], count: int) -> float:
  """The distance of `count` independent draws from their own source: what chance alone gives."""
  drawn = random.Random(0).choices(list(weights), list(weights.values()), k=count)
  return distance(collections.Counter(drawn), weights)


def distance(left: dict[str, float], right: dict[str, float]) -> float:
  """The Jensen-Shannon distance of two distributions given by weights, base 2."""
  sums = sum(left.values()), sum(right.values())
  total = 0.0
  for name in left.keys() | right.keys():
    p, q = left.get(name, 0) / sums[0], right.get(name, 0) / sums[1]
    middle = (p + q) / 2
    total += sum(0.5 * value * math.log2(value / middle) for value in (p, q) if value > 0)
  return math.sqrt(max(0.0, total))


if __name__ == "__main__":
  launch.launch(main)
