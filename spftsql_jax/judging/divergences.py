"""Where a verdict may differ from an official script's on purpose, by name; and where it is the
script's own, but hangs on an oddity of the script.
"""

from __future__ import annotations

DIVERGENCES = {
  "refused_statement": (
    "the prediction is not a single SELECT, or asks for a function with side effects or without a "
    "fixed result, and was not run; the official scripts run it (a write returns no rows, which "
    "passes where the gold result is empty)"
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
    "lock, a lost connection, a worker that was killed): the verdict says nothing of it"
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
    "marks of a conversation around it; the official scripts run the whole text, which is no SQL"
  ),
  "text_behind_the_end": (
    "behind the semicolon of the gold query or the prediction stands more (another semicolon or "
    "statement, words), which is left out; BIRD's script fails on it, and so does Spider's with "
    "keep_distinct (without, it runs the first statement, too)"
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
    "wrong; Spider's script skips every other one or stops"
  ),
  "value_placeholder": (
    'the letters "value" in a prediction were run as 1, as Spider\'s script does, and the '
    "prediction as it was written gets the other verdict: this is the script's oddity, and its "
    "verdict stands"
  ),
  "order_by_text": (
    'Spider\'s script looks for "order by" with one blank anywhere in the gold text to decide '
    "whether the order of the rows counts; the ORDER BY of the gold query itself says otherwise, "
    "and with it the verdict would be the other: this is the script's oddity, and its verdict "
    "stands"
  ),
  "nan": (
    "a NaN counts as equal to a NaN, as in the engines themselves; in the scripts Python finds it "
    "different from itself (SQLite has no NaN)"
  ),
  "declared_foreign_keys": (
    "exact match: there is no tables.json, so the columns that count as the same are those tied "
    "by the foreign keys that the database declares"
  ),
}
