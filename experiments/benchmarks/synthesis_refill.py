r"""How many queries of a benchmark become templates, and how many of these fill again.

Filled again means: into a query of the same structure.

    python experiments/benchmarks/synthesis_refill.py --examples=train_spider.json \
      --databases=DIR --instance_dir=DIR --output=refill.json

A query is sound if it runs. Of databases that are not at hand, --tables (Spider's tables.json)
gives the schema: their queries count as sound and are extracted, but not filled. Every distinct
pair of template and database is tried on its own database, and on one other, drawn among those
whose schema has what the template names: a table with enough columns of the right kinds for every
letter, and the keys between them. A try counts when the filled query passes every filter and is
extracted to the very template again. A pair that never does counts by the reason that stopped it
most often. Shares are given by pairs and by queries.
"""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import itertools
import json
import multiprocessing
import random
import sqlite3
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags
from tqdm import tqdm

from spftsql_jax.columns import roles
from spftsql_jax.databases import make_instances
from spftsql_jax.examples import benchmarks
from spftsql_jax.schema import Column, ForeignKey, Schema, Table
from spftsql_jax.synthesis import filters, joins, repair
from spftsql_jax.synthesis.compiling import compile_template
from spftsql_jax.synthesis.literals import CannotFill
from spftsql_jax.synthesis.notation import Template
from spftsql_jax.synthesis.runner import QueryFailed, Runner
from spftsql_jax.synthesis.sampler import Filler
from spftsql_jax.synthesis.slots import UnsupportedTemplate
from spftsql_jax.synthesis.stored import StoredValues
from spftsql_jax.synthesis.supply import can_match
from spftsql_jax.synthesis.tasks import schema_of
from spftsql_jax.synthesis.templates import Extractor

