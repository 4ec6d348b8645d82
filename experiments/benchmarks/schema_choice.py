"""How many gold queries find all their tables in the sub-schema that their question is put over.

    python experiments/benchmarks/schema_choice.py --data=SPIDER --tokenizer=DIR --output=FILE.json

Over the questions of databases whose schema exceeds the longest prefix; the others need no choice.
The gold queries are read for the measure alone. `ceiling` is the share whose tables fit the prefix
at all; `first_part` is the share that one fixed part, the largest, would cover.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.answering.schema_choice import SchemaChooser, covered
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.subschemas import tables_of
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer
from spftsql_jax.files import write_json

_FILES = {"train": ("train_spider.json", "train_others.json"), "dev": ("dev.json",)}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--data", type=Path, required=True, help="folder of Spider")
  parser.add_argument("--tokenizer", type=Path, required=True, help="folder of a tokenizer")
  parser.add_argument("--prefixes", type=int, nargs="+", default=[256, 512])
  parser.add_argument("--splits", nargs="+", default=["dev", "train"], choices=sorted(_FILES))
  parser.add_argument("--longest", type=int, default=20, help="databases, longest schemas first")
  parser.add_argument("--style", default="compact", choices=["ddl", "compact", "names"])
  parser.add_argument("--missed", action="store_true", help="list the questions not covered")
  parser.add_argument("--output", type=Path, required=True)
  args = parser.parse_args()
  tokenizer = load_tokenizer(args.tokenizer, PromptFormat(args.style))
  rows = [row for split in args.splits for row in measure_split(args, split, tokenizer)]
  write_json(args.output, {"style": args.style, "rows": rows})
  for row in rows:
    print(json.dumps({k: v for k, v in row.items() if k not in ("missed", "by_database")}))


def measure_split(args: argparse.Namespace, split: str, tokenizer: Tokenizer) -> list[dict]:
  """A row for each longest prefix."""
  asked: dict[str, list[dict]] = {}
  for name in _FILES[split]:
    for record in json.loads((args.data / name).read_text()):
      asked.setdefault(record["db_id"], []).append(record)
  databases = {}
  for db_id in sorted(asked):
    path = args.data / "database" / db_id / f"{db_id}.sqlite"
    if path.is_file():
      databases[db_id] = PromptDatabase.read(path)
  lengths = {d: tokenizer.prefix_length(base.schema) for d, base in databases.items()}
  longest = sorted(lengths, key=lambda d: (-lengths[d], d))[: args.longest]
  return [
    measure(
      split,
      limit,
      tokenizer,
      {d: databases[d] for d in longest if lengths[d] > limit},
      asked,
      args.missed,
    )
    for limit in args.prefixes
  ]


def measure(split, limit, tokenizer, databases, asked, keep_missed) -> dict:
  """Coverage over the questions of these databases."""
  chooser = SchemaChooser(tokenizer, limit)
  total: Counter[str] = Counter()
  by_database, missed = {}, []
  seconds = 0.0
  for db_id, database in databases.items():
    parts = chooser.parts(database.schema)
    fixed = max(parts.parts, key=lambda p: len(p.tables), default=database.schema)
    own: Counter[str] = Counter()
    used = set()
    for record in asked[db_id]:
      tables = tables_of(record["query"], database.schema)
      if not tables:
        continue
      begun = time.perf_counter()
      chosen = chooser.choose(database, record["question"])
      seconds += time.perf_counter() - begun
      used.add(id(chosen))
      own["questions"] += 1
      own["covered"] += covered(chosen, tables)
      own["ceiling"] += parts.covering(tables) is not None
      own["first_part"] += covered(fixed, tables)
      own["joins"] += len(tables) > 1
      own["joins_covered"] += len(tables) > 1 and covered(chosen, tables)
      if keep_missed and not covered(chosen, tables):
        names = sorted(t.name for t in chosen.tables)
        missed.append([db_id, record["question"], sorted(tables), names])
    own["sub_schemas"] = len(used)
    total += own
    by_database[db_id] = dict(own)
  count = max(total["questions"], 1)
  return {
    "split": split,
    "longest_prefix": limit,
    "databases": len(databases),
    "questions": total["questions"],
    "covered": round(total["covered"] / count, 4),
    "joins": total["joins"],
    "joins_covered": round(total["joins_covered"] / max(total["joins"], 1), 4),
    "ceiling": round(total["ceiling"] / count, 4),
    "first_part": round(total["first_part"] / count, 4),
    "sub_schemas": total["sub_schemas"],
    "ms_a_question": round(1e3 * seconds / count, 2),
    "by_database": by_database,
  } | ({"missed": missed} if keep_missed else {})


if __name__ == "__main__":
  main()
