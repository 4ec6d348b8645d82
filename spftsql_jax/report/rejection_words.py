"""Why synthesis did not keep a query, in plain words, as data: what the report shows for each
reason that synthesis counts.
"""

from __future__ import annotations

from collections.abc import Mapping

# Reason as it is counted -> (in plain words, what it means).
REASONS: Mapping[str, tuple[str, str]] = {
  "empty": (
    "No rows",
    "The query returns nothing, and so would any wrong query that finds nothing.",
  ),
  "empty on neighbours": (
    "No rows on similar data",
    (
      "On copies of the database with other rows it returns nothing, so it could not be checked "
      "there."
    ),
  ),
  "only NULL": ("Only missing values", "All that it returns is NULL: the data has no answer."),
  "NULL first": (
    "Its answer is a missing value",
    "The one group that it returns has no name (NULL).",
  ),
  "only zero": ("Only zero", "It counts or sums to 0, as a wrong query often does too."),
  "all rows equal": (
    "All rows alike",
    "Every row that it returns is the same: a list that says nothing.",
  ),
  "constant": (
    "The answer stands in the question",
    "It returns the value that its own condition names.",
  ),
  "too many rows": ("Too many rows", "More rows than an answer to a question has."),
  "rows repeated by a join": (
    "Rows repeated",
    "A join returns the same row several times, which nobody asks for.",
  ),
  "tie at LIMIT": (
    "A tie at the end of a top list",
    "Several rows are equal where the list is cut, so chance decides which are returned.",
  ),
  "NULL at LIMIT": (
    "Missing values in a top list",
    "Rows without a value to sort by are among the first.",
  ),
  "redundant LIMIT": (
    "A top list of everything",
    "There are not more rows than the list asks for.",
  ),
  "LIMIT without ORDER BY": (
    "A top list without an order",
    "Without an order chance decides which rows are returned.",
  ),
  "LIMIT with an order that DISTINCT hides": (
    "A top list in an unseen order",
    "It sorts by something that it does not return, after leaving out repeated rows.",
  ),
  "LIMIT in a correlated query": (
    "A top list inside a condition",
    "Whether it is cut at a tie cannot be checked there.",
  ),
  "unusual LIMIT": (
    "An unusual top list",
    "A top list that skips rows, which is not checked for ties.",
  ),
  "bare column": (
    "An arbitrary value of a group",
    "It returns a column that has several values in a group, of which any may come.",
  ),
  "several rows to compare with": (
    "Compared with several values",
    "A condition compares with a nested query that returns more than one value.",
  ),
  "redundant condition": (
    "A condition that changes nothing",
    "Without it the result is the same: it would teach to ignore the question.",
  ),
  "tautological condition": (
    "A condition that is always true",
    "It holds for every row, so the result is the same without it.",
  ),
  "redundant join": (
    "A table that changes nothing",
    "Without one of its tables the result is the same.",
  ),
  "redundant set operation": (
    "A combination that changes nothing",
    "One of the combined queries alone returns the same.",
  ),
  "sample": ("A sample of the rows", "It draws rows by luck, and returns others every time."),
  "volatile function": ("Depends on the time or on luck", "It returns something else every time."),
  "quoted string": (
    "A name that is no column",
    "A name in double quotes is no column, and SQLite takes it for a text.",
  ),
  "duplicate": ("Made before", "The same query, or the same question, is there already."),
  "in the evaluation set": (
    "Belongs to an evaluation set",
    "It is a query of the test or of another set that must stay unseen.",
  ),
  "does not parse": ("Not readable", "The SQL cannot be parsed."),
  "not a SELECT": ("Not a query", "Only a single SELECT is kept."),
  "fails": ("Fails", "The database refuses to run it."),
  "timeout": ("Takes too long", "It does not end within its time limit."),
  "a check fails": ("A check of it fails", "A query that would have checked it does not run."),
  "timeout in a check": (
    "A check of it takes too long",
    "A query that checks it does not end in time.",
  ),
  "no table has rows": ("Empty tables", "No table of the database has rows."),
  "no table fits the templates": (
    "No fitting table",
    "The table that was to be used has no columns of the kinds that any template needs.",
  ),
}
# The same for reasons that go on behind a colon; the rest tells them apart.
FAMILIES: Mapping[str, tuple[str, str]] = {
  "cannot fill": (
    "A template that does not fit",
    "The database has no table, column or value of the kind that the template needs here.",
  ),
  "no question": (
    "No words for it",
    "The query is sound, but the rules that write questions have no natural wording for its form.",
  ),
  "a probe fails": (
    "Values cannot be looked up",
    "A query that looks for values to fill in does not run.",
  ),
}


def in_words(reason: str) -> tuple[str, str, str]:
  """(plain words, explanation, what tells it apart) of a reason; one that is unknown stands for
  itself.
  """
  if reason in REASONS:
    return *REASONS[reason], ""
  family, colon, rest = reason.partition(": ")
  if colon and family in FAMILIES:
    return *FAMILIES[family], rest
  return reason.replace("_", " "), "", ""
