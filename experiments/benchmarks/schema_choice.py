"""How many gold queries find all their tables in the sub-schema that their question is put over.

    python experiments/benchmarks/schema_choice.py --data=SPIDER --tokenizer=DIR --output=FILE.json

Over the questions of databases whose schema exceeds the longest prefix; the others need no choice.
The gold queries are read for the measure alone. `ceiling` is the share whose tables fit the prefix
at all; `first_part` is the share that one fixed part, the largest, would cover.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import launch
from absl import flags

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.answering.schema_choice import SchemaChooser, covered
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import PromptFormat, SchemaStyle
from spftsql_jax.examples.subschemas import tables_of
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer
from spftsql_jax.files import write_json

_DATA = flags.DEFINE_string("data", None, "Folder of Spider.", required=True)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Folder of a tokenizer.", required=True)
_PREFIXES = flags.DEFINE_list("prefixes", ["256", "512"], "Longest prefixes in tokens.")
_SPLITS = flags.DEFINE_list("splits", ["dev", "train"], "Of dev and train.")
_LONGEST = flags.DEFINE_integer(
  "longest", 60, "Databases of a split, the longest schemas first.", lower_bound=1
)
_STYLE = flags.DEFINE_enum("style", "compact", ["ddl", "compact", "names"], "Of the prompts.")
_MISSED = flags.DEFINE_bool("missed", False, "List the questions that are not covered.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

_FILES = {"train": ("train_spider.json", "train_others.json"), "dev": ("dev.json",)}


def main() -> None:
  for split in _SPLITS.value:
    if split not in _FILES:
      raise launch.InputError(f"--splits: {split!r} is none of {', '.join(_FILES)}")
  if not all(prefix.isdigit() and int(prefix) for prefix in _PREFIXES.value):
    raise launch.InputError(f"--prefixes: {','.join(_PREFIXES.value)} are not numbers of tokens")
  launch.check_output(_OUTPUT.value)
  tokenizer = load_tokenizer(_TOKENIZER.value, PromptFormat(cast(SchemaStyle, _STYLE.value)))
  rows = [row for split in _SPLITS.value for row in _measure_split(split, tokenizer)]
  write_json(Path(_OUTPUT.value), {"style": _STYLE.value, "rows": rows})
  for row in rows:
    print(json.dumps({k: v for k, v in row.items() if k not in ("missed", "by_database")}))


def _measure_split(split: str, tokenizer: Tokenizer) -> list[dict[str, Any]]:
  """A row for each longest prefix."""
  data = Path(_DATA.value)
  asked: dict[str, list[Example]] = {}
  for name in _FILES[split]:
    for example in read_examples(data / name):
      asked.setdefault(example.db_id, []).append(example)
  databases = {d: PromptDatabase.read(data / "database" / d / f"{d}.sqlite") for d in sorted(asked)}
  lengths = {d: tokenizer.prefix_length(base.schema) for d, base in databases.items()}
  longest = sorted(lengths, key=lambda d: (-lengths[d], d))[: _LONGEST.value]
  return [
    {"split": split}
    | _measure(
      SchemaChooser(tokenizer, limit),
      {d: databases[d] for d in longest if lengths[d] > limit},
      asked,
    )
    for limit in map(int, _PREFIXES.value)
  ]


def _measure(
  chooser: SchemaChooser,
  databases: Mapping[str, PromptDatabase],
  asked: Mapping[str, Sequence[Example]],
) -> dict[str, Any]:
  """Coverage over the questions of databases that are split."""
  total: Counter[str] = Counter()
  by_database: dict[str, dict[str, int]] = {}
  missed: list[list[Any]] = []
  begun = time.process_time()
  for db_id, database in databases.items():
    for example in asked[db_id]:
      chooser.choose(database, example.question)
  seconds = time.process_time() - begun
  for db_id, database in databases.items():
    parts = chooser.parts(database.schema)
    assert parts is not None
    fixed = max(parts.parts, key=lambda p: len(p.tables), default=database.schema)
    own: Counter[str] = Counter()
    used = set()
    for example in asked[db_id]:
      tables = tables_of(example.query, database.schema)
      if not tables:
        continue
      chosen = chooser.choose(database, example.question)
      right = covered(chosen, tables)
      used.add(id(chosen))
      own["questions"] += 1
      own["covered"] += right
      own["joins"] += len(tables) > 1
      own["joins_covered"] += len(tables) > 1 and right
      own["ceiling"] += parts.covering(tables) is not None
      own["first_part"] += covered(fixed, tables)
      if not right:
        names = sorted(t.name for t in chosen.tables)
        missed.append([db_id, example.question, sorted(tables), names])
    own["sub_schemas"] = len(used)
    total += own
    by_database[db_id] = dict(own)

  def share(of: str, among: str = "questions") -> float | None:
    return round(total[of] / total[among], 4) if total[among] else None

  return {
    "longest_prefix": chooser.longest_prefix,
    "databases": len(databases),
    "questions": total["questions"],
    "covered": share("covered"),
    "joins": total["joins"],
    "joins_covered": share("joins_covered", "joins"),
    "ceiling": share("ceiling"),
    "first_part": share("first_part"),
    "sub_schemas": total["sub_schemas"],
    "cpu_ms_a_question": round(1e3 * seconds / max(total["questions"], 1), 2),
    "by_database": by_database,
  } | ({"missed": missed} if _MISSED.value else {})


if __name__ == "__main__":
  launch.launch(main)
