"""Measures how many wrong queries pass verification on the original rows, and on neighbouring
instances too.

    python experiments/benchmarks/mutants.py --examples=dev.json --databases=database \
      --instances=10 --output=mutants.json

Each gold query is changed in one place (an operator, a literal, an aggregate, a column, a condition
dropped, ...) in every way that applies, up to --per_query drawn at random. A mutant passes on k
instances where its rows equal the gold query's (comparison strict: columns in order, bags of rows,
lists of rows where the gold query's outermost level has ORDER BY) on the original and on each of
the first k. Mutants that fail to run on the original are left out; an instance on which the gold
query fails says nothing. The instances are made from the gold queries alone, or with
--noplanted from nothing but the database, as those of a run are.

With --engine=duckdb or --engine=postgresql the databases are copied into that engine first
(`dialect_copies`; PostgreSQL's server programs are needed for the latter) and the gold queries
translated; those that give other rows there than in SQLite are left out.

Wrong is a mutant that the original or one of the instances tells apart from its gold query:
share_of_wrong_passing_by_instances is of these alone.

What an instance tells apart although a rule of equivalence.py makes it the same query as the gold
one is listed as equivalent_told_apart: it would be refused wrongly. What passes everywhere is
listed, with the rules of equivalence.py that make it the same query as the gold one wherever the
declared constraints hold, or "undecided".
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch

# isort: split
import dialect_copies
import equivalence
import sqlglot
from absl import flags
from sqlglot import exp
from tqdm import tqdm

from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.instances import private_server
from spftsql_jax.databases.instances.make import make_instances
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples import benchmarks
from spftsql_jax.files import write_json
from spftsql_jax.judging.comparison import results_match
from spftsql_jax.schema import Schema

_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the examples.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_INSTANCES = flags.DEFINE_integer(
  "instances", 10, "Neighbouring instances of each database.", lower_bound=1
)
_QUERIES = flags.DEFINE_integer(
  "queries", 0, "Gold queries to take, drawn at random; 0 takes all.", lower_bound=0
)
_DB_IDS = flags.DEFINE_list("db_ids", [], "Databases to take; none given: all.")
_ENGINE = flags.DEFINE_enum(
  "engine",
  "sqlite",
  ["sqlite", "duckdb", "postgresql"],
  "Engine that the databases are copied into.",
)
_PLANTED = flags.DEFINE_bool("planted", True, "Whether instances are made for the gold queries.")
_PER_QUERY = flags.DEFINE_integer(
  "per_query", 4, "Mutants of one query, drawn at random.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of draws and instances.")
_ORPHANS = flags.DEFINE_bool(
  "orphans", True, "Whether rows planted for queries may refer to nothing."
)
_WORKERS = flags.DEFINE_integer(
  "workers", min(8, os.cpu_count() or 1), "Worker processes.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_SWAPS = {
  exp.GT: [exp.GTE, exp.LT],
  exp.GTE: [exp.GT],
  exp.LT: [exp.LTE, exp.GT],
  exp.LTE: [exp.LT],
  exp.EQ: [exp.NEQ],
  exp.NEQ: [exp.EQ],
  exp.Max: [exp.Min],
  exp.Min: [exp.Max],
  exp.Sum: [exp.Avg],
  exp.Avg: [exp.Sum, exp.Max],
  exp.And: [exp.Or],
  exp.Or: [exp.And],
}


def mutants(sql: str, schema: Schema, dialect: str = "sqlite") -> Iterator[tuple[str, str]]:
  """Yields (kind of change, changed SQL) for every change of one place that applies."""
  # A parent above the root, so that the root can be replaced as everything else.
  tree = exp.Paren(this=sqlglot.parse_one(sql, read=dialect))
  unchanged = tree.this.sql(dialect=dialect)
  # The tree is changed in place, written out, and changed back.
  for node in list(tree.this.walk()):
    for kind, put, restore in _changes(node, schema):
      put()
      text = tree.this.sql(dialect=dialect)
      if text != unchanged:
        yield kind, text
      restore()


# What a change is called, what makes it, and what undoes it.
Change = tuple[str, Callable[[], object], Callable[[], object]]


def _changes(node: exp.Expression, schema: Schema) -> Iterator[Change]:
  def replaced(kind: str, new: exp.Expression) -> Change:
    return kind, lambda: node.replace(new), lambda: new.replace(node)

  def argument(kind: str, name: str, value: object) -> Change:
    old = node.args.get(name)
    return kind, lambda: node.set(name, value), lambda: node.set(name, old)

  if type(node) in _SWAPS and not isinstance(node.parent, exp.Join):
    for other in _SWAPS[type(node)]:
      yield replaced(
        f"{node.key} to {other.key}",
        other(**{name: _copy(value) for name, value in node.args.items()}),
      )
  if isinstance(node, exp.And) and not isinstance(node.parent, exp.Join):
    yield replaced("drop condition", node.left.copy())
    yield replaced("drop condition", node.right.copy())
  if isinstance(node, exp.Literal) and not isinstance(node.parent, exp.Limit | exp.Ordered):
    if node.is_string:
      yield replaced("string literal", exp.Literal.string(node.this.strip("%")[:-1] or "x"))
    elif "." not in node.this:
      yield replaced("literal + 1", exp.Literal.number(int(node.this) + 1))
  if (
    isinstance(node, exp.Limit)
    and isinstance(node.expression, exp.Literal)
    and not node.expression.is_string
  ):
    yield argument("limit + 1", "expression", exp.Literal.number(int(node.expression.this) + 1))
  if isinstance(node, exp.Ordered):
    yield argument("sort direction", "desc", not node.args.get("desc"))
  if isinstance(node, exp.Select):
    if node.args.get("distinct"):
      yield argument("drop distinct", "distinct", None)
    elif (
      isinstance(node.parent, exp.Paren)
      and not node.args.get("group")
      and not node.find(exp.AggFunc)
    ):
      # Elsewhere (one row, grouped rows, a set operation, the list of IN) it changes nothing.
      yield argument("add distinct", "distinct", exp.Distinct())
    for name in ("where", "having", "order", "limit"):
      if node.args.get(name):
        yield argument(f"drop {name}", name, None)
  if isinstance(node, exp.Join) and not node.side and not node.kind:
    yield argument("join to left join", "side", "LEFT")
  if isinstance(node, exp.Count):
    if isinstance(node.this, exp.Star):
      column = next(iter(node.root().find_all(exp.Column)), None)
      if column is not None and not isinstance(column.this, exp.Star):
        yield argument("count a column", "this", column.copy())
    elif isinstance(node.this, exp.Distinct):
      yield argument("count without distinct", "this", node.this.expressions[0].copy())
    else:
      yield argument("count distinct", "this", exp.Distinct(expressions=[node.this.copy()]))
  if isinstance(node, exp.In) and not isinstance(node.parent, exp.Not):
    yield replaced("in to not in", exp.Not(this=node.copy()))
  if isinstance(node, exp.Not):
    yield replaced("drop not", node.this.copy())
  if type(node) in (exp.Intersect, exp.Except, exp.Union):
    for other in (exp.Intersect, exp.Except, exp.Union):
      if other is not type(node):
        yield replaced(
          "set operation", other(**{name: _copy(value) for name, value in node.args.items()})
        )
  if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
    sibling = _sibling(node, schema)
    if sibling:
      yield argument("other column", "this", exp.to_identifier(sibling, quoted=True))


def _copy(value: object) -> object:
  if isinstance(value, list):
    return [item.copy() if isinstance(item, exp.Expression) else item for item in value]
  return value.copy() if isinstance(value, exp.Expression) else value


def _sibling(column: exp.Column, schema: Schema) -> str | None:
  """Another column of the same kind in a table that has a column of this name."""
  for table in schema.tables:
    names = [entry.name.lower() for entry in table.columns]
    if column.name.lower() in names:
      own = table.columns[names.index(column.name.lower())]
      others = [
        entry.name for entry in table.columns if entry.kind == own.kind and entry.name != own.name
      ]
      return others[len(column.name) % len(others)] if others else None
  return None


@dataclasses.dataclass(frozen=True)
class Trial:
  """A mutant and the gold query it was made of."""

  db_id: str
  gold: str
  kind: str
  mutant: str


def main() -> None:
  examples = benchmarks.read_examples(_EXAMPLES.value)
  if _DB_IDS.value:
    examples = [example for example in examples if example.db_id in _DB_IDS.value]
  unique = list({(example.db_id, example.query): example for example in examples}.values())
  rng = random.Random(_SEED.value)
  if _QUERIES.value:
    unique = rng.sample(unique, min(_QUERIES.value, len(unique)))
  with tempfile.TemporaryDirectory() as scratch, Executor(workers=_WORKERS.value) as executor:
    originals, golds, untranslated = _originals(unique, Path(scratch), executor)
    places, schemas = {}, {}
    start = time.process_time()
    for db_id, original in tqdm(originals.items(), desc="instances", disable=None, leave=False):
      queries = [gold for of_db, gold in golds if of_db == db_id] if _PLANTED.value else []
      folder = Path(scratch) / "instances"
      schemas[db_id] = read_schema(original)
      made = make_instances(
        original, folder, _INSTANCES.value, _SEED.value, queries, orphans=_ORPHANS.value
      )
      places[db_id] = [original, *(os.fspath(place) for place in made)]
    seconds = time.process_time() - start
    trials = []
    for db_id, gold in golds:
      found = {sql: kind for kind, sql in mutants(gold, schemas[db_id], schemas[db_id].dialect)}
      drawn = rng.sample(sorted(found.items()), min(_PER_QUERY.value, len(found)))
      trials += [Trial(db_id, gold, kind, sql) for sql, kind in drawn]
    report = _judge(trials, places, executor)
    _stop_servers(Path(scratch))
  survivors = report["survivors"]
  for entry in survivors:
    entry["reason"] = (
      equivalence.reason(entry["gold"], entry["mutant"], schemas[entry["db_id"]]) or "undecided"
    )
  report["equivalent"] = sum(entry["reason"] != "undecided" for entry in survivors)
  report["undecided"] = len(survivors) - report["equivalent"]
  report["reasons"] = dict(Counter(entry["reason"] for entry in survivors).most_common())
  report["undecided_by_kind"] = dict(
    Counter(e["kind"] for e in survivors if e["reason"] == "undecided").most_common()
  )
  told_apart = [
    (trial.gold, trial.mutant)
    for trial in report.pop("told_apart")
    if equivalence.reason(trial.gold, trial.mutant, schemas[trial.db_id])
  ]
  report["equivalent_told_apart"] = told_apart
  report["engine"], report["untranslated"] = _ENGINE.value, untranslated
  report["cpu_seconds_an_instance"] = round(seconds / len(places) / _INSTANCES.value, 3)
  report["survivors"] = report.pop("survivors")
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps({key: value for key, value in report.items() if key != "survivors"}))


def _originals(
  examples: list[benchmarks.Example], scratch: Path, executor: Executor
) -> tuple[dict[str, str], list[tuple[str, str]], int]:
  """Where the databases are, (db_id, gold query) pairs, and the number of queries left out."""
  files = {
    db_id: os.fspath(benchmarks.find_database(_DATABASES.value, db_id))
    for db_id in benchmarks.database_ids(examples)
  }
  if _ENGINE.value == "sqlite":
    return files, [(example.db_id, example.query) for example in examples], 0
  originals, texts = {}, []
  for db_id, file in tqdm(files.items(), desc="copies", disable=None, leave=False):
    originals[db_id] = _into_engine(Path(file), db_id, scratch)
    schema, dialect = read_schema(file), engine_module(_ENGINE.value).DIALECT
    for example in examples:
      if example.db_id == db_id:
        with contextlib.suppress(ValueError):
          texts.append((example, dialect_copies.translate(example.query, schema, dialect)))
  of_file = executor.execute_many([(files[e.db_id], e.query) for e, _ in texts], timeout_s=10.0)
  of_copy = executor.execute_many([(originals[e.db_id], sql) for e, sql in texts], timeout_s=10.0)
  golds = [
    (example.db_id, sql)
    for (example, sql), one, other in zip(texts, of_file, of_copy, strict=True)
    if one.ok and other.ok and dialect_copies.same_values(one.rows, other.rows)
  ]
  return originals, golds, len(examples) - len(golds)


def _into_engine(file: Path, db_id: str, scratch: Path) -> str:
  """Copies a database into the engine; returns where it is."""
  if _ENGINE.value == "duckdb":
    target = scratch / "originals" / db_id / f"{db_id}.duckdb"
    dialect_copies.copy_to_duckdb(file, target)
    return os.fspath(target)
  server = private_server.server_in(scratch / "originals")
  with server.admin() as connection:
    connection.execute(f'CREATE DATABASE "{db_id}"'.encode())
  with server.admin(db_id) as connection:
    dialect_copies.copy_to_postgresql(file, connection)
    connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {private_server.READER}")
  return server.url(db_id)


def _stop_servers(scratch: Path) -> None:
  for name in ("instances", "originals"):
    private_server.stop_server(scratch / name)


def _judge(trials: list[Trial], places: dict[str, list[str]], executor: Executor) -> dict:
  """Runs every mutant on the original, and what passes there on one instance after the other."""
  golds = list(dict.fromkeys((trial.db_id, trial.gold) for trial in trials))
  alive, ran, passed_first, passing, by_kind, filled = trials, trials, trials, {}, {}, {}
  for k in tqdm(range(_INSTANCES.value + 1), desc="rounds", disable=None, leave=False):
    jobs = [(places[db_id][k], sql) for db_id, sql in golds]
    jobs += [(places[trial.db_id][k], trial.mutant) for trial in alive]
    results = executor.execute_many(jobs, timeout_s=10.0, max_rows=200_000)
    gold = dict(zip(golds, results, strict=False))
    verdicts = [
      (trial, gold[trial.db_id, trial.gold], result)
      for trial, result in zip(alive, results[len(golds) :], strict=True)
    ]
    if k == 0:
      verdicts = [entry for entry in verdicts if entry[1].ok and entry[2].ok]
      ran = [trial for trial, _, _ in verdicts]
    alive = [
      t
      for t, expected, result in verdicts
      if not expected.ok or results_match(expected, result, t.gold, "strict")
    ]
    if k == 0:
      passed_first = alive
    counts = Counter(trial.kind for trial in alive)
    passing[str(k)], by_kind[str(k)] = round(len(alive) / max(1, len(ran)), 6), counts
    filled[str(k)] = round(
      sum(bool(result.rows) for result in gold.values()) / max(1, len(gold)), 4
    )
  never = passing[str(_INSTANCES.value)] * len(ran)
  wrong = len(ran) - never
  return {
    "mutants": len(ran),
    "wrong": round(wrong),
    "share_of_wrong_passing_by_instances": {
      k: round((share * len(ran) - never) / max(1, wrong), 4) for k, share in passing.items()
    },
    "comparison": "strict",
    "share_passing_by_instances": passing,
    "share_of_gold_results_with_rows": filled,
    "by_kind": {
      kind: {"mutants": count}
      | {f"passing_{k}": by_kind[k][kind] for k in ("0", "1", "2", "5", "10") if k in by_kind}
      for kind, count in Counter(trial.kind for trial in ran).most_common()
    },
    "told_apart": [trial for trial in passed_first if trial not in alive],
    "survivors": [dataclasses.asdict(trial) for trial in alive],
  }


if __name__ == "__main__":
  launch.launch(main)
