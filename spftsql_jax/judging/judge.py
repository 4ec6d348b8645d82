"""Judging pairs of statements where they run: a worker process compares the rows itself and answers
with verdicts.

Rows need not be sent to another process then, and those of two statements that agree are mostly
equal byte for byte, so they are not even unpacked. Two texts that the engine compiles to the same
program (`programs.py`) are one statement: it runs once, and need not be judged on further
instances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from spftsql_jax.judging.comparison import rows_match

# Statements that take longer are compared as programs before the second runs; the others only where
# that saves runs on further instances.
_SLOW_S = 0.002


def judge_pairs(
  execute: Callable[[int, str], tuple],
  match: Callable[[tuple, tuple, bool], bool],
  programs_agree: Callable[[str, str, bool], bool],
  instances: int,
  pairs: Sequence[tuple[str, str, bool]],
) -> list[tuple | None]:
  """Runs pairs of a gold and a predicted statement on the instances of a database, and compares
  their results.

  The statements of a pair run on one instance after the other until their results differ; the same
  text or the same program twice runs once, since it agrees with itself everywhere if it runs at
  all.

  Args:
    execute: runs a statement on an instance: (instance, sql) -> (status, columns, packed rows,
      seconds, message, transient).
    match: compares two such outcomes of status "ok"; the last argument says whether the order of
      the rows counts.
    programs_agree: whether two statements are the same program on all instances; the last argument
      as above.
    instances: the number of instances.
    pairs: (gold SQL, predicted SQL, whether order counts).

  Returns:
    For each pair (gold outcome, predicted outcome, instance), where the outcomes are those of the
    first instance without rows and `instance` is the first on which the results differ, or -1; with
    the message of a statement that failed there as a fourth item. None where a statement ran into a
    limit on memory, rows or bytes here, or did not run for a reason that is no property of it.
  """
  verdicts: list[tuple | None] = [None] * len(pairs)
  uses = Counter(text for gold, predicted, _ in pairs for text in {gold, predicted})
  alive = list(range(len(pairs)))
  for instance in range(instances):
    kept: dict[str, tuple] = {}

    def outcome_of(sql: str, instance: int = instance, kept: dict[str, tuple] = kept) -> tuple:
      if sql in kept:
        return kept[sql]
      outcome = execute(instance, sql)
      if uses[sql] > 1:
        kept[sql] = outcome
      return outcome

    agreeing = []
    for i in alive:
      gold_sql, predicted_sql, ordered = pairs[i]
      gold = outcome_of(gold_sql)
      slow = instance == 0 and gold[0] == "ok" and gold[3] > _SLOW_S
      if predicted_sql == gold_sql or (slow and programs_agree(gold_sql, predicted_sql, ordered)):
        predicted = gold
      else:
        predicted = outcome_of(predicted_sql)
      if "resource" in (gold[0], predicted[0]) or gold[5] or predicted[5]:
        verdicts[i] = None
        continue
      try:
        same = gold[0] == predicted[0] == "ok" and (
          gold is predicted or match(gold, predicted, ordered)
        )
      except MemoryError:
        verdicts[i] = None
        continue
      if instance == 0:
        verdicts[i] = (_without_rows(gold), _without_rows(predicted), -1 if same else 0, "")
        settled = (
          not same
          or gold is predicted
          or instances == 1
          or programs_agree(gold_sql, predicted_sql, ordered)
        )
        if not settled:
          agreeing.append(i)
      elif same:
        agreeing.append(i)
      else:
        verdicts[i] = (*verdicts[i][:2], instance, predicted[4] or gold[4])
    alive = agreeing
  return verdicts


def outcomes_match(
  unpack: Callable[[list[bytes]], tuple],
  comparison: str,
  gold: tuple,
  predicted: tuple,
  ordered: bool,
) -> bool:
  """Whether two outcomes of status "ok" agree; `unpack` makes rows of the packed ones. Equal bytes
  are equal rows.
  """
  widths = len(gold[1]), len(predicted[1])
  if gold[2] == predicted[2] and widths[0] == widths[1]:
    return True
  return rows_match(unpack(gold[2]), unpack(predicted[2]), widths, comparison, ordered)


def _without_rows(outcome: tuple) -> tuple:
  status, columns, _, seconds, message, _ = outcome
  return status, columns, seconds, message
