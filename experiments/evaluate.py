"""Scores predicted SQL by execution.

    python experiments/evaluate.py --examples=dev.json --predictions=predicted.sql \
      --databases=database --comparison=spider --output=scores.json

Examples are Spider- or BIRD-style JSON or JSON lines; predictions are one SQL a line in their order
(a TAB and what follows it is ignored; a blank line is a wrong answer), or BIRD's JSON object of
numbered answers, which keep their line breaks. Of a prediction and of gold alike the first
statement counts, out of a fence where there is one (see `sql/model_text.py`). Databases lie in
DIR/<db_id>/<db_id>.sqlite, in the first of the folders --databases=A,B that has it; with
--metrics=ts all other *.sqlite (beside a DuckDB file *.duckdb) in that folder are further
instances, on which an answer must agree too.

Comparisons: spider (Spider's test-suite evaluator), bird (BIRD's script), strict (rows with
duplicates, columns in order; rows in order where the gold query orders them). The output holds each
verdict, the accuracy in [0, 1] with its 95 % interval, the accuracy by hardness, and every
deliberate divergence from the official script that was met. VES, R-VES and Soft-F1 are in percent.
--metrics=em adds Spider's exact match by component; which columns count as the same there is taken
from --tables.
"""

from __future__ import annotations

import launch  # First: from here on a signal ends the script with one line.

# isort: split
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import database_access
from absl import flags

from spftsql_jax.databases import search_path as databases
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.locations import FILE_ENDINGS, engine_of
from spftsql_jax.examples import benchmarks
from spftsql_jax.files import write_text
from spftsql_jax.judging import brought_back, metrics, scoring, statistics
from spftsql_jax.judging.divergences import DIVERGENCES
from spftsql_jax.judging.verdicts import Verdict
from spftsql_jax.sql import model_text

# As in typing. Exact match, with its grammar, is imported where it is asked for.
TYPE_CHECKING = False
if TYPE_CHECKING:
  from spftsql_jax.judging.exact_match import ExactMatch

