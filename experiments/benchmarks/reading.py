"""Do questions by rule read as people's do? Both shuffled for readers who are not told which is
which, and their marks counted.

    python experiments/benchmarks/reading.py --databases=DIR --questions=FILE --output=FOLDER \
      --names=club_1,csu_1,... [--each=17] [--seed=0]
    python experiments/benchmarks/reading.py --output=FOLDER --marks=FOLDER/a.json,FOLDER/b.json

The first writes FOLDER/pairs.txt: how to mark, then for each database its tables with first rows,
--each pairs of question and query made by `synthesize`, and as many that people wrote for it (FILE,
a benchmark's examples), in no order. FOLDER/key.json says which are which. A reader gives each pair
two marks of 0 or 1, and the second command, given one file of marks a reader, says what shares are
faithful, natural and both, of rules' and of people's pairs, with 95 % intervals (Wilson), and how
often two readers agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

# isort: split
from absl import flags
from answers import share

from spftsql_jax.databases import Executor, search_path
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json, write_text
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.")
_QUESTIONS = flags.DEFINE_string("questions", None, "People's examples over them.")
_NAMES = flags.DEFINE_list("names", [], "The databases that are read.")
_EACH = flags.DEFINE_integer("each", 17, "Pairs of either kind and database.", lower_bound=1)
_MADE = flags.DEFINE_integer("made", 400, "Examples made, of which these are drawn.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_MARKS = flags.DEFINE_list("marks", [], "Files of marks, one a reader.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write into.", required=True)

_SHOWN_ROWS = 3
_HOW = """\
Read each pair of a question and its SQL, and give it two marks:
  f (faithful): 1 where the SQL gives what one who knows the database would expect of the question,
    nothing missing and nothing more; else 0. What people leave open counts as faithful: names where
    rows are asked for, ties, whether repeated rows are shown.
  n (natural): 1 where a fluent person who needs the answer could have typed the question, in any
    style; 0 where words, grammar or what is asked for seem made by a machine.
The marks as JSON: [{"k": 1, "f": 1, "n": 0}, ...], k the number of the pair.
"""


@dataclasses.dataclass(frozen=True)
class Pair:
  """A question with its query, and whether a person wrote it."""

  question: str
  query: str
  by_person: bool


def main() -> None:
  folder = Path(_OUTPUT.value)
  if _MARKS.value:
    key = json.loads((folder / "key.json").read_text())
    marks = [_read_marks(Path(file), key) for file in _MARKS.value]
    print(json.dumps(_figures(key, marks), indent=2))
    return
  if not (_DATABASES.value and _QUESTIONS.value and _NAMES.value):
    raise InputError("give --databases, --questions and --names, or --marks")
  folder.mkdir(parents=True, exist_ok=True)
  places = search_path.database_places(_DATABASES.value)
  asked = read_examples(_QUESTIONS.value)
  texts, key, numbers = [_HOW], {}, itertools.count(1)
  with Executor(workers=1) as executor:
    for place, db_id in enumerate(_NAMES.value):
      location = search_path.find_database(places, db_id)
      rng = random.Random(_SEED.value + place)
      pairs = _pairs(db_id, location, asked, rng, _SEED.value + place)
      texts.append(f"=== {db_id}\n{_tables(read_schema(location), location, executor)}")
      for pair, number in zip(pairs, numbers, strict=False):
        query = " ".join(pair.query.split())
        texts.append(f"[{number}]\n  Question: {pair.question}\n  SQL: {query}\n")
        key[number] = "person" if pair.by_person else "rule"
  write_text(folder / "pairs.txt", "\n".join(texts))
  write_json(folder / "key.json", key)
  print(f"{folder}/pairs.txt: {len(key)} pairs")


def _pairs(
  db_id: str, location: str, asked: Sequence[Example], rng: random.Random, seed: int
) -> list[Pair]:
  """Pairs of both kinds of a database, shuffled."""
  options = SynthesisOptions(num_examples=_MADE.value, seed=seed)
  made = synthesize(location, builtin_templates(), options).examples
  ours = [Pair(e.question, e.query, False) for e in made]
  theirs = [Pair(e.question, e.query, True) for e in asked if e.db_id == db_id]
  drawn = [
    pair for pairs in (ours, theirs) for pair in rng.sample(pairs, min(_EACH.value, len(pairs)))
  ]
  rng.shuffle(drawn)
  return drawn


def _tables(schema: Schema, location: str, executor: Executor) -> str:
  """Tables with their columns, keys and first rows."""
  lines = []
  for table in schema.tables:
    lines.append(f"{table.name}({', '.join(column.name for column in table.columns)})")
    lines += [
      f"  {', '.join(key.columns)} refers to {key.referred_table}" for key in table.foreign_keys
    ]
    first = executor.execute(location, f'SELECT * FROM "{table.name}" LIMIT {_SHOWN_ROWS}')
    lines += [textwrap.shorten(f"  {row}", 300) for row in first.rows or ()]
  return "\n".join(lines) + "\n"


def _read_marks(path: Path, key: Mapping[str, str]) -> dict[str, tuple[int, int]]:
  """A reader's marks by pair. Raises InputError where some are missing or none."""
  marks = {str(each["k"]): (each["f"], each["n"]) for each in json.loads(path.read_text())}
  if set(marks) != set(key) or any(mark not in (0, 1) for each in marks.values() for mark in each):
    raise InputError(f"{path}: two marks of 0 or 1 are needed for each of the {len(key)} pairs")
  return marks


def _figures(
  key: Mapping[str, str], marks: Sequence[Mapping[str, tuple[int, int]]]
) -> dict[str, Any]:
  """Shares by who wrote the pairs, a list with one for each reader; and where readers agree."""
  found: dict[str, Any] = {
    who: [dict(_shares([each[k] for k in key if key[k] == who])) for each in marks]
    for who in ("rule", "person")
  }
  if len(marks) == 2:
    for place, what in enumerate(("faithful", "natural")):
      found[f"agree on {what}"] = share([marks[0][k][place] == marks[1][k][place] for k in key])
  return found


def _shares(marks: Sequence[tuple[int, int]]) -> Iterator[tuple[str, Any]]:
  yield "n", len(marks)
  yield "faithful", share([bool(f) for f, _ in marks])
  yield "natural", share([bool(n) for _, n in marks])
  yield "both", share([bool(f and n) for f, n in marks])


if __name__ == "__main__":
  launch(main)