_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the examples.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_TABLES = flags.DEFINE_string(
  "tables", None, "Spider's tables.json, for the schemas of databases that are not in the folder."
)
_INFER_KEYS = flags.DEFINE_boolean(
  "infer_keys", True, "Join along keys that a database does not declare, too."
)
_INSTANCES = flags.DEFINE_integer(
  "instances", 2, "Neighbouring instances to check on.", lower_bound=0
)
_INSTANCE_DIR = flags.DEFINE_string(
  "instance_dir", None, "Where the instances are, or are made.", required=True
)
_TRIES = flags.DEFINE_integer(
  "tries", 100, "Fills with one template before it is given up.", lower_bound=1
)
_SAMPLE = flags.DEFINE_integer(
  "sample", 0, "Only so many queries, drawn at random; 0 for all.", lower_bound=0
)
_OTHER = flags.DEFINE_boolean("other", True, "Also fill on another database.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of every draw.")
_WORKERS = flags.DEFINE_integer("workers", 2, "Worker processes.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  examples = benchmarks.read_examples(_EXAMPLES.value)
  root, instances = Path(_DATABASES.value), Path(_INSTANCE_DIR.value)
  places = {d: str(root / d / f"{d}.sqlite") for d in sorted({e.db_id for e in examples})}
  missing = [d for d, place in places.items() if not Path(place).is_file()]
  known = listed_schemas(_TABLES.value, missing) if _TABLES.value else {}
  unfilled = [(e.db_id, e.query) for e in examples if e.db_id in known]
  examples = [e for e in examples if e.db_id not in missing]
  if _SAMPLE.value:
    examples = random.Random(_SEED.value).sample(examples, min(_SAMPLE.value, len(examples)))
    unfilled = []
  start = time.perf_counter()
  sound, unsound = sound_queries([(e.db_id, e.query) for e in examples], places)
  schemas = {d: schema_of(places[d], _INFER_KEYS.value) for d in places if d not in missing}
  pairs, refused = extract(sound, schemas)
  more, more_refused = extract(unfilled, known)
  refused += more_refused
  with concurrent.futures.ProcessPoolExecutor(
    _WORKERS.value, mp_context=multiprocessing.get_context("spawn")
  ) as pool:
    fill = functools.partial(
      fill_all, places=places, folder=str(instances), count=_INSTANCES.value, tries=_TRIES.value
    )
    fill = functools.partial(fill, infer_keys=_INFER_KEYS.value)
    own = run(pool, fill, pairs, "own database")
    elsewhere, nowhere = {}, 0
    if _OTHER.value:
      moved, nowhere = other_databases(pairs, schemas)
      elsewhere = run(pool, fill, moved, "another database")
  report = {
    "databases_missing": missing,
    "queries": len(examples) + len(unfilled),
    "sound": len(sound) + len(unfilled),
    "sound_of_missing_databases": len(unfilled),
    "not_sound": unsound,
    "templates": sum(pairs.values()) + sum(more.values()),
    "templates_share": (sum(pairs.values()) + sum(more.values())) / (len(sound) + len(unfilled)),
    "without_template": dict(refused.most_common()),
    "own": share(own, pairs),
    "other": share(elsewhere, moved) | {"no_other_database_has_the_types": nowhere}
    if _OTHER.value
    else None,
    "tries": _TRIES.value,
    "seconds": round(time.perf_counter() - start, 1),
  }
  failed = [
    {
      "where": where,
      "db_id": pair[0],
      "template": pair[1],
      "reasons": dict(reasons.most_common(4)),
      "last": text,
    }
    for where, results in (("own", own), ("other", elsewhere))
    for pair, (ok, reasons, text) in results.items()
    if not ok
  ]
  Path(_OUTPUT.value).write_text(
    json.dumps(report | {"failed": failed}, indent=1, ensure_ascii=False), encoding="utf-8"
  )
  print(json.dumps(report, ensure_ascii=False))


Pair = tuple[str, str]  # A database and a template's text.


def sound_queries(
  queries: list[tuple[str, str]], places: dict[str, str]
) -> tuple[list[tuple[str, str]], int]:
  """The (database, query) pairs that run on their database, and how many do not."""
  connections: dict[str, sqlite3.Connection] = {}
  sound = []
  for db_id, query in queries:
    if db_id not in connections:
      connections[db_id] = sqlite3.connect(f"file:{places[db_id]}?mode=ro", uri=True)
      connections[db_id].text_factory = lambda text: text.decode(errors="ignore")
    try:
      connections[db_id].execute(query).fetchmany(1)
      sound.append((db_id, query))
    except sqlite3.Error:
      pass
  return sound, len(queries) - len(sound)


def listed_schemas(path: str, names: list[str]) -> dict[str, Schema]:
  """The schemas of some databases as Spider's tables.json lists them.

  Names, types and keys, no rows.
  """
  found = {}
  for entry in json.loads(Path(path).read_text(encoding="utf-8")):
    if entry["db_id"] not in names:
      continue
    columns = entry["column_names_original"]
    tables = []
    for index, table in enumerate(entry["table_names_original"]):
      own = [(place, name) for place, (owner, name) in enumerate(columns) if owner == index]
      kinds = {"number": "number", "text": "text", "time": "date", "boolean": "boolean"}
      keys = [
        ForeignKey(
          (columns[left][1],),
          entry["table_names_original"][columns[right][0]],
          (columns[right][1],),
        )
        for left, right in entry["foreign_keys"]
        if columns[left][0] == index
      ]
      tables.append(
        Table(
          table,
          tuple(
            Column(name, "", kinds.get(entry["column_types"][place], "other"))
            for place, name in own
          ),
          primary_key=tuple(
            columns[place][1] for place in entry["primary_keys"] if columns[place][0] == index
          ),
          foreign_keys=tuple(keys),
        )
      )
    found[entry["db_id"]] = Schema(entry["db_id"], "sqlite", tuple(tables))
  return found


def extract(
  queries: list[tuple[str, str]], schemas: dict[str, Schema]
) -> tuple[collections.Counter, collections.Counter]:
  """The distinct pairs of database and template with their number of queries.

  And why others have no template.
  """
  extractors = {name: Extractor(schema) for name, schema in schemas.items()}
  pairs: collections.Counter[Pair] = collections.Counter()
  refused: collections.Counter[str] = collections.Counter()
  for db_id, query in queries:
    try:
      pairs[(db_id, extractors[db_id].extract(query).text)] += 1
    except UnsupportedTemplate as error:
      refused[str(error)] += 1
  return pairs, refused


def other_databases(
  pairs: collections.Counter, schemas: dict[str, Schema]
) -> tuple[collections.Counter, int]:
  """Each pair's template on another database that has its types.

  And how many have no such database.
  """
  rng = random.Random(f"{_SEED.value}/other")
  supplies = {name: Supply(schema) for name, schema in sorted(schemas.items())}
  having: dict[str, list[str]] = {}
  moved: collections.Counter[Pair] = collections.Counter()
  nowhere = 0
  for (db_id, text), count in pairs.items():
    if text not in having:
      having[text] = [name for name, supply in supplies.items() if supply.has(text)]
    others = [name for name in having[text] if name != db_id]
    if others:
      moved[(rng.choice(others), text)] += count
    else:
      nowhere += count
  return moved, nowhere


class Supply:
  """What a schema has for templates: columns by table and kind, and keys between tables.

  Tables without rows count for none.
  """

  def __init__(self, schema: Schema):
    self.graph = joins.JoinGraph(schema)
    kinds = roles.column_roles(schema)
    self.columns: dict[str, list[roles.Role]] = {}
    for table in schema.tables:
      if table.row_count:
        name = table.name.lower()
        filled = [column.name.lower() for column in table.columns if column.distinct_count]
        self.columns[name] = [kinds[(name, column)] for column in filled]

  def has(self, text: str) -> bool:
    """Whether there are tables with the columns and the keys that a template names."""
    compiled = compile_template(text)
    letters = list(
      dict.fromkeys(letter[0] for scope in compiled.scopes for letter in scope.letters)
    )
    fitting = {
      letter: [table for table in self.columns if self._fits(compiled, letter, table)]
      for letter in letters
    }
    for tables in itertools.islice(itertools.product(*fitting.values()), 20_000):
      chosen = dict(zip(letters, tables, strict=True))
      if len(set(tables)) == len(tables) and self._connected(compiled, chosen):
        return True
    return False

  def _fits(self, compiled, letter: str, table: str) -> bool:
    """Whether the table has a column of its own for each slot.

    Of the kind, and holding numbers where they are added up.
    """
    slots = [slot for slot in compiled.slots.values() if slot.letter == letter]
    suiting = [
      [i for i, role in enumerate(self.columns[table]) if _has_type(role, slot)] for slot in slots
    ]
    return can_match(suiting)

  def _connected(self, compiled, chosen: dict[str, str]) -> bool:
    for slot in compiled.slots.values():
      target = (
        compiled.slots[slot.refers_to].letter
        if slot.refers_to is not None
        else slot.refers_to_table
      )
      if target is not None and target != slot.letter:
        table, other = chosen[slot.letter], chosen[target]
        shared = {e.parent for e in self.graph.edges if e.child == table} & {
          e.parent for e in self.graph.edges if e.child == other
        }
        if not self.graph.edges_between(table, other) and not shared:
          return False
    for scope in compiled.scopes:
      if len(scope.letters) > 1:
        try:
          self.graph.join(
            [(letter, chosen[letter[0]]) for letter in scope.letters], random.Random(0)
          )
        except joins.CannotJoin:
          return False
    return True


def _has_type(role: roles.Role, slot) -> bool:
  if slot.kind == "ref":
    return role.kind == "ref" or (role.kind == "key" and role.refers_to is not None)
  if role.kind == "text" and slot.kind == "text" and slot.uses & {"sum", "avg", "arithmetic"}:
    return role.measure
  return role.kind == slot.kind


Outcome = tuple[bool, collections.Counter, str]


def run(pool, fill, pairs, label: str) -> dict[Pair, Outcome]:
  by_database: dict[str, list[str]] = collections.defaultdict(list)
  for db_id, text in pairs:
    by_database[db_id].append(text)
  waiting = [pool.submit(fill, db_id, texts) for db_id, texts in by_database.items()]
  outcomes: dict[Pair, Outcome] = {}
  for job in tqdm(
    concurrent.futures.as_completed(waiting),
    total=len(waiting),
    desc=label,
    disable=not sys.stderr.isatty(),
  ):
    outcomes |= job.result()
  return {pair: outcomes[pair] for pair in pairs}


def fill_all(
  db_id: str,
  texts: list[str],
  places: dict[str, str],
  folder: str,
  count: int,
  tries: int,
  infer_keys: bool,
) -> dict:
  """Fills the templates on one database."""
  schema = schema_of(places[db_id], infer_keys)
  paths = [Path(folder) / f"{db_id}_{index}.sqlite" for index in range(count)]
  if not all(path.is_file() for path in paths):
    paths = make_instances(places[db_id], folder, count, 0, schema=schema)
  original, neighbours = Runner(places[db_id]), [Runner(path) for path in paths]
  filler, extractor = Filler(schema, StoredValues.read(original.rows, schema)), Extractor(schema)
  outcomes = {}
  for text in texts:
    rng, reasons, last = random.Random(f"{db_id}/{text}"), collections.Counter(), ""
    for _ in range(tries):
      reason, last = one_fill(Template(text), filler, extractor, original, neighbours, rng, last)
      if reason is None:
        break
      reasons[reason] += 1
    outcomes[(db_id, text)] = (reason is None, reasons, last)
  for runner in (original, *neighbours):
    runner.close()
  return outcomes


def one_fill(
  template: Template, filler, extractor, original, neighbours, rng, last: str
) -> tuple[str | None, str]:
  """Why a fill does not count, None where it does; and its query."""
  try:
    filled = filler.fill(template, rng)
  except CannotFill as error:
    return f"cannot fill: {error}", last
  except QueryFailed as error:
    return f"a probe fails: {error}", last
  reason = filters.check_filled(filled, template, original, neighbours, filters.DEFAULT_LIMITS)
  if reason is not None:
    mended = repair.repair(filled, template, reason, original, neighbours, filters.DEFAULT_LIMITS)
    if mended is None or mended.template != template:
      return reason, filled.sql
    filled = mended.filled
  try:
    same = extractor.extract(filled.sql) == template
  except UnsupportedTemplate:
    same = False
  return (None if same else "another structure"), filled.sql


def share(outcomes: dict[Pair, Outcome], pairs: collections.Counter) -> dict[str, object]:
  """Shares by pair and by query, all and on databases with rows, and the reasons of what failed."""
  good = {pair for pair, (ok, _, _) in outcomes.items() if ok}
  reasons: collections.Counter[str] = collections.Counter()
  for ok, why, _ in outcomes.values():
    if not ok:
      reasons[why.most_common(1)[0][0]] += 1
  return {
    "pairs": len(outcomes),
    "filled": len(good),
    "share_of_pairs": len(good) / max(1, len(outcomes)),
    "share_of_queries": sum(pairs[pair] for pair in good) / max(1, sum(pairs.values())),
    "reasons": dict(reasons.most_common()),
  }


if __name__ == "__main__":
  launch.launch(main)
