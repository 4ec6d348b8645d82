"""Scoring predictions by execution: each is run beside its gold query and judged.

To agree with an official script is to give its verdict. Every place where a verdict may differ from
it on purpose has a name in `DIVERGENCES`, and what was met is reported; so is a verdict that is the
script's own, but hangs on an oddity of the script.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

from spftsql_jax.databases.engines import DatabaseError, engine_of, sqlite, without_password
from spftsql_jax.databases.execution.executor import Executor
from spftsql_jax.databases.execution.results import Result
from spftsql_jax.databases.rows import has_nan
from spftsql_jax.judging import metrics
from spftsql_jax.judging.comparison import Comparison, order_counts, results_agree
from spftsql_jax.judging.pairs import Judgement, Pair, judge
from spftsql_jax.sql import model_text, statements

_STRINGS = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
_RARE_QUOTES = re.compile(r"--|/\*|[`\[$]")
_SPACE_AROUND = ((" (", "("), ("( ", "("), (" )", ")"), (" ,", ","), (", ", ","), (" ;", ";"))

MAX_ROWS = 1_000_000
MAX_BYTES = 256_000_000
# Results are held for so many examples at a time.
_CHUNK = 1024

DIVERGENCES = {
  "refused_statement": (
    "the prediction is not a single SELECT, or asks for a function with side effects or without a "
    "fixed result, and was not "
    "run; the official scripts run it (a write returns no rows, which passes where the gold result "
    "is empty)"
  ),
  "gold_failed": (
    "the gold query failed on the database, so no answer counts as right; Spider's script stops, "
    "BIRD's counts 0"
  ),
  "time_limit": (
    "the prediction or the gold query ran out of time; the limit of Spider's script never ends a "
    "query"
  ),
  "not_run": (
    "the prediction or the gold query could not be run for a reason that is no property of it (a "
    "lock, a lost connection, a "
    "worker that was killed): the verdict says nothing of it"
  ),
  "resource_limit": (
    "the prediction or the gold query went over a limit on memory, rows or bytes; the scripts "
    "have none"
  ),
  "blank_prediction": (
    "a blank line counts as a wrong answer; Spider's script takes it as the end of a session, "
    "BIRD's as a query without rows"
  ),
  "read_out_of_text": (
    "the SQL of the gold query or the prediction was read out of a fence, a label, prose or the "
    "marks of a "
    "conversation around it; the official scripts run the whole text, which is no SQL"
  ),
  "text_behind_the_end": (
    "behind the semicolon of the gold query or the prediction stands more (another semicolon or "
    "statement, "
    "words), which is left out; BIRD's script fails on it, and so does Spider's with keep_distinct "
    "(without, "
    "it runs the first statement, too)"
  ),
  "not_utf8": (
    "text that is not UTF-8 is compared without the bytes that cannot be read; BIRD's script "
    "fails on it, which is 0"
  ),
  "equal_times": (
    "all runs took the same time, and all are kept; BIRD's script takes them for outliers and "
    "counts 0"
  ),
  "gold_not_read": (
    "exact match: the gold query is beyond Spider's grammar, so no answer counts as right; its "
    "script stops"
  ),
  "conditions_not_connected": (
    "exact match: two conditions with neither AND nor OR between them, which is no SQL, count as "
    "wrong; Spider's script skips "
    "every other one or stops"
  ),
  "value_placeholder": (
    'the letters "value" in a prediction were run as 1, as Spider\'s script does, and the '
    "prediction as it was written gets "
    "the other verdict: this is the script's oddity, and its verdict stands"
  ),
  "order_by_text": (
    'Spider\'s script looks for "order by" with one blank anywhere in the gold text to decide '
    "whether the order of the rows "
    "counts; the ORDER BY of the gold query itself says otherwise, and with it the verdict would "
    "be the other: this is the "
    "script's oddity, and its verdict stands"
  ),
  "nan": (
    "a NaN counts as equal to a NaN, as in the engines themselves; in the scripts Python finds it "
    "different from itself "
    "(SQLite has no NaN)"
  ),
  "declared_foreign_keys": (
    "exact match: there is no tables.json, so the columns that count as the same are those tied by "
    "the foreign keys that the "
    "database declares"
  ),
}
_LIMITS = {"timeout": "time_limit", "resource": "resource_limit"}


@dataclasses.dataclass(frozen=True)
class Verdict:
  """The judgement of one prediction.

  Attributes:
    correct: it agrees with the gold query on the database.
    suite_correct: it agrees on all instances of the database; None unless asked for.
    gold, predicted: the results on the database, without rows unless they were asked for.
    gold_sql, predicted_sql: the texts that were executed.
    divergence: a key of `DIVERGENCES`, or "".
    message: why it is wrong, where there is more to say than that the rows differ.
  """

  correct: bool
  suite_correct: bool | None
  gold: Result
  predicted: Result
  gold_sql: str
  predicted_sql: str
  divergence: str
  message: str

  @property
  def status(self) -> str:
    return self.predicted.status


def executed_texts(
  gold: str,
  predicted: str,
  comparison: Comparison,
  keep_distinct: bool = False,
  dialect: str = "sqlite",
) -> tuple[str, str]:
  """The texts that a comparison executes for the gold query and the prediction: of both the
  statement that is read there.
  """
  gold, predicted = (model_text.read_statement(text, dialect) for text in (gold, predicted))
  if comparison == "spider":
    return metrics.spider_query(gold, False, keep_distinct), metrics.spider_query(
      predicted, True, keep_distinct
    )
  return gold, predicted


def score_predictions(
  queries: Sequence[tuple[str, str]],
  locations: Sequence[Sequence[str]],
  executor: Executor,
  comparison: Comparison = "strict",
  timeout_s: float = 30.0,
  keep_distinct: bool = False,
  suite: bool = False,
  progress: Callable[[int], None] | None = None,
  keep_rows: bool = False,
) -> list[Verdict]:
  """Runs and judges predictions.

  Args:
    queries: (gold SQL, predicted SQL) pairs.
    locations: for each pair its database, and behind it further instances for `suite`.
    executor: runs the statements.
    comparison: "spider", "bird" or "strict".
    timeout_s: time limit of each statement.
    keep_distinct: with "spider": compare with DISTINCT in place.
    suite: also judge on all instances (those that pass on the first; the others are wrong already).
    progress: called with the number of pairs that have been judged.
    keep_rows: keep the rows in the verdicts, for measures that need them.

  Returns:
    One verdict for each pair, in order.
  """
  texts = [
    executed_texts(gold, predicted, comparison, keep_distinct, _dialect_of(place[0]))
    for (gold, predicted), place in zip(queries, locations, strict=True)
  ]
  ordered = [order_counts(gold, comparison) for gold, _ in texts]
  # Of texts that differ in white space and the case of words only, one is run for all. The verdict
  # hangs on the pair's own texts alone: whether the order of the rows counts is told from its own
  # gold text, not from the one that is run.
  chosen: dict[tuple[str, str], str] = {}
  key_of = functools.lru_cache(maxsize=None)(_text_key)

  def text_to_run(text: str, location: str) -> str:
    # In DuckDB the case of a word can be seen in the rows: the names in a structure are spelled as
    # the query spells them.
    dialect = _dialect_of(location)
    return (
      text if dialect == "duckdb" else chosen.setdefault((dialect, key_of(text, dialect)), text)
    )

  def make_pair(gold: str, predicted: str, place: Sequence[str], in_order: bool) -> Pair:
    gold, predicted = text_to_run(gold, place[0]), text_to_run(predicted, place[0])
    return Pair(gold, predicted, tuple(place if suite else place[:1]), in_order)

  pairs = [
    make_pair(*text, place, order)
    for text, place, order in zip(texts, locations, ordered, strict=True)
  ]
  verdicts = _judge_pairs(pairs, texts, executor, comparison, timeout_s, suite, progress, keep_rows)
  if comparison != "spider":
    return verdicts
  # What Spider's script would have said without an oddity of its own: said by name where that is
  # another verdict.
  otherwise: dict[tuple[int, str], Pair] = {}
  for i, ((gold, predicted), place) in enumerate(zip(queries, locations, strict=True)):
    if "value" in predicted:
      written = metrics.spider_query(predicted, False, keep_distinct)
      otherwise[i, "value_placeholder"] = make_pair(texts[i][0], written, place, ordered[i])
    if "order" in gold.lower() and statements.has_outer_order_by(gold) != ordered[i]:
      otherwise[i, "order_by_text"] = make_pair(*texts[i], place, not ordered[i])
  others = _judge_pairs(
    list(otherwise.values()),
    [(pair.gold, pair.predicted) for pair in otherwise.values()],
    executor, comparison, timeout_s, suite, None, False,
  )  # fmt: skip
  for (i, oddity), other in zip(otherwise, others, strict=True):
    decided = (other.correct, other.suite_correct) != (
      verdicts[i].correct,
      verdicts[i].suite_correct,
    )
    if decided and not verdicts[i].divergence:
      verdicts[i] = dataclasses.replace(verdicts[i], divergence=oddity)
  return verdicts


def _judge_pairs(
  pairs: Sequence[Pair],
  texts: Sequence[tuple[str, str]],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
  suite: bool,
  progress: Callable[[int], None] | None,
  keep_rows: bool,
) -> list[Verdict]:
  """One verdict for each pair; `texts` are what the verdicts say was executed."""
  judged: dict[Pair, Judgement] = {}
  if not keep_rows:
    different = list(dict.fromkeys(pairs))
    judged = judge(different, executor, comparison, timeout_s, MAX_ROWS, progress)
  verdicts: dict[int, Verdict] = {}
  for i, pair in enumerate(pairs):
    if pair in judged:
      verdicts[i] = _verdict_of(judged[pair], pair, texts[i], comparison, suite)
  # The others are run for their rows, which are compared here.
  rest = [i for i in range(len(pairs)) if i not in verdicts]
  for start in range(0, len(rest), _CHUNK):
    chunk = rest[start : start + _CHUNK]
    for i, verdict in zip(
      chunk, _score_rows(chunk, texts, pairs, executor, comparison, timeout_s, suite), strict=True
    ):
      verdicts[i] = verdict if keep_rows else _without_rows(verdict)
    if progress is not None and keep_rows:
      progress(len(chunk))
  return [verdicts[i] for i in range(len(pairs))]


def _dialect_of(location: str) -> str:
  """The engine of a location, "" for one that no engine opens (which its result will say)."""
  try:
    return engine_of(location)
  except DatabaseError:
    return ""


def _text_key(sql: str, dialect: str = "") -> str:
  """`statements.same_text_key`, several times faster for text without comments and rare quotes: no
  token is looked at.
  """
  if dialect == "duckdb" or _RARE_QUOTES.search(sql) or not statements.reads_alike(sql, dialect):
    return statements.same_text_key(sql, dialect)
  parts = _STRINGS.split(sql)
  for i in range(0, len(parts), 2):
    part = parts[i]
    # White space alone may make one string of two.
    if "'" in part or '"' in part or not part.isascii() or (part.isspace() and i):
      return statements.same_text_key(sql, dialect)
    part = " ".join(f".{part.lower()}.".split())
    for spaced, plain in _SPACE_AROUND:
      part = part.replace(spaced, plain)
    parts[i] = part[1:-1]
  return "".join(parts).rstrip("; ")


def _verdict_of(
  judgement: Judgement, pair: Pair, texts: tuple[str, str], comparison: Comparison, suite: bool
) -> Verdict:
  correct = judgement.differs_on != 0
  verdict = _verdict(correct, judgement.gold, judgement.predicted, texts, comparison)
  if not suite:
    return verdict
  message = verdict.message
  if judgement.differs_on > 0:
    message = _difference(pair.locations[judgement.differs_on], judgement.message)
  return dataclasses.replace(verdict, suite_correct=judgement.differs_on < 0, message=message)


def _score_rows(
  chunk: Sequence[int],
  texts: Sequence[tuple[str, str]],
  pairs: Sequence[Pair],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
  suite: bool,
) -> list[Verdict]:
  """The verdicts on the pairs with these numbers, from their rows."""
  jobs = [
    (pairs[i].locations[0], text) for i in chunk for text in (pairs[i].gold, pairs[i].predicted)
  ]
  results = iter(executor.execute_many(jobs, timeout_s, MAX_ROWS, MAX_BYTES))
  verdicts = [
    _verdict(
      results_agree(gold, predicted, comparison, pairs[i].ordered),
      gold,
      predicted,
      texts[i],
      comparison,
    )
    for i, gold, predicted in zip(chunk, results, results, strict=True)
  ]
  return (
    _judge_suite(verdicts, [pairs[i] for i in chunk], executor, comparison, timeout_s)
    if suite
    else verdicts
  )


def _verdict(
  correct: bool, gold: Result, predicted: Result, texts: tuple[str, str], comparison: Comparison
) -> Verdict:
  gold_sql, predicted_sql = texts
  divergence, message = "", predicted.message
  if not predicted_sql.strip():
    divergence, message = "blank_prediction", "the prediction is blank"
  elif gold.transient or predicted.transient:
    divergence = "not_run"
    message = gold.message if gold.transient else predicted.message
  elif not gold.ok:
    message = f"the gold query failed ({gold.status}): {gold.message}"
    divergence = _LIMITS.get(gold.status, "gold_failed")
  elif predicted.status != "ok":
    divergence = {"refused": "refused_statement", **_LIMITS}.get(predicted.status, "")
  else:
    # Spider's script leaves the same bytes out.
    undecoded = sqlite.NOT_UTF8 in (gold.message, predicted.message)
    divergence, message = ("not_utf8" if undecoded and comparison == "bird" else ""), ""
    if correct and comparison != "strict" and not divergence and has_nan(gold.rows):
      divergence = "nan"
  return Verdict(correct, None, gold, predicted, gold_sql, predicted_sql, divergence, message)


def _judge_suite(
  verdicts: Sequence[Verdict],
  pairs: Sequence[Pair],
  executor: Executor,
  comparison: Comparison,
  timeout_s: float,
) -> list[Verdict]:
  """Judges those that are right on the first instance on the others too."""
  jobs, owners = [], []
  for i, (verdict, pair) in enumerate(zip(verdicts, pairs, strict=True)):
    # The same text gives the same rows everywhere; that it runs on the first instance is known.
    if verdict.correct and pair.gold != pair.predicted:
      for location in pair.locations[1:]:
        jobs += [(location, pair.gold), (location, pair.predicted)]
        owners.append(i)
  failed: dict[int, str] = {}
  results = executor.execute_many(jobs, timeout_s, MAX_ROWS, MAX_BYTES)
  for k, i in enumerate(owners):
    gold, predicted = results[2 * k], results[2 * k + 1]
    if i not in failed and not results_agree(gold, predicted, comparison, pairs[i].ordered):
      failed[i] = _difference(jobs[2 * k][0], predicted.message or gold.message)
  return [
    dataclasses.replace(
      verdict,
      suite_correct=verdict.correct and i not in failed,
      message=failed.get(i, verdict.message),
    )
    for i, verdict in enumerate(verdicts)
  ]


def _difference(location: str, message: str) -> str:
  return f"differs on {without_password(location)}" + (f": {message}" if message else "")


def _without_rows(verdict: Verdict) -> Verdict:
  gold, predicted = verdict.gold, verdict.predicted
  return dataclasses.replace(
    verdict,
    gold=dataclasses.replace(gold, rows=()),
    predicted=dataclasses.replace(predicted, rows=()),
  )