flags.adopt_module_key_flags(database_access)
_EXAMPLES = flags.DEFINE_string(
  "examples", None, "JSON or JSON lines file of the examples.", required=True
)
_PREDICTIONS = flags.DEFINE_string("predictions", None, "File of predictions.", required=True)
_DATABASES = flags.DEFINE_string(
  "databases",
  None,
  "Folders of the databases (A,B: the first that has one counts), a file or a URL.",
  required=True,
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_COMPARISON = flags.DEFINE_enum(
  "comparison", "strict", ["spider", "bird", "strict"], "How results are compared."
)
_METRICS = flags.DEFINE_list("metrics", ["ex"], "Measures: ex, ts, em, ves, r_ves, soft_f1.")
_TABLES = flags.DEFINE_string(
  "tables",
  None,
  (
    "Spider's tables.json, for em; without it the one beside the examples or the databases, else "
    "the "
    "databases' foreign keys."
  ),
)
_WORKERS = flags.DEFINE_integer(
  "workers", min(8, os.cpu_count() or 1), "Worker processes.", lower_bound=1
)
_TIMEOUT_S = flags.DEFINE_float(
  "timeout_s", 30.0, "Time limit of a query in seconds.", lower_bound=0.01
)
_KEEP_DISTINCT = flags.DEFINE_bool(
  "keep_distinct", False, "With --comparison=spider: keep DISTINCT in both queries."
)
_TIMING_RUNS = flags.DEFINE_integer(
  "timing_runs", 5, "Runs of each query for ves and r_ves (BIRD: 100).", lower_bound=1
)

_BIRD_MARK = "\t----- bird -----\t"
_KNOWN_METRICS = ("ex", "ts", "em", "ves", "r_ves", "soft_f1")


def main() -> None:
  begin = time.perf_counter()
  wanted = [name.strip().lower() for name in _METRICS.value]
  for name in wanted:
    if name not in _KNOWN_METRICS:
      raise launch.InputError(
        f"--metrics: unknown measure {name!r}; known are {', '.join(_KNOWN_METRICS)}"
      )
  output = Path(_OUTPUT.value)
  launch.check_output(output)
  if Path(_PREDICTIONS.value).is_dir():
    raise launch.InputError(f"{_PREDICTIONS.value}: a folder where a file is expected")
  # The workers start while the files are read.
  with Executor(workers=_WORKERS.value) as executor:
    executor.start()
    report = _evaluate(executor, wanted)
  report["seconds"] = round(time.perf_counter() - begin, 3)
  write_text(output, _to_json(report))
  low, high = report["ci95"]
  exact = f", exact match {100 * report['exact_match']:.1f} %" if "exact_match" in report else ""
  print(
    f"execution accuracy {100 * report['execution_accuracy']:.1f} % (95 % interval {100 * low:.1f} "
    f"to {100 * high:.1f}, "
    f"n = {report['count']}, {_COMPARISON.value}){exact}, {report['seconds']:.2f} s"
  )


def _evaluate(executor: Executor, wanted: list[str]) -> dict:
  given = databases.database_places(_DATABASES.value)
  examples = benchmarks.read_examples(_EXAMPLES.value, db_id=databases.only_database(given))
  answers = _read_predictions(Path(_PREDICTIONS.value), [example.db_id for example in examples])
  ids = benchmarks.database_ids(examples)
  places = {
    db_id: _instances(databases.find_database(given, db_id), db_id, "ts" in wanted) for db_id in ids
  }
  for line in databases.shadowed(given, ids):
    print(f"evaluate.py: {line}", file=sys.stderr)
  locations = [places[example.db_id] for example in examples]
  dialects = [engine_of(place[0]) for place in locations]
  read = [
    tuple(model_text.read(text, dialect) for text in (example.query, answer))
    for example, answer, dialect in zip(examples, answers, dialects, strict=True)
  ]
  queries = [(gold.sql, predicted.sql) for gold, predicted in read]
  schemas = _match_schemas(places) if "em" in wanted else None
  with _progress_bar(len(queries)) as bar:
    verdicts = scoring.score_predictions(
      queries,
      locations,
      executor,
      _COMPARISON.value,
      _TIMEOUT_S.value,
      keep_distinct=_KEEP_DISTINCT.value,
      suite="ts" in wanted,
      progress=bar.update,
      keep_rows="soft_f1" in wanted,
    )
  matches = _exact_matches(examples, queries, schemas) if schemas is not None else None
  report = _report(queries, verdicts, matches)
  _add_divergence(
    report,
    "read_out_of_text",
    [i for i, pair in enumerate(read) if any(each.around for each in pair)],
  )
  # Else Spider's script reads the first statement, too.
  if _COMPARISON.value != "spider" or _KEEP_DISTINCT.value:
    _add_divergence(
      report,
      "text_behind_the_end",
      [i for i, pair in enumerate(read) if any(each.behind for each in pair)],
    )
  if "ts" in wanted:
    report["test_suite_accuracy"] = _share(
      sum(bool(verdict.suite_correct) for verdict in verdicts), len(verdicts)
    )
  if "soft_f1" in wanted:
    scores = [
      metrics.soft_f1(v.gold.rows, v.predicted.rows) if v.gold.ok and v.predicted.ok else 0.0
      for v in verdicts
    ]
    report["soft_f1"] = 100 * _share(sum(scores), len(scores))
  if "ves" in wanted or "r_ves" in wanted:
    ratios, equal_times = _time_ratios(verdicts, locations)
    _add_divergence(report, "equal_times", equal_times)
    report["timing_runs"] = _TIMING_RUNS.value
    if "ves" in wanted:
      report["ves"] = metrics.valid_efficiency_score(ratios)
    if "r_ves" in wanted:
      report["r_ves"] = metrics.reward_based_ves(ratios)
  return report


def _read_predictions(path: Path, db_ids: list[str]) -> list[str]:
  """The text of each example's answer. Bytes that are not UTF-8 stay in it as surrogates, which no
  engine runs.
  """
  data = path.read_bytes()
  if data.startswith((b"\xff\xfe", b"\xfe\xff")):
    raise launch.InputError(f"{path}: the file is UTF-16 text; save it as UTF-8")
  text = data.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
  count = len(db_ids)
  if path.suffix == ".json":
    return _read_numbered(path, text, db_ids)
  lines = text.split("\n")
  if lines[-1] == "":
    lines.pop()
  # Blank lines at the end are no answers where there are enough without them.
  while len(lines) > count and not lines[-1].strip():
    lines.pop()
  if len(lines) != count:
    raise launch.InputError(
      f"{path}: {len(lines)} predictions for {count} examples (one SQL a line, in the examples' "
      "order)"
    )
  return [line.strip("\r\n ").split("\t")[0].strip() for line in lines]


def _read_numbered(path: Path, text: str, db_ids: list[str]) -> list[str]:
  """BIRD's format: {"0": "SQL<TAB>----- bird -----<TAB>db_id", ...}; a number that is missing is a
  blank answer.

  Line breaks and TABs in the SQL stay; the last TAB ends it where the example's db_id alone stands
  behind it.
  """
  count = len(db_ids)
  try:
    record = json.loads(text)
  except json.JSONDecodeError as error:
    raise launch.InputError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  if not isinstance(record, dict) or not all(
    key.isdecimal() and int(key) < count for key in record
  ):
    raise launch.InputError(f"{path}: expected a JSON object with numbers below {count} as keys")
  answers = []
  for i, db_id in enumerate(db_ids):
    answer = record.get(str(i), "")
    answer = answer if isinstance(answer, str) else ""
    marked, mark, _ = answer.rpartition(_BIRD_MARK)
    text = marked if mark else answer
    sql, tab, behind = text.rpartition("\t")
    answers.append((sql if tab and behind.strip() == db_id else text).strip())
  return answers


def _instances(location: str, db_id: str, with_suite: bool) -> list[str]:
  """The database, and behind it the other instances in its folder (which must be its own,
  DIR/<db_id>).
  """
  path = Path(location)
  own = with_suite and "://" not in location and path.resolve().parent.name == db_id
  known = any(path.suffix in endings for endings in FILE_ENDINGS.values())
  files = path.parent.glob(f"*{path.suffix}") if own and known else ()
  return [location, *(os.fspath(each) for each in sorted(files) if each != path)]


def _share(successes: float, count: int) -> float:
  return successes / count if count else 0.0


def _match_schemas(places: dict[str, list[str]]) -> tuple[dict, bool]:
  """The schema of each database for exact match, and whether the foreign keys are those that the
  databases declare.
  """
  from spftsql_jax.judging.exact_match import read_foreign_keys, read_schema

  folders = [
    Path(place) for place in databases.database_places(_DATABASES.value) if "://" not in place
  ]
  beside = [
    Path(_EXAMPLES.value).parent,
    *(folder for each in folders for folder in (each.parent, each)),
  ]
  file = _TABLES.value or next(
    (folder / "tables.json" for folder in beside if (folder / "tables.json").is_file()), None
  )
  keys = read_foreign_keys(file) if file is not None else None
  missing = [db_id for db_id in places if keys is not None and db_id not in keys]
  if missing:
    raise launch.InputError(f"{file}: no schema of database {missing[0]!r}")
  return {
    db_id: read_schema(place[0], keys and keys[db_id]) for db_id, place in places.items()
  }, keys is None


def _exact_matches(
  examples: list, queries: list[tuple[str, str]], schemas: tuple[dict, bool]
) -> list[ExactMatch]:
  from spftsql_jax.judging.exact_match import exact_match

  by_database, declared = schemas
  matches = [
    exact_match(*pair, by_database[e.db_id]) for e, pair in zip(examples, queries, strict=True)
  ]
  if declared:
    matches = [
      match if match.divergence else replace(match, divergence="declared_foreign_keys")
      for match in matches
    ]
  return matches


def _report(
  queries: list[tuple[str, str]], verdicts: list[Verdict], matches: list[ExactMatch] | None
) -> dict:
  correct = sum(verdict.correct for verdict in verdicts)
  low, high = statistics.wilson_interval(correct, len(verdicts))
  levels = {gold: metrics.hardness(gold) for gold in {gold for gold, _ in queries}}
  by_level: dict[str, list[int]] = {level: [] for level in ("easy", "medium", "hard", "extra")}
  met: dict[str, list[int]] = {}
  per_example = []
  for i, ((gold, _), verdict) in enumerate(zip(queries, verdicts, strict=True)):
    level = levels[gold]
    by_level[level].append(i)
    if verdict.divergence:
      met.setdefault(verdict.divergence, []).append(i)
    entry = {
      "index": i,
      "correct": verdict.correct,
      "status": verdict.status,
      "message": verdict.message,
      "hardness": level,
    }
    if verdict.suite_correct is not None:
      entry["suite_correct"] = verdict.suite_correct
    if matches is not None:
      entry["exact_match"] = matches[i].correct
      entry["differing_components"] = [
        name for name, part in matches[i].components.items() if not part.same
      ]
      if matches[i].divergence:
        met.setdefault(matches[i].divergence, []).append(i)
    per_example.append(entry)
  report = {
    "execution_accuracy": _share(correct, len(verdicts)),
    "ci95": [low, high],
    "count": len(verdicts),
    "comparison": _COMPARISON.value,
    "by_hardness": {
      level: {
        "count": len(indices),
        "execution_accuracy": _share(sum(verdicts[i].correct for i in indices), len(indices)),
      }
      for level, indices in by_level.items()
    },
    "divergences": [],
    "per_example": per_example,
  }
  if matches is not None:
    from spftsql_jax.judging.exact_match import partial_scores

    report["exact_match"] = _share(sum(match.correct for match in matches), len(matches))
    report["partial_match"] = partial_scores(matches)
    for level, indices in by_level.items():
      report["by_hardness"][level]["exact_match"] = _share(
        sum(matches[i].correct for i in indices), len(indices)
      )
  for name, indices in met.items():
    _add_divergence(report, name, indices)
  return report


def _add_divergence(report: dict, name: str, indices: list[int]) -> None:
  """Notes a deliberate divergence and the questions that met it; the list is in the order of the
  names.
  """
  if indices:
    entry = {
      "name": name,
      "explanation": DIVERGENCES[name],
      "count": len(indices),
      "indices": indices,
    }
    report["divergences"] = sorted([*report["divergences"], entry], key=lambda each: each["name"])


def _to_json(report: dict) -> str:
  """The report as JSON, one example a line."""
  head = json.dumps({key: value for key, value in report.items() if key != "per_example"}, indent=1)
  lines = ",\n  ".join(json.dumps(entry) for entry in report["per_example"])
  return f'{head[:-2]},\n "per_example": [\n  {lines}\n ]\n}}\n'


def _time_ratios(
  verdicts: list[Verdict], locations: list[list[str]]
) -> tuple[list[float], list[int]]:
  """Gold time by predicted time of each question, 0 where the answer is wrong, and the questions
  whose runs were all equal.

  All runs are made one after the other in one worker.
  """
  runs = _TIMING_RUNS.value
  ratios, equal_times = [], []
  with Executor(workers=1, cache_mb=0) as executor, _progress_bar(len(verdicts)) as bar:
    for i, (verdict, place) in enumerate(zip(verdicts, locations, strict=True)):
      ratio = 0.0
      if verdict.correct:
        # A text that differs in white space is another text to the executor: each one is really
        # run.
        jobs = [
          (place[0], sql + "\n" * run)
          for run in range(runs)
          for sql in (verdict.gold_sql + " ", verdict.predicted_sql)
        ]
        results = executor.execute_many(
          jobs, _TIMEOUT_S.value, scoring.MAX_ROWS, brought_back.MAX_BYTES
        )
        if all(result.ok for result in results):
          seconds = [result.seconds for result in results]
          ratio = metrics.time_ratio(seconds[0::2], seconds[1::2])
          if (
            len(
              {
                gold / max(predicted, 1e-9)
                for gold, predicted in zip(seconds[0::2], seconds[1::2], strict=True)
              }
            )
            == 1
          ):
            equal_times.append(i)
      ratios.append(ratio)
      bar.update(1)
  return ratios, equal_times


def _progress_bar(total: int):
  """A bar on a terminal, and nothing (not even the import) elsewhere."""
  if sys.stderr.isatty():
    import tqdm

    return tqdm.tqdm(total=total, desc="evaluate", unit="question")
  return _NoBar()


class _NoBar:
  def __enter__(self) -> _NoBar:
    return self

  def __exit__(self, *unused: object) -> None:
    pass

  def update(self, count: int) -> None:
    pass


if __name__ == "__main__":
  launch.launch(main)
